"""``audiocli train chords``."""

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
@click.option(
    "--sound-font",
    "fonts",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Render the songs of DATA with this SF2 or SF3 file; may be repeated.",
)
@click.option(
    "--render-as",
    "kind",
    default="band",
    show_default=True,
    type=click.Choice(["band", "piano"]),
    help="Who plays songs that are rendered.",
)
@click.option(
    "--made-up",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Render so many songs of random chords besides, as a set of their own.",
)
@cache_option
@start_option
@click.option(
    "--channels", type=Numbers(int), help="Of bands, semitones and pitch classes. [16,32,64]"
)
@click.option("--layers", "num_circles", type=COUNT, help="Layers of pitch classes. [3]")
@click.option(
    "--augment",
    default="wide",
    show_default=True,
    type=click.Choice(["none", "wide"]),
    help="wide: all keys, tuning, level, EQ, noise, missing bands.",
)
@training_options(epochs=30, steps=50, batch_size=16, seconds=20.0)
def chords(
    data: tuple[Path, ...],
    held_out: tuple[str, ...],
    dev: tuple[Path, ...],
    fonts: tuple[Path, ...],
    kind: str,
    made_up: int,
    cache_dir: Path | None,
    start: str | None,
    channels: tuple[int, ...] | None,
    num_circles: int | None,
    augment: str,
    training: Training,
) -> None:
    """Train a network that recognises chords.

    DATA: folders of recordings with NAME.lab, NAME.csv or NAME.jams beside them (start, end and
    label in Harte's syntax), or of songs in symbols as in POP909 (NNN/NNN.mid, chord_midi.txt
    and beat_midi.txt), which --sound-font renders; every folder is drawn from as often.
    """
    from audiocli.tasks.chords.examples import AUGMENTATIONS
    from audiocli.tasks.chords.training import Rendering, TrainingConfig, train

    config = TrainingConfig(
        arguments=arguments(channels=channels, num_circles=num_circles),
        augmentation=AUGMENTATIONS[augment],
        seconds=training.seconds,
        fit=training.fit_config(),
    )
    run_training(
        partial(
            train,
            data,
            config=config,
            held_out=held_out,
            dev=dev,
            rendering=Rendering(fonts, kind, made_up),
            cache_dir=cache_dir,
            start=start,
        ),
        training,
        "dev {:.1f} %",
    )
