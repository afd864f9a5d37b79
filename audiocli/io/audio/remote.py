"""Run FFmpeg's decoders in a process of their own, so that a crash in one costs one file.

A process is started when the first file needs it, and kept for the next. It gives one
block at a time, and decodes the next one while this one is used. Where no other process can be
started, files are decoded in this one.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import importlib.util
import json
import os
import signal
import struct
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from audiocli.errors import AudioError
from audiocli.io.audio.info import AudioInfo, Block, printable
from audiocli.io.audio.source import Decoder, DecodingError, Source

__all__ = ["RemoteDecoder", "open_apart", "serve"]

_HEADER = struct.Struct(">cI")  # kind and length of a message
_JSON, _AUDIO, _END = b"J", b"A", b"Z"
_REFUSED, _STOPPED, _MEMORY, _BUG = b"E", b"S", b"M", b"B"
_Message = tuple[bytes, "bytes | memoryview"]
_BLOCK = 1 << 16  # samples per channel in a message, at least, but in the last
_IDLE = 2  # processes kept for the next file
_PATIENCE = 5.0  # seconds that a process has to end by itself
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from audiocli.io.audio.remote import serve; serve()"
)


class RemoteDecoder:
    """A file that FFmpeg decodes in another process.

    Parameters
    ----------
    source : Source
    """

    def __init__(self, source: Source) -> None:
        self._name = source.name
        self.notes: list[str] = []
        self._done = 0
        self._is_open = True
        self._process = _take()
        self._ask({"open": dataclasses.asdict(source)})
        try:
            _, content = self._answer()
        except BaseException:
            self.close()
            raise
        facts = json.loads(content)
        layout = facts["info"].pop("layout")
        self.info = AudioInfo(**facts["info"], layout=None if layout is None else tuple(layout))
        self.promised: float | None = facts["promised"]
        self.least_frames: int = facts["least_frames"]

    def skip(self, frames: int) -> int:
        """Do nothing; all is decoded from the beginning."""
        return 0

    def chunks(self) -> Iterator[Block]:
        """Decode; raises DecodingError where that cannot go on."""
        while True:
            self._ask({"next": True})
            kind, content = self._answer()
            if kind == _END:
                self.notes += json.loads(content)
                return
            block = np.frombuffer(content, np.float32).reshape(self.info.channels, -1)
            self._done += block.shape[1]
            yield block

    def close(self) -> None:
        """Let go of the process, for the next file."""
        if not self._is_open:
            return
        self._is_open = False
        try:
            self._ask({"close": True})
            self._answer()
        except AudioError:
            return  # it is gone
        _give_back(self._process)

    def _ask(self, request: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # it died: there will be no answer
            stream = self._process.stdin
            assert stream is not None  # narrows the type
            stream.write(json.dumps(request).encode() + b"\n")
            stream.flush()

    def _answer(self) -> tuple[bytes, bytearray]:
        assert self._process.stdout is not None  # narrows the type
        try:
            kind, content = _receive(self._process.stdout)
        except EOFError:
            self._is_open = False
            raise self._crashed() from None
        except BaseException:  # an interrupt: half of a message is still to come
            self._is_open = False
            _end(self._process)
            raise
        if kind == _REFUSED:
            raise AudioError(content.decode(errors="surrogateescape"))
        if kind == _STOPPED:
            raise DecodingError(content.decode(errors="surrogateescape"))
        if kind == _MEMORY:
            raise MemoryError
        if kind == _BUG:
            raise RuntimeError(content.decode())
        return kind, content

    def _crashed(self) -> AudioError:
        code = _end(self._process)
        how = f"exit code {code}"
        if code < 0:
            with contextlib.suppress(ValueError):
                how = signal.Signals(-code).name
        where = f" after {self._done / self.info.sample_rate:.2f} s" if self._done else ""
        return AudioError(
            f"{printable(self._name)}: FFmpeg's decoder crashed over it{where} ({how}); the file "
            "is damaged or unusual: convert it to wav or flac with another program"
        )


def open_apart(source: Source) -> Decoder:
    """Open what libsndfile does not read, in a process of its own."""
    from audiocli.io.audio.ffmpeg import import_av, open_ffmpeg

    if importlib.util.find_spec("av") is None:
        import_av(source.name)  # says what to do
    if not sys.executable:  # Python is part of another program
        return open_ffmpeg(source)
    return RemoteDecoder(source)


# ---- processes ----------------------------------------------------------------------------------

_Process = subprocess.Popen[bytes]
_idle: list[_Process] = []
_owner = 0  # a process that was forked must not use the pipes of its parent
_lock = threading.Lock()


def _take() -> _Process:
    global _owner
    with _lock:
        if _owner != os.getpid():
            _idle.clear()
            _owner = os.getpid()
            atexit.register(_end_all)
        while _idle:
            process = _idle.pop()
            if process.poll() is None:
                return process
            _end(process)
    return subprocess.Popen(
        [sys.executable, "-c", _START, json.dumps(sys.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _give_back(process: _Process) -> None:
    with _lock:
        if len(_idle) < _IDLE and _owner == os.getpid():
            _idle.append(process)
            return
    _end(process)


def _end(process: _Process) -> int:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    try:
        return process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _end_all() -> None:
    if _owner == os.getpid():
        while _idle:
            _end(_idle.pop())


# ---- messages -----------------------------------------------------------------------------------


def _receive(stream: IO[bytes]) -> tuple[bytes, bytearray]:
    kind, length = _HEADER.unpack(_exactly(stream, _HEADER.size))
    return kind, _exactly(stream, length)


def _exactly(stream: IO[bytes], length: int) -> bytearray:
    content = bytearray(length)
    view = memoryview(content)
    while view:
        count = stream.readinto(view)  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        view = view[count:]
    return content


def _send(stream: IO[bytes], message: _Message) -> None:
    kind, content = message
    stream.write(_HEADER.pack(kind, len(content)))
    stream.write(content)
    stream.flush()


# ---- the other process --------------------------------------------------------------------------


def serve() -> None:
    """Answer requests from standard input on standard output, until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    with open(os.devnull, "wb") as nothing:  # what a library prints must not come between
        os.dup2(nothing.fileno(), sys.stdout.fileno())
    decoder: Decoder | None = None
    messages: Iterator[_Message] = iter(())
    following: _Message | None = None
    with contextlib.suppress(BrokenPipeError):
        for line in sys.stdin.buffer:
            request = json.loads(line)
            if "next" in request and following is not None:
                _send(answers, following)
                following = next(messages, None)
                continue
            if decoder is not None:
                decoder.close()
            decoder = following = None
            if "open" in request:
                decoder, first = _opened(request["open"])
                _send(answers, first)
                if decoder is not None:
                    messages = _messages(decoder)
                    following = next(messages, None)
            else:
                _send(answers, (_JSON, b"{}"))


def _opened(source: dict[str, Any]) -> tuple[Decoder | None, _Message]:
    from audiocli.io.audio.ffmpeg import open_ffmpeg

    try:
        decoder = open_ffmpeg(Source(**source))
    except Exception as error:
        return None, _failed(error)
    facts = {
        "info": dataclasses.asdict(decoder.info),
        "promised": decoder.promised,
        "least_frames": decoder.least_frames,
    }
    return decoder, (_JSON, json.dumps(facts).encode())


def _messages(decoder: Decoder) -> Iterator[_Message]:
    """Decode in large blocks, and say how it ended."""
    held: list[Block] = []
    length = 0
    failure: _Message | None = None
    try:
        for block in decoder.chunks():
            held.append(block)
            length += block.shape[1]
            if length >= _BLOCK:
                yield _audio(held)
                held, length = [], 0
    except Exception as error:
        failure = _failed(error)
    if length:
        yield _audio(held)
    yield failure or (_END, json.dumps(decoder.notes).encode())


def _audio(blocks: list[Block]) -> _Message:
    return _AUDIO, np.concatenate(blocks, axis=1).tobytes()


def _failed(error: Exception) -> _Message:
    kinds = {AudioError: _REFUSED, DecodingError: _STOPPED}
    for kind, letter in kinds.items():
        if isinstance(error, kind):
            return letter, str(error).encode(errors="surrogateescape")
    if isinstance(error, MemoryError):
        return _MEMORY, b""
    return _BUG, "".join(traceback.format_exception(error)).encode(errors="replace")
