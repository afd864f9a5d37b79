"""The log of a training run: a row a step in ``log.csv``, and TensorBoard where it is wanted."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

from audiocli.errors import UsageError
from audiocli.io.atomic import write_whole
from audiocli.nn.fit_config import Epoch, Step

__all__ = ["COLUMNS", "LOG", "FitLog", "read_log"]

LOG = "log.csv"
COLUMNS = ("epoch", "step", "loss", "score", "gradient_norm", "learning_rate",
           "examples_per_second", "seconds")  # fmt: skip


class FitLog:
    """Keeps an epoch's rows until it is complete: the file never knows more than the checkpoint.

    Parameters
    ----------
    folder : Path
        Gets ``log.csv``, and a folder ``tensorboard``.
    epochs : int
        Epochs that are done; rows of later ones, which a stopped run left, are dropped.
    tensorboard : bool
    writing : bool
        Of several processes only one writes.
    """

    def __init__(
        self, folder: Path, epochs: int, tensorboard: bool = False, writing: bool = True
    ) -> None:
        self.file, self.writing = folder / LOG, writing
        self._rows: list[list[object]] = []
        self._events: Any = None
        if not writing:
            return
        if tensorboard:
            self._events = _event_writer(folder / "tensorboard", epochs)
        kept = [row for row in read_log(self.file) if row["epoch"] <= epochs]

        def fill(partial: Path) -> None:
            with partial.open("w", newline="", encoding="utf-8") as stream:
                writer = csv.writer(stream)
                writer.writerow(COLUMNS)
                writer.writerows([_cell(row[name]) for name in COLUMNS] for row in kept)

        write_whole(self.file, fill, overwrite=True)

    def step(self, step: Step) -> None:
        """Note a step."""
        number = (step.epoch - 1) * step.total + step.done
        self._rows.append([
            step.epoch, number, f"{step.loss:.6g}", "", f"{step.gradient_norm:.6g}",
            f"{step.learning_rate:.6g}", f"{step.examples_per_second:.1f}", f"{step.seconds:.2f}",
        ])  # fmt: skip
        if self._events:
            for name in ("loss", "gradient_norm", "learning_rate", "examples_per_second"):
                self._events.add_scalar(name, getattr(step, name), number)

    def epoch(self, epoch: Epoch) -> None:
        """Write the rows of an epoch; its score stands in the last one."""
        self._rows[-1][COLUMNS.index("score")] = f"{epoch.score:.6g}"
        with self.file.open("a", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows(self._rows)
        if self._events:
            self._events.add_scalar("score", epoch.score, self._rows[-1][1])
            self._events.flush()
        self._rows = []

    def __enter__(self) -> FitLog:
        return self

    def __exit__(self, *error: object) -> None:
        if self._events:
            self._events.close()


def read_log(file: Path) -> list[dict[str, float]]:
    """Read a log back: a dictionary of :data:`COLUMNS` a row, nan where a cell is empty."""
    if not file.exists():
        return []
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise ValueError("its columns are others")
            return [
                {name: float(row[name] or "nan") for name in COLUMNS}
                for row in reader
                if None not in row.values()  # the last one, of a run that was killed
            ]
    except (OSError, ValueError, csv.Error) as error:
        raise UsageError(f"{file}: is no log of a training run ({error}); move it away") from error


def _cell(value: float) -> str:
    return "" if value != value else f"{value:.10g}"  # nan


def _event_writer(folder: Path, epochs: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError(
            "{tensorboard} needs a package that is not installed; run: pip install tensorboard",
            "tensorboard",
        ) from error
    make: Callable[..., Any] = SummaryWriter
    return make(str(folder), filename_suffix=f".from-epoch-{epochs + 1}")
