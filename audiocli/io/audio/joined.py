"""Find a second file behind the first, in files that were joined and that decoders stop in.

MP3, Ogg and FLAC that were joined are decoded to the end. Of other kinds every decoder and every
player reads the first file only: that must be told.
"""

from __future__ import annotations

import os
import re
import struct

__all__ = ["note_of_another"]

_WINDOW = 1 << 20
_OVERLAP = 64

_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_INITIAL = b"".join(re.escape(bytes([byte])) for byte in range(256) if byte & 0x08)
#: How a file of the kind begins, by its first bytes, where its length is not in its header.
_BEGINNINGS = {
    b"caff": re.compile(rb"caff\x00\x01\x00\x00desc"),
    b"TTA1": re.compile(rb"TTA1[\x01-\x03]\x00[\x01-\x08]\x00[\x08\x10\x18]\x00", re.DOTALL),
    # version 4.x, and the first block (a flag says so) at sample 0
    b"wvpk": re.compile(
        rb"wvpk....[\x02-\x10]\x04......\x00{4}.....[" + _INITIAL + rb"]", re.DOTALL
    ),
    _ASF_HEADER[:4]: re.compile(re.escape(_ASF_HEADER)),
}


def note_of_another(path: str) -> str | None:
    """Tell whether a second file follows the first in the same file, and is not read."""
    with open(path, "rb") as file:
        head = file.read(12)
    if head[:4] in (b"RIFF", b"FORM"):
        place = _behind_riff(path, head)
    elif head[4:8] == b"ftyp":
        place = _second_mp4(path)
    elif head[:4] in _BEGINNINGS:
        place = _search(path, _BEGINNINGS[head[:4]])
    else:
        return None
    if place is None:
        return None
    return f"another file of its kind follows after {place} bytes and is not read; split it there"


def _behind_riff(path: str, head: bytes) -> int | None:
    """Look where a WAV or AIFF ends by its header."""
    length = int.from_bytes(head[4:8], "little" if head[:4] == b"RIFF" else "big")
    with open(path, "rb") as file:
        for end in (8 + length, 8 + length + length % 2):
            file.seek(end)
            following = file.read(12)
            if (following[:4], following[8:]) == (head[:4], head[8:]):
                return end
    return None


def _second_mp4(path: str) -> int | None:
    """Go from box to box, to a second one that begins a file."""
    with open(path, "rb") as file:
        position, total = 0, os.fstat(file.fileno()).st_size
        while position + 8 <= total:
            file.seek(position)
            header = file.read(16)
            length, kind = struct.unpack(">I4s", header[:8])
            if kind == b"ftyp" and position:
                return position
            if length == 1:
                length = int.from_bytes(header[8:], "big")
            if length < 8:
                return None
            position += length
    return None


def _search(path: str, beginning: re.Pattern[bytes]) -> int | None:
    with open(path, "rb") as file:
        position = 1
        while True:
            file.seek(position)
            window = file.read(_WINDOW + _OVERLAP)
            found = beginning.search(window)
            if found is not None:
                return position + found.start()
            if len(window) <= _OVERLAP:
                return None
            position += _WINDOW
