"""``audiocli evaluate separate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

AT_LEAST_ONE = click.IntRange(1)


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--model", default="drnn-mir1k", show_default=True, help="Name or model folder.")
@click.option(
    "--mix",
    type=click.Choice(["equal", "as-is"]),
    default="equal",
    show_default=True,
    help="Mix the sources at 0 dB, as the papers do, or at their own levels.",
)
@click.option(
    "--every", default=1, show_default=True, type=AT_LEAST_ONE, help="Take each Nth clip only."
)
@click.option("--no-oracles", is_flag=True, help="Leave out the rows of the oracle masks.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="table: totals; csv: clips, then totals; json: both.",
)
@click.option(
    "--record",
    metavar="NOTE",
    help="Write the totals into the model's configuration and card, NOTE as the data.",
)
@click.option(
    "-j",
    "--jobs",
    "n_jobs",
    default=1,
    show_default=True,
    type=AT_LEAST_ONE,
    help="Worker processes.",
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N, mps.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
def separate(
    data: Path,
    model: str,
    mix: str,
    form: str,
    no_oracles: bool,
    record: str | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Score separation by BSS Eval on clips whose sources are known.

    DATA: a folder of clips as for `train separate`. GNSDR, GSIR and GSAR are means in dB
    weighted by clip length. BSS Eval 3 is what the papers report; 2 is the stricter one.
    """
    from audiocli.cli.progress import Reporter, finish
    from audiocli.cli.tables import show_scores
    from audiocli.tasks.separate.evaluation import evaluate, record_scores

    evaluation = evaluate(
        data,
        model,
        equal_levels=mix == "equal",
        oracles=not no_oracles,
        listener=Reporter(quiet=quiet),
        **options,
    )
    show_scores(evaluation, form)
    if record:
        record_scores(model, evaluation.totals, record)
    finish(evaluation.summary, quiet=quiet)
