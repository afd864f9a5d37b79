"""Energy and level: closed forms, and librosa."""

from __future__ import annotations

from collections.abc import Callable

import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from audiocli.dsp.energy import (
    crest_factor,
    log_energy,
    peak_dbfs,
    rms,
    short_time_energy,
    zero_crossing_rate,
)
from audiocli.dsp.frames import frame, pad_centred

Floats = NDArray[np.float32]
OF_FRAMES = [short_time_energy, rms, log_energy, zero_crossing_rate, crest_factor, peak_dbfs]


def noise(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(scale=0.2, size=shape).astype(np.float32)


def sine(frequency: float, sample_rate: int, seconds: float, amplitude: float = 1.0) -> Floats:
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return (amplitude * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


@pytest.mark.parametrize(("frame_length", "hop_length"), [(2048, 512), (500, 333), (401, 160)])
def test_rms_is_librosas(frame_length: int, hop_length: int) -> None:
    signal = noise(20_000)
    got = rms(frame(pad_centred(signal, frame_length), frame_length, hop_length))
    wanted = librosa.feature.rms(y=signal, frame_length=frame_length, hop_length=hop_length)[0]
    np.testing.assert_allclose(got, wanted, rtol=1e-5)


def crossings_of(signal: Floats, frame_length: int, hop_length: int) -> Floats:
    padded = pad_centred(signal, frame_length, "edge")
    return zero_crossing_rate(frame(padded, frame_length, hop_length))


@pytest.mark.parametrize(("frame_length", "hop_length"), [(2048, 512), (500, 333), (401, 160)])
def test_zero_crossing_rate_is_librosas(frame_length: int, hop_length: int) -> None:
    signal = noise(20_000) - np.float32(0.1)
    signal[3000:9000] = np.random.default_rng(1).choice([-1, 0, 1, -1e-11, 1e-11], 6000)
    got = crossings_of(signal, frame_length, hop_length)
    wanted = librosa.feature.zero_crossing_rate(
        signal, frame_length=frame_length, hop_length=hop_length
    )[0]
    np.testing.assert_allclose(got, wanted, rtol=1e-6)


@pytest.mark.parametrize("feature", [short_time_energy, zero_crossing_rate])
@pytest.mark.parametrize("hop_length", [128, 200, 256, 512, 600])
def test_overlapping_frames_give_what_copies_of_them_give(
    feature: Callable[[Floats], Floats], hop_length: int
) -> None:
    frames = frame(noise(5000), 512, hop_length)
    np.testing.assert_allclose(feature(frames), feature(frames.copy()), rtol=1e-6)
    np.testing.assert_allclose(feature(frames[3:7]), feature(frames)[3:7], rtol=1e-6)


def test_zero_counts_as_positive() -> None:
    rows = [[0, 1, 0, 1], [0, -1, 0, -1], [1, 0, -1, 0], [-1, -1e-11, -1, -2]]
    assert zero_crossing_rate(np.array(rows, np.float32)).tolist() == [0, 0.75, 0.5, 0.5]
    exact = zero_crossing_rate(np.array(rows, np.float32), threshold=0.0)
    assert exact.tolist() == [0, 0.75, 0.5, 0]


@given(frequency=st.integers(20, 3900), start=st.floats(0, 1))
def test_crossings_tell_the_frequency_of_a_sine(frequency: int, start: float) -> None:
    phase = 2 * np.pi * (frequency * np.arange(8000) / 8000 + start)
    rate = zero_crossing_rate(np.sin(phase).astype(np.float32)[None])[0]
    assert rate * 4000 == pytest.approx(frequency, abs=1)


def test_a_sine_and_a_square_wave() -> None:
    wave = sine(100, 8000, 0.1)[None]
    square = np.sign(wave + np.float32(1e-3))
    assert rms(wave)[0] == pytest.approx(np.sqrt(0.5), rel=1e-5)
    assert crest_factor(wave)[0] == pytest.approx(np.sqrt(2), rel=1e-5)
    assert short_time_energy(wave)[0] == pytest.approx(400, rel=1e-5)
    assert rms(square)[0] == crest_factor(square)[0] == 1
    assert short_time_energy(square)[0] == 800
    assert log_energy(square)[0] == pytest.approx(np.log(800))


def test_a_click_stands_out_most() -> None:
    click = np.zeros((1, 400), np.float32)
    click[0, 77] = -0.3
    assert crest_factor(click)[0] == pytest.approx(20, rel=1e-5)


@given(gain=st.floats(1e-3, 1e3), seed=st.integers(0, 5))
def test_gain(gain: float, seed: int) -> None:
    frames = noise(4, 200, seed=seed)
    louder = frames * np.float32(gain)
    decibels = 20 * np.log10(gain)
    np.testing.assert_allclose(rms(louder), gain * rms(frames), rtol=1e-5)
    np.testing.assert_allclose(crest_factor(louder), crest_factor(frames), rtol=1e-5)
    np.testing.assert_allclose(zero_crossing_rate(louder), zero_crossing_rate(frames))
    np.testing.assert_allclose(log_energy(louder), log_energy(frames) + 2 * np.log(gain), atol=1e-4)
    np.testing.assert_allclose(peak_dbfs(louder), peak_dbfs(frames) + decibels, atol=1e-4)


def test_peaks() -> None:
    frames = np.array([[0.5, 0.1], [0.1, -2.0], [1e-7, 0.0], [0.0, 0.0]], np.float32)
    np.testing.assert_allclose(peak_dbfs(frames), [-6.0206, 6.0206, -120, -120], atol=1e-3)
    np.testing.assert_allclose(peak_dbfs(frames, floor=-200)[2:], [-140, -200], atol=1e-3)
    assert peak_dbfs(frames[0]) == pytest.approx(-6.0206, abs=1e-3)


@pytest.mark.parametrize("feature", OF_FRAMES)
def test_of_any_leading_shape(feature: Callable[[Floats], Floats]) -> None:
    frames = noise(3, 5, 64)
    got = feature(frames)
    assert (got.shape, got.dtype) == ((3, 5), np.float32)
    np.testing.assert_allclose(got[2], feature(frames[2]), rtol=1e-6)
    assert feature(frames[1, 1]) == pytest.approx(got[1, 1], rel=1e-6)
    assert feature(frames[0, :0]).shape == (0,)


@pytest.mark.parametrize(
    ("feature", "value"), list(zip(OF_FRAMES, [0, 0, np.log(1e-10), 0, 0, -120], strict=True))
)
def test_silence_has_a_value(feature: Callable[[Floats], Floats], value: float) -> None:
    got = feature(np.zeros((2, 64), np.float32))
    np.testing.assert_allclose(got, [value, value], rtol=1e-6)
    assert not np.signbit(got[0]) or value < 0


def test_the_floor_of_log_energy() -> None:
    assert log_energy(np.zeros((1, 4), np.float32), floor=1.0)[0] == 0
