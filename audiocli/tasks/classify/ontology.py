"""Labels at a level of the tree that a model's configuration has them in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from audiocli.errors import FieldError
from audiocli.nn.registry import ModelEntry
from audiocli.tasks.classify.decisions import Track

__all__ = ["at_level", "check_level", "families", "families_of"]

#: For each of the labels, the names that it goes by at a level: several where it has many parents.
Families = Mapping[str, Sequence[str]]


def families(parents: Mapping[str, Sequence[str]], labels: Sequence[str], level: int) -> Families:
    """Name what each label is at a level, from 1; one that is not so deep stays itself."""

    def paths(name: str) -> Iterator[list[str]]:
        above = parents.get(name) or ()
        if not above:
            yield [name]
        for parent in above:
            for path in paths(parent):
                yield [*path, name]

    return {
        label: list(dict.fromkeys(path[:level][-1] for path in paths(label))) for label in labels
    }


def families_of(entry: ModelEntry, level: int) -> Families:
    """Name what the labels of a model are at a level; those for the absence of sound stay."""
    labels = [str(label) for label in entry.config["labels"]]
    found = families(entry.config.get("parents") or {}, labels, level)
    absent: Any = entry.config.get("absence") or ()
    return {label: [label] if label in absent else names for label, names in found.items()}


def check_level(entries: Sequence[ModelEntry]) -> None:
    """Refuse a level of models whose labels are in no tree."""
    flat = [entry.name for entry in entries if not entry.config.get("parents")]
    if flat:
        raise FieldError(
            f"{', '.join(flat)}: {{level}} needs a model whose labels have parents, as those of "
            "audioset do",
            "level",
        )


def at_level(track: Track, named: Families) -> Track:
    """Join the labels of a track that are one at a level.

    Where any number of labels may hold, a family is as probable as the likeliest of its labels, and
    else as all of them together.
    """
    names = list(dict.fromkeys(name for label in track.labels for name in named[label]))
    joined = np.zeros((len(track.probabilities), len(names)), np.float32)
    for label, column in zip(track.labels, track.probabilities.T, strict=True):
        for name in named[label]:
            place = names.index(name)
            if track.independent:
                joined[:, place] = np.maximum(joined[:, place], column)
            else:
                joined[:, place] += column / len(named[label])
    return replace(track, labels=tuple(names), probabilities=joined)
