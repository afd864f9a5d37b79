"""Run a worker over many files: in this process or in several, and so that it can go on.

A worker is any function that takes a :class:`~audiocli.inputs.Job` and a progress callback
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
import functools
import hashlib
import itertools
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from audiocli import __version__
from audiocli.errors import AudioCliError, UsageError
from audiocli.inputs import Job, real_path

__all__ = ["Listener", "Outcome", "Progress", "Summary", "Worker", "run"]

Progress = Callable[[float, "float | None"], None]
"""Told how many seconds of audio are done, and of how many where that is known."""

Worker = Callable[[Job, Progress], "tuple[float, Any]"]
"""Does a job; returns the seconds of audio in it and any result (one that can be pickled)."""

PATIENCE = 5.0
"""Seconds that worker processes are given to clean up before they are killed."""

MANIFEST_START = b'{"input": '
"""How every line of a manifest begins: nothing else is ever appended to."""


@dataclass(frozen=True)
class Outcome:
    """What became of one job.

    Parameters
    ----------
    job : Job
        The job as given to :func:`run`.
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
    input_sha256 : str or None
        Of the input's bytes, where a manifest is kept.

    Examples
    --------
    >>> from audiocli.inputs import Input
    >>> job = Job(Input(Path("a.wav"), "a.wav", Path("a.wav")), outputs=())
    >>> Outcome(job, "done", audio_seconds=3.5).error is None
    True
    """

    job: Job
    status: Literal["done", "failed", "skipped"]
    audio_seconds: float = 0.0
    elapsed: float = 0.0
    error: str | None = None
    value: Any = None
    traceback: str | None = None
    input_sha256: str | None = None


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

    Examples
    --------
    >>> Summary(done=2, failed=0, skipped=1, failures=[], audio_seconds=60.0, elapsed=2.0).exit_code
    0
    """

    done: int
    failed: int
    skipped: int
    failures: list[Outcome]
    audio_seconds: float
    elapsed: float

    @property
    def exit_code(self) -> int:
        """0 when nothing failed, else 1."""
        return 1 if self.failed else 0


class Listener:
    """Hears how a run gets on; does nothing by itself, override what is of interest.

    Examples
    --------
    >>> class Printer(Listener):
    ...     def finished(self, outcome: Outcome) -> None:
    ...         print(outcome.job.input.name, outcome.status)
    """

    def started(self, total_jobs: int) -> None:
        """Hear how many jobs there are, before the first."""

    def advanced(self, job: Job, done_seconds: float, total_seconds: float | None) -> None:
        """Hear how far a job is; the first time, at 0, that it was taken up."""

    def finished(self, outcome: Outcome) -> None:
        """Hear the outcome of each job, in the order of the jobs, as soon as that allows."""

    def closed(self) -> None:
        """Hear that nothing more will come, however the run ended."""


def run(
    jobs: Sequence[Job],
    make_worker: Callable[[], Worker],
    *,
    settings: Mapping[str, Any],
    n_jobs: int = 1,
    model_sha256: str | None = None,
    manifest: Path | None = None,
    resume: bool = False,
    listener: Listener | None = None,
) -> Summary:
    """Do all jobs, whatever happens to some of them.

    With a manifest, one line of JSON is appended to it for each job done or failed: input,
    path, input_sha256, settings_sha256, model_sha256, audio_seconds, elapsed, status, error,
    outputs (relative to the manifest's folder where they lie inside it), version, time (UTC).

    Parameters
    ----------
    jobs : sequence of Job
        As planned by :func:`audiocli.inputs.plan`. No input may be standard input any more.
    make_worker : callable
        Makes the worker. With `n_jobs` above 1 it is pickled, and the script that calls this
        needs its ``if __name__ == "__main__"``.
    settings : mapping
        All that the results depend on, ready for JSON; its hash goes into the manifest.
    n_jobs : int
        Worker processes; 1 works in this process.
    model_sha256 : str or None
        Of the model's weights.
    manifest : Path or None
        The file to keep account in, made if it is not there.
    resume : bool
        Skip a job when the last record of its outputs in the manifest says that they were
        made from an input with the same bytes, with the same settings and model, and they
        still exist. Otherwise do it again; then it may replace what it wrote itself.
    listener : Listener or None
        Hears how the run gets on.

    Returns
    -------
    Summary
        How many were done, failed and skipped.

    Raises
    ------
    UsageError
        When `manifest` is not a manifest or cannot be written, or `resume` lacks one.
    AudioCliError
        When the worker cannot be made, so that no file could be done.
    KeyboardInterrupt
        On Ctrl-C, when the workers have cleaned up. What was finished stays.
    SystemExit
        On SIGTERM and SIGHUP, in the same way (128 + the signal's number).

    Examples
    --------
    >>> from audiocli.inputs import Input
    >>> jobs = [Job(Input(Path(name), name, Path(name)), ()) for name in ("a.wav", "b.wav")]
    >>> def make_worker():
    ...     return lambda job, progress: (1.5, None)
    >>> run(jobs, make_worker, settings={}).audio_seconds
    3.0
    """
    if n_jobs < 1:
        raise UsageError(f"{n_jobs} jobs: at least 1 process is needed")
    if resume and manifest is None:
        raise UsageError("nothing to resume from: name the manifest that the first run kept")
    listener = listener if listener is not None else Listener()
    with contextlib.ExitStack() as stack:
        book = None
        if manifest is not None:
            book = _Manifest(manifest, settings, model_sha256, resume)
            stack.callback(book.file.close)
        stack.enter_context(_signals_raise())
        stack.callback(listener.closed)
        listener.started(len(jobs))
        return _run(jobs, make_worker, n_jobs, book, listener)


@dataclass(frozen=True)
class _Task:
    """A job, with what the manifest says of it, as it goes to a worker process."""

    job: Job
    hashed: bool = False
    done_sha256: str | None = None  # of the input from which all outputs were made before


def _run(
    jobs: Sequence[Job],
    make_worker: Callable[[], Worker],
    n_jobs: int,
    book: _Manifest | None,
    listener: Listener,
) -> Summary:
    """Do the jobs, and keep account of what each has begun to write."""
    begun: set[int] = set()  # may have written something, and no record says so yet

    def advanced(index: int, done_seconds: float, total_seconds: float | None) -> None:
        begun.add(index)
        listener.advanced(jobs[index], done_seconds, total_seconds)

    # a generator: what is on disk is looked at when a job's turn comes
    tasks = enumerate(_Task(job) if book is None else book.task(job) for job in jobs)
    n_jobs = min(n_jobs, len(jobs))
    outcomes = (
        _in_processes(tasks, n_jobs, make_worker, advanced)
        if n_jobs > 1
        else _in_this_process(tasks, make_worker, advanced)
    )
    tally = _Tally(listener)
    try:
        with contextlib.closing(outcomes):
            for index, reported in outcomes:
                # the very job that the listener knows, not the worker's copy of it
                outcome = dataclasses.replace(reported, job=jobs[index])
                if book is not None:
                    book.record(outcome, touched=index in begun)
                begun.discard(index)
                tally.add(index, outcome)
    except (AudioCliError, KeyboardInterrupt, SystemExit):
        tally.flush()
        raise
    finally:
        if book is not None:
            for index in sorted(begun):
                book.record(_failed(jobs[index], "interrupted"), touched=True)
    return tally.summary()


class _Tally:
    """Counts outcomes, and hands them on in the order of the jobs."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
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
        self.listener.finished(outcome)

    def summary(self) -> Summary:
        return Summary(
            **self.counts,
            failures=self.failures,
            audio_seconds=self.audio_seconds,
            elapsed=time.perf_counter() - self.started,
        )


# --- one job ---------------------------------------------------------------------------------


def _attempt(task: _Task, worker_of: Callable[[], Worker], progress: Progress) -> Outcome:
    """Do one job; only what keeps the worker from being made is raised."""
    job, sha256 = task.job, None
    if job.input.problem is not None:
        return _failed(job, job.input.problem)
    try:
        sha256 = _file_sha256(job.input.path) if task.hashed else None
        if task.done_sha256 is not None and sha256 == task.done_sha256:
            return Outcome(job, "skipped", input_sha256=sha256)
        _refuse_existing(job)
    except Exception as error:
        return _failed(job, error, input_sha256=sha256)
    worker = worker_of()
    progress(0.0, None)
    started = time.perf_counter()
    try:
        seconds, value = worker(job, progress)
        seconds = float(seconds)  # a numpy scalar would not go into the manifest
    except Exception as error:
        return _failed(job, error, time.perf_counter() - started, sha256)
    elapsed = time.perf_counter() - started
    return Outcome(job, "done", seconds, elapsed, value=value, input_sha256=sha256)


def _failed(
    job: Job, why: str | Exception, elapsed: float = 0.0, input_sha256: str | None = None
) -> Outcome:
    """Say in one line that names the input why a job failed; a bug keeps its traceback."""
    where = None
    if isinstance(why, MemoryError):
        text = "not enough memory for this file; use fewer --jobs or close other programs"
    elif isinstance(why, OSError) and why.strerror:
        text = f"{why.filename}: {why.strerror}" if why.filename else why.strerror
    elif isinstance(why, (str, AudioCliError, OSError)):
        text = str(why)
    else:
        text = f"internal error: {type(why).__name__}: {why}"
        where = "".join(traceback.format_exception(type(why), why, why.__traceback__))
    text = text if job.input.name in text else f"{job.input.name}: {text}"
    return Outcome(
        job,
        "failed",
        elapsed=elapsed,
        error=" ".join(text.splitlines()),
        traceback=where,
        input_sha256=input_sha256,
    )


def _file_sha256(path: Path) -> str | None:
    if path.exists() and not path.is_file():
        return None  # a pipe can be read only once, and that is for the worker to do
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _refuse_existing(job: Job) -> None:
    """Hold back from outputs that were not there, or not known, when the jobs were planned."""
    for output in job.outputs:
        if os.path.lexists(output) and not job.replace:
            raise UsageError(
                f"{output}: exists, and no earlier run from {job.input.name} is known to have "
                "written it; move it away or use --overwrite"
            )


# --- this process, or several ----------------------------------------------------------------

_Advanced = Callable[[int, float, "float | None"], None]
_Tasks = Iterator["tuple[int, _Task]"]
_Outcomes = Generator["tuple[int, Outcome]", None, None]


def _in_this_process(
    tasks: _Tasks, make_worker: Callable[[], Worker], advanced: _Advanced
) -> _Outcomes:
    worker_of = functools.cache(make_worker)
    for index, task in tasks:
        yield index, _attempt(task, worker_of, functools.partial(advanced, index))


def _in_processes(
    tasks: _Tasks, n_jobs: int, make_worker: Callable[[], Worker], advanced: _Advanced
) -> _Outcomes:
    """Yield outcomes as they come.

    Each process has a pipe of its own, so that it is known which one died over which file,
    and so that a process whose parent is gone finds its pipe closed and ends.
    """
    staff: dict[Connection, SpawnProcess] = {}
    busy: dict[Connection, tuple[int, _Task]] = {}

    def occupy(connection: Connection | None = None) -> None:
        for index, task in itertools.islice(tasks, 1):
            if connection is None:
                connection, staff[connection] = _hire(make_worker)
            busy[connection] = index, task
            with contextlib.suppress(OSError):  # it died: its pipe will say so below
                connection.send(task)

    try:
        for _ in range(n_jobs):
            occupy()
        while busy:
            ready = wait(list(busy))
            for connection in [one for one in busy if one in ready]:
                index, task = busy[connection]
                try:
                    message = connection.recv()
                except (EOFError, OSError):
                    del busy[connection]
                    cause = _cause_of_death(staff.pop(connection))
                    occupy()
                    yield index, _failed(task.job, cause)
                    continue
                if isinstance(message, tuple):
                    advanced(index, *message)
                elif isinstance(message, Exception):
                    raise message
                else:
                    del busy[connection]
                    occupy(connection)
                    yield index, message
    finally:
        _dismiss(staff.values())


def _hire(make_worker: Callable[[], Worker]) -> tuple[Connection, SpawnProcess]:
    """Start a process, and return it with this end of its pipe."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, make_worker), daemon=True)
    with _interrupts_held():
        process.start()
    theirs.close()
    return ours, process


def _serve(connection: Connection, make_worker: Callable[[], Worker]) -> None:
    """Do tasks as they come, in a worker process, until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent sees to it
    signal.signal(signal.SIGTERM, _leave)
    worker_of = functools.cache(make_worker)

    def progress(done_seconds: float, total_seconds: float | None) -> None:
        try:
            connection.send((done_seconds, total_seconds))
        except OSError:
            raise SystemExit(1) from None  # the parent is gone: clean up and end

    with contextlib.suppress(EOFError, OSError):
        while True:
            task = connection.recv()
            try:
                message: Outcome | Exception = _attempt(task, worker_of, progress)
            except AudioCliError as error:
                message = error
            except Exception:
                message = RuntimeError(f"no worker could be made\n{traceback.format_exc()}")
            try:
                connection.send(message)
            except OSError:
                raise
            except Exception as error:  # a result that cannot be pickled
                connection.send(_failed(task.job, error))


def _cause_of_death(process: SpawnProcess) -> str:
    process.join(PATIENCE)
    code = process.exitcode
    _dismiss([process])
    if code == -9:  # SIGKILL, which has no name on Windows
        return "the worker process was killed, as happens when memory runs out; use fewer --jobs"
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


# --- signals ---------------------------------------------------------------------------------


def _leave(signum: int, frame: FrameType | None) -> None:
    """End by an exception, so that temporary files are removed on the way out."""
    signal.signal(signum, signal.SIG_IGN)  # a second one must not disturb that
    raise SystemExit(128 + signum)


@contextlib.contextmanager
def _signals_raise() -> Iterator[None]:
    """Let a request to end clean up too, unless the program has its own way with it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can set handlers
        return
    names = ("SIGTERM", "SIGHUP")  # the second does not exist on Windows
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    changed = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, _leave)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
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


# --- the manifest ----------------------------------------------------------------------------


class _Manifest:
    """The account of what was done: read at the start, then appended to line by line."""

    def __init__(
        self, path: Path, settings: Mapping[str, Any], model_sha256: str | None, resume: bool
    ) -> None:
        self.path = path
        self.folder = Path(os.path.abspath(path)).parent
        canonical = json.dumps(settings, sort_keys=True, separators=(",", ":")).encode()
        self.made_with = {
            "settings_sha256": hashlib.sha256(canonical).hexdigest(),
            "model_sha256": model_sha256,
        }
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            content = path.read_bytes() if path.is_file() else b""
            if not MANIFEST_START.startswith(content[: len(MANIFEST_START)]):
                raise UsageError(f"{path}: is no manifest, and is left alone; use another name")
            self.file = open(path, "ab", buffering=0)  # so that one line is one write
            if content and not content.endswith(b"\n"):
                self.file.write(b"\n")  # the last run was cut off within a line
        except OSError as error:
            raise UsageError(f"{path}: cannot keep a manifest here: {error.strerror}") from error
        self.latest = self._latest(content) if resume else None

    def _latest(self, content: bytes) -> dict[str, dict[str, Any]]:
        """Find the latest record of each output, or of an input that has none."""
        latest: dict[str, dict[str, Any]] = {}
        for line in content.splitlines():
            try:
                record = json.loads(line)
                outputs = [real_path(self.folder / output) for output in record["outputs"]]
                latest.update(dict.fromkeys(outputs or [record["path"]], record))
            except (ValueError, KeyError, TypeError):
                continue  # half a line, from a run that was cut off
        return latest

    def task(self, job: Job) -> _Task:
        """Look up whether a job was done before, and whether what it would replace is its own."""
        if self.latest is None:
            return _Task(job, hashed=True)
        path = os.path.abspath(job.input.path)
        keys = [real_path(output) for output in job.outputs] or [path]
        records = [self.latest.get(key, {}) for key in keys]
        wanted = {"status": "done", **self.made_with}
        complete = all(os.path.exists(output) for output in job.outputs) and all(
            {key: record.get(key) for key in wanted} == wanted for record in records
        )
        made_from = {record.get("input_sha256") for record in records}
        existing = [
            record
            for output, record in zip(job.outputs, records, strict=False)
            if os.path.lexists(output)
        ]
        own = bool(existing) and all(record.get("path") == path for record in existing)
        return _Task(
            dataclasses.replace(job, replace=job.replace or own),
            hashed=True,
            done_sha256=made_from.pop() if complete and len(made_from) == 1 else None,
        )

    def record(self, outcome: Outcome, *, touched: bool) -> None:
        """Append what became of a job; of a failed one, what it may have left behind."""
        if outcome.status == "skipped":
            return  # the record that it was skipped for says it all
        outputs = outcome.job.outputs
        if outcome.status == "failed":
            outputs = tuple(filter(os.path.lexists, outputs)) if touched else ()
        line = {
            "input": outcome.job.input.name,
            "path": os.path.abspath(outcome.job.input.path),
            "input_sha256": outcome.input_sha256,
            **self.made_with,
            "audio_seconds": outcome.audio_seconds,
            "elapsed": round(outcome.elapsed, 3),
            "status": outcome.status,
            "error": outcome.error,
            "outputs": [self._relative(output) for output in outputs],
            "version": __version__,
            "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }
        try:
            self.file.write(json.dumps(line).encode() + b"\n")
        except OSError as error:
            raise AudioCliError(f"{self.path}: cannot be written: {error.strerror}") from error

    def _relative(self, output: Path) -> str:
        absolute = Path(os.path.abspath(output))
        inside = absolute.is_relative_to(self.folder)
        return str(absolute.relative_to(self.folder) if inside else absolute)
