"""What answers are worth: measures over all clips, a row a clip, a row a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocli.tasks.classify import scoring
from audiocli.tasks.classify.clips import Clip, target_matrix

__all__ = [
    "Measure",
    "Scores",
    "score_classes",
    "score_tags",
]

# Resamples; areas take longer than labels do.
MANY, SOME = 1000, 200

Array = NDArray[np.float64]


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

    Takes ``probabilities`` (clips, labels).
    """
    guess = [labels[place] for place in probabilities.argmax(axis=1)]
    truth = [
        answer if answer in clip.labels else next(each for each in labels if each in clip.labels)
        for clip, answer in zip(clips, guess, strict=True)
    ]
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

    Takes ``probabilities`` (clips, labels).
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


def _share(part: Any, whole: Any) -> float:
    """Divide; NaN where that cannot be done."""
    return round(float(part) / float(whole), 4) if whole else float("nan")
