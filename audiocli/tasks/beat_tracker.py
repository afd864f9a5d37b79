"""From audio to beats, tempo and metre: what several tasks take them from.

The network and the decoding are the same for ``audiocli beats``, for chord sheets and for the
tempo among the features, so that they cannot disagree. What only the command does is in
:mod:`audiocli.tasks.beats`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiocli.dsp.bar_pointer import BarPointer, tempo_of, track
from audiocli.dsp.signals import as_audio, as_blocks, as_rate
from audiocli.errors import UsageError
from audiocli.io.audio.streaming import Counted, mono
from audiocli.nn import models, registry
from audiocli.nn.framewise import FramewiseNetwork, in_segments

__all__ = ["DEFAULT_MODEL", "BeatTracker", "Beats", "Tempo", "activations"]

Audio = NDArray[np.float32]
Curves = NDArray[np.float32]
Times = NDArray[np.float64]

DEFAULT_MODEL = "tcn"
#: Seconds of a long recording that go through the network at once, and on each side besides: the
#: dilated layers look some bars ahead and back.
SEGMENT, CONTEXT = 40.0, 10.0
FEWEST = 4  # beats that have a tempo
#: Mean activation at the beats below which there is no beat: noise and talk reach half of it.
WEAKEST = 0.2


@dataclass(frozen=True)
class Tempo:
    """The tempo of a recording.

    Parameters
    ----------
    bpm : float or None
        Beats a minute, the median over the recording; None where there is no beat.
    confidence : float
        Between 0 and 1: how clear the beats are, and how much clearer than at half and at double
        the tempo.
    candidates : tuple of (float, float)
        Tempi somebody could tap, each with its share, the likeliest first: this one, its half
        and its double.
    meter : int or None
        Beats in most bars; None where there are no two bars.

    Examples
    --------
    >>> Tempo(None, 0.0, (), None).bpm is None
    True
    """

    bpm: float | None
    confidence: float
    candidates: tuple[tuple[float, float], ...]
    meter: int | None


@dataclass(frozen=True)
class Beats:
    """The beats of a recording.

    Parameters
    ----------
    times : ndarray, shape (beats,)
        In seconds, rising.
    positions : ndarray of int, shape (beats,)
        In the bar; 1 for the downbeat.
    curves : ndarray, shape (frames, 2)
        Activations of beat and downbeat, between 0 and 1.
    frame_rate : float
        Frames a second of the curves.
    seconds : float
        Length of the recording.

    Examples
    --------
    >>> none = np.zeros(0)
    >>> Beats(none, none.astype(int), np.zeros((51, 2), np.float32), 50.0, 1.0).tempo.bpm is None
    True
    """

    times: Times
    positions: NDArray[np.int64]
    curves: Curves
    frame_rate: float
    seconds: float

    @property
    def downbeats(self) -> Times:
        """The beats that begin a bar."""
        bars: Times = self.times[self.positions == 1]
        return bars

    @property
    def strengths(self) -> Curves:
        """The activation at each beat."""
        return self._near(self.times)

    @cached_property
    def tempo(self) -> Tempo:
        """Tempo and metre."""
        times = self.times
        if len(times) < FEWEST:
            return Tempo(None, 0.0, (), None)
        bpm = tempo_of(times)
        assert bpm is not None  # of so many beats
        strengths = self.strengths
        between = self._near((times[1:] + times[:-1]) / 2)
        whole = float(strengths.mean())
        double = float(between.mean())
        half = float(abs(strengths[::2].mean() - strengths[1::2].mean()))
        total = max(whole + double + half, 1e-6)
        shares = ((bpm, whole / total), (bpm / 2, half / total), (2 * bpm, double / total))
        candidates = tuple(sorted(shares, key=lambda pair: -pair[1]))
        intervals = np.diff(times)
        even = float(np.mean(np.abs(intervals * bpm / 60 - 1) < 0.15))
        return Tempo(bpm, min(whole, 1.0) * even * whole / total, candidates, self._meter())

    def _meter(self) -> int | None:
        lengths = np.diff(np.flatnonzero(self.positions == 1))
        return int(np.bincount(lengths).argmax()) if len(lengths) else None

    def _near(self, times: Times) -> Curves:
        """Give the highest activation of a beat within a frame of times."""
        if not len(self.curves):
            return np.zeros(len(times), np.float32)
        frames = np.round(times * self.frame_rate).astype(int)
        around = np.clip(frames[:, None] + np.arange(-1, 2), 0, len(self.curves) - 1)
        highest: Curves = self.curves[:, 0][around].max(axis=1)
        return highest


def activations(network: FramewiseNetwork, blocks: Iterable[Audio]) -> Iterator[Curves]:
    """Run a network over a stream, in constant memory.

    Parameters
    ----------
    network : FramewiseNetwork
        With two outputs a frame.
    blocks : iterable of ndarray, shape (samples,)
        Mono, at the network's rate.

    Yields
    ------
    ndarray, shape (frames, 2)
        Of beat and downbeat, between 0 and 1; frame t is centred on sample t * hop_length.
    """

    def sigmoid(audio: Tensor) -> Tensor:
        return torch.sigmoid(network.of_frames(audio)[:, :2].float())

    yield from in_segments(
        network, network.frontend.config, sigmoid, blocks, segment=SEGMENT, context=CONTEXT
    )


class BeatTracker:
    """A trained beat tracker, ready to run.

    Parameters
    ----------
    model : str
        A name that ``audiocli models list`` shows, or a model folder.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    meters : tuple of int, optional
        Beats a bar that may be; by default the model's own, 3 and 4.
    tempo_range : tuple of float, optional
        Slowest and fastest tempo, in beats a minute; by default 40 to 215.
    downbeat : float, optional
        A time in seconds at which a bar begins, to help.

    Raises
    ------
    ModelError
        If the model is damaged.
    UsageError
        If there is no such model, or a value cannot be.

    Examples
    --------
    >>> tracker = BeatTracker()
    >>> tracker(np.zeros((1, 44100), np.float32), 44100).times.size
    0
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        device: str = "auto",
        meters: tuple[int, ...] | None = None,
        tempo_range: tuple[float, float] | None = None,
        downbeat: float | None = None,
    ) -> None:
        self.entry = registry.find("beats", model)
        self.network = models.load_as(FramewiseNetwork, self.entry, models.device(device))
        self.pointer = models.decoder_of(
            self.entry, BarPointer, meters=meters, tempo_range=tempo_range
        )
        if downbeat is not None and not (np.isfinite(downbeat) and downbeat >= 0):
            raise UsageError(f"downbeat {downbeat:g}: must be a time in seconds, 0 or more")
        self.downbeat = downbeat

    @property
    def rate(self) -> int:
        """Sample rate at which the network works, in Hz."""
        return self.network.frontend.config.sample_rate

    def __call__(self, audio: Audio, sample_rate: int) -> Beats:
        """Find the beats of a whole signal.

        Parameters
        ----------
        audio : array_like, shape (channels, samples) or (samples,)
            See :mod:`audiocli.dsp.signals` for what else is taken.
        sample_rate : int
            In Hz.

        Returns
        -------
        Beats
        """
        return self.stream([as_audio(audio)], sample_rate)

    def stream(self, blocks: Iterable[Audio], sample_rate: int) -> Beats:
        """Find the beats of a stream of blocks (channels, samples).

        What is kept of it are two activations a frame.
        """
        rate, checked = as_rate(sample_rate), as_blocks(blocks, "audio")
        signal = Counted(mono(checked, rate, self.rate))
        curves = np.concatenate(list(activations(self.network, signal)))
        frame_rate = self.network.frontend.config.frame_rate
        times, positions = self.decode(curves, frame_rate)
        seconds = signal.samples / self.rate
        kept = times < seconds
        return Beats(times[kept], positions[kept], curves, frame_rate, seconds)

    def decode(self, curves: Curves, frame_rate: float) -> tuple[Times, NDArray[np.int64]]:
        """Find beats and their positions in the bar from activations, in plain numpy."""
        if self.downbeat is not None:
            curves = _with_downbeat(curves, frame_rate, self.downbeat)
        times, positions = track(curves, frame_rate, self.pointer)
        found = Beats(times, positions, curves, frame_rate, len(curves) / frame_rate)
        if len(times) < FEWEST or found.strengths.mean() < WEAKEST:
            return times[:0], positions[:0]
        return times, positions


def _with_downbeat(curves: Curves, frame_rate: float, time: float) -> Curves:
    """Put a downbeat where somebody says there is one; beside it there is no beat."""
    told = curves.copy()
    frame = round(time * frame_rate)
    if frame >= len(told):
        raise UsageError(
            f"downbeat {time:g} s: lies beyond the end at {len(told) / frame_rate:.2f} s"
        )
    beside = max(1, round(0.15 * frame_rate))
    told[max(frame - beside, 0) : frame + beside + 1] = 0.0
    told[frame] = 1.0
    return told
