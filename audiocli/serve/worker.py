"""Makes the worker of a process; this module loads nothing, as the server itself needs little."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from audiocli.batch import Worker

__all__ = ["MakeWorker"]


@dataclass(frozen=True)
class MakeWorker:
    """Makes the worker of a process; pickled.

    Parameters
    ----------
    sections, model, device
        As in :class:`audiocli.ReportRequest`.
    n_jobs : int
        Processes that share the cores.
    threads : int, optional
        As in :class:`audiocli.BatchOptions`.
    """

    sections: Sequence[str]
    model: str
    device: str
    n_jobs: int = 1
    threads: int | None = None

    def __call__(self) -> Worker:
        """Load the models."""
        from audiocli.nn.threads import threads_for
        from audiocli.pipelines.report import Reporter
        from audiocli.serve.analysis import worker

        reporter = Reporter(self.sections, model=self.model, device=self.device)
        return worker(reporter, threads_for(self.n_jobs, self.threads))
