"""What to try before a long training: a single batch by heart, and a range of learning rates."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from torch import Tensor, nn

from audiocli.nn.draws import Draws, Make
from audiocli.nn.fit import Learner
from audiocli.nn.fit_config import FitConfig, Progress, Step

__all__ = ["Overfit", "RateRange", "find_rate", "overfit"]

Batch = TypeVar("Batch")
Network = TypeVar("Network", bound=nn.Module)
#: A loss of this share of the first one has gone to zero, for a start.
NEAR_ZERO = 0.01
#: Learning rates that are tried, and how often.
LOWEST, HIGHEST, RATES = 1e-7, 1.0, 140
#: The loss is smoothed as a moving average of this decay; once it is so many times the lowest
#: one, the rest would be worse.
SMOOTHING, TOO_HIGH = 0.9, 4.0


@dataclass(frozen=True)
class Overfit:
    """How the loss on a single batch fell.

    Parameters
    ----------
    losses : tuple of float
        Of each step.

    Examples
    --------
    >>> Overfit((0.7, 0.1, 0.001)).passed
    True
    """

    losses: tuple[float, ...]

    @property
    def passed(self) -> bool:
        """Whether it went to about zero."""
        return min(self.losses) <= NEAR_ZERO * self.losses[0]


@dataclass(frozen=True)
class RateRange:
    """The loss at learning rates that rise from step to step.

    Parameters
    ----------
    rates, losses : tuple of float
        The losses are smoothed.

    Examples
    --------
    >>> RateRange((1e-4, 1e-3, 1e-2, 1e-1), (1.0, 0.9, 0.5, 0.4)).suggestion
    0.001
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]

    @property
    def suggestion(self) -> float:
        """The rate at which the loss falls fastest (Smith), on a logarithmic axis of rates."""
        # Over half a decade on both sides, and not at the start: batches differ.
        skipped = len(self.rates) // 14
        reach = max(skipped, 1)
        end = max(int(np.argmin(self.losses)) + 1, skipped + 2 * reach + 1)
        losses = np.array(self.losses[skipped:end])
        if len(losses) <= 2 * reach:
            return self.rates[0]
        falls = losses[2 * reach :] - losses[: -2 * reach]
        return float(self.rates[skipped + reach + int(np.argmin(falls))])


def overfit(
    network: Network,
    batches: Make[Batch],
    loss: Callable[[Network, Batch], Tensor],
    config: FitConfig,
    progress: Progress = lambda step: None,
    *,
    together: int = 1,
) -> Overfit:
    """Train on one batch again and again, without weight decay, until its loss is near zero.

    What cannot be learned by heart cannot be learned: a target that does not belong to its input, a
    layer that lets no gradient through, a rate that is too low. The loss stops above zero where
    targets lie between 0 and 1, and where dropout or masks change the batch.
    """
    rng = np.random.default_rng(config.seed)
    still = replace(config, weight_decay=0.0, average=0.0, schedule="constant", warmup=0)
    learner = Learner.of(network, loss, still)
    learner.begin()
    draws = Draws(batches, config.batch_size, together, learner.ranks)
    batch, losses = draws.batch(draws.seeds(rng)), list[float]()
    for step in range(config.epochs * config.steps):
        value, norm = learner.step(batch, config.learning_rate)
        losses.append(value)
        progress(Step(1, step + 1, config.epochs * config.steps, value, norm, config.learning_rate))
        if not math.isfinite(value) or value <= NEAR_ZERO * losses[0]:
            break
    return Overfit(tuple(losses))


def find_rate(
    network: Network,
    batches: Make[Batch],
    loss: Callable[[Network, Batch], Tensor],
    config: FitConfig,
    progress: Progress = lambda step: None,
    *,
    together: int = 1,
) -> RateRange:
    """Raise the learning rate from step to step, until the loss runs away.

    References
    ----------
    Smith: Cyclical learning rates for training neural networks. WACV 2017.
    """
    rng = np.random.default_rng(config.seed)
    learner = Learner.of(network, loss, replace(config, average=0.0, warmup=0))
    learner.begin()
    draws = Draws(batches, config.batch_size, together, learner.ranks)
    rates, losses, mean = list[float](), list[float](), 0.0
    for step, rate in enumerate(np.geomspace(LOWEST, HIGHEST, RATES)):
        value, norm = learner.step(draws.batch(draws.seeds(rng)), float(rate))
        mean = SMOOTHING * mean + (1 - SMOOTHING) * value
        smooth = mean / (1 - SMOOTHING ** (step + 1))
        if not (math.isfinite(smooth) and math.isfinite(norm)):
            break
        rates.append(float(rate))
        losses.append(smooth)
        progress(Step(1, step + 1, RATES, value, norm, float(rate)))
        if step > 10 and smooth > TOO_HIGH * min(losses):
            break
    return RateRange(tuple(rates) or (LOWEST,), tuple(losses) or (math.nan,))
