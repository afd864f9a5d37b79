"""What stems are besides their samples: at which level, and with which metadata."""

from __future__ import annotations

import json
import struct
import wave
from pathlib import Path

import mutagen
import numpy as np
import pytest
import soundfile as sf
from commands import Run, run

from audiocli.errors import AudioCliWarning, UsageError
from audiocli.io.audio import AudioFormat, AudioWriter, read
from audiocli.io.metadata import Cover, Tags, put_tags, read_metadata, read_tags
from audiocli.tasks.separate import Separator, separate_file
from audiocli.tasks.separate.separator import decode

__all__ = ["run"]  # a fixture

RATE = 8000
STEMS = ("vocals", "accompaniment")
COVER = Cover(b"\x89PNG\r\n\x1a\n" + bytes(40), "image/png")


class Halves(Separator):
    """Takes 0.6 of the mixture for the vocals."""

    stems = STEMS

    def __init__(self) -> None:
        pass

    def blocks(self, mixture, sample_rate, level):  # type: ignore[no-untyped-def]
        for block in mixture:
            yield decode(block, 0.6 * block[np.newaxis])


def song(path: Path, peak: float = 0.5, subtype: str = "PCM_16") -> Path:
    time = np.arange(RATE) / RATE
    tone = (peak * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    with AudioWriter(path, RATE, 1, AudioFormat(path.suffix[1:], subtype)) as writer:
        writer.write(tone[np.newaxis])
    return path


def outputs(folder: Path, extension: str) -> dict[str, Path]:
    return {stem: folder / f"{stem}.{extension}" for stem in STEMS}


def test_rescaling_is_told(tmp_path: Path) -> None:
    loud = song(tmp_path / "loud.wav", 2.0, "FLOAT")
    with pytest.warns(AudioCliWarning, match=r"6\.02 dB softer .*clip float"):
        done = separate_file(Halves(), loud, outputs(tmp_path, "flac"), container="flac")
    assert done.facts == {"gain_db": -6.02}


def test_clamping_keeps_the_level_and_is_told(tmp_path: Path) -> None:
    loud = song(tmp_path / "loud.wav", 2.0, "FLOAT")
    files = outputs(tmp_path, "flac")
    with pytest.warns(AudioCliWarning, match="samples of its stems were clipped"):
        done = separate_file(Halves(), loud, files, container="flac", clip="clamp")
    mixture = read(loud)[0]
    assert done.gain == 1
    assert done.facts == {"clamped_samples": int((np.abs(0.6 * mixture) > 1).sum())}
    vocals = read(files["vocals"])[0]
    assert np.abs(vocals - np.clip(0.6 * mixture, -1, 1)).max() < 1e-3


@pytest.mark.parametrize("subtype", ["FLOAT", "PCM_16"])
def test_float_keeps_the_level(tmp_path: Path, subtype: str) -> None:
    loud = song(tmp_path / "loud.wav", 2.0 if subtype == "FLOAT" else 0.9, subtype)
    files = outputs(tmp_path, "wav")
    done = separate_file(Halves(), loud, files, clip="float")
    assert (done.gain, done.facts) == (1, {})
    assert all(sf.info(path).subtype == "FLOAT" for path in files.values())
    total = sum(read(path)[0] for path in files.values())
    assert np.abs(total - read(loud)[0]).max() < 1e-6


@pytest.mark.parametrize(
    "wanted", [{"container": "flac"}, {"container": "mp3"}, {"bits": 16}], ids=str
)
def test_float_is_refused_where_the_format_has_none(tmp_path: Path, wanted: dict) -> None:
    source = song(tmp_path / "a.wav")
    with pytest.raises(UsageError, match="^clip float"):
        separate_file(Halves(), source, outputs(tmp_path, "x"), clip="float", **wanted)


def test_clipping_by_the_command(run: Run, tmp_path: Path) -> None:
    song(tmp_path / "loud.wav", 4.0, "FLOAT")
    model = ["--model", "drnn-mir1k", "-v"]
    done = run("separate", "loud.wav", *model, "--format", "flac", "-o", "a")
    assert done.status == 0
    assert "warning: loud.wav: its stems are 12." in done.err
    assert "loud.wav: stems: all -12." in done.err
    record = json.loads((tmp_path / "a" / "audiocli.jsonl").read_text().splitlines()[-1])
    assert record["facts"]["gain_db"] < -12
    assert "softer" in record["warnings"][0]
    done = run("separate", "loud.wav", *model, "--clip", "float", "-o", "b")
    assert done.status == 0 and "softer" not in done.err
    assert "at the input's level" in done.err
    done = run("separate", "loud.wav", *model, "--clip", "float", "--format", "flac", "-o", "c")
    assert done.status == 2 and "--clip float" in done.err


@pytest.mark.parametrize("before", ["wav", "flac", "mp3", "ogg"])
@pytest.mark.parametrize("after", ["wav", "flac", "mp3", "ogg"])
def test_tags_and_cover_go_along(tmp_path: Path, before: str, after: str) -> None:
    subtype = {"wav": "PCM_16", "flac": "PCM_16", "mp3": "MPEG_LAYER_III", "ogg": "VORBIS"}[before]
    source = song(tmp_path / f"a.{before}", subtype=subtype)
    tags = Tags({"title": ("A song",), "artist": ("Somebody", "Another")}, (COVER,))
    put_tags(source, tags)
    files = outputs(tmp_path, after)
    separate_file(Halves(), source, files, container=after)
    for path in files.values():
        found = read_tags(path)
        assert found.values["title"] == ("A song",)
        assert found.values["artist"] == ("Somebody", "Another")
        assert [cover.data for cover in found.covers] == [COVER.data]
        assert read(path)[0].shape[1] == pytest.approx(RATE, abs=0 if after != "mp3" else 2500)


def test_without_metadata_there_are_none(tmp_path: Path) -> None:
    source = song(tmp_path / "a.flac")
    put_tags(source, Tags({"title": ("A song",)}, (COVER,)))
    separate_file(Halves(), source, outputs(tmp_path, "flac"), metadata=False)
    assert not read_tags(tmp_path / "vocals.flac")
    assert not mutagen.File(tmp_path / "vocals.flac").tags


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def broadcast_wave(path: Path, reference: int = 123_456_789_012) -> Path:
    """A second of 16 bits with the chunks that editors write, some before the samples."""
    time = np.arange(RATE) / RATE
    samples = np.round(10_000 * np.sin(2 * np.pi * 330 * time)).astype("<i2").tobytes()
    bext = bytearray(b"Take 3".ljust(256, b"\0") + b"Recorder".ljust(32, b"\0") + bytes(314))
    struct.pack_into("<Q", bext, 338, reference)
    cue = struct.pack("<IIIIIII", 1, 1, 100, 0x61746164, 0, 0, 100)
    body = (
        b"WAVE"
        + chunk(b"bext", bytes(bext))
        + chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16))
        + chunk(b"data", samples)
        + chunk(b"cue ", cue)
        + chunk(b"LIST", b"adtl" + chunk(b"labl", struct.pack("<I", 1) + b"verse\0"))
        + chunk(b"LIST", b"INFO" + chunk(b"INAM", b"A song\0"))
        + chunk(b"iXML", b"<BWFXML/>")
    )
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


def test_chunks_of_a_broadcast_wave_go_along(tmp_path: Path) -> None:
    source = broadcast_wave(tmp_path / "a.wav")
    files = outputs(tmp_path, "wav")
    separate_file(Halves(), source, files)
    expected = read_metadata(source)
    assert [name for name, _ in expected.chunks] == [b"bext", b"cue ", b"LIST", b"LIST", b"iXML"]
    for path in files.values():
        found = read_metadata(path)
        assert found.chunks == expected.chunks
        assert found.time_reference == 123_456_789_012
        with wave.open(str(path)) as file:  # the sizes still add up
            assert file.getnframes() == RATE
        data = path.read_bytes()
        assert struct.unpack("<I", data[4:8])[0] == len(data) - 8
        assert read_tags(path).values["title"] == ("A song",)
    total = sum(read(path)[0] for path in files.values())
    assert np.abs(total - read(source)[0]).max() < 1e-4


def test_time_reference_becomes_a_tag_elsewhere(tmp_path: Path) -> None:
    source = broadcast_wave(tmp_path / "a.wav", 48_000)
    separate_file(Halves(), source, outputs(tmp_path, "flac"), container="flac")
    assert read_tags(tmp_path / "vocals.flac").values["time_reference"] == ("48000",)
    assert read_metadata(tmp_path / "vocals.flac").time_reference == 48_000


def test_excerpt_begins_later_and_has_no_cue_points(tmp_path: Path) -> None:
    metadata = read_metadata(broadcast_wave(tmp_path / "a.wav", 1000)).excerpt(500)
    assert metadata.time_reference == 1500
    assert [name for name, _ in metadata.chunks] == [b"bext", b"LIST", b"iXML"]


def test_damaged_chunks_are_left_out(tmp_path: Path) -> None:
    source = broadcast_wave(tmp_path / "a.wav")
    data = source.read_bytes()
    source.write_bytes(data[:-6])  # iXML is cut
    names = [name for name, _ in read_metadata(source).chunks]
    assert names == [b"bext", b"cue ", b"LIST", b"LIST"]


def test_no_metadata_by_the_command(run: Run, tmp_path: Path) -> None:
    put_tags(song(tmp_path / "a.flac"), Tags({"title": ("A song",)}))
    assert run("separate", "a.flac", "--model", "drnn-mir1k", "-o", "with").status == 0
    done = run("separate", "a.flac", "--model", "drnn-mir1k", "--no-metadata", "-o", "without")
    assert done.status == 0
    assert read_tags(tmp_path / "with" / "a.vocals.flac").values == {"title": ("A song",)}
    assert not read_tags(tmp_path / "without" / "a.vocals.flac")
