"""Inputs that are URLs: fetched, named, resumed, and what goes wrong with servers."""

from __future__ import annotations

import csv
import json
import os
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import soundfile

from audiocli.batch import run
from audiocli.batch.inputs import Job, find_inputs
from audiocli.io import urls
from audiocli.tasks.features.files import extract_files

fsspec = pytest.importorskip("fsspec", reason="URLs need fsspec")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("sound") / "a.wav"
    soundfile.write(path, np.random.default_rng(1).normal(scale=0.1, size=8000), 8000)
    return path.read_bytes()


@pytest.fixture
def bucket(sound: bytes) -> Iterator[str]:
    system = fsspec.filesystem("memory")
    for name in ("2.wav", "10.wav", "deep/b.wav", "notes.txt", ".hidden.wav"):
        system.pipe_file(f"/bucket/{name}", sound)
    yield "memory://bucket"
    system.rm("/bucket", recursive=True)


class Server(BaseHTTPRequestHandler):
    """Serves one file well, and badly in the ways of the names."""

    sound: ClassVar[bytes] = b""
    requests: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.requests.append(self.path)
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        name, sent, length = self.path.split("?")[0], self.sound, len(self.sound)
        if name == "/gone.wav":
            self.send_error(404)
            return
        if name == "/once.wav" and len([one for one in self.requests if "once" in one]) < 2:
            self.send_error(503)
            return
        if name == "/cut.wav":
            sent = sent[: len(sent) // 2]
        if name == "/long.wav":
            sent = sent * 2  # more than it says: what it says is read
        self.send_response(200)
        if name != "/endless.wav":
            self.send_header("Content-Length", str(length))
        self.send_header("ETag", '"1"')
        self.end_headers()
        if body:
            self.wfile.write(sent)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def server(sound: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    pytest.importorskip("aiohttp", reason="https needs aiohttp")
    monkeypatch.setattr(urls, "PAUSE", 0.0)
    Server.sound, Server.requests = sound, []
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as serving:
        thread = threading.Thread(target=serving.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_address[1]}"
        serving.shutdown()
        thread.join()


def records(path: Path) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in lines if line.get("record") == "job"]


def outcome(url: str) -> tuple[str, str | None]:
    """Do one job, and tell how it ended."""
    jobs = [Job(item, ()) for item in find_inputs([url], remote=True)]
    seen: list[bytes] = []
    summary = run(
        jobs, lambda: lambda job, progress: (1.0, seen.append(job.input.path.read_bytes())),
        settings={},
    )  # fmt: skip
    assert all(content == Server.sound for content in seen)
    return ("done", None) if not summary.failures else ("failed", summary.failures[0].error)


# --- folders and files in a bucket -----------------------------------------------------------


def test_a_bucket_is_searched_like_a_folder(bucket: str) -> None:
    found = find_inputs([bucket], remote=True)
    assert [item.name for item in found] == [
        f"memory://bucket/{name}" for name in ("10.wav", "2.wav", "deep/b.wav")
    ]
    assert [str(item.relative) for item in found] == [
        "10.wav",
        "2.wav",
        os.path.join("deep", "b.wav"),
    ]
    assert len(find_inputs([f"{bucket}/1*.wav"], remote=True)) == 1
    assert find_inputs([bucket])[0].problem  # only commands that run over files take them


def test_features_of_a_bucket_are_those_of_the_files(
    bucket: str, sound: bytes, tmp_path: Path
) -> None:
    (tmp_path / "2.wav").write_bytes(sound)
    before = set(os.listdir(tempfile.gettempdir()))
    names = {"names": ["rms"]}
    assert extract_files([bucket], tmp_path / "far.csv", **names).done == 3
    assert extract_files([str(tmp_path / "2.wav")], tmp_path / "near.csv", **names).done == 1
    far, near = (
        list(csv.reader((tmp_path / name).read_text().splitlines()))
        for name in ("far.csv", "near.csv")
    )
    assert far[2][0] == "memory://bucket/2.wav" and far[2][1:] == near[1][1:]
    left = set(os.listdir(tempfile.gettempdir())) - before
    assert not [name for name in left if name.startswith("audiocli-")]
    assert records(tmp_path / "far.csv.manifest.jsonl")[0]["path"] == "memory://bucket/10.wav"


def test_resume_skips_what_was_done_and_keeps_it_when_pruning(bucket: str, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    assert extract_files([bucket], table, names=["rms"]).done == 3
    before = table.read_bytes()
    assert extract_files([bucket], table, names=["rms"], resume=True).skipped == 3
    one = extract_files([f"{bucket}/2.wav"], table, names=["rms"], resume=True, prune=True)
    assert (one.skipped, one.pruned) == (1, 0) and table.read_bytes() == before


def test_a_file_url_is_that_file(sound: bytes, tmp_path: Path) -> None:
    (tmp_path / "a b.wav").write_bytes(sound)
    url = (tmp_path / "a b.wav").as_uri()
    (item,) = find_inputs([url], remote=True)
    assert (item.path, item.name, item.url) == (tmp_path / "a b.wav", url, None)


def test_what_is_not_there_fails_and_the_rest_goes_on(bucket: str, tmp_path: Path) -> None:
    summary = extract_files([f"{bucket}/2.wav", f"{bucket}/x.wav", "memory://no"],
                            tmp_path / "t.csv", names=["rms"])  # fmt: skip
    assert (summary.done, summary.failed) == (1, 2)
    assert all("is not there" in str(each.error) for each in summary.failures)


def test_no_password_gets_into_names() -> None:
    url = "https://me:secret@example.org/a%20b.wav?x=1"
    (item,) = find_inputs([url], remote=True)
    assert item.url == url and str(item.relative) == "a b.wav"
    assert "secret" not in item.name + item.label + item.location + str(item.path)


def test_a_kind_of_url_that_nothing_reads(tmp_path: Path) -> None:
    (item,) = find_inputs(["nosuch://a/b.wav"], remote=True)
    assert item.problem and "nosuch" in item.problem


# --- a web server ----------------------------------------------------------------------------


def test_a_file_from_a_server(server: str) -> None:
    assert outcome(f"{server}/a.wav?token=1") == ("done", None)
    assert outcome(f"{server}/endless.wav") == ("done", None)  # of a length that is not said


def test_what_is_longer_than_it_says_never_passes_for_more(server: str) -> None:
    # Whether a client sees the bytes too many depends on when they come.
    status, error = outcome(f"{server}/long.wav")
    assert status == "done" or (error and f"{server}/long.wav: cannot be fetched" in error)


def test_it_is_tried_again(server: str) -> None:
    assert outcome(f"{server}/once.wav") == ("done", None)
    assert Server.requests.count("/once.wav") >= 2


def test_what_is_cut_short_fails_and_says_so(server: str) -> None:
    status, error = outcome(f"{server}/cut.wav")
    assert status == "failed" and error and f"{server}/cut.wav: cannot be fetched" in error
    assert Server.requests.count("/cut.wav") == urls.TRIES


def test_what_is_gone_is_not_tried_again(server: str) -> None:
    status, error = outcome(f"{server}/gone.wav")
    assert status == "failed" and error and "is not there" in error
    assert Server.requests.count("/gone.wav") == 1


def test_what_is_too_large_is_not_stored(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urls, "LARGEST", 100)
    for name in ("a.wav", "endless.wav"):
        status, error = outcome(f"{server}/{name}")
        assert status == "failed" and error and "is larger than" in error


def test_what_comes_too_slowly_is_given_up(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urls, "SILENCE", 0.0)
    monkeypatch.setattr(urls, "SLOWEST", 1 << 60)
    status, error = outcome(f"{server}/a.wav")
    assert status == "failed" and error and "bytes a second" in error


def test_a_file_that_did_not_change_is_not_fetched_again(server: str, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    for expected in ((1, 0), (0, 1)):
        summary = extract_files([f"{server}/a.wav"], table, names=["rms"], resume=True)
        assert (summary.done, summary.skipped) == expected
    assert Server.requests.count("/a.wav") == 1
