"""From audio to onset times: network to activations, and activations to onsets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audiocli.dsp.signals import as_audio, as_blocks, as_rate
from audiocli.errors import UsageError
from audiocli.io.audio.streaming import mono
from audiocli.nn import models, registry
from audiocli.nn.framewise import FramewiseNetwork, activations
from audiocli.tasks.onsets.envelope import Envelope, backtracked, rises
from audiocli.tasks.onsets.start import kept_head, start_activations

__all__ = ["DEFAULT_MODEL", "Decoder", "OnsetDetector", "Onsets", "activations", "decode"]

Audio = NDArray[np.float32]
Activations = NDArray[np.float32]
Times = NDArray[np.float64]

DEFAULT_MODEL = "crnn"


@dataclass(frozen=True)
class Decoder:
    """How activations become onsets.

    Parameters
    ----------
    threshold : float
        A peak must reach this, between 0 and 1.
    combine : float
        Of peaks that lie closer than this, in seconds, the strongest counts.
    min_gap : float
        No onset comes sooner than this after another, in seconds; the first counts.

    Raises
    ------
    UsageError
        If a value cannot be.

    Examples
    --------
    >>> Decoder().combine
    0.03
    """

    threshold: float = 0.5
    combine: float = 0.03
    min_gap: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise UsageError(f"threshold {self.threshold:g}: must lie above 0 and not above 1")
        if self.combine < 0 or self.min_gap < 0:
            raise UsageError("combine and min-gap are seconds, 0 or more")


def decode(
    activations: Activations, frame_rate: float, decoder: Decoder
) -> tuple[Times, Activations]:
    """Pick the peaks of activations (frames,): the times and strengths of onsets."""
    edged = np.pad(activations.astype(np.float64), 1, constant_values=-1.0)
    left, here, right = edged[:-2], edged[1:-1], edged[2:]
    peaks = np.flatnonzero((here >= decoder.threshold) & (here > left) & (here >= right))
    bend = left[peaks] - 2 * here[peaks] + right[peaks]
    # Beyond either end stands -1: a peak in the first or last frame is not moved.
    inner = (left[peaks] >= 0) & (right[peaks] >= 0) & (bend < 0)
    shift = np.zeros(len(peaks))
    shift[inner] = 0.5 * (left[peaks] - right[peaks])[inner] / bend[inner]
    times = (peaks + shift) / frame_rate
    kept = _strongest(times, here[peaks], decoder.combine)
    if decoder.min_gap:
        kept = _apart(times, kept, decoder.min_gap)
    return np.maximum(times[kept], 0.0), here[peaks][kept].astype(np.float32)


def _strongest(times: Times, heights: Times, combine: float) -> list[int]:
    """Keep of any peaks closer than `combine` the strongest."""
    kept: list[int] = []
    for index in range(len(times)):
        if kept and times[index] - times[kept[-1]] < combine:
            if heights[index] > heights[kept[-1]]:
                kept[-1] = index
        else:
            kept.append(index)
    return kept


def _apart(times: Times, indices: Iterable[int], gap: float) -> list[int]:
    """Drop what follows within `gap` of the last that was kept."""
    kept: list[int] = []
    for index in indices:
        if not kept or times[index] - times[kept[-1]] >= gap:
            kept.append(index)
    return kept


@dataclass(frozen=True)
class Onsets:
    """The onsets of a recording.

    Parameters
    ----------
    times : ndarray, shape (onsets,)
        In seconds, rising.
    strengths : ndarray, shape (onsets,)
        Height of each peak of the activations, between 0 and 1.
    saliences : ndarray, shape (onsets,)
        By how much the level rises around each, in dB; 0 where it does not.
    activations : ndarray, shape (frames,)
        How likely an onset is in each frame, between 0 and 1.
    frame_rate : float
        Frames a second of the activations.
    seconds : float
        Length of the recording.

    Examples
    --------
    >>> none = np.array([])
    >>> Onsets(none, none, none, np.zeros(101), 100.0, 1.0).seconds
    1.0
    """

    times: Times
    strengths: Activations
    saliences: Activations
    activations: Activations
    frame_rate: float
    seconds: float


class OnsetDetector:
    """A trained onset detector, ready to run.

    Parameters
    ----------
    model : str
        A name that ``audiocli models list`` shows, or a model folder.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    threshold, combine, min_gap : float, optional
        As in :class:`Decoder`, in place of the model's own.

    Raises
    ------
    ModelError
        If the model is damaged.
    UsageError
        If there is no such model, or a value cannot be.

    Examples
    --------
    >>> detector = OnsetDetector()
    >>> click = np.zeros((1, 44100), np.float32)
    >>> click[0, 22050:22100] = 0.9
    >>> bool(np.all(np.abs(detector(click, 44100).times - 0.5) < 0.02))
    True
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        device: str = "auto",
        threshold: float | None = None,
        combine: float | None = None,
        min_gap: float | None = None,
    ) -> None:
        self.entry = registry.find("onsets", model)
        self.network = models.load_as(FramewiseNetwork, self.entry, models.device(device))
        self.decoder = models.decoder_of(
            self.entry, Decoder, threshold=threshold, combine=combine, min_gap=min_gap
        )

    @property
    def rate(self) -> int:
        """Sample rate at which the network works, in Hz."""
        return self.network.frontend.config.sample_rate

    def __call__(self, audio: Audio, sample_rate: int, *, backtrack: bool = False) -> Onsets:
        """Detect the onsets of a whole signal.

        Parameters
        ----------
        audio : array_like, shape (channels, samples) or (samples,)
            See :mod:`audiocli.dsp.signals` for what else is taken.
        sample_rate : int
            In Hz.
        backtrack : bool
            Move each onset to where the level is lowest before it.

        Returns
        -------
        Onsets
        """
        return self.stream([as_audio(audio)], sample_rate, backtrack=backtrack)

    def stream(
        self, blocks: Iterable[Audio], sample_rate: int, *, backtrack: bool = False
    ) -> Onsets:
        """Detect the onsets of a stream of blocks (channels, samples).

        What is kept of it, 100 values a second, is less than a hundredth of the audio.
        """
        rate, checked = as_rate(sample_rate), as_blocks(blocks, "audio")
        levels = Envelope(self.network.frontend.config.hop_length)
        signal, head = kept_head(levels.measured(mono(checked, rate, self.rate)), self.rate)
        frames = np.concatenate(list(activations(self.network, signal)))
        start = start_activations(self.network, np.concatenate(head))[: len(frames)]
        frames[: len(start)] = np.maximum(frames[: len(start)], start)
        frame_rate = self.network.frontend.config.frame_rate
        times, strengths = decode(frames, frame_rate, self.decoder)
        envelope = levels.decibels()
        saliences = rises(envelope, times, frame_rate)
        if backtrack:
            times = backtracked(envelope, times, frame_rate)
        seconds = levels.samples / self.rate
        return Onsets(times, strengths, saliences, frames, frame_rate, seconds)
