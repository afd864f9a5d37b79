"""A file that grows, in a store whose files do not: it is kept there as pieces.

What is added goes to a private temporary file, and what was added since the last flush into a piece
of its own, in the folder ``NAME.pieces`` beside. When the file is finished, it is written as a
whole, and the pieces go. Whoever reads it again takes the whole and the pieces that are left.

A store has no locks that end with their process. So a run that holds a journal keeps a file
``NAME.lock`` beside it, which says what process it is and is renewed every minute.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import secrets
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from audiocli.batch.sweeping import is_alive
from audiocli.errors import AudioCliError, UsageError
from audiocli.io import remote
from audiocli.io.remote import RemotePath
from audiocli.io.scratch import scratch_folder

__all__ = ["Claim", "Journal"]

FETCHED_AT_ONCE = 8
#: Seconds after which a claim is renewed, and after which one that was not is void.
RENEWED, VOID = 60.0, 300.0


class Claim:
    """Says to other runs that this one is writing here, from its making until it is released.

    Parameters
    ----------
    path : RemotePath
        What is written.

    Raises
    ------
    UsageError
        If another run is writing it.
    """

    def __init__(self, path: RemotePath) -> None:
        self._file = path.with_name(f"{path.name}.lock")
        self._taken = UsageError(
            f"{path}: another audiocli is writing here; wait until it has ended (one that was "
            f"killed on another machine counts for {VOID / 60:g} minutes), or use another output"
        )
        if remote.exists(self._file):
            if self._is_held():
                raise self._taken
            remote.remove(self._file)
        try:
            remote.put(self._file, self._words(), overwrite=False)
        except FileExistsError as error:
            raise self._taken from error
        self._released = threading.Event()
        threading.Thread(target=self._renew, daemon=True).start()

    def _words(self) -> bytes:
        return json.dumps(
            {"machine": platform.node(), "process": os.getpid(), "time": time.time()}
        ).encode()

    def _is_held(self) -> bool:
        try:
            told = json.loads(remote.get(self._file))
            if told["machine"] == platform.node():
                return is_alive(int(told["process"]))
            return bool(time.time() - float(told["time"]) < VOID)
        except (ValueError, KeyError, TypeError):
            return False

    def _renew(self) -> None:
        while not self._released.wait(RENEWED):
            with contextlib.suppress(AudioCliError):  # the next time, then
                remote.put(self._file, self._words())

    def release(self) -> None:
        """Let others write."""
        self._released.set()
        with contextlib.suppress(AudioCliError):
            remote.remove(self._file)


class Journal:
    """The pieces of a file, and a local copy that may be added to.

    Parameters
    ----------
    path : RemotePath
        What the whole is called.
    """

    def __init__(self, path: RemotePath) -> None:
        self.path = path
        self._pieces = path.with_name(f"{path.name}.pieces")
        self._folder: TemporaryDirectory[str] | None = None
        self._sent = 0  # bytes of the copy that the store has
        self._known: list[RemotePath] = []  # pieces that the copy has

    @property
    def copy(self) -> Path:
        """The local copy, once it was opened."""
        assert self._folder is not None  # narrows the type
        return Path(self._folder.name) / "copy"

    def is_there(self) -> bool:
        """Tell whether there is a whole, or a piece."""
        return bool(remote.names_in(self._pieces)) or remote.exists(self.path)

    def open(self, *, keep: bool) -> Path:
        """Make the copy, of what is there or empty; what is there and not kept is removed."""
        pieces = [self._pieces / name for name in remote.names_in(self._pieces)]
        self._folder = scratch_folder()
        if not keep:
            self.copy.touch()
            for piece in pieces:
                remote.remove(piece)
            return self.copy
        with self.copy.open("wb") as file:
            if remote.exists(self.path):
                with remote.local_copy(self.path) as whole, whole.open("rb") as stream:
                    shutil.copyfileobj(stream, file)
            with ThreadPoolExecutor(FETCHED_AT_ONCE) as pool:
                file.writelines(pool.map(remote.get, pieces))
        self._known, self._sent = pieces, self.copy.stat().st_size
        return self.copy

    def first_line(self) -> bytes:
        """Read the first line of what is there; empty if there is none."""
        if remote.exists(self.path):
            return remote.get(self.path, 1 << 20).partition(b"\n")[0]
        names = remote.names_in(self._pieces)
        return remote.get(self._pieces / names[0]).partition(b"\n")[0] if names else b""

    def flush(self) -> None:
        """Send what was added."""
        if self._folder is None:
            return
        size = self.copy.stat().st_size
        if size < self._sent:  # something was cut off its end
            self._remove_known()
            self._sent = 0
        if size > self._sent:
            with self.copy.open("rb") as file:
                file.seek(self._sent)
                self._known.append(self.add(file.read()))
            self._sent = size

    def add(self, data: bytes) -> RemotePath:
        """Send a piece that the copy does not have, or has by now."""
        piece = self._pieces / f"{time.time_ns():020d}.{secrets.token_hex(4)}"
        remote.put(piece, data)
        return piece

    def finish(self) -> None:
        """Write the whole, if the copy has more than that, and remove the pieces."""
        if self._folder is None or not (self._known or self.copy.stat().st_size > self._sent):
            return
        remote.upload(self.copy, self.path, overwrite=True)
        self._sent = self.copy.stat().st_size
        self._remove_known()

    def clear(self) -> None:
        """Remove all pieces."""
        for name in remote.names_in(self._pieces):
            remote.remove(self._pieces / name)

    def _remove_known(self) -> None:
        for piece in self._known:
            remote.remove(piece)
        self._known = []

    def close(self) -> None:
        """Let go of the copy."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
