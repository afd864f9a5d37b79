"""``audiocli evaluate separate``."""

from __future__ import annotations

from pathlib import Path

import click

from audiocli.cli.evaluate.options import Evaluating, evaluation_options
from audiocli.cli.options import FOLDER, tta_option
from audiocli.cli.renaming import RenamingCommand


@click.command(cls=RenamingCommand)
@click.argument("data", type=FOLDER)
@click.option("--model", default="stereo-drnn", show_default=True, help="Name or model folder.")
@click.option(
    "--mix",
    type=click.Choice(["equal", "as-is"]),
    default="equal",
    show_default=True,
    help="Mix the sources at 0 dB, as the papers do, or at their own levels.",
)
@click.option(
    "--every", default=1, show_default=True, type=click.IntRange(1), help="Take each Nth clip only."
)
@click.option(
    "--only",
    type=click.Choice(["vocals", "accompaniment"]),
    help="DATA holds audio of this source alone: score how much leaks into the other.",
)
@click.option(
    "--stems",
    is_flag=True,
    help="Score each stem, as drums, by itself; DATA holds folders with vocals and any of drums, "
    "bass, other.",
)
@click.option("--no-oracles", is_flag=True, help="Leave out the rows of the oracle masks.")
@tta_option
@evaluation_options(shown="table: totals; csv: clips, then totals; json: both.")
def separate(
    data: Path,
    model: str,
    mix: str,
    every: int,
    only: str | None,
    stems: bool,
    no_oracles: bool,
    tta_pitches: int | None,
    evaluating: Evaluating,
) -> None:
    """Score separation by BSS Eval on clips whose sources are known.

    DATA: a folder of clips as for `train separate`. GNSDR, GSIR and GSAR are means in dB
    weighted by clip length. BSS Eval 3 is what the papers report; 2 is the stricter one.
    """
    if only:
        if mix != "equal" or no_oracles or tta_pitches or stems:
            raise click.UsageError(
                "--mix, --no-oracles, --stems and --tta-pitches are not for --only"
            )
        return _leakage(data, model, only, every, evaluating)
    from audiocli.cli.progress import finish
    from audiocli.cli.tables import show_scores
    from audiocli.tasks.separate.evaluation import evaluate, record_scores

    evaluation = evaluate(
        data,
        model,
        equal_levels=mix == "equal",
        every=every,
        oracles=not no_oracles,
        stems=stems,
        tta_pitches=tta_pitches,
        n_jobs=evaluating.n_jobs,
        device=evaluating.device,
        callbacks=evaluating.reporter(),
    )
    show_scores(evaluation, evaluating.form)
    if evaluating.record and evaluation.total:
        record_scores(model, evaluation.total, evaluating.record)
    finish(evaluation.summary, quiet=evaluating.quiet)


def _leakage(data: Path, model: str, only: str, every: int, evaluating: Evaluating) -> None:
    from dataclasses import asdict

    from audiocli.cli.progress import finish
    from audiocli.cli.tables import show_rows
    from audiocli.tasks.separate.leakage import evaluate_leakage, record_leakage

    leakage = evaluate_leakage(
        data,
        model,
        only,
        every=every,
        n_jobs=evaluating.n_jobs,
        device=evaluating.device,
        callbacks=evaluating.reporter(),
    )
    total = None if leakage.total is None else asdict(leakage.total)
    show_rows([asdict(leak) for leak in leakage.scores], total, evaluating.form)
    if evaluating.record:
        record_leakage(model, leakage, only, evaluating.record)
    finish(leakage.summary, quiet=evaluating.quiet)
