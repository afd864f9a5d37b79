"""Training data, whatever the task: read before training begins, and refused all at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar, overload

from audiocli.errors import AudioCliError, AudioCliWarning, DataError, warn

__all__ = [
    "Noting",
    "Stage",
    "by_folder",
    "noted",
    "read_each",
    "read_parts",
    "refuse",
    "refuse_empty",
]

Item = TypeVar("Item")
Value = TypeVar("Value")
#: Called with the stage of a run, how much of it is done, and of how much.
Stage = Callable[[str, int, int], None]
#: How many problems are listed one by one; of the rest only the number is given.
LISTED = 30
#: What a problem may name for its cure.
FIELDS = ("multi_label", "held_out", "fold", "min_clips", "rename", "group")


class InFolder(Protocol):
    """Anything with the folder of data that it was found in."""

    @property
    def folder(self) -> str | Path:
        """The folder, as it was given."""


Found = TypeVar("Found", bound=InFolder)


class Noting(Sequence[Item]):
    """A sequence that notes the names of what is taken out of it.

    Parameters
    ----------
    items : sequence
    names : sequence of str
        Of each item.
    taken : list of str
        Gets the names.

    Examples
    --------
    >>> taken: list[str] = []
    >>> Noting([1, 2], ["one", "two"], taken)[1], taken
    (2, ['two'])
    """

    def __init__(self, items: Sequence[Item], names: Sequence[str], taken: list[str]) -> None:
        self._items, self._names, self._taken = items, names, taken

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, place: int) -> Item: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Item]: ...
    def __getitem__(self, place: int | slice) -> Item | Sequence[Item]:
        found = self._names[place]
        self._taken += [found] if isinstance(found, str) else found
        return self._items[place]


class Named(Protocol):
    """What has a name that messages can call it by."""

    @property
    def name(self) -> str:
        """The name."""


Known = TypeVar("Known", bound=Named)


def noted(
    groups: Sequence[Sequence[Known]], make: Callable[[list[Noting[Known]]], object]
) -> list[str]:
    """Name what a batch is made of, by making it again.

    Parameters
    ----------
    groups : sequence of sequences
        What is drawn from.
    make : callable
        Makes the batch of groups that note what is drawn.

    Returns
    -------
    list of str
    """
    taken: list[str] = []
    make([Noting(group, [item.name for item in group], taken) for group in groups])
    return taken


def refuse(problems: Sequence[str]) -> None:
    """Refuse training data for all that is wrong with it, at once."""
    if len(problems) == 1:
        raise DataError(problems[0], *FIELDS)
    if problems:
        lines = [*problems[:LISTED]]
        if len(problems) > LISTED:
            lines.append(f"and {len(problems) - LISTED} more")
        text = "\n  ".join(
            [f"the training data has {len(problems)} problems, and nothing was trained:", *lines]
        )
        raise DataError(text, *FIELDS)


def read_each(
    items: Sequence[Item],
    read: Callable[[Item], Value],
    name: Callable[[Item], str],
    *,
    skip: bool = False,
    problems: list[str] | None = None,
    stage: Stage = lambda what, done, total: None,
) -> list[tuple[Item, Value]]:
    """Read all data before training begins, and name all that cannot be read at once."""
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
    """Read the parts of a data set, say those to train on and to validate with, as one."""
    items = [(place, item) for place, part in enumerate(parts) for item in part]
    values = read_each(
        items, lambda each: read(each[1]), lambda each: name(each[1]), skip=skip, stage=stage
    )
    return [[value for (of, _), value in values if of == place] for place in range(len(parts))]


def refuse_empty(training: Sequence[object], validation: Sequence[object]) -> None:
    """Refuse a split of which one side is empty once what cannot be read is left out."""
    if not training or not validation:
        side = "train on" if not training else "validate with"
        raise DataError(f"nothing that can be read is left to {side}; add recordings")


def by_folder(items: Sequence[Found], folders: Sequence[Path]) -> list[list[Found]]:
    """Sort what was found by the folders of data that were given; some may be left with nothing."""
    return [[item for item in items if str(item.folder) == str(folder)] for folder in folders]
