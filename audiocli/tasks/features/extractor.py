"""From a stream of audio to features: one pass, one transform, constant memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from audiocli.dsp.cepstral import delta
from audiocli.dsp.frames import Framer
from audiocli.dsp.pitch import Pitch, PitchTracker
from audiocli.dsp.signals import as_blocks, as_rate
from audiocli.errors import UsageError
from audiocli.io.audio import streaming
from audiocli.io.audio.downmix import downmix
from audiocli.io.audio.layouts import Layout
from audiocli.tasks.features import catalogue
from audiocli.tasks.features.block import Block, Settings
from audiocli.tasks.features.catalogue import PITCH_CLASSES, Feature
from audiocli.tasks.features.statistics import Statistics, check

if TYPE_CHECKING:
    from audiocli.tasks.beat_tracker import BeatTracker
    from audiocli.tasks.plotting import Overview

__all__ = ["PLOTTED", "STATISTICS", "Column", "Describer", "Extractor"]

Floats = NDArray[np.floating[Any]]
T = TypeVar("T")

STATISTICS = ("mean", "std")
#: Seconds of audio processed at a time, so that intermediate results stay in the cache.
BLOCK_SECONDS = 7.0
DELTA_WIDTH = 9
#: The frames of which a feature is: all, those that are not digital silence, those with a pitch.
ALL, SOUNDING, VOICED = "all frames", "frames", "voiced frames"
#: A peak of this or less is silence: -140 dB, below the last of 24 bits.
SILENT = 1e-7
#: How many features fit on a picture.
PLOTTED = 12


@dataclass(frozen=True)
class Column:
    """A column of a table of features.

    Parameters
    ----------
    name : str
        As in the table.
    unit : str
        "1" for a plain number.
    description : str
        What it tells.
    source : str
        Where its definition comes from.

    Examples
    --------
    >>> Column("rms_mean", "full scale", "Root mean square", "librosa rms").name
    'rms_mean'
    """

    name: str
    unit: str
    description: str
    source: str


class Describer(Protocol):
    """What computes features of frames and files: hand-made ones, or learned ones."""

    #: Whether its products of matrices are so small that threads would wait for each other.
    single_threaded: bool

    @property
    def frame_rate(self) -> float:
        """Frames a second."""

    @property
    def facts(self) -> dict[str, Any]:
        """What the features depend on, besides their columns; ready for JSON."""

    def columns(self, *, frames: bool = False) -> list[Column]:
        """Describe the columns of the table."""

    def check_frames(self, *, plot: bool) -> None:
        """Refuse frames, or a picture, if the features chosen have none."""

    def frames(self, blocks: Iterable[Floats], sample_rate: int) -> Iterator[Floats]:
        """Compute the features of frames, some seconds at a time."""

    def summary(
        self, blocks: Iterable[Floats], sample_rate: int, *, layout: Layout | None = None
    ) -> dict[str, float]:
        """Compute the row of a file."""

    def draw(
        self,
        path: Path,
        seen: Overview,
        blocks: Iterable[Floats],
        sample_rate: int,
        *,
        title: str,
        overwrite: bool,
    ) -> None:
        """Draw the features of frames under the spectrogram."""


class Extractor:
    """Computes features of audio, in an array or a stream.

    Parameters
    ----------
    names : sequence of str
        Features and sets of features, see :mod:`audiocli.tasks.features.catalogue`.
    settings : Settings, optional
        Rate, frames and hop.
    statistics : sequence of str
        Of a file's frames, see :func:`audiocli.tasks.features.statistics.check`.

    Raises
    ------
    UsageError
        If a name is unknown, or a feature cannot be made with these settings.

    Examples
    --------
    >>> extractor = Extractor(["rms", "spectral_centroid"])
    >>> sine = np.sin(2 * np.pi * 1000 * np.arange(44100) / 44100).astype(np.float32)
    >>> row = extractor.summary([sine[None]], 44100)
    >>> {name: round(float(value), 1) for name, value in row.items() if name.endswith("mean")}
    {'rms_mean': 0.7, 'spectral_centroid_mean': 1014.3}
    """

    single_threaded = True

    def __init__(
        self,
        names: Sequence[str] = ("common",),
        settings: Settings | None = None,
        statistics: Sequence[str] = STATISTICS,
    ) -> None:
        self.settings = settings or Settings()
        self.features = catalogue.select(names)
        self.statistics = check(statistics)
        self._framewise = [feature for feature in self.features if not feature.whole]
        needed = {feature.name for feature in self._framewise if feature.compute}
        for feature in self.features:
            needed |= {feature.delta_of, feature.summary_of} - {""}
            needed |= {"f0"} if feature.voiced else set()
        self._computed = [f for f in catalogue.FEATURES.values() if f.name in needed]
        self._deltas = [feature for feature in self._framewise if feature.delta_of]
        # Names take a good part of the time of a short file: they are made once.
        self._names = {feature.name: self._columns_of(feature) for feature in self.features}
        self._places: dict[str, slice] = {}  # of each feature, among all that is computed
        width = 1  # the first column holds the peak of each frame
        for feature in (*self._computed, *self._deltas):
            count = len(feature.columns(self.settings))
            self._places[feature.name] = slice(width, width + count)
            width += count
        self._computed_width = max((self._places[f.name].stop for f in self._computed), default=1)
        self._pitched = any(feature.pitched for feature in self._computed)
        self._try()

    def _try(self) -> None:
        """Process a moment of silence, so that what these settings do not allow is refused here."""
        for _ in self._stream([np.zeros((1, 1), np.float32)], self.settings.sample_rate):
            pass

    @property
    def needs_beats(self) -> bool:
        """Whether features depend on the network that tracks beats."""
        return any(feature.tracked for feature in self.features)

    @cached_property
    def _tracker(self) -> BeatTracker:
        from audiocli.tasks.beat_tracker import BeatTracker  # loads torch

        return BeatTracker()

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return self.settings.frame_rate

    @property
    def facts(self) -> dict[str, Any]:
        """What the features depend on, besides their columns."""
        return asdict(self.settings)

    def check_frames(self, *, plot: bool) -> None:
        """Refuse frames and pictures of features of whole files only, and too many pictures."""
        if not self._framewise:
            names = ", ".join(feature.name for feature in self.features)
            raise UsageError(
                f"{names}: of whole files only; choose features that frames have as well"
            )
        if plot and len(self._framewise) > PLOTTED:
            raise UsageError(
                f"{{plot}} draws {PLOTTED} features at most, not {len(self._framewise)}; "
                "choose some by {names}",
                "plot",
                "names",
            )

    @property
    def frame_columns(self) -> list[str]:
        """Names of the columns of :meth:`frames`."""
        return [name for f in self._framewise for name in f.columns(self.settings)]

    def columns(self, *, frames: bool = False) -> list[Column]:
        """Describe the columns of the table.

        Parameters
        ----------
        frames : bool
            Those of :meth:`frames`, and not those of :meth:`summary`.

        Returns
        -------
        list of Column
        """
        described = []
        for feature in self._framewise if frames else self.features:
            for name in feature.columns(self.settings):
                alone = frames or feature.whole
                for statistic in ("",) if alone else self.statistics:
                    text = feature.description
                    text += f"; {statistic} of {_frames_of(feature)}" if statistic else ""
                    full = f"{name}_{statistic}" if statistic else name
                    described.append(Column(full, feature.unit, text, feature.source))
        return described

    def frames(self, blocks: Iterable[Floats], sample_rate: int) -> Iterator[Floats]:
        """Compute the features of frames, in constant memory.

        Frame t has its middle at sample t * hop_length.

        Parameters
        ----------
        blocks : iterable of ndarray, shape (channels, samples)
            Sound, full scale 1.0; channels are averaged.
        sample_rate : int
            Of the sound, in Hz.

        Yields
        ------
        ndarray of float32, shape (frames, columns)
            The features of some seconds, columns as in `frame_columns`. NaN is what is not defined
            of a frame: of digital silence all but levels and changes, without a pitch what only
            voiced frames have.

        Raises
        ------
        UsageError
            If all features chosen are of whole files.
        """
        self.check_frames(plot=False)
        for values in self._stream(as_blocks(blocks), as_rate(sample_rate)):
            defined = self._defined(values)
            parts = [
                np.where(defined[_frames_of(f)][:, np.newaxis], values[:, self._places[f.name]],
                         np.float32(np.nan))
                for f in self._framewise
            ]  # fmt: skip
            yield np.concatenate(parts, axis=1)

    def _defined(self, values: Floats) -> dict[str, NDArray[np.bool_]]:
        """Tell of which frames what is said, by :func:`_frames_of`."""
        every = np.ones(len(values), bool)
        f0 = self._places.get("f0")
        return {
            ALL: every,
            SOUNDING: values[:, 0] > SILENT,
            VOICED: every if f0 is None else values[:, f0.start] > 0,
        }

    def summary(
        self, blocks: Iterable[Floats], sample_rate: int, *, layout: Layout | None = None
    ) -> dict[str, float]:
        """Compute statistics of the features of all frames, and the features of the whole.

        Constant memory, but for percentiles: these keep the features of all frames, which with
        the common set are about a sixth of the sound at 22050 Hz. For the tempo the blocks are read
        a second time; those of an iterator, which can be read once, are kept.

        Parameters
        ----------
        blocks : iterable of ndarray, shape (channels, samples)
            Sound, full scale 1.0; channels are averaged.
        sample_rate : int
            Of the sound, in Hz.
        layout : tuple of str, optional
            The speakers of the channels, as :class:`audiocli.io.audio.AudioInfo` names them, by
            which the loudness weights them.

        Returns
        -------
        dict of str to float
            By the names of :meth:`columns`. NaN is what is not defined of this sound: of digital
            silence all but levels and changes, of sound without pitch what only voiced frames have,
            a tempo without beats, the loudness of less than 0.4 s.
        """
        sample_rate = as_rate(sample_rate)
        if self.needs_beats and iter(blocks) is blocks:
            blocks = list(blocks)  # they are read once more for the beats
        meters = {f.name: f.meter(sample_rate, layout) for f in self.features if f.meter}
        taken = {kind: self._statistics(kind) for kind in (ALL, SOUNDING, VOICED)}
        curves: dict[str, list[Floats]] = {
            f.summary_of: [np.zeros(0, np.float32)] for f in self.features if f.summarise
        }

        def metered() -> Iterator[Floats]:
            for block in as_blocks(blocks):
                for meter in meters.values():
                    meter.add(block)
                yield block

        for values in self._stream(metered(), sample_rate):
            defined = self._defined(values)
            for kind, (features, statistics) in taken.items():
                if features:
                    rows = values[defined[kind]]
                    part = [rows[:, self._places[f.name]] for f in features]
                    statistics.add(np.concatenate(part, axis=1))
            for name, curve in curves.items():
                curve.append(values[:, self._places[name].start].copy())
        whole = {name: meter.result() for name, meter in meters.items()}
        if tracked := {f.name: f.tracked for f in self.features if f.tracked}:
            tempo = self._tracker.stream(blocks, sample_rate).tempo
            for name, attribute in tracked.items():
                value = getattr(tempo, attribute)
                whole[name] = math.nan if value is None else float(value)
        for feature in self.features:
            if feature.summarise:
                joined = np.concatenate(curves[feature.summary_of])
                whole[feature.name] = feature.summarise(joined, self.settings)
        return self._row(taken, whole)

    def _columns_of(self, feature: Feature) -> list[str]:
        """Name the columns of a feature in a row."""
        names = feature.columns(self.settings)
        if feature.whole:
            return names
        return [f"{name}_{statistic}" for name in names for statistic in self.statistics]

    def draw(
        self,
        path: Path,
        seen: Overview,
        blocks: Iterable[Floats],
        sample_rate: int,
        *,
        title: str,
        overwrite: bool,
    ) -> None:
        """Draw the features of frames under the spectrogram."""
        from audiocli.tasks.plotting import PITCHES, plot_features  # loads torch

        values = np.concatenate(list(self.frames(blocks, sample_rate)))
        curves: dict[str, Floats] = {}
        rows: dict[str, Sequence[str]] = {}
        place = 0
        for feature in self._framewise:
            count = len(feature.columns(self.settings))
            unit = "" if feature.unit == "1" else f"\n({feature.unit})"
            label = feature.name.replace("_", " ") + unit
            curves[label] = values[:, place : place + count]
            endings = [str(end) for end in feature.endings(self.settings)]
            if tuple(endings) == PITCH_CLASSES:
                rows[label] = PITCHES
            elif count > 1 and not endings[0].isdigit():
                rows[label] = [end.replace("_", " ") for end in endings]
            place += count
        rate = self.frame_rate
        plot_features(path, seen, curves, rate, rows=rows, title=title, overwrite=overwrite)

    def _statistics(self, kind: str) -> tuple[list[Feature], Statistics]:
        """Set up statistics of the features that are defined in these frames."""
        features = [f for f in self._framewise if _frames_of(f) == kind]
        places = [self._places[feature.name] for feature in features]
        columns = sum(place.stop - place.start for place in places)
        return features, Statistics(self.statistics, columns)

    def _row(
        self, taken: dict[str, tuple[list[Feature], Statistics]], whole: dict[str, float]
    ) -> dict[str, float]:
        """Put numbers under the names of the columns."""
        found = {kind: iter(statistics.result().ravel().tolist()) for kind, (_, statistics)
                 in taken.items()}  # fmt: skip
        row: dict[str, float] = {}
        for feature in self.features:
            if feature.whole:
                row[feature.name] = whole[feature.name]
            else:  # as many numbers as names: the iterator goes on with the next feature
                row |= zip(self._names[feature.name], found[_frames_of(feature)], strict=False)
        return row

    def _stream(self, blocks: Iterable[Floats], sample_rate: int) -> Iterator[Floats]:
        """Compute all features, (frames, columns), deltas last."""
        streaming.keep_memory()  # a tenth of the time would go into fresh pages for each block
        mono = downmix(blocks, sample_rate)
        resampled = streaming.resample(mono, sample_rate, self.settings.sample_rate)
        computed = (self._compute(block) for block in self._blocks(resampled))
        yield from self._with_deltas(computed) if self._deltas else computed

    def _blocks(self, mono: Iterable[Floats]) -> Iterator[Block]:
        """Cut audio into frames, with their pitch where it is needed."""
        settings = self.settings
        framers = Framer(settings.framing), Framer(settings.framing, "edge")
        memory: dict[str, Any] = {}
        size = round(BLOCK_SECONDS * settings.sample_rate)

        def cut() -> Iterator[tuple[Floats, Floats]]:
            for piece, is_last in _marked(_gathered(mono, size)):
                zeros, edges = framers
                if is_last:
                    yield zeros.last(piece), edges.last(piece)
                else:
                    yield zeros.push(piece), edges.push(piece)

        for frames, edges, pitch in self._pitches(cut()):
            if len(frames):
                yield Block(settings, frames, edges, pitch, memory)

    def _pitches(
        self, pairs: Iterable[tuple[Floats, Floats]]
    ) -> Iterator[tuple[Floats, Floats, Pitch | None]]:
        """Track the pitch; frames wait, as views of the audio, until theirs is decided."""
        if not self._pitched:
            yield from ((frames, edges, None) for frames, edges in pairs)
            return
        settings = self.settings
        lowest, highest = settings.f0_range
        tracker = PitchTracker(settings.sample_rate, lowest, highest, settings.hop_length)
        waiting: list[tuple[Floats, Floats]] = []

        def ready(pitch: Pitch) -> Iterator[tuple[Floats, Floats, Pitch]]:
            done = 0
            while done < len(pitch.f0):
                frames, edges = waiting.pop(0)
                count = min(len(frames), len(pitch.f0) - done)
                if count < len(frames):
                    waiting.insert(0, (frames[count:], edges[count:]))
                part = slice(done, done + count)
                known = Pitch(pitch.f0[part], pitch.voiced[part], pitch.probability[part])
                yield frames[:count], edges[:count], known
                done += count

        for frames, edges in pairs:
            if len(frames):
                waiting.append((frames, edges))
                yield from ready(tracker.push(frames))
        yield from ready(tracker.finish())

    def _compute(self, block: Block) -> Floats:
        """Compute the features of a block behind its peaks, (frames, 1 + columns)."""
        values = np.empty((len(block.frames), self._computed_width), np.float32)
        values[:, 0] = block.peak
        for feature in self._computed:
            assert feature.compute is not None  # what has none is not computed but derived
            made = feature.compute(block)
            values[:, self._places[feature.name]] = made[:, None] if made.ndim == 1 else made
        return values

    def _with_deltas(self, computed: Iterable[Floats]) -> Iterator[Floats]:
        """Append deltas to the features, which are delayed by half a width for that."""
        half = DELTA_WIDTH // 2
        kept: Floats | None = None
        for values, is_last in _marked(computed):
            before = np.repeat(values[:1], half, axis=0) if kept is None else kept
            after = [np.repeat(values[-1:], half, axis=0)] if is_last else []
            kept = np.concatenate([before, values, *after])
            yield self._sloped(kept)
            kept = kept[max(len(kept) - 2 * half, 0) :]

    def _sloped(self, values: Floats) -> Floats:
        """Frames that have four more on both sides, with their deltas."""
        half = DELTA_WIDTH // 2
        slopes = [
            delta(values[:, self._places[f.delta_of]], DELTA_WIDTH, f.order, mode="valid")
            for f in self._deltas
        ]
        return np.concatenate([values[half : half + len(slopes[0])], *slopes], axis=1)


def _frames_of(feature: Feature) -> str:
    """Name the frames in which a feature is defined, of which its statistics are."""
    return VOICED if feature.voiced else ALL if feature.silent else SOUNDING


def _marked(items: Iterable[T]) -> Iterator[tuple[T, bool]]:
    """Tell of each item whether it is the last."""
    iterator = iter(items)
    held = next(iterator, None)
    if held is None:
        return
    for item in iterator:
        yield held, False
        held = item
    yield held, True


def _gathered(blocks: Iterable[Floats], size: int) -> Iterator[Floats]:
    """Cut a stream of blocks (1, samples) into pieces (size,) and a rest, whatever the blocks."""
    parts: list[Floats] = []
    held = 0
    for block in blocks:
        parts.append(block[0])
        held += block.shape[1]
        while held >= size:
            joined = np.concatenate(parts)
            yield joined[:size]
            parts, held = [joined[size:]], held - size
    if held:
        yield np.concatenate(parts)
