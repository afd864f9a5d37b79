"""Test-time augmentation: process a recording at several pitches and average the estimates.

Played faster or slower, a recording gives the network another voice and other frames. Its
errors differ from one to the next, and part of them cancel in the mean. Each pitch
costs a pass of its own, so this is for the last decibel and not for daily work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import soxr
from numpy.typing import NDArray

from audiocli.errors import UsageError

__all__ = ["SPREADS", "averaged_over_pitches", "spread"]

Audio = NDArray[np.float32]

#: So many pitches, in semitones: within the range in which training moved the voices.
SPREADS: dict[int, list[float]] = {
    1: [0],
    3: [-4, 0, 4],
    5: [-6, -3, 0, 3, 6],
    7: [-6, -4, -2, 0, 2, 4, 6],
}


def spread(pitches: int | None, usual: Sequence[float] | None = None) -> list[float]:
    """Give the shifts of so many pitches, in semitones."""
    if pitches is not None and pitches not in SPREADS:
        raise UsageError(f"{pitches} pitches: there can be {', '.join(map(str, SPREADS))}")
    return [float(step) for step in (SPREADS[pitches] if pitches else usual or SPREADS[1])]


def averaged_over_pitches(
    process: Callable[[Audio], Audio], audio: Audio, semitones: Sequence[float]
) -> Audio:
    """Average what `process` gives of a signal (channels, samples) at several speeds."""
    total = None
    for step in semitones:
        output = _at_pitch(process, audio, 2 ** (step / 12)) if step else process(audio)
        total = output if total is None else total + output
    assert total is not None, "one pitch at least"
    return np.asarray(total / len(semitones), np.float32)


def _at_pitch(process: Callable[[Audio], Audio], audio: Audio, ratio: float) -> Audio:
    """Play a signal faster, process it, and play the result slower again."""
    output = process(_resampled(audio, ratio))
    flat = output.reshape(-1, output.shape[-1])
    back = _resampled(flat, 1 / ratio)[:, : audio.shape[-1]]
    back = np.pad(back, [(0, 0), (0, audio.shape[-1] - back.shape[-1])])
    return back.reshape(*output.shape[:-1], -1)


def _resampled(audio: Audio, ratio: float) -> Audio:
    if not audio.size:
        return audio
    return np.ascontiguousarray(soxr.resample(audio.T, ratio, 1.0, quality="HQ").T)
