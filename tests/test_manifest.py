from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from copying import Batch, make_copy, make_telling, posix

from audiocli import __version__
from audiocli.batch import Progress, run
from audiocli.batch.inputs import Job, find_inputs, plan
from audiocli.errors import AudioCliError, AudioError, UsageError


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    return Batch(tmp_path)


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
