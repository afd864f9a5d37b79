"""``audiocli classify``."""

from __future__ import annotations

from pathlib import Path

import click

from audiocli.cli.answers import Answers, answer_options
from audiocli.cli.options import (
    FOLDER,
    Batch,
    RequestCommand,
    batch_options,
    complete_models,
    device_option,
)

TASKS = ["genre", "genre-broad", "mood", "artist", "singer", "composer", "instrument", "event",
         "speech", "keywords", "digits", "speaker", "content"]  # fmt: skip
#: Of these, people who are enrolled can take the place of those that the models know.
ENROLLED = ("speaker", "singer", "artist")


@click.command(cls=RequestCommand)
@batch_options("A file for all, or a folder for a file each. [standard output]")
@click.option(
    "--task",
    "tasks",
    multiple=True,
    type=click.Choice(TASKS),
    help="What to find out; several may be given. speech is another name of keywords.",
)
@click.option(
    "--model",
    shell_complete=complete_models("classify"),
    help="Name or folder of any model that classifies; needs no --task.",
)
@click.option("--all-tasks", is_flag=True, help="Run all models, those of tags too, in one pass.")
@click.option(
    "--enroll",
    type=FOLDER,
    metavar="FOLDER",
    help="Recognise these people: a folder for each, of three clips or more.",
)
@answer_options(
    top="How many labels, the best first. [1; of event all that reach the threshold; in csv, json "
    "and jsonl all others hold all]",
    threshold="Least probability, or of people enrolled least cosine; below is unknown. "
    "[the model's own]",
    plot="Draw the classes under the spectrogram. [NAME.classes.png]",
)
@device_option
def classify(
    batch: Batch,
    answers: Answers,
    tasks: tuple[str, ...],
    model: str | None,
    all_tasks: bool,
    enroll: Path | None,
    device: str,
) -> None:
    """Say what recordings are: print the best label and its probability.

    INPUTS: files, folders (searched for audio), patterns in quotes, or - for standard input.
    Of several inputs or models, each line goes on with the file and the model.
    """
    from audiocli.cli.running import run_command
    from audiocli.nn import registry
    from audiocli.tasks.classify.files import ClassifyRequest, declare, find_models

    if enroll is not None:
        strange = [f"--task {task}" for task in tasks if task not in ENROLLED]
        strange += ["--all-tasks"] if all_tasks else []
        if strange:
            raise click.UsageError(f"{', '.join(strange)}: cannot be used with --enroll, which "
                                   f"is for --task {', '.join(ENROLLED)}")  # fmt: skip
        entries = [] if model is None else [registry.find("encode", model)]
    else:
        entries = find_models(tasks, [] if model is None else [model], every=all_tasks)
    request = ClassifyRequest(
        form=answers.form,
        top=answers.top,
        threshold=answers.threshold,
        level=answers.level,
        segment=answers.segment,
        hop=answers.hop,
        entries=entries,
        enroll=enroll,
        plot=answers.plot,
        device=device,
        batch_size=answers.batch_size,
    )
    run_command(batch, declare(request, batch.output))
