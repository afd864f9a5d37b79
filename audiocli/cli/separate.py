"""``audiocli separate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from audiocli.cli.options import batch_options, output_option


@click.command()
@batch_options()
@output_option("separated", "Folder for the stems; mirrors the folders given.")
@click.option("--model", default="drnn-mir1k", show_default=True, help="Name or model folder.")
@click.option("--stems", help="What to write. [vocals,accompaniment]")
@click.option("--karaoke", is_flag=True, help="Write the accompaniment alone.")
@click.option(
    "--format",
    "container",
    type=click.Choice(["wav", "flac", "ogg", "mp3"]),
    help="Kind of file to write. [wav and flac stay what they are, the rest becomes wav]",
)
@click.option("--bits", type=int, help="Bits a sample: 8, 16, 24, 32 (float). [the input's]")
@click.option(
    "--name",
    "template",
    default="{name}.{stem}.{ext}",
    show_default=True,
    help="Names of the outputs; {parent} is the input's folder.",
)
@click.option(
    "--manifest",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Account of what was done. [audiocli.jsonl in the output folder]",
)
def separate(
    inputs: tuple[str, ...],
    files_from: str | None,
    quiet: bool,
    verbose: bool,
    karaoke: bool,
    stems: str | None,
    jobs: int,
    **options: Any,
) -> None:
    """Separate songs into vocals and accompaniment.

    INPUTS: files, folders (searched for audio), patterns in quotes, or - for standard input.
    The stems have the input's sample rate, channels and exact length, and add up to it.
    """
    from audiocli.cli.progress import Reporter, finish
    from audiocli.tasks.separate import separate_files

    if karaoke and stems:
        raise click.UsageError("--karaoke writes the accompaniment alone; leave out --stems")
    wanted = "accompaniment" if karaoke else stems or "vocals,accompaniment"
    summary = separate_files(
        inputs,
        files_from=files_from,
        stems=[stem.strip() for stem in wanted.split(",")],
        n_jobs=jobs,
        listener=Reporter(
            quiet=quiet,
            verbose=verbose,
            results=lambda outcome: map(str, outcome.job.outputs),
        ),
        **options,
    )
    finish(summary, quiet=quiet)
