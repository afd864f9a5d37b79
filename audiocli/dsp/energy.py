"""Energy and level: features of the waveform itself.

What a function gives for a frame it gives for any last axis: frames (frames, frame_length) become
(frames,), and a whole signal (samples,) becomes one number.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from audiocli.dsp.rows import row_products

__all__ = [
    "crest_factor",
    "log_energy",
    "peak_dbfs",
    "rms",
    "short_time_energy",
    "zero_crossing_rate",
]

Floats = NDArray[np.floating[Any]]
T = TypeVar("T", bound=np.generic)


def short_time_energy(frames: Floats) -> Floats:
    """Measure the energy of each frame, sum(x^2).

    Parameters
    ----------
    frames : ndarray, shape (frames, frame_length)
        The frames, full scale 1.0.

    Returns
    -------
    ndarray, shape (frames,)
        Energy, from 0 (silence) to `frame_length` for a square wave of full scale.

    Examples
    --------
    >>> short_time_energy(np.array([[0.5, -0.5], [0, 0]], np.float32))
    array([0.5, 0. ], dtype=float32)
    """
    hops = _hops(frames)
    if hops is not None:
        return _over_frames(row_products(hops, hops), len(frames))
    energy: Floats = np.einsum("...s,...s->...", frames, frames)
    return energy


def rms(frames: Floats) -> Floats:
    """Measure the root mean square of each frame, sqrt(mean(x^2)).

    librosa's `rms` for the same frames.

    Parameters
    ----------
    frames : ndarray, shape (frames, frame_length)
        The frames, full scale 1.0.

    Returns
    -------
    ndarray, shape (frames,)
        Level, 1 / sqrt(2) for a sine of full scale, 0 for silence.

    Examples
    --------
    >>> rms(np.array([[0.5, -0.5], [0, 0]], np.float32))
    array([0.5, 0. ], dtype=float32)
    """
    level: Floats = np.sqrt(short_time_energy(frames) / np.float32(frames.shape[-1]))
    return level


def log_energy(frames: Floats, floor: float = 1e-10) -> Floats:
    """Measure the logarithm of each frame's energy, ln(max(sum(x^2), floor)).

    Parameters
    ----------
    frames : ndarray, shape (frames, frame_length)
        The frames, full scale 1.0.
    floor : float
        Energies below count as this.

    Returns
    -------
    ndarray, shape (frames,)
        Natural logarithm; ln(floor), -23.03 by default, for silence.

    References
    ----------
    S. Young et al., The HTK Book, version 3.4, on energy measures. Samples are 16-bit integers
    there, so that values are larger by 2 ln(32768) = 20.79.

    Examples
    --------
    >>> log_energy(np.array([[1, -1, 1, -1], [0, 0, 0, 0]], np.float32)).round(3)
    array([  1.386, -23.026], dtype=float32)
    """
    logarithm: Floats = np.log(np.maximum(short_time_energy(frames), np.float32(floor)))
    return logarithm


def zero_crossing_rate(frames: Floats, threshold: float = 1e-10) -> Floats:
    """Measure how often the sign changes, changes / frame_length.

    librosa's `zero_crossing_rate` for the same frames. Samples within
    +-`threshold` count as zero, and zero counts as positive: 0 to -1 is a
    change, 0 to 1 is none. Only changes inside a frame count, of which there
    can be frame_length - 1. librosa continues a signal by its first and last
    sample (``mode="edge"`` in :mod:`audiocli.dsp.frames`); continued with
    zeros, a signal that begins or ends below zero has one change more there.

    Parameters
    ----------
    frames : ndarray, shape (frames, frame_length)
        The frames.
    threshold : float
        What counts as zero.

    Returns
    -------
    ndarray, shape (frames,)
        Changes a sample, from 0 (silence) to below 1. Times half the sample
        rate it is the frequency of a sine, in Hz.

    Examples
    --------
    >>> zero_crossing_rate(np.array([[1, -1, 0, 1], [0, 0, 0, 0]], np.float32))
    array([0.5, 0. ], dtype=float32)
    """
    hops = _hops(frames)
    if hops is None:
        changes = _count(_changes(frames, threshold)[..., 1:])
    else:
        changed = _changes(hops.reshape(-1), threshold).reshape(hops.shape)
        # The change to a frame's first sample is not inside it.
        changes = _over_frames(_count(changed), len(frames)) - changed[: len(frames), 0]
    return np.asarray(changes, np.float32) / np.float32(frames.shape[-1])


def _changes(samples: Floats, threshold: float) -> NDArray[np.bool_]:
    """Tell where the sign is another than that of the sample before; never at the first."""
    negative = samples < -threshold
    changed = np.empty_like(negative)
    changed[..., 0] = False
    np.not_equal(negative[..., 1:], negative[..., :-1], out=changed[..., 1:])
    return changed


def _count(found: NDArray[np.bool_]) -> NDArray[np.uint32]:
    """Count in 32 bits, which takes half the time of count_nonzero and its 64."""
    return np.asarray(np.sum(found, axis=-1, dtype=np.uint32))


def crest_factor(frames: Floats) -> Floats:
    """Measure how far the peak stands out, max(|x|) / sqrt(mean(x^2)).

    Parameters
    ----------
    frames : ndarray, shape (frames, frame_length)
        The frames.

    Returns
    -------
    ndarray, shape (frames,)
        Ratio, from 1 (a square wave) over sqrt(2) (a sine) to
        sqrt(frame_length) (a single click); 0 for silence.

    Examples
    --------
    >>> crest_factor(np.array([[1, -1, 1, -1], [0, 0, 3, 0], [0, 0, 0, 0]], np.float32))
    array([1., 2., 0.], dtype=float32)
    """
    level = rms(frames)
    crest: Floats = _peak(frames) / np.where(level > 0, level, np.float32(1))
    return crest


def peak_dbfs(frames: Floats, floor: float = -120.0) -> Floats:
    """Measure the highest sample, 20 log10(max(|x|)).

    The peak of the samples, not the "true peak" between them.

    Parameters
    ----------
    frames : ndarray, shape (frames, frame_length)
        The frames, or (samples,) for the peak of a signal.
    floor : float
        The lowest value to give, in dBFS.

    Returns
    -------
    ndarray, shape (frames,)
        In dB below full scale: 0 for a peak of 1.0, `floor` for silence.

    Examples
    --------
    >>> peak_dbfs(np.array([[0.1, -1.0], [0.1, 0.0], [0.0, 0.0]], np.float32))
    array([   0.,  -20., -120.], dtype=float32)
    """
    peak = np.maximum(_peak(frames), np.finfo(np.float32).tiny)  # a logarithm of 0 would warn
    decibels: Floats = np.maximum(20 * np.log10(peak), np.float32(floor))
    return decibels


def _peak(frames: Floats) -> Floats:
    """Find max(|x|) without a copy of |x|."""
    peak: Floats = np.abs(np.maximum(frames.max(axis=-1), -frames.min(axis=-1)))  # abs: of -0.0
    return peak


def _hops(frames: Floats) -> Floats | None:
    """Give the signal that frames are views of, (hops, hop_length), if they overlap by whole hops.

    Then what is measured of a hop serves all frames that hold it.
    """
    if frames.ndim != 2 or len(frames) < 2 or frames.strides[1] != frames.itemsize:
        return None
    hop, rest = divmod(frames.strides[0], frames.itemsize)
    if rest or not 0 < hop < frames.shape[1] or frames.shape[1] % hop:
        return None
    hops = len(frames) + frames.shape[1] // hop - 1
    return as_strided(frames, (hops, hop), frames.strides, writeable=False)


def _over_frames(values: NDArray[T], frames: int) -> NDArray[T]:
    """Sum the values of hops over each frame that holds them, (frames,)."""
    total = values[:frames].copy()
    for first in range(1, len(values) - frames + 1):
        np.add(total, values[first : first + frames], out=total)
    return total
