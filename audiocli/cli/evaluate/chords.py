"""``audiocli evaluate chords``."""

from __future__ import annotations

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
    only: tuple[str, ...],
    vocabulary: str | None,
    change: float | None,
    found: Path | None,
    confusion: bool,
    evaluating: Evaluating,
) -> None:
    """Score chord recognition by the measures of mir_eval.chord.

    DATA: folders of recordings with NAME.lab, NAME.csv or NAME.jams beside them. The total
    weighs recordings by their length.
    """
    from audiocli.cli.progress import finish
    from audiocli.cli.tables import show_rows
    from audiocli.tasks.chords.evaluation import evaluate, record_scores

    if evaluating.record and found:
        raise click.UsageError("--record writes into a model; leave out --found")
    evaluation = evaluate(
        data,
        model,
        only=only,
        vocabulary=vocabulary,
        change=change,
        estimates=found,
        n_jobs=evaluating.n_jobs,
        device=evaluating.device,
        callbacks=evaluating.reporter(),
    )
    form, total = evaluating.form, evaluation.total
    scores = [*evaluation.scores, *([] if total is None else [total])]
    rows = [score.short() if form == "table" else score.row() for score in scores]
    last = None if total is None else {**rows.pop(), "file": "all"}
    show_rows(rows, last, form)
    if confusion and total is not None:
        pairs = sorted(total.confusion.items(), key=lambda pair: -pair[1])
        parts = [{"true": a, "found": b, "seconds": round(s, 1)} for (a, b), s in pairs]
        amount = round(sum(total.confusion.values()), 1)
        show_rows(parts, {"true": "all", "found": "", "seconds": amount}, form)
    if evaluating.record and total is not None:
        record_scores(model, total, evaluating.record)
    finish(evaluation.summary, quiet=evaluating.quiet)
