"""Decode a file block by block, ahead of the network, and report progress."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from audiocli.batch import Progress
from audiocli.batch.inputs import Input
from audiocli.io.audio import AudioReader
from audiocli.io.audio.streaming import Block, prefetch

__all__ = ["VOICE", "Blocks", "decoded"]

BLOCK = 1 << 16  # samples decoded at once, at the file's rate
#: The encoder that tells people apart.
VOICE = "voice"


class Blocks:
    """The blocks of a file, and the seconds decoded so far."""

    def __init__(
        self, blocks: Iterator[Block], rate: int, total: float | None, progress: Progress
    ) -> None:
        self.blocks, self.rate, self.total, self.progress = blocks, rate, total, progress
        self.seconds = 0.0

    def __iter__(self) -> Iterator[Block]:
        samples = 0
        for block in self.blocks:
            yield block
            samples += block.shape[-1]
            self.seconds = samples / self.rate
            self.progress(self.seconds, self.total)


@contextmanager
def decoded(item: Input, progress: Progress) -> Iterator[Blocks]:
    """Open a file and decode it ahead, in a thread."""
    with AudioReader(item.path, name=item.name) as reader:
        blocks = prefetch(reader.blocks(BLOCK))
        try:
            yield Blocks(blocks, reader.info.sample_rate, reader.info.duration, progress)
        finally:
            blocks.close()  # or its thread would read on from a closed file
