"""The texture of the spectrum: noise or tone, jagged or smooth, as a whole and band by band."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocli.dsp.rows import row_products
from audiocli.errors import UsageError

__all__ = [
    "band_edges",
    "band_flatness",
    "contrast",
    "crest",
    "entropy",
    "flatness",
    "irregularity_jensen",
    "irregularity_krimphoff",
]

Floats = NDArray[np.floating[Any]]

#: How many numbers share one logarithm, and what they may be for their product to fit into float64.
SHARED, SMALLEST = 16, 1e-18


def flatness(power: Floats, floor: float = 1e-10) -> Floats:
    """Measure how noise-like spectra are: geometric over arithmetic mean.

    exp(mean(ln(p))) / mean(p) with p = max(power, floor). librosa's
    `spectral_flatness`, which takes magnitudes and squares them.

    Parameters
    ----------
    power : ndarray, shape (frames, bins)
        Power spectra.
    floor : float
        Lower powers count as this (librosa's `amin`).

    Returns
    -------
    ndarray, shape (frames,)
        From 0 (a tone) to 1 (a flat spectrum), about 0.56 for white noise;
        1 for silence.

    References
    ----------
    S. Dubnov, Generalization of spectral flatness measure for non-Gaussian linear processes,
    IEEE Signal Processing Letters 11(8), 2004.

    Examples
    --------
    >>> flatness(np.array([[1.0, 4.0], [3.0, 3.0], [0.0, 0.0]])).round(6)
    array([0.8, 1. , 1. ])
    """
    raised = _raised(power, floor)
    mean = raised @ np.full(raised.shape[1], 1 / raised.shape[1], raised.dtype)
    highest = float(mean.max(initial=0)) * raised.shape[1]
    fits = floor >= SMALLEST and highest <= 1 / SMALLEST
    geometric = np.exp(_log_mean(raised, SHARED if fits else 1))
    ratio: Floats = np.minimum(geometric / mean, 1)
    return ratio


def _raised(power: Floats, floor: float) -> Floats:
    """Raise powers to the floor: numpy's clip takes less than half the time of its maximum."""
    return np.clip(power, floor, np.inf)


def _log_mean(values: Floats, shared: int) -> Floats:
    """Give the mean logarithm of each row, so many of whose positive numbers share one.

    The logarithm of a product is the sum of theirs, and a product costs a tenth of a logarithm.
    """
    product, total = values, np.zeros(len(values))
    while shared > 1:
        half = product.shape[1] // 2
        if product.shape[1] % 2:
            total += np.log(product[:, -1])
        product = product[:, :half] * product[:, half : 2 * half]
        product = product.astype(np.float64, copy=False)  # two fit into float32
        shared //= 2
    total += np.log(product).sum(axis=1)
    mean: Floats = (total / values.shape[1]).astype(values.dtype)
    return mean


def band_edges(
    low: float, high: float, bands_per_octave: float, overlap: float = 0.0
) -> NDArray[np.float64]:
    """Give the edges of bands that are equally wide on a scale of octaves.

    As many whole bands as there is room for: ``band_edges(125, 8000, 1)`` are
    six octaves. MPEG-7's bands for flatness are quarters of an octave from
    250 Hz up, each widened by 5 % at both ends:
    ``band_edges(250, min(16000, sample_rate / 2), 4, overlap=0.05)``.

    Parameters
    ----------
    low, high : float
        Where the first band begins, and where the last ends at most, in Hz.
    bands_per_octave : float
        Bands to an octave.
    overlap : float
        Multiply upper edges by 1 + overlap, lower ones by 1 - overlap.

    Returns
    -------
    ndarray, shape (bands, 2)
        Lower and upper edge of each band, in Hz.

    Raises
    ------
    UsageError
        If there is no room for a band.

    References
    ----------
    ISO/IEC 15938-4:2002, Multimedia content description interface (MPEG-7), part 4: Audio.

    Examples
    --------
    >>> band_edges(250, 1000, 1)
    array([[ 250.,  500.],
           [ 500., 1000.]])
    """
    # A little more, because the logarithm of 8 / 1 may come out below 3.
    count = int(np.log2(high / low) * bands_per_octave + 1e-9) if 0 < low < high else 0
    if count < 1:
        raise UsageError(
            f"bands: no room for 1/{bands_per_octave:g} octave between {low:g} and {high:g} Hz; "
            "the lower edge must be above 0, and the upper far enough above it"
        )
    edges = low * 2 ** (np.arange(count + 1) / bands_per_octave)
    return np.stack([edges[:-1] * (1 - overlap), edges[1:] * (1 + overlap)], axis=1)


def band_flatness(
    power: Floats, frequencies: Floats, edges: Floats, floor: float = 1e-10
) -> Floats:
    """Measure how noise-like each band is: :func:`flatness` of its bins.

    Parameters
    ----------
    power : ndarray, shape (frames, bins)
        Power spectra.
    frequencies : ndarray, shape (bins,)
        Of the bins, in Hz.
    edges : ndarray, shape (bands, 2)
        Lower and upper edge of each band, in Hz, as from :func:`band_edges`.
        A band holds the bins from its lower edge to below its upper edge. In
        one that holds none, the bin next to its middle stands for it, and its
        flatness is 1.
    floor : float
        Lower powers count as this.

    Returns
    -------
    ndarray, shape (frames, bands)
        From 0 to 1; 1 for silence.

    Raises
    ------
    UsageError
        If a band begins above all frequencies.

    Notes
    -----
    MPEG-7 takes means of neighbouring bins above 1 kHz first, to save work,
    which makes the flatness there higher. Here every bin counts.

    References
    ----------
    ISO/IEC 15938-4:2002, Multimedia content description interface (MPEG-7), part 4: Audio.

    Examples
    --------
    >>> power = np.array([[1.0, 1.0, 1.0, 4.0, 1.0]])
    >>> edges = band_edges(100, 400, 1)
    >>> band_flatness(power, np.arange(5) * 100.0, edges).round(6)
    array([[1. , 0.8]])
    """
    members = _members(frequencies, edges).astype(power.dtype)
    raised = _raised(power, floor)
    mean = raised @ members
    geometric = np.exp(np.log(raised, out=raised) @ members)
    return np.minimum(geometric / mean, 1)


def _members(frequencies: Floats, edges: Floats) -> NDArray[np.float64]:
    """Give the matrix (bins, bands) that takes the mean over each band."""
    begins_above = edges[:, 0] > frequencies[-1]
    if begins_above.any():
        raise UsageError(
            f"bands: a band begins at {edges[begins_above][0, 0]:g} Hz, above the highest "
            f"frequency of {frequencies[-1]:g} Hz; use bands below half the sample rate"
        )
    rising = frequencies[:, None]
    inside = (rising >= edges[:, 0]) & (rising < edges[:, 1])
    empty = np.flatnonzero(~inside.any(axis=0))
    nearest = np.abs(rising - edges[empty].mean(axis=1)).argmin(axis=0)
    inside[nearest, empty] = True
    means: NDArray[np.float64] = inside / inside.sum(axis=0)
    return means


def contrast(
    magnitude: Floats,
    frequencies: Floats,
    *,
    fmin: float = 200.0,
    n_bands: int = 6,
    quantile: float = 0.02,
    linear: bool = False,
    top_db: float | None = None,
) -> Floats:
    """Measure how far peaks stand above valleys in each octave.

    In each band 10 log10(peak) - 10 log10(valley), where peak and valley are
    the means of the highest and of the lowest `quantile` of its magnitudes.
    The bands are [0, fmin], [fmin, 2 fmin], [2 fmin, 4 fmin], ..., the last one
    reaching to the end of the spectrum; to each belong the bin before its
    lower edge, and not the last before its upper edge: as in librosa's
    `spectral_contrast`, whose result this is up to `top_db`.

    Parameters
    ----------
    magnitude : ndarray, shape (frames, bins)
        Magnitude spectra.
    frequencies : ndarray, shape (bins,)
        Of the bins, in Hz.
    fmin : float
        Where the lowest octave begins, in Hz.
    n_bands : int
        Number of octaves above.
    quantile : float
        The part of a band's bins that makes the peak, and the valley; one
        bin at least.
    linear : bool
        Give peak - valley instead.
    top_db : float, optional
        Raise peaks and valleys to what is so many dB below the highest of all
        peaks, or of all valleys, of the frames given. librosa does so with
        80 dB over the whole file, which makes every frame depend on all.

    Returns
    -------
    ndarray, shape (frames, n_bands + 1)
        In dB, or magnitudes if linear; 0 for silence. Magnitudes below 1e-10
        count as that.

    Raises
    ------
    UsageError
        If a band has no bins, or the quantile is not between 0 and 1.

    References
    ----------
    D. Jiang, L. Lu, H. Zhang, J. Tao, L. Cai, Music type classification by spectral contrast
    feature, ICME 2002.

    Examples
    --------
    >>> frequencies = np.arange(1025) * 22050 / 2048
    >>> contrast(np.ones((3, 1025)), frequencies).shape
    (3, 7)
    """
    if not 0 < quantile < 1:
        raise UsageError(f"contrast: quantile {quantile} is not between 0 and 1; 2 % is 0.02")
    bands = _octaves(frequencies, fmin, n_bands)
    valleys = np.empty((len(magnitude), len(bands)), magnitude.dtype)
    peaks = np.empty_like(valleys)
    for index, (begin, end, held) in enumerate(bands):
        count = min(max(round(quantile * held), 1), end - begin)
        band = magnitude[:, begin:end]
        valleys[:, index], peaks[:, index] = _extremes(band, count)
    if linear:
        return peaks - valleys
    return _decibels(peaks, top_db) - _decibels(valleys, top_db)


def _octaves(frequencies: Floats, fmin: float, n_bands: int) -> list[tuple[int, int, int]]:
    """Give first bin, end, and the number of bins that the quantile is of, for each band."""
    edges = [0.0, *(fmin * 2.0**octave for octave in range(n_bands + 1))]
    from_edges = np.searchsorted(frequencies, edges, "left").tolist()
    past_edges = np.searchsorted(frequencies, edges, "right").tolist()
    bands = []
    for index, (low, high) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        begin = from_edges[index] - (index > 0)
        last = index == n_bands
        end = len(frequencies) if last else past_edges[index + 1]
        held = end - begin
        end -= not last
        if end <= begin or low >= frequencies[-1]:
            raise UsageError(
                f"contrast: no bins between {low:g} and {high:g} Hz in a spectrum of "
                f"{len(frequencies)} bins up to {frequencies[-1]:g} Hz; "
                "use a longer n_fft, fewer bands or another fmin"
            )
        bands.append((begin, end, held))
    return bands


def _extremes(band: Floats, count: int) -> tuple[Floats, Floats]:
    """Give the means of the lowest and of the highest magnitudes of each frame."""
    if count == 1:
        return band.min(axis=1), band.max(axis=1)
    # numpy sorts with vector instructions, and so is faster than with partitions for both ends.
    rising = np.sort(band, axis=1)
    return rising[:, :count].mean(axis=1), rising[:, -count:].mean(axis=1)


def _decibels(values: Floats, top_db: float | None) -> Floats:
    decibels: Floats = 10 * np.log10(np.maximum(values, 1e-10))
    if top_db is not None and decibels.size:
        decibels = np.maximum(decibels, decibels.max() - top_db)
    return decibels


def entropy(spectrum: Floats) -> Floats:
    """Measure how evenly spectra are spread, from 0 to 1.

    -sum(p ln(p)) / ln(bins) with p = m / sum(m).

    Parameters
    ----------
    spectrum : ndarray, shape (frames, bins)
        Magnitude spectra, or power spectra, whose entropy is lower.

    Returns
    -------
    ndarray, shape (frames,)
        0 for a single bin, 1 for a flat spectrum; 0 for silence. Times
        log2(bins) it is the entropy in bits.

    References
    ----------
    H. Misra, S. Ikbal, H. Bourlard, H. Hermansky, Spectral entropy based feature for robust
    ASR, ICASSP 2004.

    Examples
    --------
    >>> entropy(np.array([[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 5.0, 0.0]]))
    array([1. , 0.5, 0. ])
    """
    total = spectrum.sum(axis=1, keepdims=True)
    part = spectrum / np.where(total > 0, total, 1)
    # 0 ln(0) is 0: the smallest number stands for 0 in the logarithm.
    surprise = np.log(np.maximum(part, np.finfo(part.dtype).tiny))
    spread = np.abs(row_products(part, surprise))
    evenness: Floats = np.minimum(spread / math.log(max(part.shape[1], 2)), 1)
    return evenness


def crest(spectrum: Floats) -> Floats:
    """Measure how far the highest bin stands out, max(m) / mean(m).

    Parameters
    ----------
    spectrum : ndarray, shape (frames, bins)
        Magnitude spectra (Peeters), or power spectra (MPEG-7).

    Returns
    -------
    ndarray, shape (frames,)
        From 1 (a flat spectrum) to the number of bins (a single one);
        0 for silence.

    References
    ----------
    G. Peeters, A large set of audio features for sound description (similarity and
    classification) in the CUIDADO project, IRCAM, 2004.

    Examples
    --------
    >>> crest(np.array([[1.0, 1.0, 1.0, 1.0], [0.0, 3.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]]))
    array([1., 3., 0.])
    """
    mean = spectrum.mean(axis=1)
    highest: Floats = spectrum.max(axis=1)
    return highest / np.where(mean > 0, mean, 1)


def irregularity_jensen(magnitude: Floats) -> Floats:
    """Measure how jagged spectra are, by the differences of neighbours.

    sum((m[k] - m[k + 1])^2) / sum(m[k]^2), with a 0 behind the last bin.
    (LibXtract leaves out the difference to that 0.)

    Parameters
    ----------
    magnitude : ndarray, shape (frames, bins)
        Magnitude spectra; or the amplitudes of harmonics, for which Jensen
        defined it.

    Returns
    -------
    ndarray, shape (frames,)
        From 0 to below 4, the same at any level; 0 for silence, 2 where
        every other bin is empty.

    References
    ----------
    K. Jensen, Timbre models of musical sounds, PhD thesis, University of Copenhagen, 1999.

    Examples
    --------
    >>> irregularity_jensen(np.array([[0.0, 2.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]))
    array([2.        , 0.33333333, 0.        ])
    """
    difference = np.diff(magnitude, axis=1)
    last = magnitude[:, -1]
    jagged = row_products(difference, difference) + last * last
    energy = row_products(magnitude, magnitude)
    return np.where(energy > 0, jagged, 0) / np.where(energy > 0, energy, 1)


def irregularity_krimphoff(
    magnitude: Floats, decibels: bool = False, floor: float = 1e-5
) -> Floats:
    """Measure how jagged spectra are, by what stands out from the mean of three.

    sum(abs(m[k] - (m[k - 1] + m[k] + m[k + 1]) / 3)), over all bins that have
    two neighbours.

    Parameters
    ----------
    magnitude : ndarray, shape (frames, bins)
        Magnitude spectra; or the amplitudes of harmonics, for which it was
        defined.
    decibels : bool
        Take 20 log10 of the magnitudes, as the paper does (and the logarithm
        of the result besides), instead of the magnitudes (LibXtract).
    floor : float
        Only in decibels: lower magnitudes count as this.

    Returns
    -------
    ndarray, shape (frames,)
        0 for a flat or straight spectrum, and for silence. In decibels
        the same at any level.

    References
    ----------
    J. Krimphoff, S. McAdams, S. Winsberg, Caracterisation du timbre des sons complexes II:
    analyses acoustiques et quantification psychophysique, Journal de Physique IV, C5, 1994.

    Examples
    --------
    >>> irregularity_krimphoff(np.array([[0.0, 3.0, 0.0, 0.0], [0.0, 1.0, 2.0, 3.0]]))
    array([3., 0.])
    """
    if decibels:
        magnitude = 20 * np.log10(np.maximum(magnitude, floor))
    curvature = np.diff(magnitude, n=2, axis=1)  # minus three times what stands out
    jagged: Floats = np.abs(curvature, out=curvature).sum(axis=1)
    return jagged / 3
