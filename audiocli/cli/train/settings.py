"""The settings of a training run as TOML: read for ``--config``, written by ``--print-config``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from audiocli.cli.settings import NONE, defaults_of, option_name, read_toml

__all__ = [
    "GIVEN",
    "SETTINGS",
    "complete",
    "is_first",
    "read_settings",
    "settings_text",
    "write_settings",
]

#: What a run folder keeps of its command, ready for ``--config``.
SETTINGS = "config.toml"
#: Where a context has its parameters as they were given.
GIVEN = "audiocli.given"


def is_first() -> bool:
    """Whether this is the process that writes: of those that torchrun starts, one does."""
    import os

    return os.environ.get("RANK", "0") == "0"


def _name(param: click.Parameter) -> str:
    return str(param.name)


def _settings(command: click.Command) -> list[click.Parameter]:
    return [param for param in command.params if param.name not in NONE]


def read_settings(file: Path, command: click.Command) -> dict[str, Any]:
    """Read a file of settings as Click's map of defaults.

    Raises
    ------
    UsageError
        If it cannot be read, or holds what is no option of the command.
    """
    return defaults_of(read_toml(file), command, str(file))


def complete(ctx: click.Context, words: list[str]) -> list[str]:
    """Put what ``--config`` names under a command line, and answer ``--print-config``."""
    command = ctx.command
    given, _, _ = command.make_parser(ctx).parse_args(args=list(words))
    file = given.get("config")
    if isinstance(file, str):
        ctx.default_map = {**(ctx.default_map or {}), **read_settings(Path(file), command)}
        for param in command.params:
            if isinstance(param, click.Argument) and not given.get(_name(param)):
                # Not every version of Click looks an argument up among the defaults.
                more = [str(value) for value in ctx.default_map.get(_name(param), ())]
                words = [*words, *([] if "--" in words else ["--"]), *more] if more else words
    if given.get("print_config"):
        values = {_name(param): _value(ctx, param, given) for param in _settings(command)}
        click.echo(settings_text(command, values), nl=False)
        ctx.exit()
    return words


def _value(ctx: click.Context, param: click.Parameter, given: dict[str, Any]) -> Any:
    value, _ = param.consume_value(ctx, given)
    unset = value is None or type(value).__name__ == "Sentinel" or value == ()
    return None if unset else param.type_cast_value(ctx, value)


def settings_text(command: click.Command, values: dict[str, Any]) -> str:
    """Write settings as TOML, with what each is above it; what is not set is a comment."""
    path = command.name or "train"
    lines = [f"# Settings of audiocli train {path}; --config reads them back, and what the command",
             "# line says comes before them."]  # fmt: skip
    for param in _settings(command):
        value = values.get(_name(param))
        key = option_name(param)
        flag = getattr(param, "flag_value", None)
        if getattr(param, "is_flag", False) and isinstance(flag, str):
            value = value == flag
        help_text = " ".join((getattr(param, "help", None) or "").split())
        lines += ["", f"# {help_text}"] if help_text else [""]
        unset = value is None or (isinstance(value, list | tuple) and not value)
        lines.append(f"# {key} =" if unset else f"{key} = {_toml(value, param)}")
    return "\n".join(lines) + "\n"


def _toml(value: Any, param: click.Parameter) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple) and (getattr(param, "multiple", False) or param.nargs == -1):
        return "[" + ", ".join(_toml(each, param) for each in value) + "]"
    if isinstance(value, list | tuple):  # one option that takes several numbers
        value = ("/" if param.type.__class__.__name__ == "Fold" else ",").join(map(str, value))
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def write_settings(folder: Path) -> None:
    """Keep the settings of the command that runs now in its run folder."""
    ctx = click.get_current_context(silent=True)
    if ctx is None or not folder.is_dir():
        return
    from audiocli.io.atomic import write_bytes

    text = settings_text(ctx.command, ctx.meta.get(GIVEN, ctx.params))
    write_bytes(folder / SETTINGS, text.encode(), overwrite=True)
