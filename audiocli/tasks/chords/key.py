"""The key that chords are in, from section to section, and chords as degrees of a key.

A key is rated by how well the pitch classes that sound fit its scale, after profiles that were
counted in a corpus, and by how long its tonic triad and its dominant sound. Pitch classes are those
that the network finds in each frame, where these are known, and else those of the chords. Sections
are the best path through the 24 keys.

References
----------
Temperley: Music and Probability. MIT Press, 2007, chapter 6 (Kostka-Payne profiles).
Temperley: The Cognition of Basic Musical Structures. MIT Press, 2001, chapter 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocli.dsp.keys import KEY_PROFILES, MODES, PROFILES, Key
from audiocli.tasks.chords.decoding import best_path
from audiocli.tasks.chords.labels import QUALITIES, Chord

__all__ = ["Key", "Passage", "find_key", "find_keys", "key_stability", "roman"]

Tones = NDArray[np.floating[Any]]

TONIC, DOMINANT = 0.25, 0.1  # what these triads add, on the profiles' scale
TRIAD = 0.1  # the same, on the scale of profiles of length 1
CHANGE = 6.0  # what a change of key costs: seconds in which a chord fits by one better


@dataclass(frozen=True)
class Passage:
    """A segment of time with one chord.

    Parameters
    ----------
    start, end : float
        In seconds.
    chord : Chord
    confidence : float
        From 0 to 1.
    """

    start: float
    end: float
    chord: Chord
    confidence: float = 1.0

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.end - self.start


def _fits(chord: Chord) -> NDArray[np.float32]:
    """How well a chord fits each key, major keys first: (24,)."""
    fits = np.zeros((2, 12))
    for row, mode in enumerate(MODES):
        for tonic in range(12):
            steps = [(pitch - tonic) % 12 for pitch in chord.pitch_classes]
            root = (chord.root - tonic) % 12
            third = 4 if 4 in QUALITIES[chord.quality] else 3
            fits[row, tonic] = PROFILES[row, steps].mean() - PROFILES[row].mean()
            if root == 0 and (third == 4) == (mode == "major"):
                fits[row, tonic] += TONIC
            if root == 7 and third == 4:
                fits[row, tonic] += DOMINANT
    return fits.reshape(-1).astype(np.float32)


def _key(index: int) -> Key:
    return Key(index % 12, MODES[index // 12])


def _evidence(passages: Sequence[Passage], tones: Tones | None) -> NDArray[np.float32]:
    """How well each passage fits each key, times its length: (passages, 24), 0 without a chord."""
    rows = np.zeros((len(passages), 24), np.float32)
    for row, (place, each) in zip(rows, enumerate(passages), strict=True):
        if each.chord:
            fits = _fits(each.chord) if tones is None else _fits_of(tones[place], each.chord)
            row[:] = each.seconds * fits
    return rows


def _fits_of(tones: Tones, chord: Chord) -> NDArray[np.float32]:
    """How well pitch classes and a chord fit each key: (24,).

    Profiles are centred and of length 1: so the sum over a recording has its maximum where the
    correlation with its mean has it.
    """
    fits = KEY_PROFILES @ tones / np.linalg.norm(KEY_PROFILES, axis=1)
    major = 4 in QUALITIES[chord.quality]
    fits[chord.root + (0 if major else 12)] += TRIAD
    if major:
        fits[[(chord.root - 7) % 12, (chord.root - 7) % 12 + 12]] += TRIAD
    return np.asarray(fits, np.float32)


def find_key(passages: Sequence[Passage], tones: Tones | None = None) -> Key | None:
    """Find the key that fits best over the whole recording.

    Takes, where they are known, how likely each pitch class sounds in each passage, (passages, 12).
    """
    if not any(passage.chord for passage in passages):
        return None
    return _key(int(np.argmax(_evidence(passages, tones).sum(axis=0))))


def key_stability(
    passages: Sequence[Passage], key: Key, tones: Tones | None = None, draws: int = 200
) -> float:
    """Give how often the key is found again, from 0 to 1, if chords are drawn with replacement."""
    fits = _evidence(passages, tones)[[bool(passage.chord) for passage in passages]]
    drawn = np.random.default_rng(0).integers(0, len(fits), (draws, len(fits)))
    found = np.array([fits[rows].sum(axis=0).argmax() for rows in drawn])
    return float(np.mean(found == key.tonic + 12 * MODES.index(key.mode)))


def find_keys(
    passages: Sequence[Passage], tones: Tones | None = None
) -> list[tuple[float, float, Key]]:
    """Find the sections in one key each: start and end in seconds, and the key."""
    if not any(passage.chord for passage in passages):
        return []
    frames = _evidence(passages, tones)
    table = np.full((24, 24), -CHANGE)
    np.fill_diagonal(table, 0.0)
    path = np.concatenate(list(best_path([frames], table, 1.0)))
    edges = [0, *(np.flatnonzero(np.diff(path)) + 1).tolist(), len(path)]
    return [
        (passages[first].start, passages[last - 1].end, _key(int(path[first])))
        for first, last in zip(edges, edges[1:], strict=False)
    ]


_NUMERALS = {
    "major": ("I", "bII", "II", "bIII", "III", "IV", "#IV", "V", "bVI", "VI", "bVII", "VII"),
    "minor": ("I", "bII", "II", "III", "#III", "IV", "#IV", "V", "VI", "#VI", "VII", "#VII"),
}
#: Of each quality: whether the numeral is in capitals, and what follows it.
_FIGURES = {
    "maj": (True, ""), "min": (False, ""), "dim": (False, "o"), "aug": (True, "+"),
    "sus4": (True, "sus4"), "sus2": (True, "sus2"), "7": (True, "7"), "maj7": (True, "maj7"),
    "min7": (False, "7"), "minmaj7": (False, "maj7"), "maj6": (True, "add6"),
    "min6": (False, "add6"), "dim7": (False, "o7"), "hdim7": (False, "ø7"),
    "sus4(b7)": (True, "7sus4"), "5": (True, "5"),
}  # fmt: skip


def roman(chord: Chord, key: Key) -> str:
    """Write a chord as a degree of a key."""
    if not chord:
        return "N"
    capital, figure = _FIGURES[chord.quality]
    numeral = _NUMERALS[key.mode][(chord.root - key.tonic) % 12]
    over = f"/{chord.degree}" if chord.bass else ""
    return (numeral if capital else numeral.lower()) + figure + over
