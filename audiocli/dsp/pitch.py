"""Pitch: the fundamental frequency of each frame, and whether it has one.

:func:`yin` looks at each frame by itself. :func:`pyin` follows the pitch through time and decides
which frames are voiced; :class:`PitchTracker` does the same for a stream, block by block. Both
start from the same difference function and need frames of at least two periods of `fmin`. Voices
want frames of 40 to 50 ms (1024 samples at 22050 Hz): within 90 ms a vibrato is smoothed, and fast
glides seem unvoiced. Longer frames reach lower pitches, and are more robust to noise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocli.errors import UsageError

__all__ = ["Pitch", "PitchTracker", "cumulative_mean_normalised", "difference", "pyin", "yin"]

Floats = NDArray[np.floating[Any]]

#: Samples that are worked on at a time, so that they stay in a core's own cache.
CHUNK = 2**17

#: Below this part of a frame's power, what is left without its mean is rounding.
ROUNDING = 1e-12

#: Candidates kept a frame. Troughs deeper than all before them are few, five on average.
CANDIDATES = 8

#: How likely the deepest trough of all is believed where no threshold reaches it, at height 0;
#: it falls with the square of 1 - height. Mauch and Dixon believe any such trough by 0.01. This
#: tells a voice in noise (height 0.5) from noise alone (0.8 and more).
FALLBACK = 0.1

#: A period is half (a third, ...) of the true one where what does not repeat after it is ODD times
#: what does not repeat after the true one; heights below SMALLEST are alike.
ODD, SMALLEST = 3.0, 0.003
#: Nor is a height known better than to this part of the bend of the parabola through the trough.
SHARP = 0.1

#: Where less than this part of the power lies below `fmax`, what repeats within the range of
#: pitches is several periods of a tone above it.
WITHIN = 0.02

#: An unvoiced frame explains the signal this many times worse than a steady voiced one, because
#: noise would have its deepest trough anywhere. In the paper this is the number of pitch bins.
UNVOICED = 0.01

#: Probability that a frame is voiced after an unvoiced one, or the other way round.
SWITCH = 0.01

#: The pitch goes no faster than this, in octaves a second, ...
MAX_RATE = 12.0

#: ... but frames close together may differ by a semitone, and at this odds it leaps.
MIN_STEP = 1 / 12
LEAP = 1e-4

#: Frames that wait for a decision at most. Nearly always a few are enough.
MAX_PENDING = 4096


@dataclass(frozen=True)
class Pitch:
    """The pitch of consecutive frames.

    Parameters
    ----------
    f0 : ndarray, shape (frames,)
        Fundamental frequency in Hz, 0.0 where unvoiced.
    voiced : ndarray of bool, shape (frames,)
        Whether a frame has a pitch.
    probability : ndarray, shape (frames,)
        How likely each frame, taken by itself, has a pitch, from 0 to 1.

    Examples
    --------
    >>> pitch = Pitch(np.array([0.0, 440.0]), np.array([False, True]), np.array([0.1, 0.9]))
    >>> pitch.f0[pitch.voiced]
    array([440.])
    """

    f0: Floats
    voiced: NDArray[np.bool_]
    probability: Floats


def difference(frames: Floats, max_period: int) -> Floats:
    """Compare frames with themselves, shifted: the mean squared difference at each lag.

    d(tau) = mean over j of (x[j] - x[j + tau])^2, over all pairs that the
    frame holds. The paper's equation 6 sums over a fixed number of pairs
    from the start of the frame; with all pairs, the middle of what is
    compared is the middle of the frame at every lag, so that a gliding pitch
    is not tracked early or late, and no sample is left out.

    Parameters
    ----------
    frames : ndarray, shape (frames, frame_length)
        The frames, without a window.
    max_period : int
        The largest lag, in samples; less than the frame length.

    Returns
    -------
    ndarray, shape (frames, max_period + 1)
        The difference at lags 0 ... max_period, in the square of the
        signal's unit. Frames of one constant value have 0.

    References
    ----------
    A. de Cheveigné and H. Kawahara, "YIN, a fundamental frequency estimator
    for speech and music", J. Acoust. Soc. Am. 111(4), 2002.

    Examples
    --------
    >>> difference(np.array([[1.0, -1.0, 1.0, -1.0]]), max_period=2).round(6)
    array([[0., 4., 0.]])
    """
    length = frames.shape[1]
    # A difference knows no mean; without it the subtraction below loses fewer digits.
    centred = frames - frames.mean(axis=1, keepdims=True)
    power = np.einsum("ij,ij->i", centred, centred)[:, None]
    power[power <= ROUNDING * np.einsum("ij,ij->i", frames, frames)[:, None]] = 0
    import scipy.fft  # only what needs it waits for it

    n_fft = scipy.fft.next_fast_len(length + max_period, real=True)
    spectrum = scipy.fft.rfft(centred, n_fft, axis=1)
    spectral_power = np.square(spectrum.real) + np.square(spectrum.imag)
    correlation = scipy.fft.irfft(spectral_power, n_fft, axis=1)[:, 1 : max_period + 1]
    head = np.cumsum(np.square(centred[:, :max_period]), axis=1)
    tail = np.cumsum(np.square(centred[:, : length - max_period - 1 : -1]), axis=1)
    out = np.zeros((len(frames), max_period + 1), frames.dtype)
    pairs = length - np.arange(1, max_period + 1, dtype=frames.dtype)
    out[:, 1:] = np.maximum(2 * (power - correlation) - head - tail, 0) / pairs
    out[power[:, 0] == 0] = 0
    return out


def cumulative_mean_normalised(differences: Floats) -> Floats:
    """Divide a difference function by its mean over the lags up to there.

    d'(tau) = d(tau) / mean(d(1) ... d(tau)), equation 8 of the paper. It is
    about the part of the power that does not repeat after `tau`.

    Parameters
    ----------
    differences : ndarray, shape (frames, lags)
        From :func:`difference`.

    Returns
    -------
    ndarray, shape (frames, lags)
        Without unit: 1 at lag 0, 0 where a frame repeats exactly. Frames of
        one constant value have 1 throughout.

    Examples
    --------
    >>> cumulative_mean_normalised(np.array([[0.0, 4.0, 0.0], [0.0, 0.0, 0.0]]))
    array([[1., 1., 0.],
           [1., 1., 1.]])
    """
    total = np.cumsum(differences[:, 1:], axis=1)
    lags = np.arange(1, differences.shape[1], dtype=differences.dtype)
    out = np.ones_like(differences)
    np.divide(differences[:, 1:] * lags, total, out=out[:, 1:], where=total > 0)
    return out


def yin(
    frames: Floats, sample_rate: float, fmin: float, fmax: float, threshold: float = 0.1
) -> tuple[Floats, Floats]:
    """Estimate each frame's fundamental frequency and how far it is from periodic (YIN).

    The period is the first trough of the normalised difference that is
    deeper than the threshold, or else the deepest, refined by a parabola
    through the difference itself. librosa's `yin` differs in the pairs
    compared (see :func:`difference`) and puts its parabola through the
    normalised difference.

    Parameters
    ----------
    frames : ndarray, shape (frames, frame_length)
        The frames, without a window.
    sample_rate : float
        In Hz.
    fmin, fmax : float
        Lowest and highest fundamental in Hz, kept to within a sample of the
        period.
    threshold : float
        Aperiodicity below which a trough is taken at once.

    Returns
    -------
    f0 : ndarray, shape (frames,)
        In Hz. 0.0 where there is no trough at all, as in silence.
    aperiodicity : ndarray, shape (frames,)
        The normalised difference at the period: 0 for a periodic frame,
        towards 1 for noise, 1 for silence.

    Raises
    ------
    UsageError
        If the range of frequencies is not one, or the frames are too short
        for it.

    References
    ----------
    A. de Cheveigné and H. Kawahara, "YIN, a fundamental frequency estimator
    for speech and music", J. Acoust. Soc. Am. 111(4), 2002.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 220 * np.arange(2048) / 22050)
    >>> f0, aperiodicity = yin(np.stack([tone, 0 * tone]), 22050, fmin=65, fmax=2000)
    >>> f0.round(1), aperiodicity.round(2)
    (array([220.,   0.]), array([0., 1.]))
    """
    f0 = np.zeros(len(frames), frames.dtype)
    aperiodicity = np.ones(len(frames), frames.dtype)
    for part in _chunks(frames):
        frequency, height, _ = _troughs(frames[part], sample_rate, fmin, fmax)
        deep = height < threshold
        chosen = np.where(deep.any(axis=1), deep.argmax(axis=1), height.argmin(axis=1))[:, None]
        f0[part] = np.take_along_axis(frequency, chosen, axis=1)[:, 0]
        aperiodicity[part] = np.take_along_axis(height, chosen, axis=1)[:, 0]
    return f0, aperiodicity


def pyin(frames: Floats, sample_rate: float, fmin: float, fmax: float, hop_length: int) -> Pitch:
    """Follow the pitch through frames and decide which are voiced (probabilistic YIN).

    Each frame's candidates are the troughs that YIN would choose under some
    threshold, weighted with how likely that threshold is: Beta(2, 18), mean
    0.1. The best way through the candidates and an unvoiced state is found
    by the Viterbi algorithm. Unlike in Mauch and Dixon's method and in
    librosa's `pyin`, the threshold's distribution is integrated exactly, not
    in 100 steps; candidates keep their own frequency instead of a pitch
    bin's, so the result is not quantised; the unvoiced state is one, and
    keeps no pitch in memory; a deepest trough beyond all thresholds counts
    the less the higher it is, which leaves fewer noises voiced; and a
    candidate passes its probability on to a longer period that repeats far
    better, since vowels with a formant on the second harmonic would else be
    an octave too high.

    Parameters
    ----------
    frames : ndarray, shape (frames, frame_length)
        Consecutive frames, without a window.
    sample_rate : float
        In Hz.
    fmin, fmax : float
        Lowest and highest fundamental in Hz.
    hop_length : int
        From one frame to the next, in samples.

    Returns
    -------
    Pitch
        One value a frame, float32. Silence is unvoiced, with probability 0.

    Raises
    ------
    UsageError
        As for :func:`yin`.

    References
    ----------
    M. Mauch and S. Dixon, "pYIN: a fundamental frequency estimator using
    probabilistic threshold distributions", Proc. ICASSP, 2014.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 220 * np.arange(2048) / 22050)
    >>> pitch = pyin(np.stack([tone, 0 * tone]), 22050, fmin=65, fmax=2000, hop_length=512)
    >>> pitch.f0.round(1), pitch.voiced
    (array([220.,   0.], dtype=float32), array([ True, False]))
    """
    tracker = PitchTracker(sample_rate, fmin, fmax, hop_length)
    return _join([tracker.push(frames), tracker.finish()])


class PitchTracker:
    """:func:`pyin` for a stream of frames.

    Frames are decided as soon as all paths through the frames since then
    share their past: nearly always within some tenths of a second. So the
    result does not depend on how the stream is cut, and is that of the whole
    in constant memory. Only after `max_pending` frames without such an
    agreement is the older half decided along what is then the best way.

    Parameters
    ----------
    sample_rate, fmin, fmax, hop_length
        As for :func:`pyin`.
    max_pending : int
        Frames that wait for a decision at most.

    Examples
    --------
    >>> tone = np.sin(2 * np.pi * 220 * np.arange(22050) / 22050)
    >>> frames = np.lib.stride_tricks.sliding_window_view(tone, 2048)[::512]
    >>> tracker = PitchTracker(22050, fmin=65, fmax=2000, hop_length=512)
    >>> first, rest = tracker.push(frames), tracker.finish()
    >>> len(first.f0) + len(rest.f0) == len(frames)
    True
    """

    def __init__(
        self,
        sample_rate: float,
        fmin: float,
        fmax: float,
        hop_length: int,
        max_pending: int = MAX_PENDING,
    ) -> None:
        _check_range(sample_rate, fmin, fmax)
        if hop_length < 1 or max_pending < 2:
            raise UsageError(
                f"pitch: hop_length {hop_length}, max_pending {max_pending}; use 1 and 2 or more"
            )
        self.sample_rate, self.fmin, self.fmax = sample_rate, fmin, fmax
        self.max_pending = max_pending
        #: The widest step from frame to frame, in octaves.
        self.max_step = max(MAX_RATE * hop_length / sample_rate, MIN_STEP)
        self._reset()

    def _reset(self) -> None:
        states = CANDIDATES + 1  # the last one is "unvoiced"
        self._score: Floats = np.zeros(0)  # log probability of the best way to each state
        # Of the frames that wait: frequencies of the states, the state before, and probability.
        self._f0: Floats = np.zeros((0, states))
        self._back: NDArray[np.int8] = np.zeros((0, states), np.int8)
        self._probability: Floats = np.zeros(0)

    def push(self, frames: Floats) -> Pitch:
        """Take in the next frames and give what is decided.

        Parameters
        ----------
        frames : ndarray, shape (frames, frame_length)
            Any number, also none.

        Returns
        -------
        Pitch
            Of the frames decided now: the oldest of those not yet given.

        Raises
        ------
        UsageError
            If the frames are too short for `fmin`.
        """
        decided = []
        for part in _chunks(frames):
            f0, probability = _candidates(frames[part], self.sample_rate, self.fmin, self.fmax)
            self._forward(f0, probability)
            decided.append(self._decide(self._agreed()))
        return _join(decided) if decided else self._decide(0)

    def finish(self) -> Pitch:
        """End the stream and give the rest.

        Returns
        -------
        Pitch
            Of the last frames. The tracker is then ready for another stream.
        """
        pitch = self._decide(len(self._back))
        self._reset()
        return pitch

    def _forward(self, f0: Floats, probability: Floats) -> None:
        """Extend the best way to every state by more frames; both (frames, CANDIDATES)."""
        voiced = np.minimum(probability.sum(axis=1), 1)
        tiny = 1e-12
        likelihood = np.concatenate([probability, UNVOICED * (1 - voiced[:, None] + tiny)], axis=1)
        with np.errstate(divide="ignore"):  # no candidate: a state that no way leads through
            seen = np.log(likelihood)
        start = len(self._f0)
        self._f0 = np.concatenate([self._f0, np.pad(f0, [(0, 0), (0, 1)])])
        self._probability = np.concatenate([self._probability, voiced])
        moves = self._moves(self._f0[max(start - 1, 0) :])
        back = np.zeros(seen.shape, np.int8)
        score, states, first = self._score, np.arange(seen.shape[1]), 0
        if not len(score):  # the stream begins
            score, first = seen[0], 1
        for frame in range(first, len(seen)):
            ways = score[:, None] + moves[frame - first]
            best = ways.argmax(axis=0)
            back[frame] = best
            score = ways[best, states] + seen[frame]
        self._score = score - score.max()
        self._back = np.concatenate([self._back, back])

    def _moves(self, f0: Floats) -> Floats:
        """Give the log odds of all moves between consecutive frames, (frames - 1, from, to)."""
        octave = np.log2(np.maximum(f0[:, :-1], 1.0))
        step = np.abs(octave[:-1, :, None] - octave[1:, None, :])
        moves = np.full((len(step), f0.shape[1], f0.shape[1]), np.log(SWITCH))
        moves[:, -1, -1] = np.log(1 - SWITCH)
        moves[:, :-1, :-1] = np.log((1 - SWITCH) * np.maximum(1 - step / self.max_step, LEAP))
        return moves

    def _agreed(self) -> int:
        """Count the frames before which all ways through are one."""
        states = np.flatnonzero(np.isfinite(self._score))
        for frame in range(len(self._back) - 1, 0, -1):
            if (states == states[0]).all():
                return frame
            states = self._back[frame, states]
        return 0 if len(self._back) <= self.max_pending else len(self._back) - self.max_pending // 2

    def _decide(self, count: int) -> Pitch:
        """Give the first frames that wait, along the best way, and forget them."""
        f0 = np.zeros(count, np.float32)
        state = int(self._score.argmax()) if len(self._score) else 0
        for frame in range(len(self._back) - 1, -1, -1):
            if frame < count:
                f0[frame] = self._f0[frame, state]
            state = int(self._back[frame, state])
        pitch = Pitch(f0, f0 > 0, self._probability[:count].astype(np.float32))
        self._f0, self._back = self._f0[count:], self._back[count:]
        self._probability = self._probability[count:]
        return pitch


def _join(parts: list[Pitch]) -> Pitch:
    return Pitch(
        np.concatenate([part.f0 for part in parts]),
        np.concatenate([part.voiced for part in parts]),
        np.concatenate([part.probability for part in parts]),
    )


def _chunks(frames: Floats) -> Iterator[slice]:
    size = max(1, CHUNK // frames.shape[1])
    return (slice(start, start + size) for start in range(0, len(frames), size))


def _check_range(sample_rate: float, fmin: float, fmax: float) -> None:
    if not 0 < fmin < fmax <= sample_rate / 2:
        raise UsageError(
            f"pitch: fmin {fmin:g} and fmax {fmax:g} Hz are no range of frequencies; "
            f"use 0 < fmin < fmax <= {sample_rate / 2:g}"
        )


def _troughs(
    frames: Floats, sample_rate: float, fmin: float, fmax: float
) -> tuple[Floats, Floats, Floats]:
    """Find the troughs of the normalised difference of each frame.

    Gives their frequencies, heights and bends (second differences), (frames, n), by rising lag;
    rows are filled up with frequency 0, height 1 and bend 0. There is at least one column.
    """
    _check_range(sample_rate, fmin, fmax)
    first, last = int(sample_rate / fmax), math.ceil(sample_rate / fmin)
    if frames.shape[1] < 2 * (last + 1):
        raise UsageError(
            f"pitch: frames of {frames.shape[1]} samples hold less than two periods of "
            f"{fmin:g} Hz; use {2 * (last + 1)} or more, or a higher fmin"
        )
    raw = difference(frames, last + 1)
    normalised = cumulative_mean_normalised(raw)
    middle = normalised[:, first : last + 1]
    before, after = normalised[:, first - 1 : last], normalised[:, first + 1 : last + 2]
    row, lag = np.nonzero((middle < before) & (middle <= after))
    lag += first
    shift, _ = _parabola(raw, row, lag)
    _, depth = _parabola(normalised, row, lag)
    counts = np.bincount(row, minlength=len(frames))
    column = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    shape = (len(frames), max(1, counts.max(initial=0)))
    frequency, height = np.zeros(shape, frames.dtype), np.ones(shape, frames.dtype)
    frequency[row, column] = sample_rate / (lag + shift)
    height[row, column] = np.clip(depth, 0, 1)
    bend = np.zeros(shape, frames.dtype)
    sides = normalised[row, lag - 1] + normalised[row, lag + 1]
    bend[row, column] = sides - 2 * normalised[row, lag]
    return frequency, height, bend


def _parabola(
    values: Floats, row: NDArray[np.intp], column: NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """Put a parabola through three neighbours; give where it is lowest, and how low."""
    left, middle, right = (values[row, column + offset] for offset in (-1, 0, 1))
    slope, bend = (right - left) / 2, left - 2 * middle + right
    shift = np.zeros_like(middle)
    # Where it opens downwards, or is lowest beyond the neighbours, the middle stays.
    np.divide(-slope, bend, out=shift, where=bend > np.abs(slope))
    return shift, middle + slope * shift / 2


def _candidates(
    frames: Floats, sample_rate: float, fmin: float, fmax: float
) -> tuple[Floats, Floats]:
    """Give frequencies and probabilities of the likeliest periods, (frames, CANDIDATES).

    YIN with a threshold takes the first trough below it. So a trough deeper than all before it is
    taken for the thresholds between its height and theirs. Rows are filled up with probability 0.
    """
    found = _troughs(frames, sample_rate, fmin, fmax)
    frequency, height, bend = (values.astype(np.float64) for values in found)
    lowest = np.minimum.accumulate(height, axis=1)
    below = _beta_cdf(lowest)  # how likely a threshold is too low for all troughs up to here
    # Rounding may put two alike in the wrong order.
    probability = np.maximum(-np.diff(below, axis=1, prepend=1.0), 0)
    deepest = height.argmin(axis=1)
    rows = np.arange(len(frames))
    probability[rows, deepest] += FALLBACK * (1 - lowest[:, -1]) ** 2 * below[:, -1]
    likeliest = np.sort(np.argsort(-probability, axis=1, kind="stable")[:, :CANDIDATES], axis=1)
    frequency, probability, lowest, bend = (
        np.take_along_axis(values, likeliest, axis=1)
        for values in (frequency, probability, lowest, bend)
    )
    probability = _to_fundamentals(probability, lowest, bend)
    probability[_too_high(frames, sample_rate, fmax)] = 0
    missing = [(0, 0), (0, CANDIDATES - probability.shape[1])]
    return np.pad(frequency, missing), np.pad(probability, missing)


def _too_high(frames: Floats, sample_rate: float, fmax: float) -> NDArray[np.bool_]:
    """Tell which frames have hardly any power below the highest pitch."""
    power = frames.shape[1] * np.var(frames, axis=1)
    slopes = np.square(np.diff(frames, axis=1)).sum(axis=1)
    # Power above a frequency makes slopes at least so steep; few frames have them.
    least = (1 - WITHIN) * 2 * (1 - math.cos(2 * math.pi * fmax / sample_rate))
    high: NDArray[np.bool_] = (power > 0) & (slopes >= 0.9 * least * power)
    steep = frames[high]
    centred = (steep - steep.mean(axis=1, keepdims=True)) * np.hanning(frames.shape[1])
    import scipy.fft  # only what needs it waits for it

    spectrum = np.square(np.abs(scipy.fft.rfft(centred, axis=1)))
    below = round(fmax / sample_rate * frames.shape[1]) + 2  # and half a tone's width
    high[high] = spectrum[:, :below].sum(axis=1) < WITHIN * spectrum.sum(axis=1)
    return high


def _to_fundamentals(probability: Floats, lowest: Floats, bend: Floats) -> Floats:
    """Pass the probability of a period on to the next where that repeats far better.

    A vowel whose formant lies on the second harmonic nearly repeats after half its period: what
    is left, the odd harmonics, is below most thresholds. But what is left is little only beside
    the signal; beside what is left after the whole period, noise and glide, it is much. Takes
    candidates by rising lag, how low the troughs are up to each, and how sharp each is: how low a
    sharp one is, between samples, is known the worse; (frames, candidates).
    """
    least = lowest.min(axis=1, keepdims=True, initial=1.0)
    square = np.square((lowest - least) / (ODD * (least + SMALLEST + SHARP * bend)))
    share = square / (1 + square)
    out, carried = probability.copy(), np.zeros(len(probability))
    for column in range(probability.shape[1]):
        real = probability[:, column] > 0
        here = np.where(real, probability[:, column] + carried, 0)
        moved = here * share[:, column]
        out[:, column] = here - moved
        carried = np.where(real, moved, carried)
    return out


def _beta_cdf(threshold: Floats) -> Floats:
    """Give how likely a threshold drawn from Beta(2, 18) is below this one."""
    return 1 - (1 - threshold) ** 18 * (1 + 18 * threshold)
