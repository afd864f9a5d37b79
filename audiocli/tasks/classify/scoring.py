"""Score labels and probabilities: accuracy, F1, ROC and PR AUC, equal error rate, calibration.

Most measures also take weights, one row a resample: then they give one value a row. This is how
:func:`bootstrap` scores a thousand resamples at once.

References
----------
Guo, Pleiss, Sun, Weinberger: On calibration of modern neural networks. ICML 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from audiocli.errors import DataError

__all__ = [
    "BINS",
    "LabelScores",
    "accuracy",
    "average_precision",
    "bootstrap",
    "calibration_error",
    "confusion",
    "equal_error_rate",
    "fit_temperature",
    "macro_f1",
    "roc_auc",
]

#: Of equal width, from 0 to 1, for the calibration error.
BINS = 15
#: Limits of a temperature: a few clips, all right, must not make every output certain.
COLDEST, HOTTEST = 0.2, 50.0
ROWS = 64  # resamples scored at once, which bounds the memory

Array = NDArray[np.float64]
Area = Callable[[Array, Array, Array, Array], Array]
Names = Sequence[str] | Sequence[int] | NDArray[Any]
Numbers = Sequence[float] | NDArray[Any]


@dataclass(frozen=True)
class LabelScores:
    """A measure of each label.

    Parameters
    ----------
    values : ndarray, shape (labels,)
        NaN for a label that all clips have, or none: it cannot be scored.
    mean : float
        Of those that can be scored; NaN if none can.
    left_out : int
        How many cannot.
    """

    values: Array
    mean: float
    left_out: int


@overload
def accuracy(reference: Names, estimate: Names) -> float: ...
@overload
def accuracy(reference: Names, estimate: Names, weights: Array) -> Array: ...
def accuracy(reference: Names, estimate: Names, weights: Array | None = None) -> float | Array:
    """Compute the share of clips whose label is right.

    With weights (resamples, clips), one value for each resample.
    """
    right = np.asarray(reference) == np.asarray(estimate)
    weighted = _weights(weights, len(right))
    return _given(_ratio(weighted @ right, weighted.sum(axis=1)), weights)


@overload
def macro_f1(reference: Names, estimate: Names, *, labels: Names | None = None) -> float: ...
@overload
def macro_f1(
    reference: Names, estimate: Names, weights: Array, *, labels: Names | None = None
) -> Array: ...
def macro_f1(
    reference: Names, estimate: Names, weights: Array | None = None, *, labels: Names | None = None
) -> float | Array:
    """Compute the mean over the labels of the F1 of each.

    With weights (resamples, clips), one value for each resample.
    """
    right, given = np.asarray(reference), np.asarray(estimate)
    names = np.unique(np.concatenate([right, given]) if labels is None else np.asarray(labels))
    is_right, is_given = (part[:, None] == names for part in (right, given))
    weighted = _weights(weights, len(right))
    hits = weighted @ (is_right & is_given)
    found = _ratio(2 * hits, weighted @ is_right.astype(np.float64) + weighted @ is_given)
    return _given(_mean(found), weights)


def confusion(reference: Names, estimate: Names, labels: Names) -> NDArray[np.int64]:
    """Count how often clips of one label were given another, (labels, labels)."""
    places = {label: place for place, label in enumerate(np.asarray(labels).tolist())}
    pairs = [np.asarray(part).tolist() for part in (reference, estimate)]
    other = sorted({str(label) for part in pairs for label in part if label not in places})
    if other:
        raise ValueError(f"not among the labels: {', '.join(other)}")
    matrix = np.zeros((len(places), len(places)), np.int64)
    rows, columns = ([places[label] for label in part] for part in pairs)
    np.add.at(matrix, (rows, columns), 1)
    return matrix


@overload
def roc_auc(reference: NDArray[Any], scores: NDArray[Any]) -> LabelScores: ...
@overload
def roc_auc(reference: NDArray[Any], scores: NDArray[Any], weights: Array) -> Array: ...
def roc_auc(
    reference: NDArray[Any], scores: NDArray[Any], weights: Array | None = None
) -> LabelScores | Array:
    """Compute the area under the ROC curve of each label.

    That is how often a clip that has the label scores above one that has not; ties count half.
    """

    def area(having: Array, every: Array, below: Array, total: Array) -> Array:
        lacking = every - having
        pairs = having * (below - (np.cumsum(having, axis=0) - having) + 0.5 * lacking)
        count = having.sum(axis=0)
        return _ratio(pairs.sum(axis=0), count * (total - count))

    return _label_scores(area, reference, scores, weights)


@overload
def average_precision(reference: NDArray[Any], scores: NDArray[Any]) -> LabelScores: ...
@overload
def average_precision(reference: NDArray[Any], scores: NDArray[Any], weights: Array) -> Array: ...
def average_precision(
    reference: NDArray[Any], scores: NDArray[Any], weights: Array | None = None
) -> LabelScores | Array:
    """Compute the area under the precision-recall curve of each label, in steps."""

    def area(having: Array, every: Array, below: Array, total: Array) -> Array:
        count = having.sum(axis=0)
        hits = count - np.cumsum(having, axis=0) + having
        precision = hits / np.maximum(total - below, 1e-12)
        mean = _ratio((having * precision).sum(axis=0), count)
        return np.where(total > count, mean, np.nan)

    return _label_scores(area, reference, scores, weights)


def _label_scores(
    area: Area, reference: NDArray[Any], scores: NDArray[Any], weights: Array | None
) -> LabelScores | Array:
    """Score each label by its levels: those scores, rising, that clips with the label have.

    An area gets for each level and resample the weight of the clips that have the label, of all
    clips, and of all that score lower; and for each resample that of all there are.
    """
    weighted = _weights(weights, len(reference))
    by_clip = np.ascontiguousarray(weighted.T)
    values = np.full((len(weighted), reference.shape[1]), np.nan)
    for label, (has, score) in enumerate(zip(reference.T.astype(bool), scores.T, strict=True)):
        if has.all() or not has.any():
            continue
        order = np.argsort(score, kind="stable")
        up_to, starts = np.cumsum(by_clip[order], axis=0), _starts(score[order])
        places = np.flatnonzero(has[order])
        level = np.searchsorted(starts, places, side="right") - 1
        firsts = _starts(level)
        having = np.add.reduceat(by_clip[order[places]], firsts, axis=0)
        first, end = starts[level[firsts]], np.append(starts, len(order))[level[firsts] + 1]
        below = np.where(first[:, None] > 0, up_to[first - 1], 0)
        values[:, label] = area(having, up_to[end - 1] - below, below, up_to[-1])
    means = _mean(values)
    if weights is not None:
        return means
    return LabelScores(values[0], float(means[0]), int(np.isnan(values[0]).sum()))


@overload
def equal_error_rate(same_scores: Numbers, different_scores: Numbers) -> tuple[float, float]: ...
@overload
def equal_error_rate(
    same_scores: Numbers, different_scores: Numbers, weights: tuple[Array, Array]
) -> Array: ...
def equal_error_rate(
    same_scores: Numbers, different_scores: Numbers, weights: tuple[Array, Array] | None = None
) -> tuple[float, float] | Array:
    """Find where false acceptances and false rejections are equally frequent: rate and score."""
    same, different = (np.asarray(part, np.float64) for part in (same_scores, different_scores))
    if not (len(same) and len(different)):
        raise DataError(
            "an equal error rate needs pairs of the same and of different speakers; "
            "take two speakers or more, with two clips or more each"
        )
    of_same, of_different = (
        _weights(weight, len(part))
        for weight, part in zip(weights or (None, None), (same, different), strict=True)
    )
    scores = np.concatenate([same, different])
    order = np.argsort(-scores, kind="stable")
    levels = _starts(scores[order])
    is_same = order < len(same)
    both = np.concatenate([of_same, of_different], axis=1)[:, order]
    sums = [np.add.reduceat(both * kind, levels, axis=1) for kind in (is_same, ~is_same)]
    found, false = (_ratio(np.cumsum(x, axis=1), x.sum(axis=1, keepdims=True)) for x in sums)
    # From more misses than false alarms, with nothing accepted, to the contrary.
    gap = false - (1 - found)
    rows, at = np.arange(len(gap)), (gap > -1e-12).argmax(axis=1)
    before = np.where(at > 0, gap[rows, at - 1], -1.0)
    lower = np.where(at > 0, false[rows, at - 1], 0.0)
    part = np.clip(_ratio(-before, gap[rows, at] - before), 0, 1)
    rates: Array = lower + part * (false[rows, at] - lower)
    if weights is not None:
        return rates
    place, values = int(at[0]), scores[order][levels]
    after = place + 1 if abs(gap[0, place]) < 1e-12 and place + 1 < len(values) else place
    return float(rates[0]), float((values[place] + values[after]) / 2)


@overload
def calibration_error(confidence: NDArray[Any], right: NDArray[Any]) -> float: ...
@overload
def calibration_error(confidence: NDArray[Any], right: NDArray[Any], weights: Array) -> Array: ...
def calibration_error(
    confidence: NDArray[Any], right: NDArray[Any], weights: Array | None = None
) -> float | Array:
    """Compute the expected calibration error in bins of equal width (Guo et al., 2017)."""
    sure = np.asarray(confidence, np.float64)
    sure = sure[:, None] if sure.ndim == 1 else sure
    gaps = sure - np.asarray(right, np.float64).reshape(sure.shape)
    bins = np.clip(np.ceil(sure * BINS).astype(int) - 1, 0, BINS - 1)
    sums = np.zeros((len(sure), BINS))
    np.add.at(sums, (np.arange(len(sure))[:, None], bins), gaps)
    weighted = _weights(weights, len(sure))
    error = np.abs(weighted @ sums).sum(axis=1)
    return _given(_ratio(error, weighted.sum(axis=1) * sure.shape[1]), weights)


def fit_temperature(logits: NDArray[Any], reference: NDArray[Any]) -> float:
    """Find the temperature to divide logits by that makes the reference labels most probable."""
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    values, true = np.asarray(logits, np.float64), np.asarray(reference)

    def loss(log: float) -> float:
        scaled = values * np.exp(-log)
        if true.ndim == 2:
            return float(np.mean(np.logaddexp(0, np.where(true > 0, -scaled, scaled))))
        chosen = scaled[np.arange(len(scaled)), true]
        return float(np.mean(logsumexp(scaled, axis=1) - chosen))

    ends = (np.log(COLDEST), np.log(HOTTEST))
    return float(np.exp(minimize_scalar(loss, bounds=ends, method="bounded").x))


def bootstrap(
    statistic: Callable[[Array], Array], groups: Names, count: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Estimate the 95 % interval of a measure by drawing whole groups with replacement.

    Clips of one artist, speaker or file resemble each other; so groups are drawn, not clips.
    """
    names, places = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < 2:
        return float("nan"), float("nan")
    random = np.random.default_rng(seed)
    drawn = random.multinomial(len(names), np.full(len(names), 1 / len(names)), size=count)
    parts = (drawn[start : start + ROWS] for start in range(0, count, ROWS))
    values = np.concatenate([statistic(part[:, places].astype(np.float64)) for part in parts])
    if np.isnan(values).all():
        return float("nan"), float("nan")
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)


def _weights(weights: Array | None, count: int) -> Array:
    return np.ones((1, count)) if weights is None else weights


def _given(values: Array, weights: Array | None) -> float | Array:
    """Return a number where no weights were given."""
    return float(values[0]) if weights is None else values


def _ratio(above: Array, below: Array) -> Array:
    """Divide; NaN where the divisor is zero."""
    return np.where(below > 0, above / np.where(below > 0, below, 1), np.nan)


def _mean(values: Array) -> Array:
    """Average each row over what is a number."""
    there = ~np.isnan(values)
    return _ratio(np.where(there, values, 0).sum(axis=1), there.sum(axis=1).astype(np.float64))


def _starts(in_order: NDArray[Any]) -> NDArray[np.intp]:
    """Find where each run of equal values starts."""
    return np.flatnonzero(np.concatenate([[True], in_order[1:] != in_order[:-1]]))
