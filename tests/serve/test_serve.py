"""``audiocli serve``: who is answered, what is taken, and the page in a browser."""

from __future__ import annotations

import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from browser import browsing, open_tab
from click.testing import CliRunner

from audiocli.batch import Outcome, Worker
from audiocli.batch.inputs import Job
from audiocli.cli import cli
from audiocli.errors import UsageError
from audiocli.serve import Limits, recordings

pytest.importorskip("starlette", reason="needs audiocli[serve]")
uvicorn = pytest.importorskip("uvicorn", reason="needs audiocli[serve]")

PORT, TOKEN, COOKIE = 8765, "secret-token", "audiocli-test"
HOST = f"127.0.0.1:{PORT}"
LIMITS = Limits(file_bytes=2000, files=3, disk_bytes=4000)
BEARER = {"authorization": f"Bearer {TOKEN}"}


class Instant:
    """In the place of a worker process: a file is text that says what is to become of it."""

    def __init__(self, make_worker: Callable[[], Worker]) -> None:
        self.gate: Any = make_worker

    def start(self) -> None: ...

    def close(self) -> None: ...

    def do(self, job: Job, progress: Any, given_up: threading.Event) -> Outcome:
        words = job.input.path.read_text("utf-8")
        progress(0.0, None)
        progress(1.0, 4.0)
        [page] = job.outputs
        if "wait" in words:
            given_up.wait(20)
        if "fill" in words:
            (page.parent / "huge").write_bytes(bytes(5000))
            progress(2.0, 4.0)
            given_up.wait(20)
        if given_up.is_set() or "bad" in words:
            return Outcome(job, "failed", error=f"{job.input.name}: is not audio")
        page.write_text("<!DOCTYPE html><title>page</title><script>document.title = 'ran'</script>")
        (page.parent / "vocals.flac").write_bytes(b"fLaC" + bytes(100))
        return Outcome(job, "done", 4.0, value={"Key": "A minor"}, warnings=("so so",))


@dataclass
class Client:
    """Speaks HTTP to a server."""

    port: int
    folder: Path

    def __call__(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {"host": HOST, **BEARER, **named})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, content

    def state(self) -> list[dict[str, Any]]:
        return list(json.loads(self("GET", "/state")[2])["recordings"])

    def put(self, name: str, text: str = "fine") -> str:
        status, _, content = self("POST", f"/recordings?name={quote(name)}", text.encode())
        assert status == 201, content
        return str(json.loads(content)["id"])

    def wait(self, token: str, *states: str) -> dict[str, Any]:
        end = time.monotonic() + 20
        while True:
            [one] = [each for each in self.state() if each["id"] == token]
            if one["state"] in states:
                return one
            assert time.monotonic() < end, one
            time.sleep(0.01)


@contextmanager
def serving(folder: Path, limits: Limits = LIMITS) -> Iterator[Client]:
    from audiocli.serve.app import make_app

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with recordings.Recordings(folder, lambda: None, limits) as kept:  # type: ignore
            app = make_app(kept, TOKEN, COOKIE, "127.0.0.1")
            config = uvicorn.Config(app, log_config=None, lifespan="off")
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, args=([listening],))
            thread.start()
            try:
                yield Client(port, folder)
            finally:
                server.should_exit = True
                thread.join()


@pytest.fixture(autouse=True)
def instant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "Resident", Instant)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with serving(tmp_path) as made:
        yield made


def test_only_who_has_the_token_is_answered_and_only_from_the_page(client: Client) -> None:
    def status(method: str = "GET", path: str = "/state", **headers: str) -> int:
        return client(method, path, **{"authorization": "", **headers})[0]

    ours, cookie = f"http://{HOST}", f"{COOKIE}={TOKEN}"
    assert status() == status("GET", "/") == status("GET", "/?token=wrong") == 403
    assert status("GET", "/?token=") == status("GET", "/?token=%ff") == 403
    assert status("GET", f"/state?token={TOKEN}") == 403  # it opens the page alone
    assert status(authorization="Bearer wrong") == status(cookie=f"{COOKIE}=wrong") == 403
    assert status(authorization=f"Bearer {TOKEN}") == status(cookie=cookie) == 200
    for host in ("evil.example", "evil.example:8765", "127.0.0.1.evil.example", "", "[", "a@b:c"):
        assert status(cookie=cookie, host=host) == 403, host
    for host in ("localhost:1", "[::1]:8765", "192.168.0.7"):
        assert status(cookie=cookie, host=host) == 200, host
    put = ("POST", "/recordings?name=a")
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1:8765"):
        assert status(*put, cookie=cookie, origin=origin) == 403, origin
    assert status(*put, cookie=cookie, origin=ours) == 400  # is empty
    for site in ("cross-site", "same-site"):
        assert status(cookie=cookie, sec_fetch_site=site) == 403
        assert status("GET", f"/?token={TOKEN}", sec_fetch_site=site) == 200  # a link in a mail
        assert status("POST", f"/?token={TOKEN}", sec_fetch_site=site) == 403
    assert status(cookie=cookie, sec_fetch_site="same-origin") == 200


def test_the_page_sets_a_cookie_and_runs_its_own_programs_alone(client: Client) -> None:
    _, headers, content = client("GET", f"/?token={TOKEN}", authorization="")
    assert headers["set-cookie"] == f"{COOKIE}={TOKEN}; HttpOnly; SameSite=Strict; Path=/"
    assert TOKEN not in content.decode() and "{{" not in content.decode()
    policy = headers["content-security-policy"]
    assert (
        "'unsafe" not in policy and policy.count("'sha256-") == 2
    )  # 3 scripts, of which 1 is data
    assert "frame-ancestors 'none'" in policy and headers["cache-control"] == "no-store"
    assert "set-cookie" not in client("GET", "/")[1]


def test_recordings_become_files_and_go_when_removed(client: Client) -> None:
    name = "../<i>é\n\u202e.tar/so:ng%2f.mp3"
    token = client.put(name)
    done = client.wait(token, "done")
    assert "\n" not in done["name"] and "\u202e" not in done["name"] and "<i>é" in done["name"]
    assert done["facts"] == {"Key": "A minor"} and done["warnings"] == ["so so"]
    assert [each["called"] for each in done["files"]] == ["so_ng_2f.html", "so_ng_2f.vocals.flac"]
    at = f"/recordings/{token}"
    status, headers, content = client("GET", f"{at}/files/vocals.flac")
    assert status == 200 and len(content) == 104 and "attachment" in headers["content-disposition"]
    status, _, content = client("GET", f"{at}/files/vocals.flac", range="bytes=0-3")
    assert (status, content) == (206, b"fLaC")
    _, headers, _ = client("GET", f"{at}/page")
    assert headers["content-security-policy"].startswith(
        "sandbox allow-scripts; default-src 'none'"
    )
    _, headers, content = client("GET", f"{at}/all.zip")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["so_ng_2f.html", "so_ng_2f.vocals.flac"]
    (client.folder / "mine.txt").write_text("x")
    for path in ("../../mine.txt", "..%2f..%2fmine.txt", f"..%2f{token}.mp3", "", "%00", "nothing"):
        assert client("GET", f"{at}/files/{path}")[0] == 404, path
    assert client("GET", "/recordings/..%2f/page")[0] == 404
    assert client("DELETE", at)[0] == 204 and client("GET", f"{at}/page")[0] == 404
    assert [path.name for path in client.folder.iterdir()] == ["mine.txt"] and not client.state()


def test_what_fails_is_named_and_the_rest_goes_on(client: Client) -> None:
    bad, waits, good = client.put("a.mp3", "bad"), client.put("b.wav", "wait"), client.put("c.wav")
    assert client.wait(bad, "failed")["error"] == "a.mp3: is not audio"
    assert client.wait(waits, "working")["share"] == 0.25
    assert client("POST", f"/recordings/{waits}/cancel")[0] == 204
    client.wait(waits, "cancelled")
    client.wait(good, "done")
    assert client("POST", f"/recordings/{good}/cancel")[0] == 204
    assert client.wait(good, "done")["files"]
    assert {path.name for path in client.folder.iterdir()} == {good}
    assert client("GET", f"/recordings/{bad}/page")[0] == 404
    assert client("GET", f"/recordings/{bad}/all.zip")[0] == 404


def test_more_than_the_limits_is_refused(client: Client) -> None:
    def refused(body: Any, status: int, words: str) -> None:
        found = client("POST", "/recordings?name=big.wav", body)
        assert found[0] == status and words in found[2].decode(), found

    refused(b"", 400, "big.wav: is empty")
    refused(bytes(2001), 413, "larger than 0 MB, the limit")
    refused(iter([bytes(1500), bytes(1500)]), 413, "larger")  # whose length was not stated
    assert list(client.folder.iterdir()) == [] and not client.state()
    fills = client.put("a.wav", "fill" + 500 * " ")
    assert "more than is left" in client.wait(fills, "failed")["error"]
    client.put("b.wav", "wait" + 1500 * " ")
    client.put("c.wav", 1500 * " ")
    refused(bytes(1), 409, "3 recordings are here")
    client("DELETE", f"/recordings/{fills}")
    refused(bytes(1900), 507, "big.wav: recordings and results would take")


def test_an_upload_that_breaks_off_leaves_nothing(client: Client) -> None:
    with socket.create_connection(("127.0.0.1", client.port)) as connection:
        head = f"POST /recordings?name=a.wav HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1000\r\n"
        head += f"Authorization: Bearer {TOKEN}\r\n\r\nsome"
        connection.sendall(head.encode())
        while not client.state():
            time.sleep(0.01)
    while client.state():
        time.sleep(0.01)
    assert list(client.folder.iterdir()) == []


def test_a_port_that_is_taken_and_wrong_options_are_said_in_a_line() -> None:
    def run(*words: str) -> None:
        CliRunner().invoke(cli, ["serve", *words], catch_exceptions=False)

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(UsageError, match=f"--port {port}: is in use by another program"):
            run("--port", port)
    with pytest.raises(UsageError, match="--host 192.0.2.1: cannot be listened on"):
        run("--host", "192.0.2.1", "--port", "0")
    with pytest.raises(UsageError, match="--sections cords: .*chords"):
        run("--sections", "cords")


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(UsageError, match=r"pip install 'audiocli\[serve\]'"):
        CliRunner().invoke(cli, ["serve"], catch_exceptions=False)


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_it_ends_by_a_signal_and_leaves_no_file(
    number: signal.Signals, status: int, tmp_path: Path
) -> None:
    code = (
        "import sys\nfrom audiocli.serve import recordings\n"
        "class Still:\n"
        "    def __init__(self, make_worker): pass\n"
        "    start = close = lambda self: None\n"
        "recordings.Resident = Still\n"
        "from audiocli.cli import main\n"
        "sys.argv = ['audiocli', 'serve', '--port', '0']\nmain()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert process.stdout is not None
    address = urlsplit(process.stdout.readline().strip())
    assert address.hostname == "127.0.0.1" and len(address.query) > 30
    [folder] = tmp_path.iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == status and "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


@browsing
def test_recordings_are_dropped_followed_and_fetched_in_a_browser(tmp_path: Path) -> None:
    folder, kept = tmp_path / "server", tmp_path / "kept"
    folder.mkdir()
    kept.mkdir()
    with serving(folder) as client, open_tab(tmp_path / "profile") as tab:
        where = f"http://127.0.0.1:{client.port}/"
        tab("Page.navigate", url=f"{where}?token={TOKEN}")
        tab.wait(f"document.readyState === 'complete' && location.href === '{where}'")
        dropped = [tmp_path / name for name in ("album", "empty", "bad.mp3", "none.wav")]
        texts = {"album/<b>one.WAV": "fine", "album/cover.jpg": "fine", "album/.two.wav": "fine",
                 "empty/notes.txt": "fine", "bad.mp3": "bad", "none.wav": ""}  # fmt: skip
        for name, content in texts.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(content)
        data = {"items": [], "files": list(map(str, dropped)), "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            tab("Input.dispatchDragEvent", type=kind, x=300, y=250, data=data)
        rows = "[...document.querySelectorAll('.recording')]"
        states = f"{rows}.map(row => row.dataset.state).sort().join()"
        tab.wait(f"{states} === 'done,failed,failed'")
        text = tab.run(f"{rows}.map(row => row.innerText).join()")
        assert "bad.mp3: is not audio" in text and "none.wav: is empty" in text
        assert "album/<b>one.WAV" in text and "A minor" in text and "so so" in text
        trouble = tab.run("document.getElementById('trouble').innerText")
        assert trouble == "empty: no audio in this folder"
        labels = "[...document.querySelectorAll('button, audio, progress, input')].filter(x => !(x"
        assert tab.run(f"{labels}.ariaLabel || x.textContent.trim())).length") == 0

        tab("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(kept))
        tab.run("document.querySelector('.recording details a').click()")
        saved = kept / "_b_one.html"
        end = time.monotonic() + 20
        while not saved.exists():
            assert time.monotonic() < end, list(kept.iterdir())
            time.sleep(0.05)
        for width in (360, 1280):
            tab("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1,
                mobile=False)  # fmt: skip
            assert tab.run("document.documentElement.scrollWidth") <= width
        tab.run(f"{rows}.forEach(row => row.querySelector('.top button').click())")
        tab.wait(f"{rows}.length === 0 && !document.getElementById('none').hidden")

        logged = tab.seen("Runtime.exceptionThrown") + tab.seen("Log.entryAdded")
        assert logged == []
        asked = {event["request"]["url"] for event in tab.seen("Network.requestWillBeSent")}
        assert all(url.startswith((where, "data:")) for url in asked), asked

        # A page of a recording runs, and yet cannot ask this server for anything.
        token = client.put("two.wav")
        client.wait(token, "done")
        tab("Page.navigate", url=f"{where}recordings/{token}/page")
        tab.wait("document.title === 'ran'")
        assert tab.run("self.origin") == "null"
