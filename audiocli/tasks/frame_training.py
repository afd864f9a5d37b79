"""Training of networks for frames on annotated recordings: what onsets, beats and chords share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch

from audiocli.nn import models
from audiocli.nn.framewise import FramewiseNetwork
from audiocli.nn.frontend import FilterbankConfig
from audiocli.nn.provenance import DataSet, chosen_on, data_sets
from audiocli.tasks.annotated import Recording, find_recordings, gather
from audiocli.tasks.training_data import (
    Noting,
    Stage,
    by_folder,
    noted,
    read_parts,
    refuse_empty,
)

__all__ = ["FrameArchitecture", "Takes", "read_takes"]


@dataclass(frozen=True)
class FrameArchitecture:
    """What a name after ``--arch`` stands for.

    Parameters
    ----------
    family : str
        A registered architecture, see :func:`audiocli.nn.models.build`.
    frontend : FilterbankConfig
    arguments : mapping
        Of the family, that make it this one.
    """

    family: str
    frontend: FilterbankConfig
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def build(self, arguments: Mapping[str, Any], seed: int) -> FramewiseNetwork:
        """Make the network with fresh weights; `arguments` go before its own."""
        torch.manual_seed(seed)
        network = models.build(self.family, self.frontend, {**self.arguments, **arguments})
        assert isinstance(network, FramewiseNetwork)  # narrows the type: all for frames are
        return network

    def sizes(
        self,
        hidden_size: int | None = None,
        num_layers: int | None = None,
        channels: Sequence[int] | None = None,
    ) -> dict[str, Any]:
        """Write sizes as arguments; what is None is left to the architecture.

        Examples
        --------
        >>> FrameArchitecture("frame-rnn", FilterbankConfig()).sizes(num_layers=2)
        {'num_layers': 2, 'recurrent_layers': [1, 2]}
        """
        given: dict[str, Any] = {
            "hidden_size": hidden_size,
            "num_layers": num_layers,
            "channels": None if channels is None else list(channels),
        }
        if num_layers and self.family == "frame-rnn":
            given["recurrent_layers"] = list(range(1, num_layers + 1))
        return {name: value for name, value in given.items() if value is not None}


class _Take(Protocol):
    @property
    def folder(self) -> str: ...
    @property
    def name(self) -> str: ...


Take = TypeVar("Take", bound=_Take)


@dataclass(frozen=True)
class Takes(Generic[Take]):
    """Annotated recordings in memory, to train on and to validate with.

    Parameters
    ----------
    folders : sequence of Path
        Of the training data; one that is given twice is drawn from twice as often.
    training, validation : sequence of Take
    titles, validation_titles : sequence of str
        Of all recordings that belong to either, readable or not.
    chosen_on : str
        What the validation set is, in words.
    """

    folders: Sequence[Path]
    training: Sequence[Take]
    validation: Sequence[Take]
    titles: Sequence[str]
    validation_titles: Sequence[str]
    chosen_on: str

    @cached_property
    def groups(self) -> list[list[Take]]:
        """The training set by folder; a folder of which all is held out is left out."""
        return [group for group in by_folder(self.training, self.folders) if group]

    def drawn_by(self, make: Callable[[list[Noting[Take]]], object]) -> list[str]:
        """Name the recordings of a batch, by making it again from the groups."""
        return noted(self.groups, make)

    def data_sets(self, licences: Sequence[str], seconds: Callable[[Take], float]) -> list[DataSet]:
        """Describe the training data for the card."""
        amounts = [
            (len(takes), round(sum(map(seconds, takes)) / 60, 1))
            for takes in by_folder(self.training, self.folders)
        ]
        return data_sets(self.folders, amounts, licences)


def read_takes(
    load: Callable[[Recording], Take],
    suffixes: Sequence[str],
    data: Sequence[Path],
    held_out: Sequence[str],
    dev: Sequence[Path],
    *,
    skip_unreadable: bool,
    stage: Stage,
) -> Takes[Take]:
    """Find and read annotated recordings; parameters as in ``train`` of the tasks."""
    found, chosen = gather(partial(find_recordings, suffixes=suffixes), data, held_out, dev)
    training, validation = read_parts(
        [found, chosen], load, lambda each: str(each.annotation), skip=skip_unreadable, stage=stage
    )
    refuse_empty(training, validation)
    return Takes(
        data,
        training,
        validation,
        [each.title for each in found],
        [each.title for each in chosen],
        chosen_on(dev, held_out),
    )
