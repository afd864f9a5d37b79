from __future__ import annotations

import errno
import io
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from audiofiles import RATE, WAV16, encode, message, only_file, tone
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocli.errors import AudioError
from audiocli.io import audio
from audiocli.io.audio import AudioReader, AudioWriter, probe, read, spooled

# ---- names ------------------------------------------------------------------------------------

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


# ---- samples ----------------------------------------------------------------------------------


def test_mono_is_the_mean_and_silence_is_fine(tmp_path):
    path = tmp_path / "a.wav"
    sf.write(path, np.tile([0.5, -0.25], (100, 1)), 8000)
    assert np.array_equal(read(path, mono=True)[0], np.full((1, 100), 0.125, np.float32))
    sf.write(path, np.zeros((100, 2)), 8000)
    assert not read(path)[0].any()


@pytest.mark.parametrize(("value", "subtype"), [(np.nan, "FLOAT"), (-np.inf, "DOUBLE")])
def test_nan_and_infinity_are_told_with_their_time(tmp_path, value, subtype):
    samples = np.zeros((3 * RATE, 2))
    samples[2 * RATE :, 1] = value
    sf.write(tmp_path / "a.wav", samples, RATE, subtype=subtype)
    text = message(tmp_path / "a.wav")
    assert text.startswith("holds NaN or infinity, first at 2.000 s (sample 88200)")


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
    assert peak < 2_000_000  # bytes; the whole file takes 8 000 000


# ---- streams ----------------------------------------------------------------------------------


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


def test_a_reader_decodes_ahead_and_tells_how_far_it_is(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", np.zeros((70_000, 2)), RATE)
    told: list[tuple[float, float | None]] = []
    with (
        AudioReader(tmp_path / "a.wav") as reader,
        reader.decoded(lambda done, total: told.append((done, total))) as blocks,
    ):
        assert [block.shape[1] for block in blocks] == [65_536, 70_000 - 65_536]
    assert told == [(65_536 / RATE, 70_000 / RATE), (70_000 / RATE, 70_000 / RATE)]
