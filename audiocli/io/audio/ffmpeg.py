"""Decode with FFmpeg, through PyAV, what libsndfile does not know or does not read whole.

FFmpeg's decoders are many and some of them crash on what they do not expect, so that they run in
a process of their own: :mod:`audiocli.io.audio.remote` starts it, and is the only user of this.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from audiocli.errors import AudioError
from audiocli.io.audio.info import AudioInfo, Block, printable
from audiocli.io.audio.layouts import Layout, ordered
from audiocli.io.audio.mp3 import Mp3, Run, frames_of, scan_mp3, sound_of
from audiocli.io.audio.source import (
    ByteRange,
    Decoder,
    DecodingError,
    Source,
    changed,
    no_audio,
    not_audio,
)

if TYPE_CHECKING:
    from av import AudioFrame

__all__ = ["FFmpegDecoder", "import_av", "open_ffmpeg"]

# What is opened: files that hold sound themselves. Playlists and the like name other files.
_FORMATS = (
    "aac ac3 ac4 aea aiff amr amrnb amrwb ape apm asf ast au avi avr bfstm brstm caf dff dsf dts "
    "dtshd eac3 epaf flac flv iff ircam loas matroska mlp mmf mov mp3 mpc mpc8 mpeg mpegts mxf "
    "nist nsp nut ogg oma paf pvf qcp rm rso sds sol sox svag tak truehd tta vag voc w64 wav wsd "
    "wv wve xa xwma"
).replace(" ", ",")

# A stream of packets, and nothing else.
_BARE = frozenset({"aac", "ac3", "eac3", "dts", "loas", "mlp", "truehd"})
# Containers whose header states how long they are, to about a packet.
_STATING = frozenset({"avi", "flv"})
_TOLERANCE = 0.2  # seconds

_MANY = 8  # planes that PyAV cannot be trusted with: it reads beyond the table of eight
_PACKED: dict[str, type[np.generic]] = {
    **{"u8": np.uint8, "s16": np.int16, "s32": np.int32, "s64": np.int64},
    **{"flt": np.float32, "dbl": np.float64},
}


class FFmpegDecoder:
    """Decode a stream of any container that FFmpeg knows."""

    promised: float | None = None
    least_frames = 0

    def __init__(self, source: Source) -> None:
        av = import_av(source.name)
        self._av, self._name = av, source.name
        self._error: type[Exception] = av.error.FFmpegError
        self.notes: list[str] = []
        self._stated = 0.0  # seconds by the header
        self._open(source)
        try:
            stream = self._container.streams.best("audio")
            if stream is None:
                raise not_audio(source.name)
            self._stream = stream
            self.kind = self._container.format.name.split(",")[0]
            self._frames = self._decode()
            first = next(self._frames, None)
            if first is None:
                raise no_audio(source.name)
            self._first = first
            self.info = self._describe()
            self._promise(source)
        except DecodingError as error:
            self.close()
            raise not_audio(source.name) from error
        except AudioError:
            self.close()
            raise

    def _open(self, source: Source) -> None:
        self._file = None
        # "file:", because a colon in the name would be read as a protocol
        target: Any = "file:" + source.path
        if not source.is_whole:
            target = self._file = ByteRange(source.path, source.start, source.end)
        options = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
        try:
            self._container = self._av.open(target, metadata_errors="replace", options=options)
        except (self._error, ValueError) as error:
            if self._file is not None:
                self._file.close()
            raise not_audio(source.name) from error

    def _promise(self, source: Source) -> None:
        """Find out how long the stream should be, where its container knows."""
        stream, codec = self._stream, self._stream.codec_context.codec
        if self.kind in ("asf", "matroska") and source.is_cut:
            self.notes.append("it is shorter than its header states: it was cut")
        if self.kind in _STATING and len(self._container.streams) == 1:
            self._stated = (self._container.duration or 0) / self._av.time_base
        if not stream.duration or not stream.time_base:
            return
        seconds = float(stream.duration * stream.time_base)
        frames = round(seconds * self.info.sample_rate)
        if self.kind == "mov":
            # The index lists every packet. Edit lists are in milliseconds, and some of what
            # they leave out at the beginning counts here.
            self.promised = seconds
            self.least_frames = frames - (2 if source.is_cut else self.info.sample_rate)
        elif codec.lossless and self.kind in ("wv", "tta", "ape", "tak"):
            self.promised, self.least_frames = seconds, frames

    def _describe(self) -> AudioInfo:
        frame, codec = self._first[0], self._stream.codec_context.codec
        sample_format = frame.format.name.rstrip("p")
        # 24-bit samples travel in 32-bit integers
        depth = {"u8": 8, "s16": 16, "s32": 24, "s64": 64, "flt": 32, "dbl": 64}.get(sample_format)
        if codec.name == "pcm_s32le" or codec.name == "pcm_s32be":
            depth = 32
        is_lossless = codec.lossless and not codec.lossy
        self._channels = frame.layout.nb_channels
        layout, self._indices = _speakers(frame)
        container = {"mov": "m4a", "matroska": "webm", "asf": "wma"}.get(self.kind, self.kind)
        return AudioInfo(
            path=self._name,
            sample_rate=frame.sample_rate,
            channels=self._channels,
            frames=None,  # an MP4 rounds its length to milliseconds, the others do not state it
            bits=depth if is_lossless else None,
            is_float=is_lossless and sample_format in ("flt", "dbl"),
            container=container,
            layout=layout,
        )

    def _decode(self) -> Iterator[tuple[AudioFrame, int]]:
        """Yield each frame with the samples it should have by its packet, if that is exact.

        A broken packet is forgiven at the start and at the end, as in a stream recorded from
        the air. In the middle it is an error where a container frames the packets; without one,
        it may be no audio at all, and a note tells of it.
        """
        started = broken = False
        is_exact, is_bare, skipped = self.kind == "mov", self.kind in _BARE, 0
        try:
            for packet in self._container.demux(self._stream):
                try:
                    frames = self._stream.decode(packet)
                except self._error:
                    broken = started
                    continue
                if broken and packet.size:
                    if not is_bare:
                        raise DecodingError("invalid data")
                    skipped += 1
                    broken = False
                started = started or bool(frames)
                for frame in frames:
                    stated = frame.samples
                    if is_exact and len(frames) == 1 and packet.duration:
                        stated = round(packet.duration * packet.time_base * frame.sample_rate)
                    yield frame, stated
        except self._error as error:
            raise DecodingError(getattr(error, "strerror", None) or str(error)) from error
        if skipped:
            self.notes.append(
                f"bytes that are no audio, or damaged, were skipped in {skipped} places"
            )

    def skip(self, frames: int) -> int:
        """Do nothing: FFmpeg's seeking is not exact."""
        return 0

    def chunks(self) -> Iterator[Block]:
        """Decode; raises DecodingError where that cannot go on."""
        info, done = self.info, 0
        held = np.empty((info.channels, 0), np.float32)
        try:
            for frame, stated in chain([self._first], self._frames):  # noqa: B007  # used after it
                rate, channels = frame.sample_rate, frame.layout.nb_channels
                if (rate, channels) != (info.sample_rate, info.channels):
                    raise changed(info, done, channels, rate)
                if done:
                    yield held
                held = self._samples(frame)
                done += held.shape[1]
        except DecodingError:
            if not self.least_frames or done < self.least_frames:
                yield held
                raise
            # all that was promised is there: what follows is no audio, a tag for instance
        yield held[:, :stated]  # the rest of the last packet is padding
        seconds = done / info.sample_rate
        if seconds < self._stated - _TOLERANCE:
            self.notes.append(
                f"only {seconds:.2f} s are there of the {self._stated:.2f} s that its header "
                "states: it was cut or damaged"
            )

    def _samples(self, frame: AudioFrame) -> Block:
        if frame.format.is_planar and self._channels >= _MANY:
            frame = self._packed(frame)
        samples = float_samples(frame)
        return samples if self._indices is None else samples[self._indices]

    def _packed(self, frame: AudioFrame) -> AudioFrame:
        """Interleave the planes of a frame without touching them from Python."""
        if not hasattr(self, "_packer"):
            self._packer = self._av.AudioResampler(format="flt")
        frame.pts = None
        packed: list[AudioFrame] = self._packer.resample(frame)
        return packed[0]

    def close(self) -> None:
        """Close the file."""
        self._container.close()
        if self._file is not None:
            self._file.close()


class _Mp3Decoder:
    """Decode the frames of an MP3 that a scan found, and nothing else.

    Delay and padding are left out where a tag states them. A frame that cannot be decoded
    becomes silence, so that what follows keeps its time.
    """

    promised: float | None = None
    least_frames = 0

    def __init__(self, source: Source, mp3: Mp3) -> None:
        self._av = import_av(source.name)
        self._parts = mp3.parts
        first = mp3.runs[0]
        self._file = open(source.path, "rb")  # noqa: SIM115  # closed by close
        self.notes = mp3.notes
        self.info = AudioInfo(
            path=source.name,
            sample_rate=first.sample_rate,
            channels=first.channels,
            frames=mp3.frames,
            bits=None,
            is_float=False,
            container="mp3",
        )

    def skip(self, frames: int) -> int:
        """Do nothing: FFmpeg's seeking is not exact."""
        return 0

    def chunks(self) -> Iterator[Block]:
        """Decode part by part; a part begins with a tag."""
        done, broken, first_broken = 0, 0, 0
        for part in self._parts:
            kind = part[0]
            if (kind.sample_rate, kind.channels) != (self.info.sample_rate, self.info.channels):
                raise changed(self.info, done, kind.channels, kind.sample_rate)
            skip, wanted = sound_of(part)
            for block in self._decode(part):
                if block is None:
                    first_broken = first_broken if broken else done
                    broken += 1
                    block = np.zeros((kind.channels, kind.frame_length), np.float32)
                left_out = min(skip, block.shape[1])
                skip -= left_out
                block = block[:, left_out : left_out + wanted]
                wanted -= block.shape[1]
                done += block.shape[1]
                if block.shape[1]:
                    yield block
        if broken:
            seconds = first_broken / self.info.sample_rate
            self.notes.append(
                f"{broken} of its MP3 frames, the first at {seconds:.2f} s, are damaged and became "
                "silence"
            )

    def _decode(self, part: tuple[Run, ...]) -> Iterator[Block | None]:
        """Decode frame by frame; None for one that cannot be."""
        codec: Any = None
        for run in part:
            if codec is None:
                codec = self._av.CodecContext.create(f"mp{run.layer}float", "r")
            for data in frames_of(self._file, run):
                try:
                    frames = codec.decode(self._av.Packet(data))
                except self._av.error.FFmpegError:
                    frames = []
                if not frames:
                    yield None
                for frame in frames:
                    yield float_samples(frame)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def open_ffmpeg(source: Source) -> Decoder:
    """Open what libsndfile does not read."""
    if source.is_mp3:
        mp3 = scan_mp3(source.path, source.start, None if source.end < 0 else source.end)
        if mp3 is not None and any(run.frames for run in mp3.runs):
            return _Mp3Decoder(source, mp3)
    decoder = FFmpegDecoder(source)
    if decoder.kind != "mp3":
        return decoder
    mp3 = scan_mp3(source.path)
    if mp3 is None:
        return decoder
    decoder.close()
    return _Mp3Decoder(source, mp3)


def import_av(name: str) -> ModuleType:
    """Import PyAV, whose wheels bring FFmpeg; late, because most files do not need it."""
    try:
        import av
    except ImportError as error:
        raise AudioError(
            f"{printable(name)}: libsndfile cannot read it, and PyAV, which reads m4a, aac, webm, "
            f"wma and more, cannot be imported ({printable(str(error))}); "
            "run: pip install --upgrade av"
        ) from error
    return av


def _speakers(frame: AudioFrame) -> tuple[Layout | None, list[int] | None]:
    """Tell the layout of a frame, and how its channels are put into the order of WAV."""
    channels = frame.layout.channels
    if len(channels) < 3:
        return None, None
    return ordered(channel.name for channel in channels)


def float_samples(frame: AudioFrame) -> Block:
    """Convert a decoded frame of fewer than eight planes to floats (channels, samples)."""
    kind = _PACKED[frame.format.name.removesuffix("p")]
    size = frame.samples * np.dtype(kind).itemsize
    channels = frame.layout.nb_channels
    planes = [memoryview(plane) for plane in frame.planes]  # with padding behind
    if frame.format.is_planar and channels > 1:
        samples = np.stack([np.frombuffer(plane[:size], kind) for plane in planes])
    else:
        samples = np.frombuffer(planes[0][: size * channels], kind).reshape(-1, channels).T
    if samples.dtype == np.uint8:
        samples = samples.astype(np.float32) - np.float32(128)
        return np.ascontiguousarray(samples / np.float32(128))
    floats = np.ascontiguousarray(samples, dtype=np.float32)
    if samples.dtype.kind == "i":
        floats = floats / np.float32(2.0 ** (8 * samples.dtype.itemsize - 1))
    return floats
