"""``audiocli evaluate onsets``."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from audiocli.cli.evaluate.options import Evaluating, evaluation_options, only_option
from audiocli.cli.options import FOLDER
from audiocli.cli.renaming import RenamingCommand


@click.command(cls=RenamingCommand)
@click.argument("data", nargs=-1, required=True, type=FOLDER)
@click.option("--model", default="crnn", show_default=True, help="Name or model folder.")
@only_option
@click.option(
    "--detector",
    default="audiocli",
    show_default=True,
    type=click.Choice(["audiocli", "librosa"]),
    help="librosa: its own detector, for comparison.",
)
@click.option("--threshold", type=float, help="In place of the model's own.")
@evaluation_options(shown="How to print a row a file, and the total.")
def onsets(
    data: tuple[Path, ...],
    model: str,
    only: tuple[str, ...],
    detector: str,
    threshold: float | None,
    evaluating: Evaluating,
) -> None:
    """Score onset detection: precision, recall and F-measure at 25 and 50 ms.

    DATA: folders of recordings with NAME.onsets, NAME.csv or NAME.jams beside them. The total
    counts all onsets together; onsets within 30 ms of one before are part of it.
    """
    from audiocli.tasks.onsets.evaluation import evaluate, record_scores

    if evaluating.record and detector != "audiocli":
        raise click.UsageError("--record writes into a model; leave out --detector")
    evaluation = evaluate(
        data,
        model,
        only=only,
        detector=detector,
        threshold=threshold,
        n_jobs=evaluating.n_jobs,
        device=evaluating.device,
        callbacks=evaluating.reporter(),
    )
    evaluating.show(evaluation, partial(record_scores, model))
