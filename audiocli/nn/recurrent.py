"""Stacks of hidden layers in which any layer may be recurrent.

The path of the lecture in one class: no recurrent layer gives a deep
feed-forward net (DNN), one among three the deep RNN (DRNN-1, -2, -3 by which
one), all of them the stacked RNN; `cell` and `bidirectional` lead on to LSTM
and to bidirectional nets.

References
----------
Huang, Kim, Hasegawa-Johnson, Smaragdis: Singing-voice separation from
monaural recordings using deep recurrent neural networks. ISMIR 2014.
Pascanu, Gulcehre, Cho, Bengio: How to construct deep recurrent neural
networks. ICLR 2014.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from audiocli.errors import ModelError

__all__ = ["NONLINEARITIES", "HiddenStack", "recurrent_layer"]

NONLINEARITIES: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}
CELLS = ("rnn", "lstm", "gru")


class ElmanLayer(nn.Module):
    """``h[t] = f(W x[t] + U h[t-1] + b)``, for any nonlinearity f.

    torch's own RNN knows tanh and ReLU; the sigmoid of the literature needs
    this loop. The recurrence starts small: with ReLU a recurrent matrix of
    spectral radius near one lets activations grow without bound.

    Parameters
    ----------
    input_size, hidden_size : int
        Number of features of x and h.
    nonlinearity : {"relu", "tanh", "sigmoid"}
        f.
    """

    def __init__(self, input_size: int, hidden_size: int, nonlinearity: str) -> None:
        super().__init__()
        self.input = nn.Linear(input_size, hidden_size)
        self.recurrent = nn.Linear(hidden_size, hidden_size, bias=False)
        nn.init.eye_(self.recurrent.weight)
        with torch.no_grad():
            self.recurrent.weight.mul_(0.5)
        self.function = NONLINEARITIES[nonlinearity]()

    def forward(self, x: Tensor) -> Tensor:
        """Run over (batch, frames, input_size), giving (batch, frames, hidden_size)."""
        driven = self.input(x)
        state = torch.zeros_like(driven[:, 0])
        states = []
        for step in driven.unbind(dim=1):
            state = self.function(step + self.recurrent(state))
            states.append(state)
        return torch.stack(states, dim=1)


class _Gated(nn.Module):
    """A torch LSTM or GRU that gives its output alone."""

    def __init__(self, cell: str, input_size: int, hidden_size: int, both: bool) -> None:
        super().__init__()
        gated = nn.LSTM if cell == "lstm" else nn.GRU
        self.cell = gated(input_size, hidden_size, batch_first=True, bidirectional=both)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.cell(x)[0]
        return output


class _Bidirectional(nn.Module):
    """Two Elman layers, one of which reads the frames from the end."""

    def __init__(self, input_size: int, hidden_size: int, nonlinearity: str):
        super().__init__()
        self.ahead = ElmanLayer(input_size, hidden_size, nonlinearity)
        self.back = ElmanLayer(input_size, hidden_size, nonlinearity)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.ahead(x), self.back(x.flip(1)).flip(1)], dim=-1)


def recurrent_layer(
    input_size: int,
    hidden_size: int,
    *,
    cell: str = "rnn",
    nonlinearity: str = "tanh",
    bidirectional: bool = False,
) -> nn.Module:
    """Make one recurrent layer."""
    _check_names(cell, nonlinearity)
    if cell != "rnn":
        return _Gated(cell, input_size, hidden_size, bidirectional)
    if bidirectional:
        return _Bidirectional(input_size, hidden_size, nonlinearity)
    return ElmanLayer(input_size, hidden_size, nonlinearity)


def _check_names(cell: str, nonlinearity: str) -> None:
    if cell not in CELLS:
        raise ModelError(f"unknown cell {cell!r}; use one of {', '.join(CELLS)}")
    if nonlinearity not in NONLINEARITIES:
        names = ", ".join(NONLINEARITIES)
        raise ModelError(f"unknown nonlinearity {nonlinearity!r}; use one of {names}")


class HiddenStack(nn.Module):
    """Hidden layers one on another, dense or recurrent.

    Parameters
    ----------
    input_size : int
        Number of features of a frame.
    hidden_size : int
        Units of each layer (of each direction, where bidirectional).
    num_layers : int
        How many.
    recurrent_layers : sequence of int
        Which of them are recurrent, counted from 1.
    cell, nonlinearity, bidirectional
        As in :func:`recurrent_layer`; dense layers use the nonlinearity too.
    dropout : float
        Share of each layer's outputs dropped in training.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        num_layers: int = 3,
        recurrent_layers: Sequence[int] = (2,),
        cell: str = "rnn",
        nonlinearity: str = "relu",
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        _check_names(cell, nonlinearity)
        outside = [layer for layer in recurrent_layers if not 1 <= layer <= num_layers]
        if outside:
            raise ModelError(f"recurrent layer {outside[0]}: the layers are 1 to {num_layers}")
        layers: list[nn.Module] = []
        size = input_size
        for layer in range(1, num_layers + 1):
            if layer in recurrent_layers:
                layers.append(
                    recurrent_layer(
                        size,
                        hidden_size,
                        cell=cell,
                        nonlinearity=nonlinearity,
                        bidirectional=bidirectional,
                    )
                )
                size = hidden_size * (2 if bidirectional else 1)
            else:
                layers += [nn.Linear(size, hidden_size), NONLINEARITIES[nonlinearity]()]
                size = hidden_size
            layers.append(nn.Dropout(dropout))
        self.layers = nn.Sequential(*layers)
        self.output_size = size

    def forward(self, x: Tensor) -> Tensor:
        """Run over (batch, frames, input_size), giving (batch, frames, output_size)."""
        output: Tensor = self.layers(x)
        return output
