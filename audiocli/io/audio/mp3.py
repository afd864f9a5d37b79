"""Find the frames of an MP3, layer I, II or III, without decoding it.

Decoders guess: libsndfile takes the length of a file without a Xing tag from its size and its
first frame, stops at the count of a tag where another file follows, and at the first bytes that
are no frame. A walk from header to header costs less than a hundredth of decoding and tells how
much there is, what is missing, and what is no sound.

References
----------
ISO/IEC 11172-3 and 13818-3 (headers). M. Dietz, Xing VBR header; LAME, Mp3 Info Tag rev 1.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from audiocli.io.audio.headers import seven_bits
from audiocli.io.audio.mp3_headers import (
    TAG_NAMES,
    Tag,
    frame_size,
    frame_sizes,
    read_tag,
    side_length,
    stream_key,
    stream_kind,
)

__all__ = ["Gap", "Mp3", "Run", "frames_of", "is_mp3_header", "scan_mp3", "sound_of"]

_WINDOW = 1 << 20
_LONGEST = 2881  # bytes: layer II, 160 kbit/s at 8 kHz, is the longest frame that there may be
_CONFIRMING = 3  # headers that must follow each other where a search begins
DECODER_DELAY = 529  # samples by which a decoder of layer III is late

_BEGINNING = re.compile(rb"\xff[\xe2-\xff]|ID3|TAG|APETAGEX|LYRICSBEGIN")
_IS_HEADER = 0x20000000  # flag of APE: this is the header of the tag, not its footer


@dataclass(frozen=True)
class Run:
    """Frames of one kind, each right behind the other.

    Attributes
    ----------
    start, end : int
        In the file, in bytes.
    frames : int
        Frames that hold sound.
    layer, sample_rate, channels, frame_length : int
        The last in samples per channel.
    tag : Tag or None
        What a tag at the start of the run says.
    """

    start: int
    end: int
    frames: int
    layer: int
    sample_rate: int
    channels: int
    frame_length: int
    tag: Tag | None = None

    @property
    def kind(self) -> tuple[int, int, int, int]:
        """What all frames of a stream have in common."""
        return self.layer, self.sample_rate, self.channels, self.frame_length


@dataclass(frozen=True)
class Gap:
    """Bytes that are no frames.

    Attributes
    ----------
    start, end : int
        In the file.
    kind : {'tag', 'zeros', 'cut frame', 'other'}
        A tag is ID3, APE or Lyrics3.
    """

    start: int
    end: int
    kind: str


@dataclass(frozen=True)
class Mp3:
    """Where the frames of a file are.

    Attributes
    ----------
    runs : tuple of Run
    gaps : tuple of Gap
        Before, between and behind the runs.
    """

    runs: tuple[Run, ...]
    gaps: tuple[Gap, ...]

    @property
    def parts(self) -> tuple[tuple[Run, ...], ...]:
        """The runs of each file in files that were joined; a tag or another kind begins one."""
        parts: list[list[Run]] = []
        for run in self.runs:
            if not parts or run.tag is not None or run.kind != parts[-1][0].kind:
                parts.append([])
            parts[-1].append(run)
        return tuple(map(tuple, parts))

    @property
    def frames(self) -> int:
        """Samples per channel in all parts."""
        return sum(frames for _, frames in map(sound_of, self.parts))

    @property
    def notes(self) -> list[str]:
        """What the user should know: bytes that are no frames, and frames that are missing."""
        notes = []
        for gap in self.gaps:
            if gap.kind == "tag" or (gap.kind != "other" and not self._before(gap)):
                continue
            if gap.kind == "cut frame":
                if not any(self._missing(part) for part in self.parts):
                    notes.append(
                        "its last frame is not whole: it was cut, or its recording stopped"
                    )
                continue
            what = "zeros" if gap.kind == "zeros" else "bytes that are no MP3 frames"
            where = f"at {self._before(gap):.2f} s"
            if gap.start >= self.runs[-1].end:
                where = "behind its last frame"
            elif gap.end <= self.runs[0].start:
                where = "before its first frame"
            notes.append(f"skipped {gap.end - gap.start} {what} {where}")
        for part in self.parts:
            missing = self._missing(part) * part[0].frame_length / part[0].sample_rate
            if missing:
                there = sum(run.frames for run in part) * part[0].frame_length / part[0].sample_rate
                notes.append(
                    f"only {there:.2f} s are there of the {there + missing:.2f} s that its Info "
                    "tag counts: it was cut or damaged"
                )
        return notes

    @staticmethod
    def _missing(part: tuple[Run, ...]) -> int:
        """Frames that the tag of a part counts and that are not there."""
        tag = part[0].tag
        return 0 if tag is None else max(0, tag.frames - sum(run.frames for run in part))

    def _before(self, gap: Gap) -> float:
        """Seconds before a gap."""
        runs = [run for run in self.runs if run.end <= gap.start]
        return sum(run.frames * run.frame_length / run.sample_rate for run in runs)

    def is_read_whole(self, counted: int = 1 << 62) -> bool:
        """Tell whether libsndfile reads all of it."""
        run = self.runs[0]
        behind = self.gaps[-1].end - run.end if self.gaps else 0
        if len(self.runs) > 1 or any(gap.kind in ("zeros", "other") for gap in self.gaps):
            return False
        if behind * 128 > run.end - run.start:  # it would complain of them
            return False
        if run.tag is not None:
            return run.tag.frames == run.frames
        return counted >= run.frames * run.frame_length


def sound_of(part: tuple[Run, ...]) -> tuple[int, int]:
    """Tell where the sound of a part begins, behind the delay, and its length, in samples."""
    tag, length = part[0].tag, part[0].frame_length
    frames = sum(run.frames for run in part)
    if tag is None or not tag.is_lame:
        return 0, frames * length
    start = tag.delay + DECODER_DELAY
    if tag.frames > frames:  # its end, where the padding would be, is missing
        return start, max(0, frames * length - start)
    return start, max(0, frames * length - tag.delay - tag.padding)


def scan_mp3(path: str, start: int = 0, end: int | None = None) -> Mp3 | None:
    """Walk through the frames of an MP3."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        scanner = _Scanner(file, size if end is None else min(end, size))
        scanner.scan(start)
    if not scanner.runs:
        return None
    return Mp3(tuple(scanner.runs), tuple(scanner.gaps))


def is_mp3_header(header: bytes) -> bool:
    """Tell whether a frame of MP3 may begin with these four bytes."""
    return frame_size(header) > 0


def frames_of(file: BinaryIO, run: Run) -> Iterator[bytes]:
    """Read the frames of a run that hold sound, one by one."""
    sizes = frame_sizes()
    position, is_tag = run.start, run.tag is not None
    buffer, at = b"", 0
    while position < run.end:
        if len(buffer) - at < _LONGEST:
            file.seek(position)
            buffer, at = file.read(min(_WINDOW, run.end - position)), 0
        size = sizes[buffer[at + 1] << 8 | buffer[at + 2]]
        if not is_tag:
            yield buffer[at : at + size]
        is_tag = False
        position, at = position + size, at + size


class _Scanner:
    """Collects runs and gaps of a file."""

    def __init__(self, file: BinaryIO, end: int) -> None:
        self.file, self.end = file, end
        self.runs: list[Run] = []
        self.gaps: list[Gap] = []

    def scan(self, position: int) -> None:
        while position < self.end:
            length = self._tag_length(position)
            if length:
                self._gap(position, position + length, "tag")
                position += length
                continue
            run = self._run(position)
            if run is not None:
                self.runs.append(run)
                position = run.end
                continue
            found = self._search(position)
            self._gap(position, found, self._kind(position, found))
            position = found

    def _read(self, position: int, size: int) -> bytes:
        self.file.seek(position)
        return self.file.read(max(0, min(size, self.end - position)))

    def _gap(self, start: int, end: int, kind: str) -> None:
        end = min(end, self.end)
        if self.gaps and self.gaps[-1].end == start and self.gaps[-1].kind == kind:
            start = self.gaps.pop().start
        self.gaps.append(Gap(start, end, kind))

    def _tag_length(self, position: int) -> int:
        """Give the length of the tag that begins here; 0 if none does."""
        head = self._read(position, 32)
        if head[:3] == b"ID3" and len(head) >= 10 and max(head[6:10]) < 128:
            footer = 10 if head[5] & 0x10 else 0
            return 10 + footer + seven_bits(head[6:10])
        if head[:3] == b"TAG" and position + 128 <= self.end:
            return 128
        if head[:8] == b"APETAGEX" and len(head) == 32:
            size, flags = struct.unpack("<12xI4xI", head[:24])
            if flags & _IS_HEADER:
                return 32 + int(size)
            self._end_of_tag(position + 32 - int(size), position)
            return 32
        if head[:11] == b"LYRICSBEGIN":
            found = re.search(rb"LYRICS200|LYRICSEND", self._read(position, 1 << 17))
            return found.end() if found else 0
        return 0

    def _end_of_tag(self, start: int, end: int) -> None:
        """Take what was no frame for the inside of a tag without a header, which ends here."""
        if self.gaps and self.gaps[-1].end == end and self.gaps[-1].start <= start < end:
            gap = self.gaps.pop()
            if gap.start < start:
                self.gaps.append(Gap(gap.start, start, self._kind(gap.start, start)))
            self.gaps.append(Gap(start, end, "tag"))

    def _run(self, position: int) -> Run | None:
        """Walk from header to header, as long as they are of one kind."""
        first = self._read(position, 4)
        size = frame_size(first)
        if not size or not self._is_confirmed(position):
            return None
        tag = read_tag(self._read(position, size))
        key, is_mono = stream_key(first), first[3] >= 0xC0
        layer, rate, length = stream_kind(first)
        mark = 4 + side_length(first)  # where the tag of another file would be
        sizes, end = frame_sizes(), self.end
        at, frames, is_over = position, -1 if tag else 0, False
        while not is_over:
            window = self._read(at, _WINDOW)
            last = len(window) - (4 if at + len(window) >= end else 64)
            offset = 0
            while offset <= last:
                second, third = window[offset + 1], window[offset + 2]
                size = sizes[second << 8 | third]
                is_over = (
                    not size
                    or window[offset] != 0xFF
                    or (second & 0xFE, third & 0x0C) != key
                    or (window[offset + 3] >= 0xC0) != is_mono
                    or at + offset + size > end
                    or (frames > 0 and window[offset + mark : offset + mark + 4] in TAG_NAMES)
                )
                if is_over:
                    break
                offset += size
                frames += 1
            at += offset
            is_over = is_over or at + 4 > end
        return Run(position, at, frames, layer, rate, 1 if is_mono else 2, length, tag)

    def _is_confirmed(self, position: int) -> bool:
        """Tell whether a whole frame begins here, and more of its kind, a tag or the end follow."""
        key: object = None
        for number in range(_CONFIRMING):
            header = self._read(position, 4)
            size = frame_size(header)
            if number and (len(header) < 4 or not any(header) or self._tag_length(position)):
                return True
            if not size or (number and key != (stream_key(header), header[3] >= 0xC0)):
                return False
            if position + size > self.end:
                return number > 0
            key = (stream_key(header), header[3] >= 0xC0)
            position += size
        return True

    def _search(self, position: int) -> int:
        """Find where the next tag or frame begins, or the end."""
        at = position + 1
        while at < self.end:
            window = self._read(at, _WINDOW + 16)
            for found in _BEGINNING.finditer(window, 0, _WINDOW + 3):
                here = at + found.start()
                if found[0] == b"TAG" and here + 128 != self.end:
                    continue  # a word in a text
                if self._tag_length(here) or self._is_confirmed(here):
                    return here
            at += _WINDOW
        return self.end

    def _kind(self, start: int, end: int) -> str:
        """Tell what is between two tags or frames."""
        is_zero = True
        for position in range(start, end, _WINDOW):
            is_zero = is_zero and not any(self._read(position, min(_WINDOW, end - position)))
        if is_zero:
            return "zeros"
        if self.runs and end == self.end:
            is_cut = frame_size(self._read(start, 4)) > end - start
        else:
            is_cut = not self.runs and end - start < _LONGEST
        return "cut frame" if is_cut else "other"


# ---- headers ------------------------------------------------------------------------------------
