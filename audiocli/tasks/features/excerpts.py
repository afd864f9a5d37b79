"""What bases are learned from: frames of random excerpts, read from disk when they are needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiocli.batch.inputs import find_inputs
from audiocli.errors import AudioError, DataError, warn
from audiocli.io.audio import AudioReader
from audiocli.io.audio.downmix import downmix
from audiocli.nn.frontend import Filterbank
from audiocli.tasks.annotated import title

__all__ = ["Excerpts", "Sound", "find_sounds"]


@dataclass(frozen=True)
class Sound:
    """A recording to learn from.

    Parameters
    ----------
    name : str
        Path below the folder, without the extension, with ``/`` on every system.
    audio : Path
        The file.
    folder : Path
        Where it was found, as the user gave it.
    seconds : float
        Its length.
    """

    name: str
    audio: Path
    folder: Path
    seconds: float

    @property
    def title(self) -> str:
        """Name with the folder's own, see :func:`audiocli.tasks.annotated.title`."""
        return title(self.folder, self.name)


def find_sounds(folder: Path) -> list[Sound]:
    """Find the recordings in a folder and all below it."""
    found = []
    for item in find_inputs([str(folder)]):
        if item.problem is not None:
            continue
        try:
            with AudioReader(item.path) as reader:
                seconds = reader.info.duration
                if seconds is None:  # the header does not say
                    samples = sum(block.shape[1] for block in reader.blocks())
                    seconds = samples / reader.info.sample_rate
        except AudioError as error:
            warn(f"{error}; it is left out")
            continue
        name = item.relative.with_suffix("").as_posix()
        found.append(Sound(name, item.path, folder, seconds))
    if not found:
        raise DataError(f"{folder}: no audio file there that can be read")
    return found


class Excerpts:
    """Draws frames of recordings at random.

    Parameters
    ----------
    groups : sequence of sequences of Sound
        Each is drawn from as often as the others, and in it every second as often as the others.
    bank : Filterbank
        Computes the spectra.
    seconds : float
        Length of an excerpt.
    """

    #: Least number of excerpts in a batch, so that it is a mixture.
    AT_LEAST = 16

    def __init__(self, groups: Sequence[Sequence[Sound]], bank: Filterbank, seconds: float) -> None:
        self.groups = groups
        self.bank = bank
        self.length = max(1, round(seconds * bank.config.frame_rate))  # frames
        self._ends = [np.cumsum([sound.seconds for sound in group]) for group in groups]

    def frames(self, count: int, rng: np.random.Generator, at_least: int = AT_LEAST) -> Tensor:
        """Draw frames (count, channels * bands) of so many excerpts or more."""
        drawn: list[Tensor] = []
        total = 0
        while total < count or len(drawn) < at_least:
            part = self._excerpt(rng)
            drawn.append(part)
            total += len(part)
        order = torch.from_numpy(rng.permutation(total)[:count])
        return torch.cat(drawn)[order]

    def _excerpt(self, rng: np.random.Generator) -> Tensor:
        """Draw an excerpt of a recording: its frames (frames, channels * bands)."""
        config = self.bank.config
        which = int(rng.integers(len(self.groups)))
        ends = self._ends[which]
        place = int(np.searchsorted(ends, rng.random() * ends[-1], side="right"))
        sound = self.groups[which][min(place, len(ends) - 1)]
        half = config.n_fft / 2 / config.sample_rate
        needed = (self.length - 1) / config.frame_rate + 2 * half
        start = rng.uniform(-half, max(sound.seconds + half - needed, -half))
        audio = _cut(sound.audio, max(start, 0.0), needed + min(start, 0.0), config.sample_rate)
        samples = config.n_fft + (self.length - 1) * config.hop_length
        # Before and after a recording is silence, as where it is processed as a whole.
        before = max(round(-start * config.sample_rate), 0)
        whole = round((sound.seconds + 2 * half) * config.sample_rate)
        signal = np.zeros(max(min(samples, whole), config.n_fft), np.float32)
        audio = audio[: len(signal) - before]
        signal[before : before + len(audio)] = audio
        with torch.inference_mode():
            images = self.bank.frames(torch.from_numpy(signal).unsqueeze(0))[0]
        return images.flatten(0, 1).T.clone()


def _cut(path: Path, start: float, seconds: float, sample_rate: int) -> NDArray[np.float32]:
    """Read a piece of a file as mono at the rate wanted."""
    with AudioReader(path) as reader:
        rate = reader.info.sample_rate
        wanted = int(np.ceil(seconds * rate))
        blocks = reader.full_range(1 << 14, start=round(start * rate))
        signal = _first(wanted, downmix(blocks, rate))
    return signal if rate == sample_rate else soxr.resample(signal, rate, sample_rate)


def _first(count: int, blocks: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    parts: list[NDArray[np.float32]] = [np.zeros(0, np.float32)]
    held = 0
    for block in blocks:
        parts.append(block[0])
        held += block.shape[1]
        if held >= count:
            break
    return np.concatenate(parts)[:count]
