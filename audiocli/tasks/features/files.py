"""Features of files, one or many, as one table."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocli.atomic import write_whole
from audiocli.audio import AudioReader
from audiocli.batch import Collector, Listener, Progress, Summary, Worker, run
from audiocli.batch.inputs import Input, Job, check_joint_output, find_inputs, plan
from audiocli.batch.stdin import standard_input
from audiocli.errors import UsageError
from audiocli.tasks.features import tables
from audiocli.tasks.features.block import Settings
from audiocli.tasks.features.extractor import STATISTICS, Extractor
from audiocli.tasks.features.tables import Layout, Part

__all__ = ["PLOTTED", "extract_file", "extract_files", "layout_of"]

Floats = NDArray[np.floating[Any]]

#: Samples decoded at once, at the file's rate.
BLOCK = 1 << 16
#: How many features fit on a picture.
PLOTTED = 12


@dataclass(frozen=True)
class _Request:
    """All that a worker needs to know, but the job; pickled to worker processes."""

    names: tuple[str, ...]
    settings: Settings
    statistics: tuple[str, ...]
    frames: bool
    relative: bool

    def __call__(self) -> Worker:
        import threadpoolctl

        extractor = Extractor(self.names, self.settings, self.statistics)
        threads = threadpoolctl.ThreadpoolController()

        def work(job: Job, progress: Progress) -> tuple[float, Part]:
            item = job.input
            # The products of matrices are small: threads would wait for each other, and that
            # takes more time than the features.
            with threads.limit(limits=1):
                seconds, values = extract_file(
                    extractor, item.path, name=item.name, frames=self.frames, progress=progress
                )
            if job.outputs:
                _plot(extractor, job)
            return seconds, Part(_label(item, self.relative), values)

        return work


def layout_of(extractor: Extractor, *, frames: bool = False) -> Layout:
    """Give the columns of an extractor's table.

    Parameters
    ----------
    extractor : Extractor
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
    return Layout(columns, extractor.settings.frame_rate if frames else None)


def extract_file(
    extractor: Extractor,
    source: Path,
    *,
    name: str | None = None,
    frames: bool = False,
    progress: Progress = lambda done, total: None,
) -> tuple[float, Floats]:
    """Make the features of a file, which is read in blocks.

    Parameters
    ----------
    extractor : Extractor
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
    heard = 0

    def counted(blocks: Iterator[Floats], rate: int, total: float | None) -> Iterator[Floats]:
        nonlocal heard
        for block in blocks:
            yield block
            heard += block.shape[-1]
            progress(heard / rate, total)

    with AudioReader(source, name=name) as reader:
        rate = reader.info.sample_rate
        blocks = counted(reader.blocks(BLOCK), rate, reader.info.duration)
        if frames:
            values = np.concatenate(list(extractor.frames(blocks, rate)))
        else:
            values = np.array([list(extractor.summary(blocks, rate).values())])
    return heard / rate, values


def _plot(extractor: Extractor, job: Job) -> None:
    """Draw the features of frames, whatever the table holds."""
    from audiocli import plots  # loads torch

    item = job.input
    _, values = extract_file(extractor, item.path, name=item.name, frames=True)
    curves: dict[str, Floats] = {}
    place = 0
    for feature in extractor.features:
        if not feature.whole:
            count = len(feature.columns(extractor.settings))
            unit = "" if feature.unit == "1" else f"\n({feature.unit})"
            curves[feature.name.replace("_", " ") + unit] = values[:, place : place + count]
            place += count
    plots.plot_features(
        job.outputs[0],
        plots.overview(item.path, name=item.name),
        curves,
        extractor.settings.frame_rate,
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
    frames: bool = False,
    form: str | None = None,
    plot: str | None = None,
    files_from: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    manifest: Path | None = None,
    n_jobs: int = 1,
    listener: Listener | None = None,
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
    listener : Listener, optional
        Hears how it goes; the outcome of a file that is done holds its :class:`Part`.

    Returns
    -------
    Summary

    Raises
    ------
    UsageError
        If the request cannot be carried out as asked; nothing was written then.

    Examples
    --------
    >>> import tempfile
    >>> from audiocli.demo import write_demo
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_demo(Path(folder))
    ...     extract_files([folder + "/song.wav"], folder + "/features.csv").done
    1
    """
    extractor = Extractor(names, settings, statistics)
    layout = layout_of(extractor, frames=frames)
    if frames or plot is not None:
        _check_frames(extractor, plot)
    target = None if output is None else Path(output)
    if target is not None and target.is_dir():
        raise UsageError(f"{target}: is a folder; name a file, as in {target / 'features.csv'}")
    form = tables.find_form(target, form)
    found = find_inputs(inputs, files_from=files_from)
    relative = files_from is None and len(inputs) == 1 and os.path.isdir(inputs[0])
    found.sort(key=lambda item: _label(item, relative))
    pictures = _Pictures(plot, len(found) > 1)
    jobs = plan(found, pictures, overwrite=overwrite, resume=resume)
    made_with = {
        **asdict(extractor.settings),
        **{"columns": list(layout.columns), "frames": frames, "plot": plot is not None},
    }
    known: list[Part] = []
    if target is not None:
        fix = "use --overwrite to replace it, or --resume to add to it"
        check_joint_output(target, found, replace=overwrite or resume, fix=fix)
        manifest = manifest or Path(f"{target}.manifest.jsonl")
        if resume:
            known = _known(target, layout, form, manifest, made_with, found, relative)
    elif resume:
        raise UsageError("--resume adds to a table; name it by --output")
    rows = Collector(listener) if target is not None else None
    request = _Request(tuple(names), extractor.settings, tuple(statistics), frames, relative)
    try:
        with standard_input(jobs) as ready:
            return run(
                ready,
                request,
                settings=made_with,
                n_jobs=n_jobs,
                manifest=manifest,
                resume=resume,
                listener=rows or listener,
            )
    finally:  # an interrupted run keeps what it has done
        if target is not None and rows and rows.values:
            parts = {part.file: part for part in (*known, *rows.values)}
            ordered = [parts[name] for name in sorted(parts)]
            tables.write(target, layout, ordered, form, overwrite=overwrite or resume)


def _label(item: Input, relative: bool) -> str:
    """Give the name of a file in the table."""
    return item.relative.as_posix() if relative else item.name


def _check_frames(extractor: Extractor, plot: str | None) -> None:
    """Refuse frames and pictures of features that are of files only, and too many pictures."""
    drawn = [feature for feature in extractor.features if not feature.whole]
    if not drawn:
        names = ", ".join(feature.name for feature in extractor.features)
        raise UsageError(f"{names}: of whole files only; choose features that frames have as well")
    if plot is not None and len(drawn) > PLOTTED:
        raise UsageError(
            f"--plot draws {PLOTTED} features at most, not {len(drawn)}; choose some by --set"
        )


def _known(
    target: Path,
    layout: Layout,
    form: str,
    manifest: Path,
    made_with: Mapping[str, Any],
    found: Sequence[Input],
    relative: bool,
) -> list[Part]:
    """Read the rows that are there, and let the manifest forget files that have none."""
    known = tables.read(target, layout, form) if os.path.lexists(target) else []
    records: list[dict[str, Any]] = []
    for line in manifest.read_bytes().splitlines() if manifest.is_file() else ():
        try:
            records.append(json.loads(line))
        except ValueError:
            continue  # half a line, from a run that was cut off
    # The manifest's own way of telling settings apart.
    canonical = json.dumps(made_with, sort_keys=True, separators=(",", ":")).encode()
    settings_sha256 = hashlib.sha256(canonical).hexdigest()
    if known and settings_sha256 not in {record.get("settings_sha256") for record in records[-1:]}:
        raise UsageError(
            f"{target}: was made with other settings, or {manifest} is missing; use the options "
            "that it was made with, another name, or --overwrite"
        )
    rows = {part.file for part in known}
    lost = {os.path.abspath(item.path) for item in found if _label(item, relative) not in rows}
    kept = [record for record in records if record.get("path") not in lost]
    if len(kept) < len(records):
        text = "".join(json.dumps(record) + "\n" for record in kept)
        write_whole(manifest, lambda partial: _put(partial, text), overwrite=True)
    return known


def _put(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")


@dataclass(frozen=True)
class _Pictures:
    """Names the picture of an input, if any is wanted."""

    place: str | None
    several: bool

    def __call__(self, item: Input) -> list[Path]:
        if self.place is None:
            return []
        path = Path(self.place)
        if self.several or not self.place or path.is_dir() or self.place.endswith(("/", os.sep)):
            return [path / item.relative.parent / f"{item.relative.stem}.features.png"]
        return [path]
