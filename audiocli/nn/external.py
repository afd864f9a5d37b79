"""What networks of other packages share: stereo in and out, and how their checkpoints are read.

The package is imported when such a network is built, so nothing needs it until then. Once
installed, a model is a folder like any other; the authors' own files are read only to make it.
"""

from __future__ import annotations

import importlib
import re
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audiocli.errors import ModelError
from audiocli.nn.frontend import FrontendConfig, Waveform, WaveformConfig
from audiocli.nn.masking import SeparationNetwork

__all__ = ["Converted", "ExternalNetwork", "read_checkpoint", "require"]


@dataclass(frozen=True)
class Converted:
    """What a network needs to be built from checkpoints.

    Parameters
    ----------
    arguments : dict
        Of its constructor; JSON can hold them.
    state : dict of str to Tensor
        Its weights.
    labels : list of str
        Its sources, in their order.
    sample_rate : int
        In Hz.
    """

    arguments: dict[str, Any]
    state: dict[str, Tensor]
    labels: list[str]
    sample_rate: int

    @property
    def half(self) -> bool:
        """Whether all weights came in float16, so that they can be kept in it."""
        floats = [value for value in self.state.values() if value.is_floating_point()]
        return all(value.dtype == torch.float16 for value in floats)


class ExternalNetwork(SeparationNetwork):
    """Base of the networks that another package computes, made for two channels.

    A child gives :meth:`stereo` and :meth:`convert`.

    Parameters
    ----------
    frontend : WaveformConfig
        Rate of the audio.
    """

    def __init__(self, frontend: FrontendConfig) -> None:
        super().__init__()
        if not isinstance(frontend, WaveformConfig):
            raise ModelError(f"it takes samples as they are, and no front-end {frontend}")
        self.frontend = Waveform(frontend)

    @property
    def sample_rate(self) -> int:
        """Rate of the audio it takes, in Hz."""
        return self.frontend.config.sample_rate

    @classmethod
    @abstractmethod
    def check(cls) -> None:
        """Raise ModelError if the package is not there or does not work."""

    @classmethod
    @abstractmethod
    def convert(cls, files: Sequence[Path], options: Mapping[str, Any]) -> Converted:
        """Read the authors' checkpoints."""

    @abstractmethod
    def stereo(self, audio: Tensor, sources: Sequence[int]) -> Tensor:
        """Separate two channels (2, samples) into (sources, 2, samples): those asked for."""

    def separate(self, audio: Tensor, sources: Sequence[int] | None = None) -> Tensor:
        """Separate audio (channels, samples) into (sources, channels, samples)."""
        wanted = range(self.num_sources) if sources is None else sources
        if audio.shape[0] == 2:
            return self.stereo(audio, wanted)
        alone = [self.stereo(channel.expand(2, -1), wanted).mean(dim=1) for channel in audio]
        return torch.stack(alone, dim=1)


def require(module: str, extra: str) -> Any:
    """Import a module of an optional package."""
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or package).partition(".")[0]
        if missing == package:
            raise ModelError(
                f"package {package} is missing: pip install 'audiocli[{extra}]'"
            ) from error
        raise ModelError(
            f"package {package} needs {missing}, which is missing: pip install 'audiocli[{extra}]'"
            f"{_match(missing)}"
        ) from error
    except (ImportError, OSError, RuntimeError) as error:  # compiled for another torch or system
        reason = " ".join(str(error).split())
        raise ModelError(
            f"package {package} cannot be imported: {reason}{_match(reason)}"
        ) from error


def _match(words: str) -> str:
    """Add what helps where torchaudio does not fit: it must be of torch's version and kind."""
    if "torchaudio" not in words and "cuda" not in words:
        return ""
    return f" (torchaudio must be of the version and kind of torch, which is {torch.__version__})"


def read_checkpoint(file: Path, classes: Sequence[type] = ()) -> Any:
    """Read weights and settings that torch.save wrote, and run nothing of the file's."""
    try:
        with torch.serialization.safe_globals([*classes, Fraction, *_numpy_numbers()]):
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # what a damaged archive raises is not to be foreseen
        words = " ".join(str(error).split())
        named = re.search(r"GLOBAL (\S+)", words)
        reason = f"names {named[1]}, which is not allowed" if named else words[:200]
        raise ModelError(f"{file}: is no checkpoint of weights and settings: {reason}") from error


def _numpy_numbers() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """Name what a pickled numpy number consists of: the file may hold some among its settings."""
    make: Any = np.float64(0).__reduce__()[0]
    kinds = {type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64)}
    # The same function, as numpy 1 and as numpy 2 call it.
    names = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
    return [np.dtype, *kinds, *((make, name) for name in names)]
