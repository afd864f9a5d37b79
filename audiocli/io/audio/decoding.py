"""Decode audio files with libsndfile or, what that does not know, with FFmpeg."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from itertools import chain
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

import numpy as np
import soundfile as sf

from audiocli.errors import AudioError
from audiocli.io.audio.headers import holds_mp3_frames, is_longer_than_stated, mp3_states_length
from audiocli.io.audio.info import BITS, CHUNK, FLOATS, AudioInfo, Block, SequentialFile, printable

if TYPE_CHECKING:
    from av import AudioFrame

__all__ = ["Decoder", "DecodingError", "no_audio", "open_decoder"]

MIN_RATE, MAX_RATE = 4000, 192000  # Hz
MAX_CHANNELS = 8

_UNKNOWN_LENGTH = 2**63 - 1  # libsndfile's frame count for a FLAC that does not state one
_LOSSLESS = frozenset({"wav", "rf64", "flac", "aiff", "au", "caf", "w64"})  # their counts are exact


class DecodingError(Exception):
    """The decoder gave up in the middle of a file."""


class Decoder(Protocol):
    """An open file, to be decoded once from its beginning.

    Attributes
    ----------
    info : AudioInfo
        What the file holds.
    promised : float or None
        Length in seconds by the header, where it states one.
    least_frames : int
        Fewer samples per channel than these mean that the file was cut.
    """

    info: AudioInfo
    promised: float | None
    least_frames: int

    def skip(self, frames: int) -> int:
        """Jump over the first samples, before any is decoded; tells how many that were."""

    def chunks(self) -> Iterator[Block]:
        """Decode; raises DecodingError where that cannot go on."""

    def close(self) -> None:
        """Close the file."""


def open_decoder(path: str, name: str) -> Decoder:
    """Open a file with the first decoder that knows it.

    Parameters
    ----------
    path : str
        The file.
    name : str
        How to call it in messages and in what the decoder says of it.

    Returns
    -------
    Decoder
        At the beginning of the file.

    Raises
    ------
    AudioError
        If the file is missing, unreadable, not audio, empty, visibly truncated, or
        outside of the limits on rate and channels.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "a.wav")
    ...     sf.write(path, np.zeros((800, 2)), 8000)
    ...     decoder = open_decoder(path, "a.wav")
    ...     decoder.close()
    >>> decoder.info.container, decoder.promised
    ('wav', 0.1)
    """
    _require_file(path, name)
    # libsndfile believes a header that says 0, or 2^32 - 1, for a length not known
    file = None if is_longer_than_stated(path, name) else _open_sndfile(path)
    decoder = _FFmpegDecoder(path, name) if file is None else _SndfileDecoder(file, path, name)
    rate, channels = decoder.info.sample_rate, decoder.info.channels
    problem = None
    if not MIN_RATE <= rate <= MAX_RATE:
        problem = f"its sample rate of {rate} Hz is outside of {MIN_RATE} to {MAX_RATE}"
    elif not 1 <= channels <= MAX_CHANNELS:
        problem = f"its {channels} channels are outside of 1 to {MAX_CHANNELS}"
    if problem or decoder.info.frames == 0:
        decoder.close()
        if problem:
            raise AudioError(f"{printable(name)}: {problem}; convert it first")
        raise no_audio(name)
    return decoder


def no_audio(name: str) -> AudioError:
    """Make the error for a file whose length is zero.

    Parameters
    ----------
    name : str
        How to call the file.

    Returns
    -------
    AudioError
        To be raised.

    Examples
    --------
    >>> print(no_audio("a.wav"))
    a.wav: holds no audio (its length is zero); leave it out
    """
    return AudioError(f"{printable(name)}: holds no audio (its length is zero); leave it out")


def _not_audio(name: str) -> AudioError:
    return AudioError(
        f"{printable(name)}: is not audio in a format that libsndfile or FFmpeg knows, or is "
        "damaged; expected wav, flac, ogg, opus, mp3, aiff, m4a, ..."
    )


def _require_file(path: str, name: str) -> None:
    """Raise unless there is a regular, readable file with something in it."""
    shown = printable(name)
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


# ---- libsndfile -------------------------------------------------------------------------------


def _open_sndfile(path: str) -> SequentialFile | None:
    """Open a file with libsndfile; None if it is not one of libsndfile's."""
    # An absolute path, because libsndfile takes the name "-" for standard input; bytes, because
    # soundfile cannot encode a name that is not valid Unicode.
    absolute = os.path.abspath(path)
    # What libsndfile does not know goes to mpg123 for its name's sake, which complains by itself.
    if absolute.lower().endswith(".mp3") and not holds_mp3_frames(absolute):
        return None
    try:
        file = SequentialFile(absolute if os.name == "nt" else os.fsencode(absolute))
    except (sf.LibsndfileError, TypeError):  # TypeError: a name that ends in .raw
        return None
    if file.format == "RAW":  # a guess from the extension alone: .snd, .vox, .gsm
        file.close()
        return None
    return file


class _SndfileDecoder:
    """Decode with libsndfile."""

    def __init__(self, file: SequentialFile, path: str, name: str) -> None:
        container = {"WAVEX": "wav"}.get(file.format, file.format.lower())
        frames: int | None = file.frames
        if frames == _UNKNOWN_LENGTH or (container == "mp3" and not mp3_states_length(path)):
            frames = None
        self._file = file
        self.least_frames = (frames or 0) if container in _LOSSLESS else 0
        self.info = AudioInfo(
            path=name,
            sample_rate=file.samplerate,
            channels=file.channels,
            frames=frames,
            bits=BITS.get(file.subtype),
            is_float=file.subtype in FLOATS,
            container=container,
        )
        self.promised = self.info.duration
        # libsndfile shortens the frame count of a cut file and notes what the header said
        if container in ("aiff", "au", "w64", "rf64"):
            for stated, there in re.findall(r": (\d+) \(should be (\d+)\)", file.extra_info):
                if int(stated) > int(there) + 8:  # a pad byte or a chunk header miscounted is fine
                    self.close()
                    raise AudioError(
                        f"{printable(name)}: is truncated: of the {stated} bytes that its header "
                        f"promises only {there} are there ({self.info.duration:.2f} s); fetch or "
                        "export it again"
                    )

    def skip(self, frames: int) -> int:
        if self.info.frames is None or frames >= self.info.frames:
            return 0
        try:
            return int(self._file.seek(frames))
        except sf.LibsndfileError:
            return 0

    def chunks(self) -> Iterator[Block]:
        while True:
            try:
                chunk = self._file.read(CHUNK, dtype="float32", always_2d=True)
            except sf.LibsndfileError as error:
                raise DecodingError(error.error_string.rstrip(".")) from error
            if not len(chunk):
                return
            yield np.ascontiguousarray(chunk.T)

    def close(self) -> None:
        self._file.close()


# ---- FFmpeg -----------------------------------------------------------------------------------


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
                raise no_audio(name)
        except DecodingError as error:
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
                    raise DecodingError("invalid data")
                started = started or bool(frames)
                for frame in frames:
                    stated = frame.samples
                    if self._is_mp4 and len(frames) == 1 and packet.duration:
                        stated = round(packet.duration * packet.time_base * frame.sample_rate)
                    yield frame, stated
        except self._error as error:
            raise DecodingError(str(error)) from error

    def skip(self, frames: int) -> int:
        return 0

    def chunks(self) -> Iterator[Block]:
        info, done = self.info, 0
        held = np.empty((info.channels, 0), np.float32)
        for frame, stated in chain([self._first], self._frames):  # noqa: B007  # used after it
            rate, channels = frame.sample_rate, frame.layout.nb_channels
            if (rate, channels) != (info.sample_rate, info.channels):
                raise AudioError(
                    f"{printable(self._name)}: changes from {info.channels} channels at "
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
            f"{printable(name)}: libsndfile cannot read it, and PyAV, which reads m4a, aac, webm, "
            f"wma and more, cannot be imported ({printable(str(error))}); "
            "run: pip install --upgrade av"
        ) from error
    return av


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
