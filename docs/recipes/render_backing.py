"""Render instrumental bands in stereo, as backing for voices.

    python docs/recipes/render_backing.py POP909 OUTPUT --font FONT.sf2 --font OTHER.sf3

POP909 holds the songs' folders 001 to 800; every fifth of the first 700 becomes an excerpt of
45 seconds in OUTPUT, NAME.flac: an arrangement for bass, drums, chords and a lead, its parts
panned. No voice is in it.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from audiocli.io.atomic import write_whole
from audiocli.io.soundfont import render
from audiocli.tasks.chords.band import arranged, read_song
from audiocli.tasks.chords.rendering import find_songs

RATE = 44_100
SECONDS = 45.0
LAST_TRAINED = 700
WIDEST = 0.35  # how far a part is panned, of a quarter turn


def produce(song: Path, output: Path, fonts: list[Path]) -> Path:
    """Render one song in up to four groups of parts, each at its place between left and right."""
    target = output / f"{song.name}.flac"
    if target.exists():
        return target
    rng = np.random.default_rng(int(song.name))
    score = arranged(read_song(song), rng)
    end = float(score.chords.ends.max(initial=0.0))
    start = float(rng.uniform(0, max(0.0, end - SECONDS)))
    parts = [part for part in score.excerpt(start, start + SECONDS).parts if part.notes]
    font = fonts[int(rng.integers(len(fonts)))]
    order = rng.permutation(len(parts))
    mixed = np.zeros((2, 0), np.float32)
    for group in np.array_split(order, min(4, len(order))):
        chosen = [parts[index] for index in group]
        mono = render(chosen, font, sample_rate=RATE, reverb=bool(rng.random() < 0.5))
        middle = any(part.drums or 32 <= part.program < 40 for part in chosen)
        angle = np.pi / 4 * (1 + (0.0 if middle else rng.uniform(-WIDEST, WIDEST)))
        panned = np.stack([np.cos(angle) * mono, np.sin(angle) * mono]).astype(np.float32)
        length = max(mixed.shape[1], panned.shape[1])
        mixed = sum(np.pad(x, [(0, 0), (0, length - x.shape[1])]) for x in (mixed, panned))
    mixed = 0.9 * mixed / max(float(np.abs(mixed).max()), 1e-6)
    write_whole(target, lambda part: soundfile.write(part, mixed.T, RATE, "PCM_16"))
    return target


def main() -> None:
    """Read the arguments and render everything that is not there yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--font", type=Path, action="append", required=True)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    songs = [song for song in find_songs(options.data) if int(song.name) <= LAST_TRAINED][::5]
    with ProcessPoolExecutor(options.jobs) as pool:
        make = partial(produce, output=options.output, fonts=options.font)
        for path in pool.map(make, songs):
            print(path, flush=True)


if __name__ == "__main__":
    main()
