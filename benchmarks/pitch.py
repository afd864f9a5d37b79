"""Compare our pitch with librosa's pYIN on sung notes: how right, and how fast.

    python benchmarks/pitch.py DATA [--every 2]

DATA: a folder of recordings of one voice with NAME.notes beside them, a line a note: onset and
offset in seconds and the MIDI pitch, as in SSVD. A frame counts for a note where it is 80 ms inside
of it, and for a rest where it is 100 ms away from all. Both hear 22050 Hz, frames of 2048 samples
512 apart, 65 to 2093 Hz, at their own defaults. Times are the processor's, on one thread.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import librosa
import numpy as np
import soxr

from audiocli.dsp.frames import frame, pad_centred
from audiocli.dsp.pitch import pyin
from audiocli.io import audio

RATE, LENGTH, HOP = 22_050, 2048, 512
FMIN, FMAX = 65.0, 2093.0
INSIDE, AWAY = 0.08, 0.1  # seconds
Recording = tuple[np.ndarray, np.ndarray, np.ndarray]  # samples; of frames: f0 or 0, whether a rest
AUDIO = (".wav", ".flac", ".ogg", ".opus", ".mp3")


def read(notes: Path) -> Recording:
    """Read a recording and what is sung at each frame."""
    source = next(notes.with_suffix(end) for end in AUDIO if notes.with_suffix(end).exists())
    samples, rate = audio.read(source, mono=True)
    signal = soxr.resample(samples[0], rate, RATE).astype(np.float32)
    moment = np.arange(1 + len(signal) // HOP) * HOP / RATE
    sung, rest = np.zeros(len(moment)), np.ones(len(moment), bool)
    for line in notes.read_text().splitlines():
        start, end, midi = map(float, line.split()[:3])
        sung[(moment > start + INSIDE) & (moment < end - INSIDE)] = librosa.midi_to_hz(midi)
        rest &= (moment < start - AWAY) | (moment > end + AWAY)
    return signal, sung, rest


def ours(signal: np.ndarray) -> np.ndarray:
    """Follow the pitch as ``audiocli features --set f0`` does."""
    frames = frame(pad_centred(signal, LENGTH), LENGTH, HOP)
    return pyin(frames, RATE, FMIN, FMAX, HOP).f0


def librosas(signal: np.ndarray) -> np.ndarray:
    """Follow it by librosa; 0 where unvoiced."""
    found, _, _ = librosa.pyin(
        signal, fmin=FMIN, fmax=FMAX, sr=RATE, frame_length=LENGTH, hop_length=HOP
    )
    return np.nan_to_num(found)


def measure(follow: Callable[[np.ndarray], np.ndarray], recordings: list[Recording]) -> str:
    """Run over all recordings; give percentages and the speed, as cells of a table."""
    follow(recordings[0][0][: 2 * RATE])  # compilers and imports
    counts = np.zeros(5)
    spent = seconds = 0.0
    for signal, sung, rest in recordings:
        before = time.process_time()
        f0 = follow(signal)[: len(sung)]
        spent += time.process_time() - before
        seconds += len(signal) / RATE
        both = (sung > 0) & (f0 > 0)
        away = 1200 * np.abs(np.log2(f0[both] / sung[both]))
        counts += (sung > 0).sum(), (away < 100).sum(), (away > 600).sum(), 0, 0
        counts[3:] += rest.sum(), (rest & (f0 > 0)).sum()
    notes, right, octaves, rests, wrong = counts
    cells = [100 * right / notes, 100 * octaves / notes, 100 * wrong / rests]
    return " | ".join([*(f"{cell:.1f}" for cell in cells), f"{seconds / spent:.0f}"])


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--every", type=int, default=1, help="Take every so-manieth recording.")
    options = parser.parse_args()
    recordings = [read(path) for path in sorted(options.data.glob("*.notes"))[:: options.every]]
    minutes = sum(len(signal) for signal, _, _ in recordings) / RATE / 60
    print(f"{len(recordings)} recordings, {minutes:.1f} minutes\n")
    print("| | within a semitone, % | an octave off, % | rests heard as voiced, % | speed |")
    print("|---|---|---|---|---|")
    for name, follow in (("audiocli", ours), ("librosa", librosas)):
        print(f"| {name} | {measure(follow, recordings)} |", flush=True)


if __name__ == "__main__":
    main()
