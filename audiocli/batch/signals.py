"""Signals that end a run: temporary files are removed on the way out."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["interrupt_kept", "interrupts_held", "leave", "signals_raise"]


def leave(signum: int, frame: FrameType | None) -> None:
    """End by an exception, so that temporary files are removed on the way out."""
    signal.signal(signum, signal.SIG_IGN)  # a second one must not disturb that
    raise SystemExit(128 + signum)


@contextlib.contextmanager
def signals_raise() -> Iterator[None]:
    """Let a request to end clean up too, unless the program has its own way with it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can set handlers
        return
    names = ("SIGTERM", "SIGHUP")  # the second does not exist on Windows
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    changed = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def interrupt_kept() -> Iterator[None]:
    """Keep the handler of Ctrl-C while a library is imported that would replace it."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back while a process starts, which keeps it held back in that process.

    Otherwise a Ctrl-C would meet it before it can ignore it, and it would print a traceback.
    """
    if sys.platform == "win32":
        yield
        return
    # the first start of a process also starts this one, which would let signals through again
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
