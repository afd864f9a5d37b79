"""List the voices of four public sets in two tables, for the training of an encoder of voices.

    python docs/recipes/list_voices.py DATA OUTPUT

DATA holds `speech-commands`, `tsp-speech`, `spoken-digits` (each with a `labels.csv` that has the
columns path and speaker) and `mir1k/train` and `mir1k/extra` (SINGER_SONG_PART.voice.ogg). OUTPUT
gets `training.csv` and `dev.csv` with path, label, set and recording: every fifth speaker or singer
is in `dev.csv` alone. Who is heard in fewer than three clips is left out.

Voices of training are there three times: as they are, and played slower and faster, which makes
other people of them (`copies`, FLAC at 16 kHz).
"""

from __future__ import annotations

import csv
import os
import sys
from collections import defaultdict
from pathlib import Path

import soundfile
import soxr

from audiocli import audio

SPEAKING = ("speech-commands", "tsp-speech", "spoken-digits")
#: Clips of one voice that are listed, at most: some sets have hundreds of short ones.
MOST = 60
#: How much faster they are played, about two semitones either way.
SPEEDS = (0.89, 1.12)
RATE = 16_000


def voices(data: Path) -> dict[tuple[str, str], list[tuple[Path, str]]]:
    """Find the clips, and what is heard in each, of every (set, voice)."""
    found: dict[tuple[str, str], list[tuple[Path, str]]] = defaultdict(list)
    for name in SPEAKING:
        with (data / name / "labels.csv").open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                if row["speaker"]:
                    found[name, row["speaker"]].append((data / name / row["path"], row["label"]))
    for part in ("train", "extra"):
        for path in sorted((data / "mir1k" / part).glob("*.voice.ogg")):
            singer, song, *_ = path.name.split("_")
            found["mir1k", singer].append((path, song))
    return found


def copies(folder: Path, row: list[str], number: int) -> list[list[str]]:
    """Write a clip at other speeds, and list what was written."""
    path, voice, name, what = row
    rows = []
    samples, rate = audio.read(folder / path, mono=True)
    for speed in SPEEDS:
        copy = Path("copies", f"{speed}", f"{number:05}.flac")
        (folder / copy).parent.mkdir(parents=True, exist_ok=True)
        # Played faster, the same samples take less time: as if they came at a higher rate.
        soundfile.write(folder / copy, soxr.resample(samples[0], rate * speed, RATE), RATE)
        rows.append([copy.as_posix(), f"{voice} at {speed}", name, what])
    return rows


def main(data: str, output: str) -> None:
    """Write the two tables."""
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    tables: dict[str, list[list[str]]] = {"training": [], "dev": []}
    known = {who: clips for who, clips in voices(Path(data)).items() if len(clips) >= 3}
    counts: dict[str, int] = defaultdict(int)
    for (name, voice), clips in sorted(known.items()):
        counts[name] += 1
        table = tables["dev" if counts[name] % 5 == 0 else "training"]
        step = max(len(clips) // MOST, 1)
        for path, what in clips[::step]:
            table.append([os.path.relpath(path, folder), f"{name}/{voice}", name, what])
    tables["training"] += [
        copy
        for number, row in enumerate(list(tables["training"]))
        for copy in copies(folder, row, number)
    ]
    for title, rows in tables.items():
        with (folder / f"{title}.csv").open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([["path", "label", "set", "what"], *rows])


if __name__ == "__main__":
    main(*sys.argv[1:])
