"""How well beats were found: the F-measure, in plain numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["TOLERANCE", "f_measure", "trimmed"]

Times = NDArray[np.float64]

TOLERANCE = 0.07  # seconds
#: Beats before this are not scored: a listener, too, needs some time to find them.
FIRST = 5.0


def trimmed(times: Times, first: float = FIRST) -> Times:
    """Leave out beats before a time in seconds, as is usual."""
    return times[times >= first]


def f_measure(reference: Times, estimate: Times, tolerance: float = TOLERANCE) -> float:
    """Compute the F-measure of beats.

    Parameters
    ----------
    reference, estimate : ndarray
        In seconds, ascending.
    tolerance : float
        A beat is found if an estimate is as close as this, in seconds; each estimate finds one.

    Returns
    -------
    float
        Between 0 and 1; 1 if there is nothing to find and nothing was found.

    Examples
    --------
    >>> f_measure(np.array([1.0, 2.0]), np.array([1.05, 2.5]))
    0.5
    """
    if not len(reference) and not len(estimate):
        return 1.0
    hits, place = 0, 0
    for time in reference:  # both ascend, so the first that is close enough is the best to take
        while place < len(estimate) and estimate[place] < time - tolerance:
            place += 1
        if place < len(estimate) and estimate[place] <= time + tolerance:
            hits, place = hits + 1, place + 1
    return 2 * hits / (len(reference) + len(estimate))
