"""``audiocli report``."""

from __future__ import annotations

import click

from audiocli.cli.options import Batch, RequestCommand, batch_options, device_option, split_words


@click.command(cls=RequestCommand)
@batch_options("A page, or a folder with a page for each input and an index of all. [NAME.html]")
@click.option(
    "--sections",
    default="",
    callback=lambda context, option, value: split_words(value),
    help="What pages have, with commas: sound, onsets, beats, chords, melody, tags, events, "
    "loudness, stems. [all]",
)
@click.option("--model", default="stereo-drnn", show_default=True, help="Separator of the stems.")
@device_option
def report(batch: Batch, sections: tuple[str, ...], model: str, device: str) -> None:
    """Make a web page of a recording: a player with all that the other commands find.

    INPUTS: files, folders (searched for audio), patterns in quotes, or - for standard input. A page
    is one file, with the sound inside, and needs no network. An index, index.html in the folder of
    --output, lists all pages in a table to sort and filter.
    """
    from audiocli.cli.running import run_command
    from audiocli.pipelines.report import ReportRequest, declare

    request = ReportRequest(sections=sections, model=model, device=device)
    run_command(
        batch,
        declare(request, batch.output),
        lines=lambda outcome: map(str, outcome.job.outputs),
    )
