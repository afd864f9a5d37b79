"""Detect onsets in files, one or many, and write what was asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from audiocli.batch import Callbacks, Collector, Progress, Summary, Worker, run
from audiocli.batch.destination import Destination, settle
from audiocli.batch.inputs import Input, Job, find_inputs, plan
from audiocli.batch.placing import Naming, below, picture, placed, sound
from audiocli.batch.stdin import standard_input
from audiocli.errors import UsageError
from audiocli.io import formats
from audiocli.io.atomic import write_whole
from audiocli.io.audio import AudioReader
from audiocli.io.audio.streaming import decoding
from audiocli.io.formats import Instants
from audiocli.nn import models, registry
from audiocli.tasks import plotting
from audiocli.tasks.onsets.clicks import write_clicks
from audiocli.tasks.onsets.detector import DEFAULT_MODEL, OnsetDetector, Onsets

__all__ = ["COLUMNS", "Products", "as_instants", "detect_file", "detect_files", "write_curve"]

#: What may stand beside each time.
COLUMNS = ("strength", "salience")
#: Samples decoded at once, at the file's rate.
BLOCK = 1 << 16
CURVES = (".csv", ".npz")


@dataclass(frozen=True)
class Products:
    """What to write besides the onsets themselves, and where; None for what is not wanted.

    Parameters
    ----------
    plot : str, optional
        Picture; a folder where there are several inputs, and "" for a name beside the output.
    click : str, optional
        The song with a click at each onset.
    activations : str, optional
        The curve of onset strength, .csv or .npz.

    Examples
    --------
    >>> Products(plot="a.png").click is None
    True
    """

    plot: str | None = None
    click: str | None = None
    activations: str | None = None


@dataclass(frozen=True)
class _Request:
    """All that a worker needs to know, but the job; pickled to worker processes."""

    model: str
    device: str
    threshold: float | None
    combine: float | None
    min_gap: float | None
    backtrack: bool
    columns: tuple[str, ...]
    form: str
    kinds: tuple[str, ...]  # of each job's outputs: result, plot, click, activations
    n_jobs: int

    def __call__(self) -> Worker:
        models.share_processor(self.n_jobs)
        detector = OnsetDetector(
            self.model,
            device=self.device,
            threshold=self.threshold,
            combine=self.combine,
            min_gap=self.min_gap,
        )

        def work(job: Job, progress: Progress) -> tuple[float, Instants]:
            outputs = dict(zip(self.kinds, job.outputs, strict=True))
            onsets = detect_file(
                detector,
                job.input.path,
                name=job.input.name,
                backtrack=self.backtrack,
                plot=outputs.get("plot"),
                click=outputs.get("click"),
                curve=outputs.get("activations"),
                overwrite=job.replace,
                progress=progress,
            )
            result = as_instants(onsets, job.input.name, self.columns, detector.entry.name)
            if "result" in outputs:
                options = formats.Options(columns=True)
                formats.write(
                    outputs["result"], result, self.form, options=options, overwrite=job.replace
                )
            return onsets.seconds, result

        return work


def detect_file(
    detector: OnsetDetector,
    source: Path,
    *,
    name: str | None = None,
    backtrack: bool = False,
    plot: Path | None = None,
    click: Path | None = None,
    curve: Path | None = None,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> Onsets:
    """Detect the onsets of a file, in constant memory, and write what shows them.

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
    plot, click, curve : Path, optional
        Where to write a picture, the song with clicks, and the curve of onset strength.
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
    with AudioReader(source, name=name) as reader:
        info = reader.info
        rate = info.sample_rate
        with decoding(reader.blocks(BLOCK), rate, info.duration, progress) as blocks:
            onsets = detector.stream(blocks, rate, backtrack=backtrack)
    if curve is not None:
        write_curve(curve, onsets, overwrite=overwrite)
    if click is not None:
        write_clicks(source, click, onsets.times, name=name, overwrite=overwrite)
    if plot is not None:
        plotting.plot_onsets(
            plot,
            plotting.overview(source, name=name),
            onsets.times,
            onsets.curve,
            onsets.frame_rate,
            detector.decoder.threshold,
            title=name or source.name,
            overwrite=overwrite,
        )
    return onsets


def as_instants(
    onsets: Onsets, name: str, columns: Sequence[str] = (), model: str = ""
) -> Instants:
    """Give onsets the form that the formats write.

    Parameters
    ----------
    onsets : Onsets
        What was detected.
    name : str
        The recording, as the user named it.
    columns : sequence of str
        Which of ``COLUMNS`` to write beside the times.
    model : str
        The model's name, for the formats that hold it.

    Returns
    -------
    Instants

    Examples
    --------
    >>> none = np.array([])
    >>> onsets = Onsets(none, none, none, np.zeros(101), 100.0, 1.0)
    >>> as_instants(onsets, "a.wav", ["strength"]).table()
    {'time': [], 'strength': []}
    """
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


def write_curve(path: Path, onsets: Onsets, *, overwrite: bool = False) -> None:
    """Write the curve of onset strength.

    Parameters
    ----------
    path : Path
        ``.csv`` (time and strength of every frame) or ``.npz`` (``times`` and ``strengths``).
    onsets : Onsets
        What was detected.
    overwrite : bool
        Whether a file that is there may be replaced.

    Raises
    ------
    UsageError
        If the file is there already or its extension is another.

    Examples
    --------
    >>> import tempfile
    >>> none = np.array([])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "curve.csv"
    ...     write_curve(path, Onsets(none, none, none, np.ones(2), 100.0, 0.01))
    ...     path.read_text().split()
    ['time,strength', '0.0000,1.00000', '0.0100,1.00000']
    """
    if path.suffix.lower() not in CURVES:
        raise UsageError(f"{path}: must end in {', '.join(CURVES)}")
    times = np.arange(len(onsets.curve)) / onsets.frame_rate

    def fill(partial_file: Path) -> None:
        if path.suffix.lower() == ".npz":
            with partial_file.open("wb") as stream:
                np.savez_compressed(stream, times=times, strengths=onsets.curve)
        else:
            table = np.column_stack([times, onsets.curve])
            heading = {"header": "time,strength", "comments": ""}
            np.savetxt(partial_file, table, fmt=["%.4f", "%.5f"], delimiter=",", **heading)

    write_whole(path, fill, overwrite=overwrite)


def detect_files(
    inputs: Sequence[str],
    output: str | Path | None = None,
    *,
    files_from: str | None = None,
    form: str | None = None,
    columns: Sequence[str] = (),
    products: Products | None = None,
    model: str = DEFAULT_MODEL,
    threshold: float | None = None,
    combine: float | None = None,
    min_gap: float | None = None,
    backtrack: bool = False,
    overwrite: bool = False,
    resume: bool = False,
    manifest: Path | None = None,
    n_jobs: int = 1,
    device: str = "auto",
    listener: Callbacks | None = None,
) -> Summary:
    """Detect onsets in files and folders; what ``audiocli onsets`` does.

    Parameters
    ----------
    inputs : sequence of str
        Files, folders, patterns, or ``-`` for standard input.
    output : str or Path, optional
        A file for the onsets of all inputs, if it ends like one of the formats, or else a folder
        that mirrors the folders given. Without it the listener alone hears of them.
    files_from : str, optional
        A list of more inputs.
    form : str, optional
        One of :data:`audiocli.io.formats.FORMATS`; by default what the output's name says, or txt.
    columns : sequence of str
        Which of ``COLUMNS`` stand beside the times.
    products : Products, optional
        Pictures, clicks and curves to write.
    model, device, threshold, combine, min_gap
        As in :class:`OnsetDetector`.
    backtrack : bool
        Move each onset to where the level is lowest before it.
    overwrite, resume : bool
        Replace outputs that are there; skip what the manifest says is done.
    manifest : Path, optional
        By default ``audiocli.jsonl`` in the output folder.
    n_jobs : int
        Worker processes.
    listener : Callbacks, optional
        Hears how it goes; the outcome of a file that is done holds its ``Instants``.

    Returns
    -------
    Summary

    Raises
    ------
    UsageError
        If the request cannot be carried out as asked; nothing was written then.
    ModelError
        If the model cannot be loaded.

    Examples
    --------
    >>> import tempfile
    >>> from audiocli.demo import write_demo
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_demo(Path(folder))
    ...     detect_files([folder + "/song.wav"], folder + "/onsets.csv").done
    1
    """
    models.device(device)
    entry = registry.find("onsets", model)
    place = settle(None if output is None else Path(output), form, Instants.kind, "txt")
    found = find_inputs(inputs, files_from=files_from, exclude=place.folder)
    naming = _naming(place, products or Products(), len(found) > 1)
    jobs = plan(found, naming, overwrite=overwrite, resume=resume)
    settings = {
        **{"threshold": threshold, "combine": combine, "min_gap": min_gap},
        **{"backtrack": backtrack, "columns": list(columns), "form": place.form},
        **{"products": list(naming.kinds)},
    }
    request = _Request(
        model, device, threshold, combine, min_gap, backtrack, tuple(columns), place.form,
        naming.kinds, n_jobs,
    )  # fmt: skip
    place.check(found, "onsets", overwrite=overwrite, resume=resume, manifest=manifest)
    results = Collector(listener)
    with standard_input(jobs) as ready:
        summary = run(
            ready,
            request,
            settings=settings,
            n_jobs=n_jobs,
            model_sha256=str(entry.config["weights_sha256"]),
            manifest=manifest or place.manifest,
            resume=resume,
            listener=results,
        )
    if place.file is not None and results.values:
        options = formats.Options(columns=True)
        formats.write(place.file, results.values, place.form, options, overwrite=overwrite)
    return summary


def _naming(place: Destination, products: Products, several: bool) -> Naming:
    """Say where the outputs of an input go."""
    ways: dict[str, Callable[[Input], Path]] = {}
    if place.folder is not None:
        ways["result"] = partial(below, place.folder, ending=formats.FORMATS[place.form].extension)
    if products.plot is not None:
        ways["plot"] = partial(
            picture, products.plot, place.folder, ending=".onsets.png", several=several
        )
    if products.click is not None:
        ways["click"] = partial(sound, products.click, kind="clicks", several=several)
    if products.activations is not None:
        ways["activations"] = partial(
            placed, "--activations", products.activations, ending=".activations.csv",
            allowed=CURVES, several=several,
        )  # fmt: skip
    return Naming(ways)
