"""Read the headers of MP3 frames, layer I, II or III, and the tags that count them.

References
----------
ISO/IEC 11172-3 and 13818-3 (headers). M. Dietz, Xing VBR header; LAME, Mp3 Info Tag rev 1.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from functools import cache

__all__ = [
    "TAG_NAMES",
    "Tag",
    "frame_size",
    "frame_sizes",
    "read_tag",
    "side_length",
    "stream_key",
    "stream_kind",
]

TAG_NAMES = frozenset({b"Xing", b"Info"})
_RATES = (44100, 48000, 32000)  # Hz: MPEG 1; half of it in MPEG 2, a quarter in 2.5
_KBITS = {  # by version (MPEG 1, others) and layer
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


@dataclass(frozen=True)
class Tag:
    """What a Xing, Info or VBRI tag says; it fills a frame without sound.

    Attributes
    ----------
    frames : int
        Frames that follow; 0 if it does not say.
    delay, padding : int
        Samples before and behind the sound, by LAME's extension; 0 without it.
    is_lame : bool
        Whether delay and padding are stated.
    """

    frames: int
    delay: int = 0
    padding: int = 0
    is_lame: bool = False


def stream_kind(header: bytes) -> tuple[int, int, int]:
    """Give layer, sample rate in Hz and samples per channel of a valid header."""
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    rate = _RATES[header[2] >> 2 & 3] >> {3: 0, 2: 1, 0: 2}[version]
    length = 384 if layer == 1 else 576 if layer == 3 and version != 3 else 1152
    return layer, rate, length


def stream_key(header: bytes) -> tuple[int, int]:
    """Give what all frames of a stream have in common: version, layer and rate."""
    return header[1] & 0xFE, header[2] & 0x0C


def side_length(header: bytes) -> int:
    """Give the bytes of side information, behind which a tag stands."""
    is_mono, is_first = header[3] >= 0xC0, header[1] & 0x08
    return (17 if is_mono else 32) if is_first else (9 if is_mono else 17)


@cache
def frame_sizes() -> list[int]:
    """Tabulate the length of a frame in bytes by the second and third byte of its header.

    0 where these cannot be a header's, or where the bit rate is free.
    """
    table = [0] * 0x10000
    for second in range(0xE0, 0x100):
        version, layer = second >> 3 & 3, 4 - (second >> 1 & 3)
        if version == 1 or layer == 4:
            continue
        kbits = _KBITS[1 if version == 3 else 2, layer]
        for third in range(0x100):
            index, padding = third >> 4, third >> 1 & 1
            if index in (0, 15) or third >> 2 & 3 == 3:
                continue
            _, rate, length = stream_kind(bytes([0xFF, second, third, 0]))
            slot = 4 if layer == 1 else 1
            table[second << 8 | third] = slot * (
                length // 8 // slot * kbits[index - 1] * 1000 // rate + padding
            )
    return table


def frame_size(header: bytes) -> int:
    """Give the length of the frame with this header in bytes; 0 if it is none."""
    if len(header) < 4 or header[0] != 0xFF:
        return 0
    return frame_sizes()[header[1] << 8 | header[2]]


def read_tag(frame: bytes) -> Tag | None:
    """Read the Xing, Info or VBRI tag in a frame."""
    if frame[36:40] == b"VBRI" and len(frame) >= 54:
        return Tag(*struct.unpack(">I", frame[50:54]))
    found = re.search(rb"Xing|Info", frame[:44])
    if found is None or len(frame) < found.end() + 4:
        return None
    at = found.end() + 4
    flags = frame[at - 1]
    frames = 0
    if flags & 1:
        frames = int.from_bytes(frame[at : at + 4], "big")
    at += sum(size for bit, size in ((1, 4), (2, 4), (4, 100), (8, 4)) if flags & bit)
    if frame[at : at + 4] not in (b"LAME", b"Lavf", b"Lavc") or len(frame) < at + 24:
        return Tag(frames)
    delays = int.from_bytes(frame[at + 21 : at + 24], "big")
    return Tag(frames, delays >> 12, delays & 0xFFF, is_lame=True)
