"""What answers are worth: measures over all clips, a row a clip, a row a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocli.errors import DataError
from audiocli.tasks.classify import scoring
from audiocli.tasks.classify.clips import Clip
from audiocli.tasks.classify.material import target_matrix

__all__ = [
    "PAIRS",
    "Measure",
    "Scores",
    "pairs",
    "score_classes",
    "score_pairs",
    "score_tags",
]

#: Pairs of clips that are compared, at most.
PAIRS = 200_000
# Resamples; areas and pairs take longer than labels do.
MANY, SOME = 1000, 200
LEVELS = 4096

Array = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Measure:
    """One number that a model is worth.

    Parameters
    ----------
    name : str
        Say ``accuracy``.
    value : float
        0 to 1; NaN where nothing could be scored.
    how : str
        What else there is to know.
    low, high : float
        Of the 95 % interval; NaN without one.

    Examples
    --------
    >>> Measure("macro F1", 0.84, "mean over the classes").key
    'macro_f1'
    >>> Measure("accuracy", 0.84, "", 0.8, 0.9).interval
    '95 % interval 80.0 to 90.0'
    """

    name: str
    value: float
    how: str
    low: float = float("nan")
    high: float = float("nan")

    @property
    def key(self) -> str:
        """The name of a column."""
        return self.name.lower().replace(" ", "_").replace("-", "_")

    @property
    def interval(self) -> str:
        """The interval in words, in %; empty without one."""
        if np.isnan(self.low):
            return ""
        return f"95 % interval {100 * self.low:.1f} to {100 * self.high:.1f}"


@dataclass(frozen=True)
class Scores:
    """What a model is worth on some clips.

    Parameters
    ----------
    measures : list of Measure
        Over all clips.
    clips : list of dict
        A row a clip, in their order.
    total : dict
        The row for all of them.
    classes : list of dict
        A row a label; NaN where a label cannot be scored.
    labels : list of str
        Those of the confusion matrix: of a classifier, the labels that are there or were answered.
    confusion : ndarray, shape (labels, labels)
        One row a true label, one column an answer.

    Examples
    --------
    >>> Scores([]).confusion.shape
    (0, 0)
    """

    measures: list[Measure]
    clips: list[dict[str, Any]] = field(default_factory=list)
    total: dict[str, Any] = field(default_factory=dict)
    classes: list[dict[str, Any]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    confusion: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), np.int64))


def score_classes(
    clips: Sequence[Clip], probabilities: Array, labels: Sequence[str], groups: Sequence[str]
) -> Scores:
    """Score the likeliest labels.

    Parameters
    ----------
    clips : sequence of Clip
        With one label each, of those that the model knows.
    probabilities : ndarray, shape (clips, labels)
    labels : sequence of str
        What the model knows.
    groups : sequence of str
        Of each clip, see :func:`audiocli.tasks.classify.scoring.bootstrap`.

    Returns
    -------
    Scores

    Examples
    --------
    >>> from pathlib import Path
    >>> clips = [Clip(Path(n), n, Path("data"), (n,)) for n in ("cat", "dog")]
    >>> scores = score_classes(clips, np.array([[0.9, 0.1], [0.6, 0.4]]), ["cat", "dog"], "ab")
    >>> scores.measures[0].value, scores.confusion.tolist()
    (0.5, [[1, 0], [1, 0]])
    """
    truth = [clip.labels[0] for clip in clips]
    guess = [labels[place] for place in probabilities.argmax(axis=1)]
    sure = probabilities.max(axis=1, initial=0.0)
    right = np.array([one == other for one, other in zip(truth, guess, strict=True)], bool)
    interval = scoring.bootstrap(lambda w: scoring.accuracy(truth, guess, w), groups, MANY)
    measures = [
        Measure("accuracy", scoring.accuracy(truth, guess), "", *interval),
        Measure("macro F1", scoring.macro_f1(truth, guess), "mean over the classes"),
        Measure("expected calibration error", scoring.calibration_error(sure, right),
                f"{scoring.BINS} bins"),
    ]  # fmt: skip
    rows = [
        {"file": clip.title, "label": one, "guess": other, "probability": round(float(p), 4),
         "right": int(one == other)}
        for clip, one, other, p in zip(clips, truth, guess, sure, strict=True)
    ]  # fmt: skip
    total = {"file": "all", "label": "", "guess": "", "probability": _share(sure.sum(), len(sure)),
             "right": _share(right.sum(), len(sure))}  # fmt: skip
    shown = [label for label in labels if label in {*truth, *guess}]
    matrix = scoring.confusion(truth, guess, shown)
    return Scores(measures, rows, total, _classes(matrix, shown), shown, matrix)


def _classes(matrix: NDArray[np.int64], labels: Sequence[str]) -> list[dict[str, Any]]:
    hits, given, there = matrix.diagonal(), matrix.sum(axis=0), matrix.sum(axis=1)
    return [
        {
            "label": label,
            "precision": _share(hits[place], given[place]),
            "recall": _share(hits[place], there[place]),
            "f1": _share(2 * hits[place], given[place] + there[place]),
            "clips": int(there[place]),
        }
        for place, label in enumerate(labels)
    ]


def score_tags(
    clips: Sequence[Clip],
    probabilities: Array,
    labels: Sequence[str],
    threshold: float,
    groups: Sequence[str],
) -> Scores:
    """Score the probabilities of tags.

    Parameters
    ----------
    clips : sequence of Clip
        With any number of labels; others than these are left out.
    probabilities : ndarray, shape (clips, labels)
    labels : sequence of str
        The tags to score: those that the data knows as well as the model.
    threshold : float
        From which on a tag is given.
    groups : sequence of str
        Of each clip.

    Returns
    -------
    Scores
        Without a confusion matrix.

    Examples
    --------
    >>> from pathlib import Path
    >>> clips = [Clip(Path(n), n, Path("data"), tuple(n)) for n in ("xy", "x", "y")]
    >>> said = np.array([[0.9, 0.7], [0.8, 0.1], [0.3, 0.9]])
    >>> [round(m.value, 2) for m in score_tags(clips, said, ["x", "y"], 0.5, "abc").measures]
    [1.0, 1.0, 1.0, 0.18]
    """
    truth, given = target_matrix(clips, labels) > 0, probabilities >= threshold
    areas = scoring.roc_auc(truth, probabilities)
    precisions = scoring.average_precision(truth, probabilities)
    interval = scoring.bootstrap(lambda w: scoring.roc_auc(truth, probabilities, w), groups, SOME)
    both, of_both = (truth & given).sum(axis=1), truth.sum(axis=1) + given.sum(axis=1)
    together = _share(2 * both.sum(), of_both.sum())
    mean = f"mean over {len(labels) - areas.left_out} tags"
    measures = [
        Measure("ROC AUC", areas.mean, mean, *interval),
        Measure("PR AUC", precisions.mean, f"average precision, {mean}"),
        Measure("F-measure", together, f"all tags together, at a threshold of {threshold:g}"),
        Measure("expected calibration error", scoring.calibration_error(probabilities, truth),
                f"{scoring.BINS} bins, all tags together"),
    ]  # fmt: skip
    classes = [
        {"label": label, "roc_auc": round(float(areas.values[place]), 4),
         "pr_auc": round(float(precisions.values[place]), 4), "clips": int(truth[:, place].sum())}
        for place, label in enumerate(labels)
    ]  # fmt: skip
    rows: list[dict[str, Any]] = []
    for clip, row, has, gives in zip(clips, probabilities, truth, given, strict=True):
        best = [int(place) for place in np.argsort(-row, kind="stable") if gives[place]]
        rows.append({
            "file": clip.title,
            "label": ";".join(label for label, it_has in zip(labels, has, strict=True) if it_has),
            "guess": ";".join(labels[place] for place in best),
            "probability": ";".join(f"{row[place]:.4f}" for place in best),
            "f": _share(2 * (has & gives).sum(), has.sum() + gives.sum()),
        })  # fmt: skip
    total = {"file": "all", "label": "", "guess": "", "probability": "", "f": together}
    return Scores(measures, rows, total, classes)


def pairs(
    speakers: Sequence[str], most: int = PAIRS, seed: int = 0
) -> tuple[tuple[Places, Places], tuple[Places, Places]]:
    """Pair clips of the same, and of different speakers.

    Parameters
    ----------
    speakers : sequence of str
        Of each clip.
    most : int
        Where there are more pairs than this, they are drawn, as many of either kind where there
        are enough.
    seed : int
        Of the drawing.

    Returns
    -------
    same, different : tuple of ndarray of int
        Of each the places of the first and of the second clips; no pair twice.

    Raises
    ------
    DataError
        If there are no pairs of one kind.

    Examples
    --------
    >>> same, different = pairs(["ann", "ann", "bob"])
    >>> [part.tolist() for part in same], [part.tolist() for part in different]
    ([[0], [1]], [[0, 1], [2, 2]])
    """
    _, ids = np.unique(np.asarray(speakers), return_inverse=True)
    order = np.argsort(ids, kind="stable")
    # In this order, clips of a speaker stand together: before each are so many of others, and
    # then so many of the same.
    others = np.searchsorted(ids[order], ids[order]).astype(np.int64)
    own = np.arange(len(order), dtype=np.int64) - others
    if not (own.sum() and others.sum()):
        raise DataError(
            "an equal error rate needs pairs of the same and of different speakers; "
            "take two speakers or more, with two clips or more each"
        )
    rng = np.random.default_rng(seed)
    room = max(most // 2, most - int(others.sum()))
    later, earlier = _drawn(own, room, rng)
    same = order[others[later] + earlier], order[later]
    later, earlier = _drawn(others, most - len(later), rng)
    return same, (order[earlier], order[later])


def _drawn(partners: Places, room: int, rng: np.random.Generator) -> tuple[Places, Places]:
    """Draw pairs of a clip and one of its partners, without any twice: the places of both."""
    ends = np.cumsum(partners)
    total = int(ends[-1])
    chosen = np.arange(total, dtype=np.int64)
    if total > room:
        chosen = np.sort(rng.choice(total, room, replace=False, shuffle=False))
    later = np.searchsorted(ends, chosen, side="right")
    return later.astype(np.int64), chosen - (ends[later] - partners[later])


def score_pairs(
    directions: Array, speakers: Sequence[str], most: int = PAIRS
) -> tuple[Measure, dict[str, int | float]]:
    """Score how well the cosine tells pairs of the same speaker from those of different ones.

    The interval comes from drawing speakers again: a pair counts as often as its speakers are
    drawn.

    Parameters
    ----------
    directions : ndarray, shape (clips, units)
        Of length 1.
    speakers : sequence of str
        Of each clip.
    most : int
        As in :func:`pairs`.

    Returns
    -------
    rate : Measure
        The equal error rate.
    numbers : dict
        ``threshold``, ``pairs`` and ``same_pairs``.

    Raises
    ------
    DataError
        If there are no pairs of one kind.

    Examples
    --------
    >>> clips = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-0.6, 0.8]])
    >>> rate, numbers = score_pairs(clips, ["ann", "ann", "bob", "bob"])
    >>> rate.value, round(numbers["threshold"], 2), numbers["pairs"]
    (0.0, 0.7, 6)
    """
    same, different = pairs(speakers, most)
    scores = _cosines(directions, same), _cosines(directions, different)
    rate, threshold = scoring.equal_error_rate(*scores)

    # For the interval, scores that are next to each other count as one, which is quick.
    steps = np.unique(np.concatenate(scores))
    steps = steps[:: -(-len(steps) // LEVELS)]
    levels = [np.searchsorted(steps, part, side="right") - 1 for part in scores]
    ranks = np.arange(len(steps))

    def rates(weights: Array) -> Array:
        counts = [
            (
                np.bincount(levels[0], drawn[same[0]], len(steps)),
                np.bincount(levels[1], drawn[different[0]] * drawn[different[1]], len(steps)),
            )
            for drawn in weights
        ]
        one, other = (np.stack(part) for part in zip(*counts, strict=True))
        return scoring.equal_error_rate(ranks, ranks, (one, other))

    with np.errstate(invalid="ignore"):  # a resample may have no pairs of one kind
        low, high = scoring.bootstrap(rates, speakers, SOME)
    numbers: dict[str, int | float] = {
        "threshold": round(threshold, 4),
        "pairs": len(same[0]) + len(different[0]),
        "same_pairs": len(same[0]),
    }
    how = f"cosine of every two clips, threshold {threshold:.3f}"
    return Measure("equal error rate", rate, how, low, high), numbers


def _cosines(directions: Array, places: tuple[Places, Places]) -> Array:
    one, other = places
    parts = (slice(start, start + 4096) for start in range(0, len(one), 4096))  # bounds the memory
    return np.concatenate(
        [np.einsum("pu,pu->p", directions[one[part]], directions[other[part]]) for part in parts]
    )


def _share(part: Any, whole: Any) -> float:
    """Divide; NaN where that cannot be done."""
    return round(float(part) / float(whole), 4) if whole else float("nan")
