"""What a page holds, as plain values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from audiocli.page.sound import Measures
from audiocli.page.waveform import Outline

__all__ = ["Answer", "Key", "Page", "PlayedChord", "Span", "Track", "data_of"]


@dataclass(frozen=True)
class Track:
    """A signal of the player: the mixture, or a stem.

    Parameters
    ----------
    name : str
        What it is called.
    sound : str
        A data URI; empty where it is not embedded.
    picture : str
        The data URI of its spectrogram; empty where there is none.
    measures : Measures, optional
        Its levels.
    """

    name: str
    sound: str = ""
    picture: str = ""
    measures: Measures | None = None


@dataclass(frozen=True)
class Span:
    """Something that lasts, in seconds, with a label and a probability."""

    start: float
    end: float
    label: str
    probability: float = math.nan


@dataclass(frozen=True)
class PlayedChord:
    """A chord along time.

    Parameters
    ----------
    start, end : float
        In seconds.
    root, bass : int
        Pitch classes from 0 (C); a root of -1 is no chord.
    suffix : str
        What a lead sheet writes behind the root, such as ``m7``.
    degree : str
        Its Roman numeral in the key of the section; empty without one.
    """

    start: float
    end: float
    root: int
    bass: int
    suffix: str
    degree: str = ""


@dataclass(frozen=True)
class Key:
    """A section in one key: its time in seconds, the tonic's pitch class, and major or minor."""

    start: float
    end: float
    tonic: int
    mode: str


@dataclass(frozen=True)
class Answer:
    """What a model says of the whole: labels with probabilities, the likeliest first."""

    title: str
    labels: Sequence[tuple[str, float]]


@dataclass(frozen=True)
class Page:
    """All that a page shows; what is empty has no section.

    Parameters
    ----------
    title : str
        Of the recording.
    seconds : float
        Length of what the page holds; all times on it count from its beginning.
    start : float
        Where in the recording that begins, in seconds.
    lead : str
        A sentence under the title.
    facts : mapping of str to str
        What is known in short.
    notices : sequence of str
        What the reader must know, as that this is a part of the recording.
    tracks : sequence of Track
        The mixture, and its stems.
    outline : Outline, optional
        The waveform of the mixture.
    ticks : sequence of (float, str)
        Frequencies beside the spectrograms: place from 0 (bottom) to 1, and label.
    mask : Track, optional
        The picture of a stem's share.
    onsets : sequence of float
        In seconds.
    beats : sequence of (float, int)
        In seconds, with the position in the bar; 1 begins one.
    chords, keys, notes, events
        Along time. The label of a note is its pitch, a MIDI number with cents.
    answers : sequence of Answer
        Of the whole.
    loudness : sequence of float
        Short-term, in LUFS, from the first 3 s on; NaN where it is silent.
    loudness_step : float
        Seconds from one of them to the next.
    measured : str
        How levels were measured.
    limits : tuple of float, optional
        The levels at both ends of the spectrograms' colours, in dB.
    overview : sequence of Track
        Pictures of the whole recording, where the page holds a part of it.
    overview_seconds : float
        Length of the whole.
    overview_start : float
        Where in it the page begins.
    """

    title: str
    seconds: float
    start: float = 0.0
    lead: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    notices: Sequence[str] = ()
    tracks: Sequence[Track] = ()
    outline: Outline | None = None
    ticks: Sequence[tuple[float, str]] = ()
    mask: Track | None = None
    onsets: Sequence[float] = ()
    beats: Sequence[tuple[float, int]] = ()
    chords: Sequence[PlayedChord] = ()
    keys: Sequence[Key] = ()
    notes: Sequence[tuple[float, float, float]] = ()
    events: Sequence[Span] = ()
    answers: Sequence[Answer] = ()
    loudness: Sequence[float] = ()
    loudness_step: float = 1.0
    measured: str = ""
    limits: tuple[float, float] | None = None
    overview: Sequence[Track] = ()
    overview_seconds: float = 0.0
    overview_start: float = 0.0


def data_of(page: Page) -> dict[str, Any]:
    """Give what the page's program draws, ready for JSON: no sounds, and no NaN."""
    outline = page.outline
    return {
        "seconds": round(page.seconds, 4),
        "start": round(page.start, 4),
        "tracks": [{"name": each.name, "picture": each.picture} for each in page.tracks],
        "mask": None if page.mask is None else dataclasses.asdict(page.mask),
        "ticks": page.ticks,
        "outline": None if outline is None else [list(outline.tops), list(outline.bottoms)],
        "onsets": [round(time, 3) for time in page.onsets],
        "beats": [[round(time, 3), place] for time, place in page.beats],
        "chords": [
            [*_times(each), each.root, each.bass, each.suffix, each.degree] for each in page.chords
        ],
        "keys": [[*_times(each), each.tonic, each.mode] for each in page.keys],
        "notes": [[round(value, 3) for value in note] for note in page.notes],
        "events": [
            [*_times(each), each.label,
             None if math.isnan(each.probability) else round(each.probability, 3)]
            for each in page.events
        ],
        "loudness": {
            "step": page.loudness_step,
            "values": [None if not math.isfinite(value) else round(value, 1)
                       for value in page.loudness],
        },
    }  # fmt: skip


def _times(span: Span | PlayedChord | Key) -> list[float]:
    return [round(span.start, 3), round(span.end, 3)]
