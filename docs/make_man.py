"""Write a man page of every command, from the same source as its help.

Run ``python docs/make_man.py FOLDER``; ``make man`` does it into ``man/``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from audiocli import __version__
from audiocli.cli import cli


def escaped(text: str) -> str:
    """Escape what roff takes for its own: backslashes, hyphens, and points that begin a line."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"(?m)^([.'])", r"\\&\1", text)


def paragraphs(text: str) -> Iterator[str]:
    """Give the paragraphs of a docstring, each on one line."""
    for part in re.split(r"\n\s*\n", text.replace("\b", "").strip()):
        yield " ".join(part.split())


def page(command: click.Command, name: str) -> str:
    """Write the page of a command in roff."""
    context = click.Context(command, info_name=name)
    first, *more = paragraphs(command.help or "")
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [
        f'.TH "{name.upper().replace(" ", "-")}" "1" "" "audiocli {__version__}" "audiocli"',
        ".SH NAME", f"{escaped(name.replace(' ', '-'))} \\- {escaped(first.rstrip('.'))}",
        ".SH SYNOPSIS", f".B {escaped(name)}", escaped(usage),
        ".SH DESCRIPTION", escaped(first),
    ]  # fmt: skip
    for paragraph in more:
        lines += [".PP", escaped(paragraph)]
    options = [record for param in command.get_params(context)
               if isinstance(param, click.Option)
               and (record := param.get_help_record(context)) is not None]  # fmt: skip
    if options:
        lines.append(".SH OPTIONS")
        for flags, text in options:
            lines += [".TP", f".B {escaped(flags)}", escaped(" ".join(text.split())) or "\\&"]
    if isinstance(command, click.Group):
        lines.append(".SH COMMANDS")
        for word in command.list_commands(context):
            below = command.get_command(context, word)
            if below is not None:
                called = f"{name} {word}".replace(" ", "-")
                lines += [".TP", f".BR {escaped(called)} (1)",
                          escaped(below.get_short_help_str(200))]  # fmt: skip
    return "\n".join(lines) + "\n"


def pages(command: click.Command, name: str) -> Iterator[tuple[str, str]]:
    """Give the file names and pages of a command and all below it."""
    yield name.replace(" ", "-") + ".1", page(command, name)
    if isinstance(command, click.Group):
        for word, below in sorted(command.commands.items()):
            yield from pages(below, f"{name} {word}")


def main() -> None:
    """Write all pages into the folder that is named."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages(cli, "audiocli"):
        (folder / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
