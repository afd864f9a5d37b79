"""From audio to notes: pitch and onset activations in one pass, then the decoder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiocli.dsp.frames import Framer, Framing
from audiocli.dsp.keys import Key, find_key
from audiocli.dsp.pitch import Pitch, PitchTracker
from audiocli.dsp.signals import as_audio, as_blocks, as_rate
from audiocli.errors import FieldError, warn
from audiocli.io.audio.streaming import mono
from audiocli.nn import models, registry
from audiocli.nn.framewise import FramewiseNetwork, activations
from audiocli.tasks.notes.decoding import Decoder, Track, decode

__all__ = ["DEFAULT_MODEL", "FMAX", "FMIN", "SINGLE_VOICE", "Melody", "NoteTranscriber"]

Audio = NDArray[np.float32]
Array = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]

DEFAULT_MODEL = "crnn"  # of those that detect onsets
#: Lowest and highest pitch looked for, in Hz: A1 and C7.
FMIN, FMAX = 55.0, 2100.0
#: Length of the frames of the pitch, in seconds: longer ones smooth out a vibrato.
FRAME_SECONDS = 0.0464

#: A frame sounds if its level is within so many dB of the loud ones; below the other distance it is
#: too soft to be a note of the same voice, such as what separation leaves in a rest.
SOUNDING, SOFTEST = 30.0, 45.0
LOUD = 95  # percentile
SILENT = -90.0  # dB
#: A melody has a key if it has so many notes, of so many pitch classes.
FEWEST_NOTES, FEWEST_STEPS = 8, 4
#: Below this mean probability of a pitch, where something sounds, it is hardly one voice.
SINGLE_VOICE = 0.45


@dataclass(frozen=True)
class Melody:
    """The notes of a recording, and the pitch that they are made of.

    Parameters
    ----------
    starts, ends : ndarray, shape (notes,)
        Onsets and offsets in seconds; no note begins before the one before has ended.
    pitches : ndarray, shape (notes,)
        MIDI note numbers with cents: 69.0 is 440 Hz.
    confidences : ndarray, shape (notes,)
        Mean probability of a pitch in the frames of each, between 0 and 1.
    f0 : ndarray, shape (frames,)
        Fundamental frequency in Hz, 0.0 where there is none.
    onsets : ndarray, shape (frames,)
        Onset activations between 0 and 1.
    frame_rate : float
        Frames a second of both.
    single_voice : float
        Mean probability of one pitch where something sounds, 0 to 1; NaN in silence. Solo voices
        have 0.7 and more, bands 0.3 and less.
    seconds : float
        Length of the recording.
    beats : ndarray, shape (beats,)
        In seconds, where they were looked for.
    positions : ndarray of int, shape (beats,)
        Of the beats in the bar; 1 for the downbeat.

    Examples
    --------
    >>> none = np.zeros(0)
    >>> Melody(none, none, none, none, none, none, 100.0, 1.0, 0.5).seconds
    0.5
    """

    starts: Array
    ends: Array
    pitches: Array
    confidences: Array
    f0: Floats
    onsets: Floats
    frame_rate: float
    single_voice: float
    seconds: float
    beats: Array = field(default_factory=lambda: np.zeros(0))
    positions: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def key(self) -> Key | None:
        """The key that the pitch classes fit best, by how long each sounds.

        None of few notes.
        """
        numbers = np.round(self.pitches).astype(int) % 12
        if len(numbers) < FEWEST_NOTES or len(set(numbers.tolist())) < FEWEST_STEPS:
            return None
        return find_key(np.bincount(numbers, self.ends - self.starts, minlength=12))


class NoteTranscriber:
    """A transcriber of melodies, ready to run.

    Parameters
    ----------
    model : str
        A model that detects onsets: a name that ``audiocli models list`` shows, or a folder.
    device : str
        ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
    fmin, fmax : float
        Lowest and highest pitch in Hz.
    min_duration : float, optional
        Shorter notes are left out, in seconds.

    Raises
    ------
    ModelError
        If the model is damaged.
    UsageError
        If there is no such model, or a value cannot be.

    References
    ----------
    Mauch et al.: Computer-aided melody note transcription using the Tony software: accuracy and
    efficiency. TENOR 2015.

    Examples
    --------
    >>> time = np.arange(22050) / 22050
    >>> melody = NoteTranscriber()(np.sin(2 * np.pi * 220 * time) * (time > 0.3) / 2, 22050)
    >>> melody.pitches.round(1)
    array([57.])
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        device: str = "auto",
        fmin: float = FMIN,
        fmax: float = FMAX,
        min_duration: float | None = None,
    ) -> None:
        self.entry = registry.find("onsets", model)
        self.network = models.load_as(FramewiseNetwork, self.entry, models.device(device))
        if not 20 <= fmin < fmax <= self.rate / 8:
            raise FieldError(
                f"{{fmin}} {fmin:g}, {{fmax}} {fmax:g}: must be a range of pitches between 20 and "
                f"{self.rate / 8:g} Hz", "fmin", "fmax"
            )  # fmt: skip
        self.fmin, self.fmax = fmin, fmax
        decoder = Decoder()
        self.decoder = (
            decoder if min_duration is None else replace(decoder, min_duration=min_duration)
        )

    @property
    def rate(self) -> int:
        """Sample rate at which the network works, in Hz."""
        return self.network.frontend.config.sample_rate

    def __call__(self, audio: Audio, sample_rate: int) -> Melody:
        """Transcribe a whole signal.

        Parameters
        ----------
        audio : array_like, shape (channels, samples) or (samples,)
            See :mod:`audiocli.dsp.signals` for what else is taken.
        sample_rate : int
            In Hz.

        Returns
        -------
        Melody
        """
        return self.stream([as_audio(audio)], sample_rate)

    def stream(self, blocks: Iterable[Audio], sample_rate: int, *, warning: bool = True) -> Melody:
        """Transcribe a stream of blocks (channels, samples); 100 frames a second are kept of it.

        With `warning`, warns where it hardly is one voice.
        """
        rate, checked = as_rate(sample_rate), as_blocks(blocks, "audio")
        config = self.network.frontend.config
        follower = _Follower(self.rate, config.hop_length, self.fmin, self.fmax)
        signal = follower.passing(mono(checked, rate, self.rate))
        onsets = np.concatenate(list(activations(self.network, signal)))
        pitch, levels = follower.finish(len(onsets))
        f0 = np.where(levels > _loud(levels) - SOFTEST, pitch.f0, 0)
        track = Track(f0, onsets, config.frame_rate)
        starts, ends, pitches = decode(track, self.decoder)
        seconds = follower.samples / self.rate
        ends = np.minimum(ends, seconds)  # the last frame reaches beyond the end
        single = _single_voice(pitch.probability, levels)
        if warning and single < SINGLE_VOICE:
            warn(f"{100 * (1 - single):.0f} % of what sounds has no single pitch: notes are those "
                 "of one voice, and of chords or a band they mean little")  # fmt: skip
        return Melody(
            starts,
            ends,
            pitches,
            _means(pitch.probability, starts, ends, config.frame_rate),
            f0,
            onsets,
            config.frame_rate,
            single,
            seconds,
        )


class _Follower:
    """Follows the pitch and the level of a stream that passes by."""

    def __init__(self, rate: int, hop_length: int, fmin: float, fmax: float) -> None:
        # Two periods of the lowest pitch must fit in.
        length = max(round(FRAME_SECONDS * rate), 2 * (int(rate / fmin) + 3))
        self.framer = Framer(Framing(length + length % 2, hop_length))
        self.tracker = PitchTracker(rate, fmin, fmax, hop_length)
        self.pitches: list[Pitch] = []
        self.levels: list[Floats] = []
        self.samples = 0

    def passing(self, blocks: Iterable[Audio]) -> Iterator[Audio]:
        for block in blocks:
            self.samples += len(block)
            self._take(self.framer.push(block))
            yield block

    def finish(self, count: int) -> tuple[Pitch, Array]:
        """Give so many frames, and their levels in dB."""
        self._take(self.framer.flush())
        self.pitches.append(self.tracker.finish())
        f0 = _fitted(np.concatenate([each.f0 for each in self.pitches]), count)
        voiced = _fitted(np.concatenate([each.voiced for each in self.pitches]), count)
        probability = _fitted(np.concatenate([each.probability for each in self.pitches]), count)
        powers = _fitted(np.concatenate([np.zeros(0), *self.levels]), count)
        return Pitch(f0, voiced > 0, probability), 10 * np.log10(powers + 1e-12)

    def _take(self, frames: Floats) -> None:
        if len(frames):
            self.pitches.append(self.tracker.push(frames))
            self.levels.append(np.mean(np.square(frames, dtype=np.float64), axis=1))


def _fitted(values: Floats, count: int) -> Floats:
    """Cut to so many frames, or fill up with zeros."""
    return np.pad(values[:count], (0, max(count - len(values), 0)))


def _means(values: Floats, starts: Array, ends: Array, frame_rate: float) -> Array:
    """Give the means over notes."""
    edges = np.round(np.stack([starts, ends]) * frame_rate).astype(int)
    pairs = zip(edges[0].tolist(), edges[1].tolist(), strict=True)
    return np.array([float(values[a : max(b, a + 1)].mean()) for a, b in pairs])


def _loud(levels: Array) -> float:
    """Give the level of loud frames, in dB; silence has none."""
    return max(float(np.percentile(levels, LOUD)), SILENT) if len(levels) else SILENT


def _single_voice(probability: Floats, levels: Array) -> float:
    """Give how likely one pitch is, on average where something sounds; NaN in silence."""
    sounding = levels > max(_loud(levels) - SOUNDING, SILENT)
    return float(probability[sounding].mean()) if sounding.any() else float("nan")
