"""Fetch a file of a known checksum: from its address, or from a mirror; and go on where it broke.

What has come so far stays in a file ``NAME.part``, and the next try asks the server for
the rest. Proxies are those of the environment (``HTTPS_PROXY``, ``NO_PROXY``). Only a file with
the right checksum ever gets its name.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, build_opener

from audiocli import __version__
from audiocli.errors import ModelError
from audiocli.nn.catalogue import Checkpoint
from audiocli.nn.registry import sha256

__all__ = ["MIRROR", "Progress", "fetch"]

#: Names a mirror for all downloads: a folder that holds the files, or the address of one.
MIRROR = "AUDIOCLI_MIRROR"
#: Is told the file's name, the bytes that are there, and of how many (None if that is not known).
Progress = Callable[[str, int, int | None], None]

CHUNK = 1 << 16
#: Seconds without a byte after which a server counts as gone.
PATIENCE = 30.0


def fetch(
    file: Checkpoint,
    folder: Path,
    *,
    mirror: str | None = None,
    progress: Progress = lambda name, done, total: None,
) -> Path:
    """Get a file, whole and checked."""
    mirror = mirror or os.environ.get(MIRROR) or None
    if mirror and "://" not in mirror:
        return _from_folder(file, Path(mirror).expanduser())
    target = folder / file.name
    if target.is_file() and sha256(target).startswith(file.pin):
        return target
    url = f"{mirror.rstrip('/')}/{file.name}" if mirror else file.url
    partial = folder / f"{file.name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    _receive(url, partial, progress, file.name)
    _check(partial, file, url, remove=True)
    partial.replace(target)
    return target


def _from_folder(file: Checkpoint, folder: Path) -> Path:
    """Find a file in a mirror on disk."""
    path = folder / file.name
    if not path.is_file():
        raise ModelError(f"{path}: no such file; the mirror must hold it, from {file.url}")
    _check(path, file, str(path), remove=False)
    return path


def _check(path: Path, file: Checkpoint, source: str, *, remove: bool) -> None:
    """Compare a file with its pin."""
    try:
        actual = sha256(path)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror}") from error
    if actual.startswith(file.pin):
        return
    if remove:
        path.unlink()
    raise ModelError(
        f"{source}: its SHA-256 is {actual[:16]}..., not {file.pin[:16]}...: damaged, or "
        f"another file; {'it was removed, try again or ' if remove else ''}use another source"
    )


def _receive(url: str, partial: Path, progress: Progress, name: str) -> None:
    """Have all of a file in `partial`, beginning with what is there."""
    done = partial.stat().st_size if partial.exists() else 0
    headers = {"User-Agent": f"audiocli/{__version__}", "Accept-Encoding": "identity"}
    if done:
        headers["Range"] = f"bytes={done}-"
    try:
        # An opener of its own reads the proxies as they are now.
        request = Request(url, headers=headers)
        with build_opener().open(request, timeout=PATIENCE) as response:
            if not _continues(response, done):
                done = 0
            length = response.headers.get("Content-Length")
            total = done + int(length) if length else None
            done = _copy(response, partial, done, total, progress, name)
    except HTTPError as error:
        error.close()
        if error.code == 416:  # nothing is left to send: the checksum tells whether that is right
            return
        raise ModelError(
            f"{url}: the server says {error.code} {error.reason}; try again later, or "
            "use {mirror}",
            "mirror",
        ) from error
    except (URLError, HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        kept = partial.exists() and partial.stat().st_size
        raise ModelError(
            f"{url}: cannot be fetched ({_words(reason)}); check the network and the proxy, "
            f"or use {{mirror}}{'; what has come so far is kept' if kept else ''}",
            "mirror",
        ) from error
    if total is not None and done < total:
        raise ModelError(
            f"{url}: broke off after {done} of {total} bytes; run again to go on from there"
        )


def _continues(response: Any, done: int) -> bool:
    """Tell whether a server sends the rest that was asked for, or everything again."""
    if getattr(response, "status", None) != 206:
        return False
    sent = str(response.headers.get("Content-Range", ""))
    return sent.startswith(f"bytes {done}-")


def _copy(
    response: IO[bytes],
    partial: Path,
    done: int,
    total: int | None,
    progress: Progress,
    name: str,
) -> int:
    """Write what a server sends behind the first `done` bytes; give the length it has then."""
    try:
        stream = partial.open("ab" if done else "wb")
    except OSError as error:
        raise _unwritable(partial, error) from error
    with stream:
        progress(name, done, total)
        while chunk := response.read(CHUNK):
            try:
                stream.write(chunk)
            except OSError as error:
                raise _unwritable(partial, error) from error
            done += len(chunk)
            progress(name, done, total)
    return done


def _unwritable(path: Path, error: OSError) -> ModelError:
    return ModelError(
        f"{path}: cannot be written ({error.strerror or error}); make room, or use {{to}}",
        "to",
    )


def _words(reason: object) -> str:
    """Give an error's own words, without its number."""
    return str(getattr(reason, "strerror", None) or reason)
