"""The log of a run over many files: what was made of what, so that the run can be resumed.

A manifest is a file of JSON lines that is only ever appended to:

- ``"record": "run"``, when a run begins: command, version, settings in full, models, units;
- ``"record": "begin"``, before the outputs of a job are written: its input and their names, so
  that they are known to be ours even if the run is killed the next moment; or before an input is
  changed in place, with what stood in it as its facts;
- ``"record": "prune"``, when the outputs of an input that is gone were removed;
- ``"record": "job"``, when a job is done or has failed: input, path, input_sha256, audio_sha256,
  settings_sha256, model_sha256, duration, elapsed, status, error, outputs (relative to the
  manifest's folder where they lie inside it), rows (of a joint file), version, time (UTC), and
  where there are some, warnings and facts.

While a run goes on it holds a lock on its manifest, which ends with the process. In a store, the
manifest is a :class:`~audiocli.batch.journal.Journal`, and the lock a
:class:`~audiocli.batch.journal.Claim`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import hashlib
import json
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from audiocli import __version__
from audiocli.batch.inputs import Input, Job, real_path
from audiocli.batch.journal import Claim, Journal
from audiocli.batch.workers import Outcome, Task
from audiocli.errors import AudioCliError, UsageError
from audiocli.io import remote
from audiocli.io.atomic import make_folder
from audiocli.io.remote import RemotePath

if TYPE_CHECKING:
    from audiocli.batch.joint import JointFile

__all__ = [
    "SCHEMA",
    "Known",
    "Manifest",
    "Record",
    "command_of",
    "digest",
    "is_manifest",
    "note_begin",
]

SCHEMA = "audiocli.manifest/2"
_STARTS = (b'{"schema": "audiocli.manifest/', b'{"input": ')
"""How a manifest begins; the second is that of manifests before there was a schema."""

Record = dict[str, Any]


def digest(settings: Mapping[str, Any]) -> str:
    """Give the SHA-256 by which a manifest tells settings apart."""
    canonical = json.dumps(settings, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(canonical).hexdigest()


def command_of(path: Path) -> str | None:
    """Tell which command keeps a manifest."""
    try:
        if isinstance(path, RemotePath):
            first = json.loads(Journal(path).first_line())
        else:
            with open(path, "rb") as file:
                first = json.loads(file.readline())
    except (OSError, ValueError):
        return None
    command = first.get("command") if isinstance(first, dict) else None
    return command if isinstance(command, str) else None


def is_manifest(path: Path) -> bool:
    """Tell whether a file begins as manifests do."""
    try:
        with path.open("rb") as file:
            return file.readline().startswith(_STARTS)
    except OSError:
        return False


class Known(NamedTuple):
    """What a run that resumes has to know of a record; there may be a million of them.

    Parameters
    ----------
    record, status : str
        What it is of, and what became of the job.
    input, path : str
        What the input is called, and where it lies.
    outputs : tuple of str
    sha256 : str or None
        Of the audio; records before there was one have that of the file.
    settings_sha256, model_sha256 : str or None
    rows : int or None
        Of a joint file.
    stat : tuple of int, optional
        Size and time of change of the input.
    """

    record: str = ""
    status: str = ""
    input: str = ""
    path: str = ""
    outputs: tuple[str, ...] = ()
    sha256: str | None = None
    settings_sha256: str | None = None
    model_sha256: str | None = None
    rows: Any = None
    stat: tuple[int, int] | None = None

    @classmethod
    def of(cls, line: Record) -> Known:
        """Take it from a line of a manifest; what is the same in most lines is kept once."""
        sha256 = line.get("audio_sha256") or line.get("input_sha256")
        size, changed = line.get("input_size"), line.get("input_mtime_ns")
        stat = (size, changed) if isinstance(size, int) and isinstance(changed, int) else None
        return cls(
            _same(line.get("record")) or "", _same(line.get("status")) or "",
            str(line.get("input")), str(line["path"]), tuple(map(os.fspath, line["outputs"])),
            sha256 if isinstance(sha256, str) else None, _same(line.get("settings_sha256")),
            _same(line.get("model_sha256")), line.get("rows"), stat,
        )  # fmt: skip

    def is_done(self, settings_sha256: str | None, model_sha256: str | None) -> bool:
        """Tell whether it was done with these settings and this model."""
        made = (self.settings_sha256, self.model_sha256)
        return self.status == "done" and made == (settings_sha256, model_sha256)

    def stat_of(self, path: str) -> tuple[int, int] | None:
        """Give the size and the time of an input, if it was of that path and they are known."""
        return self.stat if self.path == path else None


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Keep Python from looking for circles among a million records that have none."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _same(text: Any) -> str | None:
    return sys.intern(text) if isinstance(text, str) else None


NOTHING = Known()


class Manifest:
    """A manifest: read when it is opened, then appended to line by line.

    Parameters
    ----------
    path : Path
        The file, made with its folder if it is not there.
    settings : mapping
        All that the results depend on, ready for JSON.
    model_sha256 : str or None
        Of the model's weights.
    resume : bool
        Whether to look up what was done before.
    command : str
        Whose manifest it is; that of another command is refused.
    about : mapping
        What else the record of the run says, ready for JSON.
    """

    def __init__(
        self,
        path: Path,
        settings: Mapping[str, Any],
        model_sha256: str | None,
        resume: bool,
        *,
        command: str = "",
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self._path = path
        self._folder = _absolute(path).parent
        self._made_with = {"settings_sha256": digest(settings), "model_sha256": model_sha256}
        self._resume = resume
        self._real: dict[str, str] = {}  # folders as they are written, and as they are
        self._run = {
            "schema": SCHEMA, "record": "run", "command": command, "version": __version__,
            **(about or {}), "settings": dict(settings), **self._made_with,
        }  # fmt: skip
        self._last: dict[str, Any] = {}
        with contextlib.ExitStack() as stack:
            self._claim, self._journal, here = None, None, path
            if isinstance(path, RemotePath):
                self._claim, self._journal = Claim(path), Journal(path)
                stack.callback(self._claim.release)
                stack.callback(self._journal.close)
                here = self._journal.open(keep=True)
            with _uncollected():
                self.latest = self._known(_records(here, command, path), resume)
            whole = _ends_whole(here)
            try:
                make_folder(here.parent)
                self._file = open(here, "ab", buffering=0)  # so that one line is one write
            except OSError as error:
                raise UsageError(
                    f"{path}: cannot keep a manifest here: {error.strerror}"
                ) from error
            stack.callback(self._file.close)
            _lock(self._file, path)
            if not whole:
                self._file.write(b"\n")  # the last run was cut off within a line
            stack.pop_all()
        self._here = here

    def start(self) -> None:
        """Append the record of the run, before the first job."""
        self._append({**self._run, "process": os.getpid(), "time": _now()})
        self.flush()

    @property
    def is_remote(self) -> bool:
        """Whether it is kept in a store, so that what is appended must be sent."""
        return self._journal is not None

    def flush(self) -> None:
        """Have a store keep what was appended."""
        if self._journal is not None:
            self._journal.flush()

    def _known(self, records: Iterator[Record], resume: bool) -> dict[str, Known]:
        """Find the latest record of each output, or of an input that has none."""
        latest: dict[str, Known] = {}
        begun: dict[str, dict[str, Known | None]] = {}  # by input: what was known before
        for line in records:
            if "settings_sha256" in line:
                self._last = {key: line.get(key) for key in self._made_with}
            if not resume:
                continue
            try:
                record = Known.of(line)
                keys = [self._key(output) for output in record.outputs]
            except (KeyError, TypeError):
                continue
            if record.record == "begin":
                before = begun.setdefault(record.path, {})
                for key in keys:
                    before.setdefault(key, latest.get(key))
                    latest[key] = record
                continue
            if record.record == "prune":
                for key in keys or [record.path]:
                    latest.pop(key, None)
                continue
            # What was begun and is not among the outputs was not written after all.
            for key, known in begun.pop(record.path, {}).items():
                if latest.get(key, NOTHING).record == "begin":
                    latest.pop(key)
                    if known is not None:
                        latest[key] = known
            latest.update(dict.fromkeys(keys or [record.path], record))
        return latest

    def _key(self, output: str) -> str:
        """Name an output as no other is named; of a million, few have a folder of their own."""
        if self._journal is not None or "://" in output:
            return real_path(self._actual(output))
        folder, name = os.path.split(output)
        if folder not in self._real:
            self._real[folder] = real_path(os.path.join(self._folder, folder))
        return f"{self._real[folder]}{os.sep}{os.path.normcase(name)}"

    def labels(self) -> list[str]:
        """Give the names of the recordings that have rows in a joint file."""
        done = (record for record in self.latest.values() if record.status == "done")
        return [record.input for record in done if record.rows != 0]

    def done(self) -> Iterator[tuple[Known, str]]:
        """Give what was done with these settings, and the hash of its audio."""
        for record in self.latest.values():
            if record.sha256 and record.is_done(**self._made_with):
                yield record, record.sha256

    def check_settings(self, joint: JointFile) -> None:
        """Refuse to add rows to others that were made in another way."""
        made = {key: self._last.get(key) for key in self._made_with}
        if joint.old and made != self._made_with:
            raise UsageError(
                f"{joint.path}: was made with other settings, or {self._path} is missing; use the "
                "settings that it was made with, another name, or {overwrite}",
                "overwrite",
            )

    def remove(self, record: Known) -> None:
        """Remove the outputs of an input that is gone."""
        outputs = [
            output
            for output in record.outputs
            if self.latest.get(self._key(output), NOTHING).path == record.path
        ]
        for output in outputs:
            with contextlib.suppress(OSError):
                remote.remove(self._actual(output))
        self._append({"record": "prune", "input": record.input, "path": record.path,
                      "outputs": outputs, "time": _now()})  # fmt: skip

    def task(self, job: Job, *, complete: Callable[[Known], bool] = lambda record: True) -> Task:
        """Look up whether a job was done before, and whether what it would replace is its own."""
        if not self._resume:
            return Task(job, hashed=True, own=job.replace or not job.existing())
        path, there = job.input.location, set(job.existing())
        keys = [self._key(str(_absolute(output))) for output in job.outputs] or [path]
        records = [self.latest.get(key, NOTHING) for key in keys]
        done = all(map(partial(_leads_to_a_file, there), job.outputs)) and all(
            record.is_done(**self._made_with) and complete(record) for record in records
        )
        made_from = {record.sha256 for record in records}
        existing = [
            record
            for output, record in zip(job.outputs, records, strict=False)
            if output in there or record.record == "begin"
        ]
        own = bool(existing) and all(record.path == path for record in existing)
        sha256 = made_from.pop() if done and len(made_from) == 1 else None
        return Task(
            dataclasses.replace(job, replace=job.replace or own),
            hashed=True,
            done_sha256=frozenset() if sha256 is None else frozenset({sha256}),
            done_stat=None if sha256 is None else records[-1].stat_of(path),
            own=job.replace or own or not existing,
        )

    def begin(self, job: Job) -> None:
        """Append what a job is about to write, before it does."""
        taken = not job.replace and job.existing()
        if job.outputs and not taken and job.input.problem is None:
            outputs = [self._relative(output) for output in job.outputs]
            path = job.input.location
            self._append({"record": "begin", "input": job.input.label, "path": path,
                          "outputs": outputs})  # fmt: skip

    def record(self, outcome: Outcome, *, touched: bool, rows: int | None = None) -> None:
        """Append what became of a job."""
        if outcome.status == "skipped" and rows is None:
            return  # the record that it was skipped for says it all
        outputs = outcome.job.outputs
        if outcome.status == "failed":
            outputs = tuple(filter(remote.exists, outputs)) if touched else ()
        line: Record = {
            "record": "job",
            "input": outcome.job.input.label,
            "path": outcome.job.input.location,
            "input_sha256": outcome.input_sha256,
            "audio_sha256": outcome.audio_sha256,
            **self._made_with,
            "duration": outcome.audio_seconds,
            "elapsed": round(outcome.elapsed, 3),
            "status": "done" if outcome.status == "skipped" else outcome.status,
            "error": outcome.error,
            "outputs": [self._relative(output) for output in outputs],
            "version": __version__,
            "time": _now(),
        }
        if outcome.input_stat is not None:
            line["input_size"], line["input_mtime_ns"] = outcome.input_stat
        if rows is not None:
            line["rows"] = rows
        if outcome.warnings:
            line["warnings"] = list(outcome.warnings)
        facts = getattr(outcome.value, "facts", None)
        if facts:
            line["facts"] = dict(facts)
        self._append(line)

    def check(self) -> None:
        """Make sure that the file is still there."""
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(self._here), os.fstat(self._file.fileno())):
                return
        raise AudioCliError(
            f"{self._path}: was removed or replaced while the run went on, and what was written "
            "beside it may be lost too; leave the output folder as it is during a run, and run "
            "again"
        )

    def close(self) -> None:
        """Close the file, which also ends the lock."""
        self._file.close()
        if self._journal is not None and self._claim is not None:
            try:
                self._journal.finish()
            finally:
                self._journal.close()
                self._claim.release()

    def _append(self, line: Record) -> None:
        self.check()
        try:
            self._file.write(json.dumps(line).encode() + b"\n")
        except OSError as error:
            raise AudioCliError(f"{self._path}: cannot be written: {error.strerror}") from error

    def _relative(self, output: Path) -> str:
        absolute = _absolute(output)
        inside = absolute.is_relative_to(self._folder)
        return str(absolute.relative_to(self._folder) if inside else absolute)

    def _actual(self, output: str) -> Path:
        """Give the path of an output that a record names."""
        if "://" in output:
            return RemotePath(output)
        return Path(output) if os.path.isabs(output) else self._folder / output


def _absolute(path: Path) -> Path:
    return path if isinstance(path, RemotePath) else Path(os.path.abspath(path))


def _leads_to_a_file(there: Collection[Path], output: Path) -> bool:
    return output in there if isinstance(output, RemotePath) else os.path.exists(output)


def note_begin(manifest: Path | None, item: Input, facts: Mapping[str, Any]) -> None:
    """Append what a worker is about to change in its input, before it does.

    It may run in another process than the one that holds the manifest: a line is one write.
    """
    if manifest is None:
        return
    line = {"record": "begin", "input": item.label, "path": os.path.abspath(item.path),
            "outputs": [], "facts": dict(facts)}  # fmt: skip
    if isinstance(manifest, RemotePath):
        Journal(manifest).add(json.dumps(line).encode() + b"\n")
        return
    try:
        with open(manifest, "ab", buffering=0) as file:
            file.write(json.dumps(line).encode() + b"\n")
            os.fsync(file.fileno())
    except OSError as error:
        raise AudioCliError(f"{manifest}: cannot be written: {error.strerror}") from error


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _lines(path: Path) -> Iterator[bytes]:
    try:
        if path.is_file():
            with path.open("rb") as file:
                yield from file
    except OSError as error:
        raise UsageError(f"{path}: cannot keep a manifest here: {error.strerror}") from error


def _ends_whole(path: Path) -> bool:
    """Tell whether a file is empty or ends with a line break; else it was cut off."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
    return True


def _records(path: Path, command: str, shown: Path) -> Iterator[Record]:
    """Read the records; nothing but a manifest of this command will do."""
    foreign = UsageError(f"{shown}: is no manifest, and is left alone; use another name")
    for number, line in enumerate(_lines(path)):
        first = line.rstrip(b"\n")
        if number == 0 and not any(
            first and (first.startswith(start) or start.startswith(first)) for start in _STARTS
        ):
            raise foreign
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue  # half a line, from a run that was cut off
        kept = isinstance(record, dict) and (
            record.get("record") in ("run", "begin", "job", "prune")
            or {"path", "outputs", "status"} <= record.keys()
        )
        if not kept:
            raise foreign
        other = record.get("command")
        if command and isinstance(other, str) and other not in ("", command):
            raise UsageError(
                f"{shown}: is the manifest of audiocli {other}, and is left alone; use another name"
            )
        yield record


def _lock(file: IO[bytes], path: Path) -> None:
    """Hold the file for this process alone, until it is closed, in whatever way."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if isinstance(error, BlockingIOError | PermissionError):
            raise UsageError(
                f"{path}: another audiocli is writing here; wait until it has ended, or use "
                "another output"
            ) from error
        # a file system without locks: nothing can be known of others
