"""One training run, whatever the task: what it reads, starts from, keeps, and says of itself.

A task gives examples, a loss function, a score and its own facts, as an :class:`Objective` and a
:class:`Card`. What is the same for all stands here: data that cannot be read is named all at
once, a run starts from fresh weights or from those of another model, goes on from its checkpoint,
and writes its best epoch as a model folder that says how it was made.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from audiocli.errors import AudioCliError, AudioCliWarning, DataError, warn
from audiocli.nn import models, registry
from audiocli.nn.fit import Epoch, FitConfig, fit
from audiocli.nn.provenance import DataSet, training_facts

__all__ = [
    "Card",
    "Objective",
    "Run",
    "Stage",
    "Validation",
    "described",
    "origin_of",
    "read_each",
    "read_parts",
    "refuse",
    "refuse_empty",
]

Network = TypeVar("Network", bound=nn.Module)
Scored = TypeVar("Scored", bound=nn.Module, contravariant=True)
Batch = TypeVar("Batch")
Item = TypeVar("Item")
Value = TypeVar("Value")
#: Told what a run is at, and how much of it is done, of how much.
Stage = Callable[[str, int, int], None]
#: So many problems are listed; of more, the number is told.
LISTED = 30


def refuse(problems: Sequence[str]) -> None:
    """Refuse training data for all that is wrong with it, at once.

    Parameters
    ----------
    problems : sequence of str
        A line each; without any, nothing happens.

    Raises
    ------
    DataError
        Naming all of them.

    Examples
    --------
    >>> refuse(["a.wav: is empty", "b.wav: is no audio"])
    Traceback (most recent call last):
    ...
    audiocli.errors.DataError: the training data has 2 problems, and nothing was trained:
      a.wav: is empty
      b.wav: is no audio
    """
    if len(problems) == 1:
        raise DataError(problems[0])
    if problems:
        lines = [*problems[:LISTED]]
        if len(problems) > LISTED:
            lines.append(f"and {len(problems) - LISTED} more")
        text = "\n  ".join(
            [f"the training data has {len(problems)} problems, and nothing was trained:", *lines]
        )
        raise DataError(text)


def read_each(
    items: Sequence[Item],
    read: Callable[[Item], Value],
    name: Callable[[Item], str],
    *,
    skip: bool = False,
    problems: list[str] | None = None,
    stage: Stage = lambda what, done, total: None,
) -> list[tuple[Item, Value]]:
    """Read all data before training begins, and name all that cannot be read at once.

    Parameters
    ----------
    items : sequence
        Recordings or clips.
    read : callable
        Gives what an item holds.
    name : callable
        Names an item, for warnings about it.
    skip : bool
        Leave out what cannot be read, with a warning each, and go on.
    problems : list, optional
        Gets a line for each item that cannot be read, in place of an error or a warning.
    stage : callable
        Told how it goes.

    Returns
    -------
    list of tuple
        What could be read, each with its item.

    Raises
    ------
    DataError
        If something could not, unless it is skipped.

    Examples
    --------
    >>> read_each(["1", "2"], int, str)
    [('1', 1), ('2', 2)]
    """
    values: list[tuple[Item, Value]] = []
    wrong: list[str] = []
    for place, item in enumerate(items):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", AudioCliWarning)
            try:
                values.append((item, read(item)))
            except AudioCliError as error:
                wrong.append(str(error))
        for each in caught:
            if issubclass(each.category, AudioCliWarning):
                warn(f"{name(item)}: {each.message}")
            else:  # not ours to swallow
                warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
        stage("reading", place + 1, len(items))
    if problems is not None:
        problems += wrong
    elif skip:
        for problem in wrong:
            warn(f"{problem}; it is left out")
    else:
        refuse(wrong)
    return values


def read_parts(
    parts: Sequence[Sequence[Item]],
    read: Callable[[Item], Value],
    name: Callable[[Item], str],
    *,
    skip: bool = False,
    stage: Stage = lambda what, done, total: None,
) -> list[list[Value]]:
    """Read the parts of a data set, say those to train on and to validate with, as one.

    Parameters
    ----------
    parts : sequence of sequences
        Recordings or clips; one may be in several parts.
    read, name, skip, stage
        As in :func:`read_each`.

    Returns
    -------
    list of list
        What could be read of each part.

    Raises
    ------
    DataError
        As :func:`read_each`.

    Examples
    --------
    >>> read_parts([["1", "2"], ["2"]], int, str)
    [[1, 2], [2]]
    """
    items = [(place, item) for place, part in enumerate(parts) for item in part]
    values = read_each(
        items, lambda each: read(each[1]), lambda each: name(each[1]), skip=skip, stage=stage
    )
    return [[value for (of, _), value in values if of == place] for place in range(len(parts))]


def refuse_empty(training: Sequence[object], validation: Sequence[object]) -> None:
    """Refuse a split of which one side is empty once what cannot be read is left out.

    Raises
    ------
    DataError
    """
    if not training or not validation:
        side = "train on" if not training else "validate with"
        raise DataError(f"nothing that can be read is left to {side}; add recordings")


@dataclass(frozen=True)
class Validation:
    """What a network is worth on the validation set.

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

    def batch(self, rng: np.random.Generator) -> Batch:
        """Make a batch, on the network's device."""

    def loss(self, network: Scored, batch: Batch) -> Tensor:
        """Compute the loss on a batch, a scalar."""

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
        """Give what a configuration holds before the first epoch.

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
    """

    output: Path
    card: Card
    config: FitConfig
    identity: Mapping[str, Any]
    origins: Sequence[registry.ModelEntry | None] = ()
    report: Callable[[Epoch], None] = lambda epoch: None
    progress: Callable[[int, int], None] = lambda done, total: None
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
        """
        network.to(where)

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
            report=self.report,
            progress=self.progress,
        )
        return registry.open_folder(self.output)

    def keep(self, network: Network, epoch: Epoch, found: Validation) -> None:
        """Write the model folder of an epoch that is better than those before."""
        facts = self._facts
        facts["training"] |= {"hours": round(epoch.seconds / 3600, 2), "epoch": epoch.number}
        value = found.value if found.shown is None else found.shown
        scores = found.scores
        if scores is None:
            scores = [{**facts["scores"][0], "value": round(value, self.card.digits)}]
        chosen = {} if found.decoder is None else {"decoder": dict(found.decoder)}
        self.save(network, self.output, {**facts, **chosen, "scores": list(scores)})
