"""How good chords are: the measures of MIREX, by ``mir_eval``.

References
----------
Pauwels, Peeters: Evaluating automatically estimated chord sequences. ICASSP 2013.
Raffel et al.: mir_eval: a transparent implementation of common MIR metrics. ISMIR 2014.
"""

from __future__ import annotations

import warnings
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
#: What is shown first.
NAMES = ("root", "majmin", "majmin_inv", "sevenths", "tetrads", "mirex", "seg")

Scores = dict[str, float]


def score_song(truth: Segments, found: Segments) -> Scores:
    """Compare the chords of one recording with the truth.

    Parameters
    ----------
    truth, found : Segments
        With labels in Harte's syntax. What is found is cut or filled up with N to the
        truth's length.

    Returns
    -------
    dict of str to float
        Each of ``METRICS``, from 0 to 1.

    Examples
    --------
    >>> truth = Segments(np.array([0.0, 2.0]), np.array([2.0, 4.0]), ["C:maj", "A:min"], "chord")
    >>> found = Segments(np.array([0.0]), np.array([4.0]), ["C:maj7"], "chord")
    >>> scores = score_song(truth, found)
    >>> scores["majmin"], scores["sevenths"]
    (0.5, 0.0)
    """
    from mir_eval import chord as harte

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of truths without any chord that a measure counts
        measured = harte.evaluate(
            _intervals(truth), list(truth.labels), _intervals(found), list(found.labels)
        )
    return {metric: float(measured[metric]) for metric in METRICS}


def _intervals(segments: Segments) -> NDArray[np.float64]:
    return np.column_stack([segments.starts, segments.ends])


def weighted(scores: Sequence[Scores], seconds: Sequence[float]) -> Scores:
    """Average over recordings, each with the weight of its length.

    Parameters
    ----------
    scores : sequence of dict
        Of :func:`score_song`.
    seconds : sequence of float
        How long each recording's truth lasts.

    Returns
    -------
    dict of str to float

    Examples
    --------
    >>> weighted([{"root": 1.0}, {"root": 0.0}], [3.0, 1.0])
    {'root': 0.75}
    """
    weights = np.asarray(seconds) / np.sum(seconds)
    return {
        metric: float(np.dot(weights, [each[metric] for each in scores])) for metric in scores[0]
    }
