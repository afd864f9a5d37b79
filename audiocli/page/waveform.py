"""The outline of a waveform, in constant memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Outline", "Outliner"]

Audio = NDArray[np.float32]

COLUMNS = 4000
#: What full scale is in an outline.
FULL_SCALE = 127


@dataclass(frozen=True)
class Outline:
    """The highest and lowest samples of each column, from -127 to 127."""

    tops: Sequence[int]
    bottoms: Sequence[int]


class Outliner:
    """Finds the outline of a stream of known length.

    Parameters
    ----------
    frames : int
        Samples that are to come.
    columns : int
        So many at most.

    Examples
    --------
    >>> outliner = Outliner(4, columns=2)
    >>> outliner.take(np.array([[0.5, -0.5, 1.0, 0.0]], np.float32))
    >>> outliner.outline()
    Outline(tops=[64, 127], bottoms=[-64, 0])
    """

    def __init__(self, frames: int, *, columns: int = COLUMNS) -> None:
        self._columns = max(min(frames, columns), 1)
        self._frames = max(frames, 1)
        self._tops = np.full(self._columns, -np.inf)
        self._bottoms = np.full(self._columns, np.inf)
        self._done = 0

    def take(self, block: Audio) -> None:
        """Take in the next block (channels, samples)."""
        count = block.shape[1]
        if not count:
            return
        places = (np.arange(self._done, self._done + count) * self._columns) // self._frames
        places = np.minimum(places, self._columns - 1)
        starts = np.flatnonzero(np.diff(places, prepend=-1))
        found = places[starts]
        tops = np.maximum.reduceat(block.max(axis=0), starts)
        bottoms = np.minimum.reduceat(block.min(axis=0), starts)
        self._tops[found] = np.maximum(self._tops[found], tops)
        self._bottoms[found] = np.minimum(self._bottoms[found], bottoms)
        self._done += count

    def outline(self) -> Outline:
        """Give the outline of what was taken in."""
        return Outline(_whole(self._tops), _whole(self._bottoms))


def _whole(values: NDArray[np.float64]) -> list[int]:
    finite = np.where(np.isfinite(values), values, 0.0)
    numbers: list[int] = np.round(FULL_SCALE * np.clip(finite, -1, 1)).astype(int).tolist()
    return numbers
