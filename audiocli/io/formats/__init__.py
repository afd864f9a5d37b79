"""Results to text and files, and annotations back.

Three kinds of result, which any task may give:

- :class:`Instants`: points in time, such as onsets;
- :class:`Segments`: labelled intervals of time, such as chords;
- :class:`Notes`: notes with their pitches.

:func:`render` turns them into text or bytes, :func:`write` into a file that is complete or not
there; :data:`FORMATS` holds the formats::

    txt       .txt    a time a line, further columns on request; of notes start, end and pitch
    csv       .csv    time[,strength,...], start,end,label[,confidence] or
                      start,end,pitch,frequency,note, under a header
    json      .json   one object a file, on one line, with its events in a list
    jsonl     .jsonl  one object an event, which names its file
    lab       .lab    start end label, of notes Hz, or the time alone: what mir_eval loads
    jams      .jams   the JSON Annotated Music Specification
    audacity  .txt    Audacity's label track
    sv        .svl    a layer for Sonic Visualiser
    midi      .mid    instants as clicks, segments as the chords they stand for, notes
    chordpro  .cho    a chord sheet, in bars where they are known; segments only
    html      .html   the same as a page to print, with fingerings

Times are seconds and keep microseconds, except in a layer (samples) and in MIDI (ticks of about
half a millisecond). :func:`read_instants`, :func:`read_segments` and :func:`read_notes` read
annotations, made here or elsewhere.
"""

from __future__ import annotations

from audiocli.io.formats.annotations import Annotation, Instants, Notes, Options, Segments
from audiocli.io.formats.files import FORMATS, Format, find_format, format_of, render, write
from audiocli.io.formats.reading import read_beats, read_instants, read_segments, read_sequence
from audiocli.io.formats.scores import read_notes

__all__ = [
    "FORMATS",
    "Annotation",
    "Format",
    "Instants",
    "Notes",
    "Options",
    "Segments",
    "find_format",
    "format_of",
    "read_beats",
    "read_instants",
    "read_notes",
    "read_segments",
    "read_sequence",
    "render",
    "write",
]
