from __future__ import annotations

import errno
import os
import re
import sys

import numpy as np
import pytest
import soundfile as sf
from audiofiles import RATE, encode, message, tone

from audiocli.errors import AudioCliWarning
from audiocli.io.audio import AUDIO_EXTENSIONS, AudioInfo, decoding, probe, read

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
    layout = ("FL", "FR") if kind in ("WAVEX", "RF64") else None
    expected = AudioInfo(str(path), RATE, 2, samples.shape[1], bits, is_float, container, layout)
    assert probe(path) == expected
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


@pytest.mark.parametrize("name", ["l.wav", "l.mp3", "l.ogg", "l.raw", "l.snd", "l.txt", "l"])
def test_the_content_decides_not_the_extension(tmp_path, name):
    path = tmp_path / name
    sf.write(path, tone().T, RATE, format="MP3")
    assert probe(path).container == "mp3"
    sf.write(path, tone().T, RATE, format="WAV", subtype="PCM_16")
    assert probe(path).container == "wav"
    encode(path, "aac", tone(), format="ipod")
    assert read(path)[0].shape == (2, 22050)


@pytest.mark.parametrize("form", ["WAV", "FLAC", "AIFF"])
def test_16_bits_are_the_numbers_that_libsndfile_gives(tmp_path, form):
    path = tmp_path / "a"
    steps = np.array([-32768, -32767, -1, 0, 1, 32767, *range(-30000, 30000, 7)], np.int16)
    sf.write(path, np.stack([steps, steps[::-1]], axis=1), RATE, format=form, subtype="PCM_16")
    got, _ = read(path)
    wanted, _ = sf.read(path, dtype="float32")
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, wanted.T)


def test_a_playlist_reads_no_other_file(tmp_path):
    encode(tmp_path / "a.aac", "aac", tone(), format="adts")
    path = tmp_path / "list.m4a"
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.aac\n#EXT-X-ENDLIST\n")
    assert message(path).startswith("is not audio")


def test_without_pyav(tmp_path, monkeypatch):
    sf.write(tmp_path / "a.wav", np.zeros(100), 8000)
    encode(tmp_path / "a.m4a", "aac", tone())
    monkeypatch.setitem(sys.modules, "av", None)
    assert probe(tmp_path / "a.wav").frames == 100
    assert "run: pip install --upgrade av" in message(tmp_path / "a.m4a")


def test_rates_and_channels_outside_of_the_limits(tmp_path):
    for rate in (3999, 192001):
        sf.write(tmp_path / "rate.wav", np.zeros(100), rate)
        assert f"{rate} Hz is outside of 4000 to 192000" in message(tmp_path / "rate.wav")
    sf.write(tmp_path / "nine.wav", np.zeros((100, 9)), 8000)
    assert "9 channels are outside of 1 to 8" in message(tmp_path / "nine.wav")


# ---- what may be wrong with a file ------------------------------------------------------------


@pytest.mark.parametrize("name", "t.wav t.flac t.mp3 t.m4a t.raw t.au t.vox t.txt t.srt".split())
def test_text_is_not_audio(tmp_path, name, capfd):
    path = tmp_path / name
    path.write_text("1\n00:00:00,000 --> 00:00:02,000\nThis is no music.\n" * 50)
    assert message(path).startswith("is not audio in a format that")
    assert capfd.readouterr() == ("", "")  # no library says anything of its own


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
    monkeypatch.setattr(decoding, "open", refuse, raising=False)  # root may read everything
    assert message(tmp_path / "a.wav").startswith("permission denied")


@pytest.mark.parametrize("kind", ["MP3", "OGG"])
def test_truncated_lossy_files_are_read_as_far_as_they_go(tmp_path, kind):
    path = tmp_path / "a"
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (RATE, 2))
    sf.write(path, noise, RATE, format=kind)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(0.7 * len(whole))])
    with pytest.warns(AudioCliWarning, match="it was cut"):
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
