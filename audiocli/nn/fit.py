"""One training loop for every network. Knows no task.

A task hands over a network, batches, a loss and a way to score; the loop
trains, keeps a moving average of the weights, scores it after each epoch, keeps the
best, and writes a checkpoint from which a later call goes on exactly where this
one was stopped.
"""

from __future__ import annotations

import copy
import functools
import json
import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor, nn

from audiocli.errors import ModelError, UsageError, printable
from audiocli.io.audio.streaming import prefetch
from audiocli.nn import checkpoint as checkpoints
from audiocli.nn import distributed
from audiocli.nn.checkpoint import State
from audiocli.nn.distributed import Ranks
from audiocli.nn.draws import Draws, Make
from audiocli.nn.fit_config import OPTIMIZERS, Epoch, FitConfig, Progress, Step
from audiocli.nn.fit_log import FitLog

__all__ = ["OPTIMIZERS", "Epoch", "FitConfig", "Learner", "Progress", "Step", "check_output", "fit"]

Batch = TypeVar("Batch")
Network = TypeVar("Network", bound=nn.Module)
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
#: So many recordings of a batch stand in a message.
NAMED = 8


def fit(
    network: Network,
    batches: Make[Batch],
    loss: Callable[[Network, Batch], Tensor],
    score: Callable[[Network], float],
    recipe: FitConfig,
    checkpoint: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    keep: Callable[[Network, Epoch], None],
    log: Path | None = None,
    recordings: Callable[[np.random.Generator, int], Sequence[str]] = lambda rng, size: (),
    together: int = 1,
    report: Callable[[Epoch], None] = lambda epoch: None,
    progress: Progress = lambda step: None,
) -> list[Epoch]:
    """Train a network; go on from the checkpoint where there is one.

    Parameters
    ----------
    network : torch.nn.Module
        Trained in place.
    batches : callable
        Makes so many examples of a batch with the random generator given.
    loss : callable
        Loss of a network on a batch, a scalar.
    score : callable
        Scores a network on held-out data; more is better.
    recipe : FitConfig
        How to train. A checkpoint of another recipe is refused, and so is one of other settings.
    checkpoint : Path
        Folder of the checkpoint.
    settings : mapping, optional
        What else a checkpoint must have been made with, ready for JSON.
    keep : callable
        Saves a network that scored better than all before it.
    log : Path, optional
        Folder that gets ``log.csv``; that of the checkpoint if not given.
    recordings : callable
        Names what the examples are made of that `batches` makes with the same random numbers.
    together : int
        Examples that are made at once, from one random generator; every other has its own.
    report : callable
        Told of each epoch.
    progress : callable
        Told of each step.

    Returns
    -------
    list of Epoch
        All of them, those of earlier runs too.

    Raises
    ------
    ModelError
        If the checkpoint does not fit or cannot be written, or the loss or a gradient is no longer
        finite.
    UsageError
        If the folder of the checkpoint cannot be made.

    Examples
    --------
    >>> import tempfile
    >>> line = nn.Linear(1, 1)
    >>> def batches(rng, size): return torch.from_numpy(rng.normal(size=(size, 1))).float()
    >>> def loss(net, x): return ((net(x) - 3 * x) ** 2).mean()
    >>> def score(net): return -abs(net.weight.item() - 3)
    >>> recipe = FitConfig(2, 200, 8, learning_rate=0.1, average=0, weight_decay=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = fit(line, batches, loss, score, recipe, Path(folder), keep=lambda net, epoch: None)
    >>> round(line.weight.item(), 1)
    3.0
    """
    try:  # now, and not when the first epoch is done
        checkpoint.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{checkpoint}: cannot be made: {error.strerror}") from error
    learner = Learner.of(network, loss, recipe)
    state, ranks = learner.state, learner.ranks
    draws = Draws(batches, recipe.batch_size, together, ranks)
    made_with = json.loads(json.dumps({**asdict(recipe), **(settings or {})}))
    history = checkpoints.restore(checkpoint, state, made_with)
    if len(history) >= recipe.epochs or _stalled(history, recipe):
        return history
    with FitLog(log or checkpoint, len(history), recipe.tensorboard, ranks.first) as book:
        while len(history) < recipe.epochs and not _stalled(history, recipe):
            started = time.monotonic()
            losses = []
            with closing(_steps(learner, draws, recordings, history)) as steps:
                for step in steps:
                    losses.append(step.loss)
                    if ranks.first:
                        book.step(step)
                        progress(step)
            value = ranks.told(score(state.average) if ranks.first else 0.0, state.device)
            best = value > max((each.score for each in history), default=-math.inf)  # nan is not
            seconds = _seconds(history) + time.monotonic() - started
            epoch = Epoch(len(history) + 1, sum(losses) / recipe.steps, value, best, seconds)
            history.append(epoch)
            if ranks.first:
                with _writing(checkpoint, epoch):
                    if best:
                        keep(state.average, epoch)
                    book.epoch(epoch)
                    checkpoints.store(checkpoint, state, made_with, history)
                report(epoch)
    ranks.told(0.0, state.device)  # the others may go on when all is written
    return history


class _Loss(nn.Module, Generic[Network, Batch]):
    """A network and its loss as one module, which is what processes can share."""

    def __init__(self, network: Network, loss: Callable[[Network, Batch], Tensor]) -> None:
        super().__init__()
        self.network, self.loss = network, loss

    def forward(self, batch: Batch) -> Tensor:
        return self.loss(self.network, batch)


@dataclass(frozen=True)
class Learner(Generic[Network]):
    """A network with all that it takes to learn from a batch."""

    state: State[Network]
    module: nn.Module  # from a batch to its loss
    ranks: Ranks
    config: FitConfig

    @classmethod
    def of(
        cls, network: Network, loss: Callable[[Network, Batch], Tensor], config: FitConfig
    ) -> Learner[Network]:
        """Prepare a network to learn."""
        torch.manual_seed(config.seed)
        where = next(network.parameters()).device
        ranks = distributed.join(where)
        if ranks.size > 1 and config.optimizer == "lbfgs":
            raise UsageError(
                "L-BFGS trains in one process; use {optimizer} adamw under torchrun", "optimizer"
            )
        state = State(
            network,
            copy.deepcopy(network).eval(),
            _optimizer(network, config),
            torch.amp.GradScaler(where.type, enabled=config.precision == "float16"),
            np.random.default_rng(config.seed),
        )
        module = _Loss(network, loss)
        if config.compiled:
            _refuse_without_compiler(where)
            module.compile()
        return cls(state, ranks.shared(module), ranks, config)

    def begin(self) -> None:
        """Have dropout and batch normalisation do what they do in training."""
        self.state.network.train()
        if self.config.keep_statistics:
            _keep_statistics(self.state.network)

    def step(self, batch: Any, rate: float) -> tuple[float, float]:
        """Learn from a batch; give its loss, and the norm of the gradient before clipping."""
        optimizer, network = self.state.optimizer, self.state.network
        if isinstance(optimizer, torch.optim.LBFGS):  # its line search finds the length of the step
            backward = functools.partial(self._backward, batch)
            value = float(optimizer.step(backward))  # type: ignore[no-untyped-call]
            return value, float(nn.utils.clip_grad_norm_(network.parameters(), math.inf))
        for group in optimizer.param_groups:
            group["lr"] = rate
        value = self._backward(batch)
        self.state.scaler.unscale_(optimizer)
        longest = self.config.clip_norm or math.inf
        norm = float(nn.utils.clip_grad_norm_(network.parameters(), longest))
        if math.isfinite(norm) or self.state.scaler.is_enabled():
            self.state.scaler.step(optimizer)  # which leaves out a step that float16 overflowed in
            self.state.scaler.update()
        return value, norm

    def _backward(self, batch: Any) -> float:
        self.state.optimizer.zero_grad()
        half = self.config.precision != "float32"
        with torch.autocast(self.state.device.type, DTYPES[self.config.precision], enabled=half):
            value = self.module(batch)
        self.state.scaler.scale(value).backward()
        return self.ranks.mean(value.item(), self.state.device)


def _refuse_without_compiler(where: torch.device) -> None:
    """Compile next to nothing, so that what is missing is said before the first step."""
    try:
        torch.compile(lambda x: x + 1, fullgraph=True)(torch.ones(2, device=where))
    except Exception as error:  # of many kinds: no compiler, no headers, no Triton, this system
        reason = printable(str(error).strip().split("\n")[0])[:200]
        needed = "Triton" if where.type == "cuda" else "a C++ compiler and the headers of Python"
        raise UsageError(f"{{compiled}} needs {needed} ({reason}); train without it", "compiled"
                         ) from error  # fmt: skip


def _steps(
    learner: Learner[Network],
    draws: Draws[Batch],
    recordings: Callable[[np.random.Generator, int], Sequence[str]],
    history: Sequence[Epoch],
) -> Generator[Step, None, None]:
    """Learn from the batches of an epoch, and tell how it goes."""
    config, state, ranks = learner.config, learner.state, learner.ranks
    number, scores, before = len(history) + 1, [each.score for each in history], _seconds(history)
    started = begun = time.monotonic()
    ranks.seed(config.seed, number)
    learner.begin()
    # The next batch is made in a thread while the network learns from this one.
    with closing(prefetch(_made(draws, state.rng, config.steps), depth=1)) as made:
        for done, (seeds, batch) in enumerate(made):
            index = (number - 1) * config.steps + done
            rate = config.rate_at(index, scores)
            value, norm = learner.step(batch, rate)
            if not _sound(value, norm, state):
                names = [name for each in draws.each(seeds) for name in recordings(*each)]
                raise _divergence(value, number, index, names)
            _average(state.average, state.network, config, index)
            now = time.monotonic()
            speed = config.batch_size / max(now - begun, 1e-9)
            yield Step(number, done + 1, config.steps, value, norm, rate, speed,
                       before + now - started)  # fmt: skip
            begun = now


def _made(
    draws: Draws[Batch], rng: np.random.Generator, count: int
) -> Iterator[tuple[list[int], Batch]]:
    """Make batches, each with the seeds that it can be made from again."""
    for _ in range(count):
        seeds = draws.seeds(rng)
        yield seeds, draws.batch(seeds)


def _sound(value: float, norm: float, state: State[Network]) -> bool:
    """Say whether loss and gradient are finite; float16 may overflow until its scale is 1."""
    if state.scaler.is_enabled() and state.scaler.get_scale() > 1:
        return math.isfinite(value)
    return math.isfinite(value) and math.isfinite(norm)


def _divergence(value: float, epoch: int, index: int, names: Sequence[str]) -> ModelError:
    what = "a gradient is not finite" if math.isfinite(value) else f"the loss is {value}"
    shown = list(dict.fromkeys(names))
    more = f" and {len(shown) - NAMED} more" if len(shown) > NAMED else ""
    drawn = f" on a batch of {', '.join(shown[:NAMED])}{more}" if shown else ""
    kept = f"; the checkpoint of epoch {epoch - 1} is kept" if epoch > 1 else ""
    return ModelError(
        f"training diverged at step {index + 1}: {what}{drawn}{kept}; "
        "use a smaller {learning_rate}, or look at these recordings",
        "learning_rate",
    )


@contextmanager
def _writing(checkpoint: Path, epoch: Epoch) -> Iterator[None]:
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{checkpoint}: epoch {epoch.number} cannot be written ({error}); "
            "free some space and train on from the epoch before"
        ) from error


def check_output(output: NDArray[np.float32]) -> None:
    """Refuse what a network gives once its training has diverged.

    Parameters
    ----------
    output : ndarray

    Raises
    ------
    ModelError
        If any of it is not finite.

    Examples
    --------
    >>> check_output(np.zeros(3, np.float32))
    """
    if not np.isfinite(output).all():
        raise ModelError(
            "training diverged: the network's output is no longer finite; "
            "use a smaller {learning_rate}",
            "learning_rate",
        )


def _optimizer(network: nn.Module, config: FitConfig) -> torch.optim.Optimizer:
    if config.optimizer == "lbfgs":
        return torch.optim.LBFGS(network.parameters(), max_iter=10, line_search_fn="strong_wolfe")
    return torch.optim.AdamW(
        network.parameters(), betas=(0.9, 0.99), weight_decay=config.weight_decay
    )


def _keep_statistics(network: nn.Module) -> None:
    """Have batch normalisation use its stored statistics, and leave them."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.eval()


def _average(average: nn.Module, network: nn.Module, config: FitConfig, step: int) -> None:
    # Young averages forget faster, or the random start would stay in them for long.
    decay = min(config.average, (1 + step) / (10 + step)) if config.average else 0.0
    with torch.no_grad():
        current = network.state_dict()
        for name, value in average.state_dict().items():
            if value.dtype.is_floating_point:
                value.lerp_(current[name], 1 - decay)
            else:
                value.copy_(current[name])


def _seconds(history: Sequence[Epoch]) -> float:
    return history[-1].seconds if history else 0.0


def _stalled(history: Sequence[Epoch], config: FitConfig) -> bool:
    if not config.patience or not history:
        return False
    last_best = max((epoch.number for epoch in history if epoch.best), default=0)
    return len(history) - last_best >= config.patience
