"""Decode and encode audio files, in blocks, whatever their length.

A file is offered to libsndfile first (wav, flac, ogg, opus, mp3, aiff, au, caf,
w64, rf64) and to FFmpeg, through PyAV, second (m4a, aac, mp4, webm, wma, ...).
The content decides, never the extension. What comes out is float32 of shape
(channels, samples) with full scale at 1.0, at the file's own rate; what goes
in is clipped to what the format can hold, rounded to the nearest step and not
dithered, so samples that are read and written again come out bit for bit.
Channels are in the order of WAV, whatever order the format has.

Reading is here; :mod:`audiocli.io.audio.decoding` opens the files and
:mod:`audiocli.io.audio.encoding` writes them.

Limits: 4000 to 192000 Hz, 1 to 8 channels, samples up to 1e10. Files that were
joined (MP3, Ogg, FLAC) are read one after the other as long as rate and number
of channels stay. A lossless file that lacks audio is refused; of a lossy one
what is there is decoded, and a warning says what is missing or was skipped.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from audiocli.errors import AudioError, warn
from audiocli.io.audio import streaming
from audiocli.io.audio.decoding import open_decoder
from audiocli.io.audio.downmix import downmix, full_range_channels, without_effects
from audiocli.io.audio.encoding import AudioFormat, AudioWriter, output_format
from audiocli.io.audio.info import AudioInfo, Block, StrPath, printable
from audiocli.io.audio.layouts import Layout
from audiocli.io.audio.source import DecodingError, no_audio
from audiocli.io.scratch import scratch_folder

__all__ = [
    "AUDIO_EXTENSIONS",
    "AudioFormat",
    "AudioInfo",
    "AudioReader",
    "AudioWriter",
    "output_format",
    "probe",
    "read",
    "spooled",
]

AUDIO_EXTENSIONS: frozenset[str] = frozenset(
    ".wav .wave .bwf .rf64 .w64 .flac .ogg .oga .opus .mp3 .mp2 .aiff .aif .aifc .au .snd .caf "
    ".m4a .m4b .mp4 .aac .ac3 .webm .weba .wma .mka .ape .wv .tta".split()
)
"""Extensions, lower case, of the files that a walk through a folder picks up."""


_LOUDEST = 1e10
"""Samples beyond this are no audio, and their powers would overflow."""


def probe(path: StrPath, *, name: str | None = None) -> AudioInfo:
    """Tell what an audio file holds without decoding it."""
    with AudioReader(path, name=name) as reader:
        return reader.info


def read(path: StrPath, *, mono: bool = False) -> tuple[Block, int]:
    """Read a whole file.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    mono : bool
        Whether to average the channels into one, see :mod:`audiocli.io.audio.downmix`; one for
        low-frequency effects is left out.

    Returns
    -------
    audio : ndarray of float32, shape (channels, samples)
        The samples, full scale at 1.0; one channel if `mono`.
    sample_rate : int
        In Hz.

    Raises
    ------
    AudioError
        As for `AudioReader`.

    Examples
    --------
    >>> import tempfile
    >>> import soundfile as sf
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.wav"
    ...     sf.write(path, np.full((800, 2), [0.5, 0.25]), 8000)
    ...     audio, sample_rate = read(path, mono=True)
    >>> audio.shape, float(audio[0, 0]), sample_rate
    ((1, 800), 0.375, 8000)
    """
    with AudioReader(path) as reader:
        if mono:
            blocks = downmix(reader.full_range(), reader.info.sample_rate)
        else:
            blocks = reader.blocks()
        return np.concatenate(list(blocks), axis=1), reader.info.sample_rate


class AudioReader:
    """An audio file, decoded block by block in constant memory.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    name : str, optional
        How to call the file in messages and in `info`; its path if None.

    Attributes
    ----------
    info : AudioInfo
        What the file holds.

    Raises
    ------
    AudioError
        If the file is missing, unreadable, not audio, empty, visibly truncated, or
        outside of the limits on rate and channels.

    Examples
    --------
    >>> import tempfile
    >>> import soundfile as sf
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.wav"
    ...     sf.write(path, np.zeros((1000, 2)), 8000)
    ...     with AudioReader(path) as reader:
    ...         [block.shape for block in reader.blocks(400)]
    [(2, 400), (2, 400), (2, 200)]
    """

    def __init__(self, path: StrPath, *, name: str | None = None) -> None:
        self._path = os.fspath(path)
        self._name = self._path if name is None else name
        self._started = False
        self._decoder = open_decoder(self._path, self._name)
        self.info: AudioInfo = self._decoder.info

    def __enter__(self) -> AudioReader:
        """Return the reader itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the file."""
        self._decoder.close()

    def blocks(self, frames: int = 65536, start: int = 0) -> Iterator[Block]:
        """Decode the file from its beginning; a second call starts anew and ends the first.

        Parameters
        ----------
        frames : int
            Samples per channel in each block but the last, which may be shorter.
        start : int
            Samples per channel to leave out at the beginning; where the format allows, they are
            jumped over and not decoded.

        Yields
        ------
        ndarray of float32, shape (channels, samples)
            The samples, full scale at 1.0.

        Raises
        ------
        AudioError
            If the file is truncated or damaged, holds NaN, infinity or samples beyond 1e10,
            changes its rate or channels on the way, or turns out to be empty.

        Warns
        -----
        AudioCliWarning
            At the end, if something was skipped or is missing.
        """
        if frames < 1:
            raise ValueError(f"a block holds at least one frame, not {frames}")
        if self._started:
            self._decoder.close()
            self._decoder = open_decoder(self._path, self._name)
        self._started = True
        return _in_blocks(self._checked_chunks(start), frames)

    def full_range(self, frames: int = 65536, start: int = 0) -> Iterator[Block]:
        """Decode as `blocks` does, without channels for low-frequency effects (LFE).

        Analyses take these: such a channel doubles the bass of others at a level of its own, and
        neither a downmix to mono (ITU-R BS.775) nor loudness (BS.1770) has it. Which channel that
        is, `info.layout` tells; where the file does not say, all channels come.

        Parameters
        ----------
        frames, start : int
            As for `blocks`.

        Yields
        ------
        ndarray of float32, shape (channels, samples)
            The samples of the speakers in `full_range_layout`.
        """
        return without_effects(self.blocks(frames, start), self.info.layout)

    @property
    def full_range_layout(self) -> Layout | None:
        """The speakers of the channels of `full_range`; as `info.layout`, without effects."""
        layout = self.info.layout
        full = tuple((layout or ())[place] for place in full_range_channels(layout))
        return full or layout

    @contextlib.contextmanager
    def decoded(
        self, progress: Callable[[float, float | None], None] = lambda done, total: None
    ) -> Iterator[Iterator[Block]]:
        """Decode as `full_range` does, ahead in a thread.

        Parameters
        ----------
        progress : callable
            Told the seconds that were taken, and how many there are.

        Yields
        ------
        iterator of ndarray
            The blocks.
        """
        info = self.info
        with streaming.decoding(
            self.full_range(), info.sample_rate, info.duration, progress
        ) as blocks:
            yield blocks

    def _checked_chunks(self, start: int) -> Iterator[Block]:
        rate, shown = self.info.sample_rate, printable(self._name)
        done = self._decoder.skip(start) if start else 0
        try:
            for chunk in self._decoder.chunks():
                if not (chunk.max() <= _LOUDEST and chunk.min() >= -_LOUDEST):  # NaN is neither
                    raise self._not_audible(chunk, done)
                left_out = max(start - done, 0)
                done += chunk.shape[1]
                if left_out < chunk.shape[1]:
                    yield chunk[:, left_out:] if left_out else chunk
        except DecodingError as error:
            raise AudioError(
                f"{shown}: is damaged or truncated: decoding stops after {done / rate:.2f} s"
                f"{self._promise()} ({error}); fetch or export it again"
            ) from error
        if done < self._decoder.least_frames:
            raise AudioError(
                f"{shown}: is truncated: only {done / rate:.2f} s are there{self._promise()}; "
                "fetch or export it again"
            )
        if not done:
            raise no_audio(self._name)
        for note in self._decoder.notes:
            warn(note)

    def _not_audible(self, chunk: Block, done: int) -> AudioError:
        """Make the error for samples that are no numbers, or that nothing can calculate with."""
        shown, rate = printable(self._name), self.info.sample_rate
        finite = np.isfinite(chunk).all(axis=0)
        if finite.all():
            first = done + int(np.argmax((np.abs(chunk) > _LOUDEST).any(axis=0)))
            what = "samples beyond 1e10 times full scale"
            fix = "it is damaged, or its bytes are in another order than its header says"
        else:
            first = done + int(np.argmin(finite))
            what = "NaN or infinity"
            fix = "repair or export it again: every sample must be a number"
        return AudioError(
            f"{shown}: holds {what}, first at {first / rate:.3f} s (sample {first}); {fix}"
        )

    def _promise(self) -> str:
        promised = self._decoder.promised
        return "" if promised is None else f" of the {promised:.2f} s that its header promises"


def _in_blocks(chunks: Iterable[Block], frames: int) -> Iterator[Block]:
    """Cut chunks of any lengths into blocks of `frames` samples, the last maybe shorter."""
    pending: list[Block] = []
    held = 0
    for chunk in chunks:
        if not held and chunk.shape[1] == frames:
            yield chunk
            continue
        pending.append(chunk)
        held += chunk.shape[1]
        if held < frames:
            continue
        joined = np.concatenate(pending, axis=1)
        if held == frames:
            pending, held = [], 0
            yield joined
            continue
        whole = held - held % frames
        for start in range(0, whole, frames):
            yield joined[:, start : start + frames].copy()
        pending, held = [joined[:, whole:]], held - whole
    if held:
        yield np.concatenate(pending, axis=1)


@contextlib.contextmanager
def spooled(stream: BinaryIO) -> Iterator[Path]:
    """Copy a stream, say standard input, to a temporary file, because decoders need to seek."""
    with scratch_folder() as folder:
        path = Path(folder) / "stdin"
        try:
            with path.open("wb") as file:
                shutil.copyfileobj(stream, file, 2**20)
        except OSError as error:
            raise AudioError(
                f"the input stream cannot be stored in {printable(folder)} ({error.strerror}); "
                "set TMPDIR to a folder with room"
            ) from error
        if path.stat().st_size == 0:
            raise AudioError("the input stream is empty; pipe an audio file into it")
        yield path
