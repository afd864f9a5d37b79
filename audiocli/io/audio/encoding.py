"""Encode audio files: which formats there are, and a writer that leaves nothing half done."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from audiocli.errors import AudioError, UsageError, suggest
from audiocli.io.atomic import discard, new_partial, publish
from audiocli.io.audio.flac import state_flac_mask
from audiocli.io.audio.headers import state_wav_mask
from audiocli.io.audio.info import (
    BITS,
    CHUNK,
    FLOATS,
    AudioInfo,
    Block,
    SequentialFile,
    StrPath,
    printable,
)
from audiocli.io.audio.layouts import (
    Layout,
    layout_name,
    mask_of_layout,
    usual_layout,
    vorbis_indices,
)
from audiocli.io.remote import place

__all__ = ["AudioFormat", "AudioWriter", "output_format"]

_WAV_LIMIT = 2**32 - 2**16  # bytes of samples in a plain WAV, whose sizes are 32-bit; rest: headers
_LOSSY_SUBTYPES = {"ogg": "VORBIS", "mp3": "MPEG_LAYER_III"}
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # Hz: MPEG 1, 2, 2.5
# Near transparency: Vorbis quality 7 and LAME V2, about 225 and 185 kbit/s in stereo.
_LOSSY_QUALITY: dict[str, dict[str, Any]] = {
    "ogg": {"compression_level": 0.3},
    "mp3": {"bitrate_mode": "VARIABLE", "compression_level": 0.2},
}


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
    layout : tuple of str or None
        The speakers of more than two channels, in the order of WAV, as
        :class:`audiocli.io.audio.AudioInfo` has them; None leaves them to the number of channels.
    """

    container: str
    subtype: str
    layout: Layout | None = None

    @property
    def extension(self) -> str:
        """The end of a file name, with its dot."""
        return f".{self.container}"

    @property
    def bits(self) -> int | None:
        """Bits per sample; None for lossy coders."""
        return BITS.get(self.subtype)

    @property
    def is_integer(self) -> bool:
        """Whether full scale clips at 1.0: all but floating point, lossy coders included."""
        return self.subtype not in FLOATS


def output_format(container: str | None, bits: int | None, source: AudioInfo) -> AudioFormat:
    """Choose the format to write, as close to the source's as the request allows."""
    kept = source.container if source.container in ("wav", "flac") else "wav"
    container = kept if container is None else container
    shown, rate = printable(source.path), source.sample_rate
    layout = source.layout if source.channels > 2 else None
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
        if container == "ogg" and layout is not None and not _is_usual(layout, source.channels):
            told = layout_name(layout) if layout else "no speakers"
            raise UsageError(
                f"{shown}: ogg takes {source.channels} channels for "
                f"{layout_name(usual_layout(source.channels))}, and these are {told}; "
                "write wav or flac"
            )
        return AudioFormat(container, _LOSSY_SUBTYPES[container], layout)
    if container == "flac":
        if rate > 65535 and rate % 10:
            raise UsageError(
                f"{shown}: flac cannot hold {rate} Hz: above 65535 Hz it takes multiples of 10; "
                "write wav, or resample it first"
            )
        return AudioFormat("flac", _flac_subtype(bits, source), layout)
    if container == "wav":
        return AudioFormat("wav", _wav_subtype(bits, source), layout)
    known = ("wav", "flac", *_LOSSY_SUBTYPES)
    raise UsageError(f"cannot write audio as {container!r}: {suggest(container, known)}")


def _is_usual(layout: Layout, channels: int) -> bool:
    """Tell whether Vorbis has these speakers; it does not tell those at the sides from the back."""
    sides = {"SL": "BL", "SR": "BR"} if channels < 7 else {}
    return tuple(sides.get(name, name) for name in layout) == usual_layout(channels)


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
    path : str or os.PathLike
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
    compression : float, optional
        Of mp3, from 0 for the highest average bit rate that its sample rate has to 1 for the
        lowest; by default its quality is fixed, near transparency, and not its bit rate.
    finish : callable, optional
        Told the hidden file when all samples are in it, to add metadata.

    Attributes
    ----------
    frames_written : int
        Samples per channel so far.
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
        compression: float | None = None,
        finish: Callable[[Path], None] | None = None,
    ) -> None:
        self._path = place(path)
        self._shown = printable(str(self._path))
        self._rate, self._channels, self._format = sample_rate, channels, format
        self._overwrite, self._finish = overwrite, finish
        self._frame_bytes = channels * (format.bits or 0) // 8
        is_large = format.container == "wav" and (frames or 0) * self._frame_bytes > _WAV_LIMIT
        self._container = "rf64" if is_large else format.container
        self._order = vorbis_indices(channels) if format.container == "ogg" else None
        self._quality = _LOSSY_QUALITY.get(self._container, {})
        if compression is not None:
            self._quality = {"bitrate_mode": "AVERAGE", "compression_level": compression}
        self.frames_written = 0

    def __enter__(self) -> AudioWriter:
        """Open the hidden file."""
        self._file: SequentialFile | None = None
        try:
            self._temporary = new_partial(self._path, overwrite=self._overwrite)
        except FileExistsError as error:
            raise self._taken() from error
        except IsADirectoryError as error:
            raise AudioError(f"{self._shown}: is a folder or device; name a file to write") from (
                error
            )
        except OSError as error:
            raise self._failed(error) from error
        try:
            self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="encode")
            self._call(lambda: None)  # it runs before there is a file that must be closed
            self._sink = _Sink(self._temporary)
        except BaseException as error:
            discard(self._temporary, self._path)
            if isinstance(error, OSError):
                raise self._failed(error) from error
            raise
        try:
            self._call(self._open)
        except BaseException as error:
            self._discard()
            if isinstance(error, sf.LibsndfileError):
                raise self._failed(self._sink.error or error) from error
            raise
        return self

    def _call(self, step: Callable[..., None], *arguments: object) -> None:
        """Let libsndfile work in a thread, where no interrupt can be raised.

        It would be raised in what libsndfile calls back, and be lost there together with the
        bytes that were to be written. Here it is raised in who waits.
        """
        self._thread.submit(step, *arguments).result()

    def _open(self) -> None:
        self._file = SequentialFile(
            self._sink,
            "w",
            samplerate=self._rate,
            channels=self._channels,
            format=self._sndfile_format,
            subtype=self._format.subtype,
            **self._quality,
        )

    @property
    def _sndfile_format(self) -> str:
        has_mask = self._container == "wav" and self._format.layout is not None
        return "WAVEX" if has_mask else self._container.upper()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _state_speakers(self) -> None:
        """Write into the complete file which speakers its channels belong to."""
        layout = self._format.layout
        if layout is None:
            return
        mask = mask_of_layout(layout)
        if self._container in ("wav", "rf64"):
            state_wav_mask(self._temporary, mask)
        elif self._container == "flac" and layout != usual_layout(self._channels):
            state_flac_mask(self._temporary, mask)

    def _discard(self) -> None:
        """Let go of the hidden file; that of a finished one has its name by now."""
        try:
            self._thread.shutdown()
            with contextlib.suppress(sf.LibsndfileError):  # the first error is the one to tell
                self._close()
            self._sink.close()
        finally:  # an interrupt may come while the thread ends
            discard(self._temporary, self._path)

    def write(self, block: Block) -> None:
        """Append a block (channels, samples)."""
        samples = np.asarray(block, dtype=np.float32)
        if samples.ndim != 2 or samples.shape[0] != self._channels:
            raise ValueError(f"blocks have shape ({self._channels}, samples), not {samples.shape}")
        if not np.isfinite(samples).all():
            seconds = self.frames_written / self._rate
            raise AudioError(f"{self._shown}: was to hold NaN or infinity after {seconds:.2f} s")
        size = (self.frames_written + samples.shape[1]) * self._frame_bytes
        if self._container == "wav" and size > _WAV_LIMIT:
            raise AudioError(f"{self._shown}: would pass the 4 GiB that a wav holds; write flac")
        self._call(self._write, samples)

    def _write(self, samples: Block) -> None:
        assert self._file is not None  # narrows the type; it was opened when the block was entered
        for start in range(0, samples.shape[1], CHUNK):
            block = samples[:, start : start + CHUNK]
            chunk = self._coded((block if self._order is None else block[self._order]).T)
            try:
                self._file.write(chunk)
            except (sf.LibsndfileError, AssertionError) as error:  # soundfile asserts full writes
                raise self._failed(self._sink.error or error) from error
            if self._sink.error:
                raise self._failed(self._sink.error) from self._sink.error
            self.frames_written += len(chunk)

    def _coded(self, samples: Block) -> Block | NDArray[np.integer[Any]]:
        """Clip and round, so that libsndfile has nothing left to scale.

        Its own conversion truncates to integers instead of rounding.
        """
        if not self._format.is_integer:
            return samples
        clipped: Block = np.clip(samples, -1.0, 1.0)
        bits = self._format.bits
        if bits is None:
            return clipped
        steps = np.float32(2 ** (bits - 1))
        highest = steps - np.float32(1)
        clipped *= steps
        np.minimum(np.rint(clipped, out=clipped), highest, out=clipped)
        width = 16 if bits <= 16 else 32
        # Channels beside each other in memory, as they are in a file.
        kind = np.int16 if width == 16 else np.int32
        integers: NDArray[np.integer[Any]] = clipped.astype(kind, order="C")
        np.left_shift(integers, width - bits, out=integers)
        return integers

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give the file its name, or delete it if there was an exception."""
        try:
            if exception_type is None:
                self._call(self._close)
                self._sink.close()
                if self._sink.error:
                    raise self._sink.error
                if self._finish is not None:
                    self._finish(self._temporary)
                self._state_speakers()
                self._publish()
        except (sf.LibsndfileError, OSError) as error:
            raise self._failed(self._sink.error or error) from error
        finally:
            self._discard()

    def _publish(self) -> None:
        try:
            publish(self._temporary, self._path, overwrite=self._overwrite)
        except FileExistsError as error:
            raise self._taken() from error

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
