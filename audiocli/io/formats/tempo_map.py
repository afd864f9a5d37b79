"""Beats as the tempo of a MIDI file: a beat is a quarter, and a bar begins where the music's does.

The sound begins at the first tick. What comes before the first beat are whole bars, and a shorter
one for the rest, at about the song's own tempo; a bar that is cut short has its own time signature.
A recording and the file, both put at the start of a project, so stay together, and bars line up.

References
----------
MIDI Manufacturers Association: Standard MIDI Files 1.0, RP-001, 1996.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import mido  # and late below, because few write MIDI

__all__ = ["TICKS_PER_BEAT", "TempoMap", "tempo_map"]

TICKS_PER_BEAT = 960
SLOWEST = (1 << 24) - 1  # microseconds a quarter that a file can hold


@dataclass(frozen=True)
class TempoMap:
    """When ticks are.

    Parameters
    ----------
    ticks : ndarray of int, shape (n,)
        Rising, from 0.
    times : ndarray of float64, shape (n,)
        In seconds, of each of them; between two the tempo is steady, and after the last as before.
    signatures : tuple of (int, int, int)
        Tick, beats a bar and what counts as a beat (4: a quarter) wherever they change.

    Examples
    --------
    >>> plain = TempoMap(np.array([0, 960]), np.array([0.0, 0.5]), ())
    >>> plain.tick(2.0)
    3840
    """

    ticks: NDArray[np.int64]
    times: NDArray[np.float64]
    signatures: tuple[tuple[int, int, int], ...]

    def tick(self, time: float) -> int:
        """Give the tick at a time in seconds."""
        index = int(np.searchsorted(self.times, time, side="right")) - 1
        index = min(max(index, 0), len(self.times) - 2)
        start, end = self.times[index : index + 2]
        first, last = self.ticks[index : index + 2]
        return max(0, round(float(first + (time - start) / (end - start) * (last - first))))

    def messages(self) -> list[tuple[int, mido.MetaMessage]]:
        """Write it as messages with their ticks."""
        import mido

        made = [
            (tick, mido.MetaMessage("time_signature", numerator=count, denominator=unit))
            for tick, count, unit in self.signatures
        ]
        reached, before = 0.0, None  # seconds, as a reader adds them up
        for index in range(len(self.ticks) - 1):
            beats = int(self.ticks[index + 1] - self.ticks[index]) / TICKS_PER_BEAT
            # Towards the true time, not by the true length: so that roundings do not add up.
            tempo = round((self.times[index + 1] - reached) * 1e6 / beats)
            tempo = min(max(tempo, 1), SLOWEST)
            reached += tempo * beats / 1e6
            if tempo != before:
                made.append((int(self.ticks[index]), mido.MetaMessage("set_tempo", tempo=tempo)))
            before = tempo
        return sorted(made, key=lambda each: each[0])


def tempo_map(beats: NDArray[np.float64], positions: Sequence[int] | None) -> TempoMap | None:
    """Make a tempo map of beats.

    Parameters
    ----------
    beats : ndarray, shape (n,)
        In seconds, rising.
    positions : sequence of int, optional
        Of each in its bar, 1 for the first; without them bars have four, from the first beat on.

    Returns
    -------
    TempoMap or None
        None of fewer than two beats.

    Examples
    --------
    >>> made = tempo_map(np.array([1.0, 1.5, 2.0, 2.5]), [1, 2, 3, 1])
    >>> made.signatures, made.tick(1.0)
    (((0, 8, 16), (1920, 3, 4)), 1920)
    """
    beats = np.unique(np.round(np.asarray(beats, np.float64), 6))
    if len(beats) < 2:
        return None
    places = list(positions) if positions is not None and len(positions) == len(beats) else []
    firsts = [index for index, place in enumerate(places) if place == 1]
    if not firsts:
        firsts = list(range(0, len(beats), 4))
    lengths = [b - a for a, b in zip(firsts, firsts[1:], strict=False)]
    usual = max(set(lengths), key=lengths.count) if lengths else 4
    bars = _lead(float(beats[0]), float(np.median(np.diff(beats))), usual)
    start = sum(count * 4 * TICKS_PER_BEAT // unit for count, unit in bars)
    bars += [(firsts[0], 4)] if firsts[0] else []
    bars += [(length, 4) for length in [*lengths, usual]]
    ticks = start + TICKS_PER_BEAT * np.arange(len(beats))
    if start:
        ticks, beats = np.append(0, ticks), np.append(0.0, beats)
    return TempoMap(ticks.astype(np.int64), beats, _signatures(bars))


def _lead(first: float, interval: float, meter: int) -> list[tuple[int, int]]:
    """Give the bars before the first beat: whole ones, and one of sixteenths or less."""
    whole = int(first / interval / meter)
    rest = first - whole * meter * interval
    bars = [(meter, 4)] * whole
    sixteenths = round(4 * rest / interval)
    if sixteenths:
        bars.append((sixteenths, 16))
    elif first > 0 and not whole:
        bars.append((1, 64))
    return bars


def _signatures(bars: list[tuple[int, int]]) -> tuple[tuple[int, int, int], ...]:
    """List where the length of bars changes."""
    made: list[tuple[int, int, int]] = []
    tick = 0
    for count, unit in bars:
        if not made or made[-1][1:] != (count, unit):
            made.append((tick, count, unit))
        tick += count * 4 * TICKS_PER_BEAT // unit
    return tuple(made)
