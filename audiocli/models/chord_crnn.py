"""A network of chords that hears all twelve keys alike.

Convolutions over fine bands of a log-frequency spectrogram become semitones, the octaves are
folded to twelve pitch classes, and from there on every layer shares its weights over the
circle of pitch classes: what it learned of C major it knows of F sharp major. Between
circular convolutions, which relate each pitch class to the eleven others, recurrent layers read
each pitch class through time in both directions.

The outputs are structured: the chord itself (a root and a quality, or none), its bass, and the
pitch classes that sound.

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
from audiocli.frontend import FilterbankConfig
from audiocli.models import register
from audiocli.models.framewise import FramewiseNetwork

__all__ = ["PITCH_CLASSES", "ChordCRNN"]

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


@register("chord-crnn")
class ChordCRNN(FramewiseNetwork):
    """Convolutions to pitch classes, then circular convolutions and recurrence.

    Its outputs for a frame are logits: of each root's qualities in turn, of no chord; of each
    bass, of no bass; of each pitch class by itself.

    Parameters
    ----------
    frontend : FilterbankConfig
        Log-spaced bands, a multiple of three to the semitone over whole octaves.
    num_qualities : int
        Qualities of a chord.
    octaves : int
        How many octaves the bands span.
    channels : sequence of int
        Of the bands, of the semitones, and of the pitch classes (even).
    num_circles : int
        How often pitch classes are related and read through time.
    dropout : float
        Share of features dropped in training.

    Examples
    --------
    >>> config = FilterbankConfig(sample_rate=8000, n_ffts=(1024,), hop_length=800, bands=72,
    ...                           scale="log", fmin=100, fmax=1700, difference=False)
    >>> network = ChordCRNN(config, octaves=2, channels=[4, 8, 8], num_circles=1)
    >>> network(torch.randn(3, 16000)).shape
    torch.Size([3, 218, 21])
    """

    changes: Tensor

    def __init__(
        self,
        frontend: FilterbankConfig,
        *,
        num_qualities: int = 16,
        octaves: int = 7,
        channels: tuple[int, int, int] = (16, 32, 64),
        num_circles: int = 3,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(frontend)
        per_semitone = frontend.bands // (PITCH_CLASSES * octaves)
        if frontend.bands != per_semitone * PITCH_CLASSES * octaves or not per_semitone % 2:
            raise ModelError(
                f"chord-crnn: {frontend.bands} bands are not an odd number for each semitone of "
                f"{octaves} octaves"
            )
        bands, tones, classes = channels
        if classes % 2:
            raise ModelError(f"chord-crnn: {classes} channels of pitch classes must be even")
        self.num_qualities, self.octaves = num_qualities, octaves
        self.to_semitones = nn.Sequential(
            _convolution(frontend.channels, bands, (5, 3)),
            _convolution(bands, tones, (2 * per_semitone - 1, 3), per_semitone),
            _convolution(tones, tones, (3, 1)),
        )
        self.fold = _convolution(tones * octaves, classes, (1, 1))
        self.circles = nn.Sequential(*(_Circle(classes, dropout) for _ in range(num_circles)))
        self.chords = nn.Conv2d(classes, num_qualities, 1)
        self.basses = nn.Conv2d(classes, 1, 1)
        self.tones = nn.Conv2d(classes, 1, 1)
        self.nothing = nn.Linear(classes, 2)  # no chord, no bass
        #: How often each change was seen: (from quality, steps of the root, to quality).
        changes = torch.ones(num_qualities, PITCH_CLASSES, num_qualities)
        self.register_buffer("changes", changes / changes.numel())

    def outputs(self, images: Tensor) -> Tensor:
        """Compute logits (batch, outputs, frames) of images (batch, channels, bands, frames)."""
        hidden = self._circle(images)
        with torch.autocast(images.device.type, enabled=False):
            hidden = hidden.float()
            nothing = self.nothing(hidden.mean(dim=2).transpose(1, 2)).transpose(1, 2)
            chords = self.chords(hidden).transpose(1, 2).flatten(1, 2)  # root by root
            parts = [chords, nothing[:, :1], self.basses(hidden)[:, 0], nothing[:, 1:]]
            return torch.cat([*parts, self.tones(hidden)[:, 0]], dim=1)

    def features(self, images: Tensor) -> Tensor:
        """Compute the last layer (batch, channels, frames), as the mean over pitch classes."""
        return self._circle(images).mean(dim=2)

    def _circle(self, images: Tensor) -> Tensor:
        """Compute the last layer, (batch, channels, 12, frames)."""
        # Channels last in memory: convolutions with few channels run up to twice as fast.
        semitones = self.to_semitones(images.contiguous(memory_format=torch.channels_last))
        batch, channels, _, frames = semitones.shape
        octaves = semitones.reshape(batch, channels * self.octaves, PITCH_CLASSES, frames)
        circle: Tensor = self.circles(self.fold(octaves))
        return circle
