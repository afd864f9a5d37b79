"""Rhythm: clicks whose tempo is known, librosa, blocks, and sounds without rhythm."""

from __future__ import annotations

from typing import Any

import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from audiocli.dsp.rhythm import (
    onset_envelope,
    onset_rate,
    pick_onsets,
    pulse_clarity,
    tempo,
    tempogram,
)
from audiocli.errors import UsageError

Floats = NDArray[np.floating[Any]]
RATE, HOP = 22050, 512
FRAME_RATE = RATE / HOP


def log_mel(signal: Floats) -> Floats:
    mel = librosa.feature.melspectrogram(
        y=signal.astype(np.float32), sr=RATE, n_fft=2048, hop_length=HOP, n_mels=64
    )
    return np.asarray(librosa.power_to_db(mel, top_db=None)).T


def noise(seconds: float, level: float = 0.01, seed: int = 0) -> Floats:
    return level * np.random.default_rng(seed).normal(size=int(seconds * RATE))


def hits(times: Floats, seconds: float, strength: Floats | None = None) -> Floats:
    """Play short tones, over noise of -40 dB."""
    signal = noise(seconds)
    length = int(0.05 * RATE)
    time = np.arange(length) / RATE
    tone = np.sin(2 * np.pi * 1000 * time) * np.exp(-time / 0.01)
    for index, moment in enumerate(times):
        start = int(moment * RATE)
        part = tone[: max(0, len(signal) - start)]
        signal[start : start + len(part)] += part * (1 if strength is None else strength[index])
    return signal


def clicks(bpm: float, seconds: float = 20.0) -> Floats:
    return onset_envelope(log_mel(hits(np.arange(0.1, seconds - 0.1, 60 / bpm), seconds)))


@pytest.mark.parametrize("bpm", [35.0, 47.3, 60.0, 77.7, 90.0, 101.0, 120.0, 133.3, 150.0, 163.0])
def test_tempo_of_clicks(bpm: float) -> None:
    envelope = clicks(bpm)
    assert tempo(envelope, RATE, HOP) == pytest.approx(bpm, rel=2e-3)
    assert pulse_clarity(envelope, RATE, HOP) > 0.85
    assert onset_rate(envelope, RATE, HOP) == pytest.approx(bpm / 60, abs=0.11)


@pytest.mark.parametrize(("bpm", "divisor"), [(180, 2), (200, 2), (240, 2), (280, 2), (312, 3)])
def test_fast_clicks_have_a_slower_pulse(bpm: float, divisor: int) -> None:
    envelope = clicks(bpm)
    assert tempo(envelope, RATE, HOP) == pytest.approx(bpm / divisor, rel=2e-3)
    assert tempo(envelope, RATE, HOP, start_bpm=bpm, spread=0.5) == pytest.approx(bpm, rel=2e-3)


def test_tempo_is_nearer_than_librosa_s() -> None:
    ours, theirs = [], []
    for bpm in (45.0, 52.0, 66.0, 84.0, 99.0, 116.0, 141.0):
        envelope = clicks(bpm)
        ours.append(abs(tempo(envelope, RATE, HOP) / bpm - 1))
        found = librosa.feature.tempo(onset_envelope=envelope, sr=RATE, hop_length=HOP)
        theirs.append(abs(float(found[0]) / bpm - 1))
    assert max(ours) < 0.002
    assert np.median(ours) < np.median(theirs)


@pytest.mark.parametrize("bpm", [90.0, 110.0, 130.0])
def test_tempo_of_a_bar_with_accents(bpm: float) -> None:
    # Quarters with eighths between, soft, and a syncope in each bar of eight: no other level wins.
    strengths = np.array([1.0, 0.05, 0.5, 0.05, 0.8, 0.05, 0.5, 0.3])
    times = np.arange(0.1, 19.5, 30 / bpm)
    signal = hits(times, 20.0, strengths[np.arange(len(times)) % 8])
    assert tempo(onset_envelope(log_mel(signal)), RATE, HOP) == pytest.approx(bpm, rel=5e-3)


@pytest.mark.parametrize("jitter", [0.005, 0.015])
def test_tempo_of_a_player(jitter: float) -> None:
    rng = np.random.default_rng(3)
    times = np.cumsum(0.55 + jitter * rng.normal(size=35))
    envelope = onset_envelope(log_mel(hits(times, 20.0)))
    assert tempo(envelope, RATE, HOP) == pytest.approx(60 / 0.55, rel=0.03)


def test_clarity_falls_with_disorder() -> None:
    rng = np.random.default_rng(0)
    found = []
    for jitter in (0.0, 0.03, 0.2):
        times = np.sort(np.arange(0.2, 19.5, 0.5) + jitter * rng.normal(size=39)).clip(0.1)
        found.append(pulse_clarity(onset_envelope(log_mel(hits(times, 20.0))), RATE, HOP))
    assert found[0] > found[1] + 0.1
    assert found[1] > found[2] + 0.1
    noisy = pulse_clarity(onset_envelope(log_mel(noise(20.0))), RATE, HOP)
    assert noisy < 0.2


def test_onsets_are_where_they_were_put() -> None:
    rng = np.random.default_rng(2)
    times = np.cumsum(rng.uniform(0.12, 0.9, size=30))
    signal = hits(times, times[-1] + 0.5, 10 ** rng.uniform(-0.8, 0, size=30))
    frames = pick_onsets(onset_envelope(log_mel(signal)), RATE, HOP)
    found = frames[frames > 4] * HOP / RATE  # the noise begins, too
    assert len(found) == len(times)
    # A centred frame holds an onset up to half its length ahead.
    assert np.abs(found - times + 0.02).max() < 0.04


@pytest.mark.parametrize("gain", [1e-2, 30.0])
def test_level_moves_no_onsets(gain: float) -> None:
    signal = hits(np.arange(0.3, 4.8, 0.37), 5.0)
    reference = pick_onsets(onset_envelope(log_mel(signal)), RATE, HOP)
    found = pick_onsets(onset_envelope(log_mel(gain * signal)), RATE, HOP)
    assert found[found > 4].tolist() == reference[reference > 4].tolist()


def test_steady_noise_has_no_onsets() -> None:
    envelope = onset_envelope(log_mel(noise(30.0)))
    assert len(pick_onsets(envelope[4:-4], RATE, HOP)) == 0


def test_onsets_keep_their_distance() -> None:
    envelope = np.zeros(200)
    envelope[10::5] = 20 + np.arange(38)  # every 116 ms
    assert len(pick_onsets(envelope, RATE, HOP)) == 38
    apart = np.diff(pick_onsets(envelope, RATE, HOP, minimum_interval=0.2))
    assert (apart >= 0.2 * FRAME_RATE).all()
    assert onset_rate(envelope, RATE, HOP, threshold=100.0) == 0


@pytest.mark.parametrize("max_size", [1, 3])
def test_the_envelope_is_librosa_s(max_size: int) -> None:
    spectrum = log_mel(hits(np.arange(0.2, 3, 0.31), 3.0))
    theirs = librosa.onset.onset_strength(S=spectrum.T, sr=RATE, center=False, max_size=max_size)
    np.testing.assert_allclose(onset_envelope(spectrum, max_size=max_size), theirs, rtol=1e-5)


@given(cut=st.integers(0, 60), max_size=st.sampled_from([1, 3, 5]))
def test_the_envelope_of_blocks_is_that_of_the_whole(cut: int, max_size: int) -> None:
    spectrum = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    whole = onset_envelope(spectrum, max_size=max_size)
    before = spectrum[cut - 1] if cut else None
    parts = [
        onset_envelope(spectrum[:cut], max_size=max_size),
        onset_envelope(spectrum[cut:], before, max_size),
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert whole.dtype == np.float32


def test_vibrato_is_no_onset_for_a_wider_comparison() -> None:
    time = np.arange(3 * RATE) / RATE
    phase = np.cumsum(1000 * 2 ** (0.5 / 12 * np.sin(2 * np.pi * 6 * time))) / RATE
    spectrum = log_mel(0.3 * np.sin(2 * np.pi * phase) + noise(3.0, 1e-3))
    plain, wide = (onset_envelope(spectrum, max_size=size)[8:-8].mean() for size in (1, 3))
    assert wide < 0.7 * plain


@pytest.mark.parametrize("step", [1, 7])
@pytest.mark.parametrize("win_length", [344, 101])
def test_the_tempogram_is_librosa_s(win_length: int, step: int) -> None:
    envelope = clicks(100.0, seconds=6.0)
    theirs = librosa.feature.tempogram(
        onset_envelope=envelope, sr=RATE, hop_length=HOP, win_length=win_length
    )
    found = tempogram(envelope, win_length, step)
    np.testing.assert_allclose(found, theirs.T[::step], atol=1e-4)


@pytest.mark.parametrize("seconds", [0.5, 1.0, 2.0, 3.0])
def test_a_period_fits_three_times_into_the_window(seconds: float) -> None:
    for seed in range(20):
        envelope = np.random.default_rng(seed).random(round(seconds * RATE / HOP))
        found = tempo(envelope, RATE, HOP)
        assert np.isnan(found) or found > 0.95 * 3 * 60 / seconds


@pytest.mark.parametrize("frames", [0, 1, 3, 40, 2000])
@pytest.mark.parametrize("value", [0.0, 1.7])
def test_what_does_not_move_has_no_rhythm(frames: int, value: float) -> None:
    envelope = np.full(frames, value, np.float32)
    assert np.isnan(tempo(envelope, RATE, HOP))
    assert pulse_clarity(envelope, RATE, HOP) == 0
    assert onset_rate(envelope, RATE, HOP) == 0
    assert tempogram(envelope, 20).shape == (frames, 20)
    assert np.isfinite(tempogram(envelope, 20)).all()


def test_an_empty_spectrum_has_an_empty_envelope() -> None:
    assert onset_envelope(np.zeros((0, 8))).shape == (0,)


@given(scale=st.floats(1e-3, 1e3))
def test_the_unit_of_the_envelope_changes_no_tempo(scale: float) -> None:
    envelope = np.zeros(600)
    envelope[::17] = 1
    envelope[5::34] = 0.5
    reference = tempo(envelope, RATE, HOP)
    assert tempo(scale * envelope, RATE, HOP) == pytest.approx(reference)
    assert pulse_clarity(scale * envelope, RATE, HOP) == pytest.approx(
        pulse_clarity(envelope, RATE, HOP)
    )


def test_what_makes_no_sense_is_refused() -> None:
    envelope = np.zeros(100)
    with pytest.raises(UsageError, match="odd number"):
        onset_envelope(np.zeros((3, 8)), max_size=2)
    with pytest.raises(UsageError, match="win_length 0"):
        tempogram(envelope, 0)
    with pytest.raises(UsageError, match="start_bpm 0"):
        tempo(envelope, RATE, HOP, start_bpm=0)
    with pytest.raises(UsageError, match="window is 0"):
        pulse_clarity(envelope, RATE, HOP, window=0)
