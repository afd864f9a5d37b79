"""Text of one line an event: txt, csv, json, jsonl, lab and Audacity's labels.

csv and the two of JSON keep labels as they are. A line of the others can hold neither tabs nor
line breaks, and they know no quotes: there whatever is not printable becomes a space.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from audiocli.io.formats.annotations import Annotation, Instants, Notes, Options
from audiocli.io.names import cell, words

__all__ = ["SCHEMA", "WRITERS", "one_line", "seconds"]

#: The version of what the documents of JSON hold; docs/outputs.md describes it.
SCHEMA = "audiocli/1"
_TIMES = frozenset({"time", "start", "end"})


def seconds(time: float) -> str:
    """Write a time in seconds, with three decimals, or up to six where they are not zero."""
    whole, _, decimals = f"{time:.6f}".partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<3}"


def one_line(label: str) -> str:
    r"""Make a label fit for a format that knows no quotes."""
    return " ".join("".join(c if c.isprintable() else " " for c in label).split())


def _csv_text(name: str, value: float | str) -> str:
    return words(value) if isinstance(value, str) else cell(_text(name, value))


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _text(name: str, value: float | str) -> str:
    if isinstance(value, str):
        return value
    return seconds(value) if name in _TIMES else f"{value:.6g}"


def _dumps(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n"


def _events(annotation: Annotation) -> list[dict[str, float | str]]:
    table = annotation.table()
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


def _spans(annotation: Annotation) -> Iterator[tuple[str, str, str]]:
    table: dict[str, Any] = annotation.table()
    if isinstance(annotation, Instants):
        starts, ends, labels = table["time"], table["time"], [""] * len(annotation)
    elif isinstance(annotation, Notes):
        starts, ends, labels = table["start"], table["end"], table["note"]
    else:
        starts, ends, labels = table["start"], table["end"], table["label"]
    for start, end, label in zip(starts, ends, labels, strict=True):
        yield seconds(start), seconds(end), one_line(label)


def _txt(annotation: Annotation, options: Options) -> str:
    table = annotation.table()
    if isinstance(annotation, Notes):
        names = ["start", "end", "pitch"]  # three numbers, as collections of notes have them
    else:
        names = list(table) if options.columns else ["time"]
    rows = [[_text(name, value) for value in table[name]] for name in names]
    if options.file:
        name = annotation.file or ""
        spoiled = any(c in name for c in "\t\r\n")
        rows.append([one_line(name) if spoiled else name] * len(annotation))
    return _lines("\t".join(row) for row in zip(*rows, strict=True))


def _csv(annotation: Annotation, options: Options) -> str:
    table = annotation.table()
    columns = [[_csv_text(name, value) for value in values] for name, values in table.items()]
    names = list(table)
    if options.file:
        names.insert(0, "file")
        columns.insert(0, [words(annotation.file or "")] * len(annotation))
    rows = [[cell(name) for name in names]] if options.header else []
    rows += [list(row) for row in zip(*columns, strict=True)]
    return _lines(map(",".join, rows))


def _json(annotation: Annotation, options: Options) -> str:
    return _dumps(
        {
            "schema": SCHEMA,
            "file": annotation.file,
            "duration": annotation.duration,
            "name": annotation.name,
            "metadata": dict(annotation.metadata),
            "events": _events(annotation),
        }
    )


def _jsonl(annotation: Annotation, options: Options) -> str:
    return "".join(_dumps({"file": annotation.file, **event}) for event in _events(annotation))


def _lab(annotation: Annotation, options: Options) -> str:
    if isinstance(annotation, Instants):
        return _lines(map(seconds, annotation.times.tolist()))  # what mir_eval's load_events wants
    if isinstance(annotation, Notes):  # what mir_eval's load_valued_intervals wants
        table: dict[str, Any] = annotation.table()
        rows = zip(table["start"], table["end"], table["frequency"], strict=True)
        return _lines(f"{seconds(a)} {seconds(b)} {hertz:.3f}" for a, b, hertz in rows)
    # An empty label would leave two columns, where mir_eval and others insist on three.
    return _lines(f"{start} {end} {label or '-'}" for start, end, label in _spans(annotation))


def _audacity(annotation: Annotation, options: Options) -> str:
    return _lines("\t".join(span) for span in _spans(annotation))


Writer = Callable[[Annotation, Options], str]

WRITERS: Mapping[str, Writer] = {
    "txt": _txt,
    "csv": _csv,
    "json": _json,
    "jsonl": _jsonl,
    "lab": _lab,
    "audacity": _audacity,
}
"""What each of these formats makes of an annotation and options, by name."""
