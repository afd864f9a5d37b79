"""What a page says and plays of one signal: its levels, and its sound in few bytes."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from audiocli.dsp.loudness import SILENT_LUFS, LoudnessMeter
from audiocli.io.audio import AudioFormat, AudioWriter
from audiocli.io.audio.layouts import Layout

__all__ = ["BUDGET", "Levels", "Measures", "Sound", "fits"]

Audio = NDArray[np.float32]

#: What mp3 is embedded at: the rates of MPEG 1, in Hz, which every browser plays.
RATES = (32_000, 44_100, 48_000)
#: The encoder's measure of mp3 by the number of channels: about 70 and 90 kbit/s.
COMPRESSION = {1: 0.85, 2: 0.78}
KILOBITS = 95.0
#: The same for long recordings, in one channel.
SMALL_RATE, SMALL_COMPRESSION, SMALL_KILOBITS = 24_000, 0.85, 33.0
#: Bytes that the sounds of a page may have together, before they become a third more in base64.
BUDGET = 15_000_000


def fits(seconds: float, tracks: int, *, small: bool = False) -> bool:
    """Tell whether the sounds of so many tracks fit into a page."""
    kilobits = SMALL_KILOBITS if small else KILOBITS
    return seconds * tracks * kilobits * 1000 / 8 <= BUDGET


@dataclass(frozen=True)
class Measures:
    """Levels of a signal.

    Parameters
    ----------
    peak, rms : float
        In dBFS; -inf for silence.
    loudness : float
        Integrated, in LUFS; -inf for silence.
    share : float, optional
        Of the energy of all stems, from 0 to 1.
    """

    peak: float
    rms: float
    loudness: float
    share: float | None = None


class Levels:
    """Levels of a stream.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    layout : tuple of str, optional
        The speakers of the channels.
    """

    def __init__(self, sample_rate: int, layout: Layout | None = None) -> None:
        self._meter = LoudnessMeter(sample_rate, layout)
        self._peak = 0.0
        self._samples = 0
        self.energy = 0.0

    def update(self, block: Audio) -> None:
        """Take in a block (channels, samples)."""
        self._meter.add(block)
        self._peak = max(self._peak, float(np.abs(block).max(initial=0.0)))
        self._samples += block.size
        self.energy += float(np.square(block, dtype=np.float64).sum())

    @property
    def peak(self) -> float:
        """The highest sample, in dBFS; -inf for silence."""
        return _decibels(self._peak)

    @property
    def rms(self) -> float:
        """The level over all samples, in dBFS: 0 for a constant of full scale."""
        return _decibels(math.sqrt(self.energy / max(self._samples, 1)))

    @property
    def loudness(self) -> float:
        """Integrated loudness in LUFS; -inf for what is silent or shorter than 0.4 s."""
        value = self._meter.result()
        return value if value > SILENT_LUFS else -math.inf  # also where it is not defined

    def measures(self, share: float | None = None) -> Measures:
        """Give them all."""
        return Measures(self.peak, self.rms, self.loudness, share)


def _decibels(amplitude: float) -> float:
    return 20 * math.log10(amplitude) if amplitude > 0 else -math.inf


class Sound:
    """A stream as mp3 of modest quality, in one or two channels, to be embedded in a page.

    Parameters
    ----------
    path : Path
        A file to write it to, which may be replaced.
    sample_rate : int
        Of the stream, in Hz.
    channels : int
        Of the stream; more than two become one.
    small : bool
        In one channel and a third of the bytes, for long recordings.
    """

    def __init__(self, path: Path, sample_rate: int, channels: int, *, small: bool = False) -> None:
        self.channels = channels if channels <= 2 and not small else 1
        usual = min((rate for rate in RATES if rate >= sample_rate), default=RATES[-1])
        self.rate = SMALL_RATE if small else usual
        self._path = path
        self._mixed_down = channels > self.channels
        self._stream = (
            None
            if self.rate == sample_rate
            else soxr.ResampleStream(sample_rate, self.rate, self.channels, dtype="float32")
        )
        self.writer = AudioWriter(
            path,
            self.rate,
            self.channels,
            AudioFormat("mp3", "MPEG_LAYER_III"),
            overwrite=True,
            compression=SMALL_COMPRESSION if small else COMPRESSION[self.channels],
        )

    def take(self, block: Audio) -> None:
        """Add a block (channels, samples); what is beyond full scale is clipped."""
        self._write(block.mean(axis=0, keepdims=True) if self._mixed_down else block, last=False)

    def end(self) -> None:
        """Add what is still on its way, once all has been taken in."""
        self._write(np.zeros((self.channels, 0), np.float32), last=True)

    def _write(self, block: Audio, *, last: bool) -> None:
        if self._stream is not None:
            block = self._stream.resample_chunk(np.ascontiguousarray(block.T), last=last).T
        if block.shape[1]:
            self.writer.write(block)

    @property
    def size(self) -> int:
        """Bytes of the finished file."""
        return self._path.stat().st_size

    def uri(self) -> str:
        """Give the finished file as a data URI."""
        return "data:audio/mpeg;base64," + base64.b64encode(self._path.read_bytes()).decode()
