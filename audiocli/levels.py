"""Measure the level of audio as it passes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Level"]


class Level:
    """The level and the peak of a stream.

    The level is the root mean square over the stretches of 0.4 s that are not
    60 dB or more below the loudest one: pauses do not count.

    Examples
    --------
    >>> level = Level()
    >>> level.hear(np.full((1, 800), 0.5, np.float32), 1000)
    >>> level.rms, level.peak, level.frames
    (0.5, 0.5, 800)
    """

    def __init__(self) -> None:
        self.frames = 0
        self.peak = 0.0
        self._powers: list[float] = []

    def hear(self, block: NDArray[np.float32], sample_rate: int) -> None:
        """Take in a block (channels, samples) at `sample_rate` Hz."""
        self.frames += block.shape[-1]
        if block.size:
            self.peak = max(self.peak, float(np.abs(block).max()))
        stretch = max(1, round(0.4 * sample_rate))
        for start in range(0, block.shape[-1], stretch):
            piece = block[:, start : start + stretch].astype(np.float64)
            self._powers.append(float(np.mean(piece**2)))

    @property
    def rms(self) -> float:
        """Root mean square level; 0 for silence."""
        powers = np.array(self._powers)
        loud = powers[powers > 1e-6 * powers.max(initial=0.0)]
        return float(np.sqrt(loud.mean())) if loud.size else 0.0
