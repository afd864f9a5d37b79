"""Audio for the calls of :mod:`audiocli.api`: a file by its path, or an array with its rate."""

from __future__ import annotations

import base64
import contextlib
import html
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocli.dsp.signals import as_audio, as_rate
from audiocli.errors import UsageError
from audiocli.io.audio import AudioReader, read
from audiocli.io.audio.info import printable
from audiocli.io.audio.streaming import Extremes

__all__ = ["PREVIEW_SECONDS", "Source", "player"]

Audio = NDArray[np.float32]
Values = NDArray[np.float64]

#: A player holds so much of the beginning, in s: about a megabyte.
PREVIEW_SECONDS = 60.0
BLOCK = 1 << 16  # samples


@dataclass(frozen=True, eq=False)  # arrays have no single answer to ==
class Source:
    """A recording that a call was given.

    Parameters
    ----------
    name : str
        As results name it.
    path : Path, optional
        The file, which is read in blocks each time.
    audio : ndarray, shape (channels, samples), optional
        The signal, where there is no file.
    sample_rate : int
        In Hz; of an array.
    """

    name: str
    path: Path | None = None
    audio: Audio | None = None
    sample_rate: int = 0

    @classmethod
    def of(cls, audio: Any, sample_rate: float | None) -> Source:
        """Take a path, or an array and its rate."""
        if isinstance(audio, (str, os.PathLike)):
            if sample_rate is not None:
                raise UsageError(f"{printable(os.fspath(audio))}: a file has its own sample_rate")
            path = Path(audio)
            return cls(printable(path.name), path)
        if sample_rate is None:
            raise UsageError("an array needs its sample_rate, in Hz; a file is named by its path")
        return cls("audio", audio=as_audio(audio), sample_rate=as_rate(sample_rate))

    @contextlib.contextmanager
    def blocks(self) -> Iterator[tuple[Iterator[Audio], int]]:
        """Open it: blocks (channels, samples), and their rate in Hz."""
        if self.path is None:
            assert self.audio is not None  # one of the two is there
            yield iter([self.audio]), self.sample_rate
            return
        with AudioReader(self.path) as reader:
            yield reader.blocks(BLOCK), reader.info.sample_rate

    def load(self) -> tuple[Audio, int]:
        """Read all of it: (channels, samples), and the rate in Hz."""
        if self.path is None:
            assert self.audio is not None  # one of the two is there
            return self.audio, self.sample_rate
        return read(self.path)

    def envelope(self, columns: int = 2000) -> tuple[Values, Values, Values]:
        """Give times in seconds, and the lowest and highest sample around each."""
        with self.blocks() as (blocks, rate):
            step = max(1, rate // 100)
            extremes = Extremes(step)
            for block in blocks:
                extremes.push(block.mean(axis=0))
        low, high = extremes.finish()
        if len(low) > columns:
            width = -(-len(low) // columns)
            starts = np.arange(0, len(low), width)
            low, high = np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)
            step *= width
        return (np.arange(len(low)) + 0.5) * step / rate, low, high

    def player(self) -> str:
        """Give an HTML player of its beginning."""
        kept: list[Audio] = []
        with self.blocks() as (blocks, rate):
            left = round(PREVIEW_SECONDS * rate)
            for block in blocks:
                kept.append(block[:2, :left])
                left -= kept[-1].shape[1]
                if left <= 0:
                    break
        return player(np.concatenate(kept, axis=1), rate, self.name)


def player(audio: Audio, sample_rate: int, name: str) -> str:
    """Give an HTML player of a signal (channels, samples), as Ogg Vorbis within the page."""
    import soundfile

    data = io.BytesIO()
    samples = audio[:2, : round(PREVIEW_SECONDS * sample_rate)].T
    with soundfile.SoundFile(
        data, "w", sample_rate, samples.shape[1], format="OGG", subtype="VORBIS"
    ) as file:
        for start in range(0, len(samples), BLOCK):
            file.write(np.clip(samples[start : start + BLOCK], -1, 1))
    text = base64.b64encode(data.getvalue()).decode("ascii")
    label = html.escape(name, quote=True)
    return f'<audio controls aria-label="{label}" src="data:audio/ogg;base64,{text}"></audio>'
