"""Recurrent layers over the bands of each frame: the lecture's path from RNN to BLSTM.

References
----------
Eyben, Böck, Schuller, Graves: Universal onset detection with bidirectional long
short-term memory neural networks. ISMIR 2010.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from audiocli.nn.framewise import FramewiseNetwork
from audiocli.nn.frontend import FilterbankConfig
from audiocli.nn.models import register
from audiocli.nn.recurrent import HiddenStack

__all__ = ["FrameRNN"]


@register("frame-rnn")
class FrameRNN(FramewiseNetwork):
    """Hidden layers over all bands of a frame, and a linear output layer.

    Parameters
    ----------
    frontend : FilterbankConfig
        Front-end; Eyben's is the default: 23 and 46 ms windows, 40 mel bands, with differences.
    num_outputs : int
        Logits a frame.
    hidden_size, num_layers, recurrent_layers, cell, nonlinearity, bidirectional, dropout
        As in :class:`audiocli.nn.recurrent.HiddenStack`; Eyben's net is the default: three
        bidirectional LSTM layers of 20 units a direction.
    """

    def __init__(
        self,
        frontend: FilterbankConfig,
        *,
        num_outputs: int = 1,
        hidden_size: int = 20,
        num_layers: int = 3,
        recurrent_layers: Sequence[int] = (1, 2, 3),
        cell: str = "lstm",
        nonlinearity: str = "tanh",
        bidirectional: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(frontend)
        self.hidden = HiddenStack(
            frontend.channels * frontend.bands,
            hidden_size,
            num_layers=num_layers,
            recurrent_layers=recurrent_layers,
            cell=cell,
            nonlinearity=nonlinearity,
            bidirectional=bidirectional,
            dropout=dropout,
        )
        self.output = nn.Linear(self.hidden.output_size, num_outputs)

    def outputs(self, images: Tensor) -> Tensor:
        """Compute logits (batch, outputs, frames) of images (batch, channels, bands, frames)."""
        with torch.autocast(images.device.type, enabled=False):  # small steps: half drifts
            logits: Tensor = self.output(self.features(images).transpose(1, 2))
        return logits.transpose(1, 2)

    def features(self, images: Tensor) -> Tensor:
        """Compute the last hidden layer (batch, units, frames), the forward direction first."""
        with torch.autocast(images.device.type, enabled=False):
            states: Tensor = self.hidden(images.flatten(1, 2).transpose(1, 2).float())
        return states.transpose(1, 2)
