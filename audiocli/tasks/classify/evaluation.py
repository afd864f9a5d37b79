"""Score classifiers, taggers and encoders on clips whose truth is known.

Intervals of 95 % come from drawing whole groups of clips again, see
:func:`audiocli.tasks.classify.scoring.bootstrap`. An encoder is scored by how well the cosine tells
two clips of one speaker from two of different ones, as :mod:`audiocli.tasks.classify.enrolment`
compares them. Clips of groups that a model was trained on are refused: such a score is not blind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocli import registry
from audiocli.audio import AudioReader
from audiocli.batch import Collector, Listener, Progress, Summary, Worker, run
from audiocli.batch.inputs import Input, Job
from audiocli.errors import DataError, UsageError
from audiocli.models import share_processor
from audiocli.registry import ModelEntry
from audiocli.tasks.classify import scoring
from audiocli.tasks.classify.classifier import Classifier, Encoder, encoder_of
from audiocli.tasks.classify.clips import Clip, Selection, find_clips, folds, label_set, select
from audiocli.tasks.classify.decisions import Track
from audiocli.tasks.classify.enrolment import _directions, _heard, _mean
from audiocli.tasks.classify.material import target_matrix

__all__ = [
    "PAIRS",
    "Choice",
    "Evaluation",
    "Measure",
    "evaluate",
    "heard_before",
    "pairs",
    "record_scores",
    "same_or_different",
    "verify",
]

#: Pairs of clips that are compared, at most.
PAIRS = 200_000
# Resamples; the areas and the pairs take longer than the labels do.
MANY, SOME = 1000, 200
ROWS = 8  # resamples of the pairs scored at once, which bounds the memory

Array = NDArray[np.float64]
Places = NDArray[np.int64]
Warn = Callable[[str], None]
NAN = float("nan")


def _silent(message: str) -> None:
    """Say nothing."""


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
        The part of this place, from 0, of so many: the one that the same fold held out in training.
    allow_overlap : bool
        Take clips of groups that the model was trained on.

    Examples
    --------
    >>> Choice(only=["fold=5"]).allow_overlap
    False
    """

    selection: Selection = Selection()
    only: Sequence[str] = ()
    fold: tuple[int, int] | None = None
    allow_overlap: bool = False


@dataclass(frozen=True)
class Measure:
    """One number that a model is worth.

    Parameters
    ----------
    name : str
        Say ``accuracy``.
    value : float
        0 to 1; NaN where nothing could be scored.
    how : str
        What else there is to know.
    low, high : float
        Of the 95 % interval; NaN without one.

    Examples
    --------
    >>> Measure("macro F1", 0.84, "mean over the classes").key
    'macro_f1'
    >>> Measure("accuracy", 0.84, "", 0.8, 0.9).interval
    '95 % interval 80.0 to 90.0'
    """

    name: str
    value: float
    how: str
    low: float = NAN
    high: float = NAN

    @property
    def key(self) -> str:
        """The name of a column."""
        return self.name.lower().replace(" ", "_").replace("-", "_")

    @property
    def interval(self) -> str:
        """The interval in words; empty without one."""
        known = not np.isnan(self.low)
        return f"95 % interval {100 * self.low:.1f} to {100 * self.high:.1f}" if known else ""


@dataclass(frozen=True)
class Evaluation:
    """What a model is worth on some clips.

    Parameters
    ----------
    entry : ModelEntry
        The model.
    measures : list of Measure
        Over all clips.
    numbers : dict
        Of clips and groups, ``left_out`` because their label is unknown to the model,
        ``overlap`` because the model was trained on their groups; of pairs.
    clips : list of dict
        A row a clip, in their order.
    total : dict
        The row for all of them.
    classes : list of dict
        A row a label.
    labels : list of str
        Those of the confusion matrix.
    confusion : ndarray, shape (labels, labels)
        One row a true label, one column an answer; empty but for a classifier.
    summary : Summary
        What failed.

    Examples
    --------
    >>> entry, summary = ModelEntry(Path("m"), {}), Summary(0, 0, 0, [], 0.0, 0.0)
    >>> none = np.zeros((0, 0), np.int64)
    >>> measures = [Measure("accuracy", 0.8, "", 0.7, 0.9)]
    >>> Evaluation(entry, measures, {"clips": 9}, [], {}, [], [], none, summary).row()
    {'accuracy': 0.8, 'accuracy_low': 0.7, 'accuracy_high': 0.9, 'clips': 9}
    """

    entry: ModelEntry
    measures: list[Measure]
    numbers: dict[str, int | float]
    clips: list[dict[str, Any]]
    total: dict[str, Any]
    classes: list[dict[str, Any]]
    labels: list[str]
    confusion: NDArray[np.int64]
    summary: Summary

    def row(self) -> dict[str, int | float]:
        """Give all measures and numbers, by their names."""
        row: dict[str, int | float] = {}
        for each in self.measures:
            row[each.key] = round(each.value, 4)
            if each.interval:
                row[f"{each.key}_low"] = round(each.low, 4)
                row[f"{each.key}_high"] = round(each.high, 4)
        return {**row, **self.numbers}


def heard_before(entry: ModelEntry, clips: Sequence[Clip]) -> list[Clip]:
    """Find the clips of groups that a model was trained on, or the encoder it listens through.

    Parameters
    ----------
    entry : ModelEntry
        Its configuration names the groups, and the column they stand in. Where it names no
        column, or a clip has none of that name, clips are told by their titles.
    clips : sequence of Clip

    Returns
    -------
    list of Clip

    Examples
    --------
    >>> training = {"group": "by", "groups": ["ann"]}
    >>> some = [Clip(Path(n), n, Path("d"), ("x",), {"by": n}) for n in ("ann", "bob")]
    >>> [clip.name for clip in heard_before(ModelEntry(Path("m"), {"training": training}), some)]
    ['ann']
    """
    known = []
    for each in (entry, encoder_of(entry)):
        training = each.config.get("training") or {}
        known.append((training.get("group"), frozenset(training.get("groups") or ())))
    return [
        clip for clip in clips if any(clip.group(column) in groups for column, groups in known)
    ]


@dataclass(frozen=True)
class _Material:
    """The clips to score, the labels they have, and what to say of the choice."""

    clips: list[Clip]
    labels: list[str]
    groups: list[str]
    numbers: dict[str, int]


def _material(data: Sequence[Path], entry: ModelEntry, choice: Choice, warn: Warn) -> _Material:
    """Find what is to be scored, and refuse what the model has heard before."""
    found = [clip for folder in data for clip in find_clips(folder, choice.selection)]
    found = list({clip.path: clip for clip in found}.values())  # one folder may be named twice
    labels = label_set(found, choice.selection.least)
    known = labels
    if entry.task != "encode":
        known = [str(label) for label in entry.config["labels"] if str(label) in labels]
    fitting = [clip for clip in found if any(label in known for label in clip.labels)]
    group = choice.selection.group or (entry.config.get("training") or {}).get("group")
    # Parted before anything else is left out, so that parts are those of the training.
    paths = {clip.path for clip in _part(fitting, group, choice.fold)}
    chosen = select(found, choice.only, "--only") if choice.only else found
    clips = [clip for clip in chosen if clip.path in paths]
    strange = [clip for clip in chosen if any(label in labels for label in clip.labels)]
    strange = [clip for clip in strange if not any(label in known for label in clip.labels)]
    if not clips:
        raise DataError(
            f"{len(chosen)} clips: none is left that could be scored; {entry.name} knows "
            f"{', '.join(map(str, entry.config['labels'])) or 'any label'} (see --label, --rename)"
        )
    if strange:
        names = label_set(strange)
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        warn(f"{len(strange)} clips are left out: {entry.name} does not know their label ({shown})")
    numbers = {"clips": len(clips), "left_out": len(strange)}
    numbers["overlap"] = _refuse_overlap(entry, clips, choice.allow_overlap, warn)
    return _Material(clips, known, [clip.group(group) for clip in clips], numbers)


def _part(clips: list[Clip], group: str | None, fold: tuple[int, int] | None) -> list[Clip]:
    if fold is None:
        return clips
    place, parts = fold
    if not 0 <= place < parts or parts < 2:
        raise UsageError(f"fold {place} of {parts}: parts are two or more, and count from 0")
    return [clips[index] for index in folds(clips, group, parts)[place]]


def _refuse_overlap(entry: ModelEntry, clips: list[Clip], allow: bool, warn: Warn) -> int:
    """Count the clips whose groups were trained on, which must be none unless that is allowed."""
    heard = heard_before(entry, clips)
    if not heard:
        return 0
    training = entry.config.get("training") or {}
    column = training.get("group")
    value = heard[0].facts.get(column, "") if column else ""
    example = heard[0].title + (f" ({column} {value})" if value else "")
    one = "1 clip belongs" if len(heard) == 1 else f"{len(heard)} of {len(clips)} clips belong"
    message = f"{one} to what {entry.name}, or its encoder, was trained on, such as {example}"
    if not allow:
        split = f"; {entry.name} was {training['split']}" if training.get("split") else ""
        raise UsageError(
            f"{message}{split}. Choose others by --only or --fold, or score them all the same "
            "with --allow-overlap"
        )
    warn(f"{message}: the scores are not blind")
    return len(heard)


@dataclass(frozen=True)
class _MakeWorker:
    """Makes what listens to a clip; pickled to worker processes."""

    entry: ModelEntry
    device: str
    n_jobs: int

    def __call__(self) -> Worker:
        share_processor(self.n_jobs)
        folder = str(self.entry.folder)
        if self.entry.task == "encode":
            encoder = Encoder(folder, device=self.device)

            def compared(job: Job, progress: Progress) -> tuple[float, tuple[Path, Any]]:
                with AudioReader(job.input.path) as reader:
                    seconds = reader.info.duration or 0.0
                vector = _heard(job.input.path, encoder)
                return seconds, (job.input.path, _directions(vector, _mean(encoder, len(vector))))

            return compared
        classifier = Classifier(self.entry.task, [folder], device=self.device)

        def answered(job: Job, progress: Progress) -> tuple[float, tuple[Path, Any]]:
            with AudioReader(job.input.path) as reader:
                [track] = classifier.stream(reader.blocks(), reader.info.sample_rate)
            return track.seconds, (job.input.path, track)

        return answered


def _listened(
    entry: ModelEntry, clips: Sequence[Clip], n_jobs: int, device: str, listener: Listener | None
) -> tuple[dict[Path, Any], Summary]:
    """Hear clips, and keep what the model says of those that could be read."""
    jobs = [Job(Input(clip.path, clip.title, Path(clip.title)), ()) for clip in clips]
    heard = Collector(listener)
    make_worker = _MakeWorker(entry, device, n_jobs)
    summary = run(jobs, make_worker, settings={}, n_jobs=n_jobs, listener=heard)
    return dict(heard.values), summary


def evaluate(
    data: Sequence[Path],
    task: str,
    model: str,
    choice: Choice | None = None,
    *,
    n_jobs: int = 1,
    device: str = "auto",
    listener: Listener | None = None,
    warn: Warn = _silent,
) -> Evaluation:
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
        As in :func:`audiocli.models.device`.
    listener : Listener, optional
        Hears how it goes.
    warn : callable
        Hears of clips that are left out, and of those that were trained on.

    Returns
    -------
    Evaluation

    Raises
    ------
    DataError
        If there are no clips, or one that a classifier is to name has several labels.
    UsageError
        If clips are of groups that the model was trained on.
    ModelError
        If the model cannot be loaded.

    Examples
    --------
    >>> import tempfile
    >>> import soundfile
    >>> from audiocli import models
    >>> from audiocli.frontend import FilterbankConfig
    >>> network = models.build("clip-mlp", FilterbankConfig(), {"num_outputs": 2})
    >>> config = {"task": "classify", "architecture": "clip-mlp", "arguments": {"num_outputs": 2},
    ...           "labels": ["hum", "hiss"]}
    >>> with tempfile.TemporaryDirectory() as name:
    ...     _ = models.save(network, Path(name, "model"), config)
    ...     Path(name, "data", "hum").mkdir(parents=True)
    ...     soundfile.write(Path(name, "data", "hum", "a.wav"), np.zeros(8000), 8000)
    ...     result = evaluate([Path(name, "data")], "classify", str(Path(name, "model")))
    >>> result.clips[0]["file"], result.numbers["clips"]
    ('data/hum/a.wav', 1)
    """
    entry = registry.find(task, model)
    material = _material(data, entry, choice or Choice(), warn)
    if task == "classify":
        _check_single(material.clips, "evaluate tag takes any number")
    heard, summary = _listened(entry, material.clips, n_jobs, device, listener)
    kept = [place for place, clip in enumerate(material.clips) if clip.path in heard]
    clips, groups = ([part[place] for place in kept] for part in (material.clips, material.groups))
    known = [str(label) for label in entry.config["labels"]]
    columns = [known.index(label) for label in material.labels] if task == "tag" else slice(None)
    tracks: list[Track] = [heard[clip.path] for clip in clips]
    said = np.concatenate([np.zeros((0, len(known))), *(each.probabilities for each in tracks)])
    numbers: dict[str, int | float] = {**material.numbers, "clips": len(clips)}
    numbers["groups"] = len(set(groups))
    if task == "tag":
        threshold = tracks[0].threshold if tracks else 0.5
        result = _tagged(clips, said[:, columns], material.labels, threshold, groups)
    else:
        result = _classified(clips, said, known, groups)
    return Evaluation(entry, numbers=numbers, summary=summary, **result)


def _check_single(clips: Sequence[Clip], advice: str) -> None:
    for clip in clips:
        if len(clip.labels) > 1:
            raise DataError(f"{clip.path}: has several labels ({'; '.join(clip.labels)}), where "
                            f"one is needed; {advice}")  # fmt: skip


def _classified(
    clips: Sequence[Clip], said: Array, known: list[str], groups: list[str]
) -> dict[str, Any]:
    """Score the likeliest labels: all but the numbers and the summary of an evaluation."""
    truth = [clip.labels[0] for clip in clips]
    guess = [known[place] for place in said.argmax(axis=1)]
    sure = said.max(axis=1, initial=0.0)
    right = np.array(truth, object) == np.array(guess, object)
    interval = scoring.bootstrap(lambda w: scoring.accuracy(truth, guess, w), groups, MANY)
    measures = [
        Measure("accuracy", scoring.accuracy(truth, guess), "", *interval),
        Measure("macro F1", scoring.macro_f1(truth, guess), "mean over the classes"),
        Measure("expected calibration error", scoring.calibration_error(sure, right),
                f"{scoring.BINS} bins"),
    ]  # fmt: skip
    labels = [label for label in known if label in {*truth, *guess}]
    matrix = scoring.confusion(truth, guess, labels)
    hits, given, there = matrix.diagonal(), matrix.sum(axis=0), matrix.sum(axis=1)
    classes = [
        {
            "label": label,
            "precision": _share(hits[place], given[place]),
            "recall": _share(hits[place], there[place]),
            "f1": _share(2 * hits[place], given[place] + there[place]),
            "clips": int(there[place]),
        }
        for place, label in enumerate(labels)
    ]
    rows = [
        {"file": clip.title, "label": one, "guess": other, "probability": round(float(p), 4),
         "right": int(one == other)}
        for clip, one, other, p in zip(clips, truth, guess, sure, strict=True)
    ]  # fmt: skip
    total = {"file": "all", "label": "", "guess": "", "probability": _share(sure.sum(), len(sure)),
             "right": _share(right.sum(), len(sure))}  # fmt: skip
    return {"measures": measures, "clips": rows, "total": total, "classes": classes,
            "labels": labels, "confusion": matrix}  # fmt: skip


def _tagged(
    clips: Sequence[Clip], said: Array, labels: list[str], threshold: float, groups: list[str]
) -> dict[str, Any]:
    """Score the probabilities of the tags that the data knows as well as the model."""
    truth, given = target_matrix(clips, labels) > 0, said >= threshold
    areas, precisions = scoring.roc_auc(truth, said), scoring.average_precision(truth, said)
    interval = scoring.bootstrap(lambda w: scoring.roc_auc(truth, said, w), groups, SOME)
    both = (truth & given).sum(axis=1)
    of_both = truth.sum(axis=1) + given.sum(axis=1)
    together = _share(2 * both.sum(), of_both.sum())
    mean = f"mean over {len(labels) - areas.left_out} tags"
    measures = [
        Measure("ROC AUC", areas.mean, mean, *interval),
        Measure("PR AUC", precisions.mean, f"average precision, {mean}"),
        Measure("F-measure", together, f"all tags together, at a threshold of {threshold:g}"),
        Measure("expected calibration error", scoring.calibration_error(said, truth),
                f"{scoring.BINS} bins, all tags together"),
    ]  # fmt: skip
    classes = [
        {
            "label": label,
            "roc_auc": round(float(areas.values[place]), 4),
            "pr_auc": round(float(precisions.values[place]), 4),
            "clips": int(truth[:, place].sum()),
        }
        for place, label in enumerate(labels)
    ]
    rows = []
    for row, clip in enumerate(clips):
        order = [place for place in np.argsort(-said[row], kind="stable") if given[row, place]]
        rows.append({
            "file": clip.title,
            "label": ";".join(label for label, has in zip(labels, truth[row], strict=True) if has),
            "guess": ";".join(labels[place] for place in order),
            "probability": ";".join(f"{said[row, place]:.4f}" for place in order),
            "f": _share(2 * both[row], of_both[row]),
        })  # fmt: skip
    total = {"file": "all", "label": "", "guess": "", "probability": "", "f": together}
    return {"measures": measures, "clips": rows, "total": total, "classes": classes,
            "labels": [], "confusion": np.zeros((0, 0), np.int64)}  # fmt: skip


def _share(part: Any, whole: Any) -> float:
    return round(float(part) / float(whole), 4) if whole else NAN


def verify(
    data: Sequence[Path],
    model: str = "voice",
    choice: Choice | None = None,
    *,
    n_jobs: int = 1,
    device: str = "auto",
    listener: Listener | None = None,
    warn: Warn = _silent,
) -> Evaluation:
    """Score how well an encoder tells whether two clips have one label, say one speaker.

    Parameters
    ----------
    data, choice, n_jobs, device, listener, warn
        As in :func:`evaluate`.
    model : str
        Name or folder of an encoder.

    Returns
    -------
    Evaluation
        With the equal error rate over all pairs of clips; ``threshold``, a cosine, ``pairs`` and
        ``same_pairs`` are among its numbers.

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
    >>> result.measures[0].value, result.numbers["pairs"]
    (0.0, 6)
    """
    entry = registry.find("encode", model)
    material = _material(data, entry, choice or Choice(), warn)
    _check_single(material.clips, "choose one column by --label")
    pairs([clip.labels[0] for clip in material.clips])  # to refuse before any work
    heard, summary = _listened(entry, material.clips, n_jobs, device, listener)
    clips = [clip for clip in material.clips if clip.path in heard]
    speakers = [clip.labels[0] for clip in clips]
    directions = np.array([heard[clip.path] for clip in clips], np.float64)
    measure, numbers = same_or_different(directions, speakers)
    counts = {"clips": len(clips), "speakers": len(set(speakers))}
    numbers = {**numbers, **counts, "overlap": material.numbers["overlap"]}
    none = np.zeros((0, 0), np.int64)
    return Evaluation(entry, [measure], numbers, [], {}, [], [], none, summary)


def pairs(
    speakers: Sequence[str], most: int = PAIRS, seed: int = 0
) -> tuple[tuple[Places, Places], tuple[Places, Places]]:
    """Pair clips of the same, and of different speakers.

    Parameters
    ----------
    speakers : sequence of str
        Of each clip.
    most : int
        Where there are more pairs than this, they are drawn, as many of either kind where there
        are enough.
    seed : int
        Of the drawing.

    Returns
    -------
    same, different : tuple of ndarray of int
        Of each the places of the first and of the second clips; no pair twice.

    Raises
    ------
    DataError
        If there are no pairs of one kind.

    Examples
    --------
    >>> same, different = pairs(["ann", "ann", "bob"])
    >>> [part.tolist() for part in same], [part.tolist() for part in different]
    ([[0], [1]], [[0, 1], [2, 2]])
    """
    _, ids = np.unique(np.asarray(speakers), return_inverse=True)
    order = np.argsort(ids, kind="stable")
    # In this order, clips of a speaker stand together: before each are so many of others, and
    # then so many of the same.
    others = np.searchsorted(ids[order], ids[order]).astype(np.int64)
    own = np.arange(len(order), dtype=np.int64) - others
    if not (own.sum() and others.sum()):
        raise DataError(
            "an equal error rate needs pairs of the same and of different speakers; "
            "take two speakers or more, with two clips or more each"
        )
    rng = np.random.default_rng(seed)
    room = max(most // 2, most - int(others.sum()))
    later, earlier = _drawn(own, room, rng)
    same = order[others[later] + earlier], order[later]
    later, earlier = _drawn(others, most - len(later), rng)
    return same, (order[earlier], order[later])


def _drawn(partners: Places, room: int, rng: np.random.Generator) -> tuple[Places, Places]:
    """Draw pairs of a clip and one of its partners, without any twice: the places of both."""
    ends = np.cumsum(partners)
    total = int(ends[-1])
    chosen = np.arange(total, dtype=np.int64)
    if total > room:
        chosen = np.sort(rng.choice(total, room, replace=False, shuffle=False))
    later = np.searchsorted(ends, chosen, side="right")
    return later.astype(np.int64), chosen - (ends[later] - partners[later])


def same_or_different(
    directions: Array, speakers: Sequence[str], most: int = PAIRS
) -> tuple[Measure, dict[str, int | float]]:
    """Score how well the cosine tells pairs of the same speaker from those of different ones.

    The interval comes from drawing speakers again: a pair counts as often as its speakers are
    drawn.

    Parameters
    ----------
    directions : ndarray, shape (clips, units)
        Of length 1.
    speakers : sequence of str
        Of each clip.
    most : int
        As in :func:`pairs`.

    Returns
    -------
    rate : Measure
        The equal error rate.
    numbers : dict
        ``threshold``, ``pairs`` and ``same_pairs``.

    Raises
    ------
    DataError
        If there are no pairs of one kind.

    Examples
    --------
    >>> clips = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-0.6, 0.8]])
    >>> rate, numbers = same_or_different(clips, ["ann", "ann", "bob", "bob"])
    >>> rate.value, round(numbers["threshold"], 2), numbers["pairs"]
    (0.0, 0.7, 6)
    """
    same, different = pairs(speakers, most)
    scores = _cosines(directions, same), _cosines(directions, different)
    rate, threshold = scoring.equal_error_rate(*scores)

    def rates(weights: Array) -> Array:
        parts = [weights[start : start + ROWS] for start in range(0, len(weights), ROWS)]
        return np.concatenate([
            scoring.equal_error_rate(
                *scores, (part[:, same[0]], part[:, different[0]] * part[:, different[1]])
            )
            for part in parts
        ])  # fmt: skip

    with np.errstate(invalid="ignore"):  # a resample may have no pairs of one kind
        low, high = scoring.bootstrap(rates, speakers, SOME)
    numbers: dict[str, int | float] = {
        "threshold": round(threshold, 4),
        "pairs": len(same[0]) + len(different[0]),
        "same_pairs": len(same[0]),
    }
    how = f"cosine of every two clips, threshold {threshold:.3f}"
    return Measure("equal error rate", rate, how, low, high), numbers


def _cosines(directions: Array, places: tuple[Places, Places]) -> Array:
    one, other = places
    parts = (slice(start, start + 4096) for start in range(0, len(one), 4096))  # bounds the memory
    return np.concatenate(
        [np.einsum("pu,pu->p", directions[one[part]], directions[other[part]]) for part in parts]
    )


def record_scores(result: Evaluation, data: str) -> None:
    """Write what was measured into the model folder, configuration and card.

    Parameters
    ----------
    result : Evaluation
    data : str
        What it was measured on, in words.
    """
    numbers: Mapping[str, Any] = result.numbers
    counted = f"{data}; number of clips: {numbers['clips']}"
    if "pairs" in numbers:
        counted += f", of speakers: {numbers['speakers']}, of pairs: {numbers['pairs']}"
    if numbers["overlap"]:
        counted += f"; not blind: {numbers['overlap']} of groups that were trained on"
    command = registry.command_line()
    new = [
        {
            "metric": each.name,
            "value": round(100 * each.value, 1),
            "unit": "%",
            "measure": "; ".join(part for part in (each.how, each.interval) if part),
            "data": counted,
            "command": command,
        }
        for each in result.measures
        if not np.isnan(each.value)
    ]
    registry.add_scores(registry.open_folder(result.entry.folder), new)
