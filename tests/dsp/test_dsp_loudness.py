"""Loudness: BS.1770 written out from its tables, pyloudnorm, and essentia where it is installed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyloudnorm
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from audiocli.dsp.loudness import SILENT_LUFS, LoudnessMeter, loudness, speaker_weights

Floats = NDArray[np.float32]


def noise(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(scale=0.2, size=shape).astype(np.float32)


def sine(frequency: float, sample_rate: int, seconds: float, amplitude: float = 1.0) -> Floats:
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return (amplitude * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def k_weighted_loudness(channels: Floats) -> float:
    """Measure loudness at 48 kHz, with the filters from the tables of BS.1770."""
    shelf = [1.53512485958697, -2.69169618940638, 1.19839281085285]
    shelf_feedback = [1.0, -1.69065929318241, 0.73248077421585]
    highpass, highpass_feedback = [1.0, -2.0, 1.0], [1.0, -1.99004745483398, 0.99007225036621]
    weighted = scipy.signal.lfilter(shelf, shelf_feedback, channels.astype(float))
    weighted = scipy.signal.lfilter(highpass, highpass_feedback, weighted)
    starts = range(0, weighted.shape[1] - 19200 + 1, 4800)
    power = np.array([np.square(weighted[:, s : s + 19200]).mean(axis=1).sum() for s in starts])

    def lufs(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return -0.691 + 10 * np.log10(values)

    power = power[lufs(power) > -70]
    power = power[lufs(power) > lufs(power.mean()) - 10]
    return float(lufs(power.mean()))


def speech_like(channels: int) -> Floats:
    """Make noise that comes and goes, with long pauses, 6 s at 48 kHz."""
    time = np.arange(6 * 48000) / 48000
    envelope = np.where(time % 2 < 1.2, np.abs(np.sin(2 * np.pi * 1.7 * time)), 1e-3)
    return (noise(channels, len(time)) * envelope).astype(np.float32)


@pytest.mark.parametrize("channels", [1, 2])
def test_loudness_is_that_of_the_standard(channels: int) -> None:
    signal = speech_like(channels)
    assert loudness(signal, 48000) == pytest.approx(k_weighted_loudness(signal), abs=1e-3)


def test_loudness_is_essentias() -> None:
    essentia = pytest.importorskip("essentia.standard")
    signal = speech_like(2)
    measured = essentia.LoudnessEBUR128(sampleRate=48000)(np.ascontiguousarray(signal.T))[2]
    assert loudness(signal, 48000) == pytest.approx(measured, abs=0.01)


@pytest.mark.parametrize("sample_rate", [8000, 16000, 22050, 44100, 48000])
def test_loudness_of_a_sine(sample_rate: int) -> None:
    wave = sine(997, sample_rate, 2.0)
    mono = loudness(wave, sample_rate)
    assert mono == pytest.approx(-3.01, abs=0.05)
    assert loudness(np.stack([wave, wave]), sample_rate) == pytest.approx(mono + 3.01, abs=0.01)
    assert loudness(wave * np.float32(0.1), sample_rate) == pytest.approx(mono - 20, abs=0.01)


def test_pauses_do_not_count() -> None:
    wave = sine(997, 16000, 3.0, 0.3)
    with_pause = np.concatenate([wave, np.zeros(10 * 16000, np.float32)])
    assert loudness(with_pause, 16000) == pytest.approx(loudness(wave, 16000), abs=0.4)


@pytest.mark.parametrize("samples", [1, 3199])
def test_short_signals_have_no_loudness(samples: int) -> None:
    assert np.isnan(loudness(np.ones(samples, np.float32), 8000))
    assert loudness(sine(1000, 8000, 0.4), 8000) > -4  # just long enough


def test_the_loudness_of_silence() -> None:
    assert loudness(np.zeros(8000, np.float32), 8000) == SILENT_LUFS
    assert loudness(sine(1000, 8000, 1.0, 1e-5), 8000) == SILENT_LUFS
    assert loudness(np.zeros((2, 8000), np.float32), 8000) == SILENT_LUFS


@pytest.mark.parametrize("sample_rate", [8000, 22_050, 44_100, 48_000, 192_000])
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_loudness_is_pyloudnorms(sample_rate: int, channels: int) -> None:
    signal = noise(channels, 3 * sample_rate) * np.linspace(0.01, 1, 3 * sample_rate)
    meter = pyloudnorm.Meter(sample_rate, filter_class="DeMan")
    assert loudness(signal, sample_rate) == pytest.approx(
        meter.integrated_loudness(signal.T), abs=1e-6
    )


def test_channels_have_their_places() -> None:
    """Say what more channels than two are worth, by pyloudnorm's five: L, R, C and surround."""
    six = noise(6, 48_000)
    left, right, centre, low, surround, other = six
    meter = pyloudnorm.Meter(48_000, filter_class="DeMan")

    def five(*rows: Floats) -> float:
        return float(meter.integrated_loudness(np.stack(rows).T))

    assert loudness(six, 48_000) == pytest.approx(
        five(left, right, centre, surround, other), abs=1e-6
    )
    silent = np.zeros_like(low)
    assert loudness(np.stack([left, right, surround, other]), 48_000) == pytest.approx(
        five(left, right, silent, surround, other), abs=1e-6
    )
    eight = np.stack([silent, silent, silent, low, left, right, surround, other])
    assert loudness(eight, 48_000) == pytest.approx(
        five(left, right, silent, surround, other), abs=1e-6
    )
    seven = np.stack([silent, silent, left, low, right, surround, other])
    assert loudness(seven, 48_000) == pytest.approx(
        five(left, right, silent, surround, other), abs=1e-6
    )


@pytest.mark.parametrize(
    ("layout", "rows"),
    [
        (("FL", "FR", "LFE"), (0, 1, None, None, None)),
        (("FL", "FR", "BC"), (0, 1, 2, None, None)),
        (("FL", "FR", "LFE", "SL", "SR"), (0, 1, None, 3, 4)),
        (("FL", "FR", "FC", "BL", "BR", "SL", "SR"), None),
    ],
)
def test_speakers_decide_what_channels_are_worth(layout, rows) -> None:
    """Compare with pyloudnorm, whose channels four and five are at the sides."""
    sound = noise(len(layout), 48_000)
    meter = LoudnessMeter(48_000, layout)
    meter.add(sound)
    if rows is None:  # what is at the back counts once where there are sides
        assert speaker_weights(layout) == (1.0, 1.0, 1.0, 1.0, 1.0, 1.41, 1.41)
        return
    silent = np.zeros_like(sound[0])
    five = np.stack([silent if row is None else sound[row] for row in rows])
    expected = pyloudnorm.Meter(48_000, filter_class="DeMan").integrated_loudness(five.T)
    assert meter.result() == pytest.approx(float(expected), abs=1e-6)


def test_only_complete_gating_blocks_count() -> None:
    steady, loud = sine(1000, 8000, 0.8, 0.1), sine(1000, 8000, 0.099)
    whole = loudness(np.concatenate([steady, loud]), 8000)
    assert whole == pytest.approx(loudness(steady, 8000), abs=1e-9)


@settings(deadline=None, max_examples=20)
@given(
    cuts=st.lists(st.integers(0, 20_000), max_size=6),
    sample_rate=st.sampled_from([8000, 11_025, 44_100]),
)
def test_blocks_of_any_size_give_the_whole(cuts: list[int], sample_rate: int) -> None:
    signal = noise(2, 20_000) * np.linspace(0, 1, 20_000, dtype=np.float32)
    meter = LoudnessMeter(sample_rate)

    def blocks() -> Iterator[Floats]:
        for start, stop in pairwise([0, *sorted(cuts), 20_000]):
            yield signal[:, start:stop]

    for block in blocks():
        meter.add(block)
    assert meter.result() == pytest.approx(loudness(signal, sample_rate), abs=1e-9)
    assert np.isnan(LoudnessMeter(sample_rate).result())


@settings(deadline=None, max_examples=20)
@given(gain=st.floats(-30, 30))
def test_loudness_moves_with_the_gain(gain: float) -> None:
    signal = noise(1, 16_000).astype(np.float64)
    louder = loudness(signal * 10 ** (gain / 20), 16_000)
    assert louder == pytest.approx(loudness(signal, 16_000) + gain, abs=1e-9)
