"""Learn bases of spectra: streaming fits by scikit-learn, and an autoencoder by our own loop.

Frames are drawn at random from recordings on disk, batch after batch; none is kept. The basis
goes into a network of :mod:`audiocli.nn.bases`, and that into a model folder.
"""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiocli.errors import UsageError, check_choice
from audiocli.nn import models, registry
from audiocli.nn.bases import Autoencoder, BasisNetwork
from audiocli.nn.fit import Epoch, FitConfig, Progress, Step
from audiocli.nn.frontend import Filterbank, FilterbankConfig
from audiocli.nn.provenance import chosen_on, data_sets, licence_of_each
from audiocli.tasks.annotated import gather
from audiocli.tasks.features.excerpts import Excerpts, Sound, find_sounds
from audiocli.tasks.trainer import Card, Run, Validation, described, identity_of
from audiocli.tasks.training_data import by_folder, noted

__all__ = ["BASES", "FRONTEND", "TrainingConfig", "explained", "loss", "spectra", "train"]

BASES = ("pca", "nmf", "dictionary", "kmeans", "autoencoder")
#: The frames of the features made by hand.
FRONTEND = FilterbankConfig(22_050, (2048,), 512, 128, "mel", 30.0, 11_025.0, False)
#: Frames that the mean spectrum is taken of, and frames that score.
CALIBRATING, SCORING = 16_384, 16_384


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that defines a training run, so that it can be repeated.

    Parameters
    ----------
    basis : str
        One of ``BASES``.
    arguments : dict
        Of the network: ``components``; ``penalty`` of a dictionary; ``hidden_size`` of an
        autoencoder.
    frontend : FilterbankConfig
        The spectra.
    seconds : float
        Length of the excerpts that frames are drawn from.
    fit : FitConfig
        Epochs, steps and frames a batch; the rest of it is for the autoencoder.

    Raises
    ------
    UsageError
        On an unknown name, or a length or number that cannot be.

    Examples
    --------
    >>> TrainingConfig("nmf", {"components": 8}).build().components
    8
    """

    basis: str = "pca"
    arguments: dict[str, Any] = field(default_factory=dict)
    frontend: FilterbankConfig = FRONTEND
    seconds: float = 2.0
    fit: FitConfig = field(default_factory=lambda: FitConfig(epochs=10, batch_size=1024))

    def __post_init__(self) -> None:
        check_choice("basis", self.basis, BASES)
        if self.seconds <= 0:
            raise UsageError("excerpts are longer than 0 s")
        components = self.arguments.get("components", 32)
        if self.fit.batch_size < components:
            raise UsageError(
                f"a batch of {self.fit.batch_size} frames is smaller than the number of "
                f"components, {components}; use a larger {{batch_size}}",
                "batch_size",
            )

    def build(self) -> BasisNetwork:
        """Make the network with fresh weights."""
        torch.manual_seed(self.fit.seed)
        network = models.build(self.basis, self.frontend, self.arguments)
        assert isinstance(network, BasisNetwork)  # narrows the type; all of the above are
        return network


def spectra(
    sample_rate: int, frame: int, hop: int | None, bands: int, scale: str
) -> FilterbankConfig:
    """Configure the spectra for a basis, from 30 Hz to half the sample rate in Hz."""
    return FilterbankConfig(
        sample_rate, (frame,), hop or max(frame // 4, 1), bands, scale, fmin=30.0,
        fmax=sample_rate / 2, difference=False,
    )  # fmt: skip


def loss(network: BasisNetwork, frames: Tensor) -> Tensor:
    """Mean squared error of the reconstruction of frames (frames, channels * bands)."""
    return (network.decode(network.encode(frames)) - frames).square().mean()


def explained(network: BasisNetwork, frames: Tensor) -> float:
    """Variance of frames (frames, channels * bands) that a basis explains, in per cent."""
    with torch.inference_mode():
        images = frames.to(network.mean.device).T.reshape(1, *network.mean.shape[:2], -1)
        activations = network.outputs((images - network.mean) / network.scale)
        wrong = (images - network.reconstruct(activations)).square().sum()
        spread = (images - network.centre).square().sum().clamp(min=1e-12)
        return 100 * (1 - float(wrong / spread))


def train(
    data: Sequence[Path],
    output: Path,
    config: TrainingConfig,
    *,
    held_out: Sequence[str] = (),
    dev: Sequence[Path] = (),
    licences: Sequence[str] = (),
    device: str = "auto",
    report: Callable[[Epoch], None] = lambda epoch: None,
    progress: Progress = lambda step: None,
) -> registry.ModelEntry:
    """Learn a basis and write a model folder.

    The training of an autoencoder goes on where it was stopped, if called again with the same
    arguments; the others are a matter of minutes, and write nothing until they are done.

    Parameters
    ----------
    held_out, dev, licences, device, report, progress
        As in :func:`audiocli.train_onsets`.
    data : sequence of Path
        Folders of recordings; each is drawn from as often as the others. What cannot be read is
        warned of and left out.
    output : Path
        The model folder.
    config : TrainingConfig
        What to learn, and how.

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
    network = config.build()
    found, chosen = gather(find_sounds, data, held_out, dev)
    groups = by_folder(found, data)
    bank = Filterbank(config.frontend)
    rng = np.random.default_rng(config.fit.seed)
    excerpts = Excerpts([group for group in groups if group], bank, config.seconds)
    held_out_groups = by_folder(chosen, [*dict.fromkeys(data), *dev])
    validation = Excerpts([group for group in held_out_groups if group], bank, config.seconds)
    scored = validation.frames(SCORING, rng)
    _calibrate(network, config.basis, excerpts.frames(CALIBRATING, rng))
    network.to(models.device(device))
    card = _card(data, groups, config, licences, chosen_on(dev, held_out))
    identity = identity_of(
        config, [sound.title for sound in found], [sound.title for sound in chosen]
    )
    together = max(1, config.fit.batch_size // Excerpts.AT_LEAST)
    run: Run[BasisNetwork, Tensor] = Run(
        output, card, config.fit, identity, [], report, progress, together
    )
    if isinstance(network, Autoencoder):
        objective = _Objective(network, excerpts, scored, config)
        return run.fit(network, objective, models.device(device))
    _stream(network, excerpts, scored, config, run)
    return registry.open_folder(output)


class _Objective:
    """Batches of frames, the error of their reconstruction, and the variance explained."""

    def __init__(
        self, network: BasisNetwork, excerpts: Excerpts, scored: Tensor, config: TrainingConfig
    ) -> None:
        self.excerpts, self.scored, self.seconds = excerpts, scored, config.seconds
        self.mean, self.scale = network.mean.flatten(), network.scale.flatten()

    def batch(self, rng: np.random.Generator, size: int) -> Tensor:
        frames = self.excerpts.frames(size, rng, 1)
        return (frames.to(self.mean.device) - self.mean) / self.scale

    def recordings(self, rng: np.random.Generator, size: int) -> list[str]:
        def again(groups: Sequence[Sequence[Sound]]) -> None:
            excerpts = Excerpts(groups, self.excerpts.bank, self.seconds)
            excerpts.frames(size, rng, 1)

        return noted(self.excerpts.groups, again)

    def loss(self, network: BasisNetwork, batch: Tensor) -> Tensor:
        return loss(network, batch)

    def validate(self, network: BasisNetwork) -> Validation:
        return _validation(explained(network, self.scored))


def _validation(percent: float) -> Validation:
    return Validation(percent, shown=100 - percent)


def _calibrate(network: BasisNetwork, basis: str, frames: Tensor) -> None:
    """Set the mean spectrum and the scale of a network from frames."""
    mean = frames.mean(dim=0).view_as(network.mean)
    network.centre.copy_(mean)
    if basis in ("pca", "dictionary", "autoencoder"):
        network.mean.copy_(mean)
    if basis == "autoencoder":
        spread = (frames - frames.mean(dim=0)).square().mean().sqrt().clamp(min=1e-3)
        network.scale.fill_(float(spread))


def _stream(
    network: BasisNetwork,
    excerpts: Excerpts,
    scored: Tensor,
    config: TrainingConfig,
    run: Run[BasisNetwork, Tensor],
) -> None:
    """Fit by scikit-learn, batch after batch, and score after each epoch."""
    plan = config.fit
    try:  # now, and not when all is done
        run.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{run.output}: cannot be made: {error.strerror}") from error
    estimator = _estimator(config)
    rng = np.random.default_rng(plan.seed + 1)
    mean = network.mean.flatten().cpu()
    started = time.monotonic()
    best: tuple[BasisNetwork, Epoch] | None = None
    for number in range(1, plan.epochs + 1):
        for step in range(plan.steps):
            frames = excerpts.frames(plan.batch_size, rng) - mean
            with warnings.catch_warnings():  # a batch that has not converged is not the last
                warnings.simplefilter("ignore")
                estimator.partial_fit(frames.numpy().astype(np.float64))
            run.progress(Step(number, step + 1, plan.steps, seconds=time.monotonic() - started))
        _fill(network, config.basis, estimator, mean)
        score = explained(network, scored)
        better = best is None or score > best[1].score
        epoch = Epoch(number, 1 - score / 100, score, better, time.monotonic() - started)
        if better:
            best = copy.deepcopy(network), epoch
        run.report(epoch)
        if plan.patience and best is not None and number - best[1].number >= plan.patience:
            break
    assert best is not None  # there is an epoch
    kept, epoch = best
    run.keep(kept, epoch, _validation(epoch.score))


def _estimator(config: TrainingConfig) -> Any:
    """Make the estimator that scikit-learn fits batch by batch."""
    from sklearn import cluster, decomposition  # late: it takes a second

    count = int(config.arguments.get("components", 32))
    seed, size = config.fit.seed, config.fit.batch_size
    if config.basis == "pca":
        return decomposition.IncrementalPCA(count)
    if config.basis == "nmf":
        return decomposition.MiniBatchNMF(count, batch_size=size, random_state=seed)
    if config.basis == "kmeans":
        return cluster.MiniBatchKMeans(count, batch_size=size, n_init=3, random_state=seed)
    return decomposition.MiniBatchDictionaryLearning(
        count,
        alpha=config.build().penalty,
        batch_size=size,
        fit_algorithm="cd",
        random_state=seed,
    )


def _fill(network: BasisNetwork, basis: str, estimator: Any, mean: Tensor) -> None:
    """Copy the components into the network, low spectra first; of PCA, those that vary most."""
    learned = estimator.cluster_centers_ if basis == "kmeans" else estimator.components_
    rows: NDArray[np.float64] = np.asarray(learned, np.float64)
    if basis == "pca":
        # Its own mean is over all frames of the training; the one before was of a few.
        shift = torch.from_numpy(estimator.mean_).float()
        network.mean.copy_((mean + shift).view_as(network.mean))
    else:
        weight = np.abs(rows - (rows.mean(axis=0) if basis == "kmeans" else 0.0))
        place = weight @ np.arange(rows.shape[1]) / np.maximum(weight.sum(axis=1), 1e-12)
        rows = rows[np.argsort(place)]
    with torch.no_grad():
        network.bases.copy_(torch.from_numpy(rows))


def _card(
    data: Sequence[Path],
    groups: Sequence[Sequence[Sound]],
    config: TrainingConfig,
    licences: Sequence[str],
    validation: str,
) -> Card:
    licences = licence_of_each(data, licences)
    minutes = [sum(sound.seconds for sound in group) / 60 for group in groups]
    amounts = [
        (len(group), max(round(each, 1), 0.1)) for group, each in zip(groups, minutes, strict=True)
    ]
    return Card(
        "features",
        config.basis,
        config.arguments,
        ["activations"],
        data_sets(data, amounts, licences),
        licences,
        f"the epoch was chosen on frames of {validation}, which were not trained on",
        described(config, "basis", "arguments", "frontend"),
        {
            "metric": "relative squared error",
            "unit": "%",
            "measure": "of log-magnitude spectra, against their distance from the mean",
            "data": f"{SCORING} frames of the recordings that chose the epoch: {validation}",
        },
        digits=2,
    )
