"""Inputs, results and training data in a bucket, behind a local server that speaks S3 (moto)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from commands import Run, run  # noqa: F401

from audiocli.batch.inputs import find_inputs
from audiocli.errors import AudioError, UsageError
from audiocli.io import urls
from audiocli.io.atomic import write_bytes
from audiocli.io.remote import place

s3fs = pytest.importorskip("s3fs", reason="buckets need s3fs: pip install 'audiocli[s3]'")
server = pytest.importorskip("moto.server", reason="needs a local S3: pip install 'moto[server]'")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Serve a bucket with two songs, found by the variables that clients of AWS know."""
    local = server.ThreadedMotoServer(port=0)
    local.start()
    host, port = local.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "*",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    system = s3fs.S3FileSystem()
    if not system.exists("music"):  # moto keeps its buckets when a server ends
        system.mkdir("music")
    for name, pitch in (("a.wav", 300), ("deep/b c.wav", 500)):
        system.pipe(f"music/takes/{name}", sound(pitch))
        system.pipe(f"music/takes/{name[:-4]}.onsets", b"0.5\n")
    yield system
    s3fs.S3FileSystem.clear_instance_cache()
    local.stop()


def sound(pitch: float) -> bytes:
    buffer = io.BytesIO()
    signal = 0.3 * np.sin(2 * np.pi * pitch * np.arange(8000) / 8000)
    soundfile.write(buffer, signal, 8000, format="WAV")
    return buffer.getvalue()


def test_a_bucket_is_searched_fetched_and_resumed_from(
    run: Run,  # noqa: F811
    bucket: s3fs.S3FileSystem,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,  # noqa: F811
) -> None:
    found = find_inputs(["s3://music/takes"], remote=True)
    names = ["s3://music/takes/a.wav", "s3://music/takes/deep/b c.wav"]
    assert [item.label for item in found] == names
    assert len(find_inputs(["s3://music/takes/*.wav"], remote=True)) == 1
    words = ("features", "s3://music/takes", "--set", "rms", "-o", "all.csv", "-q")
    assert run(*words).status == 0
    table = (tmp_path / "all.csv").read_text()
    assert [line.split(",")[0] for line in table.splitlines()] == ["file", *names]
    fetched: list[str] = []
    fetch = urls._copy

    def noted(url: str, path: Path, shown: str) -> None:
        fetched.append(url)
        fetch(url, path, shown)

    monkeypatch.setattr(urls, "_copy", noted)
    bucket.pipe("music/takes/a.wav", sound(400))  # another ETag
    s3fs.S3FileSystem.clear_instance_cache()
    assert run(*words, "--resume").status == 0
    assert fetched == ["s3://music/takes/a.wav"]
    lost = run("features", "s3://music/none.wav", "s3://music/takes/a.wav", "--set", "rms")
    assert lost.status == 1 and "s3://music/none.wav: is not there" in lost.err


def test_results_go_into_a_bucket(
    run: Run,  # noqa: F811
    bucket: s3fs.S3FileSystem,
    tmp_path: Path,
) -> None:
    words = ("features", "s3://music/takes", "--set", "rms", "-q")
    assert run(*words, "-o", "s3://music/tables/all.csv").status == 0
    assert run(*words, "-o", "here.csv").status == 0
    assert bucket.cat_file("music/tables/all.csv") == (tmp_path / "here.csv").read_bytes()
    again = run(*words, "-o", "s3://music/tables/all.csv")
    assert again.status == 2 and "s3://music/tables/all.csv: exists already" in again.err
    assert run(*words, "-o", "s3://music/tables/all.csv", "--resume").status == 0
    bucket.invalidate_cache()
    assert sorted(bucket.find("music/tables")) == [
        f"music/tables/all.csv{more}" for more in ("", ".manifest.jsonl")
    ]
    with pytest.raises(UsageError, match="exists already"):
        write_bytes(place("s3://music/takes/a.wav"), b"lost")
    with pytest.raises(FileExistsError):  # the bucket itself refuses
        bucket.put_file(str(tmp_path / "here.csv"), "music/tables/all.csv", mode="create")
    lost = run(*words, "-o", "s3://nowhere/all.csv")
    assert lost.status == 1 and "its bucket or folder is not there" in lost.err
    assert lost.err.count("\n") == 1
    bucket.rm("music/tables", recursive=True)


def test_training_data_in_a_bucket(
    bucket: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from audiocli.tasks.annotated import find_recordings
    from audiocli.tasks.data_sources import local_data

    monkeypatch.setenv("AUDIOCLI_DATA", str(tmp_path / "kept"))
    folder = local_data("s3://music/takes")
    names = [each.title for each in find_recordings(folder, [".onsets"])]
    assert names == ["takes/a", "takes/deep/b c"] and local_data("s3://music/takes") == folder
    with pytest.raises(AudioError, match="s3://nowhere/x: "):
        local_data("s3://nowhere/x")
