"""Render piano performances by composer from ASAP, for `audiocli train classify`.

    python docs/recipes/render_composers.py DATA OUTPUT --font FONT.sf2 --font OTHER.sf3 \
        --unseen THIRD.sf2

DATA holds the performances and a `labels.csv` (path, composer, work). OUTPUT gets `seen` and
`unseen`, each with excerpts of 50 s in a folder a composer and a `labels.csv` with path, label,
work and font: in `seen` the fonts are drawn for each excerpt, in `unseen` it is the one that is
in no training.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

from audiocli.io.soundfont import read_midi, render

RATE = 16_000
SECONDS = 50.0
#: Acoustic pianos of General MIDI: grand, bright, and the one for honky-tonk left out.
PIANOS = (0, 0, 0, 1)


@dataclass(frozen=True)
class Excerpt:
    """A part of a performance, to be rendered."""

    midi: Path
    place: float  # of its begin, as a share of the performance
    font: Path
    program: int
    output: Path


def produce(excerpt: Excerpt) -> None:
    """Render one excerpt, if it is not there yet."""
    if excerpt.output.exists():
        return
    parts = read_midi(excerpt.midi)
    length = max(note.end for part in parts for note in part.notes)
    begin = max(length - SECONDS, 0.0) * excerpt.place
    cut = [
        replace(part, program=excerpt.program, drums=False).excerpt(begin, begin + SECONDS)
        for part in parts
    ]
    audio = render(cut, excerpt.font, sample_rate=RATE, reverb=excerpt.place > 0.5)
    soundfile.write(excerpt.output, audio, RATE, subtype="PCM_16")


def excerpts(
    data: Path, output: Path, fonts: Sequence[Path], count: int, rng: np.random.Generator
) -> list[Excerpt]:
    """Plan the excerpts, and write the table that names them."""
    rows = list(csv.DictReader((data / "labels.csv").open(newline="", encoding="utf-8")))
    planned, table = [], []
    for row in rows:
        for index in range(count):
            font = fonts[int(rng.integers(len(fonts)))]
            name = f"{row['composer']}/{Path(row['path']).stem}-{index}.flac"
            place = (index + rng.random()) / count
            program = int(rng.choice(PIANOS))
            planned.append(Excerpt(data / row["path"], place, font, program, output / name))
            table.append([name, row["composer"], row["work"], font.stem])
    for excerpt in planned:
        excerpt.output.parent.mkdir(parents=True, exist_ok=True)
    with (output / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["path", "label", "work", "font"], *table])
    return planned


def main() -> None:
    """Read the arguments and render everything that is not there yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--font", type=Path, action="append", required=True)
    parser.add_argument("--unseen", type=Path, required=True)
    parser.add_argument("--excerpts", type=int, default=2, help="of each performance in seen")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    work = excerpts(options.data, options.output / "seen", options.font, options.excerpts, rng)
    work += excerpts(options.data, options.output / "unseen", [options.unseen], 1, rng)
    with ProcessPoolExecutor(options.jobs) as pool:
        for done, _ in enumerate(pool.map(produce, work), 1):
            if done % 100 == 0:
                print(f"{done} of {len(work)}", flush=True)


if __name__ == "__main__":
    main()
