"""Hybrid Demucs and Hybrid Transformer Demucs, computed by the package ``demucs``.

One network or several, whose outputs are averaged with a weight for each source: what the
package calls a bag.

References
----------
Défossez: Hybrid spectrogram and waveform source separation. ISMIR 2021 Workshop on Music
Source Separation.
Rouard, Massa, Défossez: Hybrid transformers for music source separation. ICASSP 2023.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from audiocli.errors import ModelError
from audiocli.nn.external import Converted, ExternalNetwork, read_checkpoint, require
from audiocli.nn.frontend import FrontendConfig
from audiocli.nn.models import register

__all__ = ["Demucs"]

EXTRA = "demucs"
#: The networks of the package that are run here, and where each is.
CLASSES = {"HDemucs": "demucs.hdemucs", "HTDemucs": "demucs.htdemucs"}
#: Neighbouring pieces of a signal that is too long for a transformer overlap by a quarter.
OVERLAP = 0.25


@register("demucs")
class Demucs(ExternalNetwork):
    """One or several networks of the package ``demucs``.

    The networks normalise the level of each segment themselves, so what the package does to the
    level of a whole recording is not repeated here.

    Parameters
    ----------
    frontend : WaveformConfig
        Rate of the audio.
    networks : sequence of mapping
        Each with ``class`` (``HDemucs`` or ``HTDemucs``) and its ``arguments``.
    weights : sequence of sequence of float, optional
        For each network a weight for each source; all the same if not given.
    """

    def __init__(
        self,
        frontend: FrontendConfig,
        *,
        networks: Sequence[Mapping[str, Any]],
        weights: Sequence[Sequence[float]] | None = None,
    ) -> None:
        super().__init__(frontend)
        self.networks = nn.ModuleList(_build(stored) for stored in networks)
        every: list[Any] = list(self.networks)
        sources = [list(network.sources) for network in every]
        rates = {network.samplerate for network in every} | {self.sample_rate}
        channels = {network.audio_channels for network in every}
        if not every or any(names != sources[0] for names in sources) or len(rates) > 1:
            raise ModelError(f"the networks give {sources} at {rates} Hz, which do not go together")
        if channels != {2}:
            raise ModelError(f"the networks have {channels} channels in place of 2")
        self.num_sources = len(sources[0])
        even = [[1.0] * self.num_sources] * len(every)
        shares = torch.tensor(even if weights is None else weights, dtype=torch.float32)
        if shares.shape != (len(every), self.num_sources) or not bool((shares.sum(0) > 0).all()):
            raise ModelError(f"weights {weights}: need one for each network and source")
        # It stands in the configuration already.
        self.register_buffer("shares", shares / shares.sum(dim=0), persistent=False)

    shares: Tensor

    @classmethod
    def check(cls) -> None:
        """Raise ModelError if the package is not there or does not work."""
        for module in CLASSES.values():
            require(module, EXTRA)

    @classmethod
    def convert(cls, files: Sequence[Path], options: Mapping[str, Any]) -> Converted:
        """Read checkpoints as the package saves them: class, arguments and weights in each."""
        classes = [getattr(require(module, EXTRA), name) for name, module in CLASSES.items()]
        networks: list[dict[str, Any]] = []
        state: dict[str, Tensor] = {}
        for index, file in enumerate(files):
            package = read_checkpoint(file, classes)
            try:
                stored = _settings(package)
                weights = dict(package["state"])
            except (KeyError, TypeError, ValueError) as error:
                raise ModelError(f"{file}: is not a checkpoint of demucs: {error!r}") from error
            networks.append(stored)
            state |= {f"networks.{index}.{name}": value for name, value in weights.items()}
        arguments = {"networks": networks, **options}
        first = networks[0]["arguments"]
        return Converted(arguments, state, list(first["sources"]), first.get("samplerate", 44_100))

    def stereo(self, audio: Tensor, sources: Sequence[int]) -> Tensor:
        """Separate two channels (2, samples) into (sources, 2, samples): those asked for."""
        wanted = list(sources)
        mean = audio.new_zeros(len(wanted), *audio.shape)
        for network, shares in zip(self.networks, self.shares[:, wanted], strict=True):
            if bool(shares.any()):  # a network for other sources need not run
                mean += shares.view(-1, 1, 1) * _run(network, audio)[wanted]
        return mean


def _build(stored: Mapping[str, Any]) -> nn.Module:
    """Make a network of the package, with fresh weights."""
    try:
        name, arguments = stored["class"], dict(stored["arguments"])
        cls = getattr(require(CLASSES[name], EXTRA), name)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{stored!r:.100}: is not a network of demucs: {error!r}") from error
    if isinstance(arguments.get("segment"), str):
        arguments["segment"] = Fraction(arguments["segment"])
    network: nn.Module = cls(**arguments)
    return network


def _settings(package: Mapping[str, Any]) -> dict[str, Any]:
    """Take class and arguments from a checkpoint, in a form that JSON can hold."""
    cls = package["klass"]
    accepted = inspect.signature(cls).parameters
    given = dict(zip(accepted, package["args"], strict=False)) | dict(package["kwargs"])
    # As the package does: arguments of other versions are left out.
    arguments = {name: value for name, value in given.items() if name in accepted}
    if isinstance(arguments.get("segment"), Fraction):
        arguments["segment"] = str(arguments["segment"])
    named: dict[str, Any] = json.loads(json.dumps(arguments))
    return {"class": cls.__name__, "arguments": named}


def _run(network: Any, audio: Tensor) -> Tensor:
    """Have one network separate (2, samples) into (sources, 2, samples)."""
    samples = audio.shape[-1]
    least = int(network.samplerate)  # below a second its layers may run out of samples
    if getattr(network, "use_train_segment", False):
        # A transformer takes just as much as in training.
        least = int(network.segment * network.samplerate)
        if samples > least:
            return _in_pieces(lambda piece: _run(network, piece), audio, least)
    padded = F.pad(audio, (0, max(0, least - samples)))
    separated: Tensor = network(padded.unsqueeze(0))[0, ..., :samples]
    return separated


def _in_pieces(run: Callable[[Tensor], Tensor], audio: Tensor, length: int) -> Tensor:
    """Crossfade what a network makes of overlapping pieces, as the package does."""
    ramp = torch.arange(1, length + 1, device=audio.device, dtype=audio.dtype)
    weight = torch.minimum(ramp, length + 1 - ramp)
    result, total = torch.zeros((), device=audio.device), torch.zeros_like(audio[0])
    for start in range(0, audio.shape[-1], int((1 - OVERLAP) * length)):
        piece = run(audio[:, start : start + length])
        share = weight[: piece.shape[-1]]
        around = (start, audio.shape[-1] - start - piece.shape[-1])
        result = result + F.pad(share * piece, around)
        total = total + F.pad(share, around)
    return result / total
