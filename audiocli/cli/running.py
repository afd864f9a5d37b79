"""Run what a command declares, and show how it goes."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from audiocli.batch import Outcome
from audiocli.cli.events import event
from audiocli.cli.options import Batch
from audiocli.cli.printing import Printer
from audiocli.cli.progress import Reporter, finish
from audiocli.errors import AudioCliWarning

if TYPE_CHECKING:
    from audiocli.tasks.declaration import Declaration

__all__ = ["SERVED", "run_command"]

#: Where a context has what takes a declaration instead, for :mod:`audiocli.cli.serve_jobs`.
SERVED = "audiocli.served"

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

    served = click.get_current_context().meta.get(SERVED)
    if served is not None:
        served(batch, declared)
        return
    if printing is None:
        printing = batch.output is None
    as_json = declared.destination.form == "json"
    printer = Printer(declared.results if printing and lines is None else None, declared.what)
    reporter = Reporter(
        quiet=batch.quiet,
        verbose=batch.verbose,
        expected=printer.expect,
        results=lines or printer,
        remarks=remarks,
        exports={export.kind for export in declared.exports} if lines is None else (),
        as_json=as_json,
        log=batch.log,
    )
    with _warnings_shown(batch.quiet, as_json):
        summary = run_declared(declared, batch.inputs, batch.options, reporter)
    if batch.fail_fast and summary.failed and not as_json:
        click.echo("audiocli: stopped at the first failure, as --fail-fast says", err=True)
    finish(summary, quiet=batch.quiet, as_json=as_json)


@contextlib.contextmanager
def _warnings_shown(quiet: bool, as_json: bool) -> Iterator[None]:
    """Print what is warned of outside of any job as a line; the rest is left to Python."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", AudioCliWarning)
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any) -> None:
            if quiet:
                return
            if not issubclass(category, AudioCliWarning):
                others(message, category, *where)
            else:
                text = str(message)
                line = event("warning", message=text) if as_json else f"warning: {text}"
                click.echo(line, err=True)

        warnings.showwarning = show  # type: ignore[assignment]  # it takes the rest as it comes
        yield
