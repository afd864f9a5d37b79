"""The level of a recording over time: its rise at an onset, and its lowest point before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

__all__ = ["Envelope", "backtracked", "rises"]

Audio = NDArray[np.float32]
Decibels = NDArray[np.float32]
Times = NDArray[np.float64]

FLOOR, SILENT = 1e-10, -100.0  # power, and the same in dB
LOOK = 0.05  # seconds before and after an onset in which the level is compared
FARTHEST = 0.1  # seconds that an onset is moved back at most


class Envelope:
    """Measures the level of a stream that passes through it.

    Parameters
    ----------
    hop_length : int
        Samples a value.
    """

    def __init__(self, hop_length: int) -> None:
        self.hop_length = hop_length
        self.samples = 0
        self._powers: list[NDArray[np.float64]] = []
        self._rest = np.zeros(0, np.float32)

    def measured(self, blocks: Iterable[Audio]) -> Iterator[Audio]:
        """Measure blocks (samples,), and pass them on."""
        for block in blocks:
            self.samples += len(block)
            joined = np.concatenate([self._rest, block])
            whole = len(joined) - len(joined) % self.hop_length
            pieces = joined[:whole].reshape(-1, self.hop_length).astype(np.float64)
            self._powers.append(np.mean(pieces**2, axis=1))
            self._rest = joined[whole:]
            yield block

    def decibels(self) -> Decibels:
        """Level of each hop, in dB relative to full scale; -100 for silence."""
        last = [np.mean(self._rest.astype(np.float64) ** 2)] if len(self._rest) else []
        powers = np.concatenate([*self._powers, last])
        return np.asarray(10 * np.log10(np.maximum(powers, FLOOR)), np.float32)


def rises(envelope: Decibels, times: Times, frame_rate: float) -> Decibels:
    """Measure the rise of the level (frames,) around each onset (onsets,), in dB."""
    reach = round(LOOK * frame_rate)
    steps = []
    for place in np.round(times * frame_rate).astype(int):
        before = envelope[max(place - reach, 0) : place + 1]
        after = envelope[place : place + reach + 1]
        lowest = before.min(initial=np.inf if place else SILENT)  # nothing is before the start
        rise = after.max() - lowest if len(before) and len(after) else 0.0
        steps.append(max(float(rise), 0.0))
    return np.array(steps, np.float32)


def backtracked(envelope: Decibels, times: Times, frame_rate: float) -> Times:
    """Move onsets back to where the level is lowest before them, to cut there without a click."""
    moved = []
    earliest = 0.0
    for time in times:
        place = min(int(time * frame_rate), len(envelope) - 1)
        lowest = place
        first = max(place - round(FARTHEST * frame_rate), 0)
        while lowest > first and envelope[lowest - 1] <= envelope[lowest]:
            lowest -= 1
        at = (lowest + 0.5) / frame_rate if lowest < place else time
        moved.append(max(min(at, time), earliest))
        earliest = time
    return np.array(moved)
