"""Detect onsets in files, one or many, and write the results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audiocli.batch import Callbacks, Progress, Summary
from audiocli.batch.destination import settle
from audiocli.batch.placing import SOUNDS, Export
from audiocli.errors import FieldError, UsageError, suggest
from audiocli.io import formats
from audiocli.io.atomic import write_whole
from audiocli.io.audio import AudioReader
from audiocli.io.formats import Instants
from audiocli.nn import models, registry
from audiocli.tasks import plotting
from audiocli.tasks.clicks import write_clicks
from audiocli.tasks.declaration import AnnotationResults, Declaration, Item, Work
from audiocli.tasks.onsets.detector import DEFAULT_MODEL, OnsetDetector, Onsets
from audiocli.tasks.runner import BatchOptions, filled, run_files

__all__ = [
    "COLUMNS",
    "OnsetRequest",
    "as_instants",
    "declare",
    "detect_file",
    "detect_files",
    "write_activations",
]

#: What may stand beside each time.
COLUMNS = ("strength", "salience")
ACTIVATION_FORMATS = (".csv", ".npz")


@dataclass(frozen=True)
class OnsetRequest:
    """What onset detection is to do.

    Parameters
    ----------
    form : str, optional
        One of :data:`audiocli.io.formats.FORMATS`; by default what the output's name says, or txt.
    columns : tuple of str
        Which of ``COLUMNS`` stand beside the times.
    model, threshold, combine, min_gap, device
        As in :class:`OnsetDetector`.
    backtrack : bool
        Move each onset to where the level is lowest before it.
    plot : str, optional
        A picture; a folder where there are several inputs, and "" for a name beside the output.
    click : str, optional
        The recording with a click at each onset; a file, or a folder.
    activations : str, optional
        The activations, .csv or .npz; a file, or a folder.

    Examples
    --------
    >>> OnsetRequest(threshold=0.4).backtrack
    False
    """

    form: str | None = None
    columns: Sequence[str] = ()
    model: str = DEFAULT_MODEL
    threshold: float | None = None
    combine: float | None = None
    min_gap: float | None = None
    backtrack: bool = False
    plot: str | None = None
    click: str | None = None
    activations: str | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        for column in self.columns:
            if column not in COLUMNS:
                raise FieldError(f"{{columns}} {column}: {suggest(column, COLUMNS)}", "columns")

    @property
    def exports(self) -> list[Export]:
        """What is to be written besides the onsets."""
        made = []
        if self.plot is not None:
            made.append(Export("plot", self.plot, "onsets", folder_tag=""))
        if self.click is not None:
            made.append(Export("click", self.click, "clicks", SOUNDS, like_input=True))
        if self.activations is not None:
            made.append(Export("activations", self.activations, "activations", ACTIVATION_FORMATS))
        return made

    def make_work(self) -> Work[Instants]:
        """Load the model; return the function that detects the onsets of a file."""
        detector = OnsetDetector(
            self.model,
            device=self.device,
            threshold=self.threshold,
            combine=self.combine,
            min_gap=self.min_gap,
        )

        def work(item: Item) -> tuple[float, Instants]:
            onsets = detect_file(
                detector,
                item.path,
                name=item.input.name,
                backtrack=self.backtrack,
                plot=item.outputs.get("plot"),
                click=item.outputs.get("click"),
                activations=item.outputs.get("activations"),
                overwrite=item.overwrite,
                progress=item.progress,
            )
            name = detector.entry.name
            return onsets.seconds, as_instants(onsets, item.input.label, self.columns, name)

        return work


def declare(request: OnsetRequest, output: Path | None) -> Declaration[Instants]:
    """Turn a request into a declaration: see :mod:`audiocli.tasks.runner`."""
    models.device(request.device)
    place = settle(output, request.form, Instants.kind, "txt")
    fields = ("threshold", "combine", "min_gap", "backtrack")
    return Declaration(
        command="onsets",
        what="onsets",
        make_work=request.make_work,
        settings={
            **{name: getattr(request, name) for name in fields},
            "columns": list(request.columns),
            "form": place.form,
        },
        destination=place,
        results=AnnotationResults(
            place.form, formats.Options(columns=True), column=1 + len(request.columns)
        ),
        exports=request.exports,
        models=[registry.find("onsets", request.model)],
        units={"time": "s", "strength": "1", "salience": "dB"},
    )


def detect_file(
    detector: OnsetDetector,
    source: Path,
    *,
    name: str | None = None,
    backtrack: bool = False,
    plot: Path | None = None,
    click: Path | None = None,
    activations: Path | None = None,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> Onsets:
    """Detect the onsets of a file, in constant memory, and write the exports.

    Parameters
    ----------
    detector : OnsetDetector
        The loaded model.
    source : Path
        Any audio file.
    name : str, optional
        How to call it in messages and in the picture.
    backtrack : bool
        Move each onset to where the level is lowest before it.
    plot, click, activations : Path, optional
        Where to write a picture, the recording with clicks, and the activations.
    overwrite : bool
        Whether files that are there may be replaced.
    progress : callable
        Told the seconds done and to do.

    Returns
    -------
    Onsets

    Raises
    ------
    AudioError
        If the source cannot be read or an output not be written.

    Examples
    --------
    >>> import tempfile
    >>> from audiocli.demo import write_demo
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_demo(Path(folder))
    ...     onsets = detect_file(OnsetDetector(), Path(folder) / "song.wav")
    >>> len(onsets.times) > 50
    True
    """
    with AudioReader(source, name=name) as reader, reader.decoded(progress) as blocks:
        onsets = detector.stream(blocks, reader.info.sample_rate, backtrack=backtrack)
    if activations is not None:
        write_activations(activations, onsets, overwrite=overwrite)
    if click is not None:
        write_clicks(source, click, onsets.times, name=name, overwrite=overwrite)
    if plot is not None:
        plotting.plot_onsets(
            plot,
            plotting.overview(source, name=name),
            onsets.times,
            onsets.activations,
            onsets.frame_rate,
            detector.decoder.threshold,
            title=name or source.name,
            overwrite=overwrite,
        )
    return onsets


def as_instants(
    onsets: Onsets, name: str, columns: Sequence[str] = (), model: str = ""
) -> Instants:
    """Convert onsets to the ``Instants`` that the formats write."""
    return Instants(
        onsets.times,
        strengths=onsets.strengths.astype(np.float64) if "strength" in columns else None,
        columns=(
            {"salience": onsets.saliences.astype(np.float64)} if "salience" in columns else {}
        ),
        file=name,
        duration=onsets.seconds,
        metadata={"model": model} if model else {},
    )


def write_activations(path: Path, onsets: Onsets, *, overwrite: bool = False) -> None:
    """Write the activations of all frames, as .csv or .npz."""
    if path.suffix.lower() not in ACTIVATION_FORMATS:
        raise UsageError(f"{path}: must end in {', '.join(ACTIVATION_FORMATS)}")
    times = np.arange(len(onsets.activations)) / onsets.frame_rate

    def fill(partial_file: Path) -> None:
        if path.suffix.lower() == ".npz":
            with partial_file.open("wb") as stream:
                np.savez_compressed(stream, times=times, strengths=onsets.activations)
        else:
            table = np.column_stack([times, onsets.activations])
            heading = {"header": "time,strength", "comments": ""}
            np.savetxt(partial_file, table, fmt=["%.4f", "%.5f"], delimiter=",", **heading)

    write_whole(path, fill, overwrite=overwrite)


def detect_files(
    inputs: Sequence[str],
    output: str | Path | None = None,
    request: OnsetRequest | None = None,
    *,
    options: BatchOptions | None = None,
    callbacks: Callbacks | None = None,
    **fields: Any,
) -> Summary:
    """Detect onsets in files and folders; what ``audiocli onsets`` does.

    Parameters
    ----------
    inputs : sequence of str
        Files, folders, patterns, or ``-`` for standard input.
    output : str or Path, optional
        A file for the results of all inputs, if it ends like one of the formats, or else a folder
        that mirrors the folders given. Without it the results go only to the callbacks.
    request : OnsetRequest, optional
        What to detect, and how.
    options : BatchOptions, optional
        How the run goes.
    callbacks : Callbacks, optional
        Told how it goes; the outcome of a file that is done holds its ``Instants``, unless one file
        holds those of all.
    **fields
        Fields of the request and of :class:`audiocli.BatchOptions`, in their place.

    Returns
    -------
    Summary

    Raises
    ------
    UsageError
        If the request cannot be carried out; nothing was written then.
    ModelError
        If the model cannot be loaded.

    Examples
    --------
    >>> import tempfile
    >>> from audiocli.demo import write_demo
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_demo(Path(folder))
    ...     detect_files([folder + "/song.wav"], folder + "/onsets.csv", threshold=0.4).done
    1
    """
    made = filled(OnsetRequest, request, options, fields)
    return run_files(declare, inputs, output, made, callbacks)
