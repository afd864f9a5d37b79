"""A deep recurrent separation network whose weights are shared along frequency.

Dense layers over a spectrum must see every pitch at every place to know it; two
singers do not sing them all. Here each matrix of the deep recurrent network
becomes a convolution along frequency: the same small weights look at every
band, so what is learned at one pitch holds at the others. Strided
convolutions narrow the spectrum to a few bands, the recurrent layers run
through time in each of them, and transposed convolutions widen it again, with
the fine structure handed across at each width (the hourglass).

References
----------
Huang et al. 2014, 2015 (deep recurrent network, mask layer): see
:mod:`audiocli.nn.masking`.
Newell, Yang, Deng: Stacked hourglass networks for human pose estimation. ECCV 2016.
Park, Kim, Lee, Kwak: Music source separation using stacked hourglass networks. ISMIR 2018.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiocli.errors import ModelError
from audiocli.nn.doubling import Doubling
from audiocli.nn.frontend import StftConfig
from audiocli.nn.masking import MaskingNetwork
from audiocli.nn.models import register
from audiocli.nn.recurrent import recurrent_layer

__all__ = ["ConvolutionalDRNN", "Hourglass"]


def _convolution(inputs: int, outputs: int, kernel: tuple[int, int], stride: int = 1) -> nn.Module:
    """Convolve over (bands, frames), then normalise each channel over the batch."""
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, (stride, 1), padding, bias=False),
        nn.BatchNorm2d(outputs),
    )


class _Residual(nn.Module):
    """Two convolutions added to what they start from."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _convolution(channels, channels, (5, 3))
        self.second = _convolution(channels, channels, (5, 3))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.second(F.relu_(self.first(x)))
        return F.relu_(hidden.add_(x))  # in place: fresh memory costs more than the sum


class _BandwiseRecurrence(nn.Module):
    """A recurrent layer through time in every band, with one set of weights for all bands."""

    def __init__(self, channels: int, cell: str, nonlinearity: str, bidirectional: bool) -> None:
        super().__init__()
        self.recurrence = recurrent_layer(
            channels,
            channels // 2 if bidirectional else channels,
            cell=cell,
            nonlinearity=nonlinearity,
            bidirectional=bidirectional,
        )
        self.mix = _convolution(channels, channels, (5, 1))  # lets neighbouring bands talk

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, bands, frames = x.shape
        sequences = x.permute(0, 2, 3, 1).reshape(batch * bands, frames, channels)
        with torch.autocast(x.device.type, enabled=False):  # small steps: half precision drifts
            states: Tensor = self.recurrence(sequences.float())
        states = states.view(batch, bands, frames, channels).permute(0, 3, 1, 2)
        return F.relu_(self.mix(states).add_(x))


class _Context(nn.Module):
    """What all bands of all frames say together, added to each: it begins by adding nothing.

    A recurrent layer along frequency, from band to band of one frame; then one through time, of
    all bands at once.
    """

    def __init__(self, channels: int, bands: int, size: int) -> None:
        super().__init__()
        self.along = nn.LSTM(channels, channels, batch_first=True, bidirectional=True)
        self.from_along = nn.Linear(2 * channels, channels)
        self.through = nn.LSTM(bands * channels, size, batch_first=True, bidirectional=True)
        self.from_through = nn.Linear(2 * size, bands * channels)
        for last in (self.from_along, self.from_through):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, bands, frames = x.shape
        with torch.autocast(x.device.type, enabled=False):
            rows = x.permute(0, 3, 2, 1).float()  # (batch, frames, bands, channels)
            spectra = rows.reshape(batch * frames, bands, channels)
            spectra = spectra + self.from_along(self.along(spectra)[0])
            flat = spectra.reshape(batch, frames, bands * channels)
            flat = flat + self.from_through(self.through(flat)[0])
        states: Tensor = flat.view(batch, frames, bands, channels).permute(0, 3, 2, 1)
        return states


class Hourglass(nn.Module):
    """Narrow the bands of a spectrum step by step, run through time, and widen them again.

    Parameters
    ----------
    inputs, outputs : int
        Channels at both ends.
    channels : sequence of int
        Channels at each width, from half the number of bands downwards.
    num_recurrent : int
        Recurrent layers at the narrowest width.
    cell, nonlinearity, bidirectional
        As in :func:`audiocli.nn.recurrent.recurrent_layer`.
    context : pair of int, optional
        At the narrowest width, which has as many bands as the first says, recurrence along
        frequency, and through time with so many units a direction over all bands at once.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        channels: Sequence[int],
        num_recurrent: int,
        cell: str = "lstm",
        nonlinearity: str = "tanh",
        bidirectional: bool = True,
        context: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if not channels:
            raise ModelError("channels []: there must be a width")
        if bidirectional and channels[-1] % 2:
            raise ModelError(
                f"channels {list(channels)}: the last must be even, half for each direction"
            )
        self.divisor = 2 ** len(channels)
        widths = list(zip(channels, channels[1:], strict=False))
        self.widen_input = nn.Sequential(
            _convolution(inputs, channels[0], (7, 3), 2), nn.ReLU(inplace=True)
        )
        self.encoders = nn.ModuleList(_Residual(width) for width in channels)
        self.narrow = nn.ModuleList(
            nn.Sequential(_convolution(wide, slim, (5, 1), 2), nn.ReLU(inplace=True))
            for wide, slim in widths
        )
        self.recurrent = nn.Sequential(
            *(
                _BandwiseRecurrence(channels[-1], cell, nonlinearity, bidirectional)
                for _ in range(num_recurrent)
            )
        )
        self.context = nn.ModuleList()
        if context:
            self.context.extend(_Context(channels[-1], *context) for _ in range(2))
        self.widen = nn.ModuleList(Doubling(slim, wide, (4, 1)) for wide, slim in reversed(widths))
        self.decoders = nn.ModuleList(_Residual(wide) for wide, _ in reversed(widths))
        self.output = Doubling(channels[0], outputs, (8, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, inputs, bands, frames) to (batch, outputs, bands, frames).

        The number of bands must be a multiple of 2 to the number of widths.
        """
        hidden, across = self.waist(x)
        for widen, decoder in zip(self.widen, self.decoders, strict=True):
            hidden = decoder(widen(hidden, across.pop()))
        output: Tensor = self.output(hidden)
        return output

    def waist(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Compute the narrowest layer, after recurrence, and what is handed across to widen it."""
        # Channels last in memory: convolutions with few channels run up to twice as fast.
        hidden = self.widen_input(x.contiguous(memory_format=torch.channels_last))
        across = []
        for level, encoder in enumerate(self.encoders):
            hidden = encoder(hidden)
            if level < len(self.narrow):
                across.append(hidden)
                hidden = self.narrow[level](hidden)
        if not self.context:
            return self.recurrent(hidden), across
        first, second = self.context
        return second(self.recurrent(first(hidden))), across


@register("conv-drnn")
class ConvolutionalDRNN(MaskingNetwork):
    """Hourglass of convolutions along frequency around a deep recurrent net.

    Parameters
    ----------
    frontend : StftConfig
        Front-end; n_fft must be divisible by 2 to the number of widths plus one.
    channels, num_recurrent, cell, nonlinearity, bidirectional
        As in :class:`Hourglass`.
    power : float
        Magnitudes enter to this power.
    """

    scale: Tensor

    def __init__(
        self,
        frontend: StftConfig,
        *,
        channels: Sequence[int] = (24, 32, 48, 64, 64),
        num_recurrent: int = 2,
        cell: str = "lstm",
        nonlinearity: str = "tanh",
        bidirectional: bool = True,
        power: float = 0.4,
    ) -> None:
        super().__init__(frontend)
        self.power = power
        self.hourglass = Hourglass(
            2,
            self.num_sources,
            channels=channels,
            num_recurrent=num_recurrent,
            cell=cell,
            nonlinearity=nonlinearity,
            bidirectional=bidirectional,
        )
        if frontend.n_fft % (2 * self.hourglass.divisor):
            raise ModelError(
                f"channels {list(channels)}: n_fft {frontend.n_fft} must be divisible by 2 to the "
                "number of widths plus one"
            )
        self.register_buffer("scale", torch.ones(()))
        # Voices live in certain registers; without this every band would look the same.
        position = torch.linspace(-1, 1, frontend.bins - 1).view(1, -1, 1)
        self.register_buffer("position", position, persistent=False)

    def calibrate(self, magnitude: Tensor) -> None:
        """Set the scale of the input from example spectra (batch, bins, frames)."""
        self.scale.copy_((magnitude**self.power).std().clamp(min=1e-5))

    def outputs(self, magnitude: Tensor) -> Tensor:
        """Estimate source magnitudes (batch, sources, bins, frames) from (batch, bins, frames)."""
        output = F.softplus(self.hourglass(self._input(magnitude)).float())
        return F.pad(output, (0, 0, 0, 1), mode="replicate")

    def features(self, magnitude: Tensor) -> Tensor:
        """Compute the channels of the waist, (batch, channels, frames), as means over its bands."""
        return self.hourglass.waist(self._input(magnitude))[0].mean(dim=2)

    def _input(self, magnitude: Tensor) -> Tensor:
        # The highest bin is left out, so that the number of bands halves evenly.
        compressed = magnitude[:, :-1].clamp(min=1e-8) ** self.power / self.scale
        position: Tensor = self.position  # type: ignore[assignment]  # a buffer
        return torch.stack([compressed, position.expand_as(compressed)], dim=1)
