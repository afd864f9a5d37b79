"""Options that ``classify`` and ``tag`` share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import click

from audiocli.cli.options import adding, format_option, gathering, plot_option

FORMATS = ["txt", "csv", "json", "jsonl", "sqlite", "lab", "jams", "audacity"]


@dataclass(frozen=True)
class Answers:
    """How a model's answers are given."""

    form: str | None
    top: int | None
    threshold: float | None
    level: int | None
    segment: float | None
    hop: float | None
    plot: str | None
    batch_size: int | None


def answer_options(
    *, threshold: str, top: str, plot: str
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options of a model's answers; they come as one :class:`Answers`."""
    options = [
        click.option("--segments", "segment", type=float, metavar="S",
                     help="Answer along time, for segments of so many seconds."),
        click.option("--hop", type=float, metavar="S",
                     help="From the start of one segment to that of the next. [--segments]"),
        click.option("--top", type=click.IntRange(1), metavar="K", help=top),
        click.option("--threshold", type=click.FloatRange(0, 1), metavar="P", help=threshold),
        click.option("--level", type=click.IntRange(1), metavar="N",
                     help="Join labels by their parents, 1 to the widest families. "
                     "[the labels themselves]"),
        format_option(FORMATS, "txt"),
        plot_option(plot),
        click.option("--batch-size", type=click.IntRange(1), metavar="N",
                     help="Short recordings that go through the models together; the results are "
                     "the same. [32; on a GPU 128]"),
    ]  # fmt: skip

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        return gathering(command, "answers", Answers, adding(options))

    return decorate
