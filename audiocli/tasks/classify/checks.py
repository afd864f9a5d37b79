"""Checks of labelled clips before training, which report all problems at once.

Spellings of one group are put right, with a warning.
The rest is listed, for :func:`audiocli.tasks.training_data.refuse`.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import replace

from audiocli.errors import AudioError, warn
from audiocli.io.audio import AudioReader
from audiocli.tasks.classify.clips import LabelledClip, label_set
from audiocli.tasks.training_data import Stage, read_each

__all__ = ["alike", "one_group_each", "readable", "similar_labels", "unbalanced_split", "undecided"]

#: How many names a message lists.
NAMED = 5


def alike(name: str) -> str:
    """Normalise a name: blanks, case and the encoding of accents do not count."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def one_group_each(clips: Sequence[LabelledClip], column: str | None) -> list[LabelledClip]:
    """Take spellings of a group that differ by blanks or case alone as one group."""
    if column is None:
        return list(clips)
    spellings: dict[str, list[str]] = {}
    for clip in clips:
        value = clip.facts.get(column, "")
        known = spellings.setdefault(alike(value), [])
        if value not in known:
            known.append(value)
    several = [known for key, known in spellings.items() if key and len(known) > 1]
    if several:
        shown = "; ".join(" and ".join(map(repr, known)) for known in several[:NAMED])
        more = f"; and {len(several) - NAMED} more" if len(several) > NAMED else ""
        warn(f"{column}: {shown}{more} differ by blanks or case alone and are taken as one group")
    first = {key: known[0] if key else "" for key, known in spellings.items()}
    return [
        replace(clip, facts={**clip.facts, column: first[alike(clip.facts.get(column, ""))]})
        for clip in clips
    ]


def undecided(clips: Sequence[LabelledClip]) -> list[str]:
    """List the files with several labels, in one data set or in two, where each can have one."""
    labels: dict[str, dict[str, None]] = {}
    for clip in clips:
        labels.setdefault(os.path.realpath(clip.path), {}).update(dict.fromkeys(clip.labels))
    first = {os.path.realpath(clip.path): clip for clip in reversed(clips)}
    return [
        f"{first[path].path}: has several labels ({'; '.join(found)}); one is needed: mend the "
        "table, use {multi_label}, or train tag"
        for path, found in labels.items()
        if len(found) > 1
    ]


def readable(
    clips: Sequence[LabelledClip], *, skip: bool, stage: Stage = lambda what, done, total: None
) -> tuple[set[str], list[str]]:
    """Decode each file once, to report before any work which of them cannot be read."""
    files = list({os.path.realpath(clip.path): clip for clip in clips}.values())
    problems: list[str] = []
    found = read_each(files, _decoded, lambda clip: str(clip.path), problems=problems, stage=stage)
    if skip:
        for problem in problems:
            warn(f"{problem}; it is left out")
        problems = []
    return {os.path.realpath(clip.path) for clip, _ in found}, problems


def _decoded(clip: LabelledClip) -> int:
    with AudioReader(clip.path) as reader:
        samples = sum(int(block.shape[1]) for block in reader.blocks())
    if not samples:
        raise AudioError(f"{clip.path}: holds no audio")
    return samples


def unbalanced_split(
    training: Sequence[LabelledClip],
    validation: Sequence[LabelledClip],
    labels: Sequence[str],
    group: str | None,
) -> list[str]:
    """List the classes without clips to train on, and warn of those without clips to validate."""
    there = set(label_set(training))
    untrained = [label for label in labels if label not in there]
    unscored = [label for label in labels if label not in set(label_set(validation))]
    if unscored:
        warn(f"{_named(unscored)} no clip in the validation set, so nothing is known of how well "
             "they are told")  # fmt: skip
    if not untrained:
        return []
    why = f": all of their clips have one {group}" if group else ""
    return [
        f"{_named(untrained)} no clip to train on, since all are held out{why}; hold out others "
        "({held_out}, {fold}), add clips, leave the class out ({min_clips}, {rename})"
        + (", or use another {group}" if group else "")
    ]


def _named(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:NAMED]) + (", ..." if len(labels) > NAMED else "")
    return f"1 class ({shown}) has" if len(labels) == 1 else f"{len(labels)} classes ({shown}) have"


def similar_labels(labels: Sequence[str]) -> None:
    """Warn of labels that differ by blanks or case alone; keys C and c may be meant."""
    spellings: dict[str, list[str]] = {}
    for label in labels:
        spellings.setdefault(alike(label), []).append(label)
    for known in spellings.values():
        if len(known) > 1:
            warn(f"the labels {' and '.join(map(repr, known))} differ by blanks or case alone; if "
                 f"they are one, rename {known[1]!r} to {known[0]!r}")  # fmt: skip
