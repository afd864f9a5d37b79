"""Jobs by a pipe: each is answered before the next is sent, whatever becomes of it."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from commands import Run, run  # noqa: F401

from audiocli.cli import cli
from audiocli.tasks.onsets.files import OnsetRequest

Ask = Callable[[Any], dict[str, Any]]


@pytest.fixture
def clicks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    signal = np.zeros(24_000)
    signal[8000:8200] = np.random.default_rng(0).uniform(-0.5, 0.5, 200)
    for name in ("a.wav", "b c.wav"):
        soundfile.write(tmp_path / name, signal, 16_000)
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    return tmp_path


@contextmanager
def served(monkeypatch: pytest.MonkeyPatch, *words: str) -> Iterator[Ask]:
    """Serve jobs in a thread, over real pipes; give what sends a job and waits for its answer."""
    requests, answers = os.pipe(), os.pipe()
    with (
        os.fdopen(requests[1], "w") as ask, os.fdopen(answers[0]) as told,
        os.fdopen(requests[0]) as stdin, os.fdopen(answers[1], "w") as stdout,
    ):  # fmt: skip
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys, "stdout", stdout)
        thread = threading.Thread(
            target=cli.main, args=(["serve-jobs", *words],), kwargs={"standalone_mode": False}
        )
        thread.start()

        def send(job: Any) -> dict[str, Any]:
            ask.write((job if isinstance(job, str) else json.dumps(job)) + "\n")
            ask.flush()
            answer = json.loads(told.readline())
            assert isinstance(answer, dict)
            return answer

        yield send
        ask.close()
        thread.join(60)
        assert not thread.is_alive()
        monkeypatch.undo()


def test_jobs_of_one_command_share_a_model(clicks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[float | None] = []
    make = OnsetRequest.make_work

    def noted(request: OnsetRequest) -> Any:
        loaded.append(request.threshold)
        return make(request)

    monkeypatch.setattr(OnsetRequest, "make_work", noted)
    with served(monkeypatch, "onsets", "--threshold", "0.3") as ask:
        first = ask("a.wav")
        assert (
            first["status"] == "done" and first["file"] == "a.wav" and first["command"] == "onsets"
        )
        assert [round(each["time"], 1) for each in first["result"]["events"]] == [0.5]
        assert ask({"id": 7, "input": "missing.wav"}) == {
            "id": 7, "command": "onsets", "file": "missing.wav", "status": "failed",
            "duration": 0.0, "elapsed": 0.0, "outputs": [],
            "message": ask("missing.wav")["message"],
        }  # fmt: skip
        assert "broken.wav" in ask("broken.wav")["message"]
        both = ask({"id": [1, "x"], "inputs": ["a.wav", "b c.wav"]})
        assert both["id"] == [1, "x"] and [each["file"] for each in both["files"]] == [
            "a.wav",
            "b c.wav",
        ]
        written = ask({"input": "b c.wav", "output": "found.csv"})
        assert written["status"] == "done" and "result" not in written
        assert Path("found.csv").read_text().startswith("time")
        assert "found.csv" in ask({"input": "a.wav", "output": "found.csv"})["message"]  # is there
        assert loaded == [0.3]
        other = ask({"input": "a.wav", "options": {"threshold": 0.9, "backtrack": True}})
        assert other["status"] == "done" and loaded == [0.3, 0.9]


@pytest.mark.parametrize(("job", "message"), [
    ("a.wav", "a.wav: no command is named"), ("{", "the line is no JSON"),
    ({"command": "onsets"}, "give a path as input"),
    ({"command": "rm", "input": "a"}, "'rm': must be one of"),
    ({"command": "onsets", "input": "-"}, "standard input brings the jobs"),
    ({"command": "onsets", "input": "a.wav", "colour": 1}, "colour: no field of a job"),
    ({"command": "onsets", "input": "a.wav", "options": 3}, "an object of names and values"),
    ({"command": "onsets", "input": "a.wav", "options": {"jobs": 4}}, "--jobs=4: cannot be"),
    ({"command": "onsets", "input": "a.wav", "options": {"treshold": 1}}, "No such option"),
    ({"command": "onsets", "input": "a.wav", "options": {"model": "none"}}, "none"),
    ({"command": "onsets", "input": "a.wav", "options": {"combine": -1}}, "combine and"),
    ({"command": "onsets", "input": "a.wav", "options": ["--help"]}, "cannot be an option"),
])  # fmt: skip
def test_what_is_no_job_is_answered(run: Run, clicks: Path, job: Any, message: str) -> None:  # noqa: F811
    line = job if isinstance(job, str) else json.dumps(job)
    done = run("serve-jobs", stdin=f"\n{line}\n".encode())
    (answer,) = map(json.loads, done.out.splitlines())
    assert answer["status"] == "failed" and message in answer["message"], answer
    assert done.status == 0 and "\n" not in answer["message"]


def test_a_row_of_features_and_a_wrong_command(run: Run, clicks: Path) -> None:  # noqa: F811
    done = run("serve-jobs", "features", "--set", "rms", stdin=b"a.wav\nb c.wav\n")
    rows = [json.loads(line)["result"] for line in done.out.splitlines()]
    assert [row["file"] for row in rows] == ["a.wav", "b c.wav"] and rows[0]["rms_mean"] > 0
    refused = run("serve-jobs", "train")
    assert refused.status == 2 and "train: is no command that jobs can be of" in refused.err
    wrong = run("serve-jobs", "onsets", "--treshold", "1")
    assert wrong.status == 2 and not wrong.out
