"""What was uploaded, what became of it, and the threads that see to it."""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Literal

from audiocli.batch import Outcome, Worker
from audiocli.batch.inputs import Input, Job
from audiocli.batch.resident import Resident
from audiocli.errors import printable

__all__ = ["PAGE", "Limits", "Recording", "Recordings", "Refused"]

#: The page of a recording, in its folder.
PAGE = "page.html"
#: Characters of a name that are kept.
LONGEST = 200
MB = 1_000_000


class Refused(Exception):
    """A request that is not carried out, with the status of the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Limits:
    """How much the server takes.

    Parameters
    ----------
    file_bytes : int
        Of one recording.
    files : int
        Recordings at a time: those that wait, and those that are done and not removed.
    disk_bytes : int
        Of recordings and results together.

    Examples
    --------
    >>> Limits(files=3).file_bytes
    1000000000
    """

    file_bytes: int = 1000 * MB
    files: int = 100
    disk_bytes: int = 20_000 * MB


State = Literal["receiving", "waiting", "working", "done", "failed", "cancelled"]


@dataclass
class Recording:
    """A recording, in a folder of its own.

    Parameters
    ----------
    id : str
        What it goes by; nothing of its name is in it.
    name : str
        As it was uploaded, fit to be shown.
    folder : Path
        Of its results.
    """

    id: str
    name: str
    folder: Path
    state: State = "receiving"
    uploaded: int = 0  # bytes on disk
    made: int = 0
    seconds: float = 0.0  # analysed
    total: float | None = None
    error: str = ""
    warnings: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, int] = field(default_factory=dict)  # names with sizes
    given_up: threading.Event = field(default_factory=threading.Event)

    @property
    def size(self) -> int:
        """Bytes that it takes on disk."""
        return self.uploaded + self.made

    @property
    def source(self) -> Path:
        """The upload: named by its ending alone, which some decoders go by."""
        suffix = PurePosixPath(self.name).suffix
        kept = suffix if re.fullmatch(r"\.[A-Za-z0-9]{1,8}", suffix) else ""
        return self.folder.parent / f"{self.id}.upload{kept}"

    @property
    def is_active(self) -> bool:
        """Whether it can be cancelled."""
        return self.state in ("receiving", "waiting", "working")

    def called(self, file: str) -> str:
        """Name a file of it for a download: song.vocals.flac, song.html."""
        stem = re.sub(r'[\\/:*?"<>|%]', "_", PurePosixPath(self.name).stem).strip(". ")[:80]
        stem = stem or "recording"
        return f"{stem}.html" if file == PAGE else f"{stem}.{file}"

    def shown(self) -> dict[str, Any]:
        """Give what the page shows, ready for JSON."""
        share = self.seconds / self.total if self.total else 0.0
        files = [{"name": name, "called": self.called(name), "size": size}
                 for name, size in self.files.items()]  # fmt: skip
        return {"id": self.id, "name": self.name, "state": self.state, "share": min(share, 1.0),
                "begun": self.total is not None, "error": self.error,
                "warnings": self.warnings, "facts": self.facts, "files": files}  # fmt: skip


class Recordings:
    """All recordings of a server, in the order in which they came.

    Its methods may be called from any thread.

    Parameters
    ----------
    folder : Path
        Where they and their results are.
    make_worker : callable
        Makes what analyses one, in a process of its own.
    limits : Limits
        How much is taken.
    n_jobs : int
        Processes.
    """

    def __init__(
        self, folder: Path, make_worker: Callable[[], Worker], limits: Limits, n_jobs: int = 1
    ) -> None:
        self.limits = limits
        self._folder = folder
        self._all: dict[str, Recording] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, args=(Resident(make_worker),), daemon=True)
            for _ in range(n_jobs)
        ]

    def __enter__(self) -> Recordings:
        """Start the workers."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Give up what is left, and end the workers."""
        with self._changed:
            self._closed = True
            for recording in self._all.values():
                recording.given_up.set()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    # --- uploads --------------------------------------------------------------------------------

    def begin(self, name: str, size: int | None) -> Recording:
        """Make room for an upload of so many bytes, if that is known."""
        with self._changed:
            if len(self._all) >= self.limits.files:
                raise Refused(
                    409, f"{self.limits.files} recordings are here, which is the limit; remove some"
                )
            token = secrets.token_hex(8)
            shown = printable(name.strip()[:LONGEST]) or "recording"
            recording = Recording(token, shown, self._folder / token)
            self._check(recording, size or 0)
            recording.folder.mkdir()
            self._all[token] = recording
            return recording

    def grow(self, recording: Recording, count: int) -> None:
        """Take note of more bytes of an upload, before they are written."""
        with self._changed:
            if recording.given_up.is_set():
                raise Refused(409, "the upload was cancelled")
            self._check(recording, count)
            recording.uploaded += count

    def ready(self, recording: Recording) -> None:
        """Put an upload that is complete into the queue."""
        with self._changed:
            if not recording.uploaded:
                raise Refused(400, f"{recording.name}: is empty")
            if recording.state == "receiving":
                recording.state = "waiting"
            self._changed.notify()

    def drop(self, recording: Recording) -> None:
        """Forget an upload that broke off."""
        with self._changed:
            self._all.pop(recording.id, None)
        self._clear(recording)

    def _check(self, recording: Recording, more: int) -> None:
        name, limits = recording.name, self.limits
        if recording.uploaded + more > limits.file_bytes:
            raise Refused(413, f"{name}: is larger than {limits.file_bytes // MB} MB, the limit")
        if self._used() + more > limits.disk_bytes:
            raise Refused(
                507, f"{name}: recordings and results would take more than the "
                f"{limits.disk_bytes // MB} MB that are the limit; remove some",
            )  # fmt: skip

    def _used(self) -> int:
        return sum(each.size for each in self._all.values())

    # --- what the page asks ---------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Give all that the page shows, ready for JSON."""
        with self._changed:
            return {"recordings": [each.shown() for each in self._all.values()]}

    def find(self, token: str) -> Recording:
        """Give a recording by what it goes by."""
        with self._changed:
            if token not in self._all:
                raise Refused(404, "there is no such recording; it may have been removed")
            return self._all[token]

    def file(self, token: str, name: str) -> tuple[Recording, Path]:
        """Give a recording and one of its files; a name is only compared, never followed."""
        recording = self.find(token)
        if name not in recording.files:
            raise Refused(404, f"{recording.name}: has no such file")
        return recording, recording.folder / name

    def cancel(self, token: str) -> None:
        """Give a recording up; one that has ended stays as it is."""
        recording = self.find(token)
        with self._changed:
            waited = recording.state == "waiting"
            if recording.is_active:
                recording.state = "cancelled"
                recording.given_up.set()
        if waited:
            self._clear(recording)

    def remove(self, token: str) -> None:
        """Forget a recording, and delete its files."""
        recording = self.find(token)
        self.cancel(token)
        with self._changed:
            self._all.pop(token, None)
        self._clear(recording)

    def _clear(self, recording: Recording) -> None:
        shutil.rmtree(recording.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            recording.source.unlink(missing_ok=True)
        recording.uploaded = recording.made = 0

    # --- work -----------------------------------------------------------------------------------

    def _work(self, resident: Resident) -> None:
        """Do one recording after another, in a thread."""
        with contextlib.closing(resident):
            with contextlib.suppress(OSError):
                resident.start()  # so that the first need not wait for it
            while (recording := self._next()) is not None:
                source, page = recording.source, recording.folder / PAGE
                name = recording.name
                job = Job(Input(source, name, Path(source.name)), (page,), kinds=("page",))
                progress = partial(self._advanced, recording)
                self._ended(recording, resident.do(job, progress, recording.given_up))

    def _next(self) -> Recording | None:
        with self._changed:
            while not self._closed:
                for recording in self._all.values():
                    if recording.state == "waiting":
                        recording.state = "working"
                        return recording
                self._changed.wait()
            return None

    def _advanced(self, recording: Recording, seconds: float, total: float | None) -> None:
        made = sum(_sizes(recording.folder, "**/*").values())
        with self._changed:
            recording.seconds, recording.total, recording.made = seconds, total, made
            if self._used() > self.limits.disk_bytes and recording.state == "working":
                limit = self.limits.disk_bytes // MB
                recording.state = "failed"
                recording.error = (
                    f"{recording.name}: its results would take more than is left of {limit} MB, "
                    "the limit; remove other recordings first"
                )
                recording.given_up.set()

    def _ended(self, recording: Recording, outcome: Outcome) -> None:
        if outcome.traceback:  # a bug: what there is to report of it
            print(outcome.traceback, file=sys.stderr, flush=True)
        with self._changed:
            if recording.state == "working":
                recording.state = "done" if outcome.status == "done" else "failed"
                recording.error = outcome.error or ""
                recording.warnings = outcome.warnings
                recording.facts = outcome.value or {}
            if recording.state == "done":
                recording.files = _sizes(recording.folder)
                recording.made = sum(recording.files.values())
                recording.source.unlink(missing_ok=True)
                recording.uploaded = 0
                return
        self._clear(recording)


def _sizes(folder: Path, pattern: str = "*") -> dict[str, int]:
    """Give the files in a folder with their sizes, the page first."""
    found: dict[str, int] = {}
    with contextlib.suppress(OSError):  # they come and go
        paths = sorted(folder.glob(pattern), key=lambda path: (path.name != PAGE, path.name))
        for path in paths:
            with contextlib.suppress(OSError):
                if path.is_file():
                    found[path.relative_to(folder).as_posix()] = path.stat().st_size
    return found
