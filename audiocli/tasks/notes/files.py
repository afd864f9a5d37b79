"""Transcribe files, one or many, and write what was asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from audiocli.batch import Progress
from audiocli.batch.destination import settle
from audiocli.batch.placing import Export
from audiocli.dsp.bar_pointer import tempo_of
from audiocli.dsp.keys import Key
from audiocli.errors import FieldError, UsageError, warn
from audiocli.io import formats
from audiocli.io.audio import AudioReader
from audiocli.io.audio.streaming import decoding
from audiocli.io.formats import Notes
from audiocli.nn import models, registry
from audiocli.tasks import plotting
from audiocli.tasks.beat_tracker import DEFAULT_MODEL as BEAT_MODEL
from audiocli.tasks.beat_tracker import BeatTracker
from audiocli.tasks.declaration import AnnotationResults, Declaration, Item, Work
from audiocli.tasks.notes.plot import plot_notes
from audiocli.tasks.notes.quantize import SUBDIVISIONS, quantize
from audiocli.tasks.notes.transcriber import DEFAULT_MODEL, FMAX, FMIN, Melody, NoteTranscriber

__all__ = [
    "GRIDS",
    "SOURCES",
    "Extraction",
    "NoteRequest",
    "as_notes",
    "declare",
    "transcribe_file",
]

Audio = NDArray[np.float32]
Times = NDArray[np.float64]
Positions = NDArray[np.int64]
Stream = Callable[[], Iterator[Audio]]
"""Opens the stream of a file anew."""
Meter = Callable[[Stream, int], tuple[Times, Positions]]
"""Gives the beats of a stream with its sample rate, in seconds, and their positions in the bar."""

#: What may be transcribed of a recording.
SOURCES = ("mixture", "vocals")
#: Into how many parts beats are divided; auto: two, three or four, as the notes fit best.
GRIDS = ("auto", *map(str, SUBDIVISIONS))


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
    key : str, optional
        The key that notes are spelled in, such as ``Ab major``; by default what they fit best.
    beats : bool
        Find beats, bars and tempo too, as ``audiocli beats`` does; MIDI then has the song's tempo.
    beats_from : str, optional
        A file with the beats, in place of looking for them.
    quantize : str, optional
        Move notes to a grid: into how many parts each beat is divided, one of
        :data:`GRIDS`. Takes beats along.
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
    key: str | None = None
    beats: bool = False
    beats_from: str | None = None
    quantize: str | None = None
    plot: str | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.quantize is not None and self.quantize not in GRIDS:
            raise FieldError(
                f"{{quantize}} {self.quantize}: must be one of {', '.join(GRIDS)}", "quantize"
            )
        if self.key is not None:
            try:
                Key.parse(self.key)
            except UsageError as error:
                raise FieldError(f"{{key}} {self.key}: write it as in C major or F# minor",
                                 "key") from error  # fmt: skip
        if self.source not in SOURCES:
            raise FieldError(f"{{source}} {self.source}: must be mixture or vocals", "source")

    @property
    def tracks_beats(self) -> bool:
        """Whether beats must be found in the recording."""
        return (self.beats or self.quantize is not None) and self.beats_from is None

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
        request = self.request
        meter = _meter(request)

        def work(item: Item) -> tuple[float, Notes]:
            melody = transcribe_file(
                transcriber,
                item.path,
                name=item.input.name,
                extract=extract,
                meter=meter,
                grid=request.quantize,
                plot=item.outputs.get("plot"),
                overwrite=item.overwrite,
                progress=item.progress,
            )
            notes = as_notes(melody, item.input.label, transcriber.entry.name, request.key)
            return melody.seconds, notes

        return work


def _meter(request: NoteRequest) -> Meter | None:
    """Make what gives the beats of a recording, if they are asked for."""
    if request.tracks_beats:
        tracker = BeatTracker(device=request.device)

        def tracked(stream: Stream, sample_rate: int) -> tuple[Times, Positions]:
            found = tracker.stream(stream(), sample_rate)
            return found.times, found.positions

        return tracked
    if request.beats_from is None:
        return None
    times, positions = formats.read_beats(request.beats_from)
    places = np.zeros(len(times), np.int64) if positions is None else positions
    return lambda stream, sample_rate: (times, places)


@dataclass(frozen=True)
class NoteResults(AnnotationResults):
    """Notes as text; in MIDI with the tempo of their beats."""

    def render(self, value: Any, named: bool, header: bool) -> str | bytes:
        """Make text of the notes of a recording."""
        known = value.metadata
        options = replace(
            self.options,
            file=named,
            header=header,
            beats=np.array(known["beats"]) if "beats" in known else None,
            bars=np.array(known["bars"]) if "bars" in known else None,
        )
        return formats.render(value, self.form, options)


def declare(
    request: NoteRequest, output: Path | None, extraction: Extraction | None = None
) -> Declaration[Notes]:
    """Turn a request into a declaration: see :mod:`audiocli.tasks.runner`."""
    models.device(request.device)
    if request.source == "vocals" and extraction is None:
        raise ValueError("vocals need an extraction: see audiocli.pipelines.notes")
    place = settle(output, request.form, Notes.kind, "txt")
    if request.bend and place.form != "midi":
        raise FieldError(f"{{bend}}: is for midi, not for {place.form}", "bend")
    if request.beats_from is not None:
        formats.read_beats(request.beats_from)  # what is wrong with it is said before any work
    fields = ("source", "fmin", "fmax", "min_duration", "bend", "key", "beats", "beats_from",
              "quantize")  # fmt: skip
    return Declaration(
        command="notes",
        what="notes",
        make_work=_MakeWork(request, extraction),
        settings={**{name: getattr(request, name) for name in fields}, "form": place.form},
        destination=place,
        results=NoteResults(place.form, formats.Options(bend=request.bend), column=3),
        exports=[]
        if request.plot is None
        else [Export("plot", request.plot, "notes", folder_tag="")],
        models=[
            registry.find("onsets", request.model),
            *(extraction.models if extraction is not None else ()),
            *([registry.find("beats", BEAT_MODEL)] if request.tracks_beats else ()),
        ],
        units={"start": "s", "end": "s", "pitch": "MIDI", "frequency": "Hz", "confidence": "1"},
    )


def transcribe_file(
    transcriber: NoteTranscriber,
    source: Path,
    *,
    name: str | None = None,
    extract: Callable[[Stream, int], Iterable[Audio]] | None = None,
    meter: Meter | None = None,
    grid: str | None = None,
    plot: Path | None = None,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> Melody:
    """Transcribe the melody of a file, in constant memory, and draw it if asked to.

    Parameters
    ----------
    source, name, overwrite, progress
        As in :func:`audiocli.detect_file`.
    transcriber : NoteTranscriber
        What transcribes.
    extract : callable, optional
        Takes a function that opens the stream anew and its sample rate in Hz, and gives the blocks
        to transcribe, say the vocals alone.
    meter : callable, optional
        Takes the same, and gives the beats in seconds and their positions in the bar.
    grid : str, optional
        With a meter: the grid that notes are moved to, one of :data:`GRIDS`.
    plot : Path, optional
        Where to draw a piano roll.

    Returns
    -------
    Melody

    Raises
    ------
    AudioError
        As there.

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
            with reader.decoded(progress) as blocks:
                melody = transcriber.stream(blocks, rate)
        else:
            voice = extract(reader.blocks, rate)
            with decoding(iter(voice), rate, duration, progress) as blocks:
                melody = transcriber.stream(blocks, rate)
        if meter is not None:
            melody = _metered(melody, *meter(reader.full_range, rate), grid)
    if plot is not None:
        seen = plotting.overview(source, name=name)
        plot_notes(plot, seen, melody, title=name or source.name, overwrite=overwrite)
    return melody


def _metered(melody: Melody, beats: Times, positions: Positions, grid: str | None) -> Melody:
    """Add beats to a melody, and move its notes to their grid."""
    if len(beats) < 2:
        warn("has no beats: " + ("notes are not quantised" if grid else "MIDI has no tempo"))
        return melody
    starts, ends = melody.starts, melody.ends
    if grid is not None:
        parts = None if grid == GRIDS[0] else int(grid)
        starts, ends = quantize(starts, ends, np.round(beats, 6), parts)
    return replace(melody, starts=starts, ends=ends, beats=beats, positions=positions)


def as_notes(melody: Melody, name: str, model: str = "", key: str | None = None) -> Notes:
    """Give a melody the form that the formats write."""
    single = melody.single_voice
    metadata: dict[str, Any] = {"model": model} if model else {}
    spelled = melody.key if key is None else Key.parse(key)
    if spelled is not None:
        metadata["key"] = str(spelled)
    if (tempo := tempo_of(melody.beats)) is not None:
        metadata["tempo"] = round(tempo, 1)
        metadata["beats"] = [round(time, 6) for time in melody.beats.tolist()]
        firsts = melody.beats[melody.positions == 1].tolist()
        metadata["bars"] = [round(time, 6) for time in firsts]
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
