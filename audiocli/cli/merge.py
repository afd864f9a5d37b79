"""``audiocli merge``."""

from __future__ import annotations

from pathlib import Path

import click

from audiocli.cli.options import LocalPath, RequestCommand, quiet_option


@click.command(cls=RequestCommand)
@click.argument("inputs", nargs=-1, required=True, type=LocalPath())
@click.option("-o", "--output", required=True, type=LocalPath(dir_okay=False),
              help="The file to write, of the same format.")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@quiet_option
def merge(inputs: tuple[Path, ...], output: Path, overwrite: bool, quiet: bool) -> None:
    """Put the tables or manifests of several runs together, as those of --shard.

    INPUTS: tables of one format (csv, jsonl, arff, parquet, sqlite) and the same columns, or
    manifests. If each table has its manifest beside it, they are put together too.
    """
    from audiocli.batch.merging import merge_files

    merged = merge_files(inputs, output, overwrite=overwrite)
    if not quiet:
        click.echo(f"{merged.path}: {merged.recordings} recordings, {merged.rows} rows", err=True)
