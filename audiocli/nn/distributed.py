"""Several processes that train one network: ``torchrun`` starts them, each computes its share.

Every process draws its own part of each batch (:mod:`audiocli.nn.draws`) and learns from it; the
gradients are averaged. So a run gives the same network within rounding however many
processes share it, but for dropout and for batch normalisation, which see a part at a time.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn

from audiocli.errors import UsageError

__all__ = ["Ranks", "is_first", "join", "leave"]


@dataclass(frozen=True)
class Ranks:
    """The processes of a run, and which of them this one is.

    Parameters
    ----------
    rank, size : int

    Examples
    --------
    >>> Ranks(1, 2).first
    False
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that scores, writes and reports."""
        return self.rank == 0

    def seed(self, seed: int, epoch: int) -> None:
        """Give every process dropout of its own, from which a stopped run can go on."""
        if self.size > 1:
            torch.manual_seed(seed + 1_000_003 * epoch + self.rank)

    def shared(self, network: nn.Module) -> nn.Module:
        """Wrap a module whose output is a loss, so that its gradients are averaged."""
        if self.size == 1:
            return network
        # Graphs are the same from step to step, and some weights may have no part in a loss.
        return nn.parallel.DistributedDataParallel(network, static_graph=True)

    def mean(self, value: float, where: torch.device) -> float:
        """Average a number over all processes."""
        if self.size == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64, device=where)
        dist.all_reduce(total)
        return total.item() / self.size

    def told(self, value: float, where: torch.device) -> float:
        """Take the first process's number, whatever this one has; all wait for it."""
        if self.size == 1:
            return value
        number = torch.tensor(value, dtype=torch.float64, device=where)
        dist.broadcast(number, 0)
        return number.item()


def is_first() -> bool:
    """Whether this process is the one that writes, also before it met the others."""
    return os.environ.get("RANK", "0") == "0"


def join(where: torch.device) -> Ranks:
    """Meet the other processes that ``torchrun`` started; without it there are none."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return Ranks()
    if not dist.is_initialized():
        backend = "nccl" if where.type == "cuda" else "gloo"
        if not (dist.is_available() and getattr(dist, f"is_{backend}_available")()):
            raise UsageError(
                f"this torch has no {backend}, by which processes share a training run"
            )
        dist.init_process_group(backend)
    return Ranks(dist.get_rank(), dist.get_world_size())


def leave() -> None:
    """Part from the others, so that torch has nothing to warn of at the end."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
