"""Render MIDI songs to recordings with chords beside them, to train on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiocli.errors import DataError, UsageError
from audiocli.io import formats
from audiocli.io.atomic import write_whole
from audiocli.io.soundfont import render
from audiocli.nn.augment import background, compressed, filtered
from audiocli.tasks.chords.band import (
    Arrangement,
    drums_alone,
    is_song,
    random_song,
    read_song,
    single_chords,
    solo_piano,
    with_band,
)

__all__ = ["KINDS", "Piece", "find_songs", "pieces", "render_pieces"]

RATE = 22_050
#: What becomes of a song: a band's recording, or a piano's.
KINDS = ("band", "piano")

#: Random songs take turns: most have many parts, some are chords struck one by one, and to
#: one in eighteen there are drums alone.
RANDOM = (single_chords, random_song, random_song) * 5 + (single_chords, random_song, drums_alone)

Make = Callable[[np.random.Generator], Arrangement]


@dataclass(frozen=True)
class Piece:
    """One song to render.

    Parameters
    ----------
    target : Path
        The recording; the chords go beside it.
    seed : int
        Of everything that is left to chance.
    fonts : tuple of Path
        Sound fonts to choose from.
    make : callable
        Makes the arrangement with the random generator given.
    seconds : float, optional
        Length of the excerpt; by default the whole song.
    clean : bool
        Leave out equaliser, room, noise, saturation and codec.
    """

    target: Path
    seed: int
    fonts: tuple[Path, ...]
    make: Make
    seconds: float | None = None
    clean: bool = False


def find_songs(folder: Path) -> list[Path]:
    """Find the songs in a folder, or in itself."""
    if is_song(folder):
        return [folder]
    return sorted(path for path in folder.glob("*") if path.is_dir() and is_song(path))


def pieces(
    songs: Sequence[Path],
    output: Path,
    fonts: Sequence[Path],
    *,
    kind: str = "band",
    random_songs: int = 0,
    makers: Sequence[Callable[[float, np.random.Generator], Arrangement]] = RANDOM,
    seconds: float | None = 120.0,
    clean: bool = False,
    seed: int = 0,
) -> list[Piece]:
    """List the songs that are to be rendered."""
    rng = np.random.default_rng(seed)
    sources: list[tuple[str, Make, float | None]] = [
        (song.name, partial(_of_song, song, kind), seconds) for song in songs
    ]
    sources += [
        (f"made-up-{index:04}", partial(makers[index % len(makers)], 60.0), None)
        for index in range(random_songs)
    ]
    return [
        Piece(output / f"{name}.flac", int(rng.integers(1 << 30)), tuple(fonts), make, long, clean)
        for name, make, long in sources
    ]


def _of_song(folder: Path, kind: str, rng: np.random.Generator) -> Arrangement:
    return {"band": with_band, "piano": solo_piano}[kind](read_song(folder), rng)


def render_pieces(work: Sequence[Piece], *, n_jobs: int = 1) -> Iterator[Path]:
    """Render the pieces whose recordings are not there yet."""
    if any(not piece.fonts for piece in work):
        raise UsageError("rendering needs sound fonts: give one or more by {fonts}", "fonts")
    for folder in {piece.target.parent for piece in work}:
        folder.mkdir(parents=True, exist_ok=True)
    if n_jobs == 1:
        yield from map(_produce, work)
        return
    with ProcessPoolExecutor(n_jobs) as pool:
        yield from pool.map(_produce, work)


def _produce(piece: Piece) -> Path:
    """Render one piece and write it with its chords, whole or not at all."""
    if piece.target.exists():
        return piece.target
    rng = np.random.default_rng(piece.seed)
    font = piece.fonts[int(rng.integers(len(piece.fonts)))]
    arrangement = piece.make(rng)
    if piece.seconds is not None:
        end = float(arrangement.chords.ends.max(initial=0.0))
        start = float(rng.uniform(0, max(0.0, end - piece.seconds)))
        arrangement = arrangement.excerpt(start, start + piece.seconds)
    parts = [part for part in arrangement.parts if part.notes]
    if not parts:
        raise DataError(f"{piece.target.stem}: has no notes to render")
    audio = render(
        parts,
        font,
        sample_rate=RATE,
        reverb=bool(rng.random() < 0.5),
        chorus=bool(rng.random() < 0.3),
    )
    if not piece.clean:
        audio = _recorded(audio, rng)
    annotation = replace(arrangement.chords, file=None)
    formats.write(piece.target.with_suffix(".lab"), annotation, "lab", overwrite=True)
    audio = np.clip(audio, -1, 1)
    write_whole(piece.target, lambda part: soundfile.write(part, audio, RATE, "PCM_16"))
    return piece.target


def _recorded(audio: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Add room, equaliser, saturation, noise and a codec to a rendering, each at random."""
    audio = filtered(audio, RATE, rng, decibels=3.0, room=0.4)
    audio = audio / max(float(np.abs(audio).max()), 1e-6)
    if rng.random() < 0.3:  # as loud masters are
        drive = rng.uniform(1.0, 4.0)
        audio = np.tanh(drive * audio) / np.tanh(drive)
    if rng.random() < 0.3:
        level = 10 ** (rng.uniform(-50, -20) / 20)
        audio = audio + level * background(len(audio), RATE, rng)
    audio = np.asarray(0.9 * audio / max(float(np.abs(audio).max()), 1e-6), np.float32)
    return compressed(audio, RATE, rng) if rng.random() < 0.3 else audio
