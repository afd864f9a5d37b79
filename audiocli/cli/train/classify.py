"""``audiocli train classify`` and ``audiocli train tag``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from audiocli.cli.options import adding
from audiocli.cli.train.options import COUNT, licences_option, training_options

ARCHITECTURES = [
    "head", "perceptron", "mlp", "rnn", "brnn", "lstm", "blstm", "cnn", "crnn", "mobile",
]  # fmt: skip
DATA = click.Path(exists=True, path_type=Path)

#: What says which labels and groups a table has.
selection_options = adding([
    click.option("--label", "columns", multiple=True, metavar="COLUMN",
                 help="Column of labels.csv that holds them; may be repeated. [label]"),
    click.option("--group", metavar="COLUMN",
                 help="What must not be on both sides of a split: artist, speaker, fold."),
    click.option("--rename", multiple=True, metavar="OLD=NEW",
                 help="Call a label something else; NEW empty leaves it out."),
    click.option("--least", default=1, show_default=True, type=COUNT,
                 help="Leave out labels that fewer clips have."),
    click.option("--several", is_flag=True,
                 help="Let a classifier's clips have several labels; any of them is right."),
    click.option("--within", metavar="COLUMN",
                 help="Of encoders: pair clips alone that have the same here, say set."),
])  # fmt: skip
#: What both commands take.
class_options = adding(
    [
        click.argument("data", nargs=-1, required=True, type=DATA),
        click.option(
            "--arch",
            default="head",
            show_default=True,
            type=click.Choice(ARCHITECTURES),
            help="head: a linear layer on a shipped encoder, in seconds; the others learn "
            "from the first layer on.",
        ),
        click.option(
            "--encoder",
            "encoders",
            metavar="NAME[:PART]",
            multiple=True,
            default=["general"],
            show_default=True,
            help="What a head hears by, or a part of that; may be repeated, for several that have "
            "steps of one length.",
        ),
        click.option(
            "--from",
            "start",
            metavar="MODEL",
            help="Train on from the trunk of this encoder or classifier, of the same --arch.",
        ),
        selection_options,
        click.option(
            "--hold-out",
            "held_out",
            metavar="PATTERN",
            multiple=True,
            help="Clips of DATA that judge, as FOLDER/NAME with * and ?, or COLUMN=VALUE; "
            "may be repeated.",
        ),
        click.option(
            "--dev",
            type=DATA,
            multiple=True,
            help="More of them, from a folder or table; may be repeated.",
        ),
        click.option(
            "--fold",
            metavar="I/N",
            help="Hold out part I of N, from 0, without a group in two parts. [0/10]",
        ),
        click.option(
            "--cross-validate",
            "parts",
            type=click.IntRange(2),
            help="head: judge on each of so many parts in turn, then train on all.",
        ),
        click.option(
            "--unbalanced",
            is_flag=True,
            help="head: let classes count as often as they occur, and not the same.",
        ),
        click.option(
            "--means",
            "deviation",
            flag_value="without",
            help="head: hear the means of features over a clip, and not how they deviate.",
        ),
        click.option(
            "--reach",
            "deviation",
            flag_value="added",
            help="head: hear the sums of mean and deviation alone: how high features reach.",
        ),
        click.option(
            "--whiten",
            metavar="SHARE",
            type=float,
            default=0.0,
            help="head: allow less weight, and by how much, to directions in which clips of one "
            "class differ anyway. [0]",
        ),
        click.option(
            "--judge",
            metavar="PATTERN",
            multiple=True,
            help="Clips that count then, as for --hold-out; may be repeated. [all]",
        ),
        click.option(
            "--listen",
            type=click.Choice(["mel", "pitch"]),
            default="mel",
            show_default=True,
            help="What a network hears that starts from nothing: 64 mel bands each 10 ms, "
            "or two bands a semitone each 20 ms.",
        ),
        click.option("--hidden-size", type=COUNT, help="Units of a layer and direction."),
        click.option("--layers", "num_layers", type=COUNT, help="Hidden layers."),
        click.option("--channels", help="Channels of the convolutions, with commas."),
        click.option(
            "--augment",
            type=click.Choice(["none", "steady", "wide"]),
            default="wide",
            show_default=True,
            help="steady leaves the pitch alone.",
        ),
        click.option(
            "--loss",
            type=click.Choice(["softmax", "margin"]),
            default="softmax",
            show_default=True,
            help="margin: for an encoder that compares what it never heard; judged by "
            "the equal error rate.",
        ),
        click.option(
            "--as-encoder",
            is_flag=True,
            help="Keep the trunk alone, for others to put heads on.",
        ),
        training_options(epochs=20, steps=100, batch_size=32, seconds=4.0),
        licences_option,
    ]
)


@click.command()
@class_options
def classify(**options: Any) -> None:
    """Train a network that tells classes of clips.

    DATA: folders with a labels.csv (columns path and label), such tables, or folders with a
    folder for each class.
    """
    from audiocli.cli.train.config import run_classes

    run_classes("classify", options)


@click.command()
@class_options
def tag(**options: Any) -> None:
    """Train a network that gives clips any number of tags.

    DATA: as for `train classify`; several labels of a clip stand in one cell, with ; between.
    """
    from audiocli.cli.train.config import run_classes

    run_classes("tag", options)
