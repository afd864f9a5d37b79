"""Options that every ``audiocli evaluate`` has."""

from __future__ import annotations

from collections.abc import Callable

import click

from audiocli.cli.options import Command, adding

only_option = click.option(
    "--only",
    metavar="PATTERN",
    multiple=True,
    help="Recordings to take, as FOLDER/NAME with * and ?; may be repeated. [all]",
)


def evaluation_options(*, shown: str) -> Callable[[Command], Command]:
    """Add what follows the task's own options; `shown` tells what ``--format`` prints."""
    return adding([
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
    ])  # fmt: skip
