"""One worker process that stays, for jobs that come one by one and may be given up."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from audiocli.batch.inputs import Job
from audiocli.batch.sweeping import sweep
from audiocli.batch.workers import (
    Outcome,
    Progress,
    Task,
    Worker,
    cause_of_death,
    failure,
    hire,
)

__all__ = ["Resident"]

#: Seconds between looks at whether a job is given up.
TURN = 0.1


class Resident:
    """A worker process, started anew where it has ended; one thread at a time gives it jobs.

    It is killed where a job is given up, as nothing else would stop it at any point: what it leaves
    is for the caller to remove, hidden files beside the outputs excepted.

    Parameters
    ----------
    make_worker : callable
        Makes the worker in the process; pickled.
    """

    def __init__(self, make_worker: Callable[[], Worker]) -> None:
        self._make_worker = make_worker
        self._running: tuple[Connection, SpawnProcess] | None = None

    def start(self) -> None:
        """Have the process running, with its worker on the way."""
        if self._running is None:
            self._running = hire(self._make_worker, early=True)

    def do(self, job: Job, progress: Progress, given_up: threading.Event) -> Outcome:
        """Do a job, and wait for its outcome; whatever goes wrong is one."""
        try:
            self.start()
        except OSError as error:
            return failure(job, error)
        assert self._running is not None  # narrows the type
        connection, process = self._running
        try:
            connection.send([Task(job)])
            while not given_up.is_set():
                if not connection.poll(TURN):
                    continue
                message = connection.recv()
                if isinstance(message, Outcome):
                    return dataclasses.replace(message, job=job)
                if isinstance(message, Exception):
                    return failure(job, message)  # no worker could be made
                progress(*message)
            cause = "given up"
        except (EOFError, OSError):
            cause = cause_of_death(process)
        self.close()
        sweep(process.pid, job)
        return failure(job, cause)

    def close(self) -> None:
        """End the process."""
        if self._running is not None:
            connection, process = self._running
            self._running = None
            process.kill()
            process.join()
            connection.close()
