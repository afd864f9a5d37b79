"""What the calls of :mod:`audiocli.api` give: tables, files, plots and players of results."""

from __future__ import annotations

import html
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audiocli.api.sources import Audio, Source, player
from audiocli.colours import MARK, WAVE
from audiocli.errors import UsageError
from audiocli.io import formats
from audiocli.io.atomic import write_bytes
from audiocli.io.audio import AudioWriter
from audiocli.io.audio.encoding import AudioFormat
from audiocli.io.formats import Annotation, Instants, Notes, Segments

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

    from audiocli.tasks.beat_tracker import Beats, Tempo
    from audiocli.tasks.chords.recognizer import Chords
    from audiocli.tasks.classify.results import Result as Answers
    from audiocli.tasks.features.tables import Layout
    from audiocli.tasks.notes.transcriber import Melody
    from audiocli.tasks.onsets.detector import Onsets

__all__ = [
    "BeatResult",
    "ChordResult",
    "ClassResult",
    "FeatureResult",
    "NoteResult",
    "OnsetResult",
    "Result",
    "StemResult",
]

StrPath = str | os.PathLike[str]

#: Rows of a table in a notebook.
ROWS = 12


@dataclass(frozen=True, eq=False)  # arrays have no single answer to ==
class Result(ABC):
    """A result, and the recording that it is of.

    Parameters
    ----------
    source : Source
        The recording.
    """

    source: Source

    @abstractmethod
    def to_frame(self) -> pandas.DataFrame:
        """Make a table."""

    @abstractmethod
    def save(self, path: StrPath, *, overwrite: bool = False) -> Path:
        """Write it in the format that the end of the name says, as the command would."""

    @abstractmethod
    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw it, into these axes or new ones."""

    def _repr_html_(self) -> str:
        """Show a player and a table in a notebook."""
        frame = self.to_frame()
        more = f"<p>{len(frame)} rows, the first {ROWS} shown</p>" if len(frame) > ROWS else ""
        table = frame.head(ROWS).to_html(index=False, border=0, na_rep="")
        return f"<div>{self.source.player()}{table}{more}</div>"

    def _draw_wave(self, ax: Axes | None) -> Axes:
        """Draw the waveform, for what stands over it."""
        ax = ax or new_axes()
        times, low, high = self.source.envelope()
        ax.fill_between(times, low, high, color=WAVE, alpha=0.5, linewidth=0, label="waveform")
        ax.set(title=self.source.name.replace("$", r"\$"), xlabel="time (s)", yticks=[])
        ax.margins(x=0)
        return ax


def new_axes(height: float = 3.0) -> Axes:
    """Make a figure with one pair of axes, which a notebook shows."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise UsageError("pictures need matplotlib; run: pip install matplotlib") from error
    return pyplot.subplots(figsize=(10, height), layout="constrained")[1]


@dataclass(frozen=True, eq=False)
class AnnotationResult(Result):
    """A result that is points in time, labelled intervals or notes."""

    @abstractmethod
    def annotation(self) -> Annotation:
        """Give it as what :mod:`audiocli.io.formats` writes."""

    def to_frame(self) -> pandas.DataFrame:
        """Make a table, with times in s; its columns are those of the command."""
        import pandas

        return pandas.DataFrame(self.annotation().table())

    def save(self, path: StrPath, *, overwrite: bool = False) -> Path:
        """Write it in the format of the command that the end of the name says."""
        formats.write(path, self.annotation(), overwrite=overwrite)
        return Path(path)


@dataclass(frozen=True, eq=False)
class OnsetResult(AnnotationResult):
    """Onsets; :attr:`times` in seconds.

    Parameters
    ----------
    source : Source
        The recording.
    onsets : Onsets
        With strengths, and the activations of the network.
    model : str
        What detected them.
    """

    onsets: Onsets
    model: str

    @property
    def times(self) -> NDArray[np.float64]:
        """Times (onsets,) in seconds."""
        return np.asarray(self.onsets.times, np.float64)

    def __len__(self) -> int:
        return len(self.times)

    def __iter__(self) -> Iterator[float]:
        return iter(self.times.tolist())

    def annotation(self) -> Instants:
        """Give them as what :mod:`audiocli.io.formats` writes."""
        from audiocli.tasks.onsets.files import COLUMNS, as_instants

        return as_instants(self.onsets, self.source.name, COLUMNS, self.model)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the waveform with a line at each onset."""
        ax = self._draw_wave(ax)
        low, high = ax.get_ylim()
        ax.vlines(self.times, low, high, color=MARK, linewidth=0.8, label="onsets")
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
        return ax


@dataclass(frozen=True, eq=False)
class BeatResult(AnnotationResult):
    """Beats with their positions in the bar, and the tempo.

    Parameters
    ----------
    source : Source
        The recording.
    beats : Beats
        With the activations of the network.
    model : str
        What tracked them.
    """

    beats: Beats
    model: str

    @property
    def times(self) -> NDArray[np.float64]:
        """Times (beats,) in seconds."""
        return np.asarray(self.beats.times, np.float64)

    @property
    def downbeats(self) -> NDArray[np.float64]:
        """Times (bars,) in seconds at which bars begin."""
        return self.beats.downbeats

    @property
    def tempo(self) -> Tempo:
        """Tempo in BPM with its confidence and candidates, and the metre."""
        return self.beats.tempo

    def __len__(self) -> int:
        return len(self.times)

    def annotation(self) -> Instants:
        """Give them as what :mod:`audiocli.io.formats` writes."""
        from audiocli.tasks.beats.files import as_instants

        return as_instants(self.beats, self.source.name, self.model)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the waveform with a line at each beat, a stronger one where a bar begins."""
        ax = self._draw_wave(ax)
        low, high = ax.get_ylim()
        ax.vlines(self.times, 0.6 * low, 0.6 * high, color=MARK, linewidth=0.6, label="beats")
        ax.vlines(self.downbeats, low, high, color=MARK, linewidth=1.6, label="downbeats")
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False)
        return ax


@dataclass(frozen=True, eq=False)
class NoteResult(AnnotationResult):
    """Notes of a melody.

    Parameters
    ----------
    source : Source
        The recording.
    melody : Melody
        Notes, and the fundamental frequency that they are made of.
    model : str
        What detected their onsets.
    """

    melody: Melody
    model: str

    def __len__(self) -> int:
        return len(self.melody.starts)

    def annotation(self) -> Notes:
        """Give them as what :mod:`audiocli.io.formats` writes."""
        from audiocli.tasks.notes.files import as_notes

        return as_notes(self.melody, self.source.name, self.model)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw a piano roll over the fundamental frequency."""
        ax = ax or new_axes()
        f0 = np.asarray(self.melody.f0, np.float64)
        times = np.arange(len(f0)) / self.melody.frame_rate
        with np.errstate(divide="ignore"):
            pitch = np.where(f0 > 0, 69 + 12 * np.log2(np.maximum(f0, 1e-9) / 440), np.nan)
        widths = self.melody.ends - self.melody.starts
        ax.barh(self.melody.pitches, widths, 0.8, self.melody.starts, color=WAVE, alpha=0.6,
                label="notes")  # fmt: skip
        ax.plot(times, pitch, color=MARK, linewidth=0.7, label="fundamental frequency")
        ax.set(xlabel="time (s)", ylabel="MIDI pitch", title=self.source.name.replace("$", r"\$"))
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
        return ax


@dataclass(frozen=True, eq=False)
class ChordResult(AnnotationResult):
    """Chords along time, and the key.

    Parameters
    ----------
    source : Source
        The recording.
    chords : Chords
        Passages, keys, and the probability of each pitch class along time.
    model : str
        What recognised them.
    """

    chords: Chords
    model: str

    @property
    def key(self) -> str | None:
        """The key that most of it is in, as in ``A minor``; None where there is no chord."""
        return None if self.chords.key is None else str(self.chords.key)

    @property
    def labels(self) -> tuple[str, ...]:
        """The chords in Harte's syntax, one a segment."""
        return tuple(self.annotation().labels)

    def __len__(self) -> int:
        return len(self.annotation())

    def annotation(self) -> Segments:
        """Give them as what :mod:`audiocli.io.formats` writes."""
        from audiocli.tasks.chords.files import ChordRequest, as_segments

        return as_segments(self.chords, ChordRequest(), self.source.name, self.model)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the waveform over coloured segments, with their names."""
        from audiocli.io.formats.sheet import chord_name
        from audiocli.tasks.chords.labels import QUALITIES
        from audiocli.tasks.chords.plot import colour_of

        ax = self._draw_wave(ax)
        found = self.annotation()
        for passage, start, end, label in zip(
            self.chords.passages, found.starts, found.ends, found.labels, strict=True
        ):
            is_minor = float(3 in QUALITIES[passage.chord.quality])
            colour = colour_of(passage.chord.root, is_minor)
            ax.axvspan(start, end, color=colour, alpha=0.6, linewidth=0, zorder=0)
            if end - start > 0.015 * self.chords.seconds:
                middle = (start + end) / 2
                ax.text(middle, 0.95, chord_name(label), ha="center", va="top", fontsize=8,
                        transform=ax.get_xaxis_transform(), clip_on=True)  # fmt: skip
        return ax


@dataclass(frozen=True, eq=False)
class ClassResult(Result):
    """Classes or tags with their probabilities.

    Parameters
    ----------
    source : Source
        The recording.
    answers : Result
        As ``classify`` and ``tag`` write them.
    """

    answers: Answers

    @property
    def best(self) -> dict[str, str]:
        """The likeliest label of each model, for the whole or its first segment."""
        found: dict[str, str] = {}
        for row in self.answers.rows:
            found.setdefault(row["task"], row["label"])
        return found

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to keep in mind about the answers."""
        return self.answers.warnings

    def __len__(self) -> int:
        return len(self.answers.rows)

    def to_frame(self) -> pandas.DataFrame:
        """Make a table with start and end in s, label, probability, task and meaning."""
        import pandas

        columns = ["start", "end", "label", "probability", "task", "meaning"]
        return pandas.DataFrame(self.answers.rows, columns=columns)

    def save(self, path: StrPath, *, overwrite: bool = False) -> Path:
        """Write txt, csv, json, jsonl, lab, jams or svl, by the end of the name."""
        from audiocli.tasks.classify.results import FORMATS, render

        endings = {formats.FORMATS[name].extension: name for name in reversed(FORMATS)}
        suffix = Path(path).suffix.lower()
        if suffix not in endings:
            raise UsageError(f"{path}: end the name in {', '.join(sorted(endings))}")
        text = render(self.answers, endings[suffix])
        write_bytes(Path(path), text.encode("utf-8"), overwrite=overwrite)
        return Path(path)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the likeliest labels as bars; the mean where there are segments."""
        ax = ax or new_axes()
        frame = self.to_frame().dropna(subset=["probability"])
        means = frame.groupby(["task", "label"])["probability"].mean().sort_values().tail(15)
        several = frame["task"].nunique() > 1
        names = [f"{task}: {label}" if several else label for task, label in means.index]
        ax.barh(names, means.to_numpy(), color=WAVE)
        ax.set(xlim=(0, 1), xlabel="probability", title=self.source.name.replace("$", r"\$"))
        return ax


@dataclass(frozen=True, eq=False)
class FeatureResult(Result):
    """Features of a recording, or of its frames.

    Parameters
    ----------
    source : Source
        The recording.
    values : ndarray, shape (rows, columns)
        One row, or one for each frame; NaN where a feature is not defined.
    layout : Layout
        Names of the columns, and frames a second.
    """

    values: NDArray[np.floating[Any]]
    layout: Layout

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, name: str) -> Any:
        """Give a feature by name: a number, or (frames,)."""
        if name not in self.layout.columns:
            raise KeyError(f"{name}: there are {', '.join(self.layout.columns)}")
        column = self.values[:, self.layout.columns.index(name)]
        return column if self.layout.frame_rate else float(column[0])

    def to_frame(self) -> pandas.DataFrame:
        """Make a table: a row, or a row a frame with its time in s."""
        import pandas

        frame = pandas.DataFrame(np.asarray(self.values, np.float64), columns=self.layout.columns)
        if self.layout.frame_rate:
            frame.insert(0, "time", np.arange(len(frame)) / self.layout.frame_rate)
        return frame

    def save(self, path: StrPath, *, overwrite: bool = False) -> Path:
        """Write csv, jsonl, arff, npz or parquet, by the end of the name."""
        from audiocli.tasks.features import tables

        form = tables.find_form(Path(path), None)
        part = tables.Part(self.source.name, self.values)
        tables.write(Path(path), self.layout, [part], form, overwrite=overwrite)
        return Path(path)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the features of frames along time, each over its range; of a file, as bars."""
        height = 3.0 if self.layout.frame_rate else 1.0 + 0.16 * len(self.layout.columns)
        ax = ax or new_axes(height)
        if not self.layout.frame_rate:
            frame = self.to_frame().iloc[0]
            ax.margins(y=0)
            ax.tick_params(axis="y", labelsize=7)
            ax.barh(frame.index[::-1], frame.to_numpy()[::-1], color=WAVE)
            ax.set(xscale="symlog", title=self.source.name.replace("$", r"\$"))
            return ax
        times = np.arange(len(self.values)) / self.layout.frame_rate
        for name, column in zip(self.layout.columns, self.values.T, strict=True):
            low, high = np.nanmin(column), np.nanmax(column)
            ax.plot(times, (column - low) / max(high - low, 1e-12), linewidth=0.8, label=name)
        ax.set(xlabel="time (s)", ylabel="share of its range")
        ax.legend(fontsize=7, ncols=2)
        return ax


@dataclass(frozen=True, eq=False)
class StemResult(Result):
    """Stems that add up to the mixture; ``stems["vocals"]`` is (channels, samples).

    Parameters
    ----------
    source : Source
        The mixture.
    stems : dict of str to ndarray, shape (channels, samples)
        By name.
    sample_rate : int
        In Hz.
    """

    stems: Mapping[str, Audio]
    sample_rate: int

    def __getitem__(self, stem: str) -> Audio:
        if stem not in self.stems:
            raise KeyError(f"{stem}: there are {', '.join(self.stems)}")
        return self.stems[stem]

    def __iter__(self) -> Iterator[str]:
        return iter(self.stems)

    def __len__(self) -> int:
        return len(self.stems)

    def to_frame(self) -> pandas.DataFrame:
        """Make a table of the stems: level in dB relative to full scale, and share of energy."""
        import pandas

        squares = {name: np.square(x, dtype=np.float64) for name, x in self.stems.items()}
        energy = {name: float(square.mean()) for name, square in squares.items()}
        total = sum(energy.values()) or np.nan
        with np.errstate(divide="ignore"):
            rows = [(name, 10 * np.log10(value), value / total) for name, value in energy.items()]
        return pandas.DataFrame(rows, columns=["stem", "level_db", "share"])

    def save(self, path: StrPath, *, overwrite: bool = False) -> Path:
        """Write the stems into a folder as 32-bit float WAV, so that nothing is clipped."""
        folder = Path(path)
        form = AudioFormat("wav", "FLOAT")
        targets = {stem: folder / f"{stem}.wav" for stem in self.stems}
        there = [str(target) for target in targets.values() if target.exists()]
        if there and not overwrite:
            raise UsageError(f"{', '.join(there)}: is there already; use overwrite=True")
        for stem, target in targets.items():
            audio = self.stems[stem]
            with AudioWriter(
                target, self.sample_rate, len(audio), form, overwrite=overwrite
            ) as writer:
                writer.write(audio)
        return folder

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the waveforms of the stems, one under the other."""
        ax = ax or new_axes()
        peak = max((float(np.abs(x).max()) for x in self.stems.values()), default=0.0) or 1.0
        for row, (name, audio) in enumerate(self.stems.items()):
            part = Source(name, audio=audio, sample_rate=self.sample_rate)
            times, low, high = part.envelope()
            middle = -2.1 * row
            ax.fill_between(
                times, middle + low / peak, middle + high / peak, linewidth=0, label=name
            )
        ax.set(xlabel="time (s)", yticks=[], title=self.source.name.replace("$", r"\$"))
        ax.margins(x=0)
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=len(self.stems), frameon=False)
        return ax

    def _repr_html_(self) -> str:
        """Show a player for the mixture and each stem in a notebook."""
        rows = [("mixture", self.source.player())]
        rows += [(name, player(x, self.sample_rate, name)) for name, x in self.stems.items()]
        cells = "".join(f"<tr><th>{html.escape(n)}</th><td>{p}</td></tr>" for n, p in rows)
        return f"<table>{cells}</table>"
