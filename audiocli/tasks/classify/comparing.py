"""Compare recordings two by two, and decide whether the same person speaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from audiocli.batch import Callbacks, Collector, Summary
from audiocli.batch.inputs import Input
from audiocli.errors import FieldError, UsageError, warn
from audiocli.nn import registry
from audiocli.tasks.classify.classifier import CONTENT_MODEL, Classifier, Encoder
from audiocli.tasks.classify.decisions import Track
from audiocli.tasks.classify.enrolment import compare_vectors
from audiocli.tasks.classify.streams import VOICE, decoded
from audiocli.tasks.declaration import Declaration, Item, Work
from audiocli.tasks.runner import BatchOptions, run_declared

__all__ = ["compare_files"]

#: Probability from which a recording is something else than speech.
SURE = 0.8


@dataclass(frozen=True)
class _MakeWork:
    """Makes what encodes a file; pickled to worker processes."""

    encoder: str
    device: str

    def __call__(self) -> Work[Any]:
        encoder = Encoder(self.encoder, device=self.device)
        content = _content(self.device)

        def work(item: Item) -> tuple[float, Any]:
            with decoded(item.input, item.progress) as blocks:
                vector = encoder.stream(blocks, blocks.rate)
            if content is not None:
                with decoded(item.input, lambda done, total: None) as again:
                    _warn_of_no_speech(content.stream(again, again.rate)[0])
            return blocks.seconds, (item.input.label, vector)

        return work


def _content(device: str) -> Classifier | None:
    """Load the model that tells speech from music; none where it is not installed."""
    try:
        return Classifier("classify", [CONTENT_MODEL], device=device)
    except UsageError:
        return None


def _warn_of_no_speech(track: Track) -> None:
    """Say where the comparison is of something else than voices that speak."""
    sure = dict(zip(track.labels, track.probabilities.mean(axis=0).tolist(), strict=True))
    likeliest = max(sure, key=lambda label: sure[label])
    if likeliest != "speech" and sure[likeliest] > SURE:
        what = {"sound": "a sound without speech"}.get(likeliest, likeliest)
        warn(
            f"sounds like {what} ({sure[likeliest]:.0%}); speaker similarity is defined for "
            "speech alone, and says nothing of this"
        )


def compare_files(
    inputs: Sequence[str],
    *,
    encoder: str = VOICE,
    threshold: float | None = None,
    n_jobs: int = 1,
    device: str = "auto",
    callbacks: Callbacks | None = None,
) -> tuple[Summary, list[dict[str, Any]]]:
    """Compare recordings two by two, and decide whether the same person speaks.

    Parameters
    ----------
    inputs : sequence of str
        Two files or more, folders or patterns.
    encoder : str
        Name or folder of an encoder.
    threshold : float, optional
        Least probability of the same speaker, by default 0.5.
    n_jobs, device, callbacks
        As in :func:`audiocli.tasks.classify.files.classify_files`.

    Returns
    -------
    summary : Summary
        What became of the files.
    pairs : list of dict
        For each two that could be read the ``probability`` of the same speaker, the ``cosine`` of
        their vectors, the ``verdict`` same or different, and the files, ``first`` and ``second``.

    Raises
    ------
    UsageError
        If there are fewer than two.
    ModelError
        If the encoder cannot be loaded, or was not calibrated for this.

    Examples
    --------
    >>> compare_files(["a.wav"])
    Traceback (most recent call last):
    ...
    audiocli.errors.UsageError: to compare takes two recordings or more
    """
    if threshold is not None and not 0 <= threshold <= 1:
        raise FieldError(f"{{threshold}} {threshold}: between 0 and 1", "threshold")
    entry = registry.find("encode", encoder)
    results = Collector(callbacks)
    task = Declaration(
        command="compare",
        what="vectors",
        make_work=_MakeWork(str(entry.folder), device),
        settings={},
        models=[entry],
        check_inputs=_check_several,
    )
    summary = run_declared(task, inputs, BatchOptions(n_jobs=n_jobs), results)
    pairs = []
    for (first, one), (second, other) in combinations(results.values, 2):
        alike = compare_vectors(one, other, entry)
        same = alike.probability >= (0.5 if threshold is None else threshold)
        pairs.append({"probability": round(alike.probability, 6),
                      "cosine": round(alike.cosine, 6),
                      "verdict": "same" if same else "different",
                      "first": first, "second": second})  # fmt: skip
    return summary, pairs


def _check_several(found: Sequence[Input]) -> None:
    if len(found) < 2:
        raise UsageError("to compare takes two recordings or more")
