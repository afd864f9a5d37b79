"""Make pages of recordings, one or many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audiocli.batch import Callbacks, Summary
from audiocli.batch.destination import Destination
from audiocli.batch.placing import PAGES
from audiocli.errors import UsageError
from audiocli.nn import models
from audiocli.page import write
from audiocli.pipelines.report.reporter import Reporter, check_sections, models_used
from audiocli.tasks.runner import BatchOptions, Declaration, Item, Work, filled, run_files
from audiocli.tasks.separate.separator import DEFAULT_MODEL as STEMS

__all__ = ["ReportRequest", "declare", "report_files"]


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

    def make_work(self) -> Work[PageMade]:
        """Load the models, and make what makes the page of a file."""
        reporter = Reporter(self.sections, model=self.model, device=self.device)

        def work(item: Item) -> tuple[float, PageMade]:
            page = reporter.page(item.path, name=item.input.name, progress=item.progress)
            write(item.outputs["page"], page, overwrite=item.overwrite)
            return page.seconds, PageMade(dict(page.facts))

        return work


@dataclass(frozen=True)
class PageMade:
    """What is known of a recording whose page was written."""

    facts: dict[str, Any] = field(default_factory=dict)


def declare(request: ReportRequest, output: Path | None) -> Declaration[PageMade]:
    """Say what a request comes to: see :mod:`audiocli.tasks.runner`."""
    models.device(request.device)
    place = _place(output)
    sections = check_sections(request.sections)
    return Declaration(
        command="report",
        what="pages",
        make_work=request.make_work,
        settings={"sections": list(sections), "model": request.model},
        destination=place,
        outputs=lambda item, namer: {
            "page": place.file or namer(place.folder or Path(), item, "html")
        },
        models=models_used(sections, request.model),
        template="{name}.{ext}",
    )


def _place(output: Path | None) -> Destination:
    """Settle whether the output is a page or a folder of pages."""
    if output is None:
        return Destination("html", folder=Path())
    if not output.is_dir() and output.suffix.lower() in PAGES:
        return Destination("html", file=output)
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output}: must end in .html, or be a folder")
    return Destination("html", folder=output)


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
        A page, for one input, or a folder that mirrors the folders given.
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
