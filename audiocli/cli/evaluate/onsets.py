"""``audiocli evaluate onsets``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("data", nargs=-1, required=True, type=FOLDER)
@click.option("--model", default="crnn", show_default=True, help="Name or model folder.")
@click.option(
    "--only",
    metavar="PATTERN",
    multiple=True,
    help="Recordings to take, as FOLDER/NAME with * and ?; may be repeated. [all]",
)
@click.option(
    "--detector",
    default="audiocli",
    show_default=True,
    type=click.Choice(["audiocli", "librosa"]),
    help="librosa: its own detector, for comparison.",
)
@click.option("--threshold", type=float, help="In place of the model's own.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="How to print a row a file, and the total.",
)
@click.option(
    "--record",
    metavar="NOTE",
    help="Write the total into the model's configuration and card, NOTE as the data.",
)
@click.option(
    "-j",
    "--jobs",
    "n_jobs",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Worker processes.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N, mps.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
def onsets(
    data: tuple[Path, ...],
    model: str,
    form: str,
    record: str | None,
    quiet: bool,
    detector: str,
    **options: Any,
) -> None:
    """Score onset detection: precision, recall and F-measure at 25 and 50 ms.

    DATA: folders of recordings with NAME.onsets, NAME.csv or NAME.jams beside them. The total
    counts all onsets together; onsets within 30 ms of one before are part of it.
    """
    from audiocli.cli.progress import Reporter, finish
    from audiocli.cli.tables import show_rows
    from audiocli.tasks.onsets.evaluation import evaluate, record_scores

    if record and detector != "audiocli":
        raise click.UsageError("--record writes into a model; leave out --detector")
    evaluation = evaluate(data, model, detector=detector, listener=Reporter(quiet=quiet), **options)
    rows = [score.row() for score in evaluation.scores]
    show_rows(rows, {**evaluation.total.row(), "file": "all"}, form)
    if record:
        record_scores(model, evaluation.total, record)
    finish(evaluation.summary, quiet=quiet)
