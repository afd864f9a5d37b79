"""A worker process that stays: progress, outcomes, giving up, and death."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from audiocli.batch import Progress, Worker
from audiocli.batch.inputs import Input, Job
from audiocli.batch.resident import Resident
from audiocli.errors import AudioError


def make_worker() -> Worker:
    def work(job: Job, progress: Progress) -> tuple[float, int]:
        name = job.input.name
        progress(1.0, 2.0)
        if name == "waits":
            job.outputs[0].with_name(f".out.{os.getpid()}.00000000.part").touch()
            time.sleep(60)
        if name == "dies":
            os._exit(7)
        if name == "bad":
            raise AudioError("bad: is not audio")
        return 2.0, os.getpid()

    return work


def test_jobs_come_one_by_one_and_can_be_given_up(tmp_path: Path) -> None:
    steps: list[float] = []
    resident = Resident(make_worker)

    def do(name: str, *, for_seconds: float | None = None) -> tuple[str, object]:
        given_up = threading.Event()
        job = Job(Input(tmp_path / name, name, Path(name)), (tmp_path / "out",))

        def progress(done: float, total: float | None) -> None:
            steps.append(done)
            if done and for_seconds is not None:
                threading.Timer(for_seconds, given_up.set).start()

        outcome = resident.do(job, progress, given_up)
        assert outcome.job is job
        return outcome.status, outcome.error or outcome.value

    try:
        first = do("a")
        assert first == do("b") and first[0] == "done"  # one process
        assert steps == [0.0, 1.0, 0.0, 1.0]
        assert do("bad") == ("failed", "bad: is not audio")
        started = time.monotonic()
        assert do("waits", for_seconds=0.2) == ("failed", "waits: given up")
        assert time.monotonic() - started < 30 and list(tmp_path.iterdir()) == []
        assert do("dies") == ("failed", "dies: the worker process died over it (exit code 7)")
        assert do("c")[0] == "done"
    finally:
        resident.close()


def no_worker() -> Worker:
    raise AudioError("there is no such model")


def test_what_keeps_the_worker_from_being_made_is_the_outcome(tmp_path: Path) -> None:
    resident = Resident(no_worker)
    try:
        job = Job(Input(tmp_path, "a.wav", Path("a.wav")), ())
        outcome = resident.do(job, lambda done, total: pytest.fail("began"), threading.Event())
        assert outcome.error == "a.wav: there is no such model"
    finally:
        resident.close()
