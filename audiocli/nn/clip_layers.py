"""The lecture's path on clips: perceptron, multi-layer net, recurrent nets, convolutions, both.

References
----------
Rosenblatt: The perceptron. Psychological Review 65, 1958.
Rumelhart, Hinton, Williams: Learning representations by back-propagating errors. Nature 323, 1986.
Schuster, Paliwal: Bidirectional recurrent neural networks. IEEE Trans. Signal Processing 45, 1997.
Choi, Fazekas, Sandler, Cho: Convolutional recurrent neural networks for music classification.
ICASSP 2017.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiocli.errors import ModelError
from audiocli.nn.clipwise import ClipNetwork
from audiocli.nn.frontend import FilterbankConfig
from audiocli.nn.models import register
from audiocli.nn.recurrent import HiddenStack

__all__ = ["ClipCNN", "ClipMLP", "ClipRNN"]


@register("clip-mlp")
class ClipMLP(ClipNetwork):
    """Dense layers over the mean spectrum of each step; without any, a perceptron.

    Parameters
    ----------
    frontend : FilterbankConfig
        Front-end.
    num_outputs : int
        Logits a clip.
    hidden_size, num_layers : int
        Units and number of the hidden layers.
    stride : int
        Frames a step.
    dropout : float
        Share of the units dropped in training.
    """

    def __init__(
        self,
        frontend: FilterbankConfig,
        *,
        num_outputs: int,
        hidden_size: int = 128,
        num_layers: int = 1,
        stride: int = 10,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(frontend)
        if stride < 1:
            raise ModelError("clip-mlp: a step has one frame or more")
        size = frontend.channels * frontend.bands
        self.hidden = HiddenStack(
            size, hidden_size, num_layers=num_layers, recurrent_layers=(), dropout=dropout
        )
        self.units, self.stride = self.hidden.output_size, stride
        self.finish(num_outputs, dropout)

    def features(self, images: Tensor) -> Tensor:
        """Compute (batch, units, steps) of images (batch, channels, bands, frames)."""
        steps = F.avg_pool1d(images.flatten(1, 2), self.stride, ceil_mode=True)
        features: Tensor = self.hidden(steps.transpose(1, 2))
        return features.transpose(1, 2)


@register("clip-rnn")
class ClipRNN(ClipNetwork):
    """Recurrent layers over the bands of each frame.

    Parameters
    ----------
    frontend : FilterbankConfig
        Front-end.
    num_outputs : int
        Logits a clip.
    hidden_size, num_layers : int
        Units a direction, and number, of the layers.
    cell : {"rnn", "lstm", "gru"}
        What they are made of.
    bidirectional : bool
        Whether they read from the end as well.
    dropout : float
        Share of the units dropped in training.
    """

    def __init__(
        self,
        frontend: FilterbankConfig,
        *,
        num_outputs: int,
        hidden_size: int = 96,
        num_layers: int = 2,
        cell: str = "lstm",
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(frontend)
        self.hidden = HiddenStack(
            frontend.channels * frontend.bands,
            hidden_size,
            num_layers=num_layers,
            recurrent_layers=range(1, num_layers + 1),
            cell=cell,
            nonlinearity="tanh",
            bidirectional=bidirectional,
            dropout=dropout,
        )
        self.units, self.stride = self.hidden.output_size, 1
        self.finish(num_outputs, dropout)

    def features(self, images: Tensor) -> Tensor:
        """Compute (batch, units, steps) of images (batch, channels, bands, frames)."""
        with torch.autocast(images.device.type, enabled=False):  # small steps: half drifts
            states: Tensor = self.hidden(images.flatten(1, 2).transpose(1, 2).float())
        return states.transpose(1, 2)


@register("clip-cnn")
class ClipCNN(ClipNetwork):
    """Convolutions, each halving bands and frames, then optional recurrent layers.

    Parameters
    ----------
    frontend : FilterbankConfig
        Front-end.
    num_outputs : int
        Logits a clip; 0 for an encoder.
    channels : sequence of int
        Channels of each pair of convolutions.
    fine : int
        So many pairs, the last ones, halve the bands alone: finer steps.
    hidden_size, num_layers : int
        Units a direction, and number, of bidirectional GRU layers; 0 layers is a plain CNN.
    dropout : float
        Share of the pooled features dropped in training.
    """

    def __init__(
        self,
        frontend: FilterbankConfig,
        *,
        num_outputs: int,
        channels: Sequence[int] = (24, 48, 96, 160),
        fine: int = 0,
        hidden_size: int = 96,
        num_layers: int = 0,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(frontend)
        if min(channels, default=0) < 1 or not 0 <= fine <= len(channels):
            raise ModelError("clip-cnn: give channels, and of them as many fine ones or fewer")
        layers: list[nn.Module] = []
        inputs, bands = frontend.channels, frontend.bands
        halved = len(channels) - fine
        for index, outputs in enumerate(channels):
            layers += [*_convolution(inputs, outputs), *_convolution(outputs, outputs)]
            layers.append(nn.AvgPool2d((2, 2 if index < halved else 1), ceil_mode=True))
            inputs, bands = outputs, (bands + 1) // 2
        self.layers = nn.Sequential(*layers)
        self.units, self.stride = inputs, 2**halved
        self.hidden = None
        if num_layers:
            self.hidden = HiddenStack(
                inputs * bands,
                hidden_size,
                num_layers=num_layers,
                recurrent_layers=range(1, num_layers + 1),
                cell="gru",
                bidirectional=True,
                dropout=dropout,
            )
            self.units = self.hidden.output_size
        self.finish(num_outputs, dropout)

    def features(self, images: Tensor) -> Tensor:
        """Compute (batch, units, steps) of images (batch, channels, bands, frames)."""
        maps = self.layers(images.contiguous(memory_format=torch.channels_last))
        if self.hidden is None:
            # What is loudest among the bands, and what is there on the whole.
            features: Tensor = maps.amax(dim=2) + maps.mean(dim=2)
            return features
        with torch.autocast(images.device.type, enabled=False):  # small steps: half drifts
            states: Tensor = self.hidden(maps.flatten(1, 2).transpose(1, 2).float())
        return states.transpose(1, 2)


def _convolution(inputs: int, outputs: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    ]
