"""The picture of chords: a track of coloured blocks above the pitch classes that sound."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audiocli.io.formats import Segments
from audiocli.io.formats.sheet import chord_name
from audiocli.tasks.plotting import (
    PANEL_POINTS,
    PITCHES,
    Overview,
    _frames,
    _panels,
    _plain,
    _save,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["colour_of", "plot_chords"]

COLUMNS = 2000  # of the image of a panel, at most
DARKEST = 1.2  # what would be black: the blocks are to stand out, not the tones
SIZES = (10.0, 8.5, 7.0)  # of a label, in points: the largest that fits is taken
PADDING = 4.0  # points at the sides of a label
NARROW = 5.0  # points; blocks that are narrower have no edges, which would hide them

#: Lightness and chroma, in OKLCH, of a bright chord and of a dark one; all hues are in sRGB.
BRIGHT, DARK = (0.80, 0.105), (0.52, 0.085)
FIRST_HUE = 70.0  # of C, in degrees: amber
NO_CHORD = (0.92, 0.92, 0.92)
INK, PALE_INK, KEY_SIZE = "0.2", "0.55", 8.5

Array = NDArray[np.float64]
Colour = tuple[float, float, float]


def plot_chords(
    path: Path,
    seen: Overview,
    chords: Segments,
    tones: NDArray[np.floating[Any]],
    frame_rate: float,
    *,
    roots: Sequence[int],
    keys: Segments | None = None,
    shades: Sequence[float] | None = None,
    title: str = "",
    overwrite: bool = False,
) -> None:
    """Draw chords as coloured blocks above the pitch classes that sound.

    Roots a fifth apart have neighbouring hues. A label stands in its block, as on lead sheets,
    if there is room for it.
    """
    if len(roots) != len(chords) or (shades is not None and len(shades) != len(chords)):
        raise ValueError(f"{len(chords)} chords have as many roots and shades")
    if tones.ndim != 2 or len(tones) != 12:
        raise ValueError(f"tones have shape (12, frames), not {tones.shape}")
    dark = [0.0] * len(chords) if shades is None else shades
    colours = [colour_of(root, shade) for root, shade in zip(roots, dark, strict=True)]
    has_keys = keys is not None and len(keys) > 0
    figure, panels = _panels(path, seen, rows=(0.2, 0.45, 1.45) if has_keys else (0.45, 1.45))
    for span, axes in panels:
        if keys is not None and has_keys:
            _draw_keys(axes[0], keys, span)
        track, image = axes[-2:]
        _draw_blocks(track, chords, colours, span)
        _draw_tones(image, tones, frame_rate, span)
    count = sum(root >= 0 for root in roots)
    title = f"{title}    {count} chord{'' if count == 1 else 's'}".strip()
    _save(figure, path, title, overwrite=overwrite)


# --- colours -----------------------------------------------------------------------------------


def colour_of(root: int, shade: float) -> Colour:
    """Colour of a root; each fifth up turns the hue by a twelfth."""
    if root < 0:
        return NO_CHORD
    shade = min(max(shade, 0.0), 1.0)
    lightness, chroma = ((1 - shade) * np.array(BRIGHT) + shade * np.array(DARK)).tolist()
    hue = np.radians(FIRST_HUE + 30 * (7 * root % 12))
    return _srgb(lightness, chroma * np.cos(hue), chroma * np.sin(hue))


def _srgb(lightness: float, a: float, b: float) -> Colour:
    """Convert from OKLab; what sRGB cannot show is clipped.

    References
    ----------
    .. [1] B. Ottosson, "A perceptual color space for image processing", 2020.
       https://bottosson.github.io/posts/oklab/
    """
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = np.array(
        [
            4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * middle + 1.7076147010 * short,
        ]
    ).clip(0, 1)
    red, green, blue = np.where(
        linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055
    ).tolist()
    return red, green, blue


def _ink(colour: Colour) -> str:
    """Choose the black or the white that stands out more on a colour."""
    channels = np.array(colour)
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ [0.2126, 0.7152, 0.0722])
    # The contrasts of WCAG, with 0.05 for stray light; equal at a luminance of 0.18.
    return "white" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "black"


# --- rows of a panel ---------------------------------------------------------------------------


def _shown(
    segments: Segments, span: tuple[float, float]
) -> Iterator[tuple[int, tuple[float, float], float, str]]:
    """Iterate over the segments in a panel: index, visible part, start and label."""
    following = np.append(segments.starts, np.inf)[1:]
    ends = np.minimum(segments.ends, following)
    lefts, rights = np.maximum(segments.starts, span[0]), np.minimum(ends, span[1])
    for index in np.flatnonzero(lefts < rights).tolist():
        part = float(lefts[index]), float(rights[index])
        yield index, part, float(segments.starts[index]), segments.labels[index]


def _draw_keys(axis: Axes, keys: Segments, span: tuple[float, float]) -> None:
    """Write each key where its section begins, and again, paler, where a panel goes on with it."""
    second = PANEL_POINTS / (span[1] - span[0])  # in points
    axis.set(ylim=(0, 1))
    axis.set_axis_off()
    for _, (left, right), start, label in _shown(keys, span):
        text, free = _typeset(label), left
        if start == left:
            axis.vlines(left, 0, 1, color=INK, linewidth=1.0)
            free += PADDING / second
        width = _width(text, KEY_SIZE)
        if free + (width + PADDING) / second <= right:
            axis.text(free, 0.5, text, fontsize=KEY_SIZE, color=INK if start == left else PALE_INK,
                      ha="left", va="center_baseline", clip_on=True)  # fmt: skip
            free += (width + PADDING) / second
        if free < right - PADDING / second:  # as far as it holds
            axis.hlines(0.5, free, right - PADDING / second, color="0.75", linewidth=0.8)


def _draw_blocks(
    axis: Axes, chords: Segments, colours: Sequence[Colour], span: tuple[float, float]
) -> None:
    """Draw a block a chord with its name, where that fits."""
    from matplotlib.collections import PolyCollection

    second = PANEL_POINTS / (span[1] - span[0])  # in points
    boxes, faces, edges = [], [], []
    for index, (left, right), _, label in _shown(chords, span):
        colour, width = colours[index], (right - left) * second
        boxes.append([(left, 0), (left, 1), (right, 1), (right, 0)])
        faces.append(colour)
        edges.append("white" if width >= NARROW else "none")
        if width < NARROW:
            continue
        text = _typeset(chord_name(label))
        size = next((size for size in SIZES if _width(text, size) + PADDING <= width), None)
        if size is not None:
            ink = _ink(colour) if colour != NO_CHORD else PALE_INK
            axis.text((left + right) / 2, 0.5, text, fontsize=size, color=ink, ha="center",
                      va="center_baseline", clip_on=True)  # fmt: skip
    axis.add_collection(PolyCollection(boxes, facecolors=faces, edgecolors=edges, linewidths=1.2))
    axis.set(ylim=(0, 1), yticks=[], ylabel="chords")
    axis.tick_params(axis="x", length=0)
    axis.spines[:].set_visible(False)


def _draw_tones(
    axis: Axes,
    tones: NDArray[np.floating[Any]],
    frame_rate: float,
    span: tuple[float, float],
) -> None:
    frames = _frames(span, frame_rate, tones.shape[1])
    values, step = tones[:, frames], 1
    if values.shape[1] > COLUMNS:  # means of neighbours; the last may be of fewer
        step = -(-values.shape[1] // COLUMNS)
        firsts = np.arange(0, values.shape[1], step)
        counts = np.diff([*firsts, values.shape[1]])
        values = np.add.reduceat(values, firsts, axis=1) / counts
    if values.shape[1]:
        left = (frames.start - 0.5) / frame_rate
        right = left + values.shape[1] * step / frame_rate
        axis.imshow(values, origin="lower", aspect="auto", extent=(left, right, 0, 12),
                    cmap="Greys", vmin=0, vmax=DARKEST, interpolation="nearest")  # fmt: skip
    axis.hlines(np.arange(1, 12), *span, color="0.93", linewidth=0.5)
    axis.set_yticks(np.arange(12) + 0.5, PITCHES)
    axis.tick_params(axis="y", length=0, labelsize=6.5)
    axis.set(xlim=span, ylim=(0, 12), ylabel="pitch class")


# --- text --------------------------------------------------------------------------------------


_SIGNS = str.maketrans("#b", "♯♭")
#: A note's sign, but not the b of a word such as Abel; or that of a degree.
_SIGNED = re.compile(r"(?<![A-Za-z])[A-G][#b](?![a-z])|[A-G][#b](?=m|dim|sus|add)|[#b](?=\d)")


def _typeset(name: str) -> str:
    """Write the sharps and flats of a chord or a key as such."""
    return _plain(_SIGNED.sub(lambda found: found[0].translate(_SIGNS), " ".join(name.split())))


def _width(text: str, size: float) -> float:
    """Width of a text in points."""
    return _em_width(text) * size


@lru_cache(4096)
def _em_width(text: str) -> float:
    """Width of a text of size 1."""
    import warnings

    from matplotlib.textpath import TextPath

    if not text:
        return 0.0
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # names may be in any script
        return float(TextPath((0, 0), text, size=100).get_extents().x1) / 100
