"""Trials before a training run, on the network and the data that the run would have."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from audiocli.errors import ModelError
from audiocli.nn import probes
from audiocli.nn.fit_config import FitConfig, Progress
from audiocli.tasks.training_plots import plot_rates

if TYPE_CHECKING:
    from audiocli.tasks.trainer import Objective

__all__ = ["ProbeDone", "probe"]

RATES_PICTURE = "lr-find.png"
#: Lines of the table of learning rates.
LINES = 15


class ProbeDone(Exception):
    """A trial was made in the place of a training run, and there is no model.

    Parameters
    ----------
    text : str
        What was found.
    passed : bool
        Whether it is as it should be.

    Examples
    --------
    >>> ProbeDone("loss 0.7 to 0.001", True).passed
    True
    """

    def __init__(self, text: str, passed: bool) -> None:
        super().__init__(text)
        self.text, self.passed = text, passed


def probe(
    network: nn.Module,
    objective: Objective[Any, Any],
    config: FitConfig,
    output: Path,
    progress: Progress,
    together: int,
) -> ProbeDone:
    """Make the trial that the configuration asks for."""
    if config.probe == "overfit":
        return _overfit(
            probes.overfit(network, objective.batch, objective.loss, config, progress,
                           together=together)
        )  # fmt: skip
    found = probes.find_rate(network, objective.batch, objective.loss, config, progress,
                             together=together)  # fmt: skip
    if len(found.rates) < 10:
        raise ModelError(
            "the loss is not finite even at the lowest learning rates; look at the data"
        )
    picture = output / RATES_PICTURE
    plot_rates(found, picture, f"suggested learning rate {found.suggestion:.1e}")
    step = max(1, math.ceil(len(found.rates) / LINES))
    lines = ["learning rate      loss"]
    pairs = list(zip(found.rates, found.losses, strict=True))[::step]
    lines += [f"{rate:13.1e}  {loss:8.4f}" for rate, loss in pairs]
    lines += [f"suggested learning rate: {found.suggestion:.1e}", f"picture: {picture}"]
    return ProbeDone("\n".join(lines), True)


def _overfit(found: probes.Overfit) -> ProbeDone:
    first, low, steps = found.losses[0], min(found.losses), len(found.losses)
    fall = f"one batch: loss {first:.4g} to {low:.2g} in {steps} steps"
    if found.passed:
        return ProbeDone(
            f"{fall}: it goes to zero, so the network can learn this batch by heart", True
        )
    return ProbeDone(
        f"{fall}: it does not go to zero. Give it more epochs or another learning rate; "
        "targets between 0 and 1, smoothed labels, dropout and masks leave a floor "
        "(training without augmentation takes most away); else look for targets that do not "
        "belong to their inputs",
        False,
    )
