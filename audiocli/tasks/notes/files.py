"""Transcribe files, one or many, and write what was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from audiocli.batch import Progress
from audiocli.batch.destination import settle
from audiocli.batch.placing import Export
from audiocli.errors import FieldError
from audiocli.io import formats
from audiocli.io.audio import AudioReader
from audiocli.io.audio.streaming import decoding
from audiocli.io.formats import Notes
from audiocli.nn import models, registry
from audiocli.tasks import plotting
from audiocli.tasks.notes.plot import plot_notes
from audiocli.tasks.notes.transcriber import DEFAULT_MODEL, FMAX, FMIN, Melody, NoteTranscriber
from audiocli.tasks.runner import AnnotationResults, Declaration, Item, Work

__all__ = ["SOURCES", "Extraction", "NoteRequest", "as_notes", "declare", "transcribe_file"]

Audio = NDArray[np.float32]
Stream = Callable[[], Iterator[Audio]]
"""Opens the stream of a file anew."""

#: What may be transcribed of a recording.
SOURCES = ("mixture", "vocals")
#: Samples decoded at once, at the file's rate.
BLOCK = 1 << 16


class Extraction(Protocol):
    """Takes one voice out of a mixture before it is transcribed. Pickled to worker processes."""

    @property
    def models(self) -> Sequence[registry.ModelEntry]:
        """Whose weights the result depends on."""

    def load(self) -> Callable[[Stream, int], Iterable[Audio]]:
        """Make what takes a stream and its sample rate, and gives the voice alone."""


@dataclass(frozen=True)
class NoteRequest:
    """What is asked of the transcription of melodies.

    Parameters
    ----------
    form : str, optional
        One of :data:`audiocli.io.formats.FORMATS`; by default what the output's name says, or txt.
    source : {"mixture", "vocals"}
        What to transcribe: a recording of one voice as it is, or the vocals that are separated
        from it first.
    model, fmin, fmax, min_duration, device
        As in :class:`NoteTranscriber`.
    bend : bool
        In MIDI: the cents too, by the pitch wheel.
    plot : str, optional
        A piano roll; a folder where there are several inputs, and "" for a name beside the output.

    Examples
    --------
    >>> NoteRequest(fmin=80.0).source
    'mixture'
    """

    form: str | None = None
    source: str = "mixture"
    model: str = DEFAULT_MODEL
    fmin: float = FMIN
    fmax: float = FMAX
    min_duration: float | None = None
    bend: bool = False
    plot: str | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise FieldError(f"{{source}} {self.source}: must be mixture or vocals", "source")

    def transcriber(self) -> NoteTranscriber:
        """Load what transcribes."""
        return NoteTranscriber(
            self.model,
            device=self.device,
            fmin=self.fmin,
            fmax=self.fmax,
            min_duration=self.min_duration,
        )


@dataclass(frozen=True)
class _MakeWork:
    """Makes what transcribes a file; pickled to worker processes."""

    request: NoteRequest
    extraction: Extraction | None

    def __call__(self) -> Work[Notes]:
        transcriber = self.request.transcriber()
        extract = None if self.extraction is None else self.extraction.load()

        def work(item: Item) -> tuple[float, Notes]:
            melody = transcribe_file(
                transcriber,
                item.path,
                name=item.input.name,
                extract=extract,
                plot=item.outputs.get("plot"),
                overwrite=item.overwrite,
                progress=item.progress,
            )
            return melody.seconds, as_notes(melody, item.input.label, transcriber.entry.name)

        return work


def declare(
    request: NoteRequest, output: Path | None, extraction: Extraction | None = None
) -> Declaration[Notes]:
    """Say what a request comes to: see :mod:`audiocli.tasks.runner`."""
    models.device(request.device)
    if request.source == "vocals" and extraction is None:
        raise ValueError("vocals need an extraction: see audiocli.pipelines.notes")
    place = settle(output, request.form, Notes.kind, "txt")
    if request.bend and place.form != "midi":
        raise FieldError(f"{{bend}}: is for midi, not for {place.form}", "bend")
    fields = ("source", "fmin", "fmax", "min_duration", "bend")
    return Declaration(
        command="notes",
        what="notes",
        make_work=_MakeWork(request, extraction),
        settings={**{name: getattr(request, name) for name in fields}, "form": place.form},
        destination=place,
        results=AnnotationResults(place.form, formats.Options(bend=request.bend), column=3),
        exports=[]
        if request.plot is None
        else [Export("plot", request.plot, "notes", folder_tag="")],
        models=[
            registry.find("onsets", request.model),
            *(extraction.models if extraction is not None else ()),
        ],
        units={"start": "s", "end": "s", "pitch": "MIDI", "frequency": "Hz", "confidence": "1"},
    )


def transcribe_file(
    transcriber: NoteTranscriber,
    source: Path,
    *,
    name: str | None = None,
    extract: Callable[[Stream, int], Iterable[Audio]] | None = None,
    plot: Path | None = None,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> Melody:
    """Transcribe the melody of a file, in constant memory, and draw it if asked to.

    Parameters
    ----------
    transcriber : NoteTranscriber
        What transcribes.
    source : Path
        Any audio file.
    name : str, optional
        How to call it in messages and in the picture.
    extract : callable, optional
        Takes a function that opens the stream anew and its sample rate in Hz, and gives the blocks
        to transcribe, say the vocals alone.
    plot : Path, optional
        Where to draw a piano roll.
    overwrite : bool
        Whether a file that is there may be replaced.
    progress : callable
        Told the seconds done and to do.

    Returns
    -------
    Melody

    Raises
    ------
    AudioError
        If the source cannot be read or the picture not be written.

    Examples
    --------
    >>> import tempfile
    >>> import soundfile
    >>> tone = np.sin(2 * np.pi * 330 * np.arange(22050) / 22050) / 2
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(folder + "/a.wav", tone, 22050)
    ...     melody = transcribe_file(NoteTranscriber(), Path(folder, "a.wav"))
    >>> len(melody.pitches)
    1
    """
    with AudioReader(source, name=name) as reader:
        rate, duration = reader.info.sample_rate, reader.info.duration
        if extract is None:
            with decoding(reader.blocks(BLOCK), rate, duration, progress) as blocks:
                melody = transcriber.stream(blocks, rate)
        else:
            voice = extract(lambda: reader.blocks(BLOCK), rate)
            with decoding(iter(voice), rate, duration, progress) as blocks:
                melody = transcriber.stream(blocks, rate)
    if plot is not None:
        seen = plotting.overview(source, name=name)
        plot_notes(plot, seen, melody, title=name or source.name, overwrite=overwrite)
    return melody


def as_notes(melody: Melody, name: str, model: str = "") -> Notes:
    """Give a melody the form that the formats write."""
    single = melody.single_voice
    metadata: dict[str, Any] = {"model": model} if model else {}
    if np.isfinite(single):
        metadata["single_voice"] = round(single, 3)
    return Notes(
        melody.starts,
        melody.ends,
        melody.pitches,
        confidences=melody.confidences,
        file=name,
        duration=melody.seconds,
        metadata=metadata,
    )
