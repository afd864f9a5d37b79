"""Score chords by the measures of MIREX, with ``mir_eval``.

References
----------
Pauwels, Peeters: Evaluating automatically estimated chord sequences. ICASSP 2013.
Raffel et al.: mir_eval: a transparent implementation of common MIR metrics. ISMIR 2014.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audiocli.io.formats import Segments

__all__ = ["METRICS", "NAMES", "Scores", "score_song", "weighted"]

#: Weighted chord symbol recall in several vocabularies, and the segmentation.
METRICS = (
    "root", "thirds", "thirds_inv", "triads", "triads_inv", "majmin", "majmin_inv", "sevenths",
    "sevenths_inv", "tetrads", "tetrads_inv", "mirex", "underseg", "overseg", "seg",
)  # fmt: skip
#: Those of them that score only where chords change.
SEGMENTATION = ("underseg", "overseg", "seg")
#: What is shown first.
NAMES = ("root", "majmin", "majmin_inv", "sevenths", "tetrads", "mirex", "seg")

Scores = dict[str, float]


def score_song(reference: Segments, estimate: Segments) -> Scores:
    """Compare the chords of a recording with the reference, as ``mir_eval.chord.evaluate``."""
    from mir_eval import chord as harte
    from mir_eval import util

    span = _intervals(reference)
    begin, end = float(span.min()), float(span.max())
    intervals, labels = util.adjust_intervals(
        _intervals(estimate), list(estimate.labels), begin, end, harte.NO_CHORD, harte.NO_CHORD
    )
    # What begins where the reference ends has no length.
    lasting = intervals[:, 1] > intervals[:, 0]
    intervals, labels = intervals[lasting], list(itertools.compress(labels, lasting))
    merged = [
        harte.merge_chord_intervals(*each)
        for each in ((span, list(reference.labels)), (intervals, labels))
    ]
    common, right, found = util.merge_labeled_intervals(
        span, list(reference.labels), intervals, labels
    )
    durations = util.intervals_to_durations(common)
    scores = {
        metric: _recall(getattr(harte, metric)(right, found), durations)
        for metric in METRICS
        if metric not in SEGMENTATION
    }
    if all(map(math.isnan, scores.values())):  # the reference is unknown from end to end
        return {metric: math.nan for metric in METRICS}
    under, over = float(harte.underseg(*merged)), float(harte.overseg(*merged))
    return {**scores, "underseg": under, "overseg": over, "seg": min(over, under)}


def _recall(right: NDArray[np.float64], durations: NDArray[np.float64]) -> float:
    """Mean over what can be compared, weighted by length; NaN where nothing can be."""
    from mir_eval.chord import weighted_accuracy

    if not ((right >= 0) & (durations > 0)).any():
        return math.nan
    return float(weighted_accuracy(right, durations))


def _intervals(segments: Segments) -> NDArray[np.float64]:
    return np.column_stack([segments.starts, segments.ends])


def weighted(scores: Sequence[Scores], seconds: Sequence[float]) -> Scores:
    """Average over recordings, each with the weight of its length."""
    return {
        metric: _mean([each[metric] for each in scores], np.asarray(seconds))
        for metric in scores[0]
    }


def _mean(values: Sequence[float], seconds: NDArray[np.float64]) -> float:
    defined = ~np.isnan(values)
    if not defined.any():
        return math.nan
    weights = seconds[defined] / np.sum(seconds[defined])
    return float(np.dot(weights, np.asarray(values)[defined]))
