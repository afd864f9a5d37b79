"""Augmentation: exact lengths, pitch and formants where they should be, and repeatable."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from audiocli.nn.augment import colour, crackle, equalise, excerpt, warp_formants
from audiocli.nn.frontend import Stft, StftConfig

RATE = 16_000
STFT = Stft(StftConfig())


class Extreme:
    """A generator that starts at the beginning and draws one end of the range."""

    def __init__(self, highest: bool) -> None:
        self.highest = highest

    def uniform(self, low: float, high: float) -> float:
        return high if self.highest else low

    def integers(self, high: int) -> int:
        return 0


def fixed(highest: bool) -> Any:
    return Extreme(highest)


@given(
    length=st.integers(1, 500),
    samples=st.integers(1, 900),
    semitones=st.sampled_from([0.0, 0.5, 3.0, 12.0]),
    seed=st.integers(0, 1000),
)
def test_excerpts_are_as_long_as_asked(
    length: int, samples: int, semitones: float, seed: int
) -> None:
    # The filter of the resampler rings, but a constant stays one: nothing is made up at the ends.
    signal = np.full(length, 0.5, np.float32)
    piece = excerpt(signal, samples, np.random.default_rng(seed), semitones=semitones)
    assert (piece.shape, piece.dtype) == ((samples,), np.float32)
    np.testing.assert_allclose(piece, 0.5, atol=0.005)


@given(length=st.integers(1, 60), seed=st.integers(0, 1000))
def test_without_change_of_speed_it_is_a_rotation(length: int, seed: int) -> None:
    signal = np.arange(length, dtype=np.float32)
    piece = excerpt(signal, length, np.random.default_rng(seed))
    np.testing.assert_array_equal(piece, np.roll(signal, -int(piece[0])))


def test_every_start_is_drawn() -> None:
    rng = np.random.default_rng(0)
    signal = np.arange(5, dtype=np.float32)
    assert {float(excerpt(signal, 2, rng)[0]) for _ in range(100)} == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("semitones", [1.0, 6.0])
@pytest.mark.parametrize("highest", [True, False])
def test_pitch_moves_by_the_ratio(semitones: float, highest: bool) -> None:
    tone = np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE).astype(np.float32)
    piece = excerpt(tone, 8000, fixed(highest), semitones=semitones)
    ratio = 2 ** ((semitones if highest else -semitones) / 12)
    phase = 2 * np.pi * 500 * ratio * np.arange(8000) / RATE
    basis = np.stack([np.cos(phase), np.sin(phase)], axis=1)
    rest = piece - basis @ np.linalg.lstsq(basis, piece, rcond=None)[0]
    assert np.sqrt(np.mean(rest**2)) < 1e-3


def test_speeds_are_spread_over_the_range() -> None:
    tone = np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE).astype(np.float32)
    rng = np.random.default_rng(0)
    shifts = []
    for _ in range(40):
        piece = excerpt(tone, 4096, rng, semitones=6)
        peak = np.abs(np.fft.rfft(piece * np.hanning(4096))).argmax() * RATE / 4096
        shifts.append(12 * np.log2(peak / 500))
    assert -6.2 < min(shifts) < -4
    assert 4 < max(shifts) < 6.2


PITCH = 125.0


def vowel(formant: float) -> Tensor:
    """One second of harmonics of 125 Hz, 30 dB stronger around one formant."""
    harmonics = PITCH * np.arange(1, 56)
    strength = 10 ** (1.5 * np.exp(-0.5 * ((harmonics - formant) / 500) ** 2) - 2.5)
    phases = np.random.default_rng(0).uniform(0, 2 * np.pi, len(harmonics))
    time = np.arange(RATE) / RATE
    waves = strength[:, None] * np.cos(2 * np.pi * harmonics[:, None] * time + phases[:, None])
    return torch.from_numpy(waves.sum(axis=0)).float()[None]


def spectrum_of(audio: Tensor) -> NDArray[np.float64]:
    """Magnitudes in dB of the middle half second, in bins of 2 Hz."""
    middle = audio[0, 4000:12000].double().numpy() * np.hanning(8000)
    return 20 * np.log10(np.abs(np.fft.rfft(middle)) + 1e-9)


def formant_of(audio: Tensor) -> float:
    """Centre of what stands less than 15 dB below the strongest harmonic."""
    level = spectrum_of(audio)
    harmonics = PITCH * np.arange(1, 56)
    at = level[np.round(harmonics / 2).astype(int)]
    weight = np.clip(at - at.max() + 15, 0, None)
    return float(np.sum(weight * harmonics) / np.sum(weight))


@pytest.mark.parametrize("factor", [0.75, 0.9, 1.0, 1.15, 1.35])
def test_formants_move_and_pitch_does_not(factor: float) -> None:
    audio = vowel(2000.0)
    assert formant_of(audio) == pytest.approx(2000, rel=0.02)
    warped = warp_formants(STFT(audio), RATE, torch.tensor([factor]))
    out = STFT.inverse(warped, RATE)
    assert formant_of(out) == pytest.approx(2000 * factor, rel=0.04)
    # All that is strong stands at multiples of the pitch still.
    level = spectrum_of(out)
    strong = np.flatnonzero(level > level.max() - 40) * 2
    assert len(strong) > 20
    assert np.abs(strong - PITCH * np.round(strong / PITCH)).max() <= 6


def test_factor_one_changes_nothing() -> None:
    spectrum = STFT(vowel(2000.0))
    warped = warp_formants(spectrum, RATE, torch.ones(1))
    assert torch.allclose(warped, spectrum, atol=1e-4)


def test_each_example_has_its_factor() -> None:
    spectrum = STFT(vowel(2000.0)).repeat(2, 1, 1)
    both = warp_formants(spectrum, RATE, torch.tensor([0.8, 1.3]))
    for index, factor in enumerate((0.8, 1.3)):
        alone = warp_formants(spectrum[:1], RATE, torch.tensor([factor]))
        assert torch.allclose(both[index], alone[0], atol=1e-4)


def test_warping_follows_the_gain() -> None:
    spectrum = STFT(vowel(2000.0))
    factor = torch.tensor([1.3])
    quiet = warp_formants(1e-3 * spectrum, RATE, factor)
    assert torch.allclose(1e3 * quiet, warp_formants(spectrum, RATE, factor), rtol=1e-2, atol=1e-2)


def test_warping_is_limited() -> None:
    spectrum = STFT(vowel(2000.0))
    change = (warp_formants(spectrum, RATE, torch.tensor([1.4]), limit=6.0) / spectrum).abs()
    assert 20 * torch.log10(change).abs().max() <= 6.001
    free = (warp_formants(spectrum, RATE, torch.tensor([1.4])) / spectrum).abs()
    assert 20 * torch.log10(free).abs().max() > 10


def test_silence_stays_silent() -> None:
    silence = torch.zeros(2, 5000)
    out = colour(silence, STFT, np.random.default_rng(0), octaves=0.3, decibels=3.0)
    assert torch.equal(out, silence)


def test_equaliser_is_one_smooth_response_an_example() -> None:
    generator = torch.Generator().manual_seed(0)
    spectrum = torch.randn(3, 513, 7, dtype=torch.complex64, generator=generator)
    response = equalise(spectrum, np.random.default_rng(1), decibels=4.0) / spectrum
    assert response.imag.abs().max() < 1e-5
    decibels = 20 * torch.log10(response.real)  # fails for what is not above zero
    assert (decibels - decibels[:, :, :1]).abs().max() < 1e-3
    assert (decibels[0] - decibels[1]).abs().max() > 1
    assert decibels[:, 100:].diff(dim=1).abs().max() < 0.4


def test_equaliser_is_linear() -> None:
    generator = torch.Generator().manual_seed(0)
    one, two = torch.randn(2, 2, 65, 4, dtype=torch.complex64, generator=generator)

    def same(spectrum: Tensor) -> Tensor:
        return equalise(spectrum, np.random.default_rng(5), decibels=3.0)

    assert torch.allclose(same(2 * one - two), 2 * same(one) - same(two), atol=1e-4)


def test_equaliser_is_about_as_strong_as_asked() -> None:
    flat = torch.ones(2000, 33, 1, dtype=torch.complex64)
    response = equalise(flat, np.random.default_rng(0), decibels=3.0).real
    assert 2.4 < (20 * torch.log10(response)).std().item() < 4.0


def test_nothing_asked_is_nothing_done() -> None:
    audio = torch.randn(2, 3000, generator=torch.Generator().manual_seed(0))
    rng = np.random.default_rng(0)
    assert colour(audio, STFT, rng) is audio
    assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state


@pytest.mark.parametrize("how", [{"octaves": 0.3}, {"decibels": 4.0}])
def test_one_seed_one_result(how: dict[str, float]) -> None:
    audio = torch.randn(2, 3000, generator=torch.Generator().manual_seed(0))
    first, again, other = (
        colour(audio, STFT, np.random.default_rng(seed), **how) for seed in (1, 1, 2)
    )
    assert first.shape == audio.shape
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=1e-2)
    assert not torch.allclose(first, audio, atol=1e-2)


def test_excerpts_of_one_seed_are_one() -> None:
    signal = np.random.default_rng(0).normal(size=3000).astype(np.float32)
    pieces = [
        excerpt(signal, 2000, np.random.default_rng(seed), semitones=4.0) for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(pieces[0], pieces[1])
    assert np.abs(pieces[0] - pieces[2]).max() > 0.1


def test_crackle_is_faint_dust_and_nothing_rings() -> None:
    lengths = []
    for seed in range(50):
        sound = crackle(RATE, RATE, np.random.default_rng(seed))
        assert sound.dtype == np.float32 and np.abs(sound).max() == pytest.approx(1)
        clicks = np.flatnonzero(sound)
        lengths += [len(part) for part in np.split(clicks, np.flatnonzero(np.diff(clicks) > 1) + 1)]
    # Where two clicks meet they make one longer click; else each is over in 3 ms.
    assert np.median(lengths) <= 0.003 * RATE + 1
    assert len(lengths) >= 50
