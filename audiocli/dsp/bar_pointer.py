"""Decode beats: the best path through tempo and place in the bar.

What is decoded are two activations a frame: how likely there is a beat, and how likely it begins a
bar. A path through them is a sequence of beats, each with its place in the bar and the time until
the next one. Beats that follow each other may differ a little in length; a bar is seldom cut short,
the metre seldom changes, and where nothing beats for long the path leaves the beat.

Steady playing and rubato are decoded each for itself, and the likelier path is taken. A log-normal
prior of the tempo chooses among metrical levels that are as likely as each other.

This is the bar-pointer model of Krebs, Böck and Widmer with one frame as a beat's zone, in its
semi-Markov form: since nothing can happen between two beats, one step of the search is a beat and
not a frame. The search keeps scores alone: where a beat came from is computed afterwards, for the
few beats of the path.

Units: times in seconds, tempi in beats a minute, intervals in frames.

References
----------
Krebs, Böck, Widmer: An efficient state-space model for joint tempo and meter tracking. ISMIR 2015.
Böck, Krebs, Widmer: Joint beat and downbeat tracking with recurrent neural networks. ISMIR 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BarPointer", "tempo_of", "track"]

Curves = NDArray[np.float32]
Times = NDArray[np.float64]
Places = NDArray[np.int64]
Path = tuple[float, NDArray[np.intp], NDArray[np.intp]]

NEVER = -1e9
PASSAGE = 8  # beats over which a tempo is measured
#: Frames after which the best path so far is fixed, up to as many frames before.
WINDOW = 6000
LEAST = 1e-4  # probability of anything


@dataclass(frozen=True)
class BarPointer:
    """How activations become beats.

    Parameters
    ----------
    tempo_range : tuple of float
        Slowest and fastest tempo, in beats a minute.
    meters : tuple of int
        Beats a bar that are considered.
    steadiness : float
        Log probability lost per relative change of the interval from beat to beat.
    zone : float
        Share of the frames that a beat is as likely as not to be in: a beat of probability
        1 / `zone` says nothing.
    bar_weight : float
        How much the downbeat's activation counts, beside the beat's.
    bar_share : float
        Activation of the downbeat at a beat of which nothing is known.
    break_cost, meter_cost, leave_cost : float
        Log probability lost where a bar is cut short, the metre changes, and the beat is left or
        found again.
    presence : float
        Log probability gained where there is a beat, as much for each moment whatever the tempo is:
        at the usual one, a beat's share. It decides when the beat is left, and `zone` between half
        and double.
    meter_doubt : float
        Log probability lost where the first bar is not of four beats, if there can be such: most
        music is in four, and what has no accents gives no other reason to choose.
    rubato : float
        Steadiness of music that is played freely. Activations are decoded both ways, and the
        likelier path is taken; 0 tries the steady way alone.
    usual_tempo, tempo_spread : float
        Centre of a log-normal prior of the tempo, in beats a minute, and its width in octaves.
    tempo_weight : float
        How much that prior counts, beside the activations: at the centre once a beat, and
        elsewhere as often in the same time; not at all where
        `tempo_range` is less than an octave.

    Raises
    ------
    ValueError
        If a value cannot be.

    Examples
    --------
    >>> BarPointer().meters
    (3, 4)
    """

    tempo_range: tuple[float, float] = (40.0, 215.0)
    meters: tuple[int, ...] = (3, 4)
    steadiness: float = 100.0
    zone: float = 7.0
    bar_weight: float = 1.0
    bar_share: float = 0.4
    break_cost: float = 9.0
    meter_cost: float = 12.0
    meter_doubt: float = 3.0
    leave_cost: float = 8.0
    presence: float = 0.6
    rubato: float = 25.0
    usual_tempo: float = 90.0
    tempo_spread: float = 0.6
    tempo_weight: float = 1.0

    def __post_init__(self) -> None:
        low, high = self.tempo_range
        if not 10 <= low < high <= 1000:
            raise ValueError(f"tempi from {low:g} to {high:g} must rise, between 10 and 1000")
        if not self.meters or any(not 1 <= meter <= 24 for meter in self.meters):
            raise ValueError(f"meters {self.meters} must be beats a bar, from 1 to 24")
        if not 0 < self.bar_share < 1 or self.zone <= 2:
            raise ValueError("bar_share lies between 0 and 1, and zone above 2")
        if not (self.steadiness > 0 <= self.rubato and self.usual_tempo > 0 < self.tempo_spread):
            raise ValueError(
                "steadiness, usual_tempo and tempo_spread are above 0, rubato 0 or more"
            )


def track(activations: Curves, frame_rate: float, model: BarPointer) -> tuple[Times, Places]:
    """Find the beats, and the place of each in its bar.

    Parameters
    ----------
    activations : ndarray, shape (frames, 2)
        Of the beat and of the downbeat, between 0 and 1; frame t is at t / `frame_rate` seconds.
    frame_rate : float
        Frames a second.
    model : BarPointer
        What paths there are, and what they cost.

    Returns
    -------
    times : ndarray, shape (beats,)
        In seconds, rising; at the peaks of the activation, between frames.
    places : ndarray of int, shape (beats,)
        1 for the first beat of a bar.

    Raises
    ------
    ValueError
        If there are not two activations a frame, or the tempo range holds no whole interval.

    Examples
    --------
    >>> activations = np.full((500, 2), 0.01, np.float32)
    >>> activations[10::25, 0] = 0.9
    >>> activations[10::100, 1] = 0.9
    >>> times, places = track(activations, 50.0, BarPointer())
    >>> times[:5].tolist(), places[:5].tolist()
    ([0.2, 0.7, 1.2, 1.7, 2.2], [1, 2, 3, 4, 1])
    """
    activations = np.asarray(activations, np.float32)
    if activations.ndim != 2 or activations.shape[1] != 2:
        raise ValueError(f"activations have shape (frames, 2), not {activations.shape}")
    evidence = _evidence(activations, model)
    ways = [model.steadiness, *([model.rubato] if model.rubato else [])]
    paths = [_Search(model, frame_rate, way).path(evidence) for way in ways]
    _, frames, states = max(paths, key=lambda path: path[0])
    places = _Grid(model.meters).places[states]
    return _at_peaks(activations[:, 0], frames) / frame_rate, places


def tempo_of(times: Times) -> float | None:
    """Compute the tempo of beats.

    Parameters
    ----------
    times : ndarray, shape (beats,)
        In seconds, rising.

    Returns
    -------
    float or None
        Beats a minute: the median over passages of eight beats, or over all where there are fewer;
        None of fewer than two beats.

    Examples
    --------
    >>> tempo_of(np.array([0.0, 0.6, 1.2]))
    100.0
    """
    over = min(PASSAGE, len(times) - 1)
    if over < 1:
        return None
    return round(float(60 * over / np.median(times[over:] - times[:-over])), 3)


def _evidence(activations: Curves, model: BarPointer) -> Curves:
    """Give what a beat, and a downbeat, in a frame gain over none: (frames, 2)."""
    # A beat may be a frame beside the peak: it is refined in the end.
    wide = np.pad(activations, ((1, 1), (0, 0)))
    near = np.maximum(np.maximum(wide[:-2], wide[2:]), activations)
    beat, bar = np.clip(near.T, LEAST, 1 - LEAST)
    beats = np.log(beat) - np.log((1 - beat) / (model.zone - 1))
    first = model.bar_weight * np.log(bar / model.bar_share)
    later = model.bar_weight * np.log((1 - bar) / (1 - model.bar_share))
    return np.stack([beats + later, beats + first], axis=1).astype(np.float32)


class _Grid:
    """The places of beats in bars of all metres, one after the other."""

    def __init__(self, meters: Sequence[int]) -> None:
        self.places = np.concatenate([np.arange(1, meter + 1) for meter in meters])
        self.firsts = np.flatnonzero(self.places == 1)
        self.count = len(self.places)
        ends = np.append(self.firsts[1:], self.count) - 1
        #: Of each place the one before it; of a first one the last of the same metre.
        self.before = np.arange(self.count) - 1
        self.before[self.firsts] = ends
        self.lasts = ends
        #: Which places are in bars of four; all where there are none.
        self.of_four = np.repeat(np.array(meters) == 4, meters)
        if not self.of_four.any():
            self.of_four[:] = True


class _Search:
    """Viterbi's search, a block of frames at a time, as long as the shortest interval."""

    def __init__(self, model: BarPointer, frame_rate: float, steadiness: float) -> None:
        low, high = model.tempo_range
        shortest = max(int(np.ceil(60 * frame_rate / high)), 2)
        longest = int(np.floor(60 * frame_rate / low))
        if longest < shortest:
            raise ValueError(f"no interval of whole frames has a tempo from {low:g} to {high:g}")
        self.intervals = np.arange(shortest, longest + 1)
        self.model, self.grid = model, _Grid(model.meters)
        self.block, self.memory = shortest, longest
        #: What it costs to begin at each place for the first time.
        self.begin = np.where(self.grid.of_four, 0.0, -model.meter_doubt).astype(np.float32)
        self.offsets, self.costs = self._tempo_changes(steadiness)
        octaves = np.log2(60 * frame_rate / self.intervals / model.usual_tempo)
        # In a range of less than an octave there is no half or double to choose.
        weight = model.tempo_weight if high >= 2 * low else 0.0
        prior = -0.5 * weight * (octaves / model.tempo_spread) ** 2
        # Each moment has it, not each beat: or it would forbid what is fast, with many beats.
        share = self.intervals * model.usual_tempo / (60 * frame_rate)  # of a usual beat's time
        prior *= share
        # What a range of unusual tempi has in common tells nothing.
        prior -= prior.max()
        prior += model.presence * share
        self.prior = prior.astype(np.float32)
        self.breaks = self._breaks()

    def _tempo_changes(self, steadiness: float) -> tuple[list[int], Curves]:
        """Give what it costs to go on with an interval from one that is so many frames longer."""
        # The densities of both ways have an area of one, so that their paths can be compared.
        height = np.log(steadiness / self.model.steadiness)
        intervals, count = self.intervals, len(self.intervals)
        reach = min(count - 1, max(1, int(np.ceil(0.12 * self.memory))))
        offsets = list(range(-reach, reach + 1))
        costs = np.full((len(offsets), count), NEVER, np.float32)
        for row, offset in zip(costs, offsets, strict=True):
            origin = np.arange(count) + offset
            there = (origin >= 0) & (origin < count)
            ratio = intervals[there] / intervals[origin[there]]
            row[there] = height - steadiness * np.abs(ratio - 1)
        return offsets, costs

    def _breaks(self) -> Curves:
        """Give what it costs to begin a bar of a metre after a beat: (metres, places)."""
        grid, model = self.grid, self.model
        costs = np.full((len(grid.firsts), grid.count), -model.break_cost, np.float32)
        for row, (first, last) in enumerate(zip(grid.firsts, grid.lasts, strict=True)):
            costs[row, grid.lasts] = -model.meter_cost
            others = (np.arange(grid.count) < first) | (np.arange(grid.count) > last)
            costs[row, others] = np.minimum(costs[row, others], -model.meter_cost)
            costs[row, last] = 0.0
        return costs

    def path(self, evidence: Curves) -> Path:
        """Give the score of the best path, the frames of its beats and their places in the grid."""
        memory, count, size = self.memory, self.grid.count, len(self.intervals)
        entered = np.full((memory, count, size), NEVER, np.float32)
        out = np.float32(NEVER)  # of the beat, after it was found once
        trail = _Trail(self)
        total = len(evidence)
        cells = self._cells(self.block)
        for begin in range(0, total, self.block):
            here = evidence[begin : begin + self.block]
            # Scores of beats that end in each frame of the block: (frames, places, intervals).
            arriving = entered.reshape(-1).take(cells[: len(here)])
            left, stayed = self._leaving(arriving, out)
            before = np.concatenate([[out], left[:-1]])
            found_again = before - np.float32(self.model.leave_cost)
            new = self._places(self._tempo(arriving), found_again, here)
            out = left[-1]
            trail.add(arriving, found_again, stayed)
            entered = np.concatenate([entered[len(here) :], new])
            if trail.length >= 2 * WINDOW:
                trail.settle(entered, begin + len(here))
        return trail.finish(entered, out + np.float32(self.model.leave_cost), total)

    def _cells(self, length: int) -> NDArray[np.intp]:
        """Give where in `entered`, flattened, beats began that end in each frame of a block."""
        count, size = self.grid.count, len(self.intervals)
        rows = self.memory + np.arange(length)[:, None, None] - self.intervals
        return (rows * count + np.arange(count)[:, None]) * size + np.arange(size)

    def _tempo(self, arriving: Curves) -> Curves:
        """Give for each interval to come the score of the best one before it."""
        count = arriving.shape[-1]
        best = np.full(arriving.shape, NEVER, np.float32)
        value = np.empty_like(best)
        for offset, cost in zip(self.offsets, self.costs, strict=True):
            to = slice(max(0, -offset), count - max(0, offset))
            source = slice(max(0, offset), count + min(0, offset))
            np.add(arriving[..., source], cost[to], out=value[..., to])
            np.maximum(best[..., to], value[..., to], out=best[..., to])
        return best

    def _leaving(self, arriving: Curves, out: np.float32) -> tuple[Curves, NDArray[np.bool_]]:
        """Give the score of being out of the beat in each frame, and whether it was out before."""
        leaving = arriving.reshape(len(arriving), -1).max(axis=1) - self.model.leave_cost
        best = np.maximum.accumulate(np.concatenate([[out], leaving]))
        return best[1:].astype(np.float32), best[1:] <= best[:-1]

    def _places(self, best: Curves, found_again: Curves, evidence: Curves) -> Curves:
        """Go on to the next places in the bar, or begin here; add the evidence."""
        grid = self.grid
        new = best.take(grid.before, axis=1)
        for row, first in enumerate(grid.firsts):
            new[:, first] = (best + self.breaks[row][:, None]).max(axis=1)
        start = np.maximum(found_again[:, None], self.begin)
        np.maximum(new, start[..., None], out=new)
        new += evidence[:, (grid.places == 1).astype(int)][..., None]
        new += self.prior
        return new

    def came_from(
        self, arriving: Curves, found_again: np.float32, place: int, interval: int
    ) -> tuple[int, int]:
        """Give place and interval of the beat before one, or how the beat began there.

        Of scores of beats that end in its frame, (places, intervals): the first that is as good as
        what the search found.
        """
        low = max(0, interval + self.offsets[0])
        high = min(len(self.intervals), interval + self.offsets[-1] + 1)
        rows = np.arange(low, high) - interval - self.offsets[0]
        values = arriving[:, low:high] + self.costs[rows, interval]
        best = np.maximum(values.max(axis=1), np.float32(NEVER))
        if place in self.grid.firsts:
            scores = best + self.breaks[int(np.searchsorted(self.grid.firsts, place))]
            source = int(scores.argmax())
            score = scores[source]
        else:
            source = int(self.grid.before[place])
            score = best[source]
        begin = self.begin[place]
        if max(found_again, begin) > score:
            return (FIRST if found_again <= begin else START), 0
        return source, low + int(values[source].argmax())


#: In the place of a place: the beat was found again, or for the first time.
START, FIRST = -1, -2


class _Trail:
    """Where each beat came from; what is settled is forgotten."""

    def __init__(self, search: _Search) -> None:
        self.search = search
        self.arriving: list[Curves] = []
        self.found_again: list[Curves] = []
        self.stayed: list[NDArray[np.bool_]] = []
        self.first = self.length = 0  # frame of the oldest that is kept, number that are kept
        self.settled: list[tuple[int, int]] = []

    def add(self, arriving: Curves, found_again: Curves, stayed: NDArray[np.bool_]) -> None:
        self.arriving.append(arriving)
        self.found_again.append(found_again)
        self.stayed.append(stayed)
        self.length += len(arriving)

    def settle(self, entered: Curves, end: int) -> None:
        """Fix the beats that are older than a window, and forget what led to them."""
        limit = end - WINDOW
        found = [each for each in self._back(self._latest(entered, end)) if each[0] < limit]
        self._keep(found)
        while self.first + len(self.arriving[0]) <= limit - 2 * self.search.memory:
            self.first += len(self.arriving[0])
            self.length -= len(self.arriving.pop(0))
            self.found_again.pop(0)
            self.stayed.pop(0)

    def finish(self, entered: Curves, out: np.float32, end: int) -> Path:
        """Go back from the best end."""
        latest = self._latest(entered, end)
        # Less than this is no evidence of a beat.
        least = 0.0 if self.settled else self.search.model.leave_cost
        if max(float(out), least) < latest[0]:
            self._keep(self._back(latest))
        elif out > least:
            self._keep(self._back(self._left(end - 1)))
        pairs = np.array(self.settled, np.intp).reshape(-1, 2)
        return max(float(out), latest[0]), pairs[:, 0], pairs[:, 1]

    def _keep(self, found: list[tuple[int, int]]) -> None:
        last = self.settled[-1][0] if self.settled else -1
        gap = self.search.intervals[0] // 2
        self.settled += [each for each in found if last < 0 or each[0] > last + gap]

    def _latest(self, entered: Curves, end: int) -> tuple[float, int, int, int]:
        """Give score, frame, place and interval of the best beat whose next lies beyond the end."""
        memory, intervals = self.search.memory, self.search.intervals
        ages = memory - np.arange(memory)  # frames from each row to the end
        going_on = ages[:, None, None] <= intervals[None, None, :]
        scores = np.where(going_on, entered, NEVER)
        row, place, interval = np.unravel_index(int(scores.argmax()), scores.shape)
        return float(scores.max()), end - memory + int(row), int(place), int(interval)

    def _left(self, frame: int) -> tuple[float, int, int, int]:
        """Give the beat after which the path was out of the beat at a frame."""
        size = len(self.search.intervals)
        while frame >= self.first:
            if not self._at(self.stayed, frame):
                place, interval = divmod(int(self._at(self.arriving, frame).argmax()), size)
                return 0.0, frame - int(self.search.intervals[interval]), place, interval
            frame -= 1
        return 0.0, -1, 0, 0

    def _at(self, blocks: Sequence[NDArray[Any]], frame: int) -> Any:
        index, row = divmod(frame - self.first, self.search.block)
        return blocks[index][row]

    def _back(self, latest: tuple[float, int, int, int]) -> list[tuple[int, int]]:
        """Follow a path back as far as is remembered; the beats in their order."""
        _, frame, place, interval = latest
        intervals, found = self.search.intervals, []
        while frame >= self.first:
            found.append((frame, place))
            arriving, again = self._at(self.arriving, frame), self._at(self.found_again, frame)
            place, interval = self.search.came_from(arriving, again, place, interval)
            if place == FIRST:
                break
            if place == START:
                _, frame, place, interval = self._left(frame - 1)
            else:
                frame -= int(intervals[interval])
        return found[::-1]


def _at_peaks(curve: Curves, frames: NDArray[np.intp]) -> Times:
    """Move beats to the highest frame beside them, and between frames by the parabola there."""
    if not len(frames):
        return np.zeros(0)
    padded = np.pad(curve.astype(np.float64), 2)
    around = padded[frames[:, None] + np.arange(1, 4)]
    higher = around.max(axis=1) > around[:, 1]  # where all are alike, it stays
    near = np.where(higher, frames + around.argmax(axis=1) - 1, frames)
    near = np.clip(near, 0, len(curve) - 1)
    left, here, right = padded[near + 1], padded[near + 2], padded[near + 3]
    bend = left - 2 * here + right
    peaked = (bend < 0) & (here >= left) & (here >= right) & (near > 0) & (near < len(curve) - 1)
    shift = np.where(peaked, 0.5 * (left - right) / np.where(peaked, bend, -1.0), 0.0)
    return np.maximum.accumulate(near + shift)
