"""Layers that are transposition-equivariant: they share weights over all twelve pitch classes.

Convolutions over fine bands of a log-frequency spectrogram become semitones, the octaves are
folded to twelve pitch classes, and from there on every layer shares its weights over the
circle of pitch classes: what it learned of C major it knows of F sharp major. Between
circular convolutions, which relate each pitch class to the eleven others, recurrent layers read
each pitch class through time in both directions.

References
----------
McFee, Bello: Structured training for large-vocabulary chord recognition. ISMIR 2017.
Korzeniowski, Widmer: A fully convolutional deep auditory model for musical chord recognition.
MLSP 2016.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from audiocli.errors import ModelError
from audiocli.nn.framewise import FramewiseNetwork
from audiocli.nn.frontend import FilterbankConfig

__all__ = ["PITCH_CLASSES", "PitchClassNetwork"]

PITCH_CLASSES = 12


def _convolution(inputs: int, outputs: int, kernel: tuple[int, int], stride: int = 1) -> nn.Module:
    """Convolve over (bands, frames), then normalise each channel over the batch."""
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, (stride, 1), padding, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


class _Circle(nn.Module):
    """Relate each pitch class to all others, then read each through time."""

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        self.relate = nn.Conv2d(channels, channels, (PITCH_CLASSES, 1), bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.recurrence = nn.GRU(channels, channels // 2, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        round_ = torch.cat([x, x[:, :, : PITCH_CLASSES - 1]], dim=2)
        x = x + torch.relu(self.norm(self.relate(round_)))
        batch, channels, classes, frames = x.shape
        sequences = x.permute(0, 2, 3, 1).reshape(batch * classes, frames, channels)
        with torch.autocast(x.device.type, enabled=False):  # small steps: half precision drifts
            states = self.dropout(self.recurrence(sequences.float())[0])
        states = states.view(batch, classes, frames, channels)
        summed: Tensor = x + states.permute(0, 3, 1, 2)
        return summed


class PitchClassNetwork(FramewiseNetwork):
    """Base: convolutions to pitch classes, then circular convolutions and recurrence.

    Parameters
    ----------
    frontend : FilterbankConfig
        Log-spaced bands, an odd number of them to the semitone over whole octaves.
    octaves : int
        How many octaves the bands span.
    channels : sequence of int
        Of the bands, of the semitones, and of the pitch classes (even).
    num_circles : int
        How often pitch classes are related and read through time.
    dropout : float
        Share of features dropped in training.
    """

    def __init__(
        self,
        frontend: FilterbankConfig,
        *,
        octaves: int = 7,
        channels: tuple[int, int, int] = (16, 32, 64),
        num_circles: int = 3,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(frontend)
        per_semitone = frontend.bands // (PITCH_CLASSES * octaves)
        if frontend.bands != per_semitone * PITCH_CLASSES * octaves or not per_semitone % 2:
            raise ModelError(
                f"pitch classes: {frontend.bands} bands are not an odd number for each semitone of "
                f"{octaves} octaves"
            )
        bands, tones, classes = channels
        if classes % 2:
            raise ModelError(f"pitch classes: their channels, {classes}, must be even")
        self.octaves = octaves
        self.to_semitones = nn.Sequential(
            _convolution(frontend.channels, bands, (5, 3)),
            _convolution(bands, tones, (2 * per_semitone - 1, 3), per_semitone),
            _convolution(tones, tones, (3, 1)),
        )
        self.fold = _convolution(tones * octaves, classes, (1, 1))
        self.circles = nn.Sequential(*(_Circle(classes, dropout) for _ in range(num_circles)))

    def semitones(self, images: Tensor) -> Tensor:
        """Compute (batch, channels * octaves, 12, frames) of images, before octaves are folded."""
        # Channels last in memory: convolutions with few channels run up to twice as fast.
        semitones = self.to_semitones(images.contiguous(memory_format=torch.channels_last))
        batch, channels, _, frames = semitones.shape
        octaves: Tensor = semitones.reshape(batch, channels * self.octaves, PITCH_CLASSES, frames)
        return octaves

    def circle(self, semitones: Tensor) -> Tensor:
        """Compute the last layer (batch, channels, 12, frames) of what `semitones` gives."""
        circle: Tensor = self.circles(self.fold(semitones))
        return circle
