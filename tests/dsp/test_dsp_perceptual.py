"""PLP and RASTA: the papers' steps one by one, and streams that are the whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import freqz, lfilter

from audiocli.dsp.filterbanks import apply_filterbank, bark_centres, bark_filterbank
from audiocli.dsp.perceptual import (
    cepstra_of_bands,
    equal_loudness,
    plp,
    rasta_filter,
    rasta_plp,
)
from audiocli.errors import UsageError

Doubles = NDArray[np.float64]
RATE, N_FFT = 16000, 512


def powers(frames: int, seed: int = 0) -> Doubles:
    """Spectra of noise through a resonance that wanders."""
    random = np.random.default_rng(seed)
    signal = lfilter([1.0], [1.0, -1.6, 0.81], random.normal(size=400 + 160 * frames))
    signal *= 1.5 + np.sin(np.arange(len(signal)) / 700)
    cut = np.lib.stride_tricks.sliding_window_view(signal, 400)[::160][:frames]
    return np.abs(np.fft.rfft(cut * np.hamming(400), N_FFT)) ** 2


def model_of(loudness: Doubles, order: int, n_coefficients: int) -> Doubles:
    """Cepstra of the all-pole model of one spectrum, each step in its plainest form."""
    even = np.concatenate([loudness, loudness[-2:0:-1]])
    r = np.fft.ifft(even).real
    a = np.append(1.0, scipy.linalg.solve_toeplitz(r[:order], -r[1 : order + 1]))
    error = a @ r[: order + 1]
    spectrum = error / np.abs(np.fft.fft(a, 16384)) ** 2
    return np.fft.ifft(np.log(spectrum)).real[:n_coefficients]


def plp_by_hand(bands: Doubles, centres: Doubles, order: int, n_coefficients: int) -> Doubles:
    """Sections I B to I F of the paper, for one frame."""
    w = 2 * np.pi * centres
    curve = (w**2 + 56.8e6) * w**4 / ((w**2 + 6.3e6) ** 2 * (w**2 + 0.38e9))
    loudness = (bands * curve) ** 0.33
    loudness[0], loudness[-1] = loudness[1], loudness[-2]
    return model_of(loudness, order, n_coefficients)


@pytest.mark.parametrize(("order", "n_coefficients"), [(5, 6), (12, 13), (8, 20)])
def test_plp_is_the_papers(order: int, n_coefficients: int) -> None:
    power = powers(6)
    bank = bark_filterbank(RATE, N_FFT).astype(np.float64)
    centres = 600 * np.sinh(np.linspace(0, 6 * np.arcsinh(8000 / 600), 21) / 6)
    wanted = [plp_by_hand(bank @ frame, centres, order, n_coefficients) for frame in power]
    ours = plp(power, RATE, n_coefficients, order=order)
    np.testing.assert_allclose(ours, wanted, atol=1e-8)
    single = plp(power.astype(np.float32), RATE, n_coefficients, order=order)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, wanted, atol=1e-4)


def test_equal_loudness_has_the_papers_shape() -> None:
    # The asymptotes of figure 3: 12 dB/octave to 400 Hz, 0 to 1.2 kHz, 6 to 3.1 kHz, then 0.
    def slope(low: float) -> float:
        first, last = equal_loudness([low, 2 * low])
        return float(10 * np.log10(last / first))

    assert slope(20) == pytest.approx(12, abs=0.2)
    assert slope(500) < 5
    assert 3 < slope(1500) < 6
    assert slope(20000) == pytest.approx(0, abs=0.3)
    assert equal_loudness(0.0) == 0
    assert equal_loudness(1e6) == pytest.approx(1, abs=1e-3)


def test_treble_falls_by_18_db_an_octave() -> None:
    frequency = np.array([500.0, 5000.0, 40000.0, 80000.0])
    factor = equal_loudness(frequency, treble=True) / equal_loudness(frequency)
    assert factor[0] == pytest.approx(1, abs=1e-5)
    assert factor[1] == pytest.approx(0.5, abs=0.01)
    assert 10 * np.log10(factor[2] / factor[3]) == pytest.approx(18, abs=0.1)
    power = powers(2)
    assert np.abs(plp(power, RATE, treble=True) - plp(power, RATE)).max() > 0.01


@given(gain=st.floats(1e-3, 1e3))
def test_loudness_is_in_c0_alone(gain: float) -> None:
    power = powers(2)
    before, after = plp(power, RATE), plp(gain * power, RATE)
    np.testing.assert_allclose(after[:, 1:], before[:, 1:], atol=1e-8)
    np.testing.assert_allclose(after[:, 0] - before[:, 0], 0.33 * np.log(gain), atol=1e-8)


def test_compression_of_none_models_the_bands_themselves() -> None:
    # Bands that a model of order 4 makes after the weighting: it is found again.
    a = np.poly(0.7 * np.exp(1j * np.array([0.6, -0.6, 2.0, -2.0]))).real
    centres = np.linspace(0, 8000, 257)
    spectrum = 3.0 / np.abs(np.fft.rfft(a, 512)) ** 2
    weights = equal_loudness(centres)
    bands = np.divide(spectrum, weights, out=np.zeros(257), where=weights > 0)
    ours = cepstra_of_bands(bands[np.newaxis], centres, 10, order=4, compression=1.0)[0]
    wanted = np.fft.irfft(np.log(spectrum))[:10]
    np.testing.assert_allclose(ours, wanted, atol=2e-3)  # the two ends are like their neighbours


def test_silence_and_nothing_are_finite() -> None:
    nothing = np.zeros((3, N_FFT // 2 + 1), np.float32)
    wanted = np.pad(np.full((3, 1), np.log(1e-10)), [(0, 0), (0, 12)])
    np.testing.assert_allclose(plp(nothing, RATE), wanted, rtol=1e-6)
    cepstra, state = rasta_plp(nothing, RATE)
    ones = cepstra_of_bands(np.ones((3, 21)), bark_centres(RATE))
    np.testing.assert_allclose(cepstra, ones, atol=1e-5)
    assert state is not None
    assert plp(nothing[:0], RATE).shape == (0, 13)
    cepstra, state = rasta_plp(nothing[:0], RATE)
    assert cepstra.shape == (0, 13)
    assert state is None


def test_too_many_poles_are_refused() -> None:
    with pytest.raises(UsageError, match="21 poles cannot be fitted to 21 critical bands"):
        plp(powers(1), RATE, order=21)
    with pytest.raises(UsageError, match="choose an order from 1 to 20"):
        rasta_plp(powers(1), RATE, order=0)


@pytest.mark.parametrize("pole", [0.94, 0.98])
def test_rasta_is_the_papers_difference_equation(pole: float) -> None:
    x = np.random.default_rng(0).normal(size=(60, 3))
    wanted = np.zeros_like(x)
    for t in range(len(x)):
        before = [x[max(t - k, 0)] for k in range(5)]  # the first frame, for ever
        slope = 0.1 * (2 * before[0] + before[1] - before[3] - 2 * before[4])
        wanted[t] = slope + (pole * wanted[t - 1] if t else 0)
    filtered, _ = rasta_filter(x, pole=pole)
    np.testing.assert_allclose(filtered, wanted, atol=1e-12)


def test_rasta_is_rastamats_once_it_has_forgotten_the_beginning() -> None:
    # rastamat's rastafilt.m: a filter without poles over four frames, whose output is zero, then
    # the whole filter from the state reached.
    x = np.random.default_rng(0).normal(size=(400, 2))
    taps = -np.arange(-2, 3) / np.sum(np.arange(-2, 3) ** 2)
    _, state = lfilter(taps, [1.0], x[:4], axis=0, zi=np.zeros((4, 2)))
    rest, _ = lfilter(taps, [1.0, -0.94], x[4:], axis=0, zi=state)
    filtered, _ = rasta_filter(x)
    np.testing.assert_allclose(filtered[250:], rest[246:], atol=1e-5)


def test_rasta_passes_the_pace_of_speech() -> None:
    impulse = np.zeros((2000, 1))
    impulse[5] = 1.0
    filtered, _ = rasta_filter(impulse)
    frequency, response = freqz(filtered[:, 0], worN=2000, fs=100)
    gain = np.abs(response)
    assert gain[0] == pytest.approx(0, abs=1e-10)
    assert 2 < frequency[np.argmax(gain)] < 8
    assert gain[frequency > 1].max() / np.interp(0.26, frequency, gain) > 3
    assert np.interp(28.9, frequency, gain) < 0.01 * gain.max()  # the paper's notch


@given(
    sizes=st.lists(st.integers(0, 12), min_size=1, max_size=8),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_blocks_one_after_the_other_are_the_whole(sizes: list[int], dtype: Any) -> None:
    power = powers(sum(sizes)).astype(dtype)
    whole, last = rasta_plp(power, RATE)
    state, parts = None, []
    for block in np.split(power, np.cumsum(sizes)[:-1]):
        cepstra, state = rasta_plp(block, RATE, state=state)
        parts.append(cepstra)
    assert whole.dtype == dtype
    tolerance = 1e-4 if dtype is np.float32 else 1e-9  # sums of bands depend on the block's size
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=tolerance)
    assert (state is None) == (last is None) == (sum(sizes) == 0)


def test_rasta_plp_forgets_a_constant_colouration() -> None:
    power = powers(40)
    tilt = np.linspace(0.1, 10, power.shape[1])
    bank = bark_filterbank(RATE, N_FFT)
    coloured = power * tilt
    assert np.abs(plp(coloured, RATE) - plp(power, RATE)).max() > 0.2
    # Exactly so where the colour is constant within each band, nearly so where it is not.
    bands = apply_filterbank(power, bank)
    shade = np.linspace(0.1, 10, bands.shape[1])
    plain, _ = rasta_filter(np.log(bands))
    shaded, _ = rasta_filter(np.log(bands * shade))
    np.testing.assert_allclose(shaded, plain, atol=1e-10)
    ours, others = rasta_plp(coloured, RATE)[0], rasta_plp(power, RATE)[0]
    assert np.abs(ours - others).max() < 0.1


def test_rasta_plp_is_its_steps() -> None:
    power = powers(20)
    bands = apply_filterbank(power, bark_filterbank(RATE, N_FFT))
    changes, _ = rasta_filter(np.log(bands), pole=0.98)
    wanted = [plp_by_hand(np.exp(frame), bark_centres(RATE), 8, 9) for frame in changes]
    ours, _ = rasta_plp(power, RATE, 9, order=8, pole=0.98)
    np.testing.assert_allclose(ours, wanted, atol=1e-8)
