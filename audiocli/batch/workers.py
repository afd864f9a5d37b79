"""Call a worker on one job after another: in this process, or in several at once.

What goes wrong with one file becomes its outcome; only what keeps the worker from being made is
raised. Each process has a pipe of its own, so that it is known which one died over which file,
and so that a process whose parent is gone finds its pipe closed and ends.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import multiprocessing
import os
import signal
import threading
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Literal, Protocol, runtime_checkable

from audiocli.batch.inputs import Job
from audiocli.batch.signals import interrupts_held, leave
from audiocli.batch.sweeping import sweep
from audiocli.errors import AudioCliError, AudioCliWarning, UsageError, printable
from audiocli.io import remote, urls
from audiocli.io.payload import Hashes, Stat, hash_file, stat_of

__all__ = [
    "Advanced",
    "LooksAhead",
    "Outcome",
    "Outcomes",
    "Progress",
    "Task",
    "Tasks",
    "Worker",
    "again",
    "attempt",
    "cause_of_death",
    "failure",
    "hire",
    "look_ahead",
    "outcomes",
]

Progress = Callable[[float, "float | None"], None]
"""Told how many seconds of audio are done, and of how many where that is known."""

Worker = Callable[[Job, Progress], "tuple[float, Any]"]
"""Does a job; returns the seconds of audio in it and any result (one that can be pickled)."""


@runtime_checkable
class LooksAhead(Protocol):
    """A worker that does short inputs together, before their jobs come one by one."""

    def look_ahead(self, jobs: Sequence[Job]) -> None:
        """Prepare for jobs that come next; what is wrong with one is said when its turn comes."""


PATIENCE = 5.0
"""Seconds that worker processes are given to clean up before they are killed."""


@dataclass(frozen=True)
class Outcome:
    """What became of one job.

    Parameters
    ----------
    job : Job
        The job as given to :func:`audiocli.batch.run`.
    status : {'done', 'failed', 'skipped'}
        Skipped means: done in an earlier run, with the same settings.
    audio_seconds : float
        Seconds of audio, as the worker said.
    elapsed : float
        Seconds the worker took; the loading of a model is not counted.
    error : str or None
        Why it failed: one line that names the input.
    value : Any
        What the worker returned.
    traceback : str or None
        For an error that should not happen, a bug, where it came from.
    input_sha256, audio_sha256 : str or None
        Of the input's bytes, and of those that are its audio, where a manifest is kept.
    input_stat : tuple of int, optional
        Size in bytes and time of the last change in ns of the input, where it was hashed.
    warnings : tuple of str
        What the worker warned of, each once, without the input's name.
    """

    job: Job
    status: Literal["done", "failed", "skipped"]
    audio_seconds: float = 0.0
    elapsed: float = 0.0
    error: str | None = None
    value: Any = None
    traceback: str | None = None
    input_sha256: str | None = None
    audio_sha256: str | None = None
    input_stat: Stat | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """A job, with what the manifest says of it, as it goes to a worker process.

    Parameters
    ----------
    job : Job
        The job.
    hashed : bool
        Whether the hash of the input is wanted.
    done_sha256 : frozenset of str
        The job is skipped if the input, or its audio, has one of these hashes: all that it would
        write was made from that before.
    done_stat : tuple of int, optional
        Size and time of the last change with which the input had that hash: it is not read again
        as long as both are the same.
    own : bool
        Whether what stands where the outputs go would be of this run.
    """

    job: Job
    hashed: bool = False
    done_sha256: frozenset[str] = frozenset()
    done_stat: Stat | None = None
    own: bool = False


Tasks = Iterator["tuple[int, Task]"]
Outcomes = Generator["tuple[int, Outcome]", None, None]
Advanced = Callable[[int, float, "float | None"], None]


def outcomes(
    tasks: Tasks,
    n_jobs: int,
    make_worker: Callable[[], Worker],
    advanced: Advanced,
    group: int = 1,
) -> Outcomes:
    """Do all tasks, of which a worker is told `group` at once, and yield outcomes as they come."""
    if n_jobs > 1:
        return _in_processes(tasks, n_jobs, make_worker, advanced, group)
    return _in_this_process(tasks, make_worker, advanced, group)


# --- one job ---------------------------------------------------------------------------------


def attempt(
    task: Task, worker_of: Callable[[], Worker], progress: Progress, ahead: float = 0.0
) -> Outcome:
    """Do one job; only what keeps the worker from being made is raised.

    Its share of the seconds that were spent `ahead` of it is among those that it took.
    """
    if task.job.input.problem is not None:
        return failure(task.job, task.job.input.problem)
    if task.job.input.url is not None:
        return _attempt_remote(task, task.job.input.url, worker_of, progress)
    outcome = _attempt_here(task, worker_of, progress)
    if not ahead or outcome.status == "skipped":
        return outcome
    return dataclasses.replace(outcome, elapsed=outcome.elapsed + ahead)


def look_ahead(tasks: Sequence[Task], worker_of: Callable[[], Worker]) -> float:
    """Tell a worker of tasks that come next; give the seconds that it took for each.

    Left out are those that may turn out to be done already, or whose input is not here.
    """
    jobs = [
        task.job
        for task in tasks
        if not (task.done_sha256 or task.done_stat or task.job.input.problem or task.job.input.url)
    ]
    if len(jobs) < 2:
        return 0.0
    worker = worker_of()
    if not isinstance(worker, LooksAhead):
        return 0.0
    started = time.perf_counter()
    worker.look_ahead(jobs)
    return (time.perf_counter() - started) / len(tasks)


def _attempt_remote(
    task: Task, url: str, worker_of: Callable[[], Worker], progress: Progress
) -> Outcome:
    """Fetch an input, and do its job."""
    job, stat = task.job, None
    with contextlib.ExitStack() as stack:
        try:
            if task.hashed:
                with contextlib.suppress(AudioCliError):  # a server need not tell
                    stat = urls.stamp(url)
            if stat is not None and task.done_stat == stat:
                return Outcome(job, "skipped")
            path = stack.enter_context(urls.fetched(url))
        except Exception as error:
            return failure(job, error)
        here = dataclasses.replace(job.input, path=path, url=None)
        fetched = dataclasses.replace(
            task, job=dataclasses.replace(job, input=here), done_stat=None
        )
        outcome = _attempt_here(fetched, worker_of, progress)
    return dataclasses.replace(outcome, job=job, input_stat=stat)


def _attempt_here(task: Task, worker_of: Callable[[], Worker], progress: Progress) -> Outcome:
    job, hashes = task.job, None
    try:
        if task.done_stat and task.done_stat == stat_of(job.input.path):
            return Outcome(job, "skipped")
        hashes = hash_file(job.input.path) if task.hashed else None
        if hashes and task.done_sha256 & {hashes.input, hashes.audio}:
            return _hashed(Outcome(job, "skipped"), hashes)
        _refuse_existing(job)
    except Exception as error:
        return _hashed(failure(job, error), hashes)
    worker = worker_of()
    progress(0.0, None)
    messages: list[str] = []
    with _warnings_into(messages):
        outcome = _work(worker, job, progress)
    unique = tuple(dict.fromkeys(messages))
    return _hashed(dataclasses.replace(outcome, warnings=unique), hashes)


def _hashed(outcome: Outcome, hashes: Hashes | None) -> Outcome:
    if hashes is None:
        return outcome
    return dataclasses.replace(
        outcome,
        input_sha256=hashes.input,
        audio_sha256=hashes.audio,
        input_stat=hashes.stat,
    )


def _work(worker: Worker, job: Job, progress: Progress) -> Outcome:
    started = time.perf_counter()
    try:
        seconds, value = worker(job, progress)
        seconds = float(seconds)  # a numpy scalar would not go into the manifest
    except Exception as error:
        return failure(job, error, time.perf_counter() - started)
    elapsed = time.perf_counter() - started
    return Outcome(job, "done", seconds, elapsed, value=value)


@contextlib.contextmanager
def _warnings_into(messages: list[str]) -> Iterator[None]:
    """Keep our warnings; those of other categories are shown as they would have been.

    All threads share the state that is replaced here, so those that help with the job are
    covered too.
    """
    caught: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as recorded:
            caught = recorded
            warnings.simplefilter("always", AudioCliWarning)
            yield
    finally:
        for one in caught:
            if issubclass(one.category, AudioCliWarning):
                messages.append(str(one.message))
            else:  # it has passed the filters already
                warnings.showwarning(one.message, one.category, one.filename, one.lineno)


def failure(job: Job, why: str | Exception, elapsed: float = 0.0) -> Outcome:
    """Say in one line that names the input why a job failed; a bug keeps its traceback."""
    where = None
    if isinstance(why, MemoryError):
        text = "not enough memory for this file; use fewer worker processes or close other programs"
    elif isinstance(why, OSError) and why.strerror:
        text = f"{why.filename}: {why.strerror}" if why.filename else why.strerror
    elif isinstance(why, (str, AudioCliError, OSError)):
        text = str(why)
    else:
        text = f"internal error: {type(why).__name__}: {why}"
        where = "".join(traceback.format_exception(type(why), why, why.__traceback__))
    shown = printable(job.input.name)
    text = text.replace(job.input.name, shown)
    text = text if shown in text else f"{shown}: {text}"
    return Outcome(
        job,
        "failed",
        elapsed=elapsed,
        error=" ".join(text.splitlines()),
        traceback=where,
    )


def _refuse_existing(job: Job) -> None:
    """Hold back from outputs that were not there, or not known, when the jobs were planned."""
    for output in job.outputs:
        if not job.replace and remote.exists(output):
            raise UsageError(
                f"{output}: exists, and no earlier run from {job.input.name} is known to have "
                "written it; move it away or use {overwrite}",
                "overwrite",
            )


# --- this process, or several ------------------------------------------------------------------


def _in_this_process(
    tasks: Tasks, make_worker: Callable[[], Worker], advanced: Advanced, group: int
) -> Outcomes:
    worker_of = functools.cache(make_worker)
    while several := list(itertools.islice(tasks, group)):
        ahead = look_ahead([task for _, task in several], worker_of)
        for index, task in several:
            try:
                outcome = attempt(task, worker_of, functools.partial(advanced, index), ahead)
            except BaseException:
                sweep(os.getpid(), task.job)
                raise
            yield index, outcome


Group = deque["tuple[int, Task]"]


def _in_processes(
    tasks: Tasks, n_jobs: int, make_worker: Callable[[], Worker], advanced: Advanced, group: int
) -> Outcomes:
    """Keep `n_jobs` processes busy, and replace the ones that die; each task has two tries."""
    staff: dict[Connection, SpawnProcess] = {}
    busy: dict[Connection, Group] = {}
    retried: set[int] = set()
    waiting: deque[tuple[int, Task]] = deque()  # for their second try, each alone

    def occupy(connection: Connection | None = None) -> None:
        following = deque([waiting.popleft()] if waiting else itertools.islice(tasks, group))
        if not following:
            return
        if connection is None:
            connection, staff[connection] = hire(make_worker)
        busy[connection] = following
        with contextlib.suppress(OSError):  # it died: its pipe will say so below
            connection.send([task for _, task in following])

    try:
        for _ in range(n_jobs):
            occupy()
        while busy:
            ready = wait(list(busy))
            for connection in [one for one in busy if one in ready]:
                index, task = busy[connection][0]
                try:
                    message = connection.recv()
                except (EOFError, OSError):
                    left, process = busy.pop(connection), staff.pop(connection)
                    cause = _swept_up(process, task.job)
                    again_too = index not in retried  # another process may have taken the memory
                    retried.update(each for each, _ in left)
                    waiting.extend((each, again(one)) for each, one in left if again_too)
                    occupy()
                    if not again_too:
                        yield index, failure(task.job, f"{cause}, twice")
                    continue
                if isinstance(message, tuple):
                    advanced(index, *message)
                elif isinstance(message, Exception):
                    raise message
                else:
                    busy[connection].popleft()
                    if not busy[connection]:
                        del busy[connection]
                        occupy(connection)
                    yield index, message
            for _ in range(min(len(waiting), n_jobs - len(busy))):
                occupy()
    finally:
        _dismiss(staff.values())
        for connection, left in busy.items():
            sweep(staff[connection].pid, left[0][1].job)


def _swept_up(process: SpawnProcess, job: Job) -> str:
    """Remove what a process that died over a job left half written, and say why it died."""
    cause = cause_of_death(process)
    sweep(process.pid, job)
    return cause


def again(task: Task) -> Task:
    """Let a second try replace what the first wrote: nothing else was there before it."""
    return dataclasses.replace(task, job=dataclasses.replace(task.job, replace=task.own))


def hire(
    make_worker: Callable[[], Worker], *, early: bool = False
) -> tuple[Connection, SpawnProcess]:
    """Start a process, and return it with this end of its pipe.

    Its worker is made for its first task, or early.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, make_worker, early), daemon=True)
    with interrupts_held():
        process.start()
    theirs.close()
    return ours, process


def _serve(connection: Connection, make_worker: Callable[[], Worker], early: bool) -> None:
    """Do tasks as they come, in a worker process, until the pipe is closed."""
    # Ctrl-C and the end of the terminal reach all processes; the parent sees to it.
    for name in ("SIGINT", "SIGHUP"):  # the second does not exist on Windows
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, leave)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    worker_of = functools.cache(make_worker)
    if early:
        with contextlib.suppress(Exception):  # the first task will say so
            worker_of()

    def progress(done_seconds: float, total_seconds: float | None) -> None:
        try:
            connection.send((done_seconds, total_seconds))
        except OSError:
            raise SystemExit(1) from None  # the parent is gone: clean up and end

    with contextlib.suppress(EOFError, OSError):
        while True:
            _answer(connection, connection.recv(), worker_of, progress)


def _answer(
    connection: Connection,
    tasks: Sequence[Task],
    worker_of: Callable[[], Worker],
    progress: Progress,
) -> None:
    """Do tasks that came together, and send what becomes of each."""
    ahead = None
    for task in tasks:
        try:
            if ahead is None:
                ahead = look_ahead(tasks, worker_of)
            message: Outcome | Exception = attempt(task, worker_of, progress, ahead)
        except AudioCliError as error:
            message = error
        except Exception:
            message = RuntimeError(f"no worker could be made\n{traceback.format_exc()}")
        try:
            connection.send(message)
        except OSError:
            raise
        except Exception as error:  # a result that cannot be pickled
            connection.send(failure(task.job, error))


def _end_with_parent() -> None:
    """Clean up and end as soon as the parent is gone, however it went."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)


def cause_of_death(process: SpawnProcess) -> str:
    """Say why a process ended that was at work."""
    process.join(PATIENCE)
    code = process.exitcode
    _dismiss([process])
    if code == -9:  # SIGKILL, which has no name on Windows
        return "the worker was killed, as happens when memory runs out; use fewer worker processes"
    return f"the worker process died over it (exit code {code})"


def _dismiss(staff: Iterable[SpawnProcess]) -> None:
    """End processes: ask them, so that they clean up, and do not wait for ever."""
    processes = list(staff)
    for process in processes:
        process.terminate()
    until = time.monotonic() + PATIENCE
    try:
        for process in processes:
            process.join(max(0.0, until - time.monotonic()))
    finally:
        for process in processes:
            process.kill()
            process.join(PATIENCE)
