from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from copying import (
    Batch,
    Notes,
    make_copy,
    make_late,
    make_looking,
    make_noted,
    make_nothing,
    make_unpicklable,
    posix,
)
from places import ROOT

from audiocli.batch import Callbacks, Outcome, run
from audiocli.batch.inputs import Job, find_inputs, plan
from audiocli.io.scratch import scratch_folder

HANGUP = getattr(signal, "SIGHUP", signal.SIGTERM)  # Windows has none


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    return Batch(tmp_path)


# --- processes ---------------------------------------------------------------------------------


def test_processes_finish_in_order_and_make_one_worker_each(batch: Batch) -> None:
    batch.write(a="later", b="bug", c="cc", d="bad", e="e")
    notes = batch.folder / "pids"
    notes.mkdir()
    summary = batch.run(functools.partial(make_noted, notes), n_jobs=2)
    assert batch.statuses() == {"a": "done", "b": "failed", "c": "done", "d": "failed", "e": "done"}
    assert list(batch.statuses()) == ["a", "b", "c", "d", "e"]
    assert batch.outputs() == {"a": "later", "c": "cc", "e": "e"}
    assert (summary.done, summary.failed, summary.audio_seconds) == (3, 2, 8.0)
    assert [outcome.value for outcome in batch.notes.outcomes if outcome.value] == [
        "LATER",
        "CC",
        "E",
    ]
    assert "in misbehave" in str(batch.notes.outcomes[1].traceback)
    assert f"advanced {batch.folder}/in/c.txt 0.5 1.0" in batch.notes.calls
    assert str(os.getpid()) not in os.listdir(notes)
    assert len(os.listdir(notes)) == 2
    # the manifest does not wait for the first, so that less is lost when a run is cut off
    assert sorted(batch.latest()) == ["a", "b", "c", "d", "e"]
    assert Path(batch.records()[0]["input"]).stem != "a"


@posix
def test_process_that_dies_fails_its_file_only(batch: Batch) -> None:
    batch.write(a="die", b="x", c="killed", d="later", e="z")
    batch.run(n_jobs=2)
    assert batch.statuses() == {"a": "failed", "b": "done", "c": "failed", "d": "done", "e": "done"}
    inside = batch.folder / "in"
    assert (
        batch.errors()["a"]
        == f"{inside}/a.txt: the worker process died over it (exit code 3), twice"
    )
    assert "killed, as happens when memory runs out" in str(batch.errors()["c"])
    assert not [name for name in os.listdir(batch.folder / "out") if "part" in name]


@posix
def test_process_that_is_killed_once_gets_a_second_try(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIED", str(batch.folder / "tried"))
    batch.write(a="x", b="killed once", c="y")
    summary = batch.run(n_jobs=2)
    assert (summary.done, summary.failed) == (3, 0)
    assert (batch.folder / "out" / "b.txt").read_text() == "killed once"
    assert not [name for name in os.listdir(batch.folder / "out") if "part" in name]


@posix
def test_second_try_may_replace_what_the_first_wrote_and_nothing_else(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIED", str(batch.folder / "tried"))
    batch.write(a="x", b="written, then killed once")
    assert batch.run(make_late, n_jobs=2).failed == 0
    assert batch.output("b").read_text() == "second"
    # Here it stood before the first try, unplanned, and is not touched by the second.
    (batch.folder / "tried").unlink()
    for path in (batch.output("a"), batch.output("b"), batch.manifest):
        path.unlink()
    jobs = batch.jobs()
    batch.output("b").write_text("of another")
    summary = run(jobs, make_late, settings={}, n_jobs=2)
    assert summary.failed == 1 and batch.output("b").read_text() == "of another"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made, by worker processes too."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@posix
def test_private_folders_of_killed_workers_are_cleared(batch: Batch, temporary: Path) -> None:
    batch.write(a="1", b="die privately", c="3")
    batch.run(make_copy, n_jobs=2)
    assert batch.statuses() == {"a": "done", "b": "failed", "c": "done"}
    assert not list(temporary.glob("audiocli-*"))


@posix
def test_private_folders_of_a_killed_run_are_cleared_by_the_next(
    batch: Batch, temporary: Path
) -> None:
    batch.write(a="1")
    killed = subprocess.run(
        [sys.executable, "-c", "import os, signal; from audiocli.io.scratch import scratch_folder; "
         "kept = scratch_folder(); os.kill(os.getpid(), signal.SIGKILL)"]
    )  # fmt: skip
    (left,) = temporary.glob("audiocli-*")
    assert killed.returncode == -signal.SIGKILL
    elsewhere = temporary / left.name.replace(left.name.split("-")[1], "0" * 8)
    elsewhere.mkdir()
    with scratch_folder() as living:
        batch.run(make_copy)
        assert set(temporary.iterdir()) == {Path(living), elsewhere}


@posix
def test_what_dies_ahead_is_done_alone(batch: Batch) -> None:
    batch.write(a="1", b="die", c="3", d="4", e="bad", f="6", g="7", h="8")
    told = batch.folder / "told"
    batch.run(functools.partial(make_looking, told), n_jobs=2, batch_size=4)
    statuses = dict.fromkeys("acdfgh", "done") | {"b": "failed", "e": "failed"}
    assert batch.statuses() == statuses
    assert list(batch.statuses()) == list("abcdefgh")
    assert str(batch.errors()["b"]).endswith("the worker process died over it (exit code 3), twice")
    assert batch.outputs() == {"a": "1", "c": "3", "d": "4", "f": "6", "g": "7", "h": "8"}
    assert "7 8" in told.read_text()


def test_worker_is_told_of_what_is_not_done(batch: Batch) -> None:
    batch.write(a="1", b="2", c="bad", d="4", e="5")
    told = batch.folder / "told"
    batch.run(functools.partial(make_looking, told), batch_size=3)
    assert told.read_text().splitlines() == ["1 2 bad", "4 5"]
    batch.output("b").unlink()
    batch.write(f="6")
    batch.run(functools.partial(make_looking, told), batch_size=9, resume=True)
    assert told.read_text().splitlines()[2:] == ["2 bad 6"]
    assert batch.statuses()["a"] == "skipped" and batch.statuses()["b"] == "done"


def test_result_that_cannot_be_pickled_is_reported(batch: Batch) -> None:
    batch.write(a="x", b="y", c="z")
    batch.run(make_unpicklable, n_jobs=2)
    assert batch.statuses() == {"a": "done", "b": "failed", "c": "done"}
    assert "internal error" in str(batch.errors()["b"])


def test_processes_resume_without_making_a_worker(batch: Batch) -> None:
    batch.write(a="x", b="y")
    batch.run()
    broken = functools.partial(make_nothing, AssertionError("made"))
    assert batch.run(broken, resume=True, n_jobs=2).skipped == 2


@posix
def test_process_that_will_not_end_is_killed(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    class Impatient(Notes):
        def advanced(self, job: Job, done_seconds: float, total_seconds: float | None) -> None:
            if done_seconds == 0.7:
                raise KeyboardInterrupt

    monkeypatch.setattr("audiocli.batch.workers.PATIENCE", 0.2)
    batch.write(a="stubborn", b="x")
    jobs = plan(
        find_inputs([str(batch.folder / "in")], extensions=["txt"]),
        lambda item: [batch.folder / "out" / item.relative],
    )
    impatient = Impatient()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(jobs, make_copy, settings={}, n_jobs=2, callbacks=impatient)
    assert time.monotonic() - started < 10
    assert impatient.calls[-1] == "closed"
    assert not [name for name in os.listdir(batch.folder / "out") if "part" in name]
    assert multiprocessing.active_children() == []


# --- signals -----------------------------------------------------------------------------------


class Teller(Callbacks):
    """Says on stdout what goes on, for the test at the other end."""

    def __init__(self) -> None:
        self.taken_up: set[str] = set()

    def tell(self, text: str) -> None:
        print(text, flush=True)

    def started(self, total_jobs: int) -> None:
        self.tell("started")

    def advanced(self, job: Job, done_seconds: float, total_seconds: float | None) -> None:
        name = job.input.path.stem
        if done_seconds > 0.5 and name not in self.taken_up:
            self.taken_up.add(name)
            self.tell(f"slow {name}")

    def finished(self, outcome: Outcome) -> None:
        self.tell(f"finished {outcome.job.input.path.stem}")

    def closed(self) -> None:
        self.tell("closed")


def interruptible(folder: str, n_jobs: int) -> None:
    jobs = plan(
        find_inputs([f"{folder}/in"], extensions=["txt"]),
        lambda item: [Path(folder, "out") / item.relative],
    )
    manifest = Path(folder, "out/manifest.jsonl")
    try:
        run(jobs, make_copy, n_jobs=n_jobs, settings={}, manifest=manifest, callbacks=Teller())
    except KeyboardInterrupt:
        sys.exit(130)


@contextlib.contextmanager
def child(batch: Batch, n_jobs: int) -> Iterator[subprocess.Popen[str]]:
    """Start a batch in a process group of its own, as a terminal would."""
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(ROOT / "tests"), str(ROOT)])
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import test_workers; test_workers.interruptible({str(batch.folder)!r}, {n_jobs})",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_until(process: subprocess.Popen[str], *wanted: str) -> list[str]:
    """Read what the child says until all that is wanted was said."""
    assert process.stdout is not None
    lines: list[str] = []
    while not set(wanted) <= set(lines):
        line = process.stdout.readline()
        assert line, f"ended after {lines}"
        lines.append(line.strip())
    return lines


def slow_ones(n_jobs: int) -> list[str]:
    return ["slow b", "slow d"][:n_jobs]


@posix
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, HANGUP])
def test_signal_ends_the_run_cleanly(batch: Batch, n_jobs: int, number: int) -> None:
    batch.write(a="x", b="slow", c="y", d="slow", e="z")
    with child(batch, n_jobs) as process:
        lines = read_until(process, *slow_ones(n_jobs))
        if number == signal.SIGTERM:
            process.send_signal(number)
        else:
            os.killpg(process.pid, number)  # the terminal sends these to the workers too
        rest, errors = process.communicate(timeout=10)
    assert errors == ""
    assert process.returncode == 128 + number
    finished = ["a", "c"][:n_jobs]
    assert list(batch.outputs()) == finished  # and nothing half written
    lines += rest.split("\n")[:-1]
    assert [line for line in lines if line.startswith("finished")] == [
        f"finished {name}" for name in finished
    ]
    assert lines[-1] == "closed"
    interrupted = {name[-1]: "failed" for name in slow_ones(n_jobs)}
    assert batch.latest() == {**dict.fromkeys(finished, "done"), **interrupted}
    batch.write(b="x", d="x")
    assert batch.run(resume=True, settings={}).done == 5 - n_jobs


@posix
def test_interrupt_while_workers_start_prints_nothing(batch: Batch) -> None:
    batch.write(a="slow", b="slow")
    with child(batch, 2) as process:
        read_until(process, "started")
        time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        rest, errors = process.communicate(timeout=10)
    assert (process.returncode, errors, rest) == (130, "", "closed\n")
    assert batch.outputs() == {}


@posix
def test_workers_end_when_their_parent_is_killed(batch: Batch) -> None:
    batch.write(b="slow", d="slow")
    with child(batch, 2) as process:
        read_until(process, "slow b", "slow d")
        process.kill()
        # the workers hold the other end of these until they end
        process.communicate(timeout=10)
    assert batch.outputs() == {}


def test_run_off_the_main_thread_leaves_signals_alone(batch: Batch) -> None:
    batch.write(a="x")
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=batch.run)
    thread.start()
    thread.join()
    assert batch.outputs() == {"a": "x"}
    batch.run(overwrite=True)
    assert signal.getsignal(signal.SIGTERM) is before
