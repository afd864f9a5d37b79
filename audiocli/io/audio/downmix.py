"""From several channels to one: their mean, unless they cancel in it.

A recording whose channels are each other upside down, by a plug with its poles exchanged or by an
effect that widens, is audible in every channel and is next to nothing in their mean. So the mean is
compared with the channels, second by second. Where it has lost all but a hundredth of their power
(20 dB), those channels that run against the loudest one are turned over before they are averaged:
of two opposite channels that is half their difference. The first time is said by a warning. Where
nothing cancels, so in next to all recordings, the mean is exactly that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiocli.errors import warn
from audiocli.io.audio.layouts import Layout

__all__ = ["Downmix", "downmix", "full_range_channels", "without_effects"]

Block = NDArray[np.floating[Any]]

#: The part of the channels' mean power that is left in their mean where they cancel, and from which
#: on they no longer do.
CANCELLED, BACK = 10.0**-2.0, 10.0**-1.4
#: Mean power below which a period tells nothing: -90 dB, less than the last of 16 bits.
FLOOR = 1e-9
PERIOD, FADE = 1.0, 0.02  # seconds
#: What peaks below this is silent: -140 dB, less than the last of 24 bits.
SILENT = 1e-7
#: Fewer samples may cancel by chance.
FEWEST = 32


def downmix(blocks: Iterable[Block], sample_rate: int, *, quiet: bool = False) -> Iterator[Block]:
    """Bring a stream of blocks (channels, samples) to one channel, in constant memory."""
    mixer: Downmix | None = None
    for block in blocks:
        if len(block) == 1 and mixer is None:
            yield block
            continue
        mixer = mixer or Downmix(len(block), sample_rate, quiet=quiet)
        yield from mixer.push(block)
    if mixer is not None:
        yield from mixer.finish()


def full_range_channels(layout: Layout | None) -> list[int]:
    """Give the places of all channels but those for effects (LFE), if speakers are known."""
    return [place for place, name in enumerate(layout or ()) if not name.startswith("LFE")]


def without_effects(blocks: Iterable[Block], layout: Layout | None) -> Iterator[Block]:
    """Leave out the channels for effects, and say so where nothing else sounds."""
    kept = full_range_channels(layout)
    if not kept or len(kept) == len(layout or ()):
        yield from blocks
        return
    effects = others = 0.0
    for block in blocks:
        full = block[kept]
        others = max(others, float(np.abs(full).max(initial=0.0)))
        effects = max(effects, float(np.abs(block).max(initial=0.0)))
        yield full
    if others < SILENT <= effects:
        warn("sounds in its channel for low-frequency effects (LFE) alone, which is not analysed")


class _Span(NamedTuple):
    """Samples that are averaged alike; while weights change, since when and what they were."""

    begin: int
    end: int
    weights: NDArray[np.float64]
    fading: tuple[int, NDArray[np.float64]] | None


class Downmix:
    """Averages channels second by second, and turns over those that would cancel.

    Parameters
    ----------
    channels : int
        How many there are.
    sample_rate : int
        In Hz.
    live : bool
        Whether each block must come out at once. What cancels is then known by what has sounded so
        far, and not by all of the second that it is in.
    quiet : bool
        Say nothing of channels that cancel.
    """

    def __init__(
        self, channels: int, sample_rate: int, *, live: bool = False, quiet: bool = False
    ) -> None:
        self.channels, self.sample_rate, self.live = channels, sample_rate, live
        self.period = max(1, round(PERIOD * sample_rate))
        self.fade = max(1, round(FADE * sample_rate))
        self.mean: NDArray[np.float64] = np.full(channels, 1 / channels)
        self.weights = self.mean
        self._products = np.zeros((channels, channels))  # of the period so far
        self._taken = self._given = 0  # samples
        self._waiting: deque[Block] = deque()
        #: From which sample on which weights are taken.
        self._decided: deque[tuple[int, NDArray[np.float64]]] = deque()
        self._fading: tuple[int, NDArray[np.float64]] | None = None
        self._said = quiet

    def push(self, block: Block) -> Iterator[Block]:
        """Take the next block (channels, samples); give those that are ready (1, samples)."""
        self._waiting.append(block)
        start = 0
        while start < block.shape[1]:
            left = self.period - self._taken % self.period
            part = block[:, start : start + left]
            self._products += _products(part)
            self._taken += part.shape[1]
            start += part.shape[1]
            if self._taken % self.period == 0 or (self.live and start == block.shape[1]):
                begin = self._taken - part.shape[1] if self.live else self._taken - self.period
                self._decide(begin)
        whole = self._taken // self.period * self.period
        yield from self._ready(self._taken if self.live else whole)

    def finish(self) -> Iterator[Block]:
        """End the stream, and give what is left."""
        if self._taken % self.period and not self.live:
            self._decide(self._taken // self.period * self.period)
        yield from self._ready(self._taken)

    def _decide(self, begin: int) -> None:
        """Settle the weights from a sample on, by the products of the period."""
        count = (self._taken - 1) % self.period + 1
        powers = np.diagonal(self._products) / count
        average = powers.mean()
        if count >= FEWEST and average > FLOOR:
            left = self.mean @ self._products @ self.mean / count / average
            if left < (CANCELLED if self.weights is self.mean else BACK):
                # The first of those that are about as loud: which one that is must not be chance.
                loudest = int(np.flatnonzero(powers >= powers.max() / 2)[0])
                against = self._products[loudest] < 0
                turned = np.where(against, -self.mean, self.mean)
                if not np.array_equal(turned, self.weights):
                    self.weights = turned
                self._say(begin)
            else:
                self.weights = self.mean
        if self._taken % self.period == 0:
            self._products = np.zeros_like(self._products)
        self._decided.append((begin, self.weights))

    def _say(self, begin: int) -> None:
        if self._said:
            return
        self._said = True
        at = f"from {begin / self.sample_rate:.1f} s on" if begin else "from the beginning"
        warn(
            f"the channels cancel in their mean {at} (their polarity is opposite); those against "
            "the loudest channel were turned over for the analysis"
        )

    def _ready(self, until: int) -> Iterator[Block]:
        while self._waiting and self._given + self._waiting[0].shape[1] <= until:
            yield self._mixed(self._waiting.popleft())

    def _mixed(self, block: Block) -> Block:
        """Average a block by the weights of each of its parts."""
        begin = self._given
        self._given += block.shape[1]
        spans = list(self._spans(begin, self._given))
        if all(span.fading is None and span.weights is self.mean for span in spans):
            # As numpy's mean does it, but several times as fast for so few rows.
            mean: Block = block[0].copy()
            for channel in block[1:]:
                mean += channel
            mean /= mean.dtype.type(len(block))
            return mean[np.newaxis]
        out = np.empty((1, block.shape[1]), block.dtype)
        for span in spans:
            part = block[:, span.begin - begin : span.end - begin]
            mixed = span.weights @ part
            if span.fading is not None:
                since, before = span.fading
                ramp = (np.arange(span.begin, span.end) - since + 0.5) / self.fade
                mixed = ramp * mixed + (1 - ramp) * (before @ part)
            out[0, span.begin - begin : span.end - begin] = mixed
        return out

    def _spans(self, begin: int, end: int) -> Iterator[_Span]:
        """Cut a block where its weights change."""
        while begin < end:
            while len(self._decided) > 1 and self._decided[1][0] <= begin:
                _, before = self._decided.popleft()
                if self._decided[0][1] is not before:
                    self._fading = self._decided[0][0], before
            if self._fading is not None and begin >= self._fading[0] + self.fade:
                self._fading = None
            stop = min([end, *(at for at, _ in list(self._decided)[1:2])])
            if self._fading is not None:
                stop = min(stop, self._fading[0] + self.fade)
            yield _Span(begin, stop, self._decided[0][1], self._fading)
            begin = stop


def _products(part: Block) -> NDArray[np.float64]:
    """Multiply channels with each other and sum: row by row, as BLAS is slow on flat matrices."""
    products = np.empty((len(part), len(part)))
    for first, one in enumerate(part):
        for second in range(first, len(part)):
            products[first, second] = products[second, first] = one @ part[second]
    return products
