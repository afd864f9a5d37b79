"""SQLite databases that hold the results of all recordings: a table named by the command.

A second table, ``made_with``, says as JSON how they were made.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from audiocli.batch.joint import Part
from audiocli.batch.rows import Render
from audiocli.errors import UsageError
from audiocli.io.names import plain_words

__all__ = ["ENDINGS", "MOST_COLUMNS", "DatabaseRows", "read_rows", "table_of", "write_rows"]

#: Of file names, the one to write first.
ENDINGS = (".sqlite", ".sqlite3", ".db")
#: What SQLite takes unless it was built otherwise.
MOST_COLUMNS = 2000
MADE_WITH = "made_with"
#: Columns that hold words, even where these look like numbers.
TEXT = ("file", "label", "task", "meaning", "key", "degree")
Row = Sequence[Any]


def write_rows(
    path: Path,
    table: str,
    columns: Mapping[str, str],
    rows: Iterable[Row],
    made_with: Mapping[str, Any] | None = None,
) -> None:
    """Write a database of one table; `columns` have the type of each, as SQLite calls it."""
    with closing(sqlite3.connect(path)) as database, database:
        # The file gets its name when it is complete, so a journal would be of no use.
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        if columns:
            typed = ", ".join(f"{_quoted(name)} {kind}" for name, kind in columns.items())
            marks = ", ".join("?" * len(columns))
            database.execute(f"CREATE TABLE {_quoted(table)} ({typed})")
            database.executemany(f"INSERT INTO {_quoted(table)} VALUES ({marks})", rows)
            if columns.get("file") == "TEXT":
                database.execute(f"CREATE INDEX by_file ON {_quoted(table)} (file)")
        database.execute(f"CREATE TABLE {MADE_WITH} (json TEXT)")
        database.execute(f"INSERT INTO {MADE_WITH} VALUES (?)", [json.dumps(made_with or {})])


def table_of(path: Path) -> str | None:
    """Name the table of a database that holds results; None where there is none."""
    with closing(_opened(path)) as database:
        found = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    names = [str(name) for (name,) in found if name != MADE_WITH]
    return names[0] if len(names) == 1 else None


def read_rows(path: Path, table: str) -> Iterator[Row]:
    """Read the names of the columns, then the rows in the order in which they were written."""
    with closing(_opened(path)) as database:
        rows = database.execute(f"SELECT * FROM {_quoted(table)} ORDER BY rowid")
        yield [column[0] for column in rows.description]
        yield from rows


def column_types(path: Path, table: str) -> dict[str, str]:
    """Read the columns of a table and their types."""
    with closing(_opened(path)) as database:
        found = database.execute(f"PRAGMA table_info({_quoted(table)})")
        return {str(row[1]): str(row[2]) for row in found}


def made_with_of(path: Path) -> Any:
    """Read how a database was made."""
    with closing(_opened(path)) as database:
        row = database.execute(f"SELECT json FROM {MADE_WITH}").fetchone()
    return json.loads(row[0]) if row else {}


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class DatabaseRows:
    """Rows made of what would stand in csv; see :class:`audiocli.batch.joint.RowFormat`.

    Parameters
    ----------
    table : str
    render : callable
        Makes the rows as csv.
    made_with : mapping
        How they are made, ready for JSON.
    """

    def __init__(self, table: str, render: Render, made_with: Mapping[str, Any]) -> None:
        self.table, self.render, self.made_with = table, render, made_with

    def begin(self, known: Sequence[str]) -> None:
        """Do nothing: the names are in the rows."""

    def part(self, value: Any, name: str) -> Part:
        """Make rows of the result of a recording."""
        text = self.render(value, True, True)
        assert isinstance(text, str)  # narrows the type: rows are text
        heading, *rows = csv.reader(io.StringIO(text, newline=""))
        typed = [list(map(_value, heading, row))[1:] for row in rows]
        return Part(name, json.dumps(typed).encode(), len(rows), json.dumps(heading))

    def read(self, path: Path) -> Iterator[Part]:
        """Read a database back."""
        try:
            if table_of(path) is None:  # an empty one
                return
            rows = read_rows(path, self.table)
            heading = json.dumps(next(rows))
            for name, of in itertools.groupby(rows, key=lambda row: row[0]):
                cells = [row[1:] for row in of]
                yield Part(str(name), json.dumps(cells).encode(), len(cells), heading)
        except (OSError, ValueError, sqlite3.Error) as error:
            raise UsageError(
                f"{path}: cannot be read as a database of {self.table} to add to it; use another "
                "name, or {overwrite} to make it anew",
                "overwrite",
            ) from error

    def renamed(self, part: Part, name: str) -> Part:
        """Give the rows another name."""
        return Part(name, part.data, part.rows, part.head)

    def write(self, path: Path, parts: Iterable[Part], counts: Mapping[str, int]) -> None:
        """Write a database of parts."""
        found = iter(parts)
        first = next(found, None)
        heading = json.loads(first.head) if first is not None else []
        kinds = {name: "TEXT" if name in TEXT else "NUMERIC" for name in heading}

        def rows() -> Iterator[Row]:
            for part in itertools.chain([] if first is None else [first], found):
                if json.loads(part.head) != heading:
                    raise UsageError(f"{path}: its rows have other columns than those to add; use "
                                     "another name, or {overwrite}", "overwrite")  # fmt: skip
                for row in json.loads(part.data):
                    yield [part.name, *row]

        write_rows(path, self.table, kinds, rows(), self.made_with)


def _value(column: str, cell: str) -> Any:
    if column in TEXT:
        return plain_words(cell)
    try:
        return float(cell) if cell else None
    except ValueError:  # words after all
        return plain_words(cell)
