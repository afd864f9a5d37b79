"""From pitch and onset activations to notes, in plain numpy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiocli.errors import FieldError

__all__ = ["Decoder", "Track", "decode", "midi_of"]

Array = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]

#: Pitches of notes, in semitones apart.
STEP = 1 / 3
#: Logarithms of the odds of an onset are not taken beyond this.
LARGEST = 4.0
#: A phrase ends where so many seconds have no pitch, and goes on for so many at most.
REST, LONGEST_PHRASE = 0.5, 60.0
#: Frames with a pitch that a note has at least.
FEWEST = 3


@dataclass(frozen=True)
class Decoder:
    """How pitch and onset activations become notes; costs are natural logarithms of odds.

    Parameters
    ----------
    min_duration : float
        Shorter notes are left out, in seconds.
    onset_threshold : float
        Activations below this are no onsets, between 0 and 1.
    onset_weight, onset_bonus : float
        What a new note gains at a peak of the onset activations: the weight times the logarithm of
        its odds, and the bonus.
    change : float
        What a new note costs without such a peak.
    begin : float
        What a note costs at most after silence.
    end : float
        What going silent costs.
    spread, outlier : float
        A frame costs its distance from the note's pitch, in semitones, divided by `spread`, but no
        more than `outlier`.
    unvoiced, missed : float
        What a frame without pitch costs in a note, and one with a pitch in silence.
    """

    min_duration: float = 0.13
    onset_threshold: float = 0.15
    onset_weight: float = 1.0
    onset_bonus: float = 2.0
    change: float = 20.0
    begin: float = 14.0
    end: float = 2.0
    spread: float = 1.4
    outlier: float = 1.5
    unvoiced: float = 1.3
    missed: float = 0.6

    def __post_init__(self) -> None:
        if not 0 <= self.min_duration <= 5:
            raise FieldError(
                f"{{min_duration}} {self.min_duration:g}: must lie between 0 and 5 s",
                "min_duration",
            )


class Track(NamedTuple):
    """What is known of each frame."""

    f0: Floats  # in Hz, 0 where there is no pitch
    onsets: Floats  # activations between 0 and 1
    frame_rate: float


def midi_of(frequency: Floats) -> Array:
    """Give MIDI note numbers of frequencies in Hz."""
    return 69.0 + 12.0 * np.log2(np.maximum(frequency.astype(np.float64), 1.0) / 440.0)


def decode(track: Track, decoder: Decoder) -> tuple[Array, Array, Array]:
    """Find the notes: onsets and offsets in seconds, and MIDI note numbers, each (notes,)."""
    found = []
    for first, last in _phrases(track):
        part = Track(track.f0[first:last], track.onsets[first:last], track.frame_rate)
        for begin, end in _notes(part, decoder):
            note = _measured(part, begin, end, decoder)
            if note is not None:
                found.append((note[0] + first / track.frame_rate,
                              note[1] + first / track.frame_rate, note[2]))  # fmt: skip
    starts, ends, pitches = np.array(found, np.float64).reshape(-1, 3).T
    starts = np.maximum.accumulate(starts) if len(starts) else starts
    ends[:-1] = np.minimum(ends[:-1], starts[1:])
    return starts, np.maximum(ends, starts), pitches


def _phrases(track: Track) -> Iterator[tuple[int, int]]:
    """Cut at long rests, so that what is kept of paths does not grow with the recording."""
    voiced = np.flatnonzero(track.f0 > 0)
    if not len(voiced):
        return
    rest, longest = (round(each * track.frame_rate) for each in (REST, LONGEST_PHRASE))
    gaps = np.flatnonzero(np.diff(voiced) > rest)
    margin = rest // 4
    for start, end in zip(
        voiced[np.concatenate([[0], gaps + 1])], voiced[np.append(gaps, -1)] + 1, strict=True
    ):
        first, last = max(int(start) - margin, 0), min(int(end) + margin, len(track.f0))
        while last - first > longest:  # where an onset is likeliest
            half = first + longest // 2
            cut = half + int(track.onsets[half : first + longest].argmax())
            yield first, cut
            first = cut
        yield first, last


def _notes(track: Track, decoder: Decoder) -> list[tuple[int, int]]:
    """Find the best path (Viterbi) through silence and notes; give the frames of each note."""
    voiced = track.f0 > 0
    enter, begin = _entering(track.onsets.astype(np.float64), decoder)
    pitches = midi_of(track.f0)
    low, high = (float(each) for each in (pitches[voiced].min(), pitches[voiced].max()))
    grid = np.arange(low, high + STEP, STEP)
    silent = np.where(voiced, -decoder.missed, 0.0)
    count = len(track.f0)
    fresh = np.zeros((count, len(grid)), np.bool_)  # whether a note begins in this frame
    source = np.full(count, -1, np.int32)  # after which note it does; -1 is silence
    ended = np.full(count, -1, np.int32)  # the note before this frame's silence
    notes = np.full(len(grid), -np.inf)
    silence = 0.0
    for frame in range(count):
        best = int(notes.argmax())
        after_note, after_rest = notes[best] + enter[frame], silence + begin[frame]
        source[frame] = -1 if after_rest > after_note else best
        new = max(after_note, after_rest)
        fresh[frame] = new > notes
        if notes[best] - decoder.end > silence:
            ended[frame], silence = best, notes[best] - decoder.end
        silence += silent[frame]
        costs = (
            np.minimum(np.abs(pitches[frame] - grid) / decoder.spread, decoder.outlier)
            if voiced[frame]
            else decoder.unvoiced
        )
        notes = np.maximum(notes, new) - costs
    best = int(notes.argmax())
    state = best if notes[best] - decoder.end > silence else -1
    return _traced(state, fresh, source, ended)


def _traced(
    state: int, fresh: NDArray[np.bool_], source: NDArray[np.int32], ended: NDArray[np.int32]
) -> list[tuple[int, int]]:
    """Go back along the best path, from the state of the last frame."""
    found, end = [], len(source)
    for frame in range(len(source) - 1, -1, -1):
        if state < 0:
            state = int(ended[frame])
            end = frame
        elif fresh[frame, state]:
            found.append((frame, end))
            state, end = int(source[frame]), frame
    return found[::-1]


def _entering(onsets: Array, decoder: Decoder) -> tuple[Array, Array]:
    """Give what a note gains that begins in each frame, after another and after silence."""
    edged = np.pad(onsets, 1, constant_values=-1.0)
    peaks = (onsets >= decoder.onset_threshold) & (onsets > edged[:-2]) & (onsets >= edged[2:])
    likely = np.clip(onsets, 1e-9, 1 - 1e-9)
    odds = np.clip(np.log(likely / (1 - likely)), -LARGEST, LARGEST)
    gain = decoder.onset_bonus + decoder.onset_weight * odds
    enter = np.where(peaks, np.maximum(gain, -decoder.change), -decoder.change)
    return enter, np.maximum(enter, -decoder.begin)


def _measured(
    track: Track, begin: int, end: int, decoder: Decoder
) -> tuple[float, float, float] | None:
    """Give onset, offset and pitch of a note; None if it is too short."""
    sounding = begin + np.flatnonzero(track.f0[begin:end] > 0)
    if len(sounding) < FEWEST:
        return None
    offset = int(sounding[-1]) + 1
    if (offset - begin) / track.frame_rate < decoder.min_duration:
        return None
    pitch = float(np.median(midi_of(track.f0[sounding])))
    onset = begin + _shift(track.onsets, begin, decoder.onset_threshold)
    return max(onset, 0.0) / track.frame_rate, offset / track.frame_rate, pitch


def _shift(onsets: Floats, frame: int, threshold: float) -> float:
    """Put a parabola through a peak; give by how much its top lies beside the frame."""
    if not 0 < frame < len(onsets) - 1 or onsets[frame] < threshold:
        return 0.0
    left, here, right = (float(onsets[frame + offset]) for offset in (-1, 0, 1))
    bend = left - 2 * here + right
    return 0.5 * (left - right) / bend if bend < 0 and here >= max(left, right) else 0.0
