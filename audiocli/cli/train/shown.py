"""What a training run shows on standard error, and keeps of its command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from audiocli.cli.train.settings import is_first, write_settings

if TYPE_CHECKING:
    from rich.table import Table

    from audiocli.nn.fit import Epoch, Step

#: Seconds between two lines that tell how far a run is, where there is no terminal.
EVERY = 20.0


class Shown:
    """Shows how training goes: a live table on a terminal, a line an epoch, and warnings.

    Parameters
    ----------
    epochs : int
        How many there are to be.
    score : str
        How to write an epoch's score, say ``dev {:.2f} dB``.
    """

    def __init__(self, epochs: int, score: str) -> None:
        import time

        from rich.console import Console, Group
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self.epochs, self.score, self.clock = epochs, score, time.monotonic
        self.console = Console(stderr=True)
        self.visible = sys.stderr.isatty() and is_first()
        self.progress_bar = Progress(
            TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
            console=self.console, disable=not self.visible,
        )  # fmt: skip
        self.bar = self.progress_bar.add_task("epoch", total=None)
        self.table: Table | str = ""
        self.best: Epoch | None = None
        self.live = Live(
            get_renderable=lambda: Group(self.table, self.progress_bar),
            console=self.console, transient=True, refresh_per_second=4,
            redirect_stdout=False, redirect_stderr=False,
        )  # fmt: skip
        self.begun = self.told = self.clock()
        self.steps = 0

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
        if self.visible:
            self.live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.visible:
            self.live.stop()
        self.caught.__exit__(*exception)  # type: ignore[arg-type]  # of its own making

    def report(self, epoch: Epoch) -> None:
        """Print a line for an epoch."""
        if epoch.best:
            self.best = epoch
        self._say(
            f"epoch {epoch.number}/{self.epochs}  loss {epoch.loss:.4f}  "
            f"{self.score.format(epoch.score)}{' *' if epoch.best else ''}  "
            f"{epoch.seconds / 60:.1f} min"
        )

    def progress(self, step: Step) -> None:
        """Move the bar by a step, and show what it came to."""
        if not self.steps:
            _keep_settings()
            self.begun = self.clock()
        self.steps += 1
        if self.visible:
            self.table = self._table(step)
            self.progress_bar.update(
                self.bar, description=f"epoch {step.epoch}/{self.epochs}", completed=step.done,
                total=step.total,
            )  # fmt: skip

    def _table(self, step: Step) -> Table:
        from rich import box
        from rich.table import Table

        best = "" if self.best is None else self.score.format(self.best.score)
        left = ""
        if self.steps > 1:
            remaining = (self.epochs - step.epoch + 1) * step.total - step.done
            left = _clock(remaining * (self.clock() - self.begun) / (self.steps - 1))
        cells = {
            "loss": f"{step.loss:.4g}", "best score": best,
            "gradient norm": f"{step.gradient_norm:.3g}",
            "learning rate": f"{step.learning_rate:.2e}",
            "examples/s": f"{step.examples_per_second:.1f}", "time left": left,
        }  # fmt: skip
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in cells:
            table.add_column(name, justify="right", min_width=10)
        table.add_row(*cells.values())
        return table

    def stage(self, what: str, done: int, total: int) -> None:
        """Move the bar by a file; without a terminal say now and then how far it is."""
        self.progress_bar.update(self.bar, description=what, completed=done, total=total)
        if not self.visible and self.clock() - self.told > EVERY:
            self.told = self.clock()
            self._say(f"{what}: {done} of {total}")

    def _say(self, line: str) -> None:
        # Through the console that draws the bar, so that neither tears the other.
        if is_first():
            self.console.print(line, highlight=False, markup=False, emoji=False, soft_wrap=True)


def _clock(seconds: float) -> str:
    """Write a length of time: 1:02:03, or 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _keep_settings() -> None:
    """Write the settings into the run folder, unless this is a trial."""
    ctx = click.get_current_context(silent=True)
    if ctx is not None and ctx.params.get("output") and not ctx.params.get("probe"):
        write_settings(Path(ctx.params["output"]))


def finish(entry: Any) -> None:
    """Print the model's folder, and on standard error what it is worth on the validation set."""
    if not is_first():
        return
    _keep_settings()
    for score in entry.config.get("scores", [])[:1]:
        click.echo(
            f"{score['metric']} {score['value']} {score['unit']} ({score['measure']}) on "
            f"{score['data']}",
            err=True,
        )
    click.echo(str(entry.folder))
