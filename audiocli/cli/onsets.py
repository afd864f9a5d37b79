"""``audiocli onsets``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from audiocli.cli.options import PictureCommand, batch_options, output_option, plot_option

FORMATS = ["txt", "csv", "json", "jsonl", "lab", "jams", "audacity", "sv", "midi"]


@click.command(cls=PictureCommand)
@batch_options()
@output_option(None, "A file for all, or a folder for a file each. [standard output]")
@click.option("--format", "form", type=click.Choice(FORMATS), help="[by the output's name; txt]")
@click.option("--model", help="Name or model folder. [crnn; with --online: online]")
@click.option(
    "--columns",
    default="",
    help="What stands beside each time: strength, salience (rise of the level in dB), or both.",
)
@click.option("--threshold", type=float, help="What a peak must reach, 0 to 1. [the model's own]")
@click.option("--combine", type=float, help="Of peaks this close, in s, the strongest. [0.03]")
@click.option("--min-gap", type=float, help="Least distance of onsets, in s; the first counts. [0]")
@click.option("--backtrack", is_flag=True, help="Move onsets back to where the level is lowest.")
@click.option("--activations", metavar="FILE", help="Write the onset strength too, .csv or .npz.")
@plot_option("Draw waveform, spectrogram and onsets. [NAME.onsets.png]")
@click.option("--click", "clicks", metavar="FILE", help="Write the sound with a click at each.")
@click.option("--online", is_flag=True, help="Read - (WAV or raw) and print onsets as they come.")
@click.option("--rate", default=44_100, show_default=True, help="Of raw audio, in Hz.")
@click.option("--channels", default=1, show_default=True, help="Of raw audio.")
@click.option(
    "--encoding",
    default="s16le",
    show_default=True,
    type=click.Choice(["s16le", "s32le", "f32le"]),
    help="Of raw audio.",
)
@click.option(
    "--manifest",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Account of what was done. [audiocli.jsonl in the output folder]",
)
def onsets(online: bool, inputs: tuple[str, ...], **options: Any) -> None:
    """Detect onsets: print the time of each in seconds, one a line.

    INPUTS: files, folders (searched for audio), patterns in quotes, or - for standard input.
    Of several inputs, each line ends in the file's name.
    """
    from audiocli.cli import onset_lines

    if online:
        onset_lines.run_online(inputs, options)
    else:
        onset_lines.run_files(inputs, options)
