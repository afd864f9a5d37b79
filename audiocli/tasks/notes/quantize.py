"""Notes moved to a grid of beats, in plain numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["SUBDIVISIONS", "choose_subdivision", "quantize"]

Array = NDArray[np.float64]

#: Into how many parts a beat may be divided.
SUBDIVISIONS = (1, 2, 3, 4, 6, 8)
#: Those that are tried where none is asked for: eighths, triplets, sixteenths.
TRIED = (2, 3, 4)
#: How far onsets lie from where they belong, in beats, and how many lie anywhere.
SPREAD, STRAY = 0.05, 0.1


def quantize(
    starts: Array, ends: Array, beats: Array, subdivision: int | None = None
) -> tuple[Array, Array]:
    """Move onsets and offsets to the nearest place on the grid.

    No note is lost: of two with the same place the later one gets the next, and each lasts for
    one place at least. Beats, two or more, go on before the first and after the last at the pace of
    the others. Without a subdivision it is chosen by :func:`choose_subdivision`.
    """
    if not len(starts):
        return starts, ends
    # Notes that share a place move on: at the most by as many places as there are notes.
    grid = _extended(beats, float(starts.min()), float(ends.max()), len(starts))
    index = np.arange(len(grid), dtype=np.float64)
    onsets = np.interp(starts, grid, index)
    parts = choose_subdivision(onsets) if subdivision is None else subdivision
    first = _apart(np.round(onsets * parts).astype(int))
    last = np.round(np.interp(ends, grid, index) * parts).astype(int)
    last = np.maximum(last, first + 1)
    last[:-1] = np.minimum(last[:-1], first[1:])
    begin = np.interp(first / parts, index, grid)
    # What would begin before the recording does begins with it.
    return np.maximum(begin, 0.0), np.maximum(np.interp(last / parts, index, grid), 0.0)


def choose_subdivision(onsets: Array) -> int:
    """Choose how to divide beats, by the likelihood of onsets given in beats.

    Onsets lie around the places of the grid, all of which are as likely; so a finer grid must fit
    better by more than it has places more.
    """
    scores = []
    for parts in TRIED:
        away = np.abs(onsets * parts - np.round(onsets * parts)) / parts
        near = np.exp(-0.5 * (away / SPREAD) ** 2) / (SPREAD * np.sqrt(2 * np.pi) * parts)
        scores.append(np.log((1 - STRAY) * near + STRAY).sum())
    return TRIED[int(np.argmax(scores))]


def _extended(beats: Array, first: float, last: float, more: int) -> Array:
    """Let beats go on at their median interval until they enclose two times, and `more` after."""
    interval = float(np.median(np.diff(beats)))
    before = max(int(np.ceil((beats[0] - first) / interval)), 0) + 1
    after = max(int(np.ceil((last - beats[-1]) / interval)), 0) + more + 1
    early = beats[0] - interval * np.arange(before, 0, -1)
    return np.concatenate([early, beats, beats[-1] + interval * np.arange(1, after + 1)])


def _apart(places: NDArray[np.int_]) -> NDArray[np.int_]:
    """Make places rise strictly, by moving later ones on."""
    steps = np.arange(len(places))
    return np.asarray(np.maximum.accumulate(places - steps) + steps)
