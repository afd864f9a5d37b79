"""One file for the results of all recordings, which grows while the run goes on.

Rows are appended to ``NAME.partial`` beside the file the moment a recording is done. When the
run ends, also by an interrupt, the file is put together from them and from the rows that were
there before, as a whole; then the partial file goes. After a run that was killed, the partial file
is still there, and the next run that resumes takes its rows. No more than the rows of one
recording are in memory at a time. In a store, the partial file is a
:class:`~audiocli.batch.journal.Journal`.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from audiocli.batch.journal import Journal
from audiocli.errors import AudioCliError, UsageError
from audiocli.io import remote
from audiocli.io.atomic import make_folder, write_whole
from audiocli.io.remote import RemotePath

__all__ = ["JointFile", "Part", "RowFormat"]

_START = b'{"schema": "audiocli.partial/1"'


@dataclass(frozen=True)
class Part:
    """The rows of one recording.

    Parameters
    ----------
    name : str
        Of the recording, as the rows have it.
    data : bytes
        The rows, in a form that only their format knows.
    rows : int
        How many there are.
    head : str
        What stands above all rows; the same for all parts of a file.
    """

    name: str
    data: bytes
    rows: int
    head: str = ""


class RowFormat(Protocol):
    """Makes parts of results, and a file of parts."""

    def begin(self, known: Sequence[str]) -> None:
        """Take the names of the recordings whose rows may be read back."""

    def part(self, value: Any, name: str) -> Part:
        """Make rows of the result of a recording."""

    def read(self, path: Path) -> Iterator[Part]:
        """Read a file back; raise UsageError if it is none of this format and these columns."""

    def write(self, path: Path, parts: Iterable[Part], counts: Mapping[str, int]) -> None:
        """Write a file of parts; `counts` are the rows of each, by name and in their order."""

    def renamed(self, part: Part, name: str) -> Part:
        """Give the rows of a recording that has another name now."""


class JointFile:
    """A file for the results of all recordings, and its partial file.

    Parameters
    ----------
    path : Path
        The file.
    form : RowFormat
        How rows are written.
    settings_sha256 : str
        By which it is known whether a partial file is of this kind.
    resume : bool
        Whether the rows that are there are kept; else they are replaced.
    replace : bool
        Whether a partial file may be replaced.
    in_order : bool
        Whether rows are sorted by the names of the recordings; else by the order of the inputs.
    empty : bool
        Whether the file is written without any recording too, as a shard without inputs does.
    """

    def __init__(
        self,
        path: Path,
        form: RowFormat,
        settings_sha256: str,
        *,
        resume: bool,
        replace: bool,
        in_order: bool = False,
        empty: bool = False,
    ) -> None:
        self.path, self.form, self.in_order, self.empty = path, form, in_order, empty
        self.partial = path.with_name(f"{path.name}.partial")
        remote_partial = self.partial if isinstance(self.partial, RemotePath) else None
        self._journal = None if remote_partial is None else Journal(remote_partial)
        self._settings = settings_sha256
        self._resume = resume
        self._replace = replace or resume
        self._file: BinaryIO | None = None
        self._places: dict[str, tuple[int, int]] = {}  # in the partial file: offset, rows
        self._old: dict[str, int] = {}  # in the file itself: rows
        self._names: dict[str, str] = {}  # of recordings that were renamed: new to old
        self._dropped: set[str] = set()

    def open(self, known: Iterable[str] = ()) -> None:
        """Find the rows that are there; to be called when no other run can write them."""
        left = self._is_left()
        if left and not self._replace:
            raise UsageError(
                f"{self.partial}: rows of a run that was stopped; use {{resume}} to go on "
                "with them, or {overwrite} to begin anew",
                "resume",
                "overwrite",
            )
        if self._resume:
            self.form.begin(list(dict.fromkeys(known)))
            if remote.exists(self.path):
                with remote.local_copy(self.path) as path:
                    for part in self.form.read(path):
                        self._old[part.name] = self._old.get(part.name, 0) + part.rows
            if left:
                self._open(keep=True)

    def _is_left(self) -> bool:
        """Tell whether a run that was stopped has left rows."""
        if self._journal is not None:
            return self._journal.is_there()
        return os.path.lexists(self.partial)

    def flush(self) -> None:
        """Have a store keep the rows that there are."""
        if self._journal is not None:
            self._journal.flush()

    @property
    def old(self) -> Mapping[str, int]:
        """How many rows there are of each recording in the file that was there."""
        return self._old

    def rows(self, name: str) -> int | None:
        """Tell how many rows there are of a recording; None where it is not known."""
        if name in self._places:
            return self._places[name][1]
        return self._old.get(name)

    def add(self, value: Any, name: str) -> int:
        """Keep the rows of a recording; give their number."""
        part = self.form.part(value, name)
        self._append(part)
        return part.rows

    def rename(self, old: str, new: str) -> None:
        """Let the rows of a recording go by another name."""
        self._names[new] = old

    def drop(self, name: str) -> bool:
        """Leave out the rows of a recording; tell whether there are any under that name."""
        there = self.rows(name) is not None and name not in self._names.values()
        if there:
            self._dropped.add(name)
        return there

    def finish(self, order: Sequence[str]) -> bool:
        """Put the file together, and remove the partial file."""
        try:
            changed = bool(self._places or self._names or self._dropped)
            if changed:
                self._import()
                self._write(order)
            elif self.empty and not order and not remote.exists(self.path):
                write_whole(self.path, lambda partial: self.form.write(partial, (), {}))
        except BaseException:
            with contextlib.suppress(AudioCliError):  # the first error is the one to tell
                self.flush()
            raise
        finally:
            if self._file is not None:
                self._file.close()
                self._file = None
            if self._journal is not None:
                self._journal.close()
        if self._journal is not None:
            self._journal.clear()
        else:
            self.partial.unlink(missing_ok=True)
        return changed

    def _write(self, order: Sequence[str]) -> None:
        for new, old in self._names.items():
            if new not in self._places and old in self._places:
                self._append(self.form.renamed(self._read(old), new))
                self._dropped.add(old)
        present = self._places.keys() - self._dropped
        if self.in_order:
            names = sorted(present)
        else:
            first = [name for name in self._places if name in present and name not in set(order)]
            names = [*first, *(name for name in dict.fromkeys(order) if name in present)]

        def fill(partial: Path) -> None:
            counts = {name: self._places[name][1] for name in names}
            self.form.write(partial, map(self._read, names), counts)

        write_whole(self.path, fill, overwrite=self._replace)

    def _import(self) -> None:
        """Take over the rows that were there before, before all others."""
        if not self._old:
            return
        newer = dict(self._places)
        self._places = {}
        with remote.local_copy(self.path) as path:
            for part in self.form.read(path):
                if part.name not in newer:
                    self._append(part, more=part.name in self._places)
        self._places |= newer

    # --- the partial file: a line of JSON and its bytes for each part ------------------------

    def _open(self, *, keep: bool) -> BinaryIO:
        try:
            if self._journal is None:
                path = self.partial
                make_folder(path.parent)
                keep = keep and path.stat().st_size > 0
            else:
                path = self._journal.open(keep=keep)
            file = path.open("r+b" if keep else "w+b")
        except OSError as error:
            raise UsageError(f"{self.partial}: cannot be opened: {error.strerror}") from error
        self._file = file
        if keep and self._scan(file):
            return file
        if keep:
            file.close()
            self._file = None
            raise UsageError(
                f"{self.partial}: is of a run with other settings, or no partial file; use the "
                "settings of that run, or {overwrite} to begin anew",
                "overwrite",
            )
        header = _START + b', "settings_sha256": "' + self._settings.encode() + b'"}\n'
        file.write(header)
        return file

    def _scan(self, file: BinaryIO) -> bool:
        """Find the parts; what was cut off at the end is removed."""
        first = file.readline()
        if not first.startswith(_START) or self._settings.encode() not in first:
            return False
        end = file.tell()
        while line := file.readline():
            try:
                told = json.loads(line)
                name, rows, count = str(told["file"]), int(told["rows"]), int(told["bytes"])
            except (ValueError, KeyError, TypeError):
                break
            data = file.read(count + 1)
            if len(data) <= count:
                break
            self._places[name] = (end, rows)
            end = file.tell()
        file.truncate(end)
        return True

    def _append(self, part: Part, *, more: bool = False) -> None:
        if more:  # rows of one recording that stand apart in a file
            before = self._read(part.name)
            part = Part(part.name, before.data + part.data, before.rows + part.rows, part.head)
        file = self._file or self._open(keep=False)
        told = {"file": part.name, "rows": part.rows, "bytes": len(part.data), "head": part.head}
        try:
            place = file.seek(0, os.SEEK_END)
            file.write(json.dumps(told).encode() + b"\n" + part.data + b"\n")
            file.flush()
        except OSError as error:
            raise AudioCliError(f"{self.partial}: cannot be written: {error.strerror}") from error
        self._places.pop(part.name, None)
        self._places[part.name] = (place, part.rows)

    def _read(self, name: str) -> Part:
        assert self._file is not None  # narrows the type; there are places in it only
        self._file.seek(self._places[name][0])
        told = json.loads(self._file.readline())
        return Part(name, self._file.read(told["bytes"]), told["rows"], told["head"])
