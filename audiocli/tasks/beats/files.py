"""Track the beats of files, one or many, and write what was asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audiocli.batch import Callbacks, Progress, Summary
from audiocli.batch.destination import Destination, settle
from audiocli.batch.placing import SOUNDS, Export
from audiocli.dsp.bar_pointer import BarPointer
from audiocli.errors import FieldError
from audiocli.io import formats
from audiocli.io.audio import AudioReader
from audiocli.io.formats import Instants
from audiocli.nn import models, registry
from audiocli.tasks import plotting
from audiocli.tasks.beat_tracker import DEFAULT_MODEL, Beats, BeatTracker
from audiocli.tasks.beats.plot import plot_beats
from audiocli.tasks.beats.results import TEMPO_FORMATS, TempoOf, TempoResults
from audiocli.tasks.clicks import write_clicks
from audiocli.tasks.declaration import AnnotationResults, Declaration, Item, Results, Work
from audiocli.tasks.runner import BatchOptions, filled, run_files

__all__ = ["BeatRequest", "as_instants", "declare", "track_file", "track_files"]


@dataclass(frozen=True)
class BeatRequest:
    """What is asked of beat tracking.

    Parameters
    ----------
    form : str, optional
        One of :data:`audiocli.io.formats.FORMATS`, with `tempo` csv, json, jsonl or txt; by
        default what the output's name says, or txt.
    tempo : bool
        One row a file, with tempo and metre, in place of a row a beat.
    model, device
        As in :class:`audiocli.BeatTracker`.
    meter : tuple of int
        Beats a bar that may be; none for the model's own, 3 and 4.
    tempo_range : tuple of float, optional
        Slowest and fastest tempo in beats a minute.
    downbeat : float, optional
        A time in seconds at which a bar begins.
    plot : str, optional
        A picture; a folder where there are several inputs, and "" for a name beside the output.
    click : str, optional
        The recording with a metronome; a file, or a folder.

    Examples
    --------
    >>> BeatRequest(meter=(3,)).tempo
    False
    """

    form: str | None = None
    tempo: bool = False
    model: str = DEFAULT_MODEL
    meter: Sequence[int] = ()
    tempo_range: tuple[float, float] | None = None
    downbeat: float | None = None
    plot: str | None = None
    click: str | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        if any(not 1 <= beats <= 24 for beats in self.meter):
            raise FieldError("{meter}: beats a bar lie between 1 and 24", "meter")
        if self.tempo_range is not None:
            low, high = self.tempo_range
            if not 10 <= low < high <= 1000 or high < 1.1 * low:
                raise FieldError(
                    "{tempo_range}: give the slower tempo first, both from 10 to 1000 beats a "
                    "minute and a tenth apart or more, such as 60,180",
                    "tempo_range",
                )
        if self.downbeat is not None and not 0 <= self.downbeat < np.inf:
            raise FieldError("{downbeat}: must be a time in seconds, 0 or more", "downbeat")

    @property
    def exports(self) -> list[Export]:
        """What is to be written besides the beats."""
        made = []
        if self.plot is not None:
            made.append(Export("plot", self.plot, "beats", folder_tag=""))
        if self.click is not None:
            made.append(Export("click", self.click, "clicks", SOUNDS, like_input=True))
        return made

    def make_work(self) -> Work[Instants]:
        """Load the model, and make what gives the beats of a file."""
        track, name = self._tracking()

        def work(item: Item) -> tuple[float, Instants]:
            beats = track(item)
            return beats.seconds, as_instants(beats, item.input.label, name)

        return work

    def make_tempo_work(self) -> Work[TempoOf]:
        """Load the model, and make what gives the tempo of a file."""
        track, _ = self._tracking()

        def work(item: Item) -> tuple[float, TempoOf]:
            beats = track(item)
            return beats.seconds, TempoOf(item.input.label, beats.tempo)

        return work

    def _tracking(self) -> tuple[Callable[[Item], Beats], str]:
        tracker = BeatTracker(
            self.model,
            device=self.device,
            meters=tuple(self.meter) or None,
            tempo_range=self.tempo_range,
            downbeat=self.downbeat,
        )

        def track(item: Item) -> Beats:
            return track_file(
                tracker,
                item.path,
                name=item.input.name,
                plot=item.outputs.get("plot"),
                click=item.outputs.get("click"),
                overwrite=item.overwrite,
                progress=item.progress,
            )

        return track, tracker.entry.name


def declare(request: BeatRequest, output: Path | None) -> Declaration[Any]:
    """Turn a request into a declaration: see :mod:`audiocli.tasks.runner`."""
    models.device(request.device)
    entry = registry.find("beats", request.model)
    models.decoder_of(
        entry, BarPointer, meters=tuple(request.meter) or None, tempo_range=request.tempo_range
    )
    place = settle(output, request.form, Instants.kind, "txt")
    return Declaration(
        command="beats",
        what="tempi" if request.tempo else "beats",
        make_work=request.make_tempo_work if request.tempo else request.make_work,
        settings={
            "tempo": request.tempo,
            "meter": list(request.meter),
            "tempo_range": None if request.tempo_range is None else list(request.tempo_range),
            "downbeat": request.downbeat,
            "form": place.form,
        },
        destination=place,
        results=_results(request, place),
        exports=request.exports,
        models=[entry],
        units={"time": "s", "position": "1", "tempo": "1/min"},
    )


def _results(request: BeatRequest, place: Destination) -> Results:
    if not request.tempo:
        return AnnotationResults(place.form, formats.Options(columns=True), column=2)
    if place.form not in TEMPO_FORMATS:
        raise FieldError(
            f"{{tempo}} is written as {', '.join(TEMPO_FORMATS)}, not as {place.form}", "tempo"
        )
    return TempoResults(place.form)


def track_file(
    tracker: BeatTracker,
    source: Path,
    *,
    name: str | None = None,
    plot: Path | None = None,
    click: Path | None = None,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> Beats:
    """Track the beats of a file, in constant memory, and write what shows them.

    Parameters
    ----------
    source, name, overwrite, progress
        As in :func:`audiocli.detect_file`.
    tracker : BeatTracker
        The loaded model.
    plot, click : Path, optional
        Where to write a picture, and the song with a metronome.

    Returns
    -------
    Beats

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
    ...     beats = track_file(BeatTracker(), Path(folder) / "song.wav")
    >>> beats.tempo.meter
    4
    """
    with AudioReader(source, name=name) as reader, reader.decoded(progress) as blocks:
        beats = tracker.stream(blocks, reader.info.sample_rate)
    if click is not None:
        write_clicks(
            source,
            click,
            beats.times,
            accents=beats.positions == 1,
            name=name,
            overwrite=overwrite,
        )
    if plot is not None:
        plot_beats(
            plot,
            plotting.overview(source, name=name),
            beats,
            title=name or source.name,
            overwrite=overwrite,
        )
    return beats


def as_instants(beats: Beats, name: str, model: str = "") -> Instants:
    """Give beats the form that the formats write.

    Parameters
    ----------
    beats : Beats
        What was found.
    name : str
        The recording, as the user named it.
    model : str
        The model's name, for the formats that hold it.

    Returns
    -------
    Instants
        With a column ``position``.

    Examples
    --------
    >>> none = np.zeros(0)
    >>> beats = Beats(none, none.astype(int), np.zeros((51, 2), np.float32), 50.0, 1.0)
    >>> as_instants(beats, "a.wav").table()
    {'time': [], 'position': []}
    """
    tempo = beats.tempo
    facts = {
        "tempo": None if tempo.bpm is None else round(tempo.bpm, 2),
        "tempo_confidence": round(tempo.confidence, 3),
        "meter": tempo.meter,
    }
    return Instants(
        beats.times,
        "beat",
        columns={"position": beats.positions.astype(np.float64)},
        file=name,
        duration=beats.seconds,
        metadata={**({"model": model} if model else {}), **facts},
    )


def track_files(
    inputs: Sequence[str],
    output: str | Path | None = None,
    request: BeatRequest | None = None,
    *,
    options: BatchOptions | None = None,
    callbacks: Callbacks | None = None,
    **fields: Any,
) -> Summary:
    """Track beats in files and folders; what ``audiocli beats`` does.

    Parameters
    ----------
    inputs, output, options, callbacks, **fields
        As in :func:`audiocli.detect_files`; a result is ``Instants``, or a ``TempoOf``.
    request : BeatRequest, optional
        What is asked for.

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
    ...     track_files([folder + "/song.wav"], folder + "/beats.csv", meter=(4,)).done
    1
    """
    made = filled(BeatRequest, request, options, fields)
    return run_files(declare, inputs, output, made, callbacks)
