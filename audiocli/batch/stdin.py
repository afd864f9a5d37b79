"""Put a file in the place of standard input, because decoders need to seek."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from audiocli.batch.inputs import Job
from audiocli.errors import UsageError

__all__ = ["binary_input", "standard_input"]


def binary_input() -> BinaryIO:
    """Give the bytes of standard input."""
    if sys.stdin is None:
        raise UsageError("-: standard input is closed; pipe something into it, or name a file")
    return sys.stdin.buffer


@contextmanager
def standard_input(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """Store standard input in a file, if it is among the inputs."""
    with ExitStack() as stack:
        ready = []
        for job in jobs:
            if job.input.path == Path("-"):
                from audiocli.io.audio import spooled  # here because it loads numpy

                path = stack.enter_context(spooled(binary_input()))
                job = replace(job, input=replace(job.input, path=path))
            ready.append(job)
        yield ready
