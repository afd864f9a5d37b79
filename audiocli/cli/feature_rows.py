"""From the options of ``audiocli features`` to rows on standard output."""

from __future__ import annotations

import csv
import dataclasses
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from audiocli.batch import Outcome

if TYPE_CHECKING:
    from audiocli.tasks.features import Settings
    from audiocli.tasks.features.extractor import Describer
    from audiocli.tasks.features.tables import Layout

PASSED_ON = ("frames", "form", "plot", "files_from", "overwrite", "resume", "manifest", "basis",
             "model", "device")  # fmt: skip
#: Options of features made by hand, by the names of their values.
BY_HAND = {"names": "--set", "frame": "--frame", "hop": "--hop", "rate": "--rate",
           "rolloff": "--rolloff"}  # fmt: skip


def refuse_both(context: click.Context) -> None:
    """Refuse what chooses features made by hand where learned ones are asked for."""
    learned = [f"--{name}" for name in ("basis", "model") if context.params[name] is not None]
    given = [
        option
        for name, option in BY_HAND.items()
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    ]
    if len(learned) > 1:
        raise click.UsageError("--basis and --model: choose one of them")
    if learned and given:
        raise click.UsageError(
            f"{', '.join(given)}: cannot be used with {learned[0]}, whose features, rate and "
            "frames are those of the model"
        )


def run_files(inputs: tuple[str, ...], options: dict[str, Any]) -> None:
    """Make the table of files, and end with the exit status."""
    from audiocli.cli.progress import Reporter, finish
    from audiocli.tasks.features.files import extract_files, layout_of
    from audiocli.tasks.features.tables import find_form

    printer = None
    if options["output"] is None:
        layout = layout_of(_extractor(options), frames=options["frames"])
        printer = _Printer(layout, find_form(None, options["form"]))
    summary = extract_files(
        inputs,
        options["output"],
        names=_words(options["names"]),
        settings=_settings(options),
        statistics=_words(options["stats"]),
        n_jobs=options["jobs"],
        listener=Reporter(
            quiet=options["quiet"],
            verbose=options["verbose"],
            results=printer or (lambda outcome: ()),
        ),
        **{name: options[name] for name in PASSED_ON},
    )
    finish(summary, quiet=options["quiet"])


def describe(options: dict[str, Any]) -> None:
    """Print the dictionary of columns."""
    from audiocli.cli.tables import print_table

    columns = _extractor(options).columns(frames=options["frames"])
    rows = [dataclasses.asdict(column) for column in columns]
    if options["describe"] == "json":
        click.echo(json.dumps(rows, indent=1))
    elif options["describe"] == "csv":
        writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        print_table("", list(rows[0]), [list(row.values()) for row in rows])


def _extractor(options: dict[str, Any]) -> Describer:
    from audiocli.tasks.features.files import describer

    learned = {name: options[name] for name in ("basis", "model", "device")}
    statistics = _words(options["stats"])
    return describer(_words(options["names"]), _settings(options), statistics, **learned)()


def _settings(options: dict[str, Any]) -> Settings:
    from audiocli.tasks.features import Settings

    frame = _samples("--frame", options["frame"], options["rate"])
    hop = options["hop"]
    try:
        rolloff = tuple(float(word) / 100 for word in _words(options["rolloff"]))
    except ValueError as error:
        raise click.UsageError(f"--rolloff {options['rolloff']}: percentages, as 50,85") from error
    return Settings(
        sample_rate=options["rate"],
        frame_length=frame,
        hop_length=max(frame // 4, 1) if hop is None else _samples("--hop", hop, options["rate"]),
        rolloff=rolloff,
    )


def _samples(option: str, text: str, rate: int) -> int:
    """Read a length: samples, or milliseconds."""
    try:
        if text.endswith("ms"):
            return round(float(text.removesuffix("ms")) * rate / 1000)
        return int(text)
    except (ValueError, OverflowError) as error:
        raise click.UsageError(f"{option} {text}: samples, as 2048, or time, as 46ms") from error


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


class _Printer:
    """Makes the text of standard output from one file's outcome after another's."""

    def __init__(self, layout: Layout, form: str) -> None:
        self.layout = layout
        self.form = form
        self.begun = False

    def __call__(self, outcome: Outcome) -> Iterator[str]:
        from audiocli.tasks.features.tables import lines

        if not self.begun:
            yield from lines(self.layout, None, self.form)
            self.begun = True
        # In one piece: a line at a time would take longer than the features.
        yield "\n".join(lines(self.layout, outcome.value, self.form))
