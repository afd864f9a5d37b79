"""Recognise chords in files, one or many, and write the results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from audiocli.batch import Callbacks, Progress, Summary
from audiocli.batch.destination import settle
from audiocli.batch.placing import SOUNDS, Export
from audiocli.errors import FieldError, suggest
from audiocli.io import formats
from audiocli.io.audio import AudioReader
from audiocli.io.formats import Segments
from audiocli.nn import models, registry
from audiocli.tasks import plotting
from audiocli.tasks.beat_tracker import DEFAULT_MODEL as BEAT_MODEL
from audiocli.tasks.beat_tracker import BeatTracker
from audiocli.tasks.chords.accompany import write_chords
from audiocli.tasks.chords.labels import QUALITIES, pitches_of
from audiocli.tasks.chords.plot import plot_chords
from audiocli.tasks.chords.recognizer import DEFAULT_MODEL, ChordRecognizer, Chords
from audiocli.tasks.declaration import AnnotationResults, Declaration, Item, Work
from audiocli.tasks.runner import BatchOptions, filled, run_files

__all__ = ["ChordRequest", "as_segments", "declare", "recognize_file", "recognize_files"]

#: What formats hold chords by name only, in one notation.
NAMED = {"midi": "plays chords", "chordpro": "is a sheet of chords", "html": "is a sheet of chords",
         "jams": "knows Harte's syntax"}  # fmt: skip
#: Formats that are chord sheets.
SHEETS = ("chordpro", "html")
#: What is drawn in a sheet, by the name that is given.
DIAGRAMS = {"guitar": ("guitar",), "ukulele": ("ukulele",), "both": ("guitar", "ukulele"),
            "none": ()}  # fmt: skip


@dataclass(frozen=True)
class ChordRequest:
    """What chord recognition is to do.

    Parameters
    ----------
    vocabulary, change, model, device
        As in :class:`ChordRecognizer`.
    simplify : bool
        Major and minor triads only, without inversions.
    transpose : int
        Semitones by which all chords and keys are moved.
    roman : bool
        Write them as degrees of the key.
    key : bool
        Give the keys of the sections in the place of the chords.
    beats : bool
        Find beats and bars as well.
    capo : int
        In chord sheets: the fret of a capo; chords are named as they are held behind it.
    diagrams : {"guitar", "ukulele", "both", "none"}
        In html: whose fingerings are drawn.
    form : str, optional
        One of :data:`audiocli.io.formats.FORMATS`; by default what the output's name says, or lab.
    plot : str, optional
        A picture; a folder where there are several inputs, and "" for a name beside the output.
    click : str, optional
        The recording with the chords played beside it; a file, or a folder.

    Raises
    ------
    FieldError
        If keys are to be written as degrees, or the format cannot hold degrees or keys.

    Examples
    --------
    >>> ChordRequest(transpose=2).key
    False
    """

    vocabulary: str | None = None
    change: float | None = None
    simplify: bool = False
    transpose: int = 0
    roman: bool = False
    key: bool = False
    beats: bool = False
    capo: int = 0
    diagrams: str = "guitar"
    form: str | None = None
    model: str = DEFAULT_MODEL
    plot: str | None = None
    click: str | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        if not 0 <= self.capo <= 11:
            raise FieldError(f"{{capo}} {self.capo}: must be a fret from 0 to 11", "capo")
        if self.diagrams not in DIAGRAMS:
            raise FieldError(f"{{diagrams}} {self.diagrams}: {suggest(self.diagrams, DIAGRAMS)}",
                             "diagrams")  # fmt: skip
        if self.key and self.roman:
            raise FieldError("{key} gives keys and {roman} chords; leave one of them out",
                             "key", "roman")  # fmt: skip
        useless = self.key * "key" or self.roman * "roman"
        if useless and self.form in NAMED and not (self.form == "jams" and self.key):
            raise FieldError(
                f"{self.form} {NAMED[self.form]}: leave out {{{useless}}}, or use another format",
                useless,
            )

    def of(self, chords: Chords) -> Chords:
        """Transpose and simplify chords as requested."""
        if self.transpose != self.capo:
            chords = chords.transposed(self.transpose - self.capo)
        return chords.simplified() if self.simplify else chords

    @property
    def exports(self) -> list[Export]:
        """What is to be written besides the chords."""
        made = []
        if self.plot is not None:
            made.append(Export("plot", self.plot, "chords", folder_tag=""))
        if self.click is not None:
            made.append(Export("click", self.click, "chords", SOUNDS, like_input=True))
        return made

    def make_work(self) -> Work[Segments]:
        """Load the model; return the function that recognises the chords of a file."""
        recognizer = ChordRecognizer(
            self.model, device=self.device, vocabulary=self.vocabulary, change=self.change
        )
        tracker = BeatTracker(device=self.device) if self.beats else None

        def work(item: Item) -> tuple[float, Segments]:
            chords = recognize_file(
                recognizer,
                item.path,
                self,
                tracker=tracker,
                name=item.input.name,
                plot=item.outputs.get("plot"),
                click=item.outputs.get("click"),
                overwrite=item.overwrite,
                progress=item.progress,
            )
            name = recognizer.entry.name
            return chords.seconds, as_segments(chords, self, item.input.label, name)

        return work


@dataclass(frozen=True)
class ChordResults(AnnotationResults):
    """Chords or keys as text: with what sheets and MIDI need of them, and lab for several files."""

    capo: int = 0
    diagrams: tuple[str, ...] = ()

    @property
    def prints_several(self) -> bool:
        """Whether the text of several recordings can stand in one stream."""
        return self.joins or self.form == "lab"

    def render(self, value: Segments, named: bool, header: bool) -> str | bytes:
        """Make text of the chords of a recording."""
        known = value.metadata
        options = formats.Options(
            file=named,
            header=header,
            pitches=pitches_of,
            bars=np.array(known["bars"]) if "bars" in known else None,
            beats=np.array(known["beats"]) if "beats" in known else None,
            key=known.get("key"),
            capo=self.capo,
            diagrams=self.diagrams,
            namespace="key_mode" if value.name == "key" else None,
        )
        text = formats.render(value, self.form, options)
        if named and self.form == "lab" and isinstance(text, str):
            # A lab file has no place for a name, so on standard output it is behind the label.
            return text.replace("\n", f"\t{value.file}\n")
        return text


def declare(request: ChordRequest, output: Path | None) -> Declaration[Segments]:
    """Turn a request into a declaration: see :mod:`audiocli.tasks.runner`."""
    models.device(request.device)
    place = settle(output, request.form, Segments.kind, "lab")
    # The lines of a sheet are of bars, and MIDI has the tempo of the music.
    beats = request.beats or place.form in (*SHEETS, "midi")
    if request.capo and place.form not in SHEETS:
        raise FieldError(
            "{capo} is for chord sheets, chordpro and html; use {transpose} for others",
            "capo", "transpose",
        )  # fmt: skip
    request = replace(request, form=place.form, beats=beats)
    fields = ("vocabulary", "change", "simplify", "transpose", "roman", "key", "beats", "form",
              "capo", "diagrams")  # fmt: skip
    return Declaration(
        command="chords",
        what="chords",
        make_work=request.make_work,
        settings={name: getattr(request, name) for name in fields},
        destination=place,
        results=ChordResults(place.form, capo=request.capo, diagrams=DIAGRAMS[request.diagrams]),
        exports=request.exports,
        models=[
            registry.find("chords", request.model),
            *([registry.find("beats", BEAT_MODEL)] if request.beats else []),
        ],
        units={"start": "s", "end": "s", "label": "key" if request.key else "chord"},
    )


def recognize_file(
    recognizer: ChordRecognizer,
    source: Path,
    request: ChordRequest | None = None,
    *,
    tracker: BeatTracker | None = None,
    name: str | None = None,
    plot: Path | None = None,
    click: Path | None = None,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> Chords:
    """Recognise the chords of a file, in constant memory, and write the exports.

    Parameters
    ----------
    source, name, overwrite, progress
        As in :func:`audiocli.detect_file`.
    recognizer : ChordRecognizer
        The loaded model.
    request : ChordRequest, optional
        What to make of them.
    tracker : BeatTracker, optional
        What finds beats and bars, if the request has `beats`; the default one otherwise.
    plot, click : Path, optional
        Where to write a picture, and the recording with the chords played.

    Returns
    -------
    Chords

    Raises
    ------
    AudioError
        As there.

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
    with AudioReader(source, name=name) as reader, reader.decoded(progress) as blocks:
        found = recognizer.stream(blocks, reader.info.sample_rate)
    if click is not None:  # as the recording sounds, however the chords are written
        write_chords(source, click, found.segments(), pitches_of, name=name, overwrite=overwrite)
    request = request or ChordRequest()
    chords = request.of(found)
    if request.beats:
        tracker = tracker or BeatTracker()
        with AudioReader(source, name=name) as reader:
            beats = tracker.stream(reader.full_range(), reader.info.sample_rate)
        chords = replace(chords, beats=beats.times, bars=beats.downbeats)
    if plot is not None:
        _draw(plot, source, chords, name, overwrite)
    return chords


def _draw(plot: Path, source: Path, chords: Chords, name: str | None, overwrite: bool) -> None:
    plot_chords(
        plot,
        plotting.overview(source, name=name),
        chords.segments(),
        chords.tones.astype(np.float32),
        chords.frame_rate,
        roots=[each.chord.root for each in chords.passages],
        shades=[float(3 in QUALITIES[each.chord.quality]) for each in chords.passages],
        keys=chords.keys(),
        title=name or source.name,
        overwrite=overwrite,
    )


def as_segments(chords: Chords, request: ChordRequest, name: str, model: str = "") -> Segments:
    """Convert chords, or their keys, to the ``Segments`` that the formats write."""
    if request.key:
        result = chords.keys()
    else:
        result = chords.segments("roman" if request.roman else "harte")
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
    request: ChordRequest | None = None,
    *,
    options: BatchOptions | None = None,
    callbacks: Callbacks | None = None,
    **fields: Any,
) -> Summary:
    """Recognise chords in files and folders; what ``audiocli chords`` does.

    Parameters
    ----------
    inputs, output, options, callbacks, **fields
        As in :func:`audiocli.detect_files`; a result is ``Segments``.
    request : ChordRequest, optional
        What to recognise, and how to write it.

    Returns
    -------
    Summary

    Raises
    ------
    UsageError, ModelError
        As there.

    Examples
    --------
    >>> import tempfile
    >>> from audiocli.demo import write_demo
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_demo(Path(folder))
    ...     recognize_files([folder + "/song.wav"], folder + "/chords.csv", simplify=True).done
    1
    """
    made = filled(ChordRequest, request, options, fields)
    return run_files(declare, inputs, output, made, callbacks)
