"""``audiocli tag``."""

from __future__ import annotations

import click

from audiocli.cli.answers import Answers, answer_options
from audiocli.cli.options import (
    Batch,
    RequestCommand,
    batch_options,
    complete_models,
    device_option,
)


@click.command(cls=RequestCommand)
@batch_options("A file for all, or a folder for a file each. [standard output]")
@click.option(
    "--model",
    shell_complete=complete_models("tag"),
    default="music",
    show_default=True,
    help="Name or folder.",
)
@answer_options(
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
@device_option
def tag(
    batch: Batch, answers: Answers, model: str, write: bool, in_place: bool, device: str
) -> None:
    """Tag recordings: print the tags that hold, with their probabilities.

    INPUTS: files, folders (searched for audio), patterns in quotes, or - for standard input.
    Of several inputs, each line goes on with the file.
    """
    from audiocli.cli.running import run_command
    from audiocli.tasks.classify.files import ClassifyRequest, declare, find_models

    request = ClassifyRequest(
        form=answers.form,
        top=answers.top,
        threshold=answers.threshold,
        level=answers.level,
        segment=answers.segment,
        hop=answers.hop,
        entries=find_models(tags=[model]),
        plot=answers.plot,
        write=write,
        in_place=in_place,
        device=device,
        batch_size=answers.batch_size,
    )
    printing = batch.output is None or (write and not in_place)
    run_command(batch, declare(request, batch.output), printing=printing)
