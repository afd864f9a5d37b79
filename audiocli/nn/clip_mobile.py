"""Depthwise separable convolutions: the trunk of the encoders that others put heads on.

References
----------
Howard et al.: MobileNets: Efficient convolutional neural networks for mobile vision applications.
arXiv 1704.04861, 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from audiocli.errors import ModelError
from audiocli.nn.clipwise import ClipNetwork
from audiocli.nn.frontend import FilterbankConfig
from audiocli.nn.models import register

__all__ = ["ClipMobile"]

#: Frames that go through the first layers at once: their maps are large, and so stay in the cache.
PIECE = 768
#: Windows that go through all layers at once, for the same reason.
BATCH = 8


class _Convolution(nn.Sequential):
    """A convolution, the normalisation of each channel over the batch, and a ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, groups: int) -> None:
        # An even number of frames is halved exactly if the border is on the right alone.
        border = (0, 1, 0, 1) if stride == 2 else (kernel // 2,) * 4
        super().__init__(
            nn.ZeroPad2d(border),
            nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        )

    def fused(self, *, batched: bool) -> nn.Sequential:
        """Give the same function as fewer passes over memory, for inference alone."""
        border: Any = self[0]
        convolution: Any = self[1]
        norm: Any = self[2]
        whole = fuse_conv_bn_eval(convolution, norm)
        if batched and convolution.kernel_size == (1, 1):
            return nn.Sequential(_Pointwise(whole), nn.ReLU(inplace=True))
        if convolution.stride == (1, 1):
            whole.padding = (border.padding[0],) * 2
            return nn.Sequential(whole, nn.ReLU(inplace=True))
        return nn.Sequential(border, whole, nn.ReLU(inplace=True))


class _Pointwise(nn.Module):
    """A convolution of 1 x 1 as the matrix product that it is.

    On one thread torch takes the images of a batch one by one, and so reads the weights as often.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.weight = nn.Parameter(convolution.weight.detach()[:, :, 0, 0].contiguous())
        self.bias = convolution.bias

    def forward(self, maps: Tensor) -> Tensor:
        """Map (batch, channels, frames, bands), whose channels lie together in memory."""
        product = nn.functional.linear(maps.permute(0, 2, 3, 1), self.weight, self.bias)
        return product.permute(0, 3, 1, 2)


def _time_first(images: Tensor) -> Tensor:
    """Give images (batch, channels, bands, frames) as the literature's weights have them."""
    return images.transpose(2, 3).contiguous(memory_format=torch.channels_last)


@register("clip-mobile")
class ClipMobile(ClipNetwork):
    """MobileNet on a log-mel spectrogram, its last map averaged over the bands.

    Parameters
    ----------
    frontend : FilterbankConfig
        Front-end.
    num_outputs : int
        Logits a clip; 0 for an encoder.
    channels : sequence of int
        Channels of the first convolution and of each separable one.
    strides : sequence of int, optional
        Their strides, 1 or 2; by default the first, third, fifth and seventh halve the map.
    dropout : float
        Share of the pooled features dropped in training.
    projection : int
        Numbers that a linear layer without bias makes of mean features where clips are compared,
        see :meth:`compared`; 0 leaves it out.
    window : int
        Frames of the windows that are each processed by themselves, every half a window, and
        classified by themselves, as YAMNet does with 96; 0 runs over the whole recording.
    """

    def __init__(
        self,
        frontend: FilterbankConfig,
        *,
        num_outputs: int = 0,
        channels: Sequence[int] = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512),
        strides: Sequence[int] | None = None,
        dropout: float = 0.2,
        projection: int = 0,
        window: int = 0,
    ) -> None:
        super().__init__(frontend)
        if strides is None:
            strides = [2 if place in (0, 2, 4, 6) else 1 for place in range(len(channels))]
        if min(channels, default=0) < 1:
            raise ModelError("clip-mobile: give channels, each 1 or more")
        if projection < 0:
            raise ModelError(f"clip-mobile: projection {projection}: cannot be negative")
        if window < 0 or window % 4:
            raise ModelError(f"clip-mobile: window {window}: a multiple of 4 frames, or 0")
        if len(channels) != len(strides) or not set(strides) <= {1, 2}:
            raise ModelError("clip-mobile: give as many strides, 1 or 2, as channels")
        layers: list[nn.Module] = [_Convolution(frontend.channels, channels[0], 3, strides[0], 1)]
        for inputs, outputs, stride in zip(channels, channels[1:], strides[1:], strict=False):
            layers.append(_Convolution(inputs, inputs, 3, stride, inputs))
            layers.append(_Convolution(inputs, outputs, 1, 1, 1))
        self.layers = nn.Sequential(*layers)
        # The layers up to the third halving, and how many frames to either side they depend on.
        self._early, self._halved, reach = 0, 1, 0
        for place, stride in enumerate(strides):
            if self._halved == 8:
                break
            reach += self._halved
            self._early, self._halved = 1 + 2 * place, self._halved * stride
        self._reach = -(-reach // self._halved) * self._halved
        self.projection = nn.Linear(channels[-1], projection, bias=False) if projection else None
        self.units, self.window = channels[-1], window
        self.stride = window // 2 or 2 ** sum(stride == 2 for stride in strides)
        self.finish(num_outputs, dropout)

    def fuse(self) -> None:
        """Fold the normalisations into the convolutions; the network can no longer be trained."""
        self.layers = nn.Sequential(
            *(
                each.fused(batched=self.window > 0) if isinstance(each, _Convolution) else each
                for each in self.layers
            )
        )

    def features(self, images: Tensor) -> Tensor:
        """Compute (batch, units, steps) of images (batch, channels, bands, frames)."""
        if self.window:
            return self._of_windows(images)
        missing = -images.shape[-1] % self.stride
        images = (
            nn.functional.pad(images, (0, missing, 0, 0), mode="replicate") if missing else images
        )
        maps = _time_first(images)
        long = maps.shape[2] > 2 * PIECE and not self.training
        features: Tensor = (self._in_pieces(maps) if long else self.layers(maps)).mean(dim=3)
        return features

    def _of_windows(self, images: Tensor) -> Tensor:
        """Compute the mean of the last map (batch, units, steps) of a window around each step."""
        steps, missing = self.steps(images.shape[-1]), self.window - images.shape[-1]
        if missing > 0:  # behind a short sound nothing sounds
            nothing = (torch.zeros_like(images[..., :1]) - self.mean) / self.scale
            images = torch.cat([images, nothing.expand(*images.shape[:-1], missing)], dim=-1)
        middle = torch.arange(steps) * self.stride - self.stride // 2
        starts = middle.clamp(0, images.shape[-1] - self.window).tolist()
        found = []
        for few in (starts[place : place + BATCH] for place in range(0, steps, BATCH)):
            windows = torch.stack([images[..., start : start + self.window] for start in few], 1)
            maps = self.layers(_time_first(windows.flatten(0, 1)))
            found.append(maps.mean(dim=(2, 3)).unflatten(0, (len(images), len(few))))
        return torch.cat(found, dim=1).transpose(1, 2)

    def _in_pieces(self, maps: Tensor) -> Tensor:
        """Compute the last map of (batch, channels, frames, bands), large ones in pieces."""
        early, late = self.layers[: self._early], self.layers[self._early :]
        found = []
        for begin in range(0, maps.shape[2], PIECE):
            first = max(begin - self._reach, 0)
            piece = early(maps[:, :, first : begin + PIECE + self._reach])
            inner = (begin - first) // self._halved
            found.append(piece[:, :, inner : inner + PIECE // self._halved])
        last: Tensor = late(torch.cat(found, dim=2))
        return last

    def compared(self, mean: Tensor) -> Tensor:
        """Turn mean features (batch, units) to the directions along which clips are compared."""
        if self.projection is None:
            return mean
        turned: Tensor = self.projection(mean)
        return turned
