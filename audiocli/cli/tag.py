"""``audiocli tag``."""

from __future__ import annotations

from typing import Any

import click

from audiocli.cli import class_lines
from audiocli.cli.options import PictureCommand, batch_options


@click.command(cls=PictureCommand)
@batch_options()
@click.option("--model", default="music", show_default=True, help="Name or folder.")
@class_lines.answer_options(
    top="How many tags, the most probable first. [those that reach the threshold; in csv, json "
    "and jsonl all]",
    threshold="What the probability of a tag must reach. [the model's own]",
    plot="Draw the tags as bars; along time, under the spectrogram. [NAME.classes.png]",
)
@click.option(
    "--write",
    is_flag=True,
    help="Put genre and mood tags into the metadata of copies, in the folder of --output.",
)
@click.option("--in-place", is_flag=True, help="With --write: into the files themselves.")
def tag(inputs: tuple[str, ...], model: str, write: bool, in_place: bool, **options: Any) -> None:
    """Tag recordings: print the tags that hold, with their probabilities.

    INPUTS: files, folders (searched for audio), patterns in quotes, or - for standard input.
    Of several inputs, each line goes on with the file.
    """
    from audiocli.tasks.classify.files import find_models

    entries = find_models(tags=[model])
    class_lines.run_files(inputs, entries, options, write=write, in_place=in_place)
