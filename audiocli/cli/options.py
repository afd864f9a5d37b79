"""Options that several commands share, as decorators."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from audiocli.batch.placing import PICTURES

Command = TypeVar("Command", bound=Callable[..., Any])

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def batch_options(
    *,
    resume: str = "Skip what the manifest says is done with the same settings.",
) -> Callable[[Command], Command]:
    """Add the options of commands that run over many files, with the command's own help."""
    options = [
        click.argument("inputs", nargs=-1),
        click.option("--files-from", metavar="LIST", help="Take inputs from a list, one a line."),
        click.option("--overwrite", is_flag=True, help="Replace outputs that are there."),
        click.option("--resume", is_flag=True,
                     help=resume),
        click.option("-j", "--jobs", default=1, show_default=True, type=click.IntRange(1),
                     help="Worker processes, each with a model of its own."),
        click.option("--device", default="auto", show_default=True,
                     help="auto, cpu, cuda, cuda:N or mps."),
        click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors."),
        click.option("-v", "--verbose", is_flag=True, help="Say what is done to each file."),
    ]  # fmt: skip
    return adding(options)


def adding(options: list[Callable[[Any], Any]]) -> Callable[[Command], Command]:
    """Make one decorator of several, the first on top."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def output_option(default: str | None, help: str) -> Callable[[Command], Command]:
    """Add ``-o`` for an output folder."""
    return click.option(
        "-o",
        "--output",
        default=default,
        show_default=default is not None,
        type=click.Path(path_type=Path),
        help=help,
    )


class PictureCommand(click.Command):
    """A command whose ``--plot`` takes the next word only if that names a picture or a folder.

    So ``--plot song.wav`` draws the song, and ``--plot a.png song.wav`` does it into a.png.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, with a value put behind every ``--plot`` that has none."""
        words: list[str] = []
        for index, word in enumerate(args):
            following = args[index + 1] if index + 1 < len(args) else ""
            named = following.lower().endswith((*PICTURES, "/"))
            words.append("--plot=" if word == "--plot" and not named else word)
        return super().parse_args(ctx, words)


#: How many pitches a separator hears at; see :mod:`audiocli.tasks.separate.pitches`.
pitches_option = click.option(
    "--pitches",
    type=click.Choice(["1", "3", "5", "7"]),
    callback=lambda context, option, value: None if value is None else int(value),
    help="Hear everything at so many pitches and average what comes out: a little better, so many "
    "times as slow. [as the model has it, mostly 1]",
)


def plot_option(help: str) -> Callable[[Command], Command]:
    """Add ``--plot [FILE]``, for a :class:`PictureCommand`."""
    return click.option("--plot", metavar="[FILE]", help=help)
