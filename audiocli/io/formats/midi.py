"""Standard MIDI files: instants as clicks, segments as the chords they stand for, notes.

One track, and 960 ticks a beat. Beats, and chords whose beats are known, carry the music's tempo
(:mod:`audiocli.io.formats.tempo_map`); all else is written at 120 beats a minute. A time is at most
a millisecond from where it should be, wherever in the file it is.
"""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from audiocli.dsp.keys import Key
from audiocli.errors import UsageError
from audiocli.io.formats.annotations import Annotation, Instants, Notes, Options, Segments
from audiocli.io.formats.plain import one_line
from audiocli.io.formats.tempo_map import TICKS_PER_BEAT, TempoMap, tempo_map

if TYPE_CHECKING:
    import mido  # and late below, because few write MIDI

__all__ = ["write_midi"]

_TEMPO = 500_000  # microseconds a beat
#: Of what has no tempo of its own: 120 beats a minute.
_STEADY = TempoMap(np.array([0, TICKS_PER_BEAT]), np.array([0.0, _TEMPO / 1e6]), ())
_PERCUSSION = 9  # channel 10, when counted from one
_WOOD_BLOCK, _LOW_WOOD_BLOCK = 76, 77  # of General MIDI
_CLICK = 0.05  # s
_LOUDEST, _SOFTEST, _PLAIN = 127, 30, 90  # velocities

Events = Iterable["tuple[int, mido.Message | mido.MetaMessage]"]


def write_midi(annotation: Annotation, options: Options) -> bytes:
    """Make a Standard MIDI file of type 0.

    References
    ----------
    .. [1] MIDI Manufacturers Association, "Standard MIDI Files 1.0", RP-001, 1996.
    """
    import mido

    clock = _clock(annotation, options)
    if isinstance(annotation, Instants):
        events = _clicks(annotation, clock)
    elif isinstance(annotation, Notes):
        events = _notes(annotation, clock, bend=options.bend)
    else:
        events = _chords(annotation, options, clock)
    track = mido.MidiTrack()
    track.append(mido.MetaMessage("track_name", name=one_line(annotation.name)))
    events = itertools.chain(clock.messages(), _key(annotation, options), events)
    now = 0
    # Each note's end precedes what begins at the same tick: sorting keeps their order.
    for tick, message in sorted(events, key=lambda event: event[0]):
        track.append(message.copy(time=tick - now))
        now = tick
    file = mido.MidiFile(type=0, ticks_per_beat=TICKS_PER_BEAT, charset="utf-8")
    file.tracks.append(track)
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def _clock(annotation: Annotation, options: Options) -> TempoMap:
    """Make the tempo map of beats, or of the beats that segments are written with."""
    made = None
    if isinstance(annotation, Instants):
        if annotation.name == "beat":
            positions = annotation.columns.get("position")
            places = None if positions is None else positions.astype(int).tolist()
            made = tempo_map(annotation.times, places)
    elif options.beats is not None:
        bars = np.zeros(0) if options.bars is None else options.bars
        firsts = np.isin(np.round(options.beats, 6), np.round(bars, 6))
        made = tempo_map(options.beats, firsts.astype(int).tolist())
    return made or _STEADY


def _key(annotation: Annotation, options: Options) -> Events:
    """Give the key signature, where the key is known."""
    import mido

    name = options.key or (annotation.metadata.get("key") if isinstance(annotation, Notes) else "")
    with contextlib.suppress(UsageError):  # a name of one's own
        yield 0, mido.MetaMessage("key_signature", key=Key.parse(str(name)).short)


def _clicks(instants: Instants, clock: TempoMap) -> Events:
    import mido

    times = instants.times.tolist()
    places = instants.columns.get("position", np.ones(len(times)))
    for index, (time, velocity) in enumerate(zip(times, _velocities(instants), strict=True)):
        start, end = clock.tick(time), clock.tick(time + _CLICK)
        if index + 1 < len(times):
            end = min(end, clock.tick(times[index + 1]))  # one note cannot sound twice at once
        block = _WOOD_BLOCK if places[index] == 1 else _LOW_WOOD_BLOCK
        note = {"channel": _PERCUSSION, "note": block, "velocity": velocity}
        yield start, mido.Message("note_on", **note)
        yield end, mido.Message("note_off", **note)


def _velocities(instants: Instants) -> list[int]:
    strengths = instants.strengths
    if strengths is None or not len(strengths) or np.ptp(strengths) == 0:
        return [_PLAIN] * len(instants)
    scaled = (strengths - strengths.min()) / np.ptp(strengths)
    return [round(_SOFTEST + share * (_LOUDEST - _SOFTEST)) for share in scaled.tolist()]


def _chords(segments: Segments, options: Options, clock: TempoMap) -> Events:
    import mido

    pitches_of = options.pitches
    if pitches_of is None:
        raise UsageError(
            f"midi cannot write {segments.name} labels, which stand for no pitches; "
            "choose another format, such as csv or audacity"
        )
    spans = zip(segments.starts.tolist(), segments.ends.tolist(), segments.labels, strict=True)
    for start, end, label in spans:
        first, last = clock.tick(start), clock.tick(end)
        yield first, mido.MetaMessage("marker", text=one_line(label))
        if last > first:
            notes = [{"note": pitch, "velocity": _PLAIN} for pitch in pitches_of(label)]
            yield from ((first, mido.Message("note_on", **note)) for note in notes)
            yield from ((last, mido.Message("note_off", **note)) for note in notes)


_BEND_RANGE = 2.0  # semitones that the pitch wheel reaches, unless a player was told otherwise
_SEMITONE = 8192 / _BEND_RANGE  # steps of the wheel


def _notes(notes: Notes, clock: TempoMap, *, bend: bool) -> Events:
    """Give the nearest notes, the surer the louder; with `bend`, the wheel has the cents."""
    import mido

    numbers = np.clip(np.round(notes.pitches), 0, 127).astype(int)
    wheel = np.round((notes.pitches - numbers) * _SEMITONE).clip(-8192, 8191).astype(int)
    velocities = [_PLAIN] * len(notes)
    if notes.confidences is not None:
        shares = np.clip(notes.confidences, 0, 1).tolist()
        velocities = [round(_SOFTEST + share * (_LOUDEST - _SOFTEST)) for share in shares]
    starts, ends = notes.starts.tolist(), notes.ends.tolist()
    for index, (start, end) in enumerate(zip(starts, ends, strict=True)):
        first, last = clock.tick(start), clock.tick(end)
        if last <= first:
            continue
        note = {"note": int(numbers[index])}
        if bend:
            yield first, mido.Message("pitchwheel", pitch=int(wheel[index]))
        yield first, mido.Message("note_on", velocity=velocities[index], **note)
        yield last, mido.Message("note_off", **note)
