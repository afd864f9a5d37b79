"""Front-ends: the transforms inside networks, from audio to what the first layer gets.

The front-end is part of the network, so training and inference get the same
input. Its configuration is a frozen dataclass that travels in the
model's ``config.json``; :func:`fingerprint` pins what it computes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiocli.dsp.filterbanks import hz_to_mel, mel_filterbank, mel_to_hz
from audiocli.errors import ModelError

__all__ = [
    "Filterbank",
    "FilterbankConfig",
    "FrontendConfig",
    "Stft",
    "StftConfig",
    "Waveform",
    "WaveformConfig",
    "check_fingerprint",
    "fingerprint",
    "from_dict",
    "to_dict",
    "triangles",
]

WINDOWS = ("sine", "hann")
SCALES = ("mel", "slaney", "log", "linear")
POWERS = (1, 2)


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

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return self.sample_rate / self.hop_length


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
        # Whole hops. Else the last samples may lie under one frame's end alone, where the inverse
        # divides by next to nothing: harmless until a mask touches the frame, then a loud click.
        return self._transform(F.pad(audio, (0, -audio.shape[-1] % self.config.hop_length)), True)

    def frames(self, audio: Tensor) -> Tensor:
        """Transform audio (..., samples) that has half a window on each side already."""
        return self._transform(audio, False)

    def _transform(self, audio: Tensor, center: bool) -> Tensor:
        spectrum = torch.stft(
            audio.reshape(-1, audio.shape[-1]),
            self.config.n_fft,
            self.config.hop_length,
            window=self.window,
            center=center,
            pad_mode="constant",
            return_complex=True,
        )
        return spectrum.reshape(*audio.shape[:-1], *spectrum.shape[-2:])

    def inverse(self, spectrum: Tensor, length: int) -> Tensor:
        """Transform a spectrum (..., bins, frames) into audio (..., `length` samples)."""
        n_fft, hop = self.config.n_fft, self.config.hop_length
        frames = torch.fft.irfft(spectrum.transpose(-1, -2), n_fft).mul_(self.window)
        weights = self.window.square().expand(frames.shape[-2], -1)
        kept = slice(n_fft // 2, n_fft // 2 + length)
        return _overlap_added(frames, hop)[..., kept].div_(_overlap_added(weights, hop)[kept])


def _overlap_added(frames: Tensor, hop_length: int) -> Tensor:
    """Add frames (..., frames, n_fft) a hop apart, many times as fast as torch's `fold` does."""
    if missing := -frames.shape[-1] % hop_length:
        frames = F.pad(frames, (0, missing))
    pieces = frames.reshape(*frames.shape[:-1], -1, hop_length)
    count, reach = pieces.shape[-3:-1]
    hops = pieces.new_zeros((*pieces.shape[:-3], count + reach - 1, hop_length))
    for later in range(reach):
        hops[..., later : later + count, :] += pieces[..., later, :]
    return hops.flatten(-2)


@dataclass(frozen=True)
class FilterbankConfig:
    """Log-magnitude spectrograms of several window lengths, seen through one filterbank.

    Parameters
    ----------
    sample_rate : int
        Rate of the audio that the network takes, in Hz.
    n_ffts : tuple of int
        Window lengths in samples, a channel each: short ones place an event in time, long
        ones tell its pitch. Frames of all of them are centred on the same samples.
    hop_length : int
        Distance between frames, in samples.
    bands : int
        Number of triangular filters.
    scale : {"mel", "slaney", "log", "linear"}
        Spacing of their centres; with as many linear ones as bins, the spectrum itself. "slaney"
        is librosa's mel: linear up to 1 kHz, and all filters of one area instead of one height.
    fmin, fmax : float
        Where the first begins and the last ends, in Hz.
    difference : bool
        Whether each channel is followed by another: its rise from the frame before, zero
        where it falls.
    gain : float
        Magnitudes enter as ``log10(1 + gain * magnitude)``; a sinusoid of full scale has
        magnitude 1.
    power : {1, 2}
        2 takes the squares of the magnitudes instead, before the filters.
    win_lengths : tuple of int
        Where windows are shorter than the transforms `n_ffts` (the rest is zero), their
        lengths; none where they are as long.

    Raises
    ------
    ModelError
        If the values do not make a filterbank.

    References
    ----------
    Eyben, Böck, Schuller, Graves: Universal onset detection with bidirectional long
    short-term memory neural networks. ISMIR 2010.

    Examples
    --------
    >>> FilterbankConfig().channels
    4
    """

    sample_rate: int = 44_100
    n_ffts: tuple[int, ...] = (1024, 2048)
    hop_length: int = 441
    bands: int = 40
    scale: str = "mel"
    fmin: float = 27.5
    fmax: float = 16_000.0
    difference: bool = True
    gain: float = 10_000.0
    win_lengths: tuple[int, ...] = ()
    power: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "n_ffts", tuple(self.n_ffts))  # JSON knows lists only
        object.__setattr__(self, "win_lengths", tuple(self.win_lengths))
        if self.scale not in SCALES:
            raise ModelError(f"front-end: unknown scale {self.scale!r}; use one of {SCALES}")
        if self.power not in POWERS:
            raise ModelError(f"front-end: power {self.power!r} must be one of {POWERS}")
        if not self.n_ffts or any(n_fft < 2 or n_fft % 2 for n_fft in self.n_ffts):
            raise ModelError(f"front-end: window lengths {self.n_ffts} must be even")
        if self.win_lengths and (
            len(self.win_lengths) != len(self.n_ffts)
            or any(
                w < 2 or w % 2 or w > n for w, n in zip(self.win_lengths, self.n_ffts, strict=True)
            )
        ):
            raise ModelError(
                f"front-end: win_lengths {self.win_lengths} must be even, one for each of "
                f"{self.n_ffts} and none longer"
            )
        if self.hop_length < 1 or self.bands < 1:
            raise ModelError("front-end: hop_length and bands must be 1 or more")
        lowest = 0.0 if self.scale == "slaney" else math.ulp(0.0)
        if not lowest <= self.fmin < self.fmax <= self.sample_rate / 2:
            raise ModelError(
                f"front-end: {self.fmin:g} to {self.fmax:g} Hz must lie between 0 and half the "
                f"sample rate of {self.sample_rate} Hz"
            )

    @property
    def channels(self) -> int:
        """Number of images that the network sees."""
        return len(self.n_ffts) * (2 if self.difference else 1)

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        return self.sample_rate / self.hop_length

    @property
    def n_fft(self) -> int:
        """The longest window, in samples."""
        return max(self.n_ffts)


class Filterbank(nn.Module):
    """Log-magnitude spectrograms through triangular filters.

    Parameters
    ----------
    config : FilterbankConfig
        Windows, hop and bands.

    Examples
    --------
    >>> bank = Filterbank(FilterbankConfig())
    >>> bank(torch.zeros(2, 44100)).shape  # batch, channels, bands, frames
    torch.Size([2, 4, 40, 101])
    """

    def __init__(self, config: FilterbankConfig) -> None:
        super().__init__()
        self.config = config
        for index, n_fft in enumerate(config.n_ffts):
            length = config.win_lengths[index] if config.win_lengths else n_fft
            margin = (n_fft - length) // 2
            window = F.pad(torch.hann_window(length), (margin, margin))
            filters = triangles(config, n_fft) * (n_fft / length) ** config.power
            # Bins above the highest filter count for nothing, and are often the most of them.
            filters = filters[: int(filters.any(dim=1).nonzero().max()) + 1]
            # All of this follows from the configuration, so it is not a weight.
            self.register_buffer(f"window{index}", window, persistent=False)
            self.register_buffer(f"filters{index}", filters, persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """Transform audio (..., samples) into images (..., channels, bands, frames).

        Frame t is centred on sample t * hop_length; before and after the audio is silence.
        """
        leading = audio.shape[:-1]
        images = self.frames(F.pad(audio, (self.config.n_fft // 2, self.config.n_fft // 2)))
        return images.reshape(*leading, *images.shape[-3:])

    @property
    def centres(self) -> Tensor:
        """Where the filters peak, in Hz: (bands,)."""
        return _edges(self.config)[1:-1]

    def frames(self, audio: Tensor) -> Tensor:
        """Transform audio (..., samples) that has half the longest window on each side already."""
        config = self.config
        audio = audio.reshape(-1, audio.shape[-1])
        count = 1 + (audio.shape[-1] - config.n_fft) // config.hop_length
        images = []
        for index, n_fft in enumerate(config.n_ffts):
            window: Tensor = getattr(self, f"window{index}")
            filters: Tensor = getattr(self, f"filters{index}")
            skip = (config.n_fft - n_fft) // 2
            pieces = audio[:, skip:].unfold(1, n_fft, config.hop_length)[:, :count]
            spectrum = torch.fft.rfft(pieces * window)[..., : len(filters)]
            spectrum = torch.view_as_real(spectrum)
            magnitude = spectrum.square().sum(dim=-1)  # faster than abs() of complex
            if config.power == 1:
                magnitude = magnitude.sqrt()
            image = torch.log10(1 + magnitude @ filters).transpose(1, 2)
            images.append(image)
            if config.difference:
                rise = (image[..., 1:] - image[..., :-1]).clamp(min=0)
                images.append(F.pad(rise, (1, 0)))
        return torch.stack(images, dim=1)


def triangles(config: FilterbankConfig, n_fft: int) -> Tensor:
    """Make the filters of one window length.

    Where bands lie closer than the bins of a short window, a filter is as wide as a
    bin, so that none is empty; "slaney" has them as librosa does, and some may be.

    Parameters
    ----------
    config : FilterbankConfig
        Bands, scale and gain.
    n_fft : int
        Window length.

    Returns
    -------
    Tensor, shape (n_fft / 2 + 1, bands)
        To multiply magnitudes with.

    Examples
    --------
    >>> triangles(FilterbankConfig(), 1024).shape
    torch.Size([513, 40])
    """
    # Twice over the sum of Hann's window: a sinusoid of amplitude 1 peaks at 1.
    gain = config.gain * (4 / n_fft) ** config.power
    if config.scale == "slaney":
        bank = mel_filterbank(config.sample_rate, n_fft, config.bands, config.fmin, config.fmax)
        return torch.from_numpy(bank.T * gain).float()
    edges = _edges(config)
    bin_width = config.sample_rate / n_fft
    bins = torch.arange(n_fft // 2 + 1, dtype=torch.float64).unsqueeze(1) * bin_width
    centre = edges[1:-1]
    below = (centre - edges[:-2]).clamp(min=bin_width)
    above = (edges[2:] - centre).clamp(min=bin_width)
    weights = torch.minimum(1 - (centre - bins) / below, 1 - (bins - centre) / above).clamp(min=0)
    return (weights * gain).float()


def _edges(config: FilterbankConfig) -> Tensor:
    """Give where filters begin, peak and end, in Hz: (bands + 2,)."""
    low, high = torch.tensor([config.fmin, config.fmax], dtype=torch.float64)
    if config.scale == "slaney":
        low, high = torch.from_numpy(hz_to_mel([config.fmin, config.fmax]))
        steps = torch.linspace(float(low), float(high), config.bands + 2, dtype=torch.float64)
        edges = torch.from_numpy(mel_to_hz(steps.numpy()))
    elif config.scale == "mel":
        low, high = 2595 * torch.log10(1 + low / 700), 2595 * torch.log10(1 + high / 700)
        steps = torch.linspace(float(low), float(high), config.bands + 2, dtype=torch.float64)
        edges = 700 * (10 ** (steps / 2595) - 1)
    elif config.scale == "linear":
        edges = torch.linspace(float(low), float(high), config.bands + 2, dtype=torch.float64)
    else:
        steps = torch.linspace(
            math.log(config.fmin), math.log(config.fmax), config.bands + 2, dtype=torch.float64
        )
        edges = torch.exp(steps)
    return edges


@dataclass(frozen=True)
class WaveformConfig:
    """No front-end: a network that takes the samples as they are.

    Parameters
    ----------
    sample_rate : int
        Rate of the audio that the network takes, in Hz.

    Raises
    ------
    ModelError
        If the rate is not a whole number above zero.

    Examples
    --------
    >>> WaveformConfig().sample_rate
    44100
    """

    sample_rate: int = 44_100

    def __post_init__(self) -> None:
        if not isinstance(self.sample_rate, int) or self.sample_rate < 1:
            raise ModelError(f"front-end: sample_rate {self.sample_rate!r} must be 1 or more")


class Waveform(nn.Module):
    """Samples as they are, in the place of a front-end.

    Parameters
    ----------
    config : WaveformConfig
        Rate of the audio.

    Examples
    --------
    >>> Waveform(WaveformConfig())(torch.zeros(2, 5)).shape
    torch.Size([2, 5])
    """

    def __init__(self, config: WaveformConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, audio: Tensor) -> Tensor:
        """Give the audio back."""
        return audio


FrontendConfig: TypeAlias = StftConfig | FilterbankConfig | WaveformConfig
Frontend: TypeAlias = Stft | Filterbank | Waveform

KINDS: dict[str, type[FrontendConfig]] = {
    "stft": StftConfig,
    "filterbank": FilterbankConfig,
    "waveform": WaveformConfig,
}


def to_dict(config: FrontendConfig) -> dict[str, Any]:
    """Write a front-end's configuration down for JSON.

    Parameters
    ----------
    config : StftConfig, FilterbankConfig or WaveformConfig

    Returns
    -------
    dict
        Its values, and its ``kind``.

    Examples
    --------
    >>> to_dict(StftConfig())["kind"]
    'stft'
    """
    kind = next(name for name, cls in KINDS.items() if isinstance(config, cls))
    return {"kind": kind, **asdict(config)}


def from_dict(stored: Mapping[str, Any]) -> FrontendConfig:
    """Make a front-end's configuration from what :func:`to_dict` wrote.

    Parameters
    ----------
    stored : mapping
        From a model's ``config.json``.

    Returns
    -------
    StftConfig, FilterbankConfig or WaveformConfig

    Raises
    ------
    ModelError
        If its kind is not known or its values are wrong.

    Examples
    --------
    >>> from_dict(to_dict(FilterbankConfig(bands=80))).bands
    80
    """
    values = dict(stored)
    kind = values.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise ModelError(f"front-end: unknown kind {kind!r}; use one of {', '.join(KINDS)}")
    try:
        return KINDS[kind](**values)
    except (TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise ModelError(f"front-end: {error}") from error


def fingerprint(frontend: Frontend) -> list[float]:
    """Numbers that change when what the front-end computes changes.

    Parameters
    ----------
    frontend : Stft, Filterbank or Waveform
        The module to pin.

    Returns
    -------
    list of float
        Mean magnitude of a fixed chirp in eight bands, to six digits; none of samples as
        they are, where nothing is computed.

    Examples
    --------
    >>> len(fingerprint(Stft(StftConfig())))
    8
    """
    if isinstance(frontend, Waveform):
        return []
    config = frontend.config
    samples = torch.arange(4 * config.n_fft, dtype=torch.float64)
    # A linear chirp over the whole band touches every bin and every window position.
    where = next(frontend.buffers()).device
    chirp = torch.sin(math.pi / 2 * samples**2 / samples.numel()).float().to(where)
    with torch.no_grad():
        magnitude = frontend(chirp).abs().flatten(end_dim=-2)
    return [float(f"{band.mean().item():.6g}") for band in magnitude.tensor_split(8, dim=0)]


def check_fingerprint(frontend: Frontend, stored: list[float], name: str) -> None:
    """Compare a front-end with the numbers stored at training time.

    Parameters
    ----------
    frontend : Stft, Filterbank or Waveform
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
    except (TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{name}: its frontend_fingerprint is damaged: {stored}") from error
    if now.shape != then.shape or not torch.allclose(now, then, rtol=1e-4, atol=1e-6):
        raise ModelError(
            f"{name}: its front-end {asdict(frontend.config)} computes other numbers here than "
            "it was trained with; install the version that made the model, or train it again"
        )
