"""Render instrumental bands in stereo, as backing for voices.

    python docs/recipes/render_backing.py POP909 OUTPUT --font FONT.sf2 --font OTHER.sf3 [--stems]

POP909 holds the songs' folders 001 to 800; every fifth of the first 700 becomes an excerpt of
45 seconds in OUTPUT, NAME.flac: an arrangement for bass, drums, chords and a lead, its parts
panned. No voice is in it. With `--stems` it becomes a folder NAME with drums.flac, bass.flac and
other.flac, which together are the arrangement.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiocli.io.atomic import write_whole
from audiocli.io.soundfont import Part, render
from audiocli.tasks.chords.band import BASSES, read_song, with_band
from audiocli.tasks.chords.rendering import find_songs
from audiocli.tasks.separate.clips import PARTS

Signal = NDArray[np.float32]

RATE = 44_100
SECONDS = 45.0
LAST_TRAINED = 700
WIDEST = 0.35  # how far a part is panned, of a quarter turn


def excerpt_of(song: Path, rng: np.random.Generator) -> list[Part]:
    """Arrange a song for a band, and cut an excerpt."""
    score = with_band(read_song(song), rng)
    end = float(score.chords.ends.max(initial=0.0))
    start = float(rng.uniform(0, max(0.0, end - SECONDS)))
    return [part for part in score.excerpt(start, start + SECONDS).parts if part.notes]


def stem_of(part: Part) -> str:
    """Tell which stem a part belongs to."""
    return "drums" if part.drums else "bass" if part.program in BASSES else "other"


def panned(parts: list[Part], font: Path, rng: np.random.Generator) -> Signal:
    """Render parts together, at one place between left and right."""
    mono = render(parts, font, sample_rate=RATE, reverb=bool(rng.random() < 0.5))
    middle = any(stem_of(part) != "other" for part in parts)
    angle = np.pi / 4 * (1 + (0.0 if middle else rng.uniform(-WIDEST, WIDEST)))
    return np.stack([np.cos(angle) * mono, np.sin(angle) * mono]).astype(np.float32)


def added(signals: list[Signal]) -> Signal:
    """Add signals of different lengths."""
    length = max(signal.shape[1] for signal in signals)
    padded = [np.pad(signal, [(0, 0), (0, length - signal.shape[1])]) for signal in signals]
    return np.sum(padded, axis=0, dtype=np.float32)


def produce(song: Path, output: Path, fonts: list[Path]) -> Path:
    """Render one song in up to four groups of parts, each at its place between left and right."""
    target = output / f"{song.name}.flac"
    if target.exists():
        return target
    rng = np.random.default_rng(int(song.name))
    parts = excerpt_of(song, rng)
    font = fonts[int(rng.integers(len(fonts)))]
    order = rng.permutation(len(parts))
    groups = [group for group in np.array_split(order, 4) if len(group)]
    mixed = added([panned([parts[index] for index in group], font, rng) for group in groups])
    save(target, mixed)
    return target


def produce_stems(song: Path, output: Path, fonts: list[Path]) -> Path:
    """Render the drums, the bass and the rest of one song, each in a file of its own."""
    folder = output / song.name
    rng = np.random.default_rng(int(song.name))
    parts = excerpt_of(song, rng)
    font = fonts[int(rng.integers(len(fonts)))]
    for stem in PARTS:
        alone = [part for part in parts if stem_of(part) == stem]
        target = folder / f"{stem}.flac"
        if alone and not target.exists():
            folder.mkdir(parents=True, exist_ok=True)
            save(target, added([panned([part], font, rng) for part in alone]))
    return folder


def save(target: Path, signal: Signal) -> None:
    """Write a signal with a peak of 0.9."""
    signal = 0.9 * signal / max(float(np.abs(signal).max()), 1e-6)
    write_whole(target, lambda part: soundfile.write(part, signal.T, RATE, "PCM_16", format="FLAC"))


def main() -> None:
    """Read the arguments and render everything that is not there yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--font", type=Path, action="append", required=True)
    parser.add_argument("--stems", action="store_true", help="drums, bass and other apart")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    songs = [song for song in find_songs(options.data) if int(song.name) <= LAST_TRAINED][::5]
    with ProcessPoolExecutor(options.jobs) as pool:
        produced = produce_stems if options.stems else produce
        make = partial(produced, output=options.output, fonts=options.font)
        for path in pool.map(make, songs):
            print(path, flush=True)


if __name__ == "__main__":
    main()
