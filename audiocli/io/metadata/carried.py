"""Metadata of a recording that go along into files made of it, such as its stems.

Tags and covers go from any kind of file to any other. A WAV has more in its chunks: its place on a
time line (``bext``, the Broadcast Wave Format), cue points with their labels (``cue``, ``LIST``)
and descriptions (``LIST INFO``, ``iXML``). Those go from WAV to WAV as they are; into other files
the time reference goes as a tag, as FFmpeg does it.

References
----------
EBU Tech 3285: Specification of the Broadcast Wave Format, version 2, 2011.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from audiocli.errors import AudioError, warn
from audiocli.io.metadata.tags import Tags, read_tags
from audiocli.io.metadata.writing import put_tags

__all__ = ["Metadata", "read_metadata"]

#: Chunks that go along; of lists those of descriptions and of labels of cue points.
CHUNKS, LISTS = (b"bext", b"iXML", b"cue ", b"LIST"), (b"INFO", b"adtl")
#: Longer ones hold no text.
LONGEST = 1 << 20  # bytes
#: Where a time reference stands in a bext chunk: 64 bits, in samples since midnight.
REFERENCE = slice(338, 346)
TIME_REFERENCE = "time_reference"


@dataclass(frozen=True)
class Metadata:
    """What goes along from a file into those made of it.

    Attributes
    ----------
    tags : Tags
        With covers.
    chunks : tuple of (bytes, bytes)
        Of a WAV: names and contents.
    """

    tags: Tags = Tags()
    chunks: tuple[tuple[bytes, bytes], ...] = ()

    def __bool__(self) -> bool:
        """Tell whether there is anything."""
        return bool(self.tags or self.chunks)

    @property
    def time_reference(self) -> int | None:
        """Samples since midnight at which the recording begins, if it says so."""
        for name, content in self.chunks:
            if name == b"bext" and len(content) >= REFERENCE.stop:
                return int.from_bytes(content[REFERENCE], "little")
        text = next(iter(self.tags.values.get(TIME_REFERENCE, ())), "")
        return int(text) if text.isdecimal() else None

    def excerpt(self, start: int) -> Metadata:
        """Give those of a part of the recording."""
        reference = self.time_reference
        values = dict(self.tags.values)
        if reference is not None and TIME_REFERENCE in values:
            values[TIME_REFERENCE] = (str(reference + start),)
        kept = []
        for name, content in self.chunks:
            if name == b"bext" and reference is not None:
                moved = (reference + start).to_bytes(8, "little")
                content = content[: REFERENCE.start] + moved + content[REFERENCE.stop :]
            if name != b"cue " and content[:4] != b"adtl":
                kept.append((name, content))
        return Metadata(Tags(values, self.tags.covers), tuple(kept))

    def write(self, path: Path) -> None:
        """Put them into a file that was just written; what it cannot hold is warned of."""
        with path.open("rb") as stream:
            head = stream.read(4)
        tags = self.tags
        if head == b"RIFF":
            _append(path, self.chunks)
        elif head == b"RF64":
            warn("its metadata are left out: a wav of more than 4 GiB has no place for tags")
            return
        elif self.time_reference is not None:
            values = {**tags.values, TIME_REFERENCE: (str(self.time_reference),)}
            tags = Tags(values, tags.covers)
        if not tags:
            return
        try:
            put_tags(path, tags)
        except AudioError as error:
            warn(f"its metadata are left out: {str(error).rpartition(': ')[2]}")


def read_metadata(path: Path, *, name: str | None = None) -> Metadata:
    """Read the metadata that go along into other files."""
    tags = read_tags(path, name=name)
    with path.open("rb") as stream:
        return Metadata(tags, tuple(_chunks(stream)))


def _chunks(stream: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks of a WAV that go along; of other files none."""
    head = stream.read(12)
    if head[:4] not in (b"RIFF", b"RF64", b"BW64") or head[8:] != b"WAVE":
        return
    large = 0
    while len(header := stream.read(8)) == 8:
        name, size = header[:4], struct.unpack("<I", header[4:])[0]
        if name in CHUNKS and size <= LONGEST:
            content = stream.read(size + size % 2)[:size]
            if len(content) == size and (name != b"LIST" or content[:4] in LISTS):
                yield name, content
            continue
        if name == b"ds64" and size >= 16:
            content = stream.read(size + size % 2)
            large = struct.unpack("<Q", content[8:16])[0] if len(content) >= 16 else 0
            continue
        if name == b"data" and size == 0xFFFFFFFF:
            size = large
        stream.seek(size + size % 2, 1)


def _append(path: Path, chunks: tuple[tuple[bytes, bytes], ...]) -> None:
    """Append chunks to a WAV, and count them in its size."""
    added = b"".join(
        name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
        for name, content in chunks
    )
    with path.open("rb+") as stream:
        length = stream.seek(0, 2)
        if not added or length + len(added) >= 2**32:
            return
        stream.write(b"\0" * (length % 2) + added)
        total = stream.tell()
        stream.seek(4)
        stream.write(struct.pack("<I", total - 8))
