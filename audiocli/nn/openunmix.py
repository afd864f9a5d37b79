"""Open-Unmix, computed by the package ``openunmix``.

References
----------
Stöter, Uhlich, Liutkus, Mitsufuji: Open-Unmix - A reference implementation for music
source separation. Journal of Open Source Software, 2019.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from audiocli.errors import ModelError
from audiocli.nn.external import Converted, ExternalNetwork, read_checkpoint, require
from audiocli.nn.frontend import FrontendConfig
from audiocli.nn.masking import LEVEL
from audiocli.nn.models import register

__all__ = ["OpenUnmix"]

EXTRA = "openunmix"
MODULE = "openunmix.model"
#: It was trained on recordings at the level of their files. Its input here is brought from
#: ``LEVEL`` to this root mean square, about that of a finished song (-16.5 dB of full scale).
SONG = 0.15


@register("openunmix")
class OpenUnmix(ExternalNetwork):
    """A network of the package ``openunmix`` for each source, and its Wiener filter over them.

    Parameters
    ----------
    frontend : WaveformConfig
        Rate of the audio.
    targets : sequence of str
        The sources.
    hidden_size : int
        Width of the networks.
    bins : int
        Bins of the transform, n_fft / 2 + 1.
    max_bin : int
        How many of them enter the networks, from 0 Hz on.
    n_hop : int
        Distance between frames, in samples.
    level : float
        Root mean square that a recording is brought to.
    """

    def __init__(
        self,
        frontend: FrontendConfig,
        *,
        targets: Sequence[str],
        hidden_size: int,
        bins: int = 2049,
        max_bin: int = 1487,
        n_hop: int = 1024,
        level: float = SONG,
    ) -> None:
        super().__init__(frontend)
        model = require(MODULE, EXTRA)
        self.level, self.num_sources = level, len(targets)
        self.n_fft = 2 * (bins - 1)
        sizes = {"nb_bins": bins, "nb_channels": 2, "hidden_size": hidden_size, "max_bin": max_bin}
        self.separator = model.Separator(
            {target: model.OpenUnmix(**sizes) for target in targets},
            niter=1,
            sample_rate=self.sample_rate,
            n_fft=self.n_fft,
            n_hop=n_hop,
            nb_channels=2,
        )
        # What follows from the configuration is no weight; and one window may be stored only once.
        for module, name in (
            (self.separator.stft, "window"),
            (self.separator.istft, "window"),
            (self.separator, "sample_rate"),
        ):
            value = getattr(module, name).detach().clone()
            delattr(module, name)
            module.register_buffer(name, value, persistent=False)

    @classmethod
    def check(cls) -> None:
        """Raise ModelError if the package is not there or does not work."""
        require(MODULE, EXTRA)

    @classmethod
    def convert(cls, files: Sequence[Path], options: Mapping[str, Any]) -> Converted:
        """Read checkpoints as the package saves them: the weights of one target in each."""
        targets = list(options["targets"])
        state: dict[str, Tensor] = {}
        sizes: dict[str, int] = {}
        for target, file in zip(targets, files, strict=True):
            weights = read_checkpoint(file)
            try:
                own = {
                    "hidden_size": len(weights["bn1.weight"]),
                    "bins": len(weights["output_mean"]),
                    "max_bin": len(weights["input_mean"]),
                }
            except (KeyError, TypeError) as error:
                raise ModelError(f"{file}: is not a checkpoint of Open-Unmix: {error!r}") from error
            if sizes not in ({}, own):
                raise ModelError(f"{file}: is of sizes {own}, the others of {sizes}")
            sizes = own
            # Transforms that earlier versions stored along are computed.
            kept = {key: value for key, value in weights.items() if _is_weight(key)}
            state |= {f"separator.target_models.{target}.{key}": v for key, v in kept.items()}
        return Converted({"targets": targets, **sizes}, state, targets, 44_100)

    def stereo(self, audio: Tensor, sources: Sequence[int]) -> Tensor:
        """Separate two channels (2, samples) into (sources, 2, samples): those asked for."""
        samples = audio.shape[-1]
        # The transform mirrors half a window at each end, for which there must be enough.
        padded = F.pad(audio, (0, max(0, self.n_fft - samples)))
        gain = self.level / LEVEL
        separated: Tensor = self.separator(gain * padded.unsqueeze(0))[0, ..., :samples] / gain
        return separated[list(sources)]  # its filter needs them all


def _is_weight(key: str) -> bool:
    return key.partition(".")[0] not in ("stft", "transform", "sample_rate")
