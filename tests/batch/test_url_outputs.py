"""Outputs that are URLs: whole or not there, never replaced unasked, resumed; what goes wrong."""

from __future__ import annotations

import json
import pickle
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from commands import Run, run  # noqa: F401

import audiocli.batch
from audiocli.batch import Progress, Worker, journal
from audiocli.batch.inputs import Job, find_inputs, plan
from audiocli.batch.manifest import Manifest
from audiocli.errors import AudioCliError, AudioError, UsageError
from audiocli.io import remote, urls
from audiocli.io.atomic import write_bytes, write_whole
from audiocli.io.audio import AudioFormat, AudioWriter
from audiocli.io.remote import RemotePath, place

fsspec = pytest.importorskip("fsspec", reason="URLs need fsspec")


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An empty store in memory; nothing may be left of what is made on the way to it."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setattr(urls, "PAUSE", 0.0)
    system = fsspec.filesystem("memory")
    yield system
    assert not any(scratch.iterdir())
    system.store.clear()


@pytest.fixture(params=["moved", "put"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways into a store: under a hidden name first, or at once as into a bucket."""
    if request.param == "put":
        monkeypatch.setattr(remote, "BUCKETS", frozenset({"memory"}))
    return str(request.param)


def content(system: Any) -> dict[str, str]:
    return {name: system.cat_file(name).decode() for name in sorted(system.find("/"))}


# --- paths -------------------------------------------------------------------------------------


def test_a_url_is_a_path_also_after_it_was_one() -> None:
    for written in ("s3://bucket/a b/x.csv", Path("s3://bucket/a b/x.csv")):
        path = place(written)
        assert isinstance(path, RemotePath) and str(path) == "s3://bucket/a b/x.csv"
        assert str(path.with_name(f"{path.name}.partial")) == "s3://bucket/a b/x.csv.partial"
        assert str(path.parent) == "s3://bucket/a b" and path.suffix == ".csv"
        assert str(path.relative_to(path.parent)) == "x.csv"
        assert pickle.loads(pickle.dumps(path)) == path
    assert str(place("memory://")) == "memory://" and str(place("memory:///a")) == "memory://a"


def test_local_paths_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        place("file:///tmp/a%20b.csv") == Path("/tmp/a b.csv") == place(Path("file:///tmp/a b.csv"))
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s3:").mkdir()
    for path in ("a.csv", "C:/a.csv", "s3:/there/a.csv", "take 1: b.wav"):
        assert type(place(path)) is type(Path())


@pytest.mark.parametrize(
    "url", ["https://x.org/a.csv", "zip://a.csv::s3://b/c.zip", "s3://a/b?c=1"]
)
def test_where_nothing_can_be_written_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="://"):
        place(url)


def test_a_password_is_used_and_not_shown(run: Run) -> None:  # noqa: F811
    path = place("ftp://me:secret@127.0.0.1:1/tables/all.csv")
    assert isinstance(path, RemotePath) and "secret" in path.url
    assert "secret" not in f"{path} {path!r} {path.as_posix()}"
    lost = run("features", "x.wav", "-o", path.url)
    assert lost.status == 1 and "secret" not in lost.err
    assert "ftp://127.0.0.1:1/tables/all.csv" in lost.err and lost.err.count("\n") == 1


def test_no_remote_path_is_opened_by_accident() -> None:
    with pytest.raises(UsageError, match="must be a local file"):
        open(place("memory://a.csv"))


# --- one file ----------------------------------------------------------------------------------


def test_a_file_is_written_once(way: str, store: Any) -> None:
    target = place("memory://new/deep/a [live]*.txt")
    write_bytes(target, b"first")
    with pytest.raises(UsageError, match="exists already; use overwrite"):
        write_bytes(target, b"second")
    assert content(store) == {"/new/deep/a [live]*.txt": "first"}
    write_bytes(target, b"third", overwrite=True)
    assert content(store) == {"/new/deep/a [live]*.txt": "third"}


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), OSError(28, "No space")])
def test_halves_are_not_sent(error: BaseException, store: Any) -> None:
    def fill(partial: Path) -> None:
        assert partial.suffix == ".csv" and partial.parent.stat().st_mode & 0o77 == 0
        partial.write_text("half")
        raise error

    with pytest.raises((type(error), AudioCliError)):
        write_whole(place("memory://a.csv"), fill)
    assert content(store) == {}


def test_sound_is_written(store: Any) -> None:
    format = AudioFormat("wav", "PCM_16")
    with AudioWriter("memory://stems/a.wav", 8000, 1, format) as writer:
        writer.write(np.zeros((1, 800), np.float32))
        assert content(store) == {}
    assert store.cat_file("/stems/a.wav")[:4] == b"RIFF"
    with pytest.raises(AudioError, match="memory://stems/a.wav: is there already"):
        with AudioWriter("memory://stems/a.wav", 8000, 1, format):
            pass


def sending(monkeypatch: pytest.MonkeyPatch, store: Any, *errors: Exception) -> None:
    """Let a store fail so often before it takes what it is sent."""
    left, send = list(errors), type(store).put_file

    def put_file(self: Any, source: str, key: str, mode: str = "overwrite") -> None:
        if left:
            raise left.pop(0)
        send(self, source, key, mode=mode)

    monkeypatch.setattr(type(store), "put_file", put_file)


def test_a_cut_connection_is_tried_again(
    way: str, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending(monkeypatch, store, ConnectionError("cut"), TimeoutError("slow"))
    write_bytes(place("memory://a.txt"), b"x")
    assert content(store) == {"/a.txt": "x"}


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (PermissionError(13, "denied"), "may not be written; check your credentials"),
        (FileNotFoundError("no bucket"), "its bucket or folder is not there; make it first"),
        (ConnectionError("cut\nhere"), r"cannot be written \(cut\\nhere\); try again later"),
    ],
)
def test_what_goes_wrong_is_a_line_with_the_url(
    way: str, store: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, says: str
) -> None:
    sending(monkeypatch, store, *[error] * 9)
    with pytest.raises(AudioCliError, match=f"^memory://b/a.txt: {says}"):
        write_bytes(place("memory://b/a.txt"), b"x")
    assert content(store) == {}


def test_what_did_not_arrive_whole_is_not_there(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        type(store), "put_file", lambda self, source, key: self.pipe_file(key, b"ha")
    )
    with pytest.raises(AudioCliError, match="2 of its 4 bytes arrived"):
        write_bytes(place("memory://a.txt"), b"half")
    assert content(store) == {}


def test_an_answer_that_is_lost_is_no_file_of_others(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "BUCKETS", frozenset({"memory"}))
    send = type(store).put_file

    def lost(self: Any, source: str, key: str, mode: str = "overwrite") -> None:
        send(self, source, key, mode=mode)
        raise ConnectionError("no answer")

    monkeypatch.setattr(type(store), "put_file", lost)
    write_bytes(place("memory://a.txt"), b"mine")
    store.pipe_file("/b.txt", b"of others")
    with pytest.raises(UsageError, match="exists already"):
        write_bytes(place("memory://b.txt"), b"mine")
    assert content(store) == {"/a.txt": "mine", "/b.txt": "of others"}


def test_what_is_there_is_found_in_few_requests(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = [place(f"memory://out/{folder}/{name}.txt") for folder in range(40) for name in "ab"]
    for path in there[::2]:
        write_bytes(path, b"x")
    requests: list[str] = []
    for name in ("info", "ls", "find"):
        ask = getattr(type(store), name)
        monkeypatch.setattr(type(store), name, lambda *given, ask=ask, name=name, **more: (
            requests.append(name) or ask(*given, **more)))  # fmt: skip
    assert remote.present([*there, Path("local.txt")]) == frozenset(there[::2])
    assert requests[0] == "find" and "info" not in requests
    requests.clear()
    one = [place(f"memory://out/3/{name}.txt") for name in "abcdefg"]
    assert remote.present(one) == {one[0]} and requests == ["ls"]


# --- runs ----------------------------------------------------------------------------------------


def copy(job: Job, progress: Progress) -> tuple[float, str]:
    text = job.input.path.read_text()
    if text == "stop":
        raise KeyboardInterrupt
    if text == "bad":
        raise AudioError("no audio in it")
    for output in job.outputs:
        write_bytes(output, text.encode(), overwrite=job.replace)
    return 1.0, text


def make_copy() -> Worker:
    return copy


def copied(folder: Path, *, resume: bool = False, overwrite: bool = False) -> Any:
    jobs = plan(find_inputs([str(folder)], extensions=["txt"]),
                lambda item: [place("memory://out") / item.relative],
                resume=resume, overwrite=overwrite)  # fmt: skip
    return audiocli.batch.run(jobs, make_copy, settings={"window": 1}, resume=resume,
                              manifest=place("memory://out/audiocli.jsonl"))  # fmt: skip


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.txt").write_text(name)
    return folder


def test_a_run_and_one_that_resumes(texts: Path, store: Any) -> None:
    (texts / "b.txt").write_text("bad")
    summary = copied(texts)
    assert (summary.done, summary.failed) == (2, 1)
    found = content(store)
    records = list(map(json.loads, found.pop("/out/audiocli.jsonl").splitlines()))
    assert found == {"/out/a.txt": "a", "/out/c.txt": "c"}
    jobs = {Path(each["input"]).name: each for each in records if each["record"] == "job"}
    assert jobs["a.txt"]["outputs"] == ["a.txt"] and jobs["b.txt"]["status"] == "failed"
    with pytest.raises(UsageError, match=r"memory://out/a.txt: exists already \(and 1 more\)"):
        copied(texts)
    (texts / "b.txt").write_text("good")
    (texts / "c.txt").write_text("changed")
    summary = copied(texts, resume=True)
    assert (summary.done, summary.skipped, summary.failed) == (2, 1, 0)
    assert copied(texts, resume=True).skipped == 3
    assert store.cat_file("/out/c.txt") == b"changed"


def test_what_others_put_there_stays(texts: Path, store: Any) -> None:
    store.pipe_file("/out/b.txt", b"of others")
    summary = copied(texts, resume=True)
    assert (summary.done, summary.failed) == (2, 1)
    assert "no earlier run" in str(summary.failures[0].error)
    assert store.cat_file("/out/b.txt") == b"of others"


def test_a_killed_run_is_resumed(
    texts: Path, store: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What was announced is known to be its own, and what was not sent is done again."""
    with monkeypatch.context() as killed:
        (texts / "c.txt").write_text("stop")
        killed.setattr(Manifest, "close", lambda self: (
            self._claim._released.set(), self._file.close(), self._journal.close()))  # fmt: skip
        with pytest.raises(KeyboardInterrupt):
            copied(texts)
    assert {"/out/a.txt", "/out/b.txt", "/out/audiocli.jsonl.lock"} < set(content(store))
    assert "/out/audiocli.jsonl" not in content(store)
    with pytest.raises(UsageError, match="another audiocli is writing here"):
        copied(texts, resume=True)  # this process has not ended
    lock = {"machine": "another", "process": 1, "time": time.time() - journal.VOID - 1}
    store.pipe_file("/out/audiocli.jsonl.lock", json.dumps(lock).encode())
    (texts / "c.txt").write_text("c")
    assert copied(texts, resume=True).done == 3
    assert set(content(store)) == {f"/out/{name}" for name in
                                   ("a.txt", "b.txt", "c.txt", "audiocli.jsonl")}  # fmt: skip


@pytest.mark.parametrize(
    ("lock", "held"),
    [
        ({"machine": "another", "process": 1, "time": time.time() + 3600}, True),
        ({"machine": journal.platform.node(), "process": 2**22 + 9, "time": 0}, False),
        ({}, False),
    ],
)
def test_a_lock_counts_while_its_process_lives(
    lock: dict[str, Any], held: bool, store: Any
) -> None:
    store.pipe_file("/m.jsonl.lock", json.dumps(lock).encode())
    if held:
        with pytest.raises(UsageError, match="another audiocli is writing here"):
            journal.Claim(place("memory://m.jsonl"))
        return
    claim = journal.Claim(place("memory://m.jsonl"))
    with pytest.raises(UsageError, match="another audiocli is writing here"):
        journal.Claim(place("memory://m.jsonl"))
    claim.release()
    assert content(store) == {}


def test_prune_and_a_manifest_that_is_here(texts: Path, store: Any, tmp_path: Path) -> None:
    def go(*, resume: bool) -> Any:
        jobs = plan(find_inputs([str(texts)], extensions=["txt"]),
                    lambda item: [place("memory://out") / item.relative],
                    resume=resume)  # fmt: skip
        return audiocli.batch.run(jobs, make_copy, settings={}, resume=resume, prune=resume,
                                  manifest=tmp_path / "m.jsonl")  # fmt: skip

    assert go(resume=False).done == 3
    (texts / "a.txt").unlink()
    summary = go(resume=True)
    assert (summary.skipped, summary.pruned) == (2, 1)
    assert set(content(store)) == {"/out/b.txt", "/out/c.txt"}


# --- commands ------------------------------------------------------------------------------------


@pytest.fixture
def songs(tmp_path: Path) -> None:
    for seed, name in enumerate("ab"):
        noise = np.random.default_rng(seed).normal(scale=0.1, size=8000)
        soundfile.write(tmp_path / f"{name}.wav", noise, 8000)


@pytest.mark.parametrize("form", ["csv", "sqlite"])
def test_a_table_grows(
    form: str,
    run: Run,  # noqa: F811
    songs: None,
    store: Any,
    tmp_path: Path,  # noqa: F811
) -> None:
    words = ("features", "--set", "rms", "-q")
    assert run(*words, "a.wav", "-o", f"memory://t/all.{form}").status == 0
    assert run(*words, "a.wav", "b.wav", "-o", f"memory://t/all.{form}", "--resume").status == 0
    assert run(*words, "a.wav", "b.wav", "-o", f"here.{form}").status == 0
    if form == "csv":  # a database says when it was made
        assert store.cat_file("/t/all.csv") == (tmp_path / "here.csv").read_bytes()
    assert sorted(store.find("/")) == [f"/t/all.{form}", f"/t/all.{form}.manifest.jsonl"]
    refused = run(*words, "a.wav", "-o", f"memory://t/all.{form}")
    assert refused.status == 2 and f"memory://t/all.{form}: exists already" in refused.err


def test_rows_of_a_killed_run_are_kept(
    run: Run,  # noqa: F811
    songs: None,
    store: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = ("features", "--set", "rms", "a.wav", "b.wav", "-o", "memory://all.csv")
    with monkeypatch.context() as killed:
        killed.setattr(remote, "BUCKETS", frozenset({"memory"}))
        send = type(store).put_file

        def refuse(self: Any, source: str, key: str, mode: str = "overwrite") -> None:
            if key == "/all.csv":
                raise PermissionError
            send(self, source, key, mode=mode)

        killed.setattr(type(store), "put_file", refuse)
        lost = run(*words)
    assert lost.status == 1 and "memory://all.csv: may not be written" in lost.err
    assert any(name.startswith("/all.csv.partial.pieces/") for name in store.find("/"))
    kept = run(*words)
    assert kept.status == 2 and "rows of a run that was stopped" in kept.err
    done = run(*words, "--resume", "-v")
    assert "all 2 inputs were done before" in done.err
    assert store.cat_file("/all.csv").count(b"\n") == 3
    assert sorted(store.find("/")) == ["/all.csv", "/all.csv.manifest.jsonl"]


def test_a_dry_run_shows_urls_and_writes_nothing(
    run: Run,  # noqa: F811
    songs: None,
    store: Any,
) -> None:
    store.pipe_file("/on/a.csv", b"")
    words = ("onsets", "a.wav", "b.wav", "-o", "memory://on", "--format")
    planned = run(*words, "csv", "--dry-run", "--resume")
    assert "a.wav -> memory://on/a.csv\n" in planned.out
    assert "manifest: memory://on/audiocli.jsonl" in planned.out
    assert content(store) == {"/on/a.csv": ""}
    lines = run(*words, "json", "--dry-run", "--plot", "memory://on/").out.splitlines()
    assert json.loads(lines[0])["outputs"] == ["memory://on/a.json", "memory://on/a.png"]


def test_copies_with_tags_go_into_a_store(run: Run, songs: None, store: Any) -> None:  # noqa: F811
    words = ("--fields", "file,level", "--write", "--copies", "memory://copies")
    done = run("analyze", "a.wav", *words, "-o", "memory://all.csv", "-q")
    assert done.status == 0 and store.cat_file("/copies/a.wav")[:4] == b"RIFF"
    undo = run("analyze", "--undo", "-o", "memory://all.csv")
    assert undo.status == 2 and "must be a local file" in undo.err


def test_an_input_in_a_store_is_not_replaced(run: Run, store: Any) -> None:  # noqa: F811
    store.pipe_file("/a.csv", b"x")
    lost = run("features", "memory://a.csv", "-o", "memory://a.csv", "--overwrite")
    assert lost.status == 2 and "memory://a.csv: is an input" in lost.err


def test_memory_is_of_one_process(run: Run, songs: None) -> None:  # noqa: F811
    lost = run("onsets", "a.wav", "b.wav", "-o", "memory://on", "-j", "2")
    assert lost.status == 2 and "is in the memory of one process" in lost.err


@pytest.mark.parametrize(
    "words",
    [
        ["merge", "s3://name:secret@b/1.csv", "-o", "all.csv"],
        ["merge", "1.csv", "-o", "s3://name:secret@b/all.csv"],
        ["onsets", "a.wav", "--log", "s3://name:secret@b/log.jsonl"],
    ],
)
def test_what_takes_local_files_alone_says_so(run: Run, words: list[str]) -> None:  # noqa: F811
    done = run(*words)
    assert done.status == 2 and "is a URL" in done.err
    assert "secret" not in done.err
