"""Training config of the separation networks: architecture, augmentation, loss, schedule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from audiocli.errors import UsageError, check_choice
from audiocli.nn import models
from audiocli.nn.fit import FitConfig
from audiocli.nn.frontend import StftConfig
from audiocli.nn.masking import MaskingNetwork
from audiocli.nn.stereo import FRONTEND
from audiocli.tasks.separate.songs import SongAugmentation

__all__ = [
    "ARCHITECTURES",
    "AUGMENTATIONS",
    "LOSSES",
    "SONGS",
    "STEREO",
    "Augmentation",
    "TrainingConfig",
    "layers",
]

#: What ``--arch`` names: a registered architecture and the arguments that make it this one.
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "dnn": ("drnn", {"num_layers": 3, "recurrent_layers": []}),
    "rnn": ("drnn", {"num_layers": 1, "recurrent_layers": [1]}),
    "drnn": ("drnn", {"num_layers": 3, "recurrent_layers": [2]}),
    "srnn": ("drnn", {"num_layers": 3, "recurrent_layers": [1, 2, 3]}),
    "conv-drnn": ("conv-drnn", {}),
    "stereo-drnn": ("stereo-drnn", {}),
    "live-drnn": ("live-drnn", {}),
}
#: Those that are trained on songs, with their front-ends, and the augmentation of songs.
STEREO, SONGS = ("stereo-drnn", "live-drnn"), SongAugmentation()
LOSSES = ("mse", "kl", "snr")


@dataclass(frozen=True)
class Augmentation:
    """Random changes to the clips, from example to example.

    Parameters
    ----------
    shift : bool
        Shift the accompaniment circularly against the voice.
    remix : bool
        Put any voice over any accompaniment.
    semitones : float
        Resample each source by up to this much.
    octaves : float
        Move the formants of the voice by up to this much.
    decibels : float
        Strength of a random equaliser on each source.
    gain : float
        Standard deviation of the accompaniment's gain, in dB.
    """

    shift: bool = False
    remix: bool = False
    semitones: float = 0.0
    octaves: float = 0.0
    decibels: float = 0.0
    gain: float = 0.0


AUGMENTATIONS = {
    "none": Augmentation(),
    "shift": Augmentation(shift=True),
    "remix": Augmentation(shift=True, remix=True),
    "wide": Augmentation(
        shift=True, remix=True, semitones=6.0, octaves=0.35, decibels=5.0 / 3, gain=4.0
    ),
}


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that defines a training run, so that it can be repeated.

    Parameters
    ----------
    architecture : str
        One of ``ARCHITECTURES``.
    arguments : dict
        More arguments of the architecture, over those of the name.
    frontend : StftConfig
        Configuration of the front-end.
    loss : {"mse", "kl", "snr"}
        On masked magnitudes, or (snr) on complex spectra.
    gamma : float
        Weight of the discriminative term.
    augmentation : Augmentation
        Random changes to the clips.
    seconds : float
        Length of an example.
    fit : FitConfig
        Optimiser and schedule.
    """

    architecture: str = "drnn"
    arguments: dict[str, Any] = field(default_factory=dict)
    frontend: StftConfig = field(default_factory=StftConfig)
    loss: str = "mse"
    gamma: float = 0.05
    augmentation: Augmentation = AUGMENTATIONS["remix"]
    seconds: float = 4.0
    fit: FitConfig = field(default_factory=FitConfig)

    def __post_init__(self) -> None:
        if self.architecture in STEREO and self.frontend == StftConfig():
            object.__setattr__(self, "frontend", FRONTEND)
        check_choice("architecture", self.architecture, ARCHITECTURES)
        if self.architecture in STEREO and self.loss != "snr":
            raise UsageError(
                f"{self.architecture} is trained with {{loss}} snr; its sources may be silent",
                "loss",
            )
        check_choice("loss", self.loss, LOSSES)
        frame = self.frontend.n_fft / self.frontend.sample_rate
        if self.seconds < frame:
            raise UsageError(
                f"examples of {self.seconds:g} s: they must last a frame of the front-end, "
                f"{frame:g} s, or longer"
            )

    def build(self) -> MaskingNetwork:
        """Make the network with fresh weights."""
        name, arguments = ARCHITECTURES[self.architecture]
        torch.manual_seed(self.fit.seed)
        network = models.build(name, self.frontend, {**arguments, **self.arguments})
        assert isinstance(network, MaskingNetwork)  # narrows the type; all of the above are
        return network


def layers(
    architecture: str, num_layers: int | None, recurrent_layers: Sequence[int]
) -> dict[str, Any]:
    """Write numbers of layers as arguments of an architecture."""
    convolutional = architecture == "conv-drnn" or architecture in STEREO
    given: dict[str, Any] = {}
    if num_layers is not None:
        given["num_recurrent" if convolutional else "num_layers"] = num_layers
    if recurrent_layers:
        given["recurrent_layers"] = list(recurrent_layers)
    return given
