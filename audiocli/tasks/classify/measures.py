"""Scores of classifiers and taggers: over all clips, a row a clip, a row a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocli.tasks.classify import scoring
from audiocli.tasks.classify.clips import LabelledClip, target_matrix

__all__ = [
    "Measure",
    "Scores",
    "interval_in_words",
    "score_classes",
    "score_tags",
]

# Resamples; areas take longer than labels do.
MANY, SOME = 1000, 200

Array = NDArray[np.float64]


def interval_in_words(low: float, high: float) -> str:
    """Write a 95 % interval in %; empty without one."""
    return "" if np.isnan(low) else f"95 % interval {100 * low:.1f} to {100 * high:.1f}"


@dataclass(frozen=True)
class Measure:
    """One score of a model.

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
        return interval_in_words(self.low, self.high)


@dataclass(frozen=True)
class Scores:
    """The scores of a model on some clips.

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
        One row a reference label, one column an estimate.
    """

    measures: list[Measure]
    clips: list[dict[str, Any]] = field(default_factory=list)
    total: dict[str, Any] = field(default_factory=dict)
    classes: list[dict[str, Any]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    confusion: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), np.int64))


def score_classes(
    clips: Sequence[LabelledClip],
    probabilities: Array,
    labels: Sequence[str],
    groups: Sequence[str],
    *,
    shares: bool = True,
) -> Scores:
    """Score the likeliest labels, by probabilities (clips, labels).

    Their calibration is scored where they are shares, those of one choice among all labels.
    """
    estimate = [labels[place] for place in probabilities.argmax(axis=1)]
    reference = [
        answer if answer in clip.labels else next(each for each in labels if each in clip.labels)
        for clip, answer in zip(clips, estimate, strict=True)
    ]
    sure = probabilities.max(axis=1, initial=0.0)
    right = np.array([one == other for one, other in zip(reference, estimate, strict=True)], bool)
    interval = scoring.bootstrap(lambda w: scoring.accuracy(reference, estimate, w), groups, MANY)
    measures = [
        Measure("accuracy", scoring.accuracy(reference, estimate), "", *interval),
        Measure("macro F1", scoring.macro_f1(reference, estimate), "mean over the classes"),
    ]
    if shares:
        error = scoring.calibration_error(sure, right)
        measures.append(Measure("expected calibration error", error, f"{scoring.BINS} bins"))
    rows = [
        {"file": clip.title, "label": one, "guess": other, "probability": round(float(p), 4),
         "right": int(one == other)}
        for clip, one, other, p in zip(clips, reference, estimate, sure, strict=True)
    ]  # fmt: skip
    total = {"file": "all", "label": "", "guess": "", "probability": _share(sure.sum(), len(sure)),
             "right": _share(right.sum(), len(sure))}  # fmt: skip
    shown = [label for label in labels if label in {*reference, *estimate}]
    matrix = scoring.confusion(reference, estimate, shown)
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
    clips: Sequence[LabelledClip],
    probabilities: Array,
    labels: Sequence[str],
    threshold: float,
    groups: Sequence[str],
) -> Scores:
    """Score the probabilities (clips, labels) of tags."""
    reference, given = target_matrix(clips, labels) > 0, probabilities >= threshold
    areas = scoring.roc_auc(reference, probabilities)
    precisions = scoring.average_precision(reference, probabilities)
    interval = scoring.bootstrap(
        lambda w: scoring.roc_auc(reference, probabilities, w), groups, SOME
    )
    both, of_both = (reference & given).sum(axis=1), reference.sum(axis=1) + given.sum(axis=1)
    together = _share(2 * both.sum(), of_both.sum())
    mean = f"mean over {len(labels) - areas.left_out} tags"
    measures = [
        Measure("ROC AUC", areas.mean, mean, *interval),
        Measure("PR AUC", precisions.mean, f"average precision, {mean}"),
        Measure("F-measure", together, f"all tags together, at a threshold of {threshold:g}"),
        Measure("expected calibration error", scoring.calibration_error(probabilities, reference),
                f"{scoring.BINS} bins, all tags together"),
    ]  # fmt: skip
    having = reference.sum(axis=0)
    classes = [
        {"label": label, "roc_auc": round(float(areas.values[place]), 4),
         "pr_auc": round(float(precisions.values[place]), 4), "clips": int(having[place])}
        for place, label in enumerate(labels)
    ]  # fmt: skip
    rows: list[dict[str, Any]] = []
    for clip, row, has, gives in zip(clips, probabilities, reference, given, strict=True):
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
    """Divide; NaN where the whole is zero."""
    return round(float(part) / float(whole), 4) if whole else float("nan")
