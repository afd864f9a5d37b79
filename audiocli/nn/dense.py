"""Huang's separation network: dense and recurrent layers over whole spectra.

References
----------
Huang, Kim, Hasegawa-Johnson, Smaragdis: Singing-voice separation from
monaural recordings using deep recurrent neural networks. ISMIR 2014.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiocli.errors import ModelError
from audiocli.nn.frontend import StftConfig
from audiocli.nn.masking import MaskingNetwork
from audiocli.nn.models import register
from audiocli.nn.recurrent import HiddenStack

__all__ = ["MaskingRNN"]


@register("drnn")
class MaskingRNN(MaskingNetwork):
    """Hidden layers over the whole spectrum of a few frames, then the mask layer.

    Parameters
    ----------
    frontend : StftConfig
        Front-end; the paper's is 1024 samples, hop 512, sine window, 16 kHz.
    hidden_size, num_layers, recurrent_layers, cell, nonlinearity, bidirectional, dropout
        As in :class:`audiocli.nn.recurrent.HiddenStack`; the paper's best
        has three layers of 1000 ReLU units, the second one recurrent.
    context : int
        Frames the input layer sees, odd: the frame itself and its neighbours.
    power : float
        Magnitudes enter to this power; 1 in the paper. Below one, quiet
        partials count beside loud ones.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        frontend: StftConfig,
        *,
        hidden_size: int = 1000,
        num_layers: int = 3,
        recurrent_layers: Sequence[int] = (2,),
        cell: str = "rnn",
        nonlinearity: str = "relu",
        bidirectional: bool = False,
        dropout: float = 0.0,
        context: int = 3,
        power: float = 1.0,
    ) -> None:
        super().__init__(frontend)
        if context < 1 or context % 2 == 0:
            raise ModelError(f"context {context}: must be an odd number of frames, 1 or more")
        self.context = context
        self.power = power
        self.hidden = HiddenStack(
            frontend.bins * context,
            hidden_size,
            num_layers=num_layers,
            recurrent_layers=recurrent_layers,
            cell=cell,
            nonlinearity=nonlinearity,
            bidirectional=bidirectional,
            dropout=dropout,
        )
        self.output = nn.Linear(self.hidden.output_size, frontend.bins * self.num_sources)
        self.register_buffer("mean", torch.zeros(frontend.bins, 1))
        self.register_buffer("scale", torch.ones(frontend.bins, 1))

    def calibrate(self, magnitude: Tensor) -> None:
        """Set the mean and the scale of every input bin from spectra (batch, bins, frames)."""
        compressed = magnitude**self.power
        self.mean.copy_(compressed.mean(dim=(0, 2)).unsqueeze(1))
        self.scale.copy_(compressed.std(dim=(0, 2)).clamp(min=1e-5).unsqueeze(1))

    def outputs(self, magnitude: Tensor) -> Tensor:
        """Estimate source magnitudes (batch, sources, bins, frames) from (batch, bins, frames)."""
        output: Tensor = self.output(self._hidden(magnitude))
        batch, length, _ = output.shape
        return output.view(batch, length, self.num_sources, -1).permute(0, 2, 3, 1)

    def features(self, magnitude: Tensor) -> Tensor:
        """Compute the last hidden layer (batch, units, frames) of (batch, bins, frames)."""
        return self._hidden(magnitude).transpose(1, 2)

    def _hidden(self, magnitude: Tensor) -> Tensor:
        # Above zero, because the power's gradient is infinite there.
        compressed = magnitude.clamp(min=1e-8) ** self.power
        normal = (compressed - self.mean) / self.scale
        side = self.context // 2
        frames = F.pad(normal, (side, side)).unfold(2, magnitude.shape[2], 1)
        # (batch, bins, context, frames) -> (batch, frames, bins * context)
        stacked = frames.permute(0, 3, 1, 2).flatten(2)
        hidden: Tensor = self.hidden(stacked)
        return hidden
