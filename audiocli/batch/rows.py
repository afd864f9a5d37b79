"""Text of one file for the results of several recordings: made, read back and renamed by rows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from audiocli.batch.joint import Part
from audiocli.errors import UsageError
from audiocli.io.names import cell

__all__ = ["TextRows", "csv_rows"]

Render = Callable[[Any, bool, bool], "str | bytes"]
"""Makes text of a result; told whether rows name the recording, and whether a head is wanted."""


class TextRows:
    r"""Rows of csv, txt, json or jsonl.

    Parameters
    ----------
    form : {"csv", "txt", "json", "jsonl"}
        In csv the name of the recording is the first cell, in the forms of JSON it is ``file``.
    render : callable
        Makes the text.
    named : bool
        Whether csv and txt name the recordings, which one alone does without.
    column : int
        In txt: which of the cells between tabs is the name.
    """

    def __init__(self, form: str, render: Render, named: bool, column: int = 0) -> None:
        self.form, self.render, self.named, self.column = form, render, named, column
        self.head = ""
        self.sole: str | None = None  # whose rows they are, where they name none

    def begin(self, known: Sequence[str]) -> None:
        """Take the names of the recordings whose rows may be read back."""
        self.sole = known[0] if len(known) == 1 else None

    def part(self, value: Any, name: str) -> Part:
        """Make rows of the result of a recording."""
        text = _text(self.render(value, self.named, False))
        head = _text(self.render(value, self.named, True)).removesuffix(text)
        return Part(name, text.encode("utf-8"), sum(1 for _ in self._rows(text)), head)

    def read(self, path: Path) -> Iterator[Part]:
        """Read a file back."""
        fault = UsageError(
            f"{path}: cannot be read as {self.form} to add to it; use another name, or "
            "{overwrite} to make it anew",
            "overwrite",
        )
        try:
            with path.open(encoding="utf-8", newline="") as stream:
                yield from self._parts(stream, path)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise fault from error
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise fault from error

    def _parts(self, stream: Iterable[str], path: Path) -> Iterator[Part]:
        name, rows, count = None, io.StringIO(), 0
        for raw, found in self._named_rows(stream, path):
            if name is not None and found != name:
                yield Part(name, rows.getvalue().encode("utf-8"), count, self.head)
                rows, count = io.StringIO(), 0
            name, count = found, count + 1
            rows.write(raw)
        if name is not None:
            yield Part(name, rows.getvalue().encode("utf-8"), count, self.head)

    def _named_rows(self, stream: Iterable[str], path: Path) -> Iterator[tuple[str, str]]:
        """Give each row, and whose it is; rows without a name are those of the only recording."""
        rows = csv_rows(stream) if self.form == "csv" else _plain(stream)
        bare = False
        if self.form == "csv":
            self.head, cells = next(rows, ("", ["file"]))
            bare = cells[:1] != ["file"]
            self.named = self.named or not bare
        for raw, cells in rows:
            if self.form == "txt":
                bare = self.sole is not None and self.sole not in cells
                self.named = self.named or not bare
            if not bare:
                yield raw, self._name(raw, cells)
                continue
            if self.sole is None:
                raise UsageError(
                    f"{path}: holds one recording, whose name is not known, so none can be added; "
                    "use another name, or {overwrite} to make it anew",
                    "overwrite",
                )
            yield self._completed(raw) if self.named else raw, self.sole
        if bare and self.named and self.form == "csv" and self.head:
            self.head = f"file,{self.head}"

    def _completed(self, raw: str) -> str:
        """Put the name of the only recording into a row that has none."""
        name = str(self.sole)
        if self.form == "csv":
            return f"{cell(name)},{raw}"
        cells = raw.rstrip("\r\n").split("\t")
        return "\t".join([*cells[: self.column], name, *cells[self.column :]]) + "\n"

    def _rows(self, text: str) -> Iterator[str]:
        stream = io.StringIO(text, newline="")
        return (raw for raw, _ in (csv_rows(stream) if self.form == "csv" else _plain(stream)))

    def _name(self, raw: str, cells: Sequence[str]) -> str:
        if self.form == "csv":
            return cells[0]
        return cells[self.column] if self.form == "txt" else str(json.loads(raw)["file"])

    def write(self, path: Path, parts: Iterable[Part], counts: Mapping[str, int]) -> None:
        """Write a file of parts."""
        with path.open("wb") as stream:
            for index, part in enumerate(parts):
                if index == 0:
                    stream.write(part.head.encode("utf-8"))
                stream.write(part.data)

    def renamed(self, part: Part, name: str) -> Part:
        """Give the rows another name."""
        text = "".join(self._renamed(raw, name) for raw in self._rows(part.data.decode("utf-8")))
        return Part(name, text.encode("utf-8"), part.rows, part.head)

    def _renamed(self, raw: str, name: str) -> str:
        if self.form == "csv":
            old = cell(next(csv.reader([raw]))[0])
            return cell(name) + raw.removeprefix(old)
        if self.form == "txt":
            cells = raw.rstrip("\r\n").split("\t")
            cells[self.column] = name
            return "\t".join(cells) + "\n"
        return json.dumps({**json.loads(raw), "file": name}, ensure_ascii=False) + "\n"


def _text(content: str | bytes) -> str:
    assert isinstance(content, str)  # narrows the type: what can be joined is text
    return content


def csv_rows(stream: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Give each row as it stands, which may be on several lines, and its cells."""
    lines: list[str] = []

    def noted() -> Iterator[str]:
        for line in stream:
            lines.append(line)
            yield line

    for cells in csv.reader(noted(), strict=True):
        yield "".join(lines), cells
        lines.clear()


def _plain(stream: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    return ((line, line.rstrip("\r\n").split("\t")) for line in stream)
