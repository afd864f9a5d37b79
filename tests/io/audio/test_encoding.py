from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator

import numpy as np
import pytest
import soundfile as sf
from audiofiles import RATE, WAV16, only_file, tone

from audiocli.errors import AudioError, UsageError
from audiocli.io.audio import (
    AudioFormat,
    AudioInfo,
    AudioWriter,
    encoding,
    output_format,
    probe,
    read,
)

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


# ---- samples ----------------------------------------------------------------------------------


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
    values[:, :4] = [[0.0, -0.0, 1e-40, 9e9]]
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


@pytest.mark.parametrize(("container", "subtype"), [("ogg", "VORBIS"), ("mp3", "MPEG_LAYER_III")])
def test_long_lossy_blocks_and_overs(tmp_path, container, subtype):
    loud = 4 * tone(30.0, 2, 8000)
    with AudioWriter(tmp_path / "a", 8000, 2, AudioFormat(container, subtype)) as writer:
        writer.write(loud)
        assert writer.frames_written == loud.shape[1]
    got, _ = read(tmp_path / "a")
    assert got.shape == loud.shape
    assert np.abs(got - np.clip(loud, -1, 1)).mean() < 0.1


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
    monkeypatch.setattr(encoding, "_WAV_LIMIT", 22050 * 4)
    for extra, container in [(0, "wav"), (1, "rf64")]:
        samples = np.pad(tone(), ((0, 0), (0, extra)))
        path = tmp_path / f"{container}.wav"
        with AudioWriter(path, RATE, 2, WAV16, frames=samples.shape[1]) as writer:
            writer.write(samples)
        assert probe(path).container == container
        assert read(path)[0].shape == samples.shape
        assert path.read_bytes()[:4] == {"wav": b"RIFF", "rf64": b"RF64"}[container]


def test_a_wav_of_unknown_length_stops_before_it_is_corrupt(tmp_path, monkeypatch):
    monkeypatch.setattr(encoding, "_WAV_LIMIT", 22050 * 4)
    with pytest.raises(AudioError, match="would pass the 4 GiB that a wav holds; write flac"):
        with AudioWriter(tmp_path / "a.wav", RATE, 2, WAV16) as writer:
            writer.write(tone())
            writer.write(tone())
    only_file(tmp_path)


# ---- files ------------------------------------------------------------------------------------


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


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("container", ["wav", "flac"])
def test_interrupt_while_libsndfile_writes_is_not_lost(tmp_path, monkeypatch, container):
    write, interrupts = encoding._Sink.write, iter([True])

    def interrupted(sink, data):
        if next(interrupts, False):
            os.kill(os.getpid(), signal.SIGINT)
        return write(sink, data)

    monkeypatch.setattr(encoding._Sink, "write", interrupted)
    form = AudioFormat(container, "PCM_16")
    with pytest.raises(KeyboardInterrupt), AudioWriter(tmp_path / "a", RATE, 2, form) as writer:
        for _ in range(20):
            writer.write(tone(1.0))
    only_file(tmp_path)


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
