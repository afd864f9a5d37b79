"""``audiocli train classify`` and ``audiocli train tag``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from audiocli.cli.options import Numbers, adding, gathering
from audiocli.cli.train.options import (
    COUNT,
    DataPath,
    Shown,
    TrainCommand,
    Training,
    architecture_option,
    arguments,
    finish,
    training_options,
)

if TYPE_CHECKING:
    from audiocli.nn.registry import ModelEntry
    from audiocli.tasks.classify.clips import Selection
    from audiocli.tasks.classify.splits import Split

ARCHITECTURES = {
    "head": "a linear layer on the features of --encoder, fitted in seconds",
    "perceptron": "a linear layer on mean and deviation of the bands: learns from the sound itself",
    "mlp": "a hidden layer before it, on steps of 100 ms",
    "rnn": "two plain recurrent layers over frames",
    "brnn": "the same in both directions",
    "lstm": "forward, with LSTM cells",
    "blstm": "LSTM in both directions",
    "cnn": "four pairs of convolutions, each halving bands and frames",
    "crnn": "a bidirectional recurrent layer behind them",
    "mobile": "twelve layers of separable convolutions: the trunk of the shipped encoders",
}
DATA = DataPath(exists=True, path_type=Path)

_selection_options = adding([
    click.option("--label", "columns", multiple=True, metavar="COLUMN",
                 help="Column of labels.csv that holds them; may be repeated. [label]"),
    click.option("--group", metavar="COLUMN",
                 help="What must not be on both sides of a split: artist, speaker, fold."),
    click.option("--rename", multiple=True, metavar="OLD=NEW",
                 help="Call a label something else; NEW empty leaves it out."),
    click.option("--min-clips", default=1, show_default=True, type=COUNT,
                 help="Leave out labels that fewer clips have."),
    click.option("--multi-label", is_flag=True,
                 help="Let a classifier's clips have several labels; any of them is right."),
    click.option("--pair-within", metavar="COLUMN",
                 help="Of encoders: pair clips alone that have the same here, say set."),
])  # fmt: skip


@dataclass(frozen=True)
class Selecting:
    """Which labels and groups a table has, as the options say."""

    columns: tuple[str, ...]
    group: str | None
    rename: tuple[str, ...]
    min_clips: int
    multi_label: bool
    pair_within: str | None

    def selection(self) -> Selection:
        """Give it as the task has it."""
        from audiocli.tasks.classify.clips import Selection

        renamed = {}
        for pair in self.rename:
            old, equals, new = pair.partition("=")
            if not equals:
                raise click.UsageError(f"--rename {pair}: use OLD=NEW")
            renamed[old] = new
        return Selection(
            self.columns or ("label",), self.group, renamed, self.min_clips, self.multi_label,
            self.pair_within,
        )  # fmt: skip


def selection_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of a selection; the command gets them as one argument, ``selecting``."""
    return gathering(command, "selecting", Selecting, _selection_options)


class Fold(click.ParamType):  # type: ignore[type-arg]  # generic in some versions alone
    """I/N: part I of N, from 0."""

    name = "text"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Give both numbers."""
        place, slash, parts = str(value).partition("/")
        if not (slash and place.isdecimal() and parts.isdecimal()):
            self.fail(f"{value}: use I/N, say 0/5", param, ctx)
        return int(place), int(parts)


_class_options = adding(
    [
        click.argument("data", nargs=-1, required=True, type=DATA),
        architecture_option(ARCHITECTURES, default="head"),
        click.option(
            "--encoder",
            "encoders",
            metavar="NAME[:PART]",
            multiple=True,
            default=["general"],
            show_default=True,
            help="Where a head gets its features, or a part of them; may be repeated, for several "
            "that have steps of one length.",
        ),
        click.option(
            "--from",
            "start",
            metavar="MODEL",
            help="Train on from the trunk of this encoder or classifier, of the same --arch.",
        ),
        click.option(
            "--hold-out",
            "held_out",
            metavar="PATTERN",
            multiple=True,
            help="Clips of DATA for the validation set, as FOLDER/NAME with * and ?, or "
            "COLUMN=VALUE; may be repeated.",
        ),
        click.option(
            "--dev",
            type=DATA,
            multiple=True,
            help="A folder or table for the validation set; may be repeated.",
        ),
        click.option(
            "--fold",
            type=Fold(),
            metavar="I/N",
            help="Hold out part I of N, from 0, without a group in two parts. [0/10]",
        ),
        click.option(
            "--folds",
            "parts",
            type=click.IntRange(2),
            help="Cross-validation: validate on each of so many parts in turn. A head is then "
            "fitted to all; of networks there is one a part, in OUTPUT/fold-I.",
        ),
        click.option(
            "--unbalanced",
            is_flag=True,
            help="Let classes count as often as they occur, and not the same.",
        ),
        click.option(
            "--means",
            "deviation",
            flag_value="without",
            help="head: use the means of features over a clip, and not their deviations.",
        ),
        click.option(
            "--reach",
            "deviation",
            flag_value="added",
            help="head: use only the sums of mean and deviation: how high features reach.",
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
            "--score-on",
            "scored_on",
            metavar="PATTERN",
            multiple=True,
            help="Clips that are scored then, as for --hold-out; may be repeated. [all]",
        ),
        click.option(
            "--frontend",
            type=click.Choice(["mel", "pitch"]),
            default="mel",
            show_default=True,
            help="Of a network that starts from fresh weights: 64 mel bands each 10 ms, or two "
            "bands a semitone each 20 ms.",
        ),
        click.option("--hidden-size", type=COUNT, help="Units of a layer and direction."),
        click.option("--layers", "num_layers", type=COUNT, help="Hidden layers."),
        click.option(
            "--channels", type=Numbers(int), help="Channels of the convolutions, with commas."
        ),
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
            help="margin: for an encoder that compares what was not in its training; scored by "
            "the equal error rate.",
        ),
        click.option(
            "--as-encoder",
            is_flag=True,
            help="Keep the trunk alone, for others to put heads on.",
        ),
    ]
)


@dataclass(frozen=True)
class Classes:
    """What ``train classify`` and ``train tag`` are asked, besides what every training is."""

    data: tuple[Path, ...]
    architecture: str
    encoders: tuple[str, ...]
    start: str | None
    held_out: tuple[str, ...]
    dev: tuple[Path, ...]
    fold: tuple[int, int] | None
    parts: int | None
    unbalanced: bool
    deviation: Literal["without", "added"] | None
    whiten: float
    scored_on: tuple[str, ...]
    frontend: str
    hidden_size: int | None
    num_layers: int | None
    channels: tuple[int, ...] | None
    augment: str
    loss: str
    as_encoder: bool


def class_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add what both commands take; they get it as ``classes``, ``selecting`` and ``training``."""
    trained = training_options(epochs=20, steps=100, batch_size=32, seconds=4.0)(command)
    return gathering(selection_options(trained), "classes", Classes, _class_options)


@click.command(cls=TrainCommand)
@class_options
def classify(classes: Classes, selecting: Selecting, training: Training) -> None:
    """Train a network that tells classes of clips.

    DATA: folders with a labels.csv, .parquet or .jsonl (columns path and label), such tables,
    folders with JAMS files beside the audio, or folders with a folder for each class.
    """
    _train("classify", classes, selecting, training)


@click.command(cls=TrainCommand)
@class_options
def tag(classes: Classes, selecting: Selecting, training: Training) -> None:
    """Train a network that gives clips any number of tags.

    DATA: as for `train classify`; several labels of a clip stand in one cell, with ; between.
    """
    _train("tag", classes, selecting, training)


def _train(task: str, classes: Classes, selecting: Selecting, training: Training) -> None:
    if classes.architecture == "head":
        _train_head(task, classes, selecting, training)
    else:
        _train_network(task, classes, selecting, training)


def _train_head(task: str, classes: Classes, selecting: Selecting, training: Training) -> None:
    """Fit a head on an encoder."""
    for option, given in (
        ("--from", classes.start), ("--as-encoder", classes.as_encoder),
        ("--hidden-size", classes.hidden_size), ("--layers", classes.num_layers),
        ("--channels", classes.channels), ("--overfit-one-batch and --lr-find", training.probe),
    ):  # fmt: skip
        if given:
            raise click.UsageError(f"{option}: is not for --arch head; choose another --arch")
    from audiocli.tasks.classify.examples import AUGMENTATIONS
    from audiocli.tasks.classify.heads import Fitting, train

    fit = training.fit_config()  # sets the threads
    fitting = Fitting(
        task, classes.encoders, AUGMENTATIONS[classes.augment], balanced=not classes.unbalanced,
        deviation=classes.deviation or "apart", whiten=classes.whiten, seed=fit.seed,
    )  # fmt: skip
    with Shown(training.epochs, "") as shown:
        entry = train(
            classes.data, training.output, fitting, selecting.selection(),
            held_out=classes.held_out, fold=classes.fold, dev=classes.dev, parts=classes.parts,
            scored_on=classes.scored_on, licences=training.licences,
            skip_unreadable=training.skip_unreadable, device=training.device, stage=shown.stage,
        )  # fmt: skip
    finish(entry)


def _train_network(task: str, classes: Classes, selecting: Selecting, training: Training) -> None:
    """Train from the first layer on."""
    if classes.parts:
        if classes.fold or classes.held_out or classes.dev:
            raise click.UsageError("--folds holds each part out in turn; leave out --fold, "
                                   "--hold-out and --dev")  # fmt: skip
    from audiocli.tasks.classify.examples import AUGMENTATIONS
    from audiocli.tasks.classify.folds import cross_validate
    from audiocli.tasks.classify.splits import gather
    from audiocli.tasks.classify.training import TrainingConfig, train

    sizes = arguments(
        hidden_size=classes.hidden_size, num_layers=classes.num_layers, channels=classes.channels
    )
    config = TrainingConfig(
        task, classes.architecture, sizes, classes.frontend, classes.start,
        AUGMENTATIONS[classes.augment], classes.loss, training.seconds, training.fit_config(),
        balanced=not classes.unbalanced,
    )  # fmt: skip
    open_set = config.loss == "margin"
    score = "dev accuracy {:.1f} %" if task == "classify" else "dev ROC AUC {:.1f} %"
    score = "100 - dev equal error rate {:.1f} %" if open_set else score
    with Shown(training.epochs, score) as shown:

        def split(fold: tuple[int, int] | None) -> Split:
            return gather(
                classes.data, selecting.selection(), task, held_out=classes.held_out, fold=fold,
                dev=classes.dev, licences=training.licences, open_set=open_set,
                skip_unreadable=training.skip_unreadable, stage=shown.stage,
            )  # fmt: skip

        def trained(split: Split, output: Path) -> ModelEntry:
            return train(
                split, output, config, as_encoder=classes.as_encoder, device=training.device,
                report=shown.report, progress=shown.progress,
            )  # fmt: skip

        if classes.parts:
            table = cross_validate(split, trained, classes.parts, training.output)
        else:
            entry = trained(split(classes.fold), training.output)
    if classes.parts:
        for line in table:
            click.echo(line)
    else:
        finish(entry)
