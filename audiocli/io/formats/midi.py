"""Standard MIDI files: instants as clicks, segments as the chords they stand for, notes.

One track at 120 beats a minute, whatever the music's tempo, and 960 ticks a beat: a time is at
most 0.27 ms from where it should be, wherever in the file it is.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from audiocli.errors import UsageError
from audiocli.io.formats.annotations import Annotation, Instants, Notes, Options, Segments
from audiocli.io.formats.plain import one_line

if TYPE_CHECKING:
    import mido  # and late below, because few write MIDI

__all__ = ["write_midi"]

_TEMPO = 500_000  # microseconds a beat
_TICKS_PER_BEAT = 960
_TICKS_PER_SECOND = _TICKS_PER_BEAT * 1_000_000 / _TEMPO
_PERCUSSION = 9  # channel 10, when counted from one
_WOOD_BLOCK = 76  # "Hi Wood Block" of General MIDI
_CLICK = 0.05  # s
_LOUDEST, _SOFTEST, _PLAIN = 127, 30, 90  # velocities

Events = Iterator["tuple[int, mido.Message]"]


def write_midi(annotation: Annotation, options: Options) -> bytes:
    """Make a Standard MIDI file of type 0.

    References
    ----------
    .. [1] MIDI Manufacturers Association, "Standard MIDI Files 1.0", RP-001, 1996.
    """
    import mido

    if isinstance(annotation, Instants):
        events = _clicks(annotation)
    elif isinstance(annotation, Notes):
        events = _notes(annotation, bend=options.bend)
    else:
        events = _chords(annotation, options)
    track = mido.MidiTrack()
    track.append(mido.MetaMessage("track_name", name=one_line(annotation.name)))
    track.append(mido.MetaMessage("set_tempo", tempo=_TEMPO))
    now = 0
    # Each note's end precedes what begins at the same tick: sorting keeps their order.
    for tick, message in sorted(events, key=lambda event: event[0]):
        track.append(message.copy(time=tick - now))
        now = tick
    file = mido.MidiFile(type=0, ticks_per_beat=_TICKS_PER_BEAT, charset="utf-8")
    file.tracks.append(track)
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def _ticks(time: float) -> int:
    return round(time * _TICKS_PER_SECOND)


def _clicks(instants: Instants) -> Events:
    import mido

    times = instants.times.tolist()
    for index, (time, velocity) in enumerate(zip(times, _velocities(instants), strict=True)):
        start, end = _ticks(time), _ticks(time + _CLICK)
        if index + 1 < len(times):
            end = min(end, _ticks(times[index + 1]))  # the same note cannot sound twice at once
        note = {"channel": _PERCUSSION, "note": _WOOD_BLOCK, "velocity": velocity}
        yield start, mido.Message("note_on", **note)
        yield end, mido.Message("note_off", **note)


def _velocities(instants: Instants) -> list[int]:
    strengths = instants.strengths
    if strengths is None or not len(strengths) or np.ptp(strengths) == 0:
        return [_PLAIN] * len(instants)
    scaled = (strengths - strengths.min()) / np.ptp(strengths)
    return [round(_SOFTEST + share * (_LOUDEST - _SOFTEST)) for share in scaled.tolist()]


def _chords(segments: Segments, options: Options) -> Events:
    import mido

    pitches_of = options.pitches
    if pitches_of is None:
        raise UsageError(
            f"midi cannot write {segments.name} labels, which stand for no pitches; "
            "choose another format, such as csv or audacity"
        )
    spans = zip(segments.starts.tolist(), segments.ends.tolist(), segments.labels, strict=True)
    for start, end, label in spans:
        first, last = _ticks(start), _ticks(end)
        yield first, mido.MetaMessage("marker", text=one_line(label))
        if last > first:
            notes = [{"note": pitch, "velocity": _PLAIN} for pitch in pitches_of(label)]
            yield from ((first, mido.Message("note_on", **note)) for note in notes)
            yield from ((last, mido.Message("note_off", **note)) for note in notes)


_BEND_RANGE = 2.0  # semitones that the pitch wheel reaches, unless a player was told otherwise
_SEMITONE = 8192 / _BEND_RANGE  # steps of the wheel


def _notes(notes: Notes, *, bend: bool) -> Events:
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
        first, last = _ticks(start), _ticks(end)
        if last <= first:
            continue
        note = {"note": int(numbers[index])}
        if bend:
            yield first, mido.Message("pitchwheel", pitch=int(wheel[index]))
        yield first, mido.Message("note_on", velocity=velocities[index], **note)
        yield last, mido.Message("note_off", **note)
