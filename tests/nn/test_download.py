"""Downloads against a server of the test's own: whole, in two goes, damaged, from mirrors."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from audiocli.errors import ModelError
from audiocli.nn import download
from audiocli.nn.catalogue import CATALOGUE, Checkpoint, hint
from audiocli.nn.download import fetch

CONTENT = bytes(range(256)) * 1024  # four chunks
SUM = hashlib.sha256(CONTENT).hexdigest()
NAME = f"net-{SUM[:8]}.th"


@dataclass
class Site:
    """What the server does, and what was requested of it."""

    url: str = ""
    ranges: bool = True
    cut: int | None = None  # the connection ends after so many bytes
    content: bytes = CONTENT
    requests: list[tuple[str, str | None]] = field(default_factory=list)

    def file(self, name: str = NAME, pin: str = SUM[:8]) -> Checkpoint:
        return Checkpoint(f"{self.url}/models/{name}", pin, len(CONTENT))


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", download.MIRROR):
        monkeypatch.delenv(name, raising=False)
    state = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range")
            state.requests.append((self.path, wanted))
            # A proxy is given whole addresses.
            if not urlsplit(self.path).path.endswith(NAME):
                self.send_error(404)
                return
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
            if not state.ranges:
                start = 0
            if start >= len(state.content):
                self.send_error(416)
                return
            body = state.content[start:]
            self.send_response(206 if start else 200)
            if start:
                total = len(state.content)
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: state.cut])

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


def refused(file: Checkpoint, folder: Path, mirror: str | None = None) -> str:
    with pytest.raises(ModelError) as caught:
        fetch(file, folder, mirror=mirror)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("pin", [SUM, SUM[:8]])
def test_a_file_comes_whole(site: Site, tmp_path: Path, pin: str) -> None:
    told: list[tuple[str, int, int | None]] = []
    file = site.file(pin=pin)
    path = fetch(file, tmp_path / "new", progress=lambda *news: told.append(news))
    assert path == tmp_path / "new" / NAME
    assert path.read_bytes() == CONTENT
    assert told[0] == (NAME, 0, len(CONTENT))
    assert told[-1] == (NAME, len(CONTENT), len(CONTENT))
    assert [each.name for each in path.parent.iterdir()] == [NAME]
    # What is there and right is not fetched again.
    fetch(file, tmp_path / "new")
    assert len(site.requests) == 1


def test_it_goes_on_where_it_broke_off(site: Site, tmp_path: Path) -> None:
    site.cut = 100_000
    message = refused(site.file(), tmp_path)
    assert f"broke off after 100000 of {len(CONTENT)} bytes; run again" in message
    partial = tmp_path / f"{NAME}.part"
    assert partial.read_bytes() == CONTENT[:100_000]
    site.cut = None
    assert fetch(site.file(), tmp_path).read_bytes() == CONTENT
    assert [wanted for _, wanted in site.requests] == [None, "bytes=100000-"]
    assert not partial.exists()


def test_a_server_that_knows_no_ranges_begins_anew(site: Site, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:50_000])
    site.ranges = False
    assert fetch(site.file(), tmp_path).read_bytes() == CONTENT
    assert site.requests[0][1] == "bytes=50000-"


def test_an_interrupted_file_that_was_whole_already(site: Site, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT)
    assert fetch(site.file(), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("part", [b"", b"x" * 1000, b"x" * (len(CONTENT) + 1)])
def test_another_file_is_removed(site: Site, tmp_path: Path, part: bytes) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(part)
    if not part:
        site.content = CONTENT[:-1] + b"!"
    message = refused(site.file(), tmp_path)
    assert f", not {SUM[:8]}...: damaged" in message
    assert "it was removed" in message
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_there(site: Site, tmp_path: Path) -> None:
    message = refused(site.file("other.th"), tmp_path)
    assert message.startswith(f"{site.url}/models/other.th: the server says 404")
    assert "use mirror" in message


def test_without_a_network_one_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    # Port 9 of this machine, which is closed; and a name that never exists (RFC 2606).
    for url in ("http://127.0.0.1:9/a.th", "http://nowhere.invalid/a.th"):
        message = refused(Checkpoint(url, SUM, 1), tmp_path)
        assert message.startswith(f"{url}: cannot be fetched (")
        assert "check the network and the proxy" in message
    (tmp_path / "a.th.part").write_bytes(b"some")
    assert "what has come so far is kept" in refused(Checkpoint(url, SUM, 1), tmp_path)
    assert (tmp_path / "a.th.part").read_bytes() == b"some"


def test_a_proxy_of_the_environment_is_used(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", site.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    file = Checkpoint(f"http://weights.invalid/far/{NAME}", SUM, 1)
    assert fetch(file, tmp_path).read_bytes() == CONTENT
    assert site.requests == [(f"http://weights.invalid/far/{NAME}", None)]


def test_an_interrupt_keeps_what_came(site: Site, tmp_path: Path) -> None:
    def stop(name: str, done: int, total: int | None) -> None:
        if done > 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(site.file(), tmp_path, progress=stop)
    kept = (tmp_path / f"{NAME}.part").read_bytes()
    assert 100_000 < len(kept) < len(CONTENT)
    assert fetch(site.file(), tmp_path).read_bytes() == CONTENT
    assert site.requests[-1][1] == f"bytes={len(kept)}-"


def test_a_full_disk_is_one_line(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def __enter__(self) -> Full:
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def write(self, data: bytes) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", lambda self, mode: Full())
    message = refused(site.file(), tmp_path)
    assert message.endswith("cannot be written (No space left on device); make room, or use to")


def test_a_folder_that_cannot_be_made(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert "cannot be written" in refused(site.file(), tmp_path / "file" / "below")


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_a_mirror_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / NAME).write_bytes(CONTENT)
    file = Checkpoint(f"http://nowhere.invalid/{NAME}", SUM, 1)
    given = str(mirror)
    if how == "environment":
        monkeypatch.setenv(download.MIRROR, given)
    path = fetch(file, tmp_path / "new", mirror=given if how == "argument" else None)
    assert path == mirror / NAME
    assert not (tmp_path / "new").exists()  # used where it lies


def test_a_damaged_mirror_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"another")
    file = Checkpoint(f"http://nowhere.invalid/{NAME}", SUM, 1)
    assert "damaged, or another file; use another source" in refused(file, tmp_path, str(tmp_path))
    assert (tmp_path / NAME).read_bytes() == b"another"
    message = refused(file, tmp_path, str(tmp_path / "nothing"))
    assert message.startswith(f"{tmp_path / 'nothing' / NAME}: no such file; the mirror must hold")


@pytest.mark.parametrize("end", ["", "/"])
def test_a_mirror_at_an_address(site: Site, tmp_path: Path, end: str) -> None:
    file = Checkpoint(f"http://nowhere.invalid/far/{NAME}", SUM, 1)
    assert fetch(file, tmp_path, mirror=f"{site.url}/mine{end}").read_bytes() == CONTENT
    assert site.requests == [(f"/mine/{NAME}", None)]


def test_a_mirror_at_a_file_address(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(CONTENT)
    file = Checkpoint(f"http://nowhere.invalid/{NAME}", SUM, 1)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / f"{NAME}.part").write_bytes(b"begun")
    got = fetch(file, tmp_path / "new", mirror=tmp_path.as_uri())
    assert got.read_bytes() == CONTENT
    assert "cannot be fetched" in refused(file, tmp_path / "b", (tmp_path / "nothing").as_uri())


def test_an_address_that_is_none(tmp_path: Path) -> None:
    assert "cannot be fetched" in refused(Checkpoint("a", SUM, 1), tmp_path, "no-such-scheme://x")


# The catalogue


@pytest.mark.parametrize("name", CATALOGUE)
def test_what_is_offered_is_pinned(name: str) -> None:
    offer = CATALOGUE[name]
    assert offer.name == name
    assert offer.licence
    for file in offer.files:
        assert file.url.startswith("https://")
        assert len(file.pin) in (8, 64)
        assert int(file.pin, 16) >= 0
        # The authors' own digits stand in the name.
        assert file.name.partition("-")[2].partition(".")[0] == file.pin[:8]
    assert len({file.name for file in offer.files}) == len(offer.files)
    assert set(offer.decoder) == {"segment_seconds", "context_seconds", "fade_seconds"}


def test_a_transformer_gets_what_it_was_trained_on() -> None:
    for name in ("htdemucs", "htdemucs_ft"):
        cut = {k: round(v * 44_100) for k, v in CATALOGUE[name].decoder.items()}
        needed = cut["segment_seconds"] + cut["fade_seconds"] + 2 * cut["context_seconds"]
        assert needed == 343_980  # 39/5 s


def test_hints() -> None:
    line = hint("separate", "htdemucs")
    assert line is not None
    told = "htdemucs: not installed; run: audiocli models install htdemucs (84 MB; licence: "
    assert line.startswith(told + "for scientific use only")
    assert hint(None, "htdemucs") == line
    assert hint("separate", "separate/htdemucs") == f"separate/{line}"
    assert hint("tag", "htdemucs") is None
    assert hint("separate", "tag/htdemucs") is None
    assert "not for commercial use" in str(hint("separate", "umxl"))
