"""What can be written: instants, labelled segments and notes; and the options of writing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audiocli.dsp.keys import SHARPS, Key, note_name

__all__ = ["Annotation", "Instants", "Notes", "Options", "Segments", "Table"]

Table = dict[str, "list[float] | list[str]"]
"""Columns by name, all of one length."""

_DECIMALS = 6  # of a time in seconds: microseconds
_RESERVED = frozenset({"file", "time", "strength"})  # these columns have a meaning of their own


@dataclass(frozen=True, eq=False)  # arrays have no single answer to ==
class Instants:
    """Points in time.

    Parameters
    ----------
    times : ndarray of float64, shape (n,)
        In seconds, not negative, ascending.
    name : str
        What they are, in the singular: 'onset', 'beat'.
    strengths : ndarray of float64, shape (n,), optional
        How strong each is, on any scale.
    columns : mapping of str to ndarray of float64, shape (n,)
        Further numbers for each, by name, such as 'salience'.
    file : str, optional
        The recording, as the user named it.
    duration : float, optional
        Its length in seconds.
    sample_rate : int, optional
        Its sample rate in Hz.
    metadata : mapping
        Anything else worth keeping, such as the model's name; ready for JSON.
    """

    kind: ClassVar[str] = "instants"

    times: NDArray[np.float64]
    name: str = "onset"
    strengths: NDArray[np.float64] | None = None
    columns: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    file: str | None = None
    duration: float | None = None
    sample_rate: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        times = _times(self.times, "times")
        strengths = self.strengths
        if strengths is not None:
            strengths = _vector(strengths, "strengths", len(times))
        if taken := _RESERVED & self.columns.keys():
            raise ValueError(f"columns cannot be named {', '.join(sorted(taken))}")
        columns = {name: _vector(more, name, len(times)) for name, more in self.columns.items()}
        _set(self, times=times, strengths=strengths, columns=columns)

    def __len__(self) -> int:
        return len(self.times)

    def table(self) -> Table:
        """List what there is to write of each instant."""
        table: Table = {"time": _rounded(self.times)}
        if self.strengths is not None:
            table["strength"] = _significant(self.strengths)
        return table | {name: _significant(more) for name, more in self.columns.items()}


@dataclass(frozen=True, eq=False)
class Segments:
    """Labelled intervals of time, which may overlap and leave gaps.

    Parameters
    ----------
    starts, ends : ndarray of float64, shape (n,)
        In seconds; starts are not negative and ascend, no end comes before its start.
    labels : sequence of str, length n
        What each is; any characters.
    name : str
        What they are, in the singular: 'chord', 'tag'.
    confidences : ndarray of float64, shape (n,), optional
        How sure each label is, on any scale.
    file : str, optional
        The recording, as the user named it.
    duration : float, optional
        Its length in seconds.
    sample_rate : int, optional
        Its sample rate in Hz.
    metadata : mapping
        Anything else worth keeping, such as the model's name; ready for JSON.
    """

    kind: ClassVar[str] = "segments"

    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    labels: Sequence[str]
    name: str = "segment"
    confidences: NDArray[np.float64] | None = None
    file: str | None = None
    duration: float | None = None
    sample_rate: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        starts = _times(self.starts, "starts")
        ends = _vector(self.ends, "ends", len(starts))
        if (ends < starts).any():
            raise ValueError("a segment ends before it starts")
        labels = tuple(self.labels)
        if len(labels) != len(starts):
            raise ValueError(f"{len(labels)} labels do not fit {len(starts)} starts")
        confidences = self.confidences
        if confidences is not None:
            confidences = _vector(confidences, "confidences", len(starts))
        _set(self, starts=starts, ends=ends, labels=labels, confidences=confidences)

    def __len__(self) -> int:
        return len(self.starts)

    def table(self) -> Table:
        """List what there is to write of each segment."""
        starts, ends = _rounded(self.starts), _rounded(self.ends)
        for place, following in enumerate(starts[1:]):
            if abs(ends[place] - following) < 1.5 * 10**-_DECIMALS:
                ends[place] = following  # they meet: rounding must not part or overlap them
        table: Table = {"start": starts, "end": ends, "label": list(self.labels)}
        if self.confidences is not None:
            table["confidence"] = _significant(self.confidences)
        return table


@dataclass(frozen=True, eq=False)
class Notes:
    """Notes of one voice or of several, with their pitches.

    Parameters
    ----------
    starts, ends : ndarray of float64, shape (n,)
        Onsets and offsets in seconds; starts are not negative and ascend, no end comes before its
        start.
    pitches : ndarray of float64, shape (n,)
        MIDI note numbers; 69 is A4, 440 Hz, and 0.01 a cent.
    confidences : ndarray of float64, shape (n,), optional
        How sure each note is, between 0 and 1.
    name : str
        What they are, in the singular.
    file : str, optional
        The recording, as the user named it.
    duration : float, optional
        Its length in seconds.
    sample_rate : int, optional
        Its sample rate in Hz.
    metadata : mapping
        Anything else worth keeping, such as the model's name; ready for JSON. `key`, as in
        ``C minor``, is what the notes are spelled by.

    Examples
    --------
    >>> notes = Notes(np.array([0.5]), np.array([1.0]), np.array([69.02]), file="a.wav")
    >>> notes.table()
    {'start': [0.5], 'end': [1.0], 'pitch': [69.02], 'frequency': [440.509], 'note': ['A4']}
    """

    kind: ClassVar[str] = "notes"

    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    pitches: NDArray[np.float64]
    confidences: NDArray[np.float64] | None = None
    name: str = "note"
    file: str | None = None
    duration: float | None = None
    sample_rate: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        starts = _times(self.starts, "starts")
        ends = _vector(self.ends, "ends", len(starts))
        if (ends < starts).any():
            raise ValueError("a note ends before it starts")
        pitches = _vector(self.pitches, "pitches", len(starts))
        confidences = self.confidences
        if confidences is not None:
            confidences = _vector(confidences, "confidences", len(starts))
        _set(self, starts=starts, ends=ends, pitches=pitches, confidences=confidences)

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def key(self) -> Key | None:
        """The key that the metadata tell."""
        name = self.metadata.get("key")
        return Key.parse(str(name)) if name else None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the pitch classes, as the key has them; sharps where there is none."""
        return SHARPS if self.key is None else self.key.names

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """Of the notes, in Hz."""
        return 440.0 * np.exp2((self.pitches - 69.0) / 12.0)

    def table(self) -> Table:
        """List what there is to write of each note.

        Returns
        -------
        dict of str to list
            'start' and 'end' in seconds, 'pitch' as MIDI note number with cents, 'frequency' in
            Hz, 'note', the name of the nearest one, and 'confidence' if there are confidences.
        """
        table: Table = {
            "start": _rounded(self.starts),
            "end": _rounded(self.ends),
            "pitch": [round(pitch, 2) for pitch in self.pitches.tolist()],
            "frequency": _significant(self.frequencies),
            "note": [note_name(pitch, self.names) for pitch in self.pitches.tolist()],
        }
        if self.confidences is not None:
            table["confidence"] = _significant(self.confidences)
        return table


Annotation = Instants | Segments | Notes
"""What every format is given."""


@dataclass(frozen=True, eq=False)  # as above
class Options:
    """How to write; each format heeds what concerns it.

    Parameters
    ----------
    columns : bool
        In txt: strengths and further columns too, after the time, separated by tabs.
    file : bool
        Name the recording in each line: first in csv, last in txt. In jsonl it always is.
    header : bool
        In csv: the line of column names. Leave it out for all but the first of several results
        in one stream.
    namespace : str, optional
        In jams: the namespace. Default: 'onset', 'beat' or 'chord' where that is the name of
        the annotation, else 'onset' for instants, 'segment_open' for segments and 'note_midi' for
        notes.
    pitches : callable, optional
        In midi: takes the label of a segment, returns the MIDI pitches (60 is middle C) to hold;
        none for silence.
    bend : bool
        In midi, of notes: the cents too, by the pitch wheel with its usual range of two semitones.
    bars, beats : ndarray of float64, shape (n,), optional
        In chordpro and html: when bars and beats begin, in seconds. Bars make a grid; beats divide
        it, into four a bar where they are not given, and tell the tempo. In midi: the tempo of the
        file.
    title : str, optional
        In chordpro and html: of the song. Default: the file's name without its extension.
    key : str, optional
        In chordpro, html and midi: such as 'A:min' or 'A minor'. Notes in midi have their own.
    capo : int
        In chordpro and html: the fret of a capo. Labels name the chords as they are held behind it.
    diagrams : sequence of str
        In html: instruments of :data:`audiocli.io.formats.fretboard.INSTRUMENTS` whose fingerings
        are drawn.
    """

    columns: bool = False
    file: bool = False
    header: bool = True
    namespace: str | None = None
    pitches: Callable[[str], Sequence[int]] | None = None
    bend: bool = False
    bars: NDArray[np.float64] | None = None
    beats: NDArray[np.float64] | None = None
    title: str | None = None
    key: str | None = None
    capo: int = 0
    diagrams: Sequence[str] = ()


def _set(annotation: Annotation, **values: object) -> None:
    """Replace what was given by what was made of it; the only way round `frozen`."""
    for name, value in values.items():
        object.__setattr__(annotation, name, value)


def _vector(values: ArrayLike, name: str, length: int | None = None) -> NDArray[np.float64]:
    vector = np.array(values, dtype=np.float64) + 0.0  # which makes 0.0 of -0.0
    if vector.ndim != 1 or (length is not None and len(vector) != length):
        wanted = "n" if length is None else length
        raise ValueError(f"{name} have shape ({wanted},), not {vector.shape}")
    if not np.isfinite(vector).all():
        raise ValueError(f"{name} hold NaN or infinity")
    return vector


def _times(values: ArrayLike, name: str) -> NDArray[np.float64]:
    times = _vector(values, name)
    if len(times) and (times[0] < 0 or (np.diff(times) < 0).any()):
        raise ValueError(f"{name} are not negative, and ascend")
    return times


def _rounded(times: NDArray[np.float64]) -> list[float]:
    # Python's round is exact; numpy's multiplies, which moves large times.
    return [round(time, _DECIMALS) for time in times.tolist()]


def _significant(values: NDArray[np.float64]) -> list[float]:
    return [float(f"{value:.6g}") for value in values.tolist()]
