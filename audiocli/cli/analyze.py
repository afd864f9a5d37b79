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
@click.option(
    "--write",
    is_flag=True,
    help="Put tempo, key, genre, mood and ReplayGain into the metadata: see the next two.",
)
@click.option("--copies", metavar="FOLDER", help="With --write: of copies, in this folder.")
@click.option("--in-place", is_flag=True, help="With --write: of the files themselves.")
@click.option(
    "--undo",
    is_flag=True,
    help="Give files the metadata back that --in-place replaced, by the manifest of --output.",
)
@device_option
def analyze(
    batch: Batch,
    form: str | None,
    fields: tuple[str, ...],
    write: bool,
    copies: str | None,
    in_place: bool,
    undo: bool,
    device: str,
) -> None:
    """Analyse a library: a row a recording, with level, tempo, key, genre, mood, tags and more.

    INPUTS: files, folders (searched for audio), patterns in quotes, or - for standard input. Each
    is decoded once. What does not apply, such as the key of speech, is empty.
    """
    from audiocli.cli.running import run_command
    from audiocli.pipelines.analyze.files import AnalyzeRequest, declare

    if undo:
        _undo(batch)
        return
    request = AnalyzeRequest(
        fields=fields, form=form, write=write, copies=copies, in_place=in_place, device=device
    )
    run_command(batch, declare(request, batch.output))


def _undo(batch: Batch) -> None:
    """Take back what was written in place, and say of which files."""
    import sys

    from audiocli.errors import FieldError
    from audiocli.pipelines.analyze.tagging import Undone
    from audiocli.pipelines.analyze.tagging import undo as take_back

    if batch.output is None and batch.manifest is None:
        raise FieldError("{undo} goes by a manifest; name the table by {output}", "undo", "output")

    def report(outcome: Undone) -> None:
        if outcome.status == "failed":
            click.echo(f"error: {outcome.reason}", err=True)
        elif outcome.status == "restored" and not batch.quiet:
            click.echo(f"{outcome.path}: metadata restored", err=True)

    manifest = batch.manifest
    if manifest is None:
        assert batch.output is not None  # narrows the type
        manifest = batch.output.with_name(f"{batch.output.name}.manifest.jsonl")
    if any(each.status == "failed" for each in take_back(manifest, report)):
        sys.exit(1)
