"""Tonality: librosa, chords and tunings that are known, streams and silence."""

from __future__ import annotations

from typing import Any

import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from audiocli.dsp.frames import frame, frequencies, hann, magnitude_spectrum, pad_centred
from audiocli.dsp.tonal import (
    TuningEstimator,
    chroma,
    chroma_filters,
    estimate_tuning,
    tonnetz,
)
from audiocli.errors import UsageError

Floats = NDArray[np.floating[Any]]
RATE = 22050
FREQUENCIES = frequencies(2048, RATE)
NAMES = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"]


def chord(midi: list[float], seconds: float = 1.0) -> Floats:
    """Play notes with four partials each, as magnitude spectra."""
    time = np.arange(int(RATE * seconds)) / RATE
    signal = np.zeros(len(time))
    for note in midi:
        f0 = 440 * 2 ** ((note - 69) / 12)
        for k in range(1, 5):
            signal += 0.1 / k * np.sin(2 * np.pi * k * f0 * time + note * k)
    padded = pad_centred(signal.astype(np.float32), 2048)
    return magnitude_spectrum(frame(padded, 2048, 512), hann(2048))


def mess(seed: int = 0) -> Floats:
    """Make spectra of noise under which tones wander."""
    rng = np.random.default_rng(seed)
    time = np.arange(4 * RATE) / RATE
    signal = 0.01 * rng.normal(size=len(time))
    for note in rng.uniform(45, 85, size=12):
        wander = note + np.sin(2 * np.pi * rng.uniform(0.1, 3) * time) * rng.uniform(0, 0.4)
        phase = np.cumsum(440 * 2 ** ((wander - 69) / 12)) / RATE
        signal += rng.uniform(0, 0.2) * np.sin(2 * np.pi * phase)
    return magnitude_spectrum(frame(signal.astype(np.float32), 2048, 512), hann(2048))


MESS = mess(1)


@pytest.mark.parametrize(
    ("rate", "n_fft", "tuning", "n_chroma", "width"),
    [
        (22050, 2048, 0.0, 12, 2.0),
        (22050, 4096, 0.31, 12, 2.0),
        (44100, 4096, -0.5, 24, 2.0),
        (16000, 2050, 0.11, 36, None),
    ],
)
def test_filters_are_librosa_s(
    rate: int, n_fft: int, tuning: float, n_chroma: int, width: float | None
) -> None:
    found = chroma_filters(rate, n_fft, tuning, n_chroma, octave_width=width)
    theirs = librosa.filters.chroma(
        sr=rate, n_fft=n_fft, tuning=tuning, n_chroma=n_chroma, octwidth=width
    )
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, theirs, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("tuning", [0.0, 0.27])
def test_chroma_and_tonnetz_are_librosa_s(tuning: float) -> None:
    magnitude = mess()
    found = chroma(magnitude**2, chroma_filters(RATE, 2048, tuning))
    theirs = librosa.feature.chroma_stft(S=magnitude.T**2, sr=RATE, tuning=tuning)
    np.testing.assert_allclose(found, theirs.T, rtol=1e-4)
    assert found.dtype == np.float32
    centroids = librosa.feature.tonnetz(chroma=theirs, sr=RATE)
    np.testing.assert_allclose(tonnetz(found), centroids.T, atol=1e-5)
    assert tonnetz(found).dtype == np.float32


@pytest.mark.parametrize("seed", range(5))
def test_tuning_is_librosa_s(seed: int) -> None:
    magnitude = mess(seed)
    theirs = librosa.estimate_tuning(S=magnitude.T, sr=RATE)
    assert estimate_tuning(magnitude, FREQUENCIES) == pytest.approx(theirs)
    theirs = librosa.estimate_tuning(S=magnitude.T, sr=RATE, resolution=0.05, bins_per_octave=36)
    assert estimate_tuning(magnitude, FREQUENCIES, 0.05, 36) == pytest.approx(theirs)


@pytest.mark.parametrize("cents", [-45, -20, 0, 13, 37, 49])
def test_a_tuning_that_is_known(cents: float) -> None:
    magnitude = chord([57 + cents / 100, 64 + cents / 100, 69 + cents / 100, 73 + cents / 100])
    found = estimate_tuning(magnitude, FREQUENCIES)
    assert abs((100 * found - cents + 50) % 100 - 50) <= 6  # partials 3 and 5 are off by 2 and 14


@given(cuts=st.lists(st.integers(0, 150), max_size=3))
def test_tuning_of_blocks_is_that_of_the_whole(cuts: list[int]) -> None:
    estimator = TuningEstimator()
    for block in np.split(MESS[:150], sorted(cuts)):
        estimator.add(block, FREQUENCIES)
    assert estimator.tuning() == estimate_tuning(MESS[:150], FREQUENCIES)


@pytest.mark.parametrize("scale", [1e-3, 0.3, 50.0])
def test_level_changes_no_tuning(scale: float) -> None:
    found = estimate_tuning(MESS * np.float32(scale), FREQUENCIES)
    # Another level may put a few peaks on the other side of the median.
    assert found == pytest.approx(estimate_tuning(MESS, FREQUENCIES), abs=0.011)


@pytest.mark.parametrize(
    ("midi", "classes"),
    [([60, 64, 67], "C E G"), ([57, 60, 64], "A C E"), ([62, 66, 69], "D F# A")],
)
def test_a_chord_has_its_classes(midi: list[float], classes: str) -> None:
    found = chroma(chord(midi)[4:-4] ** 2, chroma_filters(RATE, 2048))
    strongest = np.sort(np.argsort(found.mean(axis=0))[-3:])
    assert sorted(NAMES[index] for index in strongest) == sorted(classes.split())


def test_the_tuned_filters_find_a_chord_a_quarter_tone_up() -> None:
    magnitude = chord([60.4, 64.4, 67.4])[4:-4]
    tuning = estimate_tuning(magnitude, FREQUENCIES)
    tuned = chroma(magnitude**2, chroma_filters(RATE, 2048, tuning)).mean(axis=0)
    plain = chroma(magnitude**2, chroma_filters(RATE, 2048)).mean(axis=0)
    chord_tones, others = [0, 4, 7], [1, 3, 5, 6, 8, 9, 10]
    assert sorted(np.argsort(tuned)[-3:].tolist()) == chord_tones
    assert tuned[chord_tones].mean() / tuned[others].mean() > (
        1.5 * plain[chord_tones].mean() / plain[others].mean()
    )


def test_transposed_chroma_turns_the_tonnetz() -> None:
    one = np.random.default_rng(0).uniform(size=(1, 12)).astype(np.float32)
    found, fifth_up = tonnetz(one)[0], tonnetz(np.roll(one, 7, axis=1))[0]
    # A fifth is a twelfth of the circle of fifths; lengths stay.
    turned = found[0:2] @ np.array(
        [[np.cos(np.pi / 6), -np.sin(np.pi / 6)], [np.sin(np.pi / 6), np.cos(np.pi / 6)]]
    )
    np.testing.assert_allclose(fifth_up[:2], turned, atol=1e-6)
    for circle in (slice(0, 2), slice(2, 4), slice(4, 6)):
        assert np.linalg.norm(found[circle]) == pytest.approx(
            np.linalg.norm(fifth_up[circle]), abs=1e-6
        )


def test_norms() -> None:
    power, filters = mess()[:5] ** 2, chroma_filters(RATE, 2048)
    raw = chroma(power, filters, norm="none")
    np.testing.assert_allclose(raw, power @ filters.T)
    np.testing.assert_allclose(chroma(power, filters, norm="sum").sum(axis=1), 1, rtol=1e-5)
    assert (chroma(power, filters).max(axis=1) == 1).all()
    np.testing.assert_allclose(tonnetz(raw), tonnetz(chroma(power, filters)), atol=1e-6)


def test_silence() -> None:
    silence = np.zeros((3, 1025), np.float32)
    assert (chroma(silence, chroma_filters(RATE, 2048)) == 0).all()
    assert (tonnetz(np.zeros((3, 12), np.float32)) == 0).all()
    assert estimate_tuning(silence, FREQUENCIES) == 0
    assert estimate_tuning(silence[:0], FREQUENCIES) == 0
    assert TuningEstimator().tuning() == 0


def test_silence_between_changes_no_tuning() -> None:
    magnitude = mess(2)
    silence = np.zeros((50, 1025), np.float32)
    whole = estimate_tuning(np.concatenate([silence, magnitude, silence]), FREQUENCIES)
    assert whole == estimate_tuning(magnitude, FREQUENCIES)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(UsageError, match="multiple of 12"):
        chroma_filters(RATE, 2048, n_chroma=10)
    with pytest.raises(UsageError, match="max, sum, none"):
        chroma(np.ones((1, 1025)), np.ones((12, 1025)), norm="l2")  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(UsageError, match="resolution is 0"):
        TuningEstimator(resolution=0)
