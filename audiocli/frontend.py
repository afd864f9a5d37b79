"""The torch modules that a network listens through.

The front-end is part of the network, so training and inference cannot hear
different things. Its configuration is a frozen dataclass that travels in the
model's ``config.json``; :func:`fingerprint` pins what it computes.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiocli.errors import ModelError

__all__ = ["Stft", "StftConfig", "check_fingerprint", "fingerprint"]

WINDOWS = ("sine", "hann")


@dataclass(frozen=True)
class StftConfig:
    """A short-time Fourier transform that can be inverted.

    Parameters
    ----------
    sample_rate : int
        Rate of the audio that the network takes, in Hz.
    n_fft : int
        Length of the window and of the transform, in samples.
    hop_length : int
        Distance between frames, in samples; at most half of `n_fft`.
    window : {"sine", "hann"}
        Window of analysis and of synthesis. The sine window is the square
        root of Hann's, and used twice it is perfect at 50 % overlap.

    Raises
    ------
    ModelError
        If the values do not make an invertible transform.

    Examples
    --------
    >>> StftConfig().bins
    513
    """

    sample_rate: int = 16_000
    n_fft: int = 1024
    hop_length: int = 512
    window: str = "sine"

    def __post_init__(self) -> None:
        if self.window not in WINDOWS:
            raise ModelError(f"front-end: unknown window {self.window!r}; use one of {WINDOWS}")
        if self.n_fft % 2 or not 0 < self.hop_length <= self.n_fft // 2:
            raise ModelError(
                f"front-end: n_fft {self.n_fft} must be even and hop_length {self.hop_length} "
                "between 1 and n_fft / 2, or the transform cannot be inverted"
            )

    @property
    def bins(self) -> int:
        """Number of frequency bins, from 0 Hz to half the sample rate."""
        return self.n_fft // 2 + 1


class Stft(nn.Module):
    """Short-time Fourier transform and its inverse.

    Parameters
    ----------
    config : StftConfig
        Rate, window and hop.

    Examples
    --------
    >>> stft = Stft(StftConfig())
    >>> audio = torch.randn(2, 5000)
    >>> spectrum = stft(audio)
    >>> spectrum.shape
    torch.Size([2, 513, 11])
    >>> bool((stft.inverse(spectrum, 5000) - audio).abs().max() < 1e-5)
    True
    """

    window: Tensor

    def __init__(self, config: StftConfig) -> None:
        super().__init__()
        self.config = config
        phase = math.pi * (torch.arange(config.n_fft) + 0.5) / config.n_fft
        window = torch.sin(phase) if config.window == "sine" else torch.sin(phase) ** 2
        # Computed, not learned: it follows from the configuration, so it is not a weight.
        self.register_buffer("window", window, persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """Transform audio (..., samples) into a complex spectrum (..., bins, frames).

        There is a frame at every hop from the first sample until no sample is left.
        """
        leading = audio.shape[:-1]
        # Whole hops. Else the last samples may lie under one frame's end alone, where the inverse
        # divides by next to nothing: harmless until a mask touches the frame, then a loud click.
        audio = F.pad(audio, (0, -audio.shape[-1] % self.config.hop_length))
        spectrum = torch.stft(
            audio.reshape(-1, audio.shape[-1]),
            self.config.n_fft,
            self.config.hop_length,
            window=self.window,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        return spectrum.reshape(*leading, *spectrum.shape[-2:])

    def inverse(self, spectrum: Tensor, length: int) -> Tensor:
        """Transform a spectrum (..., bins, frames) into audio (..., `length` samples)."""
        leading = spectrum.shape[:-2]
        audio = torch.istft(
            spectrum.reshape(-1, *spectrum.shape[-2:]),
            self.config.n_fft,
            self.config.hop_length,
            window=self.window,
            center=True,
            length=length,
        )
        return audio.reshape(*leading, length)


def fingerprint(frontend: Stft) -> list[float]:
    """Numbers that change when what the front-end computes changes.

    Parameters
    ----------
    frontend : Stft
        The module to pin.

    Returns
    -------
    list of float
        Mean magnitude of a fixed chirp in eight bands, to six digits.

    Examples
    --------
    >>> len(fingerprint(Stft(StftConfig())))
    8
    """
    config = frontend.config
    samples = torch.arange(4 * config.n_fft, dtype=torch.float64)
    # A linear chirp over the whole band touches every bin and every window position.
    chirp = torch.sin(math.pi / 2 * samples**2 / samples.numel()).float().to(frontend.window.device)
    with torch.no_grad():
        magnitude = frontend(chirp).abs()
    return [float(f"{band.mean().item():.6g}") for band in magnitude.tensor_split(8, dim=0)]


def check_fingerprint(frontend: Stft, stored: list[float], name: str) -> None:
    """Compare a front-end with the numbers stored at training time.

    Parameters
    ----------
    frontend : Stft
        The module as built now.
    stored : list of float
        What :func:`fingerprint` gave at training time.
    name : str
        The model, for the message.

    Raises
    ------
    ModelError
        If they differ by more than a ten-thousandth.

    Examples
    --------
    >>> stft = Stft(StftConfig())
    >>> check_fingerprint(stft, fingerprint(stft), "example")
    """
    now = torch.tensor(fingerprint(frontend))
    try:
        then = torch.tensor(stored)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{name}: its frontend_fingerprint is damaged: {stored}") from error
    if now.shape != then.shape or not torch.allclose(now, then, rtol=1e-4, atol=1e-6):
        raise ModelError(
            f"{name}: its front-end {asdict(frontend.config)} computes other numbers here than "
            "it was trained with; install the version that made the model, or train it again"
        )
