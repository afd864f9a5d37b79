"""Recognise chords in files, one or many, and write what was asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from audiocli.batch import Callbacks, Collector, Progress, Summary, Worker, run
from audiocli.batch.destination import Destination, settle
from audiocli.batch.inputs import Input, Job, find_inputs, plan
from audiocli.batch.placing import Naming, below, picture, sound
from audiocli.batch.stdin import standard_input
from audiocli.errors import UsageError
from audiocli.io import formats
from audiocli.io.audio import AudioReader
from audiocli.io.audio.streaming import decoding
from audiocli.io.formats import Segments
from audiocli.nn import models, registry
from audiocli.tasks import plotting
from audiocli.tasks.chords.accompany import write_chords
from audiocli.tasks.chords.beats import find_bars, find_beats
from audiocli.tasks.chords.labels import QUALITIES, pitches_of
from audiocli.tasks.chords.plot import plot_chords
from audiocli.tasks.chords.recognizer import DEFAULT_MODEL, ChordRecognizer, Chords

__all__ = ["Asked", "Products", "as_segments", "recognize_file", "recognize_files"]

#: Samples decoded at once, at the file's rate.
BLOCK = 1 << 16
#: What formats hold chords by name only, in one notation.
NAMED = {"midi": "plays chords", "chordpro": "is a sheet of chords", "jams": "knows Harte's syntax"}


@dataclass(frozen=True)
class Asked:
    """What to say of the chords.

    Parameters
    ----------
    vocabulary : str, optional
        As in :class:`ChordRecognizer`.
    change : float, optional
        As there.
    simplify : bool
        Major and minor triads only, without inversions.
    transpose : int
        Move all chords and keys by so many semitones.
    roman : bool
        Write them as degrees of the key.
    key : bool
        Give the keys of the sections in the place of the chords.
    beats : bool
        Find beats and bars as well.

    Raises
    ------
    UsageError
        If degrees of keys are asked for.

    Examples
    --------
    >>> Asked(transpose=2).key
    False
    """

    vocabulary: str | None = None
    change: float | None = None
    simplify: bool = False
    transpose: int = 0
    roman: bool = False
    key: bool = False
    beats: bool = False

    def __post_init__(self) -> None:
        if self.key and self.roman:
            raise UsageError("--key gives keys and --roman chords; leave one of them out")

    def of(self, chords: Chords) -> Chords:
        """Change the chords as was asked."""
        if self.transpose:
            chords = chords.transposed(self.transpose)
        return chords.simplified() if self.simplify else chords


@dataclass(frozen=True)
class Products:
    """What to write besides the chords themselves, and where; None for what is not wanted.

    Parameters
    ----------
    plot : str, optional
        Picture; a folder where there are several inputs, and "" for a name beside the output.
    click : str, optional
        The song with the chords played beside it.

    Examples
    --------
    >>> Products(plot="a.png").click is None
    True
    """

    plot: str | None = None
    click: str | None = None


@dataclass(frozen=True)
class _Request:
    """All that a worker needs to know, but the job; pickled to worker processes."""

    model: str
    device: str
    asked: Asked
    form: str
    kinds: tuple[str, ...]  # of each job's outputs: result, plot, click
    n_jobs: int

    def __call__(self) -> Worker:
        models.share_processor(self.n_jobs)
        recognizer = ChordRecognizer(
            self.model,
            device=self.device,
            vocabulary=self.asked.vocabulary,
            change=self.asked.change,
        )

        def work(job: Job, progress: Progress) -> tuple[float, Segments]:
            outputs = dict(zip(self.kinds, job.outputs, strict=True))
            chords = recognize_file(
                recognizer,
                job.input.path,
                self.asked,
                name=job.input.name,
                plot=outputs.get("plot"),
                click=outputs.get("click"),
                overwrite=job.replace,
                progress=progress,
            )
            result = as_segments(chords, self.asked, job.input.name, recognizer.entry.name)
            if "result" in outputs:
                formats.write(
                    outputs["result"],
                    result,
                    self.form,
                    options=writing(result),
                    overwrite=job.replace,
                )
            return chords.seconds, result

        return work


def writing(
    result: Segments | None = None, *, file: bool = False, header: bool = True
) -> formats.Options:
    """Say how chords are written.

    Parameters
    ----------
    result : Segments, optional
        What is written, for what a sheet says beside the chords.
    file, header : bool
        As in :class:`audiocli.io.formats.Options`.

    Returns
    -------
    Options
    """
    known = {} if result is None else result.metadata
    return formats.Options(
        file=file,
        header=header,
        pitches=pitches_of,
        bars=np.array(known["bars"]) if "bars" in known else None,
        beats=np.array(known["beats"]) if "beats" in known else None,
        key=known.get("key"),
        namespace="key_mode" if result is not None and result.name == "key" else None,
    )


def recognize_file(
    recognizer: ChordRecognizer,
    source: Path,
    asked: Asked | None = None,
    *,
    name: str | None = None,
    plot: Path | None = None,
    click: Path | None = None,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> Chords:
    """Recognise the chords of a file, in constant memory, and write what shows them.

    Parameters
    ----------
    recognizer : ChordRecognizer
        The loaded model.
    source : Path
        Any audio file.
    asked : Asked, optional
        What to make of them.
    name : str, optional
        How to call it in messages and in the picture.
    plot, click : Path, optional
        Where to write a picture, and the song with the chords played.
    overwrite : bool
        Whether files that are there may be replaced.
    progress : callable
        Told the seconds done and to do.

    Returns
    -------
    Chords

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
    ...     chords = recognize_file(ChordRecognizer(), Path(folder) / "song.wav")
    >>> str(chords.key)
    'C major'
    """
    with AudioReader(source, name=name) as reader:
        info = reader.info
        rate = info.sample_rate
        with decoding(reader.blocks(BLOCK), rate, info.duration, progress) as blocks:
            heard = recognizer.stream(blocks, rate)
    if click is not None:  # as the song sounds, whatever is asked for on paper
        write_chords(source, click, heard.segments(), pitches_of, name=name, overwrite=overwrite)
    asked = asked or Asked()
    chords = asked.of(heard)
    if asked.beats:
        with AudioReader(source, name=name) as reader:
            beats = find_beats(reader.blocks(BLOCK), reader.info.sample_rate)
        chords = replace(chords, beats=beats, bars=find_bars(beats, heard.passages))
    if plot is not None:
        _draw(plot, source, chords, name, overwrite)
    return chords


def _draw(plot: Path, source: Path, chords: Chords, name: str | None, overwrite: bool) -> None:
    keys = chords.keys()
    plot_chords(
        plot,
        plotting.overview(source, name=name),
        chords.segments(),
        chords.tones.astype(np.float32),
        chords.frame_rate,
        roots=[each.chord.root for each in chords.passages],
        shades=[float(3 in QUALITIES[each.chord.quality]) for each in chords.passages],
        keys=replace(keys, labels=[label.replace(":", " ") for label in keys.labels]),
        title=name or source.name,
        overwrite=overwrite,
    )


def as_segments(chords: Chords, asked: Asked, name: str, model: str = "") -> Segments:
    """Give chords, or keys, the form that the formats write.

    Parameters
    ----------
    chords : Chords
        As :func:`recognize_file` gives them.
    asked : Asked
        Whether keys are wanted, or chords as degrees.
    name : str
        The recording, as the user named it.
    model : str
        The model's name, for the formats that hold it.

    Returns
    -------
    Segments

    Examples
    --------
    >>> chords = Chords((), np.zeros((12, 0)), 10.0, 0.0)
    >>> len(as_segments(chords, Asked(), "a.wav"))
    0
    """
    if asked.key:
        result = chords.keys()
    else:
        result = chords.segments("roman" if asked.roman else "harte")
    metadata: dict[str, Any] = {"key": str(chords.key)} if chords.key else {}
    if chords.tempo:
        metadata["tempo"] = round(chords.tempo, 1)
        metadata["beats"] = [round(time, 3) for time in chords.beats.tolist()]
        metadata["bars"] = [round(time, 3) for time in chords.bars.tolist()]
    if model:
        metadata["model"] = model
    return replace(result, file=name, duration=chords.seconds, metadata=metadata)


def recognize_files(
    inputs: Sequence[str],
    output: str | Path | None = None,
    *,
    files_from: str | None = None,
    form: str | None = None,
    asked: Asked | None = None,
    products: Products | None = None,
    model: str = DEFAULT_MODEL,
    overwrite: bool = False,
    resume: bool = False,
    manifest: Path | None = None,
    n_jobs: int = 1,
    device: str = "auto",
    listener: Callbacks | None = None,
) -> Summary:
    """Recognise chords in files and folders; what ``audiocli chords`` does.

    Parameters
    ----------
    inputs : sequence of str
        Files, folders, patterns, or ``-`` for standard input.
    output : str or Path, optional
        A file for the chords of all inputs, if it ends like one of the formats, or else a folder
        that mirrors the folders given. Without it the listener alone hears of them.
    files_from : str, optional
        A list of more inputs.
    form : str, optional
        One of :data:`audiocli.io.formats.FORMATS`; by default what the output's name says, or lab.
    asked : Asked, optional
        What to say of them.
    products : Products, optional
        Pictures and recordings to write.
    model, device
        As in :class:`ChordRecognizer`.
    overwrite, resume : bool
        Replace outputs that are there; skip what the manifest says is done.
    manifest : Path, optional
        By default ``audiocli.jsonl`` in the output folder.
    n_jobs : int
        Worker processes.
    listener : Callbacks, optional
        Hears how it goes; the outcome of a file that is done holds its ``Segments``.

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
    ...     recognize_files([folder + "/song.wav"], folder + "/chords.csv").done
    1
    """
    models.device(device)
    asked = asked or Asked()
    entry = registry.find("chords", model)
    place = settle(None if output is None else Path(output), form, Segments.kind, "lab")
    form = place.form
    asked = replace(asked, beats=True) if form == "chordpro" else asked  # its lines are of bars
    useless = asked.key * "--key" or asked.roman * "--roman"
    if useless and form in NAMED and not (form == "jams" and asked.key):
        raise UsageError(f"{form} {NAMED[form]}: leave out {useless}, or use another format")
    found = find_inputs(inputs, files_from=files_from, exclude=place.folder)
    naming = _naming(place, products or Products(), len(found) > 1)
    jobs = plan(found, naming, overwrite=overwrite, resume=resume)
    settings = {**vars(asked), "form": form, "products": list(naming.kinds)}
    request = _Request(model, device, asked, form, naming.kinds, n_jobs)
    place.check(found, "chords", overwrite=overwrite, resume=resume, manifest=manifest)
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
        options = writing(results.values[0])
        formats.write(place.file, results.values, form, options, overwrite=overwrite)
    return summary


def _naming(place: Destination, products: Products, several: bool) -> Naming:
    """Say where the outputs of an input go."""
    ways: dict[str, Callable[[Input], Path]] = {}
    if place.folder is not None:
        ways["result"] = partial(below, place.folder, ending=formats.FORMATS[place.form].extension)
    if products.plot is not None:
        ways["plot"] = partial(
            picture, products.plot, place.folder, ending=".chords.png", several=several
        )
    if products.click is not None:
        ways["click"] = partial(sound, products.click, kind="chords", several=several)
    return Naming(ways)
