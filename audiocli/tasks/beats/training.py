"""Train the beat trackers: loss, score and the training run.

The other half of :mod:`audiocli.tasks.beats`.
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
from audiocli.nn.frontend import Filterbank, FilterbankConfig
from audiocli.nn.provenance import licence_of_each
from audiocli.tasks.beats.examples import (
    ANNOTATIONS,
    AUGMENTATIONS,
    Augmentation,
    Excerpts,
    Take,
    examples,
    load,
)
from audiocli.tasks.beats.scoring import f_measure
from audiocli.tasks.feature_cache import bounded
from audiocli.tasks.frame_training import FrameArchitecture, Takes, read_takes
from audiocli.tasks.trainer import Card, Run, Validation, described, identity_of, origin_of
from audiocli.tasks.training_data import Stage

__all__ = ["ARCHITECTURES", "TrainingConfig", "loss", "peaks", "score", "train"]

#: Windows of 23, 46 and 93 ms, each with its rises, a hundred frames a second.
BOECK = FilterbankConfig(
    sample_rate=22_050, n_ffts=(512, 1024, 2048), hop_length=220, bands=20, fmax=10_000.0
)
#: A window of 46 ms, to place a stroke, and of 186 ms, to tell the bass from the chord.
WIDE = FilterbankConfig(
    sample_rate=22_050, n_ffts=(1024, 4096), hop_length=441, bands=81, scale="log",
    fmin=30.0, fmax=10_000.0, difference=False,
)  # fmt: skip
#: What ``--arch`` names: a registered architecture, its front-end, and its arguments.
ARCHITECTURES = {
    "blstm": FrameArchitecture("frame-rnn", BOECK, {"num_outputs": 2, "hidden_size": 25}),
    "tcn": FrameArchitecture("frame-tcn", WIDE, {"num_outputs": 2}),
}
#: How much more a frame with a beat, and with a downbeat, weighs than one without.
POSITIVE = (4.0, 8.0)
#: Heights that a peak must have, of which the best is taken for the score.
THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)


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
    tolerance : float
        Seconds by which an activation may be beside a beat at no loss.
    downbeat_weight : float
        How much the loss of downbeats counts beside that of beats.
    seconds : float
        Length of an example.
    fit : FitConfig
        Optimiser and schedule.

    Raises
    ------
    UsageError
        On an unknown name, or a length or tolerance that cannot be.

    Examples
    --------
    >>> TrainingConfig(architecture="blstm").frontend.bands
    20
    """

    architecture: str = "tcn"
    arguments: dict[str, Any] = field(default_factory=dict)
    augmentation: Augmentation = AUGMENTATIONS["wide"]
    tolerance: float = 0.04
    downbeat_weight: float = 1.0
    seconds: float = 20.0
    fit: FitConfig = field(default_factory=FitConfig)

    def __post_init__(self) -> None:
        check_choice("architecture", self.architecture, ARCHITECTURES)
        if self.seconds < 1 or not 0 <= self.tolerance <= 0.1:
            raise UsageError("examples last 1 s or longer, tolerance lies between 0 and 0.1 s")
        if not self.downbeat_weight > 0:
            raise UsageError("the weight of downbeats is above 0")

    @property
    def frontend(self) -> FilterbankConfig:
        """The front-end of the network."""
        return ARCHITECTURES[self.architecture].frontend

    @property
    def excerpts(self) -> Excerpts:
        """What its examples are like."""
        return Excerpts(self.frontend, self.augmentation, self.seconds, self.fit.batch_size)

    def build(self) -> FramewiseNetwork:
        """Make the network with fresh weights."""
        return ARCHITECTURES[self.architecture].build(self.arguments, self.fit.seed)


def loss(logits: Tensor, targets: Tensor, tolerance: int, downbeat_weight: float = 1.0) -> Tensor:
    """Compute the shift-tolerant cross entropy.

    Parameters
    ----------
    logits : Tensor, shape (batch, 2, frames)
    targets : Tensor, shape (batch, 2, frames)
        1 at beats and at downbeats, 0 elsewhere, NaN where it is not known.
    tolerance : int
        An activation may be so many frames beside a beat; what is up to twice as far counts for
        nothing.
    downbeat_weight : float
        How much the loss of downbeats counts beside that of beats.

    Returns
    -------
    Tensor
        A scalar: the mean over frames.

    References
    ----------
    Foscarin, Schlüter, Widmer: Beat this! Accurate beat tracking without DBN postprocessing.
    ISMIR 2024.

    Examples
    --------
    >>> targets = torch.zeros(1, 2, 50)
    >>> targets[..., 20] = 1
    >>> early, late = torch.full((2, 1, 2, 50), -9.0)
    >>> early[..., 18], late[..., 26] = 9.0, 9.0
    >>> bool(loss(early, targets, 2) < 0.01), bool(loss(late, targets, 2) > 1)
    (True, True)
    """
    known = (~targets.isnan()).float()
    wanted = targets.nan_to_num()
    near = 2 * tolerance
    spread = F.max_pool1d(logits, 1 + 2 * tolerance, 1)
    inner = slice(tolerance, spread.shape[-1] - tolerance)
    kept = slice(near, wanted.shape[-1] - near)
    weight = (1 - F.max_pool1d(wanted, 1 + 2 * near, 1) + wanted[..., kept]) * known[..., kept]
    weight = weight * torch.tensor((1.0, downbeat_weight), device=logits.device).view(1, 2, 1)
    positive = torch.tensor(POSITIVE, device=logits.device).view(1, 2, 1)
    return F.binary_cross_entropy_with_logits(
        spread[..., inner], wanted[..., kept], weight, pos_weight=positive
    )


def peaks(curve: np.ndarray[Any, Any], frame_rate: float, threshold: float) -> Any:
    """Give the times of peaks of an activation that reach a threshold, one in 0.14 s."""
    reach = round(0.07 * frame_rate)
    padded = np.pad(curve, reach, constant_values=-1.0)
    highest = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    frames = np.flatnonzero((curve >= threshold) & (curve == highest))
    return frames[np.diff(frames, prepend=-reach - 1) > reach] / frame_rate


def score(network: FramewiseNetwork, takes: Sequence[Take]) -> tuple[float, float]:
    """Compute the F-measures of beats and downbeats at 70 ms, by the peaks of the activations.

    Parameters
    ----------
    network : FramewiseNetwork
        In evaluation mode.
    takes : sequence of Take
        The validation set.

    Returns
    -------
    beats, downbeats : float
        Means over recordings, in per cent, each at the threshold that serves best.
    """
    rate = network.frontend.config.frame_rate
    where = next(network.parameters()).device
    found: dict[str, list[list[float]]] = {"beats": [], "downbeats": []}
    for take in takes:
        images = torch.from_numpy(np.ascontiguousarray(take.images)).to(where).float()
        with torch.inference_mode():
            logits = network.outputs(network.scaled(images[None]))[0]
        curves = torch.sigmoid(logits.float()).cpu().numpy()
        parts = [("beats", curves[0], take.beats)]
        if take.has_bars:
            parts.append(("downbeats", curves[1], take.downbeats))
        for name, curve, reference in parts:
            found[name].append(
                [f_measure(reference, peaks(curve, rate, each)) for each in THRESHOLDS]
            )
    beats, downbeats = (
        100 * float(np.mean(rows, axis=0).max()) if rows else 0.0 for rows in found.values()
    )
    return beats, downbeats


def train(
    data: Sequence[Path],
    output: Path,
    config: TrainingConfig,
    *,
    held_out: Sequence[str] = (),
    dev: Sequence[Path] = (),
    licences: Sequence[str] = (),
    start: str | None = None,
    cache_dir: Path | None = None,
    skip_unreadable: bool = False,
    device: str = "auto",
    stage: Stage = lambda what, done, total: None,
    report: Callable[[Epoch], None] = lambda epoch: None,
    progress: Progress = lambda step: None,
) -> registry.ModelEntry:
    """Train a beat tracker and write a model folder.

    Called again with the same arguments it goes on where it was stopped.

    Parameters
    ----------
    data, output, held_out, dev, licences, start, skip_unreadable, device, stage, report, progress
        As in :func:`audiocli.train_onsets`.
    config : TrainingConfig
        What to train, and how.
    cache_dir : Path, optional
        Where to keep the output of the front-end, for other runs on the same recordings.

    Returns
    -------
    ModelEntry
        The best epoch's network.

    Raises
    ------
    DataError, UsageError, ModelError
        As there.
    """
    registry.refuse_finished(output)
    licences = licence_of_each(data, licences)
    bank = Filterbank(config.frontend)
    if cache_dir is not None:
        cache_dir.mkdir(parents=True, exist_ok=True)
    takes = read_takes(
        lambda each: load(each, bank, cache_dir),
        ANNOTATIONS,
        data,
        held_out,
        dev,
        skip_unreadable=skip_unreadable,
        stage=stage,
    )
    bounded(cache_dir)
    origin = origin_of("beats", start)
    network = config.build()
    if origin is not None:
        models.continue_from(network, origin)
    else:
        rng = np.random.default_rng(config.fit.seed)
        network.calibrate_images(examples(takes.groups, config.excerpts, rng)[0])
    identity = identity_of(config, takes.titles, takes.validation_titles, origin)
    card = _card(config, takes, licences)
    run: Run[FramewiseNetwork, tuple[Tensor, Tensor]] = Run(
        output, card, config.fit, identity, [origin], report, progress
    )
    where = models.device(device)
    return run.fit(network, _Objective(config, takes, where), where)


@dataclass(frozen=True)
class _Objective:
    """Batches of excerpts, their loss, and the F-measures on the validation set."""

    config: TrainingConfig
    takes: Takes[Take]
    where: torch.device

    def batch(self, rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor]:
        images, targets = examples(self.takes.groups, self._excerpts(size), rng)
        return images.to(self.where), targets.to(self.where)

    def recordings(self, rng: np.random.Generator, size: int) -> list[str]:
        return self.takes.drawn_by(lambda groups: examples(groups, self._excerpts(size), rng))

    def _excerpts(self, size: int) -> Excerpts:
        return replace(self.config.excerpts, batch_size=size)

    def loss(self, network: FramewiseNetwork, batch: tuple[Tensor, Tensor]) -> Tensor:
        images, targets = batch
        logits = network.outputs(network.scaled(images))
        tolerance = round(self.config.tolerance * self.config.frontend.frame_rate)
        return loss(logits.float(), targets, tolerance, self.config.downbeat_weight)

    def validate(self, network: FramewiseNetwork) -> Validation:
        beats, downbeats = score(network, self.takes.validation)
        command = registry.command_line()
        shown = [("F-measure of beats", beats), ("F-measure of downbeats", downbeats)]
        scores = [
            {"metric": metric, "value": round(value, 1), **MEASURE, "command": command}
            for metric, value in shown
        ]
        return Validation((beats + downbeats) / 2, scores=scores)


MEASURE = {
    "unit": "%",
    "measure": "70 ms, peaks of the activations",
    "data": "the validation set, which chose the epoch",
}


def _card(config: TrainingConfig, takes: Takes[Take], licences: Sequence[str]) -> Card:
    architecture = ARCHITECTURES[config.architecture]
    return Card(
        "beats",
        architecture.family,
        {**architecture.arguments, **config.arguments},
        ["beat", "downbeat"],
        takes.data_sets(
            licences, lambda take: take.images.shape[-1] / architecture.frontend.frame_rate
        ),
        licences,
        f"the epoch was chosen on {takes.chosen_on}, which were not trained on",
        described(config, "architecture", "arguments"),
        {"metric": "F-measure of beats", **MEASURE},
    )
