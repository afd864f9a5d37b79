"""Analyse a library of files into one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from audiocli import __version__
from audiocli.batch import Callbacks, Summary
from audiocli.batch.destination import Destination
from audiocli.batch.inputs import Input
from audiocli.batch.placing import Namer
from audiocli.errors import FieldError, UsageError
from audiocli.io.audio import AudioReader
from audiocli.io.audio.streaming import decoding
from audiocli.io.formats.plain import SCHEMA
from audiocli.io.metadata import check_kind
from audiocli.io.remote import place
from audiocli.nn import models
from audiocli.pipelines.analyze import tagging
from audiocli.pipelines.analyze.analyzer import LibraryAnalyzer, models_of
from audiocli.pipelines.analyze.fields import Value, select
from audiocli.pipelines.analyze.tables import FORMATS, LibraryRows, Row, RowResults, find_form
from audiocli.tasks.declaration import Declaration, Item, Work
from audiocli.tasks.runner import BatchOptions, filled, run_files

__all__ = ["AnalyzeRequest", "analyze_files", "declare"]

#: Samples decoded at once, at the file's rate.
BLOCK = 1 << 16


@dataclass(frozen=True)
class AnalyzeRequest:
    """What is asked of the analysis of a library.

    Parameters
    ----------
    fields : sequence of str
        Names of fields or of groups, see :data:`audiocli.pipelines.analyze.FIELDS`; all by default.
    form : {"csv", "jsonl", "parquet", "sqlite"}, optional
        By default as the output ends, or csv.
    write : bool
        Put tempo, key, genre, mood and ReplayGain, of what the fields hold, into the metadata.
    copies : str, optional
        With `write`: a folder for copies of the files, which mirrors the folders given.
    in_place : bool
        With `write`: into the files themselves. What stood there before is kept in the manifest,
        see :func:`audiocli.pipelines.analyze.tagging.undo`.
    device : str
        As in :func:`audiocli.nn.models.device`.

    Examples
    --------
    >>> AnalyzeRequest(fields=["loudness", "key"]).form is None
    True
    """

    fields: Sequence[str] = ()
    form: str | None = None
    write: bool = False
    copies: str | None = None
    in_place: bool = False
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.write and (self.copies is None) != self.in_place:
            raise FieldError("{write}: name a folder by {copies}, or use {in_place}",
                             "write", "copies", "in_place")  # fmt: skip
        for name in ("copies", "in_place"):
            if getattr(self, name) and not self.write:
                raise FieldError(f"{{{name}}} says where {{write}} writes, which is not asked for",
                                 name, "write")  # fmt: skip
        if self.form not in (None, *FORMATS):
            raise FieldError(f"{{form}} {self.form}: must be {', '.join(FORMATS)}", "form")
        select(self.fields)

    def make_work(self) -> Work[Row]:
        """Load the models, and make what analyses a file."""
        analyzer = LibraryAnalyzer(self.fields, device=self.device)

        def work(item: Item) -> tuple[float, Row]:
            if self.write:
                check_kind(item.path, name=item.input.name)
            with AudioReader(item.path, name=item.input.name) as reader:
                info, seconds = reader.info, 0.0

                def progress(done: float, total: float | None) -> None:
                    nonlocal seconds
                    seconds = done
                    item.progress(done, total)

                rate = info.sample_rate
                with decoding(reader.blocks(BLOCK), rate, info.duration, progress) as blocks:
                    values = analyzer.stream(blocks, rate, layout=info.layout)
            facts = self._tag(item, values) if self.write else {}
            return seconds, Row(item.input.label, values, facts)

        return work

    def _tag(self, item: Item, values: Mapping[str, Value]) -> dict[str, Any]:
        """Write tags into a copy or the file; give what the manifest keeps."""
        target = item.outputs.get("copy", item.path)
        name = item.input.name
        return tagging.write(
            item.path, target, values, name=name, overwrite=item.overwrite, note=item.note
        )


def declare(request: AnalyzeRequest, output: Path | None) -> Declaration[Row]:
    """Turn a request into a declaration: see :mod:`audiocli.tasks.runner`."""
    models.device(request.device)
    if output is not None and output.is_dir():
        raise UsageError(f"{output}: is a folder; name a file, as in {output / 'library.csv'}")
    if request.in_place and output is None:
        raise FieldError(
            "{in_place}: what was there before is kept in the manifest of a table; name one by "
            "{output}", "in_place", "output"
        )  # fmt: skip
    form = find_form(output, request.form)
    fields = select(request.fields)
    settings: dict[str, Any] = {"fields": [field.name for field in fields]}
    if request.write:
        settings["write"] = "in place" if request.in_place else "copies"
    units = {field.name: field.unit for field in fields if field.unit}
    entries = models_of(request.fields)
    made_with = {"schema": SCHEMA, "command": "analyze", "version": __version__,
                 "settings": settings, "units": units,
                 "models": [f"{entry.task}/{entry.name}" for entry in entries]}  # fmt: skip
    return Declaration(
        command="analyze",
        what="rows",
        make_work=request.make_work,
        settings=settings,
        destination=Destination(form, file=output),
        results=RowResults(form, fields) if form in ("csv", "jsonl") else None,
        rows=LibraryRows(form, fields, made_with),
        outputs=None if request.copies is None else partial(_copy, place(request.copies)),
        models=entries,
        units=units,
        in_order=True,
        check_inputs=_check_written if request.write else None,
    )


def _copy(folder: Path, item: Input, namer: Namer) -> dict[str, Path]:
    """Name the copy of a file as the file itself."""
    return {"copy": folder / item.relative}


def _check_written(found: Sequence[Input]) -> None:
    for item in found:
        if item.path == Path("-") or item.url is not None:
            raise FieldError(f"{{write}} needs files; {item.name} is none", "write")


def analyze_files(
    inputs: Sequence[str],
    output: str | Path | None = None,
    request: AnalyzeRequest | None = None,
    *,
    options: BatchOptions | None = None,
    callbacks: Callbacks | None = None,
    **fields: Any,
) -> Summary:
    """Make one table of a library, a row a recording; what ``audiocli analyze`` does.

    Parameters
    ----------
    inputs, callbacks, **fields
        As in :func:`audiocli.detect_files`.
    output : str or Path, optional
        The table: csv, jsonl, parquet or SQLite. Without it only the callbacks are told of rows.
    request : AnalyzeRequest, optional
        What is asked for.
    options : BatchOptions, optional
        How the run goes. To resume is to keep the rows of a table that is there, and to add those
        of files that are new or have changed; to prune is to drop those of files that are gone.

    Returns
    -------
    Summary

    Raises
    ------
    UsageError, ModelError
        As there.

    Examples
    --------
    >>> import tempfile
    >>> from audiocli.demo import write_demo
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_demo(Path(folder))
    ...     analyze_files([folder + "/song.wav"], folder + "/a.csv", fields=["level"]).done
    1
    """
    made = filled(AnalyzeRequest, request, options, fields)
    return run_files(declare, inputs, output, made, callbacks)
