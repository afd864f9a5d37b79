"""Score how well vectors of clips tell whether two have one label, say one speaker.

Two voices from two sets differ by their rooms and microphones as well, which makes them easy to
tell apart. So what counts is pairs of clips from one set, every set as much as the others, at one
threshold for all; pairs of any two clips are scored besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from audiocli.errors import DataError
from audiocli.tasks.classify import scoring
from audiocli.tasks.classify.measures import Measure

__all__ = ["PAIRS", "Verification", "pairs", "score_pairs"]

#: Pairs of clips that are compared, at most.
PAIRS = 200_000
# For intervals: resamples, and levels that scores are rounded to, which is quick.
SOME, LEVELS = 200, 4096
#: Scores that stand for a set where there are several, so that all weigh the same.
QUANTILES = 2048
#: Limits of a slope: a few clips that are all told apart must not make every pair certain.
FLATTEST, STEEPEST = 1.0, 100.0

Array = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Verification:
    """How well pairs are told apart.

    Parameters
    ----------
    measures : list of Measure
        Equal error rates: what counts first, then each set's own, then that of all clips together.
    numbers : dict
        ``threshold``, ``pairs`` and ``same_pairs`` of the first, and ``sets`` if there are any.
    decoder : dict
        ``threshold``, from which cosine on a pair is taken for one speaker, and ``slope``: their
        difference times this is the log odds of it, both kinds of pairs as likely before.
    """

    measures: list[Measure]
    numbers: dict[str, int | float]
    decoder: dict[str, float]


class _Trial(NamedTuple):
    """Pairs of some clips, by their places, and their cosines."""

    same: tuple[Places, Places]
    different: tuple[Places, Places]
    scores: tuple[Array, Array]


def pairs(
    speakers: Sequence[str], most: int = PAIRS, seed: int = 0
) -> tuple[tuple[Places, Places], tuple[Places, Places]]:
    """Pair clips of the same, and of different speakers."""
    _, ids = np.unique(np.asarray(speakers), return_inverse=True)
    order = np.argsort(ids, kind="stable")
    # In this order, clips of a speaker stand together: count those of others before each, and
    # then those of the same.
    others = np.searchsorted(ids[order], ids[order]).astype(np.int64)
    own = np.arange(len(order), dtype=np.int64) - others
    if not (own.sum() and others.sum()):
        raise DataError(
            "an equal error rate needs pairs of the same and of different speakers; "
            "take two speakers or more, with two clips or more each",
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
    directions: Array,
    speakers: Sequence[str],
    sets: Sequence[str] | None = None,
    most: int = PAIRS,
) -> Verification:
    """Score how well the cosine tells pairs of the same speaker from those of different ones.

    The intervals come from drawing speakers again: a pair counts as often as its speakers are
    drawn.
    """
    together = _trial(directions, speakers, np.arange(len(speakers)), most)
    parts: dict[str, _Trial] = {}
    for name in sorted(set(sets or ())):
        places = np.flatnonzero(np.asarray(sets) == name)
        try:
            parts[name] = _trial(directions, speakers, places, most)
        except DataError:  # one speaker alone, say
            continue
    if sets is not None and not parts:
        raise DataError(
            "no set has pairs of the same and of different speakers; leave out {pair_within}, or "
            "take two speakers or more of one set, with two clips or more each",
            "pair_within",
        )
    trials = list(parts.values()) or [together]
    scores = _all_alike(trials)
    threshold = scoring.equal_error_rate(*scores)[1]
    how = f"cosine of every two clips{' of one set, all sets alike' if parts else ''}"
    measures = [_measure("equal error rate", trials, how, speakers)]
    if parts:
        measures += [
            _measure(f"equal error rate of {name}", [trial], "cosine of every two clips", speakers)
            for name, trial in parts.items()
        ]
        how = "cosine of every two clips, also of two sets"
        measures.append(_measure("equal error rate of all", [together], how, speakers))
    numbers: dict[str, int | float] = {
        "threshold": round(threshold, 4),
        "pairs": sum(len(part) for trial in trials for part in trial.scores),
        "same_pairs": sum(len(trial.scores[0]) for trial in trials),
    }
    if parts:
        numbers["sets"] = len(parts)
    slope = _slope(scores, threshold)
    decoder = {"threshold": round(threshold, 4), "slope": round(slope, 3)}
    return Verification(measures, numbers, decoder)


def _trial(directions: Array, speakers: Sequence[str], places: Places, most: int) -> _Trial:
    """Pair the clips of some places."""
    found = pairs([speakers[place] for place in places], most)
    same, different = ((places[one], places[other]) for one, other in found)
    return _Trial(same, different, (_cosines(directions, same), _cosines(directions, different)))


def _all_alike(trials: Sequence[_Trial]) -> tuple[Array, Array]:
    """Cosines of both kinds of pairs, as many of each set."""
    if len(trials) == 1:
        return trials[0].scores
    levels = (np.arange(QUANTILES) + 0.5) / QUANTILES
    same, different = (
        np.concatenate([np.quantile(trial.scores[kind], levels) for trial in trials])
        for kind in (0, 1)
    )
    return same, different


def _measure(name: str, trials: Sequence[_Trial], how: str, speakers: Sequence[str]) -> Measure:
    """Find the equal error rate of some sets and its interval."""
    rate, threshold = scoring.equal_error_rate(*_all_alike(trials))
    low, high = _interval(trials, speakers)
    return Measure(name, rate, f"{how}, threshold {threshold:.3f}", low, high)


def _interval(trials: Sequence[_Trial], speakers: Sequence[str]) -> tuple[float, float]:
    # Scores that are next to each other count as one, which is quick.
    steps = np.unique(np.concatenate([part for trial in trials for part in trial.scores]))
    steps = steps[:: -(-len(steps) // LEVELS)]
    levels = [
        [np.searchsorted(steps, part, side="right") - 1 for part in trial.scores]
        for trial in trials
    ]
    ranks = np.arange(len(steps))

    def shares(level: Places, weights: Array) -> Array:
        counts = np.bincount(level, weights, len(steps))
        whole: Array = counts / max(float(counts.sum()), 1.0)
        return whole

    def rates(weights: Array) -> Array:
        one, other = np.zeros((2, len(weights), len(steps)))
        for row, drawn in enumerate(weights):
            for trial, (same, different) in zip(trials, levels, strict=True):
                one[row] += shares(same, drawn[trial.same[0]])
                twice = drawn[trial.different[0]] * drawn[trial.different[1]]
                other[row] += shares(different, twice)
        return scoring.equal_error_rate(ranks, ranks, (one, other))

    with np.errstate(invalid="ignore"):  # a resample may have no pairs of one kind
        return scoring.bootstrap(rates, speakers, SOME)


def _slope(scores: tuple[Array, Array], threshold: float) -> float:
    """Fit the slope of a logistic regression, both kinds of pairs weighted the same."""
    above, below = scores[0] - threshold, threshold - scores[1]

    def cost(slope: float) -> float:
        return float(sum(np.logaddexp(0, -slope * part).mean() for part in (above, below)))

    found = minimize_scalar(cost, bounds=(FLATTEST, STEEPEST), method="bounded")
    return float(found.x)


def _cosines(directions: Array, places: tuple[Places, Places]) -> Array:
    one, other = places
    parts = (slice(start, start + 4096) for start in range(0, len(one), 4096))  # bounds the memory
    return np.concatenate(
        [np.einsum("pu,pu->p", directions[one[part]], directions[other[part]]) for part in parts]
    )
