"""One training loop for every network. Knows no task.

A task hands over a network, batches, a loss and a way to score; the loop
trains, keeps a moving average of the weights, scores it after each epoch, keeps the
best, and writes a checkpoint from which a later call goes on exactly where this
one was stopped.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from audiocli.errors import ModelError, UsageError
from audiocli.io.audio.streaming import prefetch

__all__ = ["Epoch", "FitConfig", "check_output", "fit"]

Batch = TypeVar("Batch")
Network = TypeVar("Network", bound=nn.Module)
OPTIMIZERS = ("adamw", "lbfgs")


@dataclass(frozen=True)
class FitConfig:
    """How to train.

    Parameters
    ----------
    epochs : int
        How often to score; the learning rate's course is stretched over them.
    steps : int
        Batches an epoch.
    batch_size : int
        Examples a batch.
    optimizer : {"adamw", "lbfgs"}
        L-BFGS takes each batch for a full step with line search, so give it
        large ones.
    learning_rate : float
        Its peak: it warms up over the first 100 steps, holds until
        half-time, then falls to zero along a cosine.
    weight_decay : float
        Of AdamW, decoupled.
    clip_norm : float
        Gradients longer than this are shortened to it, under AdamW: the line search of
        L-BFGS needs them as they are.
    average : float
        Decay of the moving average of the weights; 0 scores the weights themselves.
    patience : int
        Stop after this many epochs without a better score; 0 never does.
    half : bool
        Convolutions and matrix products in bfloat16 while training.
    keep_statistics : bool
        Leave the statistics of batch normalisation as the model that training goes on from has
        them, so that training and use normalise alike whatever is in a batch.
    seed : int
        Of the weights, the dropout and the batches.

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
    weight_decay: float = 1e-2
    clip_norm: float = 2.0
    average: float = 0.999
    patience: int = 0
    half: bool = False
    keep_statistics: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            names = " or ".join(OPTIMIZERS)
            raise UsageError(f"unknown optimizer {self.optimizer!r}; use {names}")
        if min(self.epochs, self.steps, self.batch_size) < 1:
            raise UsageError("epochs, steps and batch size must be 1 or more")

    def rate_at(self, step: int) -> float:
        """Learning rate at a step counted over all epochs."""
        done = step / (self.epochs * self.steps)
        fall = 1.0 if done < 0.5 else 0.5 * (1 + math.cos(math.pi * (2 * done - 1)))
        return self.learning_rate * min(1.0, (step + 1) / 100) * fall


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


def fit(
    network: Network,
    batches: Callable[[np.random.Generator], Batch],
    loss: Callable[[Network, Batch], Tensor],
    score: Callable[[Network], float],
    recipe: FitConfig,
    checkpoint: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    keep: Callable[[Network, Epoch], None],
    report: Callable[[Epoch], None] = lambda epoch: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Epoch]:
    """Train a network; go on from the checkpoint where there is one.

    Parameters
    ----------
    network : torch.nn.Module
        Trained in place.
    batches : callable
        Makes a batch with the random generator given.
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
    report : callable
        Told of each epoch.
    progress : callable
        Told the steps done and to do in the epoch.

    Returns
    -------
    list of Epoch
        All of them, those of earlier runs too.

    Raises
    ------
    ModelError
        If the checkpoint does not fit or cannot be written, or the loss is no longer finite.
    UsageError
        If the folder of the checkpoint cannot be made.

    Examples
    --------
    >>> import tempfile
    >>> line = nn.Linear(1, 1)
    >>> def batches(rng): return torch.from_numpy(rng.normal(size=(8, 1))).float()
    >>> def loss(net, x): return ((net(x) - 3 * x) ** 2).mean()
    >>> def score(net): return -abs(net.weight.item() - 3)
    >>> recipe = FitConfig(epochs=2, steps=200, learning_rate=0.1, average=0, weight_decay=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = fit(line, batches, loss, score, recipe, Path(folder), keep=lambda net, epoch: None)
    >>> round(line.weight.item(), 1)
    3.0
    """
    try:  # now, and not when the first epoch is done
        checkpoint.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{checkpoint}: cannot be made: {error.strerror}") from error
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng(recipe.seed)
    optimizer = _optimizer(network, recipe)
    average = copy.deepcopy(network).eval()
    made_with = json.loads(json.dumps({**asdict(recipe), **(settings or {})}))
    history = _restore(checkpoint, network, average, optimizer, rng, made_with)
    while len(history) < recipe.epochs and not _stalled(history, recipe):
        started = time.monotonic()
        # The next batch is made in a thread while the network learns from this one.
        with closing(prefetch((batches(rng) for _ in range(recipe.steps)), depth=1)) as made:
            first = len(history) * recipe.steps
            mean = _epoch(network, made, loss, optimizer, recipe, average, first, progress)
        value = score(average)
        best = value > max((epoch.score for epoch in history), default=-math.inf)  # nan is not
        seconds = (history[-1].seconds if history else 0.0) + time.monotonic() - started
        epoch = Epoch(len(history) + 1, mean, value, best, seconds)
        history.append(epoch)
        try:
            if best:
                keep(average, epoch)
            _store(checkpoint, network, average, optimizer, rng, made_with, history)
        except (OSError, SafetensorError) as error:
            raise ModelError(
                f"{checkpoint}: epoch {epoch.number} cannot be written ({error}); "
                "free some space and train on from the epoch before"
            ) from error
        report(epoch)
    return history


def _epoch(
    network: Network,
    made: Iterable[Batch],
    loss: Callable[[Network, Batch], Tensor],
    optimizer: torch.optim.Optimizer,
    recipe: FitConfig,
    average: nn.Module,
    first: int,
    progress: Callable[[int, int], None],
) -> float:
    """Learn from an epoch's batches, the first of which is step `first`; give the mean loss."""
    network.train()
    if recipe.keep_statistics:
        _keep_statistics(network)
    total = 0.0
    for step, batch in enumerate(made):
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate_at(first + step)
        value = _step(network, batch, loss, optimizer, recipe)
        if not math.isfinite(value):
            raise ModelError(
                f"training diverged at step {first + step + 1}: the loss is {value}; "
                "use a smaller --learning-rate"
            )
        total += value
        _average(average, network, recipe, first + step)
        progress(step + 1, recipe.steps)
    return total / recipe.steps


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
            "use a smaller --learning-rate"
        )


def _optimizer(network: nn.Module, recipe: FitConfig) -> torch.optim.Optimizer:
    if recipe.optimizer == "lbfgs":
        return torch.optim.LBFGS(network.parameters(), max_iter=10, line_search_fn="strong_wolfe")
    return torch.optim.AdamW(
        network.parameters(), betas=(0.9, 0.99), weight_decay=recipe.weight_decay
    )


def _step(
    network: Network,
    batch: Batch,
    loss: Callable[[Network, Batch], Tensor],
    optimizer: torch.optim.Optimizer,
    recipe: FitConfig,
) -> float:
    where = next(network.parameters()).device.type

    def closure() -> float:
        optimizer.zero_grad()
        with torch.autocast(where, dtype=torch.bfloat16, enabled=recipe.half):
            value = loss(network, batch)
        value.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        if recipe.optimizer == "adamw":
            nn.utils.clip_grad_norm_(network.parameters(), recipe.clip_norm)
        return value.item()

    if recipe.optimizer == "lbfgs":
        for group in optimizer.param_groups:
            group["lr"] = 1.0  # the line search finds the length of the step
    return float(optimizer.step(closure))


def _keep_statistics(network: nn.Module) -> None:
    """Have batch normalisation use its stored statistics, and leave them."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.eval()


def _average(average: nn.Module, network: nn.Module, recipe: FitConfig, step: int) -> None:
    # Young averages forget faster, or the random start would stay in them for long.
    decay = min(recipe.average, (1 + step) / (10 + step)) if recipe.average else 0.0
    with torch.no_grad():
        current = network.state_dict()
        for name, value in average.state_dict().items():
            if value.dtype.is_floating_point:
                value.lerp_(current[name], 1 - decay)
            else:
                value.copy_(current[name])


def _stalled(history: list[Epoch], recipe: FitConfig) -> bool:
    if not recipe.patience or not history:
        return False
    last_best = max((epoch.number for epoch in history if epoch.best), default=0)
    return len(history) - last_best >= recipe.patience


def _store(
    folder: Path,
    network: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    rng: np.random.Generator,
    made_with: dict[str, Any],
    history: list[Epoch],
) -> None:
    """Write the checkpoint; replaced as a whole, so a kill leaves the one before."""
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in average.state_dict().items()}
    if made_with["optimizer"] == "adamw":  # L-BFGS builds its memory of curvature anew
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
    tensors["torch_rng"] = torch.get_rng_state()
    facts = {
        "made_with": made_with,
        "history": [asdict(epoch) for epoch in history],
        "rng": rng.bit_generator.state,
    }
    partial = folder / ".checkpoint.part"
    save_file(
        {name: value.detach().cpu().clone() for name, value in tensors.items()},
        partial,
        metadata={"facts": json.dumps(facts)},
    )
    partial.replace(folder / "checkpoint.safetensors")


def _restore(
    folder: Path,
    network: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    rng: np.random.Generator,
    made_with: dict[str, Any],
) -> list[Epoch]:
    file = folder / "checkpoint.safetensors"
    if not file.exists():
        return []
    facts, tensors = _read(file)
    before = facts["made_with"]
    changed = sorted(name for name in made_with if made_with[name] != before.get(name))
    if changed:
        raise ModelError(
            f"{file}: was made with other options ({', '.join(changed)} differ); "
            "give the same ones to go on, or another folder to start anew"
        )

    def part(prefix: str) -> dict[str, Tensor]:
        return {
            name.removeprefix(prefix): value
            for name, value in tensors.items()
            if name.startswith(prefix)
        }

    try:
        network.load_state_dict(part("network."))
        average.load_state_dict(part("average."))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{file}: is of another network: {reason}") from error
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in part("optimizer.").items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    torch.set_rng_state(tensors["torch_rng"])
    rng.bit_generator.state = facts["rng"]
    return [Epoch(**epoch) for epoch in facts["history"]]


def _read(file: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    from safetensors import safe_open

    try:
        with safe_open(file, "pt") as opened:
            metadata = opened.metadata() or {}
        facts = json.loads(metadata.get("facts", "{}"))
        missing = {"made_with", "history", "rng"} - facts.keys()
        if missing:
            raise ValueError(f"lacks {', '.join(sorted(missing))}")
        return facts, load_file(file)
    except (SafetensorError, ValueError, OSError) as error:
        raise ModelError(
            f"{file}: is not a checkpoint ({error}); delete it to start anew"
        ) from error
