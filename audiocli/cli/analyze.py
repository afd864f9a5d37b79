"""``audiocli analyze``."""

from __future__ import annotations

import click

from audiocli.cli.options import Batch, RequestCommand, batch_options, device_option, split_words


@click.command(cls=RequestCommand)
@batch_options(
    "The table: .csv, .jsonl, .parquet or .sqlite. [csv on standard output]",
    resume="Keep the rows of a table, and add those of files that are new or have changed.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "jsonl", "parquet", "sqlite"]),
    help="[by the output's name; csv]",
)
@click.option(
    "--fields",
    default="",
    callback=lambda context, option, value: split_words(value),
    help="Fields, or groups of them (file, level, rhythm, harmony, classes, tags), with commas. "
    "[all]",
)
@device_option
def analyze(batch: Batch, form: str | None, fields: tuple[str, ...], device: str) -> None:
    """Analyse a library: a row a recording, with level, tempo, key, genre, mood, tags and more.

    INPUTS: files, folders (searched for audio), patterns in quotes, or - for standard input. Each
    is decoded once. What does not apply, such as the key of speech, is empty.
    """
    from audiocli.cli.running import run_command
    from audiocli.pipelines.analyze.files import AnalyzeRequest, declare

    request = AnalyzeRequest(fields=fields, form=form, device=device)
    run_command(batch, declare(request, batch.output))
