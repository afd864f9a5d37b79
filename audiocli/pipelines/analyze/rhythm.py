"""Tempo and metre of a recording: the one place where `analyze` asks for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiocli.tasks.beat_tracker import Beats, BeatTracker

__all__ = ["Rhythm", "RhythmFinder"]


@dataclass(frozen=True)
class Rhythm:
    """Tempo in beats a minute, its confidence from 0 to 1, the beats of a bar, and all beats."""

    tempo: float | None
    confidence: float | None
    metre: int | None
    beats: Beats


class RhythmFinder:
    """Finds tempo and metre of a stream by its beats."""

    def __init__(self, *, device: str = "auto") -> None:
        self.tracker = BeatTracker(device=device)

    def stream(self, blocks: Iterable[NDArray[np.float32]], sample_rate: int) -> Rhythm:
        """Analyse a stream of blocks (channels, samples)."""
        beats = self.tracker.stream(blocks, sample_rate)
        tempo = beats.tempo
        if tempo.bpm is None:
            return Rhythm(None, None, None, beats)
        return Rhythm(tempo.bpm, tempo.confidence, tempo.meter, beats)
