"""Write the help of every command into the pages, and check that the pages hold together.

Without options the help between ``<!-- help: audiocli COMMAND -->`` and ``<!-- end help -->`` is
brought up to date. With ``--check`` nothing is written; the exit status is 1, and each problem is
named, when a page is stale, a command has its help in no page, or a relative link leads nowhere.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import click
from click.testing import CliRunner

from audiocli.cli import cli

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 100  # columns; fixed, so that the pages do not depend on a terminal

BLOCK = re.compile(
    r"^(?P<start><!-- help: (?P<command>[^>]+?) -->\n).*?^(?P<end><!-- end help -->)",
    re.DOTALL | re.MULTILINE,
)
MARKER = re.compile(r"^<!-- help: ", re.MULTILINE)
FENCE = re.compile(r"^(?P<fence>```+|~~~+).*?^(?P=fence)[ \t]*$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\]\((?P<target>[^()\s]+)(?:\s+\"[^\"]*\")?\)")
HEADING = re.compile(r"^#{1,6}[ \t]+(?P<title>.+?)[ \t]*#*$", re.MULTILINE)
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)  # https:, mailto:, ...


def pages() -> list[Path]:
    """List the pages of the project's documentation."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def commands(command: click.Command, name: str = "audiocli") -> Iterator[str]:
    """Name a command and all below it, as they are typed."""
    yield name
    if isinstance(command, click.Group):
        for word, child in sorted(command.commands.items()):
            yield from commands(child, f"{name} {word}")


def help_of(name: str) -> str:
    """Run a command with ``--help`` and return what it prints."""
    program, *words = name.split()
    result = CliRunner().invoke(
        cli, [*words, "--help"], prog_name=program, terminal_width=WIDTH, catch_exceptions=False
    )
    return "\n".join(line.rstrip() for line in result.output.strip().splitlines())


def updated(text: str, known: set[str]) -> tuple[str, list[str]]:
    """Bring the help in a page up to date; return the page and the commands it describes."""
    described = []

    def fill(match: re.Match[str]) -> str:
        name = match["command"]
        if name not in known:
            return match[0]
        described.append(name)
        return f"{match['start']}\n```text\n{help_of(name)}\n```\n\n{match['end']}"

    return BLOCK.sub(fill, text), described


def prose(text: str) -> str:
    """Take the code out of a page: what looks like a link or a heading in there is none."""
    return FENCE.sub("", text)


def anchors(page: Path) -> set[str]:
    """List the names by which the headings of a page can be linked to, as GitHub makes them."""
    found: dict[str, int] = {}
    names = set()
    for match in HEADING.finditer(prose(page.read_text("utf-8"))):
        title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match["title"])  # the text of a link
        name = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        repeated = found.get(name, 0)
        found[name] = repeated + 1
        names.add(f"{name}-{repeated}" if repeated else name)
    return names


def broken_links(page: Path) -> Iterator[str]:
    """Say which relative links of a page lead nowhere, and why."""
    for match in LINK.finditer(CODE.sub("", prose(page.read_text("utf-8")))):
        target = match["target"]
        if ELSEWHERE.match(target):
            continue
        path, _, anchor = unquote(target).partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists():
            yield f"link to {target}: there is no such file"
        elif anchor and (file.suffix != ".md" or anchor not in anchors(file)):
            yield f"link to {target}: there is no such heading"


def problems(*, write: bool) -> Iterator[str]:
    """Go through all pages; say what is wrong, and mend what can be mended if asked to."""
    known = set(commands(cli))
    described: set[str] = set()
    for page in pages():
        shown = page.relative_to(ROOT).as_posix()
        text = page.read_text("utf-8")
        new, here = updated(text, known)
        described.update(here)
        for match in BLOCK.finditer(text):
            if match["command"] not in known:
                yield f"{shown}: help of {match['command']!r}, which is no command"
        if len(BLOCK.findall(text)) != len(MARKER.findall(text)):
            yield f"{shown}: a help marker without its <!-- end help -->"
        if new != text:
            if write:
                page.write_text(new, "utf-8")
                print(f"{shown}: updated")
            else:
                yield f"{shown}: its help is stale; run docs/update_help.py"
        for problem in broken_links(page):
            yield f"{shown}: {problem}"
    for name in sorted(known - described):
        yield f"{name}: its help is in no page; put <!-- help: {name} --> markers into one"


def main() -> None:
    """Update the pages, or check them."""
    options = sys.argv[1:]
    if options not in ([], ["--check"]):
        sys.exit("usage: docs/update_help.py [--check]")
    found = list(problems(write=not options))
    for problem in found:
        print(problem, file=sys.stderr)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
