"""``audiocli train separate``."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from audiocli.cli.train.options import (
    COUNT,
    DATA_FOLDER,
    POSITIVE,
    TrainCommand,
    Training,
    architecture_option,
    arguments,
    run_training,
    start_option,
    training_options,
)


@click.command(cls=TrainCommand)
@click.argument("data", nargs=-1, required=True, type=DATA_FOLDER)
@click.option(
    "--dev",
    type=DATA_FOLDER,
    help="The validation set, which chooses the best epoch. [every tenth of DATA]",
)
@architecture_option(
    {
        "dnn": "three dense layers of 1000 units over three frames of the spectrum",
        "rnn": "one recurrent layer",
        "drnn": "three layers, the second one recurrent: DRNN-2 of Huang et al.",
        "srnn": "three layers, all recurrent",
        "conv-drnn": "convolutions along frequency around recurrent layers, weights shared",
        "stereo-drnn": "the same for songs: both channels at once, up to 22 kHz",
        "live-drnn": "the same without the future, for audiocli separate --live",
    },
    default="drnn",
)
@click.option(
    "--voices",
    multiple=True,
    type=DATA_FOLDER,
    help="A folder of voices alone, for stereo-drnn and live-drnn; may be repeated.",
)
@click.option(
    "--backing",
    "backings",
    multiple=True,
    type=DATA_FOLDER,
    help="A folder of music without voice, for stereo-drnn and live-drnn; may be repeated.",
)
@start_option
@click.option("--hidden-size", type=COUNT, help="Units of each hidden layer. [1000]")
@click.option("--layers", "num_layers", type=click.IntRange(0), help="Hidden layers. [3]")
@click.option(
    "--recurrent-layer",
    "recurrent_layers",
    type=COUNT,
    multiple=True,
    help="Which hidden layer is recurrent, from 1; may be repeated. [2]",
)
@click.option("--nonlinearity", type=click.Choice(["relu", "tanh", "sigmoid"]), help="[relu]")
@click.option("--cell", type=click.Choice(["rnn", "lstm", "gru"]), help="[rnn; conv-drnn: lstm]")
@click.option("--bidirectional/--unidirectional", default=None, help="Read the future too.")
@click.option("--context", type=COUNT, help="Frames at the input, odd. [3]")
@click.option(
    "--power", type=POSITIVE, help="Compress input magnitudes to this power. [1; conv: 0.4]"
)
@click.option(
    "--dropout",
    type=click.FloatRange(0, 1, max_open=True),
    help="Share of units dropped in training. [0]",
)
@click.option(
    "--loss",
    default="mse",
    show_default=True,
    type=click.Choice(["mse", "kl", "snr"]),
    help="On magnitudes, or (snr) on complex spectra.",
)
@click.option(
    "--gamma",
    default=0.05,
    show_default=True,
    type=click.FloatRange(0),
    help="Weight of the discriminative term; 0 leaves it out.",
)
@click.option(
    "--augment",
    default="remix",
    show_default=True,
    type=click.Choice(["none", "shift", "remix", "wide"]),
    help="none; circular shift; any voice over any music; also pitch, formants, EQ.",
)
@training_options(epochs=40, steps=100, batch_size=16, seconds=4.0)
def separate(
    data: tuple[Path, ...],
    dev: Path | None,
    architecture: str,
    voices: tuple[Path, ...],
    backings: tuple[Path, ...],
    start: str | None,
    hidden_size: int | None,
    num_layers: int | None,
    recurrent_layers: tuple[int, ...],
    nonlinearity: str | None,
    cell: str | None,
    bidirectional: bool | None,
    context: int | None,
    power: float | None,
    dropout: float | None,
    loss: str,
    gamma: float,
    augment: str,
    training: Training,
) -> None:
    """Train a network that separates vocals from accompaniment.

    DATA: folders of MIR-1K-like stereo clips (left music, right voice), of NAME.voice.EXT and
    NAME.music.EXT pairs, or of folders with vocals.EXT and accompaniment.EXT.
    """
    from audiocli.tasks.separate.config import AUGMENTATIONS, TrainingConfig, layers
    from audiocli.tasks.separate.training import train

    given = arguments(
        hidden_size=hidden_size, nonlinearity=nonlinearity, cell=cell,
        bidirectional=bidirectional, context=context, power=power, dropout=dropout,
    )  # fmt: skip
    config = TrainingConfig(
        architecture=architecture,
        arguments={**given, **layers(architecture, num_layers, recurrent_layers)},
        loss=loss,
        gamma=gamma,
        augmentation=AUGMENTATIONS[augment],
        seconds=training.seconds,
        fit=training.fit_config(),
    )
    run_training(
        partial(train, data, config=config, voices=voices, backings=backings, dev=dev, start=start),
        training,
        "dev {:.2f} dB",
    )
