"""Write a recording with a click at each onset, to check them by ear."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocli.io.audio.levels import Level
from audiocli.io.overlay import Audio, Layer, write_overlaid

__all__ = ["write_clicks"]

PITCH = 2000.0  # Hz; at low sample rates a fifth of the rate, so that accents stay higher
ACCENT = 1.5  # how much higher, and louder, an accented one is
DECAY = 0.006  # seconds to 1/e
LENGTH = 0.03  # seconds
#: Peak of a click over the recording's root mean square; 12 dB carries over a dense mix.
PROMINENCE = 4.0
QUIETEST = 0.05  # peak of a click over silence


def write_clicks(
    source: Path,
    target: Path,
    times: NDArray[np.float64],
    *,
    accents: NDArray[np.bool_] | None = None,
    name: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write a file's sound with a click at each time, in constant memory.

    Takes ``times`` (clicks,); those at ``accents`` are higher and louder, as a metronome's.
    """

    def make(level: Level, rate: int) -> Layer:
        height = max(PROMINENCE * level.rms, QUIETEST)
        if accents is None:
            return Layer(height, _clicks(times, rate, height, min(PITCH, rate / 4)))
        pitch = min(PITCH, rate / 5)
        high = _clicks(times[accents], rate, ACCENT * height, ACCENT * pitch)
        low = _clicks(times[~accents], rate, height, pitch)
        return Layer(ACCENT * height, lambda first, end: high(first, end) + low(first, end))

    write_overlaid(source, target, make, name=name, overwrite=overwrite)


def _clicks(
    times: NDArray[np.float64], rate: int, height: float, pitch: float
) -> Callable[[int, int], Audio]:
    """Return a function that computes any range of samples of the clicks."""
    t = np.arange(round(LENGTH * rate)) / rate
    click = (height * np.sin(2 * np.pi * pitch * t) * np.exp(-t / DECAY)).astype(np.float32)
    starts = np.round(times * rate).astype(int)

    def samples(first: int, end: int) -> Audio:
        sound = np.zeros(end - first, np.float32)
        for start in starts[(starts > first - len(click)) & (starts < end)]:
            here, stop = max(start, first), min(start + len(click), end)
            sound[here - first : stop - first] += click[here - start : stop - start]
        return sound

    return samples
