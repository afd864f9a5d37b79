"""Assemble training data for chord recognition from recordings of single notes.

    python docs/recipes/assemble_chords.py DATA OUTPUT

DATA holds `philharmonia` (single notes of an orchestra) with its `labels.csv` of path, label and
pitch. Chords are struck one by one, as `audiocli.tasks.chords.band.single_chords` makes them up,
every tone a recorded note of one instrument or of a family, tuned by some semitones at most and
moved by octaves into its range. So the overtones, noises and beats are those of real instruments.
OUTPUT gets NAME.flac and NAME.lab.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiocli.io import audio, formats
from audiocli.io.atomic import write_whole
from audiocli.io.audio.streaming import resample
from audiocli.io.soundfont import Note
from audiocli.nn.augment import filtered
from audiocli.tasks.chords.band import single_chords

RATE = 22_050
SECONDS = 60.0
#: Who plays together, how often, and the program of General MIDI whose voicings they play.
FAMILIES = (
    (("guitar",), 3, 24),
    (("banjo", "mandolin"), 1, 24),
    (("cello", "double_bass"), 2, 48),
    (("flute", "oboe", "clarinet", "cor_anglais", "bassoon", "bass_clarinet"), 2, 73),
    (("saxophone",), 1, 66),
    (("trombone", "french_horn"), 1, 61),
)
PLUCKED = (24,)
FARTHEST = 3  # semitones
SHORTEST = 0.5  # seconds
NOTES = {name: step for step, name in enumerate("C Cs D Ds E F Fs G Gs A As B".split())}

Signal = NDArray[np.float32]
Samples = dict[int, list[Path]]


def samples(data: Path) -> dict[str, Samples]:
    """List the notes that are simply played, by instrument and pitch."""
    found: dict[str, Samples] = defaultdict(lambda: defaultdict(list))
    folder = data / "philharmonia"
    with (folder / "labels.csv").open() as table:
        for row in csv.DictReader(table):
            path = folder / row["path"]
            if path.stem.endswith("normal") and soundfile.info(path).duration >= SHORTEST:
                pitch = 12 * (int(row["pitch"][-1]) + 1) + NOTES[row["pitch"][:-1]]
                found[row["label"]][pitch].append(path)
    return {name: dict(pitches) for name, pitches in found.items()}


@cache
def recorded(path: Path) -> Signal:
    """Read a note from where it begins, at peak 1."""
    read, rate = audio.read(path, mono=True)
    signal = np.concatenate(list(resample(iter([read]), rate, RATE)), axis=1)[0]
    signal = signal / np.float32(max(float(np.abs(signal).max()), 1e-6))
    loud = np.flatnonzero(np.abs(signal) > 0.02)
    return signal[loud[0] : loud[-1] + 1]


def tuned(signal: Signal, semitones: float) -> Signal:
    """Play a note faster or slower, so that it is higher or lower."""
    step = 2 ** (semitones / 12)
    places = np.arange(0, len(signal) - 1, step)
    return np.interp(places, np.arange(len(signal)), signal).astype(np.float32)


def sounding(note: Note, found: Samples, plucked: bool, rng: np.random.Generator) -> Signal:
    """Give a note the sound of a recorded one near it; what is held is bowed or blown again."""
    pitch = note.pitch
    while pitch < min(found) - FARTHEST:
        pitch += 12
    while pitch > max(found) + FARTHEST:
        pitch -= 12
    nearest = min(found, key=lambda other: (abs(other - pitch), other))
    paths = found[nearest]
    path = paths[int(rng.integers(len(paths)))]
    sound = tuned(recorded(path), pitch - nearest)
    length = round((note.end - note.start) * RATE)
    if not plucked:
        sound = np.tile(sound, -(-length // len(sound)))
    sound = sound[:length].copy()
    fade = min(len(sound), round(0.05 * RATE))
    sound[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return sound * np.float32((note.velocity / 100) ** 2)


def produce(index: int, folder: Path, found: dict[str, Samples]) -> None:
    """Make one piece and write it with its chords."""
    target = folder / f"{index:03d}.flac"
    if target.exists():
        return
    rng = np.random.default_rng((5, index))
    shares = np.array([share for _, share, _ in FAMILIES], float)
    names, _, program = FAMILIES[int(rng.choice(len(FAMILIES), p=shares / shares.sum()))]
    if rng.random() < 0.5:
        names = (str(rng.choice(names)),)
    together: Samples = defaultdict(list)
    for name in names:
        for pitch, paths in found[name].items():
            together[pitch] += paths
    score = single_chords(SECONDS, rng, program=program)
    canvas = np.zeros(round((SECONDS + 15) * RATE), np.float32)
    for note in score.parts[0].notes:
        sound = sounding(note, together, program in PLUCKED, rng)
        first = round(note.start * RATE)
        sound = sound[: len(canvas) - first]
        canvas[first : first + len(sound)] += sound
    canvas = filtered(
        canvas[: round(score.chords.ends[-1] * RATE)], RATE, rng, decibels=3, room=0.4
    )
    formats.write(target.with_suffix(".lab"), score.chords, "lab", overwrite=True)
    canvas = 0.9 * canvas / np.abs(canvas).max()
    write_whole(target, lambda part: soundfile.write(part, canvas, RATE, "PCM_16"))


def main() -> None:
    """Read the arguments and assemble everything that is not there yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--count", type=int, default=200, help="pieces")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    make = partial(produce, folder=options.output, found=samples(options.data))
    with ProcessPoolExecutor(options.jobs) as pool:
        for _ in pool.map(make, range(options.count)):
            pass


if __name__ == "__main__":
    main()
