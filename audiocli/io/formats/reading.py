"""Annotations read back: times, and labelled segments.

What a file is, its extension says:

- ``.csv``: cells between commas, semicolons or tabs; a header may name the columns, and the first
  may be the index that pandas writes;
- ``.json``, ``.jsonl``: as written here;
- ``.jams``: the first annotation of the namespace that holds anything;
- all else (``.txt``, ``.lab``, ``.onsets``, Audacity's labels): columns between spaces or tabs,
  time first.

Everywhere the encoding is UTF-8, with or without a byte order mark, lines end as on any system,
and blank lines, comments after a ``#`` at the start of a line, and one line of column names at
the top are passed over. Times are seconds: the integers of HTK's own label files, which count
100 ns, are not recognised.
"""

from __future__ import annotations

import csv
import io
import json
import math
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiocli.errors import DataError, warn
from audiocli.io.audio.info import StrPath, printable
from audiocli.io.formats.annotations import Segments
from audiocli.io.names import plain_words

__all__ = ["read_beats", "read_instants", "read_segments", "read_sequence"]

_SEGMENT = ("start", "end", "label")
_INDEX = frozenset({"", "index", "unnamed: 0"})  # what pandas calls the column of row numbers
#: In a sequence, segments this close in seconds meet, and may overlap by this much.
_MEETING = 0.1
_TIMES = ("time", "start", "onset")  # columns that may hold instants, the best first

Records = Iterator["tuple[str, Mapping[str, Any]]"]
"""Where an event stands, for messages, and what stands there, by column."""


def read_instants(path: StrPath, *, namespace: str = "onset") -> NDArray[np.float64]:
    """Read points in time, (n,), in seconds."""
    path = Path(path)
    records = _records(path, ("time",), (namespace,))
    times = [_seconds(where, record, _time_of(record)) for where, record in records]
    return np.sort(np.array(times, dtype=np.float64))


def read_beats(path: StrPath) -> tuple[NDArray[np.float64], NDArray[np.int64] | None]:
    r"""Read beats, and their positions in the bar where these are given.

    Parameters
    ----------
    path : str or os.PathLike
        The file, as for :func:`read_instants`. The second column, or that which is called
        'position', 'beat' or 'downbeat', is the position: 1 begins a bar, and what other
        beats have, 2, 3, 4 or 0 throughout, is read but says no more. In JAMS it is the value of
        an observation.

    Returns
    -------
    times : ndarray of float64, shape (n,)
        In seconds, ascending.
    positions : ndarray of int64, shape (n,), or None
        None if one is missing or is no whole number.

    Raises
    ------
    DataError
        As :func:`read_instants`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.beats"
    ...     _ = path.write_text("0.5 1\n1.0 2\n")
    ...     read_beats(path)
    (array([0.5, 1. ]), array([1, 2]))
    """
    path = Path(path)
    rows = [
        (_seconds(where, record, _time_of(record)), _position(record))
        for where, record in _records(path, ("time", "position"), ("beat",))
    ]
    rows.sort(key=lambda row: row[0])
    times = np.array([time for time, _ in rows], dtype=np.float64)
    known = [position for _, position in rows if position is not None]
    return times, np.array(known, np.int64) if rows and len(known) == len(rows) else None


def read_segments(path: StrPath, *, namespace: str | None = None) -> Segments:
    r"""Read labelled segments."""
    rows = _rows(Path(path), () if namespace is None else (namespace,))
    confidences = [row.confidence for row in rows if row.confidence is not None]
    return Segments(
        np.array([row.start for row in rows]),
        np.array([row.end for row in rows]),
        [row.label for row in rows],
        confidences=np.array(confidences) if rows and len(confidences) == len(rows) else None,
    )


def read_sequence(path: StrPath, *, namespaces: Sequence[str], filler: str) -> Segments:
    r"""Read labelled segments of which one holds at a time, such as chords.

    What annotations made by hand or by other programs have is put right as ``mir_eval`` does it:
    where two segments overlap a little, the later one holds from its start; segments of no length
    are left out; what lies between two segments gets a label of its own.
    """
    kept: list[_Row] = []
    gaps: list[float] = []
    for row in _rows(Path(path), tuple(namespaces)):
        if row.end <= row.start:
            continue
        before = kept[-1] if kept else None
        if before is not None and row.label == before.label and row.start <= before.end:
            kept[-1] = before._replace(end=max(before.end, row.end))
            continue
        if before is not None and before.end - row.start > _MEETING:
            raise DataError(
                f"{row.where}: {row.label} begins at {row.start:g} s, but {before.label} lasts "
                f"until {before.end:g} s; one segment at a time, so end the earlier one there"
            )
        if before is not None and row.start - before.end > _MEETING:
            gaps.append(row.start - before.end)
            kept.append(_Row(row.where, before.end, row.start, filler, None))
        elif before is not None:
            kept[-1] = before._replace(end=row.start)
        if kept and kept[-1].end <= kept[-1].start:
            kept.pop()
        kept.append(row)
    if gaps:
        count = "1 gap" if len(gaps) == 1 else f"{len(gaps)} gaps"
        warn(f"{Path(path).name}: {count} in the annotation, {sum(gaps):.1f} s in all, "
             f"count as {filler}")  # fmt: skip
    return Segments(
        np.array([row.start for row in kept]),
        np.array([row.end for row in kept]),
        [row.label for row in kept],
    )


class _Row(NamedTuple):
    """A segment as it stands in a file."""

    where: str
    start: float
    end: float
    label: str
    confidence: float | None


def _rows(path: Path, namespaces: tuple[str, ...]) -> list[_Row]:
    """Read segments in the order of their starts."""
    rows = []
    for where, record in _records(path, _SEGMENT, namespaces):
        start, end = _seconds(where, record, "start"), _seconds(where, record, "end")
        if end < start:
            raise DataError(f"{where}: the segment ends at {end:g} s, before its start {start:g} s")
        label = record.get("label")
        text = "" if label is None else str(label)
        rows.append(_Row(where, start, end, text, _confidence(record)))
    return sorted(rows, key=lambda row: row.start)


# --- from a file to records --------------------------------------------------------------------


def _records(path: Path, names: tuple[str, ...], namespaces: tuple[str, ...]) -> Records:
    """Read the events of a file, in columns called by these names, among others."""
    shown, suffix = printable(str(path)), path.suffix.lower()
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{shown}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{shown}: is no text in UTF-8; save it as such") from error
    if suffix == ".csv":
        records = _csv_records(shown, text, names)
    elif suffix == ".jams":
        records = _jams_records(shown, text, names, namespaces)
    elif suffix in (".json", ".jsonl", ".ndjson"):
        records = _json_records(shown, text, suffix)
    else:
        records = _line_records(shown, text, names)
    files = set()
    for where, record in records:
        files.add(str(record.get("file")))
        if len(files) > 1:
            raise DataError(f"{where}: another recording begins; give each a file of its own")
        yield where, record


def _line_records(shown: str, text: str, names: tuple[str, ...]) -> Records:
    at_top = True
    # Not splitlines(), which also splits at characters that a label may hold.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for number, line in enumerate(lines, 1):
        # A backslash begins the second line of an Audacity label with a range of frequencies.
        if not line.strip() or line.lstrip().startswith(("#", "\\")):
            continue
        cells = line.strip().split(maxsplit=len(_SEGMENT) - 1)  # a label may hold spaces
        if not (at_top and _is_header(cells)):
            yield f"{shown}, line {number}", dict(zip(names, cells, strict=False))
        at_top = False


def _csv_records(shown: str, text: str, names: tuple[str, ...]) -> Records:
    columns: list[str] = []
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    try:
        for row in rows:
            comment = row and row[0].lstrip().startswith("#") and columns[:1] != ["file"]
            if comment or not any(map(str.strip, row)):
                continue
            where = f"{shown}, line {rows.line_num}"
            if not columns:
                columns, is_event = _heading(where, row, names)
                if not is_event:
                    continue
            record = dict(zip(columns, row, strict=False))
            if "label" in record:
                record["label"] = plain_words(record["label"])
            yield where, record
    except csv.Error as error:
        raise DataError(f"{shown}, line {rows.line_num}: is no csv ({error})") from error


def _delimiter(text: str) -> str:
    """Find what stands between cells: the names of columns, or the first numbers, tell."""
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    first = next(lines, "")
    for mark in ";\t":
        cell, found, _ = first.partition(mark)
        if found and cell.count(",") <= 1:  # one may be a decimal comma; after two, it is a label's
            return mark
    return ","


def _heading(where: str, row: list[str], names: tuple[str, ...]) -> tuple[list[str], bool]:
    """Tell which column is which from the first row, and whether it is an event already."""
    indexed = len(row) > 1 and not row[0].strip()  # as pandas writes it, with no name at its head
    first = row[1:] if indexed else row
    index = [""] if indexed else []
    if indexed and [cell.strip() for cell in first] == [str(each) for each in range(len(first))]:
        return [*index, *names], False  # a frame without names
    if _is_header(first):
        return _columns(where, row, names), False
    return [*index, *names], True


def _columns(where: str, header: list[str], names: tuple[str, ...]) -> list[str]:
    """Tell which column is which from the names at the top."""
    columns = [cell.strip().lower() for cell in header]
    if names == _SEGMENT:
        if missing := [name for name in names[:2] if name not in columns]:
            raise DataError(
                f"{where}: there is no column {missing[0]!r}; segments have start, end and label"
            )
    elif not set(_TIMES) & set(columns):
        columns[int(len(columns) > 1 and columns[0] in _INDEX)] = "time"
    return columns


def _json_records(shown: str, text: str, suffix: str) -> Records:
    if suffix == ".json":
        document = _loads(shown, text)
        events = document.get("events") if isinstance(document, dict) else None
        if not isinstance(events, list):
            raise DataError(f"{shown}: has no list of events, as the json of audiocli has")
        numbered = [(f"{shown}, event {number}", event) for number, event in enumerate(events, 1)]
    else:
        places = (
            (f"{shown}, line {number}", line) for number, line in enumerate(text.split("\n"), 1)
        )
        numbered = [(where, _loads(where, line)) for where, line in places if line.strip()]
    yield from _objects(numbered)


def _jams_records(
    shown: str, text: str, names: tuple[str, ...], namespaces: tuple[str, ...]
) -> Records:
    document = _loads(shown, text)
    annotations = document.get("annotations") if isinstance(document, dict) else None
    if not isinstance(annotations, list) or not all(isinstance(one, dict) for one in annotations):
        raise DataError(f"{shown}: is no JAMS document: it has no list of annotations")
    found = _wanted(annotations, namespaces)
    if not found:
        there = ", ".join(sorted({str(one.get("namespace")) for one in annotations})) or "none"
        wanted = f"namespace {namespaces[0]!r}" if namespaces else "labelled segments"
        raise DataError(f"{shown}: has no annotation with {wanted}; there are: {there}")
    full = [one for one in found if one.get("data")]
    chosen = full[0] if full else found[0]  # what is empty may be of any kind
    if len(full) > 1 and namespaces:
        warn(f"{Path(shown).name}: holds {len(full)} annotations of {chosen.get('namespace')!r}; "
             "the first is read")  # fmt: skip
    data = chosen.get("data")
    if not isinstance(data, list):
        raise DataError(f"{shown}: the data of {chosen.get('namespace')!r} are no list")
    numbered = [(f"{shown}, observation {number}", one) for number, one in enumerate(data, 1)]
    for where, observation in _objects(numbered):
        record = {**observation, "label": observation.get("value")}
        if names == _SEGMENT:
            record["start"] = _seconds(where, observation, "time")
            record["end"] = record["start"] + _seconds(where, observation, "duration")
        yield where, record


def _wanted(annotations: list[dict[str, Any]], namespaces: tuple[str, ...]) -> list[dict[str, Any]]:
    """Choose annotations: of the first namespace that is there, or those with labels."""
    for namespace in namespaces:
        found = [one for one in annotations if one.get("namespace") == namespace]
        if found:
            return found
    return [] if namespaces else [one for one in annotations if _has_labels(one)]


def _has_labels(annotation: dict[str, Any]) -> bool:
    data = annotation.get("data")
    return isinstance(data, list) and all(
        isinstance(one, dict) and isinstance(one.get("value"), str) for one in data
    )


def _objects(numbered: list[tuple[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for where, event in numbered:
        if not isinstance(event, dict):
            raise DataError(f"{where}: {reprlib.repr(event)} is no object")
        yield where, event


def _loads(where: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: is not JSON ({error})") from error


# --- cells -------------------------------------------------------------------------------------


def _is_header(cells: list[str]) -> bool:
    """Tell names of columns from an event; 'nan' is a number, if a wrong one, and no name."""
    return cells[0].strip(" \"'")[:1].isalpha() and not any(map(_is_number, cells))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _time_of(record: Mapping[str, Any]) -> str:
    return next((name for name in _TIMES if name in record), "time")


def _position(record: Mapping[str, Any]) -> int | None:
    for name in ("position", "beat", "downbeat", "value"):
        try:
            number = float(str(record[name]).split()[0])  # some tell more behind it
        except (KeyError, IndexError, ValueError):
            continue
        if number.is_integer() and abs(number) < 2**31:  # more has no place in a bar
            return int(number)
    return None


def _seconds(where: str, record: Mapping[str, Any], name: str) -> float:
    if name not in record:
        raise DataError(f"{where}: there is no {name}; every event has one, in seconds")
    shown = reprlib.repr(record[name])
    try:
        time = float(record[name])
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{where}: {shown} is not a number; the {name} is in seconds") from None
    if not math.isfinite(time) or time < 0:
        raise DataError(f"{where}: {shown} is not a time; valid are finite seconds from 0 on")
    return time


def _confidence(record: Mapping[str, Any]) -> float | None:
    """Read a confidence; in JAMS it may be anything."""
    try:
        confidence = float(record["confidence"])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return confidence if math.isfinite(confidence) else None
