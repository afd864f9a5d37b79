"""Statistics of frames that come block by block."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocli.errors import UsageError, suggest

__all__ = ["MOMENTS", "Statistics", "check"]

Floats = NDArray[np.floating[Any]]

#: What is kept up to date in constant memory.
MOMENTS = ("mean", "std", "min", "max")


def check(names: Sequence[str]) -> tuple[str, ...]:
    """Check names of statistics."""
    for name in names:
        if name not in MOMENTS:
            _percentile(name)
    if not names:
        raise UsageError("no statistics: name some, such as mean,std,median,p10,p90")
    return tuple(dict.fromkeys(names))


def _percentile(name: str) -> float:
    if name == "median":
        return 50.0
    if not re.fullmatch(r"p\d+(\.\d+)?", name) or float(name[1:]) > 100:
        raise UsageError(
            f"statistic {name!r}: {suggest(name, [*MOMENTS, 'median'])}, and p0 to p100"
        )
    return float(name[1:])


class Statistics:
    """Statistics of columns, over frames that come block by block.

    Mean, standard deviation (of the population), minimum and maximum take constant memory. For
    median and percentiles, which are exact, all values are kept until the end.

    Parameters
    ----------
    names : sequence of str
        See :func:`check`.
    columns : int
        Number of columns.
    """

    def __init__(self, names: Sequence[str], columns: int) -> None:
        self.names = check(names)
        self._percentiles = {name: _percentile(name) for name in names if name not in MOMENTS}
        self._count = 0
        self._mean = np.zeros(columns)
        self._squares = np.zeros(columns)  # sum of squared distances from the mean
        self._min = np.full(columns, np.inf)
        self._max = np.full(columns, -np.inf)
        self._kept: list[Floats] = []

    def add(self, values: Floats) -> None:
        """Add a block (frames, columns)."""
        if not len(values):
            return
        if self._percentiles:
            self._kept.append(values)
        # Blocks are merged by their moments (Chan et al. 1979), which loses no digits.
        mean = values.mean(axis=0, dtype=np.float64)
        squares = np.square(values - mean).sum(axis=0)
        total = self._count + len(values)
        step = mean - self._mean
        self._squares += squares + step**2 * (self._count * len(values) / total)
        self._mean += step * (len(values) / total)
        self._count = total
        np.minimum(self._min, values.min(axis=0), out=self._min)
        np.maximum(self._max, values.max(axis=0), out=self._max)

    def result(self) -> NDArray[np.float64]:
        """Statistics of all blocks so far, (columns, statistics)."""
        found = np.full((len(self._mean), len(self.names)), np.nan)
        if not self._count:
            return found
        known = {
            "mean": self._mean,
            "std": np.sqrt(self._squares / self._count),
            "min": self._min,
            "max": self._max,
        }
        if self._percentiles:
            values = np.concatenate(self._kept)
            levels = list(self._percentiles.values())
            quantiles = np.percentile(values, levels, axis=0, overwrite_input=True)
            known |= dict(zip(self._percentiles, quantiles, strict=True))
        for place, name in enumerate(self.names):
            found[:, place] = known[name]
        return found
