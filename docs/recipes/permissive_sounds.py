"""Make sounds under permissive licences for training onset detection: kits and voices.

    python docs/recipes/permissive_sounds.py OUTPUT --font FONT.sf2

OUTPUT gets `voices` and `dev/voices`, NAME.flac and NAME.onsets, sung by the synthesiser of
`audiocli demo`; and `drumkits` in the format of the drum machine Hydrogen, of the strokes
of the sound fonts and of sounds made by code, for `perform_onsets.py --permissive`. Choose fonts
whose licences are permissive (FluidR3 GM and MuseScore General: MIT).
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy import signal as filters

from audiocli.demo.synth import SAMPLE_RATE as RATE
from audiocli.demo.synth import Syllable, consonant_seconds, sing
from audiocli.io.soundfont import Note, Part, render

Signal = NDArray[np.float64]
FONT_KITS = (0, 8, 16, 24, 25, 32, 40)
VELOCITIES = (35, 70, 105)
SECONDS = 40.0
VOICED = ("", "m", "n", "l", "d")  # the voice is there from the start
#: What strokes of General MIDI are called in a kit.
STROKES = {
    36: "Kick", 37: "Side stick, rim click", 38: "Snare", 39: "Clap", 41: "Floor tom",
    47: "Mid tom", 44: "Pedal hat", 42: "Closed hat", 46: "Open hat", 51: "Ride", 49: "Crash",
}  # fmt: skip


def write_kit(folder: Path, strokes: dict[str, list[Signal]], licence: str) -> None:
    """Write a kit: its strokes, the soft ones first."""
    folder.mkdir(parents=True, exist_ok=True)
    root = ElementTree.Element("drumkit_info")
    ElementTree.SubElement(root, "name").text = folder.name
    ElementTree.SubElement(root, "license").text = licence
    instruments = ElementTree.SubElement(root, "instrumentList")
    for number, (name, layers) in enumerate(strokes.items()):
        instrument = ElementTree.SubElement(instruments, "instrument")
        ElementTree.SubElement(instrument, "name").text = name
        for place, sound in enumerate(layers):
            layer = ElementTree.SubElement(instrument, "layer")
            filename = f"{number}-{place}.flac"
            ElementTree.SubElement(layer, "filename").text = filename
            ElementTree.SubElement(layer, "max").text = str((place + 1) / len(layers))
            peak = max(float(np.abs(sound).max()), 1e-6)
            soundfile.write(folder / filename, 0.9 * sound / peak, RATE)
    ElementTree.ElementTree(root).write(folder / "drumkit.xml")


def font_kits(fonts: list[Path], folder: Path) -> None:
    """Play the strokes of the drum kits of sound fonts one by one."""
    for font in fonts:
        for program in FONT_KITS:
            there = folder / f"{font.stem}-{program}"
            if there.exists():
                continue
            notes, places = [], []
            for pitch in STROKES:
                for velocity in VELOCITIES:
                    places.append((pitch, 0.5 + 2.5 * len(places)))
                    notes.append(Note(places[-1][1], places[-1][1] + 0.3, pitch, velocity))
            sound = render([Part(tuple(notes), program, drums=True)], font, sample_rate=RATE)
            strokes: dict[str, list[Signal]] = {}
            for pitch, start in places:
                piece = sound[round((start - 0.05) * RATE) : round((start + 2.4) * RATE)]
                strokes.setdefault(STROKES[pitch], []).append(piece.astype(np.float64))
            write_kit(there, strokes, f"as the sound font {font.name}")


def noise(seconds: float, low: float, high: float, rng: np.random.Generator) -> Signal:
    """White noise between two frequencies."""
    band = filters.butter(2, [low, min(high, 0.45 * RATE)], "band", fs=RATE, output="sos")
    made = filters.sosfilt(band, rng.standard_normal(round(seconds * RATE)))
    return np.asarray(made / np.std(made))


def skin(seconds: float, low: float, bend: float, decay: float, fall: float) -> Signal:
    """Strike a membrane whose pitch falls."""
    time = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * (low * time + bend * fall * (1 - np.exp(-time / fall)))
    rise = np.clip(time / 0.0015, 0, 1)
    sound = np.sin(phase) + 0.4 * np.sin(1.59 * phase + 1) * np.exp(-time / (0.4 * decay))
    return np.asarray(rise * np.exp(-time / decay) * sound)


def drum(name: str, rng: np.random.Generator) -> Signal:
    """Invent a stroke."""
    seconds = {"Crash": 2.4, "Ride": 2.0, "Open hat": 1.2}.get(name, 0.7)
    time = np.arange(round(seconds * RATE)) / RATE
    hiss = noise(seconds, float(rng.uniform(300, 1500)), float(rng.uniform(5e3, 14e3)), rng)
    if name in ("Kick", "Floor tom", "Mid tom"):
        low = {"Kick": rng.uniform(38, 75), "Floor tom": rng.uniform(70, 120)}.get(
            name, rng.uniform(110, 220)
        )
        decay = rng.uniform(0.05, 0.3)
        body = skin(seconds, low, low * rng.uniform(0.3, 4), decay, rng.uniform(0.01, 0.05))
        beater = np.exp(-time / rng.uniform(0.002, 0.01)) * hiss * rng.uniform(0.02, 0.3)
        return np.tanh(rng.uniform(1, 3) * (body + beater))
    if name == "Snare":
        body = skin(seconds, rng.uniform(140, 260), rng.uniform(20, 150), rng.uniform(0.03, 0.12),
                    0.02)  # fmt: skip
        wires = np.exp(-time / rng.uniform(0.03, 0.16)) * hiss
        return np.tanh(body * rng.uniform(0.2, 1) + wires * rng.uniform(0.15, 0.7))
    if name.startswith("Side"):
        ring = sum(np.sin(2 * np.pi * rng.uniform(500, 3500) * time) for _ in range(3))
        click = np.exp(-time / 0.003) * hiss
        return np.asarray(np.exp(-time / rng.uniform(0.01, 0.04)) * ring + click)
    if name == "Clap":
        starts = np.sort(rng.uniform(0, 0.02, 2))
        hands = np.exp(-time / rng.uniform(0.03, 0.1))
        for start in starts:
            hands += np.where(time >= start, np.exp(-(time - start).clip(0) / 0.006), 0)
        return hands * hiss
    decay = {
        "Pedal hat": rng.uniform(0.02, 0.06), "Closed hat": rng.uniform(0.015, 0.08),
        "Open hat": rng.uniform(0.15, 0.5), "Ride": rng.uniform(0.3, 0.9),
        "Crash": rng.uniform(0.4, 1.2),
    }[name]  # fmt: skip
    low = float(rng.uniform(2e3, 7e3))
    metal = noise(seconds, low, float(rng.uniform(10e3, 18e3)), rng)
    for _ in range(6):
        metal += rng.uniform(0, 0.5) * np.sin(2 * np.pi * rng.uniform(low / 3, 9e3) * time)
    stick = rng.uniform(0, 3) * np.exp(-time / 0.004)
    rise = np.clip(time / (0.004 if name == "Crash" else 0.001), 0, 1)
    return rise * (np.exp(-time / decay) + stick) * metal


def made_up_kits(folder: Path, count: int) -> None:
    """Invent kits, each with strokes of its own."""
    for index in range(count):
        rng = np.random.default_rng((5, index))
        strokes = {name: [drum(name, rng)] for name in STROKES.values()}
        if not (folder / f"made-up-{index:02d}").exists():
            write_kit(folder / f"made-up-{index:02d}", strokes, "CC0: made up")


@dataclass(frozen=True)
class Singer:
    """How somebody sings: the range, in MIDI pitches, and shares of what may happen."""

    low: int
    gap: float  # usual seconds of a note
    legato: float
    breath: float  # seconds between phrases
    attack: float  # slowest, in seconds


def phrase(start: int, pitch: int, singer: Singer, rng: np.random.Generator) -> list[Syllable]:
    """Make up the notes of one breath, in samples."""
    found: list[Syllable] = []
    favourite = str(rng.choice(["", "m", "n", "l", "d", "t", "k", "s"]))
    for _ in range(int(rng.integers(2, 10))):
        length = singer.gap * float(rng.choice([0.5, 1, 1, 1, 2, 3])) * rng.uniform(0.85, 1.15)
        step = int(rng.choice([-5, -4, -2, -2, -1, 0, 0, 1, 2, 2, 4, 5]))
        pitch = int(np.clip(pitch + step, singer.low, singer.low + 17))
        slurred = bool(found) and rng.random() < singer.legato and pitch != round(found[-1].pitch)
        consonant = favourite if rng.random() < 0.5 else str(rng.choice(["m", "n", "l", "d", "t"]))
        consonant = "" if slurred else consonant
        vowel = found[-1].vowel if slurred else str(rng.choice(list("aeiou")))
        stop = start + round(max(length, 0.14) * RATE)
        tuned = pitch + float(rng.normal(0, 0.15))
        found.append(Syllable(start, stop, tuned, consonant, vowel))
        start = stop
    return found


def voice(index: int, seed: int) -> tuple[Signal, list[float]]:
    """Sing for a while, with pauses for breath."""
    rng = np.random.default_rng((seed, index))
    singer = Singer(int(rng.integers(43, 67)), float(np.exp(rng.uniform(-1.5, -0.4))),
                    float(rng.choice([0, 0.1, 0.3])), float(rng.uniform(0.05, 0.8)),
                    float(rng.uniform(0.01, 0.12)))  # fmt: skip
    canvas, onsets = np.zeros(round((SECONDS + 12) * RATE)), []
    begins = round(rng.uniform(0.1, 1.5) * RATE)
    while begins < SECONDS * RATE:
        notes = phrase(0, singer.low + int(rng.integers(3, 14)), singer, rng)
        sung = sing(notes, rng)
        level = np.ones(len(sung))
        for note in notes:
            rise = round(rng.uniform(0.005, singer.attack) * RATE)
            end = min(note.start + rise, note.stop)
            soft = 1 - rng.uniform(0, 0.9) if note.consonant else 1.0
            level[note.start : end] *= np.linspace(soft, 1, end - note.start)
            level[note.start : note.stop] *= 10 ** (-rng.uniform(0, 6) / 20)
        late = [0.0 if note.consonant in VOICED else consonant_seconds(note.consonant)
                for note in notes]  # fmt: skip
        # A voice opens within 25 ms (audiocli.demo.synth); it is there after half of that.
        onsets += [(begins + note.start) / RATE + wait + 0.0125
                   for note, wait in zip(notes, late, strict=True)]  # fmt: skip
        smooth = np.hanning(441)
        part = canvas[begins : begins + len(sung)]
        part += sung * filters.oaconvolve(level, smooth / smooth.sum(), mode="same")
        begins += notes[-1].stop + round(rng.uniform(0.02, 2) * singer.breath * RATE)
    canvas = canvas[: round((SECONDS + 2) * RATE)]
    hiss = rng.standard_normal(len(canvas)) * 10 ** (-rng.uniform(45, 80) / 20)
    return 0.9 * canvas / np.abs(canvas).max() + hiss, [each for each in onsets if each < SECONDS]


def produce(index: int, folder: Path, seed: int) -> None:
    """Sing one piece and write it with its onsets."""
    target = folder / f"{index:03d}.flac"
    if target.exists():
        return
    sound, onsets = voice(index, seed)
    (folder / f"{index:03d}.onsets").write_text("".join(f"{time:.6f}\n" for time in onsets))
    soundfile.write(target, np.clip(sound, -1, 1), RATE, "PCM_16")


def main() -> None:
    """Read the arguments and make everything that is not there yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("output", type=Path)
    parser.add_argument("--font", type=Path, action="append", required=True)
    parser.add_argument("--count", type=int, default=60, help="pieces that are sung")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    font_kits(options.font, options.output / "drumkits")
    made_up_kits(options.output / "drumkits", 24)
    for place, count, seed in (("voices", options.count, 1), ("dev/voices", 6, 2)):
        folder = options.output / place
        folder.mkdir(parents=True, exist_ok=True)
        with ProcessPoolExecutor(options.jobs) as pool:
            for _ in pool.map(partial(produce, folder=folder, seed=seed), range(count)):
                pass


if __name__ == "__main__":
    main()
