"""Train the chord recognisers: loss, score and the training run.

The other half of :mod:`audiocli.tasks.chords`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from audiocli.errors import UsageError, check_choice
from audiocli.nn import models, registry
from audiocli.nn.chord_crnn import ChordCRNN
from audiocli.nn.fit import Epoch, FitConfig, Progress
from audiocli.nn.frontend import Filterbank, FilterbankConfig
from audiocli.nn.provenance import licence_of_each
from audiocli.tasks.chords.decoding import Decoder, decode, outputs_of
from audiocli.tasks.chords.examples import (
    ANNOTATIONS,
    AUGMENTATIONS,
    UNKNOWN,
    Augmentation,
    Batch,
    Excerpts,
    Take,
    changes_of,
    examples,
    load,
    margin,
    wider,
)
from audiocli.tasks.chords.labels import QUALITIES
from audiocli.tasks.chords.recognizer import labelled, passages_of
from audiocli.tasks.chords.rendering import find_songs, pieces, render_pieces
from audiocli.tasks.chords.scoring import score_song, weighted
from audiocli.tasks.feature_cache import bounded
from audiocli.tasks.frame_training import FrameArchitecture, Takes, read_takes
from audiocli.tasks.trainer import Card, Run, Validation, described, identity_of, origin_of
from audiocli.tasks.training_data import Stage

__all__ = ["ARCHITECTURES", "TrainingConfig", "Rendering", "loss", "rendered", "score", "train"]


def _semitone_bank(octaves: int, per_semitone: int, **others: Any) -> FilterbankConfig:
    """Bands from C1 upwards, the middle one of each semitone on its pitch."""
    bands = 12 * octaves * per_semitone
    ratio = 2 ** (1 / (12 * per_semitone))
    first = 440.0 * 2 ** ((24 - 69) / 12) * ratio ** -(per_semitone // 2)
    low = first / ratio
    return FilterbankConfig(
        bands=bands, scale="log", fmin=low, fmax=low * ratio ** (bands + 1), difference=False,
        **others,
    )  # fmt: skip


#: Windows of 0.19 s, to place a change, and of 0.74 s, to resolve the semitones of the bass.
FINE = _semitone_bank(7, 3, sample_rate=22_050, n_ffts=(4096, 16_384), hop_length=2048)
ARCHITECTURES = {
    "crnn": FrameArchitecture("chord-crnn", FINE),
}
#: How the validation set is decoded, and what the model keeps.
DECODER = Decoder()
#: What the score that chooses the epoch is the mean of.
CHOSEN_BY = ("root", "majmin", "sevenths", "mirex")


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that defines a training run, so that it can be repeated.

    Parameters
    ----------
    architecture : str
        One of ``ARCHITECTURES``.
    arguments : dict
        More arguments of the architecture, over those of the name.
    augmentation : Augmentation
        Random changes to examples.
    seconds : float
        Length of an example.
    smoothing : float
        Share of the target that is spread over all chords: annotators disagree.
    fit : FitConfig
        Optimiser and schedule.

    Raises
    ------
    UsageError
        On an unknown name, or a length that cannot be.

    Examples
    --------
    >>> TrainingConfig().frontend.bands
    252
    """

    architecture: str = "crnn"
    arguments: dict[str, Any] = field(default_factory=dict)
    augmentation: Augmentation = AUGMENTATIONS["wide"]
    seconds: float = 20.0
    smoothing: float = 0.05
    fit: FitConfig = field(default_factory=FitConfig)

    def __post_init__(self) -> None:
        check_choice("architecture", self.architecture, ARCHITECTURES)
        if self.seconds < 1:
            raise UsageError("examples last 1 s or longer")

    @property
    def frontend(self) -> FilterbankConfig:
        """Front-end of the network."""
        return ARCHITECTURES[self.architecture].frontend

    @property
    def excerpts(self) -> Excerpts:
        """Length and augmentation of its examples."""
        return Excerpts(self.frontend, self.augmentation, self.seconds, self.fit.batch_size)

    def build(self) -> ChordCRNN:
        """Make the network with fresh weights."""
        network = ARCHITECTURES[self.architecture].build(self.arguments, self.fit.seed)
        assert isinstance(network, ChordCRNN)  # narrows the type; all of the above are
        return network


@dataclass(frozen=True)
class Rendering:
    """How MIDI songs become recordings.

    Parameters
    ----------
    fonts : tuple of Path
        Sound fonts.
    kind : str
        One of :data:`audiocli.tasks.chords.rendering.KINDS`.
    random_songs : int
        How many songs of random chords to add, as a folder of their own.

    Examples
    --------
    >>> Rendering().kind
    'band'
    """

    fonts: tuple[Path, ...] = ()
    kind: str = "band"
    random_songs: int = 0


def rendered(data: Sequence[Path], output: Path, how: Rendering) -> list[Path]:
    """Render the songs among the data; what holds recordings stays as it is."""
    folders = []
    for folder in data:
        songs = find_songs(folder)
        if songs:
            folder = output / folder.resolve().name
            list(render_pieces(pieces(songs, folder, how.fonts, kind=how.kind)))
        folders.append(folder)
    if how.random_songs:
        folders.append(output / "made-up")
        list(render_pieces(pieces([], folders[-1], how.fonts, random_songs=how.random_songs)))
    return folders


def loss(network: ChordCRNN, batch: Batch, smoothing: float = 0.0) -> Tensor:
    """Compute the loss of a network on a batch.

    Cross entropy of the chord, and with less weight of the bass and of each pitch class, which
    teaches the shared layers what chords have in common.
    """
    logits = network.outputs(network.scaled(batch.images)).float()
    states = 12 * network.num_qualities + 1
    chords, basses, tones = torch.split(logits, [states, 13, 12], dim=1)
    known = ~batch.tones.isnan()
    sounding = F.binary_cross_entropy_with_logits(tones[known], batch.tones[known])
    return (
        F.cross_entropy(chords, batch.chords, ignore_index=UNKNOWN, label_smoothing=smoothing)
        + 0.3 * F.cross_entropy(basses, batch.basses, ignore_index=UNKNOWN)
        + 0.5 * sounding
    )


def score(network: ChordCRNN, takes: Sequence[Take], decoder: Decoder) -> float:
    """Score a network on recordings, in per cent."""
    config = network.frontend.config
    more = margin(config)
    changes = network.changes.double().cpu().numpy()
    where = next(network.parameters()).device
    results: dict[str, list[tuple[dict[str, float], float]]] = {}
    for take in takes:
        images = torch.from_numpy(take.images[:, more : more + config.bands].astype(np.float32))
        with torch.inference_mode():
            logits = network.outputs(network.scaled(images.unsqueeze(0).to(where)))[0].T
        segments = decode([outputs_of(logits.float().cpu().numpy())], changes, decoder)
        end = float(take.chords.ends.max())
        found = labelled(passages_of(segments, config.frame_rate, end))
        results.setdefault(take.folder, []).append((score_song(take.chords, found), end))
    means = []
    for scored in results.values():
        total = weighted([each for each, _ in scored], [seconds for _, seconds in scored])
        means.append(np.mean([total[metric] for metric in CHOSEN_BY]))
    defined = [mean for mean in means if not np.isnan(mean)]
    return 100 * float(np.mean(defined)) if defined else math.nan


def train(
    data: Sequence[Path],
    output: Path,
    config: TrainingConfig,
    *,
    held_out: Sequence[str] = (),
    dev: Sequence[Path] = (),
    licences: Sequence[str] = (),
    rendering: Rendering | None = None,
    cache_dir: Path | None = None,
    start: str | None = None,
    skip_unreadable: bool = False,
    device: str = "auto",
    stage: Stage = lambda what, done, total: None,
    report: Callable[[Epoch], None] = lambda epoch: None,
    progress: Progress = lambda step: None,
) -> registry.ModelEntry:
    """Train a chord recogniser and write a model folder.

    Called again with the same arguments it goes on where it was stopped.

    Parameters
    ----------
    output, held_out, dev, licences, start, skip_unreadable, device, stage, report, progress
        As in :func:`audiocli.train_onsets`.
    data : sequence of Path
        Folders of recordings with their chords, see :mod:`audiocli.tasks.annotated`, or of songs to
        render; each is drawn from as often as the others, one that is given twice twice as often.
    config : TrainingConfig
        What to train, and how.
    rendering : Rendering, optional
        How MIDI songs become recordings.
    cache_dir : Path, optional
        Where to keep the output of the front-end, for other runs on the same recordings; by
        default in the checkpoint.

    Returns
    -------
    ModelEntry
        The best epoch's network.

    Raises
    ------
    UsageError, ModelError
        As there.
    DataError
        If there are no recordings, or a label is none.
    """
    registry.refuse_finished(output)
    data = rendered(data, output / "checkpoint" / "rendered", rendering or Rendering())
    licences = licence_of_each(data, licences)
    folder = cache_dir or output / "checkpoint" / "spectra"
    bank = Filterbank(wider(config.frontend))
    takes = read_takes(
        lambda each: load(each, bank, folder),
        ANNOTATIONS,
        data,
        held_out,
        dev,
        skip_unreadable=skip_unreadable,
        stage=stage,
    )
    bounded(folder)
    origin = origin_of("chords", start)
    network = config.build()
    if origin is not None:
        models.continue_from(network, origin)
    else:
        annotations = (take.chords for take in takes.training)
        network.changes.copy_(torch.from_numpy(changes_of(annotations)))
        rng = np.random.default_rng(config.fit.seed)
        network.calibrate_images(examples(takes.groups, config.excerpts, rng).images)
    identity = identity_of(config, takes.titles, takes.validation_titles, origin)
    card = _card(config, takes, licences)
    run: Run[ChordCRNN, Batch] = Run(output, card, config.fit, identity, [origin], report, progress)
    where = models.device(device)
    return run.fit(network, _Objective(config, takes, where), where)


@dataclass(frozen=True)
class _Objective:
    """Batches of excerpts, their loss, and the score on the validation set."""

    config: TrainingConfig
    takes: Takes[Take]
    where: torch.device

    def batch(self, rng: np.random.Generator, size: int) -> Batch:
        return examples(self.takes.groups, self._excerpts(size), rng).to(self.where)

    def recordings(self, rng: np.random.Generator, size: int) -> list[str]:
        return self.takes.drawn_by(lambda groups: examples(groups, self._excerpts(size), rng))

    def _excerpts(self, size: int) -> Excerpts:
        return replace(self.config.excerpts, batch_size=size)

    def loss(self, network: ChordCRNN, batch: Batch) -> Tensor:
        return loss(network, batch, self.config.smoothing)

    def validate(self, network: ChordCRNN) -> Validation:
        return Validation(score(network, self.takes.validation, DECODER))


def _card(config: TrainingConfig, takes: Takes[Take], licences: Sequence[str]) -> Card:
    architecture = ARCHITECTURES[config.architecture]
    return Card(
        "chords",
        architecture.family,
        {**architecture.arguments, **config.arguments},
        list(QUALITIES),
        takes.data_sets(licences, lambda take: take.frames / architecture.frontend.frame_rate),
        licences,
        f"the epoch was chosen on {takes.chosen_on}, which were not trained on",
        described(config, "architecture", "arguments"),
        {
            "metric": f"mean of {', '.join(CHOSEN_BY)}",
            "unit": "%",
            "measure": "mir_eval.chord, mean over data sets",
            "data": f"the recordings that chose the epoch: {takes.chosen_on}",
        },
        decoder=asdict(DECODER),
    )
