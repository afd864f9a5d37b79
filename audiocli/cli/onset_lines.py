"""From the options of ``audiocli onsets`` to lines on standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import click

from audiocli.batch import Outcome
from audiocli.errors import suggest

LEFT_OUT = ("rate", "channels", "encoding", "quiet", "verbose", "jobs",
            "plot", "clicks", "activations")  # fmt: skip
#: Options that mean nothing where onsets are printed as they come.
OFFLINE = ("output", "form", "combine", "backtrack", "activations", "plot", "clicks", "files_from",
           "manifest", "resume", "overwrite")  # fmt: skip


def run_files(inputs: tuple[str, ...], options: dict[str, Any]) -> None:
    """Detect the onsets of files, and end with the exit status."""
    from audiocli.cli.progress import Reporter, finish
    from audiocli.tasks.onsets import Products, detect_files
    from audiocli.tasks.onsets.detector import DEFAULT_MODEL

    columns = _columns(options["columns"])
    products = Products(options["plot"], options["clicks"], options["activations"])
    given = {name: value for name, value in options.items() if name not in LEFT_OUT}
    printer = _Printer(options["form"] or "txt") if options["output"] is None else None
    summary = detect_files(
        inputs,
        products=products,
        n_jobs=options["jobs"],
        listener=Reporter(
            quiet=options["quiet"],
            verbose=options["verbose"],
            expected=printer.expect if printer else lambda total: None,
            results=printer or (lambda outcome: ()),
        ),
        **{**given, "columns": columns, "model": options["model"] or DEFAULT_MODEL},
    )
    finish(summary, quiet=options["quiet"])


def _columns(text: str) -> list[str]:
    known = ("strength", "salience")
    columns = [part.strip() for part in text.split(",") if part.strip()]
    for column in columns:
        if column not in known:
            raise click.UsageError(f"--columns {column}: {suggest(column, known)}")
    return columns


class _Printer:
    """Makes the lines of standard output from one file's outcome after another's."""

    def __init__(self, form: str) -> None:
        self.form = form
        self.several = False
        self.header = True
        if form == "midi":
            raise click.UsageError(f"--format {form} is no text; name a file by --output")

    def expect(self, total: int) -> None:
        """Hear how many files there are, before the first."""
        from audiocli import formats

        self.several = total > 1
        if self.several and not formats.FORMATS[self.form].joins:
            raise click.UsageError(
                f"--format {self.form} holds the onsets of one file; name a folder by --output"
            )

    def __call__(self, outcome: Outcome) -> Iterator[str]:
        from audiocli import formats

        options = formats.Options(columns=True, file=self.several, header=self.header)
        self.header = False
        text = formats.render(outcome.value, self.form, options)
        assert isinstance(text, str)
        yield from text.removesuffix("\n").split("\n") if text else ()


def run_online(inputs: tuple[str, ...], options: dict[str, Any]) -> None:
    """Print onsets while the sound is still coming."""
    from audiocli.tasks.onsets import OnlineDetector, RawAudio, open_stream
    from audiocli.tasks.onsets.online import ONLINE_MODEL

    if inputs != ("-",):
        raise click.UsageError("--online reads standard input; give - as the only input")
    # --plot alone has the value "", and 0 is a value too.
    given = [name for name in OFFLINE if options[name] is not None and options[name] is not False]
    called = {"form": "format", "clicks": "click"}
    useless = [f"--{called.get(name, name).replace('_', '-')}" for name in given]
    if useless:
        raise click.UsageError(f"{', '.join(useless)}: cannot be used with --online")
    columns = _columns(options["columns"])
    if "salience" in columns:
        raise click.UsageError("--columns salience: cannot be used with --online")
    raw = RawAudio(options["rate"], options["channels"], options["encoding"])
    form, blocks = open_stream(sys.stdin.buffer, raw)
    detector = OnlineDetector(
        form.sample_rate,
        options["model"] or ONLINE_MODEL,
        device=options["device"],
        threshold=options["threshold"],
        min_gap=options["min_gap"],
    )

    def show(onsets: list[tuple[float, float]]) -> None:
        for time, strength in onsets:
            click.echo(f"{time:.3f}\t{strength:.3f}" if columns else f"{time:.3f}")
        sys.stdout.flush()  # a pipe would wait for more

    for block in blocks:
        show(detector.feed(block))
    show(detector.finish())
