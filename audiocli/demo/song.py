"""A song made by code alone, with exact reference annotations: what the examples run on.

:func:`compose` plays the score below on the instruments of :mod:`audiocli.demo.synth`
and returns half a minute of pop in four stems, with the onsets, chords, beats and
notes it was made from. :func:`write_demo` writes that as files.

Units: times are seconds from the start of the song; audio is int16 of shape
(2, samples) at :data:`SAMPLE_RATE`. The stems add up to the mixture exactly, as
integers. The same machine and numpy make the same bytes every time; another
processor may round a few samples the other way, by one step of 16 bits.

Limits: the singer is a simple formant synthesiser (see :mod:`audiocli.demo.synth`)
and everybody plays on the grid, so the song is easier than a recording.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiocli.demo import synth
from audiocli.demo.synth import SAMPLE_RATE
from audiocli.errors import UsageError

__all__ = ["SAMPLE_RATE", "Chord", "DemoSong", "Note", "compose", "write_demo"]

Stem = NDArray[np.int16]

# ---------------------------------------------------------------- the score

TEMPO = 100.0  # beats a minute
KEY = "C major"
BEATS_A_BAR = 4
STEPS_A_BEAT = 4  # the score is written in sixteenth notes
LEAD_STEPS = 2  # silence before the first bar
TAIL_STEPS = 4  # room for the last notes to die away

# One row a bar. Chords change on the beat, "." stays. In the other columns a character is
# a sixteenth note: in keys x strikes the whole chord and 1 to 4 one voice of it from the
# bottom, in bass R is the written note and 8 its octave. Drums name the grooves below.
BARS = (
    # chords               keys                bass                drums
    ("C:maj7 . . .",       "x...4.3.2.3.4.3.", "R...............", "count in"),
    ("F:maj7 . G:sus4 G:7", "x...4.3.x...x...", "R.......R...R...", "count in + pick up"),
    ("C:maj . . .",        "x.....x...x.....", "R..R..R...8.R...", "verse + crash"),
    ("G:maj/3 . . .",      "x.....x...x...3.", "R..R..R...8.R...", "verse"),
    ("A:min7 . . .",       "x.....x...x.....", "R..R..R...8.R...", "verse"),
    ("F:maj7 . . .",       "x.....x...x...3.", "R..R..R...8.R.8.", "verse"),
    ("D:min7 . G:7 .",     "x.2.3.4.x.2.3.4.", "R.....8.R.....8.", "verse + fill"),
    ("F:maj7 . . .",       "x..x..x...x..x..", "R.8.R.8.R.8.R.8.", "chorus + crash"),
    ("G:7 . . .",          "x..x..x...x..x..", "R.8.R.8.R.8.R.8.", "chorus"),
    ("E:min7 . A:min .",   "x..x..x.x..x..x.", "R.8.R.8.R.8.R.8.", "chorus"),
    ("D:min7 . G:sus4 G:7", "x..x..x.x...x...", "R.8.R.8.R...R.8.", "chorus + pick up"),
    ("C:maj . . .",        "x...2.3.4.......", "R...............", "end"),
)  # fmt: skip

# what the bass and the keys play; the bass makes the inversion
VOICINGS = {
    "C:maj": ("C2", "C3 G3 C4 E4"),
    "C:maj7": ("C2", "C3 G3 B3 E4"),
    "D:min7": ("D2", "D3 A3 C4 F4"),
    "E:min7": ("E2", "E3 B3 D4 G4"),
    "F:maj7": ("F1", "F3 A3 C4 E4"),
    "G:7": ("G1", "G3 B3 D4 F4"),
    "G:sus4": ("G1", "G3 C4 D4 G4"),
    "G:maj/3": ("B1", "B2 G3 D4 G4"),
    "A:min": ("A1", "A2 E3 C4 A4"),
    "A:min7": ("A1", "A2 G3 C4 E4"),
}

# "verse + fill" is the verse with the rows that the fill has in place of its own
GROOVES = {
    "count in": {"kick": "X.......X.......", "hihat": "x.-.x.-.x.-.x.-."},
    "verse": {
        "kick": "X.....x.x.......",
        "snare": "....X.......X...",
        "hihat": "x.-.x.-.x.-.x...",
        "open hihat": "..............-.",
    },
    "chorus": {
        "kick": "X.....x.x.x.....",
        "snare": "....X.......X..-",
        "hihat": "x-x-x-x-x-x-x-x-",
    },
    "pick up": {"hihat": "x.-.x.-.x.......", "snare": "..........-.xxXX"},
    "fill": {
        "hihat": "x.-.x.-.x.......",
        "open hihat": "................",
        "snare": "....X.....x.x...",
        "tom": "...........-.xXX",
    },
    "crash": {"crash": "X..............."},
    "end": {"kick": "X...............", "crash": "X..............."},
}
DRUM_KIT = {  # gain, and place from -1, left, to 1, right
    "kick": (0.7, 0.0),
    "snare": (1.1, 0.0),
    "tom": (0.8, -0.3),
    "hihat": (0.3, 0.25),
    "open hihat": (0.22, 0.25),
    "crash": (0.18, -0.4),
}
VELOCITIES = {"-": 0.4, "x": 0.75, "X": 1.0}

# the tune: the beat a phrase starts on, then pitch, beats and syllable of its notes
PHRASES = (
    (8, "G4 1 so, E4 .5 le, D4 1 mi, C4 .5 o, D4 .5 la, E4 .5 lu, D4 1.5 na, B3 .5 sa, D4 1 le"),
    (16, "A3 .5 to, C4 .5 ma, E4 1 ni, A4 1 ka, G4 1 te, A4 2.5 la"),
    (28, "C5 1.5 la, D5 .5 lu, E5 1.5 na, D5 .5 so, D5 1 le, B4 .5 mi, G4 1.5 a"),
    (36, "G4 .5 e, A4 .5 la, B4 1 so, C5 1.5 le, B4 .5 ti, A4 1 ka, F4 .5 ta, A4 .5 no,"
         "G4 .5 i, A4 .5 ma, B4 1 do, C5 3 la"),
)  # fmt: skip

PARTS = ("vocals", "bass", "chords", "drums")
LEVELS = {"vocals": -2.0, "bass": -6.0, "chords": -5.5, "drums": -5.5}  # dB RMS, to each other
ROOM = {"vocals": 0.22, "bass": 0.0, "chords": 0.2, "drums": 0.2}  # gain of the reverberation
ROOM_SECONDS = 0.4
PEAK = 10.0 ** (-1.0 / 20.0)  # of the mixture: -1 dBFS
LABELS: dict[str, Any] = {
    "instruments": ["singer", "bass", "electric piano", "drums"],
    "genres": ["pop", "electropop"],
    "moods": ["happy", "bright"],
}
ONSETS_MERGE = 0.030  # s; attacks closer than this count as one
SEED = 1980

# ---------------------------------------------------------------- the song


@dataclass(frozen=True)
class Note:
    """One note or hit.

    Parameters
    ----------
    part : str
        The stem it is in.
    start, end : float
        Seconds; at `end` the key is let go, and a short release may still sound.
    pitch : int or str
        MIDI note number, or the name of the drum.

    Examples
    --------
    >>> Note("bass", 0.3, 0.9, 36).pitch
    36
    """

    part: str
    start: float
    end: float
    pitch: int | str


@dataclass(frozen=True)
class Chord:
    """One chord.

    Parameters
    ----------
    start, end : float
        Seconds.
    label : str
        In the syntax of Harte (2005): ``C:maj7``, ``G:maj/3``, or ``N`` for none.

    Examples
    --------
    >>> Chord(0.0, 2.4, "A:min7").label
    'A:min7'
    """

    start: float
    end: float
    label: str


@dataclass(frozen=True, eq=False)
class DemoSong:
    """A song and its reference annotations.

    Parameters
    ----------
    stems : dict of str to ndarray of shape (2, samples), int16
        ``vocals``, ``bass``, ``chords`` and ``drums``.
    onsets : tuple of float
        Seconds at which something is struck, plucked or begins a syllable; starts
        within 30 ms of the first of them count as that one.
    notes : tuple of Note
        What every part plays, in order of time.
    chords : tuple of Chord
        From 0 to the end of the file, without a gap.
    beats : tuple of float
        Seconds; four to the bar, the first is a downbeat.
    key : str
        Tonic and mode.
    tempo : float
        Beats a minute.
    labels : dict
        ``instruments``, ``genres``, ``moods``, and two lists of [start, end] in
        seconds: ``vocals``, with their reverberation, and ``breaks``, everything
        else, where the stem of the vocals is exactly zero.

    Examples
    --------
    >>> silence = np.zeros((2, 1), dtype=np.int16)
    >>> stems = {"vocals": silence, "bass": silence, "chords": silence, "drums": silence}
    >>> DemoSong(stems, (), (), (), (), "C major", 100.0, {}).mixture.shape
    (2, 1)
    """

    stems: dict[str, Stem]
    onsets: tuple[float, ...]
    notes: tuple[Note, ...]
    chords: tuple[Chord, ...]
    beats: tuple[float, ...]
    key: str
    tempo: float
    labels: dict[str, Any]

    @property
    def mixture(self) -> Stem:
        """All stems together, int16 of shape (2, samples)."""
        return _add(self.stems[part] for part in PARTS)

    @property
    def accompaniment(self) -> Stem:
        """All stems but the vocals, int16 of shape (2, samples)."""
        return _add(self.stems[part] for part in PARTS if part != "vocals")


def _add(stems: Iterable[Stem]) -> Stem:
    """Sum that cannot overflow: the level of the mixture leaves 1 dB."""
    return np.asarray(sum(stem.astype(np.int32) for stem in stems)).astype(np.int16)


def compose() -> DemoSong:
    """Play the score.

    Returns
    -------
    DemoSong
        Half a minute of pop in C major; its mixture peaks at -1 dBFS. Always the same.

    Examples
    --------
    >>> song = compose()
    >>> song.mixture.shape, song.chords[1]
    ((2, 1309770), Chord(start=0.3, end=2.7, label='C:maj7'))
    >>> bool((song.stems["vocals"] + song.accompaniment == song.mixture).all())
    True
    """
    steps = len(BARS) * BEATS_A_BAR * STEPS_A_BEAT
    samples = _sample(steps + TAIL_STEPS)
    notes: list[Note] = []
    sung: list[list[float]] = []
    stems = {}
    for part, play in (("vocals", _sing), ("bass", _bass), ("chords", _keys), ("drums", _drums)):
        stem = np.zeros((2, samples))
        rng = np.random.default_rng([SEED, PARTS.index(part)])
        for start, sound, played in play(rng):
            stop = min(samples, start + sound.shape[1])
            stem[:, start:stop] += sound[:, : stop - start]
            notes += played
            if part == "vocals":
                sung.append([_seconds(start), _seconds(stop + round(ROOM_SECONDS * SAMPLE_RATE))])
        stems[part] = synth.reverberate(stem, ROOM_SECONDS, ROOM[part], rng)
    edges = [0.0, *(edge for span in sung for edge in span), _seconds(samples)]
    breaks = [list(span) for span in zip(edges[::2], edges[1::2], strict=True)]
    notes.sort(key=lambda note: (note.start, PARTS.index(note.part), str(note.pitch)))
    return DemoSong(
        stems=_mix(stems),
        onsets=_merge(note.start for note in notes),
        notes=tuple(notes),
        chords=_chords(),
        beats=tuple(_seconds(_sample(step)) for step in range(0, steps, STEPS_A_BEAT)),
        key=KEY,
        tempo=TEMPO,
        labels={**LABELS, "vocals": sung, "breaks": breaks},
    )


def _sample(step: float) -> int:
    """Sample at which a sixteenth note of the score starts."""
    return round((LEAD_STEPS + step) * SAMPLE_RATE * 60.0 / TEMPO / STEPS_A_BEAT)


def _seconds(sample: int) -> float:
    return sample / SAMPLE_RATE


def _midi(name: str) -> int:
    """MIDI note number of a natural note: C4 is 60."""
    return 12 * (int(name[1:]) + 1) + "C.D.EF.G.A.B".index(name[0])


def _merge(starts: Iterable[float]) -> tuple[float, ...]:
    onsets: list[float] = []
    for start in sorted(starts):
        if not onsets or start - onsets[-1] > ONSETS_MERGE:
            onsets.append(start)
    return tuple(onsets)


def _mix(stems: dict[str, NDArray[np.float64]]) -> dict[str, Stem]:
    """Balance the stems and round each one, so that what is summed are integers."""
    balanced = {
        part: stem * 10.0 ** (LEVELS[part] / 20.0) / np.std(stem) for part, stem in stems.items()
    }
    gain = 32767.0 * PEAK / np.max(np.abs(sum(balanced.values())))
    return {part: np.rint(gain * stem).astype(np.int16) for part, stem in balanced.items()}


# ---------------------------------------------------------------- the players

# what a player yields: the sample to start at, the sound (2, samples), the notes in it
Take = tuple[int, NDArray[np.float64], list[Note]]


def _harmony() -> list[tuple[int, int, str]]:
    """First step, step after the last, and label of every chord of the score."""
    slots = [slot for bar in BARS for slot in bar[0].split()]
    starts = [i for i, slot in enumerate(slots) if slot != "."]
    return [
        (start * STEPS_A_BEAT, stop * STEPS_A_BEAT, slots[start])
        for start, stop in zip(starts, [*starts[1:], len(slots)], strict=True)
    ]


def _chords() -> tuple[Chord, ...]:
    """Chords of the whole file: none before the first bar and after the last."""
    harmony = _harmony()
    chords = [Chord(_seconds(_sample(a)), _seconds(_sample(b)), label) for a, b, label in harmony]
    end = _seconds(_sample(harmony[-1][1] + TAIL_STEPS))
    return (Chord(0.0, chords[0].start, "N"), *chords, Chord(chords[-1].end, end, "N"))


def _sing(rng: np.random.Generator) -> Iterator[Take]:
    for beat, text in PHRASES:
        step = float(beat * STEPS_A_BEAT)
        phrase: list[synth.Syllable] = []
        notes: list[Note] = []
        for word in text.split(","):
            name, beats, syllable = word.split()
            start, stop = _sample(step), _sample(step + float(beats) * STEPS_A_BEAT)
            sounds = syllable[:-1], syllable[-1]
            # A syllable is perceived to begin in the middle of its consonant; singers aim for that.
            begin = start - round(synth.consonant_seconds(sounds[0]) * SAMPLE_RATE / 2)
            if phrase:
                phrase[-1] = replace(phrase[-1], stop=begin)
            phrase.append(synth.Syllable(begin, stop, _midi(name), *sounds))
            notes.append(Note("vocals", _seconds(start), _seconds(stop), _midi(name)))
            step += float(beats) * STEPS_A_BEAT
        first = phrase[0].start
        shifted = [
            replace(each, start=each.start - first, stop=each.stop - first) for each in phrase
        ]
        yield first, synth.pan(synth.sing(shifted, rng), 0.0), notes


def _bass(rng: np.random.Generator) -> Iterator[Take]:
    line = "".join(bar[2] for bar in BARS)
    for first, last, label in _harmony():
        root = _midi(VOICINGS[label][0])
        hits = [step for step in range(first, last) if line[step] != "."]
        for step, following in zip(hits, [*hits[1:], last], strict=True):
            pitch = root + 12 * (line[step] == "8")
            start, stop = _sample(step), _sample(following - 0.5)
            sound = synth.bass(pitch, _seconds(stop - start), 0.8 if line[step] == "8" else 1.0)
            note = Note("bass", _seconds(start), _seconds(stop), pitch)
            yield start, synth.pan(sound, 0.0), [note]


def _keys(rng: np.random.Generator) -> Iterator[Take]:
    """Strike voices, each ringing until it is struck again or the chord changes."""
    line = "".join(bar[1] for bar in BARS)
    strum = round(0.006 * SAMPLE_RATE)  # the fingers land one after another
    for first, last, label in _harmony():
        for voice, name in enumerate(VOICINGS[label][1].split()):
            hits = [step for step in range(first, last) if line[step] in ("x", str(voice + 1))]
            for step, following in zip(hits, [*hits[1:], last], strict=True):
                chord = line[step] == "x"
                start, stop = _sample(step) + strum * voice * chord, _sample(following)
                velocity = 0.9 if step == first else 0.75
                sound = synth.electric_piano(_midi(name), _seconds(stop - start), velocity)
                note = Note("chords", _seconds(start), _seconds(stop), _midi(name))
                yield start, synth.pan(sound, (0.2, -0.7, 0.7, -0.3)[voice]), [note]


def _drums(rng: np.random.Generator) -> Iterator[Take]:
    for bar, row in enumerate(BARS):
        groove: dict[str, str] = {}
        for name in row[3].split(" + "):
            groove |= GROOVES[name]
        for drum, line in groove.items():
            for step, mark in enumerate(line):
                if mark == ".":
                    continue
                start = _sample(bar * BEATS_A_BAR * STEPS_A_BEAT + step)
                gain, place = DRUM_KIT[drum]
                sound = VELOCITIES[mark] * gain * synth.DRUMS[drum](rng)
                note = Note("drums", _seconds(start), _seconds(start + sound.size), drum)
                yield start, synth.pan(sound, place), [note]


# ---------------------------------------------------------------- the files


def write_demo(folder: str | os.PathLike[str], *, overwrite: bool = False) -> list[Path]:
    """Write the song, its stems and its reference annotations.

    In `folder`: ``song.wav``; ``song.onsets`` and ``song.beats``, seconds, one a line;
    ``song.lab``, a line ``start end label`` a chord; ``song.json`` with key, tempo,
    labels and notes; and ``stems/`` with ``vocals.wav`` and ``accompaniment.wav``,
    which add up to ``song.wav``, and ``bass.wav``, ``chords.wav`` and ``drums.wav``,
    which add up to the accompaniment.

    Parameters
    ----------
    folder : str or os.PathLike
        Where to; made if it is not there.
    overwrite : bool
        Replace files of the same name that hold something else.

    Returns
    -------
    list of Path
        The files, whether written now or found as they should be.

    Raises
    ------
    UsageError
        If a file holds something else and `overwrite` is false, in which case
        nothing is written; or if the folder cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in write_demo(Path(folder))[:5]]
    ['song.wav', 'song.onsets', 'song.lab', 'song.beats', 'song.json']
    """
    contents = {Path(folder, name): data for name, data in _files(compose()).items()}
    try:
        stale = [path for path, data in contents.items() if not _holds(path, data)]
        for path in stale:
            if path.exists() and not (overwrite and path.is_file()):
                raise UsageError(
                    f"{path}: exists with other content, so nothing was written; "
                    "move it away, name another folder, or replace it with {overwrite}",
                    "overwrite",
                )
        Path(folder, "stems").mkdir(parents=True, exist_ok=True)
        for path in stale:
            _write(path, contents[path])
    except OSError as error:
        raise UsageError(
            f"{folder}: cannot be written to ({error}); name a folder that is writable or not there"
        ) from error
    return list(contents)


def _files(song: DemoSong) -> dict[str, bytes]:
    """Content of every file, by its name in the folder."""
    reference = {
        "key": song.key,
        "tempo": song.tempo,
        "labels": song.labels,
        "notes": [asdict(note) for note in song.notes],
    }
    chords = [f"{chord.start:.6f} {chord.end:.6f} {chord.label}" for chord in song.chords]
    return {
        "song.wav": _wav(song.mixture),
        "song.onsets": _lines(f"{onset:.6f}" for onset in song.onsets),
        "song.lab": _lines(chords),
        "song.beats": _lines(f"{beat:.6f}" for beat in song.beats),
        "song.json": _lines([json.dumps(reference, indent=1)]),
        "stems/accompaniment.wav": _wav(song.accompaniment),
        **{f"stems/{part}.wav": _wav(song.stems[part]) for part in PARTS},
    }


def _wav(audio: Stem) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, audio.T, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _holds(path: Path, data: bytes) -> bool:
    return path.is_file() and path.read_bytes() == data


def _write(path: Path, data: bytes) -> None:
    """Write all of it or nothing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
