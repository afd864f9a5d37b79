"""Workers of dask that Slurm starts, each as a job of its own, through dask-jobqueue.

Partition, account, time and memory of a job are dask-jobqueue's own settings. A job whose time is
up is submitted again, and all are cancelled at the end, however that comes.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dask
from distributed import Security, Status

from audiocli.batch.signals import interrupt_kept
from audiocli.errors import AudioCliError, FieldError, warn

try:
    with interrupt_kept():  # dask_jobqueue.runner lets Ctrl-C end the process with status 0
        from dask_jobqueue.slurm import SLURMCluster, SLURMJob
except ValueError as error:
    raise AudioCliError("a run in jobs of Slurm must begin in the main thread") from error

__all__ = ["Watch", "slurm_cluster", "wait_for_worker"]

#: Of a job, if the settings say nothing: enough for the large networks.
MEMORY = "4GB"
#: Seconds until it is said that no job has begun yet.
PATIENCE = 60.0
#: Seconds between two looks at the jobs.
EVERY = 5.0
#: Seconds without a job after which none will come: dask takes 15 to miss one and submit the next.
ENDED = 40.0


class _Job(SLURMJob):
    """A job that keeps its number, or what sbatch said if it was refused; dask would log it."""

    submitted: list[str] = []
    refused: list[str] = []

    async def start(self) -> None:
        try:
            await super().start()
            self.submitted.append(str(self.job_id))
        except (OSError, RuntimeError, ValueError) as error:
            self.status = Status.failed  # which dask wants to see when all is closed
            self.refused.append(_reason(str(error)))
            raise

    async def close(self) -> None:
        await super().close()
        self.status = Status.closed


def _reason(message: str) -> str:
    """Find what sbatch printed in what dask-jobqueue makes of it."""
    printed = message.partition("stderr:\n")[2].strip() or message.strip()
    return "; ".join(filter(None, map(str.strip, printed.splitlines())))


@contextmanager
def _certificates(shared: str) -> Iterator[Security]:
    """Make certificates for this run, in files that workers elsewhere can read.

    dask-jobqueue would do so too, but leaves it to the garbage collector to remove the keys.
    """
    if shared != shlex.quote(shared):
        raise AudioCliError(
            f"{shared}: dask-jobqueue needs a folder without spaces and the like, which all "
            "machines see; name one by DASK_JOBQUEUE__SLURM__SHARED_TEMP_DIRECTORY"
        )
    made = Security.temporary().get_tls_config_for_role("worker")
    try:
        scratch = TemporaryDirectory(prefix=".audiocli-keys-", dir=shared)  # of this user alone
    except OSError as error:
        raise AudioCliError(
            f"{shared}: cannot write the keys of the workers here ({error.strerror}); name another "
            "folder that all machines see by DASK_JOBQUEUE__SLURM__SHARED_TEMP_DIRECTORY"
        ) from error
    with scratch as folder:
        paths = {}
        for name in ("ca_file", "cert", "key"):
            paths[name] = str(Path(folder, f"{name}.pem"))
            Path(paths[name]).write_text(made[name], "ascii")
        roles = ("client", "scheduler", "worker")
        yield Security(
            require_encryption=True,
            tls_ca_file=paths["ca_file"],
            **{f"tls_{role}_{name}": paths[name] for role in roles for name in ("cert", "key")},
        )


@contextmanager
def slurm_cluster(jobs: int, threads: int) -> Iterator[Any]:
    """Submit jobs with one worker each, and cancel them in the end.

    Workers and this process know each other by certificates: any user of the cluster could send
    code to them otherwise.
    """
    if shutil.which("sbatch") is None:
        raise FieldError(
            "{cluster} slurm: there is no sbatch on the PATH; run this on a machine of the cluster "
            "from which jobs are submitted",
            "cluster",
        )

    def setting(name: str) -> Any:
        return dask.config.get(f"jobqueue.slurm.{name}", None)

    _Job.submitted.clear()
    _Job.refused.clear()
    kind: Any = _Job  # which is typed as an instance
    shared = os.path.expandvars(os.path.expanduser(setting("shared-temp-directory") or os.getcwd()))
    with _certificates(shared) as security:
        try:
            cluster = SLURMCluster(
                job_cls=kind,
                cores=1,  # threads of dask, and so files, at a time
                processes=1,
                job_cpu=setting("job-cpu") or threads,
                memory=setting("memory") or MEMORY,
                security=security,
                scheduler_options={
                    "dashboard": False,
                    "dashboard_address": None,
                    **(setting("scheduler-options") or {}),
                },
                silence_logs=50,
            )
        except (OSError, RuntimeError, TypeError, ValueError) as error:
            raise AudioCliError(f"Slurm, with the settings of dask-jobqueue: {error}") from error
        with cluster:
            cluster.scale(jobs=jobs)
            cluster.adapt(minimum_jobs=jobs, maximum_jobs=jobs)  # jobs that ended begin again
            yield cluster


class Watch:
    """Ends a run whose work nobody is left to do.

    Parameters
    ----------
    client : distributed.Client
        Knows the workers.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._next = 0.0  # when to look again
        self._ended: float | None = None  # since when all jobs are known to have ended

    def __call__(self) -> None:
        """Look at the jobs, now and then; raise if Slurm refuses them or they end at once."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + EVERY
        queued = bool(self._client.scheduler_info(n_workers=1)["workers"]) or _are_queued()
        if _Job.refused and not queued:
            raise AudioCliError(f"Slurm refuses a job: {_Job.refused[0]}")
        if queued is not False:
            self._ended = None
        elif self._ended is None:
            self._ended = now
        elif now - self._ended > ENDED:
            numbers = ", ".join(_Job.submitted[:3]) + (", ..." if len(_Job.submitted) > 3 else "")
            raise AudioCliError(
                f"all jobs of Slurm ({numbers}) have ended, and none does the work: their logs, "
                "slurm-NUMBER.out in the folder of the run unless the settings say otherwise, "
                "tell why"
            )


def _are_queued() -> bool | None:
    """Ask Slurm whether one of the jobs waits or runs; None if it does not tell."""
    if not _Job.submitted or not hasattr(os, "getuid"):
        return None
    command = ["squeue", "--noheader", "--format=%A", f"--user={os.getuid()}"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return not set(_Job.submitted).isdisjoint(said.stdout.split())


def wait_for_worker(client: Any, jobs: int) -> None:
    """Wait until a first job has begun, however long the queue is, or one was refused."""
    began, said, watch = time.monotonic(), False, Watch(client)
    while True:
        if _Job.refused:
            raise AudioCliError(f"Slurm refuses a job: {_Job.refused[0]}")
        try:
            client.wait_for_workers(1, timeout=0.5)
            return
        except TimeoutError:
            watch()
            if not said and time.monotonic() - began > PATIENCE:
                said = True
                warn(
                    f"no worker of {jobs} Slurm jobs has come yet: squeue shows whether they wait, "
                    "their logs whether they failed; Ctrl-C cancels them"
                )
