"""``audiocli learn``."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from audiocli.errors import UsageError
from audiocli.learn import TOPICS, Topic, find

WIDTH = 88  # columns of text


class TopicGroup(click.Group):
    """A group with a command for each topic, made when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the topics in the order of the lecture."""
        return [topic.name for topic in TOPICS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        """Make the command of a topic; an unknown one is refused with a suggestion."""
        return _command(find(cmd_name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the topics with their titles, without reading their files."""
        with formatter.section("Topics"):
            formatter.write_dl([(topic.name, topic.title) for topic in TOPICS])


@click.group(cls=TopicGroup, invoke_without_command=True)
@click.pass_context
def learn(context: click.Context) -> None:
    """Retrace the lecture: compute, print and draw a topic, from the perceptron to the LSTM.

    Without a topic, list them. `audiocli learn TOPIC --help` shows what can be chosen.
    """
    if context.invoked_subcommand is None:
        for topic in TOPICS:
            click.echo(f"{topic.name:20} {topic.title}")


def _command(topic: Topic) -> click.Command:
    from audiocli.learn.settings import choices

    options: list[click.Parameter] = [
        click.Option(
            ["--plot"],
            metavar="FILE",
            type=click.Path(dir_okay=False, path_type=Path),
            help="Draw it, into .png, .svg or .pdf.",
        ),
        click.Option(["--overwrite"], is_flag=True, help="Replace the picture if it is there."),
    ]
    for choice in choices(topic):
        shown = choice.default
        if choice.several:
            shown = ",".join(map(str, choice.default))
        options.append(
            click.Option(
                [f"--{choice.name.replace('_', '-')}", choice.name],
                type=str if choice.several else choice.kind,
                callback=_several(choice.kind) if choice.several else None,
                default=shown,
                show_default=True,
                metavar="A,B,..." if choice.several else None,
            )
        )

    def run(plot: Path | None, overwrite: bool, **chosen: Any) -> None:
        _run(topic, plot, overwrite, chosen)

    return click.Command(
        topic.name, params=options, callback=run, help=f"{topic.title[0].upper()}{topic.title[1:]}."
    )


def _several(kind: type) -> Callable[[click.Context, click.Parameter, str], tuple[Any, ...]]:
    def parse(context: click.Context, option: click.Parameter, value: str) -> tuple[Any, ...]:
        try:
            return tuple(kind(part.strip()) for part in value.split(",") if part.strip())
        except ValueError as error:
            name = kind.__name__
            raise click.BadParameter(f"{value!r}: give {name}s with commas between") from error

    return parse


def _run(topic: Topic, plot: Path | None, overwrite: bool, chosen: dict[str, Any]) -> None:
    from importlib import import_module

    from audiocli.io.atomic import write_whole

    if plot is not None and plot.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise UsageError(f"{plot}: a picture must end in .png, .svg or .pdf")
    if plot is not None and plot.exists() and not overwrite:
        raise UsageError(f"{plot}: is there already; move it, or give --overwrite")
    module = import_module(topic.module)
    try:
        lesson = module.run(module.Settings(**chosen))
    except (ValueError, KeyError, IndexError, ZeroDivisionError, RuntimeError) as error:
        raise UsageError(
            f"{topic.name}: cannot be computed with these choices ({error}); see "
            f"audiocli learn {topic.name} --help"
        ) from error
    for item in module.page(lesson):
        _show(item)
    if plot is not None:
        figure = module.draw(lesson)
        form = plot.suffix.lower()[1:]
        write_whole(plot, lambda part: figure.savefig(part, format=form, dpi=130),
                    overwrite=overwrite)  # fmt: skip
        click.echo(str(plot), err=True)


def _show(item: str | list[list[str]]) -> None:
    """Print text in lines of a fixed width, and a table in columns."""
    if isinstance(item, str):
        click.echo(textwrap.fill(item, WIDTH) + "\n")
        return
    widths = [max(map(len, column)) for column in zip(*item, strict=True)]
    for number, row in enumerate(item):
        cells = [
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        click.echo("  ".join(cells).rstrip())
        if number == 0:
            click.echo("  ".join("-" * width for width in widths))
    click.echo()
