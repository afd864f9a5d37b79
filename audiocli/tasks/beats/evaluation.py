"""Score beat trackers on recordings whose beats are known.

The F-measure of beats and of downbeats at 70 ms, as mir_eval computes it, from 5 s on, as is usual;
and whether the tempo is within 4 % of the median of the reference, or of its half or double.
Totals are means over recordings.

References
----------
Davies, Degara, Plumbley: Evaluation methods for musical audio beat tracking algorithms.
Queen Mary University of London, C4DM-TR-09-06, 2009.
Gouyon et al.: An experimental comparison of audio tempo induction algorithms. IEEE TASLP 14(5),
2006.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocli.batch import Callbacks
from audiocli.dsp.compiled import import_librosa
from audiocli.errors import warn
from audiocli.io import audio
from audiocli.io.formats import read_beats
from audiocli.nn import registry
from audiocli.tasks.annotated import Recording
from audiocli.tasks.beat_tracker import DEFAULT_MODEL, BeatTracker
from audiocli.tasks.beats.examples import ANNOTATIONS, GRACE
from audiocli.tasks.beats.scoring import TOLERANCE, f_measure, trimmed
from audiocli.tasks.evaluation import (
    Evaluation,
    Measured,
    annotated_recordings,
    evaluate_each,
    record_measures,
    warn_of_late_times,
)

__all__ = ["TRACKERS", "Score", "evaluate", "record_scores", "total"]

#: What can be scored beside our models.
TRACKERS = ("audiocli", "librosa")
CLOSE = 0.04  # share of the tempo
#: As mir_eval, a recording with fewer beats than this after trimming has no score.
FEWEST = 2

Times = NDArray[np.float64]
Found = tuple[Times, Times | None, float | None]
Track = Callable[[Path], Found]


@dataclass(frozen=True)
class Score:
    """How well the beats of a recording, or of all, were found.

    Parameters
    ----------
    name : str
        The recording; empty for all together.
    seconds : float
        Length of the audio.
    beats : float
        F-measure; NaN where there is nothing to score.
    downbeats : float
        F-measure; NaN where the reference has no bars, or the tracker finds none.
    tempo, octave : float
        Whether the tempo is right, and whether it or its half or double is; of all, the share.
    bpm, reference_bpm : float
        The tempo, and that of the reference; NaN for all together.

    Examples
    --------
    >>> Score("a", 3.0, 0.9, 0.8, 1.0, 1.0, 120.2, 120.0).row()["beats"]
    0.9
    """

    name: str
    seconds: float
    beats: float
    downbeats: float
    tempo: float
    octave: float
    bpm: float
    reference_bpm: float

    def row(self) -> dict[str, str | float | int]:
        """Give what a table shows."""
        row: dict[str, str | float | int] = {"file": self.name}
        for name in ("beats", "downbeats", "tempo", "octave"):
            row[name] = round(getattr(self, name), 4)
        row["bpm"] = round(self.bpm, 1)
        row["reference_bpm"] = round(self.reference_bpm, 1)
        return row


def total(scores: Sequence[Score]) -> Score:
    """Give the means over recordings.

    Parameters
    ----------
    scores : sequence of Score

    Returns
    -------
    Score

    Examples
    --------
    >>> one = Score("a", 1.0, 0.5, np.nan, 1.0, 1.0, 120.0, 120.0)
    >>> two = Score("b", 1.0, 1.0, 0.8, 0.0, 1.0, 60.0, 120.0)
    >>> mean = total([one, two])
    >>> mean.beats, mean.downbeats, mean.tempo
    (0.75, 0.8, 0.5)
    """

    def mean(name: str) -> float:
        values = np.array([getattr(score, name) for score in scores])
        known = values[np.isfinite(values)]
        return float(known.mean()) if len(known) else float("nan")

    seconds = sum(score.seconds for score in scores)
    return Score(
        "",
        seconds,
        mean("beats"),
        mean("downbeats"),
        mean("tempo"),
        mean("octave"),
        float("nan"),
        float("nan"),
    )


def librosa_beats(path: Path) -> Found:
    """Track beats with librosa's own tracker, at its defaults; it finds no downbeats.

    Parameters
    ----------
    path : Path
        Any audio file.
    """
    samples, rate = audio.read(path, mono=True)
    bpm, found = import_librosa().beat.beat_track(y=samples[0], sr=rate, units="time")
    return np.asarray(found, np.float64), None, float(np.atleast_1d(bpm)[0])


@dataclass(frozen=True)
class _MakeScorer:
    """Makes what scores a recording; pickled to worker processes."""

    tracker: str
    model: str
    device: str

    def __call__(self) -> Callable[[Recording], tuple[float, Score]]:
        track: Track = librosa_beats
        if self.tracker == "audiocli":
            ours = BeatTracker(self.model, device=self.device)

            def track(path: Path) -> Found:
                with audio.AudioReader(path) as reader:
                    beats = ours.stream(reader.full_range(), reader.info.sample_rate)
                return beats.times, beats.downbeats, beats.tempo.bpm

        def score(recording: Recording) -> tuple[float, Score]:
            with audio.AudioReader(recording.audio) as reader:
                seconds = reader.info.duration or 0.0
            times, positions = read_beats(recording.annotation)
            warn_of_late_times(times, seconds, "beats", grace=GRACE)
            downbeats = None if positions is None else times[positions == 1]
            return seconds, score_of(
                recording.title, seconds, (times, downbeats), track(recording.audio)
            )

        return score


def score_of(
    name: str, seconds: float, reference: tuple[Times, Times | None], found: Found
) -> Score:
    """Compare what was found with the reference.

    Parameters
    ----------
    name : str
    seconds : float
        Length of the audio.
    reference : tuple of ndarray
        Beats and downbeats, or None where these are not known.
    found : tuple
        Beats, downbeats or None, and the tempo or None.
    """
    times, downbeats = reference
    beats, bars, bpm = found
    nothing = float("nan")
    if len(trimmed(times)) < FEWEST:
        warn("the reference has no two beats after the first 5 s, so it is not scored")
        return Score(name, seconds, nothing, nothing, nothing, nothing, bpm or nothing, nothing)
    known = downbeats is not None and bars is not None and len(trimmed(downbeats)) >= FEWEST
    at_bars = (
        f_measure(trimmed(downbeats), trimmed(bars), TOLERANCE)
        if known and downbeats is not None and bars is not None
        else nothing
    )
    true = float(60 / np.median(np.diff(times)))
    right = [bpm is not None and abs(bpm / (true * factor) - 1) <= CLOSE for factor in (1, 0.5, 2)]
    return Score(
        name,
        seconds,
        f_measure(trimmed(times), trimmed(beats), TOLERANCE),
        at_bars,
        float(right[0]),
        float(any(right)),
        bpm or nothing,
        true,
    )


def evaluate(
    folders: Sequence[Path],
    model: str = DEFAULT_MODEL,
    *,
    only: Sequence[str] = (),
    tracker: str = "audiocli",
    n_jobs: int = 1,
    device: str = "auto",
    callbacks: Callbacks | None = None,
) -> Evaluation[Score, Score]:
    """Score a model, or another tracker, on folders of annotated recordings.

    Parameters
    ----------
    folders, model, only, n_jobs, device, callbacks
        As in :func:`audiocli.evaluate_onsets`.
    tracker : {"audiocli", "librosa"}
        What finds the beats.

    Returns
    -------
    Evaluation

    Raises
    ------
    DataError, ModelError
        As there.
    """
    recordings = annotated_recordings(folders, ANNOTATIONS, only)
    make_scorer = _MakeScorer(tracker, model, device)
    return evaluate_each(recordings, make_scorer, total, n_jobs=n_jobs, callbacks=callbacks)


def record_scores(model: str, result: Score, data: str) -> None:
    """Write the total into the model folder, configuration and card.

    Parameters
    ----------
    model : str
        The model's name or folder.
    result : Score
        The total of :func:`evaluate`.
    data : str
        What it was measured on, in words.

    Raises
    ------
    ModelError
        If there is no such model.
    """
    shown = (
        ("F-measure of beats", result.beats, "70 ms, from 5 s on, mean over recordings"),
        ("F-measure of downbeats", result.downbeats, "70 ms, from 5 s on, mean over recordings"),
        ("tempo accuracy", result.tempo, "within 4 %"),
    )
    measures = [Measured(name, round(100 * value, 1), "%", how) for name, value, how in shown]
    record_measures(registry.find("beats", model), measures, data)
