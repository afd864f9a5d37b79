"""The page of a library: a table of its recordings, with a small picture and a link for each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from audiocli import __version__
from audiocli.batch import joint
from audiocli.errors import UsageError
from audiocli.page.content import Page
from audiocli.page.render import asset, clock, embedded, fill, number, opening, text

__all__ = ["Entry", "LibraryIndex", "entry_of"]

SCHEMA = "audiocli.index/1"
COLUMNS = 120  # of a small picture
#: Header, field, kind, and decimals of numbers.
SHOWN: tuple[tuple[str, str, str, int], ...] = (
    ("Duration", "duration", "time", 0), ("Key", "key", "text", 0), ("Tempo", "tempo", "number", 0),
    ("Beats a bar", "metre", "number", 0), ("Genre", "genre", "text", 0),
    ("Mood", "mood", "text", 0), ("Content", "content", "text", 0),
    ("Loudness (LUFS)", "loudness", "number", 1), ("Tags", "tags", "tags", 0),
)  # fmt: skip
FILTERS = ("Key", "Genre", "Mood", "Content")
_DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


@dataclass(frozen=True)
class Entry:
    """What an index says of a recording, ready for JSON.

    Parameters
    ----------
    link : str
        The page, as a path from the folder of the index.
    values : mapping
        The fields of the analysis of a library.
    outline : sequence of int
        Heights of the waveform, from 0 to 127.
    """

    link: str
    values: Mapping[str, Any]
    outline: Sequence[int]


def entry_of(page: Page, link: str, values: Mapping[str, Any]) -> Entry:
    """Make the entry of a page."""
    heights: list[int] = []
    if page.outline is not None:
        tops = [max(top, -low) for top, low in zip(page.outline.tops, page.outline.bottoms,
                                                   strict=True)]  # fmt: skip
        count = min(COLUMNS, len(tops))
        edges = [len(tops) * place // count for place in range(count + 1)]
        heights = [max(tops[a:b]) for a, b in zip(edges, edges[1:], strict=False)]
    kept = {field: values[field] for _, field, _, _ in SHOWN if values.get(field) is not None}
    return Entry(link, kept, heights)


@dataclass(frozen=True)
class LibraryIndex:
    """Writes and reads the page of a library; see :class:`audiocli.batch.joint.RowFormat`."""

    title: str

    def begin(self, known: Sequence[str]) -> None:
        """Take the names of recordings; they stand in the rows too."""

    def part(self, value: Entry, name: str) -> joint.Part:
        """Make the row of a recording."""
        held = {"file": name, "link": value.link, "values": dict(value.values),
                "outline": list(value.outline)}  # fmt: skip
        return joint.Part(name, json.dumps(held).encode(), 1)

    def renamed(self, part: joint.Part, name: str) -> joint.Part:
        """Give a row another name."""
        held = json.loads(part.data)
        return joint.Part(name, json.dumps({**held, "file": name}).encode(), 1)

    def read(self, path: Path) -> Iterator[joint.Part]:
        """Read a page back."""
        try:
            found = _DATA.search(path.read_text("utf-8"))
            held = json.loads(found[1]) if found else {}
            if held.get("schema") != SCHEMA:
                raise ValueError("another schema")
            rows = [(str(row["file"]), json.dumps(row).encode()) for row in held["rows"]]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{path}: is no index of audiocli report to add to; use {{overwrite}} to make it "
                "anew",
                "overwrite",
            ) from error
        yield from (joint.Part(name, data, 1) for name, data in rows)

    def write(self, path: Path, parts: Iterable[joint.Part], counts: Mapping[str, int]) -> None:
        """Write the page."""
        rows = [json.loads(part.data) for part in parts]
        shown = [each for each in SHOWN if any(each[1] in row["values"] for row in rows)]
        data = json.dumps({"schema": SCHEMA, "rows": rows}, separators=(",", ":"))
        content = fill("index.html", {
            "opening": opening(self.title, "img-src data:"),
            "version": __version__,
            "title": text(self.title),
            "lead": f"{len(rows)} recordings" if len(rows) != 1 else "1 recording",
            "filters": "".join(_filters(rows, shown)),
            "head": "".join(_heads(shown)),
            "rows": "\n".join(_row(row, shown) for row in rows),
            "data": embedded(data),
            "script": asset("index.js"),
        })  # fmt: skip
        path.write_text(content, "utf-8")


Shown = Sequence[tuple[str, str, str, int]]


def _heads(shown: Shown) -> Iterator[str]:
    yield '<th scope="col"><button type="button">Recording</button></th><th scope="col"></th>'
    for title, _, kind, _ in shown:
        sorts = "number" if kind in ("number", "time") else "text"
        css = ' class="words"' if sorts == "text" else ""
        yield (f'<th scope="col" data-kind="{sorts}"{css}><button type="button">{title}</button>'
               "</th>")  # fmt: skip


def _filters(rows: Sequence[Mapping[str, Any]], shown: Shown) -> Iterator[str]:
    for column, (title, field, _, _) in enumerate(shown):
        values = sorted({str(row["values"][field]) for row in rows if field in row["values"]})
        if title in FILTERS and len(values) > 1:
            options = "".join(f"<option>{text(value)}</option>" for value in values)
            yield (f'<label>{title}<select data-column="{column + 2}"><option value="">all'
                   f"</option>{options}</select></label> ")  # fmt: skip


def _row(row: Mapping[str, Any], shown: Shown) -> str:
    values = row["values"]
    cells = "".join(_cell(values.get(field), kind, digits) for _, field, kind, digits in shown)
    link = quote(row["link"].encode("utf-8", "surrogateescape"))
    return (f'<tr><th scope="row"><a href="{text(link)}">{text(row["file"])}</a></th>'
            f"<td>{_picture(row['outline'])}</td>{cells}</tr>")  # fmt: skip


def _cell(value: Any, kind: str, digits: int) -> str:
    if value is None:
        return '<td data-value=""></td>'
    if kind == "time":
        return f'<td data-value="{float(value)}">{clock(float(value))}</td>'
    if kind == "number":
        return f'<td data-value="{float(value)}">{number(float(value), digits)}</td>'
    css = "words tags" if kind == "tags" else "words"
    return f'<td class="{css}" data-value="{text(str(value))}">{text(str(value))}</td>'


def _picture(heights: Sequence[int]) -> str:
    if not heights:
        return ""
    bars = "".join(f"M{place} {127 - max(each, 1)}h.8v{2 * max(each, 1)}h-.8z"
                   for place, each in enumerate(heights))  # fmt: skip
    return (f'<svg viewBox="0 0 {len(heights)} 254" preserveAspectRatio="none" aria-hidden="true">'
            f'<path d="{bars}"/></svg>')  # fmt: skip
