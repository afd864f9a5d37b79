"""``audiocli evaluate features``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from audiocli.cli.evaluate.options import evaluation_options, only_option
from audiocli.cli.options import FOLDER


@click.command()
@click.argument("data", nargs=-1, required=True, type=FOLDER)
@click.option("--basis", default="pca", show_default=True, help="Name or model folder.")
@only_option
@evaluation_options(shown="How to print a row a file, and the total.")
def features(
    data: tuple[Path, ...],
    basis: str,
    form: str,
    record: str | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Score a learned basis: how much of the spectra it gives back.

    DATA: folders of recordings of any kind. Relative error: squared error of the reconstruction
    over the squared distance from the mean spectrum of the training data; 1 minus the variance
    explained. The total counts all frames together.
    """
    from audiocli.cli.progress import Reporter, finish
    from audiocli.cli.tables import show_rows
    from audiocli.tasks.features.evaluation import evaluate, record_scores

    evaluation = evaluate(data, basis, listener=Reporter(quiet=quiet), **options)
    rows = [score.row() for score in evaluation.scores]
    total = evaluation.total
    show_rows(rows, None if total is None else {**total.row(), "file": "all"}, form)
    if record and total is not None:
        record_scores(basis, total, record)
    finish(evaluation.summary, quiet=quiet)
