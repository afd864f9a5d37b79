"""The front-end: invertible, linear, librosa's numbers, and pinned."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from places import DATA

from audiocli.errors import ModelError
from audiocli.nn.frontend import Stft, StftConfig, check_fingerprint, fingerprint

GOLDEN = json.loads((DATA / "frontend.json").read_text("utf-8"))


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(
    samples=st.integers(1, 3000),
    n_fft=st.sampled_from([64, 256, 1024]),
    overlap=st.sampled_from([2, 3, 4, 8]),
    window=st.sampled_from(["sine", "hann"]),
)
def test_inverse_is_exact(samples: int, n_fft: int, overlap: int, window: str) -> None:
    stft = Stft(StftConfig(n_fft=n_fft, hop_length=n_fft // overlap, window=window))
    audio = noise(2, samples)
    assert (stft.inverse(stft(audio), samples) - audio).abs().max() < 1e-5


@pytest.mark.parametrize(("n_fft", "hop_length"), [(256, 128), (256, 100), (512, 64)])
def test_inverse_of_any_spectrum_is_torchs(n_fft: int, hop_length: int) -> None:
    stft = Stft(StftConfig(n_fft=n_fft, hop_length=hop_length))
    spectrum = torch.complex(noise(2, n_fft // 2 + 1, 20, seed=1), noise(2, n_fft // 2 + 1, 20))
    wanted = torch.istft(spectrum, n_fft, hop_length, window=stft.window, length=1200)
    torch.testing.assert_close(stft.inverse(spectrum, 1200), wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("window", ["sine", "hann"])
def test_inverse_of_long_windows(window: str) -> None:
    # One sample short of a hop, the last ones used to lie under the end of one window alone.
    stft = Stft(StftConfig(n_fft=4096, hop_length=2048, window=window))
    audio = noise(1, 3 * 2048 - 1)
    assert (stft.inverse(stft(audio), audio.shape[1]) - audio).abs().max() < 1e-5


@pytest.mark.parametrize("window", ["sine", "hann"])
@pytest.mark.parametrize("extra", [0, 1, 32, 62, 63])
def test_masks_make_no_click_at_the_ends(extra: int, window: str) -> None:
    stft = Stft(StftConfig(n_fft=128, hop_length=64, window=window))
    samples = 64 * 40 + extra
    spectrum = stft(noise(1, samples))
    mask = torch.rand(spectrum.shape, generator=torch.Generator().manual_seed(1))
    masked = stft.inverse(spectrum * mask, samples)[0].abs()
    ends = torch.cat([masked[:64], masked[-64:]])
    assert ends.max() < 1.3 * masked[64:-64].max()


@pytest.mark.parametrize("samples", [1, 2, 511, 512, 513, 5000])
def test_shapes(samples: int) -> None:
    spectrum = Stft(StftConfig())(torch.zeros(2, 3, samples))
    assert spectrum.shape == (2, 3, 513, 1 + -(-samples // 512))
    assert Stft(StftConfig()).inverse(spectrum, samples).shape == (2, 3, samples)


def test_linear() -> None:
    stft = Stft(StftConfig(n_fft=256, hop_length=128))
    one, two = noise(1, 2000, seed=1), noise(1, 2000, seed=2)
    together = stft(3 * one - 0.5 * two)
    assert torch.allclose(together, 3 * stft(one) - 0.5 * stft(two), atol=1e-4)


@pytest.mark.parametrize("window", ["sine", "hann"])
def test_magnitudes_are_those_of_librosa(window: str) -> None:
    import librosa

    config = StftConfig(n_fft=512, hop_length=128, window=window)
    audio = noise(128 * 40).numpy()
    phase = np.pi * (np.arange(512) + 0.5) / 512
    reference = librosa.stft(
        audio,
        n_fft=512,
        hop_length=128,
        window=np.sin(phase) ** (1 if window == "sine" else 2),
        center=True,
        pad_mode="constant",
    )
    np.testing.assert_allclose(Stft(config)(torch.from_numpy(audio)).numpy(), reference, atol=1e-4)


def test_a_sine_stands_in_its_bin() -> None:
    config = StftConfig()
    tone = torch.sin(2 * torch.pi * 40 * torch.arange(16_000) / config.n_fft)
    magnitude = Stft(config)(tone).abs()[:, 5:-5]
    assert set(magnitude.argmax(dim=0).tolist()) == {40}
    # Of a sine of amplitude 1, half the sum of the window.
    assert magnitude[40].mean().item() == pytest.approx(1024 / np.pi, rel=1e-3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"window": "hamming"},
        {"n_fft": 1023},
        {"hop_length": 513},
        {"hop_length": 0},
        {"n_fft": 0, "hop_length": 0},
    ],
)
def test_what_cannot_be_inverted_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="^front-end: .*$"):
        StftConfig(**wrong)


@pytest.mark.parametrize("entry", GOLDEN, ids=lambda entry: str(entry["config"]["n_fft"]))
def test_front_ends_compute_what_they_always_did(entry: dict[str, Any]) -> None:
    now = fingerprint(Stft(StftConfig(**entry["config"])))
    assert now == pytest.approx(entry["fingerprint"], rel=2e-5)


@pytest.mark.parametrize(
    "other", [{"hop_length": 256}, {"window": "hann"}, {"n_fft": 2048}, {"n_fft": 1026}]
)
def test_another_front_end_is_refused(other: dict[str, Any]) -> None:
    stored = GOLDEN[0]["fingerprint"]
    check_fingerprint(Stft(StftConfig()), stored, "mine")
    with pytest.raises(ModelError, match="^mine: its front-end .* train it again$"):
        check_fingerprint(Stft(StftConfig(**other)), stored, "mine")


def test_a_changed_window_is_refused() -> None:
    stft = Stft(StftConfig())
    stored = fingerprint(stft)
    stft.window.mul_(1.001)
    with pytest.raises(ModelError):
        check_fingerprint(stft, stored, "mine")


def test_a_fingerprint_of_another_length_is_refused() -> None:
    stft = Stft(StftConfig())
    with pytest.raises(ModelError):
        check_fingerprint(stft, fingerprint(stft)[:-1], "mine")


def test_a_fingerprint_that_is_no_numbers_is_refused() -> None:
    with pytest.raises(ModelError, match="^mine: its frontend_fingerprint is damaged"):
        check_fingerprint(Stft(StftConfig()), ["a"], "mine")  # type: ignore[list-item]


def test_the_window_is_no_weight() -> None:
    assert list(Stft(StftConfig()).state_dict()) == []
