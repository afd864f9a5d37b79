"""A remix: the stems of a song together again, with gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from audiocli.io.audio import AudioFormat, AudioInfo, AudioReader, AudioWriter
from audiocli.io.metadata import Metadata

__all__ = ["Remix"]

Audio = NDArray[np.float32]


class Remix:
    """A remix in the making: kept in floating point until it is known whether it would clip.

    Parameters
    ----------
    folder : Path
        For a file that is no longer needed once the remix is written.
    info : AudioInfo
        Of the mixture.
    stems : sequence of str
        Their names, in the order in which they come.
    gains : mapping of str to float
        In dB, by stem; the others have 0.
    frames : int
        Samples per channel that are to come.
    """

    def __init__(
        self,
        folder: Path,
        info: AudioInfo,
        stems: Sequence[str],
        gains: Mapping[str, float],
        frames: int,
    ) -> None:
        self.info, self.frames = info, frames
        self.factors = np.array([10 ** (gains.get(stem, 0.0) / 20) for stem in stems])
        self.peak = 0.0
        self._spool = folder / "remix.wav"
        form = AudioFormat("wav", "FLOAT")
        # A second run over a song, because a stem clipped, begins it anew.
        self._writer = AudioWriter(
            self._spool, info.sample_rate, info.channels, form, overwrite=True, frames=frames
        )

    def __enter__(self) -> Remix:
        """Open the file in between."""
        self._writer.__enter__()
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Complete it, or remove it after an exception."""
        self._writer.__exit__(exception_type, exception, traceback)

    def take(self, mixture: Audio, stems: Audio) -> None:
        """Add the next block, (channels, samples) and (stems, channels, samples)."""
        # Beside the mixture only what differs: with equal gains nothing is rounded.
        common = self.factors[-1]
        mixed = np.float32(common) * mixture
        for factor, stem in zip(self.factors, stems, strict=True):
            if factor != common:
                mixed += np.float32(factor - common) * stem
        self.peak = max(self.peak, float(np.abs(mixed).max(initial=0.0)))
        self._writer.write(mixed)

    def write(
        self,
        path: Path,
        form: AudioFormat,
        *,
        overwrite: bool = False,
        rescale: bool = True,
        metadata: Metadata | None = None,
    ) -> float:
        """Write the remix, once all has been taken in and the file in between is closed."""
        gain = 1 / max(1.0, self.peak) if form.is_integer and rescale else 1.0
        rate, channels = self.info.sample_rate, self.info.channels
        with (
            AudioReader(self._spool) as reader,
            AudioWriter(
                path,
                rate,
                channels,
                form,
                overwrite=overwrite,
                frames=self.frames,
                finish=metadata.write if metadata else None,
            ) as writer,
        ):
            for block in reader.blocks():
                writer.write(block * np.float32(gain) if gain < 1 else block)
        return gain
