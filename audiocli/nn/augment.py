"""Make one recording sound like many: changes to training signals.

Signals are float32 arrays or tensors with samples last. Everything random is
drawn from the generator given, so a run can be repeated.
"""

from __future__ import annotations

import io
import math
from typing import Protocol

import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from scipy import fft
from torch import Tensor

from audiocli.nn.frontend import Stft

__all__ = [
    "background",
    "colour",
    "compressed",
    "crackle",
    "equalise",
    "excerpt",
    "filtered",
    "varied_images",
    "warp_formants",
]

Signal = NDArray[np.float32]

#: Quefrencies below this many seconds hold the spectral envelope; a voice of up to 500 Hz has
#: its first rahmonic above it.
ENVELOPE_QUEFRENCY = 0.0019


def excerpt(
    signal: Signal, samples: int, rng: np.random.Generator, *, semitones: float = 0.0
) -> Signal:
    """Cut an excerpt at a random place, played faster or slower by up to so many semitones."""
    ratio = 2 ** (rng.uniform(-semitones, semitones) / 12) if semitones else 1.0
    margin = 32 if semitones else 0  # what the filter of the resampler loses at the ends
    needed = math.ceil(samples * ratio) + 2 * margin
    start = int(rng.integers(len(signal)))
    piece: Signal = np.take(signal, np.arange(start, start + needed), mode="wrap")
    piece = piece.astype(np.float32, copy=False)
    if not semitones:
        return piece
    quick: Signal = soxr.resample(piece, ratio, 1.0, quality="MQ")
    quick = quick[int(margin / ratio) :][:samples]
    return np.pad(quick, (0, samples - len(quick)))


def warp_formants(
    spectrum: Tensor, sample_rate: int, factor: Tensor, *, limit: float = 26.0
) -> Tensor:
    """Stretch the spectral envelope along frequency and leave the pitch.

    The envelope is the low-quefrency part of the cepstrum; the spectrum is multiplied
    by the stretched envelope over the envelope. It is the length of the vocal tract
    that changes, hence the singer. Spectra are (batch, bins, frames), factors (batch,).

    References
    ----------
    Röbel, Rodet: Efficient spectral envelope estimation and its application
    to pitch shifting and envelope preservation. DAFx 2005.
    """
    batch, bins, frames = spectrum.shape
    magnitude = spectrum.abs()
    # Relative to the example's own level: the floor must not follow the gain.
    floor = 1e-4 * magnitude.amax(dim=(1, 2), keepdim=True) + 1e-9
    cepstrum = torch.fft.irfft(torch.log(magnitude + floor), dim=1)
    keep = min(round(ENVELOPE_QUEFRENCY * sample_rate), bins - 1)
    lifter = torch.zeros(cepstrum.shape[1])
    lifter[:keep] = 1
    lifter[-keep + 1 :] = 1
    envelope = torch.fft.rfft(cepstrum * lifter.view(1, -1, 1), dim=1).real
    source = (torch.arange(bins) / factor.unsqueeze(1)).clamp(max=bins - 1)
    low = source.floor().long()
    part = (source - low).unsqueeze(2)
    high = (low + 1).clamp(max=bins - 1)
    take = (batch, bins, frames)
    stretched = envelope.gather(1, low.unsqueeze(2).expand(take)) * (1 - part)
    stretched = stretched + envelope.gather(1, high.unsqueeze(2).expand(take)) * part
    largest = limit / 20 * math.log(10)
    return spectrum * torch.exp((stretched - envelope).clamp(-largest, largest))


def equalise(spectrum: Tensor, rng: np.random.Generator, *, decibels: float) -> Tensor:
    """Colour each example of (batch, ..., bins, frames) with a smooth random frequency response."""
    batch, bins = spectrum.shape[0], spectrum.shape[-2]
    orders = np.arange(1, 6)
    weight = rng.normal(size=(batch, 5)) / np.sqrt(orders)
    phase = rng.uniform(0, 2 * math.pi, size=(batch, 5))
    place = np.sqrt(np.linspace(0, 1, bins))
    waves = np.cos(math.pi * orders[:, None] * place + phase[..., None])
    response = np.einsum("bk,bkf->bf", weight, waves) * decibels
    gain = torch.from_numpy(10 ** (response / 20)).float()
    return spectrum * gain.view(batch, *[1] * (spectrum.dim() - 3), bins, 1)


def colour(
    audio: Tensor,
    stft: Stft,
    rng: np.random.Generator,
    *,
    octaves: float = 0.0,
    decibels: float = 0.0,
) -> Tensor:
    """Warp the formants of each signal (batch, ..., samples) and equalise it, at random."""
    if not octaves and not decibels:
        return audio
    spectrum = stft(audio)
    if octaves:
        factor = torch.from_numpy(2 ** rng.uniform(-octaves, octaves, len(audio))).float()
        shape = spectrum.shape
        factors = factor.repeat_interleave(math.prod(shape[1:-2]))
        flat = spectrum.reshape(-1, *shape[-2:])
        spectrum = warp_formants(flat, stft.config.sample_rate, factors).reshape(shape)
    if decibels:
        spectrum = equalise(spectrum, rng, decibels=decibels)
    return stft.inverse(spectrum, audio.shape[-1])


def background(samples: int, sample_rate: int, rng: np.random.Generator) -> Signal:
    """Make sound without events: coloured noise, or the hum of mains."""
    if rng.random() < 0.3:
        mains = rng.choice([50.0, 60.0]) * rng.uniform(0.99, 1.01)
        time = np.arange(samples) / sample_rate
        sound = np.zeros(samples)
        for harmonic in range(1, int(rng.integers(2, 12))):
            phase = rng.uniform(0, 2 * math.pi)
            weight = rng.uniform(0, 1) / harmonic
            sound += weight * np.sin(2 * math.pi * mains * harmonic * time + phase)
    else:
        # From violet to brown: a slope of +3 to -9 dB an octave.
        spectrum = np.fft.rfft(rng.standard_normal(samples, dtype=np.float32))
        place = np.maximum(np.arange(len(spectrum)), 1) * sample_rate / samples
        sound = np.fft.irfft(spectrum * np.maximum(place, 30.0) ** rng.uniform(-1.5, 0.5), samples)
    return np.asarray(sound / max(np.abs(sound).max(), 1e-9), np.float32)


def compressed(signal: Signal, sample_rate: int, rng: np.random.Generator) -> Signal:
    """Send a signal (samples,) through Vorbis at a low quality and back."""
    packed = io.BytesIO()
    quality = float(rng.uniform(0.7, 1.0))
    with soundfile.SoundFile(
        packed, "w", sample_rate, 1, "VORBIS", format="OGG", compression_level=quality
    ) as stream:
        for start in range(0, len(signal), sample_rate):  # the encoder cannot take a minute at once
            stream.write(signal[start : start + sample_rate])
    packed.seek(0)
    decoded, _ = soundfile.read(packed, dtype="float32")
    return np.asarray(decoded[: len(signal)], np.float32)


def crackle(samples: int, sample_rate: int, rng: np.random.Generator) -> Signal:
    """Make the clicks of cut samples, bad edits, dust and digital dropouts, which are no onsets."""
    sound = np.zeros(samples, np.float32)
    longest = max(round(0.003 * sample_rate), 2)
    time = np.arange(longest) / sample_rate
    seconds = samples / sample_rate
    for _ in range(1 + rng.poisson(seconds * rng.uniform(0.2, 3))):
        decay = math.exp(rng.uniform(math.log(3e-5), math.log(6e-4)))  # seconds to 1/e
        click = np.exp(-time / decay) * 10 ** (-rng.uniform(0, 20) / 20)
        start = int(rng.integers(samples))
        part = sound[start : start + longest]
        part += (rng.choice([-1, 1]) * click[: len(part)]).astype(np.float32)
    return sound / max(float(np.abs(sound).max()), 1e-9)


def filtered(
    signal: Signal, sample_rate: int, rng: np.random.Generator, *, decibels: float, room: float
) -> Signal:
    """Send a signal (samples,) through a random equaliser, room and low-pass."""
    tail = round(0.8 * sample_rate)
    padded = 1 << (len(signal) + tail - 1).bit_length()
    frequencies = np.fft.rfftfreq(padded, 1 / sample_rate)
    orders = np.arange(1, 6)
    weights = rng.normal(size=5) / np.sqrt(orders) * decibels
    phases = rng.uniform(0, 2 * math.pi, size=5)
    # A smooth curve over the logarithm of frequency, drawn at few points.
    grid = np.linspace(0, 1, 64)
    curve = weights @ np.cos(math.pi * np.outer(orders, grid) + phases[:, None])
    place = np.log(np.maximum(frequencies, 30) / 30) / math.log(sample_rate / 60)
    response = 10 ** (np.interp(place, grid, curve) / 20)
    if rng.random() < 0.25:
        edge = rng.uniform(3000, 16_000)
        response /= np.sqrt(1 + (frequencies / edge) ** 24)
    spectrum = fft.rfft(signal, padded) * response.astype(np.float32)
    if rng.random() < room:
        decay = rng.uniform(
            0.02, 0.2
        )  # of the energy to 1/e; 0.14 s is an RT60 of about one second
        time = np.arange(tail) / sample_rate
        impulse = rng.standard_normal(tail) * np.exp(-time / (2 * decay))
        impulse[: round(rng.uniform(0.002, 0.02) * sample_rate)] = 0
        impulse *= 10 ** (rng.uniform(-25, -3) / 20) / np.sqrt(np.sum(impulse**2))
        impulse[0] = 1.0
        spectrum *= fft.rfft(impulse.astype(np.float32), padded)
    return np.asarray(fft.irfft(spectrum, padded)[: len(signal)], np.float32)


class ImageAugmentation(Protocol):
    """How far examples that a filterbank made may be changed."""

    @property
    def gain(self) -> float:
        """Softer by up to this many dB."""

    @property
    def decibels(self) -> float:
        """Strength of a random equaliser."""

    @property
    def noise(self) -> float:
        """Share of examples with noise."""

    @property
    def mask(self) -> float:
        """Share of examples in which a range of bands is missing."""


def varied_images(
    images: Tensor, how: ImageAugmentation, rng: np.random.Generator, *, loudest: float
) -> Tensor:
    """Change level and colour of what a filterbank gives, add noise, and leave bands out.

    Parameters
    ----------
    images : Tensor, shape (batch, channels, bands, frames)
        ``log10(1 + magnitude)``.
    how : ImageAugmentation
    rng : numpy.random.Generator
    loudest : float
        Power of ten of the magnitudes of the loudest noise.
    """
    if not (how.gain or how.decibels or how.noise or how.mask):
        return images
    count, _, bands, _ = images.shape
    place = np.linspace(0, 1, bands)
    curves = np.zeros((count, bands))
    for row in curves:
        for order in range(1, 5):
            weight = rng.normal() * how.decibels / np.sqrt(order)
            row += weight * np.cos(np.pi * order * place + rng.uniform(0, 2 * np.pi))
        row -= rng.uniform(0, how.gain)
    factors = torch.from_numpy(10 ** (curves / 20)).float()[:, None, :, None]
    magnitudes = (10**images - 1) * factors
    for index in np.flatnonzero(rng.random(count) < how.noise):
        # Noise of one colour; its magnitudes scatter as those of noise do (Rayleigh).
        floor = 10 ** (rng.uniform(-1.0, loudest) + place * rng.uniform(-1, 1))
        scatter = torch.from_numpy(rng.rayleigh(0.8, images.shape[1:])).float()
        noise = torch.from_numpy(floor).float()[None, :, None] * scatter
        magnitudes[index] = (magnitudes[index] ** 2 + noise**2).sqrt()
    varied = torch.log10(1 + magnitudes)
    for index in np.flatnonzero(rng.random(count) < how.mask):
        low = int(rng.integers(bands))
        varied[index, :, low : low + int(rng.integers(bands // 8, bands // 3))] = 0.0
    return varied
