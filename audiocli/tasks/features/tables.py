"""Tables of features: csv, parquet, npz, jsonl, ARFF and SQLite, written and read back in pieces.

A value that is not defined, NaN, is an empty cell in csv, null in jsonl, parquet and SQLite, ``?``
in ARFF and NaN in npz. Parquet, npz and SQLite also say how they were made, as JSON: in the
metadata of the schema under ``audiocli``, in the array and in the table ``made_with``.
"""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import itertools
import json
import math
import sqlite3
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from audiocli.batch import databases, joint
from audiocli.errors import FieldError, UsageError
from audiocli.io.atomic import write_whole
from audiocli.io.formats.plain import seconds
from audiocli.io.names import words

__all__ = [
    "FORMATS",
    "TEXTS",
    "FeatureResults",
    "Layout",
    "Part",
    "TableRows",
    "find_form",
    "lines",
    "read",
    "write",
]

Floats = NDArray[np.floating[Any]]

FORMATS = ("csv", "parquet", "npz", "jsonl", "arff", "sqlite")
#: Of a database.
TABLE = "features"
#: Those that can be printed.
TEXTS = ("csv", "jsonl", "arff")
#: What stands in them for a value that is not defined.
UNDEFINED = {"csv": "", "jsonl": "null", "arff": "?"}
ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class Layout:
    """The columns of a table.

    Parameters
    ----------
    columns : tuple of str
        Names, besides ``file`` and ``time``.
    frame_rate : float, optional
        Rows a second, where a row is a frame and has its time.
    """

    columns: tuple[str, ...]
    frame_rate: float | None = None

    @property
    def heading(self) -> tuple[str, ...]:
        """Names of all columns."""
        return ("file", *(("time",) if self.frame_rate else ()), *self.columns)


@dataclass(frozen=True)
class Part:
    """The rows of one file.

    Parameters
    ----------
    file : str
        Its name in the table.
    values : ndarray, shape (rows, columns)
        One row, or one for each frame.
    """

    file: str
    values: Floats


def find_form(path: Path | None, form: str | None) -> str:
    """Choose the format of a table, and check that it can be written."""
    ending = "csv" if path is None else path.suffix.lower().removeprefix(".")
    form = form or ("sqlite" if f".{ending}" in databases.ENDINGS else ending)
    if form not in FORMATS:
        raise FieldError(
            f"{path or form}: a table ends in {', '.join('.' + name for name in FORMATS)}; "
            "choose one of these, or {form}",
            "form",
        )
    if path is None and form not in TEXTS:
        raise FieldError(f"{{form}} {form} is no text; name a file by {{output}}", "form", "output")
    if form == "parquet" and importlib.util.find_spec("pyarrow") is None:
        raise UsageError(f"{path}: parquet needs pyarrow; run: pip install pyarrow, or use .npz")
    return form


def lines(layout: Layout, part: Part | None, form: str) -> Iterator[str]:
    """Format the rows of a recording, or the heading, as lines of text."""
    if part is None:
        if form == "csv":
            yield ",".join(layout.heading)
        if form == "arff":
            yield from ["@relation features", "", "@attribute file string"]
            yield from (f"@attribute {name} numeric" for name in layout.heading[1:])
            yield from ["", "@data"]
        return
    quoting: dict[str, Callable[[str], str]] = {
        "csv": words,
        "arff": _arff_text,
        "jsonl": json.dumps,
    }
    name = quoting[form](part.file)
    for index, row in enumerate(part.values):
        cells = [UNDEFINED[form] if value != value else f"{value:.7g}" for value in row.tolist()]
        if layout.frame_rate:
            cells.insert(0, seconds(index / layout.frame_rate))
        if form == "jsonl":
            pairs = zip(layout.heading[1:], cells, strict=True)
            yield f'{{"file": {name}, ' + ", ".join(f'"{key}": {v}' for key, v in pairs) + "}"
        else:
            yield ",".join([name, *cells])


def _arff_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


@dataclass(frozen=True)
class FeatureResults:
    """Rows as text for standard output; see :class:`audiocli.tasks.runner.Results`."""

    form: str
    layout: Layout
    joins: bool = True
    prints: bool = True
    prints_several: bool = True
    column: int = 0

    @property
    def extension(self) -> str:
        """What the name of a file ends in."""
        return f".{self.form}"

    def render(self, value: Part, named: bool, header: bool) -> str:
        """Make text of the rows of a recording."""
        heading = lines(self.layout, None, self.form) if header else iter(())
        text = itertools.chain(heading, lines(self.layout, value, self.form))
        return "".join(f"{line}\n" for line in text)


@dataclass(frozen=True)
class TableRows:
    """Writes and reads a table by the rows of one recording after another.

    Parameters
    ----------
    layout : Layout
        The columns.
    form : str
        One of ``FORMATS``. An npz has the arrays ``files`` (rows,), ``columns`` (columns,),
        ``values`` (rows, columns), ``time`` (rows,) where rows are frames, and ``made_with``.
    made_with : mapping
        How it was made, ready for JSON.
    """

    layout: Layout
    form: str
    made_with: Mapping[str, Any] = field(default_factory=dict)

    def begin(self, known: Sequence[str]) -> None:
        """Do nothing: the names are in the rows."""

    def part(self, value: Part, name: str) -> joint.Part:
        """Make rows of the features of a recording."""
        rows = np.asarray(value.values, np.float64)
        return joint.Part(name, rows.tobytes(), len(rows))

    def renamed(self, part: joint.Part, name: str) -> joint.Part:
        """Return the rows under another name."""
        return joint.Part(name, part.data, part.rows)

    def read(self, path: Path) -> Iterator[joint.Part]:
        """Read a table back."""
        readers = {"npz": _read_npz, "parquet": _read_parquet, "jsonl": _read_jsonl,
                   "sqlite": _read_sqlite}  # fmt: skip
        reader = readers.get(self.form, _read_rows)
        first = len(self.layout.heading) - len(self.layout.columns)
        try:
            with path.open("rb") as stream:
                pieces = reader(path, stream)
                heading = tuple(next(pieces))
                if heading != self.layout.heading:
                    raise UsageError(
                        f"{path}: has other columns ({len(heading)}, not "
                        f"{len(self.layout.heading)}, or other names); use the settings that it "
                        "was made with, another name, or {overwrite}",
                        "overwrite",
                    )
                for name, rows in itertools.groupby(pieces, key=lambda row: row[0]):
                    # time follows from the rate
                    values = np.array([row[first:] for row in rows], np.float64)
                    yield joint.Part(str(name), values.tobytes(), len(values))
        except (
            OSError, ValueError, KeyError, IndexError, TypeError, StopIteration,
            RuntimeError, zipfile.BadZipFile, csv.Error, sqlite3.Error,
        ) as error:  # fmt: skip
            raise UsageError(
                f"{path}: cannot be read as {self.form} to add to it; use {{overwrite}} to make "
                "it anew",
                "overwrite",
            ) from error

    def values(self, part: joint.Part) -> Part:
        """Convert the rows to numbers."""
        table = np.frombuffer(part.data, np.float64)
        return Part(part.name, table.reshape(part.rows, len(self.layout.columns)))

    def write(self, path: Path, parts: Iterable[joint.Part], counts: Mapping[str, int]) -> None:
        """Write a table."""
        if self.form == "npz":
            self._write_npz(path, parts, counts)
        elif self.form == "parquet":
            self._write_parquet(path, parts)
        elif self.form == "sqlite":
            kinds = {name: "TEXT" if name == "file" else "REAL" for name in self.layout.heading}
            databases.write_rows(path, TABLE, kinds, self._rows(parts), self.made_with)
        else:
            with path.open("w", encoding="utf-8", newline="") as stream:
                stream.writelines(f"{line}\n" for line in lines(self.layout, None, self.form))
                for part in parts:
                    rows = lines(self.layout, self.values(part), self.form)
                    stream.writelines(f"{line}\n" for line in rows)

    def _rows(self, parts: Iterable[joint.Part]) -> Iterator[list[Any]]:
        """Give the cells of each row."""
        rate = self.layout.frame_rate
        for part in map(self.values, parts):
            for index, row in enumerate(part.values.tolist()):
                cells = [None if value != value else value for value in row]
                yield [part.file, *([round(index / rate, 6)] if rate else []), *cells]

    def _write_npz(
        self, path: Path, parts: Iterable[joint.Part], counts: Mapping[str, int]
    ) -> None:
        rows, width = sum(counts.values()), max(map(len, counts), default=1) or 1
        names = (np.full(count, name, f"<U{width}") for name, count in counts.items())
        rate = self.layout.frame_rate or 1.0
        times = (np.arange(count) / rate for count in counts.values())
        values = (self.values(part).values.astype(np.float32) for part in parts)
        made_with = json.dumps(self.made_with)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            _add(archive, "files", f"<U{width}", (rows,), names)
            columns = np.array(self.layout.columns, str)
            _add(archive, "columns", columns.dtype.str, columns.shape, [columns])
            _add(archive, "values", "<f4", (rows, len(self.layout.columns)), values)
            if self.layout.frame_rate:
                _add(archive, "time", "<f8", (rows,), times)
            if self.made_with:
                _add(archive, "made_with", f"<U{len(made_with)}", (), [np.array(made_with)])

    def _write_parquet(self, path: Path, parts: Iterable[joint.Part]) -> None:
        import pyarrow  # type: ignore[import-untyped]  # it ships no hints
        from pyarrow import parquet

        kinds = {"file": pyarrow.string(), "time": pyarrow.float64()}
        schema = pyarrow.schema(
            [(name, kinds.get(name, pyarrow.float32())) for name in self.layout.heading],
            metadata={"audiocli": json.dumps(self.made_with)},
        )
        with parquet.ParquetWriter(path, schema) as writer:
            for group in _groups(map(self.values, parts)):
                columns: list[Any] = [[part.file for part in group for _ in part.values]]
                if self.layout.frame_rate:
                    rate = self.layout.frame_rate
                    columns.append(np.concatenate([np.arange(len(p.values)) / rate for p in group]))
                table = np.concatenate([part.values for part in group]).astype(np.float32)
                columns += [pyarrow.array(column, from_pandas=True) for column in table.T]
                arrays = [pyarrow.array(column) for column in columns]
                writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))


def write(
    path: Path, layout: Layout, parts: Sequence[Part], form: str, *, overwrite: bool = False
) -> None:
    """Write a table that is complete or not there."""
    rows = TableRows(layout, form)
    counts = {part.file: len(part.values) for part in parts}

    def fill(partial: Path) -> None:
        rows.write(partial, (rows.part(part, part.file) for part in parts), counts)

    write_whole(path, fill, overwrite=overwrite)


def read(path: Path, layout: Layout, form: str) -> list[Part]:
    """Read a table back that :func:`write` wrote."""
    rows = TableRows(layout, form)
    return [rows.values(part) for part in rows.read(path)]


def _groups(parts: Iterable[Part]) -> Iterator[list[Part]]:
    """Gather parts until they are worth a row group."""
    group: list[Part] = []
    for part in parts:
        group.append(part)
        if sum(len(one.values) for one in group) >= ROWS_AT_ONCE:
            yield group
            group = []
    if group:
        yield group


def _add(
    archive: zipfile.ZipFile, name: str, kind: str, shape: tuple[int, ...],
    pieces: Iterable[NDArray[Any]],
) -> None:  # fmt: skip
    """Put an array into an npz, piece by piece."""
    with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
        header = {"descr": kind, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        for piece in pieces:
            stream.write(piece.tobytes())


Pieces = Iterator[Sequence[Any]]
"""The heading, then the cells of each row."""


def _read_rows(path: Path, stream: IO[bytes]) -> Pieces:
    """Read csv, or ARFF, whose data are csv under another heading."""
    heading, quote = [], '"'
    text: Iterator[str] = (line.decode("utf-8", "surrogateescape") for line in stream)
    first = next(text)
    if first.startswith("@relation"):
        quote = "'"
        for line in text:
            if line.startswith("@data"):
                break
            if line.startswith("@attribute"):
                heading.append(line.split()[1])
    else:
        text = itertools.chain([first], text)
    escape = "\\" if quote == "'" else None
    reader = csv.reader(text, quotechar=quote, escapechar=escape, doublequote=not escape)
    yield heading or next(reader)
    for name, *cells in reader:
        yield name, *(math.nan if cell in ("", "?") else float(cell) for cell in cells)


def _read_jsonl(path: Path, stream: IO[bytes]) -> Pieces:
    for number, line in enumerate(stream):
        row = json.loads(line)
        if number == 0:
            yield list(row)
        name, *values = row.values()
        yield name, *(math.nan if value is None else float(value) for value in values)


def _read_npz(path: Path, stream: IO[bytes]) -> Pieces:
    with zipfile.ZipFile(stream) as archive, contextlib.ExitStack() as stack:

        def pieces(name: str) -> Iterator[Any]:
            return _array_rows(stack.enter_context(archive.open(f"{name}.npy")))

        times = [pieces("time")] if "time.npy" in archive.namelist() else []
        yield ["file", *(["time"] if times else []), *(str(name) for name in pieces("columns"))]
        for name, *cells in zip(pieces("files"), *times, pieces("values"), strict=True):
            yield str(name), *cells[:-1], *cells[-1]


def _array_rows(stream: IO[bytes]) -> Iterator[Any]:
    """Read the rows of an array, some thousands at once."""
    version = np.lib.format.read_magic(stream)
    reading = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
    shape, fortran, kind = reading[version[0]](stream)
    if fortran or kind.hasobject:
        raise ValueError("not as it was written")
    size = kind.itemsize * math.prod(shape[1:])
    for start in range(0, shape[0], ROWS_AT_ONCE):
        count = min(ROWS_AT_ONCE, shape[0] - start)
        data = stream.read(count * size)
        yield from np.frombuffer(data, kind).reshape(count, *shape[1:])


def _read_sqlite(path: Path, stream: IO[bytes]) -> Pieces:
    rows = databases.read_rows(path, TABLE)
    yield next(rows)
    for name, *cells in rows:
        yield name, *(math.nan if cell is None else cell for cell in cells)


def _read_parquet(path: Path, stream: IO[bytes]) -> Pieces:
    from pyarrow import parquet

    table = parquet.ParquetFile(path)
    yield list(table.schema_arrow.names)
    for batch in table.iter_batches(ROWS_AT_ONCE):
        columns = [column.to_pylist() for column in batch.columns]
        for name, *cells in zip(*columns, strict=True):
            yield name, *(math.nan if cell is None else cell for cell in cells)
