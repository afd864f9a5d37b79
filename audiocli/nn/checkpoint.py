"""What a stopped training run needs to go on exactly where it was: one file, no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from audiocli.errors import ModelError
from audiocli.nn.fit_config import NEUTRAL, Epoch

__all__ = ["State", "restore", "store"]

Network = TypeVar("Network", bound=nn.Module)
FILE = "checkpoint.safetensors"


@dataclass(frozen=True)
class State(Generic[Network]):
    """All that changes while a network is trained."""

    network: Network
    average: Network
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    rng: np.random.Generator

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device


def store(
    folder: Path, state: State[Network], made_with: Mapping[str, Any], history: Sequence[Epoch]
) -> None:
    """Write the checkpoint; replaced as a whole, so a kill leaves the one before."""
    tensors = {f"network.{name}": value for name, value in state.network.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in state.average.state_dict().items()}
    facts = {
        "made_with": made_with,
        "history": [asdict(epoch) for epoch in history],
        "rng": state.rng.bit_generator.state,
        "scaler": state.scaler.state_dict(),
        "optimizer": _packed(state.optimizer.state_dict()["state"], "optimizer", tensors),
    }
    tensors["torch_rng"] = torch.get_rng_state()
    if state.device.type == "cuda":
        tensors["cuda_rng"] = torch.cuda.get_rng_state(state.device)
    partial = folder / ".checkpoint.part"
    save_file(
        {name: value.detach().cpu().clone() for name, value in tensors.items()},
        partial,
        metadata={"facts": json.dumps(facts)},
    )
    partial.replace(folder / FILE)


def restore(folder: Path, state: State[Network], made_with: Mapping[str, Any]) -> list[Epoch]:
    """Fill the state from a checkpoint, if there is one, and give the epochs until then."""
    file = folder / FILE
    if not file.exists():
        return []
    facts, tensors = _read(file)
    before = facts["made_with"]
    changed = sorted(
        name for name in made_with
        if name not in NEUTRAL and made_with[name] != before.get(name)
    )  # fmt: skip
    if changed:
        raise ModelError(
            f"{file}: was made with other options ({', '.join(changed)} differ); "
            "give the same ones to go on, or another folder to start anew"
        )
    try:
        state.network.load_state_dict(_part("network.", tensors))
        state.average.load_state_dict(_part("average.", tensors))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{file}: is of another network: {reason}") from error
    moments = _unpacked(facts["optimizer"], tensors)
    by_place = {int(place): values for place, values in moments.items()}
    state.optimizer.load_state_dict({**state.optimizer.state_dict(), "state": by_place})
    state.scaler.load_state_dict(facts["scaler"])
    torch.set_rng_state(tensors["torch_rng"])
    if state.device.type == "cuda" and "cuda_rng" in tensors:
        torch.cuda.set_rng_state(tensors["cuda_rng"], state.device)
    state.rng.bit_generator.state = facts["rng"]
    return [Epoch(**epoch) for epoch in facts["history"]]


def _part(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _packed(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """Replace tensors by their names, so that the rest can be JSON."""
    if isinstance(value, Tensor):
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, dict):
        return {str(key): _packed(each, f"{name}.{key}", tensors) for key, each in value.items()}
    if isinstance(value, list):
        return [_packed(each, f"{name}.{place}", tensors) for place, each in enumerate(value)]
    return value


def _unpacked(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"tensor"}:
            return tensors[value["tensor"]]
        return {key: _unpacked(each, tensors) for key, each in value.items()}
    if isinstance(value, list):
        return [_unpacked(each, tensors) for each in value]
    return value


def _read(file: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    from safetensors import safe_open

    try:
        with safe_open(file, "pt") as opened:
            metadata = opened.metadata() or {}
        facts = json.loads(metadata.get("facts", "{}"))
        missing = {"made_with", "history", "rng", "scaler", "optimizer"} - facts.keys()
        if missing:
            raise ValueError(f"lacks {', '.join(sorted(missing))}")
        return facts, load_file(file)
    except (SafetensorError, ValueError, OSError) as error:
        raise ModelError(
            f"{file}: is not a checkpoint ({error}); delete it to start anew"
        ) from error
