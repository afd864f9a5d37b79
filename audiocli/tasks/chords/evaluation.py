"""Score chord recognisers on recordings whose chords are known.

All measures of :mod:`audiocli.tasks.chords.scoring`, for each recording and, weighted by length,
for all; and how often each quality was taken for which.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from audiocli.batch import Callbacks
from audiocli.errors import warn
from audiocli.io.audio import AudioReader
from audiocli.io.formats import Segments
from audiocli.nn import registry
from audiocli.tasks.annotated import Recording
from audiocli.tasks.chords.examples import ANNOTATIONS, GRACE, read_chords
from audiocli.tasks.chords.labels import QUALITIES, Chord, parse, reduced
from audiocli.tasks.chords.recognizer import DEFAULT_MODEL, ChordRecognizer
from audiocli.tasks.chords.scoring import METRICS, NAMES, Scores, score_song, weighted
from audiocli.tasks.evaluation import (
    Evaluation,
    Measured,
    annotated_recordings,
    evaluate_each,
    record_measures,
    warn_of_late_times,
)

__all__ = ["Score", "evaluate", "record_scores", "total"]

#: Which quality was taken for which, with the root right: seconds.
Confusion = Mapping[tuple[str, str], float]


@dataclass(frozen=True)
class Score:
    """How well the chords of a recording, or of all, were recognised.

    Parameters
    ----------
    name : str
        The recording; empty for all together.
    seconds : float
        How long the reference annotation lasts.
    scores : dict of str to float
        Each of ``METRICS``, from 0 to 1.
    confusion : mapping of (str, str) to float
        Seconds in which each reference quality was taken for which; "N" is no chord, and
        "root" stands for every quality on another root.
    count : int
        Recordings.
    single : float, optional
        Of recordings that hold a single chord, the share in which the estimate that lasts longest,
        silence aside, is this chord as a major or minor triad. None where there are more chords.

    Examples
    --------
    >>> Score("a", 3.0, dict.fromkeys(METRICS, 0.5), {}).row()["majmin"]
    0.5
    """

    name: str
    seconds: float
    scores: Scores
    confusion: Confusion = field(default_factory=dict)
    count: int = 1
    single: float | None = None

    def row(self) -> dict[str, str | float | int]:
        """Row of a table."""
        return {
            "file": self.name,
            "seconds": round(self.seconds, 1),
            **{name: round(self.scores[name], 4) for name in METRICS},
            **({} if self.single is None else {"single": round(self.single, 4)}),
        }

    def short(self) -> dict[str, str | float | int]:
        """Row of a narrow table, for a screen."""
        row = self.row()
        return {name: row[name] for name in ("file", "seconds", *NAMES, "single") if name in row}


def total(scores: Sequence[Score]) -> Score:
    """Average over recordings, each with the weight of its length."""
    seconds = [score.seconds for score in scores]
    confusion: dict[tuple[str, str], float] = {}
    for score in scores:
        for pair, amount in score.confusion.items():
            confusion[pair] = confusion.get(pair, 0.0) + amount
    means = weighted([score.scores for score in scores], seconds)
    singles = [score.single for score in scores if score.single is not None]
    # Where some recordings hold more chords, a share of the others would be taken for one of all.
    single = float(np.mean(singles)) if len(singles) == len(scores) else None
    return Score("", sum(seconds), means, confusion, len(scores), single)


def single_chord(reference: Segments, estimate: Segments) -> float | None:
    """Score a recording of a single chord, 0 or 1; None if it has more than one."""
    annotated = {parse(label) for label in reference.labels}
    chord = annotated.pop()
    if annotated or not chord or not {(0, 3, 7), (0, 4, 7)} & {_triad(chord)}:
        return None
    lasting: dict[Chord, float] = {}
    for start, end, label in zip(estimate.starts, estimate.ends, estimate.labels, strict=True):
        found = parse(label)
        if found:
            triad = reduced(found, "majmin")
            lasting[triad] = lasting.get(triad, 0.0) + float(end - start)
    return float(
        bool(lasting) and max(lasting, key=lasting.__getitem__) == reduced(chord, "majmin")
    )


def _triad(chord: Chord) -> tuple[int, ...]:
    return QUALITIES[chord.quality][:3]


def confused(reference: Segments, estimate: Segments) -> Confusion:
    """Measure for how many seconds each reference quality was taken for which."""
    edges = np.unique(
        np.concatenate([reference.starts, reference.ends, estimate.starts, estimate.ends])
    )
    result: dict[tuple[str, str], float] = {}
    for start, end in zip(edges, edges[1:], strict=False):
        labels = [_label_at(each, (start + end) / 2) for each in (reference, estimate)]
        right, found = (None if label is None else parse(label) for label in labels)
        if right is None or found is None:
            continue
        name = found.quality if found else "N"
        if right and found and right.root != found.root:
            name = "root"
        pair = (right.quality if right else "N", name)
        result[pair] = result.get(pair, 0.0) + float(end - start)
    return result


def _label_at(segments: Segments, time: float) -> str | None:
    index = int(np.searchsorted(segments.starts, time, side="right")) - 1
    inside = index >= 0 and time < segments.ends[index]
    return segments.labels[index] if inside else None


Recognize = Callable[[Recording], Segments]


@dataclass(frozen=True)
class _MakeScorer:
    """Makes what scores a recording; pickled to worker processes."""

    model: str
    vocabulary: str | None
    change: float | None
    estimates: Path | None
    device: str

    def __call__(self) -> Callable[[Recording], tuple[float, Score]]:
        recognize = self._of_model() if self.estimates is None else self._of_files(self.estimates)

        def score(recording: Recording) -> tuple[float, Score]:
            reference, estimate = read_chords(recording.annotation), recognize(recording)
            with AudioReader(recording.audio) as reader:
                length = reader.info.duration or 0.0
            warn_of_late_times(reference.ends, length, "chords", grace=GRACE)
            seconds = float(reference.ends.max())
            scores = score_song(reference, estimate)
            if all(map(math.isnan, scores.values())):
                warn("its annotation holds no chord that could be scored; it counts for nothing")
            return seconds, Score(
                recording.title,
                seconds,
                scores,
                confused(reference, estimate),
                single=single_chord(reference, estimate),
            )

        return score

    def _of_model(self) -> Recognize:
        recognizer = ChordRecognizer(
            self.model, device=self.device, vocabulary=self.vocabulary, change=self.change
        )

        def recognize(recording: Recording) -> Segments:
            with AudioReader(recording.audio) as reader:
                return recognizer.stream(reader.full_range(), reader.info.sample_rate).segments()

        return recognize

    def _of_files(self, folder: Path) -> Recognize:
        return lambda recording: read_chords(folder / f"{recording.name}.lab")


def evaluate(
    folders: Sequence[Path],
    model: str = DEFAULT_MODEL,
    *,
    only: Sequence[str] = (),
    vocabulary: str | None = None,
    change: float | None = None,
    estimates: Path | None = None,
    n_jobs: int = 1,
    device: str = "auto",
    callbacks: Callbacks | None = None,
) -> Evaluation[Score, Score]:
    """Score a model, or the estimates of another, on folders of annotated recordings.

    Parameters
    ----------
    folders, model, only, n_jobs, device, callbacks
        As in :func:`audiocli.evaluate_onsets`.
    vocabulary, change : optional
        As in :class:`ChordRecognizer`.
    estimates : Path, optional
        A folder with NAME.lab of each recording, to score in place of a model.

    Returns
    -------
    Evaluation

    Raises
    ------
    DataError, ModelError
        As there.

    Examples
    --------
    >>> import tempfile
    >>> from audiocli.demo import write_demo
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_demo(Path(folder))
    ...     scores = evaluate([Path(folder)])
    >>> scores.total.scores["majmin"] > 0.9
    True
    """
    recordings = annotated_recordings(folders, ANNOTATIONS, only)
    make_scorer = _MakeScorer(model, vocabulary, change, estimates, device)
    return evaluate_each(recordings, make_scorer, total, n_jobs=n_jobs, callbacks=callbacks)


def record_scores(model: str, result: Score, data: str) -> None:
    """Write the total into the model folder, configuration and card."""
    measures = [
        Measured(name, round(100 * result.scores[name], 1), "%", "mir_eval.chord, by length")
        for name in NAMES
    ]
    if result.single is not None:
        how = "major or minor triad, found for longest"
        measures.append(Measured("single chords", round(100 * result.single, 1), "%", how))
    entry = registry.find("chords", model)
    record_measures(entry, measures, f"{data}; number of recordings: {result.count}")
