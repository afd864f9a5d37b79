"""Assemble training data for onset detection from recordings of single notes.

    python docs/recipes/assemble_onsets.py DATA OUTPUT

DATA holds `philharmonia` (single notes of an orchestra) and `chord-clips` (strummed guitars), each
with a `labels.csv`. Real notes are played one after another, at random: tunes of one instrument,
plucked chords, two instruments together. The beginning of a note is where its level reaches a
tenth of its first peak; notes in which that is no clear place, and recordings in which more than
one note begins (tremolo, trills), are left out. The rumble below the notes, which often begins
before them, is filtered out first. OUTPUT gets `notes` for
training and `unseen/notes`, from notes and from a guitar that the others do not have: NAME.flac and
NAME.onsets.
"""

from __future__ import annotations

import argparse
import csv
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy import signal as filters

from audiocli.io import audio
from audiocli.io.atomic import write_whole
from audiocli.io.audio.streaming import resample
from audiocli.io.soundfont import LABEL_LEAD, RISE
from audiocli.tasks.onsets.scoring import merged

RATE = 44_100
PLUCKED = ("guitar", "banjo", "mandolin")
UNSEEN_GUITAR = "jim-g3-anechoic"
#: Seconds from a tenth to half of the first peak: longer, and nobody knows where it begins.
CLEAR_PLUCKED, CLEAR_OTHER = 0.03, 0.06
FIRST_PEAK = 0.15  # seconds in which it must come
RUMBLE_PLUCKED, RUMBLE_OTHER = 70.0, 28.0  # Hz: no note is lower
AGAIN = 6.0  # dB by which a recording becomes louder where something begins once more
BEFORE = 0.04  # seconds of the noise before a note: fingers, breath
SECONDS = 40.0

Signal = NDArray[np.float32]


@dataclass(frozen=True)
class Sample:
    """A recorded note: its instrument, the file, and whether it is for training."""

    instrument: str
    path: Path
    training: bool


def samples(data: Path) -> list[Sample]:
    """List the notes: every eighth of the orchestra and one guitar are not for training."""
    found = []
    with (data / "philharmonia" / "labels.csv").open() as table:
        for index, row in enumerate(csv.DictReader(table)):
            path = data / "philharmonia" / row["path"]
            found.append(Sample(row["label"], path, index % 8 > 0))
    with (data / "chord-clips" / "labels.csv").open() as table:
        for row in csv.DictReader(table):
            if row["source"].endswith("anechoic"):
                path = data / "chord-clips" / row["path"]
                found.append(Sample("strummed", path, row["source"] != UNSEEN_GUITAR))
    return found


def begins_again(signal: Signal, start: int) -> bool:
    """Tell whether something else begins in a recording, more than 60 ms after its start."""
    hop = RATE // 100
    after = signal[start:]
    frames = after[: len(after) // hop * hop].reshape(-1, hop).astype(np.float64)
    levels = 10 * np.log10((frames**2).mean(axis=1) + 1e-10)
    if len(levels) < 12:
        return False
    # Means of 20 ms: a low note swings within 10.
    levels = np.maximum(levels[:-1], levels[1:])
    before = np.min([levels[k : len(levels) - 5 + k] for k in range(5)], axis=0)
    risen = (levels[5:] - before > AGAIN) & (levels[5:] > levels.max() - 20)
    return bool(risen[6:].any())


@cache
def note(path: Path, clear: float) -> tuple[Signal, float] | None:
    """Read a note that begins clearly: its sound, peak 1, and when in it the note begins."""
    read, rate = audio.read(path, mono=True)
    signal = np.concatenate(list(resample(iter([read]), rate, RATE)), axis=1)[0]
    rumble = RUMBLE_PLUCKED if clear == CLEAR_PLUCKED else RUMBLE_OTHER
    highpass = filters.butter(4, rumble, "high", fs=RATE, output="sos")
    signal = np.asarray(filters.sosfilt(highpass, signal), np.float32)
    level = np.sqrt(np.convolve(signal.astype(np.float64) ** 2, np.ones(44) / 44, mode="same"))
    first = int(np.argmax(level > 0.05 * level.max()))
    peak = level[first : first + round(FIRST_PEAK * RATE)].max(initial=0.0)
    if peak < 0.2 * level.max() or peak < 1e-4:
        return None
    tenth = first + int(np.argmax(level[first:] >= RISE * peak))
    half = first + int(np.argmax(level[first:] >= 0.5 * peak))
    if half - tenth > clear * RATE or tenth < 0.005 * RATE or begins_again(signal, tenth):
        return None
    start = max(tenth - round(BEFORE * RATE), 0)
    sound = signal[start:].copy()
    fade = min(tenth - start, round(0.02 * RATE))
    sound[:fade] *= np.linspace(0, 1, fade, dtype=np.float32)
    return sound / np.float32(np.abs(sound).max()), (tenth - start) / RATE


def tune(
    chosen: list[Sample], plucked: bool, rng: np.random.Generator
) -> tuple[Signal, list[float]]:
    """Play notes one after another, plucked ones at times as chords."""
    canvas = np.zeros(round((SECONDS + 2) * RATE), np.float32)
    clear = CLEAR_PLUCKED if plucked else CLEAR_OTHER
    gap = float(np.exp(rng.uniform(np.log(0.12), np.log(0.8))))
    rings, chords = rng.random() < 0.5, rng.random() < 0.4
    onsets: list[float] = []
    time = float(rng.uniform(0.1, 1.5))
    while time < SECONDS:
        length = gap * float(rng.choice([0.5, 1, 1, 1, 2, 3])) * float(rng.uniform(0.85, 1.15))
        length = max(length, 0.1)
        together = int(rng.integers(2, 5)) if plucked and chords and rng.random() < 0.4 else 1
        strike = time
        for _ in range(together):
            found = note(chosen[int(rng.integers(len(chosen)))].path, clear)
            if found is None:
                continue
            sound, begins = found
            keep = len(sound) if rings or not plucked else round((length + 0.02) * RATE)
            if not plucked:  # one breath, one bow: the last note ends when the next begins
                keep = round((begins + length + rng.uniform(-0.05, 0.02)) * RATE)
            place(canvas, sound[: max(keep, 2000)], strike - begins, rng)
            onsets.append(strike - LABEL_LEAD)
            strike += float(rng.uniform(0, 0.015))
        time = max(time + length, strike + 0.05)
    return canvas, onsets


def place(canvas: Signal, sound: Signal, start: float, rng: np.random.Generator) -> None:
    """Add a note, softer or louder, that fades out quickly."""
    sound = sound * np.float32(10 ** (-rng.uniform(0, 15) / 20))
    fade = min(len(sound), round(rng.uniform(0.01, 0.05) * RATE))
    sound[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    first = max(round(start * RATE), 0)
    sound = sound[: len(canvas) - first]
    canvas[first : first + len(sound)] += sound


def produce(index: int, folder: Path, found: list[Sample], seed: int) -> None:
    """Make one piece and write it with its onsets."""
    target = folder / f"{index:03d}.flac"
    if target.exists():
        return
    rng = np.random.default_rng((seed, index))
    names = sorted({sample.instrument for sample in found})
    plucked = [name for name in names if name in (*PLUCKED, "strummed")]
    others = [name for name in names if name not in plucked]
    total = np.zeros(round((SECONDS + 2) * RATE), np.float32)
    onsets: list[float] = []
    for part in range(2 if rng.random() < 0.25 else 1):
        group = plucked if rng.random() < 0.6 else others
        name = str(rng.choice(group))
        chosen = [sample for sample in found if sample.instrument == name]
        sound, times = tune(chosen, group is plucked, rng)
        total += sound * np.float32(1 if part == 0 else 10 ** (-rng.uniform(0, 8) / 20))
        onsets += times
    lines = "".join(f"{time:.6f}\n" for time in merged(np.array(onsets)))
    (folder / f"{index:03d}.onsets").write_text(lines)
    total = 0.9 * total / np.abs(total).max()
    write_whole(target, lambda part: soundfile.write(part, total, RATE, "PCM_16"))


def main() -> None:
    """Read the arguments and assemble everything that is not there yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--count", type=int, default=220, help="pieces for training")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    found = samples(options.data)
    work = (("notes", True, options.count, 1), ("unseen/notes", False, 20, 2))
    with ProcessPoolExecutor(options.jobs) as pool:
        for place_, training, count, seed in work:
            folder = options.output / place_
            folder.mkdir(parents=True, exist_ok=True)
            fitting = [sample for sample in found if sample.training == training]
            make = partial(produce, folder=folder, found=fitting, seed=seed)
            for _ in pool.map(make, range(count)):
                pass


if __name__ == "__main__":
    main()
