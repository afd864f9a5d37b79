"""What a model's configuration says of its training, gathered the same way for every task."""

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
    "data_sets",
    "earlier_runs",
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
    """

    name: str
    clips: int
    minutes: float
    licence: str


def named(folder: Path) -> str:
    """Name a data folder without the way that leads to it on this machine."""
    return "/".join(folder.resolve().parts[-2:])


def licence_of_each(data: Sequence[Path], given: Sequence[str]) -> list[str]:
    """Give every data folder its licence."""
    if len(given) > len(data):
        raise UsageError(f"{len(given)} licences for {len(data)} data folders; give one for each")
    return [*given, *["unspecified"] * (len(data) - len(given))]


def data_sets(
    data: Sequence[Path], amounts: Sequence[tuple[int, float]], licences: Sequence[str]
) -> list[DataSet]:
    """Describe the folders that a model was trained on."""
    sets = {
        folder: DataSet(named(folder), clips, minutes, licence)
        for folder, (clips, minutes), licence in zip(data, amounts, licences, strict=True)
        if clips
    }
    return list(sets.values())


def chosen_on(dev: Sequence[Path], held_out: Sequence[str]) -> str:
    """Say in words which recordings chose the best epoch."""
    parts = [*map(named, dev), *held_out]
    return ", ".join(parts) if parts else "every tenth recording"


#: What a fine-tuned model keeps of the training of the one before; ``course`` stands in older ones.
KEPT = ("data", "split", "config", "course", "command", "hours", "version", "commit")


def earlier_runs(entry: registry.ModelEntry) -> list[dict[str, Any]]:
    """List the training runs that made a model, the latest last, for one that is fine-tuned."""
    training = entry.config.get("training") or {}
    return [*training.get("earlier", []), {key: training[key] for key in KEPT if key in training}]


def training_facts(
    data: Sequence[DataSet],
    split: str,
    config: Mapping[str, Any],
    score: Mapping[str, Any],
    *origins: registry.ModelEntry | None,
) -> dict[str, Any]:
    """Gather what a configuration says of a training run."""
    command = registry.command_line()
    earlier: list[dict[str, Any]] = []
    for origin in filter(None, origins):
        earlier += [run for run in earlier_runs(origin) if run not in earlier]
    return {
        "training": {
            "data": [asdict(each) for each in data],
            "split": split,
            "config": dict(config),
            "command": command,
            "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
            "version": __version__,
            "commit": registry.commit(),
            **({"earlier": earlier} if earlier else {}),
        },
        "scores": [{**score, "value": None, "command": command}],
    }
