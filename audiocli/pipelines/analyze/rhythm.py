"""Tempo and metre of a recording: the one place where `analyze` asks for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiocli.tasks.beat_tracker import BeatTracker

__all__ = ["Rhythm", "RhythmFinder"]


@dataclass(frozen=True)
class Rhythm:
    """Tempo in beats a minute, how sure it is from 0 to 1, and the beats a bar."""

    tempo: float | None
    confidence: float | None
    metre: str | None


class RhythmFinder:
    """Finds tempo and metre of a stream, as ``audiocli beats --tempo`` does."""

    def __init__(self, device: str = "auto") -> None:
        self.tracker = BeatTracker(device=device)

    def stream(self, blocks: Iterable[NDArray[np.float32]], sample_rate: int) -> Rhythm:
        """Analyse a stream of blocks (channels, samples)."""
        tempo = self.tracker.stream(blocks, sample_rate).tempo
        if tempo.bpm is None:
            return Rhythm(None, None, None)
        metre = None if tempo.meter is None else f"{tempo.meter}/4"
        return Rhythm(tempo.bpm, tempo.confidence, metre)
