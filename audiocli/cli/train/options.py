"""Options that every ``audiocli train`` has, gathered into one typed value."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from audiocli.cli.options import adding, gathering
from audiocli.cli.renaming import RenamingCommand
from audiocli.cli.train.settings import GIVEN, complete, is_first
from audiocli.cli.train.shown import Shown, finish

if TYPE_CHECKING:
    from audiocli.nn.fit import Epoch, FitConfig, Step
    from audiocli.nn.registry import ModelEntry

__all__ = ["COUNT", "DATA_FOLDER", "POSITIVE", "Architectures", "DataPath", "Shown",
           "TrainCommand", "Training", "architecture_option", "arguments", "cache_option",
           "dev_option", "finish", "hold_out_option", "run_training", "skip_option",
           "start_option", "training_options"]  # fmt: skip

COUNT = click.IntRange(1)
POSITIVE = click.FloatRange(0, min_open=True)
#: What may be given as shards or a URL.
DATA_PARAMETERS = ("data", "dev", "voices", "backings")


class DataPath(click.Path):
    """A folder of data, or what :mod:`audiocli.tasks.data_sources` makes one of: shards, URLs."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Give a path that is there, or the words that the command brings into a folder."""
        from audiocli.tasks.data_sources import is_source

        if isinstance(value, str) and is_source(value):
            return value
        return super().convert(value, param, ctx)


DATA_FOLDER = DataPath(exists=True, file_okay=False, path_type=Path)
hold_out_option = click.option(
    "--hold-out",
    "held_out",
    metavar="PATTERN",
    multiple=True,
    help="Recordings of DATA for the validation set, as FOLDER/NAME with * and ?; may be "
    "repeated. [every tenth of DATA, without --dev]",
)
dev_option = click.option(
    "--dev",
    type=DATA_FOLDER,
    multiple=True,
    help="A folder for the validation set, which chooses the best epoch; may be repeated.",
)
start_option = click.option(
    "--from",
    "start",
    metavar="MODEL",
    help="Start from the weights of this model, of the same kind and sizes: a name or a folder.",
)
skip_option = click.option(
    "--skip-unreadable",
    is_flag=True,
    help="Leave out files that cannot be read, with a warning each; without it they are named "
    "together before training begins, and refused.",
)
cache_option = click.option(
    "--cache-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the output of the front-end here, for other runs. [in the model folder]",
)


class TrainCommand(RenamingCommand):
    """A command that trains: over the settings of a file, or a trial in the place of a run."""

    def completed(self, ctx: click.Context, words: list[str]) -> list[str]:
        """Put what ``--config`` names under the command line."""
        return complete(ctx, words)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; say what a trial found, where one was asked for."""
        from audiocli.nn.distributed import leave
        from audiocli.tasks.probing import ProbeDone

        try:
            ctx.meta[GIVEN] = dict(ctx.params)
            ctx.params |= {
                name: _local(ctx, name) for name in DATA_PARAMETERS if name in ctx.params
            }
            return super().invoke(ctx)
        except ProbeDone as done:
            if is_first():
                click.echo(done.text)
            sys.exit(0 if done.passed else 1)
        finally:
            leave()


def _local(ctx: click.Context, name: str) -> Any:
    """Bring what is shards or a URL into folders, and leave the rest."""
    value = ctx.params[name]
    if isinstance(value, tuple):
        return tuple(_bring(ctx, each) for each in value)
    return _bring(ctx, value)


def _bring(ctx: click.Context, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    from audiocli.tasks.data_sources import local_data

    skip = bool(ctx.params.get("skip_unreadable", False))
    with Shown(1, "") as shown:  # for its bar and its warnings
        return local_data(value, skip_unreadable=skip, stage=shown.stage)


class Architectures(click.Choice):  # type: ignore[type-arg]  # generic in some versions alone
    """Names of networks, each with a line; ``help`` lists them."""

    def __init__(self, lines: Mapping[str, str]) -> None:
        super().__init__(list(lines))
        self.lines = lines

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Print the list and stop, or give the name."""
        if value != "help":
            return super().convert(value, param, ctx)
        width = max(map(len, self.lines))
        for name, line in self.lines.items():
            click.echo(f"{name:{width}}  {line}")
        raise click.exceptions.Exit


def architecture_option(
    lines: Mapping[str, str], *, default: str, option: str = "--arch", name: str = "architecture"
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the choice of a network; `lines` say what each is."""
    return click.option(
        option, name, default=default, show_default=True, type=Architectures(lines), is_eager=True,
        help=f"{option} help says what each is.",
    )  # fmt: skip


@dataclass(frozen=True)
class Training:
    """What every training run is asked: where to write, how to fit, how to show it.

    Parameters
    ----------
    output : Path
        The model folder.
    seconds : float
        Length of an example.
    epochs, steps, batch_size, ..., seed, tensorboard, probe
        As in :class:`audiocli.nn.fit.FitConfig`.
    threads : int or None
        Of the processor; None is all.
    device : str
        As in :func:`audiocli.nn.models.device`.
    licences : tuple of str
        Of each data folder.
    skip_unreadable : bool
        Leave out data that cannot be read.
    """

    output: Path
    seconds: float
    epochs: int
    steps: int
    batch_size: int
    optimizer: str
    learning_rate: float
    schedule: str
    hold: float
    plateau: int
    warmup: int
    weight_decay: float
    clip_norm: float
    average: float
    patience: int
    precision: str
    compiled: bool
    keep_statistics: bool
    seed: int
    tensorboard: bool
    probe: str | None
    threads: int | None
    device: str
    licences: tuple[str, ...]
    skip_unreadable: bool = True

    def fit_config(self) -> FitConfig:
        """Make the fit config; set the number of threads, on which results may depend."""
        import torch

        from audiocli.nn.fit import FitConfig

        if self.threads:
            torch.set_num_threads(self.threads)
        given = {field.name: getattr(self, field.name) for field in dataclasses.fields(FitConfig)}
        return FitConfig(**{**given, "probe": self.probe or ""})


#: How to fit and how to show it, with the same defaults for every task.
FIT_OPTIONS = [
    click.option("--optimizer", default="adamw", show_default=True,
                 type=click.Choice(["adamw", "lbfgs"]), help="L-BFGS wants large batches."),
    click.option("--learning-rate", default=1e-3, show_default=True, type=POSITIVE,
                 help="Its peak."),
    click.option("--schedule", default="cosine", show_default=True,
                 type=click.Choice(["cosine", "constant", "plateau"]),
                 help="How it falls: to zero along a cosine, not at all, or to half after "
                 "--plateau epochs without gain."),
    click.option("--hold", default=0.5, show_default=True, type=click.FloatRange(0, 1),
                 help="Share of the run before the cosine sets in."),
    click.option("--plateau", default=3, show_default=True, type=COUNT, help="Epochs."),
    click.option("--warmup", default=100, show_default=True, type=click.IntRange(0),
                 help="Steps over which it rises."),
    click.option("--weight-decay", default=1e-2, show_default=True, type=click.FloatRange(0),
                 help="Of AdamW."),
    click.option("--clip-norm", default=2.0, show_default=True, type=click.FloatRange(0),
                 help="Shorten longer gradients to this; 0: none."),
    click.option("--ema", "average", default=0.999, show_default=True,
                 type=click.FloatRange(0, 1, max_open=True),
                 help="Decay of the moving average of the weights; 0: none."),
    click.option("--patience", default=0, show_default=True, type=click.IntRange(0),
                 help="Stop after so many epochs without gain; 0: never."),
    click.option("--precision", default="float32", show_default=True,
                 type=click.Choice(["float32", "bfloat16", "float16"]),
                 help="Of products in training; slow on processors that lack it."),
    click.option("--compile", "compiled", is_flag=True,
                 help="Compile the network (torch.compile): minutes at the start, for faster steps."
                 ),
    click.option("--keep-statistics", is_flag=True,
                 help="With --from: leave the statistics of batch normalisation as they are."),
    click.option("--seed", default=0, show_default=True, help="Of everything random."),
    click.option("--threads", type=COUNT, help="Processor threads. [all]"),
    click.option("--device", default="auto", show_default=True,
                 help="auto, cpu, cuda, cuda:N, mps."),
    click.option("--licence", "licences", multiple=True,
                 help="Licence of each folder in their order, for the model card; may be "
                 "repeated."),
    click.option("--tensorboard", is_flag=True,
                 help="Write what log.csv holds for TensorBoard too."),
    click.option("--overfit-one-batch", "probe", flag_value="overfit",
                 help="Try whether the network can learn one batch by heart; write no model."),
    click.option("--lr-find", "probe", flag_value="rates",
                 help="Try learning rates from low to high, and suggest one; write no model."),
    click.option("--config", metavar="FILE", expose_value=False,
                 help="Take settings from a TOML file, as --print-config writes it; the "
                 "command line comes before it."),
    click.option("--print-config", is_flag=True, expose_value=False,
                 help="Print all settings as TOML, and stop."),
]  # fmt: skip


def training_options(
    *, epochs: int, steps: int, batch_size: int, seconds: float, skips: bool = True
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options of the training run, with the task's own defaults.

    The command gets them as one argument ``training``, a :class:`Training`. `skips` says whether
    what cannot be read is refused unless that is asked for, or left out anyway.
    """
    options = [
        click.option("-o", "--output", required=True,
                     type=click.Path(file_okay=False, path_type=Path),
                     help="Model folder to write; a run that was stopped goes on from it."),
        click.option("--seconds", default=seconds, show_default=True, type=POSITIVE,
                     help="Length of an example."),
        click.option("--epochs", default=epochs, show_default=True, type=COUNT,
                     help="How often to score."),
        click.option("--steps", default=steps, show_default=True, type=COUNT,
                     help="Batches an epoch."),
        click.option("--batch-size", default=batch_size, show_default=True, type=COUNT,
                     help="Examples a batch."),
        *FIT_OPTIONS,
    ]  # fmt: skip
    if skips:
        options.append(skip_option)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        return gathering(command, "training", Training, adding(options))

    return decorate


class Train(Protocol):
    """A task's ``train`` to which data, config and what only that task knows are given already."""

    def __call__(
        self,
        output: Path,
        *,
        licences: Sequence[str],
        skip_unreadable: bool,
        device: str,
        stage: Callable[[str, int, int], None],
        report: Callable[[Epoch], None],
        progress: Callable[[Step], None],
    ) -> ModelEntry:
        """Train, and give the model."""


def run_training(train: Train, training: Training, score: str) -> None:
    """Train and show how it goes; `score` writes that of an epoch, say ``dev {:.1f} %``."""
    with Shown(training.epochs, score) as shown:
        entry = train(
            training.output,
            licences=training.licences,
            skip_unreadable=training.skip_unreadable,
            device=training.device,
            stage=shown.stage,
            report=shown.report,
            progress=shown.progress,
        )
    finish(entry)


def arguments(**given: Any) -> dict[str, Any]:
    """Give those arguments of a network that were given, as JSON has them: lists for tuples."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in given.items()
        if value is not None
    }
