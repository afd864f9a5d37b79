"""Find out what decodes an audio file, and open it.

libsndfile decodes what it reads whole, which is most files. FFmpeg decodes the rest, in a process
of its own: other containers, and files that libsndfile stops in before their end. Which these
are is found by a walk through headers (:mod:`audiocli.io.audio.mp3`, ``ogg``, ``flac`` and
``headers``), which also finds what is missing.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import stat
from collections.abc import Iterator

from audiocli.errors import AudioError
from audiocli.io.audio.flac import scan_flac
from audiocli.io.audio.headers import (
    is_cut,
    is_longer_than_stated,
    read_wav,
)
from audiocli.io.audio.info import Block, SequentialFile, printable
from audiocli.io.audio.joined import note_of_another
from audiocli.io.audio.layouts import layout_of_mask, usual_layout
from audiocli.io.audio.mp3 import Mp3, is_mp3_header, scan_mp3
from audiocli.io.audio.ogg import scan_ogg
from audiocli.io.audio.remote import open_apart
from audiocli.io.audio.sndfile import SndfileDecoder, open_sndfile
from audiocli.io.audio.source import Decoder, Source, changed, no_audio

__all__ = ["open_decoder"]

MIN_RATE, MAX_RATE = 4000, 192000  # Hz
MAX_CHANNELS = 8

_MPEG_IN_WAV = (0x50, 0x55)  # format tags: layers I and II, layer III
_BLOCKWISE = (0x02, 0x11, 0x31)  # format tags: two kinds of ADPCM, GSM: their last block is padded
_JOINED_HEADS = (b"\x01vorbis", b"OpusHead")  # what libsndfile reads link by link


def open_decoder(path: str, name: str) -> Decoder:
    """Open a file with the decoder that reads it whole."""
    _require_file(path, name)
    decoder = _open(Source(os.path.abspath(path), name))  # the other process may be elsewhere
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
    another = note_of_another(path)
    if another is not None:
        decoder.notes.append(another)
    return decoder


def _open(source: Source) -> Decoder:
    """Choose by the first bytes, never by the name."""
    with open(source.path, "rb") as opened:
        head = opened.read(4)
    if head in (b"RIFF", b"RIFX", b"RF64", b"caff"):
        return _open_wav(source)
    if head == b"OggS":
        return _open_ogg(source)
    if head in (b"fLaC", b"ID3\x03", b"ID3\x04", b"ID3\x02") and scan_flac(source.path):
        return _open_flac(source)
    mp3 = scan_mp3(source.path) if head[:3] == b"ID3" or is_mp3_header(head) else None
    if mp3 is not None and not mp3.is_read_whole():
        return open_apart(dataclasses.replace(source, is_mp3=True))
    file = open_sndfile(source)
    if file is None:
        return open_apart(dataclasses.replace(source, is_cut=is_cut(source.path)))
    if file.format == "MP3":
        return _open_mp3(source, file, mp3 or scan_mp3(source.path))
    return SndfileDecoder(file, source)


def _open_mp3(source: Source, file: SequentialFile, mp3: Mp3 | None) -> Decoder:
    if mp3 is None:  # of a free bit rate
        return SndfileDecoder(file, source)
    if mp3.is_read_whole(file.frames):
        frames = file.frames if mp3.runs[0].tag else mp3.frames
        return SndfileDecoder(file, source, frames=frames, notes=mp3.notes)
    file.close()
    return open_apart(dataclasses.replace(source, is_mp3=True))


def _open_wav(source: Source) -> Decoder:
    header = read_wav(source.path)
    if header is not None and header.codec in _MPEG_IN_WAV:
        return open_apart(
            dataclasses.replace(source, start=header.start, end=header.end, is_mp3=True)
        )
    # libsndfile believes a header that says 0, or 2^32 - 1, for a length not known
    is_longer = is_longer_than_stated(source.path, source.name)
    file = None if is_longer else open_sndfile(source)
    if file is None:
        return open_apart(source)
    layout = frames = None
    if header is not None and header.mask is not None:
        layout = layout_of_mask(header.mask, file.channels)
    if header is not None and header.codec in _BLOCKWISE and header.frames:
        frames = min(header.frames, file.frames)
    return SndfileDecoder(file, source, frames=frames, layout=layout)


def _open_ogg(source: Source) -> Decoder:
    ogg = scan_ogg(source.path)
    notes = [] if ogg is None else list(ogg.notes)
    if ogg is not None and len(ogg.links) > 1:
        heads = [link.heads for link in ogg.links]
        if all(len(one) == 1 and one[0].startswith(_JOINED_HEADS) for one in heads):
            links = [
                dataclasses.replace(source, start=link.start, end=link.end) for link in ogg.links
            ]
            return _Joined(links, notes)
        notes = []
    file = open_sndfile(source)
    if file is None:
        decoder = open_apart(source)
        decoder.notes += notes
        return decoder
    return SndfileDecoder(file, source, notes=notes)


def _open_flac(source: Source) -> Decoder:
    flac = scan_flac(source.path)
    assert flac is not None  # narrows the type
    otherwise = functools.partial(open_apart, source)
    if len(flac.starts) > 1:
        ends = [*flac.starts[1:], -1]
        return _Joined(
            [
                dataclasses.replace(source, start=start, end=end)
                for start, end in zip(flac.starts, ends, strict=True)
            ],
            [],
        )
    file = None if flac.is_longer_than_stated else open_sndfile(source)
    if file is None:
        return open_apart(source)
    layout = None
    if file.channels > 2:
        layout = usual_layout(file.channels)
        if flac.mask is not None:
            layout = layout_of_mask(flac.mask, file.channels)
    return SndfileDecoder(file, source, layout=layout, otherwise=otherwise)


class _Joined:
    """Files of one kind, one behind the other in one file."""

    promised: float | None = None
    least_frames = 0

    def __init__(self, sources: list[Source], notes: list[str]) -> None:
        self._sources, self.notes = sources, notes
        self._decoder = self._part(sources[0])
        self.info = dataclasses.replace(self._decoder.info, frames=None)

    def _part(self, source: Source) -> Decoder:
        file = open_sndfile(source)
        if file is None:
            return open_apart(source)
        # a tag behind a FLAC stops libsndfile before the last samples
        otherwise = functools.partial(open_apart, source) if file.format == "FLAC" else None
        return SndfileDecoder(file, source, otherwise=otherwise)

    def skip(self, frames: int) -> int:
        """Do nothing; all is decoded from the beginning."""
        return 0

    def chunks(self) -> Iterator[Block]:
        """Decode part by part; raises DecodingError where that cannot go on."""
        done = 0
        for index, source in enumerate(self._sources):
            if index:
                self._decoder.close()
                self._decoder = self._part(source)
            info = self._decoder.info
            if (info.sample_rate, info.channels) != (self.info.sample_rate, self.info.channels):
                raise changed(self.info, done, info.channels, info.sample_rate)
            before = done
            for block in self._decoder.chunks():
                done += block.shape[1]
                yield block
            missing = self._decoder.least_frames - (done - before)
            if missing > 0:
                seconds = missing / info.sample_rate
                self.notes.append(f"part {index + 1} of {len(self._sources)} lacks {seconds:.2f} s")

    def close(self) -> None:
        """Close the part that is open."""
        self._decoder.close()


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
