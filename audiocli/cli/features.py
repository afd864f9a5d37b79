"""``audiocli features``."""

from __future__ import annotations

import csv
import dataclasses
import json
import sys
from typing import TYPE_CHECKING

import click

from audiocli.cli.options import (
    Batch,
    RequestCommand,
    batch_options,
    complete_models,
    device_option,
    plot_option,
    split_words,
)
from audiocli.errors import FieldError

if TYPE_CHECKING:
    from audiocli.tasks.features import Settings
    from audiocli.tasks.features.files import FeatureRequest

FORMATS = ["csv", "parquet", "npz", "jsonl", "arff", "sqlite"]


#: Options of features made by hand, which learned ones do without.
BY_HAND = ("names", "frame", "hop", "rate", "rolloff")


def _words(context: click.Context, option: click.Parameter, value: str) -> tuple[str, ...]:
    return split_words(value)


@click.command(cls=RequestCommand)
@batch_options(
    "The table; its ending says the format. [standard output]",
    resume="Keep a table's rows, and add files that it lacks.",
    manifest="Log of what was done. [the table's name and .manifest.jsonl]",
)
@click.option(
    "--set",
    "names",
    default="common",
    show_default=True,
    callback=_words,
    help="common, lecture, energy, spectral, cepstral, harmonic, lpc, perceptual, rhythm, all, or "
    "names of features; several with commas.",
)
@click.option(
    "--stats",
    "statistics",
    default="mean,std",
    show_default=True,
    callback=_words,
    help="Of a file's frames: mean, std, min, max, median, p10, p90, ...",
)
@click.option("--frames", is_flag=True, help="A row for each frame, with its time in seconds.")
@click.option("--frame", default="2048", show_default=True, help="Length: samples, or as 46ms.")
@click.option("--hop", help="From frame to frame: samples, or as 10ms. [a quarter of a frame]")
@click.option("--rate", default=22_050, show_default=True, help="All sound is brought to it, Hz.")
@click.option("--rolloff", default="85", show_default=True, help="Percentages of the roll-off.")
@click.option("--basis", metavar="MODEL", help="Activations of a learned basis, and none of --set.")
@click.option(
    "--model",
    shell_complete=complete_models(),
    help="The last hidden layer of any model: a name or a folder.",
)
@click.option("--format", "form", type=click.Choice(FORMATS), help="[by the table's name; csv]")
@click.option(
    "--describe",
    is_flag=False,
    flag_value="table",
    metavar="[csv|json]",
    type=click.Choice(["table", "csv", "json"]),
    help="Print the columns, with units and definitions, and do nothing else.",
)
@plot_option("Draw the features under the spectrogram. [NAME.features.png]")
@device_option
def features(
    batch: Batch,
    names: tuple[str, ...],
    statistics: tuple[str, ...],
    frames: bool,
    frame: str,
    hop: str | None,
    rate: int,
    rolloff: str,
    basis: str | None,
    model: str | None,
    form: str | None,
    describe: str | None,
    plot: str | None,
    device: str,
) -> None:
    """Make a table of features: a row for each file, or for each frame.

    INPUTS: files, folders (searched for audio), patterns in quotes, or - for standard input.
    Rows are sorted by the files' names, and all files have the same columns.
    """
    from audiocli.cli.running import run_command
    from audiocli.tasks.features.files import FeatureRequest, declare

    _refuse_both(click.get_current_context())
    request = FeatureRequest(
        names=names,
        settings=_settings(frame, hop, rate, rolloff),
        statistics=statistics,
        basis=basis,
        model=model,
        frames=frames,
        form=form,
        plot=plot,
        device=device,
    )
    if describe:
        _describe(request, describe)
    else:
        # A picture is an answer too: the table is printed where nothing else was asked for.
        printing = batch.output is None and plot is None
        run_command(batch, declare(request, batch.output), printing=printing)


def _refuse_both(context: click.Context) -> None:
    """Refuse what chooses features made by hand where learned ones are asked for."""
    learned = [name for name in ("basis", "model") if context.params[name] is not None]
    given = [
        name
        for name in BY_HAND
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    ]
    if len(learned) > 1:
        raise FieldError("{basis} and {model}: choose one of them", *learned)
    if learned and given:
        names = ", ".join(f"{{{name}}}" for name in given)
        raise FieldError(
            f"{names}: cannot be used with {{{learned[0]}}}, whose features, rate and frames are "
            "those of the model",
            *(*given, learned[0]),
        )


def _describe(request: FeatureRequest, form: str) -> None:
    """Print the dictionary of columns."""
    from audiocli.cli.tables import print_table

    columns = request.make().columns(frames=request.frames)
    rows = [dataclasses.asdict(column) for column in columns]
    if form == "json":
        click.echo(json.dumps(rows, indent=1))
    elif form == "csv":
        writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        print_table("", list(rows[0]), [list(row.values()) for row in rows])


def _settings(frame: str, hop: str | None, rate: int, rolloff: str) -> Settings:
    from audiocli.tasks.features import Settings

    length = _samples("frame", frame, rate)
    try:
        percentages = tuple(float(word) / 100 for word in split_words(rolloff))
    except ValueError as error:
        raise FieldError(f"{{rolloff}} {rolloff}: percentages, as 50,85", "rolloff") from error
    return Settings(
        sample_rate=rate,
        frame_length=length,
        hop_length=max(length // 4, 1) if hop is None else _samples("hop", hop, rate),
        rolloff=percentages,
    )


def _samples(option: str, text: str, rate: int) -> int:
    """Read a length: samples, or milliseconds."""
    try:
        if text.endswith("ms"):
            return round(float(text.removesuffix("ms")) * rate / 1000)
        return int(text)
    except (ValueError, OverflowError) as error:
        raise FieldError(
            f"{{{option}}} {text}: samples, as 2048, or time, as 46ms", option
        ) from error
