"""Do jobs on an executor: processes that others manage, of dask.distributed say, on many machines.

The interface is that of :mod:`concurrent.futures`, so that another engine needs only an executor.
Many jobs go out at once; a process makes the worker, and loads its model, with the first of them.
What processes read and write lies where all see it, under the same paths, or is given by URLs.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import platform
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from audiocli.batch.inputs import Job
from audiocli.batch.sweeping import sweep_dead
from audiocli.batch.workers import (
    Advanced,
    Outcome,
    Outcomes,
    Task,
    Tasks,
    Worker,
    again,
    attempt,
    failure,
    look_ahead,
)
from audiocli.errors import AudioCliError, FieldError, UsageError
from audiocli.io import remote
from audiocli.io.atomic import make_folder

__all__ = ["Cluster", "outcomes_on"]

#: Jobs that go out together, at most: enough that their sending costs nothing.
GROUP = 32
#: Groups a process, one at work and one waiting: more would lie in the scheduler's memory.
AHEAD = 2
#: Seconds after which processes are looked at that do not answer.
TURN = 1.0
Group = list[tuple[int, Task]]

_made: dict[str, Worker] = {}  # in a process of the cluster: the worker of the run
_one_at_a_time = threading.Lock()


class Cluster:
    """Where the jobs of a run are done, if not in processes of its own.

    Parameters
    ----------
    scheduler : str, optional
        The address of a dask scheduler, say ``tcp://10.0.0.1:8786``.
    processes : int
        Those of a cluster that is started for the run, where there is no scheduler.
    slurm : bool
        Let Slurm start them, a job each; else they are on this machine.
    threads : int
        Cores a process uses.
    """

    def __init__(
        self, scheduler: str | None, processes: int, *, slurm: bool = False, threads: int = 1
    ) -> None:
        self.scheduler, self.processes = scheduler, processes
        self.slurm, self.threads = slurm, threads

    def outcomes(
        self, tasks: Tasks, total: int, make_worker: Callable[[], Worker], advanced: Advanced
    ) -> Outcomes:
        """Do all tasks, and yield each outcome as soon as it is known."""
        if total == 0:
            return
        with self._client(min(self.processes, total)) as client:
            from distributed import KilledWorker

            processes = max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
            watch: Callable[[], None] | None = None
            if self.slurm:
                from audiocli.batch.slurm import Watch

                watch = Watch(client)
                processes = min(self.processes, total)  # most are still in the queue
            group = max(1, min(GROUP, total // (processes * AHEAD * 2)))
            executor = client.get_executor(pure=False)
            yield from outcomes_on(
                executor,
                tasks,
                make_worker,
                advanced,
                width=processes * AHEAD,
                group=group,
                death=KilledWorker,
                died=lambda jobs: None if self.scheduler or self.slurm else sweep_dead(jobs),
                watch=watch,
            )

    @contextmanager
    def _client(self, processes: int) -> Iterator[Any]:
        try:
            import dask
            import distributed

            if self.slurm:
                from audiocli.batch.slurm import slurm_cluster, wait_for_worker
        except ImportError as error:
            raise UsageError(
                f"a cluster needs dask.distributed ({error}); pip install 'audiocli[dask]'"
            ) from error
        library: Any = distributed  # typed in part
        with ExitStack() as stack:
            place: Any = self.scheduler
            stack.enter_context(
                dask.config.set(
                    {"distributed.scheduler.allowed-failures": 0, "logging.distributed": "critical"}
                )
            )
            if self.slurm:
                place = stack.enter_context(slurm_cluster(processes, self.threads))
            elif place is None:
                place = stack.enter_context(
                    library.LocalCluster(n_workers=processes, threads_per_worker=1, processes=True,
                                 dashboard_address=None, silence_logs=50)
                )  # fmt: skip
            try:
                client = stack.enter_context(
                    library.Client(place, timeout=20, set_as_default=False)
                )
                if self.slurm:
                    wait_for_worker(client, processes)
                else:
                    client.wait_for_workers(1, timeout=60)
            except (OSError, ValueError, TimeoutError) as error:
                raise FieldError(
                    f"{{scheduler}} {place}: no scheduler with workers answers there ({error}); "
                    "start one by dask scheduler and dask worker, or check the address",
                    "scheduler",
                ) from error
            yield client


def outcomes_on(
    executor: Executor,
    tasks: Tasks,
    make_worker: Callable[[], Worker],
    advanced: Advanced,
    *,
    width: int,
    group: int,
    death: type[BaseException],
    died: Callable[[list[Job]], None],
    watch: Callable[[], None] | None = None,
) -> Outcomes:
    """Do tasks on an executor, `width` groups at a time; `watch` may end it where none comes.

    Jobs whose process died, by the exception `death`, are tried again when all others are done,
    each alone: so only the one that kills its process fails, not those that waited for it.
    """
    run, folder = f"{os.getpid()}.{secrets.token_hex(4)}", os.getcwd()
    pending: dict[Future[list[tuple[int, Outcome]]], Group] = {}
    waiting: deque[tuple[int, Task]] = deque()
    alone: set[int] = set()

    def submit(batch: Group) -> None:
        for index, _ in batch:
            advanced(index, 0.0, None)
        pending[executor.submit(_do, run, folder, make_worker, batch)] = batch

    def feed() -> None:
        while len(pending) < width and (batch := list(itertools.islice(tasks, group))):
            submit(batch)
        if waiting and not pending:
            alone.add(waiting[0][0])
            submit([waiting.popleft()])

    try:
        feed()
        while pending:
            ready, _ = wait(pending, timeout=watch and TURN, return_when=FIRST_COMPLETED)
            if watch and not ready:
                watch()
            for future in ready:
                batch = pending.pop(future)
                try:
                    found = future.result()
                    _release(run, batch)
                    yield from found
                except death:
                    died([task.job for _, task in batch])
                    waiting.extend(one for one in batch if one[0] not in alone)
                    for index, task in batch:
                        if index in alone:
                            _release(run, [(index, task)])
                            yield index, failure(task.job, "its process died, twice")
                except CancelledError as error:
                    raise AudioCliError(
                        "the scheduler is gone; start it again, and resume the run"
                    ) from error
            feed()
    finally:
        for future, batch in pending.items():
            future.cancel()
            _release(run, batch)
        _release(run, waiting)


def _do(
    run: str, folder: str, make_worker: Callable[[], Worker], group: Group
) -> list[tuple[int, Outcome]]:
    """Do a group, in a process of the cluster."""

    def worker() -> Worker:
        if run not in _made:
            _made.clear()  # the model of a run before
            _made[run] = make_worker()
        return _made[run]

    with _one_at_a_time, _inside(folder):
        ahead = look_ahead([task for _, task in group], worker)
        return [
            (index, attempt(_claimed(run, task), worker, lambda done, total: None, ahead))
            for index, task in group
        ]


def _claim_of(run: str, job: Job) -> Path | None:
    """Name what says that a job has begun; it is swept as a file half written is."""
    if not job.outputs:
        return None
    first = job.outputs[0]
    return first.parent / f".{first.name[:40]}.{run}.part"


def _claimed(run: str, task: Task) -> Task:
    """Say that a job begins; if it did before, let it replace what it has written.

    The engine does a group again whose process died, or whose results were lost. What it finds is
    its own then; what is there at the first try is of somebody else, and stays.
    """
    claim = _claim_of(run, task.job)
    if claim is None or task.job.replace:
        return task
    if claim.exists():
        return again(task)
    if not any(map(remote.exists, task.job.outputs)):
        with contextlib.suppress(OSError):  # the job itself will say what is wrong with the folder
            make_folder(claim.parent)
            claim.touch()
    return task


def _release(run: str, group: Iterable[tuple[int, Task]]) -> None:
    """Remove what says that jobs have begun."""
    for _, task in group:
        claim = _claim_of(run, task.job)
        if claim is not None:
            with contextlib.suppress(OSError):
                claim.unlink()


@contextmanager
def _inside(folder: str) -> Iterator[None]:
    """Let relative paths mean what they do where the run was started."""
    before = os.getcwd()
    try:
        os.chdir(folder)
    except OSError as error:
        raise AudioCliError(
            f"{folder}: is not there on {platform.node()}; run from a folder that all machines see"
        ) from error
    try:
        yield
    finally:
        os.chdir(before)
