"""How a network is trained, and what training tells of itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from audiocli.errors import UsageError, suggest

__all__ = ["NEUTRAL", "OPTIMIZERS", "PRECISIONS", "PROBES", "SCHEDULES", "Epoch", "FitConfig",
           "Progress", "Step"]  # fmt: skip

OPTIMIZERS = ("adamw", "lbfgs")
SCHEDULES = ("cosine", "constant", "plateau")
PRECISIONS = ("float32", "bfloat16", "float16")
PROBES = ("", "overfit", "rates")
#: Fields that change nothing about what comes out: a run goes on whatever they are.
NEUTRAL = ("compiled", "tensorboard", "probe")


@dataclass(frozen=True)
class FitConfig:
    """How to train.

    Parameters
    ----------
    epochs : int
        How often to score; a cosine schedule is stretched over them.
    steps : int
        Batches an epoch.
    batch_size : int
        Examples a batch.
    optimizer : {"adamw", "lbfgs"}
        L-BFGS takes each batch for a full step with line search, so give it
        large ones.
    learning_rate : float
        Its peak.
    schedule : {"cosine", "constant", "plateau"}
        How the learning rate falls: to zero along a cosine; not at all; to half after every
        `plateau` epochs without a better score.
    hold : float
        Share of the run before the cosine sets in.
    plateau : int
        Epochs.
    warmup : int
        Steps over which the learning rate rises to its peak.
    weight_decay : float
        Of AdamW, decoupled.
    clip_norm : float
        Gradients longer than this are shortened to it, under AdamW: the line search of
        L-BFGS needs them as they are. 0 leaves all of them as they are.
    average : float
        Decay of the exponential moving average (EMA) of the weights, which is what is scored and
        saved; 0 takes the weights themselves.
    patience : int
        Stop after this many epochs without a better score; 0 never does.
    precision : {"float32", "bfloat16", "float16"}
        Of convolutions and matrix products while training (autocast); float16 scales the loss.
    compiled : bool
        Compile network and loss (``torch.compile``), which takes minutes before the first step.
    keep_statistics : bool
        Leave the statistics of batch normalisation as the model that training goes on from has
        them, so that training and use normalise alike whatever is in a batch.
    seed : int
        Of the weights, the dropout and the batches.
    tensorboard : bool
        Write what ``log.csv`` holds for TensorBoard too.
    probe : {"", "overfit", "rates"}
        Instead of training, learn a single batch by heart, or raise the learning rate from step
        to step; see :mod:`audiocli.nn.probes`.

    Raises
    ------
    UsageError
        On a value that cannot be.

    Examples
    --------
    >>> FitConfig(epochs=3).optimizer
    'adamw'
    """

    epochs: int = 40
    steps: int = 100
    batch_size: int = 16
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    hold: float = 0.5
    plateau: int = 3
    warmup: int = 100
    weight_decay: float = 1e-2
    clip_norm: float = 2.0
    average: float = 0.999
    patience: int = 0
    precision: str = "float32"
    compiled: bool = False
    keep_statistics: bool = False
    seed: int = 0
    tensorboard: bool = False
    probe: str = ""

    def __post_init__(self) -> None:
        for name, choices in (
            ("optimizer", OPTIMIZERS), ("schedule", SCHEDULES), ("precision", PRECISIONS),
            ("probe", PROBES),
        ):  # fmt: skip
            value = getattr(self, name)
            if value not in choices:
                raise UsageError(f"unknown {name} {value!r}; {suggest(value, choices)}")
        if min(self.epochs, self.steps, self.batch_size, self.plateau) < 1:
            raise UsageError("epochs, steps, batch size and plateau must be 1 or more")
        if self.learning_rate <= 0:
            raise UsageError("the learning rate must be greater than 0")
        if min(self.warmup, self.weight_decay, self.clip_norm, self.patience) < 0:
            raise UsageError("warm-up, weight decay, clip norm and patience must be 0 or more")
        if not (0 <= self.hold <= 1 and 0 <= self.average < 1):
            raise UsageError("hold lies between 0 and 1, and the decay of the average below 1")
        if self.probe == "rates" and self.optimizer == "lbfgs":
            raise UsageError(
                "L-BFGS finds the length of its steps itself; there is no rate to find"
            )
        if self.precision == "float16" and self.optimizer == "lbfgs":
            raise UsageError(
                "L-BFGS needs gradients as they are; use precision bfloat16 or float32"
            )

    def rate_at(self, step: int, scores: Sequence[float] = ()) -> float:
        """Learning rate at a step counted over all epochs, after epochs of these scores."""
        rise = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        return self.learning_rate * rise * self._fall(step, scores)

    def _fall(self, step: int, scores: Sequence[float]) -> float:
        if self.schedule == "plateau":
            return float(0.5 ** self._halvings(scores))
        done = step / (self.epochs * self.steps)
        if self.schedule == "constant" or done < self.hold or self.hold == 1:
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * (done - self.hold) / (1 - self.hold)))

    def _halvings(self, scores: Sequence[float]) -> int:
        best, waited, halvings = -math.inf, 0, 0
        for score in scores:
            if score > best:  # nan is not
                best, waited = score, 0
            else:
                waited += 1
            if waited == self.plateau:
                halvings, waited = halvings + 1, 0
        return halvings


@dataclass(frozen=True)
class Epoch:
    """What an epoch came to.

    Parameters
    ----------
    number : int
        Counted from 1.
    loss : float
        Mean training loss.
    score : float
        What the task's score gave; more is better.
    best : bool
        Whether no earlier epoch scored as much.
    seconds : float
        Training time so far, over all runs.

    Examples
    --------
    >>> Epoch(1, 0.5, 7.2, True, 60.0).best
    True
    """

    number: int
    loss: float
    score: float
    best: bool
    seconds: float


@dataclass(frozen=True)
class Step:
    """How far training is, and how it goes.

    Parameters
    ----------
    epoch : int
        Counted from 1.
    done, total : int
        Steps of this epoch.
    loss : float
        Of the batch.
    gradient_norm : float
        Before it was clipped.
    learning_rate : float
    examples_per_second : float
    seconds : float
        Training time so far, over all runs.

    Examples
    --------
    >>> Step(1, 5, 100).total
    100
    """

    epoch: int
    done: int
    total: int
    loss: float = math.nan
    gradient_norm: float = math.nan
    learning_rate: float = math.nan
    examples_per_second: float = math.nan
    seconds: float = math.nan


#: Told of every step.
Progress = Callable[[Step], None]
