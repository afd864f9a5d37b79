"""Keys: which one pitch classes are in, and how notes are spelled in it.

Pitch classes are numbers from 0 (C) to 11 (B). The one place where a name is chosen for a black
key: ``Ab`` in C minor, ``G#`` in A minor.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audiocli.errors import UsageError

__all__ = [
    "FLATS",
    "KEY_PROFILES",
    "MODES",
    "PROFILES",
    "SHARPS",
    "Key",
    "find_key",
    "key_fits",
    "note_name",
]

MODES = ("major", "minor")
#: Names of the pitch classes from C upwards.
SHARPS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
FLATS = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
#: How often each step above the tonic sounds in a segment of music, of major and of minor keys.
PROFILES = np.array(
    [
        [0.748, 0.060, 0.488, 0.082, 0.670, 0.460, 0.096, 0.715, 0.104, 0.366, 0.057, 0.400],
        [0.712, 0.084, 0.474, 0.618, 0.049, 0.460, 0.105, 0.747, 0.404, 0.067, 0.133, 0.330],
    ]
)
#: The same for each key, the major ones from C upwards and then the minor ones, less their means.
KEY_PROFILES = np.stack([np.roll(row, tonic) for row in PROFILES for tonic in range(12)])
KEY_PROFILES -= KEY_PROFILES.mean(axis=1, keepdims=True)

#: On the line of fifths, where C is 0 and G is 1: from the flat second to the raised fourth of a
#: key lie twelve notes, each of another pitch class.
LOWEST_STEP, HIGHEST_STEP = -5, 6
#: Black keys, as a sharp and as a flat: their places on the line of fifths.
BLACK = {1: (7, -5), 3: (9, -3), 6: (6, -6), 8: (8, -4), 10: (10, -2)}
#: Tonics of the twelve keys of a mode, on the line of fifths: those with fewer signs, F# major and
#: Eb minor.
TONICS = {
    "major": (0, -5, 2, -3, 4, -1, 6, 1, -4, 3, -2, 5),
    "minor": (0, 7, 2, -3, 4, -1, 6, 1, 8, 3, -2, 5),
}
_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_NAMED = re.compile(r"([A-Ga-g])([#♯b♭]?)[ :]*(major|maj|minor|min|m|M|)")


@dataclass(frozen=True)
class Key:
    """A key.

    Parameters
    ----------
    tonic : int
        Pitch class.
    mode : {"major", "minor"}

    Examples
    --------
    >>> key = Key(0, "minor")
    >>> str(key), key.short, key.names[8]
    ('C minor', 'Cm', 'Ab')
    """

    tonic: int
    mode: str

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the twelve pitch classes in this key.

        Those between the flat second and the raised fourth on the line of fifths, in major and
        minor alike (Longuet-Higgins 1976): ``Bb`` and ``F#`` in C major, ``C#`` in D minor. White
        keys keep their plain names, so that there is no Cb, E# or double sharp.
        """
        tonic = TONICS[self.mode][self.tonic]
        names = list(SHARPS)
        for pitch_class, (sharp, flat) in BLACK.items():
            middle = tonic + (LOWEST_STEP + HIGHEST_STEP) / 2
            if abs(flat - middle) < abs(sharp - middle):
                names[pitch_class] = FLATS[pitch_class]
        return tuple(names)

    @property
    def short(self) -> str:
        """Its name as in a lead sheet, in ID3's TKEY and in MIDI: ``Cm``, ``Bb``."""
        return self.names[self.tonic] + ("m" if self.mode == "minor" else "")

    def __str__(self) -> str:
        return f"{self.names[self.tonic]} {self.mode}"

    def transposed(self, semitones: int) -> Key:
        """Transpose it."""
        return Key((self.tonic + semitones) % 12, self.mode)

    @staticmethod
    def parse(name: str) -> Key:
        """Read the name of a key.

        Parameters
        ----------
        name : str
            As in ``C minor``, ``Ab major``, ``F#:min``, ``Cm`` or ``Eb``.

        Raises
        ------
        UsageError
            If it names none.

        Examples
        --------
        >>> str(Key.parse("ebm"))
        'Eb minor'
        """
        found = _NAMED.fullmatch(name.strip())
        if found is None:
            raise UsageError(f"key {name!r}: write it as in C major, F# minor or Ebm")
        letter, sign, mode = found.groups()
        shift = {"": 0, "#": 1, "♯": 1}.get(sign, -1)
        tonic = (_LETTERS[letter.upper()] + shift) % 12
        return Key(tonic, "minor" if mode in ("minor", "min", "m") else "major")


def note_name(pitch: float, names: Sequence[str] = SHARPS) -> str:
    """Name the note that is nearest to a MIDI note number.

    Parameters
    ----------
    pitch : float
        MIDI note number; 60 is C4.
    names : sequence of str
        Of the twelve pitch classes, such as :attr:`Key.names`.

    Examples
    --------
    >>> note_name(68.3), note_name(68, Key(0, "minor").names)
    ('G#4', 'Ab4')
    """
    nearest = round(pitch)
    return f"{names[nearest % 12]}{nearest // 12 - 1}"


def key_fits(weights: ArrayLike) -> NDArray[np.float64]:
    """Correlate what sounds of each pitch class with the profile of each key.

    Parameters
    ----------
    weights : array_like, shape (12,)
        How long or how strong each pitch class sounds, on any scale.

    Returns
    -------
    ndarray, shape (24,)
        Correlation coefficients, of the major keys from C upwards and then of the minor ones; 0
        where all weights are alike.

    References
    ----------
    Krumhansl: Cognitive Foundations of Musical Pitch. Oxford University Press, 1990.
    Temperley: Music and Probability. MIT Press, 2007, chapter 6 (Kostka-Payne profiles).

    Examples
    --------
    >>> scale = [1, 0, 1, 0, 1, 1, 0, 1, 0, 1, 0, 1]
    >>> int(key_fits(scale).argmax())
    0
    """
    sounding = np.asarray(weights, np.float64)
    centred = sounding - sounding.mean()
    scale = np.linalg.norm(KEY_PROFILES, axis=1) * np.linalg.norm(centred)
    fits: NDArray[np.float64] = np.divide(
        KEY_PROFILES @ centred, scale, out=np.zeros(24), where=scale > 0
    )
    return fits


def find_key(weights: ArrayLike) -> Key | None:
    """Give the key whose profile fits pitch classes best; None where all sound alike.

    Examples
    --------
    >>> str(find_key([3, 0, 2, 2, 0, 1, 0, 3, 1, 0, 0, 1]))
    'C minor'
    """
    fits = key_fits(weights)
    if not fits.any():
        return None
    best = int(fits.argmax())
    return Key(best % 12, MODES[best // 12])
