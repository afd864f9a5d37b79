"""Segments of a recording through a network at the same time: a thread each, one core each.

Torch's own threads share one operation, meet after each, and wait for each other by spinning. Where
another program runs beside them they spend its time and their own. So within a network there is one
thread, and the cores are used by several segments at once. What comes out is the same, byte by
byte, however many they are.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

import torch
from threadpoolctl import ThreadpoolController, threadpool_limits

__all__ = ["cores", "ordered", "share_processor", "single_threaded", "threads_for", "working"]

Item = TypeVar("Item")
Result = TypeVar("Result")

#: Segments at once by default, at most: each takes memory of its own.
MOST = 8
PREFIX = "segments"


class _Processor:
    """How this process uses its cores: of the process, as torch's own number of threads is."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.width: int | None = None  # segments at once; None is as many as there are cores
        self.holders = 0  # who keeps torch at one thread
        self.before = 1  # torch's threads before the first of them


_processor = _Processor()


def cores() -> int:
    """Count the cores that this process may use; ``OMP_NUM_THREADS`` can make them fewer."""
    if hasattr(os, "sched_getaffinity"):
        available = len(os.sched_getaffinity(0))
    else:
        available = os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return min(available, int(wanted)) if wanted.isdigit() and int(wanted) else available


def threads_for(n_jobs: int, threads: int | None = None) -> int:
    """Tell how many segments go through a network at once in each of so many processes."""
    return threads or max(1, min(MOST, cores() // n_jobs))


def share_processor(n_jobs: int) -> None:
    """Give this process its share of the processor's cores."""
    _processor.width = None if n_jobs == 1 else threads_for(n_jobs)
    if n_jobs > 1:
        share = max(1, cores() // n_jobs)
        torch.set_num_threads(share)
        threadpool_limits(share)  # of BLAS, which scipy uses


@contextmanager
def single_threaded() -> Iterator[None]:
    """Keep torch at one thread within an operation; afterwards it has as many as before."""
    with _processor.lock:
        if not _processor.holders:
            _processor.before = torch.get_num_threads()
        _processor.holders += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _processor.lock:
            _processor.holders -= 1
            if not _processor.holders:
                torch.set_num_threads(_processor.before)


@contextmanager
def working(threads: int) -> Iterator[None]:
    """Analyse a recording with so many segments at once, and all else on one core."""
    before, _processor.width = _processor.width, threads
    try:
        with single_threaded(), _blas().limit(limits=1, user_api="blas"):
            yield
    finally:
        _processor.width = before


@cache
def _blas() -> ThreadpoolController:
    """Find the libraries that have threads of their own, once: it takes milliseconds."""
    return ThreadpoolController()


def ordered(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    where: torch.device | None = None,
) -> Iterator[Result]:
    """Call a function on items, several at once, and give the results in the order of the items."""
    width = _processor.width or threads_for(1)
    on_processor = where is None or where.type == "cpu"
    nested = threading.current_thread().name.startswith(PREFIX)  # it would wait for its own place
    with single_threaded():
        if width == 1 or nested or not on_processor:
            yield from map(function, items)
        else:
            yield from _in_threads(function, items, width)


def _in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], width: int
) -> Iterator[Result]:
    pool = _pool(width)
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > width:  # one more than can run, so that none waits for the reader
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        wait(waiting)


@cache
def _pool(width: int) -> ThreadPoolExecutor:
    """Make the threads, once a process: several streams at a time share them."""
    return ThreadPoolExecutor(width, thread_name_prefix=PREFIX)
