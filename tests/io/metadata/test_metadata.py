"""Genres and moods go into the metadata of files of every kind, and leave their sound as it is."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import mutagen
import numpy as np
import pytest
import soundfile
from audiofiles import encode, tone
from hypothesis import given, settings
from hypothesis import strategies as st
from mutagen.id3 import ID3, TALB, TCON
from mutagen.mp4 import MP4Tags

from audiocli.batch.destination import Destination
from audiocli.errors import AudioCliError, AudioError, UsageError
from audiocli.io.audio import read
from audiocli.io.metadata import KINDS, Tags, write_tags
from audiocli.tasks.classify.decisions import Track
from audiocli.tasks.classify.results import FORMATS, ClassifyRequest, describe, destination, render

FORMS = {"wav": ("WAV", "PCM_16"), "aiff": ("AIFF", "PCM_24"), "flac": ("FLAC", "PCM_16"),
         "ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS"), "mp3": ("MP3", "MPEG_LAYER_III"),
         "oga": ("OGG", "VORBIS")}  # fmt: skip


def write(source: Path, target: Path, genres: list[str], moods: list[str], **kinds: Any) -> None:
    write_tags(source, target, Tags({"genre": genres, "mood": moods}), **kinds)


def make(path: Path, kind: str) -> Path:
    if kind == "m4a":
        encode(path, "aac", tone(0.3), format="ipod")
    else:
        container, coding = FORMS[kind]
        soundfile.write(path, tone(0.3, rate=48_000).T, 48_000, format=container, subtype=coding)
    return path


def genres_and_moods(path: Path) -> tuple[list[str], list[str]]:
    tags: Any = mutagen.File(path).tags
    if isinstance(tags, ID3):
        return tuple([*tags[name].text] if name in tags else [] for name in ("TCON", "TMOO"))
    if isinstance(tags, MP4Tags):
        mood = tags.get("----:com.apple.iTunes:MOOD", [])
        return tags["\xa9gen"], [bytes(each).decode() for each in mood]
    return tags.get("genre", []), tags.get("mood", [])


def only(folder: Path, *names: str) -> bool:
    return sorted(os.listdir(folder)) == sorted(names)


@pytest.mark.parametrize("kind", [*KINDS, "oga"])
def test_every_kind_keeps_its_sound(tmp_path: Path, kind: str) -> None:
    song, copy = make(tmp_path / f"a.{kind}", kind), tmp_path / "new" / f"b.{kind}"
    before = song.read_bytes()
    write(song, copy, ["rock", "folk/wörld"], ["dark"])
    assert song.read_bytes() == before
    assert genres_and_moods(copy) == (["rock", "folk/wörld"], ["dark"])
    for ours, theirs in zip(read(song), read(copy), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert only(tmp_path / "new", copy.name)
    # Once more, in place: what was there is replaced, and only that.
    write(copy, copy, ["jazz"], [])
    assert genres_and_moods(copy) == (["jazz"], ["dark"])
    np.testing.assert_array_equal(read(song)[0], read(copy)[0])
    assert only(tmp_path / "new", copy.name)


def test_other_metadata_stay(tmp_path: Path) -> None:
    for kind in ("mp3", "wav"):
        song = make(tmp_path / f"a.{kind}", kind)
        file = mutagen.File(song)
        file.add_tags()
        file.tags.add(TALB(encoding=3, text=["Album"]))
        file.tags.add(TCON(encoding=3, text=["Old"]))
        file.save()
        write(song, song, ["new"], [])
        assert mutagen.File(song).tags["TALB"].text == ["Album"]
        assert genres_and_moods(song) == (["new"], [])
    flac = make(tmp_path / "a.flac", "flac")
    file = mutagen.File(flac)
    file["title"] = "Song"
    file.save()
    write(flac, flac, [], ["calm"])
    assert mutagen.File(flac)["title"] == ["Song"]


def test_nothing_to_write_gives_the_same_bytes(tmp_path: Path) -> None:
    song = make(tmp_path / "a.mp3", "mp3")
    write(song, tmp_path / "b.mp3", [], [])
    assert (tmp_path / "b.mp3").read_bytes() == song.read_bytes()


def test_the_content_decides_and_not_the_name(tmp_path: Path) -> None:
    song = make(tmp_path / "a.mp3", "flac")
    write(song, song, ["rock"], [])
    assert song.read_bytes()[:4] == b"fLaC"
    assert mutagen.flac.FLAC(song)["genre"] == ["rock"]


@pytest.mark.skipif(os.name == "nt", reason="links and permissions")
def test_links_and_permissions_stay(tmp_path: Path) -> None:
    song = make(tmp_path / "a.wav", "wav")
    song.chmod(0o640)
    link = tmp_path / "link.wav"
    link.symlink_to(song)
    write(link, link, ["rock"], [])
    assert link.is_symlink() and genres_and_moods(song) == (["rock"], [])
    assert song.stat().st_mode & 0o777 == 0o640


def test_what_is_there_is_not_lost(tmp_path: Path) -> None:
    song, other = make(tmp_path / "a.wav", "wav"), tmp_path / "b.wav"
    other.write_bytes(b"precious")
    with pytest.raises(UsageError, match="exists already"):
        write(song, other, ["rock"], [])
    assert other.read_bytes() == b"precious"
    write(song, other, ["rock"], [], overwrite=True)
    assert genres_and_moods(other) == (["rock"], [])
    with pytest.raises(AudioCliError):
        write(tmp_path / "none.wav", tmp_path / "c.wav", ["rock"], [])
    assert only(tmp_path, "a.wav", "b.wav")


def streamed(path: Path) -> Path:
    """A WAV file whose sizes were not known when it was begun."""
    data = bytearray(make(path, "wav").read_bytes())
    data[4:8] = data[40:44] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(data)
    return path


def test_other_kinds_and_damaged_files_are_left_alone(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.au", tone(0.1).T, 44_100)
    (tmp_path / "empty.wav").touch()
    (tmp_path / "cut.flac").write_bytes(make(tmp_path / "x.flac", "flac").read_bytes()[:30])
    (tmp_path / "x.flac").unlink()
    streamed(tmp_path / "pipe.wav")
    for name in ("a.au", "empty.wav", "cut.flac", "pipe.wav"):
        song = tmp_path / name
        before = song.read_bytes()
        for target in (song, tmp_path / f"copy-{name}"):
            with pytest.raises(AudioError) as caught:
                write(song, target, ["rock"], [], name="shown")
            assert str(caught.value).startswith("shown: ") and "\n" not in str(caught.value)
        assert song.read_bytes() == before
    assert only(tmp_path, "a.au", "cut.flac", "empty.wav", "pipe.wav")


@settings(max_examples=30)
@given(st.binary(max_size=80))
def test_any_bytes_are_an_error_and_no_crash(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    folder = tmp_path_factory.mktemp("any")
    for start in (b"", b"OggS", b"fLaC", b"ID3", b"\xff\xfb\x90\x00", b"RIFF\0\0\0\0WAVE",
                  b"FORM\0\0\0\0AIFF", b"\0\0\0\x20ftypM4A "):  # fmt: skip
        song = folder / "song"
        song.write_bytes(start + data)
        with pytest.raises(AudioError):
            write(song, song, ["rock"], [])
        assert song.read_bytes() == start + data


def track(task: str, rows: list[list[float]], threshold: float = 0.0) -> Track:
    starts = np.arange(float(len(rows)))
    labels = tuple("abc"[: len(rows[0])])
    values = np.array(rows, np.float32)
    return Track("m", task, labels, values, starts, starts + 1, float(len(rows)), threshold)


def test_rows_of_each_format() -> None:
    one = track("classify", [[0.2, 0.5, 0.3]])
    for form in FORMATS:
        text = render(describe([one], ClassifyRequest(form), "x.wav"), form)
        assert text.endswith("\n") and "b" in text, form
    labels = {form: [row["label"] for row in describe([one], ClassifyRequest(form), "x").rows]
              for form in FORMATS}  # fmt: skip
    assert labels["csv"] == labels["json"] == labels["jsonl"] == ["b", "c", "a"]
    assert labels["txt"] == ["b"]
    both = describe([one, track("tag", [[0.9, 0.1]], 0.5)], ClassifyRequest("txt"), "x.wav")
    assert render(both, "txt", named=False) == "b\t0.5000\tm\na\t0.9000\ttag/m\n"
    assert both.tasks == ("m", "tag/m")


def test_tags_by_threshold_and_top() -> None:
    one = track("tag", [[0.9, 0.6, 0.2]], 0.5)

    def found(form: str, **more: Any) -> list[str]:
        return [row["label"] for row in describe([one], ClassifyRequest(form, **more), "x").rows]

    assert found("txt") == ["a", "b"]
    assert found("csv") == ["a", "b", "c"]
    assert found("txt", top=3) == ["a", "b", "c"]
    assert found("csv", threshold=0.5) == ["a", "b"]
    assert found("csv", threshold=0.1, top=2) == ["a", "b"]
    assert found("txt", threshold=0.95) == []
    assert render(describe([one], ClassifyRequest("txt", threshold=0.95), "x"), "txt") == ""
    told = render(describe([one], ClassifyRequest("json", threshold=0.95), "x"), "json")
    expected = {"schema": "audiocli/1", "file": "x", "duration": 1.0, "tasks": {"tag/m": []}}
    assert json.loads(told) == expected


def test_destinations(tmp_path: Path) -> None:
    def to(name: str, form: str | None = None, *, folder: bool = False) -> Any:
        return destination(tmp_path / name, ClassifyRequest(form), folder=folder)

    assert destination(None, ClassifyRequest(), folder=False) == Destination("txt")
    assert to("a.json") == Destination("json", file=tmp_path / "a.json")
    assert to("a.txt").form == "txt" and to("a.txt", "audacity").form == "audacity"
    assert to("out", "lab") == Destination("lab", folder=tmp_path / "out")
    (tmp_path / "file").touch()
    (tmp_path / "v1.csv").mkdir()
    assert to("v1.csv") == Destination("txt", folder=tmp_path / "v1.csv")
    for name, folder in (("file", False), ("file", True), ("a.csv", True)):
        with pytest.raises(UsageError, match="folder"):
            to(name, folder=folder)
