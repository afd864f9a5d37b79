"""The hourglass for real recordings: stereo, full band, several sources.

Left and right become middle (their sum) and side (their difference), which is how
recordings are mixed: a lead voice stands in the middle, rooms and choirs in the side. One
network processes both, and gives each source a mask for the middle and another for the side.

The bins of a transform at 44.1 kHz are too many for a small network, and most of them lie where
pitch no longer tells sources apart. So bins are pooled to bands: one by one where partials
are to be resolved, wider and wider above. A mask holds for all bins of its band, up to half
the sample rate.

References
----------
See :mod:`audiocli.nn.hourglass` and :mod:`audiocli.nn.masking`.
Luo, Yu: Music source separation with band-split RNN. IEEE/ACM TASLP 31, 2023 (bands that
widen with frequency).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from audiocli.errors import ModelError
from audiocli.nn.frontend import StftConfig
from audiocli.nn.hourglass import ConvolutionalDRNN, Hourglass
from audiocli.nn.masking import MaskingNetwork, chosen, soft_mask
from audiocli.nn.models import register

__all__ = ["BANDS", "FRONTEND", "StereoDRNN"]

#: Windows of 64 ms, whose bins are as wide as those of 1024 samples at 16 kHz.
FRONTEND = StftConfig(sample_rate=44_100, n_fft=2816, hop_length=1408)
#: Number of bands and how many bins each pools: up to 3, 6, 10 and 22 kHz.
BANDS = ((192, 1), (96, 2), (64, 4), (32, 24))


@register("stereo-drnn")
class StereoDRNN(MaskingNetwork):
    """Hourglass around a deep recurrent net for two channels at once.

    Parameters
    ----------
    frontend : StftConfig
        Front-end.
    num_sources : int
        Number of signals to separate into.
    bands : sequence of pairs of int
        From low to high frequencies, the number of bands and how many bins each of them
        pools; together all bins but the highest. The number of bands must be divisible by 2
        to the number of widths.
    channels, num_recurrent, cell, nonlinearity, bidirectional
        As in :class:`audiocli.nn.hourglass.Hourglass`.
    power : float
        Magnitudes enter to this power.
    odds : float
        The first source counts so much in the masks, over what the last layer says: below 1 less
        of what is doubtful goes to it.
    context : pair of int, optional
        As in :class:`audiocli.nn.hourglass.Hourglass`.
    """

    scale: Tensor
    position: Tensor
    band: Tensor

    def __init__(
        self,
        frontend: StftConfig,
        *,
        num_sources: int = 2,
        bands: Sequence[Sequence[int]] = BANDS,
        channels: Sequence[int] = (24, 32, 48, 64, 64),
        num_recurrent: int = 3,
        cell: str = "lstm",
        nonlinearity: str = "tanh",
        bidirectional: bool = True,
        power: float = 0.4,
        odds: float = 1.0,
        context: Sequence[int] | None = None,
    ) -> None:
        super().__init__(frontend, num_sources)
        if not 0 < odds < math.inf:
            raise ModelError(f"odds {odds}: must be above 0")
        self.power = power
        self.odds = odds
        self.bands = [(int(count), int(width)) for count, width in bands]
        self.hourglass = Hourglass(
            5,  # middle, side, left, right, and the place in frequency
            2 * num_sources,
            channels=channels,
            num_recurrent=num_recurrent,
            cell=cell,
            nonlinearity=nonlinearity,
            bidirectional=bidirectional,
            context=context,
        )
        bins = sum(count * width for count, width in self.bands)
        number = sum(count for count, _ in self.bands)
        if bins != frontend.bins - 1 or number % self.hourglass.divisor:
            raise ModelError(
                f"bands {self.bands}: must pool {frontend.bins - 1} bins, the highest left out, "
                f"into a multiple of {self.hourglass.divisor} bands"
            )
        waist = number // self.hourglass.divisor
        if context and context[0] != waist:
            raise ModelError(f"context {tuple(context)}: the narrowest width has {waist} bands")
        self.register_buffer("scale", torch.ones(()))
        widths = torch.tensor([width for count, width in self.bands for _ in range(count)])
        centres = widths.cumsum(0) - widths / 2
        place = centres * frontend.sample_rate / frontend.n_fft / 8000
        # Even up to 8 kHz, from there on by octaves.
        position = torch.where(place < 1, 2 * place - 1, 1 + place.clamp(min=1).log())
        self.register_buffer("position", position.view(1, 1, -1, 1), persistent=False)
        band = torch.arange(number).repeat_interleave(widths)
        # The highest bin goes with the band below it.
        self.register_buffer("band", torch.cat([band, band[-1:]]), persistent=False)

    def calibrate(self, magnitude: Tensor) -> None:
        """Set the scale of the input from example spectra (batch, ..., bins, frames)."""
        self.scale.copy_((magnitude**self.power).std().clamp(min=1e-5))

    def load_mono(self, other: ConvolutionalDRNN) -> None:
        """Start from the weights of a network for one channel.

        Its channel becomes the middle; the mask of the side starts as that of the middle.
        """
        weights = other.hourglass.state_dict()
        first, last = "widen_input.0.0.weight", ("output.weight", "output.bias")
        fresh = torch.zeros_like(self.hourglass.state_dict()[first])
        old = weights[first]
        fresh[:, 0], fresh[:, -1] = old[:, 0], old[:, 1]
        weights[first] = fresh
        for name in last:
            axis = 1 if name.endswith("weight") else 0
            weights[name] = weights[name].repeat_interleave(2, dim=axis)
        try:
            self.hourglass.load_state_dict(weights)
        except RuntimeError as error:
            raise ModelError("its sizes are others than those of this network") from error
        self.scale.copy_(other.scale * 2 ** (self.power / 2))

    def outputs(self, magnitude: Tensor) -> Tensor:
        """Estimate magnitudes of the sources in middle and side, in bands.

        Of magnitudes (batch, 4, bins, frames) they are (batch, sources, 2, bands, frames).
        """
        pooled = [self._pooled(energy) for energy in magnitude.square().unbind(dim=1)]
        return self._outputs(torch.stack(pooled, dim=1))

    def masks(self, spectrum: Tensor) -> Tensor:
        """Compute the masks of middle and side of a complex mixture spectrum.

        Of a spectrum (batch, 2, bins, frames) they are (batch, sources, 2, bins, frames).
        """
        return self._spread(self._masks(spectrum))

    def masks_of_magnitude(self, magnitude: Tensor) -> Tensor:
        """Compute the masks (batch, sources, 2, bins, frames) of (batch, 4, bins, frames).

        As :meth:`masks`, of the magnitudes of middle, side, left and right.
        """
        return self._spread(soft_mask(self.outputs(magnitude)))

    def _masks(self, spectrum: Tensor) -> Tensor:
        """Compute the masks in bands, (batch, sources, 2, bands, frames)."""
        return soft_mask(self._outputs(self._band_energy(spectrum)))

    def _band_energy(self, spectrum: Tensor) -> Tensor:
        """Pool the energy of middle, side, left and right to (batch, 4, bands, frames)."""
        left, right = spectrum.unbind(dim=1)
        # Pooled one by one: four spectra at once would not stay in the processor's cache.
        sides = [self._pooled(_energy(channel)) / 2 for channel in (left + right, left - right)]
        return torch.stack([*sides, *(self._pooled(_energy(x)) for x in (left, right))], dim=1)

    def _outputs(self, energy: Tensor) -> Tensor:
        output = F.softplus(self.hourglass(self._input(energy)).float())
        output = output.view(len(output), self.num_sources, 2, *output.shape[2:])
        if self.odds == 1:
            return output
        return torch.cat([self.odds * output[:, :1], output[:, 1:]], dim=1)

    def _spread(self, masks: Tensor) -> Tensor:
        """Give each band's mask (..., bands, frames) to all of its bins (..., bins, frames)."""
        # Bins beside each other in memory, as in spectra: what is multiplied has to match.
        return masks.transpose(-1, -2).index_select(-1, self.band).transpose(-1, -2)

    def estimates(self, spectrum: Tensor, sources: Sequence[int] | None = None) -> Tensor:
        """Estimate the spectra (batch, sources, 2, bins, frames) of the sources of a mixture."""
        middle, side = chosen(self._masks(spectrum), sources).float().unbind(dim=2)
        # What turning to middle and side, masking and turning back comes to.
        same, crossed = self._spread((middle + side) / 2), self._spread((middle - side) / 2)
        left, right = spectrum.unsqueeze(1).unbind(dim=2)
        turned_back = [same * left + crossed * right, crossed * left + same * right]
        return torch.stack(turned_back, dim=2)

    def separate(self, audio: Tensor, sources: Sequence[int] | None = None) -> Tensor:
        """Separate audio (channels, samples) into (sources, channels, samples)."""
        if len(audio) == 2:
            together: Tensor = self(audio.unsqueeze(0), sources)[0]
            return together
        alone: Tensor = self(audio.unsqueeze(1).expand(-1, 2, -1), sources)
        return alone[:, :, 0].transpose(0, 1)

    def features(self, magnitude: Tensor) -> Tensor:
        """Compute the channels of the waist, (batch, channels, frames), of mono magnitudes."""
        energy = self._pooled(magnitude.square())
        inputs = torch.stack([2 * energy, torch.zeros_like(energy), energy, energy], dim=1)
        return self.hourglass.waist(self._input(inputs))[0].mean(dim=2)

    def _pooled(self, energy: Tensor) -> Tensor:
        """Pool bins (batch, bins, frames) to bands (batch, bands, frames)."""
        pooled = []
        start = 0
        for count, width in self.bands:
            part = energy[:, start : start + count * width]
            groups = part.reshape(len(part), count, width, part.shape[-1])
            pooled.append(groups.mean(dim=2) if width > 1 else part)
            start += count * width
        return torch.cat(pooled, dim=1)

    def _input(self, energy: Tensor) -> Tensor:
        """Compress the energy of bands (batch, 4, bands, frames), and add their places."""
        compressed = energy.clamp(min=1e-16) ** (self.power / 2) / self.scale
        place = self.position.expand(len(compressed), -1, -1, compressed.shape[-1])
        return torch.cat([compressed, place], dim=1)


def _energy(spectrum: Tensor) -> Tensor:
    # As abs() squared, which guards against overflow and takes five times as long.
    real, imaginary = torch.view_as_real(spectrum).unbind(dim=-1)
    return torch.addcmul(real.square(), imaginary, imaginary)
