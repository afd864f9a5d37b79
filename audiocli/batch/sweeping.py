"""Remove what processes that were killed left half written."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

from audiocli.batch.inputs import Job
from audiocli.io.remote import RemotePath
from audiocli.io.scratch import clear_scratch

__all__ = ["is_alive", "sweep", "sweep_dead"]


def sweep(pid: int | None, job: Job) -> None:
    """Remove what a process left half written beside the outputs of a job, and its own folders.

    It cleans up itself, but not where it was killed, or stopped between making a file and
    knowing of it.
    """
    if pid != os.getpid():  # whose folders are in use
        clear_scratch(lambda owner: owner == pid)
    incomplete = re.compile(rf"\..*\.{pid}\.[0-9a-f]{{8}}\.part(\.\w+)?")
    for folder in _local_folders(job.outputs):
        with contextlib.suppress(OSError):
            for path in list(folder.iterdir()):
                if incomplete.fullmatch(path.name):
                    path.unlink(missing_ok=True)


def _local_folders(outputs: Iterable[Path]) -> set[Path]:
    return {output.parent for output in outputs if not isinstance(output, RemotePath)}


def sweep_dead(jobs: Iterable[Job], *more: Path) -> None:
    """Remove what processes that are gone left half written, beside outputs or in own folders."""
    clear_scratch(lambda owner: not is_alive(owner))
    names: dict[Path, set[str]] = {}
    for output in itertools.chain(more, *(job.outputs for job in jobs)):
        if isinstance(output, RemotePath):
            continue
        names.setdefault(output.parent, set()).add(output.name[:40])
    for folder, wanted in names.items():
        with contextlib.suppress(OSError):
            for entry in list(os.scandir(folder)):
                found = _INCOMPLETE.fullmatch(entry.name)
                if found and found["name"] in wanted and not is_alive(int(found["pid"])):
                    os.unlink(entry.path)


_INCOMPLETE = re.compile(r"\.(?P<name>.*)\.(?P<pid>\d+)\.[0-9a-f]{8}\.part(\.\w+)?", re.DOTALL)


def is_alive(pid: int) -> bool:
    """Tell whether there is a process of this number on this machine."""
    if sys.platform == "win32":
        import ctypes

        handle = ctypes.windll.kernel32.OpenProcess(0x1000, False, pid)  # only to look
        if handle:
            ctypes.windll.kernel32.CloseHandle(handle)
        return bool(handle)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OverflowError:
        return False
    except OSError:
        pass  # there it is, and belongs to somebody else
    return True
