"""``audiocli evaluate features``."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from audiocli.cli.evaluate.options import Evaluating, evaluation_options, only_option
from audiocli.cli.options import FOLDER
from audiocli.cli.renaming import RenamingCommand


@click.command(cls=RenamingCommand)
@click.argument("data", nargs=-1, required=True, type=FOLDER)
@click.option("--basis", default="pca", show_default=True, help="Name or model folder.")
@only_option
@evaluation_options(shown="How to print a row a file, and the total.")
def features(
    data: tuple[Path, ...], basis: str, only: tuple[str, ...], evaluating: Evaluating
) -> None:
    """Score a learned basis: how much of the spectra it gives back.

    DATA: folders of recordings of any kind. Relative error: squared error of the reconstruction
    over the squared distance from the mean spectrum of the training data; 1 minus the variance
    explained. The total counts all frames together.
    """
    from audiocli.tasks.features.evaluation import evaluate, record_scores

    evaluation = evaluate(
        data,
        basis,
        only=only,
        n_jobs=evaluating.n_jobs,
        device=evaluating.device,
        callbacks=evaluating.reporter(),
    )
    evaluating.show(evaluation, partial(record_scores, basis))
