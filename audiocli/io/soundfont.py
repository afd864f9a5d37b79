"""Render notes to sound with FluidSynth, and tell when each note sounds.

Symbolic music is plentiful and exact; sound fonts make it audible. What is
rendered is training data for tasks whose reference annotations follow from the notes: onsets,
chords.

Units: times in seconds, pitches and velocities as in MIDI (0 to 127).
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import mido
import numpy as np
import soundfile
from numpy.typing import NDArray

from audiocli.errors import DataError, UsageError

__all__ = ["DRUM_CHANNEL", "Note", "Part", "attack_delay", "onsets_of", "read_midi", "render"]

DRUM_CHANNEL = 9
SUSTAIN = 64  # controller of the pedal
TICKS = 1000  # a second, at the tempo that is written: a tick is a millisecond
RISE = 0.1  # share of its early peak at which a note is there
LABEL_LEAD = 0.003  # annotators put an onset this many seconds before the energy's rise


@dataclass(frozen=True)
class Note:
    """One note.

    Parameters
    ----------
    start, end : float
        In seconds.
    pitch, velocity : int
        As in MIDI.
    """

    start: float
    end: float
    pitch: int
    velocity: int


@dataclass(frozen=True)
class Part:
    """Notes that one instrument plays.

    Parameters
    ----------
    notes : tuple of Note
        In any order.
    program : int
        General MIDI program, counted from 0; of drums, the kit.
    drums : bool
        Whether pitches are drums.
    volume : int
        MIDI volume, 0 to 127.
    name : str
        Of the track it was read from.
    """

    notes: tuple[Note, ...]
    program: int = 0
    drums: bool = False
    volume: int = 100
    name: str = ""

    def excerpt(self, start: float, end: float) -> Part:
        """Keep the notes that begin between two times, and count time from the first."""
        kept = (note for note in self.notes if start <= note.start < end)
        return replace(
            self,
            notes=tuple(
                replace(note, start=note.start - start, end=min(note.end, end) - start)
                for note in kept
            ),
        )

    def transposed(self, semitones: int) -> Part:
        """Move every pitch; octaves fold what would leave MIDI's range."""

        def moved(pitch: int) -> int:
            pitch += semitones
            return pitch + 12 if pitch < 0 else pitch - 12 if pitch > 127 else pitch

        return replace(
            self, notes=tuple(replace(note, pitch=moved(note.pitch)) for note in self.notes)
        )

    def stretched(self, factor: float) -> Part:
        """Play `factor` times as slow."""
        return replace(
            self,
            notes=tuple(
                replace(note, start=note.start * factor, end=note.end * factor)
                for note in self.notes
            ),
        )


def read_midi(path: Path, *, pedal: bool = False) -> list[Part]:
    """Read the tracks of a Standard MIDI file; with `pedal`, notes sound until it is lifted."""
    try:
        midi = mido.MidiFile(path)
    except (
        OSError, ValueError, EOFError, KeyError, IndexError, mido.KeySignatureError
    ) as error:  # fmt: skip
        reason = getattr(error, "strerror", None) or str(error) or "it ends too soon"
        raise DataError(f"{path}: is not a MIDI file: {reason}") from error
    if midi.ticks_per_beat <= 0:
        raise DataError(f"{path}: counts time in frames of film; only beats can be read")
    clock = _Clock(midi)
    parts = []
    for track in midi.tracks:
        channels: dict[int, list[Note]] = {}
        programs: dict[int, int] = {}
        sounding: dict[tuple[int, int], tuple[float, int]] = {}
        lifted = _lifts(track, clock) if pedal else {}
        ticks = 0
        for message in track:
            ticks += message.time
            if message.type == "program_change":
                programs.setdefault(message.channel, message.program)
            if message.type not in ("note_on", "note_off"):
                continue
            key = (message.channel, message.note)
            now = clock.seconds(ticks)
            if key in sounding:  # a note that is struck again ends
                start, velocity = sounding.pop(key)
                end = _until(now, lifted.get(message.channel, []))
                channels.setdefault(message.channel, []).append(
                    Note(start, end, message.note, velocity)
                )
            if message.type == "note_on" and message.velocity:
                sounding[key] = (now, message.velocity)
        parts += [
            Part(
                tuple(sorted(notes, key=lambda note: note.start)),
                programs.get(channel, 0),
                channel == DRUM_CHANNEL,
                name=track.name.strip(),
            )
            for channel, notes in channels.items()
        ]
    return parts


def _lifts(track: mido.MidiTrack, clock: _Clock) -> dict[int, list[tuple[float, float]]]:
    """Give when the sustain pedal was down, by channel: pairs of seconds."""
    down: dict[int, float] = {}
    spans: dict[int, list[tuple[float, float]]] = {}
    ticks = 0
    for message in track:
        ticks += message.time
        if message.type != "control_change" or message.control != SUSTAIN:
            continue
        now = clock.seconds(ticks)
        if message.value >= 64:
            down.setdefault(message.channel, now)
        elif message.channel in down:
            spans.setdefault(message.channel, []).append((down.pop(message.channel), now))
    return spans


def _until(end: float, spans: Sequence[tuple[float, float]]) -> float:
    """Give when a note stops that is let go at `end`."""
    index = bisect_right(spans, (end, float("inf"))) - 1
    return max(end, spans[index][1]) if index >= 0 else end


class _Clock:
    """Seconds from ticks, through all changes of tempo."""

    def __init__(self, midi: mido.MidiFile) -> None:
        changes = {0: 500_000}
        for track in midi.tracks:
            ticks = 0
            for message in track:
                ticks += message.time
                if message.type == "set_tempo":
                    changes[ticks] = message.tempo
        self.ticks = np.array(sorted(changes))
        per_tick = np.array([changes[tick] for tick in self.ticks]) / 1e6 / midi.ticks_per_beat
        self.per_tick = per_tick
        self.starts = np.concatenate([[0.0], np.cumsum(np.diff(self.ticks) * per_tick[:-1])])

    def seconds(self, ticks: int) -> float:
        index = int(np.searchsorted(self.ticks, ticks, side="right")) - 1
        return float(self.starts[index] + (ticks - self.ticks[index]) * self.per_tick[index])


def render(
    parts: Sequence[Part],
    sound_font: Path,
    *,
    sample_rate: int = 44_100,
    reverb: bool = False,
    chorus: bool = False,
) -> NDArray[np.float32]:
    """Play parts through a sound font, to a signal (samples,)."""
    program = shutil.which("fluidsynth")
    if program is None:
        raise UsageError("rendering needs the program fluidsynth; install it (apt, brew, choco)")
    if not sound_font.is_file():
        raise UsageError(f"{sound_font}: no such sound font")
    with tempfile.TemporaryDirectory() as folder:
        score, sound = Path(folder) / "score.mid", Path(folder) / "sound.wav"
        _write_midi(parts, score)
        options = [word for pair in _fluidsynth_options(reverb, chorus).items() for word in pair]
        command = [program, "-ni", "-q", "-g", "0.4", "-r", str(sample_rate), *options]
        command += ["-o", "synth.dynamic-sample-loading=1", "-T", "wav", "-O", "float"]
        command += ["-F", str(sound), str(sound_font), str(score)]
        result = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if result.returncode or not sound.exists():
            reason = " ".join(result.stderr.split())[-200:]
            raise UsageError(f"{sound_font}: fluidsynth cannot play it: {reason}")
        audio, _ = soundfile.read(sound, dtype="float32", always_2d=True)
    mono = audio.mean(axis=1)
    last = max((note.end for part in parts for note in part.notes), default=0.0)
    mono = mono[: round((last + 2.0) * sample_rate)]
    peak = float(np.abs(mono).max(initial=0.0))
    return np.asarray(mono * (0.9 / peak) if peak else mono, np.float32)


def _fluidsynth_options(reverb: bool, chorus: bool) -> dict[str, str]:
    return {"-R": str(int(reverb)), "-C": str(int(chorus))}


def _write_midi(parts: Sequence[Part], path: Path) -> None:
    """Write a file in which a tick is a millisecond."""
    midi = mido.MidiFile(ticks_per_beat=TICKS)
    melodic = iter(channel for channel in range(16) if channel != DRUM_CHANNEL)
    for part in parts:
        channel = DRUM_CHANNEL if part.drums else next(melodic)
        track = mido.MidiTrack()
        midi.tracks.append(track)
        track.append(mido.MetaMessage("set_tempo", tempo=1_000_000, time=0))
        track.append(mido.Message("program_change", channel=channel, program=part.program))
        track.append(mido.Message("control_change", channel=channel, control=7, value=part.volume))
        events = []
        for note in part.notes:
            start = round(note.start * TICKS)
            end = max(round(note.end * TICKS), start + 1)
            events.append((start, 1, "note_on", note.pitch, note.velocity))
            events.append((end, 0, "note_off", note.pitch, 0))  # sorts before what starts then
        now = 0
        for tick, _, kind, pitch, velocity in sorted(events):
            track.append(
                mido.Message(kind, channel=channel, note=pitch, velocity=velocity, time=tick - now)
            )
            now = tick
    midi.save(path)


@cache
def attack_delay(sound_font: Path, program: int, drums: bool = False) -> float:
    """Measure how many seconds after a note's time it sounds: synthesis and attack."""
    pitches = (36, 38, 42) if drums else (48, 57, 64, 72)
    notes = tuple(Note(0.5 + k, 1.0 + k, pitch, 90) for k, pitch in enumerate(pitches))
    rate = 44_100
    audio = render([Part(notes, program, drums)], sound_font, sample_rate=rate)
    power = np.convolve(audio.astype(np.float64) ** 2, np.ones(44) / 44, mode="same")
    delays = []
    for note in notes:
        level = np.sqrt(power[round(note.start * rate) :][: round(0.15 * rate)])
        if level.max(initial=0.0) > 1e-4:
            delays.append(int(np.argmax(level >= RISE * level.max())) / rate)
    return min(float(np.median(delays)), 0.03) if delays else 0.0


def onsets_of(
    parts: Iterable[Part], sound_font: Path, *, softest: int = 0, merge: float = 0.03
) -> NDArray[np.float64]:
    """Give the onsets of notes in seconds, as an annotator of the rendered sound would."""
    times = sorted(
        note.start + max(attack_delay(sound_font, part.program, part.drums) - LABEL_LEAD, 0.0)
        for part in parts
        for note in part.notes
        if note.velocity >= softest
    )
    kept: list[float] = []
    for time in times:
        if not kept or time - kept[-1] > merge:
            kept.append(time)
    return np.array(kept)
