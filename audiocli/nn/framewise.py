"""Base of the networks that describe every frame: onsets, chords, classes along time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audiocli.io.audio.streaming import give_back_memory
from audiocli.nn.frontend import Filterbank, FilterbankConfig, StftConfig
from audiocli.nn.threads import ordered

__all__ = ["FramewiseNetwork", "activations", "in_segments"]

Audio = NDArray[np.float32]

#: Seconds of a long stream that a network processes at once, and its context on each side.
SEGMENT, CONTEXT = 20.0, 2.0
#: After so many segments freed memory goes back; after each one it would cost a fifth of the speed.
SEGMENTS_KEPT = 15


class FramewiseNetwork(nn.Module):
    """Base: audio in, logits for each frame out.

    A child gives :meth:`outputs` and :meth:`features`; this class owns the front-end and the
    scale of the input.

    Parameters
    ----------
    frontend : FilterbankConfig
        Configuration of its front-end.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, frontend: FilterbankConfig) -> None:
        super().__init__()
        self.frontend = Filterbank(frontend)
        shape = (frontend.channels, frontend.bands, 1)
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("scale", torch.ones(shape))

    def calibrate(self, audio: Tensor) -> None:
        """Set mean and scale of the input from example audio (batch, samples)."""
        with torch.no_grad():
            self.calibrate_images(self.frontend(audio))

    def calibrate_images(self, images: Tensor) -> None:
        """Set mean and scale of the input from what the front-end gives of examples."""
        with torch.no_grad():
            self.mean.copy_(images.mean(dim=(0, 3)).unsqueeze(2))
            # One scale a channel: a band that is mostly silent must not shout.
            deviation = images.std(dim=(0, 2, 3)).clamp(min=1e-3).view(-1, 1, 1)
            self.scale.copy_(deviation.expand_as(self.scale))

    @abstractmethod
    def outputs(self, images: Tensor) -> Tensor:
        """Compute logits (batch, outputs, frames) of images (batch, channels, bands, frames)."""

    def features(self, images: Tensor) -> Tensor:
        """Compute the last hidden layer (batch, units, frames); without one, the outputs."""
        return self.outputs(images)

    def forward(self, audio: Tensor) -> Tensor:
        """Compute logits (batch, outputs, frames) of audio (batch, samples)."""
        half = self.frontend.config.n_fft // 2
        return self.of_frames(nn.functional.pad(audio, (half, half)))

    def images(self, audio: Tensor) -> Tensor:
        """Compute images of audio (batch, samples) with half the longest window on each side."""
        with torch.no_grad(), torch.autocast(audio.device.type, enabled=False):
            return self.scaled(self.frontend.frames(audio))

    def scaled(self, images: Tensor) -> Tensor:
        """Scale what the front-end gives, (batch, channels, bands, frames), as layers take it."""
        return (images - self.mean) / self.scale

    def of_frames(self, audio: Tensor) -> Tensor:
        """As :meth:`forward`, of audio that has half the longest window on each side."""
        return self.outputs(self.images(audio))

    def embed(self, audio: Tensor) -> Tensor:
        """Compute the last hidden layer (batch, units, frames) of audio (batch, samples)."""
        half = self.frontend.config.n_fft // 2
        return self.embed_frames(nn.functional.pad(audio, (half, half)))

    def embed_frames(self, audio: Tensor) -> Tensor:
        """As :meth:`embed`, of audio that has half the longest window on each side."""
        return self.features(self.images(audio))


def in_segments(
    network: nn.Module,
    config: StftConfig | FilterbankConfig,
    compute: Callable[[Tensor], Tensor],
    blocks: Iterable[Audio],
    *,
    segment: float | None = None,
    context: float | None = None,
) -> Iterator[NDArray[np.float32]]:
    """Yield what `compute` gives for the frames of a stream, (frames, columns)."""
    segment = SEGMENT if segment is None else segment
    context = CONTEXT if context is None else context
    where = next(iter((*network.parameters(), *network.buffers()))).device

    def computed(piece: _Piece) -> NDArray[np.float32]:
        with torch.inference_mode():
            audio = torch.from_numpy(piece.audio).to(where).unsqueeze(0)
            values: NDArray[np.float32] = compute(audio)[0].float().cpu().numpy()
        return values.T[piece.start : piece.end]

    pieces = _pieces(config, blocks, segment, context)
    for number, values in enumerate(ordered(computed, pieces, where), start=1):
        if number % SEGMENTS_KEPT == 0:
            give_back_memory()
        yield values


class _Piece(NamedTuple):
    """What a network gets at once, and which of the frames of that are wanted."""

    audio: Audio
    start: int
    end: int


def _pieces(
    config: StftConfig | FilterbankConfig,
    blocks: Iterable[Audio],
    segment: float,
    context: float,
) -> Iterator[_Piece]:
    """Cut a stream into segments with context, each as soon as that is there."""
    length, beside = round(segment * config.frame_rate), round(context * config.frame_rate)
    hop, half = config.hop_length, config.n_fft // 2
    buffer = np.zeros(half, np.float32)
    first = begin = samples = 0  # frame at the buffer's start, next frame to give, samples so far

    def cut(end: int, needed_to: int) -> _Piece:
        nonlocal buffer, first, begin
        audio = buffer[: (needed_to - first - 1) * hop + config.n_fft]
        piece = _Piece(audio, begin - first, end - first)
        begin, kept = end, max(end - beside, 0)
        buffer, first = buffer[(kept - first) * hop :], kept
        return piece

    for block in blocks:
        buffer = np.concatenate([buffer, block])
        samples += len(block)
        while first + 1 + (len(buffer) - config.n_fft) // hop >= begin + length + beside:
            yield cut(begin + length, begin + length + beside)
    total = 1 + samples // hop
    buffer = np.pad(buffer, (0, half + hop))
    while begin < total:
        yield cut(min(begin + length, total), min(begin + length + beside, total))


def activations(network: FramewiseNetwork, blocks: Iterable[Audio]) -> Iterator[Audio]:
    """Run a network over a stream, in constant memory.

    Takes ``blocks`` (samples,); returns (frames,).
    """
    config = network.frontend.config

    def strengths(audio: Tensor) -> Tensor:
        return torch.sigmoid(network.of_frames(audio)[:, :1].float())

    for curve in in_segments(network, config, strengths, blocks):
        yield curve[:, 0]
