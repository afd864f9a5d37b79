"""One training run, whatever the task: from its data to a model folder with a card.

A task brings examples, a loss function, a score and its own facts, as an :class:`Objective` and a
:class:`Card`. What is the same for all stands here: data that cannot be read is named all at
once, a run starts from fresh weights or from those of another model, goes on from its checkpoint,
and writes its best epoch as a model folder that says how it was made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from audiocli.nn import models, registry
from audiocli.nn.distributed import is_first
from audiocli.nn.fit import Epoch, FitConfig, Progress, fit
from audiocli.nn.fit_log import LOG
from audiocli.nn.provenance import DataSet, training_facts
from audiocli.tasks.probing import ProbeDone, probe
from audiocli.tasks.training_plots import plot_curve

__all__ = [
    "Card",
    "Objective",
    "ProbeDone",
    "Run",
    "Validation",
    "described",
    "identity_of",
    "origin_of",
]

Network = TypeVar("Network", bound=nn.Module)
Scored = TypeVar("Scored", bound=nn.Module, contravariant=True)
Batch = TypeVar("Batch")
#: The learning curve, in the model folder.
CURVE = "curve.png"


@dataclass(frozen=True)
class Validation:
    """How a network scores on the validation set.

    Parameters
    ----------
    value : float
        What chooses the epoch; more is better.
    shown : float, optional
        What the card says, where that is another number.
    decoder : mapping, optional
        Settings that were chosen there.
    scores : sequence of mapping, optional
        In place of the one score of the :class:`Card`.

    Examples
    --------
    >>> Validation(97.5, shown=2.5).shown
    2.5
    """

    value: float
    shown: float | None = None
    decoder: Mapping[str, Any] | None = None
    scores: Sequence[Mapping[str, Any]] | None = None


class Objective(Protocol[Scored, Batch]):
    """What a network is trained for: its examples, its loss function, and its score."""

    def batch(self, rng: np.random.Generator, size: int) -> Batch:
        """Make so many examples, on the network's device."""

    def loss(self, network: Scored, batch: Batch) -> Tensor:
        """Compute the loss on a batch, a scalar."""

    def recordings(self, rng: np.random.Generator, size: int) -> list[str]:
        """Name the recordings of the examples that would be made with these random numbers."""

    def validate(self, network: Scored) -> Validation:
        """Score a network in evaluation mode on the validation set."""


@dataclass(frozen=True)
class Card:
    """What a configuration says of a training run, besides its network.

    Parameters
    ----------
    task, architecture : str
    arguments : mapping
        Of the architecture.
    labels : sequence of str
    data : sequence of DataSet
        What was trained on.
    licences : sequence of str
        Of each folder.
    split : str
        What chose the epoch, in words.
    config : mapping
        The settings of the run, see :func:`described`.
    score : mapping
        ``metric``, ``unit``, ``measure`` and ``data`` of the score that chose the epoch.
    digits : int
        Decimals of that score.
    decoder : mapping, optional
        Settings that no validation chooses.
    training : mapping
        What else there is to say of the training, such as the groups in it.
    """

    task: str
    architecture: str
    arguments: Mapping[str, Any]
    labels: Sequence[str]
    data: Sequence[DataSet]
    licences: Sequence[str]
    split: str
    config: Mapping[str, Any]
    score: Mapping[str, Any]
    digits: int = 1
    decoder: Mapping[str, Any] | None = None
    training: Mapping[str, Any] = field(default_factory=dict)

    def facts(self, *origins: registry.ModelEntry | None) -> dict[str, Any]:
        """Contents of a configuration before the first epoch.

        Parameters
        ----------
        *origins : ModelEntry or None
            The models that training went on from, if any.
        """
        facts = training_facts(self.data, self.split, self.config, self.score, *origins)
        facts["training"] |= self.training
        return {
            "task": self.task,
            "architecture": self.architecture,
            "arguments": dict(self.arguments),
            "labels": list(self.labels),
            **({} if self.decoder is None else {"decoder": dict(self.decoder)}),
            "licence": "; ".join(dict.fromkeys(self.licences)),
            **facts,
        }


def described(config: Any, *left_out: str) -> dict[str, Any]:
    """Write a training config down for JSON, without the fields that stand elsewhere.

    Parameters
    ----------
    config : dataclass
    *left_out : str
        Names of fields.

    Returns
    -------
    dict

    Examples
    --------
    >>> described(Validation(1.0), "shown", "scores")
    {'value': 1.0, 'decoder': None}
    """
    return {key: value for key, value in asdict(config).items() if key not in left_out}


def identity_of(
    config: Any, data: Sequence[str], dev: Sequence[str], origin: registry.ModelEntry | None = None
) -> dict[str, Any]:
    """Collect what a checkpoint must have been made with, besides the fit config.

    Parameters
    ----------
    config : dataclass
        Of the task; its field ``fit`` is the fit config.
    data, dev : sequence of str
        The names of what is trained on and of the validation set.
    origin : ModelEntry, optional
        The model that training starts from.

    Returns
    -------
    dict

    Examples
    --------
    >>> identity_of(Validation(1.0), ["a"], ["b"])["start"] is None
    True
    """
    start = origin.config["weights_sha256"] if origin else None
    return {**described(config, "fit"), "data": [*data], "dev": [*dev], "start": start}


def origin_of(task: str | None, start: str | None) -> registry.ModelEntry | None:
    """Find the model that training starts from.

    Parameters
    ----------
    task : str or None
        What it must be made for; None takes any.
    start : str or None
        Its name or folder; None starts from nothing.

    Returns
    -------
    ModelEntry or None

    Raises
    ------
    UsageError, ModelError
        As :func:`audiocli.nn.registry.find`.

    Examples
    --------
    >>> origin_of("onsets", None), origin_of("onsets", "blstm").name
    (None, 'blstm')
    """
    return None if start is None else registry.find(task, start)


@dataclass
class Run(Generic[Network, Batch]):
    """A training run that writes a model folder.

    Parameters
    ----------
    output : Path
        The model folder; its ``checkpoint`` folder holds what is needed to go on.
    card : Card
        What the configuration says of it.
    config : FitConfig
        Optimiser, schedule, batch size, epochs.
    identity : mapping
        What a checkpoint must have been made with, besides `config`: the data, for one.
    origins : sequence of ModelEntry or None
        The models that it starts from or builds on.
    report, progress : callable
        As in :func:`audiocli.nn.fit.fit`.
    together : int
        As there.
    """

    output: Path
    card: Card
    config: FitConfig
    identity: Mapping[str, Any]
    origins: Sequence[registry.ModelEntry | None] = ()
    report: Callable[[Epoch], None] = lambda epoch: None
    progress: Progress = lambda step: None
    together: int = 1
    #: Writes the network and what there is to say of it; a task may have its own way.
    save: Callable[[Network, Path, dict[str, Any]], object] = models.save

    def __post_init__(self) -> None:
        registry.refuse_finished(self.output)
        self._facts = self.card.facts(*self.origins)
        self._latest: Validation | None = None

    def fit(
        self, network: Network, objective: Objective[Network, Batch], where: torch.device
    ) -> registry.ModelEntry:
        """Train a network, or go on from the checkpoint, and give the best epoch's model.

        Parameters
        ----------
        network : torch.nn.Module
            With the weights to start from.
        objective : Objective
        where : torch.device
            Where to train.

        Raises
        ------
        ProbeDone
            If the fit config asks for a trial and not for a training run.
        """
        network.to(where)
        if self.config.probe:
            raise probe(network, objective, self.config, self.output, self.progress, self.together)

        def score(average: Network) -> float:
            self._latest = objective.validate(average)
            return self._latest.value

        def keep(best: Network, epoch: Epoch) -> None:
            assert self._latest is not None  # it was scored just now
            self.keep(best, epoch, self._latest)

        fit(
            network,
            objective.batch,
            objective.loss,
            score,
            self.config,
            self.output / "checkpoint",
            settings=dict(self.identity),
            keep=keep,
            log=self.output,
            recordings=objective.recordings,
            together=self.together,
            report=self.report,
            progress=self.progress,
        )
        self._draw_curve()
        return registry.open_folder(self.output)

    def _draw_curve(self) -> None:
        """Draw the learning curve, unless it is there: a finished run may be called again."""
        picture, log = self.output / CURVE, self.output / LOG
        if (
            is_first()
            and log.exists()
            and not (picture.exists() and picture.stat().st_mtime_ns >= log.stat().st_mtime_ns)
        ):
            score = self.card.score.get("metric", "score")
            plot_curve(log, picture, self.output.resolve().name, f"{score}, validation")

    def keep(self, network: Network, epoch: Epoch, found: Validation) -> None:
        """Write the model folder of an epoch with the best score so far."""
        facts = self._facts
        facts["training"] |= {"hours": round(epoch.seconds / 3600, 2), "epoch": epoch.number}
        value = found.value if found.shown is None else found.shown
        scores = found.scores
        if scores is None:
            scores = [{**facts["scores"][0], "value": round(value, self.card.digits)}]
        chosen = {} if found.decoder is None else {"decoder": dict(found.decoder)}
        self.save(network, self.output, {**facts, **chosen, "scores": list(scores)})
