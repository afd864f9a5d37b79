"""Training examples of onset detectors: recordings in memory, and excerpts of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiocli.errors import AudioError
from audiocli.io.audio import AudioReader
from audiocli.io.audio.streaming import mono
from audiocli.io.formats import read_instants
from audiocli.nn.augment import background, crackle, filtered
from audiocli.nn.frontend import FilterbankConfig
from audiocli.tasks.annotated import Recording
from audiocli.tasks.evaluation import warn_of_late_times
from audiocli.tasks.onsets.scoring import merged

__all__ = [
    "ANNOTATIONS",
    "AUGMENTATIONS",
    "Augmentation",
    "Excerpts",
    "Take",
    "examples",
    "load",
    "target_activations",
]

#: What an annotation of onsets may be called, the preferred first.
ANNOTATIONS = (".onsets", ".csv", ".jams")
#: Seconds by which an onset may lie behind the end of the audio without a warning.
GRACE = 0.05


@dataclass(frozen=True)
class Augmentation:
    """Random changes to training examples.

    Parameters
    ----------
    semitones : float
        Resample by up to this much: pitch and tempo.
    gain : float
        Level of the loudest sample, down to this many dB below full scale.
    decibels : float
        Strength of a random equaliser.
    room : float
        Share of examples with reverberation.
    noise : float
        Share of examples with noise or hum.
    quiet : float
        Share of examples that hold noise, hum or silence and no onset at all.
    mix : float
        Share of examples in which two recordings sound at once.
    drive : float
        Share of examples driven into saturation, as loud masters are.
    clicks : float
        Share of examples with faint clicks that are no onsets.
    """

    semitones: float = 0.0
    gain: float = 0.0
    decibels: float = 0.0
    room: float = 0.0
    noise: float = 0.0
    quiet: float = 0.0
    mix: float = 0.0
    drive: float = 0.0
    clicks: float = 0.0


AUGMENTATIONS: dict[str, Augmentation] = {
    "none": Augmentation(),
    "wide": Augmentation(
        semitones=4.0,
        gain=30.0,
        decibels=2.5,
        room=0.3,
        noise=0.5,
        quiet=0.05,
        mix=0.2,
        drive=0.1,
        clicks=0.2,
    ),
}


@dataclass(frozen=True)
class Excerpts:
    """Length, augmentation and targets of examples.

    Parameters
    ----------
    frontend : FilterbankConfig
        Of the network that is trained on them.
    augmentation : Augmentation
        Random changes to them.
    fuzz : float
        As in :func:`target_activations`.
    seconds : float
        Length of an example.
    batch_size : int
        How many are made at once.
    """

    frontend: FilterbankConfig
    augmentation: Augmentation
    fuzz: float
    seconds: float
    batch_size: int

    @property
    def samples(self) -> int:
        """Length of an example."""
        return round(self.seconds * self.frontend.sample_rate)


@dataclass(frozen=True)
class Take:
    """A recording in memory.

    Parameters
    ----------
    audio : ndarray of int16, shape (samples,)
        Mono, at the network's rate.
    onsets : ndarray, shape (onsets,)
        In seconds.
    folder : str
        Which data it belongs to.
    """

    audio: NDArray[np.int16]
    onsets: NDArray[np.float64]
    folder: str
    name: str = ""

    @property
    def signal(self) -> NDArray[np.float32]:
        """The audio at a full scale of 1.0."""
        return self.audio.astype(np.float32) / np.float32(32768)


def load(recording: Recording, sample_rate: int) -> Take:
    """Read a recording and its onsets."""
    with AudioReader(recording.audio) as reader:
        blocks = list(mono(reader.full_range(), reader.info.sample_rate, sample_rate))
    if not blocks:
        raise AudioError(f"{recording.audio}: holds no audio")
    audio = np.concatenate(blocks)
    # Half the memory of float32, at no loss that training would notice.
    whole = np.round(np.clip(audio, -1, 1) * 32767).astype(np.int16)
    onsets = merged(read_instants(recording.annotation))
    warn_of_late_times(onsets, len(whole) / sample_rate, "onsets", grace=GRACE)
    return Take(whole, onsets, str(recording.folder), recording.title)


def examples(
    takes: Sequence[Sequence[Take]], form: Excerpts, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Make a batch: audio (batch, samples) and targets (batch, frames)."""
    how, config, samples = form.augmentation, form.frontend, form.samples
    frames = 1 + samples // config.hop_length
    audio = np.zeros((form.batch_size, samples), np.float32)
    targets = np.zeros((len(audio), frames), np.float32)
    for signal, target in zip(audio, targets, strict=True):
        if rng.random() >= how.quiet:
            signal[:], onsets = _excerpt(takes, form, rng)
            if rng.random() < how.mix:
                other, more = _excerpt(takes, form, rng)
                signal += other * 10 ** (rng.uniform(-12, 0) / 20)
                onsets = np.concatenate([onsets, more])
            target[:] = target_activations(onsets, frames, config.frame_rate, form.fuzz)
            _spoil(signal, how, config.sample_rate, rng)
        elif rng.random() < 0.9:
            signal[:] = background(samples, config.sample_rate, rng)
        signal *= 10 ** (-rng.uniform(0, how.gain) / 20)
    return torch.from_numpy(audio), torch.from_numpy(targets)


def _excerpt(
    takes: Sequence[Sequence[Take]], form: Excerpts, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Cut a piece of some recording: the signal with its peak at 1, and its onsets."""
    how, rate, samples = form.augmentation, form.frontend.sample_rate, form.samples
    group = takes[int(rng.integers(len(takes)))]
    take = group[int(rng.integers(len(group)))]
    ratio = 2 ** (rng.uniform(-how.semitones, how.semitones) / 12)
    margin = 32  # what the filter of the resampler loses at the ends
    needed = int(np.ceil(samples * ratio)) + 2 * margin
    start = int(rng.integers(-rate // 4, max(len(take.audio) - needed // 2, 1)))
    piece = take.audio[max(start, 0) : max(start + needed, 0)].astype(np.float32)
    piece = np.pad(piece, (max(-start, 0), 0))
    piece = np.pad(piece, (0, needed - len(piece)))
    if ratio != 1:
        piece = soxr.resample(piece, ratio, 1.0, quality="MQ")
    signal = piece[round(margin / ratio) :][:samples]
    signal = np.pad(signal, (0, samples - len(signal)))
    onsets = (take.onsets - (start + margin) / rate) / ratio
    onsets = onsets[(onsets > -0.1) & (onsets < samples / rate + 0.1)]
    if how.decibels or how.room:
        signal = filtered(signal, rate, rng, decibels=how.decibels, room=how.room)
    return signal / max(float(np.abs(signal).max()), 1e-6), onsets


def _spoil(
    signal: NDArray[np.float32], how: Augmentation, sample_rate: int, rng: np.random.Generator
) -> None:
    """Add noise and saturation, in place, and bring the peak to 1."""
    if rng.random() < how.noise:
        level = 10 ** (-rng.uniform(20, 65) / 20)
        signal += level * background(len(signal), sample_rate, rng)
    if rng.random() < how.clicks:
        level = 10 ** (-rng.uniform(30, 60) / 20)
        signal += level * crackle(len(signal), sample_rate, rng)
    if rng.random() < how.drive:
        signal[:] = np.tanh(signal * rng.uniform(1, 6))
    signal /= max(float(np.abs(signal).max()), 1e-6)


def target_activations(
    onsets: NDArray[np.float64], frames: int, frame_rate: float, fuzz: float
) -> NDArray[np.float32]:
    """Compute target activations (frames,) for onsets in seconds.

    References
    ----------
    Schlüter, Böck: Improved musical onset detection with convolutional neural networks.
    ICASSP 2014 (fuzzier training examples).
    """
    target = np.zeros(frames, np.float32)
    places = onsets * frame_rate
    if fuzz == 0:
        nearest = np.round(places).astype(int)
        target[nearest[(nearest >= 0) & (nearest < frames)]] = 1
        return target
    width = fuzz * frame_rate
    for place in places:
        near = np.arange(max(int(place - width), 0), min(int(place + width) + 2, frames))
        target[near] = np.maximum(target[near], 1 - np.abs(near - place) / width)
    return target
