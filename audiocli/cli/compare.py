"""``audiocli compare``."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import click

from audiocli.cli.options import (
    RequestCommand,
    complete_models,
    device_option,
    jobs_option,
    quiet_option,
    verbose_option,
)

COLUMNS = ("probability", "cosine", "verdict", "first", "second")


@click.command(cls=RequestCommand)
@click.argument("inputs", nargs=-1)
@click.option(
    "--model",
    shell_complete=complete_models("encode"),
    default="voice",
    show_default=True,
    help="Name or folder of an encoder.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    metavar="P",
    help="From this probability on the verdict is same. [0.5]",
)
@click.option("--format", "form", default="txt", type=click.Choice(["txt", "csv", "json"]),
              show_default=True, help="How to print them.")  # fmt: skip
@jobs_option
@device_option
@quiet_option
@verbose_option
def compare(
    inputs: tuple[str, ...],
    model: str,
    threshold: float | None,
    form: str,
    jobs: int,
    device: str,
    quiet: bool,
    verbose: bool,
) -> None:
    """Say whether the same person speaks: probability, cosine and verdict for each two recordings.

    INPUTS: two or more files, folders, patterns in quotes, or - for standard input.
    """
    from audiocli.cli.progress import Reporter, finish
    from audiocli.tasks.classify.comparing import compare_files

    summary, pairs = compare_files(
        inputs,
        encoder=model,
        threshold=threshold,
        n_jobs=jobs,
        device=device,
        callbacks=Reporter(quiet=quiet, verbose=verbose),
    )
    for line in _pair_lines(pairs, form):
        click.echo(line)
    finish(summary, quiet=True)


def _pair_lines(pairs: list[dict[str, Any]], form: str) -> Iterator[str]:
    """Write a pair a line."""
    if form == "csv":
        table = io.StringIO()
        writer = csv.DictWriter(table, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(pairs)
        yield table.getvalue().removesuffix("\n")
    for pair in pairs if form != "csv" else ():
        if form == "json":
            yield json.dumps(pair, ensure_ascii=False)
        else:
            numbers = f"{pair['probability']:.4f}\t{pair['cosine']:.4f}"
            yield f"{numbers}\t{pair['verdict']}\t{pair['first']}\t{pair['second']}"
