"""Inputs that are URLs: found and fetched by fsspec, one at a time into a private temporary file.

Outputs that are URLs are those of :mod:`audiocli.io.remote`.

Decoders need to seek, and a manifest needs the hash of the whole file; so a file is fetched whole,
within :data:`LARGEST`, and removed as soon as its job has ended. Nothing here is called, and no
network is touched, unless a URL was given. Which kinds of URL there are depends on what is
installed: fsspec's own (``memory``, ``file``, archives), ``https`` with aiohttp, ``s3`` with s3fs,
``gs`` with gcsfs.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from audiocli.errors import AudioError, printable
from audiocli.io.payload import Stat
from audiocli.io.scratch import scratch_folder

__all__ = ["TemporaryError", "base_name", "explained", "fetched", "is_url", "listed", "local_path",
           "open_system", "repeated", "stamp", "tree", "without_password"]  # fmt: skip

#: Bytes of one file: 4 GiB, which is what a WAV holds.
LARGEST = 4 * 2**30
TRIES, PAUSE = 3, 0.5  # the pause, in seconds, doubles from try to try
CONNECTING, SILENCE = 30.0, 60.0  # seconds to wait for a connection, and for the next bytes
#: Bytes a second, on average, once `SILENCE` is over: a server that sends less is given up.
SLOWEST = 1024
_BLOCK = 1 << 20
_URL = re.compile(r"[a-z][a-z0-9+.-]+(::[a-z][a-z0-9+.-]*)*://", re.IGNORECASE)
_WILD = re.compile(r"[*\[]")
_STAMPS = ("ETag", "Content-MD5", "etag", "LastModified", "Last-Modified", "md5Hash", "mtime",
           "last_modified", "updated", "created")  # fmt: skip


def is_url(text: str) -> bool:
    """Tell whether this is a URL, and no file of such a name is there."""
    return bool(_URL.match(text)) and not os.path.lexists(text)


def without_password(url: str) -> str:
    """Leave out a user's name and password, which belong into no result or manifest."""
    return re.sub(r"(?<=://)[^/@]*:[^/@]*@", "", url)


def local_path(url: str) -> str | None:
    """Give the path of a ``file://`` URL."""
    return unquote(urlsplit(url).path) if url.lower().startswith("file://") else None


def base_name(url: str) -> str:
    """Give the name of the file, without folders and query."""
    path = unquote(urlsplit(url).path) if _is_http(url) else url.split("://", 1)[1]
    return os.path.basename(path.rstrip("/")) or "download"


def listed(url: str, endings: Collection[str]) -> list[tuple[str, str]]:
    """Find the files that a URL means: itself, or those of a folder or pattern.

    Returns
    -------
    list of (url, relative)
        `relative` is the path below the folder, or below the fixed part of the pattern.

    Raises
    ------
    AudioError
        If there is nothing, or it cannot be listed.
    """
    if _is_http(url):  # a server has no list of what it holds
        return [(url, base_name(url))]
    with explained(without_password(url)):
        system, path = open_system(url)
        if _WILD.search(url) and not system.exists(path):
            paths, base = system.glob(path), _fixed(path)
            url = _fixed(url)
        elif system.isdir(path):
            paths, base = system.find(path), path
        else:
            return [(url, base_name(url))]
        found = [
            (f"{url.rstrip('/')}/{relative}", relative)
            for relative in (one[len(base) :].lstrip("/") for one in sorted(paths))
            if os.path.splitext(relative)[1].lower() in endings and not _is_hidden(relative)
        ]
    if not found:
        raise AudioError(f"{without_password(url)}: no audio here")
    return found


def stamp(url: str) -> Stat | None:
    """Give the size of a remote file and a number that changes with it, where it has such facts."""
    with explained(without_password(url)):
        system, path = open_system(url)
        return _version(system.info(path))


def _version(facts: Mapping[str, Any]) -> Stat | None:
    told = [str(facts[name]) for name in _STAMPS if facts.get(name) is not None]
    if not told or facts.get("size") is None:
        return None
    number = hashlib.sha256("\n".join(told).encode()).digest()[:6]
    return int(facts["size"]), int.from_bytes(number, "big")


def tree(url: str) -> list[tuple[str, str, int, int]]:
    """List all files in a remote folder and below it, whatever their kind; not hidden ones.

    Returns
    -------
    list of (url, relative, size, version)
        `version` changes with the file, where it has such facts.

    Raises
    ------
    AudioError
        If there is no such folder, or it cannot be listed.
    """
    shown = without_password(url)
    if _is_http(url):
        raise AudioError(f"{shown}: a web server does not list what it holds; "
                         "give a table (csv, parquet, jsonl) or a shard (tar)")  # fmt: skip
    with explained(shown):
        system, path = open_system(url)
        if not system.isdir(path):
            raise FileNotFoundError(path)
        found = []
        for name, facts in sorted(system.find(path, detail=True).items()):
            relative = name[len(path) :].lstrip("/")
            if not _is_hidden(relative):
                size, version = _version(facts) or (int(facts.get("size") or 0), 0)
                found.append((f"{url.rstrip('/')}/{relative}", relative, size, version))
    return found


@contextmanager
def fetched(url: str) -> Iterator[Path]:
    """Fetch a file into a private temporary folder, which goes with the block."""
    shown = without_password(url)
    with scratch_folder() as folder:
        path = Path(folder) / f"input{os.path.splitext(base_name(url))[1]}"

        def copy(attempt: int) -> None:
            with explained(shown):
                _copy(url, path, shown)

        repeated(copy)
        yield path


class TemporaryError(AudioError):
    """It may go better next time."""


def repeated(step: Callable[[int], None]) -> None:
    """Do what may fail for a while, up to :data:`TRIES` times; it is told which try it is."""
    for attempt in range(TRIES):
        try:
            step(attempt)
            return
        except TemporaryError:
            if attempt == TRIES - 1:
                raise
            time.sleep(PAUSE * 2**attempt)


def _copy(url: str, path: Path, shown: str) -> None:
    system, remote = open_system(url)
    options: dict[str, Any] = {"block_size": 0} if _is_http(url) else {}  # one request, no ranges
    too_large = AudioError(
        f"{shown}: is larger than {LARGEST / 2**30:g} GiB; fetch it yourself, and give the file"
    )
    started, done = time.monotonic(), 0
    with system.open(remote, "rb", **options) as source, path.open("wb") as target:
        size = getattr(source, "size", None)
        if size is not None and size > LARGEST:
            raise too_large
        while block := source.read(_BLOCK):
            done += len(block)
            if done > LARGEST:
                raise too_large
            _write(target.write, block)
            elapsed = time.monotonic() - started
            if elapsed > SILENCE and done / elapsed < SLOWEST:
                raise TemporaryError(f"{shown}: comes at {done / elapsed:.0f} bytes a second; "
                                      "try again later")  # fmt: skip
    if size is not None and done != size:
        raise TemporaryError(f"{shown}: {done} of its {size} bytes came; try again later")
    if not done:
        raise AudioError(f"{shown}: is empty")


def _write(write: Callable[[bytes], Any], block: bytes) -> None:
    try:
        write(block)
    except OSError as error:
        raise AudioError(
            f"the input cannot be stored ({error.strerror}); set TMPDIR to a folder with room"
        ) from error


def _is_http(url: str) -> bool:
    return url.lower().startswith(("http://", "https://"))


def _fixed(pattern: str) -> str:
    """Give the folder before the first wildcard."""
    return _WILD.split(pattern, maxsplit=1)[0].rpartition("/")[0]


def _is_hidden(relative: str) -> bool:
    return any(part.startswith(".") for part in relative.split("/"))


def open_system(url: str) -> tuple[Any, str]:
    """Give fsspec's file system for a URL, and the path within it."""
    import fsspec

    options: dict[str, Any] = {}
    if _is_http(url):
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECTING, sock_read=SILENCE)
        options["client_kwargs"] = {"timeout": timeout}
    system, path = fsspec.core.url_to_fs(url, **options)
    return system, str(path)


@contextmanager
def explained(shown: str, *, writing: bool = False) -> Iterator[None]:
    """Name the URL in whatever goes wrong."""
    try:
        yield
    except AudioError:
        raise
    except FileNotFoundError as error:
        cause = error.__cause__  # fsspec calls whatever a web server refuses not found
        known = isinstance(cause, FileNotFoundError) or getattr(cause, "status", 0) in (404, 410)
        if _is_http(shown) and cause is not None and not known:
            raise _not_fetched(shown, cause) from error
        if writing:
            raise AudioError(f"{shown}: its bucket or folder is not there; make it first, or check "
                             "the URL") from error  # fmt: skip
        raise AudioError(f"{shown}: is not there; check the URL") from error
    except PermissionError as error:
        done = "written" if writing else "read"
        raise AudioError(f"{shown}: may not be {done}; check your credentials") from error
    except FileExistsError:
        raise
    except ImportError as error:
        raise AudioError(
            f"{shown}: URLs of this kind need a package ({printable(str(error))}); "
            "audiocli[remote] brings that of https, audiocli[s3] and audiocli[gs] those of buckets"
        ) from error
    except ValueError as error:
        raise AudioError(f"{shown}: {printable(str(error))}") from error
    except Exception as error:  # each file system has errors of its own, most of no common kind
        raise _not_fetched(shown, error, "written" if writing else "fetched") from error


def _not_fetched(shown: str, error: BaseException, done: str = "fetched") -> TemporaryError:
    reason = printable(without_password(str(error)) or type(error).__name__)
    return TemporaryError(f"{shown}: cannot be {done} ({reason}); try again later")
