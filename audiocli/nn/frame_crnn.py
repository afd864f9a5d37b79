"""Convolutions over a neighbourhood in time and frequency, then recurrent layers.

The convolutions find what an onset looks like, at any pitch; the recurrent layers
take in what happens around it. Without the second direction the network runs on
a stream, block by block, with its state carried along.

References
----------
Schlüter, Böck: Improved musical onset detection with convolutional neural networks. ICASSP 2014.
Eyben, Böck, Schuller, Graves: Universal onset detection with bidirectional long
short-term memory neural networks. ISMIR 2010.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from audiocli.errors import ModelError
from audiocli.nn.framewise import FramewiseNetwork
from audiocli.nn.frontend import FilterbankConfig
from audiocli.nn.models import register

__all__ = ["FrameCRNN"]

KERNEL = 3  # frames that a convolution sees


def _convolution(inputs: int, outputs: int, height: int, stride: int) -> nn.Module:
    """Convolve over (bands, frames), then normalise each channel over the batch."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, (height, KERNEL), (stride, 1), (height // 2, 0), bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


@register("frame-crnn")
class FrameCRNN(FramewiseNetwork):
    """Convolutional layers, each halving the bands, then recurrent layers through time.

    Parameters
    ----------
    frontend : FilterbankConfig
        Front-end; many bands, so that a change of pitch can be seen.
    num_outputs : int
        Logits a frame.
    channels : sequence of int
        Channels of each convolution.
    embedding_size : int
        Features a frame that the recurrent layers get.
    hidden_size, num_layers : int
        Units a direction, and number, of the recurrent layers.
    bidirectional : bool
        Whether they read from the end as well.
    dropout : float
        Share of the features dropped in training.
    """

    def __init__(
        self,
        frontend: FilterbankConfig,
        *,
        num_outputs: int = 1,
        channels: Sequence[int] = (24, 48, 64),
        embedding_size: int = 128,
        hidden_size: int = 96,
        num_layers: int = 2,
        bidirectional: bool = True,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(frontend)
        if not channels:
            raise ModelError("frame-crnn: there must be a convolution; give channels")
        layers: list[nn.Module] = []
        bands, inputs = frontend.bands, frontend.channels
        for index, outputs in enumerate(channels):
            layers.append(_convolution(inputs, outputs, 3 if index else 5, 2))
            bands, inputs = (bands + 1) // 2, outputs
        layers.append(_convolution(inputs, inputs, 3, 1))
        self.convolutions = nn.Sequential(*layers)
        #: Frames that the convolutions see before and after the one they tell of.
        self.reach = len(layers) * (KERNEL // 2)
        self.embedding = nn.Sequential(
            nn.Linear(inputs * bands, embedding_size), nn.ReLU(), nn.Dropout(dropout)
        )
        self.recurrence = nn.LSTM(
            embedding_size,
            hidden_size,
            num_layers,
            batch_first=True,
            bidirectional=bidirectional,
            dropout=dropout if num_layers > 1 else 0.0,
        )
        self.output = nn.Linear(hidden_size * (2 if bidirectional else 1), num_outputs)

    def outputs(self, images: Tensor) -> Tensor:
        """Compute logits (batch, outputs, frames) of images (batch, channels, bands, frames)."""
        return self.advance(self._padded(images), None)[0]

    def features(self, images: Tensor) -> Tensor:
        """Compute the last recurrent layer (batch, units, frames), the forward direction first."""
        return self._states(self._padded(images), None)[0].transpose(1, 2)

    def advance(
        self, images: Tensor, state: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Compute the logits of the next images of a stream, and the state after them.

        The frames that convolutions reach for on either side are not in the output.
        """
        states, state = self._states(images, state)
        with torch.autocast(images.device.type, enabled=False):
            logits: Tensor = self.output(states)
        return logits.transpose(1, 2), state

    def _padded(self, images: Tensor) -> Tensor:
        # The edge frames again and again, not silence: a cut is no onset.
        return nn.functional.pad(images, (self.reach, self.reach, 0, 0), mode="replicate")

    def _states(
        self, images: Tensor, state: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Compute the last recurrent layer, (batch, frames, units)."""
        # Channels last in memory: convolutions with few channels run up to twice as fast.
        maps = self.convolutions(images.contiguous(memory_format=torch.channels_last))
        features = self.embedding(maps.permute(0, 3, 1, 2).flatten(2))
        with torch.autocast(images.device.type, enabled=False):  # small steps: half drifts
            states, state = self.recurrence(features.float(), state)
        assert state is not None  # narrows the type
        return states, state
