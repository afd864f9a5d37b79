from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile as sf
from audiofiles import RATE, encode, message, tone

from audiocli.io.audio import AudioFormat, AudioWriter, probe, read, spooled


def test_mp3_length_is_counted_by_frames(tmp_path):
    path = tmp_path / "a.mp3"
    with AudioWriter(path, RATE, 2, AudioFormat("mp3", "MPEG_LAYER_III")) as writer:
        writer.write(tone())
    assert probe(path).frames == read(path)[0].shape[1] == 22050
    tag = b"ID3\x04\x00\x00" + bytes([0, 0, 40, 0]) + bytes(40 * 128)
    counted = path.read_bytes()
    path.write_bytes(tag + counted)
    assert probe(path).frames == 22050
    path.write_bytes(counted.replace(b"Xing", b"\0\0\0\0").replace(b"Info", b"\0\0\0\0"))
    assert probe(path).frames == read(path)[0].shape[1] == 22 * 1152  # the tag's frame is silent


# ---- files cut short --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU", "CAF", "W64", "RF64"])
def test_zero_length(tmp_path, kind):
    sf.write(tmp_path / "a", np.zeros((0, 2)), 8000, format=kind)
    assert message(tmp_path / "a").startswith("holds no audio")


def test_zero_length_with_a_chunk_after_it(tmp_path):
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 48, b"WAVE", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8)
    chunks = struct.pack("<4sI4sI4s", b"data", 0, b"LIST", 4, b"INFO")
    (tmp_path / "a.wav").write_bytes(head + chunks)
    assert message(tmp_path / "a.wav").startswith("holds no audio")


@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "AIFF", "AU", "W64", "RF64", "CAF", "FLAC"])
@pytest.mark.parametrize("part", [0.4, 0.999])
def test_truncated_lossless_files(tmp_path, kind, part):
    path = tmp_path / "a"
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (RATE, 2))
    sf.write(path, noise, RATE, format=kind, subtype="PCM_16")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    text = message(path)
    assert "truncated" in text
    if kind in ("WAV", "AIFF", "AU", "W64", "RF64"):
        assert f"({part:.2f} s)" in text
    if kind == "FLAC":
        assert "of the 1.00 s that its header promises" in text


def test_a_wav_cut_by_one_frame_is_truncated(tmp_path):
    path = tmp_path / "a.wav"
    sf.write(path, tone().T, RATE)
    path.write_bytes(path.read_bytes()[:-4])
    assert message(path).startswith("is truncated: of the 88200 bytes of audio that its header")


# ---- files written to a pipe ------------------------------------------------------------------

STREAM_SIZES = [
    (0xFFFFFFFF, 0xFFFFFFFF),  # FFmpeg
    (0, 0),  # GStreamer
    (36, 0),
    (0xFFFFFFFF, 0),
    (0x7FFFF024, 0x7FFFF000),  # SoX
    (0x80000024, 0x80000000),  # arecord
]


@pytest.mark.parametrize(("riff", "data"), STREAM_SIZES)
def test_a_wav_from_a_pipe(tmp_path, riff, data):
    buffer = io.BytesIO()
    sf.write(buffer, tone().T, RATE, format="WAV", subtype="PCM_16")
    content = bytearray(buffer.getvalue())
    expected = sf.read(io.BytesIO(content), dtype="float32", always_2d=True)[0].T
    content[4:8], content[40:44] = struct.pack("<I", riff), struct.pack("<I", data)
    with spooled(io.BytesIO(content)) as path:
        info = probe(path)
        got, rate = read(path)
    assert (info.container, info.bits, rate) == ("wav", 16, RATE)
    assert np.array_equal(got, expected)
    assert not path.exists() and not path.parent.exists()


def test_a_wav_whose_header_ends_before_its_audio_is_refused(tmp_path):
    path = tmp_path / "a.wav"
    sf.write(path, np.zeros((100, 2)), RATE)
    with path.open("r+b") as file:
        file.seek(40)
        file.write(struct.pack("<I", 0x7FFFF000))  # as SoX writes it
        file.truncate(2**31 + 2**21)  # a sparse file, which takes no room
    assert "ends after 2 GiB, but there is more; send it as flac or w64" in message(path)


class Pipe:
    """Something to write to that cannot seek."""

    def __init__(self) -> None:
        self.content = bytearray()

    def write(self, data: bytes) -> int:
        self.content += bytes(data)
        return len(data)


@pytest.mark.parametrize(
    ("kind", "codec"),
    [("wav", "pcm_s24le"), ("flac", "flac"), ("au", "pcm_s16be"), ("aiff", "pcm_s16be")]
    + [("caf", "pcm_s16le"), ("w64", "pcm_s16le"), ("mp3", "libmp3lame")],
)
def test_what_ffmpeg_writes_to_a_pipe(kind, codec):
    pipe = Pipe()
    encode(pipe, codec, tone(), format=kind)
    with spooled(io.BytesIO(pipe.content)) as path:
        got, rate = read(path)
        assert probe(path).frames in (None, got.shape[1])
    assert rate == RATE
    assert got.shape[1] == 22050 or (kind == "mp3" and abs(got.shape[1] - 22050) < 2500)
