"""Classify and tag files, one or many: print, write, draw, and put tags into their metadata."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from audiocli.batch import Callbacks, Collector, Progress, Summary, Worker, run
from audiocli.batch.destination import Destination
from audiocli.batch.inputs import Input, Job, find_inputs, plan
from audiocli.batch.placing import PICTURES, below, placed
from audiocli.batch.stdin import standard_input
from audiocli.errors import UsageError, suggest
from audiocli.io import formats
from audiocli.io.atomic import write_bytes
from audiocli.io.metadata import Tags, write_tags
from audiocli.nn import models, registry
from audiocli.tasks import plotting
from audiocli.tasks.classify.classifier import Classifier, Encoder
from audiocli.tasks.classify.decisions import Track, decode
from audiocli.tasks.classify.enrolment import Enrolment, enrol, recognise
from audiocli.tasks.classify.hearing import VOICE, Blocks, heard
from audiocli.tasks.classify.plot import plot_classes, plot_tags
from audiocli.tasks.classify.results import (
    Asked,
    Result,
    describe,
    destination,
    name_of,
    render,
)

__all__ = ["TASKS", "classify_files", "find_models"]

#: The models that answer for a task.
TASKS: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in ("genre", "genre-broad", "mood")},
    "artist": ("singer",),
    **{name: (name,) for name in ("singer", "composer", "instrument")},
    "event": ("event", "event-urban"),
    "speech": ("keywords",),
    **{name: (name,) for name in ("keywords", "digits", "speaker", "content")},
}


def find_models(
    tasks: Sequence[str] = (), names: Sequence[str] = (), tags: Sequence[str] = (),
    *, every: bool = False,
) -> list[registry.ModelEntry]:  # fmt: skip
    """Find the models to ask.

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
            f"what to find out? Name a --task ({', '.join(TASKS)}), a --model, a folder to "
            "--enroll, or use --all-tasks"
        )
    return list({entry.folder.resolve(): entry for entry in found}.values())


@dataclass(frozen=True)
class _Request:
    """All that a worker needs to know, but the job; pickled to worker processes."""

    asked: Asked
    entries: tuple[registry.ModelEntry, ...]
    enrolment: Enrolment | None  # of the people to tell apart; the entry is the encoder's
    groups: Mapping[str, Sequence[str]] | None  # labels to write into files
    in_place: bool
    relative: bool
    device: str
    kinds: tuple[str, ...]  # of each job's outputs: copy, result, plot
    n_jobs: int

    def __call__(self) -> Worker:
        models.share_processor(self.n_jobs)
        listener: Any = (
            self._classifier() if self.enrolment is None else _Recogniser(self, self.enrolment)
        )
        # What a model says of whether it is made for such a recording.
        doubts = getattr(listener, "warnings", lambda track: ())
        asked = self.asked if self.enrolment is None else replace(self.asked, threshold=None)
        descriptions = [entry.config.get("descriptions") or {} for entry in self.entries]

        def work(job: Job, progress: Progress) -> tuple[float, Result]:
            item, outputs = job.input, dict(zip(self.kinds, job.outputs, strict=True))
            with heard(item, progress) as blocks:
                tracks: list[Track] = listener.stream(blocks, blocks.rate)
            meanings = dict(zip(map(name_of, tracks), descriptions, strict=True))
            file = item.relative.as_posix() if self.relative else item.name
            warnings = list(dict.fromkeys(text for track in tracks for text in doubts(track)))
            result = describe(tracks, asked, file, meanings=meanings, warnings=warnings)
            if self.groups is not None:
                self._write_tags(item, outputs.get("copy"), tracks[0], job.replace)
            if "result" in outputs:
                text = render(result, asked.form or "txt", named=False)
                write_bytes(outputs["result"], text.encode("utf-8"), overwrite=job.replace)
            pictures = [path for kind, path in outputs.items() if kind.startswith("plot")]
            for path, track in zip(pictures, tracks, strict=False):
                plain = meanings[name_of(track)]
                _draw(path, track, item, asked.threshold, plain, job.replace)
            return result.seconds, result

        return work

    def _classifier(self) -> Classifier:
        tasks = {entry.task for entry in self.entries}
        return Classifier(
            tasks.pop() if len(tasks) == 1 else None,
            [str(entry.folder) for entry in self.entries],
            device=self.device,
            segment=self.asked.segment,
            hop=self.asked.hop,
        )

    def _write_tags(self, item: Input, copy: Path | None, track: Track, overwrite: bool) -> None:
        """Write those of the tags that are genres and moods into the file or a copy."""
        assert self.groups is not None  # narrows the type
        (tags,) = decode(track, top=None, threshold=self.asked.threshold)
        given = [label for label, _ in tags[: self.asked.top]]
        genres, moods = (
            [label for label in given if label in self.groups.get(kind, ())]
            for kind in ("genre", "mood")
        )
        target = item.path if copy is None else copy
        tagged = Tags({"genre": genres, "mood": moods})
        write_tags(item.path, target, tagged, name=item.name, overwrite=overwrite)


class _Recogniser:
    """Tells enrolled people apart, in the place of a classifier."""

    def __init__(self, request: _Request, enrolment: Enrolment) -> None:
        self.encoder = Encoder(str(request.entries[0].folder), device=request.device)
        self.enrolment, self.threshold = enrolment, request.asked.threshold

    def stream(self, blocks: Blocks, rate: int) -> list[Track]:
        vector = self.encoder.stream(blocks, rate)
        people = recognise(self.enrolment, vector, self.threshold)
        labels, sure = zip(*people, strict=True)
        row, end = np.array([sure], np.float32), np.array([blocks.seconds])
        return [Track("speaker", "classify", labels, row, 0 * end, end, blocks.seconds, 0.0)]


def _draw(
    path: Path, track: Track, item: Input, least: float | None, plain: Mapping[str, str], over: bool
) -> None:
    """Draw tags of a whole recording as bars, and all else under the spectrogram."""
    title = f"{item.name}    {name_of(track)}"
    least = track.threshold if least is None else least
    if track.task == "tag" and len(track.starts) == 1:
        values = track.probabilities[0]
        plot_tags(path, track.labels, values, title, threshold=least, overwrite=over)
    else:
        seen = plotting.overview(item.path, name=item.name)
        plot_classes(path, seen, track, title, threshold=least, descriptions=plain, overwrite=over)


def classify_files(
    inputs: Sequence[str],
    output: str | Path | None = None,
    *,
    entries: Sequence[registry.ModelEntry] = (),
    enroll: Path | None = None,
    asked: Asked | None = None,
    plot: str | None = None,
    write: bool = False,
    in_place: bool = False,
    files_from: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    manifest: Path | None = None,
    n_jobs: int = 1,
    device: str = "auto",
    listener: Callbacks | None = None,
    warn: Callable[[str], None] | None = None,
) -> Summary:
    """Classify or tag files and folders; what ``audiocli classify`` and ``audiocli tag`` do.

    Parameters
    ----------
    inputs : sequence of str
        Files, folders, patterns, or ``-`` for standard input.
    output : str or Path, optional
        A file for the results of all inputs, if it ends like one of the formats, or else a folder
        that mirrors the folders given. Without it the listener alone hears of them.
    entries : sequence of ModelEntry
        The models, as :func:`find_models` finds them. All hear a file in one pass.
    enroll : Path, optional
        A folder a person, to be told apart by their voices. The entry is then an encoder;
        without one the encoder of voices.
    asked : Asked, optional
        What is wanted of each recording.
    plot : str, optional
        A picture; a folder where there are several inputs, and "" for a name beside the output.
    write : bool
        Put genres and moods into copies of the files, in the output folder.
    in_place : bool
        Put them into the files themselves.
    files_from : str, optional
        A list of more inputs.
    overwrite, resume : bool
        Replace outputs that are there; skip what the manifest says is done.
    manifest : Path, optional
        By default ``audiocli.jsonl`` in the output folder.
    n_jobs : int
        Worker processes.
    device : str
        As in :func:`audiocli.nn.models.device`.
    listener : Callbacks, optional
        Hears how it goes; the outcome of a file that is done holds its :class:`Result`.
    warn : callable, optional
        Hears of clips of people that cannot be read.

    Returns
    -------
    Summary

    Raises
    ------
    UsageError
        If the request cannot be carried out as asked; nothing was written then.
    ModelError
        If a model cannot be loaded.
    DataError
        If people cannot be enrolled.

    Examples
    --------
    >>> classify_files(["a.wav"], "results.csv", asked=Asked(hop=1.0))
    Traceback (most recent call last):
    ...
    audiocli.errors.UsageError: --hop is the distance of --segments, which are not asked for
    """
    models.device(device)
    copies = write and not in_place
    asked = asked or Asked()
    place = destination(None if output is None else Path(output), asked, folder=copies)
    asked = replace(asked, form=place.form)
    if not entries and enroll is None:
        raise UsageError("name at least one model")
    if enroll is not None and asked.segment is not None:
        raise UsageError("--enroll goes by the whole recording; leave out --segments")
    if in_place and not write:
        raise UsageError("--in-place says where --write writes, which is not asked for")
    if copies and place.folder is None:
        raise UsageError("--write: name a folder for copies by --output, or use --in-place")
    found = find_inputs(inputs, files_from=files_from, exclude=place.folder)
    groups = _groups(entries, asked, found) if write else None
    names = tuple(entry.name for entry in entries) or (VOICE,)
    naming = _Naming(place, plot, names, copies, len(found) > 1)
    jobs = plan(found, naming, overwrite=overwrite, resume=resume)
    place.check(found, "labels", overwrite=overwrite, resume=resume, manifest=manifest)
    entries = entries or [registry.find("encode", VOICE)]
    enrolment = None
    if enroll is not None:
        enrolment = enrol(enroll, Encoder(str(entries[0].folder), device=device), warn=warn)
    request = _Request(
        asked, tuple(entries), enrolment, groups, in_place,
        files_from is None and len(inputs) == 1 and os.path.isdir(inputs[0]),
        device, naming.kinds, n_jobs,
    )  # fmt: skip
    results = Collector(listener)
    with standard_input(jobs) as ready:
        summary = run(
            ready,
            request,
            settings={**asdict(asked), "kinds": list(naming.kinds), "in_place": in_place,
                      "enrolment": _digest(enrolment)},
            n_jobs=n_jobs,
            model_sha256=_sums(entries),
            manifest=manifest or place.manifest,
            resume=resume,
            listener=results if place.file is not None else listener,
        )  # fmt: skip
    if place.file is not None and results.values:
        text = [render(result, place.form, named=len(found) > 1, header=index == 0)
                for index, result in enumerate(results.values)]  # fmt: skip
        write_bytes(place.file, "".join(text).encode("utf-8"), overwrite=overwrite)
    return summary


def _groups(
    entries: Sequence[registry.ModelEntry], asked: Asked, found: Sequence[Input]
) -> Mapping[str, Sequence[str]]:
    """Look up which tags are genres and moods, or refuse to write any."""
    if asked.segment is not None:
        raise UsageError("--write goes by the whole recording; leave out --segments")
    if any(item.path == Path("-") for item in found):
        raise UsageError("--write needs files; - is none")
    groups: Mapping[str, Sequence[str]] = entries[0].config.get("groups") or {}
    if len(entries) > 1 or not (groups.get("genre") or groups.get("mood")):
        raise UsageError(
            f"{', '.join(entry.name for entry in entries)}: --write needs one model that knows "
            "which of its tags are genres and moods"
        )
    return groups


def _sums(entries: Sequence[registry.ModelEntry]) -> str:
    """Name the weights of all models, and of the encoders below them, by one sum."""
    sums = [str(entry.config["weights_sha256"]) for entry in entries]
    for entry in entries:
        sums += [str(each["weights_sha256"]) for each in entry.config.get("encoders") or ()]
    return sums[0] if len(sums) == 1 else hashlib.sha256(" ".join(sums).encode()).hexdigest()


def _digest(enrolment: Enrolment | None) -> str | None:
    """Name the people that are enrolled by one sum."""
    if enrolment is None:
        return None
    told = json.dumps([enrolment.names, enrolment.threshold, enrolment.scale]).encode()
    vectors = enrolment.centroids.tobytes() + enrolment.mean.tobytes()
    return hashlib.sha256(told + vectors).hexdigest()


@dataclass(frozen=True)
class _Naming:
    """Names the outputs of an input: a copy or a result, and a picture a model."""

    place: Destination
    plot: str | None
    models: tuple[str, ...]
    copies: bool
    several: bool

    @property
    def kinds(self) -> tuple[str, ...]:
        """What an input has, in the order of its paths."""
        first = () if self.place.folder is None else ("copy" if self.copies else "result",)
        return first if self.plot is None else (*first, *(f"plot {name}" for name in self.models))

    def __call__(self, item: Input) -> list[Path]:
        made, folder = [], self.place.folder
        if folder is not None:
            ending = formats.FORMATS[self.place.form].extension
            made = [folder / item.relative if self.copies else below(folder, item, ending)]
        return made if self.plot is None else [*made, *self._pictures(item, self.plot)]

    def _pictures(self, item: Input, place: str) -> list[Path]:
        if place:
            path = placed("--plot", place, item, ".classes.png", PICTURES, self.several)
        else:
            path = below(self.place.folder or Path(), item, ".classes.png")
        if len(self.models) < 2:
            return [path]
        return [path.with_name(f"{path.stem}.{name}{path.suffix}") for name in self.models]
