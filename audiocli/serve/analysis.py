"""What a worker makes of an uploaded recording: its page, its stems and its tables."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from audiocli.batch import Progress, Worker
from audiocli.batch.inputs import Job
from audiocli.io import formats
from audiocli.io.atomic import write_bytes
from audiocli.io.formats import Annotation
from audiocli.nn.threads import working
from audiocli.page import write
from audiocli.pipelines.report import Reporter
from audiocli.pipelines.report.filling import Findings, fill
from audiocli.tasks.beats.files import as_instants as beats_table
from audiocli.tasks.chords.files import ChordRequest, as_segments
from audiocli.tasks.notes.files import as_notes
from audiocli.tasks.onsets.files import COLUMNS
from audiocli.tasks.onsets.files import as_instants as onsets_table

__all__ = ["worker", "write_tables"]


def worker(reporter: Reporter, width: int) -> Worker:
    """Make what does a job, with so many segments in a network at once."""

    def work(job: Job, progress: Progress) -> tuple[float, dict[str, str]]:
        [target] = job.outputs
        source, name = job.input.path, job.input.name
        with (
            _temporary_files_in(target.parent),
            working(width),
            reporter.analysed(source, name=name, stems=target.parent, progress=progress) as found,
        ):
            page = fill(found)
            write_tables(found, target.parent)
            write(target, page)
        return page.seconds, dict(page.facts)

    return work


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[None]:
    """Have temporary files where results go: those that a killed process leaves are removed too."""
    before = tempfile.tempdir
    tempfile.tempdir = str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before


def write_tables(found: Findings, folder: Path) -> None:
    """Write what was found as tables, MIDI and JSON."""
    for name, annotation in _annotations(found):
        formats.write(folder / name, annotation)
    row = {field: _plain(value) for field, value in found.row.items()}
    text = json.dumps({"file": found.title, **row}, ensure_ascii=False, indent=1)
    write_bytes(folder / "analysis.json", text.encode("utf-8", "backslashreplace"))


def _annotations(found: Findings) -> Iterator[tuple[str, Annotation]]:
    title = found.title
    if found.onsets is not None:
        yield "onsets.csv", onsets_table(found.onsets, title, COLUMNS)
    if found.beats is not None:
        yield "beats.csv", beats_table(found.beats, title)
    if found.chords is not None:
        yield "chords.csv", as_segments(found.chords, ChordRequest(), title)
    if found.melody is not None:
        notes = as_notes(found.melody, title)
        yield "melody.csv", notes
        yield "melody.mid", notes
    if found.events is not None:
        yield "events.csv", found.events


def _plain(value: Any) -> Any:
    """Give a value that JSON has."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
