"""Walk through the pages of an Ogg file: which streams follow each other, and what is missing.

Several Ogg files one behind the other are an Ogg file too, a chained one, of which libsndfile
reads the first link. Pages carry a number and a checksum, so that what is lost can be told; the
last one of a stream says so.

References
----------
RFC 3533. RFC 7845 (Opus). Vorbis I specification, section 4.2.2.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

__all__ = ["Link", "Ogg", "scan_ogg"]

_WINDOW = 1 << 20
_HEADER = struct.Struct("<4sBBqIIIB")
_LONGEST = _HEADER.size + 255 + 255 * 255  # bytes of a page
_FIRST, _LAST = 2, 4
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass
class Link:
    """Streams that begin together.

    Attributes
    ----------
    start, end : int
        Its bytes.
    heads : list of bytes
        The first bytes of each stream, which name its codec.
    is_ended : bool
        Whether a page says that it is the last.
    """

    start: int
    end: int
    heads: list[bytes] = field(default_factory=list)
    is_ended: bool = False


@dataclass(frozen=True)
class Ogg:
    """What is in an Ogg file.

    Attributes
    ----------
    links : tuple of Link
    notes : tuple of str
        What is missing or damaged.
    """

    links: tuple[Link, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Page:
    start: int
    end: int
    flags: int
    serial: int
    number: int
    head: bytes
    is_sound: bool  # its checksum fits


def scan_ogg(path: str) -> Ogg | None:
    """Walk through the pages of a file."""
    with open(path, "rb") as file:
        if file.read(4) != b"OggS":
            return None
        total = os.fstat(file.fileno()).st_size
        walk = _Walk()
        for page in _pages(file, total):
            walk.add(page)
    if not walk.links:
        return None
    return Ogg(tuple(walk.links), tuple(walk.notes(total)))


class _Walk:
    """Sorts pages into links, and counts those that are missing."""

    def __init__(self) -> None:
        self.links: list[Link] = []
        self._numbers: dict[int, int] = {}
        self._are_heads = False
        self._damaged = self._missing = 0

    def add(self, page: _Page) -> None:
        if not page.is_sound:
            self._damaged += 1
            return
        is_first = bool(page.flags & _FIRST)
        if is_first and not self._are_heads:
            self.links.append(Link(page.start, page.end))
            self._numbers = {}
        self._are_heads = is_first
        if not self.links:
            return
        link = self.links[-1]
        if is_first:
            link.heads.append(page.head)
        elif page.number > self._numbers.get(page.serial, page.number) + 1:
            self._missing += page.number - self._numbers[page.serial] - 1
        self._numbers[page.serial] = page.number
        link.end = page.end
        link.is_ended = link.is_ended or bool(page.flags & _LAST)

    def notes(self, total: int) -> Iterator[str]:
        lost = max(self._damaged, self._missing)
        if lost:
            yield f"{lost} of its Ogg pages are damaged or missing, and what they held is left out"
        number = len(self.links)
        for index, link in enumerate(self.links, 1):
            if not link.is_ended:
                which = f"part {index} of {number}" if number > 1 else "it"
                yield f"{which} ends without a last Ogg page: it was cut, or its recording stopped"
        behind = total - self.links[-1].end
        if behind and self.links[-1].is_ended:
            yield f"skipped {behind} bytes behind its last Ogg page"


def _pages(file: BinaryIO, total: int) -> Iterator[_Page]:
    """Yield the pages that are whole, in their order."""
    position, window, base = 0, b"", 0
    while position + _HEADER.size <= total:
        if base + len(window) < min(position + _LONGEST, total):
            file.seek(position)
            window, base = file.read(_WINDOW), position
        at = position - base
        page = _page(window, at, position)
        if page is None:  # search for the next one
            found = window.find(b"OggS", at + 1)
            position = base + found if found >= 0 else max(base + len(window) - 3, position + 1)
            continue
        position = page.end
        yield page


def _page(window: bytes, at: int, position: int) -> _Page | None:
    if len(window) < at + _HEADER.size or window[at : at + 4] != b"OggS":
        return None
    _, _, flags, _, serial, number, checksum, count = _HEADER.unpack_from(window, at)
    body = at + _HEADER.size + count
    end = body + sum(window[at + _HEADER.size : body])
    if end > len(window):
        return None
    content = window[at : at + 22] + bytes(4) + window[at + 26 : end]
    is_sound = _checksum(content) == checksum
    head = window[body : min(end, body + 64)]
    return _Page(position, position + end - at, flags, serial, number, head, is_sound)


def _checksum(content: bytes) -> int:
    """Compute Ogg's CRC, which is that of zlib with the bits of each byte in reverse."""
    backwards = zlib.crc32(content.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{backwards:032b}"[::-1], 2)
