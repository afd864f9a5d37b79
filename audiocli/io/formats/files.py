"""The formats by name, and how a result becomes a stream or a file."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from audiocli.errors import UsageError, suggest
from audiocli.io.atomic import write_bytes
from audiocli.io.audio.info import StrPath, printable
from audiocli.io.formats import documents, plain
from audiocli.io.formats.annotations import Annotation, Instants, Notes, Options, Segments
from audiocli.io.formats.midi import write_midi
from audiocli.io.formats.printed import write_printed
from audiocli.io.formats.sheet import write_sheet

__all__ = ["FORMATS", "Format", "find_format", "format_of", "render", "write"]

_ALL = (Instants.kind, Segments.kind, Notes.kind)


@dataclass(frozen=True)
class Format:
    """A way to write annotations.

    Parameters
    ----------
    extensions : tuple of str
        The ends of file names, with their dots; the first is the one to write.
    writer : callable
        Takes an annotation and options, returns text or bytes.
    kinds : tuple of str
        What it can write: 'instants', 'segments', 'notes'.
    joins : bool
        Whether several results may follow one another in one stream.
    """

    extensions: tuple[str, ...]
    writer: Callable[[Annotation, Options], str | bytes]
    kinds: tuple[str, ...] = _ALL
    joins: bool = False

    @property
    def extension(self) -> str:
        """The end of a file name to write, with its dot."""
        return self.extensions[0]


FORMATS: Mapping[str, Format] = {
    "txt": Format(
        (".txt", ".onsets"), plain.WRITERS["txt"], (Instants.kind, Notes.kind), joins=True
    ),
    "csv": Format((".csv",), plain.WRITERS["csv"], joins=True),
    "json": Format((".json",), plain.WRITERS["json"], joins=True),
    "jsonl": Format((".jsonl", ".ndjson"), plain.WRITERS["jsonl"], joins=True),
    # What the rows of a database are made of; see audiocli.batch.databases.
    "sqlite": Format((".sqlite", ".sqlite3", ".db"), plain.WRITERS["csv"], joins=True),
    "lab": Format((".lab",), plain.WRITERS["lab"]),
    "jams": Format((".jams",), documents.WRITERS["jams"]),
    "audacity": Format((".txt",), plain.WRITERS["audacity"]),
    "sv": Format((".svl",), documents.WRITERS["sv"]),
    "midi": Format((".mid", ".midi"), write_midi),
    "chordpro": Format((".cho",), write_sheet, (Segments.kind,)),
    "html": Format((".html", ".htm"), write_printed, (Segments.kind,)),
}
"""The formats by name. Where two share an extension, the first that can write it is meant."""


def find_format(name: str, kind: str | None = None) -> Format:
    """Look a format up."""
    if name not in FORMATS:
        raise UsageError(f"no format is called {name!r}: {suggest(name, FORMATS)}")
    if kind is not None and kind not in FORMATS[name].kinds:
        able = [other for other, form in FORMATS.items() if kind in form.kinds]
        raise UsageError(f"{name} cannot write {kind}; these formats can: {', '.join(able)}")
    return FORMATS[name]


def format_of(path: StrPath, kind: str | None = None) -> str:
    """Guess a format from the end of a file's name."""
    suffix = Path(path).suffix.lower()
    for name, form in FORMATS.items():
        if suffix in form.extensions and (kind is None or kind in form.kinds):
            return name
    able = [form for form in FORMATS.values() if kind is None or kind in form.kinds]
    known = dict.fromkeys(form.extension for form in able)
    raise UsageError(
        f"{printable(os.fspath(path))}: no format has the extension {suffix!r}; "
        f"end the name in {', '.join(known)}, or name a format"
    )


def render(
    results: Annotation | Sequence[Annotation], format: str, options: Options | None = None
) -> str | bytes:
    """Turn results into text, or into bytes where the format is binary."""
    many = [results] if isinstance(results, Instants | Segments | Notes) else list(results)
    options = options or Options()
    forms = [find_format(format, one.kind) for one in many]
    if len(many) == 1:
        return _encodable(forms[0].writer(many[0], options))
    if not find_format(format).joins:
        raise UsageError(f"{format} holds the result of one file; write one file for each input")
    if len({tuple(one.table()) for one in many}) > 1:
        raise ValueError("results in one stream have the same columns")
    parts = []
    for index, one in enumerate(many):
        header = options.header and index == 0
        text = forms[index].writer(one, dataclasses.replace(options, file=True, header=header))
        assert isinstance(text, str)  # narrows the type; what can be joined is text
        parts.append(text)
    return _encodable("".join(parts))


def write(
    path: StrPath,
    results: Annotation | Sequence[Annotation],
    format: str | None = None,
    options: Options | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Write a file, which appears under its name only once it is complete.

    Missing folders are made.
    """
    path = Path(path)
    if format is None:
        first = (
            results
            if isinstance(results, Instants | Segments | Notes)
            else next(iter(results), None)
        )
        format = format_of(path, first.kind if first is not None else None)
    content = render(results, format, options)
    data = content.encode("utf-8") if isinstance(content, str) else content
    write_bytes(path, data, overwrite=overwrite)


def _encodable(content: str | bytes) -> str | bytes:
    r"""Escape lone surrogates, as in file names of another encoding; JSON reads them back."""
    if isinstance(content, bytes):
        return content
    return content.encode("utf-8", "backslashreplace").decode("utf-8")
