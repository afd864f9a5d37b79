"""A batch on an executor, and on a dask scheduler with two processes, one of which is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audiocli.batch import Callbacks, Summary, run
from audiocli.batch.cluster import Cluster, outcomes_on
from audiocli.batch.inputs import Input, Job
from audiocli.batch.workers import Progress, Task, Worker
from audiocli.errors import AudioCliError, UsageError
from audiocli.tasks.features.files import extract_files
from audiocli.tasks.runner import BatchOptions


class Died(Exception):
    pass


class Numbered(Callbacks):
    def __init__(self) -> None:
        self.names: list[str] = []

    def finished(self, outcome: Any) -> None:
        self.names.append(f"{outcome.job.input.name} {outcome.status}")


def jobs_in(folder: Path, count: int) -> list[Job]:
    """Make inputs, and a job that writes an output for each."""
    made = []
    for number in range(count):
        path = folder / f"{number:02}.txt"
        path.write_text(str(number))
        item = Input(path, path.name, Path(path.name))
        made.append(Job(item, (folder / "out" / path.name,)))
    return made


class Copying:
    """Copies; where `deadly` lies in the input's folder, `07` kills its process, once or always."""

    def __init__(self, made: Path, deadly: bool = False, once: bool = False) -> None:
        self.made, self.deadly, self.once = made, deadly, once

    def __call__(self) -> Worker:
        with self.made.open("a") as log:
            log.write(f"{os.getpid()}\n")
        return self.work

    def work(self, job: Job, progress: Progress) -> tuple[float, int]:
        (target,) = job.outputs
        target.parent.mkdir(exist_ok=True)
        killed = self.made.with_name("killed")
        if self.deadly and job.input.path.name == "07.txt" and not (self.once and killed.exists()):
            killed.touch()
            (target.parent / f".{target.name}.{os.getpid()}.01234567.part").write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
        target.write_text(job.input.path.read_text())
        return 1.0, os.getpid()


class Dying(Executor):
    """Runs groups at once; those with a job of such a name die."""

    def __init__(self, deadly: str) -> None:
        self.deadly, self.sizes = deadly, []

    def submit(self, fn: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        group = arguments[-1]
        self.sizes.append(len(group))
        if any(task.job.input.name == self.deadly for _, task in group):
            future.set_exception(Died())
        else:
            future.set_result(fn(*arguments))
        return future


def tasks_of(jobs: list[Job]) -> Any:
    return ((index, Task(job, own=True)) for index, job in enumerate(jobs))


def test_only_the_job_that_kills_its_process_fails(tmp_path: Path) -> None:
    jobs, executor, died = jobs_in(tmp_path, 9), Dying("04.txt"), []
    found = dict(
        outcomes_on(
            executor, tasks_of(jobs), Copying(tmp_path / "made"), lambda *_: None,
            width=2, group=4, death=Died, died=died.extend,
        )
    )  # fmt: skip
    assert [found[index].status for index in range(9)] == ["done"] * 4 + ["failed"] + ["done"] * 4
    assert found[4].error == "04.txt: its process died, twice"
    assert executor.sizes == [4, 4, 1, 1, 1, 1, 1]  # and each of the second group alone
    assert len(died) == 5
    assert (tmp_path / "made").read_text().count("\n") == 1  # one model for all groups


def test_what_appears_after_a_job_went_out_is_not_replaced(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path, 6)
    foreign = jobs[4].outputs[0]

    class Meddling(ThreadPoolExecutor):
        """Does a group twice, as an engine does whose results were lost, and meddles before."""

        def submit(self, function: Any, *words: Any, **more: Any) -> Any:
            foreign.parent.mkdir(exist_ok=True)
            foreign.write_text("of somebody else")
            super().submit(function, *words, **more).result()
            return super().submit(function, *words, **more)

    with Meddling(1) as executor:
        found = dict(
            outcomes_on(
                executor, tasks_of(jobs), Copying(tmp_path / "made"), lambda *_: None,
                width=2, group=6, death=Died, died=lambda jobs: None,
            )
        )  # fmt: skip
    assert foreign.read_text() == "of somebody else"
    assert [found[index].status for index in range(6)] == ["done"] * 4 + ["failed", "done"]
    assert "exists" in str(found[4].error)
    assert not list((tmp_path / "out").glob(".*"))


def test_no_more_goes_out_than_is_asked_for(tmp_path: Path) -> None:
    taken: list[int] = []

    def tasks() -> Any:
        for index, task in tasks_of(jobs_in(tmp_path, 40)):
            taken.append(index)
            yield index, task

    with ThreadPoolExecutor(1) as executor:
        reports = outcomes_on(
            executor, tasks(), Copying(tmp_path / "made"), lambda *_: None,
            width=2, group=3, death=Died, died=lambda jobs: None,
        )  # fmt: skip
        next(reports)
        assert len(taken) == 6
        assert len(list(reports)) == 39
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        f"{n:02}.txt" for n in range(40)
    }


def test_a_worker_that_cannot_be_made_stops_the_run(tmp_path: Path) -> None:
    def make() -> Worker:
        raise AudioCliError("no such model")

    with ThreadPoolExecutor(1) as executor, pytest.raises(AudioCliError, match="no such model"):
        list(
            outcomes_on(
                executor, tasks_of(jobs_in(tmp_path, 3)), make, lambda *_: None,
                width=2, group=2, death=Died, died=lambda jobs: None,
            )
        )  # fmt: skip


def test_one_place_is_chosen(tmp_path: Path) -> None:
    for fields in ({"cluster": "local", "scheduler": "tcp://a:1"}, {"cluster": "pbs"}):
        with pytest.raises(UsageError, match="cluster"):
            extract_files(["x.wav"], tmp_path / "t.csv", options=BatchOptions(**fields))


# --- a real scheduler ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scheduler() -> Any:
    """Start a scheduler and two processes, as dask scheduler and dask worker would."""
    distributed = pytest.importorskip("distributed", reason="a cluster needs dask.distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as cluster:
        yield cluster.scheduler_address


def done_on(scheduler: str | None, jobs: list[Job], make: Copying, manifest: Path) -> Summary:
    cluster = None if scheduler is None else Cluster(scheduler, 2)
    return run(jobs, make, settings={}, manifest=manifest, cluster=cluster)


@pytest.mark.filterwarnings("ignore")  # of distributed, when processes die
def test_a_process_that_is_killed_costs_no_file(scheduler: str, tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path, 24)
    make = Copying(tmp_path / "made", deadly=True, once=True)
    summary = done_on(scheduler, jobs, make, tmp_path / "manifest.jsonl")
    assert (summary.done, summary.failed) == (24, 0)
    assert (tmp_path / "killed").exists()
    for job in jobs:
        assert job.outputs[0].read_text() == job.input.path.read_text()
    made = (tmp_path / "made").read_text().split()
    assert len(made) == len(set(made)) <= 4  # one model a process, and one for the process anew


@pytest.mark.filterwarnings("ignore")
def test_a_table_is_that_of_a_local_run(scheduler: str, tmp_path: Path) -> None:
    folder = tmp_path / "songs"
    folder.mkdir()
    for seed in range(6):
        noise = np.random.default_rng(seed).normal(scale=0.1, size=4000)
        soundfile.write(folder / f"{seed}.wav", noise, 8000)
    (folder / "x.wav").write_bytes(b"none")
    for name, options in (("here", BatchOptions()), ("there", BatchOptions(scheduler=scheduler))):
        summary = extract_files(
            [str(folder)], tmp_path / f"{name}.csv", names=["rms"], options=options
        )
        assert (summary.done, summary.failed) == (6, 1)
    assert (tmp_path / "here.csv").read_bytes() == (tmp_path / "there.csv").read_bytes()


def test_no_scheduler_there() -> None:
    pytest.importorskip("distributed", reason="a cluster needs dask.distributed")
    cluster = Cluster("nonsense://x", 1)
    with pytest.raises(UsageError, match="no scheduler"):
        list(cluster.outcomes(iter(()), 1, lambda: lambda job, progress: (0.0, None), print))
