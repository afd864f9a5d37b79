"""Options from a file of TOML: read, checked, and given to Click as its map of defaults."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from audiocli.errors import UsageError, suggest

__all__ = [
    "config_option",
    "contexts",
    "default_map",
    "defaults_of",
    "name_variables",
    "option_name",
    "read_toml",
]

#: Options that are no settings.
NONE = {"config", "print_config", "help", "version"}


def read_toml(file: Path) -> dict[str, Any]:
    """Read a file of TOML."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        with file.open("rb") as stream:
            return tomllib.load(stream)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{file}: cannot be read as TOML: {reason}") from error


def option_name(param: click.Parameter) -> str:
    """Name a setting as its option is called, without dashes."""
    if isinstance(param, click.Option):
        return max(param.opts, key=len).lstrip("-")
    return str(param.name)


def name_variables(command: click.Command, prefix: str) -> None:
    """Let a variable set each option: of the command and the option, AUDIOCLI_ONSETS_JOBS."""
    for param in command.params:
        if isinstance(param, click.Option) and param.name not in ("help", "version"):
            param.envvar = f"{prefix}_{option_name(param)}".replace("-", "_").upper()
    for name, child in getattr(command, "commands", {}).items():
        name_variables(child, f"{prefix}_{name}".replace("-", "_").upper())


def defaults_of(given: Mapping[str, Any], command: click.Command, where: str) -> dict[str, Any]:
    """Check the settings of a command, by the names of its options; give Click's defaults."""
    params = {option_name(param): param for param in command.params if param.name not in NONE}
    found: dict[str, Any] = {}
    for key, value in given.items():
        param = params.get(key.replace("_", "-")) or params.get(key)
        if param is None:
            raise UsageError(f"{where}: no setting {key!r}; {suggest(key, params)}")
        if isinstance(value, dict):
            raise UsageError(f"{where}: {key} is a table; settings stand one a line")
        several = getattr(param, "multiple", False) or param.nargs == -1
        if several != isinstance(value, list):
            form = "a list, in [brackets]" if several else "a single value"
            raise UsageError(f"{where}: {key} wants {form}")
        flag = getattr(param, "flag_value", None)
        if getattr(param, "is_flag", False) and isinstance(flag, str):
            if not isinstance(value, bool):
                raise UsageError(f"{where}: {key} is true or false")
            if not value:
                continue
            value = flag
        try:
            param.type_cast_value(click.Context(command), value)
        except click.BadParameter as error:
            raise UsageError(f"{where}: {key}: {error.message}") from error
        found[str(param.name)] = value
    return found


def default_map(file: Path, group: click.Group) -> dict[str, Any]:
    """Read a file with a table for each command, as ``[onsets]`` and ``[train.onsets]``."""
    return _tables(read_toml(file), group, str(file), ())


def _tables(
    given: Mapping[str, Any], group: click.Group, file: str, path: tuple[str, ...]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, table in given.items():
        where = f"{file}: [{'.'.join((*path, name))}]"
        command = group.commands.get(name)
        if command is None:
            raise UsageError(f"{where}: no such command; {suggest(name, group.commands)}")
        if not isinstance(table, dict):
            raise UsageError(f"{file}: {name} must be a table of settings, as [{name}]")
        if isinstance(command, click.Group):
            found[name] = _tables(table, command, file, (*path, name))
        else:
            found[name] = defaults_of(table, command, where)
    return found


def contexts(group: click.Group, parent: click.Context) -> Iterator[tuple[str, click.Context]]:
    """Give every command below a group, by its path, with a context as it would run in."""
    for name, command in group.commands.items():
        context = click.Context(command, info_name=name, parent=parent)
        if isinstance(command, click.Group):
            for path, inner in contexts(command, context):
                yield f"{name}.{path}", inner
        else:
            yield name, context


def _use(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    if value is not None and isinstance(ctx.command, click.Group):
        ctx.default_map = {**(ctx.default_map or {}), **default_map(value, ctx.command)}
    return value


config_option = click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_use,
    expose_value=False,
    is_eager=True,
    help="Options from a TOML file, a table for each command, as in [onsets] jobs = 4; see "
    "audiocli config show. Variables and the command line come before it.",
)
