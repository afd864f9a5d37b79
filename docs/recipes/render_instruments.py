"""Render notes and phrases of single instruments, for `audiocli train classify`.

    python docs/recipes/render_instruments.py OUTPUT --font FONT.sf2 --font OTHER.sf3

OUTPUT gets a folder an instrument and a `labels.csv` with path, label and font. The instruments
are those of Philharmonia and of everyday recordings; each clip is one note, a few, a chord of what
can play one, or, of drums, a few strokes.
"""

from __future__ import annotations

import argparse
import csv
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from audiocli.io.soundfont import Note, Part, render

RATE = 16_000
#: General MIDI programs of each instrument, from 0, and the pitches it plays.
PITCHED: dict[str, tuple[tuple[int, ...], int, int]] = {
    "acoustic_guitar": ((24, 25), 40, 79),
    "banjo": ((105,), 48, 81),
    "bassoon": ((70,), 34, 70),
    "cello": ((42,), 36, 72),
    "clarinet": ((71,), 50, 89),
    "cor_anglais": ((69,), 52, 80),
    "double_bass": ((43, 43, 32), 28, 60),
    "electric_guitar": ((26, 27, 28, 29, 30), 40, 84),
    "flute": ((73,), 60, 96),
    "french_horn": ((60,), 34, 77),
    "harp": ((46,), 30, 96),
    "harpsichord": ((6,), 36, 84),
    "oboe": ((68,), 58, 91),
    "organ": ((16, 19, 20), 36, 90),
    "piano": ((0, 1), 24, 104),
    "saxophone": ((64, 65, 66, 67), 38, 84),
    "trombone": ((57,), 36, 72),
    "trumpet": ((56, 59), 54, 86),
    "tuba": ((58,), 26, 58),
    "vibraphone": ((11,), 53, 89),
    "violin_or_fiddle": ((40, 40, 110), 55, 98),
}
CHORDS = ("acoustic_guitar", "electric_guitar", "harpsichord", "organ", "piano", "harp")
STROKES = {"bass_drum": (35, 36), "hi_hat": (42, 44, 46), "snare_drum": (38, 40)}
KITS = (0, 0, 8, 16, 24, 25, 32, 40)


#: Each clip has so many seconds of a long score: a sound font is loaded once for all.
SLOT = 5.0


@dataclass(frozen=True)
class Sheet:
    """The clips of an instrument in a sound font."""

    label: str
    seed: int
    font: Path
    folder: Path
    clips: int

    @property
    def names(self) -> list[str]:
        """Of the files."""
        return [f"{self.font.stem}-{index}.flac" for index in range(self.clips)]


def notes_of(label: str, rng: np.random.Generator) -> Part:
    """Write a note, a phrase, a chord or some strokes."""
    if label in STROKES:
        begins = np.cumsum(rng.uniform(0.15, 0.8, size=int(rng.choice([1, 1, 2, 4]))))
        pitch = int(rng.choice(STROKES[label]))
        strokes = [Note(t, t + 0.2, pitch, int(rng.integers(40, 127))) for t in begins - begins[0]]
        return Part(tuple(strokes), int(rng.choice(KITS)), drums=True)
    programs, low, high = PITCHED[label]
    pitch, velocity = int(rng.integers(low, high + 1)), int(rng.integers(40, 120))
    kind = rng.random()
    if kind < 0.4:
        notes = [Note(0.0, rng.uniform(0.2, 3.0), pitch, velocity)]
    elif kind < 0.6 and label in CHORDS:
        steps = [0, 4, 7] if rng.random() < 0.5 else [0, 3, 7]
        notes = [Note(0.02 * i, 2.5, min(pitch + s, high), velocity) for i, s in enumerate(steps)]
    else:
        notes, time = [], 0.0
        for _ in range(int(rng.integers(3, 14))):
            length = float(rng.choice([0.12, 0.25, 0.25, 0.5, 0.9]))
            pitch = int(np.clip(pitch + rng.integers(-5, 6), low, high))
            notes.append(Note(time, time + length * rng.uniform(0.6, 1.0), pitch, velocity))
            time += length
    return Part(tuple(notes), int(rng.choice(programs)))


def produce(sheet: Sheet) -> None:
    """Render the clips of a sheet, if the last one is not there yet."""
    if (sheet.folder / sheet.names[-1]).exists():
        return
    rng = np.random.default_rng(sheet.seed)
    parts = [notes_of(sheet.label, rng) for _ in sheet.names]
    by_program: dict[int, list[Note]] = {}
    for index, part in enumerate(parts):
        shift = index * SLOT
        by_program.setdefault(part.program, []).extend(
            Note(note.start + shift, min(note.end, SLOT - 1) + shift, note.pitch, note.velocity)
            for note in part.notes
            if note.start < SLOT - 1.5
        )
    drums = parts[0].drums
    score = [Part(tuple(notes), program, drums) for program, notes in by_program.items()]
    if drums:  # kits share the one channel of drums: one of them a sheet
        score = [Part(tuple(note for part in score for note in part.notes), score[0].program, True)]
    audio = render(score, sheet.font, sample_rate=RATE, reverb=sheet.seed % 2 == 0)
    for index, name in enumerate(sheet.names):
        clip = audio[round(index * SLOT * RATE) : round((index * SLOT + 4) * RATE)]
        clip = clip / max(float(np.abs(clip).max(initial=0)), 1e-6) * 0.9
        soundfile.write(sheet.folder / name, clip, RATE, subtype="PCM_16")


def main() -> None:
    """Read the arguments and render everything that is not there yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("output", type=Path)
    parser.add_argument("--font", type=Path, action="append", required=True)
    parser.add_argument("--clips", type=int, default=30, help="of each instrument and font")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    work = [
        Sheet(label, 100 * i + j, font, options.output / label, options.clips)
        for i, label in enumerate([*PITCHED, *STROKES])
        for j, font in enumerate(options.font)
    ]
    table = [["path", "label", "font"]]
    for sheet in work:
        sheet.folder.mkdir(parents=True, exist_ok=True)
        table += [[f"{sheet.label}/{name}", sheet.label, sheet.font.stem] for name in sheet.names]
    with (options.output / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(table)
    with ProcessPoolExecutor(options.jobs) as pool:
        for done, _ in enumerate(pool.map(produce, work), 1):
            if done % 10 == 0:
                print(f"{done} of {len(work)}", flush=True)


if __name__ == "__main__":
    main()
