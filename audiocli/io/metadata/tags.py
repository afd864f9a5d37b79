"""What a file's own metadata say of it, under one name whatever the kind of file."""

from __future__ import annotations

import base64
import os
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from audiocli.errors import AudioError
from audiocli.io.audio.info import printable

__all__ = ["KINDS", "NAMES", "Cover", "Tags", "opener", "put", "read_tags", "read_values"]

#: The kinds of file that can be written into.
KINDS = ("mp3", "wav", "aiff", "flac", "ogg", "opus", "m4a")

#: Each name with its ID3v2.4 frame and its MP4 atom; the Vorbis comment has the name itself.
NAMES: dict[str, tuple[str, str]] = {
    "title": ("TIT2", "\xa9nam"),
    "artist": ("TPE1", "\xa9ART"),
    "album": ("TALB", "\xa9alb"),
    "albumartist": ("TPE2", "aART"),
    "composer": ("TCOM", "\xa9wrt"),
    "genre": ("TCON", "\xa9gen"),
    "mood": ("TMOO", "----:com.apple.iTunes:MOOD"),
    "date": ("TDRC", "\xa9day"),
    "tracknumber": ("TRCK", "trkn"),
    "discnumber": ("TPOS", "disk"),
    "comment": ("COMM", "\xa9cmt"),
    "lyrics": ("USLT", "\xa9lyr"),
    "grouping": ("TIT1", "\xa9grp"),
    "bpm": ("TBPM", "tmpo"),
    "initialkey": ("TKEY", "----:com.apple.iTunes:initialkey"),
    "isrc": ("TSRC", "----:com.apple.iTunes:ISRC"),
    "language": ("TLAN", "----:com.apple.iTunes:LANGUAGE"),
    "conductor": ("TPE3", "----:com.apple.iTunes:CONDUCTOR"),
    "lyricist": ("TEXT", "----:com.apple.iTunes:LYRICIST"),
    "organization": ("TPUB", "----:com.apple.iTunes:LABEL"),
    "copyright": ("TCOP", "cprt"),
}

_FREE = "----:com.apple.iTunes:"
_PICTURE = "metadata_block_picture"
_FRONT = 3  # the type of picture that is the cover, in ID3 and in FLAC
_CODING = ("encoder", "encoded_by", "itun", "replaygain_", "r128_", "length", "cuesheet",
           "accuraterip", "major_brand", "minor_version", "compatible_brands", "creation_time",
           "handler_name", "vendor_id", "coverart", _PICTURE)  # fmt: skip
"""Beginnings of names that speak of the file and its coding, not of the music in it."""
_FFMPEG = {"album_artist": "albumartist", "track": "tracknumber", "disc": "discnumber",
           "publisher": "organization", "icmt": "comment", "ikey": "keywords"}  # fmt: skip


REPAIR = "write into a copy made by `ffmpeg -i FILE -c copy NEW`"


@dataclass(frozen=True)
class Cover:
    """A picture that belongs to a recording.

    Attributes
    ----------
    data : bytes
        The picture file.
    mime : str
        Its kind: 'image/jpeg', 'image/png', ...
    """

    data: bytes = field(repr=False)
    mime: str = "image/jpeg"


@dataclass(frozen=True)
class Tags:
    """What a file's metadata say of the music in it.

    Attributes
    ----------
    values : mapping of str to tuple of str
        By name in lower case: those of ``NAMES``, and any other that the file has.
    covers : tuple of Cover
        The pictures, the front cover first.
    """

    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    covers: tuple[Cover, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether there is anything."""
        return bool(self.covers) or any(self.values.values())


def opener(path: Path, shown: str) -> Callable[[Path], Any] | None:
    """Choose what reads and writes the metadata of a file, by its first bytes, never its name."""
    from mutagen import aiff, flac, mp3, mp4, oggflac, oggopus, oggspeex, oggvorbis, wave

    try:
        with path.open("rb") as stream:
            head = stream.read(64)
            behind = _behind_id3(stream, head)
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
    if head[:4] == b"fLaC" or behind == b"fLaC":
        return flac.FLAC
    if head[4:8] == b"ftyp":
        return mp4.MP4
    # A frame of MPEG audio: eleven bits set, then the version, then a layer that is not AAC's 0.
    frame = head[:1] == b"\xff" and len(head) > 1 and head[1] >= 0xE0 and head[1] & 0x06
    return mp3.MP3 if head[:3] == b"ID3" or frame else None


def _behind_id3(stream: BinaryIO, head: bytes) -> bytes:
    """Give the four bytes behind an ID3 tag, which some programs put before FLAC."""
    if head[:3] != b"ID3" or len(head) < 10:
        return b""
    size = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(head[9:5:-1]))
    stream.seek(10 + size)
    return stream.read(4)


# --- reading ---------------------------------------------------------------------------------


def read_tags(path: Path, *, name: str | None = None) -> Tags:
    """Read the metadata of an audio file of any kind.

    What speaks of the file and its coding (the encoder, replay gain, ...) is left out, so that
    the rest may be written into another file made of it. Metadata that are damaged are none.
    """
    from mutagen import MutagenError

    open_tags = opener(path, name or printable(os.fspath(path)))
    pairs: list[tuple[str, str]] = []
    covers: list[tuple[int, Cover]] = []
    if open_tags is not None:
        try:
            file = open_tags(path)
            pairs, covers = list(_pairs(file)), list(_covers(file))
        except (MutagenError, *SENSELESS, TypeError, AttributeError):
            pass  # damaged
    if not pairs and not covers:
        pairs, covers = _by_ffmpeg(path)
    values: dict[str, tuple[str, ...]] = {}
    for key, text in pairs:
        key, text = key.lower(), text.replace("\0", "").strip()
        if text and not key.startswith(_CODING) and text not in values.get(key, ()):
            values[key] = (*values.get(key, ()), text)
    return Tags(values, tuple(cover for _, cover in sorted(covers, key=lambda pair: pair[0])))


def _pairs(file: Any) -> Iterator[tuple[str, str]]:
    """Yield the names and texts that mutagen finds, one a value."""
    from mutagen import id3, mp4

    if file.tags is None:
        return
    if isinstance(file.tags, id3.ID3):
        names = {frame: name for name, (frame, _) in NAMES.items()}
        for frame in file.tags.values():
            name = frame.desc if frame.FrameID == "TXXX" else names.get(frame.FrameID)
            if frame.FrameID == "COMM" and frame.desc.lower().startswith("itun"):
                continue
            if name:
                text = frame.genres if frame.FrameID == "TCON" else frame.text
                yield from (
                    (name, str(each)) for each in ([text] if isinstance(text, str) else text)
                )
    elif isinstance(file, mp4.MP4):
        names = {atom: name for name, (_, atom) in NAMES.items()}
        for atom, values in file.tags.items():
            name = names.get(atom) or (atom.rpartition(":")[2] if atom.startswith("----") else None)
            if name:
                yield from ((name, _mp4_text(value)) for value in values)
    else:
        yield from file.tags


def _mp4_text(value: Any) -> str:
    if isinstance(value, tuple):  # a number of a total
        return "/".join(str(number) for number in value if number)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)


def _covers(file: Any) -> Iterator[tuple[int, Cover]]:
    """Yield the pictures that mutagen finds, with what orders them."""
    from mutagen import flac, id3, mp4

    pictures: list[Any] = []
    if isinstance(file, flac.FLAC):
        pictures = list(file.pictures)
    elif file.tags is None:
        return
    elif isinstance(file.tags, id3.ID3):
        pictures = file.tags.getall("APIC")
    elif isinstance(file, mp4.MP4):
        for each in file.tags.get("covr", ()):
            kind = "png" if each.imageformat == mp4.MP4Cover.FORMAT_PNG else "jpeg"
            yield 0, Cover(bytes(each), f"image/{kind}")
    else:
        for text in file.tags.get(_PICTURE, ()):
            pictures.append(flac.Picture(base64.b64decode(text)))
    for picture in pictures:
        yield picture.type != _FRONT, Cover(bytes(picture.data), picture.mime)


def _by_ffmpeg(path: Path) -> tuple[list[tuple[str, str]], list[tuple[int, Cover]]]:
    """Read what FFmpeg finds, in the kinds that mutagen does not know and in RIFF's own chunk."""
    try:
        import av
    except ImportError:
        return [], []
    pairs: list[tuple[str, str]] = []
    covers: list[tuple[int, Cover]] = []
    url = "file:" + os.path.abspath(path)
    options = {"protocol_whitelist": "file", "format_whitelist": _FORMATS}
    try:
        with path.open("rb") as opened:
            if opened.read(4) in _PLAIN:
                # Their header says all: to look into 5 MB of samples takes 20 ms.
                options["probesize"] = str(2**16)
        with av.open(url, options=options, metadata_errors="replace") as file:
            audio = file.streams.best("audio")
            for key, text in [*file.metadata.items(), *(audio.metadata.items() if audio else ())]:
                pairs.append((_FFMPEG.get(key.lower(), key), text))
            for stream in file.streams.video:
                kind = {"mjpeg": "jpeg", "png": "png"}.get(stream.codec_context.name)
                if stream.disposition & av.stream.Disposition.attached_pic and kind:
                    packet = next(iter(file.demux(stream)))
                    covers.append((0, Cover(bytes(packet), f"image/{kind}")))
    except (av.error.FFmpegError, OSError, StopIteration):
        pass
    return pairs, covers


#: mutagen lets these through where a file's sizes make no sense.
SENSELESS = (struct.error, ValueError, LookupError)

#: How files of samples as they are begin.
_PLAIN = (b"RIFF", b"RF64", b"BW64", b"FORM")

_FORMATS = "wav,w64,aiff,au,caf,flac,ogg,mp3,aac,mov,mp4,m4a,matroska,webm,asf,wv,ape,tta,mpc,mpc8"
"""What FFmpeg may take a file for: never for a playlist, which would open other files."""


# --- writing ---------------------------------------------------------------------------------


def read_values(path: Path, names: Sequence[str]) -> dict[str, list[str]]:
    """Read what stands under these names, also such as speak of the file; nothing is an empty list.

    Takes names in lower case.
    """
    from mutagen import MutagenError

    shown = printable(os.fspath(path))
    open_tags = opener(path, shown)
    if open_tags is None:
        raise AudioError(f"{shown}: metadata cannot be read of this kind of file")
    try:
        pairs = list(_pairs(open_tags(path)))
    except (MutagenError, *SENSELESS) as error:
        reason = printable(str(error)) or type(error).__name__
        raise AudioError(f"{shown}: its metadata cannot be read ({reason}); {REPAIR}") from error
    return {name: [text for key, text in pairs if key.lower() == name] for name in names}


def _remove(file: Any, names: Sequence[str]) -> None:
    """Remove what stands under these names."""
    from mutagen import id3, mp4

    for name in names:
        frame, atom = NAMES.get(name, (f"TXXX:{name}", _FREE + name.upper()))
        if isinstance(file.tags, id3.ID3):
            for key in [key for key in file.tags if key.lower().split("::")[0] == frame.lower()]:
                del file.tags[key]
        elif isinstance(file, mp4.MP4):
            for key in [key for key in file.tags if key.lower() == atom.lower()]:
                del file.tags[key]
        elif name in file.tags:
            del file.tags[name]


def put(file: Any, tags: Tags, remove: Sequence[str] = ()) -> None:
    """Put tags into a file that mutagen has opened, in the place of those of the same name."""
    from mutagen import flac, id3, mp4

    if file.tags is None:
        file.add_tags()
    _remove(file, remove)
    values = {name: list(texts) for name, texts in tags.values.items() if texts}
    if isinstance(file.tags, id3.ID3):
        _put_id3(file.tags, values, tags.covers)
    elif isinstance(file, mp4.MP4):
        _put_mp4(file.tags, values, tags.covers)
    else:
        file.tags.update(values)
        pictures = [_picture(cover) for cover in tags.covers]
        if pictures and isinstance(file, flac.FLAC):
            file.clear_pictures()
            for picture in pictures:
                file.add_picture(picture)
        elif pictures:
            blocks = [base64.b64encode(each.write()).decode("ascii") for each in pictures]
            file.tags[_PICTURE] = blocks
    file.save()


def _put_id3(frames: Any, values: Mapping[str, list[str]], covers: tuple[Cover, ...]) -> None:
    from mutagen import id3

    for name, texts in values.items():
        kind, _ = NAMES.get(name, ("TXXX", ""))
        if kind in ("COMM", "USLT"):
            text = texts if kind == "COMM" else "\n".join(texts)
            frame = getattr(id3, kind)(encoding=3, lang="und", desc="", text=text)
            frames.setall(kind, [frame])
        elif kind == "TXXX":
            frames.setall(f"TXXX:{name}", [id3.TXXX(encoding=3, desc=name, text=texts)])
        else:
            frames.setall(kind, [getattr(id3, kind)(encoding=3, text=texts)])
    if covers:
        frames.setall(
            "APIC",
            [
                id3.APIC(
                    encoding=3,
                    mime=cover.mime,
                    type=_FRONT if not number else 0,
                    desc=str(number or ""),
                    data=cover.data,
                )  # fmt: skip
                for number, cover in enumerate(covers)
            ],
        )


def _put_mp4(atoms: Any, values: Mapping[str, list[str]], covers: tuple[Cover, ...]) -> None:
    from mutagen import mp4

    for name, texts in values.items():
        _, atom = NAMES.get(name, ("", _FREE + name.upper()))
        if atom.startswith("----"):
            atoms[atom] = [mp4.MP4FreeForm(text.encode("utf-8")) for text in texts]
        elif atom in ("trkn", "disk"):
            numbers = [int(part) for part in texts[0].split("/")[:2] if part.strip().isdigit()]
            if numbers:
                atoms[atom] = [(numbers[0], numbers[1] if len(numbers) > 1 else 0)]
        elif atom == "tmpo":
            try:
                atoms[atom] = [round(float(texts[0]))]
            except ValueError:
                continue
        else:
            atoms[atom] = texts
    kinds = {"image/jpeg": mp4.MP4Cover.FORMAT_JPEG, "image/png": mp4.MP4Cover.FORMAT_PNG}
    known = [cover for cover in covers if cover.mime in kinds]
    if known:
        atoms["covr"] = [mp4.MP4Cover(each.data, kinds[each.mime]) for each in known]


def _picture(cover: Cover) -> Any:
    from mutagen import flac

    picture = flac.Picture()
    picture.type, picture.mime, picture.data = _FRONT, cover.mime, cover.data
    return picture
