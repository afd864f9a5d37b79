from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from copying import Batch, copy, make_copy, make_telling, posix

from audiocli import __version__
from audiocli.batch import Progress, run
from audiocli.batch.inputs import Job, find_inputs, plan
from audiocli.errors import AudioCliError, AudioError, UsageError
from audiocli.io.payload import hash_file


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
        "record": "job",
        "input": "a.txt",
        "path": str(batch.folder / "in/a.txt"),
        "input_sha256": hashlib.sha256(b"abc").hexdigest(),
        "audio_sha256": hashlib.sha256(b"abc").hexdigest(),
        "settings_sha256": hashlib.sha256(b'{"x":0.5,"y":[1,2]}').hexdigest(),
        "model_sha256": "m" * 64,
        "duration": 3.0,
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


def test_resume_reads_no_input_that_has_not_changed(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch.write(a="abc", b="def", c="ghi")
    for name in "ab":
        os.utime(batch.folder / "in" / f"{name}.txt", ns=(0, 10**18))
    batch.run()
    known = {record["input"]: record.get("input_mtime_ns") for record in batch.records()}
    assert known == {"a.txt": 10**18, "b.txt": 10**18, "c.txt": None}  # c has just been written
    read: list[str] = []

    def hashed(path: Path) -> Any:
        read.append(path.name)
        return hash_file(path)

    monkeypatch.setattr("audiocli.batch.workers.hash_file", hashed)
    assert batch.run(resume=True).skipped == 3
    assert read == ["c.txt"]
    batch.write(b="xyz")  # as long as it was, but later
    assert batch.run(resume=True).skipped == 2
    assert batch.outputs()["b"] == "xyz"


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

    def logged(size: int, record: str, name: str) -> bool:
        lines = whole[: size + 1].split(b"\n") if whole[size : size + 1] == b"\n" else []
        lines = lines or whole[:size].split(b"\n")[:-1]
        records = [json.loads(line) for line in lines if line]
        return any((r["record"], r.get("input")) == (record, f"{name}.txt") for r in records)

    for size in range(0, len(whole), 17):
        expected = {
            name: "skipped"
            if logged(size, "job", name)
            else "done"  # known to be its own, because that was logged before it was written
            if logged(size, "begin", name)
            else "failed"
            for name in "ab"
        }
        batch.manifest.write_bytes(whole[:size])
        batch.run(resume=True)
        assert batch.statuses() == expected
        assert batch.outputs() == {"a": "x", "b": "y"}
        batch.output("b").unlink()  # what follows a line cut off must be readable again
        batch.run(resume=True)
        assert batch.statuses()["b"] == "done"


def test_what_is_about_to_be_written_is_logged_first(batch: Batch) -> None:
    batch.write(a="x")
    seen: list[dict[str, Any]] = []

    def look(job: Job, progress: Progress) -> tuple[float, Any]:
        seen.extend(batch.lines())
        return copy(job, progress)

    batch.run(lambda: look)
    assert [line["record"] for line in seen] == ["run", "begin"]
    assert seen[1]["outputs"] == ["a.txt"]
    assert seen[0]["settings"] == {"window": 1}
    assert seen[0]["schema"] == "audiocli.manifest/2"


def test_what_was_begun_and_not_written_is_not_its_own(batch: Batch) -> None:
    """A job that failed before it wrote has no claim on what somebody puts there later."""
    batch.write(a="bad")
    batch.run()
    batch.output("a").write_text("precious")
    batch.write(a="good")
    batch.run(resume=True)
    assert batch.statuses() == {"a": "failed"}
    assert batch.outputs() == {"a": "precious"}


def test_manifest_of_another_command_is_left_alone(batch: Batch) -> None:
    batch.write(a="x")
    batch.run(command="onsets")
    before = batch.manifest.read_bytes()
    with pytest.raises(UsageError, match="is the manifest of audiocli onsets"):
        batch.run(command="chords", resume=True)
    assert batch.manifest.read_bytes() == before
    assert batch.run(command="onsets", resume=True).skipped == 1


def test_records_of_others_are_left_alone(batch: Batch) -> None:
    """Lines of JSON that begin like ours are not ours."""
    batch.write(a="x")
    batch.manifest.parent.mkdir()
    content = b'{"input": "2 + 2", "output": "4"}\n'
    batch.manifest.write_bytes(content)
    with pytest.raises(UsageError, match="is no manifest"):
        batch.run(resume=True)
    assert batch.manifest.read_bytes() == content


@posix
def test_two_runs_on_one_manifest_are_refused(batch: Batch) -> None:
    batch.write(a="x")

    def again(job: Job, progress: Progress) -> tuple[float, Any]:
        with pytest.raises(UsageError, match="another audiocli is writing here"):
            Batch(batch.folder).run(resume=True)
        return copy(job, progress)

    assert batch.run(lambda: again).done == 1
    assert batch.run(resume=True).skipped == 1


@posix
def test_an_output_folder_that_vanishes_is_told(batch: Batch) -> None:
    batch.write(a="x", b="y")

    def vanish(job: Job, progress: Progress) -> tuple[float, Any]:
        if job.input.path.stem == "b":
            shutil.rmtree(batch.manifest.parent)
        return copy(job, progress)

    with pytest.raises(AudioCliError, match="was removed or replaced while the run went on"):
        batch.run(lambda: vanish)


def test_prune_removes_what_was_made_of_files_that_are_gone(batch: Batch) -> None:
    batch.write(a="x", b="y")
    batch.run()
    (batch.folder / "in" / "a.txt").unlink()
    assert batch.run(resume=True).pruned == 0
    assert batch.outputs() == {"a": "x", "b": "y"}
    assert batch.run(resume=True, prune=True).pruned == 1
    assert batch.outputs() == {"b": "y"}
    batch.output("a").write_text("precious")  # by somebody else, by now
    batch.write(a="x")
    batch.run(resume=True)
    assert batch.statuses() == {"a": "failed", "b": "skipped"}


@posix
def test_half_written_files_of_dead_runs_are_swept(batch: Batch) -> None:
    batch.write(a="x")
    folder = batch.manifest.parent
    folder.mkdir()
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                          capture_output=True, check=True).stdout.decode().strip()  # fmt: skip
    names = [f".a.txt.{dead}.0a1b2c3d.part", f".a.txt.{os.getpid()}.0a1b2c3d.part",
             f".other.txt.{dead}.0a1b2c3d.part"]  # fmt: skip
    for name in names:
        (folder / name).touch()
    batch.run(resume=True)
    assert sorted(path.name for path in folder.glob(".*")) == sorted(names[1:])


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
    written = {"\\xe9.txt", "line\\nbreak.txt", "☃.txt"}
    assert {Path(record["input"]).name for record in batch.records()} == written
    assert {Path(record["path"]).name for record in batch.records()} == set(
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
