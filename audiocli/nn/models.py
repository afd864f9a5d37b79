"""The networks, one family a file, and the one place that builds, saves and loads them.

An architecture is a class with ``@register("name")`` beside it. Its
constructor takes a front-end configuration and keyword arguments that JSON
can hold; ``config.json`` of a model folder keeps both, so a folder is enough
to build the network again.
"""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from audiocli.errors import ModelError, UsageError, suggest
from audiocli.nn import registry
from audiocli.nn.frontend import (
    FrontendConfig,
    check_fingerprint,
    fingerprint,
    from_dict,
    to_dict,
)

__all__ = [
    "architectures",
    "build",
    "continue_from",
    "decoder_of",
    "device",
    "load",
    "load_as",
    "parameter_count",
    "register",
    "save",
]

#: The files that hold registered architectures.
FAMILIES = (
    "bases",
    "chord_crnn",
    "clip_harmony",
    "clip_layers",
    "clip_mobile",
    "clip_musicnn",
    "clipwise",
    "demucs",
    "dense",
    "frame_crnn",
    "frame_rnn",
    "frame_tcn",
    "hourglass",
    "live",
    "openunmix",
    "stereo",
)

_ARCHITECTURES: dict[str, type[nn.Module]] = {}
#: What arguments of the wrong type or size end in; the classes need not foresee each.
_NOT_BUILT = (
    TypeError, ValueError, RuntimeError, AttributeError, ArithmeticError, LookupError,
    AssertionError, MemoryError,
)  # fmt: skip

Network = TypeVar("Network", bound=nn.Module)
Settings = TypeVar("Settings")
Class = TypeVar("Class", bound=type[nn.Module])


def register(name: str) -> Callable[[Class], Class]:
    """Give an architecture the name that ``--arch`` and ``config.json`` use.

    Parameters
    ----------
    name : str
        Lower case, unique.

    Returns
    -------
    callable
        The class decorator.

    Examples
    --------
    >>> "drnn" in architectures()
    True
    """

    def remember(cls: Class) -> Class:
        if name in _ARCHITECTURES:
            raise ValueError(f"two architectures are called {name!r}")
        _ARCHITECTURES[name] = cls
        return cls

    return remember


def architectures() -> dict[str, type[nn.Module]]:
    """List every registered architecture.

    Returns
    -------
    dict of str to class
        By name.

    Examples
    --------
    >>> sorted(architectures())[:2]
    ['autoencoder', 'chord-crnn']
    """
    for family in FAMILIES:
        importlib.import_module(f"{__package__}.{family}")
    return dict(_ARCHITECTURES)


def build(architecture: str, frontend: FrontendConfig, arguments: dict[str, Any]) -> nn.Module:
    """Make a network with fresh weights.

    Parameters
    ----------
    architecture : str
        A registered name.
    frontend : StftConfig, FilterbankConfig or WaveformConfig
        Configuration of its front-end.
    arguments : dict
        Keyword arguments of the class.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    ModelError
        If there is no such architecture, or it does not take the arguments.

    Examples
    --------
    >>> from audiocli.nn.frontend import StftConfig
    >>> network = build("drnn", StftConfig(), {"hidden_size": 8})
    >>> network(torch.zeros(1, 4000)).shape
    torch.Size([1, 2, 4000])
    """
    known = architectures()
    if architecture not in known:
        raise ModelError(f"unknown architecture {architecture!r}: {suggest(architecture, known)}")
    accepted = list(inspect.signature(known[architecture]).parameters)[1:]
    for name in arguments:
        if name not in accepted:
            raise ModelError(
                f"architecture {architecture!r} has no {name!r}: {suggest(name, accepted)}"
            )
    try:
        return known[architecture](frontend, **arguments)
    except _NOT_BUILT as error:
        # A size below zero is torch's to refuse; another kind of front-end lacks an attribute.
        raise ModelError(f"architecture {architecture!r}: {error}") from error


def parameter_count(network: nn.Module) -> int:
    """Count the trained numbers of a network.

    Parameters
    ----------
    network : torch.nn.Module

    Returns
    -------
    int

    Examples
    --------
    >>> parameter_count(nn.Linear(3, 2))
    8
    """
    return sum(parameter.numel() for parameter in network.parameters())


def device(name: str = "auto") -> torch.device:
    """Choose where a network runs.

    Parameters
    ----------
    name : str
        ``auto`` (CUDA if there is one, or else the CPU), ``cpu``, ``cuda``,
        ``cuda:N`` or ``mps``.

    Returns
    -------
    torch.device

    Raises
    ------
    UsageError
        If the name is not one of these, or this machine has no such device.

    Examples
    --------
    >>> device("cpu")
    device(type='cpu')
    """
    own = os.environ.get("LOCAL_RANK")  # of the processes that torchrun starts, each has its own
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and own is not None:
        name = f"cuda:{own}"
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (index and (kind != "cuda" or not index.isdigit())):
        raise UsageError(f"unknown device {name!r}; use auto, cpu, cuda, cuda:N or mps")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UsageError("device mps: there is none on this machine; use {device} cpu", "device")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise UsageError(
            f"device {name}: this machine has {count} CUDA devices; use {{device}} cpu", "device"
        )
    return torch.device(name)


def load(entry: registry.ModelEntry, where: torch.device | str = "cpu") -> nn.Module:
    """Build the network of a model folder and fill in its weights.

    Parameters
    ----------
    entry : ModelEntry
        As :func:`audiocli.nn.registry.find` gives it.
    where : torch.device or str
        Where it is to run.

    Returns
    -------
    torch.nn.Module
        In evaluation mode, in float32.

    Raises
    ------
    ModelError
        If the weights are not those the configuration names (tampered with,
        or cut short), do not fit the architecture, or the front-end computes
        other numbers than at training time.

    Examples
    --------
    >>> network = load(registry.find("separate", "drnn-mir1k"))
    >>> network.training
    False
    """
    registry.verify(entry)
    config = entry.config
    try:
        frontend = from_dict(config["frontend"])
    except ModelError as error:
        raise ModelError(f"{entry.folder / registry.CONFIG}: {error}") from error
    network = build(config["architecture"], frontend, config["arguments"])
    try:
        weights = load_file(entry.weights)
        # Copied into the float32 that is there, whatever is stored.
        network.load_state_dict(weights)
    except (SafetensorError, RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{entry.weights}: does not fit its config.json: {reason}") from error
    damaged = [name for name, value in weights.items() if not value.isfinite().all()]
    if damaged:
        raise ModelError(
            f"{entry.weights}: {damaged[0]} is not finite, so nothing would come of it; "
            "take the model folder from its source again, or train it anew"
        )
    module: Any = network.frontend
    check_fingerprint(module, config["frontend_fingerprint"], entry.name)
    return network.to(where).eval()


def load_as(
    kind: type[Network], entry: registry.ModelEntry, where: torch.device | str = "cpu"
) -> Network:
    """Load a network that must be of a kind, see :func:`load`."""
    network = load(entry, where)
    if not isinstance(network, kind):
        architecture = entry.config["architecture"]
        raise ModelError(f"{entry.name}: its architecture, {architecture}, is not for {entry.task}")
    return network


def decoder_of(entry: registry.ModelEntry, kind: Callable[..., Settings], **given: Any) -> Settings:
    """Make the decoder settings that a model was stored with.

    Parameters
    ----------
    entry : ModelEntry
    kind : callable
        The frozen dataclass of the settings; tuples are lists in JSON.
    **given
        What takes the place of the model's own, if it is not None.

    Raises
    ------
    ModelError
        If the stored settings are damaged.
    UsageError
        If what is given cannot be.
    """
    stored = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in (entry.config.get("decoder") or {}).items()
    }
    try:
        own: Any = kind(**stored)
    except (TypeError, ValueError, UsageError) as error:
        raise ModelError(f"{entry.name}: its decoder settings are damaged: {stored}") from error
    try:
        made: Settings = replace(
            own, **{name: value for name, value in given.items() if value is not None}
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    return made


def continue_from(network: nn.Module, entry: registry.ModelEntry) -> None:
    """Fill a fresh network with a model's weights, to train on from there.

    Parameters
    ----------
    network : torch.nn.Module
        As :func:`build` makes it.
    entry : ModelEntry
        A model of the same architecture, front-end and sizes.

    Raises
    ------
    ModelError
        If it is damaged, or of other sizes.

    Examples
    --------
    >>> entry = registry.find("onsets", "blstm")
    >>> config = entry.config
    >>> frontend = from_dict(config["frontend"])
    >>> continue_from(build(config["architecture"], frontend, config["arguments"]), entry)
    """
    trained = load(entry)
    fresh: Any = network.frontend
    stored: Any = trained.frontend
    if type(trained) is not type(network) or stored.config != fresh.config:
        raise ModelError(
            f"{entry.name}: cannot be trained on from: its architecture is "
            f"{entry.config['architecture']!r} with another front-end; choose the "
            "{architecture} it has",
            "architecture",
        )
    try:
        network.load_state_dict(trained.state_dict())
    except RuntimeError as error:
        sizes = entry.config["arguments"]
        raise ModelError(
            f"{entry.name}: cannot be trained on from: it is of other sizes: {sizes}"
        ) from error


def save(
    network: nn.Module, folder: Path, config: dict[str, Any], *, half: bool = False
) -> registry.ModelEntry:
    """Write a model folder: weights, configuration and card.

    Parameters
    ----------
    network : torch.nn.Module
        A registered architecture.
    folder : Path
        Made if need be; what it held of a model is replaced.
    config : dict
        ``task``, ``architecture``, ``arguments``, ``labels``, ``decoder``,
        ``training``, ``scores``; the rest is filled in here.
    half : bool
        Store float16, half the size.

    Returns
    -------
    ModelEntry
        The folder as the registry sees it.

    Examples
    --------
    >>> import tempfile
    >>> from audiocli.nn.frontend import StftConfig
    >>> network = build("drnn", StftConfig(), {"hidden_size": 8})
    >>> config = {"task": "separate", "architecture": "drnn", "arguments": {"hidden_size": 8},
    ...           "labels": ["vocals", "accompaniment"], "decoder": {}, "training": {},
    ...           "scores": []}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     entry = save(network, Path(folder) / "tiny", config)
    ...     load(entry).training
    False
    """
    folder.mkdir(parents=True, exist_ok=True)
    dtype = torch.float16 if half else torch.float32
    weights = {
        # Counts stay whole numbers: those of batch normalisation outgrow float16.
        name: value.detach().to("cpu", dtype if value.is_floating_point() else None).contiguous()
        for name, value in network.state_dict().items()
    }
    partial = folder / ".weights.safetensors.part"
    save_file(weights, partial)
    partial.chmod(0o644)  # safetensors makes files that only their owner can read
    frontend: Any = network.frontend
    complete = {
        "format": registry.FORMAT,
        "name": folder.resolve().name,
        **config,
        "frontend": to_dict(frontend.config),
        "frontend_fingerprint": fingerprint(frontend),
        "parameters": parameter_count(network),
        "weights_sha256": registry.sha256(partial),
    }
    partial.replace(folder / registry.WEIGHTS)
    registry.write_config(folder, complete)
    return registry.open_folder(folder)
