"""From the options of ``audiocli train`` to a training run, with its progress shown."""

from __future__ import annotations

import sys
from typing import Any

import click

#: Options that are arguments of the network, where they are given.
ARGUMENTS = (
    "hidden_size",
    "num_layers",
    "nonlinearity",
    "cell",
    "bidirectional",
    "context",
    "power",
    "dropout",
)
RECIPE = ("epochs", "steps", "batch_size", "optimizer", "learning_rate", "patience", "half", "seed")


def run_separate(options: dict[str, Any]) -> None:
    """Train a separation network as the options say."""
    import torch
    from rich.console import Console
    from rich.progress import Progress

    from audiocli.tasks.separate.training import AUGMENTATIONS, Course, train
    from audiocli.training import Epoch, Recipe

    if options["threads"]:
        torch.set_num_threads(options["threads"])
    arguments = {name: options[name] for name in ARGUMENTS if options[name] is not None}
    if options["arch"] == "conv-drnn" and "num_layers" in arguments:
        arguments["num_recurrent"] = arguments.pop("num_layers")
    if options["recurrent_layer"]:
        arguments["recurrent_layers"] = list(options["recurrent_layer"])
    course = Course(
        architecture=options["arch"],
        arguments=arguments,
        loss=options["loss"],
        gamma=options["gamma"],
        augmentation=AUGMENTATIONS[options["augment"]],
        seconds=options["seconds"],
        recipe=Recipe(**{name: options[name] for name in RECIPE}),
    )
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task("epoch", total=None)

        def report(epoch: Epoch) -> None:
            mark = " *" if epoch.best else ""
            # Through the console that draws the bar, so that neither tears the other.
            console.print(
                f"epoch {epoch.number}/{course.recipe.epochs}  loss {epoch.loss:.4f}  "
                f"dev GNSDR {epoch.score:.2f} dB{mark}  {epoch.seconds / 60:.1f} min",
                highlight=False,
                soft_wrap=True,
            )

        entry = train(
            options["data"],
            options["output"],
            course,
            dev=options["dev"],
            licence=options["licence"],
            device=options["device"],
            report=report,
            progress=lambda done, total: progress.update(bar, completed=done, total=total),
        )
    click.echo(str(entry.folder))
