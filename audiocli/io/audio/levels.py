"""Measure the level of audio as it passes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Level"]


class Level:
    """The level and the peak of a stream.

    The level is the root mean square over the blocks of 0.4 s that are not
    60 dB or more below the loudest one: pauses do not count.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self.frames = 0
        self.peak = 0.0
        self.length = max(1, round(0.4 * sample_rate))
        # Energy and number of samples of each of them, however the stream is cut.
        self._energy: list[float] = []
        self._samples: list[int] = []

    def update(self, block: NDArray[np.float32]) -> None:
        """Take in a block (channels, samples)."""
        if not block.size:
            return
        self.peak = max(self.peak, float(np.abs(block).max()))
        power = np.square(block, dtype=np.float64).sum(axis=0)
        missing = -self.frames % self.length  # samples that complete the last one
        self.frames += block.shape[-1]
        for piece in np.split(power, np.arange(missing, len(power), self.length)):
            if not len(piece):
                continue
            if missing:
                self._energy[-1] += float(piece.sum())
                self._samples[-1] += len(piece) * block.shape[0]
                missing = 0
            else:
                self._energy.append(float(piece.sum()))
                self._samples.append(len(piece) * block.shape[0])

    @property
    def rms(self) -> float:
        """Root mean square level; 0 for silence."""
        energy = np.array(self._energy)
        samples = np.array(self._samples)
        power = energy / np.maximum(samples, 1)
        loud = power > 1e-6 * power.max(initial=0.0)
        return float(np.sqrt(energy[loud].sum() / samples[loud].sum())) if loud.any() else 0.0
