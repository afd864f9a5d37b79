"""A batch in jobs of Slurm, whose programs here are scripts that start local processes."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from places import ROOT

from audiocli.errors import AudioCliError, UsageError
from audiocli.tasks.features.files import extract_files
from audiocli.tasks.runner import BatchOptions

# As sbatch, it keeps a copy of the script, and comes back at once with the number of the job.
SBATCH = """#!/bin/sh
cat "$1" >> {state}/scripts
cp "$1" {state}/job.$$
setsid bash {state}/job.$$ > {state}/$$.out 2>&1 < /dev/null &
echo $! >> {state}/submitted
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/sh
echo $1 >> {state}/cancelled
kill -TERM -- -$1
"""
SQUEUE = """#!/bin/sh
while read job; do kill -0 -$job && echo $job; done < {state}/submitted
true
"""
REFUSING = """#!/bin/sh
echo 'sbatch: error: invalid partition specified: short' >&2
exit 1
"""


class Slurm:
    """What the programs have been asked for."""

    def __init__(self, state: Path) -> None:
        self.state = state

    def lines(self, name: str) -> list[str]:
        path = self.state / name
        return sorted(path.read_text().split("\n")[:-1]) if path.exists() else []

    def alive(self) -> list[str]:
        """List the jobs that are still there, after at most ten seconds in which they may end."""
        for _ in range(100):
            left = [job for job in self.lines("submitted") if _exists(int(job))]
            if not left:
                break
            time.sleep(0.1)
        return left


def _exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def skip_without_libraries() -> None:
    """Skip; without an import, which is audiocli's to make, as it changes what Ctrl-C does."""
    for name in ("distributed", "dask_jobqueue", "cryptography"):
        if find_spec(name) is None:
            pytest.skip(f"jobs of Slurm need {name}")


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slurm]:
    """Put sbatch and scancel on the PATH, and settings into the place of dask-jobqueue's own."""
    skip_without_libraries()
    if not shutil.which("setsid") or not shutil.which("bash"):
        pytest.skip("the programs of this test need setsid and bash")
    import dask

    import audiocli.batch.slurm  # noqa: F401 - which brings the settings' defaults

    programs, state = tmp_path / "programs", tmp_path / "state"
    programs.mkdir()
    state.mkdir()
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL), ("squeue", SQUEUE)):
        (programs / name).write_text(text.format(state=state))
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(tmp_path)
    settings = {
        "queue": "short",
        "walltime": "02:00:00",
        "scheduler-options": {"host": "127.0.0.1"},
        "worker-extra-args": ["--no-nanny"],  # one process less to start
    }
    found = Slurm(state)
    with dask.config.set({f"jobqueue.slurm.{name}": value for name, value in settings.items()}):
        yield found
    for job in found.alive():
        os.killpg(int(job), signal.SIGKILL)


def songs_in(folder: Path, count: int) -> str:
    folder.mkdir()
    for seed in range(count):
        noise = np.random.default_rng(seed).normal(scale=0.1, size=4000)
        soundfile.write(folder / f"{seed}.wav", noise, 8000)
    (folder / "x.wav").write_bytes(b"none")
    return str(folder)


@pytest.mark.filterwarnings("ignore")  # of distributed
def test_jobs_of_slurm_make_the_table_of_a_local_run(slurm: Slurm, tmp_path: Path) -> None:
    songs, before = songs_in(tmp_path / "songs", 6), signal.getsignal(signal.SIGINT)
    for name, options in (
        ("here", BatchOptions()),
        ("there", BatchOptions(cluster="slurm", n_jobs=2, threads=3)),
    ):
        summary = extract_files([songs], tmp_path / f"{name}.csv", names=["rms"], options=options)
        assert (summary.done, summary.failed) == (6, 1)
    assert (tmp_path / "here.csv").read_bytes() == (tmp_path / "there.csv").read_bytes()
    assert len(slurm.lines("submitted")) == 2
    assert slurm.lines("submitted") == slurm.lines("cancelled")
    assert not slurm.alive()
    assert signal.getsignal(signal.SIGINT) is before
    for line in ("-p short", "-t 02:00:00", "--cpus-per-task=3", "--mem=4G"):
        assert slurm.lines("scripts").count(f"#SBATCH {line}") == 2
    assert not list(tmp_path.glob(".audiocli*"))  # no keys are left


def test_jobs_are_cancelled_when_the_run_is_interrupted(
    slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(client: Any, jobs: int) -> None:
        for _ in range(300):
            if len(slurm.lines("submitted")) == jobs:
                raise KeyboardInterrupt
            time.sleep(0.1)

    monkeypatch.setattr("audiocli.batch.slurm.wait_for_worker", interrupted)
    with pytest.raises(KeyboardInterrupt):
        extract_files(
            [songs_in(tmp_path / "songs", 3)],
            tmp_path / "t.csv",
            names=["rms"],
            options=BatchOptions(cluster="slurm", n_jobs=2),
        )
    assert len(slurm.lines("submitted")) == 2
    assert slurm.lines("submitted") == slurm.lines("cancelled")
    assert not slurm.alive()
    assert not list(tmp_path.glob(".audiocli*"))


def test_what_sbatch_refuses_is_said(slurm: Slurm, tmp_path: Path) -> None:
    (tmp_path / "programs" / "sbatch").write_text(REFUSING)
    with pytest.raises(AudioCliError, match=r"^Slurm refuses a job: sbatch: .* specified: short$"):
        extract_files(
            [songs_in(tmp_path / "songs", 1)],
            tmp_path / "t.csv",
            names=["rms"],
            options=BatchOptions(cluster="slurm"),
        )


@pytest.mark.filterwarnings("ignore")  # of distributed
def test_a_job_that_is_refused_when_its_time_is_up_ends_the_run(
    slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dask

    from audiocli.batch import slurm as jobs

    wait = jobs.wait_for_worker

    def lost(client: Any, count: int) -> None:
        wait(client, count)
        (tmp_path / "programs" / "sbatch").write_text(REFUSING)
        os.killpg(int(slurm.lines("submitted")[0]), signal.SIGKILL)

    monkeypatch.setattr(jobs, "wait_for_worker", lost)
    monkeypatch.setattr(jobs, "EVERY", 0.1)
    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "0.2s"}),
        pytest.raises(AudioCliError, match=r"^Slurm refuses a job: sbatch: .* specified: short$"),
    ):
        extract_files(
            [songs_in(tmp_path / "songs", 3)],
            tmp_path / "t.csv",
            names=["rms"],
            options=BatchOptions(cluster="slurm"),
        )


def test_jobs_that_fail_at_once_end_the_run(
    slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dask

    monkeypatch.setattr("audiocli.batch.slurm.EVERY", 0.1)
    monkeypatch.setattr("audiocli.batch.slurm.ENDED", 1.0)
    with (
        dask.config.set({"jobqueue.slurm.python": str(tmp_path / "no-such-python")}),
        pytest.raises(AudioCliError, match=r"^all jobs of Slurm \(\d+, \d+\) have ended, .* logs"),
    ):
        extract_files(
            [songs_in(tmp_path / "songs", 3)],
            tmp_path / "t.csv",
            names=["rms"],
            options=BatchOptions(cluster="slurm", n_jobs=2),
        )


def test_where_there_is_no_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    songs = songs_in(tmp_path / "songs", 1)
    monkeypatch.setenv("PATH", str(tmp_path))

    def run() -> Any:
        options = BatchOptions(cluster="slurm")
        return extract_files([songs], tmp_path / "t.csv", names=["rms"], options=options)

    monkeypatch.setitem(sys.modules, "audiocli.batch.slurm", None)
    with pytest.raises(UsageError, match=r"pip install 'audiocli\[dask\]'"):
        run()
    monkeypatch.undo()
    skip_without_libraries()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="no sbatch on the PATH"):
        run()
