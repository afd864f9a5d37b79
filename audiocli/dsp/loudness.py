"""Loudness after ITU-R BS.1770, as in broadcasting: of a stream, or of a whole signal.

The sound is weighted by frequency (K-weighting), its power is taken over blocks of 0.4 s, a new
one each 0.1 s, and those count that are above -70 LUFS and less than 10 dB below the mean of
those. The gate makes pauses not count.

The recommendation gives its filters for 48 kHz. For other rates they follow from the same analogue
filters by the bilinear transform, as in libebur128, FFmpeg and pyloudnorm. At low rates that is not
quite the same response: up to 0.08 dB more at 22.05 kHz, 0.15 at 16 kHz and 0.42 at 8 kHz.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocli.dsp.signals import Gate, as_audio, as_rate

__all__ = ["SILENT_LUFS", "LoudnessMeter", "TruePeakMeter", "loudness"]

Floats = NDArray[np.floating[Any]]

#: The loudness of silence: the absolute gate, below which nothing counts.
SILENT_LUFS = -70.0

STEPS_A_SECOND = 10  # a gating block begins with each step, ...
STEPS = 4  # ... and is so many steps long: 0.4 s
RELATIVE_GATE = -10.0  # LU
#: The loudness range: of stretches of 3 s, those within 20 LU of their mean; from the tenth
#: percentile to the 95th (EBU Tech 3342).
RANGE_STEPS, RANGE_GATE, RANGE_PERCENTILES = 30, -20.0, (10.0, 95.0)
OFFSET = -0.691  # dB: takes back what the weighting adds to a sine of 1 kHz

SURROUND = 1.41  # 1.5 dB: what comes from the side is louder
#: Weights by the number of channels, in the order of WAV: left, right, centre, low frequencies,
#: back, side. Four are left, right and two surround; 7.1 is after table 4 of the recommendation.
CHANNEL_WEIGHTS: dict[int, tuple[float, ...]] = {
    1: (1.0,),
    2: (1.0, 1.0),
    3: (1.0, 1.0, 1.0),
    4: (1.0, 1.0, SURROUND, SURROUND),
    5: (1.0, 1.0, 1.0, SURROUND, SURROUND),
    6: (1.0, 1.0, 1.0, 0.0, SURROUND, SURROUND),
    7: (1.0, 1.0, 1.0, 0.0, 1.0, SURROUND, SURROUND),
    8: (1.0, 1.0, 1.0, 0.0, 1.0, 1.0, SURROUND, SURROUND),
}


def speaker_weights(layout: Sequence[str]) -> tuple[float, ...]:
    """Weight channels by their speakers, after table 4 of the recommendation.

    Parameters
    ----------
    layout : sequence of str
        The speaker of each channel, by FFmpeg's names: 'FL', 'FR', 'FC', 'LFE', 'BL', ...

    Returns
    -------
    tuple of float
        1.41 for what stands at the sides, 0 for low-frequency effects, else 1. Where there is
        nothing at the sides, what is called back stands there, as in 5.1.

    Examples
    --------
    >>> speaker_weights(("FL", "FR", "LFE", "BL", "BR"))
    (1.0, 1.0, 0.0, 1.41, 1.41)
    """
    sides = {"SL", "SR"} if {"SL", "SR"} & set(layout) else {"BL", "BR"}
    return tuple(
        0.0 if name.startswith("LFE") else SURROUND if name in sides else 1.0 for name in layout
    )


# The analogue filters behind the recommendation's coefficients (De Man): Hz, quality, dB.
SHELF_HZ, SHELF_Q, SHELF_DB = 1681.974450955533, 0.7071752369554196, 3.999843853973347
SHELF_MIDDLE = 0.4996667741545416  # of the way up in dB, where the shelf has its frequency
HIGH_PASS_HZ, HIGH_PASS_Q = 38.13547087602444, 0.5003270373238773


class LoudnessMeter:
    """Measure the integrated loudness of a stream, keeping ten numbers a second.

    Parameters
    ----------
    sample_rate : int
        Of the stream, in Hz.
    layout : sequence of str, optional
        The speakers of the channels, as in :func:`speaker_weights`; by default their number
        decides, see :meth:`add`.

    References
    ----------
    Recommendation ITU-R BS.1770-4, Algorithms to measure audio programme loudness and true-peak
    audio level, 2015. B. De Man, Evaluation of implementations of the EBU R128 loudness
    measurement, 145th AES Convention, 2018.

    Examples
    --------
    >>> meter = LoudnessMeter(48000)
    >>> sine = np.sin(2 * np.pi * 1000 * np.arange(48000) / 48000)[None]
    >>> meter.add(sine[:, :20000])
    >>> meter.add(sine[:, 20000:])
    >>> round(meter.result(), 1)
    -3.0
    """

    def __init__(self, sample_rate: int, layout: Sequence[str] | None = None) -> None:
        self.sample_rate = sample_rate = as_rate(sample_rate)
        self._gate = Gate("block", keep_double=True)
        self._filters = _k_weighting(sample_rate)
        self._states: list[Floats] = []
        self._heard = 0  # samples
        self._weights = speaker_weights(layout) if layout else None
        self._steps = [0.0]  # weighted energy, all channels together; the last is not complete

    def add(self, block: Floats) -> None:
        """Take in the next block.

        Parameters
        ----------
        block : ndarray, shape (channels, samples)
            Full scale 1.0; always as many channels. Without a layout, up to 8 are in the order
            of WAV; of more the places are not known, so that their mean is measured.
        """
        block = self._gate.take(block)
        weights = self._weights or CHANNEL_WEIGHTS.get(len(block))
        if weights is None or len(weights) != len(block):
            block, weights = block.mean(axis=0, keepdims=True), CHANNEL_WEIGHTS[1]
        samples = block.shape[1]
        if not samples:
            return
        from scipy.signal import lfilter  # as long to import as all else that `separate` needs

        weighted = block.astype(np.float64)
        if not self._states:
            self._states = [np.zeros((len(block), 2)) for _ in self._filters]
        for index, (feedforward, feedback) in enumerate(self._filters):
            weighted, self._states[index] = lfilter(
                feedforward, feedback, weighted, axis=1, zi=self._states[index]
            )
        power = np.array(weights) @ np.square(weighted)
        step = np.arange(self._heard, self._heard + samples) * STEPS_A_SECOND // self.sample_rate
        starts = np.flatnonzero(np.diff(step, prepend=-1))
        self._steps += [0.0] * (int(step[-1]) + 1 - len(self._steps))
        for number, energy in zip(step[starts], np.add.reduceat(power, starts), strict=True):
            self._steps[number] += float(energy)
        self._heard += samples

    def result(self) -> float:
        """Give the integrated loudness of all that was taken in.

        Returns
        -------
        float
            In LUFS; -70 for silence, NaN for less than 0.4 s, which is the shortest that has a
            loudness. A gating block that is not complete at the end does not count.
        """
        complete = self._heard * STEPS_A_SECOND // self.sample_rate
        if complete < STEPS:
            return math.nan
        energy = np.convolve(self._steps[:complete], np.ones(STEPS), "valid")
        power = energy * STEPS_A_SECOND / (STEPS * self.sample_rate)
        power = power[_lufs(power) > SILENT_LUFS]
        if not len(power):
            return SILENT_LUFS
        power = power[_lufs(power) > _lufs(power.mean()) + RELATIVE_GATE]
        return float(_lufs(power.mean()))

    def short_term(self, step: float = 0.5) -> NDArray[np.float64]:
        """Give the loudness of stretches of 3 s.

        Parameters
        ----------
        step : float
            From the beginning of one stretch to the next, in seconds, a multiple of 0.1.

        Returns
        -------
        ndarray
            In LUFS, the first of the first 3 s; NaN for silence. Empty for less than 3 s.
        """
        complete = self._heard * STEPS_A_SECOND // self.sample_rate
        if complete < RANGE_STEPS:
            return np.zeros(0)
        energy = np.convolve(self._steps[:complete], np.ones(RANGE_STEPS), "valid")
        levels = _lufs(energy * STEPS_A_SECOND / (RANGE_STEPS * self.sample_rate))
        every = max(round(step * STEPS_A_SECOND), 1)
        return np.where(levels > SILENT_LUFS, levels, np.nan)[::every]

    def range(self) -> float:
        """Give the loudness range: how far soft and loud passages lie apart.

        Returns
        -------
        float
            In LU, after EBU Tech 3342; NaN for less than 3 s and for silence.
        """
        complete = self._heard * STEPS_A_SECOND // self.sample_rate
        if complete < RANGE_STEPS:
            return math.nan
        energy = np.convolve(self._steps[:complete], np.ones(RANGE_STEPS), "valid")
        power = energy * STEPS_A_SECOND / (RANGE_STEPS * self.sample_rate)
        power = power[_lufs(power) > SILENT_LUFS]
        if not len(power):
            return math.nan
        power = power[_lufs(power) > _lufs(power.mean()) + RANGE_GATE]
        low, high = np.percentile(_lufs(power), RANGE_PERCENTILES)
        return float(high - low)


#: A sample is looked at between its neighbours so many times up to these rates, in Hz.
OVERSAMPLING = ((96_000, 4), (192_000, 2))
SIDE = 12  # samples on each side of a place between samples


class TruePeakMeter:
    """Measure the true peak of a stream: the highest value between samples too.

    Parameters
    ----------
    sample_rate : int
        Of the stream, in Hz.

    References
    ----------
    Recommendation ITU-R BS.1770-4, Annex 2, 2015.

    Examples
    --------
    >>> meter = TruePeakMeter(48000)
    >>> meter.add(np.sin(np.pi * (np.arange(4800) / 2 + 0.25))[None])  # samples of 0.71
    >>> abs(meter.result()) < 0.2
    True
    """

    def __init__(self, sample_rate: int) -> None:
        rate = as_rate(sample_rate)
        self._times = next((times for below, times in OVERSAMPLING if rate < below), 1)
        place = np.arange(-SIDE * self._times, SIDE * self._times + 1)
        self._filter = np.sinc(place / self._times) * np.hanning(len(place) + 2)[1:-1]
        self._before: Floats | None = None
        self._peak = 0.0

    def add(self, block: Floats) -> None:
        """Take in the next block (channels, samples), full scale 1.0."""
        if not block.shape[1]:
            return
        self._peak = max(self._peak, float(np.abs(block).max()))
        if self._times == 1:
            return
        from scipy.signal import upfirdn

        if self._before is None:
            self._before = np.zeros((len(block), 2 * SIDE), np.float32)
        joined = np.concatenate([self._before, block.astype(np.float32)], axis=1)
        between = upfirdn(self._filter.astype(np.float32), joined, self._times, axis=1)
        edge = len(self._filter) - 1  # what does not have all its neighbours yet
        whole = between[:, edge : between.shape[1] - edge]
        self._peak = max(self._peak, float(np.abs(whole).max(initial=0)))
        self._before = joined[:, -2 * SIDE :]

    def result(self) -> float:
        """Give the true peak of all that was taken in, in dBTP; -inf for digital silence."""
        if self._before is not None:
            self.add(np.zeros_like(self._before))
        return 20 * math.log10(self._peak) if self._peak else -math.inf


def loudness(signal: Floats, sample_rate: int) -> float:
    """Measure the integrated loudness of a whole signal.

    Parameters
    ----------
    signal : ndarray, shape (samples,) or (channels, samples)
        Full scale 1.0. The powers of channels add up, so that two equal ones are 3 dB louder than
        one. See :meth:`LoudnessMeter.add` for their order.
    sample_rate : int
        In Hz.

    Returns
    -------
    float
        In LUFS: -3.0 for a sine of 1 kHz and full scale in one channel. A signal that is silent
        has -70, one shorter than 0.4 s NaN.

    Examples
    --------
    >>> sine = np.sin(2 * np.pi * 1000 * np.arange(48000) / 48000).astype(np.float32)
    >>> round(loudness(sine, 48000), 1), loudness(0 * sine, 48000)
    (-3.0, -70.0)
    """
    meter = LoudnessMeter(sample_rate)
    meter.add(as_audio(signal, "signal", keep_double=True))
    return meter.result()


def _k_weighting(sample_rate: int) -> list[tuple[Floats, Floats]]:
    """Make the two filters, a shelf and a high pass: coefficients forward and back."""
    k = math.tan(math.pi * SHELF_HZ / sample_rate)
    top = 10.0 ** (SHELF_DB / 20.0)
    middle = top**SHELF_MIDDLE * k / SHELF_Q
    shelf = np.array([top + middle + k * k, 2.0 * (k * k - top), top - middle + k * k])
    shelf_back = np.array(
        [1.0 + k / SHELF_Q + k * k, 2.0 * (k * k - 1.0), 1.0 - k / SHELF_Q + k * k]
    )
    k = math.tan(math.pi * HIGH_PASS_HZ / sample_rate)
    pass_back = [1.0 + k / HIGH_PASS_Q + k * k, 2.0 * (k * k - 1.0), 1.0 - k / HIGH_PASS_Q + k * k]
    return [
        (shelf / shelf_back[0], shelf_back / shelf_back[0]),
        # Not scaled forward: so stands it in the recommendation, and the offset allows for it.
        (np.array([1.0, -2.0, 1.0]), np.array(pass_back) / pass_back[0]),
    ]


def _lufs(power: Floats) -> Floats:
    level: Floats = OFFSET + 10.0 * np.log10(np.maximum(power, 1e-30))
    return level
