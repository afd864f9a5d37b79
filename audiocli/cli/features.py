"""``audiocli features``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from audiocli.cli.options import PictureCommand, batch_options, output_option, plot_option

FORMATS = ["csv", "parquet", "npz", "jsonl", "arff"]


@click.command(cls=PictureCommand)
@batch_options(resume="Keep a table's rows, and add files that it lacks.")
@click.option(
    "--set",
    "names",
    default="common",
    show_default=True,
    help="common, lecture, energy, spectral, cepstral, harmonic, lpc, perceptual, rhythm, all, or "
    "names of features; several with commas.",
)
@click.option(
    "--stats",
    default="mean,std",
    show_default=True,
    help="Of a file's frames: mean, std, min, max, median, p10, p90, ...",
)
@click.option("--frames", is_flag=True, help="A row for each frame, with its time in seconds.")
@click.option("--frame", default="2048", show_default=True, help="Length: samples, or as 46ms.")
@click.option("--hop", help="From frame to frame: samples, or as 10ms. [a quarter of a frame]")
@click.option("--rate", default=22_050, show_default=True, help="All sound is brought to it, Hz.")
@click.option("--rolloff", default="85", show_default=True, help="Percentages of the roll-off.")
@click.option("--basis", metavar="MODEL", help="Activations of a learned basis, and none of --set.")
@click.option("--model", help="The last hidden layer of any model: a name or a folder.")
@output_option(None, "The table; its ending says the format. [standard output]")
@click.option("--format", "form", type=click.Choice(FORMATS), help="[by the table's name; csv]")
@click.option(
    "--describe",
    is_flag=False,
    flag_value="table",
    metavar="[csv|json]",
    type=click.Choice(["table", "csv", "json"]),
    help="Print the columns, with units and definitions, and do nothing else.",
)
@plot_option("Draw the features under the spectrogram. [NAME.features.png]")
@click.option(
    "--manifest",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Account of what was done. [the table's name and .manifest.jsonl]",
)
def features(inputs: tuple[str, ...], **options: Any) -> None:
    """Make a table of features: a row for each file, or for each frame.

    INPUTS: files, folders (searched for audio), patterns in quotes, or - for standard input.
    Rows are sorted by the files' names, and all files have the same columns.
    """
    from audiocli.cli import feature_rows

    feature_rows.refuse_both(click.get_current_context())
    if options["describe"]:
        feature_rows.describe(options)
    else:
        feature_rows.run_files(inputs, options)
