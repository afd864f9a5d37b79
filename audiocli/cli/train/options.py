"""Options that every ``audiocli train`` has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from audiocli.cli.options import FOLDER, Command, adding

COUNT = click.IntRange(1)
POSITIVE = click.FloatRange(0, min_open=True)

hold_out_option = click.option(
    "--hold-out",
    "held_out",
    metavar="PATTERN",
    multiple=True,
    help="Recordings of DATA that choose the best epoch, as FOLDER/NAME with * and ?; may be "
    "repeated. [every tenth of DATA, without --dev]",
)
dev_option = click.option(
    "--dev", type=FOLDER, multiple=True, help="More of them, from a folder; may be repeated."
)
licences_option = click.option(
    "--licence",
    "licences",
    multiple=True,
    help="Licence of each folder in their order, for the model card; may be repeated.",
)
start_option = click.option(
    "--from",
    "start",
    metavar="MODEL",
    help="Train on from this model, of the same kind and sizes: a name or a folder.",
)


def training_options(
    *, epochs: int, steps: int, batch_size: int, seconds: float
) -> Callable[[Command], Command]:
    """Add the options of the training run, with the task's own defaults."""
    options = [
        click.option("-o", "--output", required=True,
                     type=click.Path(file_okay=False, path_type=Path),
                     help="Model folder to write; a run that was stopped goes on from it."),
        click.option("--seconds", default=seconds, show_default=True, type=POSITIVE,
                     help="Length of an example."),
        click.option("--epochs", default=epochs, show_default=True, type=COUNT,
                     help="How often to score."),
        click.option("--steps", default=steps, show_default=True, type=COUNT,
                     help="Batches an epoch."),
        click.option("--batch-size", default=batch_size, show_default=True, type=COUNT,
                     help="Examples a batch."),
        click.option("--optimizer", default="adamw", show_default=True,
                     type=click.Choice(["adamw", "lbfgs"]), help="L-BFGS wants large batches."),
        click.option("--learning-rate", default=1e-3, show_default=True, type=POSITIVE,
                     help="Its peak."),
        click.option("--patience", default=0, type=click.IntRange(0),
                     help="Stop after so many epochs without gain. [never]"),
        click.option("--half", is_flag=True,
                     help="Train in bfloat16; slow on processors that lack it."),
        click.option("--keep-statistics", is_flag=True,
                     help="With --from: leave the statistics of batch normalisation as they are."),
        click.option("--seed", default=0, show_default=True, help="Of everything random."),
        click.option("--threads", type=COUNT, help="Processor threads. [all]"),
        click.option("--device", default="auto", show_default=True,
                     help="auto, cpu, cuda, cuda:N, mps."),
    ]  # fmt: skip
    return adding(options)
