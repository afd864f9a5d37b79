"""A network for chords that is transposition-equivariant.

The outputs are structured: the chord itself (a root and a quality, or none), its bass, and the
pitch classes that sound. What comes before is in :mod:`audiocli.nn.pitch_classes`.

References
----------
McFee, Bello: Structured training for large-vocabulary chord recognition. ISMIR 2017.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from audiocli.nn.frontend import FilterbankConfig
from audiocli.nn.models import register
from audiocli.nn.pitch_classes import PITCH_CLASSES, PitchClassNetwork

__all__ = ["ChordCRNN"]


@register("chord-crnn")
class ChordCRNN(PitchClassNetwork):
    """Convolutions to pitch classes, then circular convolutions and recurrence.

    Its outputs for a frame are logits: of each root's qualities in turn, of no chord; of each
    bass, of no bass; of each pitch class by itself.

    Parameters
    ----------
    frontend : FilterbankConfig
    num_qualities : int
        Qualities of a chord.
    octaves, channels, num_circles, dropout
        As in :class:`audiocli.nn.pitch_classes.PitchClassNetwork`.
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
        super().__init__(
            frontend, octaves=octaves, channels=channels, num_circles=num_circles, dropout=dropout
        )
        self.num_qualities, classes = num_qualities, channels[2]
        self.chords = nn.Conv2d(classes, num_qualities, 1)
        self.basses = nn.Conv2d(classes, 1, 1)
        self.tones = nn.Conv2d(classes, 1, 1)
        self.nothing = nn.Linear(classes, 2)  # no chord, no bass
        #: How often each change was seen: (from quality, steps of the root, to quality).
        changes = torch.ones(num_qualities, PITCH_CLASSES, num_qualities)
        self.register_buffer("changes", changes / changes.numel())

    def outputs(self, images: Tensor) -> Tensor:
        """Compute logits (batch, outputs, frames) of images (batch, channels, bands, frames)."""
        hidden = self.circle(self.semitones(images))
        with torch.autocast(images.device.type, enabled=False):
            hidden = hidden.float()
            nothing = self.nothing(hidden.mean(dim=2).transpose(1, 2)).transpose(1, 2)
            chords = self.chords(hidden).transpose(1, 2).flatten(1, 2)  # root by root
            parts = [chords, nothing[:, :1], self.basses(hidden)[:, 0], nothing[:, 1:]]
            return torch.cat([*parts, self.tones(hidden)[:, 0]], dim=1)

    def features(self, images: Tensor) -> Tensor:
        """Compute the last layer (batch, channels, frames), as the mean over pitch classes."""
        return self.circle(self.semitones(images)).mean(dim=2)
