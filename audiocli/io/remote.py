"""Outputs that are URLs: files of a store that fsspec knows, written whole or not at all.

A :class:`RemotePath` goes where a ``Path`` goes: it has names, endings and parents, and prints as
its URL without a password. To open it as if it were a file on this machine is an error. What writes
files does so through :mod:`audiocli.io.atomic`, which has them made in a private temporary folder
and calls :func:`upload`: in buckets an object is there when all of it has come; in other stores
it comes under a hidden name, and is then moved.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import posixpath
import re
import secrets
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote

from audiocli.errors import AudioCliError, UsageError
from audiocli.io import urls
from audiocli.io.scratch import scratch_folder

if sys.platform == "win32":
    from pathlib import WindowsPath as _SystemPath
else:
    from pathlib import PosixPath as _SystemPath

__all__ = ["RemotePath", "exists", "get", "local_copy", "names_in", "place", "present", "put",
           "remove", "upload"]  # fmt: skip

#: Stores in which an object appears when all of it has come.
BUCKETS = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "hf", "oss", "oci"})
#: Folders with outputs of which each is listed; of more, all that is below what they share.
MOST_LISTINGS = 32
#: Outputs in a folder that are asked for one by one, as long as there are no more.
FEW = 4
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+(?:::[a-z][a-z0-9+.-]*)*):(/+)", re.IGNORECASE)

_ROOT = re.compile(r"^([a-z][a-z0-9+.-]+):(?:/|$)", re.IGNORECASE)  # as paths write it


class RemotePath(_SystemPath):
    """A file or folder of a store; see :func:`place`, which makes them."""

    def __str__(self) -> str:
        """Give the URL, without a password."""
        return urls.without_password(self.url)

    def __fspath__(self) -> NoReturn:
        """Refuse: it is not on this machine."""
        raise UsageError(f"{self}: must be a local file for this; copy it here")

    def absolute(self) -> RemotePath:
        """Give itself."""
        return self

    def resolve(self, strict: bool = False) -> RemotePath:
        """Give itself."""
        return self

    @property
    def url(self) -> str:
        """The URL as it was given."""
        return _ROOT.sub(r"\1://", super().__str__().replace("\\", "/"))

    @property
    def protocol(self) -> str:
        """What the URL begins with."""
        return self.url.partition(":")[0].lower()

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        """Tell whether a file or folder is there."""
        return _facts(self) is not None

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Tell whether a folder is there."""
        return (_facts(self) or {}).get("type") == "directory"

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Tell whether a file is there."""
        return (_facts(self) or {}).get("type") == "file"

    def touch(self, mode: int = 0o666, exist_ok: bool = True) -> None:
        """Make an empty file, or leave the one that is there."""
        if not exists(self):
            put(self, b"")

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove a file."""
        remove(self)


def place(path: str | os.PathLike[str]) -> Path:
    """Give the path of an output, which may be a URL, also one that has been through a ``Path``.

    Parameters
    ----------
    path : str or path
        ``file://`` is a local path; the rest depends on what is installed, as for inputs.

    Raises
    ------
    UsageError
        If nothing can be written there.
    """
    if isinstance(path, RemotePath):
        return path
    text = os.fspath(path)
    match = _SCHEME.match(text)
    if match is None or (len(match[2]) == 1 and os.path.lexists(text.partition("/")[0])):
        return Path(path)
    scheme = match[1].lower()
    if scheme in ("file", "local"):
        return Path(f"/{unquote(text[match.end() :])}")
    made = RemotePath(text)
    if scheme in ("http", "https"):
        raise UsageError(f"{made}: a web server takes no results; name a bucket, or a local file")
    if "::" in text or "?" in text:
        raise UsageError(f"{made}: nothing can be written into such a URL; name a file or folder")
    return made


# --- what is there -----------------------------------------------------------------------------


def exists(path: Path) -> bool:
    """Tell whether something is there, be it a link that leads nowhere; no folder of a store."""
    if isinstance(path, RemotePath):
        return path.is_file()
    return os.path.lexists(path)


def present(paths: Iterable[Path]) -> frozenset[Path]:
    """Find out which files of stores are there, with as few requests as may be."""
    folders: dict[Path, list[RemotePath]] = defaultdict(list)
    for path in paths:
        if isinstance(path, RemotePath):
            folders[path.parent].append(path)
    if len(folders) > MOST_LISTINGS:
        shared = RemotePath(posixpath.commonpath([folder.url for folder in folders if
                                                  isinstance(folder, RemotePath)]))  # fmt: skip
        there = {shared / name for name in _names(shared, deep=True)}
        return frozenset(path for group in folders.values() for path in group if path in there)
    found: list[Path] = []
    for folder, group in folders.items():
        assert isinstance(folder, RemotePath)  # narrows the type: so are its files
        if len(group) <= FEW:
            found += filter(exists, group)
        else:
            names = set(_names(folder))
            found += [path for path in group if path.name in names]
    return frozenset(found)


def names_in(folder: RemotePath) -> list[str]:
    """Give the names of the files in a folder, in order; none if it is not there."""
    return sorted(_names(folder))


def _names(folder: RemotePath, *, deep: bool = False) -> list[str]:
    with urls.explained(str(folder)):
        system, key = _opened(folder)
        try:
            found = system.find(key) if deep else system.ls(key, detail=True)
        except FileNotFoundError:
            return []
        if deep:
            return [name[len(key) :].lstrip("/") for name in found]
        return [posixpath.basename(each["name"]) for each in found if each["type"] == "file"]


def _facts(path: RemotePath) -> dict[str, Any] | None:
    with urls.explained(str(path)):
        system, key = _opened(path)
        try:
            return dict(system.info(key))
        except FileNotFoundError:
            return None


def _opened(path: RemotePath) -> tuple[Any, str]:
    """Give the store and the key of a file, and forget what the store was like before."""
    system, key = urls.open_system(path.url)
    system.invalidate_cache()
    return system, key


# --- files out and in --------------------------------------------------------------------------


def upload(source: Path, target: RemotePath, *, overwrite: bool) -> None:
    """Give a store a complete file; raises FileExistsError where one is there already."""

    def send(attempt: int) -> None:
        with urls.explained(str(target), writing=True):
            system, key = _opened(target)
            try:
                if target.protocol in BUCKETS:
                    _put_object(system, source, key, overwrite)
                else:
                    _put_and_move(system, source, key, overwrite)
            except FileExistsError:
                # It may be the one of the try before, of which no answer came.
                if attempt == 0 or system.info(key)["size"] != source.stat().st_size:
                    raise
                if system.cat_file(key) != source.read_bytes():
                    raise

    urls.repeated(send)


def put(target: RemotePath, data: bytes, *, overwrite: bool = True) -> None:
    """Give a store a small file."""
    with scratch_folder() as folder:
        source = Path(folder) / "data"
        source.write_bytes(data)
        upload(source, target, overwrite=overwrite)


def _put_object(system: Any, source: Path, key: str, overwrite: bool) -> None:
    """Put a file into a bucket, where the bucket itself refuses to replace one if it can."""
    can_refuse = "mode" in _parameters(getattr(system, "_put_file", system.put_file))
    if not overwrite and _is_there(system, key):  # there are stores that do not refuse
        raise FileExistsError(key)
    if overwrite or not can_refuse:
        system.put_file(str(source), key)
        return
    try:
        system.put_file(str(source), key, mode="create")
    except OSError as error:
        if "implement" not in str(error).lower():
            raise
        system.put_file(str(source), key)


def _parameters(function: Callable[..., Any]) -> Iterable[str]:
    return inspect.signature(function).parameters


def _put_and_move(system: Any, source: Path, key: str, overwrite: bool) -> None:
    """Put a file under a hidden name, and move it."""
    folder, name = posixpath.split(key)
    partial = f"{folder}/.{name[:40]}.{os.getpid()}.{secrets.token_hex(4)}.part"
    system.makedirs(folder, exist_ok=True)
    try:
        system.put_file(str(source), partial)
        size, came = source.stat().st_size, system.info(partial)["size"]
        if came != size:
            raise OSError(f"{came} of its {size} bytes arrived")
        taken = _is_there(system, key)
        if taken and not overwrite:
            raise FileExistsError(key)
        _move(system, partial, key, taken)
    finally:
        with contextlib.suppress(Exception):  # mostly it has its name by now
            system.rm_file(partial)


def _is_there(system: Any, key: str) -> bool:
    try:  # exists() takes any error for a no
        system.info(key)
    except FileNotFoundError:
        return False
    return True


def _move(system: Any, partial: str, key: str, taken: bool) -> None:
    import fsspec

    if type(system).mv is fsspec.AbstractFileSystem.mv:  # which takes names for patterns
        system.cp_file(partial, key)
        return
    try:
        system.mv(partial, key)
    except OSError:
        if not taken:
            raise
        system.rm_file(key)  # a server that renames to free names only
        system.mv(partial, key)


def get(path: RemotePath, most: int | None = None) -> bytes:
    """Read a small file, or the beginning of one."""
    found = b""

    def fetch(attempt: int) -> None:
        nonlocal found
        with urls.explained(str(path)):
            system, key = _opened(path)
            found = system.cat_file(key, start=None if most is None else 0, end=most)

    urls.repeated(fetch)
    return found


def remove(path: Path) -> None:
    """Remove a file, if it is there."""
    if not isinstance(path, RemotePath):
        path.unlink(missing_ok=True)
        return
    with urls.explained(str(path), writing=True):
        system, key = _opened(path)
        with contextlib.suppress(FileNotFoundError):
            system.rm_file(key)


@contextlib.contextmanager
def local_copy(path: Path) -> Iterator[Path]:
    """Fetch a file for as long as the block lasts; a local one is its own copy."""
    if not isinstance(path, RemotePath):
        yield path
        return
    with urls.fetched(path.url) as copy:
        try:
            yield copy
        except AudioCliError as error:  # let it name the file, not the copy
            error.text = error.text.replace(str(copy), str(path))
            error.args = (error.told({}),)
            raise
