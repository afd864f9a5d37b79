"""Shards and URLs as training data: what comes out of them, and what is said of broken ones."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import soundfile
from commands import Run, run  # noqa: F401

from audiocli.errors import AudioCliError, AudioCliWarning, DataError
from audiocli.tasks import data_sources
from audiocli.tasks.classify.clips import Selection, find_clips
from audiocli.tasks.data_sources import local_data

pytestmark = pytest.mark.filterwarnings("default::audiocli.errors.AudioCliWarning")


def sound(pitch: float, seconds: float = 1.0) -> bytes:
    buffer = io.BytesIO()
    time = np.arange(round(8000 * seconds)) / 8000
    soundfile.write(buffer, 0.3 * np.sin(2 * np.pi * pitch * time), 8000, format="WAV")
    return buffer.getvalue()


def make_shard(path: Path, members: Mapping[str, bytes | str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, content in members.items():
            data = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AUDIOCLI_DATA", str(tmp_path / "kept"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "kept"


def test_samples_get_their_labels_and_groups(tmp_path: Path) -> None:
    make_shard(tmp_path / "s-00.tar", {
        "0.wav": sound(300), "0.cls": "3", "1.json": json.dumps({"label": ["a", "b"], "fold": 2}),
        "1.wav": sound(301), "1.txt": "passed over", "deep/0.flac.skip": b"no audio",
    })  # fmt: skip
    make_shard(tmp_path / "s-01.tar.gz", {"0.wav": sound(302), "0.txt": "dog\n", "__x__": b""})
    with pytest.warns(AudioCliWarning, match="1 of its samples has no audio"):
        folder = local_data("s-0{0.tar,1.tar.gz}")
    clips = find_clips(folder, Selection(group="fold"))
    assert [(clip.name, clip.labels, clip.facts["fold"]) for clip in clips] == [
        ("s-00/0.wav", ("3",), ""), ("s-00/1.wav", ("a", "b"), "2"), ("s-01/0.wav", ("dog",), ""),
    ]  # fmt: skip
    assert clips[0].path.read_bytes() == sound(300)
    assert local_data("s-0{0.tar,1.tar.gz}") == folder  # kept
    time.sleep(0.01)
    make_shard(tmp_path / "s-00.tar", {"0.wav": sound(300), "0.cls": "4"})
    assert find_clips(local_data("s-0{0.tar,1.tar.gz}"), Selection())[0].labels == ("4",)


def test_one_recording_in_two_shards_counts_once(tmp_path: Path) -> None:
    for number in range(2):
        make_shard(tmp_path / f"s-{number}.tar", {"a.wav": sound(300), "a.cls": str(number)})
    with pytest.warns(AudioCliWarning, match="1 of its samples repeats the audio of another"):
        folder = local_data("s-{0..1}.tar")
    assert [clip.labels for clip in find_clips(folder, Selection())] == [("0", "1")]


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def unmarked(data: bytes) -> bytes:
    return data.rstrip(b"\0")[: len(data.rstrip(b"\0")) // 512 * 512]


def overwritten(data: bytes) -> bytes:
    place = data.rindex(b"ustar") - 257
    return data[:place] + b"\xff" * 512 + data[place + 512 :]


@pytest.mark.parametrize(("breaking", "reason"), [
    (cut, "is no whole tar file"), (unmarked, "is no whole tar file"),
    (overwritten, "is no whole tar file .no header at byte"), (lambda data: b"no tar" * 200,
    "is no whole tar file"), (lambda data: b"", "is no whole tar file"),
])  # fmt: skip
def test_broken_shards(tmp_path: Path, breaking: object, reason: str) -> None:
    whole = make_shard(tmp_path / "s-0.tar", {"a.wav": sound(300), "a.cls": "1", "b.cls": "2"})
    (tmp_path / "s-1.tar").write_bytes(breaking(whole.read_bytes()))  # type: ignore[operator]
    with pytest.raises(DataError, match=f"^s-1.tar: {reason}") as caught:
        local_data("s-{0..1}.tar")
    assert "\n" not in str(caught.value)
    with pytest.warns(AudioCliWarning, match="s-1.tar: .*; it is left out"):
        folder = local_data("s-{0..1}.tar", skip_unreadable=True)
    assert [clip.name for clip in find_clips(folder, Selection())] == ["s-0/a.wav"]
    assert not (folder / "s-1").exists()


@pytest.mark.parametrize(("members", "reason"), [
    ({"../a.wav": b"x"}, "leads out of it"), ({"/a.wav": b"x"}, "leads out of it"),
    ({"a.wav": b"x", "./a.wav": b"x"}, "twice"), ({"a.txt": b"x"}, "holds no audio"),
    ({"a.wav": b"x", "a.json": b"{"}, "a.json: is no JSON"),
    ({"a.wav": b"x", "a.cls": b"\xff"}, "no text in UTF-8"),
    ({"a.wav": bytes(3000)}, "more than 2e-06 GB"),
])  # fmt: skip
def test_shards_that_are_refused(
    tmp_path: Path, kept: Path, monkeypatch: pytest.MonkeyPatch, members: dict[str, bytes],
    reason: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(data_sources, "_make_room", lambda *_: None)
    monkeypatch.setattr(data_sources, "LIMIT", 2000)
    make_shard(tmp_path / "s.tar", members)
    with pytest.raises(DataError, match=reason):
        local_data("s.tar")
    assert not [each for each in kept.iterdir() if each.is_dir()]
    assert not (tmp_path / "a.wav").exists()


def test_the_cache_is_bounded(kept: Path) -> None:
    import os

    for number in range(3):
        folder = kept / f"{number:024x}"
        folder.mkdir(parents=True)
        (folder / "a").write_bytes(bytes(100))
        used = time.time() - (0 if number == 2 else 1e6 - number)
        os.utime(folder, (used, used))
    data_sources._make_room(kept, 150, limit=400)
    assert sorted(each.name[-1] for each in kept.iterdir()) == ["1", "2"]
    data_sources._make_room(kept, 350, limit=400)  # what was used today stays
    assert [each.name[-1] for each in kept.iterdir()] == ["2"]
    with pytest.raises(DataError, match="may hold"):
        data_sources._make_room(kept, 500, limit=400)


def test_classes_are_trained_from_shards(run: Run, tmp_path: Path) -> None:  # noqa: F811
    for number in range(3):
        make_shard(tmp_path / f"train-{number:03}.tar", {
            name: content for each in range(4) for name, content in (
                (f"{each}.wav", sound((250, 900)[each % 2] + 9 * number + each, 0.5)),
                (f"{each}.cls", ("low", "high")[each % 2]))})  # fmt: skip
    words = ["--arch", "perceptron", "--epochs", 1, "--steps", 2, "--batch-size", 4, "--seconds",
             0.5, "--augment", "none"]  # fmt: skip
    done = run("train", "classify", "train-{000..002}.tar", "-o", "run", *words)
    assert done.status == 0, done.err
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    (data,) = config["training"]["data"]
    assert data["name"] == f"{tmp_path.name}/train-{{000..002}}" and data["clips"] < 12
    assert 'data = ["train-{000..002}.tar"]' in (tmp_path / "run" / "config.toml").read_text()
    missing = run("train", "classify", "train-{002..003}.tar", "-o", "other", *words)
    assert missing.status and "train-003.tar: is not there" in missing.err


def test_onsets_beside_the_audio_of_a_bucket(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec", reason="URLs need fsspec")
    from audiocli.tasks.annotated import find_recordings

    memory = fsspec.filesystem("memory")
    files = {"a.wav": sound(300), "a.onsets": b"0.5\n", "b/c.wav": sound(301), "b/c.onsets": b"",
             ".hidden": b"x"}  # fmt: skip
    for name, content in files.items():
        memory.pipe(f"/bucket/drums/{name}", content)
    memory.pipe("/bucket/labels.csv", b"path,label\ndrums/a.wav,drum\ndrums/b/c.wav,other\n")
    memory.pipe("/bucket/s.tar", make_shard(tmp_path / "s.tar", {"a.wav": sound(1), "a.cls": "x"})
                .read_bytes())  # fmt: skip
    folder = local_data("memory://bucket/drums")
    assert [each.title for each in find_recordings(folder, [".onsets"])] == ["drums/a", "drums/b/c"]
    assert not (folder / ".hidden").exists()
    table = local_data("memory://bucket/labels.csv")
    assert [clip.labels for clip in find_clips(table, Selection())] == [("drum",), ("other",)]
    shard = local_data("memory://bucket/s.tar")
    assert [clip.title for clip in find_clips(shard, Selection())] == ["s/s/a.wav"]
    memory.pipe("/bucket/bad.csv", b"path,label\n../a.wav,drum\n")
    for url, reason in (("memory://bucket/none", "is not there"), ("memory://bucket/bad.csv",
                        "does not lie below the table"), ("https://example.com/data/",
                        "does not list what it holds")):  # fmt: skip
        with pytest.raises(AudioCliError, match=reason):
            local_data(url)
