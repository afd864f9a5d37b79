"""List the voices of four public sets in two tables, for the training of an encoder of voices.

    python docs/recipes/list_voices.py DATA OUTPUT

DATA holds `speech-commands`, `tsp-speech`, `spoken-digits` (each with a `labels.csv` that has the
columns path and speaker) and `mir1k/train` and `mir1k/extra` (SINGER_SONG_PART.voice.ogg). OUTPUT
gets `training.csv` and `dev.csv` with path, label, set, what and person: every fifth label is in
`dev.csv` alone. Speakers of fewer than three clips are left out.

What TSP speech calls FA02 is its speaker FA reading list 2: the label tells lists apart, and person
says who reads. So FA, for one, is in both tables, and nobody of that set is held out.
"""

from __future__ import annotations

import csv
import os
import sys
from collections import defaultdict
from pathlib import Path

SPEAKING = ("speech-commands", "tsp-speech", "spoken-digits")
#: Clips of one voice that are listed, at most: some sets have hundreds of short ones.
MOST = 60


def voices(data: Path) -> dict[tuple[str, str], list[tuple[Path, str]]]:
    """Find the clips, and what each holds, of every (set, voice)."""
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
            person = voice[:2] if name == "tsp-speech" else voice
            table.append([os.path.relpath(path, folder), f"{name}/{voice}", name, what,
                          f"{name}/{person}"])  # fmt: skip
    for title, rows in tables.items():
        with (folder / f"{title}.csv").open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([["path", "label", "set", "what", "person"], *rows])


if __name__ == "__main__":
    main(*sys.argv[1:])
