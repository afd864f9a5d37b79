r"""Standard input, output and error, whatever the shell has made of them.

A stream may be closed, full or left by its reader, and may know fewer characters than file names
have. Here is the one place that deals with all of that, and with characters that a terminal would
take for commands:

- A stream that is closed keeps its number, or the next file opened would get it, and with it
  all that libraries print. What cannot be printed on standard output is an error; what cannot be
  printed on standard error is lost, and the exit status still tells.
- Control characters are escaped in all that goes to standard error or to a terminal.
- A character that the encoding lacks is written as ``\uXXXX``, which JSON reads; a byte that
  is no text goes out as it is.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from audiocli.errors import AudioCliError

__all__ = ["OutputError", "ReaderGone", "StandardOutput", "escaped", "standard_streams"]

_HANDLER = "audiocli"


class OutputError(AudioCliError):
    """Standard output cannot be written."""


class ReaderGone(OutputError):
    """Who read standard output has left, as `head` does."""


def escaped(text: str) -> str:
    r"""Escape what a terminal would obey: all that is not printed, but line ends and tabs."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


def _unknown(error: UnicodeError) -> tuple[str | bytes, int]:
    """Write what an encoding lacks: a byte as it was on disk, a character as JSON escapes it."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    written = b""
    for c in error.object[error.start : error.end]:
        if "\udc80" <= c <= "\udcff":
            written += bytes([ord(c) - 0xDC00])
        else:
            units = c.encode("utf-16-be", "surrogatepass").hex()
            written += "".join(
                f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4)
            ).encode()
    return written, error.end


class _Stream(io.TextIOBase):
    """A stream of text that is written to another.

    It has no `buffer`, so that nobody goes past it. Rich, which draws by control characters,
    looks for another stream in `rich_proxied_file`.
    """

    def __init__(self, below: TextIO) -> None:
        self.below = below
        self.rich_proxied_file = _Unescaped(self)

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a method could not be asked like this
        return self.below.encoding or "utf-8"

    @property
    def errors(self) -> str | None:  # type: ignore[override]
        return self.below.errors

    def isatty(self) -> bool:
        with contextlib.suppress(OSError, ValueError):
            return self.below.isatty()
        return False

    def fileno(self) -> int:
        return self.below.fileno()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        """Write, with what a terminal would obey escaped."""
        return self.write_raw(escaped(text))

    def write_raw(self, text: str) -> int:
        raise NotImplementedError


class _Unescaped(io.TextIOBase):
    """The way past the escapes of a stream, for Rich."""

    def __init__(self, stream: _Stream) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        return self.stream.write_raw(text)

    def flush(self) -> None:
        self.stream.flush()

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":  # there would be no check of errors
            raise AttributeError(name)
        return getattr(self.stream, name)

    def isatty(self) -> bool:
        return self.stream.isatty()

    def fileno(self) -> int:
        return self.stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.stream.encoding


class StandardOutput(_Stream):
    """Standard output: an error is remembered, and raised as one that can be named.

    Attributes
    ----------
    error : OutputError or None
        What went wrong; nothing more is written then.
    """

    error: OutputError | None = None

    def write(self, text: str) -> int:
        """Write, for a terminal with what it would obey escaped."""
        return self.write_raw(escaped(text) if self.isatty() else text)

    def write_raw(self, text: str) -> int:
        """Write without escapes."""
        self._try(lambda: self.below.write(text))
        return len(text)

    def write_bytes(self, data: bytes) -> None:
        """Write what is no text, at once."""

        def write() -> None:
            self.below.flush()
            self.below.buffer.write(data)
            self.below.buffer.flush()

        self._try(write)

    def flush(self) -> None:
        """Write what is still in the buffer."""
        self._try(self.below.flush)

    def _try(self, act: Any) -> None:
        if self.error is not None:
            raise self.error
        try:
            act()
        except (OSError, ValueError) as error:
            gone = isinstance(error, OSError) and error.errno == errno.EPIPE
            # Windows says so of a pipe that is closed.
            gone = gone or (os.name == "nt" and getattr(error, "errno", None) == errno.EINVAL)
            closed = getattr(error, "errno", None) == errno.EBADF
            reason = "it is closed" if closed else getattr(error, "strerror", None) or str(error)
            kind = ReaderGone if gone else OutputError
            self.error = kind(f"standard output cannot be written ({reason})")
            _forget(self.below)
            raise self.error from error


class _StandardError(_Stream):
    """Standard error: what cannot be written is lost, since there is nobody to tell."""

    def write_raw(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            self.below.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self.below.flush()


def _forget(stream: TextIO) -> None:
    """Send what is still in the buffer nowhere, or Python would complain at its exit."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()


@contextlib.contextmanager
def standard_streams() -> Iterator[StandardOutput]:
    """Have standard output and error that can be written to, until the block is left."""
    _fill_gaps()
    before = sys.stdout, sys.stderr
    codecs.register_error(_HANDLER, _unknown)
    for stream, handler in ((sys.stdout, _HANDLER), (sys.stderr, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=handler)
    output = StandardOutput(sys.stdout)
    sys.stdout, sys.stderr = output, _StandardError(sys.stderr)
    try:
        yield output
    finally:
        sys.stdout, sys.stderr = before


def _fill_gaps() -> None:
    """Put something in the place of streams that are closed.

    They are opened the wrong way round, so that whoever uses them is told.
    """
    for number, name, mode in ((0, "stdin", os.O_WRONLY), (1, "stdout", os.O_RDONLY),
                               (2, "stderr", os.O_WRONLY)):  # fmt: skip
        if getattr(sys, name) is not None:
            continue
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # gets the lowest number that is free
        if number:
            setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115
