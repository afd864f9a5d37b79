"""Convolutions over bands and frames, then dilated convolutions through time.

Each dilated layer looks twice as far as the one below, so that a few of them see many bars; unlike
recurrent layers all frames are computed at once.

References
----------
Davies, Böck: Temporal convolutional networks for musical audio beat tracking. EUSIPCO 2019.
Bai, Kolter, Koltun: An empirical evaluation of generic convolutional and recurrent networks for
sequence modeling. arXiv:1803.01271, 2018.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from audiocli.errors import ModelError
from audiocli.nn.framewise import FramewiseNetwork
from audiocli.nn.frontend import FilterbankConfig
from audiocli.nn.models import register

__all__ = ["FrameTCN"]


def _convolution(inputs: int, outputs: int, height: int) -> nn.Module:
    """Convolve over (bands, frames), keep one band of two, normalise over the batch."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, (height, 3), (2, 1), (height // 2, 1), bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class _Dilated(nn.Module):
    """A dilated convolution with a way around it."""

    def __init__(self, size: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(
                size,
                size,
                kernel,
                padding=dilation * (kernel // 2),
                dilation=dilation,
                bias=False,
            ),
            nn.BatchNorm1d(size),
            nn.ELU(),
            nn.Dropout(dropout),
            nn.Conv1d(size, size, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Compute (batch, size, frames) of the same shape."""
        added: Tensor = self.layers(x)
        return x + added


@register("frame-tcn")
class FrameTCN(FramewiseNetwork):
    """Convolutional layers, each halving the bands, then dilated layers through time.

    Parameters
    ----------
    frontend : FilterbankConfig
        Front-end.
    num_outputs : int
        Logits a frame.
    channels : sequence of int
        Channels of each convolution over bands and frames.
    hidden_size, num_layers : int
        Channels, and number, of the dilated layers; layer k skips 2 ** k frames.
    kernel_size : int
        Frames that a dilated layer takes; odd.
    dropout : float
        Share of the features dropped in training.

    Examples
    --------
    >>> config = FilterbankConfig(bands=16, difference=False)
    >>> network = FrameTCN(config, channels=[4, 8], hidden_size=4, num_layers=3)
    >>> network(torch.randn(3, 22050)).shape
    torch.Size([3, 1, 51])
    """

    def __init__(
        self,
        frontend: FilterbankConfig,
        *,
        num_outputs: int = 1,
        channels: Sequence[int] = (12, 24, 32),
        hidden_size: int = 48,
        num_layers: int = 9,
        kernel_size: int = 5,
        dropout: float = 0.15,
    ) -> None:
        super().__init__(frontend)
        if not channels or kernel_size % 2 == 0:
            raise ModelError("frame-tcn: give channels of one convolution or more, an odd kernel")
        layers: list[nn.Module] = []
        bands, inputs = frontend.bands, frontend.channels
        for index, outputs in enumerate(channels):
            layers.append(_convolution(inputs, outputs, 3 if index else 5))
            bands, inputs = (bands + 1) // 2, outputs
        self.convolutions = nn.Sequential(*layers)
        self.embedding = nn.Sequential(
            nn.Conv1d(inputs * bands, hidden_size, 1), nn.ELU(), nn.Dropout(dropout)
        )
        self.dilated = nn.Sequential(
            *(_Dilated(hidden_size, kernel_size, 2**k, dropout) for k in range(num_layers))
        )
        self.output = nn.Conv1d(hidden_size, num_outputs, 1)

    def outputs(self, images: Tensor) -> Tensor:
        """Compute logits (batch, outputs, frames) of images (batch, channels, bands, frames)."""
        logits: Tensor = self.output(self.features(images))
        return logits

    def features(self, images: Tensor) -> Tensor:
        """Compute the last dilated layer (batch, units, frames)."""
        # Channels last in memory: convolutions with few channels run up to twice as fast.
        maps = self.convolutions(images.contiguous(memory_format=torch.channels_last))
        states: Tensor = self.dilated(self.embedding(maps.flatten(1, 2)))
        return nn.functional.elu(states)
