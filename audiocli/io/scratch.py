"""Private temporary folders, whose names say whose they are."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Callable

from audiocli.errors import AudioCliError, printable

__all__ = ["clear_scratch", "scratch_folder", "scratch_prefix"]


def scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """Make a temporary folder, which is deleted with what is in it when its block is left."""
    try:
        return tempfile.TemporaryDirectory(prefix=scratch_prefix())
    except OSError as error:
        reason = printable(error.strerror or str(error))
        raise AudioCliError(
            f"no temporary folder can be made ({reason}); set TMPDIR to a folder with room"
        ) from error


def scratch_prefix() -> str:
    """Give what the names of this process's temporary folders begin with."""
    return f"audiocli-{_here()}-{os.getpid()}-"


def clear_scratch(is_gone: Callable[[int], bool]) -> None:
    """Delete the temporary folders of processes of this machine that are gone."""
    ours = re.compile(rf"audiocli-{_here()}-(\d+)-\w+")
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(tempfile.gettempdir())):
            found = ours.fullmatch(entry.name)
            if found and is_gone(int(found[1])):
                shutil.rmtree(entry.path, ignore_errors=True)


@functools.cache
def _here() -> str:
    """Name what a process number is unique in: others may share the place for temporary files."""
    where = platform.node()
    with contextlib.suppress(OSError):  # containers that share a name; Linux only
        where += os.readlink("/proc/self/ns/pid")
    return hashlib.sha256(where.encode()).hexdigest()[:8]
