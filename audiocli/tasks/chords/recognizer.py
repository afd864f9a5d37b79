"""Recognise chords: the loaded model, and the chords of a recording."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from audiocli.dsp.bar_pointer import tempo_of
from audiocli.dsp.signals import as_audio, as_blocks, as_rate
from audiocli.errors import UsageError
from audiocli.io.audio.streaming import Counted, mono
from audiocli.io.formats import Segments
from audiocli.nn import models, registry
from audiocli.nn.chord_crnn import ChordCRNN
from audiocli.nn.framewise import in_segments
from audiocli.tasks.chords.decoding import Decoder, FrameSegment, Outputs, decode, outputs_of
from audiocli.tasks.chords.key import Key, Passage, find_key, find_keys, key_stability, roman
from audiocli.tasks.chords.labels import USUAL, reduced

__all__ = ["DEFAULT_MODEL", "SPELLINGS", "ChordRecognizer", "Chords", "labelled", "passages_of"]

Audio = NDArray[np.float32]
DEFAULT_MODEL = "crnn"
#: How the chords may be written.
SPELLINGS = ("harte", "roman")


@dataclass(frozen=True, eq=False)  # arrays have no single answer to ==
class Chords:
    """The chords of a recording.

    Parameters
    ----------
    passages : tuple of Passage
        One after another, from the beginning to the end.
    tones : ndarray of float16, shape (12, frames)
        Probability that each pitch class belongs to the chord, from C upwards.
    frame_rate : float
        Frames a second.
    seconds : float
        Length of the recording.
    beats, bars : ndarray of float64
        When they begin, in seconds, if the request has `beats`.

    Examples
    --------
    >>> from audiocli.tasks.chords.labels import Chord
    >>> chords = Chords((Passage(0.0, 2.0, Chord(9, "min")),), np.zeros((12, 20)), 10.0, 2.0)
    >>> str(chords.key), chords.segments().labels
    ('A minor', ('A:min',))
    """

    passages: tuple[Passage, ...]
    tones: NDArray[np.float16]
    frame_rate: float
    seconds: float
    beats: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    bars: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    @property
    def tempo(self) -> float | None:
        """Beats a minute, where beats were found."""
        return tempo_of(self.beats)

    @property
    def key(self) -> Key | None:
        """The key that fits best over the whole; None where there is no chord."""
        return find_key(self.passages, self._tones())

    def key_stability(self) -> float | None:
        """How often the key is found again if chords are drawn anew, 0 to 1; None without a key."""
        tones, key = self._tones(), self.key
        return None if key is None else key_stability(self.passages, key, tones)

    def _tones(self) -> NDArray[np.float64] | None:
        """Give the mean probability of each pitch class in each passage, (passages, 12)."""
        count = self.tones.shape[1]
        if not self.passages or not self.tones.any():
            return None
        rows = []
        for each in self.passages:
            first = min(round(each.start * self.frame_rate), count - 1)
            last = max(round(each.end * self.frame_rate), first + 1)
            rows.append(self.tones[:, first:last].astype(np.float64).mean(axis=1))
        return np.stack(rows)

    def sections(self) -> list[tuple[float, float, Key]]:
        """Sections in one key each: start and end in seconds, and the key."""
        return find_keys(self.passages, self._tones())

    def keyed(self) -> Iterator[tuple[Passage, Key | None]]:
        """Give each passage with the key of the section that its middle lies in."""
        sections = self.sections()
        for each in self.passages:
            middle = (each.start + each.end) / 2
            yield each, next((key for start, end, key in sections if start <= middle < end), None)

    def keys(self) -> Segments:
        """Keys of its sections, labelled as in ``A minor``."""
        found = self.sections()
        return Segments(
            np.array([start for start, _, _ in found]),
            np.array([end for _, end, _ in found]),
            [str(key) for _, _, key in found],
            "key",
        )

    def transposed(self, semitones: int) -> Chords:
        """Transpose every chord."""
        moved = (replace(each, chord=each.chord.transposed(semitones)) for each in self.passages)
        return replace(self, passages=tuple(moved), tones=np.roll(self.tones, semitones, axis=0))

    def simplified(self) -> Chords:
        """Reduce every chord to a major or minor triad, and join neighbours that are then equal."""
        joined: list[Passage] = []
        for each in self.passages:
            chord = reduced(each.chord, "majmin")
            if joined and joined[-1].chord == chord:
                last = joined[-1]
                share = each.seconds / max(last.seconds + each.seconds, 1e-9)
                confidence = (1 - share) * last.confidence + share * each.confidence
                joined[-1] = Passage(last.start, each.end, chord, confidence)
            else:
                joined.append(replace(each, chord=chord))
        return replace(self, passages=tuple(joined))

    def segments(self, spelling: str = "harte") -> Segments:
        """Label the passages, with sharps or flats as the key has them.

        Parameters
        ----------
        spelling : {"harte", "roman"}
            Names of chords, or degrees of the key of each section.

        Returns
        -------
        Segments
            With confidences.

        Raises
        ------
        UsageError
            If the spelling is unknown.
        """
        if spelling not in SPELLINGS:
            raise UsageError(f"unknown spelling {spelling!r}; use {' or '.join(SPELLINGS)}")
        labels = []
        for each, key in self.keyed():
            if spelling == "roman" and key is not None:
                labels.append(roman(each.chord, key))
            else:
                labels.append(each.chord.label(key.names if key else USUAL))
        return _segments(self.passages, labels)


def passages_of(
    segments: Iterable[FrameSegment], frame_rate: float, end: float
) -> tuple[Passage, ...]:
    """Convert segments of frames to times in seconds.

    Frame t is centred on t / frame_rate, so a chord begins half a frame before its first one.
    """
    kept = [
        (max(0.0, (each.start - 0.5) / frame_rate), each)
        for each in segments
        if each.start == 0 or (each.start - 0.5) / frame_rate < end
    ]
    ends = [start for start, _ in kept[1:]] + [end]
    return tuple(
        Passage(start, stop, each.chord, each.confidence)
        for (start, each), stop in zip(kept, ends, strict=False)
    )


class ChordRecognizer:
    """Recognises chords with a model that is loaded once.

    Parameters
    ----------
    model : str
        A model's name or folder.
    device : str
        As in :func:`audiocli.nn.models.device`.
    vocabulary : str, optional
        One of :data:`audiocli.tasks.chords.labels.VOCABULARIES`; by default the model's own.
    change : float, optional
        In place of the model's own cost of a change, in nats.

    Raises
    ------
    ModelError
        If there is no such model, it is damaged, or it recognises no chords.
    UsageError
        If the vocabulary is unknown or the cost negative.

    Examples
    --------
    >>> recognizer = ChordRecognizer()
    >>> t = np.arange(44100) / 22050
    >>> tones = sum(np.sin(2 * np.pi * f * t) / k for f in (261.6, 329.6, 392.0) for k in (1, 2))
    >>> chords = recognizer(tones[None].astype(np.float32) / 6, 22050)
    >>> bool(chords.tones[[0, 4, 7], 10].min() > 0.5)
    True
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        device: str = "auto",
        vocabulary: str | None = None,
        change: float | None = None,
    ) -> None:
        self.entry = registry.find("chords", model)
        self.network = models.load_as(ChordCRNN, self.entry, models.device(device))
        self.decoder = models.decoder_of(self.entry, Decoder, vocabulary=vocabulary, change=change)

    @property
    def rate(self) -> int:
        """Sample rate at which the network works, in Hz."""
        return self.network.frontend.config.sample_rate

    def __call__(self, audio: Audio, sample_rate: int) -> Chords:
        """Recognise the chords of a whole signal.

        Parameters
        ----------
        audio : array_like, shape (channels, samples) or (samples,)
            See :mod:`audiocli.dsp.signals` for what else is taken.
        sample_rate : int
            In Hz.

        Returns
        -------
        Chords
        """
        return self.stream([as_audio(audio)], sample_rate)

    def stream(self, blocks: Iterable[Audio], sample_rate: int) -> Chords:
        """Recognise the chords of a stream of blocks (channels, samples).

        What is kept, twelve numbers a frame and the chords, is a few thousandths of the audio.
        """
        rate, checked = as_rate(sample_rate), as_blocks(blocks, "audio")
        signal = Counted(mono(checked, rate, self.rate))
        tones: list[NDArray[np.float16]] = []

        def outputs() -> Iterator[Outputs]:
            config = self.network.frontend.config
            for logits in in_segments(self.network, config, self.network.of_frames, signal):
                found = outputs_of(logits)
                tones.append(found.tones.astype(np.float16))
                yield found

        changes = self.network.changes.double().cpu().numpy()
        segments = list(decode(outputs(), changes, self.decoder))
        seconds = signal.samples / self.rate
        frame_rate = self.network.frontend.config.frame_rate
        return Chords(
            passages_of(segments, frame_rate, seconds),
            np.concatenate(tones).T,
            frame_rate,
            seconds,
        )


def labelled(passages: Sequence[Passage]) -> Segments:
    """Label passages in the usual spelling, without a key."""
    return _segments(passages, [each.chord.label() for each in passages])


def _segments(passages: Sequence[Passage], labels: Sequence[str]) -> Segments:
    return Segments(
        np.array([each.start for each in passages]),
        np.array([each.end for each in passages]),
        labels,
        "chord",
        confidences=np.array([each.confidence for each in passages]),
    )
