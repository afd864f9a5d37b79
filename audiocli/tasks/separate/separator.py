"""Run a separation network over a signal or a stream; see the package for the task."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from audiocli.dsp.signals import as_audio, as_blocks, as_rate
from audiocli.errors import ModelError
from audiocli.io.audio.streaming import Blockwise, overlap_add, rechunk, resample
from audiocli.nn import models, registry
from audiocli.nn.fusing import fuse
from audiocli.nn.masking import LEVEL, SeparationNetwork
from audiocli.nn.threads import ordered
from audiocli.tasks.separate.conditioning import ProgrammeLevel, conditioned, muted
from audiocli.tasks.separate.gate import Gate
from audiocli.tasks.separate.tta import averaged_over_pitches, spread

__all__ = ["DEFAULT_MODEL", "LEVEL", "Separator", "decode", "estimate", "stems_of"]

Audio = NDArray[np.float32]

DEFAULT_MODEL = "stereo-drnn"
#: What a model calls the source that is left when all others are taken away.
RESTS = ("other", "accompaniment")
#: Zeros for so long are digital silence, in s.
SILENT_SECONDS = 0.01


class Separator:
    """A trained separation network, ready to run.

    Parameters
    ----------
    model : str
        A name that ``audiocli models list`` shows, or a model folder.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    tta_pitches : {1, 3, 5, 7}, optional
        Test-time augmentation: process everything at so many pitches and average the estimates,
        which takes so many times as long. By default as the model's settings have it, mostly 1.

    Attributes
    ----------
    stems : tuple of str
        What it separates into; together they are the mixture.

    Raises
    ------
    ModelError
        If there is no such model, or it is damaged.
    UsageError
        If there is no such number of pitches.

    Examples
    --------
    >>> separator = Separator()
    >>> mixture = np.random.default_rng(0).normal(size=(2, 8000)).astype(np.float32) / 10
    >>> stems = separator(mixture, 44100)
    >>> bool(np.allclose(stems["vocals"] + stems["accompaniment"], mixture, atol=1e-6))
    True
    """

    def __init__(
        self, model: str = DEFAULT_MODEL, *, device: str = "auto", tta_pitches: int | None = None
    ) -> None:
        self.entry = registry.find("separate", model)
        self.network = models.load_as(SeparationNetwork, self.entry, models.device(device))
        fuse(self.network)
        self.stems = stems_of(self.entry)
        labels = self.entry.config["labels"]
        #: Which of the network's sources are taken as they are: all stems but the rest.
        self._taken = [labels.index(stem) for stem in self.stems[:-1]]
        decoder = self.entry.config.get("decoder", {})
        try:
            self.cut = Blockwise(
                *(
                    round(decoder[f"{part}_seconds"] * self.rate)
                    for part in ("segment", "context", "fade")
                )
            )
            #: Shifts at which everything is processed; 0 alone for most models.
            self.semitones = spread(tta_pitches, decoder.get("semitones"))
            #: Turns the vocals down where they are next to nothing; few models have one.
            self.gate = Gate(**decoder["gate"]) if "gate" in decoder else None
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{model}: its decoder settings are damaged: {decoder}") from error

    @property
    def rate(self) -> int:
        """Sample rate at which the network works, in Hz."""
        return self.network.sample_rate

    def __call__(self, mixture: Audio, sample_rate: int) -> dict[str, Audio]:
        """Separate a whole signal.

        Parameters
        ----------
        mixture : array_like, shape (channels, samples) or (samples,)
            See :mod:`audiocli.dsp.signals` for what else is taken.
        sample_rate : int
            In Hz.

        Returns
        -------
        dict of str to ndarray, shape (channels, samples)
            By stem: for most models ``vocals`` and ``accompaniment``.
        """
        rate, audio = as_rate(sample_rate), as_audio(mixture, "mixture")
        level = ProgrammeLevel(rate)
        level.add(audio)
        pieces = list(self.blocks([audio], rate, level.level))
        stems = np.concatenate(pieces, axis=-1)
        return dict(zip(self.stems, stems, strict=True))

    def blocks(self, mixture: Iterable[Audio], sample_rate: int, level: float) -> Iterator[Audio]:
        """Separate a stream.

        Parameters
        ----------
        mixture : iterable of ndarray, shape (channels, samples)
            The stream.
        sample_rate : int
            In Hz.
        level : float
            Of the whole, as :class:`audiocli.tasks.separate.conditioning.ProgrammeLevel` measures
            it.

        Yields
        ------
        ndarray, shape (stems, channels, samples)
            For each block of the mixture one of the same length.
        """
        sample_rate = as_rate(sample_rate)
        inputs, sizes, mixed = itertools.tee(as_blocks(mixture, "mixture"), 3)

        def process(audio: Audio) -> Audio:
            taken, clean = conditioned(audio, self.rate, self._averaged, target=LEVEL, level=level)
            if self.gate:
                taken[0] = self.gate(taken[0], clean, self.rate)
            # Stems and channels in one axis, as streams have one.
            return taken.reshape(len(taken) * len(audio), audio.shape[1])

        narrow = resample(inputs, sample_rate, self.rate)
        mapped = partial(ordered, where=next(self.network.parameters()).device)
        wide = overlap_add(narrow, process, self.cut, mapped)
        sources = resample(wide, self.rate, sample_rate)
        first = next(mixed, None)
        if first is None:
            return
        lengths = (block.shape[-1] for block in sizes)
        number = len(self._taken)
        matched = rechunk(sources, lengths, channels=number * len(first))
        least = round(SILENT_SECONDS * sample_rate)
        for block, source in zip(itertools.chain([first], mixed), matched, strict=True):
            yield decode(block, muted(source.reshape(number, *block.shape), block, least))

    def _averaged(self, audio: Audio) -> Audio:
        """Estimate the sources of audio at the level of training, at all pitches."""
        if not audio.any():
            return np.zeros((len(self._taken), *audio.shape), np.float32)
        return averaged_over_pitches(self._estimate, audio, self.semitones)

    def _estimate(self, audio: Audio) -> Audio:
        return estimate(self.network, audio, sources=self._taken)


def stems_of(entry: registry.ModelEntry) -> tuple[str, ...]:
    """Tell what a model separates into."""
    labels = [str(label) for label in entry.config["labels"]]
    order = sorted(labels, key=lambda label: (label in RESTS, label != "vocals"))
    return tuple(order if order[-1] in RESTS else [*order, RESTS[-1]])


def estimate(
    network: SeparationNetwork,
    audio: Audio,
    *,
    gain: float = 1.0,
    sources: Sequence[int] | None = None,
) -> Audio:
    """Estimate the sources of a signal at the network's rate, (sources, channels, samples)."""
    if gain == 0 or audio.shape[-1] == 0:
        number = network.num_sources if sources is None else len(sources)
        return np.zeros((number, *audio.shape), np.float32)
    where = next(network.parameters()).device
    try:
        with torch.inference_mode():
            separated = network.separate(torch.from_numpy(audio).to(where) * gain, sources)
    except RuntimeError as error:
        if "memory" in str(error):  # torch has no other sign of it that holds on every device
            raise MemoryError from error
        raise
    result: Audio = (separated / gain).cpu().numpy()
    return result


def decode(mixture: Audio, sources: Audio) -> Audio:
    """Complete the estimates (sources, channels, samples) to stems that add up to the mixture."""
    return np.concatenate([sources, (mixture - sources.sum(axis=0))[np.newaxis]])
