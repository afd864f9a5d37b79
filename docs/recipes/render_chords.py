"""Render training data for chord recognition from songs in symbols.

    python docs/recipes/render_chords.py POP909 OUTPUT --font FONT.sf2 --font OTHER.sf3 \
        --unseen THIRD.sf2

POP909 holds the songs' folders 001 to 800. OUTPUT gets NAME.flac and NAME.lab in the folders
`band`, `piano`, `made-up`, `single` (chords struck one by one) and `muted` (the same, with thirds
that hardly sound) for training, with songs up to 700, and in `unseen/band` and `unseen/piano`
whole songs from 701 on, with fonts and drum kits that the others do not have.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from audiocli.tasks.chords.band import drums_alone, random_song, single_chords
from audiocli.tasks.chords.rendering import Piece, find_songs, pieces, render_pieces

LAST_TRAINED = 700
BANDS = (random_song,)
MUTED = (partial(single_chords, muted=0.8),)
SINGLE = (random_song, single_chords, single_chords, single_chords) * 3 + (drums_alone,)


def plan(
    data: Path, output: Path, fonts: list[Path], unseen: list[Path], share: float
) -> list[Piece]:
    """List all that is to be rendered, what is needed first at the top."""
    songs = find_songs(data)
    trained = [song for song in songs if int(song.name) <= LAST_TRAINED]
    kept = [song for song in songs if int(song.name) > LAST_TRAINED]
    scored = [
        *pieces(kept[::2], output / "unseen/band", unseen, seconds=None, seed=1),
        *pieces(kept[1::5], output / "unseen/piano", unseen, kind="piano", seconds=None, seed=2),
    ]
    for_training = (
        pieces(trained[::2], output / "band", fonts, seed=3),
        pieces([], output / "made-up", fonts, random_songs=900, makers=BANDS, seed=4),
        pieces([], output / "single", fonts, random_songs=324, makers=SINGLE, seed=7),
        pieces([], output / "muted", fonts, random_songs=90, makers=MUTED, seed=8),
        pieces(trained[1::2], output / "band", fonts, seed=5),
        pieces(trained[::5], output / "piano", fonts, kind="piano", seed=6),
    )
    return scored + [
        piece for those in for_training for piece in those[: max(1, round(len(those) * share))]
    ]


def main() -> None:
    """Read the arguments and render everything that is not there yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--font", type=Path, action="append", required=True)
    parser.add_argument("--unseen", type=Path, action="append", required=True)
    parser.add_argument(
        "--share", type=float, default=1.0, help="render this share of the training set"
    )
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    work = plan(options.data, options.output, options.font, options.unseen, options.share)
    for path in render_pieces(work, n_jobs=options.jobs):
        print(path, flush=True)


if __name__ == "__main__":
    main()
