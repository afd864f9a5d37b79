"""Learn bases of spectra: streaming fits by scikit-learn, and an autoencoder by our own loop.

Frames are drawn at random from recordings on disk, batch after batch; none is kept. What is
learned goes into a network of :mod:`audiocli.nn.bases`, and that into a model folder.
"""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiocli.errors import UsageError, suggest
from audiocli.nn import models, registry
from audiocli.nn.bases import Autoencoder, BasisNetwork
from audiocli.nn.fit import Epoch, FitConfig, fit
from audiocli.nn.frontend import Filterbank, FilterbankConfig
from audiocli.nn.provenance import chosen_on, data_sets, licence_of_each, training_facts
from audiocli.tasks.annotated import gather
from audiocli.tasks.features.material import Excerpts, Sound, find_sounds

__all__ = ["BASES", "FRONTEND", "TrainingConfig", "explained", "loss", "train"]

BASES = ("pca", "nmf", "dictionary", "kmeans", "autoencoder")
#: The frames of the features made by hand.
FRONTEND = FilterbankConfig(22_050, (2048,), 512, 128, "mel", 30.0, 11_025.0, False)
#: Frames that the mean spectrum is taken of, and frames that score.
CALIBRATING, SCORING = 16_384, 16_384


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that makes a training run, so that it can be run again.

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
    recipe : FitConfig
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
    recipe: FitConfig = field(default_factory=lambda: FitConfig(epochs=10, batch_size=1024))

    def __post_init__(self) -> None:
        if self.basis not in BASES:
            raise UsageError(f"unknown basis {self.basis!r}: {suggest(self.basis, BASES)}")
        if self.seconds <= 0:
            raise UsageError("excerpts are longer than 0 s")
        components = self.arguments.get("components", 32)
        if self.recipe.batch_size < components:
            raise UsageError(
                f"a batch of {self.recipe.batch_size} frames is smaller than the number of "
                f"components, {components}; use a larger --batch-size"
            )

    def build(self) -> BasisNetwork:
        """Make the network with fresh weights."""
        torch.manual_seed(self.recipe.seed)
        network = models.build(self.basis, self.frontend, self.arguments)
        assert isinstance(network, BasisNetwork)  # narrows the type; all of the above are
        return network


def loss(network: BasisNetwork, frames: Tensor) -> Tensor:
    """Compute the mean squared error of a reconstruction.

    Parameters
    ----------
    network : BasisNetwork
    frames : Tensor, shape (frames, channels * bands)
        Spectra, scaled as the network's images are.

    Returns
    -------
    Tensor
        A scalar.

    Examples
    --------
    >>> loss(TrainingConfig("autoencoder").build(), torch.zeros(4, 128)).item() > 0
    True
    """
    return (network.decode(network.encode(frames)) - frames).square().mean()


def explained(network: BasisNetwork, frames: Tensor) -> float:
    """Compute how much of the variance of spectra a basis gives back.

    Parameters
    ----------
    network : BasisNetwork
    frames : Tensor, shape (frames, channels * bands)
        Spectra, not scaled.

    Returns
    -------
    float
        In per cent: 100 (1 - e), where e is the squared error of the reconstruction over the
        squared distance from the mean spectrum of the training data, both summed over all frames
        and bands.

    Examples
    --------
    >>> network = TrainingConfig("kmeans", {"components": 2}).build()
    >>> _ = network.bases.data.copy_(torch.stack([torch.ones(128), torch.zeros(128)]))
    >>> round(explained(network, torch.stack([torch.ones(128), 0.5 * torch.ones(128)])))
    80
    """
    with torch.inference_mode():
        images = frames.to(network.mean.device).T.reshape(1, *network.mean.shape[:2], -1)
        activations = network.outputs((images - network.mean) / network.scale)
        wrong = (images - network.reconstruct(activations)).square().sum()
        spread = (images - network.centre).square().sum().clamp(min=1e-12)
        return 100 * (1 - float(wrong / spread))


def train(
    data: Sequence[Path],
    output: Path,
    course: TrainingConfig,
    *,
    held_out: Sequence[str] = (),
    dev: Sequence[Path] = (),
    licences: Sequence[str] = (),
    device: str = "auto",
    warn: Callable[[str], None] = lambda message: None,
    report: Callable[[Epoch], None] = lambda epoch: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> registry.ModelEntry:
    """Learn a basis and write a model folder.

    The training of an autoencoder goes on where it was stopped, if called again with the same
    arguments; the others are a matter of minutes, and write nothing until they are done.

    Parameters
    ----------
    data : sequence of Path
        Folders of recordings; each is drawn from as often as the others.
    output : Path
        The model folder.
    course : TrainingConfig
        What to learn, and how.
    held_out : sequence of str
        Patterns of recordings in `data` that score instead.
    dev : sequence of Path
        Folders whose recordings score; with neither, every tenth of `data` does.
    licences : sequence of str
        Of the folders in `data`, in their order, for the card.
    device : str
        As in :func:`audiocli.nn.models.device`.
    warn : callable
        Told of each file that cannot be read.
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
        If the checkpoint there is of another course, or training diverges.
    """
    registry.refuse_finished(output)
    network = course.build()
    found, chosen = gather(lambda folder: find_sounds(folder, warn), data, held_out, dev)
    groups = [[sound for sound in found if sound.folder == folder] for folder in data]
    bank = Filterbank(course.frontend)
    rng = np.random.default_rng(course.recipe.seed)
    excerpts = Excerpts([group for group in groups if group], bank, course.seconds)
    by_folder = [[s for s in chosen if s.folder == each] for each in (*dict.fromkeys(data), *dev)]
    unheard = Excerpts([group for group in by_folder if group], bank, course.seconds)
    scored = unheard.frames(SCORING, rng)
    _calibrate(network, course.basis, excerpts.frames(CALIBRATING, rng))
    network.to(models.device(device))
    facts = _facts(data, groups, course, licences, held_out, dev)

    def keep(net: BasisNetwork, epoch: Epoch) -> None:
        facts["training"] |= {"hours": round(epoch.seconds / 3600, 2), "epoch": epoch.number}
        facts["scores"][0]["value"] = round(100 - epoch.score, 2)
        models.save(net, output, facts)

    listeners: dict[str, Any] = {"keep": keep, "report": report, "progress": progress}
    if isinstance(network, Autoencoder):
        settings = {
            **{key: value for key, value in asdict(course).items() if key != "recipe"},
            "data": [sound.title for sound in found],
            "dev": [sound.title for sound in chosen],
        }
        _descend(network, excerpts, scored, course, output, settings, listeners)
    else:
        _stream(network, excerpts, scored, course, output, listeners)
    return registry.open_folder(output)


def _calibrate(network: BasisNetwork, basis: str, frames: Tensor) -> None:
    """Set the mean spectrum, and what a basis takes off its input, from frames."""
    mean = frames.mean(dim=0).view_as(network.mean)
    network.centre.copy_(mean)
    if basis in ("pca", "dictionary", "autoencoder"):
        network.mean.copy_(mean)
    if basis == "autoencoder":
        spread = (frames - frames.mean(dim=0)).square().mean().sqrt().clamp(min=1e-3)
        network.scale.fill_(float(spread))


def _descend(
    network: BasisNetwork,
    excerpts: Excerpts,
    scored: Tensor,
    course: TrainingConfig,
    output: Path,
    settings: Mapping[str, Any],
    listeners: Mapping[str, Any],
) -> None:
    """Train an autoencoder by gradient descent."""
    mean, scale = network.mean.flatten(), network.scale.flatten()

    def batches(rng: np.random.Generator) -> Tensor:
        frames = excerpts.frames(course.recipe.batch_size, rng)
        return (frames.to(mean.device) - mean) / scale

    fit(
        network,
        batches,
        loss,
        lambda net: explained(net, scored),
        course.recipe,
        output / "checkpoint",
        settings=settings,
        **listeners,
    )


def _stream(
    network: BasisNetwork,
    excerpts: Excerpts,
    scored: Tensor,
    course: TrainingConfig,
    output: Path,
    listeners: Mapping[str, Any],
) -> None:
    """Fit by scikit-learn, batch after batch, and score after each epoch."""
    recipe = course.recipe
    try:  # now, and not when all is done
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{output}: cannot be made: {error.strerror}") from error
    estimator = _estimator(course)
    rng = np.random.default_rng(recipe.seed + 1)
    mean = network.mean.flatten().cpu()
    started = time.monotonic()
    best: tuple[BasisNetwork, Epoch] | None = None
    for number in range(1, recipe.epochs + 1):
        for step in range(recipe.steps):
            frames = excerpts.frames(recipe.batch_size, rng) - mean
            with warnings.catch_warnings():  # a batch that has not converged is not the last
                warnings.simplefilter("ignore")
                estimator.partial_fit(frames.numpy().astype(np.float64))
            listeners["progress"](step + 1, recipe.steps)
        _fill(network, course.basis, estimator, mean)
        score = explained(network, scored)
        better = best is None or score > best[1].score
        epoch = Epoch(number, 1 - score / 100, score, better, time.monotonic() - started)
        if better:
            best = copy.deepcopy(network), epoch
        listeners["report"](epoch)
        if recipe.patience and best is not None and number - best[1].number >= recipe.patience:
            break
    assert best is not None  # there is an epoch
    listeners["keep"](*best)


def _estimator(course: TrainingConfig) -> Any:
    """Make what scikit-learn fits batch by batch."""
    from sklearn import cluster, decomposition  # late: it takes a second

    count = int(course.arguments.get("components", 32))
    seed, size = course.recipe.seed, course.recipe.batch_size
    if course.basis == "pca":
        return decomposition.IncrementalPCA(count)
    if course.basis == "nmf":
        return decomposition.MiniBatchNMF(count, batch_size=size, random_state=seed)
    if course.basis == "kmeans":
        return cluster.MiniBatchKMeans(count, batch_size=size, n_init=3, random_state=seed)
    return decomposition.MiniBatchDictionaryLearning(
        count,
        alpha=course.build().penalty,
        batch_size=size,
        fit_algorithm="cd",
        random_state=seed,
    )


def _fill(network: BasisNetwork, basis: str, estimator: Any, mean: Tensor) -> None:
    """Put what was learned into the network, low spectra first; of PCA, those that vary most."""
    learned = estimator.cluster_centers_ if basis == "kmeans" else estimator.components_
    rows: NDArray[np.float64] = np.asarray(learned, np.float64)
    if basis == "pca":
        # Its own mean is over all that was heard; the one of before was of some frames.
        shift = torch.from_numpy(estimator.mean_).float()
        network.mean.copy_((mean + shift).view_as(network.mean))
    else:
        weight = np.abs(rows - (rows.mean(axis=0) if basis == "kmeans" else 0.0))
        place = weight @ np.arange(rows.shape[1]) / np.maximum(weight.sum(axis=1), 1e-12)
        rows = rows[np.argsort(place)]
    with torch.no_grad():
        network.bases.copy_(torch.from_numpy(rows))


def _facts(
    data: Sequence[Path],
    groups: Sequence[Sequence[Sound]],
    course: TrainingConfig,
    licences: Sequence[str],
    held_out: Sequence[str],
    dev: Sequence[Path],
) -> dict[str, Any]:
    """Gather what the configuration says of the training."""
    licences = licence_of_each(data, licences)
    seconds = [sum(sound.seconds for sound in group) for group in groups]
    amounts = [
        (len(group), max(round(heard / 60, 1), 0.1))
        for group, heard in zip(groups, seconds, strict=True)
    ]
    choosing = chosen_on(dev, held_out)
    left_out = ("basis", "arguments", "frontend")
    return {
        "task": "features",
        "architecture": course.basis,
        "arguments": course.arguments,
        "labels": ["activations"],
        "licence": "; ".join(dict.fromkeys(licences)),
        **training_facts(
            data_sets(data, amounts, licences),
            f"the epoch was chosen on frames of {choosing}, which were not trained on",
            {key: value for key, value in asdict(course).items() if key not in left_out},
            {
                "metric": "relative squared error",
                "unit": "%",
                "measure": "of log-magnitude spectra, against their distance from the mean",
                "data": f"{SCORING} frames of the recordings that chose the epoch: {choosing}",
            },
        ),
    }
