"""Train the separation networks: examples, loss, score and the training run.

The other half of :mod:`audiocli.tasks.separate`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audiocli.errors import DataError, UsageError
from audiocli.nn import models, registry
from audiocli.nn.augment import colour, excerpt
from audiocli.nn.fit import Epoch, Progress, check_output
from audiocli.nn.frontend import Stft
from audiocli.nn.hourglass import ConvolutionalDRNN
from audiocli.nn.live import LiveDRNN
from audiocli.nn.masking import MaskingNetwork
from audiocli.nn.provenance import data_sets, licence_of_each, named
from audiocli.nn.stereo import StereoDRNN
from audiocli.tasks.separate import songs
from audiocli.tasks.separate.bss_eval import bss_eval, weighted_mean
from audiocli.tasks.separate.clips import SOURCES, Clip, find_clips, unit_power
from audiocli.tasks.separate.config import (
    ARCHITECTURES,
    AUGMENTATIONS,
    LOSSES,
    SONGS,
    STEREO,
    Augmentation,
    TrainingConfig,
)
from audiocli.tasks.separate.losses import (
    divergence_loss,
    lifted_snr_loss,
    snr_loss,
    squared_loss,
)
from audiocli.tasks.separate.separator import LEVEL, estimate
from audiocli.tasks.separate.songs import Material, Song, gather_songs, mixed_songs
from audiocli.tasks.trainer import Card, Run, Validation, described, identity_of, origin_of
from audiocli.tasks.training_data import Noting, Stage, noted, read_parts, refuse_empty

__all__ = [
    "ARCHITECTURES",
    "AUGMENTATIONS",
    "LOSSES",
    "Augmentation",
    "TrainingConfig",
    "examples",
    "loss",
    "score",
    "start_from",
    "train",
]

Sources = NDArray[np.float32]  # (2, samples): vocals, accompaniment

#: Of stereo networks: the share of the loss in which high frequencies are lifted.
LIFTED = 1 / 3


def examples(
    clips: Sequence[Sources],
    config: TrainingConfig,
    rng: np.random.Generator,
    stft: Stft,
    size: int | None = None,
) -> Tensor:
    """Make references (size, 2, samples) from clips (2, samples): a batch, without a size."""
    how = config.augmentation
    samples = round(config.seconds * config.frontend.sample_rate)
    batch = np.empty((size or config.fit.batch_size, 2, samples), np.float32)
    for example in batch:
        voice = clips[int(rng.integers(len(clips)))]
        music = clips[int(rng.integers(len(clips)))] if how.remix else voice
        if how.shift:
            example[0] = excerpt(voice[0], samples, rng, semitones=how.semitones)
            example[1] = excerpt(music[1], samples, rng, semitones=how.semitones)
        else:
            start = int(rng.integers(voice.shape[1]))
            place = np.arange(start, start + samples)
            example[:] = np.take(voice, place, axis=1, mode="wrap")
        example[1] *= 10 ** (rng.normal(0, how.gain) / 20) if how.gain else 1.0
    signals = torch.from_numpy(batch) * (LEVEL / 2**0.5)  # two sources of equal power
    with torch.no_grad():
        voices = colour(signals[:, 0], stft, rng, octaves=how.octaves, decibels=how.decibels)
        musics = colour(signals[:, 1], stft, rng, decibels=how.decibels)
    return torch.stack([voices, musics], dim=1)


def loss(network: MaskingNetwork, batch: Tensor, config: TrainingConfig) -> Tensor:
    """Compute the loss of a network on a batch (batch, 2, samples)."""
    with torch.no_grad():
        sources = network.stft(batch)
    estimates = network.estimates(sources.sum(dim=1))
    if config.loss == "snr":
        value = snr_loss(estimates, sources, config.gamma)
        if batch.dim() == 3:
            return value
        return (1 - LIFTED) * value + LIFTED * lifted_snr_loss(estimates, sources)
    function = squared_loss if config.loss == "mse" else divergence_loss
    return function(estimates.abs(), sources.abs(), config.gamma)


def score(network: MaskingNetwork, clips: Sequence[Sources]) -> float:
    """Compute the voice GNSDR (BSS Eval 3) in dB on clips (2, samples) mixed at 0 dB."""
    gains = []
    for clip in clips:
        mixture = clip.sum(axis=0)
        gain = LEVEL / float(np.sqrt(np.mean(mixture**2)))
        vocals = estimate(network, mixture[None], gain=gain)[0, 0]
        check_output(vocals)
        estimates = np.stack([[vocals, mixture - vocals], [mixture, mixture]])
        scores = bss_eval(clip, estimates).sdr
        gains.append(scores[0, 0] - scores[1, 0])
    return float(weighted_mean(gains, [clip.shape[1] for clip in clips]))


def train(
    data: Sequence[Path],
    output: Path,
    config: TrainingConfig,
    *,
    voices: Sequence[Path] = (),
    backings: Sequence[Path] = (),
    dev: Path | None = None,
    licences: Sequence[str] = (),
    start: str | None = None,
    skip_unreadable: bool = False,
    device: str = "auto",
    stage: Stage = lambda what, done, total: None,
    report: Callable[[Epoch], None] = lambda epoch: None,
    progress: Progress = lambda step: None,
) -> registry.ModelEntry:
    """Train a separation network and write a model folder.

    Called again with the same arguments it goes on where it was stopped.

    Parameters
    ----------
    output, device, stage, report, progress
        As in :func:`audiocli.train_onsets`.
    data : sequence of Path
        Folders of clips with both sources, see :func:`audiocli.tasks.separate.clips.find_clips`.
    config : TrainingConfig
        What to train, and how.
    voices, backings : sequence of Path
        Folders of voices alone and of music without voice, for stereo networks.
    dev : Path, optional
        Validation set, which chooses the best epoch; by default every tenth clip of each folder of
        `data`.
    licences : sequence of str
        Of `data`, `voices` and `backings` in this order, for the card.
    start : str, optional
        A model to fine-tune, by its name or folder: of the same architecture and sizes, or
        for a stereo network a ``conv-drnn``.
    skip_unreadable : bool
        Leave out clips of one channel that cannot be read, with a warning each; by default they
        are named together, and refused.

    Returns
    -------
    ModelEntry
        The best epoch's network.

    Raises
    ------
    DataError
        If there are no clips.
    UsageError
        If `output` holds a finished model that this would replace, or `voices` or `backings` are
        given for a network that is not of stereo.
    ModelError
        If the checkpoint there is of another training config, or training diverges.

    Examples
    --------
    >>> import tempfile
    >>> from audiocli.demo import write_demo
    >>> from audiocli.nn.fit import FitConfig
    >>> small = TrainingConfig(arguments={"hidden_size": 4}, seconds=1.0,
    ...                fit=FitConfig(epochs=1, steps=2, batch_size=2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_demo(Path(folder))
    ...     stems = Path(folder) / "stems"
    ...     train([stems], Path(folder) / "model", small, dev=stems).task
    'separate'
    """
    registry.refuse_finished(output)
    if (voices or backings) and config.architecture not in STEREO:
        raise UsageError(
            f"voices and backings are for the {{architecture}} {' and '.join(STEREO)} alone; mix "
            "them beforehand",
            "architecture",
        )
    folders = [*data, *voices, *backings]
    licences = licence_of_each(folders, licences)
    stft = Stft(config.frontend)
    trained_on, held_out = _split(data, dev)
    origin = origin_of("separate", start)
    config = _with_context_of(origin, config)
    network = config.build()
    where = models.device(device)
    if origin is not None:
        start_from(network, origin)
    # All that can be refused was: reading may take minutes.
    material: _Clips | _Songs
    if config.architecture in STEREO:
        material = _Songs(config, where, stft, trained_on, voices, backings, held_out)
    else:
        material = _Clips(config, where, stft, trained_on, held_out, skip_unreadable, stage)
    if origin is None:
        rng = np.random.default_rng(config.fit.seed)
        first = network.stft(material.examples(rng, config.fit.batch_size))
        network.calibrate(first.sum(dim=1).abs())
    names = ", ".join(map(named, data))
    validation = named(dev) if dev is not None else f"every tenth clip of {names}"
    clips = [clip.name for clips in trained_on for clip in clips]
    clips += map(named, (*voices, *backings))
    identity = identity_of(config, clips, [clip.name for clip in held_out], origin)
    card = _card(folders, material, licences, validation, config)
    run: Run[MaskingNetwork, Tensor] = Run(
        output, card, config.fit, identity, [origin], report, progress
    )
    return run.fit(network, material, where)


class _Clips:
    """Clips of one channel, for the networks held to the protocol of MIR-1K."""

    METRIC, MEASURE = "GNSDR", "BSS Eval 3"

    def __init__(
        self,
        config: TrainingConfig,
        where: torch.device,
        stft: Stft,
        trained_on: list[list[Clip]],
        held_out: list[Clip],
        skip: bool,
        stage: Stage,
    ) -> None:
        rate = config.frontend.sample_rate
        *folders, scored = read_parts(
            [*trained_on, held_out],
            lambda clip: (clip.name, unit_power(clip.load_mono(rate), name=clip.name)),
            lambda clip: clip.name,
            skip=skip,
            stage=stage,
        )
        self.amounts = [
            (len(clips), sum(clip.shape[1] for _, clip in clips) / rate / 60) for clips in folders
        ]
        self.config, self.where, self.stft = config, where, stft
        self.names = [name for clips in folders for name, _ in clips]
        self.clips = [clip for clips in folders for _, clip in clips]
        self.scored = [clip for _, clip in scored]
        refuse_empty(self.clips, self.scored)

    def examples(self, rng: np.random.Generator, size: int) -> Tensor:
        return examples(self.clips, self.config, rng, self.stft, size)

    def batch(self, rng: np.random.Generator, size: int) -> Tensor:
        return self.examples(rng, size).to(self.where)

    def recordings(self, rng: np.random.Generator, size: int) -> list[str]:
        taken: list[str] = []
        examples(Noting(self.clips, self.names, taken), self.config, rng, self.stft, size)
        return taken

    def loss(self, network: MaskingNetwork, batch: Tensor) -> Tensor:
        return loss(network, batch, self.config)

    def validate(self, network: MaskingNetwork) -> Validation:
        return Validation(score(network, self.scored))


class _Songs:
    """Songs in stereo, with voices and backings of their own."""

    METRIC, MEASURE = "SNR improvement", "ratio of energies in stereo, no gain or filter allowed"

    def __init__(
        self,
        config: TrainingConfig,
        where: torch.device,
        stft: Stft,
        trained_on: list[list[Clip]],
        voices: Sequence[Path],
        backings: Sequence[Path],
        held_out: list[Clip],
    ) -> None:
        self.config, self.where, self.stft = config, where, stft
        rate = config.frontend.sample_rate
        self.material = gather_songs(trained_on, voices, backings, rate)
        self.amounts = self.material.amounts
        self.scored = [songs.validation_clip(clip, rate) for clip in held_out]

    def examples(self, rng: np.random.Generator, size: int) -> Tensor:
        return self._mixed(self.material, rng, size)

    def _mixed(self, material: Material, rng: np.random.Generator, size: int) -> Tensor:
        seconds = self.config.seconds
        return mixed_songs(material, SONGS, self.stft, rng, number=size, seconds=seconds)

    def recordings(self, rng: np.random.Generator, size: int) -> list[str]:
        own = self.material
        counts = np.cumsum([len(own.songs), len(own.voices)])

        def again(groups: Sequence[Sequence[Song]]) -> None:
            parts = (groups[: counts[0]], groups[counts[0] : counts[1]], groups[counts[1] :])
            self._mixed(Material(*parts, own.rate), rng, size)

        return noted([*own.songs, *own.voices, *own.backings], again)

    def batch(self, rng: np.random.Generator, size: int) -> Tensor:
        return self.examples(rng, size).to(self.where)

    def loss(self, network: MaskingNetwork, batch: Tensor) -> Tensor:
        return loss(network, batch, self.config)

    def validate(self, network: MaskingNetwork) -> Validation:
        return Validation(songs.score(network, self.scored))


def _with_context_of(origin: registry.ModelEntry | None, config: TrainingConfig) -> TrainingConfig:
    """Give a stereo network the context of the one that it goes on from: no option names it."""
    if origin is None or {config.architecture, origin.config["architecture"]} != {"stereo-drnn"}:
        return config
    context = origin.config["arguments"].get("context")
    arguments = {"context": context, **config.arguments} if context else config.arguments
    return replace(config, arguments=arguments)


def start_from(network: nn.Module, origin: registry.ModelEntry) -> None:
    """Fill a network with the weights of the model to fine-tune."""
    if type(network) is StereoDRNN and origin.config["architecture"] == "conv-drnn":
        other = models.load(origin)
        assert isinstance(other, ConvolutionalDRNN)  # as its configuration says
        network.load_mono(other)
    elif isinstance(network, LiveDRNN) and origin.config["architecture"] == "stereo-drnn":
        other = models.load(origin)
        assert isinstance(other, StereoDRNN)  # as its configuration says
        network.load_stereo(other)
    else:
        models.continue_from(network, origin)


def _split(data: Sequence[Path], dev: Path | None) -> tuple[list[list[Clip]], list[Clip]]:
    """Find the training set, folder by folder, and the validation set."""
    found = [find_clips(folder) for folder in data]
    if dev is not None:
        return found, find_clips(dev)
    clips = [clip for folder in found for clip in folder]
    if len(clips) == 1:
        raise DataError(
            f"{data[0]}: one clip is too few to train on and choose with; add {{dev}}", "dev"
        )
    held_out = clips[::10]
    return [[clip for clip in folder if clip not in held_out] for folder in found], held_out


def _card(
    folders: Sequence[Path],
    material: _Clips | _Songs,
    licences: Sequence[str],
    validation: str,
    config: TrainingConfig,
) -> Card:
    name, arguments = ARCHITECTURES[config.architecture]
    settings = described(config, "architecture", "arguments", "frontend")
    if config.architecture in STEREO:
        settings["augmentation"] = asdict(SONGS)
    rounded = [(clips, round(minutes, 1)) for clips, minutes in material.amounts]
    return Card(
        "separate",
        name,
        {**arguments, **config.arguments},
        list(SOURCES),
        data_sets(folders, rounded, licences),
        licences,
        f"the epoch was chosen on {validation}",
        settings,
        {
            "metric": f"vocals {material.METRIC}",
            "unit": "dB",
            "measure": material.MEASURE,
            "data": f"the clips that chose the epoch: {validation}",
        },
        digits=2,
        decoder={"segment_seconds": 20.0, "context_seconds": 3.0, "fade_seconds": 0.25},
    )
