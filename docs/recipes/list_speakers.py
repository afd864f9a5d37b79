"""List the speakers of two public sets in one table, for a classifier of who speaks.

    python docs/recipes/list_speakers.py DATA OUTPUT

DATA holds `tsp-speech` and `spoken-digits`, each with a `labels.csv` (path, label, speaker). OUTPUT
gets `labels.csv` with path, label (the speaker), set, what (the number of a sentence, or a digit:
what must not be on both sides of a split) and person: what TSP speech calls FA02 is FA with list 2.
"""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path


def main(data: str, output: str) -> None:
    """Write the table."""
    folder, table = Path(output), []
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("tsp-speech", "spoken-digits"):
        with (Path(data) / name / "labels.csv").open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                spoken = name == "spoken-digits"
                what = row["label"] if spoken else Path(row["path"]).stem.split("_")[-1]
                path = os.path.relpath(Path(data) / name / row["path"], folder)
                person = row["speaker"] if spoken else row["speaker"][:2]
                table.append([path, row["speaker"], name, f"{name}/{what}", person])
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["path", "label", "set", "what", "person"], *table])


if __name__ == "__main__":
    main(*sys.argv[1:])
