"""Cross-validation of networks: one a part of the clips, each scored on the part it did not see."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

from audiocli.io.atomic import write_bytes
from audiocli.nn.registry import ModelEntry
from audiocli.tasks.classify.splits import Split

__all__ = ["TABLE", "cross_validate"]

TABLE = "folds.csv"


def cross_validate(
    split: Callable[[tuple[int, int]], Split],
    train: Callable[[Split, Path], ModelEntry],
    parts: int,
    output: Path,
) -> list[str]:
    """Train a network for each part, and sum up what they score.

    Parameters
    ----------
    split : callable
        Gives the clips with one part held out: (place, parts).
    train : callable
        Trains on such a split and writes a model folder; one that is there and complete, or was
        stopped, goes on.
    parts : int
        How many.
    output : Path
        Gets ``fold-0`` and so on, and ``folds.csv``.

    Returns
    -------
    list of str
        The scores of all parts, their mean and their standard deviation.
    """
    splits = [split((place, parts)) for place in range(parts)]  # refused before any is trained
    found: dict[str, list[float]] = {}
    for place, each in enumerate(splits):
        entry = train(each, output / f"fold-{place}")
        for score in entry.config["scores"]:
            found.setdefault(f"{score['metric']} ({score['unit']})", []).append(score["value"])
    rows = [["fold", "clips", *found]]
    rows += [
        [str(place), str(len(each.dev)), *(f"{values[place]:.1f}" for values in found.values())]
        for place, each in enumerate(splits)
    ]
    rows.append(["mean", "", *(f"{np.mean(values):.1f}" for values in found.values())])
    rows.append(["sd", "", *(f"{np.std(values, ddof=1):.1f}" for values in found.values())])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    write_bytes(output / TABLE, text.getvalue().encode(), overwrite=True)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
             for row in rows]  # fmt: skip
    return [*lines, str(output / TABLE)]
