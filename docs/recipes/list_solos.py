"""List recordings of one instrument or voice in a table, to try a tagger's instruments and voices.

    python docs/recipes/list_solos.py DATA OUTPUT

DATA holds, each if it is there, `instrument-mix` and `philharmonia` (a `labels.csv` with path and
label), `instruments` (rendered notes, a folder for each instrument), `composers/unseen` (rendered
piano music), `singing` (recordings of one singer) and `mir1k/train` (abjones, a man, and amy, a
woman; CLIP.voice.ogg). OUTPUT gets `labels.csv` with path, tags and set. Of what a set has much of,
every so many are listed. Then

    audiocli evaluate tag OUTPUT --model music --label tags
"""

from __future__ import annotations

import csv
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

#: What is true of a recording of each instrument, besides that nobody sings.
TAGS = {
    **dict.fromkeys(("acoustic_guitar", "electric_guitar", "guitar"), "Guitar"),
    **dict.fromkeys(("bass_drum", "hi_hat", "snare_drum"), "Drums"),
    "cello": "Cello; Strings",
    "double_bass": "Strings",
    "violin_or_fiddle": "Violin; Strings",
    "flute": "Flute",
    "harp": "Harp",
    "harpsichord": "Harpsichord",
    "piano": "Piano",
}
SINGERS = {"abjones": "Male voice", "amy": "Female voice"}
#: Recordings of each instrument or singer of a set, at most.
MOST = 20


def recordings(data: Path) -> Iterator[tuple[str, str, Path]]:
    """Give set, instrument or singer, and path of each recording."""
    for name in ("instrument-mix", "philharmonia"):
        table = data / name / "labels.csv"
        if table.is_file():
            with table.open(newline="", encoding="utf-8") as stream:
                for row in csv.DictReader(stream):
                    yield name, row["label"], data / name / row["path"]
    for path in sorted((data / "instruments").glob("*/*.flac")):
        yield "instruments", path.parent.name, path
    for path in sorted((data / "composers" / "unseen").glob("*/*.flac")):
        yield "composers", "piano", path
    for path in sorted((data / "singing").glob("*.opus")):
        yield "singing", "", path
    for path in sorted((data / "mir1k" / "train").glob("*.voice.ogg")):
        yield "mir1k", path.name.split("_")[0], path


def main(data: str, output: str) -> None:
    """Write the table."""
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for name, who, path in recordings(Path(data)):
        found[name, who].append(path)
    rows = []
    for (name, who), paths in sorted(found.items()):
        tags = ["No voice", TAGS.get(who, "")]
        if name in ("singing", "mir1k"):
            tags = ["Singing", SINGERS.get(who, "")]
        for path in paths[:: -(-len(paths) // MOST)]:
            rows.append([os.path.relpath(path, folder), "; ".join(filter(None, tags)), name])
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["path", "tags", "set"], *rows])


if __name__ == "__main__":
    main(*sys.argv[1:])
