"""From the options of ``audiocli onsets`` to lines on standard output."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from audiocli.cli.printing import Printer
from audiocli.errors import suggest

if TYPE_CHECKING:
    from audiocli.io.formats import Instants

LEFT_OUT = ("rate", "channels", "encoding", "quiet", "verbose", "jobs",
            "plot", "clicks", "activations")  # fmt: skip
#: Options that mean nothing where onsets are printed as they come.
OFFLINE = ("output", "form", "combine", "backtrack", "activations", "plot", "clicks", "files_from",
           "manifest", "resume", "overwrite")  # fmt: skip


def run_files(inputs: tuple[str, ...], options: dict[str, Any]) -> None:
    """Detect the onsets of files, and end with the exit status."""
    from audiocli.cli.progress import Reporter, finish
    from audiocli.io import formats
    from audiocli.tasks.onsets import Products, detect_files
    from audiocli.tasks.onsets.detector import DEFAULT_MODEL

    columns = _columns(options["columns"])
    products = Products(options["plot"], options["clicks"], options["activations"])
    given = {name: value for name, value in options.items() if name not in LEFT_OUT}
    form = options["form"] or "txt"

    def render(result: Instants, several: bool, header: bool) -> str | bytes:
        how = formats.Options(columns=True, file=several, header=header)
        return formats.render(result, form, how)

    printer = Printer(form if options["output"] is None else None, "onsets", render)
    summary = detect_files(
        inputs,
        products=products,
        n_jobs=options["jobs"],
        listener=Reporter(
            quiet=options["quiet"],
            verbose=options["verbose"],
            expected=printer.expect,
            results=printer,
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


def run_online(inputs: tuple[str, ...], options: dict[str, Any]) -> None:
    """Print onsets while the sound is still coming."""
    from audiocli.batch.stdin import binary_input
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
    form, blocks = open_stream(binary_input(), raw)
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
