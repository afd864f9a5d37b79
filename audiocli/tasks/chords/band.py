"""Songs to render: bands for the melodies and chords of MIDI songs, and songs of random chords.

A recogniser trains on every chord on many instruments, in many voicings, under tunes and over
drums; the reference annotations are what the arrangement was made from.

A song's folder is as in POP909: ``NNN.mid`` with tracks MELODY, BRIDGE and PIANO,
``chord_midi.txt`` (start, end and label) and ``beat_midi.txt`` (time, and twice whether it begins
a bar).

References
----------
Wang et al.: POP909: a pop-song dataset for music arrangement generation. ISMIR 2020.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocli.errors import DataError
from audiocli.io.formats import Segments, read_segments
from audiocli.io.soundfont import Note, Part, read_midi
from audiocli.tasks.chords.labels import QUALITIES, Chord, parse

__all__ = [
    "Arrangement",
    "MidiSong",
    "with_band",
    "drums_alone",
    "is_song",
    "random_song",
    "read_song",
    "single_chords",
    "solo_piano",
]

# Programs of General MIDI, counted from 0.
PIANOS = (0, 0, 0, 1, 2, 3)
KEYS = (*PIANOS, 4, 5, 6, 7, 16, 17, 18, 19)
GUITARS = (24, 24, 25, 25, 26, 27, 28, 29, 30)
PADS = (48, 49, 50, 51, 52, 54, 88, 89, 90, 91, 92, 94, 95)
BRASS = (61, 62, 63, 64, 65)
MALLETS = (8, 9, 11, 12, 46, 108)
BOWED_AND_BLOWN = (20, 21, 21, 22, 23, 40, 40, 41, 42, 48, 49, 56, 57, 61, 66, 71, 73)
CHORDAL = (*KEYS, *KEYS, *GUITARS, *GUITARS, *PADS, *BRASS, *MALLETS)
LEADS = (0, 4, 11, 22, 24, 25, 27, 30, 40, 41, 42, 52, 53, 53, 54, 54, 56, 57, 60, 64, 65, 66, 68,
         71, 72, 73, 73, 75, 80, 81, 82, 85, 87)  # fmt: skip
BASSES = (32, 33, 33, 34, 35, 36, 38, 39, 43)
KITS = (0, 0, 0, 8, 16, 24, 25, 32, 40)
KICK, SNARE, STICK, CLAP, CLOSED, OPEN, CRASH, RIDE, TAMBOURINE, SHAKER = (
    36, 38, 37, 39, 42, 46, 49, 51, 54, 70
)  # fmt: skip

#: How often random songs have each quality: the common ones most, the rare ones often enough.
WEIGHTS = {"maj": 4.0, "min": 4.0, "7": 2.5, "maj7": 2.5, "min7": 2.5, "sus4": 1.5, "dim": 1.2,
           "sus2": 1.0, "aug": 1.0, "hdim7": 1.2, "dim7": 1.0, "maj6": 0.8, "min6": 0.8,
           "minmaj7": 0.6, "sus4(b7)": 1.0, "5": 0.6}  # fmt: skip
#: Where fingers go on a guitar: the lowest pitch of the root, and the strings above it.
SHAPES: dict[str, tuple[tuple[int, tuple[int, ...]], ...]] = {
    "maj": ((40, (0, 7, 12, 16, 19, 24)), (45, (0, 7, 12, 16, 19)), (50, (0, 7, 12, 16)),
            (48, (0, 4, 7, 12, 16)), (43, (0, 4, 7, 12, 16, 24))),
    "min": ((40, (0, 7, 12, 15, 19, 24)), (45, (0, 7, 12, 15, 19)), (50, (0, 7, 12, 15))),
    "7": ((40, (0, 7, 10, 16, 19, 24)), (45, (0, 7, 10, 16, 19)), (50, (0, 7, 10, 16))),
    "min7": ((40, (0, 7, 10, 15, 19, 24)), (45, (0, 7, 10, 15, 19))),
    "maj7": ((40, (0, 7, 11, 16, 19)), (45, (0, 7, 11, 16, 19)), (50, (0, 7, 11, 16))),
    "sus4": ((40, (0, 7, 12, 17, 19, 24)), (45, (0, 7, 12, 17, 19)), (50, (0, 7, 12, 17))),
    "sus2": ((45, (0, 7, 12, 14, 19)), (50, (0, 7, 12, 14))),
    "dim": ((45, (0, 6, 12, 15)),),
    "hdim7": ((45, (0, 6, 10, 15)),),
    "dim7": ((45, (0, 6, 9, 15)),),
    "aug": ((45, (0, 8, 12, 16)),),
    "maj6": ((45, (0, 7, 9, 16, 19)),),
    "min6": ((45, (0, 7, 9, 15, 19)),),
    "5": ((40, (0, 7, 12)), (45, (0, 7, 12))),
}  # fmt: skip
SCALES = {"maj": (0, 2, 4, 5, 7, 9, 11), "min": (0, 2, 3, 5, 7, 8, 10)}


@dataclass(frozen=True)
class MidiSong:
    """A song as MIDI parts with its chords and beats.

    Parameters
    ----------
    name : str
        Of its folder.
    parts : tuple of Part
        As its file has them.
    chords : Segments
        With labels in Harte's syntax.
    beats : ndarray, shape (beats,)
        In seconds.
    bars : ndarray of bool, shape (beats,)
        Which beats begin a bar.
    """

    name: str
    parts: tuple[Part, ...]
    chords: Segments
    beats: NDArray[np.float64]
    bars: NDArray[np.bool_]

    @property
    def seconds(self) -> float:
        """When the last chord ends."""
        return float(self.chords.ends.max(initial=0.0))


@dataclass(frozen=True)
class Arrangement:
    """What is to be played, and its reference annotation.

    Parameters
    ----------
    parts : tuple of Part
        A part an instrument.
    chords : Segments
        With labels in Harte's syntax.
    """

    parts: tuple[Part, ...]
    chords: Segments

    def excerpt(self, start: float, end: float) -> Arrangement:
        """Keep what begins between two times, and count time from the first."""
        chords = self.chords
        kept = (chords.ends > start) & (chords.starts < end)
        return Arrangement(
            tuple(part.excerpt(start, end) for part in self.parts),
            Segments(
                np.maximum(chords.starts[kept] - start, 0.0),
                np.minimum(chords.ends[kept], end) - start,
                [label for label, keep in zip(chords.labels, kept, strict=True) if keep],
                "chord",
            ),
        )


def is_song(folder: Path) -> bool:
    """Tell whether a folder holds a song, with notes and chords."""
    return (folder / "chord_midi.txt").is_file() and (folder / f"{folder.name}.mid").is_file()


def read_song(folder: Path) -> MidiSong:
    """Read a song's folder."""
    chords = read_segments(folder / "chord_midi.txt")
    try:
        table = np.loadtxt(folder / "beat_midi.txt", ndmin=2)
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / 'beat_midi.txt'}: cannot be read: {error}") from error
    return MidiSong(
        folder.name,
        tuple(read_midi(folder / f"{folder.name}.mid")),
        replace(chords, name="chord"),
        table[:, 0],
        table[:, -1] > 0,
    )


def solo_piano(song: MidiSong, rng: np.random.Generator) -> Arrangement:
    """Arrange a song for piano alone: its accompaniment, at times with its melody."""
    program = int(rng.choice(PIANOS))
    names = {"PIANO"} if rng.random() < 0.5 else {"PIANO", "MELODY"}
    parts = [part for part in song.parts if part.name in names] or list(song.parts)
    return Arrangement(
        tuple(_played(replace(part, program=program, drums=False), rng) for part in parts),
        song.chords,
    )


def with_band(song: MidiSong, rng: np.random.Generator) -> Arrangement:
    """Arrange a song for a band: its own parts on random instruments, and at times more."""
    choices = {"MELODY": (0.85, LEADS), "BRIDGE": (0.8, (*LEADS, *PADS))}
    band = []
    for part in song.parts:
        chance, programs = choices.get(part.name, (0.95, (*KEYS, *KEYS, *GUITARS, *PADS)))
        if rng.random() > chance:
            continue
        program = int(rng.choice(programs)) if rng.random() < 0.8 else 0
        band.append(replace(part, program=program, drums=False, volume=_volume(rng)))
    harmony = _harmony(song.chords)
    if rng.random() < 0.55 or not band:
        band.append(_bass(harmony, song.beats, rng))
    if rng.random() < 0.25:
        band.append(_held(harmony, song.beats, rng, PADS))
    if rng.random() < 0.25:
        band.append(_struck(harmony, song.beats, rng, GUITARS))
    band = [_played(part, rng) for part in band]
    if rng.random() < 0.7:
        band.append(_drums(song.beats, song.bars, rng))
    return Arrangement(tuple(part for part in band if part.notes), song.chords)


def single_chords(
    seconds: float,
    rng: np.random.Generator,
    *,
    program: int | None = None,
    muted: float | None = None,
) -> Arrangement:
    """Arrange single chords for one instrument, most often a guitar, which rings after each.

    In some the third is muted and hardly sounds. A major third is among the overtones of every
    root, so only such examples teach that a faint minor third means more than a clear major one.
    """
    chords = _progression(seconds, float(rng.uniform(0.4, 1.2)), rng)
    families = (GUITARS, (*PIANOS, *MALLETS), BOWED_AND_BLOWN)
    family = families[int(rng.choice(3, p=(0.5, 0.25, 0.25)))]
    program = int(rng.choice(family)) if program is None else program
    usual = 0.6 if rng.random() < 0.4 else 0.0
    share = usual if muted is None else muted
    notes = []
    for start, end, chord in _harmony(chords):
        spread, rings = rng.uniform(0, 0.04), rng.uniform(0.5, 1.0)
        pitches = _voicing(chord, rng, program)
        third = (chord.root + QUALITIES[chord.quality][1]) % 12
        softer = rng.uniform(0.15, 0.8) if share and rng.random() < share else 1.0
        for rank, pitch in enumerate(pitches if rng.random() < 0.7 else pitches[::-1]):
            begin = min(start + rank * spread, end - 0.05)
            loudness = (85 + rng.normal(0, 14)) * (softer if pitch % 12 == third else 1.0)
            velocity = int(np.clip(loudness, 12, 127))  # one string sounds by little
            notes.append(
                Note(begin, max(begin + 0.05, start + rings * (end - start)), pitch, velocity)
            )
    return Arrangement((Part(tuple(notes), program, name="SINGLE"),), chords)


def drums_alone(seconds: float, rng: np.random.Generator) -> Arrangement:
    """Arrange drums alone, without any chord."""
    beats = np.arange(0.0, seconds + 1, 60 / rng.uniform(60, 170))
    part = _played(_drums(beats, np.arange(len(beats)) % 4 == 0, rng), rng)
    return Arrangement((part,), Segments(np.zeros(1), np.array([beats[-1]]), ["N"], "chord"))


def random_song(seconds: float, rng: np.random.Generator) -> Arrangement:
    """Make a song of random chords: every quality on every root, in many voicings."""
    beat = 60 / rng.uniform(60, 170)
    chords = _progression(seconds, beat, rng)
    end = float(chords.ends[-1])
    beats = np.arange(0.0, end, beat)
    bars = np.arange(len(beats)) % 4 == 0
    harmony = _harmony(chords)
    players = (_held, _struck, _broken)
    band = [players[int(rng.integers(3))](harmony, beats, rng, CHORDAL)]
    if rng.random() < 0.3:
        band.append(players[int(rng.integers(3))](harmony, beats, rng, CHORDAL))
    if rng.random() < 0.6:
        band.append(_bass(harmony, beats, rng))
    if rng.random() < 0.5:
        band.append(_tune(harmony, beats, rng))
    band = [_played(part, rng) for part in band]
    if rng.random() < 0.5:
        band.append(_drums(beats, bars, rng))
    return Arrangement(tuple(part for part in band if part.notes), chords)


Harmony = Sequence[tuple[float, float, Chord]]


def _harmony(chords: Segments) -> list[tuple[float, float, Chord]]:
    """List the segments with a chord: start, end and chord."""
    triples = zip(chords.starts.tolist(), chords.ends.tolist(), chords.labels, strict=True)
    return [(start, end, chord) for start, end, label in triples if (chord := parse(label))]


def _beat(beats: NDArray[np.float64]) -> float:
    """Median length of a beat, in seconds."""
    return float(np.median(np.diff(beats))) if len(beats) > 1 else 0.5


def _volume(rng: np.random.Generator) -> int:
    return int(rng.integers(60, 128))


def _progression(seconds: float, beat: float, rng: np.random.Generator) -> Segments:
    """Chords in a key or in none, each lasting a few beats, with a rest now and then."""
    names = list(WEIGHTS)
    weights = np.array([WEIGHTS[name] for name in names])
    weights /= weights.sum()
    tonic, mode = int(rng.integers(12)), str(rng.choice(["maj", "min"]))
    in_key = rng.random() < 0.5
    lengths = rng.choice([1, 2, 2, 4, 4, 8]) * np.ones(4)
    starts, ends, labels = [], [], []
    now = 0.0
    while now < seconds:
        root = int(rng.integers(12))
        if in_key and rng.random() < 0.85:
            root = (tonic + int(rng.choice(SCALES[mode]))) % 12
        quality = str(rng.choice(names, p=weights))
        if in_key and rng.random() < 0.5:
            third = (root + 4 - tonic) % 12 in SCALES[mode]
            quality = "maj" if third else "min"
        steps = QUALITIES[quality]
        bass = int(rng.choice(steps[1:])) if rng.random() < 0.25 else 0
        chord = Chord(root, quality, bass)
        long = beat * (float(rng.choice(lengths)) if rng.random() < 0.8 else rng.integers(1, 5))
        starts.append(now)
        ends.append(now + long)
        labels.append(chord.label() if rng.random() > 0.03 else "N")
        now += long
    return Segments(np.array(starts), np.array(ends), labels, "chord")


def _voicing(chord: Chord, rng: np.random.Generator, program: int = 0) -> list[int]:
    """Spread a chord: its bass lowest, every tone at least once, some twice; or finger it."""
    if program in GUITARS and not chord.bass and rng.random() < 0.75 and chord.quality in SHAPES:
        shapes = SHAPES[chord.quality]
        lowest, strings = shapes[int(rng.integers(len(shapes)))]
        root = lowest + (chord.root - lowest) % 12
        # At times the highest strings are not struck; those of four tones must be.
        struck = strings if rng.random() < 0.7 else strings[: max(4, len(strings) - 1)]
        return [root + string for string in struck]
    low = int(rng.integers(40, 60))
    lowest = low + (chord.root + chord.bass - low) % 12
    tones = [(chord.root + step) % 12 for step in QUALITIES[chord.quality]]
    fifth = (chord.root + 7) % 12
    if len(tones) > 3 and rng.random() < 0.15 and fifth in tones:
        tones.remove(fifth)
    reach = int(rng.choice([12, 12, 16, 24]))
    pitches = {lowest}
    for tone in tones:
        above = lowest + 1 + (tone - lowest - 1) % 12
        pitches.add(above + 12 * int(rng.integers(0, max(1, reach // 12))))
    for tone in rng.permutation(tones)[: int(rng.integers(0, 4))]:
        pitches.add(lowest + 1 + (int(tone) - lowest - 1) % 12 + 12 * int(rng.integers(0, 2)))
    if rng.random() < 0.2 and chord.bass == 0:
        pitches.add(lowest - 12)
    return sorted(pitch for pitch in pitches if 28 <= pitch <= 96)


def _held(
    harmony: Harmony, beats: NDArray[np.float64], rng: np.random.Generator, programs: Sequence[int]
) -> Part:
    """Hold every chord as long as it lasts."""
    program = int(rng.choice(programs))
    notes = [
        Note(start, end - 0.01, pitch, 80)
        for start, end, chord in harmony
        for pitch in _voicing(chord, rng, program)
    ]
    return Part(tuple(notes), program, volume=_volume(rng), name="HELD")


def _struck(
    harmony: Harmony, beats: NDArray[np.float64], rng: np.random.Generator, programs: Sequence[int]
) -> Part:
    """Strike every chord again and again, in a rhythm, from the lowest string or the highest."""
    notes = []
    program = int(rng.choice(programs))
    rhythm = rng.random(8) < rng.uniform(0.3, 0.9)
    spread = rng.uniform(0, 0.03)
    long = rng.uniform(0.5, 1.0)
    for start, end, chord in harmony:
        pitches = _voicing(chord, rng, program)
        inside = beats[(beats > start + 0.05) & (beats < end - 0.05)]
        step = _beat(beats)
        at = sorted({start, *inside, *(inside + step / 2), start + step / 2})
        at = [t for k, t in enumerate(at) if t < end - 0.05 and (k == 0 or rhythm[k % 8])]
        for k, (t, stop) in enumerate(zip(at, [*at[1:], end], strict=True)):
            order = pitches if k % 2 == 0 else pitches[::-1]
            for rank, pitch in enumerate(order):
                begin = min(t + rank * spread, stop - 0.03)
                notes.append(Note(begin, max(begin + 0.03, t + long * (stop - t)), pitch, 85))
    return Part(tuple(notes), program, volume=_volume(rng), name="STRUCK")


def _broken(
    harmony: Harmony, beats: NDArray[np.float64], rng: np.random.Generator, programs: Sequence[int]
) -> Part:
    """Play the tones of a chord one after another."""
    notes = []
    program = int(rng.choice(programs))
    share = float(rng.choice([0.25, 0.5, 0.5, 1 / 3]))
    step = share * _beat(beats)
    held = rng.random() < 0.6  # as with a pedal
    for start, end, chord in harmony:
        pitches = _voicing(chord, rng, program)
        turn = pitches + pitches[-2:0:-1] if rng.random() < 0.6 else list(rng.permutation(pitches))
        for k, t in enumerate(np.arange(start, end - 0.02, step)):
            pitch = int(turn[k % len(turn)])
            stop = end if held else min(t + 1.2 * step, end)
            notes.append(Note(float(t), max(float(stop), float(t) + 0.03), pitch, 80))
    return Part(tuple(notes), program, volume=_volume(rng), name="BROKEN")


def _bass(harmony: Harmony, beats: NDArray[np.float64], rng: np.random.Generator) -> Part:
    """Play the lowest notes, held or on the beats, at times with the fifth or on the way."""
    notes = []
    style = rng.choice(["held", "beats", "eighths", "walking"])
    octave = int(rng.integers(0, 2)) * 12
    for start, end, chord in harmony:
        low = 28 + octave // 2 + (chord.root + chord.bass - 28 - octave // 2) % 12
        inside = beats[(beats > start + 0.1) & (beats < end - 0.1)]
        step = _beat(beats)
        at = [start] if style == "held" else [start, *inside]
        if style == "eighths":
            at = sorted({*at, *(t + step / 2 for t in at if t + step / 2 < end - 0.1)})
        for k, (t, stop) in enumerate(zip(at, [*at[1:], end], strict=True)):
            pitch = low
            if style == "walking" and k:
                pitch = low + int(rng.choice([0, 12, *QUALITIES[chord.quality]]))
            elif k and rng.random() < 0.15:
                pitch = low + int(rng.choice([0, 7, 12])) if chord.bass == 0 else low
            notes.append(Note(t, max(t + 0.05, stop - 0.02), min(pitch, 60), 90))
    return Part(tuple(notes), int(rng.choice(BASSES)), volume=_volume(rng), name="BASS")


def _tune(harmony: Harmony, beats: NDArray[np.float64], rng: np.random.Generator) -> Part:
    """Sing over the chords: their tones, and the steps between."""
    notes = []
    pitch = int(rng.integers(60, 80))
    step = _beat(beats)
    for start, end, chord in harmony:
        tones = sorted(chord.pitch_classes)
        t = start
        while t < end - 0.05:
            long = step * float(rng.choice([0.5, 0.5, 1, 1, 2]))
            if rng.random() < 0.65:
                near = [p for p in range(pitch - 7, pitch + 8) if p % 12 in tones]
                pitch = int(rng.choice(near))
            else:
                pitch += int(rng.choice([-2, -1, 1, 2]))
            pitch = int(np.clip(pitch, 55, 88))
            if rng.random() < 0.85:
                notes.append(Note(t, min(t + long, end), pitch, 95))
            t += long
    return Part(tuple(notes), int(rng.choice(LEADS)), volume=_volume(rng), name="TUNE")


def _drums(beats: NDArray[np.float64], bars: NDArray[np.bool_], rng: np.random.Generator) -> Part:
    """Drum a pattern of eight eighths that changes now and then."""
    notes: list[Note] = []
    hat = int(rng.choice([CLOSED, CLOSED, RIDE, TAMBOURINE, SHAKER]))
    back = int(rng.choice([SNARE, SNARE, STICK, CLAP]))
    kick = rng.random(8) < np.array([0.95, 0.15, 0.25, 0.3, 0.6, 0.2, 0.3, 0.3])
    sixteenths = rng.random() < 0.3
    place = 0
    for index, (beat, bar) in enumerate(zip(beats[:-1].tolist(), bars[:-1].tolist(), strict=True)):
        step = float(beats[index + 1]) - beat
        place = 0 if bar else (place + 1) % 4
        fill = place == 3 and rng.random() < 0.1
        if bar and rng.random() < 0.1:
            notes.append(Note(beat, beat + 1, CRASH, int(rng.integers(70, 115))))
        for half in (0, 1):
            t = beat + half * step / 2
            if kick[(2 * place + half) % 8]:
                notes.append(Note(t, t + 0.2, KICK, int(rng.integers(85, 120))))
            notes.append(Note(t, t + 0.2, hat, int(rng.integers(45, 100))))
            if sixteenths:
                notes.append(Note(t + step / 4, t + step / 4 + 0.1, hat, int(rng.integers(30, 80))))
            if (half == 0 and place in (1, 3)) or fill:
                notes.append(Note(t, t + 0.2, back, int(rng.integers(80, 120))))
        if rng.random() < 0.05:
            notes.append(Note(beat + step / 2, beat + step, OPEN, 80))
    return Part(tuple(notes), int(rng.choice(KITS)), True, _volume(rng), "DRUMS")


def _played(part: Part, rng: np.random.Generator) -> Part:
    """Play louder and softer, and a little before and after the time, as hands do."""
    scale, spread, loose = rng.uniform(0.7, 1.2), rng.uniform(0, 12), rng.uniform(0, 0.012)
    notes = []
    for note in part.notes:
        late = float(rng.normal(0, loose))
        start = max(note.start + late, 0.0)
        velocity = int(np.clip(note.velocity * scale + rng.normal(0, spread), 25, 127))
        notes.append(Note(start, max(note.end + late, start + 0.03), note.pitch, velocity))
    return replace(part, notes=tuple(notes))
