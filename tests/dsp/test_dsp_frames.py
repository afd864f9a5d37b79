"""Framing and spectra: block by block as in one piece, and as numpy, scipy and librosa do it."""

from __future__ import annotations

import tracemalloc
from itertools import accumulate, pairwise
from typing import Literal

import librosa
import numpy as np
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from audiocli.dsp import frames as frames_module
from audiocli.dsp.frames import (
    WINDOWS,
    Framer,
    Framing,
    frame,
    frequencies,
    hann,
    magnitude_spectrum,
    pad_centred,
    power_spectrum,
    rectangular,
)
from audiocli.errors import UsageError

Signal = NDArray[np.float32]


def noise(samples: int, seed: int = 0) -> Signal:
    return np.random.default_rng(seed).normal(size=samples).astype(np.float32)


def cut(signal: Signal, sizes: list[int]) -> list[Signal]:
    """Cut a signal into blocks of these sizes, and a last one of what is left."""
    ends = [0, *accumulate(sizes)]
    return [*(signal[a:b] for a, b in pairwise(ends)), signal[ends[-1] :]]


@given(
    samples=st.integers(0, 300),
    sizes=st.lists(st.integers(0, 70), max_size=8),
    frame_length=st.integers(1, 40),
    hop_length=st.integers(1, 60),
    mode=st.sampled_from(["constant", "edge"]),
)
def test_a_stream_is_framed_as_the_whole(
    samples: int,
    sizes: list[int],
    frame_length: int,
    hop_length: int,
    mode: Literal["constant", "edge"],
) -> None:
    signal = noise(samples) - 1
    framing = Framing(frame_length, hop_length)
    whole = frame(pad_centred(signal, frame_length, mode), frame_length, hop_length)
    framer = Framer(framing, mode)
    pushed = [framer.push(block) for block in cut(signal, sizes)]
    framed = np.concatenate([*pushed, framer.flush()])
    assert framed.dtype == np.float32
    assert framed.tobytes() == whole.tobytes()  # bit for bit, the sign of zeros too
    assert framed.shape == whole.shape == (framing.count(samples), frame_length)
    # It is then ready for another signal, and `over` is the same in one go.
    again = list(framer.over(cut(signal, sizes)))
    assert all(len(frames) for frames in again)
    assert np.concatenate([np.empty((0, frame_length)), *again]).tolist() == whole.tolist()


def test_frames_come_as_soon_as_they_are_complete() -> None:
    framer = Framer(Framing(8, 4))
    assert [len(framer.push(np.ones(1, np.float32))) for _ in range(9)] == [
        *(0, 0, 0, 1, 0, 0, 0, 1, 0)
    ]
    assert len(framer.flush()) == 1


def test_frames_stay_as_they_are() -> None:
    framer = Framer(Framing(4, 2))
    block = np.arange(1, 7, dtype=np.float32)
    first = framer.push(block)
    block[:] = 99
    framer.push(block)
    assert first.tolist() == [[0, 0, 1, 2], [1, 2, 3, 4], [3, 4, 5, 6]]


def test_a_long_stream_needs_little_memory() -> None:
    block = np.ones(50_000, np.float32)
    framer = Framer(Framing(2048, 512))
    tracemalloc.start()
    try:
        total = sum(len(frames) for frames in framer.over(block for _ in range(100)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == Framing(2048, 512).count(100 * 50_000)
    assert peak < 4 * block.nbytes


def test_frames_are_a_view() -> None:
    signal = noise(5000)
    framed = frame(signal, 2048, 512)
    assert framed.shape == (6, 2048)
    assert np.shares_memory(framed, signal)
    assert not framed.flags.writeable
    np.testing.assert_array_equal(framed[5], signal[2560:4608])


def test_short_and_empty_signals() -> None:
    assert frame(noise(7), 8, 2).shape == (0, 8)
    assert pad_centred(noise(0), 8, "edge").shape == (0,)
    assert list(Framer(Framing(8, 4)).over([])) == []
    assert list(Framer(Framing(8, 4)).over([noise(0), noise(0)])) == []
    assert Framer(Framing(8, 4)).push(noise(0)).shape == (0, 8)
    spectra = power_spectrum(np.empty((0, 8), np.float32), hann(8))
    assert (spectra.shape, spectra.dtype) == ((0, 5), np.float32)


@pytest.mark.parametrize("values", [(0, 1), (1, 0), (-5, 512)])
def test_impossible_framing_is_refused(values: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match=r"framing: \w+ is -?\d; use 1 sample or more"):
        Framing(*values)


@pytest.mark.parametrize("name", WINDOWS)
@pytest.mark.parametrize("length", [1, 2, 7, 2048])
def test_windows_are_scipys_periodic_ones(name: str, length: int) -> None:
    made = WINDOWS[name](length)
    assert made.dtype == np.float64
    if length > 1:  # scipy has 1 there, the formula has its value at 0
        wanted = scipy.signal.get_window("boxcar" if name == "rectangular" else name, length)
        np.testing.assert_allclose(made, wanted, atol=1e-15)


def test_hann_windows_add_up() -> None:
    np.testing.assert_allclose(hann(512)[:256] + hann(512)[256:], 1, atol=1e-6)


@pytest.mark.parametrize("n_fft", [512, 511, 30])
def test_frequencies_are_librosas(n_fft: int) -> None:
    got = frequencies(n_fft, 22050)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, librosa.fft_frequencies(sr=22050, n_fft=n_fft), rtol=1e-6)


@pytest.mark.parametrize("frame_length", [64, 63])
@pytest.mark.parametrize("padding", [0, 1, 64])
@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_spectra_are_numpys(
    frame_length: int, padding: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_fft = frame_length + padding
    monkeypatch.setattr(frames_module, "CHUNK", 3 * n_fft)  # whole chunks, and a part of one
    framed = noise(count * frame_length).reshape(count, frame_length)
    window = hann(frame_length)
    wanted = np.abs(np.fft.rfft(framed.astype(float) * window, n=n_fft))
    magnitude = magnitude_spectrum(framed, window, n_fft)
    power = power_spectrum(framed, window, n_fft)
    assert magnitude.dtype == power.dtype == np.float32
    np.testing.assert_allclose(magnitude, wanted, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(power, wanted**2, rtol=1e-5, atol=1e-4)
    if not padding:
        np.testing.assert_array_equal(power_spectrum(framed, window), power)


@pytest.mark.parametrize(("n_fft", "hop_length"), [(2048, 512), (1024, 300), (401, 160)])
def test_magnitudes_are_librosas(n_fft: int, hop_length: int) -> None:
    signal = noise(22050)
    framed = frame(pad_centred(signal, n_fft), n_fft, hop_length)
    got = magnitude_spectrum(framed, hann(n_fft))
    wanted = np.abs(librosa.stft(signal, n_fft=n_fft, hop_length=hop_length)).T
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, atol=1e-6 * wanted.max())


def test_empty_bands_are_not_filled_by_rounding() -> None:
    """Have a loud low tone, and look at the skirt far below float32's rounding of it."""
    loud = np.sin(2 * np.pi * 64 * np.arange(8192) / 2048).astype(np.float32)
    loud[4096:] += np.float32(1e-3) * noise(4096)  # rows are transformed together
    power = power_spectrum(frame(loud, 2048, 2048), hann(2048))
    wanted = np.abs(np.fft.rfft(loud[:2048].astype(np.float64) * hann(2048))) ** 2
    np.testing.assert_allclose(power[0], wanted, rtol=1e-3, atol=1e-24)


def test_a_short_window_in_a_long_transform_is_librosas() -> None:
    signal = noise(8000)
    got = magnitude_spectrum(frame(pad_centred(signal, 400), 400, 160), hann(400), 512)
    wanted = np.abs(librosa.stft(signal, n_fft=512, win_length=400, hop_length=160)).T
    np.testing.assert_allclose(got, wanted, atol=1e-6 * wanted.max())


@pytest.mark.parametrize("name", WINDOWS)
def test_a_sine_in_the_middle_of_a_bin(name: str) -> None:
    window = WINDOWS[name](256)
    sine = np.sin(2 * np.pi * 20 * np.arange(256) / 256, dtype=np.float32)
    power = power_spectrum(sine[None], window)[0]
    assert power.argmax() == 20
    assert power[20] == pytest.approx((window.sum() / 2) ** 2, rel=1e-5)
    assert power[40:].max() < 1e-6


def test_energy_is_kept() -> None:
    framed = noise(640).reshape(10, 64)
    power = power_spectrum(framed, rectangular(64))
    both_sides = 2 * power.sum(axis=1) - power[:, 0] - power[:, -1]
    np.testing.assert_allclose(both_sides / 64, np.square(framed).sum(axis=1), rtol=1e-5)


def test_silence_has_no_power() -> None:
    assert not magnitude_spectrum(np.zeros((2, 16), np.float32), hann(16)).any()


def test_frames_of_float64_give_float32() -> None:
    framed = noise(64).astype(float).reshape(2, 32)
    assert magnitude_spectrum(framed, hann(32)).dtype == np.float32


@pytest.mark.parametrize("spectrum", [magnitude_spectrum, power_spectrum])
def test_too_short_a_transform_is_refused(spectrum: object) -> None:
    assert callable(spectrum)
    with pytest.raises(UsageError, match="n_fft 16 is shorter than the frames of 32 samples"):
        spectrum(np.zeros((2, 32), np.float32), hann(32), 16)


@pytest.mark.parametrize("sizes", [(1,), (3000,), (1000, 3000), (5000, 0), (2000, 1)])
@pytest.mark.parametrize("mode", ["constant", "edge"])
def test_the_last_block_gives_what_push_and_flush_give(sizes: tuple[int, ...], mode: str) -> None:
    rng = np.random.default_rng(1)
    blocks = [rng.standard_normal(size).astype(np.float32) for size in sizes]
    framer, other = (Framer(Framing(2048, 512), mode) for _ in range(2))  # type: ignore[arg-type]
    for _ in range(2):  # afterwards it is ready for another signal
        expected = [*(framer.push(block) for block in blocks), framer.flush()]
        found = [*(other.push(block) for block in blocks[:-1]), other.last(blocks[-1])]
        np.testing.assert_array_equal(np.concatenate(found), np.concatenate(expected))
