"""Decode a file block by block, ahead of the network, and report progress."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from audiocli.batch import Progress
from audiocli.batch.inputs import Input
from audiocli.io.audio import AudioReader
from audiocli.io.audio.streaming import Block

__all__ = ["VOICE", "Blocks", "decoded"]

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
        found = Blocks(reader.info.sample_rate)

        def note(done: float, total: float | None) -> None:
            found.seconds = done
            progress(done, total)

        with reader.decoded(note) as found.blocks:
            yield found
