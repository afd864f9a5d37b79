"""What the networks share that say something of every frame: onsets, chords, classes in time."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from audiocli.frontend import Filterbank, FilterbankConfig

__all__ = ["FramewiseNetwork"]


class FramewiseNetwork(nn.Module):
    """Base: audio in, logits for each frame out.

    A child gives :meth:`outputs`; this class owns the front-end and the scale of the input.

    Parameters
    ----------
    frontend : FilterbankConfig
        What the network listens through.

    Examples
    --------
    >>> class Loudness(FramewiseNetwork):
    ...     def outputs(self, images):
    ...         return images.mean(dim=(1, 2)).unsqueeze(1)
    >>> Loudness(FilterbankConfig())(torch.zeros(2, 44100)).shape
    torch.Size([2, 1, 101])
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, frontend: FilterbankConfig) -> None:
        super().__init__()
        self.frontend = Filterbank(frontend)
        shape = (frontend.channels, frontend.bands, 1)
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("scale", torch.ones(shape))

    def calibrate(self, audio: Tensor) -> None:
        """Set mean and scale of the input from example audio (batch, samples)."""
        with torch.no_grad():
            images = self.frontend(audio)
            self.mean.copy_(images.mean(dim=(0, 3)).unsqueeze(2))
            # One scale a channel: a band that is mostly silent must not shout.
            deviation = images.std(dim=(0, 2, 3)).clamp(min=1e-3).view(-1, 1, 1)
            self.scale.copy_(deviation.expand_as(self.scale))

    @abstractmethod
    def outputs(self, images: Tensor) -> Tensor:
        """Compute logits (batch, outputs, frames) of images (batch, channels, bands, frames)."""

    def forward(self, audio: Tensor) -> Tensor:
        """Compute logits (batch, outputs, frames) of audio (batch, samples)."""
        half = self.frontend.config.n_fft // 2
        return self.of_frames(nn.functional.pad(audio, (half, half)))

    def images(self, audio: Tensor) -> Tensor:
        """Listen to audio (batch, samples) that has half the longest window on each side."""
        with torch.no_grad(), torch.autocast(audio.device.type, enabled=False):
            return (self.frontend.frames(audio) - self.mean) / self.scale

    def of_frames(self, audio: Tensor) -> Tensor:
        """As :meth:`forward`, of audio that has half the longest window on each side."""
        return self.outputs(self.images(audio))
