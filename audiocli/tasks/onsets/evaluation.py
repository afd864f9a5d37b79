"""Score onset detectors on recordings whose onsets are known.

Precision, recall and F-measure at tolerances of 25 ms (strict) and 50 ms (that of mir_eval). Each
reference onset is matched with one detection at most; reference onsets within 30 ms of one before
are part of it. Totals count all onsets together.

References
----------
Böck, Krebs, Schedl: Evaluating the online capabilities of onset detection methods. ISMIR 2012.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocli.batch import Callbacks
from audiocli.dsp.compiled import import_librosa
from audiocli.io import audio
from audiocli.io.formats import read_instants
from audiocli.nn import registry
from audiocli.tasks.annotated import Recording
from audiocli.tasks.evaluation import (
    Evaluation,
    Measured,
    annotated_recordings,
    evaluate_each,
    record_measures,
    warn_of_late_times,
)
from audiocli.tasks.onsets.detector import DEFAULT_MODEL, OnsetDetector
from audiocli.tasks.onsets.examples import ANNOTATIONS, GRACE
from audiocli.tasks.onsets.scoring import Match, match, merged

__all__ = ["DETECTORS", "WINDOWS", "Score", "evaluate", "record_scores", "total"]

#: Tolerances in seconds.
WINDOWS = (0.025, 0.05)
#: What can be scored beside our models.
DETECTORS = ("audiocli", "librosa")

Detect = Callable[[Path], NDArray[np.float64]]


@dataclass(frozen=True)
class Score:
    """How well the onsets of a recording, or of all, were found.

    Parameters
    ----------
    name : str
        The recording; empty for all together.
    seconds : float
        Length of the audio.
    matches : tuple of Match
        One for each of ``WINDOWS``.

    Examples
    --------
    >>> Score("a", 3.0, (Match(8, 2, 2), Match(9, 1, 1))).row()["f_25"]
    0.8
    """

    name: str
    seconds: float
    matches: tuple[Match, ...]

    def row(self) -> dict[str, str | float | int]:
        """Row of a table."""
        row: dict[str, str | float | int] = {"file": self.name}
        for window, found in zip(WINDOWS, self.matches, strict=True):
            end = f"_{window * 1000:.0f}"
            row["precision" + end] = round(found.precision, 4)
            row["recall" + end] = round(found.recall, 4)
            row["f" + end] = round(found.f_measure, 4)
        row["onsets"] = self.matches[0].hits + self.matches[0].misses
        row["detected"] = self.matches[0].hits + self.matches[0].false_alarms
        return row


def total(scores: Sequence[Score]) -> Score:
    """Count the onsets of all recordings together."""
    nothing = Match(0, 0, 0)
    sums = [sum((score.matches[i] for score in scores), nothing) for i in range(len(WINDOWS))]
    return Score("", sum(score.seconds for score in scores), tuple(sums))


def librosa_onsets(path: Path) -> NDArray[np.float64]:
    """Detect onsets with librosa's own detector, at its defaults."""
    samples, rate = audio.read(path, mono=True)
    found = import_librosa().onset.onset_detect(y=samples[0], sr=rate, units="time")
    return np.asarray(found, np.float64)


@dataclass(frozen=True)
class _MakeScorer:
    """Makes what scores a recording; pickled to worker processes."""

    detector: str
    model: str
    threshold: float | None
    device: str

    def __call__(self) -> Callable[[Recording], tuple[float, Score]]:
        detect: Detect = librosa_onsets
        if self.detector == "audiocli":
            ours = OnsetDetector(self.model, device=self.device, threshold=self.threshold)

            def detect(path: Path) -> NDArray[np.float64]:
                with audio.AudioReader(path) as reader:
                    return ours.stream(reader.full_range(), reader.info.sample_rate).times

        def score(recording: Recording) -> tuple[float, Score]:
            with audio.AudioReader(recording.audio) as reader:
                seconds = reader.info.duration or 0.0
            reference = merged(read_instants(recording.annotation))
            warn_of_late_times(reference, seconds, "onsets", grace=GRACE)
            found = np.sort(detect(recording.audio))
            matches = tuple(match(reference, found, window) for window in WINDOWS)
            return seconds, Score(recording.title, seconds, matches)

        return score


def evaluate(
    folders: Sequence[Path],
    model: str = DEFAULT_MODEL,
    *,
    only: Sequence[str] = (),
    detector: str = "audiocli",
    threshold: float | None = None,
    n_jobs: int = 1,
    device: str = "auto",
    callbacks: Callbacks | None = None,
) -> Evaluation[Score, Score]:
    """Score a model, or another detector, on folders of annotated recordings.

    Parameters
    ----------
    folders : sequence of Path
        Recordings as :func:`audiocli.tasks.annotated.find_recordings` finds them.
    model : str
        A model's name or folder.
    only : sequence of str
        Patterns of recordings to take, say ``mdb-drums/Z*``; without any, all.
    detector : {"audiocli", "librosa"}
        What detects.
    threshold : float, optional
        In place of the model's own.
    n_jobs : int
        Worker processes.
    device : str
        As in :func:`audiocli.nn.models.device`.
    callbacks : Callbacks, optional
        Called as the run gets on.

    Returns
    -------
    Evaluation

    Raises
    ------
    DataError
        If there are no recordings.
    ModelError
        If the model cannot be loaded.

    Examples
    --------
    >>> import tempfile
    >>> from audiocli.demo import write_demo
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_demo(Path(folder))
    ...     scores = evaluate([Path(folder)])
    >>> scores.total.matches[1].f_measure > 0.9
    True
    """
    recordings = annotated_recordings(folders, ANNOTATIONS, only)
    make_scorer = _MakeScorer(detector, model, threshold, device)
    return evaluate_each(recordings, make_scorer, total, n_jobs=n_jobs, callbacks=callbacks)


def record_scores(model: str, result: Score, data: str) -> None:
    """Write the total into the model folder, configuration and card."""
    number = result.matches[0].hits + result.matches[0].misses
    measures = [
        Measured("F-measure", round(100 * found.f_measure, 1), "%", f"{window * 1000:.0f} ms")
        for window, found in zip(WINDOWS, result.matches, strict=True)
    ]
    entry = registry.find("onsets", model)
    record_measures(entry, measures, f"{data}; number of onsets: {number}")
