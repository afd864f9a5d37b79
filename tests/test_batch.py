"""Runs of tiny workers that copy text files; what a file says is what happens to it."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from audiocli import __version__
from audiocli.batch import Listener, Outcome, Progress, Summary, Worker, run
from audiocli.errors import AudioCliError, AudioError, UsageError
from audiocli.inputs import Input, Job, find_inputs, plan

posix = pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX has them")


# --- workers, at module level so that processes can be given them -------------------------------


@contextlib.contextmanager
def part_of(output: Path) -> Iterator[Path]:
    output.parent.mkdir(parents=True, exist_ok=True)
    part = output.with_name(output.name + ".part")
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
    if text == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
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


class Notes(Listener):
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

    def run(
        self,
        make_worker: Callable[[], Worker] = make_copy,
        *,
        overwrite: bool = False,
        resume: bool = False,
        **options: Any,
    ) -> Summary:
        jobs = plan(
            find_inputs([str(self.folder / "in")], extensions=["txt"]),
            lambda item: [self.folder / "out" / item.relative],
            overwrite=overwrite,
            resume=resume,
        )
        self.notes = Notes()
        options = {"settings": {"window": 1}, "manifest": self.manifest, **options}
        return run(jobs, make_worker, resume=resume, listener=self.notes, **options)

    def statuses(self) -> dict[str, str]:
        return {Path(o.job.input.name).stem: o.status for o in self.notes.outcomes}

    def errors(self) -> dict[str, str | None]:
        return {Path(o.job.input.name).stem: o.error for o in self.notes.outcomes}

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.manifest.read_text().splitlines()]

    def latest(self) -> dict[str, str]:
        return {Path(record["input"]).stem: record["status"] for record in self.records()}


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    return Batch(tmp_path)


# --- running -----------------------------------------------------------------------------------


def test_all_good_in_this_process(batch: Batch) -> None:
    batch.write(a="x", b="yyy")
    summary = batch.run(manifest=None)
    assert (summary.done, summary.failed, summary.skipped) == (2, 0, 0)
    assert (summary.exit_code, summary.failures, summary.audio_seconds) == (0, [], 4.0)
    assert summary.elapsed >= sum(outcome.elapsed for outcome in batch.notes.outcomes) > 0
    assert [outcome.value for outcome in batch.notes.outcomes] == ["X", "YYY"]
    assert {outcome.input_sha256 for outcome in batch.notes.outcomes} == {None}
    assert batch.outputs() == {"a": "x", "b": "yyy"}
    a, b = (str(batch.folder / "in" / name) for name in ("a.txt", "b.txt"))
    assert batch.notes.calls == [
        "started 2",
        *(f"advanced {a} 0.0 None", f"advanced {a} 0.5 1.0", f"finished {a}"),
        *(f"advanced {b} 0.0 None", f"advanced {b} 0.5 1.0", f"finished {b}"),
        "closed",
    ]


def test_failures_name_the_input_in_one_line_and_do_not_stop_the_rest(batch: Batch) -> None:
    batch.write(a="bad", b="bug", c="memory", d="system", e="fine")
    summary = batch.run()
    inside = batch.folder / "in"
    assert batch.errors() == {
        "a": f"{inside}/a.txt: no audio in it",
        "b": f"{inside}/b.txt: internal error: ZeroDivisionError: in the worker",
        "c": f"{inside}/c.txt: not enough memory for this file; "
        "use fewer --jobs or close other programs",
        "d": f"{inside}/d.txt: no/such/folder: No such file or directory",
        "e": None,
    }
    assert batch.outputs() == {"e": "fine"}
    assert (summary.done, summary.failed, summary.exit_code) == (1, 4, 1)
    assert summary.failures == batch.notes.outcomes[:4]
    traces = [outcome.traceback for outcome in batch.notes.outcomes]
    assert [trace is not None for trace in traces] == [False, True, False, False, False]
    assert "in misbehave" in str(traces[1])


def test_known_problem_fails_without_a_worker(tmp_path: Path) -> None:
    jobs = plan(find_inputs([str(tmp_path / "gone.txt")]), lambda item: [tmp_path / "x"])
    notes = Notes()
    broken = functools.partial(make_nothing, AssertionError("made"))
    summary = run(jobs, broken, settings={}, listener=notes, manifest=tmp_path / "m")
    assert summary.exit_code == 1
    assert notes.outcomes[0].error == f"{tmp_path}/gone.txt: No such file or directory"
    assert json.loads((tmp_path / "m").read_text())["error"] == notes.outcomes[0].error


def test_input_that_vanished_since_is_a_failure(batch: Batch) -> None:
    batch.write(a="x", b="y")
    item = Input(batch.folder / "in/gone.txt", "gone.txt", Path("gone.txt"))
    summary = run([Job(item, ())], make_copy, settings={}, manifest=batch.manifest)
    assert "No such file" in str(summary.failures[0].error)


def test_no_jobs_is_no_error() -> None:
    notes = Notes()
    summary = run([], make_copy, settings={}, listener=notes, n_jobs=3)
    assert (summary.exit_code, notes.calls) == (0, ["started 0", "closed"])


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("error", [AudioCliError("no such model"), KeyError("bug")])
def test_worker_that_cannot_be_made_ends_the_run(
    batch: Batch, n_jobs: int, error: Exception
) -> None:
    batch.write(a="x", b="y", c="z")
    expected = AudioCliError if isinstance(error, AudioCliError) else (KeyError, RuntimeError)
    with pytest.raises(expected, match="no such model|bug"):
        batch.run(functools.partial(make_nothing, error), n_jobs=n_jobs)
    assert batch.notes.calls == ["started 3", "closed"]
    assert batch.records() == []


def test_existing_output_that_appeared_since_the_plan_is_kept(batch: Batch) -> None:
    batch.write(a="x", b="y")
    jobs = plan(
        find_inputs([str(batch.folder / "in")], extensions=["txt"]),
        lambda item: [batch.folder / "out" / item.relative],
    )
    batch.output("b").parent.mkdir()
    batch.output("b").write_text("precious")
    summary = run(jobs, make_copy, settings={})
    assert batch.outputs() == {"a": "x", "b": "precious"}
    assert "move it away or use --overwrite" in str(summary.failures[0].error)


def test_overwrite_replaces_and_tells_the_worker(batch: Batch) -> None:
    batch.write(a="x")
    batch.run()
    batch.write(a="y")
    assert batch.run(make_telling, overwrite=True).done == 1
    assert batch.outputs() == {"a": "y"}
    assert batch.notes.outcomes[0].value is True


def test_listener_that_fails_is_not_swallowed(batch: Batch) -> None:
    class Broken(Notes):
        def finished(self, outcome: Outcome) -> None:
            raise BrokenPipeError("stdout is gone")

    batch.write(a="x", b="y")
    jobs = plan(find_inputs([str(batch.folder / "in")], extensions=["txt"]), lambda item: [])
    broken = Broken()
    with pytest.raises(BrokenPipeError):
        run(jobs, make_copy, settings={}, listener=broken)
    assert broken.calls[-1] == "closed"


@pytest.mark.parametrize(
    ("options", "message"),
    [({"n_jobs": 0}, "at least 1"), ({"resume": True}, "name the manifest")],
)
def test_requests_that_cannot_be_meant(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run([], make_copy, settings={}, **options)


# --- several processes ---------------------------------------------------------------------------


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
    assert batch.errors()["a"] == f"{inside}/a.txt: the worker process died over it (exit code 3)"
    assert "killed, as happens when memory runs out" in str(batch.errors()["c"])


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

    monkeypatch.setattr("audiocli.batch.PATIENCE", 0.2)
    batch.write(a="stubborn", b="x")
    jobs = plan(
        find_inputs([str(batch.folder / "in")], extensions=["txt"]),
        lambda item: [batch.folder / "out" / item.relative],
    )
    impatient = Impatient()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(jobs, make_copy, settings={}, n_jobs=2, listener=impatient)
    assert time.monotonic() - started < 10
    assert impatient.calls[-1] == "closed"
    assert multiprocessing.active_children() == []


def test_nothing_heavy_is_loaded() -> None:
    code = "import audiocli.batch, sys; print(*{'numpy', 'torch', 'soundfile'} & {*sys.modules})"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "\n"


# --- the manifest --------------------------------------------------------------------------------


def test_manifest_record(batch: Batch) -> None:
    batch.write(a="abc", b="bad")
    batch.run(settings={"y": [1, 2], "x": 0.5}, model_sha256="m" * 64)
    done, failed = batch.records()
    assert done.pop("elapsed") >= 0
    assert done.pop("time")[19:] == "+00:00"
    assert done == {
        "input": str(batch.folder / "in/a.txt"),
        "path": str(batch.folder / "in/a.txt"),
        "input_sha256": hashlib.sha256(b"abc").hexdigest(),
        "settings_sha256": hashlib.sha256(b'{"x":0.5,"y":[1,2]}').hexdigest(),
        "model_sha256": "m" * 64,
        "audio_seconds": 3.0,
        "status": "done",
        "error": None,
        "outputs": ["a.txt"],
        "version": __version__,
    }
    assert (failed["status"], failed["outputs"]) == ("failed", [])
    assert failed["error"] == f"{batch.folder}/in/b.txt: no audio in it"


def test_manifest_elsewhere_names_outputs_absolutely(batch: Batch) -> None:
    batch.write(a="x")
    batch.manifest = batch.folder / "accounts" / "m.jsonl"
    batch.run()
    assert batch.records()[0]["outputs"] == [str(batch.output("a"))]
    assert batch.run(resume=True).skipped == 1


def test_resume_does_only_what_is_missing(batch: Batch) -> None:
    batch.write(a="x", b="bad")
    assert batch.run().exit_code == 1
    batch.write(b="good", c="new")
    lines = len(batch.records())
    summary = batch.run(resume=True)
    assert batch.statuses() == {"a": "skipped", "b": "done", "c": "done"}
    assert (summary.skipped, summary.exit_code) == (1, 0)
    assert len(batch.records()) == lines + 2  # nothing new is to be said of what is skipped
    assert batch.run(resume=True).skipped == 3


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {"window": 2}},
        {"model_sha256": "other"},
        {"input": "changed"},
        {"output": "removed"},
    ],
)
def test_resume_redoes_what_is_out_of_date(batch: Batch, change: dict[str, Any]) -> None:
    batch.write(a="x", b="y")
    batch.run()
    removed = "output" in change
    if "input" in change:
        batch.write(a="changed", b="changed")
    if removed:
        batch.output("a").unlink()
        batch.output("b").unlink()
    options = {key: value for key, value in change.items() if key not in ("input", "output")}
    batch.run(make_telling, resume=True, **options)
    assert batch.statuses() == {"a": "done", "b": "done"}
    assert {outcome.value for outcome in batch.notes.outcomes} == {not removed}
    assert batch.run(resume=True, **options).skipped == 2


def test_resume_keeps_outputs_that_no_record_accounts_for(batch: Batch) -> None:
    batch.write(a="x", b="y")
    batch.output("a").parent.mkdir()
    batch.output("a").write_text("precious")
    batch.run(resume=True)
    assert batch.statuses() == {"a": "failed", "b": "done"}
    # that it was in the way once does not make it the batch's own
    batch.run(resume=True)
    assert batch.statuses() == {"a": "failed", "b": "skipped"}
    assert batch.outputs() == {"a": "precious", "b": "y"}
    assert batch.run(resume=True, overwrite=True).done == 1
    assert batch.outputs() == {"a": "x", "b": "y"}


def test_resume_keeps_outputs_made_from_another_input(batch: Batch) -> None:
    batch.write(a="x")
    batch.run()
    other = Batch(batch.folder / "elsewhere")
    other.folder.mkdir()
    other.write(a="z")
    jobs = plan(
        find_inputs([str(other.folder / "in")], extensions=["txt"]),
        lambda item: [batch.output("a")],
        resume=True,
    )
    options: dict[str, Any] = {"settings": {"window": 1}, "manifest": batch.manifest}
    assert run(jobs, make_copy, resume=True, **options).failed == 1
    assert batch.outputs() == {"a": "x"}


def test_resume_notices_that_another_input_took_the_output(batch: Batch) -> None:
    batch.write(a="x", b="z")
    options: dict[str, Any] = {"settings": {}, "manifest": batch.manifest}
    inputs = find_inputs([str(batch.folder / "in")], extensions=["txt"])
    first, second = (Job(item, (batch.output("r"),), replace=True) for item in inputs)
    for job in (first, second):
        assert run([job], make_copy, **options).done == 1
    assert run([first], make_copy, resume=True, **options).done == 1
    assert batch.outputs() == {"r": "x"}


def test_resume_survives_moving_everything(batch: Batch) -> None:
    batch.write(a="x")
    batch.run()
    moved = batch.folder.with_name("moved")
    batch.folder.rename(moved)
    batch = Batch(moved)
    assert batch.run(resume=True).skipped == 1


def test_resume_of_a_job_without_outputs(batch: Batch) -> None:
    batch.write(a="x")
    jobs = plan(find_inputs([str(batch.folder / "in")], extensions=["txt"]), lambda item: [])
    options: dict[str, Any] = {"settings": {}, "manifest": batch.manifest}
    assert run(jobs, make_copy, resume=True, **options).done == 1
    assert run(jobs, make_copy, resume=True, **options).skipped == 1
    batch.write(a="y")
    assert run(jobs, make_copy, resume=True, **options).done == 1


def test_failure_on_the_way_leaves_outputs_that_resume_may_replace(batch: Batch) -> None:
    batch.write(a="x")
    outputs = (batch.output("1"), batch.output("2"))
    (item,) = find_inputs([str(batch.folder / "in")], extensions=["txt"])
    options: dict[str, Any] = {"settings": {}, "manifest": batch.manifest}

    def half(job: Job, progress: Progress) -> tuple[float, Any]:
        outputs[0].write_text("half")
        raise AudioError("the disk is full")

    assert run([Job(item, outputs)], lambda: half, **options).failed == 1
    assert batch.records()[0]["outputs"] == ["1.txt"]
    assert run([Job(item, outputs)], make_copy, resume=True, **options).done == 1
    assert batch.outputs() == {"1": "x", "2": "x"}


def test_manifest_cut_off_anywhere_loses_nothing(batch: Batch) -> None:
    batch.write(a="x", b="y")
    batch.run()
    whole = batch.manifest.read_bytes()
    for size in range(0, len(whole), 17):
        batch.manifest.write_bytes(whole[:size])
        batch.run(resume=True)
        complete = whole[: size + 1].count(b"}\n")
        assert list(batch.statuses().values()) == ["skipped"] * complete + ["failed"] * (
            2 - complete
        )
        assert batch.outputs() == {"a": "x", "b": "y"}
        batch.output("b").unlink()  # what follows a line cut off must be readable again
        assert batch.run(resume=True).failed == 1 - complete
        assert batch.run(resume=True).skipped == 1 + complete


@pytest.mark.parametrize("content", [b"RIFF\0\0\0\0WAVE", b"{}", b'{"output": 1}', b"\n", b"["])
def test_file_that_is_no_manifest_is_left_alone(batch: Batch, content: bytes) -> None:
    batch.write(a="x")
    batch.manifest = batch.folder / "song.wav"
    batch.manifest.write_bytes(content)
    with pytest.raises(UsageError, match="is no manifest, and is left alone"):
        batch.run()
    assert batch.manifest.read_bytes() == content
    assert batch.outputs() == {}


def test_manifest_that_cannot_be_written_is_refused_before_any_work(batch: Batch) -> None:
    batch.write(a="x")
    batch.manifest = batch.folder / "in"
    with pytest.raises(UsageError, match="cannot keep a manifest here: Is a directory"):
        batch.run()
    assert batch.outputs() == {}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a disk that is always full")
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_manifest_on_a_full_disk_ends_the_run(batch: Batch, n_jobs: int) -> None:
    batch.write(a="x", b="y", c="z")
    batch.manifest = Path("/dev/full")
    with pytest.raises(AudioCliError, match="/dev/full: cannot be written: No space left"):
        batch.run(n_jobs=n_jobs)
    assert batch.notes.calls[-1] == "closed"


@posix
def test_manifest_keeps_names_that_are_no_text(batch: Batch) -> None:
    batch.write(**{os.fsdecode(b"\xe9"): "x", "line\nbreak": "y", "☃": "z"})
    batch.run()
    assert {Path(record["input"]).name for record in batch.records()} == set(
        os.listdir(batch.folder / "in")
    )
    assert batch.run(resume=True).skipped == 3


@posix
def test_pipe_is_left_for_the_worker_to_read(batch: Batch) -> None:
    batch.folder.joinpath("in").mkdir()
    pipe = batch.folder / "in" / "pipe.txt"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("x",))
    writer.start()
    batch.run()
    writer.join()
    assert batch.outputs() == {"pipe": "x"}
    assert batch.records()[0]["input_sha256"] is None


# --- signals ---------------------------------------------------------------------------------


class Teller(Listener):
    """Says on stdout what goes on, for the test that listens at the other end."""

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
        run(jobs, make_copy, n_jobs=n_jobs, settings={}, manifest=manifest, listener=Teller())
    except KeyboardInterrupt:
        sys.exit(130)


@contextlib.contextmanager
def child(batch: Batch, n_jobs: int) -> Iterator[subprocess.Popen[str]]:
    """Start a batch in a process group of its own, as a terminal would."""
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here), str(here.parent)])
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import test_batch; test_batch.interruptible({str(batch.folder)!r}, {n_jobs})",
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


def hear(process: subprocess.Popen[str], *wanted: str) -> list[str]:
    """Read what the child says until all that is wanted was said."""
    assert process.stdout is not None
    heard: list[str] = []
    while not set(wanted) <= set(heard):
        line = process.stdout.readline()
        assert line, f"ended after {heard}"
        heard.append(line.strip())
    return heard


def slow_ones(n_jobs: int) -> list[str]:
    return ["slow b", "slow d"][:n_jobs]


@posix
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_run_cleanly(batch: Batch, n_jobs: int, number: int) -> None:
    batch.write(a="x", b="slow", c="y", d="slow", e="z")
    with child(batch, n_jobs) as process:
        heard = hear(process, *slow_ones(n_jobs))
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # Ctrl-C goes to the workers too
        else:
            process.send_signal(number)
        rest, errors = process.communicate(timeout=10)
    assert errors == ""
    assert process.returncode == 128 + number
    finished = ["a", "c"][:n_jobs]
    assert list(batch.outputs()) == finished  # and nothing half written
    heard += rest.split("\n")[:-1]
    assert [line for line in heard if line.startswith("finished")] == [
        f"finished {name}" for name in finished
    ]
    assert heard[-1] == "closed"
    interrupted = {name[-1]: "failed" for name in slow_ones(n_jobs)}
    assert batch.latest() == {**dict.fromkeys(finished, "done"), **interrupted}
    batch.write(b="x", d="x")
    assert batch.run(resume=True, settings={}).done == 5 - n_jobs


@posix
def test_interrupt_while_workers_start_prints_nothing(batch: Batch) -> None:
    batch.write(a="slow", b="slow")
    with child(batch, 2) as process:
        hear(process, "started")
        time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        rest, errors = process.communicate(timeout=10)
    assert (process.returncode, errors, rest) == (130, "", "closed\n")
    assert batch.outputs() == {}


@posix
def test_workers_end_when_their_parent_is_killed(batch: Batch) -> None:
    batch.write(b="slow", d="slow")
    with child(batch, 2) as process:
        hear(process, "slow b", "slow d")
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
