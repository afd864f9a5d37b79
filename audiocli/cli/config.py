"""``audiocli config``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click
from click.core import ParameterSource

from audiocli.cli.renaming import RenamingCommand
from audiocli.cli.settings import NONE, contexts, option_name
from audiocli.errors import UsageError, suggest


@click.group()
def config() -> None:
    """Show what a file of --config and variables set."""


@config.command(cls=RenamingCommand)
@click.argument("commands", nargs=-1, metavar="[COMMAND]...")
@click.option("--all", "everything", is_flag=True,
              help="Every option, with its variable and its default.")  # fmt: skip
@click.pass_context
def show(ctx: click.Context, commands: tuple[str, ...], everything: bool) -> None:
    """Print the options that are set, as TOML that --config reads.

    COMMAND: as in onsets or "train onsets". By default all commands that have something set.
    """
    root = ctx.find_root()
    assert isinstance(root.command, click.Group)  # narrows the type
    known = dict(contexts(root.command, root))
    wanted = [name.replace(" ", ".") for name in commands]
    for name in wanted:
        if name not in known:
            raise UsageError(f"no command {name!r}; {suggest(name, known)}")
    for name in wanted or known:
        lines = list(_settings(known[name], everything))
        if lines or wanted:
            click.echo(f"[{name}]")
            for line in lines:
                click.echo(line)
            click.echo()


def _settings(context: click.Context, everything: bool) -> Iterator[str]:
    """Write the settings of a command, each with where it comes from."""
    for param in context.command.params:
        if param.name in NONE or not isinstance(param, click.Option):
            continue
        variable = param.envvar
        value, source = param.consume_value(context, {})
        key = option_name(param)
        if source == ParameterSource.ENVIRONMENT:
            yield f"{key} = {_toml(param.type_cast_value(context, value))}  # {variable}"
        elif source == ParameterSource.DEFAULT_MAP:
            yield f"{key} = {_toml(value)}"
        elif everything:
            default = param.get_default(context)
            unset = default is None or default == () or type(default).__name__ == "Sentinel"
            shown = "" if unset else f" {_toml(default)}"
            yield f"# {key} ={shown}  # {variable}"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
