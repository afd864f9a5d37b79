"""The figure of a learned basis: its spectra, its activations in a recording, its error."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audiocli.tasks.plotting import Overview, _draw_area, _draw_spectrogram, _frames, _panels, _save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_basis"]


def plot_basis(
    path: Path,
    seen: Overview,
    shapes: NDArray[np.floating[Any]],
    frequencies: NDArray[np.floating[Any]],
    activations: NDArray[np.floating[Any]],
    error: NDArray[np.floating[Any]],
    frame_rate: float,
    *,
    title: str = "",
    overwrite: bool = False,
) -> None:
    """Draw a learned basis and its activations in a recording.

    The bases stand on the left, one a column, on the frequencies of the spectrogram beside them;
    under it their activations, one a row, and the error of the reconstruction.

    Shapes are (components, bands), activations (frames, components), the error (frames,).
    """
    figure, panels = _panels(path, seen, rows=(1.7, 1.3, 0.6), side=0.26)
    loudest = float(seen.spectrogram.max())
    # Loud components would hide the others: each has the colours of its own range.
    peaks = np.quantile(np.abs(activations), 0.998, axis=0)
    scaled = activations / np.maximum(peaks, max(1e-3 * float(peaks.max(initial=0.0)), 1e-9))
    highest = 1.05 * max(float(error.max(initial=0.0)), 1e-3)
    for (start, end), (image, code, curve, beside) in panels:
        _draw_spectrogram(image, seen, start, end, loudest)
        _draw_shapes(beside, image, seen, shapes, frequencies)
        image.set_ylabel("")
        shown = _frames((start, end), frame_rate, len(scaled))
        left, right = ((edge - 0.5) / frame_rate for edge in (shown.start, shown.stop))
        _draw_grid(code, scaled[shown].T, (left, right, 0.5, len(shapes) + 0.5))
        code.set(ylabel="component", xlim=(start, end))
        _draw_area(curve, error, frame_rate, (start, end))
        curve.set(ylim=(0, highest), ylabel="error\n(dB)")
        curve.locator_params(axis="y", nbins=3)
    figure.align_ylabels([axis for _, axes in panels for axis in axes[:-1]])
    _save(figure, path, title, overwrite=overwrite)


def _draw_shapes(
    axis: Axes,
    image: Axes,
    seen: Overview,
    shapes: NDArray[np.floating[Any]],
    frequencies: NDArray[np.floating[Any]],
) -> None:
    """Draw bases, one a column, on the frequencies of the spectrogram."""
    columns = [
        np.interp(seen.frequencies, frequencies, shape, left=np.nan, right=np.nan)
        for shape in shapes
    ]
    values = np.stack(columns, axis=1)
    values /= np.maximum(np.nanmax(np.abs(values), axis=0, initial=0.0), 1e-12)
    _draw_grid(axis, values, (0.5, len(shapes) + 0.5, 0, len(values)))
    labels = [label.get_text() for label in image.get_yticklabels()]
    axis.set_yticks(image.get_yticks(), labels)
    axis.xaxis.tick_top()
    axis.xaxis.set_label_position("top")
    axis.set_xlabel("component", fontsize=8)
    axis.set_ylabel("frequency (Hz)", fontsize=8)
    axis.tick_params(labelsize=8)


def _draw_grid(
    axis: Axes, values: NDArray[np.floating[Any]], extent: tuple[float, float, float, float]
) -> None:
    """Draw values up to 1: what has a sign around white, what has none from black up."""
    signed = bool(values.size and np.nanmin(values) < -0.01)
    axis.imshow(
        values,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=extent,
        cmap="RdBu_r" if signed else "magma",
        vmin=-1.0 if signed else 0.0,
        vmax=1.0,
    )
