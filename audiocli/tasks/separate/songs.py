"""Training material for stereo networks: songs, voices and backings, mixed anew for each example.

A clip whose voice and backing belong together teaches how they follow each other; a voice of
one recording over the backing of another makes many songs out of few. Recordings of any rate
and of one or two channels serve together: what one source lacks above half its rate is taken
from the whole example, so that bandwidth does not betray the voice.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiocli.batch.inputs import find_inputs
from audiocli.errors import DataError
from audiocli.io import audio
from audiocli.io.audio.levels import Level
from audiocli.nn.augment import colour, excerpt
from audiocli.nn.fit import check_output
from audiocli.nn.frontend import Stft
from audiocli.nn.masking import MaskingNetwork
from audiocli.tasks.separate.clips import Clip
from audiocli.tasks.separate.separator import LEVEL, estimate

__all__ = [
    "Material",
    "Recording",
    "Song",
    "SongAugmentation",
    "gather_songs",
    "validation_clip",
    "mixed_songs",
    "score",
]

Signal = NDArray[np.float32]

#: Of a long recording no more than this is kept, from its middle, in seconds.
LONGEST = 120.0
#: Quieter excerpts than this, relative to the recording's level, hold no sound: another is drawn.
QUIET = 0.05
TRIES = 5


@dataclass(frozen=True)
class Recording:
    """One source of a recording, ready to cut excerpts from.

    Parameters
    ----------
    samples : ndarray, shape (channels, samples)
        At the network's rate, at unit power where it sounds; float16 saves memory.
    ceiling : float
        Frequency up to which it can hold sound, in Hz.
    """

    samples: NDArray[np.float16]
    ceiling: float


@dataclass(frozen=True)
class Song:
    """A recording whose voice and the parts of whose backing are known.

    Parameters
    ----------
    voice : Recording, optional
        None in a backing alone.
    parts : tuple of Recording
        Together the backing; none in a voice alone.
    """

    voice: Recording | None
    parts: tuple[Recording, ...]
    name: str = ""


@dataclass(frozen=True)
class SongAugmentation:
    """Random changes to the songs, from example to example.

    Parameters
    ----------
    together : float
        Share of examples whose voice and backing belong together, where there are such.
    alone : float
        Share of examples in which one of the two is silent.
    semitones : float
        Resample each source by up to this much.
    octaves : float
        Move the formants of the voice by up to this much.
    decibels : float
        Strength of a random equaliser on each source.
    level, spread : float
        Mean and standard deviation of the voice's level over that of the backing, in dB.
    loud : float
        Share of examples that are limited as loud masters are.
    narrow : float
        Share of examples that lose their highest frequencies, as in codecs and old recordings.
    """

    together: float = 0.4
    alone: float = 0.12
    semitones: float = 4.0
    octaves: float = 0.25
    decibels: float = 5.0 / 3
    level: float = -2.0
    spread: float = 5.0
    loud: float = 0.25
    narrow: float = 0.2


@dataclass(frozen=True)
class Material:
    """All that examples are mixed from, in one list a folder.

    Parameters
    ----------
    songs : list of list of Song
        With voice and backing.
    voices, backings : list of list of Song
        With only the one or the other.
    rate : int
        Of all of them, in Hz.
    """

    songs: Sequence[Sequence[Song]]
    voices: Sequence[Sequence[Song]]
    backings: Sequence[Sequence[Song]]
    rate: int

    @property
    def amounts(self) -> list[tuple[int, float]]:
        """Number of recordings and minutes of each folder."""

        def samples(song: Song) -> int:
            return len((song.voice or song.parts[0]).samples[0])

        folders = [*self.songs, *self.voices, *self.backings]
        return [(len(each), sum(map(samples, each)) / self.rate / 60) for each in folders]


def gather_songs(
    data: Iterable[Sequence[Clip]], voices: Sequence[Path], backings: Sequence[Path], rate: int
) -> Material:
    """Read recordings to train on."""
    songs = [[_song(clip, rate) for clip in clips] for clips in data]
    alone = [
        [Song(_read(file, rate), (), file.name) for file in _files(folder)] for folder in voices
    ]
    without = [
        [Song(None, (_read(file, rate),), file.name) for file in _files(folder)]
        for folder in backings
    ]
    return Material(songs, alone, without, rate)


def _song(clip: Clip, rate: int) -> Song:
    parts, source_rate = clip.load_parts()
    shared = max(_level(part, source_rate) for part in parts[1:])  # parts keep their balance
    voice = _recording(parts[0], source_rate, rate)
    backing = tuple(_recording(part, source_rate, rate, shared) for part in parts[1:])
    return Song(voice, backing, clip.name)


def _files(folder: Path) -> list[Path]:
    found = [item.path for item in find_inputs([str(folder)]) if item.problem is None]
    if not found:
        raise DataError(f"{folder}: holds no audio")
    return found


def _read(file: Path, rate: int) -> Recording:
    samples, source_rate = audio.read(file)
    longest = round(LONGEST * source_rate)
    start = max(0, (samples.shape[1] - longest) // 2)
    kept = samples[:2, start : start + longest]
    return _recording(kept, source_rate, rate)


def _level(signal: Signal, rate: int) -> float:
    """Give the root mean square where there is sound."""
    level = Level(rate)
    level.update(signal)
    return level.rms


def _recording(
    signal: Signal, source_rate: int, rate: int, level: float | None = None
) -> Recording:
    """Resample a signal and bring it to a level of 1, from its own or from the one given."""
    level = _level(signal, source_rate) if level is None else level
    resampled = signal if source_rate == rate else soxr.resample(signal.T, source_rate, rate).T
    scaled = resampled / max(level, 1e-9)
    return Recording(np.clip(scaled, -60000, 60000).astype(np.float16), source_rate / 2)


def validation_clip(clip: Clip, rate: int) -> Signal:
    """Read a clip of the validation set, (2, channels, samples)."""
    sources, source_rate = clip.load()
    pair = np.stack([_recording(each, source_rate, rate).samples for each in sources])
    return np.asarray(pair * (LEVEL / math.sqrt(2)), np.float32)


def score(network: MaskingNetwork, clips: Sequence[Signal], stems: int = 1) -> float:
    """Compute by how many dB a network raises the signal-to-noise ratio, a mean over stems.

    Clips are (sources, channels, samples); the first ``stems`` of the sources count.
    """
    gains = []
    for sources in clips:
        mixture = sources.sum(axis=0)
        estimates = estimate(network, mixture)
        check_output(estimates)
        for source, estimated in zip(sources[:stems], estimates[:stems], strict=True):
            rest = float(np.sum((mixture - source) ** 2, dtype=np.float64))
            error = float(np.sum((estimated - source) ** 2, dtype=np.float64))
            gains.append(10 * math.log10(rest / max(error, 1e-9)))
    return float(np.mean(gains))


def mixed_songs(
    material: Material,
    augmentation: SongAugmentation,
    stft: Stft,
    rng: np.random.Generator,
    *,
    number: int,
    seconds: float,
) -> Tensor:
    """Make a batch of references, (number, 2, 2, samples): voice and backing in stereo."""
    samples = round(seconds * material.rate)
    batch = np.empty((number, 2, 2, samples), np.float32)
    ceilings = np.empty(number)
    for index in range(number):
        batch[index], ceilings[index] = _pair(material, augmentation, rng, samples)
    signals = torch.from_numpy(batch)
    with torch.no_grad():
        voices = colour(
            signals[:, 0], stft, rng, octaves=augmentation.octaves, decibels=augmentation.decibels
        )
        backings = colour(signals[:, 1], stft, rng, decibels=augmentation.decibels)
    batch = torch.stack([voices, backings], dim=1).numpy()
    for example, ceiling in zip(batch, ceilings, strict=True):
        example[:] = _mastered(example, ceiling, material.rate, augmentation, rng)
    return torch.from_numpy(batch)


def _pair(
    material: Material, how: SongAugmentation, rng: np.random.Generator, samples: int
) -> tuple[Signal, float]:
    """Draw a voice and a backing, both (2, samples), and the highest frequency they share."""
    together = material.songs and rng.random() < how.together
    if together:
        song = _drawn(material.songs, rng)
        chosen = [(song.voice,), song.parts]
    else:
        voice = _drawn([*material.songs, *material.voices], rng).voice
        chosen = [(voice,), _drawn([*material.songs, *material.backings], rng).parts]
    silent = int(rng.integers(2)) if rng.random() < how.alone else None
    pair = np.zeros((2, 2, samples), np.float32)
    for _ in range(TRIES):
        seed = int(rng.integers(1 << 30))
        for source, recordings in enumerate(chosen):
            if source != silent:
                # The same draws for both sources keep together what belongs together.
                draws = np.random.default_rng(seed) if together else rng
                pair[source] = _played(recordings, how, draws, rng, samples)
        sounding = np.sqrt(np.mean(pair**2, axis=(1, 2))) > QUIET
        if all(sounding[source] for source in range(2) if source != silent):
            break
    gain = rng.normal(how.level, how.spread)
    pair[0] *= 10 ** (gain / 20)
    used = [r for source, recordings in enumerate(chosen) if source != silent for r in recordings]
    return pair, min(recording.ceiling for recording in used if recording is not None)


def _drawn(folders: Sequence[Sequence[Song]], rng: np.random.Generator) -> Song:
    """Draw a song: every folder is as likely, and every song in it."""
    folder = folders[int(rng.integers(len(folders)))]
    return folder[int(rng.integers(len(folder)))]


def _played(
    recordings: Sequence[Recording | None],
    how: SongAugmentation,
    draws: np.random.Generator,
    rng: np.random.Generator,
    samples: int,
) -> Signal:
    """Cut the same excerpt of all recordings, and put them at their places in stereo."""
    seed = int(draws.integers(1 << 30))
    mixed = np.zeros((2, samples), np.float32)
    for recording in recordings:
        assert recording is not None  # songs with both sources, or of the pool that has this one
        same = np.random.default_rng(seed)
        state = same.bit_generator.state
        channels = []
        for channel in recording.samples:
            same.bit_generator.state = state
            channels.append(excerpt(channel, samples, same, semitones=how.semitones))
        gain = 10 ** (rng.normal(0, 2.0 if len(recordings) > 1 else 0.0) / 20)
        mixed += gain * _in_stereo(np.stack(channels).astype(np.float32), rng)
    return mixed


def _in_stereo(signal: Signal, rng: np.random.Generator) -> Signal:
    """Place one channel near the middle, at times in a wide room; swap two at times."""
    if len(signal) == 2:
        width = rng.uniform(0.3, 1.2) if rng.random() < 0.3 else 1.0
        middle, side = signal.mean(axis=0), width * (signal[0] - signal[1]) / 2
        return np.stack([middle + side, middle - side][:: int(rng.choice([-1, 1]))])
    angle = math.pi / 4 * (1 + np.clip(rng.normal(0, 0.1), -0.5, 0.5))
    placed = math.sqrt(2) * np.stack([math.cos(angle) * signal[0], math.sin(angle) * signal[0]])
    if rng.random() < 0.4:  # a few late reflections, other ones left and right
        wet = 10 ** (rng.uniform(-20, -3) / 20)
        for channel in placed:
            for _ in range(6):
                delay = int(rng.integers(300, 4000))
                sign = wet * rng.uniform(-0.7, 0.7)
                channel[delay:] += sign * signal[0, : max(signal.shape[1] - delay, 0)]
    return np.asarray(placed, np.float32)


def _mastered(
    pair: Signal, ceiling: float, rate: int, how: SongAugmentation, rng: np.random.Generator
) -> Signal:
    """Bring a mixture to its level, bandwidth and loudness; the sources still add up to it."""
    if rng.random() < how.narrow:
        ceiling = min(ceiling, math.exp(rng.uniform(math.log(3500), math.log(18_000))))
    if ceiling < 0.45 * rate:
        spectrum = np.fft.rfft(pair)
        frequencies = np.fft.rfftfreq(pair.shape[-1], 1 / rate)
        spectrum *= 1 / (1 + (frequencies / (0.97 * ceiling)) ** 80)
        pair = np.fft.irfft(spectrum, pair.shape[-1]).astype(np.float32)
    mixture = pair.sum(axis=0)
    level = float(np.sqrt(np.mean(mixture**2)))
    if not level:  # a rest in all that was drawn
        return np.asarray(pair, np.float32)
    pair = pair * (LEVEL * 10 ** (rng.normal(0, 2.0) / 20) / max(level, 1e-6))
    if rng.random() < how.loud:
        # A limiter is a gain that changes from sample to sample, the same for both sources.
        mixture = pair.sum(axis=0)
        threshold = float(np.abs(mixture).max()) * rng.uniform(0.25, 0.8)
        pair = pair * (threshold * np.tanh(mixture / threshold) / np.where(mixture, mixture, 1))
    return np.asarray(pair, np.float32)
