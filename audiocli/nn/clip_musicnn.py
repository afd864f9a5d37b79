"""musicnn: filters as wide as timbres and as long as rhythms, on three seconds of music at a time.

References
----------
Pons, Serra: musicnn: Pre-trained convolutional neural networks for music audio tagging. ISMIR
2019, late-breaking demo.
Pons, Nieto, Prockup, Schmidt, Ehmann, Serra: End-to-end learning for music audio tagging at scale.
ISMIR 2018.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiocli.errors import ModelError
from audiocli.nn.clipwise import ClipNetwork, levelled
from audiocli.nn.frontend import FilterbankConfig
from audiocli.nn.models import register

__all__ = ["ClipMusicnn"]

#: Shares of the bands that a wide filter covers, and its frames.
SHARES, BREADTH = (0.4, 0.7), 7


class _Affine(nn.Module):
    """What is left of a normalisation: a factor and an offset for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1))

    def forward(self, maps: Tensor) -> Tensor:
        """Scale (batch, channels, frames)."""
        return maps * self.weight + self.bias


class _Branch(nn.Module):
    """One musicnn, from a spectrogram of three seconds to its last hidden layers."""

    signs: Tensor

    def __init__(
        self,
        frontend: FilterbankConfig,
        filters: Sequence[int],
        lengths: Sequence[int],
        hidden: int,
        units: int,
    ) -> None:
        super().__init__()
        sizes = [(BREADTH, max(1, int(share * frontend.bands))) for share in SHARES]
        sizes += [(length, 1) for length in lengths]
        if len(filters) != len(sizes) or min(filters) < 1:
            raise ModelError(f"clip-musicnn: give {len(sizes)} numbers of filters, each 1 or more")
        self.input = _Affine(1)
        self.front = nn.ModuleList(
            nn.Conv2d(frontend.channels, count, size)
            for count, size in zip(filters, sizes, strict=True)
        )
        self.lengths = [size[0] for size in sizes]
        channels = sum(filters)
        # The original takes the greatest of the bands after a normalisation, which for some
        # filters turns the sign: for those it is the least of what the filter gives.
        self.register_buffer("signs", torch.ones(channels, 1))
        self.scaled = _Affine(channels)
        self.middle = nn.ModuleList(
            nn.Conv1d(inputs, hidden, BREADTH, padding=BREADTH // 2)
            for inputs in (channels + 1, hidden, hidden)
        )
        self.norms = nn.ModuleList(_Affine(hidden) for _ in self.middle)
        self.dense = nn.Linear(2 * (channels + len(self.middle) * hidden), units)

    def forward(self, images: Tensor, period: int | None = None) -> tuple[Tensor, Tensor]:
        """Compute the dense layer (batch, units) and the peaks of the last convolution.

        They are (batch, hidden); images are (batch, channels, frames, bands), and repeat
        themselves after `period` frames, if that is given.
        """
        images = self.input(images)
        found = [
            _greatest(filters, images, length, period)
            for filters, length in zip(self.front, self.lengths, strict=True)
        ]
        # A ReLU after the greatest of the bands is the greatest after a ReLU, on less.
        maps = [self.scaled(F.relu(torch.cat(found, dim=1) * self.signs))]
        # Ones stand for the filters that always give the same; zeros around them do not.
        hidden = torch.cat([maps[0], torch.ones_like(maps[0][:, :1])], dim=1)
        for place, (layer, norm) in enumerate(zip(self.middle, self.norms, strict=True)):
            output = norm(F.relu(_one_by_one(layer, hidden)))
            hidden = output + hidden if place else output
            maps.append(hidden)
        whole = torch.cat(maps, dim=1)
        peaks = whole.amax(dim=2)
        dense = F.relu(_one_by_one(self.dense, torch.cat([peaks, whole.mean(dim=2)], dim=1)))
        return dense, peaks[:, -hidden.shape[1] :]


def _one_by_one(layer: nn.Module, maps: Tensor) -> Tensor:
    """Apply a small layer, so that what comes out for a clip does not depend on its batch.

    Libraries for the processor add in another order where there are several.
    """
    if torch.is_grad_enabled() or maps.is_cuda or torch.onnx.is_in_onnx_export():
        whole: Tensor = layer(maps)
        return whole
    return torch.cat([layer(each) for each in torch.split(maps, 1)])


def _greatest(filters: nn.Module, images: Tensor, length: int, period: int | None) -> Tensor:
    """Convolve, and take the greatest of the bands: (batch, filters, frames).

    Of images that repeat themselves, so does the result, but at both ends, where zeros are around
    them: what is the same is computed once.
    """
    before, after, frames = (length - 1) // 2, length // 2, images.shape[2]
    if period is None or period + 2 * (before + after) >= frames:
        whole: Tensor = filters(F.pad(images, (0, 0, before, after))).amax(dim=3)
        return whole
    # as many frames as the beginning and one period depend on; then those of the end
    first = F.pad(images[:, :, : before + period + after], (0, 0, before, 0))
    beginning = filters(first).amax(dim=3)
    last = F.pad(images[:, :, frames - before - after :], (0, 0, 0, after))
    end = filters(last).amax(dim=3)
    inner = frames - before - after
    cycle = beginning[..., before:].repeat(1, 1, -(-inner // period))[..., :inner]
    return torch.cat([beginning[..., :before], cycle, end], dim=2)


@register("clip-musicnn")
class ClipMusicnn(ClipNetwork):
    """One musicnn or more, side by side; a step is three seconds long.

    Each step is processed by itself, at one peak level, with nothing on either side. What is
    left at the end of a recording is a step if it is half as long or longer; it is repeated to the
    length of a step.

    Parameters
    ----------
    frontend : FilterbankConfig
        Front-end.
    num_outputs : int
        Logits a clip; 0 for an encoder.
    filters : sequence of sequence of int
        For each network, filters that cover 40 and 70 % of the bands over 7 frames, and those of
        one band and each of the lengths.
    lengths : sequence of int
        Frames of the long filters.
    hidden : int
        Channels of the three layers between.
    units : int
        Features of each network.
    frames : int
        Of a step.
    peaks : bool
        Give features in two parts: ``dense``, of the last layer, and ``peaks``, what the channels
        of the last convolution reach within a step.
    most : int
        Steps that are processed of a long recording that is classified as a whole; 0 is all.
    dropout : float
        Share of the pooled features dropped in training.
    """

    alone = True

    def __init__(
        self,
        frontend: FilterbankConfig,
        *,
        num_outputs: int = 0,
        filters: Sequence[Sequence[int]] = ((204, 204, 51, 51, 51),),
        lengths: Sequence[int] = (128, 64, 32),
        hidden: int = 64,
        units: int = 200,
        frames: int = 187,
        peaks: bool = False,
        most: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(frontend)
        if not filters or min(*lengths, hidden, units, frames) < 1 or most < 0:
            raise ModelError("clip-musicnn: give filters, and sizes of 1 or more")
        self.branches = nn.ModuleList(
            _Branch(frontend, counts, lengths, hidden, units) for counts in filters
        )
        self.parts = {"dense": units * len(self.branches)}
        if peaks:
            self.parts["peaks"] = hidden * len(self.branches)
        self.units, self.stride, self.most = sum(self.parts.values()), frames, most
        self.finish(num_outputs, dropout)

    def steps(self, frames: int) -> int:
        """Count the steps of so many frames: less than half a step is none, but for the first."""
        return max(1, (2 * frames + self.stride) // (2 * self.stride))

    def images(self, audio: Tensor) -> Tensor:
        """Compute images of audio (batch, samples) with half the longest window on each side."""
        config, step = self.frontend.config, self.stride * self.frontend.config.hop_length
        total = 1 + (audio.shape[-1] - config.n_fft) // config.hop_length
        images = []
        for place in range(self.steps(total)):
            piece = audio[:, place * step : (place + 1) * step + config.n_fft - config.hop_length]
            with torch.no_grad(), torch.autocast(audio.device.type, enabled=False):
                image = self.scaled(self.frontend.frames(levelled(piece)))
            times = -(-self.stride // image.shape[-1])
            images.append(image.repeat(1, 1, 1, times)[..., : self.stride])
        return torch.cat(images, dim=-1)

    def embed_frames(self, audio: Tensor) -> Tensor:
        """Compute (batch, units, steps), and of a step that is repeated no more than it holds."""
        images = self.images(audio)
        config = self.frontend.config
        total = 1 + (audio.shape[-1] - config.n_fft) // config.hop_length
        full = images.shape[-1] - self.stride  # frames before the last step
        if total - full >= self.stride:
            return self.features(images)
        last = self._features(images[..., full:], total - full)
        return torch.cat([self.features(images[..., :full]), last], dim=2) if full else last

    def features(self, images: Tensor) -> Tensor:
        """Compute (batch, units, steps) of images (batch, channels, bands, steps * frames)."""
        return self._features(images, None)

    def _features(self, images: Tensor, period: int | None) -> Tensor:
        clips, channels, bands, frames = images.shape
        steps = images.reshape(clips, channels, bands, frames // self.stride, self.stride)
        steps = steps.permute(0, 3, 1, 4, 2).flatten(0, 1)
        dense, peaks = zip(*(branch(steps, period) for branch in self.branches), strict=True)
        found = torch.cat([*dense, *(peaks if "peaks" in self.parts else ())], dim=1)
        return found.view(clips, -1, self.units).transpose(1, 2)

    def compared(self, mean: Tensor) -> Tensor:
        """Compare clips by the last layer alone, of mean features (batch, units)."""
        return mean[:, : self.parts["dense"]]
