"""``audiocli evaluate beats``."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from audiocli.cli.evaluate.options import Evaluating, evaluation_options, only_option
from audiocli.cli.options import FOLDER
from audiocli.cli.renaming import RenamingCommand


@click.command(cls=RenamingCommand)
@click.argument("data", nargs=-1, required=True, type=FOLDER)
@click.option("--model", default="tcn", show_default=True, help="Name or model folder.")
@only_option
@click.option(
    "--tracker",
    default="audiocli",
    show_default=True,
    type=click.Choice(["audiocli", "librosa"]),
    help="librosa: its own tracker, for comparison.",
)
@evaluation_options(shown="How to print a row a file, and the total.")
def beats(
    data: tuple[Path, ...],
    model: str,
    only: tuple[str, ...],
    tracker: str,
    evaluating: Evaluating,
) -> None:
    """Score beat tracking: F-measures of beats and downbeats, and the tempo.

    DATA: folders of recordings with NAME.beats, NAME.csv or NAME.jams beside them. Tolerance is
    70 ms, the first 5 s are left out, and the total is the mean over recordings. The tempo is right
    within 4 %; octave takes its half and double as well.
    """
    from audiocli.tasks.beats.evaluation import evaluate, record_scores

    if evaluating.record and tracker != "audiocli":
        raise click.UsageError("--record writes into a model; leave out --tracker")
    evaluation = evaluate(
        data,
        model,
        only=only,
        tracker=tracker,
        n_jobs=evaluating.n_jobs,
        device=evaluating.device,
        callbacks=evaluating.reporter(),
    )
    evaluating.show(evaluation, partial(record_scores, model))
