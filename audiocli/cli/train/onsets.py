"""``audiocli train onsets``."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from audiocli.cli.options import Numbers
from audiocli.cli.train.options import (
    COUNT,
    DATA_FOLDER,
    TrainCommand,
    Training,
    architecture_option,
    dev_option,
    hold_out_option,
    run_training,
    start_option,
    training_options,
)


@click.command(cls=TrainCommand)
@click.argument("data", nargs=-1, required=True, type=DATA_FOLDER)
@hold_out_option
@dev_option
@architecture_option(
    {
        "rnn": "three plain recurrent layers on Eyben's front-end",
        "brnn": "the same in both directions",
        "lstm": "forward, with LSTM cells",
        "blstm": "LSTM in both directions: Eyben et al. 2010",
        "crnn": "convolutions before two BLSTM layers, on finer spectrograms; the shipped detector",
        "online": "crnn without the future, for audiocli onsets --online",
    },
    default="crnn",
)
@start_option
@click.option("--hidden-size", type=COUNT, help="Units of a layer and direction. [20; crnn: 96]")
@click.option("--layers", "num_layers", type=COUNT, help="Recurrent layers. [3; crnn: 2]")
@click.option(
    "--channels", type=Numbers(int), help="Channels of the convolutions. [crnn: 24,48,64]"
)
@click.option(
    "--augment",
    default="wide",
    show_default=True,
    type=click.Choice(["none", "wide"]),
    help="wide: pitch and tempo, level, EQ, rooms, noise, mixtures, saturation.",
)
@click.option(
    "--fuzz",
    default=0.02,
    show_default=True,
    type=click.FloatRange(0, 0.1),
    help="Half width of the target around an onset, in seconds; 0 marks one frame.",
)
@training_options(epochs=20, steps=150, batch_size=16, seconds=5.0)
def onsets(
    data: tuple[Path, ...],
    held_out: tuple[str, ...],
    dev: tuple[Path, ...],
    architecture: str,
    start: str | None,
    hidden_size: int | None,
    num_layers: int | None,
    channels: tuple[int, ...] | None,
    augment: str,
    fuzz: float,
    training: Training,
) -> None:
    """Train a network that detects onsets.

    DATA: folders of recordings with NAME.onsets, NAME.csv or NAME.jams beside them (times in
    seconds); every folder is drawn from as often as the others, whatever its size.
    """
    from audiocli.tasks.onsets.examples import AUGMENTATIONS
    from audiocli.tasks.onsets.training import ARCHITECTURES, TrainingConfig, train

    config = TrainingConfig(
        architecture=architecture,
        arguments=ARCHITECTURES[architecture].sizes(hidden_size, num_layers, channels),
        augmentation=AUGMENTATIONS[augment],
        fuzz=fuzz,
        seconds=training.seconds,
        fit=training.fit_config(),
    )
    run_training(
        partial(train, data, config=config, held_out=held_out, dev=dev, start=start),
        training,
        "dev F-measure {:.1f} %",
    )
