"""``audiocli train beats``."""

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
    arguments,
    cache_option,
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
        "blstm": "three LSTM layers in both directions: Böck and Schedl 2011",
        "tcn": "convolutions, then dilated ones along time; the shipped tracker",
    },
    default="tcn",
)
@start_option
@click.option("--hidden-size", type=COUNT, help="Units of a layer and direction. [25; tcn: 48]")
@click.option("--layers", "num_layers", type=COUNT, help="Recurrent or dilated layers. [3; tcn: 9]")
@click.option("--channels", type=Numbers(int), help="Channels of the convolutions. "
              "[tcn: 12,24,32]")  # fmt: skip
@click.option(
    "--dropout", type=click.FloatRange(0, 0.9), help="Share of the features dropped. [0; tcn: 0.15]"
)
@click.option(
    "--augment",
    default="wide",
    show_default=True,
    type=click.Choice(["none", "wide"]),
    help="wide: tempo, pitch, level, EQ, noise, missing bands.",
)
@click.option(
    "--tolerance",
    default=0.04,
    show_default=True,
    type=click.FloatRange(0, 0.1),
    help="Seconds by which an activation may be beside a beat.",
)
@click.option(
    "--downbeat-weight",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="How much the loss of downbeats counts beside that of beats.",
)
@cache_option
@training_options(epochs=30, steps=100, batch_size=6, seconds=20.0)
def beats(
    data: tuple[Path, ...],
    held_out: tuple[str, ...],
    dev: tuple[Path, ...],
    architecture: str,
    start: str | None,
    hidden_size: int | None,
    num_layers: int | None,
    channels: tuple[int, ...] | None,
    dropout: float | None,
    augment: str,
    tolerance: float,
    downbeat_weight: float,
    cache_dir: Path | None,
    training: Training,
) -> None:
    """Train a network that finds beats and downbeats.

    DATA: folders of recordings with NAME.beats, NAME.csv or NAME.jams beside them (times in
    seconds, and the position in the bar, 1 at its beginning); every folder is drawn from as often
    as the others, whatever its size.
    """
    from audiocli.tasks.beats.examples import AUGMENTATIONS
    from audiocli.tasks.beats.training import ARCHITECTURES, TrainingConfig, train

    sizes = ARCHITECTURES[architecture].sizes(hidden_size, num_layers, channels)
    config = TrainingConfig(
        architecture=architecture,
        arguments={**sizes, **arguments(dropout=dropout)},
        augmentation=AUGMENTATIONS[augment],
        tolerance=tolerance,
        downbeat_weight=downbeat_weight,
        seconds=training.seconds,
        fit=training.fit_config(),
    )
    run_training(
        partial(
            train, data, config=config, held_out=held_out, dev=dev, start=start, cache_dir=cache_dir
        ),
        training,
        "dev F-measure {:.1f} %",
    )
