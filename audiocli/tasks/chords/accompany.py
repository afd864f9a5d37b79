"""Write a recording with its chords played beside it, to check them by ear."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocli.io.audio.levels import Level
from audiocli.io.formats import Segments
from audiocli.io.overlay import Audio, Layer, write_overlaid

__all__ = ["write_chords"]

QUIETEST = 0.05  # root mean square that silence counts as
#: Amplitudes of the partials of a tone, dark enough to leave the song's own colours alone.
PARTIALS = (1.0, 0.45, 0.2, 0.1, 0.05)
ATTACK, RELEASE = 0.012, 0.12  # seconds
DECAY, SUSTAIN = 0.9, 0.35  # seconds to 1/e on the way down to this share, which is then held


def write_chords(
    source: Path,
    target: Path,
    chords: Segments,
    pitches_of: Callable[[str], Sequence[int]],
    *,
    name: str | None = None,
    overwrite: bool = False,
    level: float = -6.0,
) -> None:
    """Write a file's sound with chords played beside it, in constant memory.

    The chords are struck on a soft electric piano where they begin, in all channels alike, and
    held until they end.
    """
    pitches = [tuple(pitches_of(label)) for label in chords.labels]

    def make(recording: Level, rate: int) -> Layer:
        loudness = max(recording.rms, QUIETEST) * 10 ** (level / 20)
        # The last chord is let go before the recording ends: cut off, it would click.
        latest = max(recording.frames / rate - RELEASE, 0.0)
        spans = zip(chords.starts.tolist(), chords.ends.tolist(), pitches, strict=True)
        strikes = [
            _Strike(start, min(end, latest), notes, rate, loudness)
            for start, end, notes in spans
            if notes and min(end, latest) > start
        ]
        samples = _playing(strikes, rate)
        return Layer(_peak(samples, recording.frames), samples)

    write_overlaid(source, target, make, name=name, overwrite=overwrite)


@dataclass(frozen=True)
class _Strike:
    """A chord that is struck and held, in seconds, at a root mean square when it is struck."""

    start: float
    end: float
    pitches: tuple[int, ...]
    rate: int
    loudness: float

    @property
    def over(self) -> float:
        """When its last sound has died away."""
        return self.end + RELEASE

    @property
    def gain(self) -> float:
        """Amplitude of each tone, such that all together are as loud as one."""
        power = len(self.pitches) * np.square(PARTIALS).sum() / 2
        return float(self.loudness / np.sqrt(power))

    def sound(self, first: int, end: int) -> NDArray[np.float64]:
        """Compute its samples in a range of the recording that lies within its time."""
        t = np.arange(first, end) / self.rate - self.start
        dying = np.exp(-t / DECAY)
        envelope = SUSTAIN + (1 - SUSTAIN) * dying
        envelope *= _rise(t / ATTACK) * _rise((self.over - self.start - t) / RELEASE)
        tones = np.zeros_like(t)
        for pitch in self.pitches:
            tones += _tone(440 * 2 ** ((pitch - 69) / 12), t, dying, self.rate)
        return self.gain * envelope * tones


def _rise(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Go smoothly from 0 at 0 to 1 at 1."""
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.clip(share, 0, 1)))


def _tone(
    hertz: float, t: NDArray[np.float64], dying: NDArray[np.float64], rate: int
) -> NDArray[np.float64]:
    """Add up the partials below the Nyquist frequency; the upper ones die away first."""
    phase = 2 * np.pi * hertz * t
    sine, below = np.sin(phase), np.zeros_like(t)
    step, rest = 2 * dying * np.cos(phase), dying**2
    tone = np.zeros_like(t)
    for number, amplitude in enumerate(PARTIALS, 1):
        if number * hertz > 0.45 * rate:
            break
        tone += amplitude * sine
        # sin (k+1)x = 2 cos x sin kx - sin (k-1)x, each with one more factor of what dies
        sine, below = step * sine - rest * below, sine
    return tone


def _peak(samples: Callable[[int, int], Audio], frames: int, block: int = 65_536) -> float:
    """Find the highest sample; the sum of all amplitudes would be far above it."""
    starts = range(0, frames, block)
    peaks = (np.abs(samples(first, min(first + block, frames))).max() for first in starts)
    return float(max(peaks, default=0.0))


def _playing(strikes: Sequence[_Strike], rate: int) -> Callable[[int, int], Audio]:
    """Return a function that computes any range of samples of the chords."""
    starts = np.array([strike.start for strike in strikes])
    overs = np.array([strike.over for strike in strikes])

    def samples(first: int, end: int) -> Audio:
        sound = np.zeros(end - first)
        sounding = (starts < end / rate) & (overs > first / rate)
        for strike in (strikes[index] for index in np.flatnonzero(sounding).tolist()):
            here = max(int(np.ceil(strike.start * rate)), first)
            stop = min(int(np.ceil(strike.over * rate)), end)
            sound[here - first : stop - first] += strike.sound(here, stop)
        return sound.astype(np.float32)

    return samples
