"""Score learned bases: how well they reconstruct the spectra of recordings.

With x the log-magnitude spectrum of a frame as the front-end gives it, y its reconstruction and m
the mean spectrum of the training data, the relative error is ``sum |x - y|^2 / sum |x - m|^2``
over the frames of a file, or of all: 0 is perfect, and 1 is no better than m for every frame. One
minus this is the variance explained, about the mean of the training data. The error in dB is
``20 sqrt(mean (x - y)^2)`` over frames and bands: x is a logarithm to base 10.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from audiocli.batch import Callbacks, Progress
from audiocli.batch.inputs import Input, Job, find_inputs
from audiocli.errors import DataError
from audiocli.io.audio import AudioReader
from audiocli.nn import registry
from audiocli.tasks.annotated import matching, title
from audiocli.tasks.evaluation import Evaluation, Measured, evaluate_jobs, record_measures
from audiocli.tasks.features.learned import Basis

__all__ = ["Score", "evaluate", "record_scores", "total"]


@dataclass(frozen=True)
class Score:
    """How well a basis reconstructs a recording, or all.

    Parameters
    ----------
    name : str
        The recording; empty for all together.
    frames : int
        Number of frames.
    bands : int
        Numbers a frame.
    wrong, spread : float
        Squared error, and squared distance from the mean spectrum, summed over frames and bands.

    Examples
    --------
    >>> Score("a", 100, 10, 40.0, 160.0).relative
    0.25
    """

    name: str
    frames: int
    bands: int
    wrong: float
    spread: float

    @property
    def relative(self) -> float:
        """Squared error over squared distance from the mean; NaN without a frame."""
        return self.wrong / max(self.spread, 1e-12) if self.frames else math.nan

    @property
    def decibels(self) -> float:
        """Root mean square of the error, in dB; NaN without a frame."""
        amount = self.frames * self.bands
        return 20 * math.sqrt(self.wrong / amount) if amount else math.nan

    def row(self) -> dict[str, str | float | int]:
        """Row of a table."""
        return {
            "file": self.name,
            "relative_error": round(self.relative, 4),
            "explained": round(1 - self.relative, 4),
            "error_db": round(self.decibels, 3),
            "frames": self.frames,
        }


def total(scores: Sequence[Score]) -> Score:
    """Count the frames of all recordings together."""
    return Score(
        "",
        sum(score.frames for score in scores),
        max((score.bands for score in scores), default=0),
        sum(score.wrong for score in scores),
        sum(score.spread for score in scores),
    )


@dataclass(frozen=True)
class _Titled:
    """A recording with the name that patterns match."""

    item: Input
    title: str


@dataclass(frozen=True)
class _MakeScorer:
    """Makes what scores a recording; pickled to worker processes."""

    titles: Mapping[Path, str]
    model: str
    device: str

    def __call__(self) -> Callable[[Job, Progress], tuple[float, Score]]:
        basis = Basis(self.model, device=self.device)

        def work(job: Job, progress: Progress) -> tuple[float, Score]:
            frames, wrong, spread = 0, 0.0, 0.0
            with AudioReader(job.input.path, name=job.input.name) as reader:
                rate = reader.info.sample_rate
                for values in basis.measured(reader.full_range(), rate):
                    frames += len(values)
                    wrong += float(values[:, -2].sum(dtype="float64"))
                    spread += float(values[:, -1].sum(dtype="float64"))
                    progress(frames / basis.frame_rate, reader.info.duration)
            name = self.titles[job.input.path]
            score = Score(name, frames, basis.network.size, wrong, spread)
            return frames / basis.frame_rate, score

        return work


def evaluate(
    folders: Sequence[Path],
    model: str,
    *,
    only: Sequence[str] = (),
    n_jobs: int = 1,
    device: str = "auto",
    callbacks: Callbacks | None = None,
) -> Evaluation[Score, Score]:
    """Score a basis on folders of recordings.

    Parameters
    ----------
    model, only, n_jobs, device, callbacks
        As in :func:`audiocli.evaluate_onsets`.
    folders : sequence of Path
        Searched to their depth for audio.

    Returns
    -------
    Evaluation

    Raises
    ------
    DataError
        If there are no recordings.
    ModelError
        If the model cannot be loaded, or is no basis.

    Examples
    --------
    >>> import tempfile
    >>> from audiocli.demo import write_demo
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_demo(Path(folder))
    ...     result = evaluate([Path(folder)], "pca", only=["*/song"])
    >>> 0 < result.total.relative < 1
    True
    """
    registry.find("features", model)
    found: dict[Path, _Titled] = {}
    for folder in folders:
        for item in find_inputs([str(folder)]):
            if item.problem is not None:
                continue
            called = title(folder, item.relative.with_suffix("").as_posix())
            found.setdefault(item.path, _Titled(item, called))
    if not found:
        raise DataError(f"{', '.join(map(str, folders))}: no audio file there")
    taken = matching(list(found.values()), only, "only")
    titles = {each.item.path: each.title for each in taken}
    jobs = [Job(each.item, ()) for each in taken]
    make_scorer = _MakeScorer(titles, model, device)
    return evaluate_jobs(jobs, make_scorer, total, n_jobs=n_jobs, callbacks=callbacks)


def record_scores(model: str, result: Score, data: str) -> None:
    """Write the total into the model folder, configuration and card."""
    measure = "of log-magnitude spectra, against their distance from the mean"
    error = Measured("relative squared error", round(100 * result.relative, 2), "%", measure)
    entry = registry.find("features", model)
    record_measures(entry, [error], f"{data}; number of frames: {result.frames}")
