"""Recognise chords: their roots, qualities and basses, and the keys they are in.

A log-frequency spectrogram goes through a network whose layers share their weights over the
twelve pitch classes, so that it is transposition-equivariant (:mod:`audiocli.nn.chord_crnn`). It
estimates for each frame how likely each chord is. The best path through these probabilities,
weighted by how usual each change of chord is, gives the chords
(:mod:`~audiocli.tasks.chords.decoding`). The bass is decided over the whole chord, the key over a
section.

Units: times in seconds; labels in Harte's syntax, such as ``A:min7/b3``, and ``N`` for no chord.

Limits: chords are placed to about 0.05 s and those shorter than a quarter of a second are mostly
missed. Ninths and further additions are named by what lies under them. Music that is tuned
exactly between two semitones may be written a semitone too high or too low.

References
----------
Korzeniowski, Widmer: A fully convolutional deep auditory model for musical chord recognition.
MLSP 2016.
McFee, Bello: Structured training for large-vocabulary chord recognition. ISMIR 2017.
Harte et al.: Symbolic representation of musical chords. ISMIR 2005.
"""

from audiocli.tasks.chords.decoding import Decoder
from audiocli.tasks.chords.files import ChordRequest, recognize_file, recognize_files
from audiocli.tasks.chords.key import Key, Passage
from audiocli.tasks.chords.labels import Chord
from audiocli.tasks.chords.recognizer import ChordRecognizer, Chords

__all__ = [
    "Chord",
    "ChordRecognizer",
    "ChordRequest",
    "Chords",
    "Decoder",
    "Key",
    "Passage",
    "recognize_file",
    "recognize_files",
]
