"""The filterbank: levels, places and bands as stated, in blocks as in one piece, and pinned."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from audiocli.dsp.filterbanks import mel_filterbank
from audiocli.errors import ModelError
from audiocli.nn.frontend import (
    Filterbank,
    FilterbankConfig,
    Stft,
    StftConfig,
    check_fingerprint,
    fingerprint,
    from_dict,
    to_dict,
    triangles,
)
from audiocli.tasks.onsets.training import FINE, QUICK

PLAIN = FilterbankConfig(n_ffts=(2048,), difference=False)


def sine(hz: float, rate: int = 44_100, amplitude: float = 1.0) -> torch.Tensor:
    return amplitude * torch.sin(2 * math.pi * hz * torch.arange(rate) / rate)


def centres(config: FilterbankConfig) -> np.ndarray:
    """Frequencies of the bands, by the textbook."""
    if config.scale == "log":
        return np.geomspace(config.fmin, config.fmax, config.bands + 2)[1:-1]
    low, high = (2595 * math.log10(1 + hz / 700) for hz in (config.fmin, config.fmax))
    return 700 * (10 ** (np.linspace(low, high, config.bands + 2)[1:-1] / 2595) - 1)


@pytest.mark.parametrize("config", [PLAIN, FINE, QUICK], ids=["mel", "fine", "quick"])
@pytest.mark.parametrize("band", [0.3, 0.6, 0.9])
def test_a_sine_of_full_scale_peaks_at_the_gain(config: FilterbankConfig, band: float) -> None:
    index = int(band * config.bands)
    hz = centres(config)[index]
    images = Filterbank(config)(sine(hz))[..., 10:-10].mean(dim=-1)
    for n_fft, image in zip(config.n_ffts, images, strict=True):
        bins = 44_100 / n_fft
        at = centres(config)[int(image.argmax())]
        assert abs(at - hz) <= max(bins, np.diff(centres(config))[min(index, config.bands - 2)])
        # Bands at least as wide as the main lobe hold several bins, and show a little more.
        assert image.max().item() == pytest.approx(math.log10(1 + config.gain), abs=0.35)


def test_levels_are_of_magnitude() -> None:
    bank = Filterbank(PLAIN)
    loud, quiet = (bank(sine(1000, amplitude=level))[..., 50].max() for level in (1.0, 0.01))
    assert (loud - quiet).item() == pytest.approx(2.0, abs=0.02)
    assert not bank(torch.zeros(5000)).any()


@pytest.mark.parametrize("config", [PLAIN, FINE, FilterbankConfig(difference=False)])
def test_frames_are_centred_on_their_sample(config: FilterbankConfig) -> None:
    audio = torch.zeros(44_100)
    audio[50 * config.hop_length] = 1.0
    for image in Filterbank(config)(audio):
        levels = image.sum(dim=0)
        assert int(levels.argmax()) == 50
        # As much before it as after.
        sides = [levels[50 - k].item() - levels[50 + k].item() for k in (1, 2)]
        assert sides == pytest.approx([0, 0], abs=0.05 * levels.max().item())


@pytest.mark.parametrize("samples", [0, 1, 440, 441, 442, 5000])
def test_there_is_a_frame_at_every_hop(samples: int) -> None:
    images = Filterbank(FilterbankConfig())(torch.zeros(3, samples))
    assert images.shape == (3, 4, 40, 1 + samples // 441)


def test_the_difference_is_the_rise() -> None:
    audio = torch.randn(20_000, generator=torch.Generator().manual_seed(0))
    both = Filterbank(FilterbankConfig())(audio)
    for level, rise in zip(both[0::2], both[1::2], strict=True):
        assert not rise[:, 0].any() and (rise >= 0).all()
        wanted = (level[:, 1:] - level[:, :-1]).clamp(min=0)
        assert torch.equal(rise[:, 1:], wanted)


@given(st.integers(1, 30))
def test_frames_in_pieces_are_those_of_the_whole(cut: int) -> None:
    bank = Filterbank(FINE)
    half, hop = FINE.n_fft // 2, FINE.hop_length
    audio = torch.randn(31 * hop, generator=torch.Generator().manual_seed(0))
    padded = torch.nn.functional.pad(audio, (half, half))
    whole = bank(audio)
    first = bank.frames(padded[: (cut - 1) * hop + FINE.n_fft])[0]
    second = bank.frames(padded[cut * hop :])[0]
    assert torch.allclose(torch.cat([first, second], dim=-1), whole, atol=1e-4)


@given(
    st.sampled_from(["mel", "log"]),
    st.integers(1, 200),
    st.sampled_from([256, 1024, 4096]),
    st.floats(20, 500),
)
def test_no_filter_is_empty(scale: str, bands: int, n_fft: int, fmin: float) -> None:
    config = FilterbankConfig(n_ffts=(n_fft,), bands=bands, scale=scale, fmin=fmin)
    filters = triangles(config, n_fft)
    assert filters.shape == (n_fft // 2 + 1, bands)
    assert (filters.max(dim=0).values > 0).all() and (filters >= 0).all()
    # The peaks rise with frequency.
    assert (filters.argmax(dim=0).diff() >= 0).all()


@pytest.mark.parametrize(
    "config", [FilterbankConfig(), FINE, QUICK, StftConfig(n_fft=256, hop_length=64)]
)
def test_configurations_travel(config: FilterbankConfig | StftConfig) -> None:
    import json

    stored = json.loads(json.dumps(to_dict(config)))
    again = from_dict(stored)
    assert again == config and type(again) is type(config)
    kinds = {StftConfig: Stft, FilterbankConfig: Filterbank}
    one, two = (kinds[type(each)](each) for each in (config, again))  # type: ignore[arg-type]
    check_fingerprint(two, fingerprint(one), "mine")


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {"kind": "cqt"},
        {"kind": ["filterbank"]},
        {"kind": "filterbank", "colour": 1},
        {"kind": "filterbank", "n_ffts": 1024},
        {"kind": "filterbank", "n_ffts": ["a"]},
        {"kind": "filterbank", "bands": "many"},
        {"kind": "stft", "bands": 8},
    ],
    ids=str,
)
def test_damaged_configurations_are_refused(stored: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="^front-end: "):
        from_dict(stored)


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale": "bark"},
        {"n_ffts": ()},
        {"n_ffts": (1024, 777)},
        {"n_ffts": (0,)},
        {"hop_length": 0},
        {"bands": 0},
        {"fmin": 0.0},
        {"fmin": 17_000.0},
        {"fmax": 30_000.0},
        {"sample_rate": 16_000},
    ],
    ids=str,
)
def test_what_makes_no_filterbank_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="^front-end: "):
        FilterbankConfig(**wrong)


@pytest.mark.parametrize(
    "other",
    [{"bands": 41}, {"scale": "log"}, {"gain": 9000.0}, {"fmax": 15_000.0}, {"n_ffts": (1024,)}],
    ids=str,
)
def test_another_filterbank_is_refused(other: dict[str, Any]) -> None:
    stored = fingerprint(Filterbank(FilterbankConfig()))
    assert len(stored) == 8 and min(stored) > 0
    with pytest.raises(ModelError, match="train it again$"):
        check_fingerprint(Filterbank(FilterbankConfig(**other)), stored, "mine")


def test_filters_and_windows_are_no_weights() -> None:
    assert list(Filterbank(FilterbankConfig()).state_dict()) == []


def test_slaney_is_the_mel_of_librosa_on_squares() -> None:
    """As ``librosa.feature.melspectrogram`` has it, whose filters ours are tested to equal."""
    gain = 10_000.0
    config = FilterbankConfig(
        16_000, (512,), 256, 96, "slaney", 0.0, 8_000.0, False, gain * (512 / 4) ** 2, power=2
    )
    audio = torch.randn(1, 8_000, generator=torch.Generator().manual_seed(0))
    window = torch.hann_window(512)
    spectrum = torch.stft(audio, 512, 256, window=window, pad_mode="constant", return_complex=True)
    bank = torch.from_numpy(mel_filterbank(16_000, 512, 96).copy())
    expected = torch.log10(1 + gain * (bank @ spectrum.abs().square()))
    assert torch.allclose(Filterbank(config)(audio)[:, 0], expected, atol=1e-4)
    centres = Filterbank(config).centres
    assert centres.diff()[:20].tolist() == pytest.approx([float(centres[0])] * 20)  # to 1 kHz


def test_power_is_one_or_two() -> None:
    with pytest.raises(ModelError, match="power 3 must be one of"):
        FilterbankConfig(power=3)
    stored = to_dict(FilterbankConfig())
    del stored["power"]  # configurations from before there was one
    assert from_dict(stored) == FilterbankConfig()
