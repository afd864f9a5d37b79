"""Decode and encode audio files, in blocks, whatever their length.

A file is offered to libsndfile first (wav, flac, ogg, opus, mp3, aiff, au, caf,
w64, rf64) and to FFmpeg, through PyAV, second (m4a, aac, mp4, webm, wma, ...).
The content decides, never the extension. What comes out is float32 of shape
(channels, samples) with full scale at 1.0, at the file's own rate; what goes
in is clipped to what the format can hold, rounded to the nearest step and not
dithered, so samples that are read and written again come out bit for bit.

Limits: 4000 to 192000 Hz and 1 to 8 channels. Of an Ogg or MP3 file that is
several files glued together, libsndfile reads the first.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import stat
import struct
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from audiocli.errors import AudioError, UsageError, suggest

if TYPE_CHECKING:
    from av import AudioFrame

__all__ = [
    "AUDIO_EXTENSIONS",
    "AudioFormat",
    "AudioInfo",
    "AudioReader",
    "AudioWriter",
    "output_format",
    "probe",
    "read",
    "spooled",
]

AUDIO_EXTENSIONS: frozenset[str] = frozenset(
    ".wav .wave .bwf .rf64 .w64 .flac .ogg .oga .opus .mp3 .mp2 .aiff .aif .aifc .au .snd .caf "
    ".m4a .m4b .mp4 .aac .ac3 .webm .weba .wma .mka .ape .wv .tta".split()
)
"""Extensions, lower case, of the files that a walk through a folder picks up."""

MIN_RATE, MAX_RATE = 4000, 192000  # Hz
MAX_CHANNELS = 8

_CHUNK = 8192  # frames decoded or encoded at once: libvorbis overflows the stack on huge writes
_WAV_LIMIT = 2**32 - 2**16  # bytes of samples in a plain WAV, whose sizes are 32-bit; rest: headers
_UNKNOWN_LENGTH = 2**63 - 1  # libsndfile's frame count for a FLAC that does not state one
_LOSSLESS = frozenset({"wav", "rf64", "flac", "aiff", "au", "caf", "w64"})  # their counts are exact
_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
_BITS |= {f"ALAC_{bits}": bits for bits in (16, 20, 24, 32)} | {"FLOAT": 32, "DOUBLE": 64}
_FLOATS = frozenset({"FLOAT", "DOUBLE"})
_LOSSY_SUBTYPES = {"ogg": "VORBIS", "mp3": "MPEG_LAYER_III"}
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # Hz: MPEG 1, 2, 2.5
# Near transparency: Vorbis quality 7 and LAME V2, about 225 and 185 kbit/s in stereo.
_LOSSY_QUALITY: dict[str, dict[str, Any]] = {
    "ogg": {"compression_level": 0.3},
    "mp3": {"bitrate_mode": "VARIABLE", "compression_level": 0.2},
}

StrPath = str | os.PathLike[str]
Block = NDArray[np.float32]


@dataclass(frozen=True)
class AudioInfo:
    """What an audio file holds.

    Attributes
    ----------
    path : str
        The file, as the user named it.
    sample_rate : int
        Samples per second, in Hz.
    channels : int
        Number of channels.
    frames : int or None
        Samples per channel; None where the file does not say or cannot be trusted.
    bits : int or None
        Bits per sample (8, 16, 24, 32 or 64); None for lossy coders.
    is_float : bool
        Whether the samples are stored in floating point, and so may pass 1.0.
    container : str
        The kind of file: 'wav', 'flac', 'ogg', 'mp3', 'm4a', ...

    Examples
    --------
    >>> AudioInfo("a.wav", 44100, 2, 66150, 16, False, "wav").duration
    1.5
    """

    path: str
    sample_rate: int
    channels: int
    frames: int | None
    bits: int | None
    is_float: bool
    container: str

    @property
    def duration(self) -> float | None:
        """Length in seconds; None where `frames` is."""
        return None if self.frames is None else self.frames / self.sample_rate


def probe(path: StrPath, *, name: str | None = None) -> AudioInfo:
    """Tell what an audio file holds without decoding it.

    Parameters
    ----------
    path : str or path-like
        The file.
    name : str, optional
        How to call the file in messages and in the result; its path if None.

    Returns
    -------
    AudioInfo
        Rate, channels, length, depth and container.

    Raises
    ------
    AudioError
        If the file is missing, unreadable, not audio, empty, visibly truncated, or
        outside of the limits on rate and channels.

    Examples
    --------
    >>> import io, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.wav"
    ...     sf.write(path, np.zeros((800, 2)), 8000)
    ...     probe(path, name="a.wav").duration
    0.1
    """
    with AudioReader(path, name=name) as reader:
        return reader.info


def read(path: StrPath, *, mono: bool = False) -> tuple[Block, int]:
    """Read a whole file.

    Parameters
    ----------
    path : str or path-like
        The file.
    mono : bool
        Whether to average the channels into one.

    Returns
    -------
    audio : ndarray of float32, shape (channels, samples)
        The samples, full scale at 1.0; one channel if `mono`.
    sample_rate : int
        In Hz.

    Raises
    ------
    AudioError
        As for `AudioReader`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.wav"
    ...     sf.write(path, np.full((800, 2), [0.5, 0.25]), 8000)
    ...     audio, sample_rate = read(path, mono=True)
    >>> audio.shape, float(audio[0, 0]), sample_rate
    ((1, 800), 0.375, 8000)
    """
    with AudioReader(path) as reader:
        blocks = reader.blocks()
        if mono:
            blocks = (block.mean(axis=0, keepdims=True) for block in blocks)
        return np.concatenate(list(blocks), axis=1), reader.info.sample_rate


class AudioReader:
    """An audio file, decoded block by block in constant memory.

    Parameters
    ----------
    path : str or path-like
        The file.
    name : str, optional
        How to call the file in messages and in `info`; its path if None.

    Attributes
    ----------
    info : AudioInfo
        What the file holds.

    Raises
    ------
    AudioError
        If the file is missing, unreadable, not audio, empty, visibly truncated, or
        outside of the limits on rate and channels.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.wav"
    ...     sf.write(path, np.zeros((1000, 2)), 8000)
    ...     with AudioReader(path) as reader:
    ...         [block.shape for block in reader.blocks(400)]
    [(2, 400), (2, 400), (2, 200)]
    """

    def __init__(self, path: StrPath, *, name: str | None = None) -> None:
        self._path = os.fspath(path)
        self._name = self._path if name is None else name
        self._started = False
        self._decoder = _open_decoder(self._path, self._name)
        self.info: AudioInfo = self._decoder.info

    def __enter__(self) -> AudioReader:
        """Return the reader itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the file."""
        self._decoder.close()

    def blocks(self, frames: int = 65536) -> Iterator[Block]:
        """Decode the file from its beginning; a second call starts anew and ends the first.

        Parameters
        ----------
        frames : int
            Samples per channel in each block but the last, which may be shorter.

        Yields
        ------
        ndarray of float32, shape (channels, samples)
            The samples, full scale at 1.0.

        Raises
        ------
        AudioError
            If the file is truncated or damaged, holds NaN or infinity, changes its rate or
            channels on the way, or turns out to be empty.
        """
        if frames < 1:
            raise ValueError(f"a block holds at least one frame, not {frames}")
        if self._started:
            self._decoder.close()
            self._decoder = _open_decoder(self._path, self._name)
        self._started = True
        return _in_blocks(self._checked_chunks(), frames)

    def _checked_chunks(self) -> Iterator[Block]:
        rate, shown, done = self.info.sample_rate, _shown(self._name), 0
        try:
            for chunk in self._decoder.chunks():
                if not np.isfinite(chunk).all():
                    first = done + int(np.argmin(np.isfinite(chunk).all(axis=0)))
                    raise AudioError(
                        f"{shown}: holds NaN or infinity, first at {first / rate:.3f} s (sample "
                        f"{first}); repair or export it again: every sample must be a number"
                    )
                done += chunk.shape[1]
                yield chunk
        except _DecodingError as error:
            raise AudioError(
                f"{shown}: is damaged or truncated: decoding stops after {done / rate:.2f} s"
                f"{self._promise()} ({error}); fetch or export it again"
            ) from error
        if done < self._decoder.least_frames:
            raise AudioError(
                f"{shown}: is truncated: only {done / rate:.2f} s are there{self._promise()}; "
                "fetch or export it again"
            )
        if not done:
            raise _no_audio(self._name)

    def _promise(self) -> str:
        promised = self._decoder.promised
        return "" if promised is None else f" of the {promised:.2f} s that its header promises"


class _DecodingError(Exception):
    """The decoder gave up in the middle of a file."""


def _in_blocks(chunks: Iterable[Block], frames: int) -> Iterator[Block]:
    """Cut chunks of any lengths into blocks of `frames` samples, the last maybe shorter."""
    pending: list[Block] = []
    held = 0
    for chunk in chunks:
        pending.append(chunk)
        held += chunk.shape[1]
        if held < frames:
            continue
        joined = np.concatenate(pending, axis=1)
        whole = held - held % frames
        for start in range(0, whole, frames):
            yield joined[:, start : start + frames].copy()
        pending, held = [joined[:, whole:]], held - whole
    if held:
        yield np.concatenate(pending, axis=1)


def _shown(name: str) -> str:
    """Return a file name fit for a one-line message: line breaks and the like escaped."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def _no_audio(name: str) -> AudioError:
    return AudioError(f"{_shown(name)}: holds no audio (its length is zero); leave it out")


def _open_decoder(path: str, name: str) -> _SndfileDecoder | _FFmpegDecoder:
    """Open a file with the first decoder that knows it."""
    _require_file(path, name)
    shown = _shown(name)
    size = _stated_size(path)
    if size is not None:
        _check_size(size, shown)
    # libsndfile believes a header that says 0, or 2^32 - 1, for a length not known
    longer = size is not None and size.is_stream and size.stated < size.there
    file = None if longer else _open_sndfile(path)
    decoder = _FFmpegDecoder(path, name) if file is None else _SndfileDecoder(file, path, name)
    info = decoder.info
    problem = None
    if not MIN_RATE <= info.sample_rate <= MAX_RATE:
        problem = f"its sample rate of {info.sample_rate} Hz is outside of {MIN_RATE} to {MAX_RATE}"
    elif not 1 <= info.channels <= MAX_CHANNELS:
        problem = f"its {info.channels} channels are outside of 1 to {MAX_CHANNELS}"
    if problem or info.frames == 0:
        decoder.close()
        raise AudioError(f"{shown}: {problem}; convert it first") if problem else _no_audio(name)
    return decoder


def _require_file(path: str, name: str) -> None:
    """Raise unless there is a regular, readable file with something in it."""
    shown = _shown(name)
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise AudioError(f"{shown}: is a folder; name an audio file")
        if not stat.S_ISREG(status.st_mode):
            raise AudioError(f"{shown}: is a pipe or device; save its content to a file first")
        with open(path, "rb"):
            pass
    except FileNotFoundError as error:
        raise AudioError(f"{shown}: no such file; check the name") from error
    except PermissionError as error:
        raise AudioError(f"{shown}: permission denied; make the file readable") from error
    except OSError as error:
        raise AudioError(f"{shown}: cannot be opened ({error.strerror})") from error
    if status.st_size == 0:
        raise AudioError(f"{shown}: is an empty file (0 bytes); fetch or export it again")


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


def _stated_size(path: str) -> _StatedSize | None:
    """Find the size of the samples in a WAV or CAF; None for other files.

    Programs that write to a pipe cannot go back to fill in the sizes: they leave 0
    (GStreamer), 2^32 - 1 (FFmpeg), about 2^31 (SoX, arecord) or, in CAF, -1.
    """
    with open(path, "rb") as file:
        total = os.fstat(file.fileno()).st_size
        magic = file.read(4)
        layouts = {b"RIFF": ("<4sI", 12), b"RIFX": (">4sI", 12), b"caff": (">4sq", 8)}
        if magic not in layouts:
            return None
        layout, start = layouts[magic]
        order, is_caf = layout[0], magic == b"caff"
        outer = struct.unpack(order + "I", file.read(4).ljust(4, b"\0"))[0]
        if not is_caf and file.read(4) != b"WAVE":
            return None
        frame_bytes, byte_rate = 1, 0
        file.seek(start)
        while len(header := file.read(struct.calcsize(layout))) == struct.calcsize(layout):
            kind, length = struct.unpack(layout, header)
            begin = file.tell()
            if kind == b"data":
                there = total - begin
                if is_caf:
                    return _StatedSize(length, there, is_stream=length < 0)
                is_stream = length >= 0xFFFF0000 or 0x7FFF0000 <= length <= 0x80000000
                is_stream = is_stream or (length == 0 and outer + 8 != total)
                return _StatedSize(length, there, is_stream, frame_bytes, byte_rate)
            if kind == b"fmt " and len(fields := file.read(14)) == 14:
                byte_rate, frame_bytes = struct.unpack(order + "8xIH", fields)
                frame_bytes = max(1, frame_bytes)
            if not 0 <= length <= total:
                return None
            file.seek(begin + length + (0 if is_caf else length % 2))
    return None


def _check_size(size: _StatedSize, shown: str) -> None:
    """Raise if a file is cut, or goes on where every decoder would stop."""
    if size.missing > 0:
        raise AudioError(
            f"{shown}: is truncated: of the {size.stated} bytes of audio that its header promises "
            f"only {size.there} are there{size.seconds_there}; fetch or export it again"
        )
    if size.is_stream and 0 < size.stated <= 2**31 and size.there - size.stated > 2**20:
        raise AudioError(
            f"{shown}: its header was written to a pipe and ends after 2 GiB, but there is more; "
            "send it as flac or w64"
        )


class _SequentialFile(sf.SoundFile):  # type: ignore[misc]  # soundfile has no type hints
    """A file read or written from start to end.

    soundfile seeks after each read and write of a file that can seek, which costs time in
    compressed files and fails in a FLAC of unknown length.
    """

    def seekable(self) -> bool:
        return False


def _open_sndfile(path: str) -> _SequentialFile | None:
    """Open a file with libsndfile; None if it is not one of libsndfile's."""
    # An absolute path, because libsndfile takes the name "-" for standard input; bytes, because
    # soundfile cannot encode a name that is not valid Unicode.
    absolute = os.path.abspath(path)
    try:
        file = _SequentialFile(absolute if os.name == "nt" else os.fsencode(absolute))
    except (sf.LibsndfileError, TypeError):  # TypeError: a name that ends in .raw
        return None
    if file.format == "RAW":  # a guess from the extension alone: .snd, .vox, .gsm
        file.close()
        return None
    return file


class _SndfileDecoder:
    """Decode with libsndfile."""

    def __init__(self, file: _SequentialFile, path: str, name: str) -> None:
        container = {"WAVEX": "wav"}.get(file.format, file.format.lower())
        frames: int | None = file.frames
        if frames == _UNKNOWN_LENGTH or (container == "mp3" and not _mp3_states_length(path)):
            frames = None
        self._file = file
        self.least_frames = (frames or 0) if container in _LOSSLESS else 0
        self.info = AudioInfo(
            path=name,
            sample_rate=file.samplerate,
            channels=file.channels,
            frames=frames,
            bits=_BITS.get(file.subtype),
            is_float=file.subtype in _FLOATS,
            container=container,
        )
        self.promised = self.info.duration
        # libsndfile shortens the frame count of a cut file and notes what the header said
        if container in ("aiff", "au", "w64", "rf64"):
            for stated, there in re.findall(r": (\d+) \(should be (\d+)\)", file.extra_info):
                if int(stated) > int(there) + 8:  # a pad byte or a chunk header miscounted is fine
                    self.close()
                    raise AudioError(
                        f"{_shown(name)}: is truncated: of the {stated} bytes that its header "
                        f"promises only {there} are there ({self.info.duration:.2f} s); fetch or "
                        "export it again"
                    )

    def chunks(self) -> Iterator[Block]:
        while True:
            try:
                chunk = self._file.read(_CHUNK, dtype="float32", always_2d=True)
            except sf.LibsndfileError as error:
                raise _DecodingError(error.error_string.rstrip(".")) from error
            if not len(chunk):
                return
            yield np.ascontiguousarray(chunk.T)

    def close(self) -> None:
        self._file.close()


def _mp3_states_length(path: str) -> bool:
    """Tell whether an MP3 counts its frames in a Xing/Info tag; else its length is a guess."""
    with open(path, "rb") as file:
        head = file.read(10)
        if head[:3] == b"ID3" and len(head) == 10:  # the tag's size: four bytes of seven bits
            size = sum(byte << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
            file.seek(size + 10)
        else:
            file.seek(0)
        found = re.search(rb"(?:Xing|Info)(....)(....)", file.read(4096), re.DOTALL)
    return found is not None and bool(found[1][3] & 1) and any(found[2])


class _FFmpegDecoder:
    """Decode with FFmpeg, through PyAV."""

    promised: float | None = None  # seconds
    least_frames = 0  # fewer than these mean that the file was cut

    def __init__(self, path: str, name: str) -> None:
        av = _import_av(name)
        self._name = name
        self._error: type[Exception] = av.error.FFmpegError
        try:
            # "file:", because a colon in the name would be read as a protocol
            self._container = av.open(
                "file:" + os.path.abspath(path),
                metadata_errors="replace",
                options={"protocol_whitelist": "file"},
            )
        except self._error as error:
            raise _not_audio(name) from error
        try:
            stream = self._container.streams.best("audio")
            if stream is None:
                raise _not_audio(name)
            self._stream = stream
            self._is_mp4 = self._container.format.name.startswith("mov,")
            self._frames = self._decode()
            first = next(self._frames, None)
            if first is None:
                raise _no_audio(name)
        except _DecodingError as error:
            self.close()
            raise _not_audio(name) from error
        except AudioError:
            self.close()
            raise
        self._first = first
        self.info = self._describe()
        # An MP4's index lists every packet, so much less than it promises is a truncated file
        if self._is_mp4 and stream.duration and stream.time_base:
            self.promised = float(stream.duration * stream.time_base)
            self.least_frames = int((self.promised - 1.0) * self.info.sample_rate)

    def _describe(self) -> AudioInfo:
        frame, codec = self._first[0], self._stream.codec_context.codec
        container, sample_format = self._container.format.name, frame.format.name.rstrip("p")
        # 24-bit samples travel in 32-bit integers
        depth = {"u8": 8, "s16": 16, "s32": 24, "flt": 32, "dbl": 64}.get(sample_format)
        is_lossless = codec.lossless and not codec.lossy
        kinds = {"mov": "m4a", "matroska": "webm", "asf": "wma"}
        return AudioInfo(
            path=self._name,
            sample_rate=frame.sample_rate,
            channels=frame.layout.nb_channels,
            frames=None,  # an MP4 rounds its length to milliseconds, the others do not state it
            bits=depth if is_lossless else None,
            is_float=is_lossless and sample_format in ("flt", "dbl"),
            container=kinds.get(container.split(",")[0], container),
        )

    def _decode(self) -> Iterator[tuple[AudioFrame, int]]:
        """Yield each frame with the samples it should have by its packet, if that is exact.

        A broken packet is forgiven at the start and at the end, as in a stream recorded from
        the air.
        """
        started = broken = False
        try:
            for packet in self._container.demux(self._stream):
                try:
                    frames = self._stream.decode(packet)
                except self._error:
                    broken = started
                    continue
                if broken and packet.size:
                    raise _DecodingError("invalid data")
                started = started or bool(frames)
                for frame in frames:
                    stated = frame.samples
                    if self._is_mp4 and len(frames) == 1 and packet.duration:
                        stated = round(packet.duration * packet.time_base * frame.sample_rate)
                    yield frame, stated
        except self._error as error:
            raise _DecodingError(str(error)) from error

    def chunks(self) -> Iterator[Block]:
        info, done = self.info, 0
        held = np.empty((info.channels, 0), np.float32)
        for frame, stated in chain([self._first], self._frames):  # noqa: B007  # used after it
            rate, channels = frame.sample_rate, frame.layout.nb_channels
            if (rate, channels) != (info.sample_rate, info.channels):
                raise AudioError(
                    f"{_shown(self._name)}: changes from {info.channels} channels at "
                    f"{info.sample_rate} Hz to {channels} at {rate} Hz after "
                    f"{done / info.sample_rate:.2f} s; split it there or convert it to one format"
                )
            if done:
                yield held
            held = _float_samples(frame)
            done += held.shape[1]
        yield held[:, :stated]  # the rest of the last packet is padding

    def close(self) -> None:
        self._container.close()


def _import_av(name: str) -> ModuleType:
    """Import PyAV, whose wheels bring FFmpeg; late, because most files do not need it."""
    try:
        import av
    except ImportError as error:
        raise AudioError(
            f"{_shown(name)}: libsndfile cannot read it, and PyAV, which reads m4a, aac, webm, wma "
            f"and more, cannot be imported ({_shown(str(error))}); run: pip install --upgrade av"
        ) from error
    return av


def _not_audio(name: str) -> AudioError:
    return AudioError(
        f"{_shown(name)}: is not audio in a format that libsndfile or FFmpeg knows, or is damaged; "
        "expected wav, flac, ogg, opus, mp3, aiff, m4a, ..."
    )


def _float_samples(frame: AudioFrame) -> Block:
    """Convert a decoded frame to float32 of shape (channels, samples)."""
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, frame.layout.nb_channels).T
    floats = samples.astype(np.float32)
    if samples.dtype == np.uint8:
        return (floats - np.float32(128)) / np.float32(128)
    if samples.dtype.kind == "i":
        floats /= np.float32(2.0 ** (8 * samples.dtype.itemsize - 1))
    return np.ascontiguousarray(floats)


@dataclass(frozen=True)
class AudioFormat:
    """How a file is written; made by `output_format`.

    Attributes
    ----------
    container : str
        'wav', 'flac', 'ogg' or 'mp3'.
    subtype : str
        The coding of the samples in libsndfile's terms: 'PCM_U8', 'PCM_16', 'PCM_24',
        'FLOAT', 'DOUBLE', 'VORBIS' or 'MPEG_LAYER_III'.

    Examples
    --------
    >>> form = AudioFormat("wav", "PCM_24")
    >>> form.extension, form.bits, form.is_integer
    ('.wav', 24, True)
    """

    container: str
    subtype: str

    @property
    def extension(self) -> str:
        """The end of a file name, with its dot."""
        return f".{self.container}"

    @property
    def bits(self) -> int | None:
        """Bits per sample; None for lossy coders."""
        return _BITS.get(self.subtype)

    @property
    def is_integer(self) -> bool:
        """Whether full scale clips at 1.0: all but floating point, lossy coders included."""
        return self.subtype not in _FLOATS


def output_format(container: str | None, bits: int | None, source: AudioInfo) -> AudioFormat:
    """Choose the format to write, as close to the source's as the request allows.

    Parameters
    ----------
    container : str or None
        'wav', 'flac', 'ogg' or 'mp3'; None keeps wav and flac, and makes all else wav.
    bits : int or None
        Bits per sample: 8, 16, 24 or 32 (floating point) in wav, 16 or 24 in flac. None keeps
        the source's depth where the container can (32-bit integers become floating point in
        wav, anything above 24 bits becomes 24 in flac) and means 24 for lossy sources.
    source : AudioInfo
        The file that the output comes from.

    Returns
    -------
    AudioFormat
        Container and coding.

    Raises
    ------
    UsageError
        If the container is unknown, or cannot hold these bits, this rate or these channels.

    Examples
    --------
    >>> source = AudioInfo("a.mp3", 44100, 2, None, None, False, "mp3")
    >>> output_format(None, None, source)
    AudioFormat(container='wav', subtype='PCM_24')
    """
    kept = source.container if source.container in ("wav", "flac") else "wav"
    container = kept if container is None else container
    shown, rate = _shown(source.path), source.sample_rate
    if container in _LOSSY_SUBTYPES:
        if bits is not None:
            raise UsageError(f"{container} has no bit depth; leave it out, or write wav or flac")
        if container == "mp3" and source.channels > 2:
            raise UsageError(
                f"{shown}: mp3 holds 1 or 2 channels, not {source.channels}; "
                "write wav, flac or ogg, or mix it down first"
            )
        if container == "mp3" and rate not in _MP3_RATES:
            raise UsageError(
                f"{shown}: mp3 cannot hold {rate} Hz, only {', '.join(map(str, _MP3_RATES))}; "
                "write wav, flac or ogg, or resample it first"
            )
        return AudioFormat(container, _LOSSY_SUBTYPES[container])
    if container == "flac":
        if rate > 65535 and rate % 10:
            raise UsageError(
                f"{shown}: flac cannot hold {rate} Hz: above 65535 Hz it takes multiples of 10; "
                "write wav, or resample it first"
            )
        return AudioFormat("flac", _flac_subtype(bits, source))
    if container == "wav":
        return AudioFormat("wav", _wav_subtype(bits, source))
    known = ("wav", "flac", *_LOSSY_SUBTYPES)
    raise UsageError(f"cannot write audio as {container!r}: {suggest(container, known)}")


def _wav_subtype(bits: int | None, source: AudioInfo) -> str:
    if bits is None and source.is_float:
        return "DOUBLE" if source.bits == 64 else "FLOAT"
    subtypes = {8: "PCM_U8", 16: "PCM_16", 24: "PCM_24", 32: "FLOAT"}
    if bits is None:
        return next(name for depth, name in subtypes.items() if depth >= min(source.bits or 24, 32))
    if bits not in subtypes:
        raise UsageError(f"wav cannot hold {bits} bits; valid: 8, 16, 24, 32 (floating point)")
    return subtypes[bits]


def _flac_subtype(bits: int | None, source: AudioInfo) -> str:
    if bits is None:
        return "PCM_16" if not source.is_float and (source.bits or 24) <= 16 else "PCM_24"
    if bits not in (16, 24):
        raise UsageError(f"flac cannot hold {bits} bits; valid: 16, 24 (or write wav)")
    return f"PCM_{bits}"


class _Sink:
    """A new file that remembers why a write failed.

    libsndfile reports no more than "System error", and nothing at all when it is the last part
    of a compressed file, written while closing, that does not fit on the disk.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb", buffering=0)
        self.seek, self.tell = self._file.seek, self._file.tell
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        left = memoryview(data)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            self.error = self.error or error
        return len(data) - len(left)

    def close(self) -> None:
        self._file.close()


class AudioWriter:
    """An audio file under way, which appears under its name only once it is complete.

    Blocks go to a hidden file in the same folder, which takes the final name when the
    ``with`` block ends well and is deleted when it ends in an exception. Missing folders are
    made. Samples beyond full scale are clipped unless the format is floating point.

    Parameters
    ----------
    path : str or path-like
        The file to write.
    sample_rate : int
        In Hz.
    channels : int
        Number of channels.
    format : AudioFormat
        Container and coding.
    overwrite : bool
        Whether to replace a file that is there already.
    frames : int, optional
        The samples per channel to come, if known: a WAV that would pass 4 GiB is then
        written as RF64, its 64-bit extension.

    Attributes
    ----------
    frames_written : int
        Samples per channel so far.

    Raises
    ------
    AudioError
        If the file is there already, cannot be written, would pass 4 GiB as a WAV of unknown
        length, or is given NaN or infinity.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "new" / "a.wav"
    ...     with AudioWriter(path, 8000, 1, AudioFormat("wav", "PCM_16")) as writer:
    ...         writer.write(np.zeros((1, 4000), dtype=np.float32))
    ...     probe(path, name="a.wav").duration
    0.5
    """

    def __init__(
        self,
        path: StrPath,
        sample_rate: int,
        channels: int,
        format: AudioFormat,
        *,
        overwrite: bool = False,
        frames: int | None = None,
    ) -> None:
        self._path = Path(path)
        self._shown = _shown(os.fspath(path))
        self._rate, self._channels, self._format = sample_rate, channels, format
        self._overwrite = overwrite
        self._frame_bytes = channels * (format.bits or 0) // 8
        is_large = format.container == "wav" and (frames or 0) * self._frame_bytes > _WAV_LIMIT
        self._container = "rf64" if is_large else format.container
        self.frames_written = 0

    def __enter__(self) -> AudioWriter:
        """Open the hidden file."""
        path = self._path
        unique = f"{os.getpid()}.{secrets.token_hex(4)}.part"
        self._temporary = path.parent / f".{path.name[:40]}.{unique}"  # a name has 255 bytes
        try:
            if os.path.lexists(path) and not self._overwrite:
                raise self._taken()
            if path.exists() and not path.is_file():
                raise AudioError(f"{self._shown}: is a folder or device; name a file to write")
            path.parent.mkdir(parents=True, exist_ok=True)
            self._sink = _Sink(self._temporary)
        except OSError as error:
            raise self._failed(error) from error
        try:
            self._file = _SequentialFile(
                self._sink,
                "w",
                samplerate=self._rate,
                channels=self._channels,
                format=self._container.upper(),
                subtype=self._format.subtype,
                **_LOSSY_QUALITY.get(self._container, {}),
            )
        except BaseException as error:
            self._sink.close()
            self._temporary.unlink(missing_ok=True)
            if isinstance(error, sf.LibsndfileError):
                raise self._failed(self._sink.error or error) from error
            raise
        return self

    def write(self, block: Block) -> None:
        """Append samples.

        Parameters
        ----------
        block : ndarray of float32, shape (channels, samples)
            Full scale at 1.0.
        """
        samples = np.asarray(block, dtype=np.float32)
        if samples.ndim != 2 or samples.shape[0] != self._channels:
            raise ValueError(f"blocks have shape ({self._channels}, samples), not {samples.shape}")
        if not np.isfinite(samples).all():
            seconds = self.frames_written / self._rate
            raise AudioError(f"{self._shown}: was to hold NaN or infinity after {seconds:.2f} s")
        size = (self.frames_written + samples.shape[1]) * self._frame_bytes
        if self._container == "wav" and size > _WAV_LIMIT:
            raise AudioError(f"{self._shown}: would pass the 4 GiB that a wav holds; write flac")
        for start in range(0, samples.shape[1], _CHUNK):
            chunk = self._coded(samples[:, start : start + _CHUNK].T)
            try:
                self._file.write(chunk)
            except (sf.LibsndfileError, AssertionError) as error:  # soundfile asserts full writes
                raise self._failed(self._sink.error or error) from error
            if self._sink.error:
                raise self._failed(self._sink.error) from self._sink.error
            self.frames_written += len(chunk)

    def _coded(self, samples: Block) -> Block | NDArray[np.int32]:
        """Clip and round, so that libsndfile has nothing left to scale.

        Its own conversion truncates to integers instead of rounding.
        """
        if not self._format.is_integer:
            return samples
        clipped = np.clip(samples, -1.0, 1.0)
        bits = self._format.bits
        if bits is None:
            return clipped
        steps = np.float32(2 ** (bits - 1))
        highest = steps - np.float32(1)
        integers: NDArray[np.int32] = np.minimum(np.rint(clipped * steps), highest).astype(np.int32)
        return integers << np.int32(32 - bits)

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the file its name, or delete it if there was an exception."""
        try:
            if exception_type is None:
                self._file.close()
                self._sink.close()
                if self._sink.error:
                    raise self._sink.error
                self._publish()
        except (sf.LibsndfileError, OSError) as error:
            raise self._failed(self._sink.error or error) from error
        finally:
            with contextlib.suppress(sf.LibsndfileError):  # the first error is the one to tell
                self._file.close()
            self._sink.close()
            self._temporary.unlink(missing_ok=True)

    def _publish(self) -> None:
        if not self._overwrite:
            try:
                os.link(self._temporary, self._path)
                return
            except FileExistsError as error:
                raise self._taken() from error
            except OSError:  # no hard links on this file system: claim the name first
                try:
                    self._path.touch(exist_ok=False)
                except FileExistsError as error:
                    raise self._taken() from error
        os.replace(self._temporary, self._path)

    def _taken(self) -> AudioError:
        return AudioError(f"{self._shown}: is there already; move it, or allow overwriting")

    def _failed(self, error: Exception) -> AudioError:
        reason = getattr(error, "strerror", None) or getattr(error, "error_string", None)
        reason = str(reason or "not all of it was taken").rstrip(".")
        seconds = self.frames_written / self._rate
        return AudioError(
            f"{self._shown}: cannot be written ({reason}, {seconds:.2f} s "
            "done); check the name, the permissions and the free space"
        )


@contextlib.contextmanager
def spooled(stream: BinaryIO) -> Iterator[Path]:
    """Copy a stream, say standard input, to a temporary file, because decoders need to seek.

    Parameters
    ----------
    stream : binary file
        Where an audio file's bytes come from; read to its end in constant memory.

    Yields
    ------
    pathlib.Path
        The file, deleted on leaving.

    Raises
    ------
    AudioError
        If the stream is empty or there is no room for it.

    Examples
    --------
    >>> import io
    >>> buffer = io.BytesIO()
    >>> sf.write(buffer, np.zeros((800, 2)), 8000, format="FLAC")
    >>> _ = buffer.seek(0)
    >>> with spooled(buffer) as path:
    ...     read(path)[0].shape
    (2, 800)
    """
    with tempfile.TemporaryDirectory(prefix="audiocli-") as folder:
        path = Path(folder) / "stdin"
        try:
            with path.open("wb") as file:
                shutil.copyfileobj(stream, file, 2**20)
        except OSError as error:
            raise AudioError(
                f"the input stream cannot be stored in {_shown(folder)} ({error.strerror}); "
                "set TMPDIR to a folder with room"
            ) from error
        if path.stat().st_size == 0:
            raise AudioError("the input stream is empty; pipe an audio file into it")
        yield path
