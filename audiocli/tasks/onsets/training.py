"""Train the onset detectors: examples, loss, score and the training run.

The other half of :mod:`audiocli.tasks.onsets`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from audiocli import models, registry
from audiocli.annotated import Recording, find_recordings, split
from audiocli.audio import AudioReader
from audiocli.audio.streaming import resample
from audiocli.augment import background, filtered
from audiocli.errors import UsageError, suggest
from audiocli.formats import read_instants
from audiocli.frontend import FilterbankConfig
from audiocli.models.framewise import FramewiseNetwork
from audiocli.provenance import DataSet, named, training_facts
from audiocli.tasks.onsets.detector import Decoder, activations, decode
from audiocli.tasks.onsets.scoring import f_measure, match, merged
from audiocli.training import Epoch, Recipe, fit

__all__ = ["ANNOTATIONS", "ARCHITECTURES", "AUGMENTATIONS", "Augmentation", "Course", "train"]

#: What an annotation of onsets may be called, the preferred first.
ANNOTATIONS = (".onsets", ".csv", ".jams")
EYBEN = FilterbankConfig()
FINE = FilterbankConfig(
    n_ffts=(1024, 2048, 4096), bands=160, scale="log", fmin=60.0, difference=False
)
QUICK = FilterbankConfig(n_ffts=(1024, 2048), bands=120, scale="log", fmin=60.0, difference=False)

#: What ``--arch`` names: a registered architecture, its front-end, and the arguments that make it
#: this one. The path of the lecture, with one thing changed at a time, then the two that go on.
ARCHITECTURES: dict[str, tuple[str, FilterbankConfig, dict[str, Any]]] = {
    "rnn": ("frame-rnn", EYBEN, {"cell": "rnn", "bidirectional": False}),
    "brnn": ("frame-rnn", EYBEN, {"cell": "rnn"}),
    "lstm": ("frame-rnn", EYBEN, {"bidirectional": False}),
    "blstm": ("frame-rnn", EYBEN, {}),
    "crnn": ("frame-crnn", FINE, {}),
    "online": ("frame-crnn", QUICK, {"bidirectional": False}),
}
THRESHOLDS = np.arange(0.1, 0.81, 0.05)


@dataclass(frozen=True)
class Augmentation:
    """How recordings are varied from example to example.

    Parameters
    ----------
    semitones : float
        Resample by up to this much: pitch and tempo.
    gain : float
        Level of the loudest sample, down to this many dB below full scale.
    decibels : float
        Strength of a random equaliser.
    room : float
        Share of examples with reverberation.
    noise : float
        Share of examples with noise or hum.
    quiet : float
        Share of examples that hold noise, hum or silence and no onset at all.
    mix : float
        Share of examples in which two recordings sound at once.
    drive : float
        Share of examples driven into saturation, as loud masters are.

    Examples
    --------
    >>> AUGMENTATIONS["none"].mix
    0.0
    """

    semitones: float = 0.0
    gain: float = 0.0
    decibels: float = 0.0
    room: float = 0.0
    noise: float = 0.0
    quiet: float = 0.0
    mix: float = 0.0
    drive: float = 0.0


AUGMENTATIONS = {
    "none": Augmentation(),
    "wide": Augmentation(
        semitones=4.0, gain=30.0, decibels=2.5, room=0.3, noise=0.5, quiet=0.05, mix=0.2, drive=0.1
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
    augmentation : Augmentation
        How recordings are varied.
    fuzz : float
        The target falls from 1 at an onset to 0 at this distance, in seconds; 0 marks the
        nearest frame alone.
    seconds : float
        Length of an example.
    recipe : Recipe
        Optimiser and schedule.

    Raises
    ------
    UsageError
        On an unknown name, or a length or distance that cannot be.

    Examples
    --------
    >>> Course(architecture="blstm").frontend.bands
    40
    """

    architecture: str = "crnn"
    arguments: dict[str, Any] = field(default_factory=dict)
    augmentation: Augmentation = AUGMENTATIONS["wide"]
    fuzz: float = 0.02
    seconds: float = 5.0
    recipe: Recipe = field(default_factory=Recipe)

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            hint = suggest(self.architecture, ARCHITECTURES)
            raise UsageError(f"unknown architecture {self.architecture!r}: {hint}")
        if self.seconds < 0.5 or not 0 <= self.fuzz <= 0.1:
            raise UsageError("examples last 0.5 s or longer, and fuzz lies between 0 and 0.1 s")

    @property
    def frontend(self) -> FilterbankConfig:
        """What the network listens through."""
        return ARCHITECTURES[self.architecture][1]

    def build(self) -> FramewiseNetwork:
        """Make the network with fresh weights."""
        name, frontend, arguments = ARCHITECTURES[self.architecture]
        torch.manual_seed(self.recipe.seed)
        network = models.build(name, frontend, {**arguments, **self.arguments})
        assert isinstance(network, FramewiseNetwork)  # narrows the type; all of the above are
        return network


@dataclass(frozen=True)
class Take:
    """A recording in memory.

    Parameters
    ----------
    audio : ndarray of int16, shape (samples,)
        Mono, at the network's rate.
    onsets : ndarray, shape (onsets,)
        In seconds.
    folder : str
        Which data it belongs to.

    Examples
    --------
    >>> Take(np.zeros(8, np.int16), np.array([]), "data").onsets.size
    0
    """

    audio: NDArray[np.int16]
    onsets: NDArray[np.float64]
    folder: str


def load(recording: Recording, sample_rate: int) -> Take:
    """Read a recording and its onsets.

    Parameters
    ----------
    recording : Recording
    sample_rate : int
        Rate wanted, in Hz.

    Returns
    -------
    Take
        Onsets within 30 ms of one before are part of it.

    Raises
    ------
    AudioError, DataError
        If a file cannot be read.
    """
    with AudioReader(recording.audio) as reader:
        mono = (block.mean(axis=0, keepdims=True) for block in reader.blocks())
        blocks = list(resample(mono, reader.info.sample_rate, sample_rate))
    audio = np.concatenate(blocks, axis=1)[0]
    # Half the memory of float32, at no loss that training would notice.
    whole = np.round(np.clip(audio, -1, 1) * 32767).astype(np.int16)
    return Take(whole, merged(read_instants(recording.annotation)), str(recording.folder))


def examples(
    takes: Sequence[Sequence[Take]], course: Course, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Make a batch.

    Parameters
    ----------
    takes : sequence of sequences of Take
        Recordings by data set; each set is drawn from as often as the others.
    course : Course
        Length, number and variation of the examples.
    rng : numpy.random.Generator
        Draws them.

    Returns
    -------
    audio : Tensor, shape (batch, samples)
    targets : Tensor, shape (batch, frames)
        Between 0 and 1.

    Examples
    --------
    >>> take = Take(np.ones(88200, np.int16), np.array([0.5, 1.0]), "data")
    >>> course = Course(seconds=1.0, recipe=Recipe(batch_size=3))
    >>> audio, targets = examples([[take]], course, np.random.default_rng(0))
    >>> audio.shape, targets.shape
    (torch.Size([3, 44100]), torch.Size([3, 101]))
    """
    how, config = course.augmentation, course.frontend
    samples = round(course.seconds * config.sample_rate)
    frames = 1 + samples // config.hop_length
    audio = np.zeros((course.recipe.batch_size, samples), np.float32)
    targets = np.zeros((len(audio), frames), np.float32)
    for signal, target in zip(audio, targets, strict=True):
        if rng.random() >= how.quiet:
            signal[:], onsets = _excerpt(takes, samples, course, rng)
            if rng.random() < how.mix:
                other, more = _excerpt(takes, samples, course, rng)
                signal += other * 10 ** (rng.uniform(-12, 0) / 20)
                onsets = np.concatenate([onsets, more])
            target[:] = target_curve(onsets, frames, config.frame_rate, course.fuzz)
            _spoil(signal, how, config.sample_rate, rng)
        elif rng.random() < 0.9:
            signal[:] = background(samples, config.sample_rate, rng)
        signal *= 10 ** (-rng.uniform(0, how.gain) / 20)
    return torch.from_numpy(audio), torch.from_numpy(targets)


def _excerpt(
    takes: Sequence[Sequence[Take]], samples: int, course: Course, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Cut a piece of some recording: the signal with its peak at 1, and its onsets."""
    how, rate = course.augmentation, course.frontend.sample_rate
    group = takes[int(rng.integers(len(takes)))]
    take = group[int(rng.integers(len(group)))]
    ratio = 2 ** (rng.uniform(-how.semitones, how.semitones) / 12)
    margin = 32  # what the filter of the resampler loses at the ends
    needed = int(np.ceil(samples * ratio)) + 2 * margin
    start = int(rng.integers(-rate // 4, max(len(take.audio) - needed // 2, 1)))
    piece = take.audio[max(start, 0) : max(start + needed, 0)].astype(np.float32)
    piece = np.pad(piece, (max(-start, 0), 0))
    piece = np.pad(piece, (0, needed - len(piece)))
    if ratio != 1:
        piece = soxr.resample(piece, ratio, 1.0, quality="MQ")
    signal = piece[round(margin / ratio) :][:samples]
    signal = np.pad(signal, (0, samples - len(signal)))
    onsets = (take.onsets - (start + margin) / rate) / ratio
    onsets = onsets[(onsets > -0.1) & (onsets < samples / rate + 0.1)]
    if how.decibels or how.room:
        signal = filtered(signal, rate, rng, decibels=how.decibels, room=how.room)
    return signal / max(float(np.abs(signal).max()), 1e-6), onsets


def _spoil(
    signal: NDArray[np.float32], how: Augmentation, sample_rate: int, rng: np.random.Generator
) -> None:
    """Add noise and saturation, in place, and bring the peak to 1."""
    if rng.random() < how.noise:
        level = 10 ** (-rng.uniform(20, 65) / 20)
        signal += level * background(len(signal), sample_rate, rng)
    if rng.random() < how.drive:
        signal[:] = np.tanh(signal * rng.uniform(1, 6))
    signal /= max(float(np.abs(signal).max()), 1e-6)


def target_curve(
    onsets: NDArray[np.float64], frames: int, frame_rate: float, fuzz: float
) -> NDArray[np.float32]:
    """Draw the curve that a network is to give.

    Parameters
    ----------
    onsets : ndarray, shape (onsets,)
        In seconds.
    frames : int
        Length of the curve.
    frame_rate : float
        Frames a second.
    fuzz : float
        The curve falls to 0 at this distance from an onset, in seconds; 0 marks the nearest
        frame alone.

    Returns
    -------
    ndarray, shape (frames,)
        Between 0 and 1.

    References
    ----------
    Schlüter, Böck: Improved musical onset detection with convolutional neural networks.
    ICASSP 2014 (fuzzier training examples).

    Examples
    --------
    >>> target_curve(np.array([0.02]), 5, 100.0, 0.02).tolist()
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    curve = np.zeros(frames, np.float32)
    places = onsets * frame_rate
    if fuzz == 0:
        nearest = np.round(places).astype(int)
        curve[nearest[(nearest >= 0) & (nearest < frames)]] = 1
        return curve
    width = fuzz * frame_rate
    for place in places:
        near = np.arange(max(int(place - width), 0), min(int(place + width) + 2, frames))
        curve[near] = np.maximum(curve[near], 1 - np.abs(near - place) / width)
    return curve


def loss(network: FramewiseNetwork, batch: tuple[Tensor, Tensor]) -> Tensor:
    """Compute the cross entropy of a network on a batch.

    Parameters
    ----------
    network : FramewiseNetwork
    batch : tuple of Tensor
        Audio (batch, samples) and targets (batch, frames).

    Returns
    -------
    Tensor
        A scalar: the mean over frames.

    Examples
    --------
    >>> batch = torch.zeros(1, 44100), torch.zeros(1, 101)
    >>> loss(Course(architecture="blstm").build(), batch).item() > 0
    True
    """
    audio, targets = batch
    return F.binary_cross_entropy_with_logits(network(audio)[:, 0].float(), targets)


def score(network: FramewiseNetwork, takes: Sequence[Take]) -> tuple[float, float]:
    """Compute the F-measure at 25 ms, with the threshold that serves best.

    Parameters
    ----------
    network : FramewiseNetwork
        In evaluation mode.
    takes : sequence of Take
        Held-out recordings.

    Returns
    -------
    f_measure : float
        The mean over data sets of the F-measure over all their onsets, in per cent.
    threshold : float
        With which it is reached.

    Examples
    --------
    >>> take = Take(np.zeros(44100, np.int16), np.array([0.5]), "data")
    >>> score(Course(architecture="blstm").build(), [take])[0] >= 0
    True
    """
    rate = network.frontend.config.frame_rate
    curves = [
        np.concatenate(list(activations(network, [take.audio.astype(np.float32) / 32768])))
        for take in takes
    ]
    folders = sorted({take.folder for take in takes})
    best = (-1.0, float(THRESHOLDS[0]))
    for threshold in THRESHOLDS:
        counts = {folder: np.zeros(3, int) for folder in folders}
        for take, curve in zip(takes, curves, strict=True):
            found, _ = decode(curve, rate, Decoder(threshold=float(threshold)))
            counts[take.folder] += match(take.onsets, found, 0.025).counts
        mean = float(np.mean([f_measure(*counts[folder]) for folder in folders]))
        best = max(best, (100 * mean, round(float(threshold), 2)))
    return best


def train(
    data: Sequence[Path],
    output: Path,
    course: Course,
    *,
    held_out: Sequence[str] = (),
    dev: Sequence[Path] = (),
    licences: Sequence[str] = (),
    device: str = "auto",
    report: Callable[[Epoch], None] = lambda epoch: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> registry.ModelEntry:
    """Train an onset detector and write a model folder.

    Called again with the same arguments it goes on where it was stopped.

    Parameters
    ----------
    data : sequence of Path
        Folders of annotated recordings, see :mod:`audiocli.annotated`; each is drawn from as
        often as the others.
    output : Path
        The model folder; its ``checkpoint`` folder holds what is needed to go on.
    course : Course
        What to train, and how.
    held_out : sequence of str
        Patterns of recordings in `data` that choose the best epoch instead.
    dev : sequence of Path
        Folders whose recordings choose the best epoch; with neither, every tenth of `data` does.
    licences : sequence of str
        Of the folders in `data`, in their order, for the card.
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
        If there are no recordings.
    UsageError
        If `output` holds a finished model that this would replace.
    ModelError
        If the checkpoint there is of another course, or training diverges.
    """
    registry.refuse_finished(output)
    folders = list(dict.fromkeys(data))  # one may be named twice, for twice the share
    found = [each for folder in folders for each in find_recordings(folder, ANNOTATIONS)]
    chosen = [each for folder in dev for each in find_recordings(folder, ANNOTATIONS)]
    if held_out or not dev:
        found, kept = split(found, held_out)
        chosen += kept
    rate = course.frontend.sample_rate
    takes = [load(recording, rate) for recording in found]
    groups = [[take for take in takes if take.folder == str(folder)] for folder in data]
    scored = [load(recording, rate) for recording in chosen]
    network = course.build()
    network.calibrate(examples(groups, course, np.random.default_rng(course.recipe.seed))[0])
    where = models.device(device)
    network.to(where)
    facts = _facts(data, groups, course, licences, held_out, dev)
    settings = {key: value for key, value in asdict(course).items() if key != "recipe"}
    settings["data"] = [recording.title for recording in found]
    settings["dev"] = [recording.title for recording in chosen]
    best: dict[str, float] = {}

    def measure(net: FramewiseNetwork) -> float:
        value, best["threshold"] = score(net, scored)
        return value

    def keep(net: FramewiseNetwork, epoch: Epoch) -> None:
        facts["training"]["hours"] = round(epoch.seconds / 3600, 2)
        facts["training"]["epoch"] = epoch.number
        facts["scores"][0]["value"] = round(epoch.score, 1)
        models.save(net, output, {**facts, "decoder": {"threshold": best["threshold"]}})

    def batches(rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        audio, targets = examples(groups, course, rng)
        return audio.to(where), targets.to(where)

    fit(
        network,
        batches,
        loss,
        measure,
        course.recipe,
        output / "checkpoint",
        settings=settings,
        keep=keep,
        report=report,
        progress=progress,
    )
    return registry.open_folder(output)


def _facts(
    data: Sequence[Path],
    groups: Sequence[Sequence[Take]],
    course: Course,
    licences: Sequence[str],
    held_out: Sequence[str],
    dev: Sequence[Path],
) -> dict[str, Any]:
    """Gather what the configuration says of the training."""
    name, frontend, arguments = ARCHITECTURES[course.architecture]
    rate = frontend.sample_rate
    licences = [*licences, *["unspecified"] * (len(data) - len(licences))]
    sets = {
        folder: DataSet(
            named(folder),
            len(group),
            round(sum(len(take.audio) for take in group) / rate / 60, 1),
            licence,
        )
        for folder, group, licence in zip(data, groups, licences, strict=True)
    }
    parts = [named(folder) for folder in dev]
    parts += list(held_out) if held_out or dev else ["every tenth recording"]
    chosen_on = ", ".join(parts)
    settings = {
        key: value
        for key, value in asdict(course).items()
        if key not in ("architecture", "arguments")
    }
    return {
        "task": "onsets",
        "architecture": name,
        "arguments": {**arguments, **course.arguments},
        "labels": ["onset"],
        "licence": "; ".join(dict.fromkeys(licences)),
        **training_facts(
            list(sets.values()),
            f"the epoch and the threshold were chosen on {chosen_on}, which were not trained on",
            settings,
            {
                "metric": "F-measure",
                "unit": "%",
                "measure": "25 ms, mean over data sets",
                "data": f"the recordings that chose the epoch: {chosen_on}",
            },
        ),
    }
