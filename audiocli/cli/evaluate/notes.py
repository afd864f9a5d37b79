"""``audiocli evaluate notes``."""

from __future__ import annotations

from pathlib import Path

import click

from audiocli.cli.evaluate.options import Evaluating, only_option
from audiocli.cli.options import FOLDER, device_option, jobs_option, quiet_option
from audiocli.cli.renaming import RenamingCommand


@click.command(cls=RenamingCommand)
@click.argument("data", nargs=-1, required=True, type=FOLDER)
@click.option("--model", default="crnn", show_default=True, help="Onset detector, name or folder.")
@only_option
@click.option(
    "--tuned",
    is_flag=True,
    help="Take off what a reference lies above the pitch throughout, in Hz.",
)
@click.option(
    "--found",
    type=FOLDER,
    help="Score NAME.notes or NAME.mid in this folder, which something else found.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="How to print a row a file, and the total.",
)
@jobs_option
@device_option
@quiet_option
def notes(
    data: tuple[Path, ...],
    model: str,
    only: tuple[str, ...],
    tuned: bool,
    found: Path | None,
    form: str,
    jobs: int,
    device: str,
    quiet: bool,
) -> None:
    """Score the transcription of melodies: precision, recall and F-measure of notes.

    A note is right within 50 ms of the onset and 50 cents of the pitch; f_onset counts onsets
    alone, f_offset offsets too; deviation is the median of estimate minus reference, in cents.
    DATA: folders of recordings with NAME.notes (start, end, MIDI number), NAME.jams or NAME.mid
    beside them. The total counts all notes together.
    """
    from audiocli.tasks.notes.evaluation import evaluate

    evaluating = Evaluating(form, None, jobs, device, quiet)
    evaluation = evaluate(
        data,
        model,
        only=only,
        tuned=tuned,
        estimates=found,
        n_jobs=jobs,
        device=device,
        callbacks=evaluating.reporter(),
    )
    evaluating.show(evaluation)
