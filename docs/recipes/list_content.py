"""List clips of speech, music and other sounds in one table, for a classifier of the three.

    python docs/recipes/list_content.py DATA OUTPUT

DATA holds `speech-commands`, `tsp-speech`, `spoken-digits`, `emotify`, `mood-4q`, `esc10` and
`urbansound8k`, each with a `labels.csv`, and `singing`. OUTPUT gets `labels.csv` with path, label,
set and group: what must not be on both sides of a split.
"""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path

import numpy as np

#: Of each set: what it holds, the column of its groups, and labels that are left out.
SETS = {
    "speech-commands": ("speech", "speaker", ("silence",)),
    "tsp-speech": ("speech", "speaker", ()),
    "spoken-digits": ("speech", "speaker", ()),
    "emotify": ("music", "artist", ()),
    "mood-4q": ("music", "artist", ()),
    "esc10": ("sound", "fold", ()),
    "urbansound8k": ("sound", "fold", ("street_music", "children_playing")),
}
MOST = 250


def main(data: str, output: str) -> None:
    """Write the table."""
    folder, rng, table = Path(output), np.random.default_rng(0), []
    folder.mkdir(parents=True, exist_ok=True)
    for name, (label, group, left_out) in SETS.items():
        with (Path(data) / name / "labels.csv").open(newline="", encoding="utf-8") as stream:
            rows = [row for row in csv.DictReader(stream) if row.get("label") not in left_out]
        for place in sorted(rng.permutation(len(rows))[:MOST]):
            row = rows[place]
            path = os.path.relpath(Path(data) / name / row["path"], folder)
            table.append([path, label, name, f"{name}/{row[group]}"])
    for path in sorted((Path(data) / "singing").glob("*.opus")):
        table.append([os.path.relpath(path, folder), "music", "singing", "singing"])
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["path", "label", "set", "group"], *table])


if __name__ == "__main__":
    main(*sys.argv[1:])
