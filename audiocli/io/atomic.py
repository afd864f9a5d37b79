"""Write a file as a whole, or not at all."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

from audiocli.errors import AudioCliError, UsageError, printable

__all__ = ["make_folder", "publish", "scratch_folder", "write_bytes", "write_whole"]


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, a thousand levels deep too, where ``mkdir`` recurses."""
    missing = []
    above = folder
    while not above.exists():
        missing.append(above)
        above = above.parent
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
    folder.mkdir(exist_ok=True)  # says so where it is a file


def write_whole(path: Path, fill: Callable[[Path], None], *, overwrite: bool = False) -> None:
    """Have a file written under a hidden name, and give it its own when it is complete."""
    shown = os.fspath(path).encode("utf-8", "backslashreplace").decode("utf-8")
    unique = f"{os.getpid()}.{secrets.token_hex(4)}.part"
    partial = path.parent / f".{path.name[:40]}.{unique}{path.suffix}"  # a name has 255 bytes
    taken = UsageError(f"{shown}: exists already; use {{overwrite}} to replace it", "overwrite")
    try:
        if os.path.lexists(path) and not overwrite:
            raise taken
        if path.exists() and not path.is_file():
            raise UsageError(f"{shown}: is a folder or device; name a file to write")
        make_folder(path.parent)
        try:
            fill(partial)
            publish(partial, path, overwrite=overwrite)
        except FileExistsError as error:
            raise taken from error
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise AudioCliError(
            f"{shown}: cannot be written ({error.strerror or error}); "
            "check the name, the permissions and the free space"
        ) from error


def write_bytes(path: Path, data: bytes, *, overwrite: bool = False) -> None:
    """Write a file whose content is known, as :func:`write_whole` does."""

    def fill(partial: Path) -> None:
        partial.write_bytes(data)

    write_whole(path, fill, overwrite=overwrite)


def scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """Make a temporary folder, which is deleted with what is in it when its block is left."""
    try:
        return tempfile.TemporaryDirectory(prefix="audiocli-")
    except OSError as error:
        reason = printable(error.strerror or str(error))
        raise AudioCliError(
            f"no temporary folder can be made ({reason}); set TMPDIR to a folder with room"
        ) from error


def publish(partial: Path, path: Path, *, overwrite: bool) -> None:
    """Give a complete file its name, unless another came first."""
    if not overwrite:
        try:
            os.link(partial, path)
            return
        except FileExistsError:
            raise
        except OSError:  # no hard links on this file system: claim the name first
            path.touch(exist_ok=False)
    os.replace(partial, path)
