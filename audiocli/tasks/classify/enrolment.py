"""Recognise people by example: a few clips of each are encoded once, and nothing is trained.

An encoder embeds each clip as a vector. Vectors lose what all clips share (the encoder's own mean)
and their length; a person is the mean of their clips, and a new clip is whose mean it is most like,
by cosine. Below a threshold it is ``unknown``.

References
----------
Snell, Swersky, Zemel: Prototypical networks for few-shot learning. NeurIPS 2017.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from audiocli.batch.inputs import Input, find_inputs
from audiocli.errors import AudioError, DataError, ModelError
from audiocli.io.audio import AudioReader
from audiocli.nn.registry import ModelEntry
from audiocli.tasks.classify.scoring import equal_error_rate

__all__ = [
    "FEWEST",
    "UNKNOWN",
    "Comparison",
    "Enrolment",
    "SoundEncoder",
    "compare",
    "compare_vectors",
    "directions",
    "enrol",
    "recognise",
]

UNKNOWN = "unknown"
#: Clips of a person, at least.
FEWEST = 3
#: Clips that are decoded and encoded at the same time.
AT_ONCE = 2
# For encoders that were not calibrated, if the clips do not give a threshold either.
THRESHOLD, SLOPE = 0.5, 12.0
STRICTEST = 0.95  # where clips of one person differ much, somebody should still be recognised

Vector = NDArray[np.float64]


class SoundEncoder(Protocol):
    """What embeds a recording, as :class:`audiocli.tasks.classify.classifier.Encoder`.

    Attributes
    ----------
    entry : ModelEntry
        The model. In its configuration, ``decoder`` may hold ``mean``, the mean of many vectors,
        and ``threshold`` and ``slope``, which make a probability of a cosine of two clips.
    """

    @property
    def entry(self) -> ModelEntry:
        """The model."""

    def stream(self, blocks: Iterable[NDArray[np.float32]], sample_rate: int) -> NDArray[Any]:
        """Compute the mean vector (units,) of a recording."""


@dataclass(frozen=True)
class Enrolment:
    """Enrolled people, by their mean vectors.

    Parameters
    ----------
    names : tuple of str
        One a person.
    centroids : ndarray, shape (people, units)
        Their directions, each of length 1.
    mean : ndarray, shape (units,)
        What is subtracted from a vector before it is compared.
    threshold : float
        A cosine with every centroid below this is ``unknown``.
    scale : float
        How fast the probability rises with the cosine, around the threshold.
    """

    names: tuple[str, ...]
    centroids: Vector
    mean: Vector
    threshold: float
    scale: float


class Comparison(NamedTuple):
    """How alike two recordings are.

    Parameters
    ----------
    cosine : float
        Of their vectors, -1 to 1.
    probability : float
        That it is the same speaker, where both cases are as likely before.
    """

    cosine: float
    probability: float


def enrol(
    folder: Path,
    encoder: SoundEncoder,
    *,
    threshold: float | None = None,
    warn: Callable[[str], None] | None = None,
) -> Enrolment:
    """Encode the clips of some people."""
    encoded = [
        (person.name, _clips(person, encoder, warn or (lambda message: None)))
        for person in _people(folder)
    ]
    mean = _mean(encoder.entry, encoded[0][1].shape[1])
    clips = [_directions(vectors, mean) for _, vectors in encoded]
    sums = np.stack([part.mean(axis=0) for part in clips])
    lengths = np.linalg.norm(sums, axis=1)
    decoder = _decoder(encoder.entry)
    # A centroid of length 1 is nearer to all than single clips are: the cosine of a clip with it
    # is the mean of those with the person's clips, divided by the length of their mean.
    nearer = max(float(lengths.mean()), 1e-3)
    if threshold is None:
        own = float(decoder["threshold"]) / nearer if "threshold" in decoder else None
        threshold = _least(clips, None if own is None else min(own, STRICTEST))
    return Enrolment(
        names=tuple(name for name, _ in encoded),
        centroids=sums / np.maximum(lengths, 1e-12)[:, None],
        mean=mean,
        threshold=threshold,
        scale=float(decoder.get("slope", SLOPE)) * nearer,
    )


def _people(folder: Path) -> list[Path]:
    """Find the folders of people, by name."""
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be opened: {error.strerror}; give a folder that holds a folder for "
            f"each person, with {FEWEST} clips or more"
        ) from error
    people = [path for path in inside if path.is_dir() and not path.name.startswith(".")]
    if not people:
        raise DataError(
            f"{folder}: holds no folders; make one for each person, named after them, with "
            f"{FEWEST} clips or more"
        )
    if any(person.name == UNKNOWN for person in people):
        raise DataError(
            f"{folder / UNKNOWN}: this name is the answer for all who are not enrolled; "
            "rename the folder, or take it away"
        )
    return people


def _clips(person: Path, encoder: SoundEncoder, warn: Callable[[str], None]) -> Vector:
    """Embed the clips that can be read, (clips, units)."""

    def attempt(item: Input) -> Vector | str:
        try:
            return item.problem or _encoded(item.path, encoder)
        except AudioError as error:
            return str(error)

    vectors = []
    # One clip is decoded while another goes through the network.
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for found in pool.map(attempt, find_inputs([str(person)])):
            if isinstance(found, str):
                warn(found)
            else:
                vectors.append(found)
    if len(vectors) < FEWEST:
        count = f"{len(vectors)} clip{'' if len(vectors) == 1 else 's'} that can be read"
        raise DataError(
            f"{person}: holds {count}, and {person.name} needs {FEWEST} or more; "
            "add clips, or take the folder away"
        )
    return np.stack(vectors)


def _encoded(path: Path, encoder: SoundEncoder) -> Vector:
    with AudioReader(path) as reader:
        return np.asarray(encoder.stream(reader.full_range(), reader.info.sample_rate), np.float64)


def _decoder(entry: ModelEntry) -> Mapping[str, Any]:
    decoder: Mapping[str, Any] = entry.config.get("decoder") or {}
    return decoder


def _mean(entry: ModelEntry, units: int) -> Vector:
    """Mean of all vectors, from the encoder's configuration."""
    mean = np.asarray(_decoder(entry).get("mean", np.zeros(units)), np.float64)
    if mean.shape != (units,):
        raise ModelError(
            f"{entry.folder}: decoder.mean in its config.json has shape {mean.shape}, "
            f"where vectors have {units} numbers; fetch or train the model again"
        )
    return mean


def directions(vectors: NDArray[Any], entry: ModelEntry) -> Vector:
    """Subtract the mean of an encoder from vectors (..., units), and bring them to length 1."""
    return _directions(np.asarray(vectors, np.float64), _mean(entry, np.shape(vectors)[-1]))


def _directions(vectors: Vector, mean: Vector | float = 0.0) -> Vector:
    """Centre vectors and bring them to length 1."""
    centred = vectors - mean
    length = np.linalg.norm(centred, axis=-1, keepdims=True)
    directed: Vector = centred / np.maximum(length, 1e-12)
    return directed


def _least(clips: list[Vector], own: float | None) -> float:
    """Choose the cosine from which a person is recognised; `own` is the encoder's threshold."""
    found = _open_set_threshold(clips) if len(clips) > 1 else None
    if own is None or found is None:
        return next((each for each in (own, found) if each is not None), THRESHOLD)
    # The more people there are, and the more alike they were recorded, the more other people may
    # be like one: then their clips demand more. A few clips do not say how much, so half is taken:
    # of five people with three clips each, all of it refuses one clip in eight that is theirs.
    return (own + max(own, found)) / 2


def _open_set_threshold(clips: list[Vector]) -> float:
    """Find where clips of enrolled people are as rarely refused as those of others are accepted.

    Each clip is compared twice: with its person's other clips, and with all other people.
    """
    centroids = _directions(np.stack([part.mean(axis=0) for part in clips]))
    same, different = [], []
    for person, part in enumerate(clips):
        others = _directions(part.sum(axis=0) - part)
        same += np.sum(part * others, axis=1).tolist()
        rest = np.delete(centroids, person, axis=0)
        different += (part @ rest.T).max(axis=1).tolist()
    return equal_error_rate(same, different)[1]


def recognise(
    enrolment: Enrolment, vector: NDArray[Any], threshold: float | None = None
) -> list[tuple[str, float]]:
    """Rank enrolled people by the probability that a vector (units,) is theirs."""
    if np.shape(vector) != enrolment.mean.shape:
        raise ValueError(f"a vector of shape {np.shape(vector)}, not {enrolment.mean.shape}")
    least = enrolment.threshold if threshold is None else threshold
    cosines = enrolment.centroids @ _directions(np.asarray(vector, np.float64), enrolment.mean)
    best = float(cosines.max())
    known = _logistic(enrolment.scale * (best - least))
    shares = np.exp(enrolment.scale * (cosines - best))
    shares *= known / shares.sum()
    order = np.argsort(-cosines, kind="stable")
    people = [(enrolment.names[place], float(shares[place])) for place in order]
    return people if best >= least else [(UNKNOWN, 1 - known), *people]


def compare(first: Path, second: Path, encoder: SoundEncoder) -> Comparison:
    """Compare the speakers of two recordings."""
    return compare_vectors(_encoded(first, encoder), _encoded(second, encoder), encoder.entry)


def compare_vectors(one: NDArray[Any], other: NDArray[Any], entry: ModelEntry) -> Comparison:
    """Compare the speakers of two recordings by their vectors (units,)."""
    decoder = _decoder(entry)
    if not {"threshold", "slope"} <= decoder.keys():
        raise ModelError(
            f"{entry.folder}: its config.json has no decoder.threshold and decoder.slope, "
            "which make a probability of a cosine; use an encoder of voices"
        )
    first, second = directions(np.stack([one, other]), entry)
    cosine = float(np.clip(first @ second, -1, 1))
    return Comparison(
        cosine, _logistic(float(decoder["slope"]) * (cosine - float(decoder["threshold"])))
    )


def _logistic(value: float) -> float:
    return float(0.5 * (1 + np.tanh(0.5 * value)))
