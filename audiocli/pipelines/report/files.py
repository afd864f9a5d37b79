"""Make pages of recordings, one or many."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from audiocli.batch import Callbacks, Summary
from audiocli.batch.destination import Destination
from audiocli.batch.inputs import Input
from audiocli.batch.placing import PAGES, Namer
from audiocli.errors import UsageError
from audiocli.io.remote import RemotePath
from audiocli.nn import models
from audiocli.page import write
from audiocli.page.sections import check_sections
from audiocli.pipelines.report.index import Entry, LibraryIndex, entry_of
from audiocli.pipelines.report.reporter import Reporter, models_used
from audiocli.tasks.declaration import Declaration, Item, Work
from audiocli.tasks.runner import BatchOptions, filled, run_files
from audiocli.tasks.separate.separator import DEFAULT_MODEL as STEMS

__all__ = ["INDEX", "ReportRequest", "declare", "report_files"]

#: The page of a library, in the folder of its pages.
INDEX = "index.html"


@dataclass(frozen=True)
class ReportRequest:
    """What is asked of pages of recordings.

    Parameters
    ----------
    sections : sequence of str
        What a page has: ``sound``, ``onsets``, ``beats``, ``chords``, ``melody``, ``tags``,
        ``events``, ``loudness``, ``stems``; all by default.
    model : str
        The separator's name or folder.
    device : str
        As in :func:`audiocli.nn.models.device`.

    Examples
    --------
    >>> ReportRequest(sections=["chords"]).model
    'stereo-drnn'
    """

    sections: Sequence[str] = ()
    model: str = STEMS
    device: str = "auto"

    def __post_init__(self) -> None:
        check_sections(self.sections)


@dataclass(frozen=True)
class _MakeWork:
    """Makes what makes the page of a file; pickled to worker processes."""

    request: ReportRequest
    folder: Path  # of the index, to which links are relative

    def __call__(self) -> Work[Entry]:
        request = self.request
        reporter = Reporter(request.sections, model=request.model, device=request.device)

        def work(item: Item) -> tuple[float, Entry]:
            page, values = reporter.report(item.path, name=item.input.name, progress=item.progress)
            target = item.outputs["page"]
            write(target, page, overwrite=item.overwrite)
            return page.seconds, entry_of(page, _link(target, self.folder), values)

        return work


def _link(page: Path, folder: Path) -> str:
    if isinstance(page, RemotePath):
        return posixpath.relpath(str(page), str(folder))
    return Path(os.path.relpath(page, folder)).as_posix()


def declare(request: ReportRequest, output: Path | None) -> Declaration[Entry]:
    """Say what a request comes to: see :mod:`audiocli.tasks.runner`."""
    models.device(request.device)
    single = output is not None and _is_page(output)
    folder = Path() if output is None else output.parent if single else output
    index = None if output is None or single else folder / INDEX
    sections = check_sections(request.sections)
    return Declaration(
        command="report",
        what="pages",
        make_work=_MakeWork(request, folder),
        settings={"sections": list(sections), "model": request.model},
        destination=Destination("html", file=output if single else index, folder=None
                                if index or single else folder),
        rows=None if index is None else LibraryIndex(folder.resolve().name or "Library"),
        outputs=partial(_page, output if single else None, folder),
        models=models_used(sections, request.model),
        in_order=index is not None,
    )  # fmt: skip


def _page(file: Path | None, folder: Path, item: Input, namer: Namer) -> dict[str, Path]:
    """Name the page of an input; one of a recording called index steps aside for the index."""
    page = file or namer(folder, item, "html")
    if file is None and page == folder / INDEX:
        page = page.with_name("index.page.html")
    return {"page": page}


def _is_page(output: Path) -> bool:
    """Tell whether the output is a page, or a folder of pages."""
    if not output.is_dir() and output.suffix.lower() in PAGES:
        return True
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output}: must end in .html, or be a folder")
    return False


def report_files(
    inputs: Sequence[str],
    output: str | Path | None = None,
    request: ReportRequest | None = None,
    *,
    options: BatchOptions | None = None,
    callbacks: Callbacks | None = None,
    **fields: Any,
) -> Summary:
    """Make a web page of each recording; what ``audiocli report`` does.

    Parameters
    ----------
    inputs : sequence of str
        Files, folders, patterns, or ``-`` for standard input.
    output : str or Path, optional
        A page, for one input, or a folder that mirrors the folders given, with an ``index.html``
        of all.
    request : ReportRequest, optional
        What is asked for.
    options : BatchOptions, optional
        How the run goes.
    callbacks : Callbacks, optional
        Told how it goes.
    **fields
        Fields of :class:`ReportRequest` and :class:`audiocli.BatchOptions`, in their place.

    Returns
    -------
    Summary

    Raises
    ------
    UsageError
        If the request cannot be carried out as asked; nothing was written then.
    ModelError
        If a model cannot be loaded.

    Examples
    --------
    >>> import tempfile
    >>> from audiocli.demo import write_demo
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_demo(Path(folder))
    ...     song, page = folder + "/song.wav", folder + "/song.html"
    ...     report_files([song], page, sections=["loudness"]).done
    1
    """
    made = filled(ReportRequest, request, options, fields)
    return run_files(declare, inputs, output, made, callbacks)
