"""Score detected onsets: one-to-one matching, precision, recall and F-measure.

References
----------
Böck, Krebs, Schedl: Evaluating the online capabilities of onset detection methods. ISMIR 2012.
Raffel et al.: mir_eval: a transparent implementation of common MIR metrics. ISMIR 2014.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MERGE", "Match", "f_measure", "match", "merged"]

Times = NDArray[np.float64]

#: Reference onsets this close to one before, in seconds, are one.
MERGE = 0.03


@dataclass(frozen=True)
class Match:
    """How many reference onsets were detected and missed, and how many detections are wrong.

    Parameters
    ----------
    hits, false_alarms, misses : int
        Numbers of onsets.
    """

    hits: int
    false_alarms: int
    misses: int

    @property
    def counts(self) -> tuple[int, int, int]:
        """Hits, false alarms, misses."""
        return self.hits, self.false_alarms, self.misses

    @property
    def precision(self) -> float:
        """Share of the detections that are right; 0 where there are none."""
        return self.hits / max(self.hits + self.false_alarms, 1)

    @property
    def recall(self) -> float:
        """Share of the reference onsets that were detected; 0 where there are none."""
        return self.hits / max(self.hits + self.misses, 1)

    @property
    def f_measure(self) -> float:
        """Harmonic mean of precision and recall."""
        return f_measure(*self.counts)

    def __add__(self, other: Match) -> Match:
        return Match(
            self.hits + other.hits,
            self.false_alarms + other.false_alarms,
            self.misses + other.misses,
        )


def f_measure(hits: int, false_alarms: int, misses: int) -> float:
    """Compute the harmonic mean of precision and recall."""
    total = 2 * hits + false_alarms + misses
    return 2 * hits / total if total else 1.0


def merged(onsets: Times, within: float = MERGE) -> Times:
    """Merge onsets that lie close together, at the time of the first."""
    kept: list[float] = []
    for time in np.sort(onsets):
        if not kept or time - kept[-1] > within:
            kept.append(float(time))
    return np.array(kept)


def match(reference: Times, detected: Times, window: float) -> Match:
    """Match detections with reference onsets, each with one at most.

    In order of time, each reference onset takes the first free detection within the window: for
    points on a line with one tolerance this gives as many pairs as there can be.
    """
    hits = i = j = 0
    while i < len(reference) and j < len(detected):
        distance = detected[j] - reference[i]
        if abs(distance) <= window:
            hits, i, j = hits + 1, i + 1, j + 1
        elif distance < 0:
            j += 1
        else:
            i += 1
    return Match(hits, len(detected) - hits, len(reference) - hits)
