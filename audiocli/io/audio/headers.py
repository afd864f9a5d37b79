"""What the headers of audio files promise of their length, read without a decoder.

Decoders believe too much: libsndfile takes a WAV that was cut short for a short one, a length
that was never filled in for a length, and a guess at the length of an MP3 for a count.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from audiocli.errors import AudioError
from audiocli.io.audio.info import StrPath, printable

__all__ = [
    "WavHeader",
    "holds_mp3_frames",
    "is_longer_than_stated",
    "is_cut",
    "read_wav",
    "seven_bits",
    "state_wav_mask",
]

_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")  # the object of file properties

_EBML_HEADER, _EBML_SEGMENT = bytes.fromhex("1a45dfa3"), bytes.fromhex("18538067")

EXTENSIBLE = 0xFFFE  # format tag of a WAV that states its speakers


@dataclass(frozen=True)
class WavHeader:
    """What the chunks of a WAV or RF64 say.

    Attributes
    ----------
    codec : int
        The format tag: 1 for integers, 3 for floating point, 0x55 for MP3, ...
    channels : int
    mask : int or None
        The speakers, a bit each; None where the file does not state them.
    frames : int or None
        Samples per channel by the ``fact`` chunk.
    start, end : int
        Where the samples are in the file.
    """

    codec: int
    channels: int
    mask: int | None
    frames: int | None
    start: int
    end: int


@dataclass(frozen=True)
class _StatedSize:
    """How many bytes of samples a header states, and how many follow it."""

    stated: int
    there: int
    is_stream: bool  # the header was written before the length was known
    frame_bytes: int = 1
    byte_rate: int = 0  # bytes per second, 0 if not known

    @property
    def missing(self) -> int:
        """Number of whole frames that the file lacks."""
        if self.is_stream:
            return 0
        return self.stated // self.frame_bytes - self.there // self.frame_bytes

    @property
    def seconds_there(self) -> str:
        """How long what is there lasts, to end a clause with."""
        return f" ({self.there / self.byte_rate:.2f} s)" if self.byte_rate else ""


def is_longer_than_stated(path: str, name: str) -> bool:
    """Tell whether audio follows where the header of a WAV or CAF says there is no more."""
    size = _stated_size(path)
    if size is None:
        return False
    if size.missing > 0:
        raise AudioError(
            f"{printable(name)}: is truncated: of the {size.stated} bytes of audio that its header "
            f"promises only {size.there} are there{size.seconds_there}; fetch or export it again"
        )
    if size.is_stream and 0 < size.stated <= 2**31 and size.there - size.stated > 2**20:
        raise AudioError(
            f"{printable(name)}: its header was written to a pipe and ends after 2 GiB, but there "
            "is more; send it as flac or w64"
        )
    return size.is_stream and size.stated < size.there


def _stated_size(path: str) -> _StatedSize | None:
    """Find the size of the samples in a WAV or CAF; None for other files.

    Programs that write to a pipe cannot go back to fill in the sizes: they leave 0
    (GStreamer), 2^32 - 1 (FFmpeg), about 2^31 (SoX, arecord) or, in CAF, -1.
    """
    with open(path, "rb") as file:
        total = os.fstat(file.fileno()).st_size
        head = file.read(12)
        if head[:4] == b"caff":
            return _stated_in_caf(file, total)
        if head[:4] in (b"RIFF", b"RIFX") and head[8:] == b"WAVE":
            order = "<" if head[:4] == b"RIFF" else ">"
            is_whole = struct.unpack(order + "I", head[4:8])[0] + 8 == total
            return _stated_in_wav(file, total, order, is_whole)
    return None


def _stated_in_caf(file: BinaryIO, total: int) -> _StatedSize | None:
    for kind, length in _chunks(file, total, ">4sq", start=8, alignment=1):
        if kind == b"data":
            return _StatedSize(length, total - file.tell(), is_stream=length < 0)
    return None


def _stated_in_wav(file: BinaryIO, total: int, order: str, is_whole: bool) -> _StatedSize | None:
    frame_bytes, byte_rate = 1, 0
    for kind, length in _chunks(file, total, order + "4sI", start=12, alignment=2):
        if kind == b"data":
            is_stream = length >= 0xFFFF0000 or 0x7FFF0000 <= length <= 0x80000000
            is_stream = is_stream or (length == 0 and not is_whole)
            return _StatedSize(length, total - file.tell(), is_stream, frame_bytes, byte_rate)
        if kind == b"fmt " and len(fields := file.read(14)) == 14:
            byte_rate, frame_bytes = struct.unpack(order + "8xIH", fields)
            frame_bytes = max(1, frame_bytes)
    return None


def _chunks(
    file: BinaryIO, total: int, layout: str, *, start: int, alignment: int
) -> Iterator[tuple[bytes, int]]:
    """Yield kind and stated length of each chunk, while the file stands at its content."""
    size = struct.calcsize(layout)
    file.seek(start)
    while len(header := file.read(size)) == size:
        kind, length = struct.unpack(layout, header)
        content = file.tell()
        yield kind, length
        if not 0 <= length <= total:
            return
        file.seek(content + length + length % alignment)


def holds_mp3_frames(path: str) -> bool:
    """Tell whether an MP3 frame or an ID3 tag may begin in the first 64 KiB of a file."""
    with open(path, "rb") as file:
        return re.search(rb"ID3|\xff[\xe0-\xff]", file.read(1 << 16)) is not None


def read_wav(path: str) -> WavHeader | None:
    """Read the chunks of a WAV or RF64 up to its samples."""
    with open(path, "rb") as file:
        total = os.fstat(file.fileno()).st_size
        head = file.read(12)
        if head[:4] not in (b"RIFF", b"RIFX", b"RF64") or head[8:] != b"WAVE":
            return None
        order = ">" if head[:4] == b"RIFX" else "<"
        codec, channels, mask, frames = 0, 0, None, None
        for kind, length in _chunks(file, total, order + "4sI", start=12, alignment=2):
            start = file.tell()
            if kind == b"fmt " and len(fields := file.read(min(length, 40))) >= 16:
                codec, channels = struct.unpack(order + "HH", fields[:4])
                if codec == EXTENSIBLE and len(fields) == 40:
                    mask, codec = struct.unpack(order + "IH", fields[20:26])
            elif kind == b"fact" and len(fields := file.read(4)) == 4:
                (frames,) = struct.unpack(order + "I", fields)
            elif kind == b"data":
                known = codec and start + length <= total
                end = start + length if known else total
                return WavHeader(codec, channels, mask, frames, start, end) if codec else None
    return None


def state_wav_mask(path: StrPath, mask: int) -> None:
    """Write the speakers into the header of an extensible WAV or RF64."""
    with open(path, "r+b") as file:
        total = os.fstat(file.fileno()).st_size
        for kind, length in _chunks(file, total, "<4sI", start=12, alignment=2):
            if kind == b"fmt ":
                place = file.tell()
                if length == 40 and struct.unpack("<H", file.read(2))[0] == EXTENSIBLE:
                    file.seek(place + 20)
                    file.write(struct.pack("<I", mask))
                return


def is_cut(path: str) -> bool:
    """Tell whether an MP4, Matroska or ASF ends too early by its own headers."""
    with open(path, "rb") as file:
        total = os.fstat(file.fileno()).st_size
        head = file.read(4096)
        if head.startswith(_ASF_HEADER):
            place = head.find(_ASF_FILE) + 40  # behind its own size and the file's name
            return place > 40 and int.from_bytes(head[place : place + 8], "little") > total
        if head.startswith(_EBML_HEADER):
            place = head.find(_EBML_SEGMENT) + 4
            return place > 4 and _behind_segment(head, place) > total
        file.seek(0)
        position = 0
        while len(header := file.read(16)) >= 8:
            length, kind = struct.unpack(">I4s", header[:8])
            if position == 0 and kind not in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
                return False
            if length == 1 and len(header) == 16:
                length = int.from_bytes(header[8:], "big")
            if length == 0:  # to the end of the file
                return False
            if length < 8 or not kind.isalnum():
                return False  # no box any more
            position += length
            if position > total:
                return True
            file.seek(position)
    return False


def _behind_segment(head: bytes, place: int) -> int:
    """Tell where the segment of a Matroska ends whose size stands here; 0 if it does not say."""
    first = head[place : place + 1]
    width = 9 - first[0].bit_length() if first and first[0] else 0
    size = int.from_bytes(head[place : place + width], "big") & (1 << 7 * width) - 1
    return 0 if size == (1 << 7 * width) - 1 else place + width + size


def seven_bits(four: bytes) -> int:
    """Read the size in the header of an ID3 tag: four bytes of seven bits."""
    return sum(byte << shift for byte, shift in zip(four, (21, 14, 7, 0), strict=True))
