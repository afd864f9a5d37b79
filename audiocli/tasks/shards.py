"""WebDataset shards as training data: tar files of ``KEY.EXT``, unpacked into a folder.

Files whose names agree up to the first dot are one sample: the audio, and what is known of it.
``.cls``, ``.txt`` and ``.json`` become the ``labels.csv`` of the folder; annotations of other
kinds (``KEY.onsets``, ``KEY.beats``) stand beside their audio, as in any folder of data. A key is
one sample within its shard; each shard has a folder of its own.

References
----------
Aizman, Maltby, Breuel: High Performance I/O For Large Scale Deep Learning. IEEE Big Data 2019.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from audiocli.errors import DataError, printable, warn
from audiocli.io.audio import AUDIO_EXTENSIONS

__all__ = ["TABLE", "Unpacking", "is_shard", "shard_name"]

ENDINGS = (".tar", ".tar.gz", ".tgz")
TABLE = "labels.csv"
_BLOCK, _CHUNK = 512, 1 << 20
#: Bytes of a label: of a text or JSON that is larger nothing is a label.
_LARGEST_LABEL = 1 << 20
#: What tells labels; the later comes before the earlier.
_FACTS = ("txt", "cls", "json")


def is_shard(name: str) -> bool:
    """Tell a shard by its name."""
    return name.lower().endswith(ENDINGS)


def shard_name(name: str) -> str:
    """Give a shard's name without its ending.

    Examples
    --------
    >>> shard_name("train-000.tar.gz")
    'train-000'
    """
    found = next((end for end in ENDINGS if name.lower().endswith(end)), "")
    return name[: len(name) - len(found)]


@dataclass
class _Sample:
    """What a shard holds of one key."""

    audio: list[str] = field(default_factory=list)
    facts: dict[str, dict[str, str]] = field(default_factory=dict)  # by the file that says them


@dataclass
class Unpacking:
    """A folder that shards are unpacked into.

    Parameters
    ----------
    folder : Path
    limit : int
        Bytes that it may hold.
    """

    folder: Path
    limit: int

    def __post_init__(self) -> None:
        self.rows: list[dict[str, str]] = []
        self.written = self.repeated = self.silent = 0
        self.known: dict[bytes, str] = {}  # of the audio, where it was written first

    def add(self, shard: Path, shown: str, name: str) -> None:
        """Unpack a shard into a folder below; `shown` is what messages call it.

        Raises
        ------
        DataError
            If it is no whole tar file, or holds what must not be unpacked.
        """
        known, counts = dict(self.known), (self.written, self.repeated, self.silent)
        try:
            with _explained(shown), tarfile.open(shard) as archive:
                samples = self._unpack(archive, shown, name)
                _refuse_rest(archive, shown)
        except DataError:  # another shard may be taken in its place
            shutil.rmtree(self.folder / name, ignore_errors=True)
            self.known, (self.written, self.repeated, self.silent) = known, counts
            raise
        self._note(samples, name)

    def _unpack(self, archive: tarfile.TarFile, shown: str, name: str) -> dict[str, _Sample]:
        samples: dict[str, _Sample] = {}
        taken: set[str] = set()
        for member in archive:
            path = PurePosixPath(member.name)
            base = path.name
            if not member.isfile() or base.startswith((".", "__")):
                continue
            if path.is_absolute() or ".." in path.parts or "\0" in member.name:
                raise DataError(f"{shown}: holds {printable(member.name)!r}, which leads out "
                                "of it; nothing of it is unpacked")  # fmt: skip
            relative = str(path)
            if relative in taken:
                raise DataError(f"{shown}: holds {printable(relative)!r} twice; which counts?")
            taken.add(relative)
            stem, _, ending = base.partition(".")
            sample = samples.setdefault(str(path.with_name(stem or base)), _Sample())
            source = archive.extractfile(member)
            assert source is not None  # a file has content
            if ending.lower() in _FACTS:
                text = _small(source, shown, relative)
                where = f"{shown}, {printable(relative)}"
                sample.facts[ending.lower()] = _facts(ending.lower(), text, where)
            else:
                self._write(source, f"{name}/{relative}", shown, sample)
        return samples

    def _write(self, source: IO[bytes], relative: str, shown: str, sample: _Sample) -> None:
        """Write a file, but for audio that is there already, byte by byte the same."""
        path, digest = self.folder / relative, hashlib.sha256()
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as target:
            while block := source.read(_CHUNK):
                self.written += len(block)
                if self.written > self.limit:
                    raise DataError(
                        f"{shown}: with it the data takes more than {self.limit / 1e9:.3g} GB; "
                        "unpack the shards yourself, and give the folder"
                    )
                digest.update(block)
                target.write(block)
        if path.suffix.lower() in AUDIO_EXTENSIONS:
            first = self.known.setdefault(digest.digest(), relative)
            if first != relative:
                path.unlink()
                self.repeated += 1
            sample.audio.append(first)

    def _note(self, samples: dict[str, _Sample], shard: str) -> None:
        for key, sample in samples.items():
            if not sample.audio:
                self.silent += 1
            for audio in sample.audio:
                row = {"key": key, "shard": shard}
                for ending in _FACTS:
                    row |= sample.facts.get(ending, {})
                self.rows.append({**row, "path": audio})

    def finish(self, shown: str) -> None:
        """Write the table, if the samples have labels, and warn of what was left out."""
        if not self.rows:
            raise DataError(f"{shown}: holds no audio; samples are KEY.wav or the like, with "
                            "KEY.cls, KEY.txt, KEY.json or annotations of the task")  # fmt: skip
        for count, what in (
            (self.silent, "has no audio and is left out"),
            (self.repeated, "repeats the audio of another and counts once"),
        ):
            if count:
                warn(f"{shown}: {count} of its samples {what}")
        labelled = sum(bool(row.get("label")) for row in self.rows)
        columns = list(dict.fromkeys(["path", "label", *(key for row in self.rows for key in row)]))
        if set(columns) == {"path", "label", "key", "shard"}:
            return  # annotations stand beside the audio, or there are none
        if 0 < labelled < len(self.rows):
            warn(f"{shown}: {len(self.rows) - labelled} of its {len(self.rows)} samples have no "
                 "label")  # fmt: skip
        with (self.folder / TABLE).open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, columns, restval="")
            writer.writeheader()
            writer.writerows(self.rows)


@contextmanager
def _explained(shown: str) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, zlib.error, UnicodeError) as error:
        reason = printable(str(error)) or "it ends early"
        raise DataError(f"{shown}: is no whole tar file ({reason}); make or fetch it again"
                        ) from error  # fmt: skip
    except OSError as error:
        reason = printable(error.strerror or str(error))
        raise DataError(f"{shown}: cannot be unpacked ({reason})") from error


def _refuse_rest(archive: tarfile.TarFile, shown: str) -> None:
    """Refuse what Python's reader passes over: a header that is none, and the end of a cut file."""
    assert archive.fileobj is not None
    archive.fileobj.seek(archive.offset)  # where it found no further member
    block = archive.fileobj.read(_BLOCK)
    if len(block) < _BLOCK:
        raise tarfile.ReadError("its end is missing")
    if block.strip(b"\0"):
        raise tarfile.ReadError(f"no header at byte {archive.offset}")


def _small(source: IO[bytes], shown: str, relative: str) -> str:
    data = source.read(_LARGEST_LABEL + 1)
    if len(data) > _LARGEST_LABEL:
        raise DataError(f"{shown}: {printable(relative)} is too large for a label")
    try:
        return data.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise DataError(f"{shown}: {printable(relative)} is no text in UTF-8") from error


def _facts(ending: str, text: str, shown: str) -> dict[str, str]:
    """Read a label, or all that a JSON object says."""
    if ending != "json":
        return {ending: text, "label": text}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{shown}: is no JSON ({printable(str(error))})") from error
    if not isinstance(found, dict):
        return {"label": _cell(found)}
    facts = {str(key): _cell(value) for key, value in found.items() if key not in _OWN}
    return {key: value for key, value in facts.items() if value}


#: Columns that do not come from JSON.
_OWN = ("path", "key", "shard")


def _cell(value: Any) -> str:
    if value is None or isinstance(value, dict):
        return ""
    if isinstance(value, list):
        return ";".join(filter(None, map(_cell, value)))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
