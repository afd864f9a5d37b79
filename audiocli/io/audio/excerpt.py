"""Find the loudest excerpt of a recording as it passes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Loudest", "Excerpt", "cut"]

Block = NDArray[np.float32]

#: Steps by which the window moves over its own length: so many numbers are all that is kept.
STEPS = 1000


@dataclass(frozen=True)
class Excerpt:
    """A part of a recording.

    Parameters
    ----------
    start : int
        Its first sample.
    frames : int
        Its length in samples.
    """

    start: int
    frames: int

    @property
    def end(self) -> int:
        """The sample behind its last."""
        return self.start + self.frames


class Loudest:
    """The excerpt of a given length that has the highest mean power, over all channels.

    The window moves by a thousandth of its length, or by a sample where it is short. What is kept
    in memory depends neither on the recording's length nor on the window's.

    Parameters
    ----------
    frames : int
        Length of the window, in samples; at least 1.
    """

    def __init__(self, frames: int) -> None:
        if frames < 1:
            raise ValueError(f"a excerpt of {frames} samples: it must hold at least one")
        self.step = max(1, frames // STEPS)
        self.steps = -(-frames // self.step)
        self.frames = frames
        self._taken = 0  # samples
        self._energy = 0.0  # of all of them
        # Energy before each of the last places at which a window may begin.
        self._before: deque[float] = deque([0.0], maxlen=self.steps + 1)
        self._best = (-1.0, 0)  # mean power of a window, and where it begins
        self._rest = np.zeros(0)  # power of the samples after the last whole step

    def update(self, block: Block) -> None:
        """Take in a block (channels, samples)."""
        power = np.square(block, dtype=np.float64).sum(axis=0)
        self._taken += len(power)
        power = np.concatenate([self._rest, power])
        whole = len(power) - len(power) % self.step
        self._rest = power[whole:]
        place = self._taken - len(power)
        for energy in power[:whole].reshape(-1, self.step).sum(axis=1).tolist():
            self._energy += energy
            self._before.append(self._energy)
            place += self.step
            if len(self._before) > self.steps:
                self._offer(self._energy - self._before[0], place - self.steps * self.step)

    def _offer(self, energy: float, start: int) -> None:
        """Keep a window if it is louder than the best; of equals the first."""
        if energy > self._best[0] * (1 + 1e-12) and start + self.frames <= self._taken:
            self._best = (energy, start)

    @property
    def excerpt(self) -> Excerpt:
        """The loudest so far; all that has come where that is not longer."""
        if self._taken <= self.frames:
            return Excerpt(0, self._taken)
        if self._best[0] < 0:  # hardly longer than the window, which has had no place yet
            return Excerpt(0, self.frames)
        return Excerpt(self._best[1], self.frames)


def cut(blocks: Iterable[Block], frames: int) -> Iterator[Block]:
    """End a stream after so many frames."""
    left = frames
    for block in blocks:
        yield block[:, :left]
        left -= block.shape[1]
        if left <= 0:
            return
