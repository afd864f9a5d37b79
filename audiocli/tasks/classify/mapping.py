"""Which of a model's classes stand for each label of a data set, as a table says."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocli.errors import DataError, suggest

__all__ = ["mapped", "read_mapping"]

Floats = NDArray[np.floating]
COLUMNS = ("label", "class")


def read_mapping(path: Path, classes: Sequence[str]) -> dict[str, list[str]]:
    """Read the classes of each label from a table with a row for each pair."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, restval="")
            if not set(COLUMNS) <= set(reader.fieldnames or ()):
                raise DataError(f"{path}: needs the columns {' and '.join(COLUMNS)}")
            first, second = COLUMNS
            rows = [(reader.line_num, row[first].strip(), row[second].strip()) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    found: dict[str, list[str]] = {}
    for line, label, name in rows:
        if not label or name not in classes:
            raise DataError(
                f"{path}, line {line}: the model has no class {name!r}: {suggest(name, classes)}"
                if label
                else f"{path}, line {line}: has no label"
            )
        found.setdefault(label, []).append(name)
    if not found:
        raise DataError(f"{path}: holds no pairs of a label and a class")
    return found


def mapped(
    probabilities: Floats, classes: Sequence[str], mapping: Mapping[str, Sequence[str]]
) -> Floats:
    """Give each label (clips, labels) the probability of its likeliest class."""
    place = {name: index for index, name in enumerate(classes)}
    columns = [probabilities[:, [place[name] for name in names]].max(axis=1, initial=0.0)
               for names in mapping.values()]  # fmt: skip
    return np.stack(columns, axis=1)
