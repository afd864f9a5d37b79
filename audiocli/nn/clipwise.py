"""Base of the networks that describe a whole clip: its class, its tags, its speaker.

A trunk turns images into features of short steps (batch, units, steps); their mean and their
deviation over the clip, the pooled features, go through a linear layer to the logits. A trunk
without outputs is an encoder: others put heads of their own on its features.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audiocli.errors import ModelError, suggest
from audiocli.io.audio.streaming import give_back_memory
from audiocli.nn.framewise import FramewiseNetwork
from audiocli.nn.frontend import Filterbank, FilterbankConfig
from audiocli.nn.models import register
from audiocli.nn.threads import ordered

__all__ = [
    "ClipNetwork",
    "Embed",
    "Head",
    "Piece",
    "embedded",
    "embedded_together",
    "levelled",
    "pool",
    "steps_of_stream",
]

Audio = NDArray[np.float32]

#: A clip is brought to this peak before it enters a network, unless it is below the floor.
PEAK, FLOOR = 0.5, 1e-3
#: Seconds of a long stream that a network processes at once, and its context on each side.
SEGMENT, CONTEXT = 20.48, 1.28
SEGMENTS_KEPT = 15
#: Short clips that go through a network in one batch, and their seconds: on a processor, the maps
#: of more leave its cache.
BATCH, BATCH_ON_DEVICE, MOST_ON_DEVICE = 8, 64, 16 * SEGMENT


def levelled(audio: Tensor) -> Tensor:
    """Bring audio (batch, samples) to one peak, so that the level of a recording says nothing."""
    # What networks learn from is held in 16 bits. What lies below would be louder than nothing,
    # above 4 kHz of a telephone's recording for one, once the level is raised.
    audio = (audio * 32768).round() / 32768
    return audio * (PEAK / audio.abs().amax(dim=-1, keepdim=True).clamp(min=FLOOR))


def pool(features: Tensor) -> Tensor:
    """Describe clips by mean and deviation (batch, 2 * units) of features (batch, units, steps)."""
    mean = features.mean(dim=-1)
    if features.shape[-1] == 1:
        return torch.cat([mean, torch.full_like(mean, torch.nan)], dim=-1)
    variance = (features - mean.unsqueeze(-1)).square().mean(dim=-1)
    return torch.cat([mean, (variance + 1e-12).sqrt()], dim=-1)


class ClipNetwork(FramewiseNetwork):
    """Base: audio in, logits for each clip out.

    A child gives :meth:`features` and sets :attr:`units` and :attr:`stride`, then calls
    :meth:`finish`.

    Parameters
    ----------
    frontend : FilterbankConfig
        Configuration of its front-end.

    Attributes
    ----------
    units : int
        Features of a step.
    stride : int
        Frames a step.
    alone : bool
        Whether each step is processed by itself, whatever is before and after it.
    most : int
        Steps that are processed, evenly spread, of a recording that is classified as a whole; 0 is
        all. For slow networks that process each step by itself.
    window : int
        Frames that a step describes, where the head classifies each step by itself; 0 where it
        classifies the pooled features of a clip.
    parts : mapping of str to int
        Where features come from several layers: their names, and how many each gives, in order.
    """

    units: int
    stride: int
    alone = False
    most = 0
    window = 0
    parts: Mapping[str, int] = MappingProxyType({})

    def steps(self, frames: int) -> int:
        """Count the steps of so many frames."""
        return -(-frames // self.stride)

    def finish(self, num_outputs: int, dropout: float) -> None:
        """Add the layer that makes logits of pooled features; none for an encoder."""
        if num_outputs < 0:
            raise ModelError(f"num_outputs {num_outputs}: cannot be negative")
        inputs = self.units if self.window else 2 * self.units
        self.head = Head(self.frontend.config, inputs=inputs, num_outputs=num_outputs,
                         dropout=dropout) if num_outputs else None  # fmt: skip

    def fuse(self) -> None:
        """Make inference faster where there is a way; then the network cannot be trained on."""

    def places(self, part: str | None = None) -> NDArray[np.intp]:
        """Say which of the pooled features (2 * units) are of a part; without one, all."""
        if part is None:
            return np.arange(self.units if self.window else 2 * self.units)
        if part not in self.parts:
            hint = suggest(part, self.parts) if self.parts else "it has only the whole"
            raise ModelError(f"no part {part!r}: {hint}")
        names = np.repeat(list(self.parts), list(self.parts.values()))
        return np.flatnonzero(np.tile(names, 2) == part)

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """Compute (batch, units, steps) of images (batch, channels, bands, frames)."""

    def outputs(self, images: Tensor) -> Tensor:
        """Compute logits (batch, outputs) of images (batch, channels, bands, frames)."""
        if self.head is None:
            raise ModelError("an encoder has no outputs of its own")
        features = self.features(images)
        logits: Tensor = self.head(features.mean(dim=-1) if self.window else pool(features))
        return logits

    def images(self, audio: Tensor) -> Tensor:
        """Compute images of audio (batch, samples) with half the longest window on each side."""
        return super().images(levelled(audio))

    def calibrate(self, audio: Tensor) -> None:
        """Set mean and scale of the input from example audio (batch, samples)."""
        super().calibrate(levelled(audio))

    def pooled(self, audio: Tensor) -> Tensor:
        """Compute the pooled features (batch, 2 * units) of audio (batch, samples)."""
        return pool(self.embed(audio))

    def compared(self, mean: Tensor) -> Tensor:
        """Compute what clips are compared by, from their mean features (batch, units)."""
        return mean


@register("head")
class Head(nn.Module):
    """Pooled features to logits: a linear layer, or one hidden layer before it.

    Parameters
    ----------
    frontend : FilterbankConfig
        That of the encoder; a head has none of its own.
    inputs : int
        Pooled features.
    num_outputs : int
        Logits.
    hidden_size : int
        Units of the hidden layer; 0 leaves it out.
    dropout : float
        Share of the inputs of each layer dropped in training.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        frontend: FilterbankConfig,
        *,
        inputs: int,
        num_outputs: int,
        hidden_size: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.num_outputs = num_outputs
        self.frontend = Filterbank(frontend)
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(inputs))
        layers: list[nn.Module] = [nn.Dropout(dropout)]
        if hidden_size:
            layers += [nn.Linear(inputs, hidden_size), nn.ReLU(), nn.Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden_size or inputs, num_outputs))

    def split(self, sizes: Sequence[int]) -> list[Head]:
        """Make a head for each part of the input; their logits add up to the whole head's."""
        if list(sizes) == [len(self.mean)]:
            return [self]
        linear = self.layers[-1]
        assert isinstance(linear, nn.Linear)  # narrows the type: the last layer always is
        if linear.in_features != len(self.mean) or sum(sizes) != len(self.mean):
            raise ModelError(f"a head of {len(self.mean)} features cannot be split in {sizes}")
        heads: list[Head] = []
        for end, size in zip(np.cumsum(sizes), sizes, strict=True):
            head = Head(self.frontend.config, inputs=size, num_outputs=linear.out_features)
            last = head.layers[-1]
            assert isinstance(last, nn.Linear)  # as above
            place = slice(int(end) - size, int(end))
            with torch.no_grad():
                head.mean.copy_(self.mean[place])
                head.scale.copy_(self.scale[place])
                last.weight.copy_(linear.weight[:, place])
                last.bias.copy_(linear.bias if not heads else torch.zeros_like(linear.bias))
            heads.append(head.to(self.mean.device).eval())
        return heads

    def calibrate(self, pooled: Tensor) -> None:
        """Set mean and scale of the input from examples (clips, inputs)."""
        with torch.no_grad():
            self.mean.copy_(pooled.nanmean(dim=0).nan_to_num())
            self.scale.copy_(self.centred(pooled).std(dim=0, correction=0).clamp(min=1e-3))

    def centred(self, pooled: Tensor) -> Tensor:
        """Say how far features (batch, inputs) lie from the mean; what is not known lies there."""
        return (pooled - self.mean).nan_to_num()

    def forward(self, pooled: Tensor) -> Tensor:
        """Compute logits (batch, outputs) of pooled features (batch, inputs)."""
        logits: Tensor = self.layers(self.centred(pooled) / self.scale)
        return logits


class Piece(NamedTuple):
    """What a network gets at once, with half a window on each side, and the steps that are wanted.

    Parameters
    ----------
    audio : ndarray, shape (samples,)
    start, end : int, optional
        Steps from the beginning of the audio; by default all.
    """

    audio: Audio
    start: int = 0
    end: int | None = None


Embed = Callable[[ClipNetwork, Iterable[Piece]], Iterator[Audio]]
"""Computes the steps (steps, units) that are wanted of each piece."""


def embedded(network: ClipNetwork, pieces: Iterable[Piece]) -> Iterator[Audio]:
    """Compute the steps of pieces as they come, each by itself."""
    where = next(network.buffers()).device

    def compute(piece: Piece) -> Audio:
        with torch.inference_mode():
            computed = network.embed_frames(torch.from_numpy(piece.audio).to(where).unsqueeze(0))
        return _wanted(computed[0], piece)

    return ordered(compute, pieces, where)


def embedded_together(network: ClipNetwork, pieces: Sequence[Piece]) -> list[Audio]:
    """Compute the steps of pieces that are all there, those of one length in batches."""
    where = next(network.buffers()).device
    most, seconds = (BATCH, SEGMENT) if where.type == "cpu" else (BATCH_ON_DEVICE, MOST_ON_DEVICE)
    lengths: dict[int, list[int]] = {}
    for place, piece in enumerate(pieces):
        lengths.setdefault(len(piece.audio), []).append(place)
    batches = []
    for length, places in lengths.items():
        count = max(1, min(most, int(seconds * network.frontend.config.sample_rate / length)))
        batches += [places[start : start + count] for start in range(0, len(places), count)]

    def compute(places: Sequence[int]) -> list[tuple[int, Audio]]:
        audio = torch.from_numpy(np.stack([pieces[place].audio for place in places])).to(where)
        with torch.inference_mode():
            computed = network.embed_frames(audio)
        return [
            (place, _wanted(each, pieces[place]))
            for place, each in zip(places, computed, strict=True)
        ]

    found = dict(pair for batch in ordered(compute, batches, where) for pair in batch)
    return [found[place] for place in range(len(pieces))]


def _wanted(steps: Tensor, piece: Piece) -> Audio:
    """Give the steps (steps, units) of (units, steps) that are wanted of a piece."""
    values: Audio = steps.float().cpu().numpy().T
    return values[piece.start : piece.end]


def steps_of_stream(
    network: ClipNetwork,
    blocks: Iterable[Audio],
    *,
    spread: bool = False,
    embed: Embed = embedded,
) -> Iterator[Audio]:
    """Yield the features (steps, units) of a stream of blocks (samples,), in constant memory.

    With `spread`, no more than ``network.most`` steps, evenly spread over the stream.
    """
    if spread and network.most:
        yield from _spread(network, blocks, embed)
        return
    for number, values in enumerate(embed(network, _pieces(network, blocks)), start=1):
        if number % SEGMENTS_KEPT == 0:
            give_back_memory()
        yield values


def _pieces(network: ClipNetwork, blocks: Iterable[Audio]) -> Iterator[Piece]:
    """Cut a stream into segments with context."""
    config = network.frontend.config
    hop, half = config.hop_length * network.stride, config.n_fft // 2
    segment, context = (max(1, round(t * config.sample_rate / hop)) for t in (SEGMENT, CONTEXT))
    context = 0 if network.alone else context
    buffer = np.zeros(half, np.float32)
    first = begin = samples = 0  # step at the buffer's start, next step to give, samples so far
    for block in blocks:
        buffer = np.concatenate([buffer, block])
        samples += len(block)
        while len(buffer) >= (begin + segment + context - first) * hop + config.n_fft:
            length = (begin + segment + context - first) * hop + config.n_fft
            yield Piece(buffer[:length], begin - first, begin + segment - first)
            begin += segment
            kept = max(begin - context, 0)
            buffer, first = buffer[(kept - first) * hop :], kept
    total = network.steps(1 + samples // config.hop_length)
    if begin < total:
        yield Piece(np.pad(buffer, (0, half)), begin - first, total - first)


def _spread(network: ClipNetwork, blocks: Iterable[Audio], embed: Embed) -> Iterator[Audio]:
    """Compute steps (steps, units) that lie evenly in a stream: `most` of them or fewer.

    Whenever too many are kept, every second of them is dropped. So the length of the stream need
    not be known, and the choice depends on that alone.
    """
    config = network.frontend.config
    hop, half = config.hop_length * network.stride, config.n_fft // 2
    length = hop + config.n_fft - config.hop_length
    pause = max(1, round(SEGMENT * config.sample_rate / hop))
    buffer, kept = np.zeros(half, np.float32), list[Audio]()
    place = samples = 0  # step at the buffer's start, samples so far
    every = 1

    def keep(piece: Audio) -> None:
        nonlocal kept, every
        if place % every == 0:
            kept.append(piece.copy())
        if len(kept) > network.most:
            kept, every = kept[::2], 2 * every

    for block in blocks:
        buffer = np.concatenate([buffer, block])
        samples += len(block)
        while len(buffer) >= length:
            keep(buffer[:length])
            buffer, place = buffer[hop:], place + 1
            if place % pause == 0:  # so that other networks can process the same stream meanwhile
                yield np.zeros((0, network.units), np.float32)
    if place < network.steps(1 + samples // config.hop_length):
        keep(np.pad(buffer, (0, half)))
    yield from embed(network, map(Piece, kept))
