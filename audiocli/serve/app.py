"""What is answered to a request that the guard lets pass."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from audiocli import __version__
from audiocli.io.audio import AUDIO_EXTENSIONS
from audiocli.page.render import asset, embedded, fill, opening
from audiocli.serve.guard import Guard
from audiocli.serve.recordings import MB, PAGE, Recordings, Refused

__all__ = ["make_app"]

#: What a page of a recording may do: run its own programs, as a stranger to this server.
SANDBOX = (
    "sandbox allow-scripts; default-src 'none'; img-src data: blob:; media-src data: blob:; "
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-ancestors 'none'"
)
SOURCES = "img-src data:; media-src 'self'; connect-src 'self'"
CHUNK = 1 << 16


def make_app(recordings: Recordings, token: str, cookie: str, host: str) -> Starlette:
    """Make the application."""
    return Starlette(
        routes=[
            Route("/", _Index(recordings).answer),
            Route("/state", lambda request: JSONResponse(recordings.state())),
            *_Answers(recordings).routes(),
        ],
        middleware=[Middleware(Guard, token=token, cookie=cookie, host=host)],
        exception_handlers={Refused: _refused},
    )


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)  # narrows the type
    return PlainTextResponse(str(error), error.status)


class _Index:
    """The page, which is the same whatever there is."""

    def __init__(self, recordings: Recordings) -> None:
        limits = recordings.limits
        data = {"fileBytes": limits.file_bytes, "files": limits.files,
                "endings": sorted(AUDIO_EXTENSIONS)}  # fmt: skip
        self.text = fill("serve.html", {
            "opening": opening("Recordings", SOURCES, styles=("page.css", "serve.css")),
            "version": __version__,
            "file_limit": f"{limits.file_bytes // MB:,} MB",
            "files_limit": str(limits.files),
            "data": embedded(json.dumps(data)),
            "script": asset("serve.js"),
        })  # fmt: skip
        own = {kind: _hashes(kind, self.text) for kind in ("script", "style")}
        self.policy = (
            f"default-src 'none'; {SOURCES}; script-src {own['script']}; style-src {own['style']}; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )

    def answer(self, request: Request) -> Response:
        return HTMLResponse(self.text, headers={"content-security-policy": self.policy})


def _hashes(element: str, text: str) -> str:
    """Name the programs or styles of a page, which are then all that it may use."""
    found = re.findall(rf"<{element}>(.*?)</{element}>", text, re.DOTALL)
    sums = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in found]
    return " ".join(f"'sha256-{each}'" for each in sums)


class _Answers:
    """What is done with recordings."""

    def __init__(self, recordings: Recordings) -> None:
        self.recordings = recordings

    def routes(self) -> Sequence[Route]:
        one = "/recordings/{token}"
        return [
            Route("/recordings", self.receive, methods=["POST"]),
            Route(one, self.remove, methods=["DELETE"]),
            Route(f"{one}/cancel", self.cancel, methods=["POST"]),
            Route(f"{one}/page", self.page),
            Route(f"{one}/all.zip", self.archive),
            Route(f"{one}/files/{{name}}", self.file),
        ]

    async def receive(self, request: Request) -> Response:
        """Take an upload in: its body is the file, its query the name."""
        stated = request.headers.get("content-length", "")
        size = int(stated) if stated.isdecimal() else None
        recording = self.recordings.begin(request.query_params.get("name", ""), size)
        try:
            with recording.source.open("xb") as file:
                async for chunk in request.stream():
                    self.recordings.grow(recording, len(chunk))
                    file.write(chunk)
            self.recordings.ready(recording)
        except BaseException as error:
            self.recordings.drop(recording)
            if isinstance(error, ClientDisconnect):
                return Response(status_code=400)  # which nobody reads
            if isinstance(error, OSError):
                reason = error.strerror or str(error)
                raise Refused(507, f"{recording.name}: cannot be stored ({reason})") from error
            raise
        return JSONResponse({"id": recording.id}, 201)

    def cancel(self, request: Request) -> Response:
        self.recordings.cancel(request.path_params["token"])
        return Response(status_code=204)

    def remove(self, request: Request) -> Response:
        self.recordings.remove(request.path_params["token"])
        return Response(status_code=204)

    def page(self, request: Request) -> Response:
        """Show the page of a recording, shut off from this server."""
        _, path = self.recordings.file(request.path_params["token"], PAGE)
        headers = {"content-security-policy": SANDBOX}
        return FileResponse(path, media_type="text/html; charset=utf-8", headers=headers)

    def file(self, request: Request) -> Response:
        """Give a file to be kept; a player takes parts of it."""
        name = request.path_params["name"]
        recording, path = self.recordings.file(request.path_params["token"], name)
        return FileResponse(path, filename=recording.called(name))

    def archive(self, request: Request) -> Response:
        """Give all files of a recording in one."""
        recording = self.recordings.find(request.path_params["token"])
        files = {recording.called(name): recording.folder / name for name in recording.files}
        if not files:
            raise Refused(404, f"{recording.name}: has no files yet")
        name = quote(recording.called("zip"), safe="")
        headers = {"content-disposition": f"attachment; filename*=utf-8''{name}"}
        return StreamingResponse(_zipped(files), media_type="application/zip", headers=headers)


class _Sink(io.RawIOBase):
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]  # any buffer
        self._held += data
        return len(data)

    def take(self) -> bytes:
        held = bytes(self._held)
        self._held.clear()
        return held


def _zipped(files: dict[str, Path]) -> Iterator[bytes]:
    """Make an archive piece by piece; sounds and pictures are small as they are."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, path in files.items():
            with archive.open(name, "w", force_zip64=True) as target, path.open("rb") as source:
                while chunk := source.read(CHUNK):
                    target.write(chunk)
                    yield sink.take()
    yield sink.take()
