"""``audiocli train chords``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from audiocli.cli.options import FOLDER
from audiocli.cli.train.options import (
    COUNT,
    dev_option,
    hold_out_option,
    licences_option,
    start_option,
    training_options,
)


@click.command()
@click.argument("data", nargs=-1, required=True, type=FOLDER)
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
@click.option(
    "--heard",
    "kept",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep what the front-end hears here, for other runs. [in the model folder]",
)
@start_option
@click.option("--channels", help="Of bands, semitones and pitch classes. [16,32,64]")
@click.option("--layers", "num_circles", type=COUNT, help="Layers of pitch classes. [3]")
@click.option(
    "--augment",
    default="wide",
    show_default=True,
    type=click.Choice(["none", "wide"]),
    help="wide: all keys, tuning, level, EQ, noise, missing bands.",
)
@training_options(epochs=30, steps=50, batch_size=16, seconds=20.0)
@licences_option
def chords(**options: Any) -> None:
    """Train a network that recognises chords.

    DATA: folders of recordings with NAME.lab, NAME.csv or NAME.jams beside them (start, end and
    label in Harte's syntax), or of songs in symbols as in POP909 (NNN/NNN.mid, chord_midi.txt
    and beat_midi.txt), which --sound-font renders; every folder is drawn from as often.
    """
    from audiocli.cli.train.config import run_chords

    run_chords(options)
