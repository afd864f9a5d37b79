"""Assemble training data for onset detection that sounds like players: guitars and drum kits.

    python docs/recipes/perform_onsets.py DATA OUTPUT --kits DRUMKITS --font FONT.sf2 \
        --unseen OTHER.sf2

DATA holds `philharmonia` and `chord-clips` (each with a `labels.csv`) and `groove` (Groove MIDI
Dataset); DRUMKITS are kits of the drum machine Hydrogen (Debian's `hydrogen-drumkits`), each with
a `drumkit.xml`. OUTPUT gets `guitars` and `kits` for training, and the same under `dev/` and
`unseen/`, from notes, a guitar, kits, drummers' performances and a sound font that the others do
not have: NAME.flac and NAME.onsets.

Guitars play tunes with hammer-ons, pull-offs, bends and vibrato, pick chords, and strum; some notes
are damped, fingers squeak, amplifiers distort and cabinets muffle. A strum is one onset, at its
first string. Kits play with the velocities of the drummers, ghost notes and flams included, in
rooms; strokes that are lost behind the others are left out.

With `--permissive` only Groove is read: guitars are those of the fonts, also under `dev/`, and kits
those of DRUMKITS/*/drumkit.xml; `permissive_sounds.py` makes such kits. Nothing is unseen.
"""

from __future__ import annotations

import argparse
import csv
import re
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import soundfile
import soxr
from assemble_onsets import (
    CLEAR_PLUCKED,
    PLUCKED,
    RATE,
    SECONDS,
    UNSEEN_GUITAR,
    Signal,
    begins_again,
    note,
)
from scipy import signal as filters

from audiocli.io import audio
from audiocli.io.atomic import write_whole
from audiocli.io.audio.streaming import resample
from audiocli.io.soundfont import LABEL_LEAD, RISE, Note, Part, read_midi, render
from audiocli.nn.augment import compressed
from audiocli.tasks.onsets.scoring import merged

#: Which samples and performances each folder is made from, and how many pieces it gets.
SPLITS = {"": ("train", 1), "dev": ("validation", 2), "unseen": ("test", 3)}
KITS = {"dev": ("ColomboAcousticDrumkit",), "unseen": ("The Black Pearl 1.0", "rumpf_kit_z01_h2")}
PROGRAMS = (24, 25, 26, 27, 28, 29)  # guitars of General MIDI: nylon, steel, jazz, clean, ...
SHAPES = (  # open chords, MIDI pitches from the lowest string
    (40, 47, 52, 56, 59, 64), (45, 52, 57, 61, 64), (50, 57, 62, 66), (43, 47, 50, 55, 59, 67),
    (48, 52, 55, 60, 64), (45, 52, 57, 60, 64), (40, 47, 52, 55, 59, 64), (50, 57, 62, 65),
    (41, 48, 53, 57, 60, 65), (47, 54, 59, 62, 66), (40, 47, 52), (45, 52, 57),
)  # fmt: skip
#: What strokes of General MIDI are called in kits, the first that a kit has.
NAMES = {
    "kick": r"kick|bass ?drum|thump", "stick": r"stick|rim ?(click|shot)",
    "snare": r"snare(?! roll)",
    "low": r"floor|low|tom", "tom": r"tom|mid|conga|drum", "pedal": r"ped|pd$|clos|hat",
    "closed": r"clos|cl$|hat|hh", "open": r"op(en|$|h| )|hat|hh", "ride": r"ride|bell|crash",
    "crash": r"crash|china|splash|cymbal|ride", "clap": r"clap|snare",
}  # fmt: skip
STROKES = {
    35: "kick", 36: "kick", 37: "stick", 38: "snare", 39: "clap", 40: "snare", 41: "low", 43: "low",
    45: "tom", 47: "tom", 48: "tom", 50: "tom", 58: "low", 22: "closed", 42: "closed", 44: "pedal",
    26: "open", 46: "open", 51: "ride", 53: "ride", 59: "ride", 49: "crash", 52: "crash",
    55: "crash", 57: "crash",
}  # fmt: skip
SOFTEST = 14  # velocity of a stroke that is played
QUIETER = {"closed": 8.0, "pedal": 10.0, "open": 8.0, "ride": 8.0, "crash": 4.0, "stick": 3.0}  # dB

Sampled = tuple[Signal, float]  # a sound of peak 1, and when in it the attack is


@dataclass(frozen=True)
class Guitar:
    """Notes of one instrument by their pitch, or strums of it (pitch 0)."""

    name: str
    notes: tuple[tuple[int, Path], ...]


def fade(sound: Signal, start: int, length: int) -> Signal:
    """End a sound at a place, within so many samples."""
    ended = sound[: start + length].copy()
    tail = ended[start:]
    tail *= np.linspace(1, 0, len(tail), dtype=np.float32)
    return ended


def pitch_of(name: str) -> int:
    """Read a pitch such as Fs3."""
    steps = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
    return 12 * (int(name[-1]) + 1) + steps[name[0]] + ("s" in name)


def font_notes(fonts: list[Path], folder: Path) -> list[Guitar]:
    """Play single notes of the guitars of sound fonts, and keep them as files."""
    found = []
    for font in fonts:
        for program in PROGRAMS:
            pitches = range(40, 84, 3)
            there = folder / f"{font.stem}-{program}"
            if not there.exists():
                there.mkdir(parents=True)
                notes = tuple(Note(0.5 + 3 * k, 3 + 3 * k, pitch, 50 + 15 * (k % 5))
                              for k, pitch in enumerate(pitches))  # fmt: skip
                sound = render([Part(notes, program)], font, sample_rate=RATE)
                for k, pitch in enumerate(pitches):
                    piece = sound[round((0.3 + 3 * k) * RATE) : round((3.2 + 3 * k) * RATE)]
                    soundfile.write(there / f"{pitch}.flac", piece, RATE)
            notes_of = tuple((pitch, there / f"{pitch}.flac") for pitch in pitches)
            found.append(Guitar(there.name, notes_of))
    return found


def guitars(
    data: Path, split: str, fonts: list[Path], folder: Path, permissive: bool
) -> list[Guitar]:
    """List the instruments of a split: their notes and strums."""
    if permissive:
        return font_notes(fonts, folder)
    notes: dict[str, list[tuple[int, Path]]] = {}
    with (data / "philharmonia" / "labels.csv").open() as table:
        for index, row in enumerate(csv.DictReader(table)):
            belongs = {0: "unseen", 4: "dev"}.get(index % 8, "")
            if row["label"] in PLUCKED and belongs == split:
                path = data / "philharmonia" / row["path"]
                notes.setdefault(row["label"], []).append((pitch_of(row["pitch"]), path))
    with (data / "chord-clips" / "labels.csv").open() as table:
        for index, row in enumerate(csv.DictReader(table)):
            kept = row["source"].startswith(UNSEEN_GUITAR.rsplit("-", 1)[0])
            belongs = ("dev", "unseen")[index % 2] if kept else ""
            if belongs == split:
                path = data / "chord-clips" / row["path"]
                notes.setdefault(row["source"], []).append((0, path))
    recorded = [Guitar(name, tuple(those)) for name, those in sorted(notes.items())]
    return recorded + (font_notes(fonts, folder) if split != "dev" else [])


@cache
def at_pitch(path: Path, semitones: int) -> Sampled | None:
    """Read a note and transpose it."""
    found = note(path, CLEAR_PLUCKED)
    if found is None or not semitones:
        return found
    ratio = 2 ** (semitones / 12)
    return soxr.resample(found[0], ratio, 1.0, quality="MQ").astype(np.float32), found[1] / ratio


class Hands:
    """A guitarist: what sounds, and the onsets."""

    def __init__(self, guitar: Guitar, rng: np.random.Generator) -> None:
        self.guitar, self.rng = guitar, rng
        self.canvas = np.zeros(round((SECONDS + 4) * RATE), np.float32)
        self.onsets: list[float] = []

    def pick(self, pitch: int) -> Sampled | None:
        """Take a note near a pitch, or any strum, that begins clearly."""
        near = list(self.guitar.notes)
        if near[0][0]:
            near = sorted(near, key=lambda each: abs(each[0] - pitch))[:5]
        for index in self.rng.permutation(len(near)):
            have, path = near[int(index)]
            found = at_pitch(path, int(np.clip(pitch - have, -7, 7)) if have else 0)
            if found is not None:
                return found
        return None

    def add(self, sound: Signal, start: float) -> None:
        """Mix a sound in."""
        first = max(round(start * RATE), 0)
        part = self.canvas[first : first + len(sound)]
        part += sound[: len(part)]

    def pluck(self, time: float, pitch: int, length: float, level: float) -> bool:
        """Play a note; it may be bent, have vibrato or be damped with the palm."""
        found = self.pick(pitch)
        if found is None:
            return False
        sound, begins = found
        kind = self.rng.random()
        place = np.arange(len(sound)) / RATE
        if kind < 0.12:
            sound = sound * np.exp(-np.maximum(place - begins, 0) / self.rng.uniform(0.03, 0.15))
        elif kind < 0.22 and length > 0.3:
            bend = self.rng.uniform(0.02, 0.1) * np.clip((place - begins - 0.1) / 0.25, 0, 1)
            sound = np.interp(place + np.cumsum(bend) / RATE, place, sound)
        elif kind < 0.32 and length > 0.3:
            depth = self.rng.uniform(0.002, 0.008) * (place > begins + 0.1)
            wave = depth * np.sin(2 * np.pi * self.rng.uniform(4, 7) * place)
            sound = np.interp(place + np.cumsum(wave) / RATE, place, sound)
        sound = np.asarray(sound, np.float32)
        if length < 9:
            end = round((begins + length) * RATE)
            sound = fade(sound, end, round(self.rng.uniform(0.008, 0.06) * RATE))
        self.add(sound * np.float32(level), time - begins)
        return True

    def legato(self, time: float, pitch: int, length: float) -> None:
        """Hammer on or pull off: the pitch changes, without a pluck."""
        found = self.pick(pitch)
        if found is None:
            return
        sound, begins = found
        skipped = sound[round((begins + self.rng.uniform(0.03, 0.07)) * RATE) :]
        now = round(time * RATE)
        before = self.canvas[max(now - 1000, 0) : now]
        if len(skipped) < 4000 or not len(before) or not before.any():
            return
        gain = np.sqrt(np.mean(before**2) / max(float(np.mean(skipped[:1000] ** 2)), 1e-9))
        skipped = skipped * np.float32(min(gain * 10 ** (self.rng.uniform(-5, 2) / 20), 2.0))
        rise = round(self.rng.uniform(0.002, 0.008) * RATE)
        skipped[:rise] *= np.linspace(0, 1, rise, dtype=np.float32)
        self.canvas[now:] = 0  # one string
        ended = before[::-1][: 2 * rise] * np.linspace(1, 0, min(2 * rise, len(before)))
        self.canvas[now : now + len(ended)] = ended
        self.add(fade(skipped, round(length * RATE), 800), time)
        self.onsets.append(time)

    def squeak(self, time: float) -> None:
        """Slide along a string: noise that is no onset."""
        length = round(self.rng.uniform(0.03, 0.12) * RATE)
        low = self.rng.uniform(1000, 3000)
        band = filters.butter(2, [low, 2 * low], "band", fs=RATE, output="sos")
        noise = filters.sosfilt(band, self.rng.normal(size=length)) * np.hanning(length)
        level = 10 ** (-self.rng.uniform(30, 45) / 20)
        self.add(np.asarray(noise / np.abs(noise).max() * level, np.float32), time)

    def tune(self, start: float, end: float) -> None:
        """Play a melody on one string after another."""
        gap, pitch, time = float(np.exp(self.rng.uniform(-2.1, -0.5))), 60, start
        slurred = self.rng.uniform(0, 0.35)
        rings = self.rng.random() < 0.4
        while time < end:
            length = gap * float(self.rng.choice([0.5, 1, 1, 1, 2, 3]))
            length = max(length * self.rng.uniform(0.9, 1.1), 0.09)
            pitch = int(np.clip(pitch + self.rng.choice([-5, -2, -2, -1, 1, 2, 2, 3, 7]), 42, 79))
            held = 9.0 if rings else length * self.rng.uniform(0.5, 1.0)
            if not rings and self.onsets and self.rng.random() < slurred and time > start:
                self.legato(time, pitch, held)
            elif self.pluck(time, pitch, held, 10 ** (-self.rng.uniform(0, 12) / 20)):
                self.onsets.append(time)
            if self.rng.random() < 0.1:
                self.squeak(time + length * self.rng.uniform(0.5, 0.9))
            time += length

    def picking(self, start: float, end: float) -> None:
        """Pick the strings of chords one by one, at times two together."""
        gap, time, count = float(np.exp(self.rng.uniform(-2.1, -1.0))), start, 0
        shape = SHAPES[0]
        while time < end:
            if count % 8 == 0:
                shape = SHAPES[int(self.rng.integers(len(SHAPES)))]
            strings = self.rng.choice(len(shape), 2 if self.rng.random() < 0.2 else 1, False)
            level = 10 ** (-self.rng.uniform(0, 10) / 20)
            played = [self.pluck(time + 0.004 * k, shape[string], gap * 8, level)
                      for k, string in enumerate(strings)]  # fmt: skip
            if any(played):
                self.onsets.append(time)
            count, time = count + 1, time + gap * self.rng.uniform(0.95, 1.05)

    def strumming(self, start: float, end: float) -> None:
        """Strum chords up and down; some are damped at once."""
        gap, time, count = float(self.rng.uniform(0.14, 0.42)), start, 0
        shape, slow = SHAPES[0], self.rng.uniform(0.006, 0.035)
        while time < end:
            if count % 8 == 0:
                shape = SHAPES[int(self.rng.integers(len(SHAPES)))]
            count += 1
            if self.rng.random() < 0.25:
                time += gap
                continue
            length = gap * self.rng.uniform(0.2, 0.6) if self.rng.random() < 0.3 else gap
            level = 10 ** (-self.rng.uniform(0, 8) / 20)
            strings = shape if count % 2 else shape[::-1][: int(self.rng.integers(2, 6))]
            if not self.guitar.notes[0][0]:
                strings, length = (0,), length * float(self.rng.choice([1, 1, 2, 4]))
            spread = slow * self.rng.uniform(0.7, 1.3) / max(len(strings) - 1, 1)
            played = [self.pluck(time + spread * k, string, length - spread * k, level)
                      for k, string in enumerate(strings)]  # fmt: skip
            if any(played):
                first = played.index(True)
                self.onsets.append(time + spread * first)
            time += gap * self.rng.uniform(0.96, 1.04)


def amplified(sound: Signal, rng: np.random.Generator) -> Signal:
    """Send a guitar through an amplifier and its cabinet, or not."""
    sound = sound / max(float(np.abs(sound).max()), 1e-6)
    if rng.random() < 0.4:
        drive = float(np.exp(rng.uniform(0, 2.7)))
        cabinet = filters.butter(3, rng.uniform(3500, 7000), fs=RATE, output="sos")
        sound = filters.sosfilt(cabinet, np.tanh(drive * sound))
    return np.asarray(sound, np.float32)


def guitar_piece(index: int, found: list[Guitar], seed: int) -> tuple[Signal, list[float]]:
    """Play half a minute on one guitar, in one or two ways."""
    rng = np.random.default_rng((seed, index))
    strums = [each for each in found if not each.notes[0][0]]
    picked = [each for each in found if each.notes[0][0] and len(each.notes) > 4]
    group = strums if strums and rng.random() < 0.3 else picked
    hands = Hands(group[int(rng.integers(len(group)))], rng)
    ways = [hands.strumming] if group is strums else [hands.tune, hands.picking, hands.strumming]
    middle = rng.uniform(10, SECONDS - 10)
    for start, end in ((rng.uniform(0.1, 1.5), middle), (middle + 0.3, SECONDS)):
        ways[int(rng.integers(len(ways)))](start, end)
    return amplified(hands.canvas, rng), [time - LABEL_LEAD for time in hands.onsets]


@cache
def strokes_of(kit: Path) -> tuple[tuple[str, tuple[tuple[Path, float], ...]], ...]:
    """Read the instruments of a kit: their names, samples and up to which velocity each is for."""
    root = ElementTree.parse(kit / "drumkit.xml").getroot()
    for element in root.iter():
        element.tag = element.tag.split("}")[-1]
    found = []
    for element in root.iter("instrument"):
        layers = [(each.findtext("filename") or "", float(each.findtext("max") or 1))
                  for each in element.findall(".//layer")]  # fmt: skip
        layers = layers or [(element.findtext("filename") or "", 1.0)]
        there = tuple(
            (kit / name, high) for name, high in layers if name and (kit / name).is_file()
        )
        if there:
            found.append((str(element.findtext("name")), there))
    return tuple(found)


@cache
def stroke(path: Path) -> Sampled | None:
    """Read a stroke: its sound, peak 1, and when in it it begins."""
    read, rate = audio.read(path, mono=True)
    sound = np.concatenate(list(resample(iter([read]), rate, RATE)), axis=1)[0]
    sound = np.pad(sound[: 3 * RATE], (441, 0))
    if np.abs(sound).max() < 1e-4:
        return None
    level = np.sqrt(np.convolve(sound.astype(np.float64) ** 2, np.ones(44) / 44, mode="same"))
    peak = level[: 441 + RATE // 4].max()
    begins = int(np.argmax(level >= RISE * peak))
    if begins_again(sound, begins):
        return None
    sound = fade(sound[max(begins - 441, 0) :], max(len(sound) - 3000, 0), 3000)
    return sound / np.float32(np.abs(sound).max()), min(begins, 441) / RATE


def chosen(
    kit: Path, rng: np.random.Generator
) -> dict[int, tuple[str, tuple[tuple[Path, float], ...]]]:
    """Choose an instrument of a kit for each stroke of General MIDI."""
    found = strokes_of(kit)
    answer = {}
    for name, pattern in NAMES.items():
        for part in pattern.split("|") if "(" not in pattern else [pattern]:
            fitting = [each for each in found if re.search(part, each[0], re.IGNORECASE)]
            if fitting:
                break
        pick = fitting or list(found)
        instrument = pick[int(rng.integers(len(pick)))]
        for pitch, role in STROKES.items():
            if role == name:
                answer[pitch] = (role, instrument[1])
    return answer


def audible(sound: Signal, begins: float, canvas: Signal, place: int) -> bool:
    """Tell whether a stroke stands out of what sounds before it."""
    first = round(begins * RATE)
    attack = sound[first : first + 900]
    before = canvas[max(place - 1400, 0) : max(place - 100, 1)]
    whole, bright = (
        float(np.mean(each(attack) ** 2)) / (float(np.mean(each(before) ** 2)) + 1e-10)
        for each in (lambda x: x, lambda x: np.diff(x, prepend=0))
    )
    return max(whole, bright) > 0.7 and float(np.abs(attack).max(initial=0)) > 0.01


def kit_piece(
    index: int, kits: list[Path], performances: list[Path], seed: int
) -> tuple[Signal, list[float]]:
    """Let a drummer play half a minute on a kit in a room."""
    rng = np.random.default_rng((seed, index))
    notes = sorted((note.start, note.pitch, note.velocity)
                   for part in read_midi(performances[int(rng.integers(len(performances)))])
                   for note in part.notes if note.velocity >= SOFTEST)  # fmt: skip
    kit = chosen(kits[int(rng.integers(len(kits)))], rng)
    start = rng.uniform(0, max(notes[-1][0] - SECONDS, 0.01)) - rng.uniform(0, 1.5)
    canvas, onsets = np.zeros(round((SECONDS + 4) * RATE), np.float32), []
    roles = {role: -QUIETER.get(role, 0) + rng.uniform(-5, 3) for role in NAMES}
    shift, steep = int(rng.integers(-3, 4)), rng.uniform(1.0, 2.0)
    flams = rng.uniform(0, 0.08) if rng.random() < 0.5 else 0.0
    played = []
    for time, pitch, velocity in notes:
        if STROKES.get(pitch) == "snare" and velocity > 60 and rng.random() < flams:
            played.append((time - rng.uniform(0.015, 0.03), pitch, velocity // 2))
        played.append((time, pitch, velocity))
    for time, pitch, velocity in sorted(played):
        time -= start
        if not 0.05 < time < SECONDS or pitch not in kit:
            continue
        role, layers = kit[pitch]
        path = next((path for path, high in layers if velocity / 127 <= high), layers[-1][0])
        found = stroke(path)
        if found is None:
            continue
        sound, begins = found
        ratio = 2 ** (shift / 12)
        if shift:
            sound = soxr.resample(sound, ratio, 1.0, quality="QQ").astype(np.float32)
            begins /= ratio
        level = roles[role] + 20 * steep * np.log10(velocity / 127) + rng.normal(0, 1)
        sound = sound * np.float32(10 ** (level / 20))
        if not audible(sound, begins, canvas, round(time * RATE)):
            continue
        first = max(round((time - begins) * RATE), 0)
        part = canvas[first : first + len(sound)]
        part += sound[: len(part)]
        onsets.append(time - LABEL_LEAD)
    return in_room(canvas, rng), onsets


def in_room(sound: Signal, rng: np.random.Generator) -> Signal:
    """Add what other microphones pick up: early reflections and a tail; and compress the peaks."""
    tail = round(rng.uniform(0.1, 0.6) * RATE)
    place = np.arange(tail) / RATE
    impulse = rng.normal(size=tail) * np.exp(-place / rng.uniform(0.02, 0.12)) * 0.02
    for _ in range(4):
        impulse[int(rng.integers(40, 900))] += rng.normal() * 0.3
    wet = filters.fftconvolve(sound, impulse)[: len(sound)]
    wet *= 10 ** (-rng.uniform(6, 30) / 20) * np.abs(sound).max() / max(np.abs(wet).max(), 1e-9)
    mixed = sound + wet
    mixed /= max(np.abs(mixed).max(), 1e-9)
    if rng.random() < 0.5:
        mixed = np.tanh(mixed * rng.uniform(1, 4))
    return np.asarray(mixed, np.float32)


def produce(index: int, folder: Path, make: partial[tuple[Signal, list[float]]]) -> None:
    """Make one piece and write it with its onsets."""
    target = folder / f"{index:03d}.flac"
    if target.exists():
        return
    total, onsets = make(index)
    rng = np.random.default_rng(index)
    total = 0.9 * total / max(float(np.abs(total).max()), 1e-6)
    if rng.random() < 0.3:
        total = np.clip(compressed(total, RATE, rng), -1, 1)
    lines = "".join(f"{time:.6f}\n" for time in merged(np.array(sorted(onsets))))
    (folder / f"{index:03d}.onsets").write_text(lines)
    write_whole(target, lambda part: soundfile.write(part, total, RATE, "PCM_16", format="FLAC"))


def main() -> None:
    """Read the arguments and assemble everything that is not there yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--kits", type=Path, required=True)
    parser.add_argument("--font", type=Path, action="append", required=True)
    parser.add_argument("--unseen", type=Path, action="append", default=[])
    parser.add_argument("--permissive", action="store_true", help="leave out recorded notes")
    parser.add_argument("--count", type=int, default=160, help="pieces for training, of each kind")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    kept = {name for names in KITS.values() for name in names}
    there = sorted(path.parent for path in options.kits.glob("*/drumkit.xml"))
    with (options.data / "groove" / "info.csv").open() as table:
        rows = [row for row in csv.DictReader(table) if float(row["duration"]) > 8]
    splits = {split: SPLITS[split] for split in SPLITS if split != "unseen" or options.unseen}
    for split, (part, seed) in splits.items():
        fonts = options.unseen if split and not options.permissive else options.font
        notes = options.output / "font-notes"
        instruments = guitars(options.data, split, fonts, notes, options.permissive)
        every = {kit.name for kit in there}
        names = every if options.permissive else KITS.get(split) or every - kept
        kits = [kit for kit in there if kit.name in names]
        performances = [options.data / "groove" / row["midi_filename"]
                        for row in rows if row["split"] == part]  # fmt: skip
        makes = {
            "guitars": partial(guitar_piece, found=instruments, seed=seed),
            "kits": partial(kit_piece, kits=kits, performances=performances, seed=seed),
        }
        for kind, make in makes.items():
            folder = options.output / split / kind
            folder.mkdir(parents=True, exist_ok=True)
            count = options.count if not split else {"dev": 8, "unseen": 16}[split]
            with ProcessPoolExecutor(options.jobs) as pool:
                for _ in pool.map(partial(produce, folder=folder, make=make), range(count)):
                    pass


if __name__ == "__main__":
    main()
