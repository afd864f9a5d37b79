"""Which bytes of an audio file are its audio, and the hashes by which a file is known again.

A file has two hashes: of all its bytes, and of its audio alone, which new tags or a new cover
picture leave as it is. What counts as audio:

- WAV, RF64 and AIFF: format and samples (``fmt``, ``fact``, ``data``; ``COMM``, ``SSND``);
- FLAC: the stream's own header and all that follows the metadata;
- MP3, AAC and WavPack: all but ID3, APE and Lyrics3 tags at either end;
- Ogg (Vorbis, Opus): all packets but the comments, and the positions of the pages;
- MP4 and M4A: media data and movie header, without user data and chunk offsets;
- any other file, and one that is damaged: all of it.
"""

from __future__ import annotations

import hashlib
import os
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

__all__ = ["Hashes", "Stat", "hash_file", "stat_of"]

Span = tuple[int, int]
"""First byte, and the byte behind the last."""

Stat = tuple[int, int]
"""Size in bytes, and time of the last change in ns."""

#: File systems note times by steps, of 2 s at most; in ns.
SETTLED = 2_000_000_000
_CHUNK = 1 << 20
_WAV = {b"fmt ", b"fact", b"data"}
_AIFF = {b"COMM", b"SSND"}
_MP4_PARENTS = {b"moov", b"trak", b"mdia", b"minf", b"stbl"}
_MP4_NO_AUDIO = {b"free", b"skip", b"wide", b"udta", b"meta", b"uuid", b"stco", b"co64"}
_COMMENTS = (b"\x03vorbis", b"OpusTags")


@dataclass(frozen=True)
class Hashes:
    """The SHA-256 of a file, in hexadecimal digits.

    Parameters
    ----------
    input : str
        Of all its bytes.
    audio : str
        Of the bytes that are its audio; the same as `input` where that cannot be told.
    stat : tuple of int, optional
        Size and time of the last change when it was read; see :func:`stat_of`.
    """

    input: str
    audio: str
    stat: Stat | None = None


class _Damaged(Exception):
    """The file is not laid out as its beginning says."""


def stat_of(path: Path) -> Stat | None:
    """Give the size of a file in bytes and the time of its last change in ns.

    None where that is but a moment ago: the next change might leave both as they are.
    """
    status = os.stat(path)
    settled = time.time_ns() - status.st_mtime_ns > SETTLED
    return (status.st_size, status.st_mtime_ns) if settled else None


def hash_file(path: Path) -> Hashes | None:
    """Read a file once, and give its hashes."""
    if path.exists() and not path.is_file():
        return None
    whole, audio, stat = hashlib.sha256(), hashlib.sha256(), stat_of(path)
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        spans = _spans(file, size)
        file.seek(0)
        position = 0
        for start, end in spans:
            for _ in _read(file, start - position, whole):
                pass
            for chunk in _read(file, end - start, whole):
                audio.update(chunk)
            position = end
        while chunk := file.read(_CHUNK):
            whole.update(chunk)
    digest = whole.hexdigest()
    return Hashes(digest, audio.hexdigest() if spans else digest, stat)


def _read(file: BinaryIO, count: int, whole: hashlib._Hash) -> Iterator[bytes]:
    while count > 0 and (chunk := file.read(min(count, _CHUNK))):
        whole.update(chunk)
        count -= len(chunk)
        yield chunk


def _spans(file: BinaryIO, size: int) -> list[Span]:
    """Find the audio, in ascending order; nothing where that cannot be told."""
    try:
        found: list[Span] = []
        for start, end in _audio(file, size):
            behind = found[-1][1] if found else 0
            if start < behind or end > size:
                return []
            if found and start == behind:
                found[-1] = (found[-1][0], end)  # Ogg has thousands of packets
            elif start < end:
                found.append((start, end))
        return found
    except (_Damaged, struct.error, ValueError):
        return []


def _audio(file: BinaryIO, size: int) -> Iterator[Span]:
    head = _at(file, 0, 12)
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        return _chunks(file, size, "<I", _WAV)
    if head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
        return _chunks(file, size, ">I", _AIFF)
    if head[:4] == b"OggS":
        return _ogg(file, size)
    if head[4:8] == b"ftyp":
        return _boxes(file, 0, size)
    start = _behind_id3(file)
    first = _at(file, start, 4)
    if first == b"fLaC":
        return _flac(file, start, _before_tags(file, size))
    if start or first == b"wvpk" or (first[:1] == b"\xff" and first[1:2] >= b"\xe0"):
        return iter([(start, _before_tags(file, size))])
    return iter(())


def _at(file: BinaryIO, position: int, count: int) -> bytes:
    file.seek(max(position, 0))
    return file.read(count)


def _chunks(file: BinaryIO, size: int, length: str, wanted: set[bytes]) -> Iterator[Span]:
    """Walk the chunks of RIFF and of IFF; RF64, whose sizes are elsewhere, counts as a whole."""
    position = 12
    while position + 8 <= size:
        header = _at(file, position, 8)
        (count,) = struct.unpack(length, header[4:])
        if count > size - position - 8:
            raise _Damaged
        if header[:4] in wanted:
            yield position + 8, position + 8 + count
        position += 8 + count + count % 2


def _flac(file: BinaryIO, start: int, end: int) -> Iterator[Span]:
    position, last = start + 4, False
    while not last:
        header = _at(file, position, 4)
        if len(header) < 4:
            raise _Damaged
        last, kind = bool(header[0] & 0x80), header[0] & 0x7F
        count = int.from_bytes(header[1:], "big")
        if kind == 0:
            yield position + 4, position + 4 + count
        position += 4 + count
    yield position, end


def _behind_id3(file: BinaryIO) -> int:
    """Find the end of the ID3v2 tags at the beginning."""
    position = 0
    while (header := _at(file, position, 10))[:3] == b"ID3" and len(header) == 10:
        count = 0
        for byte in header[6:]:
            count = count << 7 | byte & 0x7F
        position += 10 + count + (10 if header[5] & 0x10 else 0)
    return position


def _before_tags(file: BinaryIO, size: int) -> int:
    """Find the beginning of the tags at the end."""
    end = size
    while True:
        if _at(file, end - 128, 3) == b"TAG":
            end -= 128
        elif _at(file, end - 32, 8) == b"APETAGEX":
            footer = _at(file, end - 32, 32)
            count, flags = struct.unpack("<I4xI", footer[12:24])
            end -= count + (32 if flags & 0x80000000 else 0)
        elif _at(file, end - 9, 9) == b"LYRICS200":
            end -= int(_at(file, end - 15, 6)) + 15
        else:
            return end
        if end < 0:
            raise _Damaged


def _ogg(file: BinaryIO, size: int) -> Iterator[Span]:
    """Walk the pages; a packet may go on from one to the next."""
    position, skipping, begins = 0, False, True
    while position < size:
        header = _at(file, position, 27)
        if len(header) < 27 or header[:4] != b"OggS":
            raise _Damaged
        lacing = _at(file, position + 27, header[26])
        if header[6:14] not in (bytes(8), b"\xff" * 8):
            yield position + 6, position + 14  # how many samples there are by now
        start = end = position + 27 + len(lacing)
        for count in lacing:
            if begins:
                skipping = _at(file, end, 8).startswith(_COMMENTS)
                start = end
            end += count
            begins = count < 255
            if begins and not skipping:
                yield start, end
        if not begins and not skipping:
            yield start, end
        position = end


def _boxes(file: BinaryIO, position: int, end: int) -> Iterator[Span]:
    while position + 8 <= end:
        header = _at(file, position, 16)
        count, kind, inside = int.from_bytes(header[:4], "big"), header[4:8], position + 8
        if count == 1:
            count, inside = int.from_bytes(header[8:16], "big"), position + 16
        following = end if count == 0 else position + count
        if following < inside or following > end:
            raise _Damaged
        if kind in _MP4_PARENTS:
            yield from _boxes(file, inside, following)
        elif kind not in _MP4_NO_AUDIO:
            yield inside, following
        position = following
