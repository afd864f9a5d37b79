"""Tables of a library: csv, parquet, jsonl and SQLite, a row a recording, written and read back.

What does not apply is an empty cell in csv, null in the others. A SQLite file has the table
``recordings``, whose key is ``file``, and the table ``made_with`` with one JSON text; parquet has
the same text in the metadata of its schema under ``audiocli``.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audiocli.batch import joint
from audiocli.batch.databases import read_rows, write_rows
from audiocli.errors import FieldError, UsageError
from audiocli.io.names import plain_words, words
from audiocli.pipelines.analyze.fields import Field, Value

__all__ = ["ENDINGS", "FORMATS", "LibraryRows", "Row", "RowResults", "find_form"]

#: What the name of a table may end in, by its format.
ENDINGS = {"csv": (".csv",), "jsonl": (".jsonl", ".ndjson"), "parquet": (".parquet",),
           "sqlite": (".sqlite", ".sqlite3", ".db")}  # fmt: skip
FORMATS = tuple(ENDINGS)
TEXTS = ("csv", "jsonl")
TABLE = "recordings"


@dataclass(frozen=True)
class Row:
    """What was found in a recording.

    Parameters
    ----------
    file : str
        The recording, as the table names it.
    values : mapping of str to str, float or None
        By the names of the fields.
    facts : mapping
        What the manifest keeps besides, ready for JSON.
    """

    file: str
    values: Mapping[str, Value]
    facts: Mapping[str, Any] = field(default_factory=dict)


def find_form(path: Path | None, form: str | None) -> str:
    """Settle the format of a table, and that it can be written."""
    if form is None:
        suffix = ".csv" if path is None else path.suffix.lower()
        form = next((name for name, ends in ENDINGS.items() if suffix in ends), None)
    if form is None:
        ends = ", ".join(end for each in ENDINGS.values() for end in each[:1])
        raise UsageError(f"{path}: a table ends in {ends}; choose one of these, or name a format")
    if path is None and form not in TEXTS:
        raise FieldError(f"{{form}} {form} is no text; name a file by {{output}}", "form", "output")
    if form == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise UsageError(f"{path}: parquet needs pyarrow; run: pip install pyarrow, or use .sqlite")
    return form


def _csv_lines(fields: Sequence[Field], row: Row | None) -> str:
    """Make the line of a row, or the heading."""
    cells: list[str] = ["file", *(each.name for each in fields)]
    if row is not None:
        cells = [words(row.file)]
        for each in fields:
            value = row.values.get(each.name)
            cells.append("" if value is None else
                         words(value) if isinstance(value, str) else f"{value:.10g}")  # fmt: skip
    return ",".join(cells) + "\n"


@dataclass(frozen=True)
class RowResults:
    """Rows as text for standard output; see :class:`audiocli.tasks.runner.Results`."""

    form: str
    fields: tuple[Field, ...]
    joins: bool = True
    prints: bool = True
    prints_several: bool = True
    column: int = 0

    @property
    def extension(self) -> str:
        """What the name of a file ends in."""
        return ENDINGS[self.form][0]

    def render(self, value: Row, named: bool, header: bool) -> str:
        """Make text of the row of a recording."""
        if self.form == "jsonl":
            return json.dumps({"file": value.file, **value.values}, ensure_ascii=False) + "\n"
        return (_csv_lines(self.fields, None) if header else "") + _csv_lines(self.fields, value)


@dataclass(frozen=True)
class LibraryRows:
    """Writes and reads a table by rows; a part's data is the row as JSON."""

    form: str
    fields: tuple[Field, ...]
    made_with: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Of the columns, besides the file."""
        return [each.name for each in self.fields]

    def begin(self, known: Sequence[str]) -> None:
        """Names are in the rows, so there is nothing to add."""

    def part(self, value: Row, name: str) -> joint.Part:
        """Make the row of a recording."""
        row = [value.values.get(each) for each in self.names]
        return joint.Part(name, json.dumps(row).encode(), 1)

    def renamed(self, part: joint.Part, name: str) -> joint.Part:
        """Give a row another name."""
        return joint.Part(name, part.data, part.rows)

    def read(self, path: Path) -> Iterator[joint.Part]:
        """Read a table back."""
        readers: dict[str, Callable[[Path], Iterator[Any]]] = {
            "csv": _read_csv, "jsonl": _read_jsonl, "parquet": _read_parquet,
            "sqlite": lambda path: read_rows(path, TABLE),
        }  # fmt: skip
        try:
            rows = readers[self.form](path)
            heading = next(rows, ["file", *self.names])
            if heading != ["file", *self.names]:
                raise UsageError(
                    f"{path}: has other columns; use the fields that it was made with, another "
                    "name, or {overwrite}",
                    "overwrite",
                )
            for name, *cells in rows:
                values = [_value(cell, each) for cell, each in zip(cells, self.fields, strict=True)]
                yield joint.Part(str(name), json.dumps(values).encode(), 1)
        except (OSError, ValueError, KeyError, TypeError, sqlite3.Error, csv.Error) as error:
            raise UsageError(
                f"{path}: cannot be read as {self.form} to add to it; use {{overwrite}} to make it "
                "anew",
                "overwrite",
            ) from error

    def write(self, path: Path, parts: Iterable[joint.Part], counts: Mapping[str, int]) -> None:
        """Write a table."""
        rows = ((part.name, json.loads(part.data)) for part in parts)
        if self.form == "sqlite":
            self._write_sqlite(path, rows)
        elif self.form == "parquet":
            self._write_parquet(path, rows)
        else:
            results = RowResults(self.form, self.fields)
            with path.open("w", encoding="utf-8", newline="") as stream:
                if self.form == "csv":
                    stream.write(_csv_lines(self.fields, None))
                for name, values in rows:
                    row = Row(name, dict(zip(self.names, values, strict=True)))
                    stream.write(results.render(row, True, False))

    def _write_sqlite(self, path: Path, rows: Iterable[tuple[str, list[Value]]]) -> None:
        kinds = {"text": "TEXT", "integer": "INTEGER", "number": "REAL"}
        columns = {"file": "TEXT PRIMARY KEY"}
        columns |= {each.name: kinds[each.kind] for each in self.fields}
        listed = ([name, *row] for name, row in rows)
        write_rows(path, TABLE, columns, listed, self.made_with)

    def _write_parquet(self, path: Path, rows: Iterable[tuple[str, list[Value]]]) -> None:
        import pyarrow  # type: ignore[import-untyped]  # it ships no hints
        from pyarrow import parquet

        kinds = {"text": pyarrow.string(), "integer": pyarrow.int64(), "number": pyarrow.float64()}
        schema = pyarrow.schema(
            [("file", pyarrow.string()), *((each.name, kinds[each.kind]) for each in self.fields)],
            metadata={"audiocli": json.dumps(self.made_with)},
        )
        listed = [{"file": name, **dict(zip(self.names, row, strict=True))} for name, row in rows]
        parquet.write_table(pyarrow.Table.from_pylist(listed, schema=schema), path)


def _value(cell: Any, each: Field) -> Value:
    if cell is None or cell == "":
        return None
    if each.kind == "text":
        return str(cell)
    return int(float(cell)) if each.kind == "integer" else float(cell)


def _read_csv(path: Path) -> Iterator[list[Any]]:
    text = path.read_bytes().decode("utf-8")
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    yield from ([rows_of[0], *map(plain_words, rows_of[1:])] for rows_of in rows)


def _read_jsonl(path: Path) -> Iterator[list[Any]]:
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream):
            row = json.loads(line)
            if number == 0:
                yield list(row)
            yield list(row.values())


def _read_parquet(path: Path) -> Iterator[list[Any]]:
    from pyarrow import parquet

    table = parquet.read_table(path)
    yield list(table.schema.names)
    yield from (list(row.values()) for row in table.to_pylist())
