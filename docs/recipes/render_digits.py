"""Let speech synthesisers say the digits, for a classifier with more voices than a set has.

    python docs/recipes/render_digits.py OUTPUT [--voices 60] [--takes 2] [--seed 0]

Needs `espeak-ng` (Debian: espeak-ng), which says each digit in so many voices, drawn from its
accents of English and its variants, and `flite` (Debian: flite), which has five speakers, at
several speeds. OUTPUT gets a folder a digit, and `labels.csv` with path, label and speaker (the
voice).
"""

from __future__ import annotations

import csv
import io
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import soundfile

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
ACCENTS = ("en-gb", "en-us", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-rp", "en-gb-x-gbcwmd",
           "en-029", "en-us-nyc")  # fmt: skip
#: Variants of espeak-ng that sound like people.
VARIANTS = (
    "Alex Alicia Andrea Andy Annie Denis Diogo Gene Gene2 Henrique Hugo Jacky Lee Marco Mario "
    "Michael Mike Nguyen RicishayMax RicishayMax2 RicishayMax3 adam anika antonio aunty belinda "
    "benjamin boris caleb david ed edward edward2 f1 f2 f3 f4 f5 grandma grandpa gustave iven "
    "iven2 iven3 iven4 john kaukovalta klatt klatt2 klatt3 klatt4 linda m1 m2 m3 m4 m5 m6 m7 m8 "
    "marcelo max michel miguel norbert pablo paul pedro quincy rob robert sandro shelby steph "
    "steph2 steph3 travis victor zac"
).split()
SPEAKERS = ("awb", "kal16", "rms", "slt", "kal")
STRETCHES = (0.75, 0.85, 0.95, 1.05, 1.15, 1.3, 1.5)


def spoken(command: list[str]) -> tuple[np.ndarray, int]:
    """Give what a synthesiser says (samples,), without the silence around it, and its rate."""
    made = subprocess.run(command, check=True, capture_output=True).stdout
    audio, rate = soundfile.read(io.BytesIO(made), dtype="float32")
    loud = np.flatnonzero(np.abs(audio) > 0.01 * np.abs(audio).max())
    return audio[loud[0] : loud[-1] + 1], rate


def clips(voices: int, takes: int, rng: random.Random) -> Iterator[tuple[str, int, list[str]]]:
    """Say voice, digit and command of each clip."""
    pairs = [(accent, variant) for accent in ACCENTS for variant in VARIANTS]
    for accent, variant in rng.sample(pairs, voices):
        pitch = rng.randint(30, 70)
        for digit, word in enumerate(DIGITS):
            for _ in range(takes):
                yield f"{accent}+{variant}", digit, [
                    "espeak-ng", "-v", f"{accent}+{variant}", "-s", str(rng.randint(90, 190)),
                    "-p", str(pitch + rng.randint(-6, 6)), "--stdout", word,
                ]  # fmt: skip
    for speaker in SPEAKERS:
        for digit, word in enumerate(DIGITS):
            for stretch in STRETCHES:
                yield speaker, digit, [
                    "flite", "-voice", speaker, "--setf", f"duration_stretch={stretch}",
                    "-t", word, "-o", "/dev/stdout",
                ]  # fmt: skip


@click.command(help=__doc__)
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--voices", default=60, help="Of espeak-ng.")
@click.option("--takes", default=2, help="Of each digit in each of these.")
@click.option("--seed", default=0)
def main(output: Path, voices: int, takes: int, seed: int) -> None:
    """Write the clips and their table."""
    table = []
    for number, (voice, digit, command) in enumerate(clips(voices, takes, random.Random(seed))):
        audio, rate = spoken(command)
        path = Path(str(digit)) / f"{digit}_{voice.replace('+', '_')}_{number}.flac"
        (output / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(output / path, audio, rate)
        table.append([str(path), str(digit), voice])
    with (output / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["path", "label", "speaker"], *table])


if __name__ == "__main__":
    main()
