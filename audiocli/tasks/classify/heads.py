"""Fit a linear layer on an encoder's features: seconds of work, and the same result each time.

Multinomial logistic regression (a logistic one for each tag) with a penalty on the weights, by
L-BFGS on all examples at once. Each clip is encoded as it is and in a few augmented copies.

References
----------
Alain, Bengio: Understanding intermediate layers using linear classifier probes. ICLR 2017 workshop.
Friedman: Regularized discriminant analysis. J. American Statistical Association 84, 1989.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from audiocli.errors import ModelError, UsageError, warn
from audiocli.nn import models, registry
from audiocli.nn.clipwise import ClipNetwork, Head
from audiocli.tasks.classify.clips import LabelledClip, Selection, folds, select
from audiocli.tasks.classify.encoders import EncoderPart, find_encoder, in_step, load_encoder
from audiocli.tasks.classify.examples import AUGMENTATIONS, Augmentation, augmented, load
from audiocli.tasks.classify.splits import (
    Split,
    agreement,
    gather,
    model_card,
    refuse_unscorable,
)
from audiocli.tasks.training_data import Stage, refuse

__all__ = ["Fitting", "fit_head", "train"]

Floats = NDArray[np.float32]
#: Penalties that are tried; the one with the best validation score is taken.
PENALTIES = (10.0, 5.0, 2.0, 1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002)
MAX_ITERATIONS = 100
Deviation = Literal["apart", "without", "added"]


@dataclass(frozen=True)
class Fitting:
    """How a head is fitted.

    Parameters
    ----------
    task : {"classify", "tag"}
    encoders : tuple of str
        Names or model folders, at times with a part, see
        :func:`audiocli.tasks.classify.encoders.find_encoder`. A head gets their features
        side by side.
    augmentation : Augmentation
        How the augmented copies differ; mixup and masks are not used here.
    variations : int
        Augmented copies of each clip, besides itself.
    balanced : bool
        Whether every class counts the same, or as often as it occurs.
    deviation : {"apart", "without", "added"}
        What a head gets of the deviation of features over a clip, beside their means: all of it;
        nothing; or only the sums of both, which is about how high the features reach.
    whiten : float
        Share, below 1, of the features' covariance within classes in the metric of the penalty:
        directions in which clips of one class differ anyway may then be weighted less. 0 takes
        each feature by itself.
    seed : int
        Of the augmentation.

    Examples
    --------
    >>> Fitting("classify", ("general",)).variations
    2
    """

    task: str
    encoders: tuple[str, ...]
    augmentation: Augmentation = AUGMENTATIONS["wide"]
    variations: int = 2
    balanced: bool = True
    deviation: Deviation = "apart"
    whiten: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.whiten < 1:
            raise UsageError(f"{{whiten}} {self.whiten:g}: a share from 0 to less than 1", "whiten")


def fit_head(
    head: Head,
    pooled: Floats,
    targets: Floats,
    task: str,
    penalty: float,
    weights: Floats,
    *,
    whiten: float = 0.0,
    added: Sequence[NDArray[np.intp]] = (),
) -> None:
    """Fit a linear head in place, from the weights that it has; the optimum is unique."""
    inputs, wanted = torch.from_numpy(pooled), torch.from_numpy(targets)
    share = torch.from_numpy(weights)
    head.calibrate(inputs)
    linear = head.layers[-1]
    assert isinstance(linear, nn.Linear)  # narrows the type
    places = list(added) or [np.arange(inputs.shape[1])]
    centred = head.centred(inputs)
    whole = torch.stack([centred[:, each] for each in places]).sum(dim=0)
    scale = whole.std(dim=0, correction=0).clamp(min=1e-3)
    scaled = whole / scale
    turn, back = _metric(scaled, wanted * share.unsqueeze(1), task, whiten)
    seen, bias = scaled @ turn, linear.bias
    start = linear.weight.detach()[:, places[0]] * scale / head.scale[places[0]]
    weight = (start @ back.T).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [weight, bias], max_iter=MAX_ITERATIONS, history_size=20, tolerance_change=1e-7,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def closure() -> float:
        optimizer.zero_grad()
        logits = F.linear(seen, weight, bias)
        if task == "tag":
            each = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum(dim=1)
        else:
            each = F.cross_entropy(logits, wanted, reduction="none")
        cost: Tensor = (each * share).mean() + penalty / 2 * weight.square().sum()
        cost.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        return cost.item()

    optimizer.step(closure)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    with torch.no_grad():
        linear.weight.zero_()
        for each in places:
            linear.weight[:, each] = weight @ turn.T * head.scale[each] / scale


def _metric(scaled: Tensor, counted: Tensor, task: str, whiten: float) -> tuple[Tensor, Tensor]:
    """Find the map that whitens features (examples, inputs), and its inverse.

    `counted` is what each example counts for each label. Tags have no classes, so with them the
    covariance is that of all examples.
    """
    if not whiten:
        return torch.eye(scaled.shape[1]), torch.eye(scaled.shape[1])
    inner = scaled
    if task == "classify":
        means = counted.T @ scaled / counted.sum(dim=0).clamp(min=1e-6).unsqueeze(1)
        inner = scaled - counted @ means / counted.sum(dim=1, keepdim=True).clamp(min=1e-6)
    values, vectors = torch.linalg.eigh((inner.T @ inner / len(inner)).double())
    scales = (whiten * values.clamp(min=0) / values.mean() + 1 - whiten).sqrt()
    return (vectors / scales).float(), (vectors * scales).T.float()


class _Bench:
    """Features of clips, as they are and augmented, and heads fitted to some of them."""

    def __init__(
        self,
        encoders: Sequence[tuple[EncoderPart, ClipNetwork]],
        fitting: Fitting,
        clips: Sequence[LabelledClip],
        reference: Floats,
        stage: Stage,
    ) -> None:
        self.fitting, self.reference = fitting, reference
        self.config = encoders[0][1].frontend.config
        #: Where each clip is from: of a class, every set counts the same.
        names = sorted({str(clip.folder) for clip in clips})
        self.sets = np.array([names.index(str(clip.folder)) for clip in clips])
        #: Of each encoder as many means as deviations, one after the other.
        self.sizes = [len(network.places(part.part)) for part, network in encoders]
        rate, rng = self.config.sample_rate, np.random.default_rng(fitting.seed)
        plain = fitting.augmentation == AUGMENTATIONS["none"]
        count = 0 if plain else fitting.variations
        self.rows = np.zeros((1 + count, len(clips), sum(self.sizes)), np.float32)
        for place, clip in enumerate(clips):
            stage("encoding", place, len(clips))
            audio = load(clip, rate)
            self.rows[0, place] = _pooled(encoders, audio.astype(np.float32) / np.float32(32768))
            for row in self.rows[1:]:
                # At least two thirds of it, so that the class can still be recognised.
                length = max(round(len(audio) * rng.uniform(0.67, 1.0)), 1)
                row[place] = _pooled(
                    encoders, augmented(audio, length, rate, fitting.augmentation, rng)
                )
        stage("encoding", len(clips), len(clips))

    def _added(self) -> list[NDArray[np.intp]]:
        """List the features that a head adds up; none where each counts by itself."""
        ends = np.cumsum(self.sizes)
        halves = [
            np.split(np.arange(end - size, end), 2)
            for end, size in zip(ends, self.sizes, strict=True)
        ]
        means, deviations = (np.concatenate(part) for part in zip(*halves, strict=True))
        return {"apart": [], "without": [means], "added": [means, deviations]}[
            self.fitting.deviation
        ]

    def new_head(self) -> Head:
        """Make a head with weights of zero."""
        inputs, outputs = self.rows.shape[2], self.reference.shape[1]
        head = Head(self.config, inputs=inputs, num_outputs=outputs)
        for value in head.layers[-1].parameters():
            nn.init.zeros_(value)
        return head

    def fit(self, head: Head, places: Sequence[int], penalty: float) -> Head:
        """Fit a head to some of the clips."""
        targets, weights = self.reference[places], np.ones(len(places), np.float32)
        if self.fitting.task == "classify":
            targets = targets / targets.sum(axis=1, keepdims=True)  # a clip's labels share it
            if self.fitting.balanced:
                weights = self._weights(targets, self.sets[places])
        pooled = self.rows[:, places].reshape(-1, self.rows.shape[2])
        times = len(self.rows)
        fit_head(head, pooled, np.tile(targets, (times, 1)), self.fitting.task, penalty,
                 np.tile(weights, times), whiten=self.fitting.whiten,
                 added=self._added())  # fmt: skip
        return head.eval()

    def _weights(self, targets: Floats, sets: NDArray[np.intp]) -> Floats:
        """Weights (clips,) of mean 1, so that every class counts the same, and in it every set."""
        weights = np.zeros(len(targets), np.float32)
        amounts = np.stack([targets[sets == each].sum(axis=0) for each in np.unique(sets)])
        shares = (amounts > 0) / np.maximum((amounts > 0).sum(axis=0), 1)
        for amount, share, each in zip(amounts, shares, np.unique(sets), strict=True):
            chosen = sets == each
            weights[chosen] = targets[chosen] @ (share / np.maximum(amount, 1e-6))
        scaled: Floats = weights / weights.mean()
        return scaled

    def logits(self, head: Head, places: Sequence[int]) -> Floats:
        """Compute the logits (clips, labels) of some clips, as they are."""
        with torch.inference_mode():
            values: Floats = head(torch.from_numpy(self.rows[0, places])).numpy()
        return values

    def choose(self, rounds: Sequence[tuple[list[int], list[int]]]) -> tuple[float, Floats]:
        """Find the penalty with the best validation score, and its logits of the validation set."""
        heads = [self.new_head() for _ in rounds]
        trials = {  # from the strongest penalty on, each fit begins where the one before ended
            penalty: np.concatenate(
                [
                    self.logits(self.fit(head, training, penalty), part)
                    for head, (training, part) in zip(heads, rounds, strict=True)
                ]
            )
            for penalty in PENALTIES
        }
        reference = self.reference[[place for _, part in rounds for place in part]]
        best = max(
            PENALTIES, key=lambda each: agreement(trials[each], reference, self.fitting.task)
        )
        return best, trials[best]


def _pooled(encoders: Sequence[tuple[EncoderPart, ClipNetwork]], signal: Floats) -> Floats:
    """Pool the features of a signal by each encoder, one after the other (features,)."""
    audio, found = torch.from_numpy(signal).unsqueeze(0), []
    with torch.inference_mode():
        for part, network in encoders:
            where = next(network.buffers()).device
            pooled = network.pooled(audio.to(where))[0].float().cpu().numpy()
            found.append(pooled[network.places(part.part)])
    return np.concatenate(found)


def train(
    data: Sequence[Path],
    output: Path,
    fitting: Fitting,
    selection: Selection,
    *,
    held_out: Sequence[str] = (),
    fold: tuple[int, int] | None = None,
    dev: Sequence[Path] = (),
    parts: int | None = None,
    scored_on: Sequence[str] = (),
    licences: Sequence[str] = (),
    skip_unreadable: bool = False,
    device: str = "auto",
    stage: Stage = lambda what, done, total: None,
) -> registry.ModelEntry:
    """Fit a head on an encoder and write its model folder.

    Parameters
    ----------
    data, selection, held_out, fold, dev, licences, skip_unreadable, stage
        As in :func:`audiocli.tasks.classify.splits.gather`.
    output : Path
        The model folder.
    fitting : Fitting
    parts : int, optional
        Cross-validate in this many folds: each is scored by a head fitted to the others, and the
        head that is kept is fitted to all. Scores and calibration are those of the folds.
    scored_on : sequence of str
        Patterns of the clips that are scored then, see
        :func:`audiocli.tasks.classify.clips.select`; without any, all are.
    device : str
        As in :func:`audiocli.nn.models.device`.

    Returns
    -------
    ModelEntry

    Raises
    ------
    UsageError, DataError, ModelError
        As `gather` does; if `output` holds a model already.
    """
    if parts and (held_out or dev or fold):
        raise UsageError(
            "{parts} scores all clips in turn; leave out {held_out}, {dev} and {fold}",
            "parts",
            "held_out",
            "dev",
            "fold",
        )
    if scored_on and not parts:
        raise UsageError("{scored_on} says which clips are scored in {parts}", "scored_on", "parts")
    if (output / registry.CONFIG).exists():
        raise UsageError(f"{output}: holds a model already; choose another folder")
    encoders = _encoders(fitting, models.device(device))
    split = gather(data, selection, fitting.task, held_out=held_out, dev=dev, licences=licences,
                   fold=(0, parts) if parts else fold, cross_validated=bool(parts),
                   skip_unreadable=skip_unreadable, stage=stage)  # fmt: skip
    clips = [*split.training, *split.dev]
    kept = list(range(len(split.training)))
    rounds = [(kept, list(range(len(kept), len(clips))))]
    if parts:
        split, rounds = _validated(split, clips, parts, scored_on)
        kept = list(range(len(clips)))
    reference = split.targets(clips)
    scored = [place for _, part in rounds for place in part]
    refuse_unscorable(reference[scored], fitting.task)
    bench = _Bench(encoders, fitting, clips, reference, stage)
    penalty, logits = bench.choose(rounds)
    head = bench.new_head()
    for each in PENALTIES[: PENALTIES.index(penalty) + 1]:
        bench.fit(head, kept, each)
    settings = {**asdict(fitting), "penalty": penalty}
    facts = model_card(split, fitting.task, settings).facts(*(part.entry for part, _ in encoders))
    validation = replace(split, dev=[clips[place] for place in scored])
    config = {
        **facts,
        **validation.scored(logits, fitting.task),
        "encoders": [part.facts() for part, _ in encoders],
        "architecture": "head",
        "arguments": {"inputs": sum(bench.sizes), "num_outputs": len(split.labels)},
    }
    return models.save(head, output, config, half=True)


def _encoders(fitting: Fitting, where: torch.device) -> list[tuple[EncoderPart, ClipNetwork]]:
    """Load the encoders, and refuse those that one head cannot use together."""
    parts = [find_encoder(text) for text in fitting.encoders]
    loaded = [(part, load_encoder(part.entry, where)) for part in parts]
    for part, network in loaded:
        try:
            network.places(part.part)
        except ModelError as error:
            raise UsageError(f"{{encoders}} {part}: {error}", "encoders") from error
    if not in_step([network for _, network in loaded]):
        raise UsageError(
            f"{{encoders}}: {', '.join(map(str, parts))} have steps of different lengths, so one "
            "head cannot use them together",
            "encoders",
        )
    return loaded


def _validated(
    split: Split, clips: list[LabelledClip], parts: int, scored_on: Sequence[str]
) -> tuple[Split, list[tuple[list[int], list[int]]]]:
    """Plan the rounds of a cross-validation: clips to fit to, and clips to score."""
    held = folds(clips, split.selection.group, parts)
    counted = {
        clip.path for clip in (select(clips, scored_on, "scored_on") if scored_on else clips)
    }
    rounds = [
        (
            [place for place in range(len(clips)) if place not in set(part)],
            [place for place in part if clips[place].path in counted],
        )
        for part in held
    ]
    by = f" by {split.selection.group}" if split.selection.group else ""
    where = f", scored on {', '.join(scored_on)}" if scored_on else ""
    if split.selection.group and split.labels:
        refuse(_unvalidated(split, clips))
    words = f"cross-validation in {parts} parts{by}{where}; the weights are trained on all parts"
    return replace(split, training=clips, held_out=words), [each for each in rounds if each[1]]


def _unvalidated(split: Split, clips: Sequence[LabelledClip]) -> list[str]:
    """Warn of classes of one group, which no part can be scored on; refuse if all are like that."""
    group = split.selection.group
    groups = {
        label: {clip.group(group) for clip in clips if label in clip.labels}
        for label in split.labels
    }
    alone = [label for label in split.labels if len(groups[label]) < 2]
    if len(alone) == len(split.labels):
        return [
            f"{{group}} {group}: every class has clips of one {group} alone, so none "
            f"could be scored where its {group} is held out; use another one"
        ]
    if alone:
        shown = ", ".join(alone[:5]) + (", ..." if len(alone) > 5 else "")
        warn(f"clips of one {group} alone: {shown}; where it is held out, there is nothing to "
             "train on, so the score counts them as wrong")  # fmt: skip
    return []
