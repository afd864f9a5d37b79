"""Tell whether two files hold the same sound, sample by sample, in memory that does not grow."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile as sf

from audiocli.io.audio.info import CHUNK, SequentialFile

__all__ = ["Sound", "decoded", "difference"]

_FORMATS = "wav,aiff,flac,ogg,mp3,aac,mov,mp4,m4a"
"""What FFmpeg may take a file for: never for a playlist, which would open other files."""


@dataclass(frozen=True)
class Sound:
    """What a decoder makes of a file: how many samples, of what kind, and their hash."""

    frames: int
    kinds: frozenset[tuple[int, int]]
    """The (sample rate, channels) met."""
    sha256: str


def decoded(path: Path) -> dict[str, Sound]:
    """Decode a file with each decoder that reads it to its end.

    A decoder that gives up is left out, because it cannot vouch for what it has not read.
    """
    found: dict[str, Sound] = {}
    for decoder, frames in (("FFmpeg", _by_ffmpeg), ("libsndfile", _by_sndfile)):
        if found and _is_mpeg(path):
            break  # libsndfile stops at its estimate of the length, and its mpg123 speaks up
        digest, total, kinds = hashlib.sha256(), 0, set()
        try:
            for data, count, kind in frames(path):
                digest.update(data)
                total += count
                kinds |= {kind} if count else set()
        except _Unreadable:
            continue
        if total:
            found[decoder] = Sound(total, frozenset(kinds), digest.hexdigest())
    return found


def difference(before: dict[str, Sound], after: dict[str, Sound]) -> str | None:
    """Say how the sound of a copy differs from the original's; None if it does not."""
    for decoder, sound in before.items():
        new = after.get(decoder)
        if new is None:
            return f"{decoder} could no longer decode it"
        if new.frames != sound.frames:
            return f"{decoder} would find {new.frames} samples where there are {sound.frames}"
        if new != sound:
            return f"{decoder} would find other samples in it"
    return None


def _is_mpeg(path: Path) -> bool:
    with path.open("rb") as stream:
        head = stream.read(3)
    return head == b"ID3" or head[:1] == b"\xff"


class _Unreadable(Exception):
    """A decoder does not know the file, or gives up in its middle."""


def _by_sndfile(path: Path) -> Iterator[tuple[bytes, int, tuple[int, int]]]:
    """Decode with libsndfile, which sees the content only: it would also go by the name."""
    try:
        with path.open("rb") as stream, SequentialFile(stream) as file:
            kind = (file.samplerate, file.channels)
            while len(block := file.read(CHUNK, dtype="float64", always_2d=True)):
                yield block.tobytes(), len(block), kind
    except (sf.LibsndfileError, TypeError, OSError) as error:
        raise _Unreadable from error


def _by_ffmpeg(path: Path) -> Iterator[tuple[bytes, int, tuple[int, int]]]:
    """Decode with FFmpeg; a packet that is broken counts as its bytes, as players skip it."""
    try:
        import av
    except ImportError as error:
        raise _Unreadable from error
    url, kind, pack = "file:" + os.path.abspath(path), (0, 0), _Packer()
    options = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}
    try:
        with av.open(url, options=options, metadata_errors="replace") as file:
            stream = file.streams.best("audio")
            for packet in file.demux() if stream else ():
                if packet.stream is not stream:  # pictures of a film, say; a cover may change
                    cover = packet.stream.disposition & av.stream.Disposition.attached_pic
                    yield b"" if cover else bytes(packet), 0, kind
                    continue
                try:
                    frames: Any = packet.decode()
                except av.error.FFmpegError:
                    yield b"broken" + bytes(packet), 0, kind
                    continue
                for frame in frames:
                    kind = (frame.sample_rate, frame.layout.nb_channels)
                    yield pack(frame), frame.samples, kind
    except (av.error.FFmpegError, OSError) as error:
        raise _Unreadable from error


class _Packer:
    """Interleave the channels of frames: PyAV reads past the list of eight and more planes."""

    def __init__(self) -> None:
        self.kind: tuple[str, str, int] | None = None
        self.resampler: Any = None

    def __call__(self, frame: Any) -> bytes:
        import av

        if frame.format.is_planar:
            kind = (frame.format.packed.name, frame.layout.name, frame.sample_rate)
            if kind != self.kind:
                self.kind, self.resampler = kind, av.AudioResampler(*kind)
            frame.pts = None
            (frame,) = self.resampler.resample(frame)
        size = frame.samples * frame.layout.nb_channels * frame.format.bytes
        return bytes(memoryview(frame.planes[0])[:size])
