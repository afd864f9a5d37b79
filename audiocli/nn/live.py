"""A causal separation network for stereo, which needs no sound that is still to come.

The network of :mod:`audiocli.nn.stereo` with another inside: convolutions reach back in time alone,
the recurrence runs forward, and the level of the input is a running one. So the spectrum can come
frame by frame, with what each layer remembers carried along in a :class:`Memory`, and what comes
out is the same as for the whole.

References
----------
See :mod:`audiocli.nn.stereo`.
van den Oord et al.: WaveNet: a generative model for raw audio. 2016 (causal convolutions).
Welford: Note on a method for calculating corrected sums of squares and products. Technometrics
4(3), 1962 (running means).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiocli.errors import ModelError
from audiocli.nn.frontend import StftConfig
from audiocli.nn.masking import chosen, soft_mask
from audiocli.nn.models import register
from audiocli.nn.stereo import BANDS, StereoDRNN

__all__ = ["CausalHourglass", "LiveDRNN", "Memory"]

#: How long the running level remembers, in s.
REMEMBERED = 4.0
#: Frames this far below the running level, as power, are pauses and do not change it.
PAUSE = 1e-4
BACKWARD = "_reverse"  # as torch calls the weights of the second direction
TAPS = 3  # frames that a convolution sees, the present one and those before


@dataclass
class Memory:
    """What the layers remember of the frames so far; empty at the beginning.

    Attributes
    ----------
    layers : dict
        By layer: the last frames of its input, or the state of its recurrence.
    power, frames : Tensor or None
        Running level, and number of frames that made it.
    """

    layers: dict[nn.Module, Any] = field(default_factory=dict)
    power: Tensor | None = None
    frames: Tensor | None = None


def _with_past(layer: nn.Module, x: Tensor, memory: Memory | None) -> Tensor:
    """Put before the frames of x (..., frames) those that a layer saw last, or silence."""
    past = None if memory is None else memory.layers.get(layer)
    joined = F.pad(x, (TAPS - 1, 0)) if past is None else torch.cat([past, x], dim=-1)
    if memory is not None:
        memory.layers[layer] = joined[..., 1 - TAPS :]
    return joined


class _Convolution(nn.Module):
    """Convolve over (bands, frames) up to the present frame, and normalise each channel."""

    def __init__(self, inputs: int, outputs: int, bands: int, stride: int = 1, taps: int = TAPS):
        super().__init__()
        self.taps = taps
        self.convolution = nn.Conv2d(
            inputs, outputs, (bands, taps), (stride, 1), (bands // 2, 0), bias=False
        )
        self.normalisation = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor, memory: Memory | None) -> Tensor:
        seen = _with_past(self, x, memory) if self.taps > 1 else x
        normalised: Tensor = self.normalisation(self.convolution(seen))
        return normalised


class _Residual(nn.Module):
    """Two convolutions added to what they start from."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _Convolution(channels, channels, 5)
        self.second = _Convolution(channels, channels, 5)

    def forward(self, x: Tensor, memory: Memory | None) -> Tensor:
        return F.relu(x + self.second(F.relu(self.first(x, memory)), memory))


class _Recurrence(nn.Module):
    """An LSTM forward through time in every band, with one set of weights for all bands."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.recurrence = nn.LSTM(channels, channels, batch_first=True)
        self.mix = _Convolution(channels, channels, 5, taps=1)

    def forward(self, x: Tensor, memory: Memory | None) -> Tensor:
        batch, channels, bands, frames = x.shape
        sequences = x.permute(0, 2, 3, 1).reshape(batch * bands, frames, channels)
        state = None if memory is None else memory.layers.get(self)
        with torch.autocast(x.device.type, enabled=False):  # small steps: half precision drifts
            states, state = self.recurrence(sequences.float(), state)
        if memory is not None:
            memory.layers[self] = state
        states = states.view(batch, bands, frames, channels).permute(0, 3, 1, 2)
        return F.relu(x + self.mix(states, memory))


class CausalHourglass(nn.Module):
    """The hourglass of :mod:`audiocli.nn.hourglass` without a look ahead.

    Parameters
    ----------
    inputs, outputs : int
        Channels at both ends.
    channels : sequence of int
        Channels at each width, from half the number of bands downwards.
    num_recurrent : int
        LSTM layers at the narrowest width.
    """

    def __init__(
        self, inputs: int, outputs: int, *, channels: Sequence[int], num_recurrent: int
    ) -> None:
        super().__init__()
        if not channels:
            raise ModelError("channels []: there must be a width")
        self.divisor = 2 ** len(channels)
        widths = list(zip(channels, channels[1:], strict=False))
        self.widen_input = _Convolution(inputs, channels[0], 7, 2)
        self.encoders = nn.ModuleList(_Residual(width) for width in channels)
        self.narrow = nn.ModuleList(_Convolution(wide, slim, 5, 2, taps=1) for wide, slim in widths)
        self.recurrent = nn.ModuleList(_Recurrence(channels[-1]) for _ in range(num_recurrent))
        self.widen = nn.ModuleList(
            nn.ConvTranspose2d(slim, wide, (4, 1), (2, 1), (1, 0))
            for wide, slim in reversed(widths)
        )
        self.decoders = nn.ModuleList(_Residual(wide) for wide, _ in reversed(widths))
        self.output = nn.ConvTranspose2d(channels[0], outputs, (8, 1), (2, 1), (3, 0))

    def forward(self, x: Tensor, memory: Memory | None) -> Tensor:
        """Map (batch, inputs, bands, frames) to (batch, outputs, bands, frames).

        With a memory, these are the frames that follow those of the call before.
        """
        hidden, across = self.waist(x, memory)
        for widen, decoder in zip(self.widen, self.decoders, strict=True):
            hidden = decoder(across.pop() + widen(hidden), memory)
        output: Tensor = self.output(hidden)
        return output

    def waist(self, x: Tensor, memory: Memory | None = None) -> tuple[Tensor, list[Tensor]]:
        """Compute the narrowest layer, after recurrence, and what is handed across to widen it."""
        # Channels last in memory: for single frames torch else takes its slowest convolution.
        x = x.contiguous(memory_format=torch.channels_last)
        hidden = F.relu(self.widen_input(x, memory))
        across = []
        for level, encoder in enumerate(self.encoders):
            hidden = encoder(hidden, memory)
            if level < len(self.narrow):
                across.append(hidden)
                hidden = F.relu(self.narrow[level](hidden, memory))
        for recurrence in self.recurrent:
            hidden = recurrence(hidden, memory)
        return hidden, across


def _causal(weights: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """Turn the weights of a layer that knows the future into those of one that does not."""
    if f"weight_hh_l0{BACKWARD}" in weights:
        return {
            name: _both_directions(weights[name], weights[name + BACKWARD], "weight_hh" in name)
            for name in wanted
        }
    kernel = weights["weight"]
    if kernel.ndim == 4 and kernel.shape[-1] == TAPS:
        before, present, after = kernel.unbind(dim=-1)
        taps = [torch.zeros_like(before), before, present + after]
        length = wanted["weight"].shape[-1]  # one frame, where the rest would be the future's
        kernel = torch.stack(taps, dim=-1) if length == TAPS else kernel.sum(dim=-1, keepdim=True)
    return {**weights, "weight": kernel}


def _both_directions(forward: Tensor, backward: Tensor, recurrent: bool) -> Tensor:
    """Put two LSTM layers beside each other in one, gate by gate."""
    gates = zip(forward.chunk(4), backward.chunk(4), strict=True)
    if recurrent:
        return torch.cat([torch.block_diag(*gate) for gate in gates])  # type: ignore[no-untyped-call]
    return torch.cat([torch.cat(gate) for gate in gates])


@register("live-drnn")
class LiveDRNN(StereoDRNN):
    """Causal hourglass for two channels, which can run frame by frame.

    Parameters
    ----------
    frontend : StftConfig
        Front-end; a sample is final one window after it came.
    num_sources, bands, power, odds
        As in :class:`audiocli.nn.stereo.StereoDRNN`.
    channels, num_recurrent
        As in :class:`CausalHourglass`.
    """

    hourglass: CausalHourglass  # type: ignore[assignment]  # in the place of the other

    def __init__(
        self,
        frontend: StftConfig,
        *,
        num_sources: int = 2,
        bands: Sequence[Sequence[int]] = BANDS,
        channels: Sequence[int] = (24, 32, 48, 64, 64),
        num_recurrent: int = 3,
        power: float = 0.4,
        odds: float = 1.0,
    ) -> None:
        # The other hourglass is as small as can be, and goes at once.
        super().__init__(
            frontend,
            num_sources=num_sources,
            bands=bands,
            channels=[2] * max(len(channels), 1),
            num_recurrent=0,
            power=power,
            odds=odds,
        )
        self.hourglass = CausalHourglass(
            5, 2 * num_sources, channels=channels, num_recurrent=num_recurrent
        )

    @property
    def latency(self) -> float:
        """Seconds from a sample to its estimate, without the time that computing takes."""
        return self.stft.config.n_fft / self.stft.config.sample_rate

    def load_stereo(self, other: StereoDRNN) -> None:
        """Start from the weights of a network of the same sizes that knows the future.

        Of a convolution over three frames the last must do for the one to come, which is much
        like it. Both directions of a recurrence run forward, beside each other. Context is left
        out, as it depends on what is to come.
        """
        kinds = nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.LSTM
        own, others = (
            [
                layer
                for name, layer in network.hourglass.named_modules()
                if isinstance(layer, kinds) and not name.startswith("context.")
            ]
            for network in (self, other)
        )
        try:
            for layer, source in zip(own, others, strict=True):
                layer.load_state_dict(_causal(source.state_dict(), layer.state_dict()))
        except (RuntimeError, ValueError) as error:
            raise ModelError("its sizes are others than those of this network") from error
        self.scale.copy_(other.scale)

    def advance(
        self, spectrum: Tensor, memory: Memory | None, sources: Sequence[int] | None = None
    ) -> Tensor:
        """Estimate the sources (batch, sources, 2, bins, frames) of the next frames."""
        masks = soft_mask(self._outputs(self._band_energy(spectrum), memory))
        middle, side = chosen(masks, sources).float().unbind(dim=2)
        same, crossed = self._spread((middle + side) / 2), self._spread((middle - side) / 2)
        left, right = spectrum.unsqueeze(1).unbind(dim=2)
        return torch.stack([same * left + crossed * right, crossed * left + same * right], dim=2)

    def estimates(self, spectrum: Tensor, sources: Sequence[int] | None = None) -> Tensor:
        """Estimate the sources of a whole spectrum; see :meth:`advance`."""
        return self.advance(spectrum, None, sources)

    def calibrate(self, magnitude: Tensor) -> None:
        """Set the scale of the input from example spectra (batch, 2, bins, frames)."""
        with torch.no_grad():
            pooled = torch.stack(
                [self._pooled(each) for each in magnitude.square().unbind(dim=1)], dim=1
            )
            levelled = pooled / self._running_power(pooled, None)
            self.scale.copy_((levelled ** (self.power / 2)).std().clamp(min=1e-5))

    def features(self, magnitude: Tensor) -> Tensor:
        """Compute the channels of the waist, (batch, channels, frames), of mono magnitudes."""
        energy = self._pooled(magnitude.square())
        inputs = torch.stack([2 * energy, torch.zeros_like(energy), energy, energy], dim=1)
        levelled = inputs / self._running_power(inputs, None)
        return self.hourglass.waist(self._input(levelled))[0].mean(dim=2)

    def _outputs(self, energy: Tensor, memory: Memory | None = None) -> Tensor:
        with torch.no_grad():
            levelled = energy / self._running_power(energy, memory)
        output = F.softplus(self.hourglass(self._input(levelled), memory).float())
        output = output.view(len(output), self.num_sources, 2, *output.shape[2:])
        if self.odds == 1:
            return output
        return torch.cat([self.odds * output[:, :1], output[:, 1:]], dim=1)

    def _running_power(self, energy: Tensor, memory: Memory | None) -> Tensor:
        """Average the power of (batch, channels, bands, frames) up to each frame, over bands.

        At first the mean of all frames that are no pauses, later one that forgets.
        """
        count = len(energy)
        power = energy.new_zeros(count) if memory is None else memory.power
        frames = energy.new_zeros(count) if memory is None else memory.frames
        if power is None or frames is None:
            power, frames = energy.new_zeros(count), energy.new_zeros(count)
        longest = REMEMBERED * self.stft.config.frame_rate
        powers = []
        for present in energy.mean(dim=(1, 2)).unbind(dim=-1):
            sounds = present > PAUSE * power
            frames = torch.where(sounds, (frames + 1).clamp(max=longest), frames)
            moved = power + (present - power) / frames.clamp(min=1)
            power = torch.where(sounds, moved, power)
            powers.append(power)
        if memory is not None:
            memory.power, memory.frames = power, frames
        return torch.stack(powers, dim=-1).clamp(min=1e-20)[:, None, None, :]
