"""Render training data for beat tracking from public MIDI collections, and from songs made up.

    python docs/recipes/render_beats.py DATA OUTPUT --font FONT.sf2 --font OTHER.sf3 \
        --unseen THIRD.sf2

DATA holds `pop909` (POP909), `asap-piano` (ASAP, `labels.csv` and a `.beats` beside each
performance), `groove` (Groove MIDI Dataset), and `voices` (dry solo voices, which are mixed into
some). OUTPUT gets NAME.flac and NAME.beats (seconds, and the place in the bar) in the folders
`pop`, `piano`, `drums`, `made-up`, `clicks` and `loops`, and under `unseen/` songs, works and
drummers that the others do not have, with a sound font that they do not have. Of `tsp-speech` (TSP
speech) and `esc10` (ESC-10) it makes `none`: talk and noises, which have no beat.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import drum_machine
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from sampler import Sampler

from audiocli.io.atomic import write_whole
from audiocli.io.soundfont import Note, Part, read_midi, render
from audiocli.nn.augment import background, compressed, filtered
from audiocli.tasks.chords.band import (
    BASSES,
    CHORDAL,
    KEYS,
    KITS,
    LEADS,
    PADS,
    read_song,
    solo_piano,
    with_band,
)

RATE = 22_050
LAST_TRAINED = 700  # of POP909
#: What is rendered sounds so much after the time of the note: synthesis, and half an attack.
LATE = 0.010
MACHINES = 0.6  # share of loops that a drum machine plays
KICK, SNARE, STICK, CLAP, CLOSED, OPEN, CRASH, RIDE, SHAKER = 36, 38, 37, 39, 42, 46, 49, 51, 70
#: Strokes that General MIDI has no place for, as the drummers' electronic kit sends them.
TO_GENERAL_MIDI = {22: 42, 26: 46, 58: 43}
#: Metres of songs that are made up: beats in a bar, parts of a beat, and how often.
#: No bars of two: the decoder groups such beats in fours.
METRES = (
    (4, 2, 0.6),
    (4, 3, 0.1),
    (3, 2, 0.2),
    (5, 2, 0.04),
    (6, 2, 0.03),
    (7, 2, 0.03),
)
SLOWEST, FASTEST = 56.0, 210.0  # of songs made up, in beats a minute


@dataclass(frozen=True)
class Score:
    """What is played, when its beats are, and their places in the bar (1 begins it)."""

    parts: tuple[Part, ...]
    beats: NDArray[np.float64]
    places: NDArray[np.intp]

    def excerpt(self, start: float, end: float) -> Score:
        """Keep what begins between two times, and count time from the first."""
        kept = (self.beats >= start) & (self.beats < end)
        parts = tuple(part.excerpt(start, end) for part in self.parts)
        return Score(parts, self.beats[kept] - start, self.places[kept])


Make = Callable[[np.random.Generator], Score]


@dataclass(frozen=True)
class Piece:
    """Something to render: where to, from which chance, with which fonts, and how it is made."""

    target: Path
    seed: int
    fonts: tuple[Path, ...]
    make: Make
    seconds: float
    voices: tuple[Path, ...] = ()
    samples: Path | None = None
    varied: bool = True
    machines: float = 0.0  # chance that a drum machine plays it


def places_of(bars: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Count beats from each beginning of a bar; what is before the first ends a usual bar."""
    firsts = np.flatnonzero(bars)
    if not len(firsts):
        return np.zeros(len(bars), np.intp)
    usual = int(np.median(np.diff(firsts))) if len(firsts) > 1 else 4
    index = np.arange(len(bars))
    last = firsts[np.searchsorted(firsts, index, side="right") - 1]
    return np.where(index < firsts[0], (index - firsts[0]) % usual, index - last) + 1


def pop(folder: Path, band: float, rng: np.random.Generator) -> Score:
    """Give a song of POP909 a random band, with a chance of `band`, or play it as it is.

    At about the tempo that it has: which pulse is the beat depends on it.
    """
    song = read_song(folder)
    if rng.random() < band:
        parts = solo_piano(song, rng).parts if rng.random() < 0.12 else with_band(song, rng).parts
    else:
        parts = tuple(read_midi(folder / f"{folder.name}.mid", pedal=True))
    made = Score(parts, song.beats, places_of(song.bars))
    return warped(made, rng, SAME_TEMPO if band in (0.0, 1.0) else changed_tempo(rng))


def changed_tempo(rng: np.random.Generator) -> float:
    """Give a factor near 1 by which a piece is slower; the pulse that is its beat stays so."""
    return float(np.exp(rng.normal(0, 0.08)))


def piano(path: Path, written: bool, rng: np.random.Generator) -> Score:
    """Take a pianist's performance, as it is or varied."""
    table = np.loadtxt(path.with_suffix(".beats"), ndmin=2)
    parts = read_midi(path, pedal=True)
    if not written:
        program, move = int(rng.choice([0, 0, 0, 0, 1, 2, 3, 6])), int(rng.integers(-4, 5))
        parts = [replace(part.transposed(move), program=program, drums=False) for part in parts]
    made = Score(tuple(parts), table[:, 0], places_of(table[:, 1] > 0))
    return warped(made, rng, SAME_TEMPO if written else changed_tempo(rng), steady=True)


def drums(path: Path, bpm: float, beats_a_bar: int, rng: np.random.Generator) -> Score:
    """Take a drummer's performance to a metronome, at times with a bass."""
    notes = [
        replace(note, end=note.start + 0.3, pitch=TO_GENERAL_MIDI.get(note.pitch, note.pitch))
        for part in read_midi(path)
        for note in part.notes
    ]
    kit = Part(tuple(notes), int(rng.choice(KITS)), drums=True)
    beats = np.arange(0.0, max(note.start for note in notes) + 0.1, 60 / bpm)
    parts = [kit]
    if rng.random() < 0.5:
        parts.append(_bass_line(beats, beats_a_bar, rng))
    made = Score(tuple(parts), beats, np.arange(len(beats)) % beats_a_bar + 1)
    return warped(made, rng, changed_tempo(rng))


#: As a factor: what is scored is at the tempo at which it was annotated.
SAME_TEMPO = 1.0


def clicks(seconds: float, rng: np.random.Generator) -> Score:
    """Give a metronome, with or without an accent at the bar, or one stroke again and again."""
    bpm = float(rng.uniform(45, 215))
    count = int(rng.choice([1, 2, 3, 4, 4, 4]))
    beats = _clock(max(16, int(seconds * bpm / 60)), bpm, rng)
    high, low = rng.choice([33, 34, 37, 39, 42, 56, 60, 61, 75, 76, 77], size=2)
    accented = count > 1 and rng.random() < 0.7
    strokes = []
    for index, beat in enumerate(beats):
        first = accented and index % count == 0
        pitch = int(high if first else low)
        strokes.append(Note(float(beat), float(beat) + 0.1, pitch, 115 if first else 85))
    places = np.arange(len(beats)) % count + 1 if accented else np.zeros(len(beats), int)
    return Score((Part(tuple(strokes), 0, drums=True),), beats, places)


def loop(seconds: float, rng: np.random.Generator) -> Score:
    """Give a plain drum loop: kick, backbeat, and hats that may be as even as eighths are."""
    count = int(rng.choice([3, 4], p=[0.12, 0.88]))
    bpm = float(rng.uniform(54, 185))
    # Two strokes a beat are the beats of a song twice as fast; which is heard depends on the tempo.
    parts = 1 if bpm > rng.uniform(130, 170) else 4 if bpm < rng.uniform(70, 95) else 2
    beats = _clock(max(16, int(seconds * bpm / 60)), bpm, rng)
    kicks = {0} | ({2} if count == 4 and rng.random() < 0.7 else set())
    backs = {1, 3} if count == 4 else {1, 2} if rng.random() < 0.5 else {2}
    low, back, hat = rng.choice([35, 36]), rng.choice([38, 39, 40]), rng.choice([42, 44, 51, 70])
    stray = rng.random(2 * count) < (0.15 if rng.random() < 0.5 else 0.0)
    accent = 0 if rng.random() < 0.5 else int(rng.integers(5, 30))
    index, notes = np.arange(len(beats)), []
    for beat in range(len(beats) - 1):
        place = beat % count
        struck = [(0.0, low, 112)] * (place in kicks) + [(0.0, back, 105)] * (place in backs)
        struck += [(0.5, low, 95)] * bool(stray[2 * place + 1])
        struck += [(part / parts, hat, 88 - accent * (part > 0)) for part in range(parts)]
        for offset, pitch, velocity in struck:
            start = float(np.interp(beat + offset, index, beats))
            notes.append(Note(start, start + 0.2, int(pitch), velocity))
    notes.sort(key=lambda note: note.start)
    drummer = Part(tuple(notes), int(rng.choice(KITS)), drums=True)
    return Score((drummer,), beats[:-1], np.arange(len(beats) - 1) % count + 1)


def warped(score: Score, rng: np.random.Generator, factor: float, *, steady: bool = False) -> Score:
    """Play `factor` times as slow; a third drift as bands without a click do."""
    end = float(max([*(note.end for part in score.parts for note in part.notes), 1.0])) + 2
    knots = np.arange(0.0, end + 2, 2.0)
    drift = np.zeros(len(knots) - 1)
    if not steady and factor != SAME_TEMPO and rng.random() < 0.35:
        drift = np.cumsum(rng.normal(0, rng.uniform(0.002, 0.015), len(drift)))
        drift -= drift.mean()
    times = np.concatenate([[0.0], np.cumsum(factor * np.exp(drift) * np.diff(knots))])

    def when(time: float) -> float:
        return float(np.interp(time, knots, times))

    parts = tuple(
        replace(
            part,
            notes=tuple(
                replace(n, start=when(n.start), end=max(when(n.end), when(n.start) + 0.02))
                for n in part.notes
            ),
        )
        for part in score.parts
    )
    return Score(parts, np.interp(score.beats, knots, times), score.places)


def _bass_line(beats: NDArray[np.float64], count: int, rng: np.random.Generator) -> Part:
    """Play a bar's line again and again, with another root each bar."""
    struck = rng.random(2 * count) < 0.4
    struck[0] = True
    roots = rng.integers(28, 43, size=4)
    step = float(np.median(np.diff(beats)))
    notes = []
    for index, beat in enumerate(beats):
        for half in (0, 1):
            if struck[2 * (index % count) + half]:
                pitch = int(roots[index // count % 4]) + int(rng.choice([0, 0, 0, 7, 12]))
                start = float(beat + half * step / 2)
                notes.append(Note(start, start + 0.8 * step, pitch, 90))
    return Part(tuple(notes), int(rng.choice(BASSES)), name="BASS")


# --- songs made up: sections of bars that repeat, in any metre ---------------------------------


@dataclass(frozen=True)
class Metre:
    """Beats in a bar, parts of a beat, and where the second half of a beat falls."""

    count: int
    parts: int
    swing: float

    def at(self, beat: float, part: int) -> float:
        """Give when a part of a beat falls, in beats."""
        if self.parts == 2:
            return beat + (0.0, self.swing)[part]
        return beat + part / self.parts


def made_up(seconds: float, rng: np.random.Generator) -> Score:
    """Make up a song: metre, tempo, chords, and players with a pattern a section."""
    chosen = METRES[int(rng.choice(len(METRES), p=[share for *_, share in METRES]))]
    swing = float(rng.uniform(0.55, 0.68)) if rng.random() < 0.25 else 0.5
    metre = Metre(chosen[0], chosen[1], swing)
    bpm = float(np.clip(np.exp(rng.normal(np.log(108), 0.28)), SLOWEST, FASTEST))
    if rng.random() < 0.6:
        bpm = float(rng.uniform(SLOWEST, FASTEST))
    if metre.parts == 3:
        bpm = min(bpm, 140.0)
    bars = max(8, int(seconds * bpm / 60 / metre.count) + 1)
    players = _players(metre, bpm, rng)
    notes: list[list[tuple[float, float, int, int]]] = [[] for _ in players]
    bar = 0
    while bar < bars:
        length = int(rng.choice([4, 4, 8]))
        roots = _progression(int(rng.choice([1, 2, 4, 4])), rng)
        held = 2 if bpm > rng.uniform(130, 220) else 1  # bars that a chord lasts
        playing = rng.random(len(players)) < 0.85
        playing[int(rng.integers(len(players)))] = True
        patterns = [player.pattern(rng) for player in players]
        for k in range(length):
            chord = roots[k // held % len(roots)]
            for index, player in enumerate(players):
                if playing[index]:
                    last = k == length - 1
                    bar_notes = player.bar(patterns[index], chord, k == 0, last, rng)
                    first = (bar + k) * metre.count
                    notes[index] += [(first + a, first + b, p, v) for a, b, p, v in bar_notes]
        bar += length
    beats = _clock(bar * metre.count + 1, bpm, rng)
    loose = rng.uniform(0, 0.012)
    parts = tuple(
        Part(
            tuple(_timed(each, beats, loose, rng) for each in sorted(line)),
            player.program,
            player.drums,
            int(rng.integers(70, 125)),
        )
        for player, line in zip(players, notes, strict=True)
        if line
    )
    made = Score(parts, beats[:-1], np.arange(len(beats) - 1) % metre.count + 1)
    return warped(made, rng, 1.0)


def _clock(count: int, bpm: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Give the times of beats; one song in five slows down, speeds up or changes its tempo."""
    steps = np.full(count - 1, 60 / bpm)
    draw = rng.random()
    if draw < 0.08:  # another tempo from somewhere on
        steps[int(rng.integers(count // 4, 3 * count // 4)) :] *= float(
            rng.choice([0.67, 0.8, 0.9, 1.1, 1.25, 1.5])
        )
    elif draw < 0.2:
        steps *= np.exp(np.linspace(0, rng.uniform(-0.25, 0.25), count - 1))
    lead = rng.choice([0.0, rng.uniform(0, 2.0)])
    return np.asarray(lead + np.concatenate([[0.0], np.cumsum(steps)]))


def _timed(
    note: tuple[float, float, int, int],
    beats: NDArray[np.float64],
    loose: float,
    rng: np.random.Generator,
) -> Note:
    """Turn beats into seconds, not quite on time."""
    index = np.arange(len(beats))
    start, end = np.interp(note[:2], index, beats)
    start = max(0.0, float(start) + float(rng.normal(0, loose)))
    return Note(start, max(float(end), start + 0.03), note[2], int(np.clip(note[3], 20, 127)))


def _progression(length: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
    """Give chords of a key, a few bars long, as pitch classes with the root first."""
    tonic = int(rng.integers(12))
    scale = np.array([0, 2, 4, 5, 7, 9, 11] if rng.random() < 0.6 else [0, 2, 3, 5, 7, 8, 10])
    degrees = [0, *rng.choice([0, 1, 2, 3, 3, 4, 4, 5, 5], size=length - 1)]
    return [
        tuple(int(tonic + scale[(degree + step) % 7]) % 12 for step in (0, 2, 4))
        for degree in degrees
    ]


@dataclass(frozen=True)
class Player:
    """Somebody in the band: what they play, and how many strokes to a beat."""

    role: str
    program: int
    metre: Metre
    base: int
    bpm: float

    @property
    def drums(self) -> bool:
        """Whether pitches are drums."""
        return self.role == "drums"

    def pattern(self, rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
        """Draw what is played each bar of a section: a chance for each part of a bar."""
        count, parts = self.metre.count, self.metre.parts
        size = count * parts
        on_beat = np.arange(size) % parts == 0
        if self.drums:
            return self._beat(rng)
        busy = 0.7 * self._room  # between beats that follow each other fast, there is less
        chance = np.where(on_beat, rng.uniform(0.3, 1.0), rng.uniform(0.0, busy))
        if self.role == "offbeats":
            chance = np.where(on_beat, 0.05, 0.95)
        if self.role == "held":
            chance = np.zeros(size)
        if self.role == "broken":
            chance = np.where(on_beat | (rng.random() < self._room), 1.0, 0.0)
        chance[0] = {"bass": 0.95, "held": 1.0, "tune": 0.5, "offbeats": 0.1}.get(self.role, 0.85)
        return {"on": (rng.random(size) < chance).astype(float), "step": rng.integers(-3, 4, size)}

    @property
    def _room(self) -> float:
        """How likely there are strokes between beats: 1 at 100 BPM, 0.4 at 200."""
        return float(np.clip(1.6 - self.bpm / 166, 0.4, 1.0))

    def _beat(self, rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
        count, parts = self.metre.count, self.metre.parts
        size = count * parts
        beat, on_beat = np.arange(size) // parts, np.arange(size) % parts == 0
        room = self._room
        kick = np.where(on_beat, rng.uniform(0.1, 0.5), rng.uniform(0.0, 0.3 * room))
        if rng.random() < 0.2:
            kick = np.where(on_beat, 1.0, 0.05)
        kick[0] = 0.96
        back = np.zeros(size)
        backs = {2: [1], 3: [1, 2] if rng.random() < 0.5 else [2], 4: [1, 3], 5: [3],
                 6: [3], 7: [2, 4] if rng.random() < 0.5 else [4]}[count]  # fmt: skip
        if count == 4 and rng.random() < (0.1 if self.bpm < 110 else 0.25):  # half-time
            backs = [2]
        for each in backs:
            back[each * parts] = 1.0
        hat = np.where(on_beat | (rng.random() < 0.8 * room), 1.0, 0.0)
        if rng.random() < 0.15:
            hat = np.where(on_beat, 0.0, 1.0)
        stray = rng.random(size) < 0.06
        sixteenths = float(np.clip(0.25 + (100 - self.bpm) / 100, 0.0, 0.6))
        return {
            "kick": (rng.random(size) < kick).astype(float),
            "back": np.maximum(back, stray),
            "hat": hat * (rng.random() < 0.9),
            "double": np.full(size, float(rng.random() < sixteenths and parts == 2)),
            "beat": beat.astype(float),
        }

    def bar(
        self,
        pattern: dict[str, NDArray[np.float64]],
        chord: tuple[int, ...],
        first: bool,
        last: bool,
        rng: np.random.Generator,
    ) -> list[tuple[float, float, int, int]]:
        """Play a bar: start and end in beats, pitch and velocity."""
        if self.drums:
            return self._drum(pattern, first, last, rng)
        notes = []
        count, parts = self.metre.count, self.metre.parts
        struck = np.flatnonzero(pattern["on"])
        for k, slot in enumerate(struck.tolist()):
            start = self.metre.at(slot // parts, slot % parts)
            stop = struck[k + 1] / parts if k + 1 < len(struck) else count
            if self.role == "offbeats":
                stop = min(stop, start + 0.3)
            loud = 88 + (8 if slot == 0 else 0) + int(rng.normal(0, 6))
            for pitch in self._pitches(chord, k, float(pattern["step"][slot]), rng):
                notes.append((start, max(stop - 0.02, start + 0.05), pitch, loud))
        return notes

    def _pitches(
        self, chord: tuple[int, ...], turn: int, step: float, rng: np.random.Generator
    ) -> list[int]:
        def near(tone: int) -> int:
            return self.base + (tone - self.base) % 12

        if self.role == "bass":
            return [near(chord[0] if turn == 0 or rng.random() < 0.7 else chord[2])]
        if self.role == "broken":
            return [near(chord[turn % 3]) + 12 * (turn % 4 == 3)]
        if self.role == "tune":
            return [] if rng.random() < 0.12 else [near(chord[turn % 3]) + int(step)]
        return [near(tone) for tone in chord]

    def _drum(
        self,
        pattern: dict[str, NDArray[np.float64]],
        first: bool,
        last: bool,
        rng: np.random.Generator,
    ) -> list[tuple[float, float, int, int]]:
        notes: list[tuple[float, float, int, int]] = []
        parts, size = self.metre.parts, len(pattern["kick"])
        hat = self.base
        fill = last and rng.random() < 0.5
        for slot in range(size):
            t = self.metre.at(slot // parts, slot % parts)
            accent = 12 if slot % parts == 0 else 0
            if pattern["kick"][slot] and rng.random() < 0.97:
                notes.append((t, t + 0.2, KICK, int(100 + rng.normal(0, 8))))
            if pattern["back"][slot]:
                notes.append((t, t + 0.2, SNARE if hat != SHAKER else STICK, 100))
            if pattern["hat"][slot]:
                notes.append((t, t + 0.2, hat, int(70 + accent + rng.normal(0, 8))))
                if pattern["double"][slot]:
                    notes.append((t + 0.25, t + 0.4, hat, int(60 + rng.normal(0, 8))))
            if fill and slot >= size - 2 * parts:
                for sub in (0.0, 0.25):
                    notes.append((t + sub, t + sub + 0.2, int(rng.choice([38, 45, 48, 50])), 95))
        if first and rng.random() < 0.6:
            notes.append((0.0, 1.0, CRASH, int(rng.integers(80, 115))))
        return notes


def _players(metre: Metre, bpm: float, rng: np.random.Generator) -> list[Player]:
    """Draw a band."""
    made = []
    for role, chance, programs, bases in (
        ("drums", 0.8, KITS, (CLOSED, CLOSED, CLOSED, RIDE, OPEN, SHAKER)),
        ("bass", 0.75, BASSES, (28, 31, 34)),
        ("chords", 0.5, CHORDAL, (48, 52, 55)),
        ("held", 0.35, (*PADS, *KEYS), (48, 55, 60)),
        ("broken", 0.35, CHORDAL, (48, 55, 60)),
        ("offbeats", 0.15, CHORDAL, (55, 60)),
        ("tune", 0.55, LEADS, (60, 65, 72)),
    ):
        if rng.random() < chance:
            program, base = int(rng.choice(programs)), int(rng.choice(bases))
            made.append(Player(role, program, metre, base, bpm))
    if not made:
        made.append(Player("chords", int(rng.choice(CHORDAL)), metre, 52, bpm))
    return made


# --- sound -------------------------------------------------------------------------------------


def produce(piece: Piece) -> str:
    """Render one piece and write it with its beats."""
    if piece.target.exists():
        return ""
    rng = np.random.default_rng(piece.seed)
    font = piece.fonts[int(rng.integers(len(piece.fonts)))]
    score = piece.make(rng)
    end = float(score.beats[-1])
    start = float(rng.uniform(0, max(0.0, end - piece.seconds)))
    score = score.excerpt(start, start + piece.seconds)
    parts = [part for part in score.parts if part.notes]
    if not parts or len(score.beats) < 4:
        return ""
    if piece.machines and rng.random() < piece.machines:
        audio = drum_machine.play(parts, RATE, rng)
    elif piece.samples is not None:
        audio = sampler(font, piece.samples).render(parts)
    else:
        audio = render(parts, font, sample_rate=RATE, reverb=bool(rng.random() < 0.5))
    if piece.varied:
        audio = _recorded(audio, piece.voices, rng)
    lines = (
        f"{time + LATE:.4f}\t{place}\n" if place else f"{time + LATE:.4f}\n"
        for time, place in zip(score.beats, score.places, strict=True)
        if time + LATE < len(audio) / RATE
    )
    piece.target.with_suffix(".beats").write_text("".join(lines))
    audio = np.clip(audio, -1, 1)
    write_whole(piece.target, lambda part: soundfile.write(part, audio, RATE, "PCM_16"))
    return str(piece.target)


@cache
def sampler(font: Path, samples: Path) -> Sampler:
    """Give the samples of a sound font, which are rendered when they are first wanted."""
    return Sampler(font, RATE, samples)


def _recorded(
    audio: NDArray[np.float32], voices: Sequence[Path], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Detune it, let somebody sing, and send it through a room, a desk and a codec."""
    if voices and rng.random() < 0.3:
        audio = audio + 10 ** (rng.uniform(-14, 2) / 20) * _sung(len(audio), voices, rng)
    audio = filtered(audio, RATE, rng, decibels=3.0, room=0.3)
    audio = audio / max(float(np.abs(audio).max()), 1e-6)
    if rng.random() < 0.4:  # as loud masters are
        drive = rng.uniform(1.0, 5.0)
        audio = np.tanh(drive * audio) / np.tanh(drive)
    if rng.random() < 0.3:
        level = 10 ** (rng.uniform(-55, -20) / 20)
        audio = audio + level * background(len(audio), RATE, rng)
    audio = np.asarray(0.9 * audio / max(float(np.abs(audio).max()), 1e-6), np.float32)
    return compressed(audio, RATE, rng) if rng.random() < 0.25 else audio


def _sung(samples: int, voices: Sequence[Path], rng: np.random.Generator) -> NDArray[np.float32]:
    """Join voices, whatever the tempo is."""
    sung = np.zeros(samples, np.float32)
    place = int(rng.integers(0, 3 * RATE))
    while place < samples:
        voice, rate = soundfile.read(voices[int(rng.integers(len(voices)))], dtype="float32")
        voice = voice if voice.ndim == 1 else voice.mean(axis=1)
        voice = soxr.resample(voice, rate * 2 ** (rng.uniform(-2, 2) / 12), RATE)
        voice = voice[: samples - place] * (0.5 / max(float(np.abs(voice).max()), 1e-6))
        sung[place : place + len(voice)] += voice
        place += len(voice) + int(rng.integers(0, 4 * RATE))
    return sung


def no_beat(data: Path, output: Path, count: int) -> Iterator[str]:
    """Join talk, or noises, and write no beat beside them."""
    rng = np.random.default_rng(1)
    talk = sorted(path for path in (data / "tsp-speech").rglob("*") if path.suffix in SOUNDS)
    noises = sorted(path for path in (data / "esc10").rglob("*") if path.suffix in SOUNDS)
    for index in range(count):
        target = output / "none" / f"{index:02}.flac"
        chosen = tuple(talk if index % 2 else noises)
        audio = _sung(32 * RATE, chosen, rng)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.with_suffix(".beats").write_text("")
            made = np.clip(_recorded(audio, (), rng), -1, 1)
            soundfile.write(target, made, RATE, "PCM_16")
            yield str(target)


def sources(data: Path, training: bool) -> Iterator[tuple[str, str, Make]]:
    """List what can be rendered for training, or for scoring: kind, name, and what makes it."""
    for song in sorted(path for path in (data / "pop909").iterdir() if path.is_dir()):
        if (int(song.name) <= LAST_TRAINED) != training:
            continue
        if training:
            yield "pop", song.name, partial(pop, song, 0.6)
        else:
            yield "pop-midi", song.name, partial(pop, song, 0.0)
            yield "pop-band", song.name, partial(pop, song, 1.0)
    with (data / "asap-piano" / "labels.csv").open() as table:
        works = list(csv.DictReader(table))
    kept = set(sorted({row["work"] for row in works})[::12])  # whoever plays them
    for row in works:
        path = data / "asap-piano" / row["path"]
        name = "_".join(Path(row["path"]).with_suffix("").parts)
        if path.with_suffix(".beats").exists() and (row["work"] not in kept) == training:
            yield "piano", name, partial(piano, path, not training)
            if training:
                yield "piano", f"{name}-again", partial(piano, path, False)
    with (data / "groove" / "info.csv").open() as table:
        for row in csv.DictReader(table):
            over, under = map(int, row["time_signature"].split("-"))
            if row["beat_type"] != "beat" or float(row["duration"]) <= 20 or under != 4:
                continue
            path = data / "groove" / row["midi_filename"]
            if (row["split"] == "train") == training:
                make = partial(drums, path, float(row["bpm"]), over)
                yield "drums", Path(row["midi_filename"]).stem, make


SOUNDS = (".opus", ".ogg", ".flac", ".wav")
COUNTS = {"pop": 700, "piano": 476, "drums": 267, "made-up": 800, "clicks": 120,
          "loops": 300}  # fmt: skip
UNSEEN = {"pop-midi": 30, "pop-band": 30, "piano": 24, "drums": 12, "made-up": 16, "clicks": 8,
          "loops": 16}  # fmt: skip


#: What is made up, and of how many seconds if not of those of the others.
GENERATED: dict[str, tuple[Callable[[float, np.random.Generator], Score], float | None]] = {
    "made-up": (made_up, None),
    "clicks": (clicks, 30.0),
    "loops": (loop, 40.0),
}


@dataclass(frozen=True)
class Plan:
    """Where the MIDI files are, where to render them to, and with what."""

    data: Path
    output: Path
    fonts: tuple[Path, ...]
    unseen: tuple[Path, ...]
    seconds: float
    samples: Path | None

    def pieces(self, share: float) -> list[Piece]:
        """List what is rendered, kinds by turns, so that a part of it is a small whole."""
        voices = tuple(sorted((self.data / "voices").rglob("*.opus")))
        ranked: list[tuple[float, Piece]] = []
        for training in (True, False):
            rng = np.random.default_rng(int(not training))
            found = list(sources(self.data, training))
            for kind, count in (COUNTS if training else UNSEEN).items():
                fitting = [(name, make) for of, name, make in found if of == kind]
                if kind in GENERATED:
                    generate, long = GENERATED[kind]
                    make_it = partial(generate, long or self.seconds)
                    fitting = [(f"{k:04}", make_it) for k in range(count)]
                count = min(count, len(fitting))
                for rank, index in enumerate(rng.permutation(len(fitting))[:count]):
                    piece = self._piece(training, kind, *fitting[index], voices, rng)
                    ranked.append((rank / count, piece))
        ranked.sort(key=lambda pair: pair[0])
        return [piece for rank, piece in ranked if rank < share or "unseen" in piece.target.parts]

    def _piece(
        self,
        training: bool,
        kind: str,
        name: str,
        make: Make,
        voices: tuple[Path, ...],
        rng: np.random.Generator,
    ) -> Piece:
        folder = self.output if training else self.output / "unseen"
        seconds = self.seconds if training else 90.0
        return Piece(folder / kind / f"{name}.flac", int(rng.integers(1 << 30)),
                     self.fonts if training else self.unseen, make, seconds,
                     voices, self.samples if training else None, training,
                     MACHINES if kind == "loops" else 0.0)  # fmt: skip


def main() -> None:
    """Read the arguments and render everything that is not there yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--font", type=Path, action="append", required=True)
    parser.add_argument("--unseen", type=Path, action="append", required=True)
    parser.add_argument("--share", type=float, default=1.0, help="render this share of everything")
    parser.add_argument("--seconds", type=float, default=64.0, help="length of the excerpts")
    parser.add_argument("--samples", type=Path, help="render notes once, to this folder, and add "
                        "them up: many times faster than FluidSynth")  # fmt: skip
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    plan = Plan(given.data, given.output, tuple(given.font), tuple(given.unseen), given.seconds,
                given.samples)  # fmt: skip
    work = plan.pieces(given.share)
    for piece in work:
        piece.target.parent.mkdir(parents=True, exist_ok=True)
    for path in no_beat(given.data, given.output, 40):
        print(path, flush=True)
    with ProcessPoolExecutor(given.jobs) as pool:
        for path in pool.map(produce, work):
            if path:
                print(path, flush=True)


if __name__ == "__main__":
    main()
