"""Linear prediction: each sample as a sum of those before it, and what follows from the sum.

The model is x[n] = -a_1 x[n-1] - ... - a_p x[n-p] + e[n], so the signal is
what the filter 1/A(z), A(z) = 1 + a_1 z^-1 + ... + a_p z^-p, makes of the
error e. Frames are (frames, samples), already windowed where the method wants
a window, and pre-emphasised where the use does. All results are double
precision: the equations of loud low frequencies need it.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiocli.errors import UsageError, check_choice

__all__ = [
    "LinearPrediction",
    "autocorrelation",
    "burg",
    "formants",
    "levinson",
    "line_spectral_frequencies",
    "lpc",
    "lpcc",
]

Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]

# An error of less than this share of the power is rounding: prediction was already perfect.
_PERFECT_AUTOCORRELATION = 1e-15
_PERFECT_BURG = 1e-28  # Burg's errors are amplitudes, so their rounding counts squared


class LinearPrediction(NamedTuple):
    """The predictors of many frames.

    Attributes
    ----------
    coefficients : ndarray, shape (frames, order + 1)
        1, a_1 ... a_p of A(z), the convention of librosa and Matlab.
    error : ndarray, shape (frames,)
        Power of the prediction error, a sample. Its root is the gain of the
        model gain / A(z).
    reflection : ndarray, shape (frames, order)
        Reflection coefficients k_1 ... k_p, where k_m is the last coefficient
        of the predictor of order m, between -1 and 1. (PARCOR coefficients are
        the negative of these in some texts.)

    Examples
    --------
    >>> lpc(np.zeros((1, 100)), 2).coefficients.tolist()
    [[1.0, 0.0, 0.0]]
    """

    coefficients: Doubles
    error: Doubles
    reflection: Doubles

    @property
    def gain(self) -> Doubles:
        """Root of the error's power, shape (frames,), in the signal's unit."""
        gain: Doubles = np.sqrt(self.error)
        return gain

    @property
    def prediction_gain(self) -> Doubles:
        """Power of the signal over that of the error, shape (frames,), in dB.

        -10 sum log10(1 - k_m^2): 0 for white noise and for silence, and at most
        150, which stands for perfect prediction.
        """
        remaining = np.prod(1.0 - self.reflection**2, axis=-1)
        gain: Doubles = -10.0 * np.log10(np.maximum(remaining, _PERFECT_AUTOCORRELATION))
        return gain + 0.0  # silence has 0.0, not -0.0


def lpc(
    frames: Floats,
    order: int,
    *,
    method: Literal["autocorrelation", "burg"] = "autocorrelation",
) -> LinearPrediction:
    """Fit a linear predictor to each frame.

    ``autocorrelation`` minimises the error of the frame between zeros, and
    wants a window. ``burg`` minimises forward and backward errors inside the
    frame, and wants none; it equals ``librosa.lpc``.

    Parameters
    ----------
    frames : ndarray, shape (frames, samples)
        Signal; more samples than `order`.
    order : int
        Number of coefficients: about 2 plus the rate in kHz for speech.
    method : {"autocorrelation", "burg"}
        See above.

    Returns
    -------
    LinearPrediction
        Silence has the coefficients 1, 0 ... 0 and the error 0.

    Raises
    ------
    UsageError
        If the frames are no longer than the order, or the method is unknown.

    References
    ----------
    J. Makhoul, Linear prediction: a tutorial review, Proc. IEEE 63(4), 1975.

    Examples
    --------
    >>> decay = (0.5 ** np.arange(50.0))[np.newaxis]
    >>> lpc(decay, 2).coefficients.round(6).tolist()
    [[1.0, -0.5, 0.0]]
    """
    check_choice("method", method, ("autocorrelation", "burg"))
    if method == "burg":
        return burg(frames, order)
    return levinson(autocorrelation(frames, order), order)


def autocorrelation(frames: Floats, max_lag: int) -> Doubles:
    """Give the biased autocorrelation of each frame: r_k = (1/N) sum x[n] x[n+k].

    Parameters
    ----------
    frames : ndarray, shape (frames, samples)
        Signal.
    max_lag : int
        The longest lag, below the number of samples.

    Returns
    -------
    ndarray, shape (frames, max_lag + 1)
        For the lags 0 ... max_lag; r_0 is the power.

    Examples
    --------
    >>> autocorrelation(np.array([[1.0, 1.0, 1.0, 1.0]]), 2).tolist()
    [[1.0, 0.75, 0.5]]
    """
    samples = frames.shape[-1]
    _check_order(max_lag, samples)
    r: Doubles = np.empty((len(frames), max_lag + 1))
    for rows in _in_cache(len(frames)):
        x = frames[rows].astype(np.float64)
        for lag in range(max_lag + 1):
            r[rows, lag] = np.einsum("ij,ij->i", x[:, lag:], x[:, : samples - lag])
    r /= samples
    return r


def levinson(r: Floats, order: int) -> LinearPrediction:
    """Solve the equations of linear prediction by Levinson's and Durbin's recursion.

    k_m = -(r_m + a_1 r_{m-1} + ... + a_{m-1} r_1) / E, then a_i += k_m a_{m-i}
    and E *= 1 - k_m^2, for m = 1 ... order.

    Parameters
    ----------
    r : ndarray, shape (frames, lags)
        Autocorrelation for the lags from 0 on, more than `order` of them.
    order : int
        Number of coefficients.

    Returns
    -------
    LinearPrediction
        Rows of zeros give the coefficients 1, 0 ... 0 and the error 0. Where an
        order predicts perfectly, the coefficients of higher orders are 0.

    References
    ----------
    J. Durbin, The fitting of time-series models, Rev. Int. Stat. Inst. 28, 1960.

    Examples
    --------
    >>> levinson(np.array([[1.0, 0.5, 0.25]]), 2).coefficients.tolist()
    [[1.0, -0.5, 0.0]]
    """
    _check_order(order, r.shape[-1])
    r = r.astype(np.float64)
    a, reflection = _no_prediction(len(r), order)
    error = np.maximum(r[:, 0], 0.0)
    least = _PERFECT_AUTOCORRELATION * error
    for m in range(1, order + 1):
        correlation = np.einsum("ij,ij->i", a[:, :m], r[:, m:0:-1])
        k = _ratio(-correlation, error, least)
        reflection[:, m - 1] = k
        a[:, 1 : m + 1] += k[:, np.newaxis] * a[:, m - 1 :: -1]
        error = error * (1.0 - k * k)
    return LinearPrediction(a, error, reflection)


def burg(frames: Floats, order: int) -> LinearPrediction:
    """Fit a predictor by the lattice of Burg, each order on what the one before leaves.

    k_m = -2 sum f b / sum (f^2 + b^2) over the forward errors f[n] and the
    backward errors b[n-1] of order m - 1.

    Parameters
    ----------
    frames : ndarray, shape (frames, samples)
        Signal without a window; more samples than `order`.
    order : int
        Number of coefficients.

    Returns
    -------
    LinearPrediction
        Silence has the coefficients 1, 0 ... 0 and the error 0. Where an order
        predicts perfectly, the coefficients of higher orders are 0.

    References
    ----------
    L. Marple, A new autoregressive spectrum analysis algorithm, IEEE Trans.
    ASSP 28(4), 1980, section III.

    Examples
    --------
    >>> tone = np.cos(np.pi / 3 * np.arange(100.0))[np.newaxis]
    >>> (burg(tone, 2).coefficients + 0.0).round(6).tolist()
    [[1.0, -1.0, 1.0]]
    """
    _check_order(order, frames.shape[-1])
    a, reflection = _no_prediction(len(frames), order)
    error = np.empty(len(frames))
    for rows in _in_cache(len(frames)):
        x = frames[rows].astype(np.float64)
        forward, backward = x[:, 1:], x[:, :-1].copy()
        power = np.einsum("ij,ij->i", x, x) / x.shape[-1]
        least = 2.0 * _PERFECT_BURG * x.shape[-1] * power
        for m in range(1, order + 1):
            product = np.einsum("ij,ij->i", forward, backward)
            energy = np.einsum("ij,ij->i", forward, forward)
            energy += np.einsum("ij,ij->i", backward, backward)
            k = _ratio(-2.0 * product, energy, least)
            reflection[rows, m - 1] = k
            power = power * (1.0 - k * k)
            k = k[:, np.newaxis]
            a[rows, 1 : m + 1] += k * a[rows, m - 1 :: -1]
            longer = forward + k * backward
            backward += k * forward
            forward, backward = longer[:, 1:], backward[:, :-1]
        error[rows] = power
    return LinearPrediction(a, error, reflection)


def line_spectral_frequencies(coefficients: Floats) -> Doubles:
    """Give the line spectral frequencies (line spectrum pairs) of predictors.

    The angles between 0 and pi of the zeros of A(z) + z^-(p+1) A(1/z) and
    A(z) - z^-(p+1) A(1/z). For a stable predictor these lie on the unit circle
    and take turns.

    Parameters
    ----------
    coefficients : ndarray, shape (frames, order + 1)
        1, a_1 ... a_p.

    Returns
    -------
    ndarray, shape (frames, order)
        Rising, in radians a sample; times sample_rate / (2 pi) they are Hz.
        Silence has m pi / (p + 1), m = 1 ... p.

    References
    ----------
    F. Itakura, Line spectrum representation of linear predictor coefficients
    of speech signals, JASA 57, 1975. P. Kabal, R. Ramachandran, The computation
    of line spectral frequencies using Chebyshev polynomials, IEEE Trans. ASSP
    34(6), 1986.

    Examples
    --------
    >>> (line_spectral_frequencies(np.array([[1.0, 0.0, 0.0]])) / np.pi).round(4).tolist()
    [[0.3333, 0.6667]]
    """
    from scipy.signal import lfilter  # takes longer to import than all else here

    a = np.pad(coefficients.astype(np.float64), [(0, 0), (0, 1)])
    even = a.shape[-1] % 2 == 0
    symmetric, antisymmetric = a + a[:, ::-1], a - a[:, ::-1]
    # Zeros at -1 and 1 are known, and divided out.
    if even:
        symmetric = lfilter([1.0], [1.0, 1.0], symmetric)[:, :-1]
        antisymmetric = lfilter([1.0], [1.0, -1.0], antisymmetric)[:, :-1]
    else:
        antisymmetric = lfilter([1.0], [1.0, 0.0, -1.0], antisymmetric)[:, :-2]
    angles = [_angles_of_zeros(symmetric), _angles_of_zeros(antisymmetric)]
    return np.sort(np.concatenate(angles, axis=-1), axis=-1)


def _angles_of_zeros(symmetric: Doubles) -> Doubles:
    """Give the angles of the zeros, all on the unit circle, of symmetric polynomials.

    With the delay taken out, such a polynomial of degree 2d is the Chebyshev
    series c_d + 2 c_{d-1} T_1(x) + ... + 2 c_0 T_d(x) in x = cos(angle), whose
    zeros are the eigenvalues of its companion matrix.
    """
    degree = symmetric.shape[-1] // 2
    if degree == 0:
        return np.zeros((len(symmetric), 0))
    series = 2.0 * symmetric[:, degree::-1]
    series[:, 0] /= 2.0
    companion = np.zeros((len(series), degree, degree))
    below = np.arange(degree - 1)
    companion[:, below, below + 1] = companion[:, below + 1, below] = 0.5
    companion[:, 0, 1:2] *= 2.0  # x T_0 = T_1, but x T_n = (T_{n-1} + T_{n+1}) / 2
    last = series[:, :-1] / series[:, -1:]
    companion[:, -1, :] -= last if degree == 1 else 0.5 * last
    angles: Doubles = np.arccos(np.clip(np.linalg.eigvals(companion).real, -1.0, 1.0))
    return angles


def lpcc(prediction: LinearPrediction, n_coefficients: int, *, floor: float = 1e-10) -> Doubles:
    """Give the cepstrum of the model's log power spectrum (LPCC).

    c_0 = ln(error) and c_n = -a_n - sum_{k=1}^{n-1} (k/n) c_k a_{n-k}, where
    a_n = 0 beyond the order: the inverse Fourier transform of
    ln(error / |A|^2). HTK and rastamat have the same c_0; SPTK has half of it,
    the log of the gain.

    Parameters
    ----------
    prediction : LinearPrediction
        Of which the coefficients and the error are used.
    n_coefficients : int
        How many, c_0 included; may be more than the order.
    floor : float
        The error is taken to be no less than this.

    Returns
    -------
    ndarray, shape (frames, n_coefficients)
        Silence has ln(floor), 0 ... 0.

    References
    ----------
    B. Atal, Effectiveness of linear prediction characteristics of the speech
    wave for automatic speaker identification, JASA 55(6), 1974.

    Examples
    --------
    >>> one_pole = LinearPrediction(np.array([[1.0, -0.5]]), np.ones(1), np.array([[-0.5]]))
    >>> lpcc(one_pole, 4).round(4).tolist()
    [[0.0, 0.5, 0.125, 0.0417]]
    """
    a = prediction.coefficients
    order = a.shape[-1] - 1
    cepstra = np.zeros((len(a), n_coefficients))
    cepstra[:, 0] = np.log(np.maximum(prediction.error, floor))
    for n in range(1, n_coefficients):
        if n <= order:
            cepstra[:, n] = -a[:, n]
        k = np.arange(max(1, n - order), n)
        cepstra[:, n] -= np.einsum("j,ij,ij->i", k / n, cepstra[:, k], a[:, n - k])
    return cepstra


def formants(
    coefficients: Floats,
    sample_rate: int,
    n_formants: int = 4,
    *,
    fmin: float = 90.0,
    max_bandwidth: float = 400.0,
) -> tuple[Doubles, Doubles]:
    """Give the resonances of predictors: frequencies and bandwidths of formants.

    A pair of poles r e^{+-j w} resonates at w fs / (2 pi) with a bandwidth of
    -ln(r) fs / pi. Poles outside the limits shape the slope of the spectrum,
    and are left out. Speech is usually brought to 10 or 11 kHz and
    pre-emphasised first, with an order of 10 to 12.

    Parameters
    ----------
    coefficients : ndarray, shape (frames, order + 1)
        1, a_1 ... a_p.
    sample_rate : int
        In Hz.
    n_formants : int
        How many to give.
    fmin : float
        Formants are above this, and as far below half the sample rate, in Hz.
    max_bandwidth : float
        Formants are narrower than this, in Hz.

    Returns
    -------
    frequencies, bandwidths : ndarray, shape (frames, n_formants)
        In Hz, by rising frequency; 0.0 stands for formants that are not there,
        so silence has zeros.

    References
    ----------
    J. Markel, A. Gray, Linear Prediction of Speech, Springer 1976. R. Snell,
    F. Milinazzo, Formant location from LPC analysis data, IEEE Trans. Speech
    and Audio Processing 1(2), 1993.

    Examples
    --------
    >>> pole = 0.98 * np.exp(2j * np.pi * 700 / 8000)
    >>> frequencies, _ = formants(np.poly([pole, pole.conjugate()])[np.newaxis], 8000, 2)
    >>> frequencies.round(3).tolist()
    [[700.0, 0.0]]
    """
    frames, order = len(coefficients), coefficients.shape[-1] - 1
    companion = np.zeros((frames, order, order))
    companion[:, :1] = -coefficients[:, np.newaxis, 1:]
    companion[:, np.arange(1, order), np.arange(order - 1)] = 1.0
    poles = np.linalg.eigvals(companion)
    frequency = np.angle(poles) * (sample_rate / (2.0 * np.pi))
    radius = np.maximum(np.abs(poles), np.finfo(np.float64).tiny)
    bandwidth = -np.log(radius) * (sample_rate / np.pi)
    valid = (frequency > fmin) & (frequency < sample_rate / 2 - fmin) & (bandwidth < max_bandwidth)
    # Poles that are no formants go behind all others, then become zeros.
    first = np.argsort(np.where(valid, frequency, np.inf), axis=-1)[:, :n_formants]
    missing = [(0, 0), (0, n_formants - first.shape[-1])]
    frequency, bandwidth = (
        np.pad(np.take_along_axis(np.where(valid, values, 0.0), first, axis=-1), missing)
        for values in (frequency, bandwidth)
    )
    return frequency, bandwidth


def _in_cache(frames: int, group: int = 128) -> list[slice]:
    """Cut frames into groups that stay in the processor's cache, which is twice as fast."""
    return [slice(start, start + group) for start in range(0, frames, group)]


def _no_prediction(frames: int, order: int) -> tuple[Doubles, Doubles]:
    """Begin with predictors of order 0: coefficients and reflection coefficients."""
    coefficients = np.zeros((frames, order + 1))
    coefficients[:, 0] = 1.0
    return coefficients, np.zeros((frames, order))


def _ratio(numerator: Doubles, denominator: Doubles, least: Doubles) -> Doubles:
    """Divide where the denominator is more than `least`, within -1 and 1; else 0."""
    out = np.zeros_like(numerator)
    np.divide(numerator, denominator, out=out, where=denominator > least)
    return np.clip(out, -1.0, 1.0, out=out)


def _check_order(order: int, values: int) -> None:
    """Refuse an order that so many values cannot determine."""
    if not 0 <= order < values:
        raise UsageError(
            f"linear prediction of order {order} is not possible from {values} values: "
            f"choose an order from 0 to {values - 1}, or longer frames"
        )
