"""What a model's configuration says of its making, gathered the same way for every task."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from audiocli import __version__
from audiocli.errors import UsageError
from audiocli.nn import registry

__all__ = [
    "DataSet",
    "chosen_on",
    "courses_behind",
    "data_sets",
    "licence_of_each",
    "named",
    "training_facts",
]


@dataclass(frozen=True)
class DataSet:
    """Data that a model was trained on.

    Parameters
    ----------
    name : str
        What others know it by.
    clips : int
        Number of recordings.
    minutes : float
        Their length together.
    licence : str
        Of the data.

    Examples
    --------
    >>> DataSet("mir1k/train", 171, 22.4, "research use").clips
    171
    """

    name: str
    clips: int
    minutes: float
    licence: str


def named(folder: Path) -> str:
    """Name a data folder without the way that leads to it on this machine.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    str
        Its last two names.

    Examples
    --------
    >>> named(Path("/home/me/mir1k/train"))
    'mir1k/train'
    """
    return "/".join(folder.resolve().parts[-2:])


def licence_of_each(data: Sequence[Path], given: Sequence[str]) -> list[str]:
    """Give every data folder its licence.

    Parameters
    ----------
    data : sequence of Path
    given : sequence of str
        In the order of `data`; those that are missing at the end are ``unspecified``.

    Returns
    -------
    list of str
        As many as `data`.

    Raises
    ------
    UsageError
        If there are more licences than folders.

    Examples
    --------
    >>> licence_of_each([Path("a"), Path("b")], ["CC0"])
    ['CC0', 'unspecified']
    """
    if len(given) > len(data):
        raise UsageError(f"{len(given)} licences for {len(data)} data folders; give one for each")
    return [*given, *["unspecified"] * (len(data) - len(given))]


def data_sets(
    data: Sequence[Path], amounts: Sequence[tuple[int, float]], licences: Sequence[str]
) -> list[DataSet]:
    """Describe the folders that a model was trained on.

    Parameters
    ----------
    data : sequence of Path
        A folder that is named twice, for twice its share, is described once.
    amounts : sequence of tuple
        Of each, the number of clips and their minutes; what has none is left out.
    licences : sequence of str
        Of each.

    Returns
    -------
    list of DataSet

    Examples
    --------
    >>> folders = [Path("/data/a"), Path("/data/b"), Path("/data/a")]
    >>> sets = data_sets(folders, [(2, 1.0), (0, 0.0), (2, 1.0)], ["CC0", "MIT", "CC0"])
    >>> [each.name for each in sets]
    ['data/a']
    """
    sets = {
        folder: DataSet(named(folder), clips, minutes, licence)
        for folder, (clips, minutes), licence in zip(data, amounts, licences, strict=True)
        if clips
    }
    return list(sets.values())


def chosen_on(dev: Sequence[Path], held_out: Sequence[str]) -> str:
    """Say in words which recordings chose the best epoch.

    Parameters
    ----------
    dev : sequence of Path
        Folders.
    held_out : sequence of str
        Patterns. With neither it is every tenth recording, see
        :func:`audiocli.tasks.annotated.gather`.

    Returns
    -------
    str

    Examples
    --------
    >>> chosen_on([Path("/data/dev")], ["singing/1*"]), chosen_on([], [])
    ('data/dev, singing/1*', 'every tenth recording')
    """
    parts = [*map(named, dev), *held_out]
    return ", ".join(parts) if parts else "every tenth recording"


#: What a model that was trained on from another one keeps of the other one's training.
KEPT = ("data", "split", "course", "command", "hours", "version", "commit")


def courses_behind(entry: registry.ModelEntry) -> list[dict[str, Any]]:
    """List the trainings that made a model, the last one at the end, for one that goes on from it.

    Parameters
    ----------
    entry : ModelEntry

    Returns
    -------
    list of dict
        What is kept of each.

    Examples
    --------
    >>> [course["split"] for course in courses_behind(registry.find("encode", "general"))][-1][:7]
    'trained'
    """
    training = entry.config.get("training") or {}
    return [*training.get("earlier", []), {key: training[key] for key in KEPT if key in training}]


def training_facts(
    data: Sequence[DataSet],
    split: str,
    course: Mapping[str, Any],
    score: Mapping[str, Any],
    *origins: registry.ModelEntry | None,
) -> dict[str, Any]:
    """Gather what a configuration says of a training run.

    Parameters
    ----------
    data : sequence of DataSet
        What it was trained on.
    split : str
        What chose the best epoch, in words.
    course : mapping
        The settings of the run.
    score : mapping
        ``metric``, ``unit``, ``measure`` and ``data`` of the score that chose the epoch.
    *origins : ModelEntry or None
        The models that training went on from, if any.

    Returns
    -------
    dict
        ``training`` and ``scores``; the score's value is the best epoch's to fill in.

    Examples
    --------
    >>> facts = training_facts([DataSet("a", 1, 1.0, "CC0")], "every tenth", {}, {"metric": "F"})
    >>> facts["training"]["data"][0]["licence"]
    'CC0'
    """
    command = registry.command_line()
    earlier: list[dict[str, Any]] = []
    for origin in filter(None, origins):
        earlier += [course for course in courses_behind(origin) if course not in earlier]
    return {
        "training": {
            "data": [asdict(each) for each in data],
            "split": split,
            "course": dict(course),
            "command": command,
            "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
            "version": __version__,
            "commit": registry.commit(),
            **({"earlier": earlier} if earlier else {}),
        },
        "scores": [{**score, "value": None, "command": command}],
    }
