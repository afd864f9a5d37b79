"""Decode a file block by block, ahead of the network, and report progress."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from audiocli.batch import Progress
from audiocli.batch.inputs import Input
from audiocli.io.audio import AudioReader
from audiocli.io.audio.streaming import Block, decoding

__all__ = ["VOICE", "Blocks", "decoded"]

BLOCK = 1 << 16  # samples decoded at once, at the file's rate
#: The encoder that tells people apart.
VOICE = "voice"


class Blocks:
    """The blocks of a file, and the seconds decoded so far."""

    def __init__(self, rate: int) -> None:
        self.rate, self.seconds = rate, 0.0
        self.blocks: Iterator[Block] = iter(())

    def __iter__(self) -> Iterator[Block]:
        return self.blocks


@contextmanager
def decoded(item: Input, progress: Progress) -> Iterator[Blocks]:
    """Open a file and decode it ahead, in a thread."""
    with AudioReader(item.path, name=item.name) as reader:
        rate, duration = reader.info.sample_rate, reader.info.duration
        found = Blocks(rate)

        def note(done: float, total: float | None) -> None:
            found.seconds = done
            progress(done, total)

        with decoding(reader.full_range(BLOCK), rate, duration, note) as found.blocks:
            yield found
