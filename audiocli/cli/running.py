"""Run what a command declares, and show how it goes."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from audiocli.batch import Outcome
from audiocli.cli.options import Batch
from audiocli.cli.printing import Printer
from audiocli.cli.progress import Reporter, finish
from audiocli.errors import AudioCliWarning

if TYPE_CHECKING:
    from audiocli.tasks.runner import Declaration

__all__ = ["run_command"]

Lines = Callable[[Outcome], Iterable[str]]


def run_command(
    batch: Batch,
    declared: Declaration[Any],
    *,
    printing: bool | None = None,
    lines: Lines | None = None,
    remarks: Lines = lambda outcome: (),
) -> None:
    """Do what was declared, and end with the exit status."""
    from audiocli.tasks.runner import run_declared

    if printing is None:
        printing = batch.output is None
    printer = Printer(declared.results if printing and lines is None else None, declared.what)
    reporter = Reporter(
        quiet=batch.quiet,
        verbose=batch.verbose,
        expected=printer.expect,
        results=lines or printer,
        remarks=remarks,
        exports={export.kind for export in declared.exports} if lines is None else (),
    )
    with _warnings_shown(batch.quiet):
        summary = run_declared(declared, batch.inputs, batch.options, reporter)
    finish(summary, quiet=batch.quiet)


@contextlib.contextmanager
def _warnings_shown(quiet: bool) -> Iterator[None]:
    """Print what is warned of outside of any job as a line; the rest is left to Python."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", AudioCliWarning)
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any) -> None:
            if not issubclass(category, AudioCliWarning):
                others(message, category, *where)
            elif not quiet:
                click.echo(f"warning: {message}", err=True)

        warnings.showwarning = show  # type: ignore[assignment]  # it takes the rest as it comes
        yield
