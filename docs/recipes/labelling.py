"""The command line of recipes that label recordings with what another program finds."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path


def run(
    description: str | None,
    find: Callable[[Path, list[Path]], None],
    keep: Callable[[Path, Path, list[Path]], None],
) -> None:
    """Read the arguments and run `find FOUND FILE ...` or `keep FOUND OUTPUT FILE ...`."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("find", "keep"):
        command = commands.add_parser(name)
        command.add_argument("found", type=Path)
        if name == "keep":
            command.add_argument("output", type=Path)
        command.add_argument("recordings", type=Path, nargs="+")
    options = parser.parse_args()
    if options.command == "find":
        find(options.found, options.recordings)
    else:
        keep(options.found, options.output, options.recordings)
