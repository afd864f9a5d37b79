"""A picture of beats: waveform, spectrogram and activations, with beats and bars."""

from __future__ import annotations

from pathlib import Path

from audiocli.colours import BEAT, MARK
from audiocli.tasks.beat_tracker import Beats
from audiocli.tasks.plotting import (
    Overview,
    _draw_area,
    _draw_spectrogram,
    _draw_wave,
    _key,
    _panels,
    _save,
)

__all__ = ["plot_beats"]


def plot_beats(
    path: Path, seen: Overview, beats: Beats, *, title: str = "", overwrite: bool = False
) -> None:
    """Draw waveform, spectrogram and activations with the beats; downbeats stand out.

    Parameters
    ----------
    path : Path
        ``.png``, ``.svg`` or ``.pdf``.
    seen : Overview
        The recording.
    beats : Beats
    title : str
        Above the picture.
    overwrite : bool
        Whether a file that is there may be replaced.

    Raises
    ------
    UsageError
        If the extension is another, matplotlib is not installed, or the file is there.
    """
    figure, panels = _panels(path, seen, rows=(1.0, 1.7, 0.9))
    loudest = float(seen.spectrogram.max())
    for (start, end), (wave, image, curve) in panels:
        _draw_wave(wave, seen, start, end)
        _draw_spectrogram(image, seen, start, end, loudest)
        _draw_area(curve, beats.curves[:, 0], beats.frame_rate, (start, end))
        curve.set(ylim=(0, 1.05), yticks=[0, 0.5, 1], ylabel="beat\nactivation")
        for time, position in zip(beats.times, beats.positions, strict=True):
            if not start <= time < end:
                continue
            first = position == 1
            colour, width = (MARK, 1.6) if first else (BEAT, 0.7)
            wave.axvline(time, color=colour, linewidth=width, alpha=0.9)
            image.axvline(time, color="white", linewidth=width, alpha=0.9 if first else 0.5)
            curve.axvline(time, color=colour, linewidth=width, alpha=0.9)
    _key(panels[0][1][0], downbeat=(MARK, "-"), beat=(BEAT, "-"))
    _save(figure, path, f"{title}    {_described(beats)}".strip(), overwrite=overwrite)


def _described(beats: Beats) -> str:
    tempo = beats.tempo
    if tempo.bpm is None:
        return "no beat"
    meter = "" if tempo.meter is None else f", {tempo.meter} beats a bar"
    return f"{tempo.bpm:.1f} beats a minute{meter}"
