"""``audiocli train separate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
COUNT = click.IntRange(1)
POSITIVE = click.FloatRange(0, min_open=True)


@click.command()
@click.argument("data", nargs=-1, required=True, type=FOLDER)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Model folder to write; a run that was stopped goes on from it.",
)
@click.option("--dev", type=FOLDER, help="Clips that choose the best epoch. [every tenth of DATA]")
@click.option(
    "--arch",
    default="drnn",
    show_default=True,
    type=click.Choice(["dnn", "rnn", "drnn", "srnn", "conv-drnn"]),
    help="srnn: all layers recurrent; conv-drnn: weights shared along frequency.",
)
@click.option("--hidden-size", type=COUNT, help="Units of each hidden layer. [1000]")
@click.option("--layers", "num_layers", type=click.IntRange(0), help="Hidden layers. [3]")
@click.option(
    "--recurrent-layer",
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
@click.option(
    "--seconds", default=4.0, show_default=True, type=POSITIVE, help="Length of an example."
)
@click.option("--epochs", default=40, show_default=True, type=COUNT, help="How often to score.")
@click.option("--steps", default=100, show_default=True, type=COUNT, help="Batches an epoch.")
@click.option("--batch-size", default=16, show_default=True, type=COUNT, help="Examples a batch.")
@click.option(
    "--optimizer",
    default="adamw",
    show_default=True,
    type=click.Choice(["adamw", "lbfgs"]),
    help="L-BFGS wants large batches.",
)
@click.option("--learning-rate", default=1e-3, show_default=True, type=POSITIVE, help="Its peak.")
@click.option(
    "--patience",
    default=0,
    type=click.IntRange(0),
    help="Stop after so many epochs without gain. [never]",
)
@click.option("--half", is_flag=True, help="Train in bfloat16 where that is safe.")
@click.option("--seed", default=0, show_default=True, help="Of everything random.")
@click.option("--licence", default="unspecified", help="Licence of the data, for the model card.")
@click.option("--threads", type=COUNT, help="Processor threads. [all]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:N, mps.")
def separate(**options: Any) -> None:
    """Train a network that separates vocals from accompaniment.

    DATA: folders of MIR-1K-like stereo clips (left music, right voice), of NAME.voice.EXT and
    NAME.music.EXT pairs, or of folders with vocals.EXT and accompaniment.EXT.
    """
    from audiocli.cli.train.course import run_separate

    run_separate(options)
