"""``audiocli evaluate chords``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from audiocli.cli.evaluate.options import evaluation_options, only_option
from audiocli.cli.options import FOLDER


@click.command()
@click.argument("data", nargs=-1, required=True, type=FOLDER)
@click.option("--model", default="crnn", show_default=True, help="Name or model folder.")
@only_option
@click.option(
    "--vocab",
    "vocabulary",
    type=click.Choice(["majmin", "sevenths", "full"]),
    help="[the model's own: full]",
)
@click.option("--change", type=click.FloatRange(0), help="In place of the model's own.")
@click.option("--found", type=FOLDER, help="Score the NAME.lab in this folder, not a model.")
@click.option("--confusion", is_flag=True, help="Print too which quality was taken for which.")
@evaluation_options(shown="How to print a row a file, and the total; csv and json have all.")
def chords(
    data: tuple[Path, ...],
    model: str,
    form: str,
    record: str | None,
    quiet: bool,
    confusion: bool,
    **options: Any,
) -> None:
    """Score chord recognition by the measures of mir_eval.chord.

    DATA: folders of recordings with NAME.lab, NAME.csv or NAME.jams beside them. The total
    weighs recordings by their length.
    """
    from audiocli.cli.progress import Reporter, finish
    from audiocli.cli.tables import show_rows
    from audiocli.tasks.chords.evaluation import evaluate, record_scores

    if record and options["found"]:
        raise click.UsageError("--record writes into a model; leave out --found")
    evaluation = evaluate(data, model, listener=Reporter(quiet=quiet), **options)
    scores = [*evaluation.scores, evaluation.total]
    rows = [score.short() if form == "table" else score.row() for score in scores]
    show_rows(rows[:-1], {**rows[-1], "file": "all"}, form)
    if confusion:
        pairs = sorted(evaluation.total.confusion.items(), key=lambda pair: -pair[1])
        parts = [{"true": a, "found": b, "seconds": round(s, 1)} for (a, b), s in pairs]
        amount = round(sum(evaluation.total.confusion.values()), 1)
        show_rows(parts, {"true": "all", "found": "", "seconds": amount}, form)
    if record:
        record_scores(model, evaluation.total, record)
    finish(evaluation.summary, quiet=quiet)
