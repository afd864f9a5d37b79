"""Chords and their names in Harte's syntax: ``C:maj7/3``, ``Bb:min``, ``N`` for no chord.

References
----------
Harte, Sandler, Abdallah, Gómez: Symbolic representation of musical chords: a proposed syntax
for text annotations. ISMIR 2005.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from audiocli.dsp.keys import Key
from audiocli.errors import DataError

__all__ = [
    "NO_CHORD",
    "QUALITIES",
    "VOCABULARIES",
    "Chord",
    "parse",
    "pitches_of",
    "reduced",
    "template",
]

#: What a chord can be: semitones above its root. Of two that fit a label, the earlier is meant.
QUALITIES: dict[str, tuple[int, ...]] = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "dim": (0, 3, 6),
    "aug": (0, 4, 8),
    "sus4": (0, 5, 7),
    "sus2": (0, 2, 7),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "min7": (0, 3, 7, 10),
    "minmaj7": (0, 3, 7, 11),
    "maj6": (0, 4, 7, 9),
    "min6": (0, 3, 7, 9),
    "dim7": (0, 3, 6, 9),
    "hdim7": (0, 3, 6, 10),
    "sus4(b7)": (0, 5, 7, 10),
    "5": (0, 7),
}

_TRIADS = {
    "7": "maj", "maj7": "maj", "maj6": "maj", "min7": "min", "minmaj7": "min", "min6": "min",
    "dim7": "dim", "hdim7": "dim", "sus4(b7)": "sus4",
}  # fmt: skip
_MAJMIN = {"dim": "min", "aug": "maj", "sus4": "maj", "sus2": "maj", "5": "maj"}
_SEVENTHS = {
    **_MAJMIN, "maj6": "maj", "min6": "min", "minmaj7": "min", "dim7": "min", "hdim7": "min7",
    "sus4(b7)": "7",
}  # fmt: skip

#: What each vocabulary makes of every quality; the smaller ones are those of mir_eval's measures.
VOCABULARIES: dict[str, dict[str, str]] = {
    "full": {quality: quality for quality in QUALITIES},
    "sevenths": {quality: _SEVENTHS.get(quality, quality) for quality in QUALITIES},
    "majmin": {
        quality: _MAJMIN.get(triad, triad)
        for quality in QUALITIES
        for triad in [_TRIADS.get(quality, quality)]
    },
}

#: As chords are mostly written, where no key tells.
USUAL = Key(0, "major").names

_DEGREES = ("1", "b2", "2", "b3", "3", "4", "b5", "5", "b6", "6", "b7", "7")


@dataclass(frozen=True)
class Chord:
    """A chord, or none.

    Parameters
    ----------
    root : int
        Pitch class from 0 (C) to 11 (B); -1 is no chord.
    quality : str
        One of ``QUALITIES``.
    bass : int
        The lowest note, in semitones above the root.
    """

    root: int
    quality: str = "maj"
    bass: int = 0

    def __bool__(self) -> bool:
        return self.root >= 0

    def label(self, names: Sequence[str] = USUAL) -> str:
        """Write it in Harte's syntax, with these names of the twelve pitch classes."""
        if not self:
            return "N"
        over = f"/{self.degree}" if self.bass else ""
        return f"{names[self.root]}:{self.quality}{over}"

    @property
    def degree(self) -> str:
        """The bass as a degree of the scale above the root, as the chord spells it."""
        spelled = {("dim7", 9): "bb7", ("aug", 8): "#5"}
        return spelled.get((self.quality, self.bass), _DEGREES[self.bass])

    @property
    def pitch_classes(self) -> frozenset[int]:
        """The pitch classes that sound, the bass among them; none of no chord."""
        if not self:
            return frozenset()
        steps = {*QUALITIES[self.quality], self.bass}
        return frozenset((self.root + step) % 12 for step in steps)

    def transposed(self, semitones: int) -> Chord:
        """Transpose it."""
        return replace(self, root=(self.root + semitones) % 12) if self else self


NO_CHORD = Chord(-1)


@cache
def parse(label: str) -> Chord | None:
    """Read a label in Harte's syntax as the nearest chord of ``QUALITIES``.

    Ninths and other additions are left out; a label that contains no such chord, as
    ``C:1``, is None, and so is ``X``.
    """
    from mir_eval import chord as harte

    try:
        root, bitmap, bass = harte.encode(label, reduce_extended_chords=True)
    except harte.InvalidChordException as error:
        raise DataError(f"{label!r} is no chord label like C:maj, A:min7/b3 or N") from error
    if label == "X":
        return None
    if root < 0:
        return NO_CHORD
    sounding = {step for step in range(12) if bitmap[step]}
    inside = [quality for quality, steps in QUALITIES.items() if sounding.issuperset(steps)]
    if not inside:
        return None
    quality = max(inside, key=lambda name: len(QUALITIES[name]))  # the first of equals
    return Chord(int(root), quality, int(bass) % 12)


def reduced(chord: Chord, vocabulary: str) -> Chord:
    """Map a chord to a smaller vocabulary."""
    if not chord or vocabulary == "full":
        return chord
    return Chord(chord.root, VOCABULARIES[vocabulary][chord.quality])


def pitches_of(label: str) -> list[int]:
    """Voice a chord in MIDI pitches: the bass below, the rest in close position around middle C."""
    chord = parse(label)
    if not chord:
        return []
    bass = 48 + (chord.root + chord.bass) % 12
    bass -= 12 if bass > 54 else 0
    upper = {55 + (pitch - 55) % 12 for pitch in chord.pitch_classes}
    return sorted({bass, *upper})


def template(quality: str) -> NDArray[np.float64]:
    """Quality on C as a vector of twelve zeros and ones."""
    vector = np.zeros(12)
    vector[list(QUALITIES[quality])] = 1.0
    return vector
