"""``audiocli compare``."""

from __future__ import annotations

from typing import Any

import click

from audiocli.cli import class_lines


@click.command()
@click.argument("inputs", nargs=-1)
@click.option("--model", default="voice", show_default=True, help="Name or folder of an encoder.")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    metavar="P",
    help="From this probability on the verdict is same. [0.5]",
)
@click.option("--format", "form", default="txt", type=click.Choice(["txt", "csv", "json"]),
              show_default=True, help="How to print them.")  # fmt: skip
@click.option(
    "-j",
    "--jobs",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Worker processes, each with a model of its own.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N or mps.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="Say what is done to each file.")
def compare(inputs: tuple[str, ...], **options: Any) -> None:
    """Say whether the same person speaks: probability, cosine and verdict for each two recordings.

    INPUTS: two or more files, folders, patterns in quotes, or - for standard input.
    """
    class_lines.run_compare(inputs, options)
