"""Figures of results, and what all figures share.

Matplotlib is loaded when a picture is drawn, and without its global state, so
that pictures can be drawn in worker processes and where there is no screen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from audiocli.batch.placing import PICTURES
from audiocli.colours import CURVE, LIMIT, MARK, UNDEFINED, WAVE
from audiocli.errors import UsageError
from audiocli.io.atomic import write_whole
from audiocli.io.audio import AudioReader
from audiocli.io.audio.downmix import downmix
from audiocli.io.audio.streaming import Extremes
from audiocli.nn.frontend import Filterbank, FilterbankConfig

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PICTURES", "Overview", "overview", "plot_features", "plot_onsets"]

Array = NDArray[np.float64]

BANDS = 96
WINDOW = 2048  # samples, at the file's rate
SHORTEST_HOP = 0.005  # seconds
DYNAMIC_RANGE = 70.0  # dB below the loudest that a spectrogram shows
TALL = 48  # columns of an image that needs more room
PANEL_SECONDS, MAX_PANELS = 15.0, 8
PANEL_POINTS = 880.0  # width of a panel's axes; a little less than it is
CROWDED = 6.0  # points from one onset to the next; closer lines would hide what they mark
RUG = 0.16  # of the height of an axis, above what it shows
PITCHES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")


@dataclass(frozen=True)
class Overview:
    """A recording reduced to what a figure can show.

    Parameters
    ----------
    seconds : float
        Its length.
    step : float
        Seconds from one column to the next.
    lows, highs : ndarray, shape (columns,)
        Smallest and largest sample around each column.
    spectrogram : ndarray, shape (bands, columns)
        In dB.
    frequencies : ndarray, shape (bands,)
        Centres of the bands, in Hz.
    """

    seconds: float
    step: float
    lows: Array
    highs: Array
    spectrogram: Array
    frequencies: Array


def overview(path: Path, *, name: str | None = None, columns: int = 16_000) -> Overview:
    """Read a file for a figure, in constant memory whatever its length."""
    with AudioReader(path, name=name) as reader:
        rate = reader.info.sample_rate
        length = reader.info.frames or sum(block.shape[1] for block in reader.blocks())
        hop = max(round(SHORTEST_HOP * rate), -(-length // columns))
        config = FilterbankConfig(
            rate, (WINDOW,), hop, BANDS, fmin=30.0, fmax=rate / 2, difference=False
        )
        bank = Filterbank(config)
        extremes, images = Extremes(hop), []
        pending = np.zeros(WINDOW // 2, np.float32)  # half a window before the first sample

        def look(audio: NDArray[np.float32], *, last: bool = False) -> NDArray[np.float32]:
            count = 1 + (len(audio) - WINDOW) // hop
            if not last:  # in long files a hop is longer than the window: it may not be there yet
                count = min(count, len(audio) // hop)
            if count < 1:
                return audio
            covered = torch.from_numpy(audio[: (count - 1) * hop + WINDOW])
            with torch.inference_mode():
                images.append(bank.frames(covered.unsqueeze(0))[0, 0].numpy())
            return audio[count * hop :]

        for block in downmix(reader.full_range(), rate, quiet=True):
            pending = look(np.concatenate([pending, block[0]]))
            extremes.push(block[0])
        look(np.concatenate([pending, np.zeros(WINDOW // 2, np.float32)]), last=True)
    # The bank gives log10(1 + gain * magnitude); back to magnitude, then to dB.
    magnitude = (10 ** np.concatenate(images, axis=1).astype(np.float64) - 1) / config.gain
    decibels = 20 * np.log10(np.maximum(magnitude, 1e-6))
    frequencies = 700 * (10 ** (np.linspace(*_mel_ends(config), BANDS + 2)[1:-1] / 2595) - 1)
    return Overview(length / rate, hop / rate, *extremes.finish(), decibels, frequencies)


def _mel_ends(config: FilterbankConfig) -> tuple[float, float]:
    low, high = 2595 * np.log10(1 + np.array([config.fmin, config.fmax]) / 700)
    return float(low), float(high)


def plot_onsets(
    path: Path,
    seen: Overview,
    times: Array,
    activations: NDArray[np.float32],
    frame_rate: float,
    threshold: float,
    *,
    title: str = "",
    overwrite: bool = False,
) -> None:
    """Draw waveform, spectrogram and activations (frames,) with the onsets that were detected."""
    figure, panels = _panels(path, seen, rows=(1.0, 1.7, 0.9))
    loudest = float(seen.spectrogram.max())
    inside = [times[(times >= start) & (times < end)] for (start, end), _ in panels]
    gap = PANEL_POINTS / max(1, *map(len, inside))
    for ((start, end), (wave, image, strength)), here in zip(panels, inside, strict=True):
        _draw_wave(wave, seen, start, end)
        _draw_spectrogram(image, seen, start, end, loudest)
        _draw_area(strength, activations, frame_rate, (start, end))
        strength.axhline(threshold, color=LIMIT, linewidth=1.0, linestyle="--", zorder=3)
        strength.set(ylim=(0, 1.05), yticks=[0, 0.5, 1], ylabel="onset\nstrength")
        _mark(wave, here, gap, MARK)
        _mark(image, here, gap, "white" if gap >= CROWDED else MARK)
        _mark(strength, here, gap, MARK)
    _key(panels[0][1][0], onset=(MARK, "-"), threshold=(LIMIT, "--"))
    count = f"{len(times)} onset{'' if len(times) == 1 else 's'}"
    _save(figure, path, f"{title}    {count}".strip(), overwrite=overwrite)


def _mark(axis: Axes, times: Array, gap: float, colour: str) -> None:
    """Draw a line at each time: over all the axis, or as a rug above it where they are crowded.

    Takes the ``gap`` in points from one line to the next where they are closest.
    """
    low, high = axis.get_ylim()
    if gap >= CROWDED:
        faint = 0.55 if colour == "white" else 0.9  # on the colours of a spectrogram
        axis.vlines(times, low, high, color=colour, linewidth=0.7, alpha=faint)
        return
    top = high + RUG * (high - low)
    axis.vlines(times, high + 0.15 * (top - high), top, color=colour, linewidth=min(0.7, gap / 2))
    axis.set_ylim(low, top)


def _key(axis: Axes, **lines: tuple[str, str]) -> None:
    """Say above an axis, on the right, what lines of a colour and a style are."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, ls=style, linewidth=1.2, label=name.replace("_", " "))
        for name, (colour, style) in lines.items()
    ]
    axis.legend(handles=handles, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(handles),
                frameon=False, fontsize=8, borderpad=0.1, borderaxespad=0.2)  # fmt: skip


def _figure(path: Path, width: float, height: float) -> Figure:
    """Make an empty figure, in inches, for a file of this name."""
    if path.suffix.lower() not in PICTURES:
        raise UsageError(f"{path}: a picture's name ends in {', '.join(PICTURES)}")
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError("pictures need matplotlib; run: pip install matplotlib") from error
    return Figure(figsize=(width, height), layout="constrained")


def _panels(
    path: Path, seen: Overview, rows: Sequence[float], side: float = 0.0
) -> tuple[Figure, list[tuple[tuple[float, float], list[Axes]]]]:
    """Lay out a figure: a long recording goes on in the next panel, as text in the next line.

    With a `side`, a part of the width, there is room beside the first row; its axes come last.
    """
    count = int(np.clip(np.ceil(seen.seconds / PANEL_SECONDS - 0.25), 1, MAX_PANELS))
    width = max(seen.seconds / count, 1e-3)
    figure = _figure(path, 13, 0.5 + 1.15 * sum(rows) * count)
    panels = []
    for index, part in enumerate(figure.subfigures(count, 1, squeeze=False)[:, 0]):
        grid = part.add_gridspec(
            len(rows), 2 if side else 1, height_ratios=rows, width_ratios=[side, 1] if side else [1]
        )
        span = (index * width, (index + 1) * width)
        first = part.add_subplot(grid[0, -1], xlim=span)
        axes = [first]
        axes += [part.add_subplot(grid[row, -1], sharex=first) for row in range(1, len(rows))]
        for axis in axes[:-1]:
            axis.tick_params(labelbottom=False)
        for axis in axes:
            axis.tick_params(labelsize=8)
            axis.yaxis.label.set_size(8)
            axis.spines[["top", "right"]].set_visible(False)
        axes[-1].xaxis.set_major_formatter(_clock)
        axes[-1].set_xlabel("time (s)" if seen.seconds < 60 else "time (min:s)", fontsize=8)
        beside = [part.add_subplot(grid[0, 0])] if side else []
        panels.append((span, axes + beside))
    return figure, panels


def _clock(seconds: float, position: int | None = None) -> str:
    """Write a time on an axis: seconds, or minutes and seconds from a minute on."""
    if seconds < 60:
        return f"{seconds:g}"
    return f"{int(seconds // 60)}:{seconds % 60:02.0f}"


def _draw_wave(axis: Axes, seen: Overview, start: float, end: float) -> None:
    columns = _columns(seen, start, end, len(seen.lows))
    # The middle of a column's samples; the scale is the recording's own, for quiet ones.
    place = (np.arange(columns.start, columns.stop) + 0.5) * seen.step
    axis.fill_between(place, seen.lows[columns], seen.highs[columns], color=WAVE, linewidth=0.3)
    peak = max(float(np.abs([seen.lows.min(), seen.highs.max()]).max()), 1e-4)
    axis.set(ylim=(-1.05 * peak, 1.05 * peak), ylabel="waveform")
    axis.locator_params(axis="y", nbins=3)


def _draw_spectrogram(axis: Axes, seen: Overview, start: float, end: float, loudest: float) -> None:
    columns = _columns(seen, start, end, seen.spectrogram.shape[1])
    left, right = ((edge - 0.5) * seen.step for edge in (columns.start, columns.stop))
    axis.imshow(
        seen.spectrogram[:, columns],
        origin="lower",
        aspect="auto",
        extent=(left, right, 0, len(seen.frequencies)),
        cmap="magma",
        vmin=max(loudest, -45.0) - DYNAMIC_RANGE,  # silence, which has -120, stays dark
        vmax=max(loudest, -45.0),
        interpolation="nearest",
    )
    ticks = [hz for hz in (100, 300, 1000, 3000, 10_000) if hz < seen.frequencies[-1]]
    places = np.interp(ticks, seen.frequencies, np.arange(len(seen.frequencies)) + 0.5)
    labels = [f"{hz // 1000}k" if hz >= 1000 else str(hz) for hz in ticks]
    axis.set_yticks(places, labels)
    axis.set_xlim(start, end)
    axis.set_ylabel("frequency (Hz)")


def _columns(seen: Overview, start: float, end: float, count: int) -> slice:
    first = max(int(start / seen.step) - 1, 0)
    return slice(first, min(int(end / seen.step) + 2, count))


def _save(figure: Figure, path: Path, title: str, *, overwrite: bool) -> None:
    """Write a figure: same input, same bytes."""
    import warnings

    import matplotlib

    figure.suptitle(_plain(title), fontsize=10)
    suffix = path.suffix.lower().removeprefix(".")
    dates: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}

    def fill(partial: Path) -> None:
        with warnings.catch_warnings(), matplotlib.rc_context({"svg.hashsalt": "audiocli"}):
            warnings.filterwarnings("ignore", "Glyph .* missing")  # names may be in any script
            _settle(figure)
            figure.savefig(partial, format=suffix, dpi=130, metadata=dates.get(suffix))

    write_whole(path, fill, overwrite=overwrite)


def _plain(text: str) -> str:
    """Escape what matplotlib would read as mathematics, and bytes that are no text."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("$", r"\$")


def _settle(figure: Figure) -> None:
    """Lay out once for all, without the last digits, which differ from run to run."""
    layout = figure.get_layout_engine()
    assert layout is not None  # narrows the type; the figure was made with one
    layout.execute(figure)
    figure.set_layout_engine("none")
    parts = [[*part.axes] for part in figure.subfigs] or [[*figure.axes]]
    for alike in zip(*parts, strict=True):  # the same row of each panel begins and ends alike
        places = [axis.get_position() for axis in alike]
        left, right = max(place.x0 for place in places), min(place.x1 for place in places)
        for axis, place in zip(alike, places, strict=True):
            bounds = (left, place.y0, right - left, place.height)
            left, bottom, width, height = (round(float(x), 5) for x in bounds)
            axis.set_position((left, bottom, width, height))


def plot_features(
    path: Path,
    seen: Overview,
    curves: Mapping[str, NDArray[np.floating[Any]]],
    frame_rate: float,
    *,
    rows: Mapping[str, Sequence[str]] | None = None,
    title: str = "",
    overwrite: bool = False,
) -> None:
    """Draw features under the spectrogram: one column as a curve, several as an image."""
    shaped = {label: values.reshape(len(values), -1) for label, values in curves.items()}
    named = rows or {}
    heights = [
        1.7 if values.shape[1] > TALL else 1.1 if label in named else 0.75
        for label, values in shaped.items()
    ]
    figure, panels = _panels(path, seen, rows=(1.7, *heights))
    loudest = float(seen.spectrogram.max())
    for (start, end), (image, *axes) in panels:
        _draw_spectrogram(image, seen, start, end, loudest)
        for axis, (label, values) in zip(axes, shaped.items(), strict=True):
            _draw_feature(axis, label, values, frame_rate, (start, end), named.get(label, ()))
    figure.align_ylabels([axis for _, axes in panels for axis in axes])
    _save(figure, path, title, overwrite=overwrite)


def _draw_area(
    axis: Axes, curve: NDArray[np.floating[Any]], frame_rate: float, span: tuple[float, float]
) -> None:
    """Draw a curve of frames with the area below it filled."""
    shown = _frames(span, frame_rate, len(curve))
    place = np.arange(shown.start, shown.stop) / frame_rate
    axis.fill_between(place, curve[shown], color=CURVE, alpha=0.35, linewidth=0)
    axis.plot(place, curve[shown], color=CURVE, linewidth=0.8)


def _frames(span: tuple[float, float], frame_rate: float, count: int) -> slice:
    """Range of the frames that a panel shows."""
    first = min(max(int(span[0] * frame_rate), 0), count)
    return slice(first, min(int(span[1] * frame_rate) + 2, count))


def _range(values: NDArray[np.floating[Any]]) -> tuple[Array, Array]:
    """Give the range of each column, which is never empty, and no smaller than what rounds."""
    known = np.isfinite(values)
    low = np.where(known, values, np.inf).min(axis=0, initial=np.inf).astype(np.float64)
    high = np.where(known, values, -np.inf).max(axis=0, initial=-np.inf).astype(np.float64)
    low, high = np.where(low > high, 0.0, low), np.where(low > high, 1.0, high)
    least = np.maximum(1e-5 * np.maximum(np.abs(low), np.abs(high)), 1e-6)
    narrow = np.maximum(least - (high - low), 0.0) / 2
    return low - narrow, high + narrow


def _draw_feature(
    axis: Axes,
    label: str,
    values: NDArray[np.floating[Any]],
    frame_rate: float,
    span: tuple[float, float],
    rows: Sequence[str] = (),
) -> None:
    """Draw a feature: a curve of one column, an image of several; what is undefined stays empty."""
    shown = _frames(span, frame_rate, len(values))
    low, high = _range(values)
    if values.shape[1] == 1:
        margin = 0.05 * float(high[0] - low[0])
        place = np.arange(shown.start, shown.stop) / frame_rate
        axis.plot(place, values[shown, 0], color=CURVE, linewidth=0.8)
        axis.set_ylim(float(low[0]) - margin, float(high[0]) + margin)
        axis.locator_params(axis="y", nbins=3)
    else:
        from matplotlib import colormaps

        scaled = (values[shown] - low) / (high - low)
        edges = ((shown.start - 0.5) / frame_rate, (shown.stop - 0.5) / frame_rate)
        axis.imshow(scaled.T, origin="lower", aspect="auto", vmin=0, vmax=1,
                    cmap=colormaps["magma"].with_extremes(bad=UNDEFINED),
                    extent=(*edges, 0, values.shape[1]), interpolation="nearest")  # fmt: skip
        if rows:
            axis.set_yticks(np.arange(len(rows)) + 0.5, rows)
            axis.tick_params(axis="y", length=0, labelsize=6)
        else:
            axis.set_yticks([0, values.shape[1]])
    axis.set_xlim(*span)
    axis.set_ylabel(label, rotation=0, ha="right", va="center")
