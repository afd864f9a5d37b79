"""Audio from a pipe, as it comes: nothing is waited for, and nothing read twice."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from audiocli.errors import AudioError, UsageError
from audiocli.io.audio.layouts import Layout, layout_of_mask

__all__ = ["ENCODINGS", "RawAudio", "open_piped"]

Audio = NDArray[np.float32]

#: How audio files begin that FFmpeg decodes as they come, beside WAV and MPEG audio.
MAGIC = (b"fLaC", b"OggS", b"FORM", b"RF64", b"RIFX", b"RIFF", b".snd", b"caff", b"wvpk", b"riff",
         b"\x1aE\xdf\xa3", b"TTA1")  # fmt: skip
#: What raw audio may consist of: numpy's name of a sample, and its full scale.
ENCODINGS = {"s16le": ("<i2", 2.0**15), "s32le": ("<i4", 2.0**31), "f32le": ("<f4", 1.0)}


@dataclass(frozen=True)
class RawAudio:
    """What the bytes of a pipe mean that has no header.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    channels : int
        Interleaved.
    encoding : str
        One of ``ENCODINGS``.
    layout : tuple of str
        The speakers of the channels, by FFmpeg's names ('FL', 'LFE', ...); empty where that is
        not known, as of raw samples.
    """

    sample_rate: int = 44_100
    channels: int = 1
    encoding: str = "s16le"
    layout: Layout = ()

    def __post_init__(self) -> None:
        if self.encoding not in ENCODINGS:
            raise UsageError(f"unknown encoding {self.encoding!r}; use {', '.join(ENCODINGS)}")
        if self.sample_rate < 4000 or self.channels < 1:
            raise UsageError("raw audio has a sample rate of 4000 Hz or more, and a channel")


def open_piped(stream: BinaryIO, raw: RawAudio) -> tuple[RawAudio, Iterator[Audio]]:
    """Read audio from a pipe as it comes: an audio file, or raw samples."""
    start = _exactly(stream, 12)
    if start[:4] == b"RIFF" and start[8:] == b"WAVE":
        return _wav(stream, start)
    if len(start) == 12 and _is_container(start):
        return _decoded(stream, start)
    return raw, _blocks(stream, raw, start)


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := stream.read(size - len(data))):
        data += more
    return data


def _is_container(start: bytes) -> bool:
    """Tell whether bytes begin an audio file of a known kind, and not raw samples."""
    if start[:4] in MAGIC or start[:3] == b"ID3" or start[4:8] == b"ftyp":
        return True
    # An MPEG frame: eleven bits set, then a version, layer, bit rate and sample rate that exist.
    head = int.from_bytes(start[:4], "big")
    if head >> 21 != 0x7FF:
        return False
    version, layer = head >> 19 & 3, head >> 17 & 3
    return version != 1 and layer != 0 and head >> 12 & 15 not in (0, 15) and head >> 10 & 3 != 3


class _Pipe:
    """A stream whose first bytes were read; FFmpeg reads on from them and never seeks."""

    def __init__(self, stream: BinaryIO, start: bytes) -> None:
        self._start = start
        self._read = getattr(stream, "read1", stream.read)

    def read(self, size: int) -> bytes:
        if self._start:
            given, self._start = self._start[:size], self._start[size:]
            return given
        more: bytes = self._read(size)
        return more


def _decoded(stream: BinaryIO, start: bytes) -> tuple[RawAudio, Iterator[Audio]]:
    """Decode FLAC, MP3, AIFF, Ogg, RF64 and what else FFmpeg reads without seeking."""
    import av  # half as long to import as all the rest

    try:
        container = av.open(_Pipe(stream, start), "r", options={"probesize": "65536"})
        if not container.streams.audio:
            raise AudioError("standard input: holds no audio")
        source = container.streams.audio[0]
        form = RawAudio(int(source.rate), int(source.channels), "f32le", _speakers(source.layout))
        converter = av.AudioResampler(format="fltp", layout=source.layout, rate=source.rate)
    except (av.FFmpegError, ValueError) as error:
        raise AudioError(
            f"standard input: cannot be decoded as it comes ({error}); send WAV, FLAC, MP3 or "
            "AIFF, or save it to a file first"
        ) from error

    def blocks() -> Iterator[Audio]:
        done = 0
        try:
            for frame in container.decode(source):
                for part in converter.resample(frame):
                    block = part.to_ndarray().astype(np.float32)
                    done += block.shape[1]
                    yield block
        except (av.FFmpegError, ValueError) as error:
            raise AudioError(
                f"standard input: is damaged or truncated: decoding stops after "
                f"{done / form.sample_rate:.2f} s ({error})"
            ) from error
        if not done:
            raise AudioError("standard input: holds no samples")

    return form, blocks()


def _speakers(layout: Any) -> Layout:
    """Name the speakers of FFmpeg's channels, where they are speakers."""
    names = tuple(channel.name for channel in layout.channels)
    return names if len(names) == layout.nb_channels and len({*names}) == len(names) else ()


def _wav(stream: BinaryIO, seen: bytes) -> tuple[RawAudio, Iterator[Audio]]:
    """Walk the chunks of a WAV header up to the samples; FFmpeg decodes other kinds of these."""
    form: RawAudio | None = None
    while len(header := _exactly(stream, 8)) == 8:
        name, size = header[:4], struct.unpack("<I", header[4:])[0]
        if name == b"data" and form is not None:
            return form, _blocks(stream, form, b"", None if _unfilled(size) else size)
        body = _exactly(stream, size + size % 2)
        seen += header + body
        if name == b"fmt " and len(body) >= 16:
            kind, channels, rate, _, _, bits = struct.unpack("<HHIIHH", body[:16])
            layout: Layout = ()
            if kind == 0xFFFE and len(body) >= 26:  # the extensible form keeps its kind further on
                mask, kind = struct.unpack("<IH", body[20:26])
                layout = layout_of_mask(mask, channels)
            encoding = {(1, 16): "s16le", (1, 32): "s32le", (3, 32): "f32le"}.get((kind, bits))
            if encoding is None:
                return _decoded(stream, seen)
            form = RawAudio(rate, channels, encoding, layout)
    raise AudioError("standard input: ends in the middle of a WAV header")


def _unfilled(size: int) -> bool:
    """Tell whether a header was written before the length was known."""
    return size == 0 or size >= 0xFFFF0000 or 0x7FFF0000 <= size <= 0x80000000


def _blocks(
    stream: BinaryIO, form: RawAudio, start: bytes, size: int | None = None
) -> Iterator[Audio]:
    """Read samples up to the end, or `size` bytes: other chunks may follow those of a WAV."""
    dtype, full_scale = ENCODINGS[form.encoding]
    frame = np.dtype(dtype).itemsize * form.channels
    read = getattr(stream, "read1", stream.read)  # what is there, not all that was asked for
    pending, done = start, False
    while True:
        whole = len(pending) - len(pending) % frame
        if whole:
            samples = np.frombuffer(pending[:whole], dtype).reshape(-1, form.channels)
            yield (samples.T / full_scale).astype(np.float32)
            pending, done = pending[whole:], True
        more = read(16_384 if size is None else min(16_384, size))
        if not more and not done and not pending:
            raise AudioError("standard input: is empty; pipe audio into it")
        if not more:
            return
        if size is not None:
            size -= len(more)
        pending += more
