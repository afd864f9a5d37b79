"""Score classifiers, taggers and encoders on labelled clips.

Intervals of 95 % come from drawing whole groups of clips again, see
:func:`audiocli.tasks.classify.scoring.bootstrap`. An encoder is scored by how well the cosine tells
two clips of one speaker from two of different ones, as :mod:`audiocli.tasks.classify.enrolment`
compares them. Clips of groups that a model was trained on are refused: such a score is not blind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from audiocli.batch import Callbacks, Summary
from audiocli.errors import DataError, UsageError
from audiocli.io.audio import AudioReader
from audiocli.nn import registry
from audiocli.nn.registry import ModelEntry
from audiocli.tasks.classify.checks import alike
from audiocli.tasks.classify.classifier import Classifier, Encoder
from audiocli.tasks.classify.clips import (
    LabelledClip,
    Selection,
    find_clips,
    label_set,
    part_of,
    refuse_several,
    select,
)
from audiocli.tasks.classify.decisions import Track
from audiocli.tasks.classify.encoders import encoders_of
from audiocli.tasks.classify.enrolment import directions
from audiocli.tasks.classify.mapping import mapped
from audiocli.tasks.classify.measures import Scores, score_classes, score_tags
from audiocli.tasks.classify.verification import pairs, score_pairs
from audiocli.tasks.evaluation import Measured, evaluate_each, record_measures

__all__ = [
    "Choice",
    "ClipEvaluation",
    "evaluate",
    "overlapping",
    "record_scores",
    "verify",
]

Warn = Callable[[str], None]


def _silent(message: str) -> None:
    """Ignore a message."""


@dataclass(frozen=True)
class Choice:
    """Which clips are scored.

    Parameters
    ----------
    selection : Selection
        Labels, and the groups that intervals and folds keep together; without any, those that
        the model was trained with.
    only : sequence of str
        Patterns, see :func:`audiocli.tasks.classify.clips.select`; none takes all.
    fold : tuple of int, optional
        Place of a fold, from 0, and number of folds, as held out in training.
    allow_overlap : bool
        Take clips of groups that the model was trained on.
    mapping : mapping of str to sequence of str, optional
        The model's classes that stand for each label of the data, where the labels differ. A label
        is as probable as the likeliest of its classes.

    Examples
    --------
    >>> Choice(only=["fold=5"]).allow_overlap
    False
    """

    selection: Selection = Selection()
    only: Sequence[str] = ()
    fold: tuple[int, int] | None = None
    allow_overlap: bool = False
    mapping: Mapping[str, Sequence[str]] | None = None

    def known(self, entry: ModelEntry) -> list[str]:
        """List the labels that a model can give."""
        labels = entry.config["labels"] if self.mapping is None else self.mapping
        return [str(label) for label in labels]


@dataclass(frozen=True)
class ClipEvaluation:
    """How a model scores on some clips, and what became of each.

    Parameters
    ----------
    entry : ModelEntry
        The model.
    scores : Scores
        On all clips that could be read.
    numbers : dict
        Of ``clips``, of those ``left_out`` because the model does not know their labels, and of
        those of an ``overlap``, whose groups it was trained on; and what else is counted.
    summary : Summary
        What failed.

    Examples
    --------
    >>> from audiocli.tasks.classify.measures import Measure
    >>> scores = Scores([Measure("accuracy", 0.8, "", 0.7, 0.9)])
    >>> nothing = Summary(0, 0, 0, [], 0.0, 0.0)
    >>> ClipEvaluation(ModelEntry(Path("m"), {}), scores, {"clips": 9}, nothing).row()
    {'accuracy': 0.8, 'accuracy_low': 0.7, 'accuracy_high': 0.9, 'clips': 9}
    """

    entry: ModelEntry
    scores: Scores
    numbers: dict[str, int | float]
    summary: Summary

    def row(self) -> dict[str, int | float]:
        """All scores and numbers, by their names."""
        row: dict[str, int | float] = {}
        for each in self.scores.measures:
            row[each.key] = round(each.value, 4)
            if each.interval:
                row[f"{each.key}_low"] = round(each.low, 4)
                row[f"{each.key}_high"] = round(each.high, 4)
        return {**row, **self.numbers}


def overlapping(entry: ModelEntry, clips: Sequence[LabelledClip]) -> list[LabelledClip]:
    """Find the clips of groups that a model or its encoder was trained on."""
    sources = _trained(entry)
    return [clip for clip in clips if any(each.includes(clip) for each in sources)]


class _Trained(NamedTuple):
    """The groups that a model was trained on."""

    model: str
    column: str | None
    groups: frozenset[str]

    def includes(self, clip: LabelledClip) -> bool:
        return alike(clip.group(self.column)) in self.groups


def _trained(entry: ModelEntry) -> list[_Trained]:
    sources = [entry, *(part.entry for part in encoders_of(entry))]
    facts = [(each.name, each.config.get("training") or {}) for each in sources]
    return [_Trained(name, each.get("group"), frozenset(map(alike, each.get("groups") or ())))
            for name, each in facts]  # fmt: skip


@dataclass(frozen=True)
class _Chosen:
    """The clips to score, the labels they have, and what to say of the choice."""

    clips: list[LabelledClip]
    labels: list[str]
    groups: list[str]
    numbers: dict[str, int]


def _choose(data: Sequence[Path], entry: ModelEntry, choice: Choice, warn: Warn) -> _Chosen:
    """Find the clips to score, and refuse those that the model was trained on."""
    found = [clip for folder in data for clip in find_clips(folder, choice.selection)]
    found = list({clip.path: clip for clip in found}.values())  # one folder may be named twice
    labels = label_set(found, choice.selection.min_clips)
    known = labels
    if entry.task != "encode":
        known = [label for label in choice.known(entry) if label in labels]
    fitting = [clip for clip in found if any(label in known for label in clip.labels)]
    group = choice.selection.group or (entry.config.get("training") or {}).get("group")
    # Parted before anything else is left out, so that parts are those of the training.
    part = fitting if choice.fold is None else part_of(fitting, group, choice.fold)
    paths = {clip.path for clip in part}
    chosen = select(found, choice.only, "only") if choice.only else found
    clips = [clip for clip in chosen if clip.path in paths]
    unknown = [clip for clip in chosen if any(label in labels for label in clip.labels)]
    unknown = [clip for clip in unknown if not any(label in known for label in clip.labels)]
    if not clips:
        raise DataError(
            f"{len(chosen)} clips: none is left that could be scored; {entry.name} knows "
            f"{', '.join(choice.known(entry)) or 'any label'} (see {{columns}}, "
            "{rename})",
            "columns",
            "rename",
        )
    if unknown:
        names = label_set(unknown)
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        count = "1 clip is" if len(unknown) == 1 else f"{len(unknown)} clips are"
        warn(f"{count} left out: {entry.name} does not know the label ({shown})")
    numbers = {"clips": len(clips), "left_out": len(unknown)}
    numbers["overlap"] = _refuse_overlap(entry, clips, choice.allow_overlap, warn)
    return _Chosen(clips, known, [clip.group(group) for clip in clips], numbers)


def _refuse_overlap(entry: ModelEntry, clips: list[LabelledClip], allow: bool, warn: Warn) -> int:
    """Count the clips whose groups were trained on, which must be none unless that is allowed."""
    overlap = overlapping(entry, clips)
    if not overlap:
        return 0
    first = overlap[0]
    source = next(each for each in _trained(entry) if each.includes(first))
    value = first.facts.get(source.column, "") if source.column else ""
    message = (
        f"{len(overlap)} of {len(clips)} clips overlap with the training: {first.title}, for one; "
        f"{source.model} was trained on {f'{source.column} {value}' if value else 'it'}"
    )
    if not allow:
        split = (entry.config.get("training") or {}).get("split")
        raise UsageError(
            f"{message}. Choose others by {{only}} or {{fold}}"
            + (f" ({entry.name} was {split})" if split else "")
            + ", or score them all the same with {allow_overlap}",
            "only",
            "fold",
            "allow_overlap",
        )
    warn(f"{message}; the scores are not blind")
    return len(overlap)


@dataclass(frozen=True)
class _MakeEstimator:
    """Makes what analyses a clip; pickled to worker processes."""

    entry: ModelEntry
    device: str

    def __call__(self) -> Callable[[LabelledClip], tuple[float, tuple[Path, Any]]]:
        folder = str(self.entry.folder)
        if self.entry.task == "encode":
            encoder = Encoder(folder, device=self.device)

            def compared(clip: LabelledClip) -> tuple[float, tuple[Path, Any]]:
                with AudioReader(clip.path) as reader:
                    seconds = reader.info.duration or 0.0
                    found = encoder.stream(reader.full_range(), reader.info.sample_rate)
                return seconds, (clip.path, directions(found, encoder.entry))

            return compared
        classifier = Classifier(self.entry.task, [folder], device=self.device)

        def answered(clip: LabelledClip) -> tuple[float, tuple[Path, Any]]:
            with AudioReader(clip.path) as reader:
                [track] = classifier.stream(reader.full_range(), reader.info.sample_rate)
            return track.seconds, (clip.path, track)

        return answered


def _estimates(
    entry: ModelEntry,
    clips: Sequence[LabelledClip],
    n_jobs: int,
    device: str,
    callbacks: Callbacks | None,
) -> tuple[dict[Path, Any], Summary]:
    """Analyse clips: the results of those that could be read, by their paths."""
    by_path = {clip.path: clip for clip in clips}
    make_estimator = _MakeEstimator(entry, device)
    result = evaluate_each(by_path, make_estimator, len, n_jobs=n_jobs, callbacks=callbacks)
    return dict(result.scores), result.summary


def evaluate(
    data: Sequence[Path],
    task: str,
    model: str,
    choice: Choice | None = None,
    *,
    n_jobs: int = 1,
    device: str = "auto",
    callbacks: Callbacks | None = None,
    warn: Warn = _silent,
) -> ClipEvaluation:
    """Score a classifier or tagger on labelled clips.

    Parameters
    ----------
    data : sequence of Path
        Folders or tables, see :mod:`audiocli.tasks.classify.clips`.
    task : {"classify", "tag"}
    model : str
        A model's name or folder.
    choice : Choice, optional
        Which clips; all by default.
    n_jobs : int
        Worker processes.
    device : str
        As in :func:`audiocli.nn.models.device`.
    callbacks : Callbacks, optional
        Called as the run gets on.
    warn : callable
        Called about clips that are left out, and about those that were trained on.

    Returns
    -------
    ClipEvaluation

    Raises
    ------
    DataError
        If there are no clips, or one that a classifier is to name has several labels and the
        selection does not allow for that.
    UsageError
        If clips are of groups that the model was trained on.
    ModelError
        If the model cannot be loaded.

    Examples
    --------
    >>> import tempfile
    >>> import soundfile
    >>> from audiocli.nn import models
    >>> from audiocli.nn.frontend import FilterbankConfig
    >>> network = models.build("clip-mlp", FilterbankConfig(), {"num_outputs": 2})
    >>> config = {"task": "classify", "architecture": "clip-mlp", "arguments": {"num_outputs": 2},
    ...           "labels": ["hum", "hiss"]}
    >>> with tempfile.TemporaryDirectory() as name:
    ...     _ = models.save(network, Path(name, "model"), config)
    ...     Path(name, "data", "hum").mkdir(parents=True)
    ...     soundfile.write(Path(name, "data", "hum", "a.wav"), np.zeros(8000), 8000)
    ...     result = evaluate([Path(name, "data")], "classify", str(Path(name, "model")))
    >>> result.scores.clips[0]["file"], result.numbers["clips"]
    ('data/hum/a.wav', 1)
    """
    entry = registry.find(task, model)
    choice = choice or Choice()
    chosen = _choose(data, entry, choice, warn)
    if task == "classify" and not choice.selection.multi_label:
        advice = "use {multi_label}, where any of them is right, or evaluate tag"
        refuse_several(chosen.clips, advice)
    found, summary = _estimates(entry, chosen.clips, n_jobs, device, callbacks)
    kept = [place for place, clip in enumerate(chosen.clips) if clip.path in found]
    clips = [chosen.clips[place] for place in kept]
    groups = [chosen.groups[place] for place in kept]
    classes, known = [str(label) for label in entry.config["labels"]], choice.known(entry)
    tracks: list[Track] = [found[clip.path] for clip in clips]
    probabilities = np.concatenate(
        [np.zeros((0, len(classes))), *(each.probabilities for each in tracks)]
    )
    if choice.mapping is not None:
        probabilities = mapped(probabilities, classes, choice.mapping)
    if task == "tag":
        columns = [known.index(label) for label in chosen.labels]
        threshold = tracks[0].threshold if tracks else 0.5
        scores = score_tags(clips, probabilities[:, columns], chosen.labels, threshold, groups)
    else:
        scores = score_classes(clips, probabilities, known, groups, shares=choice.mapping is None)
    counts = {"clips": len(clips), "groups": len(set(groups))}
    numbers: dict[str, int | float] = {**chosen.numbers, **counts}
    return ClipEvaluation(entry, scores, numbers, summary)


def verify(
    data: Sequence[Path],
    model: str = "voice",
    choice: Choice | None = None,
    *,
    n_jobs: int = 1,
    device: str = "auto",
    callbacks: Callbacks | None = None,
    warn: Warn = _silent,
) -> ClipEvaluation:
    """Score how well an encoder tells whether two clips have one label, say one speaker.

    Parameters
    ----------
    data, choice, n_jobs, device, callbacks, warn
        As in :func:`evaluate`.
    model : str
        Name or folder of an encoder.

    Returns
    -------
    ClipEvaluation
        With the equal error rate over all pairs of clips; where the selection names a column of
        sets, over those of one set, then each set's own, and that over all pairs. ``threshold``, a
        cosine, ``pairs`` and ``same_pairs`` are among its numbers.

    Raises
    ------
    DataError, UsageError, ModelError
        As :func:`evaluate`; if there are no two clips of one label, or none of two.

    Examples
    --------
    >>> import tempfile
    >>> import soundfile
    >>> tones = [("low", 300), ("low", 310), ("high", 3000), ("high", 3100)]
    >>> with tempfile.TemporaryDirectory() as name:
    ...     for label, hertz in tones:
    ...         Path(name, label).mkdir(exist_ok=True)
    ...         tone = np.sin(2 * np.pi * hertz * np.arange(16000) / 16000)
    ...         soundfile.write(Path(name, label, f"{hertz}.wav"), tone, 16000)
    ...     result = verify([Path(name)], "general")
    >>> result.scores.measures[0].value, result.numbers["pairs"]
    (0.0, 6)
    """
    entry = registry.find("encode", model)
    choice = choice or Choice()
    chosen = _choose(data, entry, choice, warn)
    refuse_several(chosen.clips, "choose one column by {columns}")
    pairs([clip.labels[0] for clip in chosen.clips])  # to refuse before any work
    found, summary = _estimates(entry, chosen.clips, n_jobs, device, callbacks)
    clips = [clip for clip in chosen.clips if clip.path in found]
    speakers = [clip.labels[0] for clip in clips]
    directions = np.array([found[clip.path] for clip in clips], np.float64)
    pairing = score_pairs(directions, speakers, choice.selection.sets(clips))
    counts = {"clips": len(clips), "speakers": len(set(speakers))}
    numbers = {**pairing.numbers, **counts, "overlap": chosen.numbers["overlap"]}
    return ClipEvaluation(entry, Scores(pairing.measures), numbers, summary)


def record_scores(result: ClipEvaluation, data: str) -> None:
    """Write the scores into the model folder, configuration and card."""
    numbers: Mapping[str, Any] = result.numbers
    counted = f"{data}; number of clips: {numbers['clips']}"
    if "pairs" in numbers:
        counted += f", of speakers: {numbers['speakers']}"
        counted += f", of sets: {numbers['sets']}" if "sets" in numbers else ""
        counted += f", of pairs: {numbers['pairs']}"
    if numbers["overlap"]:
        counted += f"; not blind: {numbers['overlap']} of groups that were trained on"
    measures = [
        Measured(each.name, round(100 * each.value, 1), "%",
                 "; ".join(part for part in (each.how, each.interval) if part)
                 or "one group, so no interval")
        for each in result.scores.measures
    ]  # fmt: skip
    record_measures(registry.open_folder(result.entry.folder), measures, counted)
