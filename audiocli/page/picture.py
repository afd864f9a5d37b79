"""Pictures for a page: spectrograms without axes, as data URIs of a few bytes."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocli.errors import UsageError

__all__ = ["LOUD", "MASK", "gradient", "image", "ticks"]

#: Colours of levels, and of shares.
LOUD, MASK = "magma", "viridis"
TICKS = (200, 1000, 3000, 10_000)  # Hz
UNKNOWN = 255  # the index of what has no value: it is transparent


def image(values: NDArray[np.floating[Any]], limits: tuple[float, float], colours: str) -> str:
    """Make a picture of an array (rows, columns), a pixel a value."""
    try:
        from matplotlib import colormaps
        from PIL import Image  # comes with matplotlib
    except ImportError as error:
        raise UsageError("reports need matplotlib; run: pip install matplotlib") from error
    low, high = limits
    scaled = np.clip((values - low) / (high - low), 0, 1) * (UNKNOWN - 1)
    indices = np.where(np.isnan(values), UNKNOWN, np.nan_to_num(scaled).round()).astype(np.uint8)
    picture = Image.fromarray(np.ascontiguousarray(indices[::-1]))
    picture.putpalette(_palette(colormaps[colours]))
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True, transparency=UNKNOWN)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def _palette(colours: Any) -> bytes:
    shades = colours(np.linspace(0, 1, UNKNOWN))[:, :3]
    return bytes((255 * shades).round().astype(np.uint8).ravel()) + bytes(3)


def gradient(colours: str) -> str:
    """Make a picture of a colour map, from left to right, for a legend."""
    return image(np.linspace(0, 1, 128)[None], (0, 1), colours)


def ticks(frequencies: NDArray[np.floating[Any]]) -> list[tuple[float, str]]:
    """Give places, from 0 (bottom) to 1, and labels of some frequencies beside a spectrogram.

    Parameters
    ----------
    frequencies : ndarray, shape (bands,)
        Centres of its bands, in Hz.
    """
    shown = [hz for hz in TICKS[1:] if hz < frequencies[-1]]  # the lowest would be cut off
    places = (np.interp(shown, frequencies, np.arange(len(frequencies))) + 0.5) / len(frequencies)
    labels = [f"{hz / 1000:g} kHz" for hz in shown]
    return [(round(place, 4), label) for place, label in zip(places.tolist(), labels, strict=True)]
