"""Batches that are drawn example by example, each from random numbers of its own.

So a process can draw its share alone, and the batch is the same however many processes share it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from audiocli.errors import UsageError
from audiocli.nn.distributed import Ranks

__all__ = ["Draws", "Make", "joined"]

Batch = TypeVar("Batch")
#: Makes so many examples from a generator.
Make = Callable[[np.random.Generator, int], Batch]


@dataclass(frozen=True)
class Draws(Generic[Batch]):
    """How the batches of a run are drawn.

    Parameters
    ----------
    make : callable
        Makes so many examples from a generator.
    size : int
        Examples of a batch, of all processes together.
    together : int
        Examples that share their random numbers.
    ranks : Ranks
        The processes, of which this one draws its share.

    Examples
    --------
    >>> draws = Draws(lambda rng, size: torch.ones(size), 6, 2, Ranks(1, 3))
    >>> seeds = draws.seeds(np.random.default_rng(0))
    >>> len(seeds), draws.batch(seeds).shape
    (1, torch.Size([2]))
    """

    make: Make[Batch]
    size: int
    together: int
    ranks: Ranks

    def __post_init__(self) -> None:
        if self.ranks.size > 1 and self.size % (self.together * self.ranks.size):
            by = f", {self.together} at a time," if self.together > 1 else ""
            raise UsageError(
                f"a batch of {self.size}{by} cannot be shared by {self.ranks.size} processes; "
                "use a {batch_size} that can",
                "batch_size",
            )

    def seeds(self, rng: np.random.Generator) -> list[int]:
        """Draw the seeds of a batch, and give those of this process's examples."""
        every: list[int] = rng.integers(1 << 63, size=-(-self.size // self.together)).tolist()
        share = len(every) // self.ranks.size
        first = share * self.ranks.rank
        return every if self.ranks.size == 1 else every[first : first + share]

    def each(self, seeds: Sequence[int]) -> list[tuple[np.random.Generator, int]]:
        """Give the generators of a share, and how many examples each makes."""
        rest = self.size % self.together if self.ranks.size == 1 else 0
        numbers = [self.together] * len(seeds)
        if rest:
            numbers[-1] = rest
        return [(np.random.default_rng(seed), number)
                for seed, number in zip(seeds, numbers, strict=True)]  # fmt: skip

    def batch(self, seeds: Sequence[int]) -> Batch:
        """Make the examples of these seeds."""
        return joined([self.make(rng, number) for rng, number in self.each(seeds)])


def joined(parts: Sequence[Batch]) -> Batch:
    """Join examples along their first axis: tensors, or tuples or dataclasses of them."""
    first: Any = parts[0]
    if len(parts) == 1:
        made = first
    elif isinstance(first, Tensor):
        made = torch.cat(parts)  # type: ignore[arg-type]  # all are of one type
    elif isinstance(first, tuple):
        made = tuple(map(joined, zip(*parts, strict=True)))
    else:
        values = {each.name: joined([getattr(part, each.name) for part in parts])
                  for each in dataclasses.fields(first)}  # fmt: skip
        made = dataclasses.replace(first, **values)
    return made  # type: ignore[no-any-return]  # of the type it came as
