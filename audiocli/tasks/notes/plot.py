"""The picture of a melody: a piano roll over the pitch that was followed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from audiocli.colours import CONTOUR, MARK, NOTE
from audiocli.dsp.keys import note_name
from audiocli.tasks.notes.decoding import midi_of
from audiocli.tasks.notes.transcriber import Melody
from audiocli.tasks.plotting import Overview, _draw_wave, _frames, _key, _panels, _save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_notes"]

BLACK_KEYS = (1, 3, 6, 8, 10)
KEY, GRID = "0.94", "0.65"
FEWEST_ROWS = 12  # semitones: a melody of one note is to look like one
HEIGHT = 0.8  # of a note, in semitones


def plot_notes(
    path: Path, seen: Overview, melody: Melody, *, title: str = "", overwrite: bool = False
) -> None:
    """Draw waveform and piano roll: notes where they were sung, the pitch of frames as a line.

    Takes ``path`` (.png, .svg or .pdf).
    """
    figure, panels = _panels(path, seen, rows=(0.6, 2.6))
    low, high = _range(melody)
    for span, (wave, roll) in panels:
        _draw_wave(wave, seen, *span)
        _draw_keys(roll, low, high)
        _draw_notes(roll, melody, span)
        wave.vlines(melody.starts, *wave.get_ylim(), color=MARK, linewidth=0.6, alpha=0.8)
        inside = (melody.beats >= span[0]) & (melody.beats < span[1])
        for time, place in zip(melody.beats[inside], melody.positions[inside], strict=True):
            roll.axvline(time, color=GRID, linewidth=1.2 if place == 1 else 0.4, zorder=1)
        roll.set(xlim=span, ylim=(low - 0.5, high + 0.5), ylabel="pitch")
    lines = {"onset": (MARK, "-"), "note": (NOTE, "-"), "pitch": (CONTOUR, "-")}
    _key(panels[0][1][0], **lines | ({"beat": (GRID, "-")} if len(melody.beats) else {}))
    count = f"{len(melody.starts)} note{'' if len(melody.starts) == 1 else 's'}"
    _save(figure, path, f"{title}    {count}".strip(), overwrite=overwrite)


def _range(melody: Melody) -> tuple[int, int]:
    """Give the lowest and the highest row, as MIDI note numbers."""
    if not len(melody.pitches):
        return 60, 60 + FEWEST_ROWS
    low, high = int(np.floor(melody.pitches.min())) - 1, int(np.ceil(melody.pitches.max())) + 1
    lack = max(FEWEST_ROWS - (high - low), 0)
    return low - lack // 2, high + lack - lack // 2


def _draw_keys(axis: Axes, low: int, high: int) -> None:
    """Draw the rows of black keys, and name the white ones, or the Cs where there are many."""
    rows = range(low, high + 1)
    for row in rows:
        if row % 12 in BLACK_KEYS:
            axis.axhspan(row - 0.5, row + 0.5, color=KEY, linewidth=0, zorder=0)
        if row % 12 in (0, 5):
            axis.axhline(row - 0.5, color="0.8", linewidth=0.5, zorder=0)
    white = [row for row in rows if row % 12 not in BLACK_KEYS]
    named = white if len(white) <= 18 else [row for row in white if row % 12 == 0]
    axis.set_yticks(named, [note_name(row) for row in named])
    axis.tick_params(axis="y", labelsize=6.5)


def _draw_notes(axis: Axes, melody: Melody, span: tuple[float, float]) -> None:
    """Draw a bar a note at its pitch, with the cents, and the pitch of frames over it."""
    inside = (melody.ends > span[0]) & (melody.starts < span[1])
    axis.bar(
        melody.starts[inside],
        HEIGHT,
        np.maximum(melody.ends - melody.starts, 0.01)[inside],
        melody.pitches[inside] - HEIGHT / 2,
        align="edge",
        color=NOTE,
        edgecolor="white",
        linewidth=0.6,
        zorder=2,
    )
    shown = _frames(span, melody.frame_rate, len(melody.f0))
    f0 = melody.f0[shown]
    place = np.arange(shown.start, shown.stop) / melody.frame_rate
    pitch = np.where(f0 > 0, midi_of(f0), np.nan)
    pitch[1:][np.abs(np.diff(pitch)) > 1] = np.nan  # leaps are no glides
    axis.plot(place, pitch, color=CONTOUR, linewidth=0.8, zorder=3)
