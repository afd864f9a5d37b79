"""Put genres and moods into a file's own metadata.

They go in the place that its kind has for them, and the sound stays as
it is. The content decides which kind it is, never the name:

==================  ==============  ====================================
file                genre           mood
==================  ==============  ====================================
mp3, wav, aiff      ID3 TCON        ID3 TMOO (ID3v2.4)
flac, ogg, opus     GENRE           MOOD (Vorbis comments)
m4a, mp4            ``©gen``        ``----:com.apple.iTunes:MOOD``
==================  ==============  ====================================

All else that the metadata hold stays.
"""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from audiocli.errors import AudioError
from audiocli.io.atomic import write_whole
from audiocli.io.audio.info import printable

__all__ = ["KINDS", "write_tags"]

#: The kinds of file that can be written into.
KINDS = ("mp3", "wav", "aiff", "flac", "ogg", "opus", "m4a")
_MP4_MOOD = "----:com.apple.iTunes:MOOD"


def write_tags(
    source: Path,
    target: Path,
    genres: Sequence[str],
    moods: Sequence[str],
    *,
    name: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write a copy of a file with genres and moods in its metadata, or change the file itself.

    The copy is made under a hidden name and gets its own when it is complete, also in place.

    Parameters
    ----------
    source : Path
        An mp3, wav, aiff, flac, ogg, opus or m4a file.
    target : Path
        Where to write; the source itself to change that. A link to a file stands for the file.
    genres, moods : sequence of str
        They replace those that are there; where there are none, those that are there stay.
    name : str, optional
        How to call the source in messages.
    overwrite : bool
        Whether another file at the target may be replaced.

    Raises
    ------
    AudioError
        If the file is of another kind, or damaged.
    UsageError
        If the target is there.
    AudioCliError
        If it cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import mutagen, numpy, soundfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     song, copy = Path(folder) / "a.flac", Path(folder) / "b.flac"
    ...     soundfile.write(song, numpy.zeros(800), 8000)
    ...     write_tags(song, copy, ["rock"], ["happy", "calm"])
    ...     mutagen.File(copy)["mood"]
    ['happy', 'calm']
    """
    shown = name or printable(os.fspath(source))
    if os.path.exists(target) and os.path.samefile(source, target):
        target, overwrite = Path(os.path.realpath(target)), True

    opener = _opener(source, shown)
    if opener is None:
        raise AudioError(
            f"{shown}: genres and moods cannot be written into this kind of file; "
            f"into these they can: {', '.join(KINDS)}"
        )

    def fill(partial: Path) -> None:
        from mutagen import MutagenError

        shutil.copy2(source, partial)
        try:
            if genres or moods:
                _change(opener(partial), list(genres), list(moods))
        except (MutagenError, struct.error, ValueError, LookupError) as error:
            # mutagen lets the others through where a file's sizes make no sense
            reason = str(error) or type(error).__name__
            raise AudioError(f"{shown}: its metadata cannot be written: {reason}") from error

    write_whole(target, fill, overwrite=overwrite)


def _opener(path: Path, shown: str) -> Callable[[Path], Any] | None:
    """Choose what reads and writes the metadata of a file, by its first bytes."""
    from mutagen import aiff, flac, mp3, mp4, oggflac, oggopus, oggspeex, oggvorbis, wave

    try:
        with path.open("rb") as stream:
            head = stream.read(64)
    except OSError as error:
        raise AudioError(f"{shown}: {error.strerror or error}") from error
    if head[:4] == b"OggS":
        codecs: dict[bytes, Callable[[Path], Any]] = {
            b"\x01vorbis": oggvorbis.OggVorbis,
            b"OpusHead": oggopus.OggOpus,
            b"\x7fFLAC": oggflac.OggFLAC,
            b"Speex   ": oggspeex.OggSpeex,
        }
        return next((codecs[mark] for mark in codecs if mark in head), None)
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return wave.WAVE
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return aiff.AIFF
    if head[:4] == b"fLaC":
        return flac.FLAC
    if head[4:8] == b"ftyp":
        return mp4.MP4
    # A frame of MPEG audio: eleven bits set, then the version, then a layer that is not AAC's 0.
    frame = head[:1] == b"\xff" and len(head) > 1 and head[1] >= 0xE0 and head[1] & 0x06
    return mp3.MP3 if head[:3] == b"ID3" or frame else None


def _change(file: Any, genres: list[str], moods: list[str]) -> None:
    """Put genres and moods into a file that mutagen has opened."""
    from mutagen import id3, mp4

    if file.tags is None:
        file.add_tags()
    tags: Any = file.tags
    if isinstance(file.tags, id3.ID3):
        for frame, texts in ((id3.TCON, genres), (id3.TMOO, moods)):
            if texts:
                tags.setall(frame.__name__, [frame(encoding=3, text=texts)])
    else:
        named: dict[str, Any] = {"genre": genres, "mood": moods}
        if isinstance(file, mp4.MP4):
            named = {"\xa9gen": genres, _MP4_MOOD: [mood.encode("utf-8") for mood in moods]}
        tags.update({key: values for key, values in named.items() if values})
    file.save()
