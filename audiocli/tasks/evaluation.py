"""One evaluation, whatever the task: score each recording, sum up, write it into a model.

A task brings what scores a recording and how scores add up. What all tasks share stands here:
workers, progress, a recording that fails, no total where nothing could be scored, and the entry
in the model's configuration and card.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from audiocli.batch import Callbacks, Collector, Progress, Summary, Worker, run
from audiocli.batch.inputs import Input, Job
from audiocli.errors import warn
from audiocli.nn import registry
from audiocli.nn.threads import share_processor
from audiocli.tasks.annotated import Recording, Titled, find_recordings, matching

__all__ = [
    "Evaluation",
    "Measured",
    "annotated_recordings",
    "evaluate_each",
    "evaluate_jobs",
    "record_measures",
    "warn_of_late_times",
]

Each = TypeVar("Each", bound=Titled)
Found = TypeVar("Found")
Score = TypeVar("Score")
Total = TypeVar("Total")
Scorer = Callable[[Each], "tuple[float, Score]"]


@dataclass(frozen=True)
class Evaluation(Generic[Score, Total]):
    """The scores on a set of recordings.

    Parameters
    ----------
    scores : list of Score
        In the order of the recordings; those that failed are left out.
    total : Total or None
        Over all that could be scored; None if nothing could.
    summary : Summary
        What failed.
    """

    scores: list[Score]
    total: Total | None
    summary: Summary


@dataclass(frozen=True)
class Measured:
    """A score for a model card.

    Parameters
    ----------
    metric : str
        Say ``F-measure``.
    value : float
        Rounded as it is to be shown. NaN, where nothing could be compared, is not recorded.
    unit : str
    measure : str
        How it was measured, say ``25 ms``.
    """

    metric: str
    value: float
    unit: str
    measure: str


@dataclass(frozen=True)
class _MakeWorker(Generic[Score]):
    """Makes what scores a job; pickled to worker processes."""

    make_scorer: Callable[[], Callable[[Job, Progress], tuple[float, Score]]]
    n_jobs: int

    def __call__(self) -> Worker:
        share_processor(self.n_jobs)
        return self.make_scorer()


@dataclass(frozen=True)
class _OfEach(Generic[Found, Score]):
    """Makes what scores the item that a job stands for; pickled to worker processes."""

    items: Mapping[Path, Found]
    make_scorer: Callable[[], Callable[[Found], tuple[float, Score]]]

    def __call__(self) -> Callable[[Job, Progress], tuple[float, Score]]:
        score = self.make_scorer()
        return lambda job, progress: score(self.items[job.input.path])


def evaluate_jobs(
    jobs: Sequence[Job],
    make_scorer: Callable[[], Callable[[Job, Progress], tuple[float, Score]]],
    total: Callable[[Sequence[Score]], Total],
    *,
    n_jobs: int = 1,
    callbacks: Callbacks | None = None,
) -> Evaluation[Score, Total]:
    """Score files, each by itself, whatever happens to some of them."""
    scores = Collector(callbacks)
    make_worker = _MakeWorker(make_scorer, n_jobs)
    summary = run(jobs, make_worker, settings={}, n_jobs=n_jobs, callbacks=scores)
    values: list[Score] = scores.values
    return Evaluation(values, total(values) if values else None, summary)


def evaluate_each(
    items: Mapping[Path, Each],
    make_scorer: Callable[[], Callable[[Each], tuple[float, Score]]],
    total: Callable[[Sequence[Score]], Total],
    *,
    n_jobs: int = 1,
    callbacks: Callbacks | None = None,
) -> Evaluation[Score, Total]:
    """Score recordings, clips or what else has a title, each by itself."""
    jobs = [Job(Input(path, each.title, Path(each.title)), ()) for path, each in items.items()]
    return evaluate_jobs(
        jobs, _OfEach(items, make_scorer), total, n_jobs=n_jobs, callbacks=callbacks
    )


def annotated_recordings(
    folders: Sequence[Path], suffixes: Sequence[str], only: Sequence[str]
) -> dict[Path, Recording]:
    """Find the annotated recordings to score, by their audio."""
    listed = [each for folder in folders for each in find_recordings(folder, suffixes)]
    return {each.audio: each for each in matching(listed, only, "only")}


def warn_of_late_times(
    times: NDArray[np.float64], seconds: float, what: str, *, grace: float
) -> None:
    """Warn of annotations that lie beyond the end of their audio; all times are in seconds."""
    late = int((times > seconds + grace).sum())
    if not seconds or not late:
        return
    units = "; are they in milliseconds, or samples? Times are in seconds"
    doubt = units if late == len(times) or times.max() > 20 * seconds else ""
    warn(f"{late} of {len(times)} {what} lie beyond the end of the audio at {seconds:.2f} s, "
         f"up to {times.max():.2f} s{doubt}")  # fmt: skip


def record_measures(
    entry: registry.ModelEntry, measures: Sequence[Measured], data: str, *, last: bool = False
) -> None:
    """Write scores into a model folder, configuration and card."""
    command = registry.command_line()
    new = [
        {
            "metric": each.metric,
            "value": each.value,
            "unit": each.unit,
            "measure": each.measure,
            "data": data,
            "command": command,
        }
        for each in measures
        if np.isfinite(each.value)
    ]
    registry.add_scores(entry, new, last=last)
