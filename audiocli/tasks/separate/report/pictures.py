"""Pictures for a page: spectrograms without axes, as data URIs of a few bytes."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocli.errors import UsageError
from audiocli.tasks.separate.plot import LOUD, MASK

__all__ = ["LOUD", "MASK", "gradient", "image"]

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
