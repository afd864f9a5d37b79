"""What ``classify``, ``tag`` and ``compare`` share: options, and lines on standard output."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from audiocli.batch import Outcome
from audiocli.cli.options import Command, adding, output_option, plot_option
from audiocli.cli.printing import Printer

if TYPE_CHECKING:
    from audiocli.nn.registry import ModelEntry
    from audiocli.tasks.classify.results import Result

FORMATS = ["txt", "csv", "json", "jsonl", "lab", "jams", "audacity"]
PASSED_ON = ("output", "plot", "files_from", "overwrite", "resume", "manifest", "device")


def answer_options(*, threshold: str, top: str, plot: str) -> Callable[[Command], Command]:
    """Add what can be asked of a model's answers, with the command's own help."""
    return adding([
        click.option("--segments", "segment", type=float, metavar="S",
                     help="Answer along time, for stretches of so many seconds."),
        click.option("--hop", type=float, metavar="S",
                     help="From the start of one stretch to that of the next. [--segments]"),
        click.option("--top", type=click.IntRange(1), metavar="K", help=top),
        click.option("--threshold", type=click.FloatRange(0, 1), metavar="P", help=threshold),
        click.option("--format", "form", type=click.Choice(FORMATS),
                     help="[by the output's name; txt]"),
        output_option(None, "A file for all, or a folder for a file each. [standard output]"),
        plot_option(plot),
        click.option("--manifest", type=click.Path(dir_okay=False, path_type=Path),
                     help="Account of what was done. [audiocli.jsonl in the output folder]"),
    ])  # fmt: skip


def run_files(
    inputs: tuple[str, ...],
    entries: list[ModelEntry],
    options: dict[str, Any],
    *,
    enroll: Path | None = None,
    write: bool = False,
    in_place: bool = False,
) -> None:
    """Classify or tag files, and end with the exit status."""
    from audiocli.cli.progress import Reporter, finish
    from audiocli.tasks.classify.files import classify_files
    from audiocli.tasks.classify.results import Asked, render

    names = ("form", "top", "threshold", "segment", "hop")
    printed = options["output"] is None or (write and not in_place)
    quiet = options["quiet"]
    form = options["form"] or "txt"

    def lines(result: Result, several: bool, header: bool) -> str:
        return render(result, form, named=several, header=header)

    def remarks(outcome: Outcome) -> list[str]:
        warnings = () if quiet else outcome.value.warnings
        return [f"audiocli: {outcome.job.input.name}: {warning}" for warning in warnings]

    printer = Printer(form if printed else None, "labels", lines)
    reporter = Reporter(
        quiet=quiet,
        verbose=options["verbose"],
        expected=printer.expect,
        results=printer,
        remarks=remarks,
    )
    summary = classify_files(
        inputs,
        entries=entries,
        enroll=enroll,
        asked=Asked(**{name: options[name] for name in names}),
        write=write,
        in_place=in_place,
        n_jobs=options["jobs"],
        listener=reporter,
        warn=_warn,
        **{name: options[name] for name in PASSED_ON},
    )
    finish(summary, quiet=quiet)


def _warn(message: str) -> None:
    click.echo(f"audiocli: {message}", err=True)


def run_compare(inputs: tuple[str, ...], options: dict[str, Any]) -> None:
    """Compare the speakers of each two files, and end with the exit status."""
    from audiocli.cli.progress import Reporter, finish
    from audiocli.tasks.classify.comparing import compare_files

    summary, pairs = compare_files(
        inputs,
        encoder=options["model"],
        threshold=options["threshold"],
        n_jobs=options["jobs"],
        device=options["device"],
        listener=Reporter(quiet=options["quiet"], verbose=options["verbose"]),
    )
    for line in _pair_lines(pairs, options["form"]):
        click.echo(line)
    finish(summary, quiet=True)


def _pair_lines(pairs: list[dict[str, Any]], form: str) -> Iterator[str]:
    """Write a pair a line."""
    columns = ("probability", "cosine", "verdict", "first", "second")
    if form == "csv":
        table = io.StringIO()
        writer = csv.DictWriter(table, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(pairs)
        yield table.getvalue().removesuffix("\n")
    for pair in pairs if form != "csv" else ():
        if form == "json":
            yield json.dumps(pair, ensure_ascii=False)
        else:
            numbers = f"{pair['probability']:.4f}\t{pair['cosine']:.4f}"
            yield f"{numbers}\t{pair['verdict']}\t{pair['first']}\t{pair['second']}"
