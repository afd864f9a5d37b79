"""Tonality: tuning, chroma and tonal centroids from spectra.

The usual order is tuning first, over the whole of a recording
(:class:`TuningEstimator` takes it block by block), then the filters for that
tuning, then chroma and from it the tonal centroids.
"""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from audiocli.errors import UsageError

__all__ = ["TuningEstimator", "chroma", "chroma_filters", "estimate_tuning", "tonnetz"]

Floats = NDArray[np.floating[Any]]
Norm = Literal["max", "sum", "none"]

#: Frequency of A4 at tuning 0, in Hz.
A4 = 440.0

#: Levels of peaks are told apart in steps of this many dB, within this range. Steps of 0.1 dB would
#: already move some estimates: many peaks are as strong as the median.
LEVEL_STEP = 0.02
LEVEL_RANGE = (-120.0, 120.0)

#: Values that are worked on at a time, so that they stay in a core's own cache.
CHUNK = 2**17


def chroma_filters(
    sample_rate: float,
    n_fft: int,
    tuning: float = 0.0,
    n_chroma: int = 12,
    centre_octave: float = 5.0,
    octave_width: float | None = 2.0,
) -> Floats:
    """Make the matrix that folds a power spectrum into pitch classes.

    Each bin belongs to the pitch classes around its own by a Gaussian, one
    semitone or one bin wide, whichever is more; the columns have length 1,
    and a second Gaussian over octaves favours the middle of the range. These
    are the filters of librosa's `filters.chroma` and of Ellis' chromagram.

    Parameters
    ----------
    sample_rate : float
        In Hz.
    n_fft : int
        Length of the transform.
    tuning : float
        How much higher than A4 = 440 Hz the music is tuned, in chroma steps
        (semitones if `n_chroma` is 12), from :func:`estimate_tuning`.
    n_chroma : int
        Pitch classes an octave: a multiple of 12.
    centre_octave : float
        Where the octaves weigh most, in octaves above A0 (27.5 Hz): 5 is A5,
        880 Hz.
    octave_width : float, optional
        Standard deviation of that weight, in octaves; None for all alike.

    Returns
    -------
    ndarray, shape (n_chroma, n_fft // 2 + 1)
        Weights, float32; the first row is C.

    Raises
    ------
    UsageError
        If `n_chroma` is no multiple of 12.

    References
    ----------
    D. Ellis, "Chroma feature analysis and synthesis", 2007,
    https://www.ee.columbia.edu/~dpwe/resources/matlab/chroma-ansyn/

    Examples
    --------
    >>> filters = chroma_filters(22050, 4096)
    >>> int(filters[:, round(440 * 4096 / 22050)].argmax())  # A, counted from C
    9
    """
    if n_chroma < 12 or n_chroma % 12:
        raise UsageError(f"chroma: n_chroma is {n_chroma}; use a multiple of 12")
    bins = np.arange(1, n_fft // 2 + 2)  # one more, for the width of the last
    reference = A4 / 16 * 2 ** (tuning / n_chroma)
    step = n_chroma * np.log2(bins * (sample_rate / n_fft) / reference)
    # The bin at 0 Hz is put one and a half octaves below the next.
    step = np.concatenate([[step[0] - 1.5 * n_chroma], step])
    width = np.maximum(np.diff(step), 1.0)
    step = step[:-1]
    distance = step - np.arange(n_chroma)[:, None]
    half = n_chroma // 2
    distance = np.mod(distance + half, n_chroma) - half
    weights = np.exp(-0.5 * (2 * distance / width) ** 2)
    weights /= np.sqrt(np.square(weights).sum(axis=0))
    if octave_width is not None:
        weights *= np.exp(-0.5 * ((step / n_chroma - centre_octave) / octave_width) ** 2)
    from_c: Floats = np.roll(weights, -3 * (n_chroma // 12), axis=0).astype(np.float32)
    return from_c


def chroma(power: Floats, filters: Floats, norm: Norm = "max") -> Floats:
    """Measure how strong each pitch class is in each frame.

    The power spectrum times the filters, divided by its largest value:
    librosa's `chroma_stft`, given the same power spectrum and tuning.

    Parameters
    ----------
    power : ndarray, shape (frames, bins)
        Power spectra.
    filters : ndarray, shape (n_chroma, bins)
        From :func:`chroma_filters`.
    norm : {"max", "sum", "none"}
        What a frame is divided by. With "none" the unit is that of the
        power.

    Returns
    -------
    ndarray, shape (frames, n_chroma)
        From 0 to 1, C first. Silence has 0.

    Raises
    ------
    UsageError
        If there is no such norm.

    References
    ----------
    D. Ellis, "Chroma feature analysis and synthesis", 2007,
    https://www.ee.columbia.edu/~dpwe/resources/matlab/chroma-ansyn/

    Examples
    --------
    >>> power = np.zeros((1, 2049), np.float32)
    >>> power[0, round(440 * 4096 / 22050)] = 1
    >>> chroma(power, chroma_filters(22050, 4096)).round(1)
    array([[0. , 0. , 0. , 0. , 0. , 0. , 0. , 0. , 0.1, 1. , 0.2, 0. ]],
          dtype=float32)
    """
    if norm not in get_args(Norm):
        raise UsageError(f"chroma: there is no norm {norm!r}; use {', '.join(get_args(Norm))}")
    raw: Floats = power @ filters.T
    if norm == "none":
        return raw
    size = raw.max(axis=1) if norm == "max" else raw.sum(axis=1)
    return raw / _or_one(size)[:, None]


def tonnetz(chromagram: Floats) -> Floats:
    """Project chroma into the space of tonal centroids.

    Three circles, of fifths, minor thirds and major thirds, each with the
    position's sine and cosine: chords that share tones or are related by
    fifths are close. The same as librosa's `tonnetz` given the same chroma.

    Parameters
    ----------
    chromagram : ndarray, shape (frames, n_chroma)
        From :func:`chroma`, of any norm.

    Returns
    -------
    ndarray, shape (frames, 6)
        Fifths x and y, minor thirds x and y (within -1 and 1), major thirds
        x and y (within -0.5 and 0.5). Silence has 0.

    References
    ----------
    C. Harte, M. Sandler and M. Gasser, "Detecting harmonic change in musical
    audio", Proc. ACM Workshop on Audio and Music Computing Multimedia, 2006.

    Examples
    --------
    >>> tonnetz(np.eye(12, dtype=np.float32)[:1])  # C alone
    array([[0. , 1. , 0. , 1. , 0. , 0.5]], dtype=float32)
    """
    pitch = np.linspace(0, 12, chromagram.shape[1], endpoint=False)
    rows = []
    for interval, radius in ((7 / 6, 1.0), (3 / 2, 1.0), (2 / 3, 0.5)):
        angle = np.pi * interval * pitch
        rows += [radius * np.sin(angle), radius * np.cos(angle)]
    transform = np.array(rows).astype(chromagram.dtype)
    size = _or_one(np.abs(chromagram).sum(axis=1))
    return (chromagram / size[:, None]) @ transform.T


class TuningEstimator:
    """Estimate how far from A4 = 440 Hz a recording is tuned, block by block.

    Spectral peaks between `fmin` and `fmax` that reach a tenth of their
    frame's maximum are counted by level and by their distance from the
    nearest step of the scale. In the end the stronger half of them votes for
    the distance. librosa's `estimate_tuning` does this with all peaks in
    memory; here 5 MB serve for any length, and levels are told apart in steps
    of 0.02 dB, so that the halves differ by next to nothing.

    Parameters
    ----------
    resolution : float
        Of the estimate, in chroma steps: above 0, up to 0.5.
    n_chroma : int
        Steps an octave.
    fmin, fmax : float
        Range of the peaks, in Hz.
    threshold : float
        Peaks count from this part of their frame's maximum on.

    Raises
    ------
    UsageError
        If the resolution is out of range.

    Examples
    --------
    >>> estimator = TuningEstimator()
    >>> frequencies = np.arange(1025) * 22050 / 2048
    >>> sine = np.exp(-np.square((frequencies - 446) / 20))
    >>> for block in range(3):
    ...     estimator.add(sine[None], frequencies)
    >>> round(estimator.tuning(), 2)  # 12 log2(446 / 440) = 0.23
    0.22
    """

    def __init__(
        self,
        resolution: float = 0.01,
        n_chroma: int = 12,
        fmin: float = 150.0,
        fmax: float = 4000.0,
        threshold: float = 0.1,
    ) -> None:
        if not 0 < resolution <= 0.5:
            raise UsageError(f"tuning: resolution is {resolution:g}; use above 0, up to 0.5")
        self.n_chroma, self.fmin, self.fmax, self.threshold = n_chroma, fmin, fmax, threshold
        self._edges = np.linspace(-0.5, 0.5, math.ceil(1 / resolution) + 1)
        levels = round((LEVEL_RANGE[1] - LEVEL_RANGE[0]) / LEVEL_STEP)
        self._counts = np.zeros((levels, len(self._edges) - 1), np.int32)

    def add(self, magnitude: Floats, frequencies: Floats) -> None:
        """Take in the next frames.

        Parameters
        ----------
        magnitude : ndarray, shape (frames, bins)
            Magnitude spectra.
        frequencies : ndarray, shape (bins,)
            Of the bins, in Hz: equally spaced, from 0.
        """
        size = max(1, CHUNK // magnitude.shape[1])
        for start in range(0, len(magnitude), size):
            frequency, height = self._peaks(magnitude[start : start + size], frequencies)
            octaves = np.log2(frequency / A4)
            distance = np.mod(self.n_chroma * octaves + 0.5, 1.0)
            column = (distance * self._counts.shape[1]).astype(np.intp)
            level = (20 * np.log10(height) - LEVEL_RANGE[0]) / LEVEL_STEP
            row = level.clip(0, len(self._counts) - 1).astype(np.intp)
            np.add.at(self._counts, (row, column.clip(0, self._counts.shape[1] - 1)), 1)

    def tuning(self) -> float:
        """Give the estimate for all frames so far.

        Returns
        -------
        float
            In chroma steps (semitones if `n_chroma` is 12), from -0.5 to
            below 0.5: the lower end of the interval with most votes, as in
            librosa. 0.0 if there were no peaks, as in silence.
        """
        above = np.cumsum(self._counts.sum(axis=1)[::-1])[::-1]  # peaks of each level or higher
        if not above[0]:
            return 0.0
        median = np.flatnonzero(above >= above[0] / 2)[-1]
        votes = self._counts[median:].sum(axis=0)
        return float(self._edges[votes.argmax()])

    def _peaks(self, magnitude: Floats, frequencies: Floats) -> tuple[Floats, Floats]:
        """Find frequencies and heights of all peaks that count, each (peaks,)."""
        spacing = float(frequencies[1] - frequencies[0])
        floor = self.threshold * magnitude.max(axis=1, keepdims=True)
        first = max(math.ceil(self.fmin / spacing), 1)
        last = min(math.ceil(self.fmax / spacing), magnitude.shape[1] - 1)
        middle = magnitude[:, first:last]
        before, after = magnitude[:, first - 1 : last - 1], magnitude[:, first + 1 : last + 1]
        row, column = np.nonzero((middle > before) & (middle >= after) & (middle > floor))
        left, peak, right = before[row, column], middle[row, column], after[row, column]
        slope, bend = (right - left) / 2, left + right - 2 * peak
        shift = -slope / bend  # a peak bends downwards
        return (first + column + shift) * spacing, peak + slope * shift / 2


def estimate_tuning(
    magnitude: Floats, frequencies: Floats, resolution: float = 0.01, n_chroma: int = 12
) -> float:
    """Estimate how far from A4 = 440 Hz the frames are tuned.

    What :class:`TuningEstimator` gives for them.

    Parameters
    ----------
    magnitude : ndarray, shape (frames, bins)
        Magnitude spectra.
    frequencies : ndarray, shape (bins,)
        Of the bins, in Hz: equally spaced, from 0.
    resolution : float
        Of the estimate, in chroma steps.
    n_chroma : int
        Steps an octave.

    Returns
    -------
    float
        In chroma steps (semitones if `n_chroma` is 12), from -0.5 to below
        0.5; 0.0 for silence.

    Raises
    ------
    UsageError
        If the resolution is out of range.

    Examples
    --------
    >>> frequencies = np.arange(1025) * 22050 / 2048
    >>> estimate_tuning(np.zeros((3, 1025)), frequencies)
    0.0
    """
    estimator = TuningEstimator(resolution, n_chroma)
    estimator.add(magnitude, frequencies)
    return estimator.tuning()


def _or_one(size: Floats) -> Floats:
    """Put 1 where it is 0, so that dividing by it changes nothing."""
    return np.where(size > 0, size, np.ones_like(size))
