"""The account of a run over many files: what was made of what, so that the run can be resumed.

A manifest is a file with one line of JSON for each job done or failed, appended the moment the
job ends: input, path, input_sha256, settings_sha256, model_sha256, audio_seconds, elapsed, status,
error, outputs (relative to the manifest's folder where they lie inside it), version, time (UTC).
A result that has `facts`, a mapping ready for JSON, has them in its line too, under that name.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from audiocli import __version__
from audiocli.batch.inputs import Job, real_path
from audiocli.batch.workers import Outcome, Task
from audiocli.errors import AudioCliError, UsageError

__all__ = ["MANIFEST_START", "Manifest", "digest"]

MANIFEST_START = b'{"input": '
"""How every line of a manifest begins: nothing else is ever appended to."""


def digest(settings: Mapping[str, Any]) -> str:
    """Give the SHA-256 by which a manifest tells settings apart.

    Parameters
    ----------
    settings : mapping
        All that results depend on, ready for JSON.

    Returns
    -------
    str

    Examples
    --------
    >>> digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    True
    """
    canonical = json.dumps(settings, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(canonical).hexdigest()


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

    Raises
    ------
    UsageError
        If the file is not a manifest or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from audiocli.batch.inputs import Input
    >>> job = Job(Input(Path("a.wav"), "a.wav", Path("a.wav")), outputs=())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "manifest.jsonl"
    ...     manifest = Manifest(path, {"window": 1}, None, resume=False)
    ...     manifest.record(Outcome(job, "done", audio_seconds=3.5), touched=True)
    ...     manifest.close()
    ...     json.loads(path.read_text())["audio_seconds"]
    3.5
    """

    def __init__(
        self, path: Path, settings: Mapping[str, Any], model_sha256: str | None, resume: bool
    ) -> None:
        self._path = path
        self._folder = Path(os.path.abspath(path)).parent
        self._made_with = {"settings_sha256": digest(settings), "model_sha256": model_sha256}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            content = path.read_bytes() if path.is_file() else b""
            if not MANIFEST_START.startswith(content[: len(MANIFEST_START)]):
                raise UsageError(f"{path}: is no manifest, and is left alone; use another name")
            self._file = open(path, "ab", buffering=0)  # so that one line is one write
            if content and not content.endswith(b"\n"):
                self._file.write(b"\n")  # the last run was cut off within a line
        except OSError as error:
            raise UsageError(f"{path}: cannot keep a manifest here: {error.strerror}") from error
        self._latest = self._read(content) if resume else None

    def _read(self, content: bytes) -> dict[str, dict[str, Any]]:
        """Find the latest record of each output, or of an input that has none."""
        latest: dict[str, dict[str, Any]] = {}
        for line in content.splitlines():
            try:
                record = json.loads(line)
                outputs = [real_path(self._folder / output) for output in record["outputs"]]
                latest.update(dict.fromkeys(outputs or [record["path"]], record))
            except (ValueError, KeyError, TypeError):
                continue  # half a line, from a run that was cut off
        return latest

    def task(self, job: Job) -> Task:
        """Look up whether a job was done before, and whether what it would replace is its own.

        Parameters
        ----------
        job : Job
            As it was planned.

        Returns
        -------
        Task
            The job, which may replace what it is known to have written itself.
        """
        if self._latest is None:
            return Task(job, hashed=True)
        path = os.path.abspath(job.input.path)
        keys = [real_path(output) for output in job.outputs] or [path]
        records = [self._latest.get(key, {}) for key in keys]
        wanted = {"status": "done", **self._made_with}
        complete = all(os.path.exists(output) for output in job.outputs) and all(
            {key: record.get(key) for key in wanted} == wanted for record in records
        )
        made_from = {record.get("input_sha256") for record in records}
        existing = [
            record
            for output, record in zip(job.outputs, records, strict=False)
            if os.path.lexists(output)
        ]
        own = bool(existing) and all(record.get("path") == path for record in existing)
        return Task(
            dataclasses.replace(job, replace=job.replace or own),
            hashed=True,
            done_sha256=made_from.pop() if complete and len(made_from) == 1 else None,
        )

    def record(self, outcome: Outcome, *, touched: bool) -> None:
        """Append what became of a job.

        Parameters
        ----------
        outcome : Outcome
            The outcome; nothing is said of a job that was skipped.
        touched : bool
            Whether a job that failed may have left outputs behind.

        Raises
        ------
        AudioCliError
            If the line cannot be written.
        """
        if outcome.status == "skipped":
            return  # the record that it was skipped for says it all
        outputs = outcome.job.outputs
        if outcome.status == "failed":
            outputs = tuple(filter(os.path.lexists, outputs)) if touched else ()
        line: dict[str, Any] = {
            "input": outcome.job.input.name,
            "path": os.path.abspath(outcome.job.input.path),
            "input_sha256": outcome.input_sha256,
            **self._made_with,
            "audio_seconds": outcome.audio_seconds,
            "elapsed": round(outcome.elapsed, 3),
            "status": outcome.status,
            "error": outcome.error,
            "outputs": [self._relative(output) for output in outputs],
            "version": __version__,
            "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }
        if outcome.warnings:
            line["warnings"] = list(outcome.warnings)
        facts = getattr(outcome.value, "facts", None)
        if facts:
            line["facts"] = dict(facts)
        try:
            self._file.write(json.dumps(line).encode() + b"\n")
        except OSError as error:
            raise AudioCliError(f"{self._path}: cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _relative(self, output: Path) -> str:
        absolute = Path(os.path.abspath(output))
        inside = absolute.is_relative_to(self._folder)
        return str(absolute.relative_to(self._folder) if inside else absolute)
