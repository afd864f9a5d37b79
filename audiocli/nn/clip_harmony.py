"""An encoder of harmony: pitch classes and registers of a clip, whatever its key.

The layers are those of a network for chords (:mod:`audiocli.nn.pitch_classes`), which knows
which notes sound together and how they move: other encoders resolve pitch too coarsely for that.
"""

from __future__ import annotations

import torch
from torch import Tensor

from audiocli.nn.clipwise import ClipNetwork
from audiocli.nn.frontend import FilterbankConfig
from audiocli.nn.models import register
from audiocli.nn.pitch_classes import PitchClassNetwork

__all__ = ["ClipHarmony"]


@register("clip-harmony")
class ClipHarmony(PitchClassNetwork, ClipNetwork):
    """Layers of pitch classes; a step is a frame, and says much the same in every key.

    Its features have two parts: ``circle``, mean and deviation over the twelve pitch classes of
    each channel of the last layer; and ``octaves``, the greatest in each octave of each channel
    of the semitones.

    Parameters
    ----------
    frontend : FilterbankConfig
    num_outputs : int
        Logits a clip; 0 for an encoder.
    octaves, channels, num_circles, dropout
        As in :class:`audiocli.nn.pitch_classes.PitchClassNetwork`.
    """

    def __init__(
        self,
        frontend: FilterbankConfig,
        *,
        num_outputs: int = 0,
        octaves: int = 7,
        channels: tuple[int, int, int] = (16, 32, 64),
        num_circles: int = 3,
        dropout: float = 0.2,
    ) -> None:
        super().__init__(
            frontend, octaves=octaves, channels=channels, num_circles=num_circles, dropout=dropout
        )
        self.parts = {"circle": 2 * channels[2], "octaves": channels[1] * octaves}
        self.units, self.stride = sum(self.parts.values()), 1
        self.finish(num_outputs, dropout)

    def features(self, images: Tensor) -> Tensor:
        """Compute (batch, units, frames) of images (batch, channels, bands, frames)."""
        semitones = self.semitones(images)
        circle = self.circle(semitones)
        deviation = (circle.var(dim=2, correction=0) + 1e-12).sqrt()
        return torch.cat([circle.mean(dim=2), deviation, semitones.amax(dim=2)], dim=1)
