from __future__ import annotations

import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from copying import Batch, Notes, make_copy, make_nothing, make_telling

from audiocli.batch import Callbacks, Collector, Outcome, run
from audiocli.batch.inputs import Input, Job, find_inputs, plan
from audiocli.errors import AudioCliError, AudioCliWarning, UsageError


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    return Batch(tmp_path)


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
        "use fewer worker processes or close other programs",
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
    summary = run(jobs, broken, settings={}, callbacks=notes, manifest=tmp_path / "m")
    assert summary.exit_code == 1
    assert notes.outcomes[0].error == f"{tmp_path}/gone.txt: No such file or directory"
    last = (tmp_path / "m").read_text().splitlines()[-1]
    assert json.loads(last)["error"] == notes.outcomes[0].error


def test_input_that_vanished_since_is_a_failure(batch: Batch) -> None:
    batch.write(a="x", b="y")
    item = Input(batch.folder / "in/gone.txt", "gone.txt", Path("gone.txt"))
    summary = run([Job(item, ())], make_copy, settings={}, manifest=batch.manifest)
    assert "No such file" in str(summary.failures[0].error)


def test_no_jobs_is_no_error() -> None:
    notes = Notes()
    summary = run([], make_copy, settings={}, callbacks=notes, n_jobs=3)
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
    assert "move it away or use overwrite" in str(summary.failures[0].error)


def test_overwrite_replaces_and_tells_the_worker(batch: Batch) -> None:
    batch.write(a="x")
    batch.run()
    batch.write(a="y")
    assert batch.run(make_telling, overwrite=True).done == 1
    assert batch.outputs() == {"a": "y"}
    assert batch.notes.outcomes[0].value is True


def test_a_callback_that_fails_is_not_swallowed(batch: Batch) -> None:
    class Broken(Notes):
        def finished(self, outcome: Outcome) -> None:
            raise BrokenPipeError("stdout is gone")

    batch.write(a="x", b="y")
    jobs = plan(find_inputs([str(batch.folder / "in")], extensions=["txt"]), lambda item: [])
    broken = Broken()
    with pytest.raises(BrokenPipeError):
        run(jobs, make_copy, settings={}, callbacks=broken)
    assert broken.calls[-1] == "closed"


@pytest.mark.parametrize(
    ("options", "message"),
    [({"n_jobs": 0}, "at least 1"), ({"resume": True}, "name the manifest")],
)
def test_requests_that_cannot_be_meant(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run([], make_copy, settings={}, **options)


def test_nothing_heavy_is_loaded() -> None:
    code = "import audiocli.batch, sys; print(*{'numpy', 'torch', 'soundfile'} & {*sys.modules})"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "\n"


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_warnings_of_a_job_are_in_its_outcome_and_in_the_manifest(
    batch: Batch, n_jobs: int
) -> None:
    batch.write(a="doubtful", b="fine", c="doubtful and bad")
    batch.run(n_jobs=n_jobs)
    said = ("the end is missing", "no tempo was found")
    outcomes = [(outcome.status, outcome.warnings) for outcome in batch.notes.outcomes]
    assert outcomes == [("done", said), ("done", ()), ("failed", said)]
    lines = {Path(record["input"]).stem: record.get("warnings") for record in batch.records()}
    assert lines == {"a": list(said), "b": None, "c": list(said)}


def test_warnings_are_issued_where_nobody_takes_them(batch: Batch) -> None:
    batch.write(a="doubtful")
    [job] = plan(find_inputs([str(batch.folder / "in")], extensions=["txt"]), lambda item: [])
    job = Job(job.input, (batch.output("a"),))
    with pytest.warns(AudioCliWarning) as caught:
        run([job], make_copy, settings={}, callbacks=Collector(Callbacks()))
    said = ("the end is missing", "no tempo was found")
    assert [str(one.message) for one in caught] == [f"{job.input.name}: {line}" for line in said]


def test_warnings_of_other_categories_pass(batch: Batch) -> None:
    batch.write(a="deprecated")
    with pytest.warns(DeprecationWarning, match="^use another$"):
        batch.run()
    assert batch.notes.outcomes[0].warnings == ()
    batch.run(overwrite=True)  # an error, as everywhere in these tests
    assert "DeprecationWarning: use another" in str(batch.errors()["a"])
