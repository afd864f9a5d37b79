"""Labelled clips: a folder a class, or a table of paths and labels; and how to split them.

A folder with a ``labels.csv`` in it (or ``.parquet``, ``.jsonl``) holds what the table names, in
its column ``path``; the labels stand in a column of choice, several of them with ``;`` between.
Without one, JAMS files beside the audio tell the labels, or else the folders inside are the
classes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocli.batch.inputs import find_inputs
from audiocli.errors import DataError, UsageError, warn
from audiocli.tasks.annotated import title
from audiocli.tasks.label_tables import NAMES, jams_facts, read_table, table_of

__all__ = [
    "LabelledClip",
    "Selection",
    "find_clips",
    "folds",
    "label_set",
    "part_of",
    "refuse_several",
    "select",
    "target_matrix",
]

#: How many missing files a message lists.
NAMED = 20


@dataclass(frozen=True)
class LabelledClip:
    """A recording with its labels and other metadata.

    Parameters
    ----------
    path : Path
        The audio.
    name : str
        Its path below the folder, with ``/`` on every system.
    folder : Path
        Where it was found.
    labels : tuple of str
        One for a classifier; any number for a tagger.
    facts : dict of str to str
        The table's other columns: artist, speaker, fold.
    """

    path: Path
    name: str
    folder: Path
    labels: tuple[str, ...]
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """FOLDER/NAME, what patterns are matched with."""
        return title(self.folder, self.name)

    def group(self, column: str | None) -> str:
        """Group, which must not be on both sides of a split: the column's value, or the title."""
        value = self.facts.get(column, "") if column else ""
        return value or self.title


@dataclass(frozen=True)
class Selection:
    """Which labels and clips to take.

    Parameters
    ----------
    columns : tuple of str
        The table's columns that hold labels.
    group : str, optional
        The column that says what belongs together, say ``artist``.
    renamed : dict of str to str
        Labels that are called something else here; an empty name leaves the label out.
    min_clips : int
        Labels that fewer clips have are left out.
    multi_label : bool
        Let a classifier's clips have several labels: any of them is a right answer, and in
        training each counts in equal parts.
    pair_within : str, optional
        The column of the sets, where clips are compared two by two: those of two sets differ by
        more than their labels, so pairs of one set are what counts.
    """

    columns: tuple[str, ...] = ("label",)
    group: str | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    min_clips: int = 1
    multi_label: bool = False
    pair_within: str | None = None

    def sets(self, clips: Sequence[LabelledClip]) -> list[str] | None:
        """Set of each clip, for comparison in pairs; None without sets."""
        column = self.pair_within
        return None if column is None else [clip.facts[column] for clip in clips]


def find_clips(folder: Path, selection: Selection, *, missing: bool = False) -> list[LabelledClip]:
    """Find the labelled clips of a folder or a table."""
    table = table_of(folder)
    if table is not None:
        found = _joined(_listed(table, selection, missing))
    elif described := _with_jams(folder, selection):
        found = described
    elif named := selection.group or selection.pair_within:
        field = "group" if selection.group else "pair_within"
        raise DataError(
            f"{folder}: has no {NAMES[0]}, so nothing in it has a {named!r}; leave out "
            f"{{{field}}}, or write the table (columns path, label and that)",
            field,
        )
    else:
        found = _in_folders(folder)
    clips = [replace(clip, labels=_renamed(clip.labels, selection.renamed)) for clip in found]
    clips = [clip for clip in clips if clip.labels]
    if not clips:
        raise DataError(
            f"{folder}: no labelled audio; give a folder with {NAMES[0]} (columns path and "
            f"{', '.join(selection.columns)}), or one with a folder for each class"
        )
    return clips


def _renamed(labels: Sequence[str], names: Mapping[str, str]) -> tuple[str, ...]:
    new = (names.get(label, label) for label in labels)
    return tuple(dict.fromkeys(label for label in new if label))


def _listed(table: Path, selection: Selection, missing: bool) -> list[LabelledClip]:
    known, rows = read_table(table)
    further = [name for name in (selection.group, selection.pair_within) if name]
    for column in ("path", *selection.columns, *further):
        if column not in known:
            raise DataError(
                f"{table}: has no column {column!r}; it has {', '.join(known) or 'none'}"
            )
    clips = []
    lost: list[str] = []
    for number, row in rows:
        path = table.parent / row["path"]
        if not row["path"] or "\0" in row["path"] or not (missing or path.is_file()):
            lost.append(f"line {number}: there is no file {row['path']!r}")
            continue
        cells = ";".join(row[column] for column in selection.columns)
        labels = tuple(part.strip() for part in cells.split(";") if part.strip())
        clips.append(LabelledClip(path, _below(row["path"]), table.parent, labels, row))
    if lost:
        more = f"; and {len(lost) - NAMED} more" if len(lost) > NAMED else ""
        raise DataError(f"{table}, {'; '.join(lost[:NAMED])}{more}")
    return clips


def _joined(clips: Sequence[LabelledClip]) -> list[LabelledClip]:
    """Join the rows of one file, so that nothing is trained or scored on both as if it were two."""
    rows: dict[str, list[LabelledClip]] = {}
    for clip in clips:
        rows.setdefault(os.path.realpath(clip.path), []).append(clip)
    again = [found for found in rows.values() if len({each.labels for each in found}) < len(found)]
    if again:
        count = "1 file" if len(again) == 1 else f"{len(again)} files"
        warn(f"{again[0][0].title}: stands in several rows that say the same; {count} like that "
             "count once")  # fmt: skip
    labels = [dict.fromkeys(each for clip in found for each in clip.labels)
              for found in rows.values()]  # fmt: skip
    return [
        replace(found[0], labels=tuple(names))
        for found, names in zip(rows.values(), labels, strict=True)
    ]


def _below(name: str) -> str:
    """Name a file outside the folder by its last two parts, the same on every machine."""
    path = Path(name)
    outside = path.is_absolute() or ".." in path.parts
    return "/".join(path.parts[-2:]) if outside else path.as_posix()


def _in_folders(folder: Path) -> list[LabelledClip]:
    clips = []
    for item in find_inputs([str(folder)]):
        parts = item.relative.parts
        if item.problem is None and len(parts) > 1:
            name = item.relative.as_posix()
            clips.append(LabelledClip(item.path, name, folder, (parts[0],), {"label": parts[0]}))
    return clips


def _with_jams(folder: Path, selection: Selection) -> list[LabelledClip]:
    """Find audio with a JAMS file beside it that tags the whole recording."""
    clips = []
    for item in find_inputs([str(folder)]):
        file = item.path.with_suffix(".jams")
        if item.problem is None and file.is_file():
            facts = jams_facts(file)
            for column in filter(None, (selection.group, selection.pair_within)):
                if not facts.get(column):
                    known = ", ".join(name for name in facts if facts[name])
                    raise DataError(f"{item.path}: its JAMS file has no {column!r}; it has {known}")
            cells = ";".join(facts.get(column, "") for column in selection.columns)
            labels = tuple(part.strip() for part in cells.split(";") if part.strip())
            clips.append(LabelledClip(item.path, item.relative.as_posix(), folder, labels, facts))
    return clips if any(clip.labels for clip in clips) else []


def label_set(clips: Sequence[LabelledClip], min_clips: int = 1) -> list[str]:
    """List the labels that enough clips have."""
    counts: dict[str, int] = {}
    for clip in clips:
        for label in clip.labels:
            counts[label] = counts.get(label, 0) + 1
    return sorted(label for label, count in counts.items() if count >= min_clips)


def target_matrix(clips: Sequence[LabelledClip], labels: Sequence[str]) -> NDArray[np.float32]:
    """Mark the labels of clips in a matrix (clips, labels)."""
    place = {label: index for index, label in enumerate(labels)}
    targets = np.zeros((len(clips), len(labels)), np.float32)
    for row, clip in zip(targets, clips, strict=True):
        for label in clip.labels:
            if label in place:
                row[place[label]] = 1
    return targets


def select(
    clips: Sequence[LabelledClip], patterns: Sequence[str], field: str
) -> list[LabelledClip]:
    """Take the clips that match any of the patterns."""
    taken = []
    for pattern in patterns:
        fitting = [clip for clip in clips if _means(pattern, clip)]
        if not fitting:
            raise DataError(
                f"{{{field}}} {pattern}: no clip is meant by that; they are called like "
                f"{clips[0].title if clips else 'FOLDER/NAME'}, and a COLUMN=VALUE of the table "
                "means all clips that have it",
                field,
            )
        taken += fitting
    chosen = {clip.path for clip in taken}
    return [clip for clip in clips if clip.path in chosen]


def _means(pattern: str, clip: LabelledClip) -> bool:
    column, equals, value = pattern.partition("=")
    if equals and column in clip.facts:
        return fnmatchcase(clip.facts[column], value)
    return fnmatchcase(clip.title, pattern)


def folds(clips: Sequence[LabelledClip], group: str | None, count: int) -> list[list[int]]:
    """Split clips into folds, each group in one of them, with labels spread evenly."""
    groups: dict[str, list[int]] = {}
    for place, clip in enumerate(clips):
        groups.setdefault(clip.group(group), []).append(place)
    if len(groups) < count:
        raise DataError(f"{len(groups)} groups cannot be parted into {count} folds")
    parts: list[list[int]] = [[] for _ in range(count)]
    tallies: list[dict[str, int]] = [{} for _ in range(count)]

    def burden(part: int, labels: Sequence[str]) -> tuple[int, int]:
        return sum(tallies[part].get(label, 0) for label in labels), len(parts[part])

    # The largest first, each to where its labels are scarcest.
    for _, places in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
        labels = [label for place in places for label in clips[place].labels]
        part = min(range(count), key=lambda index: burden(index, labels))
        parts[part] += places
        for label in labels:
            tallies[part][label] = tallies[part].get(label, 0) + 1
    return [sorted(part) for part in parts]


def part_of(
    clips: Sequence[LabelledClip], group: str | None, fold: tuple[int, int]
) -> list[LabelledClip]:
    """Take one of the folds that :func:`folds` makes."""
    place, parts = fold
    if not 0 <= place < parts or parts < 2:
        raise UsageError(f"fold {place} of {parts}: parts are two or more, and count from 0")
    return [clips[index] for index in folds(clips, group, parts)[place]]


def refuse_several(clips: Sequence[LabelledClip], advice: str) -> None:
    """Refuse clips with several labels where one is needed."""
    for clip in clips:
        if len(clip.labels) > 1:
            labels = "; ".join(clip.labels)
            raise DataError(
                f"{clip.path}: has several labels ({labels}); one is needed: {advice}",
                "multi_label",
                "columns",
            )
