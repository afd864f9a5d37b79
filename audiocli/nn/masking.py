"""What the separation networks share: the mask layer and the way from audio to stems.

References
----------
Huang, Kim, Hasegawa-Johnson, Smaragdis: Joint optimization of masks and deep
recurrent neural networks for monaural source separation. IEEE/ACM TASLP 23(12),
2015, equations 4 and 5.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from audiocli.nn.frontend import Stft, StftConfig

__all__ = ["LEVEL", "SILENCE", "MaskingNetwork", "SeparationNetwork", "chosen", "soft_mask"]

#: The level of the input of these networks: root mean square of the mixture.
LEVEL = 1.0
#: A mixture below this level is silence: float32 does not hold the gain that it would need.
SILENCE = 1e-30

#: Keeps the mask of a bin in which every output is zero at one half.
EPSILON = 1e-6


def soft_mask(outputs: Tensor) -> Tensor:
    """Turn output magnitudes into masks that add up to one.

    The time-frequency mask layer ``|y_i| / sum_j |y_j|`` over (batch, sources, bins, frames):
    inside the network, so that training sees its effect.
    """
    magnitude = outputs.abs() + EPSILON
    return magnitude / magnitude.sum(dim=1, keepdim=True)


def chosen(masks: Tensor, sources: Sequence[int] | None) -> Tensor:
    """Choose some of the sources of masks (batch, sources, ...); None takes all."""
    return masks if sources is None else masks[:, list(sources)]


class SeparationNetwork(nn.Module):
    """What every network that separates offers, however it does it.

    Attributes
    ----------
    num_sources : int
        Number of signals that it separates into.
    """

    num_sources: int

    @property
    @abstractmethod
    def sample_rate(self) -> int:
        """Rate of the audio it takes, in Hz."""

    @abstractmethod
    def separate(self, audio: Tensor, sources: Sequence[int] | None = None) -> Tensor:
        """Separate audio (channels, samples) into (sources, channels, samples)."""


class MaskingNetwork(SeparationNetwork):
    """Base of the networks with a mask layer: audio in, one signal a source out.

    A child gives :meth:`outputs`; this class owns the front-end, the mask
    layer and the way back to audio. Signals are of one channel here; a child that processes
    several together gives its own :meth:`estimates` and :meth:`separate`.

    Parameters
    ----------
    frontend : StftConfig
        Front-end of analysis and synthesis.
    num_sources : int
        Number of signals to separate into.
    """

    def __init__(self, frontend: StftConfig, num_sources: int = 2) -> None:
        super().__init__()
        self.stft = Stft(frontend)
        self.num_sources = num_sources

    @property
    def frontend(self) -> Stft:
        """The transform that spectra are computed by."""
        return self.stft

    @abstractmethod
    def outputs(self, magnitude: Tensor) -> Tensor:
        """Estimate source magnitudes (batch, sources, bins, frames) from (batch, bins, frames)."""

    @abstractmethod
    def features(self, magnitude: Tensor) -> Tensor:
        """Compute the hidden layer (batch, units, frames) that embeds (batch, bins, frames)."""

    def embed(self, audio: Tensor) -> Tensor:
        """Compute the hidden layer (batch, units, frames) of audio (batch, samples)."""
        return self.features(self.stft(audio).abs())

    def embed_frames(self, audio: Tensor) -> Tensor:
        """As :meth:`embed`, of audio that has half a window on each side already."""
        return self.features(self.stft.frames(audio).abs())

    def calibrate(self, magnitude: Tensor) -> None:
        """Set fixed statistics of the input from example spectra; most networks have none."""

    def masks(self, spectrum: Tensor) -> Tensor:
        """Compute the masks (batch, sources, bins, frames) of (batch, bins, frames)."""
        return soft_mask(self.outputs(spectrum.abs()))

    def estimates(self, spectrum: Tensor, sources: Sequence[int] | None = None) -> Tensor:
        """Estimate the spectra (batch, sources, bins, frames) of the sources of a mixture."""
        return chosen(self.masks(spectrum), sources).float() * spectrum.unsqueeze(1)

    def forward(self, audio: Tensor, sources: Sequence[int] | None = None) -> Tensor:
        """Separate audio (batch, samples) into (batch, sources, samples)."""
        return self.stft.inverse(self.estimates(self.stft(audio), sources), audio.shape[-1])

    @property
    def sample_rate(self) -> int:
        """Rate of the audio it takes, in Hz."""
        return self.stft.config.sample_rate

    def separate(self, audio: Tensor, sources: Sequence[int] | None = None) -> Tensor:
        """Separate audio (channels, samples) into (sources, channels, samples)."""
        separated: Tensor = self(audio, sources)
        return separated.transpose(0, 1)
