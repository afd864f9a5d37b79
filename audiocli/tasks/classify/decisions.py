"""From probabilities to results, in plain numpy: labels, tags, events along time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from audiocli.io.formats import Segments

__all__ = ["UNKNOWN", "Track", "decode", "merged", "probable"]

Floats = NDArray[np.float32]
#: Label of a recording that belongs to none of the classes.
UNKNOWN = "unknown"
#: Label of a segment in which nothing sounds.
SILENCE = "silence"


@dataclass(frozen=True)
class Track:
    """The estimates of a model for a recording.

    Parameters
    ----------
    model : str
        The model's name.
    task : {"classify", "tag"}
        One label of many, or any number of them.
    labels : tuple of str
        Its classes or tags.
    probabilities : ndarray, shape (segments, labels)
        Between 0 and 1; of a classifier the rows add up to 1.
    starts, ends : ndarray, shape (segments,)
        In seconds.
    seconds : float
        Length of the recording.
    threshold : float
        The model's own: a best label below it is no answer, a tag below it is not given.
    axes : dict of str to ndarray, shape (segments,)
        Scales from -1 to 1 that the model derives from its labels: of mood, valence and arousal.
    warnings : tuple of str
        Why the result may be meaningless: silence, or a recording that the model is not for.
    silent : ndarray of bool, shape (segments,)
        Where nothing sounds; empty if that was not measured.
    multi_label : bool
        Whether any number of labels may hold, of a classifier too.
    release : float
        Share of the threshold below which an event ends that has begun.
    out_of_domain : bool
        Whether the recording as a whole is not of the kind that the model is made for, so that it
        has no label but by a threshold that is given.
    """

    model: str
    task: str
    labels: tuple[str, ...]
    probabilities: Floats
    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    seconds: float
    threshold: float
    axes: Mapping[str, Floats] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    silent: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    multi_label: bool = False
    release: float = 1.0
    out_of_domain: bool = False

    @property
    def independent(self) -> bool:
        """Whether any number of the labels may hold."""
        return self.task == "tag" or self.multi_label

    def is_silent(self, segment: int) -> bool:
        """Tell whether nothing sounds in a segment, so that it has no label."""
        return segment < len(self.silent) and bool(self.silent[segment])

    @property
    def best(self) -> list[str]:
        """The likeliest label of each segment."""
        return [self.labels[index] for index in self.probabilities.argmax(axis=1)]


def probable(logits: Floats, task: str) -> Floats:
    """Turn logits (..., labels) into probabilities."""
    if task == "tag":
        likely: Floats = (0.5 * (1 + np.tanh(0.5 * logits))).astype(np.float32)
        return likely
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: Floats = (powers / powers.sum(axis=-1, keepdims=True)).astype(np.float32)
    return shares


def decode(
    track: Track, *, top: int | None = None, threshold: float | None = None
) -> list[list[tuple[str, float]]]:
    """Choose the labels of each segment, with their probabilities."""
    limit = _limit(track, threshold)
    found = []
    for place, row in enumerate(track.probabilities):
        if track.is_silent(place) and SILENCE not in track.labels:
            found.append([(SILENCE, math.nan)])
            continue
        order = np.argsort(-row, kind="stable")
        ranked = [(track.labels[index], float(row[index])) for index in order]
        unsure = ranked[0][1] < limit
        if track.independent:
            given = [each for each in ranked if each[1] >= limit]
            ranked = given if top is None or threshold is not None else ranked
        if unsure and track.task != "tag" and UNKNOWN not in track.labels:
            ranked = [(UNKNOWN, math.nan), *ranked]
        found.append(ranked[:top])
    return found


def merged(track: Track, *, threshold: float | None = None) -> Segments:
    """Join neighbouring segments of one label to events.

    Where any number of labels may hold, each goes by the median of the segments that overlap, and
    an event that has begun lasts until it falls below the release.
    """
    middle = (track.starts + track.ends) / 2
    edges = np.concatenate([track.starts[:1], (middle[1:] + middle[:-1]) / 2, track.ends[-1:]])
    if len(middle) > 1 and np.allclose(track.starts[1:], track.ends[:-1]):
        edges[1:-1] = track.ends[:-1]
    limit = _limit(track, threshold)
    active = track.probabilities >= limit
    if track.independent and track.release < 1:
        active = _held(_smoothed(track), limit, track.release * limit)
    if SILENCE not in track.labels and len(track.silent):
        active[track.silent] = False
    if not track.independent:
        best = track.probabilities.argmax(axis=1)
        active &= np.arange(len(track.labels)) == best[:, np.newaxis]
    events = []
    for index, label in enumerate(track.labels):
        if label == UNKNOWN:
            continue
        steps = np.diff(np.concatenate([[0], active[:, index], [0]]).astype(int))
        for begin, end in zip(np.flatnonzero(steps > 0), np.flatnonzero(steps < 0), strict=True):
            sure = float(track.probabilities[begin:end, index].mean())
            events.append((float(edges[begin]), float(edges[end]), label, sure))
    events.sort()
    return Segments(
        np.array([event[0] for event in events]),
        np.array([event[1] for event in events]),
        [event[2] for event in events],
        name="tag" if track.task == "tag" else "class",
        confidences=np.array([event[3] for event in events]),
        duration=track.seconds,
        metadata={"model": track.model},
    )


def _limit(track: Track, threshold: float | None) -> float:
    """Choose the least probability of a label: out of domain, none is enough."""
    if threshold is None:
        return math.inf if track.out_of_domain else track.threshold
    return threshold


def _smoothed(track: Track) -> Floats:
    """Take the median (segments, labels) of as many segments as overlap, an odd number."""
    if len(track.starts) < 2:
        return track.probabilities
    length = float(track.ends[0] - track.starts[0])
    hop = float(track.starts[1] - track.starts[0])
    size = 2 * (max(1, round(length / hop)) // 2) + 1
    padded = np.pad(track.probabilities, ((size // 2,) * 2, (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=0)
    medians: Floats = np.median(windows, axis=-1).astype(np.float32)
    return medians


def _held(probabilities: Floats, onset: float, release: float) -> NDArray[np.bool_]:
    """Mark what reaches the onset, and what stays above the release on both sides of it."""
    above = probabilities >= release
    held = np.zeros_like(above)
    reached = probabilities >= onset
    for column in np.flatnonzero(reached.any(axis=0)):
        lasting, starting = above[:, column], reached[:, column]
        runs = np.cumsum(np.diff(lasting, prepend=False))
        held[:, column] = lasting & np.isin(runs, runs[starting])
    return held
