"""Pictures of labels: classes along a recording, tags as bars, a matrix of confusions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from audiocli.colours import CURVE, MARK, UNDEFINED
from audiocli.tasks.classify.decisions import SILENCE
from audiocli.tasks.plotting import (
    Overview,
    _draw_spectrogram,
    _figure,
    _key,
    _panels,
    _plain,
    _save,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ClassTrack", "plot_classes", "plot_confusion", "plot_tags"]

#: More labels than this are no longer readable: the strongest are drawn.
MOST = 20
LONGEST = 32  # characters of a label
COLOURS = "Blues"
WRITTEN = 24  # segments of a panel, at most, that have their probabilities written in

Array = NDArray[np.floating[Any]]


class ClassTrack(Protocol):
    """The estimates of a model along a recording.

    Attributes
    ----------
    task : str
        ``tag`` if any number of labels may hold, else one does.
    labels : tuple of str
        One a column.
    probabilities : ndarray, shape (segments, labels)
        Between 0 and 1.
    starts, ends : ndarray, shape (segments,)
        In seconds, rising; segments may overlap.
    threshold : float
        A label with less is not given.
    """

    @property
    def task(self) -> str: ...  # noqa: D102 - see the class
    @property
    def labels(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def probabilities(self) -> NDArray[np.float32]: ...  # noqa: D102
    @property
    def starts(self) -> NDArray[np.float64]: ...  # noqa: D102
    @property
    def ends(self) -> NDArray[np.float64]: ...  # noqa: D102
    @property
    def threshold(self) -> float: ...  # noqa: D102
    @property
    def silent(self) -> NDArray[np.bool_]: ...  # noqa: D102


def plot_classes(
    path: Path,
    seen: Overview,
    track: ClassTrack,
    title: str = "",
    *,
    threshold: float | None = None,
    descriptions: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> None:
    """Draw the classes along a recording, under its spectrogram.

    Each class has a row, the darker the more probable; a red line under a cell says that this is
    the answer, and none is where it is unknown. Where segments overlap, each is drawn up to the
    middle of what two share.
    """
    rows = _strongest(track.probabilities)
    names = [_name(track.labels[row], descriptions) for row in rows]
    least = track.threshold if threshold is None else threshold
    answers = np.asarray(track.probabilities >= least)
    if track.task != "tag":
        best = track.probabilities.argmax(axis=1, keepdims=True)
        answers &= np.arange(len(track.labels)) == best
    edges = _edges(track)
    values, answers = track.probabilities[:, rows], answers[:, rows]
    if len(track.silent) and SILENCE not in track.labels:  # nothing is said of it
        values = np.where(track.silent[:, np.newaxis], np.nan, values)
        answers &= ~track.silent[:, np.newaxis]
    figure, panels = _panels(path, seen, rows=(1.5, 0.3 + 0.14 * max(len(rows), 2)))
    loudest = float(seen.spectrogram.max())
    for (start, end), (image, axis) in panels:
        _draw_spectrogram(image, seen, start, end, loudest)
        shown = slice(*np.searchsorted(edges, [start, end], side="right") - [1, 0])
        shown = slice(max(shown.start, 0), min(shown.stop, len(values)))
        inside = edges[shown.start : shown.stop + 1]
        axis.set(xlim=(start, end), ylim=(len(rows), 0))
        _draw_rows(axis, values[shown], answers[shown], inside, (start, end))
        axis.set_yticks(np.arange(len(rows)) + 0.5, names)
        axis.tick_params(axis="y", length=0)
    given = "given" if track.task == "tag" else "answer"
    _key(panels[0][1][1], **{f"{given}_(at_least_{least:.0%})": (MARK, "-")})
    if len(rows) < len(track.labels):
        title = f"{title}    {len(rows)} of {len(track.labels)} labels".strip()
    _save(figure, path, title, overwrite=overwrite)


def _strongest(probabilities: Array) -> NDArray[np.intp]:
    """Choose the labels to draw: all in their order, or those that come highest anywhere."""
    if probabilities.shape[1] <= MOST:
        return np.arange(probabilities.shape[1])
    highest = np.asarray(probabilities).max(axis=0, initial=0.0)
    return np.argsort(-highest, kind="stable")[:MOST]


def _name(label: str, descriptions: Mapping[str, str] | None = None) -> str:
    words = (descriptions or {}).get(label)
    text = " ".join((f"{label} ({words})" if words else label).split())
    return _plain(text if len(text) <= LONGEST else text[: LONGEST - 1] + "…")


def _edges(track: ClassTrack) -> NDArray[np.float64]:
    """Edges between which segments are drawn."""
    if not len(track.starts):
        return np.zeros(1)
    between = (track.ends[:-1] + track.starts[1:]) / 2
    edges = np.concatenate([track.starts[:1], between, track.ends[-1:]])
    return np.maximum.accumulate(edges)


def _draw_rows(
    axis: Axes,
    values: Array,
    answers: NDArray[np.bool_],
    edges: NDArray[np.float64],
    span: tuple[float, float],
) -> None:
    """Draw a row for each label, with a line under what is answered."""
    from matplotlib import colormaps

    if not len(values):
        return
    count = values.shape[1]
    cells = axis.pcolormesh(
        edges, np.arange(count + 1), np.ma.masked_invalid(values.T), vmin=0, vmax=1,
        cmap=colormaps[COLOURS].with_extremes(bad=UNDEFINED), rasterized=True,
    )  # fmt: skip
    _write_silence(axis, np.isnan(values[:, 0]), edges, span)
    axis.hlines(np.arange(1, count), *span, color="0.85", linewidth=0.4)
    segments, labels = np.nonzero(answers)
    axis.hlines(labels + 0.93, edges[segments], edges[segments + 1], color=MARK, linewidth=1.8)
    if len(values) <= WRITTEN:
        for segment, label in zip(*np.nonzero(values >= 0.005), strict=True):
            whole = edges[segment : segment + 2]
            here = np.clip(whole, *span)
            if np.ptp(here) < min(np.ptp(whole) / 2, (span[1] - span[0]) / WRITTEN):
                continue  # too narrow for it, and the other row has more of the segment
            _write(axis, (here.mean(), label + 0.5), f"{values[segment, label]:.0%}",
                   float(values[segment, label]), 7)  # fmt: skip
    scale = axis.inset_axes((1.008, 0.0, 0.008, 1.0))
    bar = axis.figure.colorbar(cells, cax=scale, ticks=[0, 0.5, 1])
    bar.outline.set_visible(False)
    scale.tick_params(labelsize=7, length=2)
    scale.set_ylabel("probability", fontsize=7)


def _write_silence(
    axis: Axes, silent: NDArray[np.bool_], edges: NDArray[np.float64], span: tuple[float, float]
) -> None:
    """Name what is silent, where there is room for the word."""
    steps = np.diff(np.concatenate([[0], silent.astype(int), [0]]))
    for first, last in zip(np.flatnonzero(steps > 0), np.flatnonzero(steps < 0), strict=True):
        left, right = np.clip(edges[[first, last]], *span)
        if right - left >= 0.05 * (span[1] - span[0]):
            axis.text((left + right) / 2, sum(axis.get_ylim()) / 2, SILENCE, fontsize=8,
                      color="0.45", ha="center", va="center", clip_on=True)  # fmt: skip


def _write(axis: Axes, place: tuple[float, float], text: str, darkness: float, size: float) -> None:
    """Write into a cell, readable on its colour."""
    axis.text(*place, text, ha="center", va="center_baseline", fontsize=size, clip_on=True,
              color="white" if darkness > 0.55 else "0.2")  # fmt: skip


def plot_tags(
    path: Path,
    names: Sequence[str],
    probabilities: Sequence[float] | Array,
    title: str = "",
    *,
    threshold: float | None = None,
    overwrite: bool = False,
) -> None:
    """Draw tags as bars, the most probable first."""
    values = np.asarray(probabilities, np.float64)
    order = np.argsort(-values, kind="stable")[:MOST]
    count = len(order)
    figure = _figure(path, 7, 0.9 + 0.24 * max(count, 2))
    axis = figure.add_subplot()
    least = 0.0 if threshold is None else threshold
    colours = [CURVE if values[place] >= least else "#a9bccb" for place in order]
    axis.barh(np.arange(count), values[order], height=0.72, color=colours)
    if threshold is not None:
        axis.axvline(threshold, color=MARK, linewidth=0.9, linestyle="--")
        _key(axis, **{f"threshold_{threshold:g}": (MARK, "--")})
    axis.set_yticks(np.arange(count), [_name(names[place]) for place in order], fontsize=9)
    axis.set(xlim=(0, 1), ylim=(max(count, 1) - 0.4, -0.6))
    right = axis.secondary_yaxis("right")  # the numbers stand beside what bars and line cross
    right.set_yticks(np.arange(count), [f"{values[place]:.2f}" for place in order], fontsize=8)
    right.tick_params(length=0, labelcolor="0.25")
    right.spines[:].set_visible(False)
    axis.set_xticks(np.linspace(0, 1, 6))
    axis.tick_params(axis="x", labelsize=8)
    axis.tick_params(axis="y", length=0)
    axis.set_xlabel("probability", fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    _save(figure, path, title, overwrite=overwrite)


def plot_confusion(
    path: Path,
    matrix: NDArray[Any],
    labels: Sequence[str],
    title: str = "",
    *,
    overwrite: bool = False,
) -> None:
    """Draw how often clips of one label were given another.

    Counts stand in the cells; the colour is the share of the row. On the right stands how much of
    each row is right.
    """
    count = len(labels)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    names = [_name(label) for label in labels]
    side = 0.36 * max(count, 5)
    margin = 0.6 + 0.065 * max(map(len, names), default=0)
    figure = _figure(path, side + margin + 0.9, side + margin + 0.4)
    axis = figure.add_subplot()
    # A mesh and not an image: its cells stay sharp at any size.
    axis.pcolormesh(shares, cmap=COLOURS, vmin=0, vmax=1, edgecolors="0.9", linewidth=0.4)
    digits = len(str(int(matrix.max(initial=0))))
    for row, column in zip(*np.nonzero(matrix), strict=True):
        _write(axis, (column + 0.5, row + 0.5), str(matrix[row, column]),
               float(shares[row, column]), min(9.0, 30 / digits))  # fmt: skip
    places = np.arange(count) + 0.5
    axis.set_xticks(places, names, rotation=90, fontsize=8)
    axis.set_yticks(places, names, fontsize=8)
    axis.set(xlim=(0, count), ylim=(count, 0), aspect="equal")
    axis.set_xlabel("estimate", fontsize=9)
    axis.set_ylabel("reference", fontsize=9)
    right = axis.secondary_yaxis("right")
    found = [
        f"{share:.0%}" if total else "–"
        for share, total in zip(np.diag(shares), matrix.sum(axis=1), strict=True)
    ]
    right.set_yticks(places, found, fontsize=8)
    for edge in (axis, right):
        edge.tick_params(length=0)
        edge.spines[:].set_visible(False)
    _save(figure, path, title, overwrite=overwrite)
