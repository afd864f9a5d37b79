"""What becomes of the steps of a stream: pooled, as a whole or by segments, and classified.

A network of windows classifies each step by itself; then the probabilities are pooled, each
weighted by itself (linear softmax pooling): a sound of one second in a long recording counts, and
one that is never more than possible stays that.

References
----------
Wang, Li, Metze: A comparison of five multiple instance learning pooling functions for sound event
detection with weak labeling. ICASSP 2019.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from audiocli.nn.clipwise import ClipNetwork, Head, pool

__all__ = ["Pooler", "SharedEncoder", "WindowPooler", "pooler"]

Floats = NDArray[np.float32]
#: Where segments of a recording begin and end, in seconds.
Spans = tuple[NDArray[np.float64], NDArray[np.float64]]
#: Most segments that wait for the heads, so that a long recording keeps only its logits.
WAITING = 256
#: No probability is nearer to 0 or 1 than this.
NEAREST = 1e-6


class SharedEncoder:
    """An encoder, and the heads of all models that use it."""

    def __init__(
        self, network: ClipNetwork, *, sparse: bool = False, absent: Sequence[int] = ()
    ) -> None:
        self.network, self.sparse = network, sparse
        self.absent = absent  # of the labels of its own head, those for the absence of sound
        # Of each model: its place, its head or a part of it, and the features that this gets.
        self.heads: list[tuple[int, Head, NDArray[np.intp]]] = []

    @property
    def rate(self) -> int:
        """Samples a second."""
        return self.network.frontend.config.sample_rate

    @property
    def step(self) -> float:
        """Seconds a step."""
        return self.network.stride / self.network.frontend.config.frame_rate


class Pooler:
    """Pools the steps of a stream, as a whole or by segments, and runs the heads on them."""

    def __init__(self, encoder: SharedEncoder, segment: float | None, hop: float | None) -> None:
        self.encoder = encoder
        self.count, self.sums = 0, np.zeros((2, self.units))
        self.length = None if segment is None else max(1, round(segment / encoder.step))
        self.hop = None if hop is None else max(1, round(hop / encoder.step))
        self.kept, self.first, self.taken = np.zeros((0, self.units), np.float32), 0, 0
        self.pooled: list[Floats] = []  # segments that wait for the heads
        self.logits: list[list[Floats]] = [[] for _ in encoder.heads]

    @property
    def units(self) -> int:
        """How many numbers a step has."""
        return self.encoder.network.units

    def add(self, part: Floats) -> None:
        """Take the next steps (steps, units)."""
        self.count += len(part)
        if self.length is None or self.hop is None:
            wide = part.astype(np.float64)
            self.sums += wide.sum(axis=0), np.square(wide).sum(axis=0)
            return
        self.kept = np.concatenate([self.kept, part])
        while (begin := self.taken * self.hop) + self.length <= self.count:
            self._take(begin, begin + self.length)

    def _take(self, begin: int, end: int) -> None:
        self.pooled.append(self.of_segment(self.kept[begin - self.first : end - self.first]))
        self.taken += 1
        drop = max(self.taken * (self.hop or 1) - self.first, 0)
        self.first += min(drop, len(self.kept))
        self.kept = self.kept[drop:]
        if len(self.pooled) >= WAITING:
            self._run_heads()

    def of_segment(self, rows: Floats) -> Floats:
        """Pool the steps (steps, units) of a segment."""
        pooled: Floats = pool(torch.from_numpy(rows).T).numpy()
        return pooled

    def whole(self) -> Floats:
        """Pool all steps from their sums, as :func:`audiocli.nn.clipwise.pool` does."""
        mean, square = self.sums / max(self.count, 1)
        deviation = np.sqrt(np.maximum(square - np.square(mean), 1e-12))
        if self.count == 1:
            deviation[:] = np.nan
        return np.concatenate([mean, deviation]).astype(np.float32)

    def spans(self, seconds: float) -> Spans:
        """Close the last segment, and say where each begins and ends, in seconds."""
        if self.length is None or self.hop is None:
            return np.zeros(1), np.array([seconds])
        step, lead = self.encoder.step, self.length - self.hop
        # The last step may begin where the recording ends: no segment is there for it alone.
        end = (seconds - 1e-6) / step
        while self.taken > 1 and (self.taken - 1) * self.hop + max(lead, 0) > end:
            self.taken -= 1
        begin = self.taken * self.hop
        left = seconds - (begin + lead) * step  # behind the last segment
        if not self.taken or (left > step and begin < min(end, self.count)):
            self._take(begin, self.count)
            left = 0.0
        starts = np.arange(self.taken, dtype=np.float64) * (self.hop * step)
        ends: NDArray[np.float64] = np.minimum(starts + self.length * step, seconds)
        if left <= step:  # less than a step is no segment by itself
            ends[-1] = seconds
        return starts, ends

    def finish(self) -> list[tuple[int, Floats]]:
        """Compute the logits (segments, labels) of each head, with its model's place."""
        if self.length is None:
            self.pooled.append(self.whole())
        self._run_heads()
        count = self.taken or 1
        return [
            (place, np.concatenate(rows)[:count])
            for (place, *_), rows in zip(self.encoder.heads, self.logits, strict=True)
        ]

    def _run_heads(self) -> None:
        if not self.pooled:
            return
        where = next(self.encoder.network.buffers()).device
        pooled = torch.from_numpy(np.stack(self.pooled).astype(np.float32)).to(where)
        self.pooled = []
        with torch.inference_mode():
            for (_, head, chosen), rows in zip(self.encoder.heads, self.logits, strict=True):
                rows.append(head(pooled[:, chosen]).float().cpu().numpy())


class WindowPooler(Pooler):
    """Classifies each step, and pools the probabilities.

    Of labels for the absence of sound, the complement is pooled: they hold where they always do.
    """

    def __init__(self, encoder: SharedEncoder, segment: float | None, hop: float | None) -> None:
        [(_, self.head, _)] = encoder.heads  # its own: no other fits these steps
        self.flipped = np.zeros(self.head.num_outputs, bool)
        self.flipped[list(encoder.absent)] = True
        super().__init__(encoder, segment, hop)

    @property
    def units(self) -> int:
        """How many labels there are."""
        return len(self.flipped)

    def add(self, part: Floats) -> None:
        """Take the next steps (steps, units of the network)."""
        where = next(self.encoder.network.buffers()).device
        with torch.inference_mode():
            logits = self.head(torch.from_numpy(part).to(where))
        likely = torch.sigmoid(logits).float().cpu().numpy()
        super().add(np.where(self.flipped, 1 - likely, likely).astype(np.float32))

    def of_segment(self, rows: Floats) -> Floats:
        """Pool the probabilities (steps, labels) of a segment to logits."""
        wide = rows.astype(np.float64)
        return self._logits(wide.sum(axis=0), np.square(wide).sum(axis=0))

    def whole(self) -> Floats:
        """Pool all steps from their sums."""
        return self._logits(*self.sums)

    def _logits(self, total: NDArray[np.float64], squares: NDArray[np.float64]) -> Floats:
        pooled = np.clip(squares / np.maximum(total, 1e-12), NEAREST, 1 - NEAREST)
        logits: Floats = np.log(pooled / (1 - pooled)).astype(np.float32)
        return np.where(self.flipped, -logits, logits)

    def _run_heads(self) -> None:
        if self.pooled:
            self.logits[0].append(np.stack(self.pooled))
            self.pooled = []


def pooler(encoder: SharedEncoder, segment: float | None, hop: float | None) -> Pooler:
    """Make what pools the steps of an encoder."""
    kind = WindowPooler if encoder.network.window else Pooler
    return kind(encoder, segment, hop)
