"""Tables of clips and their labels: csv, parquet and jsonl; and JAMS files beside the audio."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from audiocli.errors import DataError, UsageError

__all__ = ["NAMES", "jams_facts", "read_table", "table_of"]

#: What a folder's table may be called.
NAMES = ("labels.csv", "labels.parquet", "labels.jsonl")
Row = dict[str, str]
#: JAMS: the namespaces that say something of a whole recording begin so.
TAGS = ("tag_", "mood_")


def table_of(folder: Path) -> Path | None:
    """Find the table of a folder, or take the file that is one."""
    if folder.is_file():
        return folder
    found = [folder / name for name in NAMES if (folder / name).is_file()]
    if len(found) > 1:
        names = " and ".join(file.name for file in found)
        raise DataError(f"{folder}: holds {names}; which of them counts? Name it itself")
    return found[0] if found else None


def read_table(table: Path) -> tuple[list[str], list[tuple[int, Row]]]:
    """Read a table as text.

    Parameters
    ----------
    table : Path
        Ending in .parquet or .jsonl; whatever else it is called, it is csv.

    Returns
    -------
    columns : list of str
    rows : list of tuple
        The line of each, and its cells. Several values in one cell have ``;`` between.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    readers = {".parquet": _parquet, ".jsonl": _jsonl, ".ndjson": _jsonl}
    try:
        return readers.get(table.suffix.lower(), _csv)(table)
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{table}: cannot be read: {reason}") from error


def _csv(table: Path) -> tuple[list[str], list[tuple[int, Row]]]:
    with table.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream, restkey="", restval="")
        rows = [(reader.line_num, row) for row in reader]
        return list(reader.fieldnames or []), rows


def _jsonl(table: Path) -> tuple[list[str], list[tuple[int, Row]]]:
    lines = enumerate(table.read_text("utf-8-sig").splitlines(), 1)
    records = []
    for number, line in lines:
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"line {number}: {error}") from error
        if not isinstance(record, dict):
            raise ValueError(f"line {number}: is no object")
        records.append((number, record))
    return _as_text(records)


def _parquet(table: Path) -> tuple[list[str], list[tuple[int, Row]]]:
    try:
        from pyarrow import ArrowInvalid, parquet  # type: ignore[import-untyped]  # no hints
    except ImportError as error:
        raise UsageError(
            f"{table}: parquet needs pyarrow; run: pip install pyarrow, or use csv"
        ) from error
    try:
        records = parquet.read_table(table).to_pylist()
    except ArrowInvalid as error:
        raise ValueError(f"is no parquet file ({error})") from error
    return _as_text(enumerate(records, 1))


def _as_text(
    records: Iterable[tuple[int, Mapping[str, Any]]],
) -> tuple[list[str], list[tuple[int, Row]]]:
    rows = [(number, {str(key): _cell(value) for key, value in record.items()})
            for number, record in records]  # fmt: skip
    columns = list(dict.fromkeys(key for _, row in rows for key in row))
    return columns, [(number, dict.fromkeys(columns, "") | row) for number, row in rows]


def _cell(value: Any) -> str:
    if value is None or value != value:  # nan
        return ""
    if isinstance(value, list | tuple):
        return ";".join(map(_cell, value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def jams_facts(file: Path) -> Row:
    """Read what a JAMS file says of a whole recording, as a row of a table.

    Returns
    -------
    dict
        ``label``: the values of all tags, with ``;`` between; each namespace without ``tag_`` by
        itself; ``artist``, ``title`` and ``release`` where they are known.

    Raises
    ------
    DataError
        If it is no JAMS file.
    """
    try:
        document = json.loads(file.read_text("utf-8-sig"))
        annotations = document["annotations"]
        known = document.get("file_metadata") or {}
        row = {name: str(known.get(name) or "") for name in ("artist", "title", "release")}
        labels: dict[str, list[str]] = {}
        for each in annotations:
            namespace = str(each["namespace"])
            if namespace.startswith(TAGS):
                column = namespace.removeprefix("tag_")
                values = [str(point["value"]) for point in each["data"]]
                labels[column] = [*labels.get(column, []), *values]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{file}: cannot be read as JAMS: {error!r}") from error
    every = dict.fromkeys(value for values in labels.values() for value in values)
    joined = {column: ";".join(dict.fromkeys(values)) for column, values in labels.items()}
    return {**row, **joined, "label": ";".join(every)}
