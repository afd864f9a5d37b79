"""Perceptual frequency scales, and the filterbanks that lie on them.

A filterbank is a matrix of weights of shape (bands, bins). Spectra have their
bins last, so :func:`apply_filterbank` takes (frames, bins) to (frames, bands).
Matrices are made once for each set of arguments and shared, hence read-only.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audiocli.errors import UsageError, check_choice

__all__ = [
    "BandGroups",
    "apply_filterbank",
    "band_groups",
    "bark_centres",
    "bark_filterbank",
    "bark_to_hz",
    "hz_to_bark",
    "hz_to_mel",
    "mel_filterbank",
    "mel_to_hz",
]

Floats = NDArray[np.floating[Any]]
MelScale = Literal["slaney", "htk"]
BarkScale = Literal["traunmueller", "schroeder"]

#: So many neighbouring bands are summed by one product of matrices.
GROUP = 16

# Slaney's mel scale: linear up to 1 kHz, then 27 steps from there to 6.4 kHz.
_HZ_PER_MEL = 200.0 / 3.0
_CORNER_HZ = 1000.0
_CORNER_MEL = _CORNER_HZ / _HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27.0


def hz_to_mel(frequency: ArrayLike, scale: MelScale = "slaney") -> NDArray[np.float64]:
    """Give the mel value of a frequency.

    ``htk`` is 2595 log10(1 + f/700). ``slaney`` is 3f/200 up to 1 kHz and
    15 + 27 ln(f/1000) / ln(6.4) from there on; it is librosa's default. Both
    equal ``librosa.hz_to_mel``.

    Parameters
    ----------
    frequency : array_like
        In Hz, not negative.
    scale : {"slaney", "htk"}
        Which of the two scales in use.

    Returns
    -------
    ndarray
        In mel of that scale; the units of the two differ.

    References
    ----------
    M. Slaney, Auditory Toolbox, Technical Report 1998-010, Interval Research.
    S. Young et al., The HTK Book, section 5.4.

    Examples
    --------
    >>> round(float(hz_to_mel(1000.0)), 2), round(float(hz_to_mel(1000.0, "htk")), 2)
    (15.0, 999.99)
    """
    hz = np.asarray(frequency, np.float64)
    if scale == "htk":
        return 2595.0 * np.log10(1.0 + hz / 700.0)
    check_choice("scale", scale, ("slaney", "htk"))
    high = _CORNER_MEL + np.log(np.maximum(hz, _CORNER_HZ) / _CORNER_HZ) / _LOG_STEP
    return np.where(hz < _CORNER_HZ, hz / _HZ_PER_MEL, high)


def mel_to_hz(mel: ArrayLike, scale: MelScale = "slaney") -> NDArray[np.float64]:
    """Give the frequency of a mel value: the inverse of :func:`hz_to_mel`.

    Parameters
    ----------
    mel : array_like
        In mel of that scale.
    scale : {"slaney", "htk"}
        Which of the two scales in use.

    Returns
    -------
    ndarray
        In Hz.

    Examples
    --------
    >>> round(float(mel_to_hz(15.0)), 2), round(float(mel_to_hz(1000.0, "htk")), 2)
    (1000.0, 1000.02)
    """
    value = np.asarray(mel, np.float64)
    if scale == "htk":
        return 700.0 * (10.0 ** (value / 2595.0) - 1.0)
    check_choice("scale", scale, ("slaney", "htk"))
    high = _CORNER_HZ * np.exp(_LOG_STEP * np.maximum(value - _CORNER_MEL, 0.0))
    return np.where(value < _CORNER_MEL, value * _HZ_PER_MEL, high)


def hz_to_bark(frequency: ArrayLike, scale: BarkScale = "traunmueller") -> NDArray[np.float64]:
    """Give the critical-band rate of a frequency, in Bark.

    ``traunmueller`` is z = 26.81 f / (1960 + f) - 0.53, with his corrections
    of 0.15 (2 - z) below 2 Bark and 0.22 (z - 20.1) above 20.1 Bark; it is the
    closer one to Zwicker's table. ``schroeder`` is 6 asinh(f/600), on which
    perceptual linear prediction is built.

    Parameters
    ----------
    frequency : array_like
        In Hz, not negative.
    scale : {"traunmueller", "schroeder"}
        Which formula.

    Returns
    -------
    ndarray
        In Bark. At 0 Hz it is -0.15 with ``traunmueller`` and 0 with
        ``schroeder``.

    References
    ----------
    H. Traunmueller, Analytical expressions for the tonotopic sensory scale,
    JASA 88(1), 1990. H. Hermansky, Perceptual linear predictive (PLP) analysis
    of speech, JASA 87(4), 1990, equation 3.

    Examples
    --------
    >>> hz_to_bark([100.0, 1000.0, 4400.0]).round(1).tolist()
    [1.0, 8.5, 18.0]
    """
    hz = np.asarray(frequency, np.float64)
    if scale == "schroeder":
        return 6.0 * np.arcsinh(hz / 600.0)
    check_choice("scale", scale, ("traunmueller", "schroeder"))
    bark = 26.81 * hz / (1960.0 + hz) - 0.53
    return bark + 0.15 * np.maximum(2.0 - bark, 0.0) + 0.22 * np.maximum(bark - 20.1, 0.0)


def bark_to_hz(bark: ArrayLike, scale: BarkScale = "traunmueller") -> NDArray[np.float64]:
    """Give the frequency of a critical-band rate: the inverse of :func:`hz_to_bark`.

    Parameters
    ----------
    bark : array_like
        In Bark. ``traunmueller`` ends at 27.6 Bark, where the frequency is
        infinite.
    scale : {"traunmueller", "schroeder"}
        Which formula.

    Returns
    -------
    ndarray
        In Hz.

    Examples
    --------
    >>> float(bark_to_hz(hz_to_bark(440.0)).round(6))
    440.0
    """
    value = np.asarray(bark, np.float64)
    if scale == "schroeder":
        return 600.0 * np.sinh(value / 6.0)
    check_choice("scale", scale, ("traunmueller", "schroeder"))
    low, high = (value - 0.3) / 0.85, (value + 4.422) / 1.22  # the corrections undone
    value = np.where(value < 2.0, low, np.where(value > 20.1, high, value))
    return 1960.0 * (value + 0.53) / (26.28 - value)


@lru_cache(maxsize=16)
def mel_filterbank(
    sample_rate: int,
    n_fft: int,
    n_mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
    *,
    scale: MelScale = "slaney",
    norm: Literal["slaney"] | None = "slaney",
    slopes: Literal["hz", "mel"] = "hz",
) -> NDArray[np.float32]:
    """Make overlapping triangular bands, equally spaced on a mel scale.

    Band m rises from the centre of band m - 1 to its own and falls to that of
    band m + 1. With ``slopes="hz"`` the sides are straight over Hz, and the
    matrix equals ``librosa.filters.mel(htk=scale == "htk", norm=norm)``; with
    ``slopes="mel"`` they are straight over mel, as in HTK, Kaldi and openSMILE.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    n_fft : int
        Length of the Fourier transform; there are ``n_fft // 2 + 1`` bins.
    n_mels : int
        Number of bands.
    fmin, fmax : float
        The lower edge of the first and the upper edge of the last band in Hz;
        the last reaches half the sample rate where `fmax` is not given.
    scale : {"slaney", "htk"}
        See :func:`hz_to_mel`.
    norm : {"slaney", None}
        ``slaney``: each triangle over Hz has the area 1. None: the height 1.
    slopes : {"hz", "mel"}
        Over which of the two the sides are straight lines.

    Returns
    -------
    ndarray of float32, shape (n_mels, n_fft // 2 + 1), read-only
        The weights. A band that is narrower than the spacing of the bins may
        hold none of them, and its row is zero.

    Raises
    ------
    UsageError
        If the edges are not in order between 0 and half the sample rate, if
        there are no bands, or a name is none of the choices.

    Examples
    --------
    >>> bank = mel_filterbank(16000, 512, n_mels=40, scale="htk", norm=None)
    >>> bank.shape, bool((bank.sum(axis=0)[20:200] > 0.9).all())
    ((40, 257), True)
    """
    top = sample_rate / 2 if fmax is None else fmax
    if not 0 <= fmin < top <= sample_rate / 2:
        raise UsageError(
            f"mel bands from {fmin:g} Hz to {top:g} Hz are not possible at {sample_rate} Hz: "
            f"choose 0 <= fmin < fmax <= {sample_rate / 2:g}"
        )
    if n_mels < 1:
        raise UsageError(f"{n_mels} mel bands are not possible: choose 1 or more")
    check_choice("slopes", slopes, ("hz", "mel"))
    low, high = hz_to_mel([fmin, top], scale)
    edges_mel = np.linspace(low, high, n_mels + 2)
    edges = mel_to_hz(edges_mel, scale)
    bins = np.fft.rfftfreq(n_fft, 1.0 / sample_rate)
    points, positions = (edges, bins) if slopes == "hz" else (edges_mel, hz_to_mel(bins, scale))
    widths = np.diff(points)[:, np.newaxis]
    distance = positions - points[:, np.newaxis]
    weights = np.maximum(0.0, np.minimum(distance[:-2] / widths[:-1], -distance[2:] / widths[1:]))
    if norm == "slaney":
        weights *= 2.0 / (edges[2:] - edges[:-2])[:, np.newaxis]
    elif norm is not None:
        check_choice("norm", norm, ("slaney",))
    return _frozen(weights)


def bark_centres(sample_rate: int, n_bands: int | None = None) -> NDArray[np.float64]:
    """Give the centres of the critical bands of perceptual linear prediction.

    They divide the range from 0 Hz to half the sample rate into equal steps on
    the scale 6 asinh(f/600), of at most 1 Bark.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    n_bands : int, optional
        Another number of bands.

    Returns
    -------
    ndarray, shape (bands,)
        In Hz, from 0 to half the sample rate.

    References
    ----------
    H. Hermansky, JASA 87(4), 1990: "typically, 18 spectral samples are used to
    cover the 0-16.9 Bark (0-5 kHz) analysis bandwidth in 0.994-Bark steps".

    Examples
    --------
    >>> centres = bark_centres(10000)
    >>> len(centres), round(float(hz_to_bark(centres[1], "schroeder")), 3)
    (18, 0.994)
    """
    top = hz_to_bark(sample_rate / 2, "schroeder")
    bands = int(np.ceil(top)) + 1 if n_bands is None else n_bands
    return bark_to_hz(np.linspace(0.0, top, bands), "schroeder")


@lru_cache(maxsize=16)
def bark_filterbank(
    sample_rate: int, n_fft: int, n_bands: int | None = None
) -> NDArray[np.float32]:
    """Make the critical bands of perceptual linear prediction.

    A tone z Bark above a band's centre counts in it with the weight
    10^(z + 0.5) for -2.5 <= z < -0.5, 1 up to 0.5, 10^(-2.5 (z - 0.5)) up to
    1.3, and 0 elsewhere: the masking curve of the paper, turned round by the
    convolution, because tones mask more of what lies above them. Weights are
    not normalised. The centres are :func:`bark_centres`.

    Rastamat has the same slopes but does not cut them off; some other packages
    leave out the turning round.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    n_fft : int
        Length of the Fourier transform; there are ``n_fft // 2 + 1`` bins.
    n_bands : int, optional
        Another number of bands than that of :func:`bark_centres`.

    Returns
    -------
    ndarray of float32, shape (bands, n_fft // 2 + 1), read-only
        The weights, for spectra of power.

    References
    ----------
    H. Hermansky, JASA 87(4), 1990, equations 3 to 5.

    Examples
    --------
    >>> bark_filterbank(16000, 512).shape
    (21, 257)
    """
    centres = hz_to_bark(bark_centres(sample_rate, n_bands), "schroeder")
    bins = hz_to_bark(np.fft.rfftfreq(n_fft, 1.0 / sample_rate), "schroeder")
    above = bins - centres[:, np.newaxis]
    exponent = np.minimum(0.0, np.minimum(above + 0.5, -2.5 * (above - 0.5)))
    return _frozen(np.where((above >= -2.5) & (above <= 1.3), 10.0**exponent, 0.0))


#: Bands that are summed together: where they begin and end, and the bins that they use.
BandGroups = list[tuple[slice, slice]]


def band_groups(filterbank: Floats) -> BandGroups:
    """Group bands (bands, bins): neighbours share most of their bins, distant ones none."""
    groups: BandGroups = []
    for first in range(0, len(filterbank), GROUP):
        bands = slice(first, first + GROUP)
        used = np.flatnonzero(filterbank[bands].any(axis=0))
        if len(used):
            groups.append((bands, slice(int(used[0]), int(used[-1]) + 1)))
    return groups


def apply_filterbank(
    spectrum: Floats, filterbank: Floats, *, groups: BandGroups | None = None
) -> Floats:
    """Add up the bins of each band: ``spectrum @ filterbank.T``, but sooner.

    Parameters
    ----------
    spectrum : ndarray, shape (frames, bins)
        Power, or magnitude.
    filterbank : ndarray, shape (bands, bins)
        Weights.
    groups : list, optional
        From :func:`band_groups`, where the same filterbank is applied again and again.

    Returns
    -------
    ndarray, shape (frames, bands)
        Of the spectrum's type.

    Examples
    --------
    >>> spectrum = np.ones((5, 257), np.float32)
    >>> apply_filterbank(spectrum, mel_filterbank(16000, 512, 40)).shape
    (5, 40)
    """
    weights = filterbank.astype(spectrum.dtype, copy=False)
    out = np.zeros((len(spectrum), len(weights)), spectrum.dtype)
    for bands, bins in band_groups(weights) if groups is None else groups:
        np.matmul(spectrum[:, bins], weights[bands, bins].T, out=out[:, bands])
    return out


def _frozen(weights: NDArray[np.float64]) -> NDArray[np.float32]:
    """Make weights that callers may share but not change."""
    out = weights.astype(np.float32)
    out.flags.writeable = False
    return out
