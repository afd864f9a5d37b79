"""Options that every ``audiocli train`` has, gathered into one typed value."""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from audiocli.cli.options import FOLDER, adding

if TYPE_CHECKING:
    from audiocli.nn.fit import FitConfig

COUNT = click.IntRange(1)
POSITIVE = click.FloatRange(0, min_open=True)

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
    type=FOLDER,
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


class WholeNumbers(click.ParamType):  # type: ignore[type-arg]  # generic in some versions alone
    """Whole numbers with commas between them."""

    name = "text"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[int]:
        """Give them as a list."""
        try:
            return [int(part) for part in str(value).split(",")]
        except ValueError:
            self.fail(f"{value}: use whole numbers with commas", param, ctx)


@dataclass(frozen=True)
class Training:
    """What every training run is asked: where to write, how to fit, how to show it.

    Parameters
    ----------
    output : Path
        The model folder.
    seconds : float
        Length of an example.
    epochs, steps, batch_size, optimizer, learning_rate, patience, half, keep_statistics, seed
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
    patience: int
    half: bool
    keep_statistics: bool
    seed: int
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
        return FitConfig(
            epochs=self.epochs,
            steps=self.steps,
            batch_size=self.batch_size,
            optimizer=self.optimizer,
            learning_rate=self.learning_rate,
            patience=self.patience,
            half=self.half,
            keep_statistics=self.keep_statistics,
            seed=self.seed,
        )


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
        click.option("--optimizer", default="adamw", show_default=True,
                     type=click.Choice(["adamw", "lbfgs"]), help="L-BFGS wants large batches."),
        click.option("--learning-rate", default=1e-3, show_default=True, type=POSITIVE,
                     help="Its peak."),
        click.option("--patience", default=0, type=click.IntRange(0),
                     help="Stop after so many epochs without gain. [never]"),
        click.option("--half", is_flag=True,
                     help="Train in bfloat16; slow on processors that lack it."),
        click.option("--keep-statistics", is_flag=True,
                     help="With --from: leave the statistics of batch normalisation as they are."),
        click.option("--seed", default=0, show_default=True, help="Of everything random."),
        click.option("--threads", type=COUNT, help="Processor threads. [all]"),
        click.option("--device", default="auto", show_default=True,
                     help="auto, cpu, cuda, cuda:N, mps."),
        click.option("--licence", "licences", multiple=True,
                     help="Licence of each folder in their order, for the model card; may be "
                     "repeated."),
    ]  # fmt: skip
    if skips:
        options.append(skip_option)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        return gathering(command, "training", Training, adding(options))

    return decorate


def gathering(
    command: Callable[..., None],
    name: str,
    kind: Callable[..., Any],
    options: Callable[[Callable[..., None]], Callable[..., None]],
) -> Callable[..., None]:
    """Add options to a command, which gets their values as one typed argument."""
    fields = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]

    @functools.wraps(command)
    def gathered(*arguments: Any, **given: Any) -> None:
        own = {field: given.pop(field) for field in fields if field in given}
        command(*arguments, **{name: kind(**own)}, **given)

    return options(gathered)


def arguments(**given: Any) -> dict[str, Any]:
    """Give those arguments of a network that were asked for; the others have their defaults."""
    return {name: value for name, value in given.items() if value is not None}


class Shown:
    """Shows how training goes: a bar on a terminal, a line an epoch, and warnings.

    Parameters
    ----------
    epochs : int
        How many there are to be.
    score : str
        How to write an epoch's score, say ``dev {:.2f} dB``.
    """

    def __init__(self, epochs: int, score: str) -> None:
        import time

        from rich.console import Console
        from rich.progress import Progress

        self.epochs, self.score, self.clock = epochs, score, time.monotonic
        self.console = Console(stderr=True)
        self.visible = sys.stderr.isatty()
        self.progress_bar = Progress(console=self.console, transient=True, disable=not self.visible)
        self.bar = self.progress_bar.add_task("epoch", total=None)
        self.told = self.clock()

    def __enter__(self) -> Shown:
        import warnings

        from audiocli.errors import AudioCliWarning

        self.caught = warnings.catch_warnings()
        self.caught.__enter__()
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
            if issubclass(category, AudioCliWarning):
                self._say(f"warning: {message}")
            else:
                others(message, category, *rest, **more)

        warnings.simplefilter("always", AudioCliWarning)
        warnings.showwarning = show
        self.progress_bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.progress_bar.stop()
        self.caught.__exit__(*exception)  # type: ignore[arg-type]  # of its own making

    def report(self, epoch: Any) -> None:
        """Print a line for an epoch."""
        self._say(
            f"epoch {epoch.number}/{self.epochs}  loss {epoch.loss:.4f}  "
            f"{self.score.format(epoch.score)}{' *' if epoch.best else ''}  "
            f"{epoch.seconds / 60:.1f} min"
        )

    def progress(self, done: int, total: int) -> None:
        """Move the bar by a step."""
        self.progress_bar.update(self.bar, description="epoch", completed=done, total=total)

    def stage(self, what: str, done: int, total: int) -> None:
        """Move the bar by a file; without a terminal say now and then how far it is."""
        self.progress_bar.update(self.bar, description=what, completed=done, total=total)
        if not self.visible and self.clock() - self.told > EVERY:
            self.told = self.clock()
            self._say(f"{what}: {done} of {total}")

    def _say(self, line: str) -> None:
        # Through the console that draws the bar, so that neither tears the other.
        self.console.print(line, highlight=False, markup=False, emoji=False, soft_wrap=True)


#: Seconds between two lines that tell how far a run is, where there is no bar.
EVERY = 20.0


def finish(entry: Any) -> None:
    """Print the model's folder, and on standard error what it is worth on the validation set."""
    for score in entry.config.get("scores", [])[:1]:
        click.echo(
            f"{score['metric']} {score['value']} {score['unit']} ({score['measure']}) on "
            f"{score['data']}",
            err=True,
        )
    click.echo(str(entry.folder))
