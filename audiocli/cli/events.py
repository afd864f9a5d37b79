"""What happens in a run as lines of JSON: errors and warnings of --format json, and --log."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiocli.errors import AudioCliError, UsageError

if TYPE_CHECKING:
    from audiocli.batch import Outcome

__all__ = ["EventLog", "event", "job_fields", "status_of"]


def event(kind: str, **fields: Any) -> str:
    """Write an event as a line of JSON; fields without a value are left out."""
    known = {key: value for key, value in fields.items() if value is not None}
    time = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    return json.dumps({"event": kind, "time": time, **known}, ensure_ascii=True)


def job_fields(outcome: Outcome) -> dict[str, Any]:
    """Say of a job what an event of it tells."""
    job = outcome.job
    return {
        "file": job.input.label,
        "status": outcome.status,
        "duration": round(outcome.audio_seconds, 3),
        "elapsed": round(outcome.elapsed, 3),
        "outputs": [str(path) for path in job.outputs] if outcome.status == "done" else [],
        "warnings": list(outcome.warnings) or None,
        "message": outcome.error,
        "traceback": outcome.traceback,
    }


def status_of(error: AudioCliError) -> int:
    """Give the exit status of an error."""
    return 2 if isinstance(error, UsageError) else 1


class EventLog:
    """A file of JSON lines, each written the moment that it is known."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{path}: no log can be kept here: {error.strerror}") from error

    def write(self, kind: str, **fields: Any) -> None:
        """Append an event."""
        try:
            self.file.write(event(kind, **fields) + "\n")
            self.file.flush()
        except OSError as error:
            raise AudioCliError(f"{self.path}: cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):
            self.file.close()
