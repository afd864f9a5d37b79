"""What a page takes of the mixture and its stems while they pass by."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocli.dsp.loudness import LoudnessMeter
from audiocli.io.audio import AudioInfo
from audiocli.page.sound import Levels
from audiocli.pipelines.report.stems import StemFiles
from audiocli.tasks.separate.report import StemTracks
from audiocli.tasks.separate.separator import Separator

__all__ = ["Collector", "separated"]

Audio = NDArray[np.float32]


class Collector:
    """Takes in the mixture and its stems: sounds, pictures and levels.

    Parameters
    ----------
    info : AudioInfo
        Of the recording.
    frames : int
        Samples that are to come.
    folder : Path
        For files that are no longer needed once the page is made.
    stems : sequence of str
        Those that the page shows.
    notices : sequence of str
        What the reader must know.
    files : StemFiles, optional
        Where stems go besides.
    gain, sounding, small
        As in :class:`audiocli.tasks.separate.report.StemTracks`.
    """

    def __init__(
        self,
        info: AudioInfo,
        frames: int,
        folder: Path,
        stems: Sequence[str],
        notices: Sequence[str],
        *,
        gain: float,
        sounding: bool,
        small: bool,
        files: StemFiles | None = None,
    ) -> None:
        self.stems, self.notices, self.files = stems, notices, files
        self.tracks = StemTracks(
            folder, stems, info, frames, gain=gain, sounding=sounding, small=small
        )
        self.levels = [Levels(info.sample_rate, info.layout) for _ in self.tracks.names]
        self.meter = LoudnessMeter(info.sample_rate, info.layout)
        self._vocals = 0.0

    def take(self, mixture: Audio, stems: Audio) -> None:
        """Take in a block (channels, samples), and its stems if they are shown."""
        self.meter.add(mixture)
        if self.files is not None:
            self.files.take(stems)
        shown = stems if self.stems else np.zeros((0, *mixture.shape), np.float32)
        for levels, signal in zip(self.levels, (mixture, *shown), strict=True):
            levels.update(signal)
        if len(stems):
            self._vocals += float(np.square(stems[0], dtype=np.float64).sum())
        self.tracks.take(mixture, shown)

    def mixture(self, blocks: Iterator[Audio]) -> None:
        """Take in a stream of which no stems are wanted."""
        for block in blocks:
            self.take(block, np.zeros((0, *block.shape), np.float32))

    @property
    def vocal_share(self) -> float:
        """Energy of the vocals as a share of the mixture's."""
        return self._vocals / max(self.levels[0].energy, 1e-12)


def separated(
    separator: Separator,
    blocks: Iterable[Audio],
    sample_rate: int,
    level: float,
    collector: Collector,
) -> Iterator[Audio]:
    """Separate a stream; give the vocals (channels, samples), and all to the collector."""
    inputs, beside = itertools.tee(blocks)
    stems = separator.blocks(inputs, sample_rate, level)
    for mixture, parts in zip(beside, stems, strict=True):
        collector.take(mixture, parts)
        yield parts[0]
