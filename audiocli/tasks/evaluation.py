"""One evaluation, whatever the task: score each recording, sum up, write it into a model.

A task gives what scores a recording and how scores add up. What is the same for all stands here:
workers, progress, a recording that fails, no total where nothing could be scored, and the entry
in the model's configuration and card.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from audiocli.batch import Callbacks, Collector, Progress, Summary, Worker, run
from audiocli.batch.inputs import Input, Job
from audiocli.errors import warn
from audiocli.nn import registry
from audiocli.nn.models import share_processor
from audiocli.tasks.annotated import Titled, find_recordings, matching

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

    Examples
    --------
    >>> Evaluation([], None, Summary(0, 0, 0, [], 0.0, 0.0)).summary.exit_code
    0
    """

    scores: list[Score]
    total: Total | None
    summary: Summary


@dataclass(frozen=True)
class Measured:
    """A number for a model's card.

    Parameters
    ----------
    metric : str
        Say ``F-measure``.
    value : float
        Rounded as it is to be shown. NaN, where nothing could be compared, is not recorded.
    unit : str
    measure : str
        How it was measured, say ``25 ms``.

    Examples
    --------
    >>> Measured("F-measure", 93.1, "%", "25 ms").metric
    'F-measure'
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
    listener: Callbacks | None = None,
) -> Evaluation[Score, Total]:
    """Score files, each by itself, whatever happens to some of them.

    Parameters
    ----------
    jobs : sequence of Job
        The files.
    make_scorer : callable
        Makes, once a process, what takes a job and a progress callback and gives its seconds and
        its score. With `n_jobs` above 1 it is pickled.
    total : callable
        Sums up scores, of which there is at least one.
    n_jobs : int
        Worker processes.
    listener : Callbacks, optional
        Told how it goes.

    Returns
    -------
    Evaluation
    """
    scores = Collector(listener)
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
    listener: Callbacks | None = None,
) -> Evaluation[Score, Total]:
    """Score recordings, clips or what else has a title, each by itself.

    Parameters
    ----------
    items : mapping of Path to what is scored
        By the file to read: two folders may have the same name, and with it the same titles.
    make_scorer : callable
        Makes, once a process, what takes an item and gives its seconds and its score. With
        `n_jobs` above 1 it is pickled.
    total, n_jobs, listener
        As in :func:`evaluate_jobs`.

    Returns
    -------
    Evaluation

    Examples
    --------
    >>> from audiocli.tasks.annotated import Recording
    >>> song = Recording("a", Path("a.wav"), Path("a.lab"), Path("data"))
    >>> evaluate_each({song.audio: song}, lambda: lambda each: (1.0, each.name), len).total
    1
    """
    jobs = [Job(Input(path, each.title, Path(each.title)), ()) for path, each in items.items()]
    return evaluate_jobs(jobs, _OfEach(items, make_scorer), total, n_jobs=n_jobs, listener=listener)


def annotated_recordings(
    folders: Sequence[Path], suffixes: Sequence[str], only: Sequence[str]
) -> dict[Path, Any]:
    """Find the annotated recordings to score, by their audio.

    Parameters
    ----------
    folders : sequence of Path
        As for :func:`audiocli.tasks.annotated.find_recordings`.
    suffixes : sequence of str
        Endings of annotations, the preferred first.
    only : sequence of str
        Patterns of recordings to take; without any, all.

    Returns
    -------
    dict of Path to Recording

    Raises
    ------
    DataError
        If there are none, or a pattern means none.
    """
    listed = [each for folder in folders for each in find_recordings(folder, suffixes)]
    return {each.audio: each for each in matching(listed, only, "--only")}


def warn_of_late_times(
    times: NDArray[np.float64], seconds: float, what: str, *, grace: float
) -> None:
    """Warn of annotations that lie beyond the end of their audio.

    Parameters
    ----------
    times : ndarray
        In seconds, as the annotation has them.
    seconds : float
        Length of the audio; 0 if it is not known.
    what : str
        What they are, in the plural.
    grace : float
        Seconds by which they may be late: editions of a recording differ in their ends.

    Examples
    --------
    >>> import pytest
    >>> with pytest.warns(UserWarning, match="2 of 2 onsets lie beyond the end .* milliseconds"):
    ...     warn_of_late_times(np.array([500.0, 900.0]), 3.0, "onsets", grace=0.05)
    """
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
    """Write what was measured into a model folder, configuration and card.

    Parameters
    ----------
    entry : ModelEntry
        The model.
    measures : sequence of Measured
        The first is the one that a list of models shows.
    data : str
        What they were measured on, in words.
    last : bool
        Put them behind the scores that are there.
    """
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
