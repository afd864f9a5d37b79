"""One stream for several readers at once, in constant memory."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from audiocli.io.audio.downmix import without_effects
from audiocli.io.audio.layouts import Layout

__all__ = ["of_full_range", "shared"]

Block = NDArray[np.float32]
T = TypeVar("T")
#: Blocks that a reader may be behind.
DEPTH = 8


class _Stopped(Exception):
    """The stream ends early, because another reader or the source has failed."""


class _Reader(threading.Thread):
    """Runs one analysis on blocks that are handed over."""

    def __init__(self, analyse: Callable[[Iterator[Block]], Any]) -> None:
        super().__init__(daemon=True)
        self.analyse = analyse
        self.blocks: queue.Queue[Block | BaseException | None] = queue.Queue(DEPTH)
        self.value: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.value = self.analyse(self._stream())
        except _Stopped:
            pass
        except BaseException as error:  # handed on to who waits
            self.error = error

    def _stream(self) -> Iterator[Block]:
        while (block := self.blocks.get()) is not None:
            if isinstance(block, BaseException):
                raise block
            yield block

    def give(self, block: Block | BaseException | None) -> None:
        """Hand a block over, unless the analysis has ended."""
        while self.is_alive():
            with suppress(queue.Full):
                self.blocks.put(block, timeout=0.1)
                return


def of_full_range(
    stream: Callable[[Iterator[Block], int], T], rate: int, layout: Layout
) -> Callable[[Iterator[Block]], T]:
    """Analyse as the commands of the tasks do: without the channel for effects."""
    return lambda blocks: stream(without_effects(blocks, layout), rate)


def shared(
    blocks: Iterable[Block], analyses: Mapping[str, Callable[[Iterator[Block]], Any]]
) -> dict[str, Any]:
    """Give every analysis all blocks of a stream, each in a thread of its own.

    The first error of an analysis, or of the stream, ends all.
    """
    readers = {name: _Reader(analyse) for name, analyse in analyses.items()}
    for reader in readers.values():
        reader.start()
    end: BaseException | None = _Stopped()
    try:
        for block in blocks:
            for reader in readers.values():
                reader.give(block)
            if any(reader.error for reader in readers.values()):
                break
        else:
            end = None
    finally:
        for reader in readers.values():
            reader.give(end)
        for reader in readers.values():
            reader.join()
    for reader in readers.values():
        if reader.error is not None:
            raise reader.error
    return {name: reader.value for name, reader in readers.items()}
