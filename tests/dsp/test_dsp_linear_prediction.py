"""Linear prediction: processes whose coefficients are known, librosa, scipy, and stability."""

from __future__ import annotations

from typing import Any

import librosa
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import lfilter

from audiocli.dsp.linear_prediction import (
    LinearPrediction,
    autocorrelation,
    burg,
    formants,
    levinson,
    line_spectral_frequencies,
    lpc,
    lpcc,
)
from audiocli.errors import UsageError

Doubles = NDArray[np.float64]
METHODS = ["autocorrelation", "burg"]


def noise(frames: int, samples: int, seed: int = 0) -> Doubles:
    return np.random.default_rng(seed).normal(size=(frames, samples))


def polynomial(resonances: list[tuple[float, float]], rate: int) -> Doubles:
    """A(z) with the poles of these frequencies and bandwidths in Hz."""
    poles = [np.exp((-width + 2j * centre) * np.pi / rate) for centre, width in resonances]
    return np.poly([*poles, *np.conj(poles)]).real


VOWEL = [(500.0, 60.0), (1500.0, 90.0), (2500.0, 120.0), (3500.0, 150.0)]


@pytest.mark.parametrize("method", METHODS)
def test_coefficients_of_a_process_are_found(method: Any) -> None:
    a = polynomial(VOWEL, 10000)
    signal = 0.1 * lfilter([1.0], a, noise(3, 60000))
    window = np.hanning(60000) if method == "autocorrelation" else 1.0
    found = lpc(signal * window, 8, method=method)
    np.testing.assert_allclose(found.coefficients, np.tile(a, (3, 1)), atol=0.05)
    np.testing.assert_allclose(found.error / np.mean(window**2), 0.01, rtol=0.05)
    np.testing.assert_allclose(found.gain, np.sqrt(found.error))


@given(order=st.integers(1, 20), samples=st.integers(21, 100), scale=st.floats(1e-5, 1e3))
def test_autocorrelation_method_solves_the_normal_equations(
    order: int, samples: int, scale: float
) -> None:
    frames = scale * noise(2, samples, order)
    found = lpc(frames, order)
    for frame, a, error in zip(frames, found.coefficients, found.error, strict=True):
        r = np.correlate(frame, frame, "full")[samples - 1 :][: order + 1] / samples
        np.testing.assert_allclose(a[1:], scipy.linalg.solve_toeplitz(r[:-1], -r[1:]), atol=1e-9)
        assert error == pytest.approx(a @ r, rel=1e-9)


@pytest.mark.parametrize("order", [1, 2, 12, 30])
def test_burg_is_librosas(order: int) -> None:
    signal = lfilter([1.0], polynomial(VOWEL, 16000), noise(1, 16000))[0]
    frames = np.lib.stride_tricks.sliding_window_view(signal, 400)[::100]  # more than one group
    theirs = librosa.lpc(frames, order=order)
    np.testing.assert_allclose(burg(frames, order).coefficients, theirs, rtol=1e-6, atol=1e-6)


@given(order=st.integers(1, 20), samples=st.integers(21, 60), method=st.sampled_from(METHODS))
def test_models_are_stable_and_consistent(order: int, samples: int, method: Any) -> None:
    frames = np.cumsum(noise(3, samples, samples), axis=1)
    found = lpc(frames, order, method=method)
    assert np.abs(found.reflection).max() < 1
    np.testing.assert_array_equal(found.coefficients[:, 0], 1)
    np.testing.assert_allclose(found.coefficients[:, -1], found.reflection[:, -1])
    for a in found.coefficients:
        assert np.abs(np.roots(a)).max() < 1
    power = np.mean(frames**2, axis=1)
    np.testing.assert_allclose(
        found.error, power * np.prod(1 - found.reflection**2, axis=1), rtol=1e-9
    )
    shorter = lpc(frames, order - 1, method=method)
    np.testing.assert_allclose(shorter.reflection, found.reflection[:, :-1], atol=1e-12)


@given(gain=st.floats(1e-4, 1e4), method=st.sampled_from(METHODS))
def test_louder_frames_have_the_same_coefficients(gain: float, method: Any) -> None:
    frames = noise(2, 80)
    soft, loud = lpc(frames, 6, method=method), lpc(gain * frames, 6, method=method)
    np.testing.assert_allclose(loud.coefficients, soft.coefficients, atol=1e-9)
    np.testing.assert_allclose(loud.gain, gain * soft.gain, rtol=1e-9)


def test_frames_of_any_number_and_type() -> None:
    frames = noise(300, 50).astype(np.float32)
    for method in METHODS:
        whole = lpc(frames, 4, method=method)  # type: ignore[arg-type]  # a name of METHODS
        single = lpc(frames[201:202], 4, method=method)  # type: ignore[arg-type]  # likewise
        assert whole.coefficients.dtype == np.float64
        np.testing.assert_allclose(whole.coefficients[201:202], single.coefficients, rtol=1e-12)
        none = lpc(frames[:0], 4, method=method)  # type: ignore[arg-type]  # likewise
        assert [len(part) for part in none] == [0, 0, 0]
    before = frames.copy()
    burg(frames, 4)
    np.testing.assert_array_equal(frames, before)


@pytest.mark.parametrize("method", METHODS)
def test_silence_is_predicted_by_nothing(method: Any) -> None:
    found = lpc(np.zeros((2, 100), np.float32), 4, method=method)
    np.testing.assert_array_equal(found.coefficients, [[1, 0, 0, 0, 0]] * 2)
    np.testing.assert_array_equal(found.error, 0)
    np.testing.assert_array_equal(found.reflection, 0)
    np.testing.assert_array_equal(found.gain, 0)
    wanted = np.pad(np.full((2, 1), np.log(1e-10)), [(0, 0), (0, 5)])
    np.testing.assert_array_equal(lpcc(found, 6), wanted)
    for values in formants(found.coefficients, 16000):
        np.testing.assert_array_equal(values, np.zeros((2, 4)))
    equal = np.pi * np.arange(1, 5) / 5
    np.testing.assert_allclose(line_spectral_frequencies(found.coefficients), [equal] * 2)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_burg_stops_where_prediction_is_perfect(sign: float) -> None:
    found = burg(sign ** np.arange(200.0)[np.newaxis], 12)
    np.testing.assert_array_equal(found.coefficients[0], np.pad([1, -sign], (0, 11)))
    assert found.error[0] == 0


def test_burg_of_a_tone_stays_stable() -> None:
    found = burg(np.cos(0.7 * np.arange(200))[np.newaxis], 12)
    assert np.isfinite(found.coefficients).all()
    assert np.abs(found.reflection).max() <= 1
    assert 0 <= found.error[0] < 1e-6
    poles = np.roots(found.coefficients[0])
    assert np.abs(poles - np.exp(0.7j)).min() < 1e-3


def test_levinson_bears_a_singular_matrix() -> None:
    tone = np.cos(0.7 * np.arange(13))[np.newaxis]  # the autocorrelation of a tone for ever
    found = levinson(tone, 12)
    wanted = np.zeros(13)
    wanted[:3] = 1, -2 * np.cos(0.7), 1
    np.testing.assert_allclose(found.coefficients[0], wanted, atol=1e-9)
    assert found.error[0] == pytest.approx(0, abs=1e-12)


def test_orders_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match="choose an order from 0 to 9"):
        lpc(noise(1, 10), 10)
    with pytest.raises(UsageError, match="order 10 is not possible"):
        lpc(noise(1, 10), 10, method="burg")
    with pytest.raises(UsageError, match="order 3 is not possible"):
        levinson(np.ones((1, 3)), 3)
    with pytest.raises(UsageError, match="unknown method 'berg': did you mean 'burg'"):
        lpc(noise(1, 10), 2, method="berg")  # type: ignore[arg-type]  # the mistake under test
    np.testing.assert_array_equal(lpc(noise(2, 10), 0).coefficients, np.ones((2, 1)))


def test_autocorrelation_is_numpys() -> None:
    frames = noise(150, 60)
    wanted = [np.correlate(frame, frame, "full")[59 : 59 + 21] / 60 for frame in frames]
    np.testing.assert_allclose(autocorrelation(frames, 20), wanted, atol=1e-12)


def pair_angles(a: Doubles) -> Doubles:
    """Line spectral frequencies from the zeros of the two polynomials themselves."""
    longer = np.append(a, 0.0)
    zeros = np.concatenate([np.roots(longer + longer[::-1]), np.roots(longer - longer[::-1])])
    np.testing.assert_allclose(np.abs(zeros), 1, atol=1e-6)
    angles = np.sort(np.angle(zeros))
    return angles[(angles > 1e-6) & (angles < np.pi - 1e-6)]


@pytest.mark.parametrize("order", [1, 2, 3, 8, 12, 13])
def test_line_spectral_frequencies_are_the_zeros_angles(order: int) -> None:
    coefficients = lpc(np.cumsum(noise(5, 200), axis=1), order, method="burg").coefficients
    ours = line_spectral_frequencies(coefficients)
    assert ours.shape == (5, order)
    np.testing.assert_allclose(ours, [pair_angles(a) for a in coefficients], atol=1e-7)


@given(order=st.integers(1, 18), seed=st.integers(0, 1000))
def test_line_spectral_frequencies_rise_and_give_the_coefficients_back(
    order: int, seed: int
) -> None:
    a = lpc(noise(1, 60, seed), order).coefficients
    angles = line_spectral_frequencies(a)[0]
    assert angles[0] > 0 and angles[-1] < np.pi
    assert (np.diff(angles) > 0).all()
    # The zeros take turns: the first belongs to the symmetric polynomial.
    symmetric, antisymmetric = (
        np.poly(np.concatenate([np.exp(1j * part), np.exp(-1j * part)])).real
        for part in (angles[::2], angles[1::2])
    )
    if order % 2:
        antisymmetric = np.convolve(antisymmetric, [1, 0, -1])
    else:
        symmetric = np.convolve(symmetric, [1, 1])
        antisymmetric = np.convolve(antisymmetric, [1, -1])
    np.testing.assert_allclose((symmetric + antisymmetric)[:-1] / 2, a[0], atol=1e-6)


@pytest.mark.parametrize(("frames", "order"), [(3, 0), (0, 4), (0, 0)])
def test_nothing_comes_of_nothing(frames: int, order: int) -> None:
    coefficients = np.ones((frames, order + 1))
    assert line_spectral_frequencies(coefficients).shape == (frames, order)
    for values in formants(coefficients, 16000):
        np.testing.assert_array_equal(values, np.zeros((frames, 4)))


@pytest.mark.parametrize("n_coefficients", [1, 5, 13, 40])
def test_lpcc_is_the_cepstrum_of_the_model(n_coefficients: int) -> None:
    found = lpc(noise(4, 200), 12)
    spectrum = found.error[:, np.newaxis] / np.abs(np.fft.rfft(found.coefficients, 8192)) ** 2
    wanted = np.fft.irfft(np.log(spectrum))[:, :n_coefficients]
    np.testing.assert_allclose(lpcc(found, n_coefficients), wanted, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_prediction_gain_is_the_power_over_the_error(method: Any) -> None:
    signal = lfilter([1.0], [1.0, -0.9], noise(1, 50000))
    found = lpc(signal, 4, method=method)
    wanted = 10 * np.log10(np.mean(signal**2, axis=1) / found.error)
    np.testing.assert_allclose(found.prediction_gain, wanted, rtol=1e-9)
    assert found.prediction_gain[0] == pytest.approx(-10 * np.log10(1 - 0.9**2), abs=0.2)
    assert lpc(noise(1, 50000), 4, method=method).prediction_gain[0] == pytest.approx(0, abs=0.02)
    np.testing.assert_array_equal(lpc(np.zeros((2, 50)), 4, method=method).prediction_gain, 0)


def test_perfect_prediction_has_a_finite_gain() -> None:
    tone = np.cos(np.pi / 3 * np.arange(100.0))[np.newaxis]
    gain = burg(tone, 2).prediction_gain[0]
    assert 100 < gain <= 150


def test_lpcc_of_poles_is_their_powers() -> None:
    # -ln(1 - p z^-1) = sum p^n / n z^-n
    poles = np.array([0.9, -0.5, 0.3])
    model = LinearPrediction(np.poly(poles)[np.newaxis], np.array([np.e]), np.zeros((1, 3)))
    n = np.arange(1, 10)
    wanted = (poles[:, np.newaxis] ** n).sum(axis=0) / n
    np.testing.assert_allclose(lpcc(model, 10)[0], [1.0, *wanted], atol=1e-12)


def test_formants_are_the_poles() -> None:
    frequencies, bandwidths = formants(polynomial(VOWEL, 10000)[np.newaxis], 10000)
    np.testing.assert_allclose(frequencies[0], [500, 1500, 2500, 3500], rtol=1e-9)
    np.testing.assert_allclose(bandwidths[0], [60, 90, 120, 150], rtol=1e-8)


def test_formants_outside_the_limits_are_left_out() -> None:
    a = polynomial([(50.0, 50.0), (700.0, 50.0), (1200.0, 500.0), (4960.0, 50.0)], 10000)
    a = np.convolve(a, [1, -0.9])[np.newaxis]  # a real pole is no formant
    frequencies, bandwidths = formants(a, 10000, 3)
    np.testing.assert_allclose(frequencies, [[700, 0, 0]], rtol=1e-9)
    np.testing.assert_allclose(bandwidths, [[50, 0, 0]], rtol=1e-7)
    wider, _ = formants(a, 10000, 3, fmin=10, max_bandwidth=600)
    np.testing.assert_allclose(wider, [[50, 700, 1200]], rtol=1e-9)
    more, _ = formants(a, 10000, 12)
    assert more.shape == (1, 12)


@pytest.mark.parametrize("method", METHODS)
def test_formants_of_a_vowel_are_found(method: Any) -> None:
    vowel = lfilter([1.0], polynomial(VOWEL, 10000), noise(1, 20000))[0]
    frames = np.lib.stride_tricks.sliding_window_view(vowel, 1000)[::1000]
    windowed = frames * np.hamming(1000) if method == "autocorrelation" else frames
    frequencies, _ = formants(lpc(windowed, 8, method=method).coefficients, 10000)
    np.testing.assert_allclose(np.median(frequencies, axis=0), [500, 1500, 2500, 3500], rtol=0.03)


def test_the_spectrum_package_agrees() -> None:
    spectrum = pytest.importorskip("spectrum")
    frame = lfilter([1.0], polynomial(VOWEL, 16000), noise(1, 400))[0]
    a, error, reflection = spectrum.arburg(frame, 12)
    ours = burg(frame[np.newaxis], 12)
    np.testing.assert_allclose(ours.coefficients[0, 1:], a.real, atol=1e-6)
    np.testing.assert_allclose(ours.reflection[0], reflection.real, atol=1e-6)
    assert ours.error[0] == pytest.approx(error, rel=1e-6)
    angles = spectrum.poly2lsf(ours.coefficients[0])
    np.testing.assert_allclose(line_spectral_frequencies(ours.coefficients)[0], angles, atol=1e-8)


def test_formants_are_praats() -> None:
    parselmouth = pytest.importorskip("parselmouth")
    rate, window = 10000, 500  # Praat's window is twice as long as asked for
    signal = lfilter([1.0], polynomial(VOWEL, rate), noise(1, rate))[0]
    praat = parselmouth.Sound(signal / 100, rate).to_formant_burg(
        0.01, max_number_of_formants=5, maximum_formant=rate / 2, window_length=window / 2 / rate
    )
    flat = np.append(0.0, signal[1:] - np.exp(-2 * np.pi * 50 / rate) * signal[:-1])
    middle = np.arange(1, window + 1) - 0.5 * (window + 1)
    edge = np.exp(-12.0)
    gauss = (np.exp(-48 * (middle / (window + 1)) ** 2) - edge) / (1 - edge)
    for time in praat.ts()[5:50:9]:
        start = round(time * rate) - window // 2
        a = burg((flat[start : start + window] * gauss)[np.newaxis], 10).coefficients
        frequencies, _ = formants(a, rate, 3, fmin=50, max_bandwidth=np.inf)
        theirs = [praat.get_value_at_time(number, time) for number in (1, 2, 3)]
        np.testing.assert_allclose(frequencies[0], theirs, rtol=1e-6)
