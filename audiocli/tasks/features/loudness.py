"""Loudness after ITU-R BS.1770 of a stream, in constant memory but for ten numbers a second."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocli.dsp.energy import GATING_BLOCK, SILENT_LUFS

__all__ = ["LoudnessMeter"]

Floats = NDArray[np.floating[Any]]

CHANNEL_GAINS = (1.0, 1.0, 1.0, 1.41, 1.41)
STEPS = 4  # a new gating block begins each quarter of one
OFFSET = -0.691  # dB, of the recommendation: a sine of 1 kHz has what it should


class LoudnessMeter:
    """:func:`audiocli.dsp.energy.loudness` for a stream, with the filters of pyloudnorm.

    Parameters
    ----------
    sample_rate : int
        Of the stream, in Hz.

    References
    ----------
    Recommendation ITU-R BS.1770-4, 2015.

    Examples
    --------
    >>> meter = LoudnessMeter(48000)
    >>> sine = np.sin(2 * np.pi * 1000 * np.arange(48000) / 48000)[None]
    >>> meter.add(sine[:, :20000])
    >>> meter.add(sine[:, 20000:])
    >>> round(meter.result(), 1)
    -3.0
    """

    def __init__(self, sample_rate: int) -> None:
        import pyloudnorm  # here, because few tables need it

        meter = pyloudnorm.Meter(sample_rate, filter_class="DeMan", block_size=GATING_BLOCK)
        self.sample_rate = sample_rate
        self._filters = list(meter._filters.values())
        self._states: list[Floats] = []
        self._heard = 0  # samples
        self._energies = np.zeros(0)  # of each quarter of a gating block, all channels together

    def add(self, block: Floats) -> None:
        """Take in the next block.

        Parameters
        ----------
        block : ndarray, shape (channels, samples)
            Full scale 1.0. More than the five channels of the recommendation are averaged.
        """
        from scipy.signal import lfilter

        if len(block) > len(CHANNEL_GAINS):
            block = block.mean(axis=0, keepdims=True)
        if not block.shape[1]:
            return
        weighted = block.astype(np.float64)
        if not self._states:
            orders = [max(len(stage.a), len(stage.b)) - 1 for stage in self._filters]
            self._states = [np.zeros((len(block), order)) for order in orders]
        for index, stage in enumerate(self._filters):
            weighted, self._states[index] = lfilter(
                stage.b, stage.a, weighted, axis=1, zi=self._states[index]
            )
            weighted *= stage.passband_gain
        power = np.array(CHANNEL_GAINS[: len(block)]) @ np.square(weighted)
        place = np.arange(self._heard, self._heard + len(power))
        quarters = (place * STEPS / (GATING_BLOCK * self.sample_rate)).astype(np.int64)
        starts = np.flatnonzero(np.diff(quarters, prepend=-1))
        self._energies = np.pad(self._energies, (0, quarters[-1] + 1 - len(self._energies)))
        self._energies[quarters[starts]] += np.add.reduceat(power, starts)
        self._heard += len(power)

    def result(self) -> float:
        """Give the integrated loudness of all that was taken in.

        Returns
        -------
        float
            In LUFS; -70 for silence, and for less than 0.4 s.
        """
        seconds = self._heard / self.sample_rate
        if seconds < GATING_BLOCK:
            return SILENT_LUFS
        blocks = int(np.round((seconds - GATING_BLOCK) / (GATING_BLOCK / STEPS))) + 1
        quarters = np.pad(self._energies, (0, STEPS))[: blocks + STEPS - 1]
        power = np.convolve(quarters, np.ones(STEPS), "valid") / (GATING_BLOCK * self.sample_rate)
        loud = power[_lufs(power) >= SILENT_LUFS]
        if not len(loud):
            return SILENT_LUFS
        gate = max(float(_lufs(loud.mean())) - 10.0, SILENT_LUFS)
        return max(float(_lufs(loud[_lufs(loud) > gate].mean())), SILENT_LUFS)


def _lufs(power: Floats) -> Floats:
    level: Floats = OFFSET + 10.0 * np.log10(np.maximum(power, 1e-30))
    return level
