"""Batches of tiny workers that copy text files; what a file says is what happens to it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from audiocli.batch import Callbacks, Outcome, Progress, Summary, Worker, run
from audiocli.batch.inputs import Job, find_inputs, plan
from audiocli.errors import AudioError, warn
from audiocli.io.scratch import scratch_folder

posix = pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX has them")


# --- workers, at module level so that processes can be given them -------------------------------


@contextlib.contextmanager
def part_of(output: Path) -> Iterator[Path]:
    output.parent.mkdir(parents=True, exist_ok=True)
    part = output.with_name(f".{output.name}.{os.getpid()}.{secrets.token_hex(4)}.part")
    try:
        yield part
        os.replace(part, output)
    finally:
        part.unlink(missing_ok=True)


def copy(job: Job, progress: Progress) -> tuple[float, Any]:
    text = job.input.path.read_text()
    for output in job.outputs:
        with part_of(output) as part:
            part.write_text(text)
            progress(0.5, 1.0)
            misbehave(text, progress)
    return float(len(text)), text.upper()


def write_late(job: Job, progress: Progress) -> tuple[float, Any]:
    """Write an output, and be killed behind it the first time."""
    again = tried().exists()
    for output in job.outputs:
        output.parent.mkdir(exist_ok=True)
        output.write_text("second" if again else "first")
    if "killed" in job.input.path.read_text() and not again:
        tried().touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 1.0, None


def make_late() -> Worker:
    return write_late


def tried() -> Path:
    """A file that says that a process was killed before; one for all processes of a test."""
    return Path(os.environ["TRIED"])


def misbehave(text: str, progress: Progress) -> None:
    if text == "bad":
        raise AudioError("no audio\nin it")
    if text == "bug":
        raise ZeroDivisionError("in the worker")
    if text == "memory":
        raise MemoryError
    if text == "system":
        open("no/such/folder")
    if text == "die":
        os._exit(3)
    if text == "die privately":
        folder = scratch_folder()
        Path(folder.name, "input.wav").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if text == "killed once" and not (marker := tried()).exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if text == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if text.startswith("doubtful"):
        warn("the end is missing")
        helper = threading.Thread(target=warn, args=("no tempo was found",))
        helper.start()
        helper.join()
        warn("the end is missing")
    if text == "doubtful and bad":
        raise AudioError("no audio in it")
    if text == "deprecated":
        warnings.warn("use another", DeprecationWarning, stacklevel=2)
    if text == "later":
        time.sleep(0.6)
    if text == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        progress(0.7, 1.0)
        time.sleep(20)
    if text == "slow":
        for _ in range(400):
            time.sleep(0.05)
            progress(0.6, 1.0)


def make_copy() -> Worker:
    return copy


class Looking:
    """Copies, and dies where it is told ahead of a file that says so; notes what it is told."""

    def __init__(self, notes: Path) -> None:
        self.notes = notes

    def __call__(self, job: Job, progress: Progress) -> tuple[float, Any]:
        return copy(job, progress)

    def look_ahead(self, jobs: Sequence[Job]) -> None:
        texts = [job.input.path.read_text() for job in jobs]
        with self.notes.open("a") as stream:
            stream.write(" ".join(texts) + "\n")
        if "die" in texts:
            os._exit(3)


def make_looking(notes: Path) -> Worker:
    return Looking(notes)


def make_telling() -> Worker:
    """Copy, and return whether that may replace anything."""
    return lambda job, progress: (copy(job, progress)[0], job.replace)


def make_noted(folder: Path) -> Worker:
    (folder / str(os.getpid())).touch(exist_ok=False)
    return copy


def make_nothing(error: Exception) -> Worker:
    raise error


def unpicklable(job: Job, progress: Progress) -> tuple[float, Any]:
    return 1.0, (lambda: None) if job.input.name.endswith("b.txt") else "fine"


def make_unpicklable() -> Worker:
    return unpicklable


# --- batches -----------------------------------------------------------------------------------


class Notes(Callbacks):
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.outcomes: list[Outcome] = []

    def started(self, total_jobs: int) -> None:
        self.calls.append(f"started {total_jobs}")

    def advanced(self, job: Job, done_seconds: float, total_seconds: float | None) -> None:
        self.calls.append(f"advanced {job.input.name} {done_seconds} {total_seconds}")

    def finished(self, outcome: Outcome) -> None:
        self.calls.append(f"finished {outcome.job.input.name}")
        self.outcomes.append(outcome)

    def closed(self) -> None:
        self.calls.append("closed")


class Batch:
    """A folder of inputs, an output folder, and a manifest in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = folder / "out" / "manifest.jsonl"
        self.notes = Notes()

    def write(self, **texts: str) -> None:
        for name, text in texts.items():
            path = self.folder / "in" / f"{name}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)

    def output(self, name: str) -> Path:
        return self.folder / "out" / f"{name}.txt"

    def outputs(self) -> dict[str, str]:
        found = sorted((self.folder / "out").glob("*.txt*"))
        return {path.name.removesuffix(".txt"): path.read_text() for path in found}

    def jobs(self, *, overwrite: bool = False, resume: bool = False) -> list[Job]:
        return plan(
            find_inputs([str(self.folder / "in")], extensions=["txt"]),
            lambda item: [self.folder / "out" / item.relative],
            overwrite=overwrite,
            resume=resume,
        )

    def run(
        self,
        make_worker: Callable[[], Worker] = make_copy,
        *,
        overwrite: bool = False,
        resume: bool = False,
        **options: Any,
    ) -> Summary:
        jobs = self.jobs(overwrite=overwrite, resume=resume)
        self.notes = Notes()
        options = {"settings": {"window": 1}, "manifest": self.manifest, **options}
        return run(jobs, make_worker, resume=resume, callbacks=self.notes, **options)

    def statuses(self) -> dict[str, str]:
        return {Path(o.job.input.name).stem: o.status for o in self.notes.outcomes}

    def errors(self) -> dict[str, str | None]:
        return {Path(o.job.input.name).stem: o.error for o in self.notes.outcomes}

    def records(self) -> list[dict[str, Any]]:
        """Read what became of jobs."""
        return [record for record in self.lines() if record["record"] == "job"]

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.manifest.read_text().splitlines()]

    def latest(self) -> dict[str, str]:
        return {Path(record["input"]).stem: record["status"] for record in self.records()}
