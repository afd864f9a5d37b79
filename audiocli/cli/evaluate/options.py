"""Options that every ``audiocli evaluate`` has, gathered into one typed value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from audiocli.cli.options import adding, gathering

if TYPE_CHECKING:
    from audiocli.cli.progress import Reporter
    from audiocli.tasks.evaluation import Evaluation

only_option = click.option(
    "--only",
    metavar="PATTERN",
    multiple=True,
    help="Recordings to take, as FOLDER/NAME with * and ?; may be repeated. [all]",
)


@dataclass(frozen=True)
class Evaluating:
    """How to evaluate: what to print, where to record it, and on what to run.

    Parameters
    ----------
    form : {"table", "csv", "json"}
        What is printed.
    record : str or None
        A note for the model's card; None records nothing.
    n_jobs : int
        Worker processes.
    device : str
        As in :func:`audiocli.nn.models.device`.
    quiet : bool
        Say nothing but errors.
    """

    form: str
    record: str | None
    n_jobs: int
    device: str
    quiet: bool

    def reporter(self) -> Reporter:
        """Make what shows how it goes."""
        from audiocli.cli.progress import Reporter

        return Reporter(quiet=self.quiet)

    def show(
        self,
        evaluation: Evaluation[Any, Any],
        record: Callable[[Any, str], None] | None = None,
    ) -> None:
        """Print a row a recording and the total, record that if asked to, and say what failed."""
        from audiocli.cli.progress import finish
        from audiocli.cli.tables import show_rows

        rows = [score.row() for score in evaluation.scores]
        total = evaluation.total
        show_rows(rows, None if total is None else {**total.row(), "file": "all"}, self.form)
        if record is not None and self.record and total is not None:
            record(total, self.record)
        finish(evaluation.summary, quiet=self.quiet)


def evaluation_options(*, shown: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add what follows the task's own options; `shown` tells what ``--format`` prints.

    The command gets them as one argument ``evaluating``, an :class:`Evaluating`.
    """
    options = [
        click.option("--format", "form", type=click.Choice(["table", "csv", "json"]),
                     default="table", show_default=True, help=shown),
        click.option("--record", metavar="NOTE",
                     help="Write the totals into the model's configuration and card, NOTE as "
                     "the data."),
        click.option("-j", "--jobs", "n_jobs", default=1, show_default=True,
                     type=click.IntRange(1), help="Worker processes."),
        click.option("--device", default="auto", show_default=True,
                     help="auto, cpu, cuda, cuda:N, mps."),
        click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors."),
    ]  # fmt: skip

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        return gathering(command, "evaluating", Evaluating, adding(options))

    return decorate
