"""Decode with libsndfile: wav, flac, ogg, opus, mp3, aiff, au, caf, w64, rf64."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import soundfile as sf

from audiocli.errors import AudioError
from audiocli.io.audio.headers import holds_mp3_frames
from audiocli.io.audio.info import BITS, CHUNK, FLOATS, AudioInfo, Block, SequentialFile, printable
from audiocli.io.audio.layouts import VORBIS_ORDER, Layout, ordered
from audiocli.io.audio.source import ByteRange, Decoder, DecodingError, Source

__all__ = ["SndfileDecoder", "open_sndfile"]

_UNKNOWN_LENGTH = 2**63 - 1  # libsndfile's frame count for a FLAC that does not state one
_LOSSLESS = frozenset({"wav", "rf64", "flac", "aiff", "au", "caf", "w64"})  # their counts are exact
_PLAIN = _LOSSLESS - {"flac"}  # samples as they are: nothing breaks off amidst a chunk
PLAIN_CHUNK = 1 << 16  # samples read at once from these
FULL_SCALE_16 = np.float32(2.0**-15)  # what one step of 16 bits is
_REST = 1 << 17  # samples that another decoder may be asked for where libsndfile stops


def open_sndfile(source: Source) -> SequentialFile | None:
    """Open a file with libsndfile."""
    if not source.is_whole:
        target: Any = ByteRange(source.path, source.start, source.end)
    else:
        # bytes, because soundfile cannot encode a name that is not valid Unicode
        absolute = os.path.abspath(source.path)
        # What libsndfile does not know goes to mpg123 for its name's sake, which complains
        # by itself.
        if absolute.lower().endswith(".mp3") and not holds_mp3_frames(absolute):
            return None
        target = absolute if os.name == "nt" else os.fsencode(absolute)
    try:
        file = SequentialFile(target)
    except (sf.LibsndfileError, TypeError):  # TypeError: a name that ends in .raw
        return None
    try:
        is_raw = file.format == "RAW"  # a guess from the extension alone: .snd, .vox, .gsm
        is_known = bool(file.subtype) and not is_raw
    except KeyError:  # a coding that soundfile has no name for
        is_known = False
    if not is_known:
        file.close()
        return None
    return file


class SndfileDecoder:
    """Decode with libsndfile.

    Parameters
    ----------
    file : SequentialFile
        From `open_sndfile`.
    source : Source
        What was opened.
    frames : int, optional
        Samples per channel, where they are known better than by libsndfile: no more are read.
    layout : tuple of str, optional
        The speakers, where libsndfile does not know them.
    notes : list of str
        What is known of the file so far.
    otherwise : callable, optional
        Opens the file with another decoder, should libsndfile stop just before its end.
    """

    def __init__(
        self,
        file: SequentialFile,
        source: Source,
        *,
        frames: int | None = None,
        layout: Layout | None = None,
        notes: list[str] | None = None,
        otherwise: Callable[[], Decoder] | None = None,
    ) -> None:
        container = {"WAVEX": "wav"}.get(file.format, file.format.lower())
        stated: int | None = file.frames
        if stated == _UNKNOWN_LENGTH or container == "mp3":
            stated = None
        self._limit = frames
        frames = stated if frames is None else frames
        self._file, self._otherwise = file, otherwise
        self.least_frames = (frames or 0) if container in _LOSSLESS else 0
        self.notes = notes or []
        self._indices = None
        if container == "ogg" and file.channels in VORBIS_ORDER:
            layout, self._indices = ordered(VORBIS_ORDER[file.channels])
        self.info = AudioInfo(
            path=source.name,
            sample_rate=file.samplerate,
            channels=file.channels,
            frames=frames,
            bits=BITS.get(file.subtype),
            is_float=file.subtype in FLOATS,
            container=container,
            layout=layout,
        )
        self.promised = self.info.duration
        self._chunk = PLAIN_CHUNK if container in _PLAIN else CHUNK
        self._is_16_bit = file.subtype == "PCM_16"
        self._refuse_cut(source.name)

    def _refuse_cut(self, name: str) -> None:
        """Raise if libsndfile has shortened the count of a file that was cut."""
        if self.info.container not in ("aiff", "au", "w64", "rf64"):
            return
        # it notes what the header said
        for stated, there in re.findall(r": (\d+) \(should be (\d+)\)", self._file.extra_info):
            if int(stated) > int(there) + 8:  # a pad byte or a chunk header miscounted is fine
                self.close()
                raise AudioError(
                    f"{printable(name)}: is truncated: of the {stated} bytes that its header "
                    f"promises only {there} are there ({self.info.duration:.2f} s); fetch or "
                    "export it again"
                )

    def skip(self, frames: int) -> int:
        """Jump over the first samples, before any is decoded; tells how many that were."""
        if self.info.frames is None or frames >= self.info.frames or self._limit is not None:
            return 0
        try:
            return int(self._file.seek(frames))
        except sf.LibsndfileError:
            return 0

    def chunks(self, done: int = 0) -> Iterator[Block]:
        """Decode; raises DecodingError where that cannot go on."""
        while self._limit is None or done < self._limit:
            wanted = self._chunk if self._limit is None else min(self._chunk, self._limit - done)
            try:
                chunk = self._read(wanted)
            except sf.LibsndfileError as error:
                stopped = DecodingError(_reason(error))
                stopped.__cause__ = error
                yield from self._rest(done, stopped)
                return
            if not len(chunk):
                return
            done += len(chunk)
            samples = chunk.T if self._indices is None else chunk.T[self._indices]
            yield np.ascontiguousarray(samples)

    def _read(self, frames: int) -> Block:
        """Read the next samples, (samples, channels)."""
        if not self._is_16_bit:
            chunk: Block = self._file.read(frames, dtype="float32", always_2d=True)
            return chunk
        # The same numbers, in half the time that libsndfile takes to convert them.
        integers = self._file.read(frames, dtype="int16", always_2d=True)
        samples: Block = np.multiply(integers, FULL_SCALE_16, dtype=np.float32)
        return samples

    def _rest(self, done: int, stopped: DecodingError) -> Iterator[Block]:
        """Take what libsndfile did not give from the other decoder, if that has it all."""
        frames = self.info.frames
        if self._otherwise is None or (frames is not None and frames - done > _REST):
            raise stopped
        rest: list[Block] = []
        held = position = 0
        other = self._otherwise()
        try:
            for block in other.chunks():
                position += block.shape[1]
                if position > done:
                    rest.append(block[:, -min(position - done, block.shape[1]) :])
                    held += rest[-1].shape[1]
                if held > _REST:
                    raise stopped
        except (AudioError, DecodingError):
            raise stopped from None
        finally:
            other.close()
        if frames is not None and position != frames:
            raise stopped
        yield from rest

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _reason(error: sf.LibsndfileError) -> str:
    reason = str(error.error_string).rstrip(".")
    return "invalid data" if "nternal error" in reason else reason
