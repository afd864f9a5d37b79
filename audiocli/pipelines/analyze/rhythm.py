"""Tempo and metre of a recording: the one place where `analyze` asks for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiocli.tasks.features.extractor import Extractor

__all__ = ["Rhythm", "RhythmFinder"]


@dataclass(frozen=True)
class Rhythm:
    """Tempo in beats a minute, how sure it is from 0 to 1, and the beats a bar."""

    tempo: float | None
    confidence: float | None
    metre: str | None


class RhythmFinder:
    """Finds tempo and metre of a stream; the tempo by autocorrelation, and no metre."""

    def __init__(self) -> None:
        self.extractor = Extractor(["tempo", "pulse_clarity"])

    def stream(self, blocks: Iterable[NDArray[np.float32]], sample_rate: int) -> Rhythm:
        """Analyse a stream of blocks (channels, samples)."""
        row = self.extractor.summary(blocks, sample_rate)
        tempo = row["tempo"]
        if not np.isfinite(tempo):
            return Rhythm(None, None, None)
        return Rhythm(float(tempo), float(row["pulse_clarity"]), None)
