from __future__ import annotations

import errno
import io
import os
import re
import struct
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocli import audio
from audiocli.audio import (
    AUDIO_EXTENSIONS,
    AudioFormat,
    AudioInfo,
    AudioReader,
    AudioWriter,
    output_format,
    probe,
    read,
    spooled,
)
from audiocli.errors import AudioError, UsageError

RATE = 44100
WAV16 = AudioFormat("wav", "PCM_16")


def tone(seconds: float = 0.5, channels: int = 2, rate: int = RATE) -> np.ndarray:
    """A 440 Hz sine, quieter in each next channel, in half volume."""
    time = np.arange(round(seconds * rate)) / rate
    gains = 0.5 / np.arange(1, channels + 1)
    return (gains[:, None] * np.sin(2 * np.pi * 440 * time)).astype(np.float32)


def encode(path: Path | io.RawIOBase, codec: str, samples: np.ndarray, rate: int = RATE, **kinds):
    """Write samples with FFmpeg; kinds are its container format and options."""
    layout = {1: "mono", 2: "stereo"}[len(samples)]
    target = path if hasattr(path, "write") else str(path)
    with av.open(target, "w", **kinds) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        stream.bit_rate = 128000
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        size = stream.codec_context.frame_size or 0
        resampler = av.AudioResampler(stream.format.name, layout, rate, frame_size=size)
        for piece in (frame, None):
            for part in resampler.resample(piece):
                container.mux(stream.encode(part))
        container.mux(stream.encode(None))


def message(path: Path) -> str:
    """The error of reading a file through, which must be one line that names it."""
    with pytest.raises(AudioError) as caught:
        read(path)
    text = str(caught.value)
    assert "\n" not in text and text.startswith(f"{path}: ")
    return text.removeprefix(f"{path}: ")


def only_file(folder: Path, name: str | None = None) -> None:
    assert sorted(os.listdir(folder)) == ([name] if name else [])


# ---- containers -------------------------------------------------------------------------------

SNDFILE_FORMATS = [
    ("wav", "WAV", "PCM_16", 16, False),
    ("wav", "WAVEX", "PCM_24", 24, False),
    ("wav", "WAV", "PCM_U8", 8, False),
    ("wav", "WAV", "PCM_32", 32, False),
    ("wav", "WAV", "FLOAT", 32, True),
    ("wav", "WAV", "DOUBLE", 64, True),
    ("wav", "WAV", "ULAW", None, False),
    ("flac", "FLAC", "PCM_24", 24, False),
    ("aiff", "AIFF", "PCM_16", 16, False),
    ("au", "AU", "PCM_16", 16, False),
    ("caf", "CAF", "PCM_24", 24, False),
    ("w64", "W64", "PCM_16", 16, False),
    ("rf64", "RF64", "FLOAT", 32, True),
    ("ogg", "OGG", "VORBIS", None, False),
    ("mp3", "MP3", "MPEG_LAYER_III", None, False),
]


@pytest.mark.parametrize(("container", "kind", "subtype", "bits", "is_float"), SNDFILE_FORMATS)
def test_libsndfile_containers(tmp_path, container, kind, subtype, bits, is_float):
    path = tmp_path / f"a.{container}"
    samples = tone()
    sf.write(path, samples.T, RATE, format=kind, subtype=subtype)
    assert probe(path) == AudioInfo(str(path), RATE, 2, samples.shape[1], bits, is_float, container)
    got, rate = read(path)
    assert (got.dtype, got.shape, rate) == (np.float32, samples.shape, RATE)
    assert np.abs(got - samples).max() < 0.03
    assert path.suffix in AUDIO_EXTENSIONS


def test_opus(tmp_path):
    path = tmp_path / "a.opus"
    sf.write(path, tone(rate=48000).T, 48000, format="OGG", subtype="OPUS")
    assert probe(path).bits is None
    assert read(path)[0].shape == (2, 24000)


FRAGMENTS = {"options": {"movflags": "frag_keyframe+empty_moov"}}
FFMPEG_FORMATS = [
    ("a.m4a", "aac", RATE, "m4a", None, {}),
    ("a.mp4", "aac", RATE, "m4a", None, FRAGMENTS),
    ("a.aac", "aac", RATE, "aac", None, {"format": "adts"}),
    ("a.webm", "libopus", 48000, "webm", None, {}),
    ("a.wma", "wmav2", RATE, "wma", None, {}),
    ("a.m4b", "alac", RATE, "m4a", 24, {"format": "ipod"}),
    ("a.mka", "pcm_s16le", RATE, "webm", 16, {}),
    ("b.mka", "pcm_u8", RATE, "webm", 8, {}),
    ("c.mka", "pcm_f32le", RATE, "webm", 32, {}),
    ("flac.oga", "flac", RATE, "ogg", 16, {"format": "ogg"}),
]


@pytest.mark.parametrize(("name", "codec", "rate", "container", "bits", "kinds"), FFMPEG_FORMATS)
def test_ffmpeg_containers(tmp_path, name, codec, rate, container, bits, kinds):
    path = tmp_path / name
    samples = tone(rate=rate)
    encode(path, codec, samples, rate, **kinds)
    info = probe(path)
    assert (info.sample_rate, info.channels, info.bits) == (rate, 2, bits)
    assert info.container == container
    assert info.is_float == (codec == "pcm_f32le")
    got, _ = read(path)
    # raw AAC and fragments cannot state the encoder's delay; of WMA FFmpeg drops the first packet
    delay = {"a.mp4": 1024, "a.aac": 1024, "a.wma": -2048}.get(name, 0)
    assert abs(got.shape[1] - samples.shape[1] - delay) <= (1024 if delay else 0)
    middle = got[:, 8000 + delay : 16000 + delay]
    assert np.abs(middle - samples[:, 8000:16000]).max() < (0.06 if bits is None else 0.01)
    assert path.suffix in AUDIO_EXTENSIONS


@pytest.mark.parametrize("codec", ["aac", "alac"])
@pytest.mark.parametrize("frames", [4096, 4200, 20011])
def test_m4a_loses_its_priming_and_padding(tmp_path, codec, frames):
    path = tmp_path / "a.m4a"
    encode(path, codec, tone(1.0)[:, :frames])
    # FFmpeg before 8 ends at the edit list's end, which its muxer rounds to a millisecond
    assert abs(read(path)[0].shape[1] - frames) <= (44 if codec == "aac" else 0)


def test_mp3_length_is_told_only_where_the_file_counts_it(tmp_path):
    path = tmp_path / "a.mp3"
    with AudioWriter(path, RATE, 2, AudioFormat("mp3", "MPEG_LAYER_III")) as writer:
        writer.write(tone())
    assert probe(path).frames == read(path)[0].shape[1] == 22050
    tag = b"ID3\x04\x00\x00" + bytes([0, 0, 40, 0]) + bytes(40 * 128)
    counted = path.read_bytes()
    path.write_bytes(tag + counted)
    assert probe(path).frames == 22050
    path.write_bytes(counted.replace(b"Xing", b"\0\0\0\0").replace(b"Info", b"\0\0\0\0"))
    assert probe(path).frames is None and probe(path).duration is None


@pytest.mark.parametrize("channels", range(1, 9))
@pytest.mark.parametrize("container", ["wav", "flac", "ogg"])
def test_one_to_eight_channels(tmp_path, container, channels):
    source = AudioInfo("x", 8000, channels, None, 16, False, "wav")
    form = output_format(container, None, source)
    samples = tone(0.1, channels, 8000)
    with AudioWriter(tmp_path / "a", 8000, channels, form) as writer:
        writer.write(samples)
    got, _ = read(tmp_path / "a")
    assert got.shape == samples.shape
    assert np.abs(got - samples).max() < (0.2 if container == "ogg" else 1e-4)


@pytest.mark.parametrize("rate", [4000, 8000, 11025, 44100, 65535, 65540, 96000, 192000])
@pytest.mark.parametrize("container", ["wav", "flac", "ogg", "mp3"])
def test_rates(tmp_path, container, rate):
    source = AudioInfo("x.wav", rate, 1, None, 16, False, "wav")
    if container == "mp3" and rate not in (8000, 11025, 44100):
        with pytest.raises(UsageError, match=f"x.wav: mp3 cannot hold {rate} Hz, only 8000, 11025"):
            output_format(container, None, source)
        return
    form = output_format(container, None, source)
    with AudioWriter(tmp_path / "a", rate, 1, form) as writer:
        writer.write(tone(0.1, 1, rate))
    got, got_rate = read(tmp_path / "a")
    assert (got.shape[1], got_rate) == (round(0.1 * rate), rate)


def test_rates_and_channels_outside_of_the_limits(tmp_path):
    for rate in (3999, 192001):
        sf.write(tmp_path / "rate.wav", np.zeros(100), rate)
        assert f"{rate} Hz is outside of 4000 to 192000" in message(tmp_path / "rate.wav")
    sf.write(tmp_path / "nine.wav", np.zeros((100, 9)), 8000)
    assert "9 channels are outside of 1 to 8" in message(tmp_path / "nine.wav")


def test_mono_is_the_mean_and_silence_is_fine(tmp_path):
    path = tmp_path / "a.wav"
    sf.write(path, np.tile([0.5, -0.25], (100, 1)), 8000)
    assert np.array_equal(read(path, mono=True)[0], np.full((1, 100), 0.125, np.float32))
    sf.write(path, np.zeros((100, 2)), 8000)
    assert not read(path)[0].any()


# ---- what may be wrong with a file ------------------------------------------------------------


@pytest.mark.parametrize("name", ["l.wav", "l.mp3", "l.ogg", "l.raw", "l.snd", "l.txt", "l"])
def test_the_content_decides_not_the_extension(tmp_path, name):
    path = tmp_path / name
    sf.write(path, tone().T, RATE, format="MP3")
    assert probe(path).container == "mp3"
    sf.write(path, tone().T, RATE, format="WAV", subtype="PCM_16")
    assert probe(path).container == "wav"
    encode(path, "aac", tone(), format="ipod")
    assert read(path)[0].shape == (2, 22050)


@pytest.mark.parametrize("name", "t.wav t.flac t.mp3 t.m4a t.raw t.au t.vox t.txt t.srt".split())
def test_text_is_not_audio(tmp_path, name):
    path = tmp_path / name
    path.write_text("1\n00:00:00,000 --> 00:00:02,000\nThis is no music.\n" * 50)
    assert message(path).startswith("is not audio in a format that")


def test_a_playlist_reads_no_other_file(tmp_path):
    encode(tmp_path / "a.aac", "aac", tone(), format="adts")
    path = tmp_path / "list.m4a"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.aac\n#EXT-X-ENDLIST\n")
    assert message(path).startswith("is not audio")


def test_missing_folder_pipe_and_empty_files(tmp_path):
    assert message(tmp_path / "none.wav").startswith("no such file")
    assert message(tmp_path).startswith("is a folder")
    (tmp_path / "empty.wav").touch()
    assert message(tmp_path / "empty.wav").startswith("is an empty file (0 bytes)")
    assert message(tmp_path / ("n" * 300)).startswith("cannot be opened (")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "fifo.wav")
        assert message(tmp_path / "fifo.wav").startswith("is a pipe or device")


def test_permission_denied(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    sf.write(tmp_path / "a.wav", np.zeros(100), 8000)
    monkeypatch.setattr(audio, "open", refuse, raising=False)  # root may read everything
    assert message(tmp_path / "a.wav").startswith("permission denied")


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


@pytest.mark.parametrize("kind", ["MP3", "OGG"])
def test_truncated_lossy_files_are_read_as_far_as_they_go(tmp_path, kind):
    path = tmp_path / "a"
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (RATE, 2))
    sf.write(path, noise, RATE, format=kind)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(0.7 * len(whole))])
    assert 0.4 * RATE < read(path)[0].shape[1] < RATE


def test_truncated_m4a(tmp_path):
    path = tmp_path / "a.m4a"
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 3 * RATE)).astype(np.float32)
    encode(path, "aac", noise, options={"movflags": "faststart"})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert re.match(r"is truncated: only 1\.\d\d s are there of the 3\.00 s", message(path))
    encode(path, "aac", noise)
    path.write_bytes(path.read_bytes()[: len(whole) // 2])  # the index at the end is gone
    assert message(path).startswith("is not audio in a format that")


def test_damaged_files(tmp_path):
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 3 * RATE)).astype(np.float32)
    encode(tmp_path / "a.m4a", "aac", noise, options={"movflags": "faststart"})
    sf.write(tmp_path / "a.flac", noise.T, RATE)
    for path in (tmp_path / "a.m4a", tmp_path / "a.flac"):
        whole = bytearray(path.read_bytes())
        middle = len(whole) // 2
        whole[middle : middle + 3000] = b"\xa5" * 3000
        path.write_bytes(whole)
        assert message(path).startswith("is damaged or truncated: decoding stops after 1.")


def test_a_raw_stream_cut_in_its_last_packet_is_fine(tmp_path):
    path = tmp_path / "a.aac"
    encode(path, "aac", tone(), format="adts")
    path.write_bytes(path.read_bytes()[:-50])
    assert abs(read(path)[0].shape[1] - 22050) < 2500


def test_a_change_of_rate_on_the_way(tmp_path):
    encode(tmp_path / "1.aac", "aac", tone(), format="adts")
    encode(tmp_path / "2.aac", "aac", tone(0.5, 1, 48000), 48000, format="adts")
    both = tmp_path / "both.aac"
    both.write_bytes((tmp_path / "1.aac").read_bytes() + (tmp_path / "2.aac").read_bytes())
    assert "changes from 2 channels at 44100 Hz to 1 at 48000 Hz after 0.5" in message(both)


@pytest.mark.parametrize(("value", "subtype"), [(np.nan, "FLOAT"), (-np.inf, "DOUBLE")])
def test_nan_and_infinity_are_told_with_their_time(tmp_path, value, subtype):
    samples = np.zeros((3 * RATE, 2))
    samples[2 * RATE :, 1] = value
    sf.write(tmp_path / "a.wav", samples, RATE, subtype=subtype)
    text = message(tmp_path / "a.wav")
    assert text.startswith("holds NaN or infinity, first at 2.000 s (sample 88200)")


NAMES = ["a b.wav", "é日本語🎵.wav", "-x.wav", "-", "new\nline.wav", "c:d.wav", "%d.wav", "'\".wav"]
if sys.platform == "linux":
    NAMES.append(os.fsdecode(b"\xff\xfe.wav"))


@pytest.mark.parametrize("name", NAMES)
def test_odd_names(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with AudioWriter(name, RATE, 2, WAV16) as writer:
        writer.write(tone())
    only_file(tmp_path, name)
    info = probe(name)
    assert (info.path, info.container) == (name, "wav")
    encode(tmp_path / "plain.m4a", "aac", tone())
    os.replace("plain.m4a", name)
    assert read(name)[0].shape == (2, 22050)
    Path(name).write_bytes(b"text" * 100)
    with pytest.raises(AudioError) as caught:
        read(name)
    assert "\n" not in str(caught.value)


def test_a_name_to_show(tmp_path):
    sf.write(tmp_path / "a.wav", np.zeros(100), 8000)
    assert probe(tmp_path / "a.wav", name="<stdin>").path == "<stdin>"
    with pytest.raises(AudioError, match="^<stdin>: no such file"):
        probe(tmp_path / "none.wav", name="<stdin>")


def test_without_pyav(tmp_path, monkeypatch):
    sf.write(tmp_path / "a.wav", np.zeros(100), 8000)
    encode(tmp_path / "a.m4a", "aac", tone())
    monkeypatch.setitem(sys.modules, "av", None)
    assert probe(tmp_path / "a.wav").frames == 100
    assert "run: pip install --upgrade av" in message(tmp_path / "a.m4a")


# ---- blocks -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def coded(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("coded")
    samples = np.random.default_rng(2).uniform(-0.3, 0.3, (2, 20011)).astype(np.float32)
    for name in ("a.wav", "a.flac", "a.ogg", "a.mp3"):
        sf.write(folder / name, samples.T, RATE)
    encode(folder / "a.m4a", "aac", samples)
    return sorted(folder.iterdir())


@settings(deadline=None, max_examples=25)
@given(data=st.data(), frames=st.integers(1, 30000))
def test_blocks_add_up_to_the_whole(coded, data, frames):
    path = data.draw(st.sampled_from(coded))
    whole, _ = read(path)
    with AudioReader(path) as reader:
        blocks = list(reader.blocks(frames))
    assert all(block.shape[1] == frames for block in blocks[:-1])
    assert 1 <= blocks[-1].shape[1] <= frames
    assert all(block.dtype == np.float32 and block.flags.c_contiguous for block in blocks)
    assert np.array_equal(np.concatenate(blocks, axis=1), whole)


def test_blocks_may_be_read_again(coded):
    for path in coded:
        with AudioReader(path) as reader:
            first = next(reader.blocks(100))
            again = np.concatenate(list(reader.blocks(1000)), axis=1)
        assert np.array_equal(first, again[:, :100])
        assert np.array_equal(again, read(path)[0])
    with AudioReader(path) as reader, pytest.raises(ValueError, match="at least one frame"):
        reader.blocks(0)


# ---- streams ----------------------------------------------------------------------------------

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


def test_an_empty_stream_and_a_failure_inside():
    with pytest.raises(AudioError, match="the input stream is empty"), spooled(io.BytesIO()):
        raise AssertionError("must not get here")
    with pytest.raises(KeyError), spooled(io.BytesIO(b"x")) as path:
        raise KeyError
    assert not path.exists()


def test_no_room_for_a_stream(monkeypatch):
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(audio.shutil, "copyfileobj", fail)
    with pytest.raises(AudioError, match="No space left.*TMPDIR"), spooled(io.BytesIO(b"x")):
        raise AssertionError("must not get here")


# ---- formats ----------------------------------------------------------------------------------


def info(container: str, bits: int | None, is_float: bool = False, channels: int = 2) -> AudioInfo:
    return AudioInfo("in.x", RATE, channels, None, bits, is_float, container)


@pytest.mark.parametrize(
    ("container", "bits", "source", "expected"),
    [
        (None, None, info("wav", 8), ("wav", "PCM_U8")),
        (None, None, info("wav", 16), ("wav", "PCM_16")),
        (None, None, info("wav", 24), ("wav", "PCM_24")),
        (None, None, info("wav", 32), ("wav", "FLOAT")),
        (None, None, info("wav", 32, True), ("wav", "FLOAT")),
        (None, None, info("wav", 64, True), ("wav", "DOUBLE")),
        (None, None, info("flac", 16), ("flac", "PCM_16")),
        (None, None, info("flac", 24), ("flac", "PCM_24")),
        (None, None, info("mp3", None), ("wav", "PCM_24")),
        (None, None, info("aiff", 16), ("wav", "PCM_16")),
        (None, None, info("rf64", 24), ("wav", "PCM_24")),
        (None, None, info("m4a", 20), ("wav", "PCM_24")),
        (None, 16, info("wav", 32, True), ("wav", "PCM_16")),
        ("wav", 8, info("flac", 24), ("wav", "PCM_U8")),
        ("wav", 32, info("mp3", None), ("wav", "FLOAT")),
        ("flac", None, info("wav", 8), ("flac", "PCM_16")),
        ("flac", None, info("wav", 32, True), ("flac", "PCM_24")),
        ("flac", None, info("wav", 64, True), ("flac", "PCM_24")),
        ("flac", None, info("ogg", None), ("flac", "PCM_24")),
        ("flac", 16, info("wav", 24), ("flac", "PCM_16")),
        ("ogg", None, info("wav", 24, channels=8), ("ogg", "VORBIS")),
        ("mp3", None, info("wav", 24), ("mp3", "MPEG_LAYER_III")),
    ],
)
def test_output_format(container, bits, source, expected):
    form = output_format(container, bits, source)
    assert (form.container, form.subtype) == expected
    assert form.extension == f".{expected[0]}"
    assert form.is_integer == (expected[1] not in ("FLOAT", "DOUBLE"))


@pytest.mark.parametrize(
    ("container", "bits", "source", "pattern"),
    [
        ("flac", 8, info("wav", 8), "flac cannot hold 8 bits; valid: 16, 24"),
        ("flac", 32, info("wav", 8), "flac cannot hold 32 bits; valid: 16, 24"),
        ("wav", 12, info("wav", 8), "wav cannot hold 12 bits; valid: 8, 16, 24, 32"),
        ("ogg", 16, info("wav", 16), "ogg has no bit depth"),
        ("mp3", 16, info("wav", 16), "mp3 has no bit depth"),
        ("mp3", None, info("wav", 16, channels=3), "in.x: mp3 holds 1 or 2 channels, not 3"),
        ("wave", None, info("wav", 16), "did you mean 'wav'[?] There are: flac, mp3, ogg, wav"),
    ],
)
def test_output_format_refuses(container, bits, source, pattern):
    with pytest.raises(UsageError, match=pattern):
        output_format(container, bits, source)


@pytest.mark.parametrize("rate", [65536, 96001, 176399])
def test_flac_cannot_hold_some_high_rates(rate):
    with pytest.raises(UsageError, match=f"flac cannot hold {rate} Hz"):
        output_format("flac", None, AudioInfo("in.x", rate, 1, None, 16, False, "wav"))


# ---- writing ----------------------------------------------------------------------------------


@pytest.mark.parametrize("container", ["wav", "flac"])
@pytest.mark.parametrize("bits", [8, 16, 24])
def test_integers_come_out_bit_for_bit(tmp_path, container, bits):
    top = 2 ** (bits - 1)
    steps = np.unique(np.linspace(-top, top - 1, 70001).astype(np.int32))
    subtype = "PCM_U8" if bits == 8 else f"PCM_{bits}"
    sf.write(tmp_path / "in.wav", steps << (32 - bits), 8000, subtype=subtype)
    samples, _ = read(tmp_path / "in.wav")
    assert np.array_equal(samples[0].astype(np.float64) * top, steps)
    form = output_format(container, None, probe(tmp_path / "in.wav"))
    with AudioWriter(tmp_path / "out", 8000, 1, form) as writer:
        writer.write(samples)
    stored = sf.read(tmp_path / "out", dtype="int32")[0]
    assert np.array_equal(stored, steps << (32 - bits))


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_floats_come_out_bit_for_bit(tmp_path, subtype):
    values = np.random.default_rng(3).standard_normal((2, 30000)).astype(np.float32) * 3
    values[:, :4] = [[0.0, -0.0, 1e-40, 3e38]]
    sf.write(tmp_path / "in.wav", values.T, RATE, subtype=subtype)
    form = output_format(None, None, probe(tmp_path / "in.wav"))
    with AudioWriter(tmp_path / "out.wav", RATE, 2, form) as writer:
        writer.write(read(tmp_path / "in.wav")[0])
    assert sf.info(tmp_path / "out.wav").subtype == subtype
    assert read(tmp_path / "out.wav")[0].tobytes() == values.tobytes()


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24"])
def test_integers_are_clipped_and_rounded(tmp_path, subtype):
    form = AudioFormat("wav", subtype)
    top = 2 ** (form.bits - 1)
    samples = np.array([[-3.0, -1.0, 1.0, 1.5, 1e30, 0.75 / top, -0.75 / top]], np.float32)
    with AudioWriter(tmp_path / "a.wav", 8000, 1, form) as writer:
        writer.write(samples)
    expected = [-top, -top, top - 1, top - 1, top - 1, 1, -1]
    assert np.array_equal(read(tmp_path / "a.wav")[0][0] * top, expected)


@pytest.mark.parametrize(("container", "subtype"), audio._LOSSY_SUBTYPES.items())
def test_long_lossy_blocks_and_overs(tmp_path, container, subtype):
    loud = 4 * tone(30.0, 2, 8000)
    with AudioWriter(tmp_path / "a", 8000, 2, AudioFormat(container, subtype)) as writer:
        writer.write(loud)
        assert writer.frames_written == loud.shape[1]
    got, _ = read(tmp_path / "a")
    assert got.shape == loud.shape
    assert np.abs(got - np.clip(loud, -1, 1)).mean() < 0.1


def test_the_file_appears_when_it_is_complete_and_folders_are_made(tmp_path):
    path = tmp_path / "new" / "folder" / "a.wav"
    with AudioWriter(path, RATE, 2, WAV16) as writer:
        for start in range(0, 22050, 1000):
            writer.write(tone()[:, start : start + 1000])
        assert not path.exists()
        assert [name[0] for name in os.listdir(path.parent)] == ["."]
    only_file(path.parent, "a.wav")
    assert probe(path).frames == writer.frames_written == 22050


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("overwrite", [False, True])
def test_an_exception_leaves_nothing_new(tmp_path, error, overwrite):
    path = tmp_path / "a.wav"
    if overwrite:
        path.write_bytes(b"old")
    with pytest.raises(error), AudioWriter(path, RATE, 2, WAV16, overwrite=overwrite) as writer:
        writer.write(tone())
        raise error
    only_file(tmp_path, "a.wav" if overwrite else None)
    assert not overwrite or path.read_bytes() == b"old"


def test_overwrite_replaces(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"old")
    with AudioWriter(path, RATE, 2, WAV16, overwrite=True) as writer:
        writer.write(tone())
    assert probe(path).frames == 22050
    only_file(tmp_path, "a.wav")


@pytest.fixture(params=["hard links", "no hard links"])
def file_system(request, monkeypatch) -> Iterator[None]:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if request.param == "no hard links":
        monkeypatch.setattr(os, "link", refuse)
    yield


@pytest.mark.usefixtures("file_system")
def test_never_clobbers(tmp_path):
    path = tmp_path / "a.wav"
    with AudioWriter(path, RATE, 2, WAV16) as writer:
        writer.write(tone())
    before = path.read_bytes()
    with pytest.raises(AudioError, match="a.wav: is there already"):
        AudioWriter(path, RATE, 2, WAV16).__enter__()
    path.unlink()
    with (
        pytest.raises(AudioError, match="is there already"),
        AudioWriter(path, RATE, 2, WAV16) as writer,
    ):
        writer.write(tone() / 2)
        path.write_bytes(before)
    assert path.read_bytes() == before
    only_file(tmp_path, "a.wav")


def test_what_cannot_be_written_to(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "a.wav", tmp_path / ("n" * 300 + ".wav")):
        with pytest.raises(AudioError) as caught:
            with AudioWriter(path, RATE, 2, WAV16, overwrite=True) as writer:
                writer.write(tone())
        assert str(caught.value).startswith(f"{path}: ")
    only_file(tmp_path, "file")


@pytest.mark.parametrize("left", [0.0, 0.5, 0.98])
@pytest.mark.parametrize(
    "form", [WAV16, AudioFormat("flac", "PCM_24"), AudioFormat("ogg", "VORBIS")]
)
def test_a_full_disk(tmp_path, form, left):
    resource = pytest.importorskip("resource")
    path = tmp_path / "a"
    with AudioWriter(path, RATE, 2, form) as writer:
        writer.write(tone())
    room = int(left * path.stat().st_size)
    path.unlink()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(AudioError, match=r"a: cannot be written \(File too large"):
            with AudioWriter(path, RATE, 2, form) as writer:
                writer.write(tone())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    only_file(tmp_path)


def test_blocks_that_must_not_be_written(tmp_path):
    for block, error in [
        (np.zeros(10), ValueError),
        (np.zeros((1, 10)), ValueError),
        (np.full((2, 10), np.nan), AudioError),
        (np.full((2, 10), np.inf), AudioError),
    ]:
        with pytest.raises(error), AudioWriter(tmp_path / "a.wav", RATE, 2, WAV16) as writer:
            writer.write(block)
    only_file(tmp_path)


def test_a_long_wav_becomes_rf64(tmp_path, monkeypatch):
    monkeypatch.setattr(audio, "_WAV_LIMIT", 22050 * 4)
    for extra, container in [(0, "wav"), (1, "rf64")]:
        samples = np.pad(tone(), ((0, 0), (0, extra)))
        path = tmp_path / f"{container}.wav"
        with AudioWriter(path, RATE, 2, WAV16, frames=samples.shape[1]) as writer:
            writer.write(samples)
        assert probe(path).container == container
        assert read(path)[0].shape == samples.shape
        assert path.read_bytes()[:4] == {"wav": b"RIFF", "rf64": b"RF64"}[container]


def test_a_wav_of_unknown_length_stops_before_it_is_corrupt(tmp_path, monkeypatch):
    monkeypatch.setattr(audio, "_WAV_LIMIT", 22050 * 4)
    with pytest.raises(AudioError, match="would pass the 4 GiB that a wav holds; write flac"):
        with AudioWriter(tmp_path / "a.wav", RATE, 2, WAV16) as writer:
            writer.write(tone())
            writer.write(tone())
    only_file(tmp_path)


def test_reading_takes_constant_memory():
    import tracemalloc

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.wav"
        with AudioWriter(path, 8000, 1, WAV16) as writer:
            for _ in range(100):
                writer.write(np.zeros((1, 20000), np.float32))
        tracemalloc.start()
        with AudioReader(path) as reader:
            total = sum(block.shape[1] for block in reader.blocks(20000))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert total == 2_000_000
    assert peak < 1_000_000  # bytes; the whole file takes 8 000 000
