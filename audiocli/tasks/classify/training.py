"""Train a network for classes or tags from its first layer to its last."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from audiocli.errors import ModelError, UsageError, check_choice
from audiocli.nn import models, registry
from audiocli.nn.clipwise import ClipNetwork
from audiocli.nn.fit import Epoch, FitConfig, Progress
from audiocli.nn.frontend import FilterbankConfig, from_dict
from audiocli.tasks.classify.encoders import load_encoder
from audiocli.tasks.classify.examples import AUGMENTATIONS, Augmentation, Examples, masked
from audiocli.tasks.classify.splits import (
    Split,
    agreement,
    load_all,
    model_card,
    refuse_unscorable,
)
from audiocli.tasks.trainer import Run, Validation, described, origin_of
from audiocli.tasks.training_data import Noting

__all__ = ["ARCHITECTURES", "FRONTENDS", "TrainingConfig", "logits_of", "loss", "train"]

#: Front-ends of networks that start from fresh weights.
FRONTENDS: dict[str, FilterbankConfig] = {
    # 64 mel bands of 32 ms, each 10 ms: speech, events, timbre
    "mel": FilterbankConfig(
        sample_rate=16_000, n_ffts=(512,), hop_length=160, bands=64, fmin=60.0, fmax=7_800.0,
        difference=False,
    ),
    # two bands a semitone of 128 ms, each 20 ms: notes and harmony
    "pitch": FilterbankConfig(
        sample_rate=16_000, n_ffts=(2_048,), hop_length=320, bands=168, scale="log", fmin=50.0,
        fmax=6_400.0, difference=False,
    ),
}  # fmt: skip
#: What ``--arch`` names: a registered architecture and the arguments that make it this one.
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "perceptron": ("clip-mlp", {"num_layers": 0}),
    "mlp": ("clip-mlp", {}),
    "rnn": ("clip-rnn", {"cell": "rnn"}),
    "brnn": ("clip-rnn", {"cell": "rnn", "bidirectional": True}),
    "lstm": ("clip-rnn", {}),
    "blstm": ("clip-rnn", {"bidirectional": True}),
    "cnn": ("clip-cnn", {}),
    "crnn": ("clip-cnn", {"num_layers": 1}),
    "mobile": ("clip-mobile", {}),
}
SMOOTHING = 0.1
LOSSES = ("softmax", "margin")
#: Of the additive margin softmax: what cosines are multiplied with, and the margin.
SCALE, MARGIN = 24.0, 0.2


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that defines a training run, so that it can be repeated.

    Parameters
    ----------
    task : {"classify", "tag"}
        One label of many, or any number of them.
    architecture : str
        One of ``ARCHITECTURES``.
    arguments : dict
        More arguments of the architecture, over those of the name.
    frontend : str
        One of ``FRONTENDS``, for a network that starts from fresh weights.
    start : str, optional
        Fine-tune the trunk of this model: an encoder or a classifier of the same architecture.
    augmentation : Augmentation
        Random changes to examples.
    loss : {"softmax", "margin"}
        Cross entropy of the classes; or of the cosines between mean features and one direction a
        class, less a margin for the right one, for an encoder that is to tell apart who is not
        among them.
    seconds : float
        Length of an example.
    fit : FitConfig
        Optimiser and schedule.
    balanced : bool
        Of a classifier: draw each class as often as the others, and not each clip.

    Raises
    ------
    UsageError
        On an unknown name, or a length that cannot be.

    References
    ----------
    Wang, Cheng, Liu, Liu: Additive margin softmax for face verification. IEEE Signal Processing
    Letters 25, 2018.

    Examples
    --------
    >>> TrainingConfig(architecture="blstm").seconds
    4.0
    """

    task: str = "classify"
    architecture: str = "cnn"
    arguments: dict[str, Any] = field(default_factory=dict)
    frontend: str = "mel"
    start: str | None = None
    augmentation: Augmentation = AUGMENTATIONS["wide"]
    loss: str = "softmax"
    seconds: float = 4.0
    fit: FitConfig = field(default_factory=FitConfig)
    balanced: bool = True

    def __post_init__(self) -> None:
        check_choice("architecture", self.architecture, ARCHITECTURES)
        check_choice("front-end", self.frontend, FRONTENDS)
        check_choice("loss", self.loss, LOSSES)
        if self.seconds < 0.1:
            raise UsageError("examples last 0.1 s or longer")

    def given(self, num_outputs: int) -> dict[str, Any]:
        """List the network's arguments: of its name, of the model it starts from, and its own."""
        arguments = dict(ARCHITECTURES[self.architecture][1])
        if self.start is not None:
            arguments |= registry.find(None, self.start).config["arguments"]
        arguments.pop("projection", None)  # it was fitted to the features as they are there
        return {**arguments, **self.arguments, "num_outputs": num_outputs}

    def build(self, num_outputs: int) -> ClipNetwork:
        """Make the network, with fresh weights or those of the model it starts from."""
        name = ARCHITECTURES[self.architecture][0]
        torch.manual_seed(self.fit.seed)
        frontend, trunk = FRONTENDS[self.frontend], None
        if self.start is not None:
            entry = registry.find(None, self.start)
            trunk = load_encoder(entry, torch.device("cpu"), trainable=True)
            if entry.config["architecture"] != name:
                raise ModelError(
                    f"{self.start}: its architecture is {entry.config['architecture']!r}; choose "
                    "the {architecture} it has",
                    "architecture",
                )
            stored = from_dict(entry.config["frontend"])
            assert isinstance(stored, FilterbankConfig)  # narrows the type: load_encoder saw to it
            frontend = stored
        built = models.build(name, frontend, self.given(num_outputs))
        assert isinstance(built, ClipNetwork)  # narrows the type; all of the above are
        if trunk is not None:
            start = _without_head(trunk)
            sizes = {key: value.shape for key, value in _without_head(built).items()}
            if sizes != {key: value.shape for key, value in start.items()}:
                raise ModelError(
                    f"{self.start}: cannot be trained on from: it is of other sizes: "
                    f"{entry.config['arguments']}"
                )
            built.load_state_dict(start, strict=False)
        return built


def _without_head(network: ClipNetwork) -> dict[str, Tensor]:
    state = network.state_dict()
    behind = ("head.", "projection.")
    return {name: value for name, value in state.items() if not name.startswith(behind)}


def loss(network: ClipNetwork, batch: tuple[Tensor, Tensor], config: TrainingConfig) -> Tensor:
    """Compute the cross entropy of a network on a batch."""
    audio, targets = batch
    half = network.frontend.config.n_fft // 2
    images = masked(network.images(F.pad(audio, (half, half))), config.augmentation.mask)
    if config.loss == "margin":
        linear: Any = network.head.layers[-1]  # type: ignore[union-attr]  # `build` made it
        means = F.normalize(network.features(images).mean(dim=-1), dim=1)
        directions = F.normalize(linear.weight[:, : network.units], dim=1)
        return F.cross_entropy(SCALE * (means @ directions.T - MARGIN * targets), targets)
    logits = network.outputs(images)
    if config.task == "tag":
        return F.binary_cross_entropy_with_logits(logits, targets)
    return F.cross_entropy(logits, targets, label_smoothing=SMOOTHING)


def logits_of(
    network: ClipNetwork, audio: Sequence[NDArray[np.int16]], *, mean_features: bool = False
) -> NDArray[np.float32]:
    """Compute the logits (clips, labels) of whole clips."""
    where = next(network.parameters()).device
    network.eval()
    rows = []
    with torch.inference_mode():
        for clip in audio:
            signal = torch.from_numpy(clip.astype(np.float32) / 32768)
            inputs = signal.to(where).unsqueeze(0)
            row = network.embed(inputs).mean(dim=-1) if mean_features else network(inputs)
            rows.append(row[0].float().cpu())
    return torch.stack(rows).numpy()


def train(
    split: Split,
    output: Path,
    config: TrainingConfig,
    *,
    as_encoder: bool = False,
    device: str = "auto",
    report: Callable[[Epoch], None] = lambda epoch: None,
    progress: Progress = lambda step: None,
) -> registry.ModelEntry:
    """Train a network and write its model folder.

    Run again with the same arguments it goes on where it was stopped.

    Parameters
    ----------
    split : Split
        The training set and the validation set, see
        :func:`audiocli.tasks.classify.splits.gather`.
    output : Path
        The model folder; its ``checkpoint`` folder holds what is needed to go on.
    config : TrainingConfig
        What to train, and how.
    as_encoder : bool
        Keep the trunk alone, for others to put heads on.
    device : str
        As in :func:`audiocli.nn.models.device`.
    report, progress : callable
        As in :func:`audiocli.nn.fit.fit`.

    Returns
    -------
    ModelEntry
        The best epoch's network.

    Raises
    ------
    UsageError
        If `output` holds a finished model that this would replace.
    ModelError
        If the checkpoint there is of another training config, or training diverges.
    """
    if config.loss == "margin" and not as_encoder:
        raise UsageError(
            "{loss} margin is for what is to compare; add {as_encoder}", "loss", "as_encoder"
        )
    registry.refuse_finished(output)
    refuse_unscorable(split.targets(split.dev), config.task)
    network = config.build(len(split.labels))
    where = models.device(device)
    objective = _Objective(split, config, network.frontend.config.sample_rate, where)
    if config.start is None:
        rng = np.random.default_rng(config.fit.seed)
        network.calibrate(objective.examples.batch(64, rng)[0])
    origin = origin_of(None, config.start)
    settings = described(config, "task")

    def save(net: ClipNetwork, folder: Path, facts: dict[str, Any]) -> None:
        _save(net, folder, facts, config, as_encoder)

    run: Run[ClipNetwork, tuple[Tensor, Tensor]] = Run(
        output,
        model_card(split, config.task, settings),
        config.fit,
        {
            "config": settings,
            "task": config.task,
            "labels": split.labels,
            "clips": [clip.title for clip in split.training],
            "dev": [clip.title for clip in split.dev],
            "start": origin.config["weights_sha256"] if origin else None,
        },
        [origin],
        report,
        progress,
        save=save,
    )
    return run.fit(network, objective, where)


def _examples(split: Split, config: TrainingConfig, rate: int) -> Examples:
    """Read the clips to train on."""
    targets, classes = split.targets(split.training), config.task == "classify"
    if classes:  # of several labels each has its share
        targets /= targets.sum(axis=1, keepdims=True)
    audio = load_all(split.training, rate)
    return Examples(audio, targets, rate, config.seconds, config.augmentation,
                    balanced=classes and config.balanced)  # fmt: skip


class _Objective:
    """Batches of labelled clips, their cross entropy, and the score on the validation set."""

    def __init__(
        self, split: Split, config: TrainingConfig, rate: int, where: torch.device
    ) -> None:
        self.split, self.config, self.where = split, config, where
        self.examples = _examples(split, config, rate)
        self.audio = load_all(split.dev, rate)
        self.targets = split.targets(split.dev)

    def batch(self, rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor]:
        audio, targets = self.examples.batch(size, rng)
        return audio.to(self.where), targets.to(self.where)

    def recordings(self, rng: np.random.Generator, size: int) -> list[str]:
        taken: list[str] = []
        titles = [clip.title for clip in self.split.training]
        again = replace(self.examples, audio=Noting(self.examples.audio, titles, taken))
        again.batch(size, rng)
        return taken

    def loss(self, network: ClipNetwork, batch: tuple[Tensor, Tensor]) -> Tensor:
        return loss(network, batch, self.config)

    def validate(self, network: ClipNetwork) -> Validation:
        open_set = self.config.loss == "margin"
        rows = logits_of(network, self.audio, mean_features=open_set)
        if open_set:
            found = self.split.compared(rows)
            value = 100 - float(found["scores"][0]["value"])
        else:
            found = self.split.scored(rows, self.config.task)
            value = agreement(rows, self.targets, self.config.task)
        return Validation(value, decoder=found["decoder"], scores=found["scores"])


def _save(
    network: ClipNetwork,
    output: Path,
    facts: dict[str, Any],
    config: TrainingConfig,
    as_encoder: bool,
) -> None:
    """Write the model folder; that of an encoder has no head and no labels."""
    given = config.given(len(facts["labels"]))
    if as_encoder:
        facts = {**facts, "task": "encode", "labels": []}
        network, given["num_outputs"] = copy.deepcopy(network), 0
        network.head = None
    name = ARCHITECTURES[config.architecture][0]
    models.save(network, output, {**facts, "architecture": name, "arguments": given}, half=True)
