"""Pictures of training runs: the learning curve, and the range of learning rates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from audiocli.colours import CURVE, MARK, WAVE
from audiocli.nn.fit_log import read_log
from audiocli.nn.probes import RateRange
from audiocli.tasks.plotting import _figure, _save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_curve", "plot_rates"]

FAINT = "0.75"


def plot_curve(log: Path, path: Path, title: str, score: str) -> None:
    """Draw loss, score, and gradient norm with learning rate, over the epochs of a log.

    Parameters
    ----------
    log : Path
        ``log.csv`` of a run.
    path : Path
        The picture; replaced where it is there.
    title : str
    score : str
        What the score is.
    """
    rows = read_log(log)
    of = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    last = int(of["epoch"][-1])
    counts = {epoch: int(np.sum(of["epoch"] == epoch)) for epoch in range(1, last + 1)}
    place = np.concatenate([epoch - 1 + (np.arange(n) + 1) / n for epoch, n in counts.items()])
    figure = _figure(path, 9, 7.5)
    top, middle, below = figure.subplots(3, 1, sharex=True, height_ratios=[3, 3, 2])
    _draw_loss(top, place, of["loss"], of["epoch"])
    scored = ~np.isnan(of["score"])
    middle.plot(place[scored], of["score"][scored], ".-", color=CURVE, markersize=5)
    if scored.any():
        best = int(np.argmax(of["score"][scored]))
        value, epoch = of["score"][scored][best], place[scored][best]
        middle.plot([epoch], [value], "*", color=MARK, markersize=13)
        middle.annotate(
            f"{value:.4g}, epoch {epoch:g}", (epoch, value), (0, 9), textcoords="offset points",
            fontsize=8, va="bottom", ha="left" if epoch < 0.75 * last else "right",
        )  # fmt: skip
        middle.margins(y=0.2)
    middle.set_ylabel(score, fontsize=8)
    below.plot(place, of["gradient_norm"], color=WAVE, linewidth=0.7)
    _wide(below, of["gradient_norm"])
    below.set_ylabel("gradient norm", fontsize=8)
    rate = below.twinx()
    rate.plot(place, of["learning_rate"], color=MARK, linewidth=1.2)
    rate.set_ylabel("learning rate", fontsize=8, color=MARK)
    rate.tick_params(labelsize=8, colors=MARK)
    below.set_xlabel("epoch", fontsize=8)
    below.set_xlim(0, last)
    below.locator_params(axis="x", integer=True)
    for axis in (top, middle, below):
        axis.tick_params(labelsize=8)
        axis.grid(True, color="0.92", linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    _save(figure, path, title, overwrite=True)


def _draw_loss(
    axis: Axes, place: NDArray[np.float64], loss: NDArray[np.float64], epochs: NDArray[np.float64]
) -> None:
    """Each step faint, and the mean of each epoch."""
    axis.plot(place, loss, color=FAINT, linewidth=0.6, label="of each batch")
    numbers = np.unique(epochs)
    means = [float(np.mean(loss[epochs == number])) for number in numbers]
    axis.plot(numbers, means, ".-", color=CURVE, markersize=5, label="mean of the epoch")
    _wide(axis, loss)
    axis.set_ylabel("training loss", fontsize=8)
    axis.legend(fontsize=8, frameon=False)


def _wide(axis: Axes, values: NDArray[np.float64]) -> None:
    """Use a logarithmic axis where values differ much; a logarithm of ratios may be negative."""
    finite = values[np.isfinite(values)]
    if finite.size and finite.min() > 0 and finite.max() > 10 * finite.min():
        axis.set_yscale("log")


def plot_rates(found: RateRange, path: Path, title: str) -> None:
    """Draw the loss over the learning rate, and the rate that is suggested."""
    figure = _figure(path, 8, 4)
    axis = figure.subplots()
    axis.plot(found.rates, found.losses, color=CURVE)
    axis.axvline(found.suggestion, color=MARK, linestyle="--", linewidth=1)
    axis.set(xscale="log")
    low, high = _limits(found.losses)
    axis.set_ylim(low, high)
    axis.set_xlabel("learning rate", fontsize=8)
    axis.set_ylabel("training loss, smoothed", fontsize=8)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    _save(figure, path, title, overwrite=True)


def _limits(losses: Sequence[float]) -> tuple[float, float]:
    """Keep the end, where the loss runs away, from pressing all else flat."""
    low, first = min(losses), losses[0]
    spread = max(abs(first - low), 1e-3)
    return low - 0.1 * spread, first + 0.5 * spread
