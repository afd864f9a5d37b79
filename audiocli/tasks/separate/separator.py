"""Run a separation network over a signal or a stream; see the package for the task."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from audiocli import models, registry
from audiocli.audio.levels import Level
from audiocli.audio.streaming import Blockwise, overlap_add, rechunk, resample
from audiocli.errors import ModelError
from audiocli.models.masking import LEVEL, SILENCE, MaskingNetwork
from audiocli.stems import SOURCES

__all__ = ["DEFAULT_MODEL", "LEVEL", "Separator", "decode", "estimate"]

Audio = NDArray[np.float32]

DEFAULT_MODEL = "drnn-mir1k"


class Separator:
    """A trained separation network, ready to run.

    Parameters
    ----------
    model : str
        A name that ``audiocli models list`` shows, or a model folder.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Raises
    ------
    ModelError
        If there is no such model, or it is damaged.

    Examples
    --------
    >>> separator = Separator()
    >>> mixture = np.random.default_rng(0).normal(size=(2, 8000)).astype(np.float32) / 10
    >>> stems = separator(mixture, 44100)
    >>> bool(np.allclose(stems["vocals"] + stems["accompaniment"], mixture, atol=1e-6))
    True
    """

    def __init__(self, model: str = DEFAULT_MODEL, *, device: str = "auto") -> None:
        self.entry = registry.find("separate", model)
        network = models.load(self.entry, models.device(device))
        if not isinstance(network, MaskingNetwork):
            raise ModelError(f"{model}: its architecture is not one that separates")
        self.network = network
        decoder = self.entry.config.get("decoder", {})
        try:
            self.cut = Blockwise(
                *(
                    round(decoder[f"{part}_seconds"] * self.rate)
                    for part in ("segment", "context", "fade")
                )
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{model}: its decoder settings are damaged: {decoder}") from error

    @property
    def rate(self) -> int:
        """Sample rate at which the network works, in Hz."""
        return self.network.stft.config.sample_rate

    def __call__(self, mixture: Audio, sample_rate: int) -> dict[str, Audio]:
        """Separate a whole signal.

        Parameters
        ----------
        mixture : ndarray, shape (channels, samples)
        sample_rate : int
            In Hz.

        Returns
        -------
        dict of str to ndarray, shape (channels, samples)
            ``vocals`` and ``accompaniment``.
        """
        level = Level(sample_rate)
        level.hear(mixture)
        pieces = list(self.blocks([mixture], sample_rate, level.rms))
        stems = np.concatenate(pieces, axis=-1)
        return dict(zip(SOURCES, stems, strict=True))

    def blocks(self, mixture: Iterable[Audio], sample_rate: int, rms: float) -> Iterator[Audio]:
        """Separate a stream.

        Parameters
        ----------
        mixture : iterable of ndarray, shape (channels, samples)
            The stream.
        sample_rate : int
            In Hz.
        rms : float
            Level of the whole, as :class:`audiocli.audio.levels.Level` measures it.

        Yields
        ------
        ndarray, shape (stems, channels, samples)
            For each block of the mixture one of the same length.
        """
        heard, sizes, mixed = itertools.tee(mixture, 3)
        process = partial(estimate, self.network, gain=LEVEL / rms if rms > SILENCE else 0.0)
        narrow = resample(heard, sample_rate, self.rate)
        vocals = resample(overlap_add(narrow, process, self.cut), self.rate, sample_rate)
        first = next(mixed, None)
        if first is None:
            return
        lengths = (block.shape[-1] for block in sizes)
        matched = rechunk(vocals, lengths, channels=first.shape[0])
        for block, voice in zip(itertools.chain([first], mixed), matched, strict=True):
            yield decode(block, voice)


def estimate(network: MaskingNetwork, audio: Audio, *, gain: float = 1.0) -> Audio:
    """Estimate the vocals of a signal at the network's rate.

    Parameters
    ----------
    network : MaskingNetwork
        Its first source is the voice.
    audio : ndarray, shape (channels, samples)
        Every channel is separated by itself.
    gain : float
        Brings the signal to the level the network was trained at.

    Returns
    -------
    ndarray, shape (channels, samples)
        The vocals, at the level of `audio`.

    Examples
    --------
    >>> from audiocli.frontend import StftConfig
    >>> network = models.build("drnn", StftConfig(), {"hidden_size": 4})
    >>> estimate(network, np.zeros((2, 3000), np.float32)).shape
    (2, 3000)
    """
    if gain == 0 or audio.shape[-1] == 0:
        return np.zeros_like(audio)
    where = next(network.parameters()).device
    try:
        with torch.inference_mode():
            vocals = network(torch.from_numpy(audio).to(where) * gain)[:, 0] / gain
    except RuntimeError as error:
        if "memory" in str(error):  # torch has no other sign of it that holds on every device
            raise MemoryError from error
        raise
    result: Audio = vocals.cpu().numpy()
    return result


def decode(mixture: Audio, vocals: Audio) -> Audio:
    """Complete the estimate of the vocals to stems that add up to the mixture.

    Parameters
    ----------
    mixture, vocals : ndarray, shape (channels, samples)

    Returns
    -------
    ndarray, shape (2, channels, samples)
        In the order of ``SOURCES``.

    Examples
    --------
    >>> decode(np.ones((1, 2), np.float32), np.full((1, 2), 0.25, np.float32))[:, 0, 0].tolist()
    [0.25, 0.75]
    """
    return np.stack([vocals, mixture - vocals])
