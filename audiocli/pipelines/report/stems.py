"""Files of the stems, written in the pass that makes a page."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from audiocli.errors import UsageError
from audiocli.io.audio import AudioFormat, AudioInfo, AudioWriter, output_format
from audiocli.io.metadata import read_metadata
from audiocli.tasks.separate.clipping import warn_of_clipping

__all__ = ["StemFiles"]

FLAC_CHANNELS = 8


class StemFiles:
    """A file for each stem, in FLAC where that holds the source's rate and channels, else in WAV.

    Parameters
    ----------
    folder : Path
        Where they go; their names are those of the stems.
    stems : sequence of str
        Those of the model.
    source : Path
        What they are separated from; its tags go along.
    info : AudioInfo
        Of the source.
    frames : int
        Samples per channel that are to come.
    gain : float
        Factor on all alike; what is still beyond full scale is clipped, with a warning.
    """

    def __init__(
        self,
        folder: Path,
        stems: Sequence[str],
        source: Path,
        info: AudioInfo,
        frames: int,
        gain: float,
    ) -> None:
        form, metadata = _format(info), read_metadata(source)
        self._gain, self._clipped = np.float32(gain), 0
        self._stack = ExitStack()
        self._writers = [
            AudioWriter(
                folder / f"{stem}.{form.container}",
                info.sample_rate,
                info.channels,
                form,
                frames=frames,
                finish=metadata.write if metadata else None,
            )
            for stem in stems
        ]

    def __enter__(self) -> StemFiles:
        """Open them; they get their names when the block ends well."""
        with ExitStack() as stack:
            for writer in self._writers:
                stack.enter_context(writer)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, traceback)
        if error is None:
            warn_of_clipping(float(self._gain), self._clipped, None)

    def take(self, block: NDArray[np.float32]) -> None:
        """Write a block (stems, channels, samples)."""
        for samples, writer in zip(block * self._gain, self._writers, strict=True):
            self._clipped += int(np.count_nonzero(np.abs(samples) > 1))
            writer.write(samples)


def _format(info: AudioInfo) -> AudioFormat:
    if info.channels <= FLAC_CHANNELS:
        try:
            return output_format("flac", None, info)
        except UsageError:
            pass  # a rate that it cannot hold
    return output_format("wav", None, info)
