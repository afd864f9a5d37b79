"""Write a file as a whole, or not at all; here or, where its path is a URL, in a store."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from audiocli.errors import AudioCliError, UsageError
from audiocli.io.remote import RemotePath, place, upload
from audiocli.io.scratch import scratch_prefix

__all__ = ["discard", "make_folder", "new_partial", "publish", "write_bytes", "write_whole"]


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, a thousand levels deep too, where ``mkdir`` recurses."""
    if isinstance(folder, RemotePath):  # it comes with its first file
        return
    missing = []
    above = folder
    while not above.exists():
        missing.append(above)
        above = above.parent
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
    try:
        folder.mkdir(exist_ok=True)
    except FileExistsError as error:  # which is not about what is to be written there
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from error


def write_whole(path: Path, fill: Callable[[Path], None], *, overwrite: bool = False) -> None:
    """Have a file written under a hidden name, and give it its own when it is complete."""
    path = place(path)
    shown = str(path).encode("utf-8", "backslashreplace").decode("utf-8")
    try:
        partial = new_partial(path, path.suffix, overwrite=overwrite)
        try:
            fill(partial)
            publish(partial, path, overwrite=overwrite)
        finally:
            discard(partial, path)
    except FileExistsError as error:
        raise UsageError(
            f"{shown}: exists already; use {{overwrite}} to replace it", "overwrite"
        ) from error
    except IsADirectoryError as error:
        raise UsageError(f"{shown}: is a folder or device; name a file to write") from error
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


def new_partial(path: Path, suffix: str = "", *, overwrite: bool) -> Path:
    """Name the file that is to become another: hidden beside it, or in a private folder.

    Raises
    ------
    OSError
        FileExistsError if it is there already and may not be replaced, IsADirectoryError if it is
        no file, or whatever keeps its folder from being made. Nothing is left to be discarded then.
    """
    if isinstance(path, RemotePath):  # the store tells whether it has one when it comes
        return Path(tempfile.mkdtemp(prefix=scratch_prefix())) / f"output{suffix}"
    if os.path.lexists(path) and not overwrite:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    if path.exists() and not path.is_file():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    make_folder(path.parent)
    unique = f"{os.getpid()}.{secrets.token_hex(4)}.part"
    return path.parent / f".{path.name[:40]}.{unique}{suffix}"  # a name has 255 bytes


def discard(partial: Path, path: Path) -> None:
    """Remove what :func:`new_partial` named, if it has not become the other."""
    if isinstance(path, RemotePath):
        shutil.rmtree(partial.parent, ignore_errors=True)
    else:
        partial.unlink(missing_ok=True)


def publish(partial: Path, path: Path, *, overwrite: bool) -> None:
    """Give a complete file its name, unless another came first."""
    if isinstance(path, RemotePath):
        upload(partial, path, overwrite=overwrite)
        return
    if not overwrite:
        try:
            os.link(partial, path)
            return
        except FileExistsError:
            raise
        except OSError:  # no hard links on this file system: claim the name first
            path.touch(exist_ok=False)
    os.replace(partial, path)
