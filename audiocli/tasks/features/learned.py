"""Features learned from data: hidden layers of networks, frame by frame, in constant memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiocli.dsp.signals import as_blocks, as_rate
from audiocli.errors import ModelError
from audiocli.io.audio import streaming
from audiocli.io.audio.downmix import downmix
from audiocli.io.audio.layouts import Layout
from audiocli.io.audio.levels import Level
from audiocli.nn import models, registry
from audiocli.nn.bases import BasisNetwork
from audiocli.nn.clipwise import ClipNetwork, steps_of_stream
from audiocli.nn.framewise import FramewiseNetwork, in_segments
from audiocli.nn.masking import LEVEL, SILENCE, MaskingNetwork
from audiocli.tasks.features.extractor import STATISTICS, Column
from audiocli.tasks.features.statistics import Statistics, check

if TYPE_CHECKING:
    from audiocli.tasks.plotting import Overview

__all__ = ["Basis", "Embedder"]

Floats = NDArray[np.floating[Any]]


class Embedder:
    """Embeds audio with a network: its last hidden layer, frame by frame.

    Of a basis of spectra these are the activations of its components; of an encoder of clips the
    features of its steps, which last several frames. Of a separation network
    they are those of its last dense or recurrent layer, and for the convolutional one the
    channels at its waist, as means over the bands there.

    Parameters
    ----------
    model : str
        A name that ``audiocli models list`` shows, with its task (``onsets/crnn``) where several
        have it, or a model folder.
    statistics : sequence of str
        Of a file's frames, see :func:`audiocli.tasks.features.statistics.check`.
    device : str
        As in :func:`audiocli.nn.models.device`.

    Raises
    ------
    ModelError
        If the model is damaged.
    UsageError
        If there is no such model.

    Examples
    --------
    >>> embedder = Embedder("onsets/blstm", ["mean"], device="cpu")
    >>> row = embedder.summary([np.zeros((1, 44100), np.float32)], 44100)
    >>> len(row), next(iter(row))
    (40, 'blstm_1_mean')
    """

    single_threaded = False
    task: str | None = None

    def __init__(
        self, model: str, statistics: Sequence[str] = STATISTICS, *, device: str = "auto"
    ) -> None:
        self.statistics = check(statistics)
        self.entry = registry.find(self.task, model)
        network = models.load(self.entry, models.device(device))
        if not isinstance(network, FramewiseNetwork | MaskingNetwork):
            raise ModelError(f"{model}: its architecture does not describe frames")
        self.network = network
        self.config = network.frontend.config
        where = next(network.buffers()).device
        with torch.inference_mode():
            silence = torch.zeros(1, self.config.n_fft, device=where)
            self.units = int(network.embed_frames(silence).shape[1])
        name = re.sub(r"\W+", "_", self.entry.name, flags=re.ASCII).strip("_") or "model"
        self.frame_columns = [f"{name}_{unit}" for unit in range(1, self.units + 1)]

    @property
    def frame_rate(self) -> float:
        """Frames a second; of an encoder of clips, its steps."""
        if isinstance(self.network, ClipNetwork):
            return self.config.frame_rate / self.network.stride
        return self.config.frame_rate

    @property
    def facts(self) -> dict[str, Any]:
        """What the features depend on, besides their columns."""
        return {"weights_sha256": self.entry.config["weights_sha256"]}

    def check_frames(self, *, plot: bool) -> None:
        """Refuse nothing: every learned feature has frames and can be drawn."""

    def columns(self, *, frames: bool = False) -> list[Column]:
        """Describe the columns of the table, as :meth:`Extractor.columns` does."""
        source = f"{self.entry.task}/{self.entry.name}"
        described = []
        for unit, name in enumerate(self.frame_columns, start=1):
            text = self._describe(unit)
            if frames:
                described.append(Column(name, "1", text, source))
                continue
            for statistic in self.statistics:
                full = f"{text}; {statistic} of frames"
                described.append(Column(f"{name}_{statistic}", "1", full, source))
        return described

    def _describe(self, unit: int) -> str:
        kind = "channel at the waist" if self._pooled else "unit of the last hidden layer"
        return f"Activation of {kind}, {unit} of {self.units}"

    @property
    def _pooled(self) -> bool:
        return str(self.entry.config["architecture"]) == "conv-drnn"

    def frames(self, blocks: Iterable[Floats], sample_rate: int) -> Iterator[Floats]:
        """Compute the features of frames, in constant memory.

        Frame t has its middle at sample t * hop_length of the network's front-end; of an encoder
        of clips, step t begins at frame t * stride.

        Parameters
        ----------
        blocks : iterable of ndarray, shape (channels, samples)
            Audio, full scale 1.0; channels are averaged. A separation network gets it at the level
            of its training, which takes a first pass: an iterator is then held in memory.
        sample_rate : int
            Of the sound, in Hz.

        Yields
        ------
        ndarray of float32, shape (frames, units)
            As `frame_columns` names them.
        """
        yield from self._computed(self.network.embed_frames, blocks, sample_rate)

    def _computed(
        self, compute: Callable[[Tensor], Tensor], blocks: Iterable[Floats], sample_rate: int
    ) -> Iterator[Floats]:
        sample_rate, gain = as_rate(sample_rate), 1.0
        if isinstance(self.network, MaskingNetwork):
            if iter(blocks) is blocks:
                blocks = list(blocks)
            level = Level(sample_rate)
            for block in as_blocks(blocks):
                level.update(block)
            gain = LEVEL / level.rms if level.rms > SILENCE else 0.0
        mono = downmix(as_blocks(blocks), sample_rate)
        resampled = streaming.resample(mono, sample_rate, self.config.sample_rate)
        levelled = (np.float32(gain) * block[0] for block in resampled)
        if isinstance(self.network, ClipNetwork):
            yield from steps_of_stream(self.network, levelled)
        else:
            yield from in_segments(self.network, self.config, compute, levelled)

    def summary(
        self, blocks: Iterable[Floats], sample_rate: int, *, layout: Layout | None = None
    ) -> dict[str, float]:
        """Compute statistics of the features of all frames.

        Parameters
        ----------
        blocks, sample_rate
            As in :meth:`frames`.
        layout : tuple of str, optional
            Not used: channels are averaged.

        Returns
        -------
        dict of str to float
            By the names of :meth:`columns`.
        """
        statistics = Statistics(self.statistics, self.units)
        for values in self.frames(blocks, sample_rate):
            statistics.add(values)
        names = [f"{name}_{each}" for name in self.frame_columns for each in self.statistics]
        return dict(zip(names, statistics.result().ravel().tolist(), strict=True))

    def draw(
        self,
        path: Path,
        seen: Overview,
        blocks: Iterable[Floats],
        sample_rate: int,
        *,
        title: str,
        overwrite: bool,
    ) -> None:
        """Draw the activations as an image under the spectrogram."""
        from audiocli.tasks.plotting import plot_features

        values = np.concatenate(list(self.frames(blocks, sample_rate)))
        label = f"{self.entry.name}\n({self.units} {'channels' if self._pooled else 'units'})"
        plot_features(
            path, seen, {label: values}, self.frame_rate, title=title, overwrite=overwrite
        )


class Basis(Embedder):
    """Projects audio on a learned basis of spectra, and measures how much is lost.

    Parameters
    ----------
    model, statistics, device
        As in :class:`Embedder`; a model for the task ``features``.

    Examples
    --------
    >>> basis = Basis("pca", ["mean"], device="cpu")
    >>> noise = np.random.default_rng(0).normal(size=(1, 22050)).astype(np.float32)
    >>> [part.shape for part in basis.measured([noise], 22050)]
    [(44, 34)]
    """

    task = "features"
    network: BasisNetwork

    def __init__(
        self, model: str, statistics: Sequence[str] = STATISTICS, *, device: str = "auto"
    ) -> None:
        super().__init__(model, statistics, device=device)
        if not isinstance(self.network, BasisNetwork):
            raise ModelError(f"{model}: its architecture is no basis of spectra")

    def _describe(self, unit: int) -> str:
        architecture = self.entry.config["architecture"]
        return f"Activation of component {unit} of {self.units}, learned by {architecture}"

    def measured(self, blocks: Iterable[Floats], sample_rate: int) -> Iterator[Floats]:
        """Compute activations and errors of frames, in constant memory.

        Parameters
        ----------
        blocks, sample_rate
            As in :meth:`frames`.

        Yields
        ------
        ndarray of float32, shape (frames, units + 2)
            As :meth:`audiocli.nn.bases.BasisNetwork.measured` orders them.
        """
        yield from self._computed(self.network.measured, blocks, sample_rate)

    def draw(
        self,
        path: Path,
        seen: Overview,
        blocks: Iterable[Floats],
        sample_rate: int,
        *,
        title: str,
        overwrite: bool,
    ) -> None:
        """Draw the bases, the activations and the error under the spectrogram."""
        from audiocli.tasks.features.plot import plot_basis

        values = np.concatenate(list(self.measured(blocks, sample_rate)))
        bands = self.network.frontend.centres.numpy()
        shapes = self.network.shapes().mean(dim=1).cpu().numpy()
        lost = 100 * float(values[:, -2].sum() / max(values[:, -1].sum(), 1e-12))
        plot_basis(
            path,
            seen,
            shapes,
            bands,
            values[:, :-2],
            20 * np.sqrt(values[:, -2] / self.network.size),
            self.frame_rate,
            title=f"{title}    {self.entry.name}: {lost:.1f} % of the variance lost",
            overwrite=overwrite,
        )
