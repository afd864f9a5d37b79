"""Compare our key with profile matching on librosa's chroma, and with Essentia, in all 24 keys.

    python benchmarks/key.py ASAP --sound-font FONT.sf2 [--peers PYTHON] [--seconds 25]

ASAP: a folder with piano performances of Bach's Well-Tempered Clavier as ``bwv_846...893``, whose
keys their numbers tell; each is transposed, so that every key comes up once. Besides, made-up
songs of a band over usual progressions, one in every key. All are rendered through the sound font.
PYTHON: an interpreter with Essentia (`pip install essentia`). The score is that of MIREX
(`mir_eval.key`): 1 for the right key, 0.5 for a fifth away, 0.3 for the relative and 0.2 for the
parallel key. The profiles are those of Krumhansl and Kessler (1982) and of Temperley (1999),
correlated with the mean of `chroma_cqt`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import librosa
import mir_eval
import numpy as np
import soundfile

from audiocli import ChordRecognizer
from audiocli.dsp.keys import MODES, Key
from audiocli.io.formats import Segments
from audiocli.io.soundfont import Note, Part, read_midi, render
from audiocli.tasks.chords.band import Arrangement, MidiSong, with_band
from audiocli.tasks.chords.labels import Chord, pitches_of

RATE = 22_050
#: Tonics of the Well-Tempered Clavier, major and minor by turns.
CLAVIER = [Key(tonic, mode) for tonic in range(12) for mode in MODES]
#: Semitones above the tonic and quality of each chord.
PROGRESSIONS = {
    "major": (
        ((0, "maj"), (7, "maj"), (9, "min"), (5, "maj")),
        ((0, "maj"), (9, "min"), (5, "maj"), (7, "maj")),
        ((9, "min"), (5, "maj"), (0, "maj"), (7, "maj")),
        ((2, "min7"), (7, "7"), (0, "maj7"), (0, "maj7")),
        ((0, "maj"), (5, "maj"), (7, "maj"), (5, "maj")),
        ((0, "7"), (5, "7"), (0, "7"), (7, "7")),
    ),
    "minor": (
        ((0, "min"), (8, "maj"), (3, "maj"), (10, "maj")),
        ((0, "min"), (5, "min"), (7, "7"), (0, "min")),
        ((0, "min"), (10, "maj"), (8, "maj"), (7, "maj")),
        ((0, "min"), (5, "min"), (0, "min"), (7, "min")),
        ((2, "hdim7"), (7, "7"), (0, "min"), (0, "min")),
        ((0, "min"), (3, "maj"), (10, "maj"), (5, "maj")),
    ),
}
SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
PROFILES = {
    "Krumhansl and Kessler": (
        (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
        (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
    ),
    "Temperley": (
        (5.0, 2.0, 3.5, 2.0, 4.5, 4.0, 2.0, 4.5, 2.0, 3.5, 1.5, 4.0),
        (5.0, 2.0, 3.5, 4.5, 2.0, 4.0, 2.0, 4.5, 3.5, 2.0, 1.5, 4.0),
    ),
}
#: Names of the columns: right, and its relations to the reference.
SCORES = {1.0: "right", 0.5: "fifth", 0.3: "relative", 0.2: "parallel", 0.0: "other"}

ESSENTIA = """
import json, sys
import essentia
essentia.log.infoActive = essentia.log.warningActive = False
import essentia.standard as es
for path in sys.argv[1:]:
    audio = es.MonoLoader(filename=path, sampleRate=44100)()
    for profile in ("bgate", "edma", "temperley"):
        key, scale, _ = es.KeyExtractor(profileType=profile)(audio)
        print(json.dumps([path, profile, key + " " + scale]))
"""


class Song(NamedTuple):
    """A rendered song and its key."""

    name: str
    key: Key
    parts: tuple[Part, ...]


def clavier(folder: Path, seconds: float) -> Iterator[Song]:
    """Take a prelude or fugue for each key, transposed into it from another."""
    left = {key: key for key in CLAVIER}
    for path in sorted(folder.rglob("*bwv_*.mid")):
        number = int(path.stem.split("bwv_")[1][:3])
        if not 846 <= number <= 893:
            continue
        own = CLAVIER[(number - 846) % 24]
        free = [key for key in left if key.mode == own.mode]
        if not free:
            continue
        key = min(free, key=lambda each: abs((each.tonic - own.tonic + 6) % 12 - 6))
        del left[key]
        steps = (key.tonic - own.tonic + 6) % 12 - 6
        parts = tuple(part.excerpt(0, seconds).transposed(steps) for part in read_midi(path))
        yield Song(path.stem, key, parts)


def band(seconds: float) -> Iterator[Song]:
    """Make up a song in each key: chords, a tune on the scale, and what a band adds."""
    for number, key in enumerate(CLAVIER):
        rng = np.random.default_rng(number)
        steps = PROGRESSIONS[key.mode][number // 2 % len(PROGRESSIONS[key.mode])]
        beat = 60 / float(rng.uniform(80, 140))
        starts = np.arange(0, seconds, 4 * beat)
        shift = int(rng.integers(len(steps)))  # a song need not begin on its tonic
        turns = [steps[(place + shift) % len(steps)] for place in range(len(starts))]
        labels = [Chord((key.tonic + step) % 12, quality).label() for step, quality in turns]
        chords = Segments(starts, starts + 4 * beat, labels, "chord")
        spans = list(zip(starts.tolist(), labels, strict=True))
        piano = [Note(start, start + 3.8 * beat, pitch, 80)
                 for start, label in spans for pitch in pitches_of(label)]  # fmt: skip
        scale = [key.tonic + 60 + step + 12 * octave for octave in (0, 1)
                 for step in SCALES[key.mode]]  # fmt: skip
        place, tune = int(rng.integers(len(scale))), []
        for start, label in spans:
            inside = {pitch % 12 for pitch in pitches_of(label)}
            for part in range(4):
                place = int(np.clip(place + rng.integers(-2, 3), 0, len(scale) - 1))
                near = sorted(range(len(scale)), key=lambda each: abs(each - place))
                if part == 0:  # the first of a bar is of the chord
                    place = next((each for each in near if scale[each] % 12 in inside), place)
                begin = start + part * beat
                tune.append(Note(begin, begin + 0.9 * beat, scale[place], 90))
        beats = np.arange(0, seconds + 4 * beat, beat)
        parts = (Part(tuple(piano), name="PIANO"), Part(tuple(tune), name="MELODY"))
        song = MidiSong(str(key), parts, chords, beats, np.arange(len(beats)) % 4 == 0)
        arranged: Arrangement = with_band(song, rng)
        yield Song(f"band in {key}", key, arranged.parts)


def by_profiles(profiles: tuple[tuple[float, ...], ...]) -> Callable[[np.ndarray], str]:
    """Correlate chroma with profiles."""

    def find(chroma: np.ndarray) -> str:
        fits = [[np.corrcoef(chroma, np.roll(profile, tonic))[0, 1] for tonic in range(12)]
                for profile in profiles]  # fmt: skip
        mode, tonic = np.unravel_index(np.argmax(fits), (2, 12))
        return str(Key(int(tonic), MODES[mode]))

    return find


def essentia(python: str, paths: list[Path]) -> dict[str, list[str]]:
    """Run Essentia's key extractor with three profiles."""
    command = [python, "-c", ESSENTIA, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        _, profile, key = json.loads(line)
        found.setdefault(f"Essentia KeyExtractor, {profile}", []).append(key)
    return found


def estimates(songs: list[Song], font: Path, python: str | None) -> dict[str, list[str]]:
    """Give the key that each program finds of each song."""
    recognizer = ChordRecognizer()
    found: dict[str, list[str]] = {"audiocli": []}
    paths = []
    with tempfile.TemporaryDirectory() as folder:
        for number, song in enumerate(songs):
            audio = render(song.parts, font, sample_rate=RATE, reverb=True)
            paths.append(Path(folder, f"{number}.wav"))
            soundfile.write(paths[-1], audio, RATE)
            found["audiocli"].append(str(recognizer(audio[None], RATE).key or "X"))
            chroma = librosa.feature.chroma_cqt(y=audio, sr=RATE).mean(axis=1)
            for name, profiles in PROFILES.items():
                row = found.setdefault(f"librosa chroma_cqt, {name}", [])
                row.append(by_profiles(profiles)(chroma))
        if python is not None:
            found |= essentia(python, paths)
    return found


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("asap", type=Path)
    parser.add_argument("--sound-font", type=Path, required=True)
    parser.add_argument("--peers", metavar="PYTHON")
    parser.add_argument("--seconds", type=float, default=25.0)
    options = parser.parse_args()
    for title, made in (("Well-Tempered Clavier", clavier(options.asap, options.seconds)),
                        ("bands", band(options.seconds))):  # fmt: skip
        songs = list(made)
        print(f"\n{title}, {len(songs)} pieces of {options.seconds:g} s\n")
        print(f"| | MIREX score | {' | '.join(SCORES.values())} |")
        print(f"|---|---|{'---|' * len(SCORES)}", flush=True)
        for name, keys in estimates(songs, options.sound_font, options.peers).items():
            pairs = zip(songs, keys, strict=True)
            scores = [mir_eval.key.weighted_score(str(song.key), key) for song, key in pairs]
            counts = [str(scores.count(score)) for score in SCORES]
            print(f"| {name} | {np.mean(scores):.3f} | {' | '.join(counts)} |", flush=True)


if __name__ == "__main__":
    main()
