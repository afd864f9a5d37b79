"""Render training data for onset detection from public MIDI collections.

    python docs/recipes/render_onsets.py DATA OUTPUT --font FONT.sf2 --font OTHER.sf3 \
        --unseen THIRD.sf2

DATA holds `groove` (Groove MIDI Dataset), `pop909` (POP909) and `asap-piano` (ASAP, a
`labels.csv` beside the performances). OUTPUT gets a folder a kind of music, each with NAME.flac
and NAME.onsets: `drums`, `piano`, `pop`, `solo` for training, and the same under `unseen/`,
rendered with fonts, songs, drummers and works that the others do not have. `--kind` names those to
render; `keys`, only rendered when named, are POP909's accompaniments on pianos and organs: without
`piano`, nothing of ASAP (CC BY-NC-SA) is read, and what is rendered is of permissive data.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import soundfile

from audiocli.io.atomic import write_whole
from audiocli.io.soundfont import Note, Part, onsets_of, read_midi, render
from audiocli.nn.augment import compressed

RATE = 44_100
KITS = (0, 0, 0, 8, 16, 24, 25, 32, 40)
KEYS = (0, 0, 0, 1, 2, 4, 5, 6, 11)
GUITARS = (24, 24, 25, 25, 26, 27, 28)
LEADS = (
    *GUITARS,
    40,
    41,
    42,
    56,
    57,
    60,
    64,
    65,
    66,
    68,
    71,
    73,
    75,
    52,
    53,
    54,
    22,
    80,
    81,
    0,
    11,
)
PADS = (48, 49, 50, 89, 16, 19, 61)
BASSES = (32, 33, 34, 35, 38)
#: Strokes that General MIDI has no place for, as the drummers' electronic kit sends them.
TO_GENERAL_MIDI = {22: 42, 26: 46, 58: 43}
KINDS = ("drums", "piano", "pop", "solo")
SOFTEST = 30  # velocity of a stroke that somebody would label

Make = Callable[[np.random.Generator], "list[Part]"]
Source = tuple[bool, str, Make]  # for training or not, name, what makes it


@dataclass(frozen=True)
class Piece:
    """Something to render: where from, where to, and how it is made."""

    output: Path
    seed: int
    fonts: tuple[Path, ...]
    make: Make


def window(parts: list[Part], seconds: float, rng: np.random.Generator) -> list[Part]:
    """Cut the same excerpt out of all parts; it begins at times on a note, at times not."""
    last = max(note.start for part in parts for note in part.notes)
    start = rng.uniform(0, max(0.0, last - seconds))
    length = min(seconds, last + 1.0)
    lead = rng.choice([0.0, rng.uniform(0, 1.5)])
    cut = [part.excerpt(start, start + length) for part in parts]
    return [
        replace(
            part,
            notes=tuple(
                replace(note, start=note.start + lead, end=note.end + lead) for note in part.notes
            ),
        )
        for part in cut
    ]


def vary_velocities(part: Part, rng: np.random.Generator) -> Part:
    """Play louder and softer than the pianists and the sequencers did."""
    scale, spread = rng.uniform(0.7, 1.2), rng.uniform(0, 12)
    return replace(
        part,
        notes=tuple(
            replace(
                note, velocity=int(np.clip(note.velocity * scale + rng.normal(0, spread), 25, 127))
            )
            for note in part.notes
        ),
    )


def performance(path: Path, softest: int) -> list[Note]:
    """Read a drummer's strokes, without ghost notes that nobody would label."""
    return [
        replace(note, end=note.start + 0.3, pitch=TO_GENERAL_MIDI.get(note.pitch, note.pitch))
        for part in read_midi(path)
        for note in part.notes
        if note.velocity >= softest
    ]


def drums(path: Path, softest: int, rng: np.random.Generator, seconds: float = 50.0) -> list[Part]:
    """Take a drummer's performance."""
    part = Part(tuple(performance(path, softest)), int(rng.choice(KITS)), drums=True)
    return window([part], seconds, rng)


def piano(path: Path, rng: np.random.Generator, seconds: float = 60.0) -> list[Part]:
    """Take a pianist's performance."""
    program = int(rng.choice(KEYS))
    parts = [replace(part, program=program, drums=False) for part in read_midi(path)]
    semitones = int(rng.integers(-4, 5))
    return window([part.transposed(semitones) for part in parts], seconds, rng)


def strummed(part: Part, rng: np.random.Generator) -> Part:
    """Spread what is struck together, as a hand over strings does."""
    spread = rng.uniform(0, 0.012)
    notes: list[Note] = []
    for note in sorted(part.notes, key=lambda note: (round(note.start, 2), note.pitch)):
        rank = 0
        if notes and round(notes[-1].start, 2) - round(note.start, 2) > -0.005:
            rank = 1
        start = notes[-1].start + spread if rank and spread else note.start
        notes.append(replace(note, start=start, end=max(note.end, start + 0.05)))
    return replace(part, notes=tuple(notes))


def solo(path: Path, rng: np.random.Generator, seconds: float = 50.0) -> list[Part]:
    """Take one instrument by itself: a tune, or a guitar's accompaniment."""
    parts = {part.name: part for part in read_midi(path)}
    if rng.random() < 0.4 and "PIANO" in parts:
        chosen = replace(strummed(parts["PIANO"], rng), program=int(rng.choice(GUITARS)))
    else:
        chosen = replace(
            parts.get("MELODY", next(iter(parts.values()))), program=int(rng.choice(LEADS))
        )
    chosen = chosen.transposed(int(rng.integers(-7, 6)))
    return window([vary_velocities(chosen, rng)], seconds, rng)


def keys(path: Path, rng: np.random.Generator, seconds: float = 50.0) -> list[Part]:
    """Take a song's accompaniment on a piano or its kin, at times with the tune."""
    parts = {part.name: part for part in read_midi(path)}
    names = ("PIANO", "MELODY") if rng.random() < 0.4 else ("PIANO",)
    program, semitones = int(rng.choice((*KEYS, 16, 19))), int(rng.integers(-6, 7))
    found = [parts[name] for name in names if name in parts] or list(parts.values())
    chosen = [replace(part, program=program).transposed(semitones) for part in found]
    return window([vary_velocities(part, rng) for part in chosen], seconds, rng)


def bass_of(song: Path) -> Part:
    """Play the roots of the annotated chords on the beats."""
    names = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
    beats = np.loadtxt(song / "beat_midi.txt", usecols=0, ndmin=1)
    notes = []
    for line in (song / "chord_midi.txt").read_text().splitlines():
        start, end, label = line.split()
        if label[0] not in names:
            continue
        root = names[label[0]] + label[1:3].count("#") - label[1:3].split(":")[0].count("b")
        pitch = 36 + root % 12 - (12 if root % 12 > 7 else 0)
        at = [float(start), *beats[(beats > float(start) + 0.1) & (beats < float(end) - 0.1)]]
        stops = [*at[1:], float(end)]
        notes += [Note(a, b, pitch, 95) for a, b in zip(at, stops, strict=True)]
    return Part(tuple(notes), name="BASS")


def pop(
    song: Path, grooves: list[tuple[Path, float]], softest: int, rng: np.random.Generator
) -> list[Part]:
    """Give a song a random band: tune, keys, at times bass and drums in its tempo."""
    parts = {part.name: part for part in read_midi(song / f"{song.name}.mid")}
    semitones = int(rng.integers(-5, 6))
    band = []
    for name, part in parts.items():
        choices = {"MELODY": LEADS, "BRIDGE": (*LEADS, *PADS)}.get(name, (*KEYS, *KEYS, *GUITARS))
        program = int(rng.choice(choices)) if rng.random() < 0.8 else 0
        volume = int(rng.integers(75, 128))
        band.append(replace(part.transposed(semitones), program=program, volume=volume))
    if rng.random() < 0.6:
        bass = bass_of(song).transposed(semitones)
        band.append(
            replace(bass, program=int(rng.choice(BASSES)), volume=int(rng.integers(70, 120)))
        )
    if rng.random() < 0.6:
        band.append(drums_in_time(song, grooves, softest, rng))
    return window([vary_velocities(part, rng) for part in band if part.notes], 50.0, rng)


def drums_in_time(
    song: Path, grooves: list[tuple[Path, float]], softest: int, rng: np.random.Generator
) -> Part:
    """Loop a drummer over the song, in its tempo and from its first downbeat."""
    table = np.loadtxt(song / "beat_midi.txt", ndmin=2)
    beat = float(np.median(np.diff(table[:, 0])))
    path, bpm = grooves[int(rng.integers(len(grooves)))]
    notes = performance(path, softest)
    factor = beat * bpm / 60
    while factor < 0.7:
        factor *= 2
    while factor > 1.4:
        factor /= 2
    bars = max(1, int(max(note.start for note in notes) * bpm / 60 // 4))
    loop = bars * 4 * 60 / bpm
    end = table[-1, 0]
    times = []
    for turn in range(int(end / (loop * factor)) + 1):
        offset = table[0, 0] + turn * loop * factor
        times += [
            Note(
                offset + note.start * factor,
                offset + note.start * factor + 0.3,
                note.pitch,
                note.velocity,
            )
            for note in notes
            if note.start < loop and offset + note.start * factor < end
        ]
    return Part(tuple(times), int(rng.choice(KITS)), True, int(rng.integers(70, 120)), "DRUMS")


def produce(piece: Piece) -> str:
    """Render one piece and write it with its onsets."""
    target = piece.output.with_suffix(".flac")
    if target.exists():
        return ""
    rng = np.random.default_rng(piece.seed)
    font = piece.fonts[int(rng.integers(len(piece.fonts)))]
    parts = [part for part in piece.make(rng) if part.notes]
    if not parts:
        return ""
    audio = render(parts, font, reverb=bool(rng.random() < 0.5), chorus=bool(rng.random() < 0.3))
    if rng.random() < 0.3:
        audio = compressed(audio, RATE, rng)
    times = onsets_of(parts, font)
    piece.output.with_suffix(".onsets").write_text("".join(f"{time:.6f}\n" for time in times))
    audio = np.clip(audio, -1, 1)
    write_whole(target, lambda part: soundfile.write(part, audio, RATE, "PCM_16"))
    return str(target)


def pieces(
    data: Path,
    output: Path,
    fonts: tuple[Path, ...],
    unseen: tuple[Path, ...],
    share: float,
    wanted_kinds: tuple[str, ...],
) -> Iterator[Piece]:
    """List all that is to be rendered."""
    rng = np.random.default_rng(0)
    with (data / "groove" / "info.csv").open() as table:
        performances = [row for row in csv.DictReader(table) if float(row["duration"]) > 8]
    works: list[dict[str, str]] = []
    if "piano" in wanted_kinds:
        with (data / "asap-piano" / "labels.csv").open() as table:
            works = list(csv.DictReader(table))
    grooves = {
        training: [
            (data / "groove" / row["midi_filename"], float(row["bpm"]))
            for row in performances
            if row["split"] == split
            and row["beat_type"] == "beat"
            and row["time_signature"] == "4-4"
        ]
        for training, split in ((True, "train"), (False, "validation"))
    }
    songs = sorted(path for path in (data / "pop909").iterdir() if path.is_dir())
    # Every twelfth work is kept from training, whoever plays it.
    names = sorted({row["work"] for row in works})
    kept = set(names[::12])
    kinds: list[tuple[str, list[Source], int]] = [
        ("drums", [
            (row["split"] == "train", Path(row["midi_filename"]).stem,
             partial(drums, data / "groove" / row["midi_filename"], SOFTEST))
            for row in performances
            if row["split"] in ("train", "validation")
        ], 330),
        ("piano", [
            (row["work"] not in kept, "_".join(Path(row["path"]).with_suffix("").parts),
             partial(piano, data / "asap-piano" / row["path"]))
            for row in works
        ], 220),
        ("pop", [
            (int(song.name) <= 700, song.name,
             partial(pop, song, grooves[int(song.name) <= 700], SOFTEST))
            for song in songs
        ], 260),
        ("solo", [
            (int(song.name) <= 700, song.name, partial(solo, song / f"{song.name}.mid"))
            for song in songs
        ], 240),
        ("keys", [
            (int(song.name) <= 700, song.name, partial(keys, song / f"{song.name}.mid"))
            for song in songs
        ], 220),
    ]  # fmt: skip
    kinds = [kind for kind in kinds if kind[0] in wanted_kinds]
    for training, folder, chosen in ((True, output, fonts), (False, output / "unseen", unseen)):
        for kind, sources, count in kinds:
            fitting = [source for source in sources if source[0] == training]
            wanted = max(1, round(count * share)) if training else 20
            for index in rng.permutation(len(fitting))[:wanted]:
                _, name, make = fitting[index]
                yield Piece(folder / kind / name, int(rng.integers(1 << 30)), chosen, make)


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
    parser.add_argument("--kind", action="append", choices=(*KINDS, "keys"), help="only this kind")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    fonts, unseen = tuple(options.font), tuple(options.unseen)
    wanted = tuple(options.kind or KINDS)
    work = list(pieces(options.data, options.output, fonts, unseen, options.share, wanted))
    for piece in work:
        piece.output.parent.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(options.jobs) as pool:
        for path in pool.map(produce, work):
            if path:
                print(path, flush=True)


if __name__ == "__main__":
    main()
