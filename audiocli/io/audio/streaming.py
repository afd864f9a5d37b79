"""Work on audio of any length in constant memory.

Blocks are float32 arrays of shape (channels, samples). A stage takes an
iterator of blocks and gives an iterator of blocks, so stages chain like a
shell pipeline; :func:`prefetch` runs what stands before it in a thread.
"""

from __future__ import annotations

import ctypes
import queue
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, TypeVar

import numpy as np
import soxr
from numpy.typing import NDArray

from audiocli.io.audio.downmix import downmix

__all__ = [
    "Blockwise",
    "Counted",
    "Extremes",
    "decoding",
    "give_back_memory",
    "keep_memory",
    "mono",
    "overlap_add",
    "prefetch",
    "rechunk",
    "resample",
]

Block = NDArray[np.float32]
#: After so many segments free memory is given back. Each time costs some: it is fetched again.
GIVEN_BACK = 8
#: Bytes: arrays of up to so many are kept for the next ones, twice as many in all.
KEPT = 2**23
T = TypeVar("T")
#: Calls a function on each item, as `map` does.
Mapped = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]


def resample(blocks: Iterable[Block], source_rate: int, target_rate: int) -> Iterator[Block]:
    """Change the sample rate of a stream (channels, samples) with soxr's high-quality filter."""
    if source_rate == target_rate:
        yield from blocks
        return
    stream = None
    for block in blocks:
        if stream is None:
            stream = soxr.ResampleStream(
                source_rate, target_rate, block.shape[0], dtype="float32", quality="HQ"
            )
        out = stream.resample_chunk(np.ascontiguousarray(block.T))
        if len(out):
            yield np.ascontiguousarray(out.T)
    if stream is not None:
        out = stream.resample_chunk(np.zeros((0, block.shape[0]), np.float32), last=True)
        if len(out):
            yield np.ascontiguousarray(out.T)


def mono(blocks: Iterable[Block], source_rate: int, target_rate: int) -> Iterator[Block]:
    """Bring a stream to one channel (see :mod:`~audiocli.io.audio.downmix`) and to a rate."""
    for block in resample(downmix(blocks, source_rate), source_rate, target_rate):
        yield block[0]


class Extremes:
    """The lowest and the highest sample of each hop of a stream of one channel."""

    def __init__(self, hop: int) -> None:
        self.hop = hop
        self._lows: list[Block] = []
        self._highs: list[Block] = []
        self._rest = np.zeros(0, np.float32)

    def push(self, samples: Block) -> None:
        """Take in the next samples."""
        joined = np.concatenate([self._rest, samples])
        whole = len(joined) - len(joined) % self.hop
        pieces, self._rest = joined[:whole].reshape(-1, self.hop), joined[whole:]
        self._lows.append(pieces.min(axis=1))
        self._highs.append(pieces.max(axis=1))

    def finish(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give both, with those of a last hop that is not full."""
        if len(self._rest):
            self._lows.append(self._rest.min(keepdims=True))
            self._highs.append(self._rest.max(keepdims=True))
        nothing = np.zeros(0)
        low, high = (np.concatenate([nothing, *part]) for part in (self._lows, self._highs))
        return low, high


class Counted:
    """Passes on blocks (samples,), and counts their samples."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        self.samples = 0
        self._blocks = blocks

    def __iter__(self) -> Iterator[Block]:
        for block in self._blocks:
            self.samples += len(block)
            yield block


def rechunk(blocks: Iterable[Block], sizes: Iterable[int], channels: int) -> Iterator[Block]:
    """Cut a stream into blocks of the given sizes; what is missing at its end is zeros."""
    source = iter(blocks)
    pending = np.zeros((channels, 0), np.float32)
    for size in sizes:
        while pending.shape[1] < size and (block := next(source, None)) is not None:
            pending = np.concatenate([pending, block], axis=1)
        piece, pending = pending[:, :size], pending[:, size:]
        yield np.pad(piece, [(0, 0), (0, size - piece.shape[1])])


@dataclass(frozen=True)
class Blockwise:
    """How a stream is cut for a network: lengths in samples at its rate.

    Parameters
    ----------
    segment : int
        What one call of the network contributes to the output.
    context : int
        What it gets besides on each side, and whose output is dropped:
        enough for its recurrent state to settle.
    fade : int
        Over this many samples neighbouring segments are crossfaded.
    """

    segment: int
    context: int
    fade: int

    def __post_init__(self) -> None:
        if self.segment < 1 or min(self.context, self.fade) < 0:
            raise ValueError(f"{self}: a segment holds samples; context and fade are not negative")


def overlap_add(
    blocks: Iterable[Block],
    process: Callable[[Block], Block],
    cut: Blockwise,
    mapped: Mapped = map,
) -> Iterator[Block]:
    """Run a function that wants whole signals over a stream (..., samples), seamlessly."""
    ramp = (np.arange(cut.fade, dtype=np.float32) + 0.5) / max(cut.fade, 1)
    tail: Block | None = None  # the faded end of the segment before

    def processed(segment: _Segment) -> tuple[Block, bool]:
        return process(segment.audio)[..., segment.before :], segment.last

    for number, (out, last) in enumerate(mapped(processed, _segments(blocks, cut)), start=1):
        if number % GIVEN_BACK == 0:
            give_back_memory()
        if tail is not None:
            out = out.copy()
            head = min(cut.fade, out.shape[-1])
            out[..., :head] = out[..., :head] * ramp[:head] + tail[..., :head] * (1 - ramp[:head])
        if last:
            yield out
            return
        yield out[..., : cut.segment]
        tail = out[..., cut.segment : cut.segment + cut.fade]


class _Segment(NamedTuple):
    """A piece of a stream, with what surrounds it."""

    audio: Block
    before: int  # samples of context in front of it, none for the first
    last: bool


def _segments(blocks: Iterable[Block], cut: Blockwise) -> Iterator[_Segment]:
    """Cut a stream into segments, each as soon as what surrounds it is there."""
    reach = cut.segment + cut.fade + cut.context  # of the input, from the segment's start on
    source = iter(blocks)
    buffer = next(source, None)
    if buffer is None:
        return
    before = 0
    ended = False
    while True:
        pieces, missing = [buffer], before + reach - buffer.shape[-1]
        while not ended and missing > 0:
            block = next(source, None)
            ended = block is None
            if block is not None:
                pieces.append(block)
                missing -= block.shape[-1]
        buffer = np.concatenate(pieces, axis=-1)
        yield _Segment(buffer if ended else buffer[..., : before + reach], before, ended)
        if ended:
            return
        start = before + cut.segment  # of the next segment, in the buffer
        keep = min(cut.context, start)
        buffer = buffer[..., start - keep :]
        before = keep


def give_back_memory() -> None:
    """Give memory that is free again back to the system.

    The C library of Linux keeps freed memory in pieces between what is in use. Where large arrays
    come and go beside small ones, for each segment of a stream, these pieces grow by some hundred
    megabytes an hour. Called now and then, this keeps them from it. Elsewhere it does nothing.
    """
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def keep_memory() -> None:
    """Let the C library keep memory of some megabytes that is freed, for what comes next.

    glibc gets larger arrays from the system one by one, with all pages to be cleared at their first
    use, until one of some size is freed: then it expects more of that size, and keeps so much. This
    frees one. The first call counts for all of the process; elsewhere it does nothing.
    """
    np.empty(KEPT, np.uint8)


@cache
def _malloc_trim() -> Any:
    """Find glibc's function; other C libraries have none."""
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)


@contextmanager
def decoding(
    blocks: Iterable[Block],
    sample_rate: int,
    duration: float | None,
    progress: Callable[[float, float | None], None],
) -> Iterator[Iterator[Block]]:
    """Read the blocks of a file ahead in a thread, and report progress as they are taken."""
    ahead = prefetch(blocks)

    def counted() -> Iterator[Block]:
        done = 0
        for block in ahead:
            yield block
            done += block.shape[-1]
            progress(done / sample_rate, duration)

    try:
        yield counted()
    finally:
        ahead.close()  # or its thread would read on from a closed file


def prefetch(items: Iterable[T], depth: int = 4) -> Generator[T, None, None]:
    """Make the items in a thread, up to `depth` ahead of who takes them.

    Decoding, inference and writing release Python's lock for most of their
    time, so stages that stand on the two sides of a prefetch overlap.
    """
    iterator = iter(items)  # here, because nothing in the thread hands on what this may raise
    waiting: queue.Queue[tuple[bool, T | BaseException | None]] = queue.Queue(maxsize=depth)
    stop, finished = threading.Event(), threading.Event()

    def put(entry: tuple[bool, T | BaseException | None]) -> None:
        while not stop.is_set():
            try:
                waiting.put(entry, timeout=0.1)
                return
            except queue.Full:
                continue

    def produce() -> None:
        try:
            for item in iterator:
                put((True, item))
                if stop.is_set():
                    break
            put((False, None))
        except BaseException as error:  # handed on whatever it is: a thread has nobody to raise to
            put((False, error))
        finally:
            close = getattr(iterator, "close", None)
            if close is not None:  # release what the producer holds open, in its own thread
                close()
            finished.set()

    thread = threading.Thread(target=produce, daemon=True, name="prefetch")
    try:
        thread.start()
        while True:
            more, value = waiting.get()
            if not more:
                if value is not None:
                    raise value  # type: ignore[misc]  # always an exception here
                return
            yield value  # type: ignore[misc]  # always an item here
    finally:
        stop.set()
        finished.wait(1.0)  # an interrupt may come before the thread is known to have started
        if thread.is_alive():
            thread.join()
