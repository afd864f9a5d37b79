"""Training examples of chord recognisers: spectrograms, and excerpts of them.

Recordings go once through a front-end some bands wider than the network's. An example is cut from
its output: shifted along the bands it is in another key or another tuning, multiplied by a curve
it has gone through an equaliser, and noise adds to it as power adds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiocli.errors import DataError
from audiocli.io.formats import Segments, read_sequence
from audiocli.nn.augment import varied_images
from audiocli.nn.frontend import Filterbank, FilterbankConfig
from audiocli.tasks.annotated import Recording
from audiocli.tasks.chords.labels import NO_CHORD, QUALITIES, Chord, parse, template
from audiocli.tasks.evaluation import warn_of_late_times
from audiocli.tasks.feature_cache import spectrogram

__all__ = [
    "ANNOTATIONS",
    "AUGMENTATIONS",
    "Augmentation",
    "Batch",
    "Excerpts",
    "Take",
    "changes_of",
    "examples",
    "load",
    "read_chords",
    "wider",
]

#: What an annotation of chords may be called, the preferred first.
ANNOTATIONS = (".lab", ".chords", ".csv", ".jams")
#: Seconds by which an annotation may outlast its audio without a warning.
GRACE = 1.0
#: What chords are called in a JAMS document, the best first.
NAMESPACES = ("chord", "chord_harte")
#: In targets: a frame whose chord is not known, which counts for nothing.
UNKNOWN = -100
#: Frames after a recording's end in which its last chord may go on: unknown.
LINGERS = 15
LOUDEST_NOISE = 1.0  # of what is added, as the power of ten of its magnitudes
SEMITONES = 6  # the farthest that examples are transposed
PITCH_CLASSES = 12


@dataclass(frozen=True)
class Augmentation:
    """Random changes to training examples.

    Parameters
    ----------
    transpose : bool
        Into any of the twelve keys.
    detune : float
        By up to this many semitones more, either way.
    gain : float
        Level, down to this many dB below the recording's.
    decibels : float
        Strength of a random equaliser.
    noise : float
        Share of examples with noise.
    mask : float
        Share of examples in which a band of frequencies is silent.
    quiet : float
        Share of examples that hold silence, or noise, and no chord at all.
    """

    transpose: bool = False
    detune: float = 0.0
    gain: float = 0.0
    decibels: float = 0.0
    noise: float = 0.0
    mask: float = 0.0
    quiet: float = 0.0


AUGMENTATIONS: dict[str, Augmentation] = {
    "none": Augmentation(),
    "wide": Augmentation(
        transpose=True, detune=0.5, gain=25.0, decibels=4.0, noise=0.4, mask=0.15, quiet=0.04
    ),
}


@dataclass(frozen=True)
class Excerpts:
    """Length and augmentation of examples.

    Parameters
    ----------
    frontend : FilterbankConfig
        Of the network that is trained on them.
    augmentation : Augmentation
        Random changes to them.
    seconds : float
        Length of an example.
    batch_size : int
        How many are made at once.
    """

    frontend: FilterbankConfig
    augmentation: Augmentation
    seconds: float
    batch_size: int

    @property
    def frames(self) -> int:
        """Length of an example."""
        return round(self.seconds * self.frontend.frame_rate)


@dataclass(frozen=True)
class Take:
    """A recording in memory, as the front-end's output.

    Parameters
    ----------
    images : ndarray of float16, shape (channels, bands, frames)
        Output of the wider front-end, see :func:`wider`.
    roots, qualities, basses : ndarray of int16, shape (frames,)
        Root and bass as pitch classes, 12 for none, ``UNKNOWN`` where not annotated; the quality
        as its place in ``QUALITIES``.
    chords : Segments
        The annotation.
    folder : str
        Where it is from.
    """

    images: NDArray[np.float16]
    roots: NDArray[np.int16]
    qualities: NDArray[np.int16]
    basses: NDArray[np.int16]
    chords: Segments
    folder: str
    name: str = ""

    @property
    def frames(self) -> int:
        """How many frames there are."""
        return int(self.images.shape[-1])


@dataclass(frozen=True)
class Batch:
    """Examples with their targets.

    Parameters
    ----------
    images : Tensor, shape (batch, channels, bands, frames)
        As the network's front-end would give them.
    chords : Tensor of int64, shape (batch, frames)
        Number of the state, root by root; ``UNKNOWN`` counts for nothing.
    basses : Tensor of int64, shape (batch, frames)
        Pitch class of the lowest note, or 12.
    tones : Tensor, shape (batch, 12, frames)
        1 where a pitch class belongs to the chord; NaN where unknown.
    """

    images: Tensor
    chords: Tensor
    basses: Tensor
    tones: Tensor

    def to(self, where: torch.device) -> Batch:
        """Move it to a device."""
        return Batch(
            self.images.to(where), self.chords.to(where), self.basses.to(where),
            self.tones.to(where),
        )  # fmt: skip


def margin(config: FilterbankConfig) -> int:
    """How many bands the wider front-end has on each side."""
    bands: int = round((SEMITONES + 1) * _per_semitone(config))
    return bands


def _per_semitone(config: FilterbankConfig) -> float:
    octaves = math.log2(config.fmax / config.fmin)
    return (config.bands + 1) / (PITCH_CLASSES * octaves)


def wider(config: FilterbankConfig) -> FilterbankConfig:
    """Add bands on both sides, at the same distance from each other."""
    more = margin(config)
    ratio = (config.fmax / config.fmin) ** (1 / (config.bands + 1))
    return replace(
        config,
        bands=config.bands + 2 * more,
        fmin=config.fmin * ratio**-more,
        fmax=config.fmax * ratio**more,
    )


def read_chords(file: Path) -> Segments:
    """Read the chords of a recording."""
    chords = replace(read_sequence(file, namespaces=NAMESPACES, filler="N"), name="chord")
    if not len(chords):
        raise DataError(f"{file}: holds no chords")
    for label in chords.labels:
        try:
            parse(label)
        except DataError as error:
            raise DataError(f"{file}: {error}") from error
    return chords


def load(recording: Recording, bank: Filterbank, cache: Path | None = None) -> Take:
    """Read a recording's chords and its spectrogram, computed or from the cache folder."""
    chords = read_chords(recording.annotation)
    images = spectrogram(recording.audio, bank, cache)
    seconds = images.shape[-1] / bank.config.frame_rate
    warn_of_late_times(chords.ends, seconds, "chords", grace=GRACE)
    return Take(
        images,
        *_targets(chords, images.shape[-1], bank.config.frame_rate),
        chords,
        str(recording.folder),
        recording.title,
    )


def _targets(
    chords: Segments, frames: int, frame_rate: float
) -> tuple[NDArray[np.int16], NDArray[np.int16], NDArray[np.int16]]:
    """Root, quality and bass of every frame, by its centre; no chord before and after all."""
    roots = np.full(frames, PITCH_CLASSES, np.int16)
    qualities = np.zeros(frames, np.int16)
    basses = np.full(frames, PITCH_CLASSES, np.int16)
    names = list(QUALITIES)
    for start, end, label in zip(chords.starts, chords.ends, chords.labels, strict=True):
        chord = parse(label)
        where = slice(int(np.ceil(start * frame_rate)), int(np.ceil(end * frame_rate)))
        if chord is None:
            roots[where] = basses[where] = UNKNOWN
        elif chord:
            roots[where] = chord.root
            qualities[where] = names.index(chord.quality)
            basses[where] = (chord.root + chord.bass) % PITCH_CLASSES
    return roots, qualities, basses


def changes_of(annotations: Iterable[Segments]) -> NDArray[np.float64]:
    """Count which chords follow which in any key: shares (qualities, 12, qualities)."""
    names = list(QUALITIES)
    counts = np.full((len(names), PITCH_CLASSES, len(names)), 0.05)
    for chords in annotations:
        before: Chord = NO_CHORD
        for label in chords.labels:
            chord = parse(label) or NO_CHORD
            if before and chord and chord != before:
                step = (chord.root - before.root) % PITCH_CLASSES
                counts[names.index(before.quality), step, names.index(chord.quality)] += 1
            before = chord
    shares: NDArray[np.float64] = counts / counts.sum()
    return shares


def examples(groups: Sequence[Sequence[Take]], how: Excerpts, rng: np.random.Generator) -> Batch:
    """Make a batch."""
    chosen = (groups[int(rng.integers(len(groups)))] for _ in range(how.batch_size))
    drawn = [_example(takes, how, rng) for takes in chosen]
    images = torch.from_numpy(np.stack([each[0] for each in drawn]))
    roots, qualities, basses = (
        np.stack([each[1][index] for each in drawn]).astype(np.int64) for index in range(3)
    )
    return Batch(
        varied_images(images, how.augmentation, rng, loudest=LOUDEST_NOISE),
        torch.from_numpy(_states(roots, qualities)),
        torch.from_numpy(basses),
        torch.from_numpy(_tones(roots, qualities, basses)),
    )


def _example(
    takes: Sequence[Take], how: Excerpts, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
    """Cut an excerpt in a random key; short recordings follow one another, with rests."""
    config = how.frontend
    frames = how.frames
    channels = takes[0].images.shape[0]
    wide = np.zeros((channels, config.bands + 2 * margin(config), frames), np.float16)
    target = np.full((3, frames), UNKNOWN, np.int16)
    target[1] = 0  # an index is needed even where it does not count
    filled = 0
    if rng.random() < how.augmentation.quiet:
        target[0] = target[2] = PITCH_CLASSES
        filled = frames
    while filled < frames:
        take = takes[int(rng.integers(len(takes)))]
        start = int(rng.integers(0, max(1, take.frames - frames + 1)))
        long = min(take.frames - start, frames - filled)
        here, there = slice(filled, filled + long), slice(start, start + long)
        wide[..., here] = take.images[..., there]
        target[:, here] = take.roots[there], take.qualities[there], take.basses[there]
        filled += long
        if filled < frames and rng.random() < 0.3:  # the rest is silence
            # For a moment the chord may still be meant; afterwards there is none.
            target[0, filled + LINGERS :] = target[2, filled + LINGERS :] = PITCH_CLASSES
            break
    semitones = int(rng.integers(-SEMITONES, SEMITONES)) if how.augmentation.transpose else 0
    detune = rng.uniform(-1, 1) * how.augmentation.detune
    moved = (semitones + detune) * _per_semitone(config)
    first = margin(config) - int(np.floor(moved))
    share = np.float32(moved - np.floor(moved))  # between a band and the one below it
    upper = wide[:, first : first + config.bands].astype(np.float32)
    lower = wide[:, first - 1 : first - 1 + config.bands].astype(np.float32)
    known = target[0] >= 0
    for row in (0, 2):
        sounding = known & (target[row] < PITCH_CLASSES)
        target[row, sounding] = (target[row, sounding] + semitones) % PITCH_CLASSES
    return (1 - share) * upper + share * lower, target


def _states(roots: NDArray[np.int64], qualities: NDArray[np.int64]) -> NDArray[np.int64]:
    nothing = PITCH_CLASSES * len(QUALITIES)
    states = np.where(roots == PITCH_CLASSES, nothing, roots * len(QUALITIES) + qualities)
    return np.where(roots == UNKNOWN, UNKNOWN, states)


_STEPS = np.stack([template(quality) for quality in QUALITIES]).astype(np.float32)


def _tones(
    roots: NDArray[np.int64], qualities: NDArray[np.int64], basses: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Which pitch classes sound: (batch, 12, frames)."""
    places = (np.arange(PITCH_CLASSES)[None, :, None] - roots[:, None]) % PITCH_CLASSES
    sounding = _STEPS[qualities[:, None], places]
    sounding[np.arange(PITCH_CLASSES)[None, :, None] == basses[:, None]] = 1.0
    sounding = np.where((roots == PITCH_CLASSES)[:, None], 0.0, sounding)
    return np.where((roots == UNKNOWN)[:, None], np.nan, sounding).astype(np.float32)
