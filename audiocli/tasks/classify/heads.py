"""Fit a linear layer on an encoder's features: seconds of work, and the same result each time.

Multinomial logistic regression (a logistic one for each tag) with a penalty on the weights, by
L-BFGS on all examples at once. Each clip is heard as it is and in a few variations.

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
from audiocli.tasks.classify.clips import Clip, Selection, folds, select
from audiocli.tasks.classify.encoders import Ear, find_ear, in_step, load_trunk
from audiocli.tasks.classify.examples import AUGMENTATIONS, Augmentation, load, varied
from audiocli.tasks.classify.material import (
    Split,
    agreement,
    gather,
    model_card,
    refuse_unscorable,
)
from audiocli.tasks.training_data import Stage, refuse

__all__ = ["Fitting", "fit_head", "train"]

Floats = NDArray[np.float32]
#: Penalties that are tried; the one that judges best is taken.
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
        :func:`audiocli.tasks.classify.encoders.find_ear`. A head hears them side by side.
    augmentation : Augmentation
        How the variations differ; mixup and masks are not used here.
    variations : int
        Of each clip, besides itself; 0 where nothing is to be varied.
    balanced : bool
        Whether every class counts the same, or as often as it occurs.
    deviation : {"apart", "without", "added"}
        What a head hears of how features deviate over a clip, beside their means: as much of each;
        nothing; or only the sums of both, which is about how high the features reach.
    whiten : float
        Share, below 1, of the features' covariance within classes in the metric of the penalty:
        directions in which clips of one class differ anyway may then be weighted less. 0 takes
        each feature by itself.
    seed : int
        Of the variations.

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
            raise UsageError(f"--whiten {self.whiten:g}: a share from 0 to less than 1")


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
    """Fit a linear head in place, from the weights that it has; the best ones are unique.

    Takes ``pooled`` (examples, inputs), ``targets`` (examples, labels), ``weights`` (examples,).
    """
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
    """Find what turns features (examples, inputs) so that all directions vary alike, and back.

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
    """Clips that encoders have heard, as they are and varied, and heads fitted to some of them."""

    def __init__(
        self,
        ears: Sequence[tuple[Ear, ClipNetwork]],
        fitting: Fitting,
        clips: Sequence[Clip],
        truth: Floats,
        stage: Stage,
    ) -> None:
        self.ears, self.fitting, self.truth = ears, fitting, truth
        self.config = ears[0][1].frontend.config
        #: Where each clip is from: of a class, every set counts the same.
        names = sorted({str(clip.folder) for clip in clips})
        self.sets = np.array([names.index(str(clip.folder)) for clip in clips])
        #: Of each encoder as many means as deviations, one after the other.
        self.sizes = [len(network.places(ear.part)) for ear, network in ears]
        rate, rng = self.config.sample_rate, np.random.default_rng(fitting.seed)
        plain = fitting.augmentation == AUGMENTATIONS["none"]
        count = 0 if plain else fitting.variations
        self.rows = np.zeros((1 + count, len(clips), sum(self.sizes)), np.float32)
        for place, clip in enumerate(clips):
            stage("encoding", place, len(clips))
            audio = load(clip, rate)
            self.rows[0, place] = _pooled(ears, audio.astype(np.float32) / np.float32(32768))
            for row in self.rows[1:]:
                # At least two thirds of it, so that the class is still to be heard.
                length = max(round(len(audio) * rng.uniform(0.67, 1.0)), 1)
                row[place] = _pooled(ears, varied(audio, length, rate, fitting.augmentation, rng))
        stage("encoding", len(clips), len(clips))

    def _added(self) -> list[NDArray[np.intp]]:
        """Say which of the features a head adds up; none where each counts by itself."""
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
        """Make a head that tells nothing yet."""
        inputs, outputs = self.rows.shape[2], self.truth.shape[1]
        head = Head(self.config, inputs=inputs, num_outputs=outputs)
        for value in head.layers[-1].parameters():
            nn.init.zeros_(value)
        return head

    def fit(self, head: Head, places: Sequence[int], penalty: float) -> Head:
        """Fit a head to some of the clips."""
        targets, weights = self.truth[places], np.ones(len(places), np.float32)
        if self.fitting.task == "classify":
            targets = targets / targets.sum(axis=1, keepdims=True)  # a clip's labels share it
            if self.fitting.balanced:
                weights = self._weights(targets, self.sets[places])
        heard = self.rows[:, places].reshape(-1, self.rows.shape[2])
        times = len(self.rows)
        fit_head(head, heard, np.tile(targets, (times, 1)), self.fitting.task, penalty,
                 np.tile(weights, times), whiten=self.fitting.whiten,
                 added=self._added())  # fmt: skip
        return head.eval()

    def _weights(self, targets: Floats, sets: NDArray[np.intp]) -> Floats:
        """Let every class count the same, and in it every set: (clips,), of mean 1."""
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
        """Find the penalty that judges best, and the logits of the clips that judged by it."""
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
        truth = self.truth[[place for _, part in rounds for place in part]]
        best = max(PENALTIES, key=lambda each: agreement(trials[each], truth, self.fitting.task))
        return best, trials[best]


def _pooled(ears: Sequence[tuple[Ear, ClipNetwork]], signal: Floats) -> Floats:
    """Give what encoders hear of a signal, one after the other (features,)."""
    audio, heard = torch.from_numpy(signal).unsqueeze(0), []
    with torch.inference_mode():
        for ear, network in ears:
            where = next(network.buffers()).device
            pooled = network.pooled(audio.to(where))[0].float().cpu().numpy()
            heard.append(pooled[network.places(ear.part)])
    return np.concatenate(heard)


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
    judge: Sequence[str] = (),
    licences: Sequence[str] = (),
    skip_unreadable: bool = False,
    device: str = "auto",
    stage: Stage = lambda what, done, total: None,
) -> registry.ModelEntry:
    """Fit a head on an encoder and write its model folder.

    Parameters
    ----------
    data, selection, held_out, fold, dev, licences, skip_unreadable, stage
        As in :func:`audiocli.tasks.classify.material.gather`.
    output : Path
        The model folder.
    fitting : Fitting
    parts : int, optional
        Cross-validate: each of so many parts is judged by a head fitted to the others, and the
        head that is kept is fitted to all. Scores and calibration are those of the parts.
    judge : sequence of str
        Patterns of the clips that count then, see :func:`audiocli.tasks.classify.clips.select`;
        without any, all do.
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
            "--cross-validate judges on all clips in turn; leave out --hold-out, --dev and --fold"
        )
    if judge and not parts:
        raise UsageError("--judge says which clips count in --cross-validate")
    if (output / registry.CONFIG).exists():
        raise UsageError(f"{output}: holds a model already; choose another folder")
    ears = _ears(fitting, models.device(device))
    split = gather(data, selection, fitting.task, held_out=held_out, dev=dev, licences=licences,
                   fold=(0, parts) if parts else fold, cross_validated=bool(parts),
                   skip_unreadable=skip_unreadable, stage=stage)  # fmt: skip
    clips = [*split.training, *split.dev]
    kept = list(range(len(split.training)))
    rounds = [(kept, list(range(len(kept), len(clips))))]
    if parts:
        split, rounds = _validated(split, clips, parts, judge)
        kept = list(range(len(clips)))
    truth = split.targets(clips)
    judged = [place for _, part in rounds for place in part]
    refuse_unscorable(truth[judged], fitting.task)
    bench = _Bench(ears, fitting, clips, truth, stage)
    penalty, logits = bench.choose(rounds)
    head = bench.new_head()
    for each in PENALTIES[: PENALTIES.index(penalty) + 1]:
        bench.fit(head, kept, each)
    settings = {**asdict(fitting), "penalty": penalty}
    facts = model_card(split, fitting.task, settings).facts(*(ear.entry for ear, _ in ears))
    judging = replace(split, dev=[clips[place] for place in judged])
    config = {
        **facts,
        **judging.judged(logits, fitting.task),
        "encoders": [ear.facts() for ear, _ in ears],
        "architecture": "head",
        "arguments": {"inputs": sum(bench.sizes), "num_outputs": len(split.labels)},
    }
    return models.save(head, output, config, half=True)


def _ears(fitting: Fitting, where: torch.device) -> list[tuple[Ear, ClipNetwork]]:
    """Load the encoders, and refuse what one head cannot hear together."""
    ears = [find_ear(text) for text in fitting.encoders]
    heard = [(ear, load_trunk(ear.entry, where)) for ear in ears]
    for ear, network in heard:
        try:
            network.places(ear.part)
        except ModelError as error:
            raise UsageError(f"--encoder {ear}: {error}") from error
    if not in_step([network for _, network in heard]):
        raise UsageError(
            f"--encoder: {', '.join(map(str, ears))} hear in steps of different lengths, so one "
            "head cannot hear them together"
        )
    return heard


def _validated(
    split: Split, clips: list[Clip], parts: int, judge: Sequence[str]
) -> tuple[Split, list[tuple[list[int], list[int]]]]:
    """Plan the rounds of a cross-validation: clips to fit to, and clips that judge."""
    held = folds(clips, split.selection.group, parts)
    counted = {clip.path for clip in (select(clips, judge, "--judge") if judge else clips)}
    rounds = [
        (
            [place for place in range(len(clips)) if place not in set(part)],
            [place for place in part if clips[place].path in counted],
        )
        for part in held
    ]
    by = f" by {split.selection.group}" if split.selection.group else ""
    where = f", judged on {', '.join(judge)}" if judge else ""
    if split.selection.group and split.labels:
        refuse(_unvalidated(split, clips))
    words = f"cross-validation in {parts} parts{by}{where}; the weights are trained on all parts"
    return replace(split, training=clips, held_out=words), [each for each in rounds if each[1]]


def _unvalidated(split: Split, clips: Sequence[Clip]) -> list[str]:
    """Warn of classes of one group, which no part can be scored on; refuse if all are like that."""
    group = split.selection.group
    groups = {
        label: {clip.group(group) for clip in clips if label in clip.labels}
        for label in split.labels
    }
    alone = [label for label in split.labels if len(groups[label]) < 2]
    if len(alone) == len(split.labels):
        return [
            f"--group {group}: every class has clips of one {group} alone, so none could be told "
            f"where its {group} is held out; use another --group"
        ]
    if alone:
        shown = ", ".join(alone[:5]) + (", ..." if len(alone) > 5 else "")
        warn(f"clips of one {group} alone: {shown}; where it is held out, there is nothing to "
             "train on, so the score counts them as wrong")  # fmt: skip
    return []
