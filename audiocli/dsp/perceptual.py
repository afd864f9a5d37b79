"""Perceptual linear prediction (PLP), and RASTA filtering.

The power spectrum is gathered into critical bands, weighted by equal loudness, compressed to
loudness, and the result modelled by a few poles. RASTA processing keeps of
each band's log energy only what changes at the pace of speech, so that a
constant colouration, of a microphone or a telephone line, drops out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audiocli.dsp.cepstral import FLOOR
from audiocli.dsp.filterbanks import apply_filterbank, bark_centres, bark_filterbank
from audiocli.dsp.linear_prediction import levinson, lpcc
from audiocli.errors import UsageError

__all__ = ["cepstra_of_bands", "equal_loudness", "plp", "rasta_filter", "rasta_plp"]

Floats = NDArray[np.floating[Any]]
Doubles = NDArray[np.float64]

_RASTA_TAPS = np.array([0.2, 0.1, 0.0, -0.1, -0.2])  # a slope over five frames


def plp(
    power: Floats,
    sample_rate: int,
    n_coefficients: int = 13,
    *,
    order: int = 12,
    compression: float = 0.33,
    treble: bool = False,
) -> Floats:
    """Give the cepstra of perceptual linear prediction.

    Critical bands (:func:`audiocli.dsp.filterbanks.bark_filterbank`), then
    :func:`cepstra_of_bands`. The paper takes frames of 20 ms with a Hamming
    window.

    Parameters
    ----------
    power : ndarray, shape (frames, bins)
        Power spectra, of transforms of even length.
    sample_rate : int
        In Hz.
    n_coefficients : int
        Number of cepstral coefficients, c0 included.
    order : int
        Number of poles. The paper finds 5 best across speakers; 8 to 12 is
        common.
    compression : float
        Exponent from intensity to loudness, the paper's cube root.
    treble : bool
        See :func:`equal_loudness`.

    Returns
    -------
    ndarray, shape (frames, n_coefficients)
        Silence has ln(1e-10), 0 ... 0.

    References
    ----------
    H. Hermansky, Perceptual linear predictive (PLP) analysis of speech,
    JASA 87(4), 1990.

    Examples
    --------
    >>> power = np.random.default_rng(0).random((7, 257), np.float32)
    >>> plp(power, 16000).shape
    (7, 13)
    """
    bands = apply_filterbank(power, bark_filterbank(sample_rate, 2 * (power.shape[-1] - 1)))
    return cepstra_of_bands(
        bands,
        bark_centres(sample_rate),
        n_coefficients,
        order=order,
        compression=compression,
        treble=treble,
    )


def rasta_plp(
    power: Floats,
    sample_rate: int,
    n_coefficients: int = 13,
    state: Doubles | None = None,
    *,
    order: int = 12,
    compression: float = 0.33,
    treble: bool = False,
    pole: float = 0.94,
    floor: float = FLOOR,
) -> tuple[Floats, Doubles | None]:
    """Give the cepstra of perceptual linear prediction after RASTA filtering.

    The logs of the critical bands go through :func:`rasta_filter`, and back
    through the exponential into :func:`cepstra_of_bands`. The filter is made
    for 100 frames a second.

    Parameters
    ----------
    power : ndarray, shape (frames, bins)
        Power spectra, of transforms of even length.
    sample_rate : int
        In Hz.
    n_coefficients : int
        Number of cepstral coefficients, c0 included.
    state : ndarray, optional
        What the call for the block before returned; None at the beginning.
    order, compression, treble
        See :func:`plp`.
    pole : float
        See :func:`rasta_filter`.
    floor : float
        Bands are taken to hold no less power than this.

    Returns
    -------
    cepstra : ndarray, shape (frames, n_coefficients)
        A constant spectrum, silence too, has the cepstra of bands of power 1.
    state : ndarray
        For the next block. Blocks one after the other give what the whole does.

    References
    ----------
    H. Hermansky, N. Morgan, RASTA processing of speech, IEEE Trans. Speech and
    Audio Processing 2(4), 1994.

    Examples
    --------
    >>> power = np.random.default_rng(0).random((7, 257), np.float32)
    >>> cepstra, state = rasta_plp(power, 16000)
    >>> more, state = rasta_plp(power, 16000, state=state)
    >>> cepstra.shape, more.shape
    ((7, 13), (7, 13))
    """
    bands = apply_filterbank(power, bark_filterbank(sample_rate, 2 * (power.shape[-1] - 1)))
    changes, state = rasta_filter(np.log(np.maximum(bands, floor)), state, pole=pole)
    cepstra = cepstra_of_bands(
        np.exp(changes),
        bark_centres(sample_rate),
        n_coefficients,
        order=order,
        compression=compression,
        treble=treble,
    )
    return cepstra, state


def rasta_filter(
    log_bands: Floats, state: Doubles | None = None, *, pole: float = 0.94
) -> tuple[Floats, Doubles | None]:
    """Filter each band over time with the band pass of RASTA.

    H(z) = (0.2 + 0.1 z^-1 - 0.1 z^-3 - 0.2 z^-4) / (1 - pole z^-1): no output
    for what is constant, most at about 6 Hz for 100 frames a second. The paper
    multiplies by z^4, which only takes back a delay; output here is causal, as
    in other implementations. Before the first frame the input is taken to have
    been like it for ever, so that a stream begins without a jolt; rastamat
    gives zeros for four frames instead.

    Parameters
    ----------
    log_bands : ndarray, shape (frames, bands)
        Natural logs of band energies.
    state : ndarray, optional
        What the call for the block before returned; None at the beginning.
    pole : float
        0.94, as rastamat has it, or the paper's 0.98, which remembers three
        times as long.

    Returns
    -------
    filtered : ndarray, shape (frames, bands)
        Of the same type; 0 where the input does not change.
    state : ndarray, shape (4, bands)
        For the next block; None as long as there was no frame.

    References
    ----------
    H. Hermansky, N. Morgan, 1994, equation 1.

    Examples
    --------
    >>> filtered, _ = rasta_filter(np.array([[5.0], [5.0], [6.0]]))
    >>> (filtered.round(6) + 0.0).ravel().tolist()
    [0.0, 0.0, 0.2]
    """
    from scipy.signal import lfilter, lfilter_zi  # takes longer to import than all else here

    if len(log_bands) == 0:
        return log_bands, state
    poles = np.array([1.0, -pole])
    if state is None:
        state = lfilter_zi(_RASTA_TAPS, poles)[:, np.newaxis] * log_bands[0]
    filtered, state = lfilter(_RASTA_TAPS, poles, log_bands, axis=0, zi=state)
    return filtered.astype(log_bands.dtype, copy=False), state


def equal_loudness(frequency: ArrayLike, *, treble: bool = False) -> Doubles:
    """Give the equal-loudness curve at about 40 dB, as a factor to power.

    E = (w^2 + 56.8e6) w^4 / ((w^2 + 6.3e6)^2 (w^2 + 0.38e9)), w = 2 pi f; its
    scale is arbitrary.

    Parameters
    ----------
    frequency : array_like
        In Hz.
    treble : bool
        Multiply by 9.58e26 / (w^6 + 9.58e26), the loss above 5 kHz, which the
        paper suggests for higher sample rates and others leave out.

    Returns
    -------
    ndarray
        The factor, from 0 at 0 Hz to about 1.

    References
    ----------
    H. Hermansky, JASA 87(4), 1990, equations 7 and 8.

    Examples
    --------
    >>> equal_loudness([0.0, 100.0, 4000.0]).round(3).tolist()
    [0.0, 0.001, 0.667]
    """
    w2 = (2.0 * np.pi * np.asarray(frequency, np.float64)) ** 2
    weight = (w2 + 56.8e6) * w2**2 / ((w2 + 6.3e6) ** 2 * (w2 + 0.38e9))
    return weight * (9.58e26 / (w2**3 + 9.58e26)) if treble else weight


def cepstra_of_bands(
    bands: Floats,
    centres: ArrayLike,
    n_coefficients: int = 13,
    *,
    order: int = 12,
    compression: float = 0.33,
    treble: bool = False,
) -> Floats:
    """Give the cepstra of an all-pole model of loudness over critical bands.

    Bands are weighted by :func:`equal_loudness` and raised to the power of
    `compression`; the first and the last, which are not well defined, become
    like their neighbours. The inverse Fourier transform of that spectrum is an
    autocorrelation, of which Levinson's recursion makes a predictor, and its
    cepstrum is the result.

    Parameters
    ----------
    bands : ndarray, shape (frames, bands)
        Power, in bands equally spaced from 0 Hz to half the sample rate.
    centres : array_like, shape (bands,)
        Their frequencies in Hz.
    n_coefficients : int
        Number of cepstral coefficients, c0 included.
    order : int
        Number of poles, below the number of bands.
    compression : float
        Exponent from intensity to loudness.
    treble : bool
        See :func:`equal_loudness`.

    Returns
    -------
    ndarray, shape (frames, n_coefficients)
        See :func:`audiocli.dsp.linear_prediction.lpcc`. Silence has ln(1e-10),
        0 ... 0.

    Raises
    ------
    UsageError
        If there are not more bands than poles.

    References
    ----------
    H. Hermansky, JASA 87(4), 1990, section I.

    Examples
    --------
    >>> bands = np.ones((2, 18), np.float32)
    >>> cepstra_of_bands(bands, bark_centres(10000), 3, order=5).shape
    (2, 3)
    """
    n_bands = bands.shape[-1]
    if not 1 <= order < n_bands:
        raise UsageError(
            f"{order} poles cannot be fitted to {n_bands} critical bands: "
            f"choose an order from 1 to {n_bands - 1}, or a higher sample rate"
        )
    loudness = (bands * equal_loudness(centres, treble=treble)) ** compression
    loudness[:, 0], loudness[:, -1] = loudness[:, 1], loudness[:, -2]
    # An even spectrum of 2 (bands - 1) points, transformed back
    import scipy.fft  # only what needs it waits for it

    r = scipy.fft.dct(loudness, type=1) / (2 * (n_bands - 1))
    cepstra = lpcc(levinson(r, order), n_coefficients, floor=FLOOR)
    return cepstra.astype(bands.dtype, copy=False)
