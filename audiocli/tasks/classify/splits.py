"""Splits of labelled clips into training and validation set, and the scores of a model there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocli.errors import DataError, UsageError
from audiocli.nn import registry
from audiocli.nn.provenance import data_sets, licence_of_each
from audiocli.tasks.classify import scoring
from audiocli.tasks.classify.checks import (
    one_group_each,
    readable,
    similar_labels,
    unbalanced_split,
    undecided,
)
from audiocli.tasks.classify.clips import (
    LabelledClip,
    Selection,
    find_clips,
    label_set,
    part_of,
    select,
    target_matrix,
)
from audiocli.tasks.classify.decisions import probable
from audiocli.tasks.classify.examples import load
from audiocli.tasks.classify.measures import interval_in_words
from audiocli.tasks.classify.verification import score_pairs
from audiocli.tasks.trainer import Card
from audiocli.tasks.training_data import Stage, refuse

__all__ = [
    "Split",
    "agreement",
    "chosen_scores",
    "gather",
    "load_all",
    "model_card",
    "right_answers",
    "refuse_unscorable",
]

Floats = NDArray[np.float32]
#: Below half of the probability that all but this share of the right answers reach on held-out
#: clips, and below a quarter in any case, the answer is unknown: so few right ones are lost.
#: It is a fifth above chance at least.
REFUSED, MOST_UNKNOWN, ABOVE_CHANCE = 0.05, 0.25, 1.2


@dataclass(frozen=True)
class Split:
    """A training set, and a validation set of other groups.

    Parameters
    ----------
    training, dev : list of LabelledClip
    labels : list of str
        In the order of the network's outputs.
    selection : Selection
        How they were chosen.
    data : list of Path
        The folders they are from.
    licences : list of str
        Of each.
    held_out : str
        The validation set in words.
    """

    training: list[LabelledClip]
    dev: list[LabelledClip]
    labels: list[str]
    selection: Selection
    data: list[Path]
    licences: list[str]
    held_out: str

    def targets(self, clips: Sequence[LabelledClip]) -> Floats:
        """Mark the labels of clips: (clips, labels)."""
        return target_matrix(clips, self.labels)

    def scored(self, logits: Floats, task: str) -> dict[str, Any]:
        """Compute ``decoder`` and ``scores`` of a model from its logits (dev clips, labels)."""
        groups = [clip.group(self.selection.group) for clip in self.dev]
        reference = self.targets(self.dev)
        decoder, scores = chosen_scores(logits, reference, task, groups)
        facts = {
            "data": f"{self.held_out}; number of clips: {len(self.dev)}",
            "command": registry.command_line(),
        }
        return {"decoder": decoder, "scores": [{**score, **facts} for score in scores]}

    def compared(self, features: Floats) -> dict[str, Any]:
        """Compute ``decoder`` and ``scores`` of an encoder from features (dev clips, units)."""
        # As the loss has it: neither centred nor scaled.
        lengths = np.linalg.norm(features, axis=1, keepdims=True)
        directions = (features / np.maximum(lengths, 1e-9)).astype(np.float64)
        speakers = [clip.labels[0] for clip in self.dev]
        found = score_pairs(directions, speakers, self.selection.sets(self.dev))
        facts = {"data": f"{self.held_out}; number of clips: {len(self.dev)}",
                 "command": registry.command_line()}  # fmt: skip
        scores = [
            _score(each.name, 100 * each.value, f"{each.how}; {_interval(each.low, each.high)}")
            for each in found.measures
        ]
        return {"decoder": found.decoder, "scores": [{**score, **facts} for score in scores]}


def gather(
    data: Sequence[Path],
    selection: Selection,
    task: str,
    *,
    held_out: Sequence[str] = (),
    fold: tuple[int, int] | None = None,
    dev: Sequence[Path] = (),
    licences: Sequence[str] = (),
    open_set: bool = False,
    cross_validated: bool = False,
    skip_unreadable: bool = False,
    stage: Stage = lambda what, done, total: None,
) -> Split:
    """Find labelled clips and split them, without a group on both sides."""
    clips = [clip for folder in data for clip in find_clips(folder, selection, missing=True)]
    extra = [clip for folder in dev for clip in find_clips(folder, selection, missing=True)]
    tidy = one_group_each([*clips, *extra], selection.group)
    there, problems = readable(tidy, skip=skip_unreadable, stage=stage)
    single = task == "classify" and not selection.multi_label
    problems += undecided(tidy) if single else []
    found, validation = (
        [clip for clip in part if os.path.realpath(clip.path) in there]
        for part in (tidy[: len(clips)], tidy[len(clips) :])
    )
    labels = label_set(found, selection.min_clips)
    similar_labels(labels)
    if not labels:
        problems.append(f"{{min_clips}} {selection.min_clips}: no label has so many clips")
    elif single and len(labels) == 1:
        problems.append(f"all clips are of one class ({labels[0]}); a classifier needs two or more")
    refuse(problems)
    found = [clip for clip in found if any(label in labels for label in clip.labels)]
    if not open_set:
        validation = [clip for clip in validation if any(label in labels for label in clip.labels)]
    chosen, words = _held_out(found, selection.group, held_out, fold, bool(dev))
    paths = {clip.path for clip in chosen}
    training = [clip for clip in found if clip.path not in paths]
    validation += [clip for clip in found if clip.path in paths]
    if not training or not validation:
        raise DataError(f"{len(found)} clips: none is left to train on, or for the validation set; "
                        "hold out some of them, not all")  # fmt: skip
    _refuse_shared(training, validation, selection.group)
    if task == "classify" and not open_set and not cross_validated:
        refuse(unbalanced_split(training, validation, labels, selection.group))
    by = f" by {selection.group}" if selection.group else ""
    names = ", ".join([*(folder.resolve().name for folder in dev), *words])
    return Split(training, validation, labels, selection, list(data),
                 licence_of_each(data, licences), f"{names}{by}, not trained on")  # fmt: skip


def _held_out(
    found: Sequence[LabelledClip],
    group: str | None,
    patterns: Sequence[str],
    fold: tuple[int, int] | None,
    has_dev: bool,
) -> tuple[list[LabelledClip], list[str]]:
    """Choose the clips of the data that are not trained on, and say in words which they are."""
    if fold is None and not patterns and not has_dev:
        fold = (0, _parts(found, group))
    chosen = select(found, patterns, "held_out") if patterns else []
    words = list(patterns)
    if fold is not None:
        chosen += part_of(found, group, fold)
        words.append(f"part {fold[0]} of {fold[1]}")
    return chosen, words


def _parts(clips: Sequence[LabelledClip], group: str | None) -> int:
    """Choose the number of folds where none is given: ten, or as many as there are groups."""
    count = len({clip.group(group) for clip in clips})
    if count < 2:
        raise DataError(
            f"{len(clips)} clips: all of one group, so no part of them can be the validation set; "
            "add others, or give {dev}",
            "dev",
        )
    return min(10, count)


def _refuse_shared(
    training: Sequence[LabelledClip], validation: Sequence[LabelledClip], group: str | None
) -> None:
    """Refuse a split that has a recording, or a group, on both sides."""
    paths = {os.path.abspath(clip.path) for clip in training}
    for clip in validation:
        if os.path.abspath(clip.path) in paths:
            raise UsageError(f"{clip.path}: is on both sides of the split; take it from one")
    if group is None:
        return
    shared = {clip.group(group) for clip in training} & {clip.group(group) for clip in validation}
    if shared:
        raise UsageError(
            f"{{group}} {group}: {sorted(shared)[0]!r} is on both sides of the split; hold out "
            "whole groups, as COLUMN=VALUE or by {fold}",
            "group",
            "fold",
        )


def refuse_unscorable(reference: Floats, task: str) -> None:
    """Refuse tags that no held-out clip has, or all: no score would choose among networks."""
    share = reference.mean(axis=0)
    if task == "tag" and not ((share > 0) & (share < 1)).any():
        raise DataError(
            f"{len(reference)} clips in the validation set, and each tag is on all of them or on "
            "none, so that none can be scored; hold out more"
        )


def load_all(clips: Sequence[LabelledClip], sample_rate: int) -> list[NDArray[np.int16]]:
    """Read clips into memory, see :func:`audiocli.tasks.classify.examples.load`."""
    return [load(clip, sample_rate) for clip in clips]


def agreement(logits: Floats, reference: Floats, task: str) -> float:
    """Score logits (clips, labels): accuracy, or mean ROC AUC over the tags, in %."""
    if task == "tag":
        return 100 * scoring.roc_auc(reference, logits).mean
    estimate = logits.argmax(axis=1)
    return 100 * scoring.accuracy(right_answers(reference, estimate), estimate)


def right_answers(reference: Floats, estimate: NDArray[np.intp]) -> NDArray[np.intp]:
    """Right class of each clip (clips,); of several, the estimate if it is one of them."""
    hit = np.take_along_axis(reference, estimate[:, np.newaxis], axis=1)[:, 0] > 0
    right: NDArray[np.intp] = np.where(hit, estimate, reference.argmax(axis=1))
    return right


def chosen_scores(
    logits: Floats, reference: Floats, task: str, groups: Sequence[str]
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    """Calibrate a model on clips it was not trained on, and score it there."""
    estimate = logits.argmax(axis=1)
    right = right_answers(reference, estimate)
    temperature = round(scoring.fit_temperature(logits, reference if task == "tag" else right), 4)
    probabilities = probable(logits / np.float32(temperature), task)
    if task == "tag":
        return _tag_scores(probabilities, reference, temperature, groups)
    sure, hit = probabilities.max(axis=1), right == estimate
    low, high = scoring.bootstrap(lambda w: scoring.accuracy(right, estimate, w), groups)
    unknown = float(np.quantile(sure[hit], REFUSED)) if hit.any() else 0.0
    accuracy = scoring.accuracy(right, estimate)
    f1 = scoring.macro_f1(right, estimate, labels=np.unique(right))
    error = scoring.calibration_error(sure, hit)
    level = max(min(unknown / 2, MOST_UNKNOWN), ABOVE_CHANCE / logits.shape[1])
    return {"temperature": temperature, "unknown": round(level, 3)}, [
        _score("accuracy", 100 * accuracy, _interval(low, high)),
        _score("macro F1", 100 * f1, "mean over the classes"),
        _score("expected calibration error", 100 * error, "15 bins"),
    ]


def _tag_scores(
    probabilities: Floats, reference: Floats, temperature: float, groups: Sequence[str]
) -> tuple[dict[str, float], list[dict[str, Any]]]:
    low, high = scoring.bootstrap(
        lambda w: scoring.roc_auc(reference, probabilities, w), groups, 200
    )
    area = scoring.roc_auc(reference, probabilities).mean
    precision = scoring.average_precision(reference, probabilities).mean
    error = scoring.calibration_error(probabilities.ravel(), reference.ravel() > 0)
    cuts = np.arange(0.05, 0.6, 0.025)
    hits = [2 * (reference * (probabilities >= cut)).sum() / max(
        float(reference.sum() + (probabilities >= cut).sum()), 1.0) for cut in cuts]  # fmt: skip
    threshold = round(float(cuts[int(np.argmax(hits))]), 3)
    return {"temperature": temperature, "threshold": threshold}, [
        _score("ROC AUC", 100 * area, f"mean over the tags; {_interval(low, high)}"),
        _score("PR AUC", 100 * precision, "average precision, mean over the tags"),
        _score("F-measure", 100 * max(hits), f"all tags together, at a threshold of {threshold}"),
        _score("expected calibration error", 100 * error, "15 bins, all tags together"),
    ]


def _interval(low: float, high: float) -> str:
    return interval_in_words(low, high) or "one group, so no interval"


def _score(metric: str, value: float, measure: str) -> dict[str, Any]:
    return {"metric": metric, "value": round(float(value), 1), "unit": "%", "measure": measure}


def model_card(split: Split, task: str, config: dict[str, Any]) -> Card:
    """Describe the training for a configuration, without the network and its scores."""
    counts = [sum(clip.folder.resolve() == _home(folder) for clip in split.training)
              for folder in split.data]  # fmt: skip
    minutes = [_minutes(split.training, folder) for folder in split.data]
    group = split.selection.group
    return Card(
        task,
        "",
        {},
        split.labels,
        data_sets(split.data, list(zip(counts, minutes, strict=True)), split.licences),
        split.licences,
        f"validated on {split.held_out}",
        config,
        {},
        training={
            "group": group,
            "groups": sorted({clip.group(group) for clip in split.training}),
        },
    )


def _home(folder: Path) -> Path:
    return (folder if folder.is_dir() else folder.parent).resolve()


def _minutes(clips: Sequence[LabelledClip], folder: Path) -> float:
    from audiocli.io.audio import probe

    seconds = [probe(clip.path).duration or 0.0 for clip in clips
               if clip.folder.resolve() == _home(folder)]  # fmt: skip
    return round(sum(seconds) / 60, 1)
