"""Classify and tag files, one or many: print, write, draw, and put tags into their metadata."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from audiocli.batch import Callbacks, Summary
from audiocli.batch.inputs import Input
from audiocli.batch.placing import Export, Namer
from audiocli.errors import FieldError, UsageError, suggest, warn
from audiocli.io.metadata import Tags, write_tags
from audiocli.nn import models, registry
from audiocli.tasks import plotting
from audiocli.tasks.classify.ahead import Ahead
from audiocli.tasks.classify.classifier import Classifier, Encoder
from audiocli.tasks.classify.decisions import Track, decode
from audiocli.tasks.classify.enrolment import Enrolment, enrol, recognise
from audiocli.tasks.classify.ontology import at_level, check_level, families_of
from audiocli.tasks.classify.plot import plot_classes, plot_tags
from audiocli.tasks.classify.results import (
    ClassifyRequest,
    ClassResults,
    Result,
    describe,
    destination,
    name_of,
)
from audiocli.tasks.classify.streams import VOICE, Blocks, decoded
from audiocli.tasks.declaration import Declaration, Item, Work
from audiocli.tasks.runner import BatchOptions, filled, run_files

__all__ = ["TASKS", "ClassifyRequest", "classify_files", "declare", "find_models"]

#: The models that answer for a task.
TASKS: dict[str, tuple[str, ...]] = {
    "genre": ("genre-tags",),
    **{name: (name,) for name in ("genre-broad", "mood")},
    "artist": ("singer",),
    **{name: (name,) for name in ("singer", "composer", "instrument")},
    "event": ("audioset",),
    "speech": ("keywords",),
    **{name: (name,) for name in ("keywords", "digits", "speaker", "content")},
}

#: Short files that are processed together by default, on a processor and on a GPU.
BATCH, BATCH_ON_DEVICE = 32, 128


def find_models(
    tasks: Sequence[str] = (), names: Sequence[str] = (), tags: Sequence[str] = (),
    *, every: bool = False,
) -> list[registry.ModelEntry]:  # fmt: skip
    """Find the models for tasks, by name, or all.

    Parameters
    ----------
    tasks : sequence of str
        Of ``TASKS``.
    names, tags : sequence of str
        Names or folders of models that classify, and of models that tag.
    every : bool
        All there are, of both kinds.

    Returns
    -------
    list of ModelEntry

    Raises
    ------
    UsageError
        If there is no such task or model, or none is named.
    ModelError
        If one is damaged, or made for something else.

    Examples
    --------
    >>> find_models(["gender"])
    Traceback (most recent call last):
    ...
    audiocli.errors.UsageError: no task 'gender': did you mean 'genre'? There are: artist, ...
    """
    for task in tasks:
        if task not in TASKS:
            raise UsageError(f"no task {task!r}: {suggest(task, TASKS)}")
    own = [f"classify/{name}" for task in tasks for name in TASKS[task]]
    found = [registry.find("classify", name) for name in (*own, *names)]
    found += [registry.find("tag", name) for name in tags]
    if every:
        found += [*registry.list_models("classify"), *registry.list_models("tag")]
    if not found:
        raise UsageError(
            f"what to find out? Name one of {{tasks}} ({', '.join(TASKS)}), a {{model}}, a "
            "folder to {enroll}, or use {all_tasks}",
            "tasks",
            "model",
            "enroll",
            "all_tasks",
        )
    return list({entry.folder.resolve(): entry for entry in found}.values())


class _Streaming(Protocol):
    """What analyses a stream: models, or people who are enrolled."""

    def stream(self, blocks: Blocks, rate: int) -> list[Track]:
        """Analyse a stream of blocks."""

    def warnings(self, track: Track) -> tuple[str, ...]:
        """Say why a result may be meaningless."""


@dataclass(frozen=True)
class _MakeWork:
    """Makes what analyses a file; pickled to worker processes."""

    request: ClassifyRequest
    enrolment: Enrolment | None  # of the people to tell apart; the entry is the encoder's
    groups: Mapping[str, Sequence[str]] | None  # labels to write into files

    def __call__(self) -> Work[Result]:
        return _Work(self, self._classifier() if self.enrolment is None else None)

    def _classifier(self) -> Classifier:
        tasks = {entry.task for entry in self.request.entries}
        return Classifier(
            tasks.pop() if len(tasks) == 1 else None,
            [str(entry.folder) for entry in self.request.entries],
            device=self.request.device,
            segment=self.request.segment,
            hop=self.request.hop,
        )


class _Work:
    """Analyses a file; of several short ones that come next, all at once."""

    def __init__(self, making: _MakeWork, classifier: Classifier | None) -> None:
        self.request, self.groups = making.request, making.groups
        self.models: _Streaming
        if classifier is not None:
            self.models = classifier
        else:
            assert making.enrolment is not None  # narrows the type
            self.models = _Recogniser(making, making.enrolment)
        self.shown = self.request if classifier else replace(self.request, threshold=None)
        batched = classifier is not None and _batch_size(self.request) > 1
        self.ahead = Ahead(classifier) if classifier is not None and batched else None
        entries, level = self.request.entries, self.request.level
        self.descriptions = [entry.config.get("descriptions") or {} for entry in entries]
        self.named = [] if level is None else [families_of(entry, level) for entry in entries]

    def look_ahead(self, inputs: Sequence[Input]) -> None:
        """Analyse those of the inputs that are short."""
        if self.ahead is not None:
            self.ahead.look(inputs)

    def __call__(self, item: Item) -> tuple[float, Result]:
        """Analyse a file, and write what is wanted besides the result."""
        tracks = self._tracks(item)
        if self.named:
            tracks = [at_level(*pair) for pair in zip(tracks, self.named, strict=True)]
        meanings = dict(zip(map(name_of, tracks), self.descriptions, strict=True))
        warnings = list(
            dict.fromkeys(text for track in tracks for text in self.models.warnings(track))
        )
        for text in warnings:
            warn(text)
        label = item.input.label
        result = describe(tracks, self.shown, label, meanings=meanings, warnings=warnings)
        if self.groups is not None:
            self._write_tags(item, tracks[0], self.groups)
        pictures = [path for kind, path in item.outputs.items() if kind.startswith("plot")]
        for path, track in zip(pictures, tracks, strict=False):
            _draw(path, track, item, self.request.threshold, meanings[name_of(track)])
        return result.seconds, result

    def _tracks(self, item: Item) -> list[Track]:
        found = None if self.ahead is None else self.ahead.take(item.path)
        if found is not None:
            item.progress(found[0].seconds, found[0].seconds)
            return found
        with decoded(item.input, item.progress) as blocks:
            return self.models.stream(blocks, blocks.rate)

    def _write_tags(self, item: Item, track: Track, groups: Mapping[str, Sequence[str]]) -> None:
        """Write genres and moods among the tags into the file or a copy."""
        (tags,) = decode(track, top=None, threshold=self.request.threshold)
        given = [label for label, _ in tags[: self.request.top]]
        genres, moods = (
            [label for label in given if label in groups.get(kind, ())]
            for kind in ("genre", "mood")
        )
        target = item.outputs.get("copy", item.path)
        tagged = Tags({"genre": genres, "mood": moods})
        write_tags(item.path, target, tagged, name=item.input.name, overwrite=item.overwrite)


def _batch_size(request: ClassifyRequest) -> int:
    """Say how many short files are processed together."""
    if request.batch_size is not None:
        return request.batch_size
    return BATCH if models.device(request.device).type == "cpu" else BATCH_ON_DEVICE


class _Recogniser:
    """Recognises enrolled people, in the place of a classifier."""

    def __init__(self, making: _MakeWork, enrolment: Enrolment) -> None:
        request = making.request
        self.encoder = Encoder(str(request.entries[0].folder), device=request.device)
        self.enrolment, self.threshold = enrolment, request.threshold

    def stream(self, blocks: Blocks, rate: int) -> list[Track]:
        vector = self.encoder.stream(blocks, rate)
        people = recognise(self.enrolment, vector, self.threshold)
        labels, sure = zip(*people, strict=True)
        row, end = np.array([sure], np.float32), np.array([blocks.seconds])
        return [Track("speaker", "classify", labels, row, 0 * end, end, blocks.seconds, 0.0)]

    def warnings(self, track: Track) -> tuple[str, ...]:
        return ()


def _draw(
    path: Path, track: Track, item: Item, least: float | None, plain: Mapping[str, str]
) -> None:
    """Draw tags of a whole recording as bars, and all else under the spectrogram."""
    name, over = item.input.name, item.overwrite
    title = f"{name}    {name_of(track)}"
    if track.independent:  # is drawn as tags are
        track = replace(track, task="tag")
    outside = track.out_of_domain and least is None  # then no label is given
    title += "    out of domain" if outside else ""
    least = track.threshold if least is None else least
    if track.task == "tag" and len(track.starts) == 1 and not track.is_silent(0):
        values = track.probabilities[0]
        plot_tags(path, track.labels, values, title, threshold=least, overwrite=over)
    else:
        seen = plotting.overview(item.path, name=name)
        limit = math.inf if outside else least
        plot_classes(path, seen, track, title, threshold=limit, descriptions=plain, overwrite=over)


def declare(request: ClassifyRequest, output: Path | None) -> Declaration[Result]:
    """Turn a request into a declaration: see :mod:`audiocli.tasks.runner`."""
    models.device(request.device)
    copies = request.write and not request.in_place
    place = destination(output, request, folder=copies)
    entries = list(request.entries)
    if not entries and request.enroll is None:
        raise UsageError("name at least one model")
    if copies and place.folder is None:
        raise FieldError("{write}: name a folder for copies by {output}, or use {in_place}",
                         "write", "output", "in_place")  # fmt: skip
    groups = _groups(entries) if request.write else None
    if request.level is not None:
        check_level(entries)
    entries = entries or [registry.find("encode", VOICE)]
    request = replace(request, form=place.form, entries=tuple(entries))
    names = tuple(entry.name for entry in entries)
    variants = names if len(names) > 1 else ()
    fields = ("form", "top", "threshold", "level", "segment", "hop", "write", "in_place")
    return Declaration(
        command="tag" if all(entry.task == "tag" for entry in entries) else "classify",
        what="labels",
        make_work=_MakeWork(request, None, groups),
        settings={name: getattr(request, name) for name in fields},
        destination=place,
        results=ClassResults(place.form, along=request.segment is not None),
        exports=[] if request.plot is None else [
            Export("plot", request.plot, "classes", variants=variants)
        ],
        outputs=partial(_copy, place.folder) if copies and place.folder else None,
        models=entries,
        units={"start": "s", "end": "s", "probability": "1"},
        batch_size=_batch_size(request),
        check_inputs=_check_written if request.write else None,
        prepare=None if request.enroll is None else partial(_enrolled, request),
    )  # fmt: skip


def _copy(folder: Path, item: Input, namer: Namer) -> dict[str, Path]:
    """Name the copy of a file with tags as the file itself."""
    return {"copy": folder / item.relative}


def _check_written(found: Sequence[Input]) -> None:
    for item in found:
        if item.path == Path("-") or item.url is not None:
            raise FieldError(f"{{write}} needs files; {item.name} is none", "write")


def _enrolled(request: ClassifyRequest, declared: Declaration[Result]) -> Declaration[Result]:
    """Enrol people, which takes time."""
    assert request.enroll is not None  # narrows the type
    encoder = Encoder(str(request.entries[0].folder), device=request.device)
    enrolment = enrol(request.enroll, encoder, warn=warn)
    settings = {**declared.settings, "enrolment": _digest(enrolment)}
    return replace(declared, make_work=_MakeWork(request, enrolment, None), settings=settings)


def classify_files(
    inputs: Sequence[str],
    output: str | Path | None = None,
    request: ClassifyRequest | None = None,
    *,
    options: BatchOptions | None = None,
    callbacks: Callbacks | None = None,
    **fields: Any,
) -> Summary:
    """Classify or tag files and folders; what ``audiocli classify`` and ``audiocli tag`` do.

    Parameters
    ----------
    inputs, output, options, callbacks, **fields
        As in :func:`audiocli.detect_files`; a result is a :class:`Result`.
    request : ClassifyRequest
        What to do; it names the models.

    Returns
    -------
    Summary

    Raises
    ------
    UsageError, ModelError
        As there.
    DataError
        If people cannot be enrolled.

    Examples
    --------
    >>> classify_files(["a.wav"], "results.csv", hop=1.0)
    Traceback (most recent call last):
    ...
    audiocli.errors.FieldError: hop is the distance between segments; give segment as well
    """
    made = filled(ClassifyRequest, request, options, fields)
    return run_files(declare, inputs, output, made, callbacks)


def _groups(entries: Sequence[registry.ModelEntry]) -> Mapping[str, Sequence[str]]:
    """Look up which tags are genres and moods, or refuse to write any."""
    groups: Mapping[str, Sequence[str]] = entries[0].config.get("groups") or {}
    if len(entries) > 1 or not (groups.get("genre") or groups.get("mood")):
        names = ", ".join(entry.name for entry in entries)
        raise FieldError(
            f"{names}: {{write}} needs one model that knows which of its tags are genres and moods",
            "write",
        )
    return groups


def _digest(enrolment: Enrolment) -> str:
    """Identify the enrolled people by one checksum."""
    settings = json.dumps([enrolment.names, enrolment.threshold, enrolment.scale]).encode()
    vectors = enrolment.centroids.tobytes() + enrolment.mean.tobytes()
    return hashlib.sha256(settings + vectors).hexdigest()
