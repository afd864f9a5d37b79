"""The picture of a learned basis: its spectra, its activations in a recording, what is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocli.plots import CURVE, Overview, _draw_spectrogram, _panels, _save

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
    """Draw what a learned basis makes of a recording.

    The bases stand on the left, one a column, on the frequencies of the spectrogram beside them;
    under it their activations, one a row, and the error of the reconstruction.

    Parameters
    ----------
    path : Path
        ``.png``, ``.svg`` or ``.pdf``.
    seen : Overview
        The recording.
    shapes : ndarray, shape (components, bands)
        The bases as spectra; each is drawn at its own scale.
    frequencies : ndarray, shape (bands,)
        Centres of the bands, in Hz.
    activations : ndarray, shape (frames, components)
        On one scale for all components.
    error : ndarray, shape (frames,)
        Of the reconstruction, in dB.
    frame_rate : float
        Frames a second; the first is at 0.
    title : str
        Above the picture.
    overwrite : bool
        Whether a file that is there may be replaced.

    Raises
    ------
    UsageError
        If the extension is another, matplotlib is not installed, or the file is there.

    Examples
    --------
    >>> import tempfile
    >>> column, hz = np.zeros(200), np.geomspace(50, 4000, 9)
    >>> seen = Overview(1.0, 0.005, column, column, np.zeros((9, 201)), hz)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     picture = Path(folder) / "a.png"
    ...     plot_basis(picture, seen, np.eye(3, 9), hz, np.ones((44, 3)), np.ones(44), 43.0)
    ...     picture.stat().st_size > 10_000
    True
    """
    figure, panels = _panels(path, seen, rows=(1.7, 1.3, 0.6), side=0.35)
    loudest = float(seen.spectrogram.max())
    rows = np.stack([
        np.interp(seen.frequencies, frequencies, shape, left=np.nan, right=np.nan)
        for shape in shapes
    ], axis=1)  # fmt: skip
    rows /= np.maximum(np.nanmax(np.abs(rows), axis=0, initial=0.0), 1e-12)
    signed = bool(np.nanmin(rows) < -0.01), bool(activations.min() < 0)
    top = max(float(np.quantile(np.abs(activations), 0.998)), 1e-12)
    for (start, end), (image, code, curve, beside) in panels:
        _draw_spectrogram(image, seen, start, end, loudest)
        beside.imshow(
            rows,
            origin="lower",
            aspect="auto",
            interpolation="nearest",
            extent=(0.5, len(shapes) + 0.5, 0, len(rows)),
            **_colours(signed[0], 1.0),
        )
        labels = [label.get_text() for label in image.get_yticklabels()]
        beside.set_yticks(image.get_yticks(), labels)
        beside.set_xlabel("component", fontsize=8)
        beside.set_ylabel("frequency (Hz)", fontsize=8)
        beside.tick_params(labelsize=8)
        image.set_ylabel("")
        first = min(max(int(start * frame_rate), 0), len(activations))
        last = min(int(end * frame_rate) + 2, len(activations))
        edges = ((first - 0.5) / frame_rate, (last - 0.5) / frame_rate)
        code.imshow(
            activations[first:last].T,
            origin="lower",
            aspect="auto",
            interpolation="nearest",
            extent=(*edges, 0.5, len(shapes) + 0.5),
            **_colours(signed[1], top),
        )
        code.set(ylabel="component", xlim=(start, end))
        place = np.arange(first, last) / frame_rate
        curve.plot(place, error[first:last], color=CURVE, linewidth=0.8)
        curve.set(ylim=(0, 1.05 * max(float(error.max()), 1e-3)), ylabel="error\n(dB)")
        curve.locator_params(axis="y", nbins=3)
    _save(figure, path, title, overwrite=overwrite)


def _colours(signed: bool, top: float) -> dict[str, Any]:
    """Colour what has a sign around white, and what has none from black up."""
    return {"cmap": "RdBu_r" if signed else "magma", "vmin": -top if signed else 0.0, "vmax": top}
