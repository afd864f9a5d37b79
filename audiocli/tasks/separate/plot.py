"""The picture of a separation: spectrograms of the mixture and its stems, and the voice's mask."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from audiocli.colours import UNDEFINED
from audiocli.nn.frontend import Filterbank, FilterbankConfig
from audiocli.page.picture import LOUD, MASK, TICKS
from audiocli.tasks.plotting import BANDS, DYNAMIC_RANGE, _clock, _figure, _plain, _save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

__all__ = ["StemsView", "StemsViewer", "plot_stems"]

Audio = NDArray[np.float32]

WINDOW_SECONDS = 0.046
SHORTEST_HOP = 0.005  # seconds
HIGHEST = 20_000.0  # Hz
#: Lines of a picture: each is at least so long, and there are no more of them.
LINE_SECONDS, MAX_LINES = 30.0, 4
COLUMNS = 1500 * MAX_LINES
#: dB. What is softer stays dark, and silence, which has -120, has the darkest colour.
QUIETEST = -45.0


@dataclass(frozen=True)
class StemsView:
    """The spectrograms of a mixture and its stems, as a picture shows them.

    Parameters
    ----------
    seconds : float
        Length of the recording.
    offset, step : float
        Where the first column begins, and from one column to the next, in seconds.
    names : tuple of str
        ``mixture``, then the stems.
    levels : ndarray, shape (names, bands, columns)
        In dB; a sine of full scale has 0.
    frequencies : ndarray, shape (bands,)
        Centres of the bands, in Hz.
    """

    seconds: float
    offset: float
    step: float
    names: tuple[str, ...]
    levels: Audio
    frequencies: NDArray[np.float64]

    @property
    def loudest(self) -> float:
        """Level at the top of the colours, in dB: the mixture's highest; -45 for silence."""
        return max(float(self.levels[0].max(initial=-np.inf)), QUIETEST)

    @property
    def floor(self) -> float:
        """Level at the bottom of the colours, in dB."""
        return self.loudest - DYNAMIC_RANGE

    def mask(self, stem: str) -> NDArray[np.float64]:
        """Tell how much of each point is a stem's.

        Returns (bands, columns).
        """
        magnitudes = 10.0 ** (self.levels[1:].astype(np.float64) / 20)
        share = magnitudes[self.names.index(stem) - 1] / magnitudes.sum(axis=0)
        result: NDArray[np.float64] = np.where(self.levels[0] > self.floor, share, np.nan)
        return result


class StemsViewer:
    """Makes the view of a mixture and its stems from their blocks, in constant memory.

    Parameters
    ----------
    names : sequence of str
        Of the stems.
    sample_rate : int
        In Hz.
    frames : int
        Samples per channel that are to come.
    columns : int
        How many columns there are at most. Where one stands for more than a window, it shows the
        mean of several.
    """

    def __init__(
        self, names: Sequence[str], sample_rate: int, frames: int, *, columns: int = COLUMNS
    ) -> None:
        self.names = ("mixture", *names)
        self.rate, self.frames = sample_rate, frames
        self.window = 2 ** round(math.log2(WINDOW_SECONDS * sample_rate))
        width = max(round(SHORTEST_HOP * sample_rate), -(-frames // columns), 1)
        # No farther than half a window: nothing that sounds is left out.
        self.pooled = -(-width // (self.window // 2))
        self.hop = -(-width // self.pooled)
        config = FilterbankConfig(
            sample_rate, (self.window,), self.hop, BANDS, fmin=30.0,
            fmax=min(sample_rate / 2, HIGHEST), difference=False,
        )  # fmt: skip
        self._bank, self._gain = Filterbank(config), config.gain
        # Half a window before the first sample.
        self._pending = np.zeros((len(self.names), self.window // 2), np.float32)
        self._loose = np.zeros((len(self.names), BANDS, 0), np.float32)  # of no column yet
        self._columns: list[Audio] = []

    def take(self, mixture: Audio, stems: Audio) -> None:
        """Take in the next block, (channels, samples) and (stems, channels, samples)."""
        mono = np.concatenate([mixture[None], stems]).mean(axis=1, dtype=np.float32)
        self._look(np.concatenate([self._pending, mono], axis=1))

    def _look(self, audio: Audio) -> None:
        """Transform all whole windows (names, samples), and keep what is left for the next."""
        count = max(1 + (audio.shape[1] - self.window) // self.hop, 0)
        if count:
            windows = torch.from_numpy(audio[:, : (count - 1) * self.hop + self.window])
            with torch.inference_mode():
                image = self._bank.frames(windows)[:, 0].numpy()
            # The bank gives log10(1 + gain * magnitude).
            self._pool(np.concatenate([self._loose, (10**image - 1) / self._gain], axis=2))
        self._pending = audio[:, count * self.hop :]

    def _pool(self, magnitudes: Audio) -> None:
        whole = magnitudes.shape[2] - magnitudes.shape[2] % self.pooled
        shape = (*magnitudes.shape[:2], -1, self.pooled)
        self._columns.append(magnitudes[..., :whole].reshape(shape).mean(axis=3))
        self._loose = magnitudes[..., whole:]

    def view(self) -> StemsView:
        """Give the view, once all blocks were taken in."""
        end = np.zeros((len(self.names), self.window // 2), np.float32)
        self._look(np.concatenate([self._pending, end], axis=1))
        if self._loose.shape[2]:
            self._columns.append(self._loose.mean(axis=2, keepdims=True))
        magnitudes = np.concatenate(self._columns, axis=2)
        return StemsView(
            self.frames / self.rate,
            -self.hop / 2 / self.rate,
            self.hop * self.pooled / self.rate,
            self.names,
            20 * np.log10(np.maximum(magnitudes, np.float32(1e-6))),
            self._bank.centres.numpy().astype(np.float64),
        )


def plot_stems(
    path: Path,
    view: StemsView,
    *,
    masked: str = "vocals",
    start: float = 0.0,
    title: str = "",
    overwrite: bool = False,
) -> None:
    """Draw spectrograms of a mixture and its stems in the same colours, and a stem's mask.

    A long recording goes on in the next line, as text does; there are four at most.
    """
    count = int(np.clip(math.ceil(view.seconds / LINE_SECONDS - 0.25), 1, MAX_LINES))
    rows = (*(1.25 for _ in view.names), 1.0)
    figure = _figure(path, 13, 0.5 + (sum(rows) + 0.45) * count)
    parts = figure.subfigures(count, 1, squeeze=False)[:, 0]
    mask = view.mask(masked)
    width = max(view.seconds / count, 1e-3)
    for index, part in enumerate(parts):
        _draw_line(part, view, mask, masked, (index * width, (index + 1) * width), start, rows)
    _save(figure, path, title, overwrite=overwrite)


def _draw_line(
    part: SubFigure,
    view: StemsView,
    mask: NDArray[np.float64],
    masked: str,
    span: tuple[float, float],
    start: float,
    rows: Iterable[float],
) -> None:
    """Draw a line of the picture: all spectrograms, and the mask below them."""
    heights = list(rows)
    grid = part.add_gridspec(len(heights), 2, height_ratios=heights, width_ratios=[1, 0.009])
    axes = [part.add_subplot(grid[row, 0]) for row in range(len(heights))]
    labels = [*view.names, f"mask of\nthe {masked}"]
    for axis, label, image in zip(axes, labels, [*view.levels, mask], strict=True):
        limits = (0.0, 1.0) if image is mask else (view.floor, view.loudest)
        _draw_image(axis, view, image, MASK if image is mask else LOUD, limits, span, start)
        axis.set_ylabel(_plain(label), fontsize=8.5, fontweight="bold")
        axis.tick_params(labelbottom=axis is axes[-1])
    axes[0].set_title("Hz", loc="left", x=-0.028, y=0.98, fontsize=7.5, color="0.35")
    axes[-1].xaxis.set_major_formatter(lambda seconds, _: _clock(seconds))
    axes[-1].set_xlabel("time (s)" if start + view.seconds < 60 else "time (min:s)", fontsize=8)
    for axis, place, label in ((axes[0], grid[:-1, 1], "dB"), (axes[-1], grid[-1, 1], "share")):
        scale = part.add_subplot(place)
        bar = part.colorbar(axis.images[0], cax=scale)
        bar.outline.set_visible(False)
        scale.tick_params(labelsize=7, length=2)
        scale.set_ylabel(label, fontsize=7.5)
    scale.set_yticks([0, 0.5, 1])
    part.align_ylabels(axes)


def _draw_image(
    axis: Axes,
    view: StemsView,
    image: NDArray[Any],
    colours: str,
    limits: tuple[float, float],
    span: tuple[float, float],
    start: float,
) -> None:
    """Draw what a span shows of an image (bands, columns)."""
    from matplotlib import colormaps

    first = max(int((span[0] - view.offset) / view.step) - 1, 0)
    shown = image[:, first : int((span[1] - view.offset) / view.step) + 2]
    left = start + view.offset + first * view.step
    axis.imshow(
        shown,
        origin="lower",
        aspect="auto",
        extent=(left, left + shown.shape[1] * view.step, 0, len(image)),
        cmap=colormaps[colours].with_extremes(bad=UNDEFINED),
        vmin=limits[0],
        vmax=limits[1],
        interpolation="nearest",
    )
    axis.set_xlim(start + span[0], start + span[1])
    ticks = [hz for hz in TICKS if hz < view.frequencies[-1]]
    places = np.interp(ticks, view.frequencies, np.arange(len(view.frequencies)) + 0.5)
    axis.set_yticks(places, [f"{hz // 1000}k" if hz >= 1000 else str(hz) for hz in ticks])
    axis.tick_params(labelsize=7.5, length=2.5)
    axis.spines[:].set_visible(False)
