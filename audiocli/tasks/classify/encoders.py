"""The encoders of models for clips, and heads that fit them.

A model is a network of its own, or a head on the features of one encoder or of several, of each on
all or on a part.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import NamedTuple

import torch
from torch import nn

from audiocli.errors import ModelError, UsageError
from audiocli.nn import models, registry
from audiocli.nn.clipwise import ClipNetwork, Head

__all__ = ["EncoderPart", "encoders_of", "find_encoder", "fitting_heads", "in_step", "load_encoder"]


class EncoderPart(NamedTuple):
    """An encoder, or a classifier with a network of its own, and the part of its features in use.

    Parameters
    ----------
    entry : ModelEntry
    part : str, optional
        Of the features, see :attr:`audiocli.nn.clipwise.ClipNetwork.parts`; None is all.
    """

    entry: registry.ModelEntry
    part: str | None = None

    def __str__(self) -> str:
        return f"{self.entry.name}:{self.part}" if self.part else self.entry.name

    def facts(self) -> dict[str, str]:
        """Describe it for the configuration of a head, see :func:`encoders_of`."""
        facts = {"name": self.entry.name, "weights_sha256": self.entry.config["weights_sha256"]}
        return {**facts, "part": self.part} if self.part else facts


def find_encoder(text: str) -> EncoderPart:
    """Find an encoder as a user writes it: a name or a model folder, with or without ``:PART``."""
    name, _, part = text.rpartition(":")
    if not name or len(PurePath(part).parts) > 1:  # a path may have a colon of its own
        return EncoderPart(registry.find("encode", text))
    return EncoderPart(registry.find("encode", name), part)


def encoders_of(entry: registry.ModelEntry) -> list[EncoderPart]:
    """Find the encoders of a model: those it names, or itself."""
    found = []
    for named in entry.config.get("encoders") or ():
        try:
            encoder = registry.find("encode", _beside(entry, named["name"]) or named["name"])
        except UsageError as error:
            raise ModelError(f"{entry.name}: its encoder is missing: {error}") from error
        if encoder.config["weights_sha256"] != named["weights_sha256"]:
            raise ModelError(
                f"{entry.name}: was trained with another encoder of the name {named['name']!r}; "
                "take both folders from one source"
            )
        found.append(EncoderPart(encoder, named.get("part")))
    return found or [EncoderPart(entry)]


def _beside(entry: registry.ModelEntry, name: str) -> str | None:
    """Find an encoder in the folders beside a model's own."""
    folder = entry.folder.resolve()
    for place in (folder.parent.parent / "encode" / name, folder.parent / name):
        if (place / registry.CONFIG).is_file() and registry.open_folder(place).task == "encode":
            return str(place)
    return None


def load_encoder(
    entry: registry.ModelEntry, where: torch.device, *, trainable: bool = False
) -> ClipNetwork:
    """Load the network of an encoder, or of a classifier with a network of its own."""
    network = models.load(entry, where)
    if not isinstance(network, ClipNetwork) or (entry.task != "encode" and network.head is None):
        raise ModelError(
            f"{entry.name}: is a {entry.config['architecture']!r}, which tells no classes of clips"
        )
    if not trainable:
        network.fuse()
    return network


def in_step(networks: Sequence[ClipNetwork]) -> bool:
    """Tell whether networks take steps of one length, so that one head can use them all."""
    steps = {
        (each.frontend.config.sample_rate, each.stride * each.frontend.config.hop_length, each.most)
        for each in networks
    }
    return len(steps) == 1


def fitting_heads(
    entry: registry.ModelEntry,
    head: nn.Module | None,
    encoders: Sequence[tuple[EncoderPart, ClipNetwork]],
) -> list[Head]:
    """Split a head by encoders: the logits of its parts add up to those of the model."""
    where = entry.folder / registry.CONFIG
    linear = head.layers[-1] if isinstance(head, Head) else None
    if not isinstance(head, Head) or not isinstance(linear, nn.Linear):
        raise ModelError(
            f"{entry.name}: is a {entry.config['architecture']!r}, which tells no classes of clips"
        )
    labels = entry.config["labels"]
    try:
        sizes = [len(network.places(part.part)) for part, network in encoders]
    except ModelError as error:
        raise ModelError(f"{where}: of its encoder, {error}") from error
    if linear.out_features != len(labels) or len(head.mean) != sum(sizes):
        raise ModelError(
            f"{where}: {len(labels)} labels and {sum(sizes)} features do not fit its weights; "
            "take the folder from its source again"
        )
    decoder = entry.config.get("decoder") or {}
    settings = [decoder.get(name, 1.0) for name in ("temperature", "unknown", "threshold")]
    numbers = all(isinstance(each, (int, float)) and each >= 0 for each in settings)
    if not numbers or settings[0] == 0:
        raise ModelError(
            f"{where}: its decoder settings are damaged; take the folder from its source again"
        )
    if not in_step([network for _, network in encoders]):
        raise ModelError(f"{where}: its encoders do not keep step; take it from its source again")
    return head.split(sizes)
