"""Look at both ends of a FLAC: what its header says, and where its last frame ends.

References
----------
RFC 9639, sections 8.2 (stream information), 8.6 (comments) and 9.1 (frame headers).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from audiocli.io.audio.headers import seven_bits

__all__ = ["Flac", "scan_flac", "state_flac_mask"]

_START = b"fLaC\x00\x00\x00\x22"  # the mark, and the head of the block of stream information
_MASK = re.compile(rb"WAVEFORMATEXTENSIBLE_CHANNEL_MASK=(0x[0-9a-f]+)", re.IGNORECASE)
_WINDOW = 1 << 20
_HEADER = 18  # bytes of the longest frame header, more than a frame of silence may have
_TAIL = 1 << 16  # bytes at the end in which a last frame is looked for, beyond its longest


@dataclass(frozen=True)
class Flac:
    """What a FLAC says of itself.

    Attributes
    ----------
    starts : tuple of int
        Where streams begin: more than one in files that were joined.
    frames : int
        Samples per channel by the header of the first; 0 if not stated.
    last_frames : int
        Samples per channel by the last frame of the file; 0 if none was found.
    mask : int or None
        The speakers, a bit each, as in WAV; None if not stated.
    """

    starts: tuple[int, ...]
    frames: int
    last_frames: int
    mask: int | None

    @property
    def is_longer_than_stated(self) -> bool:
        """Whether frames follow where decoders stop."""
        return 0 < self.frames < self.last_frames


def scan_flac(path: str) -> Flac | None:
    """Look at both ends of a FLAC."""
    with open(path, "rb") as file:
        total = os.fstat(file.fileno()).st_size
        head = file.read(10)
        start = 10 + seven_bits(head[6:]) if head[:3] == b"ID3" and len(head) == 10 else 0
        file.seek(start)
        if file.read(8) != _START:
            return None
        information = file.read(34)
        if len(information) < 34:
            return None
        mask, audio = _blocks(file, start + 4, total)
        starts = (start, *_further(file, audio, total))
        file.seek(starts[-1] + 8)
        last = _last_frames(file, file.read(34), total)
    frames = int.from_bytes(information[13:18], "big") & 0xFFFFFFFFF
    return Flac(starts, frames, last, mask)


def state_flac_mask(path: Path, mask: int) -> None:
    """Write the speakers into the comments of a FLAC."""
    from mutagen import MutagenError  # late: few files have speakers that are not the usual ones
    from mutagen.flac import FLAC

    try:
        tags = FLAC(path)  # type: ignore[no-untyped-call]  # mutagen leaves it untyped
        tags["WAVEFORMATEXTENSIBLE_CHANNEL_MASK"] = f"0x{mask:04x}"
        tags.save()
    except MutagenError as error:
        raise OSError(str(error)) from error


def _blocks(file: BinaryIO, position: int, total: int) -> tuple[int | None, int]:
    """Go through the blocks before the audio; give the channel mask and where audio begins."""
    mask, is_last = None, False
    while not is_last and position + 4 <= total:
        file.seek(position)
        head = file.read(4)
        is_last, kind = bool(head[0] & 0x80), head[0] & 0x7F
        length = int.from_bytes(head[1:], "big")
        if kind == 4:
            found = _MASK.search(file.read(length))
            mask = int(found[1], 16) if found else None
        position += 4 + length
    return mask, position


def _further(file: BinaryIO, position: int, total: int) -> Iterator[int]:
    """Find streams that begin behind the first."""
    while position < total:
        file.seek(position)
        window = file.read(_WINDOW + len(_START) - 1)
        found = window.find(_START)
        while found >= 0:
            yield position + found
            found = window.find(_START, found + 1)
        position += _WINDOW


def _last_frames(file: BinaryIO, information: bytes, total: int) -> int:
    """Find the last frame, and tell how many samples there are up to its end."""
    if len(information) < 34:
        return 0
    longest = int.from_bytes(information[7:10], "big")
    size = min(total, (longest or 1 << 20) + _TAIL)
    file.seek(total - size)
    window = file.read(size)
    for found in reversed(list(re.finditer(rb"\xff[\xf8\xf9]", window))):
        header = window[found.start() : found.start() + _HEADER].ljust(_HEADER, b"\0")
        end = _end_of_frame(header, information)
        if end:
            return end
    return 0


def _end_of_frame(header: bytes, information: bytes) -> int:
    """Read the header of a frame; give the samples up to its end, 0 if it is no header."""
    if header[3] & 1:
        return 0
    is_variable = header[1] & 1
    least = int.from_bytes(information[:2], "big")
    length_code, rate_code = header[2] >> 4, header[2] & 15
    channels = (information[12] >> 1 & 7) + 1
    assigned = header[3] >> 4
    if length_code == 0 or rate_code == 15 or assigned > 10:
        return 0
    if (assigned + 1 if assigned < 8 else 2) != channels:
        return 0
    number, at = _coded_number(header, 4)
    if at == 0:
        return 0
    if length_code in (6, 7):
        size = length_code - 5
        length = int.from_bytes(header[at : at + size], "big") + 1
        at += size
    else:
        known = {1: 192}
        known |= {code: 576 << (code - 2) for code in range(2, 6)}
        known |= {code: 256 << (code - 8) for code in range(8, 16)}
        length = known[length_code]
    at += {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if at >= len(header) or _crc8(header[:at]) != header[at]:
        return 0
    return number + length if is_variable else number * least + length


def _coded_number(header: bytes, at: int) -> tuple[int, int]:
    """Read a number that is coded as UTF-8 codes characters; give where it ends, 0 if nowhere."""
    first = header[at]
    if first < 0x80:
        return first, at + 1
    ones = f"{first:08b}".index("0") if first != 0xFF else 8
    if not 2 <= ones <= 7:
        return 0, 0
    number = first & (0x7F >> ones)
    for byte in header[at + 1 : at + ones]:
        if byte >> 6 != 2:
            return 0, 0
        number = number << 6 | byte & 0x3F
    return number, at + ones


def _crc8(content: bytes) -> int:
    remainder = 0
    for byte in content:
        remainder ^= byte
        for _ in range(8):
            remainder = (remainder << 1 ^ (0x07 if remainder & 0x80 else 0)) & 0xFF
    return remainder
