"""``audiocli train features``."""

from __future__ import annotations

from pathlib import Path

import click

from audiocli.cli.train.options import (
    COUNT,
    DATA_FOLDER,
    Shown,
    TrainCommand,
    Training,
    architecture_option,
    arguments,
    dev_option,
    finish,
    hold_out_option,
    training_options,
)

#: Options that mean something to one basis only.
ONLY = {
    "autoencoder": {
        "hidden_size",
        "optimizer",
        "learning_rate",
        "schedule",
        "hold",
        "plateau",
        "warmup",
        "weight_decay",
        "clip_norm",
        "average",
        "precision",
        "tensorboard",
        "probe",
    },
    "dictionary": {"penalty"},
}


@click.command(cls=TrainCommand)
@click.argument("data", nargs=-1, required=True, type=DATA_FOLDER)
@hold_out_option
@dev_option
@architecture_option(
    {
        "pca": "principal components: the directions that spectra vary most in",
        "nmf": "non-negative matrix factorisation: parts that are added up",
        "dictionary": "sparse coding: few of many spectra at a time",
        "kmeans": "clusters: the nearest of some mean spectra",
        "autoencoder": "a network that squeezes spectra through its middle",
    },
    default="pca",
    option="--basis",
    name="basis",
)
@click.option("--components", default=32, show_default=True, type=COUNT, help="How many.")
@click.option(
    "--penalty", type=click.FloatRange(0), help="dictionary: more makes codes sparser. [0.2]"
)
@click.option("--hidden-size", type=COUNT, help="autoencoder: units around the middle. [256]")
@click.option("--bands", default=128, show_default=True, type=COUNT, help="Of the spectra.")
@click.option(
    "--scale",
    default="mel",
    show_default=True,
    type=click.Choice(["mel", "log", "linear"]),
    help="Spacing of the bands.",
)
@click.option("--rate", default=22_050, show_default=True, type=COUNT, help="In Hz.")
@click.option("--frame", default=2048, show_default=True, type=COUNT, help="Samples, even.")
@click.option("--hop", type=COUNT, help="From frame to frame, in samples. [a quarter of a frame]")
@training_options(epochs=10, steps=100, batch_size=1024, seconds=2.0, skips=False)
def features(
    data: tuple[Path, ...],
    held_out: tuple[str, ...],
    dev: tuple[Path, ...],
    basis: str,
    components: int,
    penalty: float | None,
    hidden_size: int | None,
    bands: int,
    scale: str,
    rate: int,
    frame: int,
    hop: int | None,
    training: Training,
) -> None:
    """Learn a basis of spectra: features made by data and not by hand.

    DATA: folders of recordings of any kind, without annotations; every folder is drawn from as
    often as the others, whatever its size. An example of a batch is a frame.
    """
    _refuse_options_of_others(basis)
    from audiocli.tasks.features.training import TrainingConfig, spectra, train

    config = TrainingConfig(
        basis=basis,
        arguments=arguments(components=components, hidden_size=hidden_size, penalty=penalty),
        frontend=spectra(rate, frame, hop, bands, scale),
        seconds=training.seconds,
        fit=training.fit_config(),
    )
    with Shown(training.epochs, "held-out variance explained {:.2f} %") as shown:
        entry = train(
            data,
            training.output,
            config,
            held_out=held_out,
            dev=dev,
            licences=training.licences,
            device=training.device,
            report=shown.report,
            progress=shown.progress,
        )
    finish(entry)


def _refuse_options_of_others(basis: str) -> None:
    """Refuse options that mean nothing to this basis."""
    context = click.get_current_context()
    for owner, names in ONLY.items():
        for name in sorted(names):
            given = context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
            if given and basis != owner:
                option = next(param for param in context.command.params if param.name == name)
                named = max(option.opts, key=len)
                raise click.UsageError(f"{named}: is for --basis {owner} alone")
