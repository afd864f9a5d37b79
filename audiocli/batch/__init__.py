"""Run a worker over many files: in this process or in several, and so that it can go on.

A worker is any function that takes a :class:`~audiocli.batch.inputs.Job` and a progress callback
and returns (seconds of audio, result). It is made by `make_worker`, once a process and not
before a file needs it, so that a model is loaded once a process. Nothing in here knows what
the worker does.

What is promised: a file that fails does not stop the others; results come in the order of
the inputs; nothing that exists is replaced unless the job says so; a file goes into the
manifest the moment it is finished, so that a run cut off at any point can be resumed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiocli.batch.inputs import Job
from audiocli.batch.joint import JointFile
from audiocli.batch.log import Log
from audiocli.batch.manifest import Manifest
from audiocli.batch.signals import signals_raise
from audiocli.batch.sweeping import sweep_dead
from audiocli.batch.workers import (
    Outcome,
    Progress,
    Worker,
    outcomes,
)
from audiocli.errors import AudioCliError, FieldError, UsageError, warn

if TYPE_CHECKING:
    from audiocli.batch.cluster import Cluster

__all__ = ["Collector", "Callbacks", "Outcome", "Plan", "Progress", "Summary", "Worker", "run"]


@dataclass(frozen=True)
class Summary:
    """What became of all jobs.

    Parameters
    ----------
    done, failed, skipped : int
        Numbers of jobs.
    failures : list of Outcome
        Those that failed, in the order of the inputs.
    audio_seconds : float
        Seconds of audio in the jobs that were done.
    elapsed : float
        Seconds the whole run took.
    pruned : int
        Inputs that are gone, and whose results were removed.
    """

    done: int
    failed: int
    skipped: int
    failures: list[Outcome]
    audio_seconds: float
    elapsed: float
    pruned: int = 0

    @property
    def exit_code(self) -> int:
        """0 when nothing failed, else 1."""
        return 1 if self.failed else 0


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    Parameters
    ----------
    jobs : tuple of Job
        Each input with the files that would be written for it.
    file : Path or None
        One for the results of all.
    manifest : Path or None
        The log of the run.

    Examples
    --------
    >>> Plan((), file=Path("all.csv")).manifest is None
    True
    """

    jobs: tuple[Job, ...]
    file: Path | None = None
    manifest: Path | None = None


class Callbacks:
    """What a run calls as it gets on; override what is of interest. Issues warnings by itself."""

    def planned(self, plan: Plan) -> None:
        """Take what a dry run would do."""

    def started(self, total_jobs: int) -> None:
        """Take note of how many jobs there are, before the first."""

    def advanced(self, job: Job, done_seconds: float, total_seconds: float | None) -> None:
        """Take note of how far a job is; the first time, with 0, when it starts."""

    def finished(self, outcome: Outcome) -> None:
        """Take the outcome of each job, in the order of the jobs, as soon as that allows.

        This one issues the job's warnings, which were held back, with the input's name.
        """
        for message in outcome.warnings:
            warn(f"{outcome.job.input.name}: {message}")

    def closed(self) -> None:
        """Take note that nothing more will come, however the run ended."""


class Collector(Callbacks):
    """Keeps the results of the jobs that are done, and passes every call on.

    Parameters
    ----------
    callbacks : Callbacks, optional
        Called as well.

    Attributes
    ----------
    values : list
        What the worker made of each job that is done, in the order of the jobs.
    """

    def __init__(self, callbacks: Callbacks | None = None) -> None:
        self.callbacks = callbacks or Callbacks()
        self.values: list[Any] = []

    def started(self, total_jobs: int) -> None:
        """Pass on."""
        self.callbacks.started(total_jobs)

    def advanced(self, job: Job, done_seconds: float, total_seconds: float | None) -> None:
        """Pass on."""
        self.callbacks.advanced(job, done_seconds, total_seconds)

    def finished(self, outcome: Outcome) -> None:
        """Keep the result, and pass on."""
        if outcome.status == "done":
            self.values.append(outcome.value)
        self.callbacks.finished(outcome)

    def closed(self) -> None:
        """Pass on."""
        self.callbacks.closed()


def run(
    jobs: Sequence[Job],
    make_worker: Callable[[], Worker],
    *,
    settings: Mapping[str, Any],
    n_jobs: int = 1,
    batch_size: int = 1,
    model_sha256: str | None = None,
    manifest: Path | None = None,
    resume: bool = False,
    prune: bool = False,
    command: str = "",
    about: Mapping[str, Any] | None = None,
    joint: JointFile | None = None,
    fail_fast: bool = False,
    cluster: Cluster | None = None,
    callbacks: Callbacks | None = None,
) -> Summary:
    """Do all jobs, whatever happens to some of them; or up to the first that fails.

    A worker that looks ahead is told of `batch_size` jobs at once.
    With a manifest, lines are appended to it for each job: see :mod:`audiocli.batch.manifest`.
    """
    if n_jobs < 1:
        raise UsageError(f"{n_jobs} jobs: at least 1 process is needed")
    if manifest is None and (resume or joint is not None):
        raise UsageError("nothing to resume from: name the manifest that the first run kept")
    if prune and not resume:
        raise FieldError("{prune} goes by what {resume} finds; use both", "prune", "resume")
    callbacks = callbacks if callbacks is not None else Callbacks()
    with contextlib.ExitStack() as stack:
        opened = None
        if manifest is not None:
            opened = Manifest(
                manifest, settings, model_sha256, resume, command=command, about=about
            )
            stack.callback(opened.close)
        if joint is not None and opened is not None:
            joint.open(opened.labels())
            opened.check_settings(joint)
        stack.enter_context(signals_raise())
        stack.callback(callbacks.closed)
        callbacks.started(len(jobs))
        if opened is not None and (jobs or (joint is not None and joint.empty)):
            opened.start()
        sweep_dead(jobs, *(() if joint is None else (joint.path,)))
        log = Log(jobs, opened, joint, prune)
        engine = n_jobs if cluster is None else cluster
        group = max(1, min(batch_size, len(jobs) // (2 * n_jobs) if n_jobs > 1 else batch_size))
        return _run(jobs, make_worker, engine, log, callbacks, fail_fast, group)


def _run(
    jobs: Sequence[Job],
    make_worker: Callable[[], Worker],
    engine: int | Cluster,
    log: Log,
    callbacks: Callbacks,
    fail_fast: bool,
    group: int,
) -> Summary:
    """Do the jobs, and log what each has begun to write."""

    def advanced(index: int, done_seconds: float, total_seconds: float | None) -> None:
        log.begun.add(index)
        callbacks.advanced(jobs[index], done_seconds, total_seconds)

    if isinstance(engine, int):
        reports = outcomes(log.tasks(), min(engine, len(jobs)), make_worker, advanced, group)
    else:
        reports = engine.outcomes(log.tasks(), len(jobs), make_worker, advanced)
    tally = _Tally(callbacks)
    try:
        with contextlib.closing(reports):
            for index, report in reports:
                # the very job that the callbacks know, not the worker's copy of it
                tally.add(index, log.finished(index, dataclasses.replace(report, job=jobs[index])))
                if fail_fast and report.status == "failed":
                    break
            else:
                log.prune()
        tally.flush()
    except (AudioCliError, KeyboardInterrupt, SystemExit):
        tally.flush()
        raise
    finally:
        log.close()
    return dataclasses.replace(tally.summary(), pruned=log.pruned)


class _Tally:
    """Counts outcomes, and hands them on in the order of the jobs."""

    def __init__(self, callbacks: Callbacks) -> None:
        self.callbacks = callbacks
        self.started = time.perf_counter()
        self.next = 0
        self.held: dict[int, Outcome] = {}
        self.counts = {"done": 0, "failed": 0, "skipped": 0}
        self.failures: list[Outcome] = []
        self.audio_seconds = 0.0

    def add(self, index: int, outcome: Outcome) -> None:
        self.held[index] = outcome
        while self.next in self.held:
            self._hand_on(self.next)
            self.next += 1

    def flush(self) -> None:
        """Hand on what waits for a job that will not end any more: it is done, and counts."""
        for index in sorted(self.held):
            self._hand_on(index)

    def _hand_on(self, index: int) -> None:
        outcome = self.held.pop(index)
        self.counts[outcome.status] += 1
        self.audio_seconds += outcome.audio_seconds
        if outcome.status == "failed":
            self.failures.append(outcome)
        self.callbacks.finished(outcome)

    def summary(self) -> Summary:
        return Summary(
            **self.counts,
            failures=self.failures,
            audio_seconds=self.audio_seconds,
            elapsed=time.perf_counter() - self.started,
        )
