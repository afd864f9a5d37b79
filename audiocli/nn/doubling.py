"""A layer that doubles the bands of a spectrum."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["Doubling"]


class Doubling(nn.ConvTranspose2d):
    """Double the bands by a transposed convolution.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    kernel : pair of int
        Its extent in bands, a multiple of 4, and in frames, which is odd.

    Examples
    --------
    >>> layer = Doubling(3, 2, (4, 1))
    >>> layer(torch.zeros(1, 3, 8, 5)).shape
    torch.Size([1, 2, 16, 5])
    """

    both: Tensor | None
    both_bias: Tensor | None

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int]) -> None:
        if kernel[0] % 4 or not kernel[1] % 2:
            raise ValueError(f"kernel {kernel}: a multiple of 4 bands, an odd number of frames")
        padding = kernel[0] // 2 - 1, kernel[1] // 2
        super().__init__(inputs, outputs, kernel, (2, 1), padding)
        # What `fuse` prepares. No weights of their own, they follow from those.
        self.register_buffer("both", None, persistent=False)
        self.register_buffer("both_bias", None, persistent=False)

    def fuse(self) -> None:
        """Prepare weights of one convolution that makes the even bands and the odd ones.

        It takes half the time: a transposed convolution with few channels is slow.
        """
        weight = self.weight.detach().flip(2, 3).transpose(0, 1)
        both = torch.cat([weight[:, :, ::2], weight[:, :, 1::2]])
        self.both = both.contiguous(memory_format=torch.channels_last)
        assert self.bias is not None  # there is one by default
        self.both_bias = self.bias.detach().repeat(2)

    def forward(self, x: Tensor, added: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """Map (batch, inputs, bands, frames) to twice the bands, and add what has so many.

        Once fused, the sum is put in the place of what is added.
        """
        if self.both is None:
            doubled = super().forward(x)
            return doubled if added is None else added + doubled  # in the layout of the former
        taps, frames = self.both.shape[2:]
        both = F.conv2d(x, self.both, self.both_bias, padding=(taps // 2, frames // 2))
        even, odd = both[:, : self.out_channels, :-1], both[:, self.out_channels :, 1:]
        if added is None:
            return torch.stack([even, odd], dim=3).flatten(2, 3)
        added[:, :, ::2] += even
        added[:, :, 1::2] += odd
        return added
