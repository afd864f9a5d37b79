"""Training examples of classifiers: clips in memory, and batches made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiocli.io.audio import AudioReader
from audiocli.io.audio.streaming import mono
from audiocli.nn.augment import background, filtered
from audiocli.tasks.classify.clips import LabelledClip

__all__ = ["AUGMENTATIONS", "Augmentation", "Examples", "load", "masked", "augmented"]

Signal = NDArray[np.float32]
#: Of a longer recording only this much, from its middle, is kept in memory to train on.
LONGEST = 60.0


@dataclass(frozen=True)
class Augmentation:
    """Random changes to training examples.

    Parameters
    ----------
    semitones : float
        Resample by up to this much: pitch and tempo.
    decibels : float
        Strength of a random equaliser.
    room : float
        Share of examples with reverberation.
    noise : float
        Share of examples with noise or hum, 5 to 45 dB below the clip.
    mix : float
        Strength of mixup: 0 is none. Two clips and their labels are blended.
    mask : float
        Largest share of the bands, and of the frames, that is blanked (SpecAugment).

    References
    ----------
    Zhang, Cisse, Dauphin, Lopez-Paz: mixup: Beyond empirical risk minimization. ICLR 2018.
    Park et al.: SpecAugment. Interspeech 2019.
    """

    semitones: float = 0.0
    decibels: float = 0.0
    room: float = 0.0
    noise: float = 0.0
    mix: float = 0.0
    mask: float = 0.0


AUGMENTATIONS = {
    "none": Augmentation(),
    # Pitch is left alone: where it tells the class, as a speaker's or an instrument's range.
    "steady": Augmentation(decibels=3.0, room=0.3, noise=0.5, mix=0.2, mask=0.15),
    "wide": Augmentation(semitones=2.5, decibels=3.0, room=0.3, noise=0.5, mix=0.3, mask=0.2),
}


def load(clip: LabelledClip, sample_rate: int) -> NDArray[np.int16]:
    """Read a clip as int16 samples."""
    with AudioReader(clip.path) as reader:
        blocks = list(mono(reader.full_range(), reader.info.sample_rate, sample_rate))
    audio = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    spare = max(len(audio) - round(LONGEST * sample_rate), 0) // 2
    audio = audio[spare : len(audio) - spare]
    # Half the memory of float32, at no loss that training would notice.
    whole: NDArray[np.int16] = np.round(np.clip(audio, -1, 1) * 32767).astype(np.int16)
    return whole


def augmented(
    audio: NDArray[np.int16], samples: int, rate: int, how: Augmentation, rng: np.random.Generator
) -> Signal:
    """Cut an excerpt (samples,) of a clip at random, and change it as another recording might."""
    ratio = 2 ** (rng.uniform(-how.semitones, how.semitones) / 12) if how.semitones else 1.0
    needed = int(np.ceil(samples * ratio))
    start = int(rng.integers(0, max(len(audio) - needed, 0) + 1))
    piece = audio[start : start + needed].astype(np.float32)
    if ratio != 1:
        piece = soxr.resample(piece, ratio, 1.0, quality="MQ")
    piece = piece[:samples]
    signal = np.zeros(samples, np.float32)
    place = int(rng.integers(0, samples - len(piece) + 1))
    signal[place : place + len(piece)] = piece
    if how.decibels or how.room:
        signal = filtered(signal, rate, rng, decibels=how.decibels, room=how.room)
    signal /= max(float(np.abs(signal).max()), 1e-6)
    if rng.random() < how.noise:
        level = 10 ** (-rng.uniform(5, 45) / 20)
        signal += level * background(samples, rate, rng)
        signal /= max(float(np.abs(signal).max()), 1e-6)
    return signal


@dataclass(frozen=True)
class Examples:
    """Makes batches of labelled clips.

    Parameters
    ----------
    audio : sequence of ndarray of int16
        The clips.
    targets : ndarray, shape (clips, labels)
        1 where a clip has a label.
    sample_rate : int
        In Hz.
    seconds : float
        Length of an example.
    augmentation : Augmentation
    balanced : bool
        Whether each label is drawn as often as the others, or each clip.
    """

    audio: Sequence[NDArray[np.int16]]
    targets: Signal
    sample_rate: int
    seconds: float
    augmentation: Augmentation
    balanced: bool = True

    @cached_property
    def _of_label(self) -> list[NDArray[np.intp]]:
        found = [np.flatnonzero(column) for column in self.targets.T]
        return [places for places in found if len(places)]

    def _draw(self, rng: np.random.Generator) -> int:
        if not self.balanced:
            return int(rng.integers(len(self.audio)))
        places = self._of_label[int(rng.integers(len(self._of_label)))]
        return int(places[int(rng.integers(len(places)))])

    def batch(self, size: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Make a batch: audio (size, samples) and targets (size, labels)."""
        how, samples = self.augmentation, round(self.seconds * self.sample_rate)
        audio = np.zeros((size, samples), np.float32)
        targets = np.zeros((size, self.targets.shape[1]), np.float32)
        for signal, target in zip(audio, targets, strict=True):
            first = self._draw(rng)
            signal[:] = augmented(self.audio[first], samples, self.sample_rate, how, rng)
            target[:] = self.targets[first]
            if how.mix and rng.random() < 0.5:
                share = float(rng.beta(how.mix, how.mix))
                other = self._draw(rng)
                more = augmented(self.audio[other], samples, self.sample_rate, how, rng)
                signal[:] = share * signal + (1 - share) * more
                target[:] = share * target + (1 - share) * self.targets[other]
        return torch.from_numpy(audio), torch.from_numpy(targets)


def masked(images: Tensor, largest: float, rng: torch.Generator | None = None) -> Tensor:
    """Blank a range of bands and one of frames in each image (batch, channels, bands, frames)."""
    for dimension in (2, 3):
        size = images.shape[dimension]
        width = torch.rand(len(images), 1, generator=rng) * largest * size
        begin = torch.rand(len(images), 1, generator=rng) * (size - width)
        place = torch.arange(size).unsqueeze(0) + 0.5  # so that the first is as often blank
        kept = ((place < begin) | (place >= begin + width)).to(images)
        images = images * kept.view(len(images), 1, *((-1, 1) if dimension == 2 else (1, -1)))
    return images
