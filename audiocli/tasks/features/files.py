"""Features of files, one or many, as one table."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocli.batch import Callbacks, Collector, Progress, Summary, Worker, run
from audiocli.batch.inputs import Input, Job, check_joint_output, find_inputs, plan
from audiocli.batch.manifest import digest
from audiocli.batch.placing import PICTURES, below, placed
from audiocli.batch.stdin import standard_input
from audiocli.errors import UsageError
from audiocli.io.atomic import write_bytes
from audiocli.io.audio import AudioReader
from audiocli.tasks.features import tables
from audiocli.tasks.features.block import Settings
from audiocli.tasks.features.extractor import STATISTICS, Describer, Extractor
from audiocli.tasks.features.tables import Layout, Part

__all__ = ["describer", "extract_file", "extract_files", "layout_of"]

Floats = NDArray[np.floating[Any]]

#: Samples decoded at once, at the file's rate.
BLOCK = 1 << 16


@dataclass(frozen=True)
class _Request:
    """All that a worker needs to know, but the job; pickled to worker processes."""

    make: Callable[[], Describer]
    frames: bool
    relative: bool
    n_jobs: int

    def __call__(self) -> Worker:
        import threadpoolctl

        made = self.make()
        threads = threadpoolctl.ThreadpoolController()
        if not made.single_threaded:
            from audiocli.nn.models import share_processor

            share_processor(self.n_jobs)

        def work(job: Job, progress: Progress) -> tuple[float, Part]:
            item = job.input
            with threads.limit(limits=1 if made.single_threaded else None):
                seconds, values = extract_file(
                    made, item.path, name=item.name, frames=self.frames, progress=progress
                )
            if job.outputs:
                _plot(made, job)
            return seconds, Part(_label(item, self.relative), values)

        return work


def describer(
    names: Sequence[str] = ("common",),
    settings: Settings | None = None,
    statistics: Sequence[str] = STATISTICS,
    *,
    basis: str | None = None,
    model: str | None = None,
    device: str = "auto",
) -> Callable[[], Describer]:
    """Choose what describes sound; called, it loads what it needs.

    Parameters
    ----------
    names, settings, statistics, basis, model, device
        As in :func:`extract_files`.

    Returns
    -------
    callable
        Makes an :class:`Extractor`, a ``Basis`` or an ``Embedder``.

    Raises
    ------
    UsageError
        If both a basis and a model are asked for.

    Examples
    --------
    >>> describer(["rms"], statistics=["max"])().columns()[0].name
    'rms_max'
    """
    if basis is not None and model is not None:
        raise UsageError("--basis and --model: choose one of them")
    if basis is None and model is None:
        return partial(Extractor, tuple(names), settings, tuple(statistics))
    from audiocli.tasks.features.learned import Basis, Embedder  # loads torch

    if basis is not None:
        return partial(Basis, basis, tuple(statistics), device=device)
    return partial(Embedder, str(model), tuple(statistics), device=device)


def layout_of(extractor: Describer, *, frames: bool = False) -> Layout:
    """Give the columns of an extractor's table.

    Parameters
    ----------
    extractor : Extractor, Basis or Embedder
        What makes the features.
    frames : bool
        A row a frame, and not a row a file.

    Returns
    -------
    Layout

    Examples
    --------
    >>> layout_of(Extractor(["rms"], statistics=["mean"])).heading
    ('file', 'rms_mean')
    """
    columns = tuple(column.name for column in extractor.columns(frames=frames))
    return Layout(columns, extractor.frame_rate if frames else None)


def extract_file(
    extractor: Describer,
    source: Path,
    *,
    name: str | None = None,
    frames: bool = False,
    progress: Progress = lambda done, total: None,
) -> tuple[float, Floats]:
    """Make the features of a file, which is read in blocks.

    Parameters
    ----------
    extractor : Extractor, Basis or Embedder
        What to make.
    source : Path
        Any audio file.
    name : str, optional
        How to call it in messages.
    frames : bool
        A row a frame, and not a row for the file.
    progress : callable
        Told the seconds done and to do.

    Returns
    -------
    seconds : float
        Length of the file.
    values : ndarray, shape (rows, columns)
        As :func:`layout_of` names them. Where rows are frames, they are all that is kept of the
        file.

    Raises
    ------
    AudioError
        If the source cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> import soundfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(folder + "/a.wav", np.zeros(8000), 8000)
    ...     seconds, values = extract_file(Extractor(["common"]), Path(folder) / "a.wav")
    >>> seconds, values.shape
    (1.0, (1, 172))
    """
    with AudioReader(source, name=name) as reader:
        blocks = _Decoded(reader, progress)
        rate = reader.info.sample_rate
        if frames:
            values = np.concatenate(list(extractor.frames(blocks, rate)))
        else:
            values = np.array([list(extractor.summary(blocks, rate).values())])
    return blocks.heard / rate, values


class _Decoded:
    """The blocks of a file, as often as they are asked for."""

    def __init__(self, reader: AudioReader, progress: Progress) -> None:
        self.reader = reader
        self.progress = progress
        self.heard = 0  # samples, the last time

    def __iter__(self) -> Iterator[Floats]:
        self.heard = 0
        info = self.reader.info
        for block in self.reader.blocks(BLOCK):
            yield block
            self.heard += block.shape[-1]
            self.progress(self.heard / info.sample_rate, info.duration)


def _plot(extractor: Describer, job: Job) -> None:
    """Draw the features of frames, whatever the table holds."""
    from audiocli.tasks import plotting  # loads torch

    item = job.input
    seen = plotting.overview(item.path, name=item.name)
    with AudioReader(item.path, name=item.name) as reader:
        blocks = _Decoded(reader, lambda done, total: None)
        extractor.draw(
            job.outputs[0],
            seen,
            blocks,
            reader.info.sample_rate,
            title=item.name,
            overwrite=job.replace,
        )


def extract_files(
    inputs: Sequence[str],
    output: str | Path | None = None,
    *,
    names: Sequence[str] = ("common",),
    settings: Settings | None = None,
    statistics: Sequence[str] = STATISTICS,
    basis: str | None = None,
    model: str | None = None,
    frames: bool = False,
    form: str | None = None,
    plot: str | None = None,
    files_from: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    manifest: Path | None = None,
    n_jobs: int = 1,
    device: str = "auto",
    listener: Callbacks | None = None,
) -> Summary:
    """Make one table of the features of files and folders; what ``audiocli features`` does.

    Rows are sorted by the names of the files: relative to the folder, if one folder is all that
    is given, or else as given. All files have the same columns.

    Parameters
    ----------
    inputs : sequence of str
        Files, folders, patterns, or ``-`` for standard input.
    output : str or Path, optional
        The table. Without it the listener alone hears of the rows.
    names : sequence of str
        Features and sets, see :data:`audiocli.tasks.features.SETS`.
    settings : Settings, optional
        Rate, frames and hop.
    statistics : sequence of str
        ``mean``, ``std``, ``min``, ``max``, ``median``, ``p10`` and the like.
    basis : str, optional
        A model for the task ``features``, in the place of names and settings: a basis of spectra
        learned from data.
    model : str, optional
        Likewise a model of any task: its last hidden layer.
    frames : bool
        A row a frame, with its time, and not a row a file.
    form : str, optional
        One of :data:`audiocli.tasks.features.tables.FORMATS`; by default as the output ends.
    plot : str, optional
        A picture of the features; a folder where there are several inputs, and "" for a name
        like the input's.
    files_from : str, optional
        A list of more inputs.
    overwrite : bool
        Replace what is there.
    resume : bool
        Keep the rows of a table that is there, and add those of files that are not in it yet or
        have changed since.
    manifest : Path, optional
        By default the table's name and ``.manifest.jsonl``.
    n_jobs : int
        Worker processes.
    device : str
        Where a basis or model runs, as in :func:`audiocli.nn.models.device`.
    listener : Callbacks, optional
        Hears how it goes; the outcome of a file that is done holds its :class:`Part`.

    Returns
    -------
    Summary

    Raises
    ------
    UsageError
        If the request cannot be carried out as asked; nothing was written then.
    ModelError
        If the basis or model cannot be loaded.

    Examples
    --------
    >>> import tempfile
    >>> from audiocli.demo import write_demo
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_demo(Path(folder))
    ...     extract_files([folder + "/song.wav"], folder + "/features.csv").done
    1
    """
    make = describer(names, settings, statistics, basis=basis, model=model, device=device)
    extractor = make()
    layout = layout_of(extractor, frames=frames)
    if frames or plot is not None:
        extractor.check_frames(plot=plot is not None)
    target = None if output is None else Path(output)
    if target is not None and target.is_dir():
        raise UsageError(f"{target}: is a folder; name a file, as in {target / 'features.csv'}")
    form = tables.find_form(target, form)
    table = None if target is None else _Table(target, layout, form)
    found = find_inputs(inputs, files_from=files_from)
    relative = files_from is None and len(inputs) == 1 and os.path.isdir(inputs[0])
    found.sort(key=lambda item: _label(item, relative))
    pictures = _Pictures(plot, len(found) > 1)
    jobs = plan(found, pictures, overwrite=overwrite, resume=resume)
    made_with = {
        **extractor.facts,
        **{"columns": list(layout.columns), "frames": frames, "plot": plot is not None},
    }
    known: list[Part] = []
    if table is not None:
        fix = "use --overwrite to replace it, or --resume to add to it"
        check_joint_output(table.path, found, replace=overwrite or resume, fix=fix)
        manifest = manifest or Path(f"{table.path}.manifest.jsonl")
        if resume:
            labels = {os.path.abspath(item.path): _label(item, relative) for item in found}
            known = table.resumed(manifest, made_with, labels)
    elif resume:
        raise UsageError("--resume adds to a table; name it by --output")
    rows = Collector(listener)
    request = _Request(make, frames, relative, n_jobs)
    try:
        with standard_input(jobs) as ready:
            return run(
                ready,
                request,
                settings=made_with,
                n_jobs=n_jobs,
                manifest=manifest,
                resume=resume,
                listener=listener if table is None else rows,
            )
    finally:  # an interrupted run keeps what it has done
        if table is not None and rows.values:
            table.write([*known, *rows.values], overwrite=overwrite or resume)


def _label(item: Input, relative: bool) -> str:
    """Give the name of a file in the table."""
    return item.relative.as_posix() if relative else item.name


@dataclass(frozen=True)
class _Table:
    """The one file that holds all rows."""

    path: Path
    layout: Layout
    form: str

    def resumed(
        self, manifest: Path, made_with: Mapping[str, Any], labels: Mapping[str, str]
    ) -> list[Part]:
        """Read the rows that are there, and let the manifest forget files that have none.

        `labels` are the names in the table, by the absolute paths of the files.
        """
        there = os.path.lexists(self.path)
        known = tables.read(self.path, self.layout, self.form) if there else []
        records: list[dict[str, Any]] = []
        for line in manifest.read_bytes().splitlines() if manifest.is_file() else ():
            try:
                records.append(json.loads(line))
            except ValueError:
                continue  # half a line, from a run that was cut off
        latest = {record.get("settings_sha256") for record in records[-1:]}
        if known and digest(made_with) not in latest:
            raise UsageError(
                f"{self.path}: was made with other settings, or {manifest} is missing; use the "
                "options that it was made with, another name, or --overwrite"
            )
        rows = {part.file for part in known}
        lost = {path for path, label in labels.items() if label not in rows}
        kept = [record for record in records if record.get("path") not in lost]
        if len(kept) < len(records):
            text = "".join(json.dumps(record) + "\n" for record in kept)
            write_bytes(manifest, text.encode("utf-8"), overwrite=True)
        return known

    def write(self, parts: Sequence[Part], *, overwrite: bool) -> None:
        """Write rows by the names of the files, of each file the last."""
        latest = {part.file: part for part in parts}
        ordered = [latest[name] for name in sorted(latest)]
        tables.write(self.path, self.layout, ordered, self.form, overwrite=overwrite)


@dataclass(frozen=True)
class _Pictures:
    """Names the picture of an input, if any is wanted."""

    place: str | None
    several: bool

    def __call__(self, item: Input) -> list[Path]:
        if self.place is None:
            return []
        ending = ".features.png"
        if not self.place:
            return [below(Path(), item, ending)]
        return [placed("--plot", self.place, item, ending, PICTURES, self.several)]
