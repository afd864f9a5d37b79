"""Train the onset detectors: examples, loss, score and the training run.

The other half of :mod:`audiocli.tasks.onsets`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from audiocli.errors import UsageError, check_choice
from audiocli.nn import models, registry
from audiocli.nn.fit import Epoch, FitConfig, Progress
from audiocli.nn.framewise import FramewiseNetwork
from audiocli.nn.frontend import FilterbankConfig
from audiocli.nn.provenance import licence_of_each
from audiocli.tasks.frame_training import FrameArchitecture, Takes, read_takes
from audiocli.tasks.onsets.detector import Decoder, activations, decode
from audiocli.tasks.onsets.examples import (
    ANNOTATIONS,
    AUGMENTATIONS,
    Augmentation,
    Excerpts,
    Take,
    examples,
    load,
)
from audiocli.tasks.onsets.scoring import f_measure, match
from audiocli.tasks.trainer import Card, Run, Validation, described, identity_of, origin_of
from audiocli.tasks.training_data import Stage

__all__ = ["ARCHITECTURES", "TrainingConfig", "loss", "score", "train"]

EYBEN = FilterbankConfig()
FINE = FilterbankConfig(
    n_ffts=(1024, 2048, 4096), bands=160, scale="log", fmin=60.0, difference=False
)
QUICK = FilterbankConfig(n_ffts=(1024, 2048), bands=120, scale="log", fmin=60.0, difference=False)

#: What ``--arch`` names: a registered architecture, its front-end, and the arguments that make it
#: this one. The path of the lecture, with one thing changed at a time, then the two that go on.
ARCHITECTURES = {
    "rnn": FrameArchitecture("frame-rnn", EYBEN, {"cell": "rnn", "bidirectional": False}),
    "brnn": FrameArchitecture("frame-rnn", EYBEN, {"cell": "rnn"}),
    "lstm": FrameArchitecture("frame-rnn", EYBEN, {"bidirectional": False}),
    "blstm": FrameArchitecture("frame-rnn", EYBEN),
    "crnn": FrameArchitecture("frame-crnn", FINE),
    "online": FrameArchitecture("frame-crnn", QUICK, {"bidirectional": False}),
}
THRESHOLDS = np.arange(0.1, 0.81, 0.05)


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that defines a training run, so that it can be repeated.

    Parameters
    ----------
    architecture : str
        One of ``ARCHITECTURES``.
    arguments : dict
        More arguments of the architecture, over those of the name.
    augmentation : Augmentation
        Random changes to examples.
    fuzz : float
        The target falls from 1 at an onset to 0 at this distance, in seconds; 0 marks the
        nearest frame alone.
    seconds : float
        Length of an example.
    fit : FitConfig
        Optimiser and schedule.

    Raises
    ------
    UsageError
        On an unknown name, or a length or distance that cannot be.

    Examples
    --------
    >>> TrainingConfig(architecture="blstm").frontend.bands
    40
    """

    architecture: str = "crnn"
    arguments: dict[str, Any] = field(default_factory=dict)
    augmentation: Augmentation = AUGMENTATIONS["wide"]
    fuzz: float = 0.02
    seconds: float = 5.0
    fit: FitConfig = field(default_factory=FitConfig)

    def __post_init__(self) -> None:
        check_choice("architecture", self.architecture, ARCHITECTURES)
        if self.seconds < 0.5 or not 0 <= self.fuzz <= 0.1:
            raise UsageError("examples last 0.5 s or longer, and fuzz lies between 0 and 0.1 s")

    @property
    def frontend(self) -> FilterbankConfig:
        """Front-end of the network."""
        return ARCHITECTURES[self.architecture].frontend

    @property
    def excerpts(self) -> Excerpts:
        """Length, augmentation and targets of its examples."""
        return Excerpts(
            self.frontend, self.augmentation, self.fuzz, self.seconds, self.fit.batch_size
        )

    def build(self) -> FramewiseNetwork:
        """Make the network with fresh weights."""
        return ARCHITECTURES[self.architecture].build(self.arguments, self.fit.seed)


def loss(network: FramewiseNetwork, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Compute the cross entropy of a network on a batch."""
    audio, targets = batch
    return F.binary_cross_entropy_with_logits(network(audio)[:, 0].float(), targets)


def score(network: FramewiseNetwork, takes: Sequence[Take]) -> tuple[float, float]:
    """Compute the F-measure at 25 ms, at the threshold where it is highest."""
    rate = network.frontend.config.frame_rate
    outputs = [np.concatenate(list(activations(network, [take.signal]))) for take in takes]
    folders = sorted({take.folder for take in takes})
    best = (-1.0, float(THRESHOLDS[0]))
    for threshold in THRESHOLDS:
        counts = {folder: np.zeros(3, int) for folder in folders}
        for take, output in zip(takes, outputs, strict=True):
            found, _ = decode(output, rate, Decoder(threshold=float(threshold)))
            counts[take.folder] += match(take.onsets, found, 0.025).counts
        mean = float(np.mean([f_measure(*counts[folder]) for folder in folders]))
        best = max(best, (100 * mean, round(float(threshold), 2)))
    return best


def train(
    data: Sequence[Path],
    output: Path,
    config: TrainingConfig,
    *,
    held_out: Sequence[str] = (),
    dev: Sequence[Path] = (),
    licences: Sequence[str] = (),
    start: str | None = None,
    skip_unreadable: bool = False,
    device: str = "auto",
    stage: Stage = lambda what, done, total: None,
    report: Callable[[Epoch], None] = lambda epoch: None,
    progress: Progress = lambda step: None,
) -> registry.ModelEntry:
    """Train an onset detector and write a model folder.

    Called again with the same arguments it goes on where it was stopped.

    Parameters
    ----------
    data : sequence of Path
        Folders of annotated recordings, see :mod:`audiocli.tasks.annotated`; each is drawn from as
        often as the others.
    output : Path
        The model folder; its ``checkpoint`` folder holds what is needed to go on.
    config : TrainingConfig
        What to train, and how.
    held_out : sequence of str
        Patterns of recordings in `data` that are the validation set instead.
    dev : sequence of Path
        Folders of the validation set; with neither, it is every tenth recording of `data`.
    licences : sequence of str
        Of the folders in `data`, in their order, for the card.
    start : str, optional
        A model of the same architecture and sizes to fine-tune, by its name or folder.
    skip_unreadable : bool
        Leave out recordings that cannot be read, with a warning each; by default they are named
        together, and refused.
    device : str
        As in :func:`audiocli.nn.models.device`.
    stage : callable
        Told how far reading is.
    report, progress : callable
        As in :func:`audiocli.nn.fit.fit`.

    Returns
    -------
    ModelEntry
        The best epoch's network.

    Raises
    ------
    DataError
        If there are no recordings.
    UsageError
        If `output` holds a finished model that this would replace.
    ModelError
        If the checkpoint there is of another training config, or training diverges.
    """
    registry.refuse_finished(output)
    licences = licence_of_each(data, licences)
    rate = config.frontend.sample_rate
    takes = read_takes(
        lambda each: load(each, rate),
        ANNOTATIONS,
        data,
        held_out,
        dev,
        skip_unreadable=skip_unreadable,
        stage=stage,
    )
    origin = origin_of("onsets", start)
    network = config.build()
    if origin is not None:
        models.continue_from(network, origin)
    else:
        rng = np.random.default_rng(config.fit.seed)
        network.calibrate(examples(takes.groups, config.excerpts, rng)[0])
    identity = identity_of(config, takes.titles, takes.validation_titles, origin)
    card = _card(config, takes, licences)
    run: Run[FramewiseNetwork, tuple[Tensor, Tensor]] = Run(
        output, card, config.fit, identity, [origin], report, progress
    )
    where = models.device(device)
    return run.fit(network, _Objective(config, takes, where), where)


@dataclass(frozen=True)
class _Objective:
    """Batches of excerpts, their cross entropy, and the F-measure on the validation set."""

    config: TrainingConfig
    takes: Takes[Take]
    where: torch.device

    def batch(self, rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor]:
        audio, targets = examples(self.takes.groups, self._excerpts(size), rng)
        return audio.to(self.where), targets.to(self.where)

    def recordings(self, rng: np.random.Generator, size: int) -> list[str]:
        return self.takes.drawn_by(lambda groups: examples(groups, self._excerpts(size), rng))

    def _excerpts(self, size: int) -> Excerpts:
        return replace(self.config.excerpts, batch_size=size)

    def loss(self, network: FramewiseNetwork, batch: tuple[Tensor, Tensor]) -> Tensor:
        return loss(network, batch)

    def validate(self, network: FramewiseNetwork) -> Validation:
        value, threshold = score(network, self.takes.validation)
        return Validation(value, decoder={"threshold": threshold})


def _card(config: TrainingConfig, takes: Takes[Take], licences: Sequence[str]) -> Card:
    architecture = ARCHITECTURES[config.architecture]
    return Card(
        "onsets",
        architecture.family,
        {**architecture.arguments, **config.arguments},
        ["onset"],
        takes.data_sets(licences, lambda take: len(take.audio) / architecture.frontend.sample_rate),
        licences,
        f"the epoch and the threshold were chosen on {takes.chosen_on}, which were not trained on",
        described(config, "architecture", "arguments"),
        {
            "metric": "F-measure",
            "unit": "%",
            "measure": "25 ms, mean over data sets",
            "data": f"the recordings that chose the epoch: {takes.chosen_on}",
        },
    )
