"""What a decoder is given, what it is, and how it says that it cannot go on."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from audiocli.errors import AudioError
from audiocli.io.audio.info import AudioInfo, Block, printable

__all__ = [
    "ByteRange",
    "Decoder",
    "DecodingError",
    "Source",
    "changed",
    "no_audio",
    "not_audio",
]


class DecodingError(Exception):
    """The decoder gave up in the middle of a file."""


class Decoder(Protocol):
    """An open file, to be decoded once from its beginning.

    Attributes
    ----------
    info : AudioInfo
        What the file holds.
    promised : float or None
        Length in seconds by the header, where it states one.
    least_frames : int
        Fewer samples per channel than these mean that the file was cut.
    notes : list of str
        What the user should know of the file once it is decoded: bytes that are no audio, audio
        that is missing.
    """

    info: AudioInfo
    promised: float | None
    least_frames: int
    notes: list[str]

    def skip(self, frames: int) -> int:
        """Jump over the first samples, before any is decoded; tells how many that were."""

    def chunks(self) -> Iterator[Block]:
        """Decode; raises DecodingError where that cannot go on."""

    def close(self) -> None:
        """Close the file."""


@dataclass(frozen=True)
class Source:
    """What to decode.

    Attributes
    ----------
    path : str
        Absolute: libsndfile takes the name "-" for standard input, and the process that decodes
        may have another working directory.
    name : str
        How to call it in messages.
    start, end : int
        Which bytes of the file; -1 for its end.
    is_mp3 : bool
        Whether these are frames of MP3, in a file of another kind.
    is_cut : bool
        Whether the file is known to end too early.
    """

    path: str
    name: str
    start: int = 0
    end: int = -1
    is_mp3: bool = False
    is_cut: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether all bytes of the file are meant."""
        return self.start == 0 and self.end < 0


class ByteRange(io.RawIOBase):
    """Some of the bytes of a file, to be read as if they were a file.

    Parameters
    ----------
    path : str
    start, end : int
        Which bytes; -1 for the end of the file.
    """

    def __init__(self, path: str, start: int, end: int = -1) -> None:
        self._file = open(path, "rb")  # noqa: SIM115  # closed by close
        size = os.fstat(self._file.fileno()).st_size
        self._start, self._end = start, size if end < 0 else min(end, size)
        self._file.seek(start)

    def readable(self) -> bool:
        """Agree."""
        return True

    def seekable(self) -> bool:
        """Agree."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as there are bytes."""
        left = max(0, self._end - self._file.tell())
        view = memoryview(buffer)[:left]
        return self._file.readinto(view) if left else 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place in the range."""
        base = {os.SEEK_SET: self._start, os.SEEK_CUR: self._file.tell(), os.SEEK_END: self._end}
        return self._file.seek(max(self._start, base[whence] + offset)) - self._start

    def tell(self) -> int:
        """Tell the place in the range."""
        return self._file.tell() - self._start

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def changed(info: AudioInfo, done: int, channels: int, sample_rate: int) -> AudioError:
    """Make the error for a stream that is not of one kind."""
    return AudioError(
        f"{printable(info.path)}: changes from {info.channels} channels at {info.sample_rate} Hz "
        f"to {channels} at {sample_rate} Hz after {done / info.sample_rate:.2f} s; split it there "
        "or convert it to one format"
    )


def no_audio(name: str) -> AudioError:
    """Make the error for a file whose length is zero."""
    return AudioError(f"{printable(name)}: holds no audio (its length is zero); leave it out")


def not_audio(name: str) -> AudioError:
    """Make the error for a file that no decoder knows."""
    return AudioError(
        f"{printable(name)}: is not audio in a format that libsndfile or FFmpeg knows, or is "
        "damaged; expected wav, flac, ogg, opus, mp3, aiff, m4a, ..."
    )
