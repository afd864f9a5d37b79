"""Runs that are killed at any moment: nothing is lost, and to resume finishes the work."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from copying import Batch, posix
from quick_tool import Tool

RATE = 8000
FEATURES = ["features", "in", "-o", "t.csv", "--set", "rms,f0", "--rate", str(RATE)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make six recordings of ten seconds."""
    (tmp_path / "in").mkdir()
    for index in range(6):
        noise = np.random.default_rng(index).standard_normal(10 * RATE) / 10
        soundfile.write(tmp_path / "in" / f"{index}.wav", noise, RATE)
    return tmp_path


def kill_when(folder: Path, arguments: list[str], ready: Callable[[], bool]) -> None:
    command = [sys.executable, "-m", "audiocli", *arguments, "-q"]
    process = subprocess.Popen(command, cwd=folder, start_new_session=True)
    try:
        for _ in range(6000):
            if ready():
                break
            assert process.poll() is None, "ended before it could be killed"
            time.sleep(0.01)
        process.kill()  # the parent alone: its workers must see to themselves
        process.wait()
    finally:
        time.sleep(1.0)  # test_workers.py tests that workers end with their parent
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def finish(tool: Tool, folder: Path, arguments: list[str]) -> str:
    done = tool(*arguments, "--resume", cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stderr.decode()


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*.part*")]


@posix
@pytest.mark.parametrize("jobs", [1, 2])
def test_features_keep_the_rows_of_a_run_that_was_killed(
    tool: Tool, folder: Path, jobs: int
) -> None:
    manifest = folder / "t.csv.manifest.jsonl"

    def two_rows() -> bool:
        return manifest.exists() and manifest.read_bytes().count(b'"status": "done"') >= 2

    arguments = [*FEATURES, "-j", str(jobs)]
    kill_when(folder, arguments, two_rows)
    assert not (folder / "t.csv").exists() and (folder / "t.csv.partial").exists()
    again = tool(*FEATURES, cwd=folder)
    assert again.returncode == 2 and b"use --resume" in again.stderr
    said = finish(tool, folder, arguments)
    assert int(said.split(" skipped")[0].rsplit(" ", 1)[1]) >= 2
    rows = list(csv.DictReader((folder / "t.csv").read_text().splitlines()))
    assert [row["file"] for row in rows] == [f"{index}.wav" for index in range(6)]
    assert not (folder / "t.csv.partial").exists()


@posix
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_that_was_killed_between_two_outputs_is_finished(
    tool: Tool, folder: Path, jobs: int
) -> None:
    arguments = ["onsets", "in", "-o", "out", "--activations", "out/", "-j", str(jobs)]

    def first_output() -> bool:
        return any((folder / "out").glob("*.activations.csv"))

    kill_when(folder, arguments, first_output)
    finish(tool, folder, arguments)
    assert len(list((folder / "out").glob("*.txt"))) == 6
    assert len(list((folder / "out").glob("*.activations.csv"))) == 6
    assert not hidden(folder / "out")
    assert "all 6 inputs were done before" in finish(tool, folder, arguments)


@posix
def test_a_partial_file_that_was_cut_off_loses_the_last_rows_only(tool: Tool, folder: Path) -> None:
    def three_rows() -> bool:
        partial = folder / "t.csv.partial"
        return partial.exists() and partial.read_bytes().count(b'"rows"') >= 3

    kill_when(folder, FEATURES, three_rows)
    partial = folder / "t.csv.partial"
    partial.write_bytes(partial.read_bytes()[:-5])
    finish(tool, folder, FEATURES)
    assert tool(*FEATURES, "-o", "fresh.csv", cwd=folder).returncode == 0
    assert (folder / "t.csv").read_text() == (folder / "fresh.csv").read_text()


@posix
def test_a_last_line_that_was_torn_is_no_reason_to_fail(tmp_path: Path) -> None:
    batch = Batch(tmp_path)
    batch.write(a="x", b="y")
    batch.run()
    batch.manifest.write_bytes(batch.manifest.read_bytes()[:-20])
    batch.run(resume=True)
    assert batch.statuses() == {"a": "skipped", "b": "done"}
    assert [json.loads(line)["record"] for line in batch.manifest.read_text().splitlines()[-2:]]
