"""Train the separation networks: examples, loss, score and the training run.

The other half of :mod:`audiocli.tasks.separate`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiocli import models, registry
from audiocli.augment import colour, excerpt
from audiocli.bss_eval import bss_eval, weighted_mean
from audiocli.errors import DataError, ModelError, UsageError, suggest
from audiocli.frontend import Stft, StftConfig
from audiocli.losses import divergence_loss, snr_loss, squared_loss
from audiocli.models.masking import MaskingNetwork
from audiocli.provenance import DataSet, named, training_facts
from audiocli.stems import SOURCES, Clip, find_clips, unit_power
from audiocli.tasks.separate.separator import LEVEL, estimate
from audiocli.training import Epoch, Recipe, fit

__all__ = ["ARCHITECTURES", "AUGMENTATIONS", "LOSSES", "Augmentation", "Course", "train"]

Sources = NDArray[np.float32]  # (2, samples): vocals, accompaniment

#: What ``--arch`` names: a registered architecture and the arguments that make it this one.
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "dnn": ("drnn", {"num_layers": 3, "recurrent_layers": []}),
    "rnn": ("drnn", {"num_layers": 1, "recurrent_layers": [1]}),
    "drnn": ("drnn", {"num_layers": 3, "recurrent_layers": [2]}),
    "srnn": ("drnn", {"num_layers": 3, "recurrent_layers": [1, 2, 3]}),
    "conv-drnn": ("conv-drnn", {}),
}
LOSSES = ("mse", "kl", "snr")


@dataclass(frozen=True)
class Augmentation:
    """How the clips are varied from example to example.

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

    Examples
    --------
    >>> AUGMENTATIONS["remix"].semitones
    0.0
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
class Course:
    """Everything that makes a training run, so that it can be run again.

    Parameters
    ----------
    architecture : str
        One of ``ARCHITECTURES``.
    arguments : dict
        More arguments of the architecture, over those of the name.
    frontend : StftConfig
        What the network listens through.
    loss : {"mse", "kl", "snr"}
        On masked magnitudes, or (snr) on complex spectra.
    gamma : float
        Weight of the discriminative term.
    augmentation : Augmentation
        How clips are varied.
    seconds : float
        Length of an example.
    recipe : Recipe
        Optimiser and schedule.

    Raises
    ------
    UsageError
        On an unknown name, or examples shorter than a frame.

    Examples
    --------
    >>> Course(architecture="srnn").loss
    'mse'
    """

    architecture: str = "drnn"
    arguments: dict[str, Any] = field(default_factory=dict)
    frontend: StftConfig = field(default_factory=StftConfig)
    loss: str = "mse"
    gamma: float = 0.05
    augmentation: Augmentation = AUGMENTATIONS["remix"]
    seconds: float = 4.0
    recipe: Recipe = field(default_factory=Recipe)

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            hint = suggest(self.architecture, ARCHITECTURES)
            raise UsageError(f"unknown architecture {self.architecture!r}: {hint}")
        if self.loss not in LOSSES:
            raise UsageError(f"unknown loss {self.loss!r}: {suggest(self.loss, LOSSES)}")
        frame = self.frontend.n_fft / self.frontend.sample_rate
        if self.seconds < frame:
            raise UsageError(
                f"examples of {self.seconds:g} s: they must last a frame of the front-end, "
                f"{frame:g} s, or longer"
            )

    def build(self) -> MaskingNetwork:
        """Make the network with fresh weights."""
        name, arguments = ARCHITECTURES[self.architecture]
        torch.manual_seed(self.recipe.seed)
        network = models.build(name, self.frontend, {**arguments, **self.arguments})
        assert isinstance(network, MaskingNetwork)  # narrows the type; all of the above are
        return network


def examples(
    clips: Sequence[Sources], course: Course, rng: np.random.Generator, stft: Stft
) -> Tensor:
    """Make a batch of true sources.

    Parameters
    ----------
    clips : sequence of ndarray, shape (2, samples)
        Vocals and accompaniment at the network's rate, each at unit power.
    course : Course
        Length, number and variation of the examples.
    rng : numpy.random.Generator
        Draws them.
    stft : Stft
        Transform in which formants are moved and sources equalised.

    Returns
    -------
    Tensor, shape (batch, 2, samples)
        The mixture of an example is their sum, at a level near ``LEVEL``.

    Examples
    --------
    >>> clip = np.ones((2, 16000), np.float32)
    >>> course = Course(seconds=0.5, recipe=Recipe(batch_size=3))
    >>> rng = np.random.default_rng(0)
    >>> examples([clip], course, rng, Stft(StftConfig())).shape
    torch.Size([3, 2, 8000])
    """
    how = course.augmentation
    samples = round(course.seconds * course.frontend.sample_rate)
    batch = np.empty((course.recipe.batch_size, 2, samples), np.float32)
    for example in batch:
        voice = clips[int(rng.integers(len(clips)))]
        music = clips[int(rng.integers(len(clips)))] if how.remix else voice
        if how.shift:
            example[0] = excerpt(voice[0], samples, rng, semitones=how.semitones)
            example[1] = excerpt(music[1], samples, rng, semitones=how.semitones)
        else:
            start = int(rng.integers(voice.shape[1]))
            place = np.arange(start, start + samples)
            example[:] = np.take(voice, place, axis=1, mode="wrap")
        example[1] *= 10 ** (rng.normal(0, how.gain) / 20) if how.gain else 1.0
    signals = torch.from_numpy(batch) * (LEVEL / 2**0.5)  # two sources of equal power
    with torch.no_grad():
        voices = colour(signals[:, 0], stft, rng, octaves=how.octaves, decibels=how.decibels)
        musics = colour(signals[:, 1], stft, rng, decibels=how.decibels)
    return torch.stack([voices, musics], dim=1)


def loss(network: MaskingNetwork, batch: Tensor, course: Course) -> Tensor:
    """Compute the loss of a network on a batch.

    Parameters
    ----------
    network : MaskingNetwork
        In training.
    batch : Tensor, shape (batch, 2, samples)
        As :func:`examples` makes it.
    course : Course
        Which loss, and its gamma.

    Returns
    -------
    Tensor
        A scalar.

    Examples
    --------
    >>> course = Course(arguments={"hidden_size": 4})
    >>> loss(course.build(), torch.randn(2, 2, 4000), course).item() > 0
    True
    """
    with torch.no_grad():
        sources = network.stft(batch)
        mixture = sources.sum(dim=1)
    masks = network.masks(mixture).float()
    if course.loss == "snr":
        return snr_loss(masks * mixture.unsqueeze(1), sources, course.gamma)
    estimates = masks * mixture.abs().unsqueeze(1)
    function = squared_loss if course.loss == "mse" else divergence_loss
    return function(estimates, sources.abs(), course.gamma)


def score(network: MaskingNetwork, clips: Sequence[Sources]) -> float:
    """Compute the voice GNSDR (BSS Eval 3) in dB on clips mixed at 0 dB.

    Parameters
    ----------
    network : MaskingNetwork
        In evaluation mode.
    clips : sequence of ndarray, shape (2, samples)
        As in :func:`examples`.

    Returns
    -------
    float
        Mean improvement over the mixture, weighted by length.

    Raises
    ------
    ModelError
        If the network's output is not finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> clip = rng.normal(size=(2, 8000)).astype(np.float32)
    >>> abs(score(Course(arguments={"hidden_size": 4}).build(), [clip])) < 5
    True
    """
    gains = []
    for clip in clips:
        mixture = clip.sum(axis=0)
        gain = LEVEL / float(np.sqrt(np.mean(mixture**2)))
        vocals = estimate(network, mixture[None], gain=gain)[0]
        if not np.isfinite(vocals).all():
            raise ModelError(
                "training diverged: the network's output is no longer finite; "
                "use a smaller --learning-rate"
            )
        guesses = np.stack([[vocals, mixture - vocals], [mixture, mixture]])
        scores = bss_eval(clip, guesses).sdr
        gains.append(scores[0, 0] - scores[1, 0])
    return float(weighted_mean(gains, [clip.shape[1] for clip in clips]))


def train(
    data: Sequence[Path],
    output: Path,
    course: Course,
    *,
    dev: Path | None = None,
    licence: str = "unspecified",
    start: str | None = None,
    device: str = "auto",
    report: Callable[[Epoch], None] = lambda epoch: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> registry.ModelEntry:
    """Train a separation network and write a model folder.

    Called again with the same arguments it goes on where it was stopped.

    Parameters
    ----------
    data : sequence of Path
        Folders of two-source clips, see :func:`audiocli.stems.find_clips`.
    output : Path
        The model folder; its ``checkpoint`` folder holds what is needed to go on.
    course : Course
        What to train, and how.
    dev : Path, optional
        Clips that choose the best epoch; by default every tenth of `data`.
    licence : str
        Licence of the training data, for the card.
    start : str, optional
        A model of the same architecture and sizes to go on from, by its name or folder.
    device : str
        As in :func:`audiocli.models.device`.
    report, progress : callable
        As in :func:`audiocli.training.fit`.

    Returns
    -------
    ModelEntry
        The best epoch's network.

    Raises
    ------
    DataError
        If there are no clips.
    UsageError
        If `output` holds a finished model that this would replace.
    ModelError
        If the checkpoint there is of another course, or training diverges.

    Examples
    --------
    >>> import tempfile
    >>> from audiocli.demo import write_demo
    >>> small = Course(arguments={"hidden_size": 4}, seconds=1.0,
    ...                recipe=Recipe(epochs=1, steps=2, batch_size=2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_demo(Path(folder))
    ...     stems = Path(folder) / "stems"
    ...     train([stems], Path(folder) / "model", small, dev=stems).task
    'separate'
    """
    registry.refuse_finished(output)
    found, held_out = _split(data, dev)
    rate = course.frontend.sample_rate
    clips = [unit_power(clip.load_mono(rate), name=clip.name) for clip in found]
    scored = [unit_power(clip.load_mono(rate), name=clip.name) for clip in held_out]
    network = course.build()
    where = models.device(device)
    stft = Stft(course.frontend)
    origin = None if start is None else registry.find("separate", start)
    if origin is None:
        first = examples(clips, course, np.random.default_rng(course.recipe.seed), stft)
        network.calibrate(network.stft(first.sum(dim=1)).abs())
    else:
        models.continue_from(network, origin)
    network.to(where)
    names = ", ".join(named(folder) for folder in data)
    chosen_on = named(dev) if dev is not None else f"every tenth clip of {names}"
    facts = _facts(data, chosen_on, course, licence, found, clips, origin)
    settings = {key: value for key, value in asdict(course).items() if key != "recipe"}
    settings["data"] = [clip.name for clip in found]
    settings["dev"] = [clip.name for clip in held_out]
    settings["start"] = origin.config["weights_sha256"] if origin else None

    def keep(best: MaskingNetwork, epoch: Epoch) -> None:
        facts["training"]["hours"] = round(epoch.seconds / 3600, 2)
        facts["training"]["epoch"] = epoch.number
        facts["scores"][0]["value"] = round(epoch.score, 2)
        models.save(best, output, facts)

    fit(
        network,
        lambda rng: examples(clips, course, rng, stft).to(where),
        lambda net, batch: loss(net, batch, course),
        lambda net: score(net, scored),
        course.recipe,
        output / "checkpoint",
        settings=settings,
        keep=keep,
        report=report,
        progress=progress,
    )
    return registry.open_folder(output)


def _split(data: Sequence[Path], dev: Path | None) -> tuple[list[Clip], list[Clip]]:
    """Find the clips to train on, and those that choose the best epoch."""
    found = [clip for folder in data for clip in find_clips(folder)]
    if dev is not None:
        return found, find_clips(dev)
    if len(found) == 1:
        raise DataError(f"{data[0]}: one clip is too few to train on and choose with; add --dev")
    return [clip for index, clip in enumerate(found) if index % 10], found[::10]


def _facts(
    data: Sequence[Path],
    chosen_on: str,
    course: Course,
    licence: str,
    found: Sequence[Clip],
    clips: Sequence[Sources],
    origin: registry.ModelEntry | None,
) -> dict[str, Any]:
    """Gather what the configuration says of the training."""
    name, arguments = ARCHITECTURES[course.architecture]
    minutes = sum(clip.shape[1] for clip in clips) / course.frontend.sample_rate / 60
    names = ", ".join(named(folder) for folder in data)
    settings = {
        key: value
        for key, value in asdict(course).items()
        if key not in ("architecture", "arguments", "frontend")
    }
    return {
        "task": "separate",
        "architecture": name,
        "arguments": {**arguments, **course.arguments},
        "labels": list(SOURCES),
        "decoder": {"segment_seconds": 20.0, "context_seconds": 3.0, "fade_seconds": 0.25},
        "licence": licence,
        **training_facts(
            [DataSet(names, len(found), round(minutes, 1), licence)],
            f"the epoch was chosen on {chosen_on}",
            settings,
            {
                "metric": "vocals GNSDR",
                "unit": "dB",
                "measure": "BSS Eval 3",
                "data": f"the clips that chose the epoch: {chosen_on}",
            },
            origin,
        ),
    }
