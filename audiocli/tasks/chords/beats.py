"""Beats and bars, to write chords on a sheet.

Beats are where the sound rises in the rhythm of the tempo, found by dynamic programming in
librosa. Bars begin where chords change: beats are counted in fours, or in threes, so that first
beats have the most changes; where that pays, a bar may be cut short.

Limits: a steady tempo is expected; one of twice or half as many beats may be found.

References
----------
Ellis: Beat tracking by dynamic programming. Journal of New Music Research 36(1), 2007.
Goto: An audio-based real-time beat tracking system for music with or without drum-sounds.
Journal of New Music Research 30(2), 2001, for chord changes on first beats.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from audiocli.dsp.compiled import import_librosa
from audiocli.dsp.rhythm import pick_onsets, tempo
from audiocli.io.audio.streaming import mono
from audiocli.nn.framewise import in_segments
from audiocli.nn.frontend import Filterbank, FilterbankConfig
from audiocli.tasks.chords.decoding import best_path
from audiocli.tasks.chords.key import Passage

__all__ = ["find_bars", "find_beats"]

Audio = NDArray[np.float32]
Times = NDArray[np.float64]

FRONTEND = FilterbankConfig(
    sample_rate=22_050, n_ffts=(1024,), hop_length=441, bands=60, fmin=30.0, fmax=10_000.0
)
USUAL_TEMPO = 100.0  # beats a minute
#: Least rise above the surroundings (1 dB in all bands) that counts as a stroke, and the least
#: number of strokes: two intervals that can be alike.
STANDS_OUT, FEWEST = 1.0 / 20.0, 3
SLACK = 0.17  # seconds between a beat and the change of chord that belongs to it
BROKEN = 3.0  # what it costs to count on from another place: changes of chord
#: How much better counting in threes must be: most songs are in four.
TRIPLE = 1.15


def find_beats(blocks: Iterable[Audio], sample_rate: int) -> Times:
    """Find the beats of a stream of blocks (channels, samples), in seconds."""
    bank = Filterbank(FRONTEND)

    def rises(audio: Tensor) -> Tensor:
        return bank.frames(audio)[:, 1].mean(dim=1, keepdim=True)

    parts = list(
        in_segments(bank, FRONTEND, rises, mono(blocks, sample_rate, FRONTEND.sample_rate))
    )
    envelope = np.concatenate(parts)[:, 0].astype(np.float64)
    pace = tempo(envelope, FRONTEND.sample_rate, FRONTEND.hop_length, start_bpm=USUAL_TEMPO)
    if not math.isfinite(pace) or _strokes(envelope) < FEWEST:
        return np.array([])
    _, frames = import_librosa().beat.beat_track(
        onset_envelope=envelope,
        sr=FRONTEND.sample_rate,
        hop_length=FRONTEND.hop_length,
        bpm=pace,
        trim=False,
    )
    return np.asarray(frames, np.float64) / FRONTEND.frame_rate


def _strokes(envelope: Times) -> int:
    """Count what stands out of the envelope: hum, noise and a single stroke beat no time."""
    return len(
        pick_onsets(envelope, FRONTEND.sample_rate, FRONTEND.hop_length, threshold=STANDS_OUT)
    )


def find_bars(beats: Times, passages: Sequence[Passage]) -> Times:
    """Find which beats begin a bar, from where the chords change."""
    if not len(beats):
        return beats
    changes = np.array([each.start for each in passages[1:]])
    if not len(changes):
        return beats[::4]
    nearest = np.abs(beats[:, None] - changes[None]).argmin(axis=0)
    close = np.abs(beats[nearest] - changes) < SLACK
    counts = np.bincount(nearest[close], minlength=len(beats)).clip(max=1)
    fours, good = _counted(counts, 4)
    threes, better = _counted(counts, 3)
    return beats[threes if better > TRIPLE * good else fours]


def _counted(changes: NDArray[np.intp], beats_a_bar: int) -> tuple[NDArray[np.bool_], float]:
    """Count beats so that chords change on first ones; a bar cut short costs a few of them.

    Returns which beats are first, and how many more chords change there than by chance.
    """
    places = np.zeros((len(changes), beats_a_bar), np.float32)
    places[:, 0] = changes * (1 - 1 / beats_a_bar)
    places[:, 1:] = (-changes / beats_a_bar)[:, None]
    table = np.full((beats_a_bar, beats_a_bar), -BROKEN)
    for place in range(beats_a_bar):
        table[place, (place + 1) % beats_a_bar] = 0.0
    path = np.concatenate(list(best_path([places], table, 1.0)))
    return path == 0, float(places[np.arange(len(path)), path].sum())
