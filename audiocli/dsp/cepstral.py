"""Cepstra: spectra of log spectra, their slopes in time, and what they tell of the voice.

Spectra are (frames, bins) of power, bins from 0 Hz to half the sample rate, so
a Fourier transform of even length ``n_fft = 2 * (bins - 1)`` is understood.
Logarithms do not go below a floor of 1e-10 (librosa's ``amin``) unless another
is given: silence has defined, finite values.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from audiocli.dsp.filterbanks import apply_filterbank, mel_filterbank
from audiocli.errors import UsageError, check_choice

__all__ = [
    "cepstral_peak_prominence",
    "cepstrum_of_bands",
    "delta",
    "lifter",
    "mfcc",
    "power_cepstrum",
    "real_cepstrum",
]

Floats = NDArray[np.floating[Any]]
FLOOR = 1e-10
_CEPSTRAL_FLOOR = 1e-14  # about what rounding leaves of a flat spectrum's cepstrum, squared
_DEFAULTS = {"slaney": (20, 128, 0), "htk": (13, 26, 22)}  # coefficients, bands, liftering


def mfcc(
    power: Floats,
    sample_rate: int,
    n_mfcc: int | None = None,
    *,
    variant: Literal["slaney", "htk"] = "slaney",
    n_mels: int | None = None,
    fmin: float = 0.0,
    fmax: float | None = None,
    liftering: int | None = None,
    top_db: float | None = None,
    floor: float = FLOOR,
) -> Floats:
    """Give mel-frequency cepstral coefficients.

    The cosine transform of the log energies in mel bands, in one of two
    definitions:

    ================  ============================  ================================
    variant           ``slaney``                    ``htk``
    ================  ============================  ================================
    coefficients      20                            13
    mel bands         128, Slaney's scale, area 1   26, HTK's scale, height 1, sides
                                                    straight over mel
    logarithm         10 log10, in dB               natural
    cosine transform  type II, orthonormal          type II, factor sqrt(2/N)
    liftering         none                          22
    ================  ============================  ================================

    ``slaney`` equals ``librosa.feature.mfcc`` of
    ``librosa.power_to_db(mel, top_db=top_db)``. Librosa's own default of
    ``top_db=80`` counts from the loudest frame of the whole file, which a
    stream cannot know, so there is none here. ``htk`` is HTK's ``MFCC_0`` with
    c0 first and ``USEPOWER`` on (without it, give magnitudes).

    Parameters
    ----------
    power : ndarray, shape (frames, bins)
        Power spectra.
    sample_rate : int
        In Hz.
    n_mfcc : int, optional
        Number of coefficients, c0 included.
    variant : {"slaney", "htk"}
        Which definition.
    n_mels : int, optional
        Number of mel bands.
    fmin, fmax : float
        Range of the bands in Hz, up to half the sample rate by default.
    liftering : int, optional
        Length of :func:`lifter`; 0 for none.
    top_db : float, optional
        Raise what is more than this below the loudest band of all frames
        given. Only with ``slaney``.
    floor : float
        Band energies are taken to be no less than this.

    Returns
    -------
    ndarray, shape (frames, n_mfcc)
        Silence has c0 = -100 sqrt(128) with ``slaney``, sqrt(2 * 26) ln(floor)
        with ``htk``, and zeros.

    References
    ----------
    S. Davis, P. Mermelstein, Comparison of parametric representations for
    monosyllabic word recognition, IEEE Trans. ASSP 28(4), 1980. The HTK Book,
    section 5.6.

    Examples
    --------
    >>> power = np.random.default_rng(0).random((7, 257), np.float32)
    >>> mfcc(power, 16000).shape, mfcc(power, 16000, variant="htk").shape
    ((7, 20), (7, 13))
    """
    check_choice("variant", variant, _DEFAULTS)
    if variant == "htk" and top_db is not None:
        raise UsageError("top_db counts dB, which the variant htk has not: leave one of them out")
    defaults = _DEFAULTS[variant]
    n_mfcc, n_mels, liftering = (
        default if given is None else given
        for given, default in zip((n_mfcc, n_mels, liftering), defaults, strict=True)
    )
    n_fft = 2 * (power.shape[-1] - 1)
    if variant == "htk":
        bank = mel_filterbank(
            sample_rate, n_fft, n_mels, fmin, fmax, scale="htk", norm=None, slopes="mel"
        )
        bands = np.log(np.maximum(apply_filterbank(power, bank), floor))
        return lifter(cepstrum_of_bands(bands, n_mfcc, scaling="htk"), liftering)
    bank = mel_filterbank(sample_rate, n_fft, n_mels, fmin, fmax)
    bands = 10.0 * np.log10(np.maximum(apply_filterbank(power, bank), floor))
    if top_db is not None and bands.size:
        bands = np.maximum(bands, bands.max() - top_db)
    return lifter(cepstrum_of_bands(bands, n_mfcc), liftering)


def cepstrum_of_bands(
    log_bands: Floats, n_coefficients: int, *, scaling: Literal["ortho", "htk"] = "ortho"
) -> Floats:
    """Give the first coefficients of the cosine transform of log band energies.

    c_n = s_n sum_m b_m cos(pi n (m + 1/2) / N) over the N bands m, where s_n is
    sqrt(2/N), but sqrt(1/N) for n = 0 if the transform is orthonormal.

    Parameters
    ----------
    log_bands : ndarray, shape (frames, bands)
        Logarithms of band energies.
    n_coefficients : int
        How many, c0 included, at most as many as bands.
    scaling : {"ortho", "htk"}
        Whether c0 is scaled like in an orthonormal transform or like the rest.

    Returns
    -------
    ndarray, shape (frames, n_coefficients)
        In the unit of the logarithm.

    Examples
    --------
    >>> cepstrum_of_bands(np.array([[1.0, 0.0]]), 2).round(4).tolist()
    [[0.7071, 0.7071]]
    """
    bands = log_bands.shape[-1]
    if not 1 <= n_coefficients <= bands:
        raise UsageError(
            f"{n_coefficients} cepstral coefficients of {bands} bands are not possible: "
            f"choose from 1 to {bands}, or more bands"
        )
    basis = _cosines(bands, n_coefficients, scaling == "ortho")
    return log_bands @ basis.astype(log_bands.dtype)


@lru_cache(maxsize=16)
def _cosines(bands: int, coefficients: int, ortho: bool) -> NDArray[np.float64]:
    """Make the matrix (bands, coefficients) of a cosine transform of type II."""
    angles = np.outer(np.arange(bands) + 0.5, np.arange(coefficients)) * (np.pi / bands)
    basis: NDArray[np.float64] = np.sqrt(2.0 / bands) * np.cos(angles)
    if ortho:
        basis[:, 0] = np.sqrt(1.0 / bands)
    basis.flags.writeable = False
    return basis


def lifter(cepstra: Floats, length: int = 22) -> Floats:
    """Bring cepstral coefficients to similar spreads: HTK's sinusoidal lifter.

    c_n is multiplied by 1 + L/2 sin(pi n / L); c0 stays. (Librosa's own
    liftering counts n from 1 at c0.)

    Parameters
    ----------
    cepstra : ndarray, shape (frames, coefficients)
        From c0 on.
    length : int
        L; 0 changes nothing.

    Returns
    -------
    ndarray, shape (frames, coefficients)
        Weighted.

    References
    ----------
    The HTK Book, section 5.3, equation 5.12.

    Examples
    --------
    >>> lifter(np.ones((1, 12)))[0, [0, 11]].tolist()
    [1.0, 12.0]
    """
    if length == 0:
        return cepstra
    orders = np.arange(cepstra.shape[-1])
    return cepstra * (1.0 + length / 2.0 * np.sin(np.pi * orders / length)).astype(cepstra.dtype)


@lru_cache(maxsize=16)
def _savitzky_golay(width: int, order: int) -> NDArray[np.float64]:
    """Weights of the derivative of a fitted polynomial, both of one order.

    As ``scipy.signal.savgol_coeffs(width, order, deriv=order, use="dot")``, to the last bit:
    scipy.signal takes longer to import than all else that features need.
    """
    powers = np.arange(-(width // 2), width - width // 2, dtype=float) ** np.arange(
        order + 1
    ).reshape(-1, 1)
    wanted = np.zeros(order + 1)
    wanted[order] = math.factorial(order)
    weights: NDArray[np.float64] = np.asarray(np.linalg.lstsq(powers, wanted, rcond=None)[0], float)
    weights.flags.writeable = False
    return weights


def delta(
    features: Floats,
    width: int = 9,
    order: int = 1,
    *,
    mode: Literal["nearest", "interp", "valid"] = "nearest",
) -> Floats:
    """Give the slope of features in time, by regression over neighbouring frames.

    The first-order slope at frame t is HTK's

        d_t = sum_k k (c_{t+k} - c_{t-k}) / (2 sum_k k^2),  k = 1 ... width // 2,

    and of order n it is the n-th derivative of the polynomial of degree n that
    fits best. ``nearest`` and ``interp`` equal ``librosa.feature.delta`` with
    these modes, ``interp`` being librosa's default; HTK's is ``nearest``. HTK's
    accelerations are the deltas of deltas, librosa's are of order 2.

    **In streams** use ``valid``: it gives only the frames whose `width` frames
    are all there. Keep the last ``width - 1`` frames of each block and put them
    before the next, so that every output frame comes ``width // 2`` frames
    late. Then ``nearest`` is ``valid`` of features whose first and last frame
    are repeated ``width // 2`` times, and ``interp`` is ``valid`` whose first
    and last output frame are.

    Parameters
    ----------
    features : ndarray, shape (frames, n) or (frames,)
        One row a frame.
    width : int
        Number of frames in the regression, odd and at least 3.
    order : int
        Order of the derivative.
    mode : {"nearest", "interp", "valid"}
        What happens at the ends; see above.

    Returns
    -------
    ndarray, shape (frames, n) or (frames,)
        In units a frame (to the power of the order). ``valid`` has
        ``width - 1`` frames less.

    Raises
    ------
    UsageError
        If the width is even or below 3, if the order is not below the width,
        or, with ``interp``, if there are fewer frames than `width`.

    References
    ----------
    The HTK Book, section 5.9, equation 5.16.

    Examples
    --------
    >>> delta(3.0 * np.arange(6.0), width=3).round(6).tolist()
    [1.5, 3.0, 3.0, 3.0, 3.0, 1.5]
    """
    if width < 3 or width % 2 == 0 or not 1 <= order < width:
        raise UsageError(
            f"deltas of order {order} over {width} frames are not possible: choose an odd width "
            f"of at least 3, and an order from 1 to {width - 1}"
        )
    half = width // 2
    ends = [(half, half)] + [(0, 0)] * (features.ndim - 1)
    if mode == "nearest" and len(features):
        features = np.pad(features, ends, mode="edge")
    frames = len(features) - width + 1
    if mode == "interp" and frames < 1:
        raise UsageError(
            f"{len(features)} frames are too few for deltas over {width} with mode 'interp': "
            "choose a smaller width, or mode 'nearest'"
        )
    slope = np.zeros((max(frames, 0), *features.shape[1:]), features.dtype)
    if frames > 0:
        weights = _savitzky_golay(width, order)
        for k, weight in enumerate(weights):
            slope += features.dtype.type(weight) * features[k : k + frames]
    # The polynomial that fits the first frames has the same derivative at all of them.
    return np.pad(slope, ends, mode="edge") if mode == "interp" else slope


def real_cepstrum(power: Floats, *, floor: float = FLOOR) -> Floats:
    """Give the inverse Fourier transform of the log magnitude spectrum.

    c = F^-1 ln|F x|, over quefrencies n / sample_rate. It is even, so that its
    first half is all of it.

    Parameters
    ----------
    power : ndarray, shape (frames, bins)
        Power spectra |F x|^2.
    floor : float
        Power is taken to be no less than this.

    Returns
    -------
    ndarray, shape (frames, bins)
        For n = 0 ... n_fft / 2. Silence has c_0 = ln(floor) / 2, and zeros.

    References
    ----------
    A. Oppenheim, R. Schafer, Discrete-Time Signal Processing, chapter 13.

    Examples
    --------
    >>> real_cepstrum(np.full((1, 3), np.exp(2.0))).round(6).tolist()
    [[1.0, 0.0, 0.0]]
    """
    log_power = np.log(np.maximum(power, floor))
    # The transform of an even spectrum is a cosine transform of type I of its half. Most of a
    # log spectrum is its mean, taken out so that single precision is spent on the rest.
    mean = log_power.mean(axis=-1, keepdims=True)
    import scipy.fft  # only what needs it waits for it

    cepstrum: Floats = scipy.fft.dct(log_power - mean, type=1)
    cepstrum *= 0.25 / (power.shape[-1] - 1)
    cepstrum[:, :1] += 0.5 * mean
    return cepstrum


def power_cepstrum(power: Floats, *, floor: float = FLOOR) -> Floats:
    """Give the power spectrum of the log power spectrum.

    |F^-1 ln|F x|^2|^2, over quefrencies n / sample_rate, as the cepstrum was
    first defined. An echo, or a voice of a steady pitch, makes a peak at its
    delay or period.

    Parameters
    ----------
    power : ndarray, shape (frames, bins)
        Power spectra |F x|^2.
    floor : float
        Power is taken to be no less than this.

    Returns
    -------
    ndarray, shape (frames, bins)
        For n = 0 ... n_fft / 2, not negative. Silence has ln(floor)^2 at n = 0,
        and zeros.

    References
    ----------
    B. Bogert, M. Healy, J. Tukey, The quefrency alanysis of time series for
    echoes, Proc. Symposium on Time Series Analysis, 1963.

    Examples
    --------
    >>> power_cepstrum(np.full((1, 3), np.exp(2.0))).round(6).tolist()
    [[4.0, 0.0, 0.0]]
    """
    return (2.0 * real_cepstrum(power, floor=floor)) ** 2


def cepstral_peak_prominence(
    cepstrum: Floats,
    sample_rate: int,
    *,
    f0_min: float = 60.0,
    f0_max: float = 1000.0 / 3.0,
    line_from: float = 0.001,
) -> Floats:
    """Tell how far the cepstrum's peak at the pitch stands out, in dB.

    The height of the highest value of 10 log10 of the power cepstrum between
    the periods of `f0_max` and `f0_min`, above the straight line that fits
    these dB best from `line_from` to the longest quefrency. Noise alone has
    about 14 dB, the highest of its chance peaks, and clear voices have 20 to
    35 dB. It does not depend on the loudness.

    Hillenbrand takes frames of 41 ms with a Hamming window, and f0 from 60 to
    300 Hz; the range here is that of Praat, which gives the same numbers with
    a straight trend line to the longest quefrency, least squares and no
    interpolation. For the smoothed measure (CPPS) average the power cepstra
    over time and quefrency first.

    Parameters
    ----------
    cepstrum : ndarray, shape (frames, quefrencies)
        From :func:`power_cepstrum`.
    sample_rate : int
        In Hz.
    f0_min, f0_max : float
        Where the pitch may lie, in Hz.
    line_from : float
        Where the line begins, in seconds: the vocal tract is below.

    Returns
    -------
    ndarray, shape (frames,)
        In dB. Silence has 0.

    Raises
    ------
    UsageError
        If the frames are too short for a period of `f0_min`.

    References
    ----------
    J. Hillenbrand, R. Cleveland, R. Erickson, Acoustic correlates of breathy
    vocal quality, J. Speech and Hearing Research 37, 1994.

    Examples
    --------
    >>> pulses = np.zeros((1, 2048)); pulses[:, ::80] = 1.0  # 200 Hz at 16 kHz
    >>> power = np.abs(np.fft.rfft(pulses * np.hamming(2048))) ** 2
    >>> bool(cepstral_peak_prominence(power_cepstrum(power), 16000)[0] > 20)
    True
    """
    longest = cepstrum.shape[-1] - 1
    first, last = int(np.ceil(sample_rate / f0_max)), int(sample_rate / f0_min)
    if not 0 < first <= last <= longest:
        raise UsageError(
            f"a pitch from {f0_min:g} to {f0_max:g} Hz cannot be seen in frames of "
            f"{2 * longest} samples at {sample_rate} Hz: choose f0_min < f0_max, and "
            f"frames of at least {2 * last} samples"
        )
    level = 10.0 * np.log10(np.maximum(cepstrum, _CEPSTRAL_FLOOR))
    start = min(int(np.ceil(line_from * sample_rate)), longest - 1)
    quefrency = np.arange(start, longest + 1, dtype=level.dtype)
    centred = quefrency - quefrency.mean()
    mean = level[:, start:].mean(axis=-1)
    slope = (level[:, start:] - mean[:, np.newaxis]) @ (centred / np.sum(centred**2))
    peak = first + np.argmax(level[:, first : last + 1], axis=-1)
    height = np.take_along_axis(level, peak[:, np.newaxis], axis=-1)[:, 0]
    line: Floats = mean + slope * (peak.astype(level.dtype) - quefrency.mean())
    return height - line
