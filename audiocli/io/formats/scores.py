"""Notes back from files: text, csv, JSON, JAMS and Standard MIDI files."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from audiocli.errors import DataError, warn
from audiocli.io.audio.info import StrPath
from audiocli.io.formats.annotations import Notes
from audiocli.io.formats.reading import _SEGMENT, _records, _seconds

__all__ = ["read_notes"]

_PERCUSSION = 9  # channel 10, when counted from one: its numbers are no pitches


class _Note(NamedTuple):
    start: float
    end: float
    pitch: float


def read_notes(path: StrPath) -> Notes:
    """Read notes.

    Parameters
    ----------
    path : str or os.PathLike
        Lines of start, end and pitch; csv, json and jsonl as they are written here; JAMS with
        ``note_midi``; ``.mid``. Times are seconds, pitches MIDI note numbers with decimals.

    Returns
    -------
    notes : Notes
        In the order of their starts.

    Raises
    ------
    DataError
        If the file cannot be read, or holds what is no time or no pitch.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.notes"
    ...     _ = path.write_text("0.5 1.0 69.02")
    ...     read_notes(path).table()["note"]
    ['A4']
    """
    path = Path(path)
    midi = path.suffix.lower() in (".mid", ".midi")
    notes = sorted(_of_midi(path) if midi else _of_text(path))
    starts, ends, pitches = np.array(notes, np.float64).reshape(-1, 3).T
    return Notes(starts, ends, pitches)


def _of_text(path: Path) -> Iterator[_Note]:
    for where, record in _records(path, _SEGMENT, ("note_midi",)):
        start, end = _seconds(where, record, "start"), _seconds(where, record, "end")
        if end < start:
            raise DataError(f"{where}: a note ends at {end:g} s, before its start at {start:g} s")
        given = record.get("pitch", record.get("label"))
        try:
            pitch = float(given)
        except (TypeError, ValueError):
            pitch = math.nan
        if not 0 <= pitch <= 140:
            raise DataError(
                f"{where}: {given!r} is no pitch; pitches are MIDI note numbers, 69 is 440 Hz"
            )
        yield _Note(start, end, pitch)


def _of_midi(path: Path) -> Iterator[_Note]:
    import mido

    try:
        file = mido.MidiFile(file=io.BytesIO(path.read_bytes()))
        messages = list(file)  # with seconds between them, by the tempo map
    except (OSError, EOFError, ValueError, KeyError, IndexError) as error:
        raise DataError(f"{path}: cannot be read as a MIDI file ({error})") from error
    now = 0.0
    sounding: dict[tuple[int, int], tuple[float, float]] = {}
    bend: dict[int, float] = {}
    for message in messages:
        now += message.time
        if message.is_meta or getattr(message, "channel", _PERCUSSION) == _PERCUSSION:
            continue
        if message.type == "pitchwheel":
            bend[message.channel] = message.pitch / 4096  # of two semitones, as players take it
        elif message.type in ("note_on", "note_off"):
            key = (message.channel, message.note)
            if key in sounding:
                start, pitch = sounding.pop(key)
                yield _Note(start, now, pitch)
            if message.type == "note_on" and message.velocity:
                sounding[key] = (now, message.note + bend.get(message.channel, 0.0))
    if sounding:
        warn(f"{path.name}: {len(sounding)} notes have no end and are left out")
