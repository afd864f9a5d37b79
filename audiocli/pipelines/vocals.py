"""Take the vocals out of a mixture, for a task that wants one voice alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiocli.nn import registry
from audiocli.tasks.separate.conditioning import ProgrammeLevel
from audiocli.tasks.separate.separator import DEFAULT_MODEL, Separator

__all__ = ["VocalsAlone"]

Audio = NDArray[np.float32]


@dataclass(frozen=True)
class VocalsAlone:
    """Separates the vocals; pickled to worker processes."""

    model: str = DEFAULT_MODEL
    device: str = "auto"

    @property
    def models(self) -> Sequence[registry.ModelEntry]:
        """Whose weights the result depends on."""
        return [registry.find("separate", self.model)]

    def load(self) -> Callable[[Callable[[], Iterator[Audio]], int], Iterator[Audio]]:
        """Make what takes a stream, opened anew as often as needed, and gives the vocals."""
        separator = Separator(self.model, device=self.device)

        def vocals(stream: Callable[[], Iterator[Audio]], sample_rate: int) -> Iterator[Audio]:
            level = ProgrammeLevel(sample_rate)
            for block in stream():
                level.add(block)
            for stems in separator.blocks(stream(), sample_rate, level.level):
                yield stems[0]

        return vocals
