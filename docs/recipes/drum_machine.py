"""A drum machine: kicks, snares and hats made of decaying sines and noise, other ones each time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from audiocli.io.soundfont import Part

Signal = NDArray[np.float32]

KICKS, SNARES = (35, 36), (37, 38, 39, 40)  # of General MIDI; toms and hats are the others
TOMS = (41, 43, 45, 47, 48, 50)
LONGEST = 0.5  # seconds


def stroke(pitch: int, rate: int, rng: np.random.Generator) -> Signal:
    """Make the sound of one drum."""
    time = np.arange(int(LONGEST * rate)) / rate
    noise = rng.standard_normal(len(time))
    if pitch in KICKS or pitch in TOMS:
        low = rng.uniform(45, 75) if pitch in KICKS else rng.uniform(80, 200)
        fall = low * (1 + rng.uniform(0, 3) * np.exp(-time / rng.uniform(0.01, 0.04)))
        tone = np.sin(2 * np.pi * np.cumsum(fall) / rate)
        sound = tone * np.exp(-time / rng.uniform(0.05, 0.2))
        sound = sound + rng.uniform(0, 0.2) * noise * np.exp(-time / 0.005)
        return np.asarray(sound, np.float32)
    if pitch in SNARES:
        tone = np.sin(2 * np.pi * rng.uniform(150, 260) * time)
        sound = noise + rng.uniform(0, 1) * tone * np.exp(-time / 0.05)
        return np.asarray(0.5 * sound * np.exp(-time / rng.uniform(0.03, 0.15)), np.float32)
    high = lfilter([1, -1], [1, rng.uniform(-0.3, 0.3)], noise)
    decay = rng.uniform(0.01, 0.05) if pitch != 46 else rng.uniform(0.1, 0.3)
    return np.asarray(rng.uniform(0.08, 0.4) * high * np.exp(-time / decay), np.float32)


def play(parts: Sequence[Part], rate: int, rng: np.random.Generator) -> Signal:
    """Play the drums among some parts, (samples,), each pitch with one sound."""
    notes = [note for part in parts if part.drums for note in part.notes]
    last = max(note.start for note in notes) + LONGEST + 0.1
    audio = np.zeros(int(last * rate) + 1, np.float32)
    sounds = {pitch: stroke(pitch, rate, rng) for pitch in sorted({n.pitch for n in notes})}
    for note in notes:
        sound, start = sounds[note.pitch], round(note.start * rate)
        audio[start : start + len(sound)] += note.velocity / 127 * sound
    return audio
