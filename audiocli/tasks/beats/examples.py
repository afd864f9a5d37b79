"""Examples that beat trackers are trained on: features of recordings, varied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiocli.io.formats import read_beats
from audiocli.nn.augment import varied_images
from audiocli.nn.frontend import Filterbank, FilterbankConfig
from audiocli.tasks.annotated import Recording
from audiocli.tasks.evaluation import warn_of_late_times
from audiocli.tasks.feature_cache import spectrogram

__all__ = ["ANNOTATIONS", "AUGMENTATIONS", "Augmentation", "Excerpts", "Take", "examples", "load"]

#: What an annotation of beats may be called, the preferred first.
ANNOTATIONS = (".beats", ".csv", ".jams")
#: Seconds by which a beat may lie behind the end of the audio without a warning: annotators tap on.
GRACE = 5.0
LOUDEST_NOISE = 0.7  # of what is added, as the power of ten of its magnitudes
FLUX = 0.25  # share of examples whose tempo is changed


@dataclass(frozen=True)
class Augmentation:
    """How recordings are varied from example to example.

    Parameters
    ----------
    stretch : float
        Faster or slower by up to this factor.
    bands : int
        Higher or lower by up to so many bands of the front-end.
    gain : float
        Softer by up to this many dB.
    decibels : float
        Strength of a random equaliser.
    noise : float
        Share of examples with noise.
    mask : float
        Share of examples in which a range of bands is missing.
    quiet : float
        Share of examples without sound, and without a beat.

    Examples
    --------
    >>> AUGMENTATIONS["none"].stretch
    1.0
    """

    stretch: float = 1.0
    bands: int = 0
    gain: float = 0.0
    decibels: float = 0.0
    noise: float = 0.0
    mask: float = 0.0
    quiet: float = 0.0


AUGMENTATIONS: dict[str, Augmentation] = {
    "none": Augmentation(),
    "wide": Augmentation(
        stretch=1.25, bands=3, gain=30.0, decibels=4.0, noise=0.2, mask=0.3, quiet=0.03
    ),
}


@dataclass(frozen=True)
class Excerpts:
    """What examples are like.

    Parameters
    ----------
    frontend : FilterbankConfig
    augmentation : Augmentation
    seconds : float
        Length of an example.
    batch_size : int

    Examples
    --------
    >>> Excerpts(FilterbankConfig(), AUGMENTATIONS["none"], 1.0, 3).frames
    100
    """

    frontend: FilterbankConfig
    augmentation: Augmentation
    seconds: float
    batch_size: int

    @property
    def frames(self) -> int:
        """Length of an example in frames."""
        return round(self.seconds * self.frontend.frame_rate)


@dataclass(frozen=True)
class Take:
    """Features of a recording, and its beats.

    Parameters
    ----------
    images : ndarray of float16, shape (channels, bands, frames)
    beats, downbeats : ndarray
        In seconds.
    has_bars : bool
        Whether it is known which beats are downbeats.
    folder : str
        Which data it belongs to.
    name : str
        What messages call it.
    """

    images: NDArray[np.float16]
    beats: NDArray[np.float64]
    downbeats: NDArray[np.float64]
    has_bars: bool
    folder: str
    name: str = ""


def load(recording: Recording, bank: Filterbank, cache: Path | None = None) -> Take:
    """Compute the features of a recording and read its beats.

    Parameters
    ----------
    recording : Recording
    bank : Filterbank
        The front-end.
    cache : Path, optional
        Folder where features are kept, and read from another time.

    Raises
    ------
    AudioError, DataError
        If a file cannot be read.
    """
    times, positions = read_beats(recording.annotation)
    images = spectrogram(recording.audio, bank, cache)
    warn_of_late_times(times, images.shape[-1] / bank.config.frame_rate, "beats", grace=GRACE)
    # An empty annotation says that there is no beat, and so no downbeat.
    has_bars = positions is not None or not len(times)
    downbeats = times[positions == 1] if positions is not None else np.zeros(0)
    return Take(images, times, downbeats, has_bars, str(recording.folder), recording.title)


def examples(
    takes: Sequence[Sequence[Take]], form: Excerpts, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Make a batch.

    Parameters
    ----------
    takes : sequence of sequences of Take
        Recordings by data set; each set is drawn from as often as the others.
    form : Excerpts
        Length, number and variation of the examples.
    rng : numpy.random.Generator
        Draws them.

    Returns
    -------
    images : Tensor, shape (batch, channels, bands, frames)
    targets : Tensor, shape (batch, 2, frames)
        1 at beats and at downbeats, 0 elsewhere; NaN where it is not known.
    """
    images, targets = [], []
    for _ in range(form.batch_size):
        group = takes[int(rng.integers(len(takes)))]
        image, target = _excerpt(group[int(rng.integers(len(group)))], form, rng)
        if rng.random() < form.augmentation.quiet:
            image, target = np.zeros_like(image), np.zeros_like(target)
        images.append(image)
        targets.append(target)
    whole = torch.from_numpy(np.stack(images))
    how, rises = form.augmentation, form.frontend.difference
    varied = varied_images(whole[:, ::2] if rises else whole, how, rng, loudest=LOUDEST_NOISE)
    # Rises follow from what they are the rise of, so they are computed anew.
    return with_rises(varied) if rises else varied, torch.from_numpy(np.stack(targets))


def with_rises(images: Tensor) -> Tensor:
    """Put behind each channel of images (batch, channels, bands, frames) its rise."""
    rises = torch.nn.functional.pad(images.diff(dim=-1).clamp(min=0), (1, 0))
    return torch.stack([images, rises], dim=2).flatten(1, 2)


def _excerpt(
    take: Take, form: Excerpts, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cut a piece of a recording, played faster or slower and higher or lower."""
    how, frames = form.augmentation, form.frames
    limit = np.log(how.stretch)
    factor = float(np.exp(rng.uniform(-limit, limit))) if rng.random() < 2 * FLUX else 1.0
    length = take.images.shape[-1]
    needed = frames * factor
    start = rng.uniform(min(0.0, length - needed), max(0.0, length - needed))
    start = float(np.round(start))
    places = start + np.arange(frames) * factor
    whole = np.floor(places).astype(int)
    left = take.images[..., np.clip(whole, 0, length - 1)].astype(np.float32)
    if factor == 1.0:
        image = left
    else:
        right = take.images[..., np.clip(whole + 1, 0, length - 1)].astype(np.float32)
        image = left + (right - left) * (places - whole).astype(np.float32)
    outside = (places < 0) | (places > length - 1)
    image[..., outside] = 0.0
    if how.bands:
        image = _shifted(image, int(rng.integers(-how.bands, how.bands + 1)))
    rate = form.frontend.frame_rate
    target = np.zeros((2, frames), np.float32)
    for row, times in zip(target, (take.beats, take.downbeats), strict=True):
        index = np.round((times * rate - start) / factor).astype(int)
        row[index[(index >= 0) & (index < frames)]] = 1.0
    if not take.has_bars:
        target[1] = np.nan
    return image, target


def _shifted(image: NDArray[np.float32], bands: int) -> NDArray[np.float32]:
    """Move an image (channels, bands, frames) up or down; what comes in is the edge."""
    if not bands:
        return image
    index = np.clip(np.arange(image.shape[1]) - bands, 0, image.shape[1] - 1)
    return image[:, index]
