"""Files that decoders stop in, or misread: all of it comes out, or what is missing is told."""

from __future__ import annotations

import io
import os
import signal
import struct
import warnings
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile as sf
from audiofiles import RATE, encode, message, tone

from audiocli.errors import AudioCliWarning, AudioError, UsageError
from audiocli.io.audio import (
    AudioFormat,
    AudioReader,
    AudioWriter,
    output_format,
    probe,
    read,
    remote,
)
from audiocli.io.audio.decoding import open_decoder
from audiocli.io.audio.layouts import usual_layout

ID3V1 = b"TAG" + bytes(125)


def mp3(path: Path, samples: np.ndarray, **settings: object) -> bytes:
    """Write an MP3 and give its bytes."""
    sf.write(path, samples.T, RATE, format="MP3", **settings)
    return path.read_bytes()


def without_tag(content: bytes) -> bytes:
    """Drop the first frame, which holds the Xing or Info tag."""
    place = max(content.find(b"Xing"), content.find(b"Info"))
    assert place > 0
    return content[content.index(b"\xff\xfb", place) :]


# ---- joined files -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["OGG", "OPUS", "MP3"])
def test_joined_files_are_read_to_the_end(tmp_path, kind):
    path = tmp_path / "a"
    rate = 48000 if kind == "OPUS" else RATE
    options = {"format": "OGG", "subtype": "OPUS"} if kind == "OPUS" else {"format": kind}
    parts = []
    for frequency in (300, 500, 700):
        wave = 0.3 * np.sin(2 * np.pi * frequency * np.arange(rate) / rate)
        sf.write(path, np.stack([wave, wave], 1), rate, **options)
        parts.append(path.read_bytes())
    path.write_bytes(b"".join(parts))
    samples, _ = read(path)
    assert abs(samples.shape[1] - 3 * rate) < 100
    for index, frequency in enumerate((300, 500, 700)):
        second = samples[0, index * rate + rate // 4 : index * rate + 3 * rate // 4]
        assert abs(np.abs(np.fft.rfft(second)).argmax() * 2 - frequency) <= 2


def test_joined_files_of_other_channels_are_refused(tmp_path):
    path = tmp_path / "a.ogg"
    sf.write(path, tone(channels=2).T, RATE)
    first = path.read_bytes()
    sf.write(path, tone(channels=1).T, RATE)
    path.write_bytes(first + path.read_bytes())
    assert "changes from 2 channels at 44100 Hz to 1 at 44100 Hz after 0.50 s" in message(path)


# ---- mp3 ----------------------------------------------------------------------------------------


def test_a_cut_mp3_tells_what_its_tag_counted(tmp_path):
    path = tmp_path / "a.mp3"
    content = mp3(path, tone(2.0))
    path.write_bytes(content[: len(content) // 4])
    with pytest.warns(AudioCliWarning, match=r"of the 2\.\d\d s that its Info tag counts"):
        assert read(path)[0].shape[1] < RATE


@pytest.mark.parametrize("count", ["none", "zero"])
def test_a_variable_bit_rate_without_a_count_is_read_to_the_end(tmp_path, count):
    path = tmp_path / "a.mp3"
    rng = np.random.default_rng(0)
    loud, soft = rng.normal(0, 0.3, 3 * RATE), rng.normal(0, 1e-5, 9 * RATE)
    samples = np.tile(np.concatenate([loud, soft]), (2, 1))
    content = mp3(path, samples, bitrate_mode="VARIABLE", compression_level=0.1)
    if count == "none":
        path.write_bytes(without_tag(content))
    else:
        place = max(content.find(b"Xing"), content.find(b"Info"))
        path.write_bytes(content[: place + 8] + bytes(4) + content[place + 12 :])
    assert abs(read(path)[0].shape[1] / RATE - 12) < 0.1


@pytest.mark.parametrize("behind", [b"some text\n" * 400, bytes(20000), b"LYRICSBEGIN" + b"x" * 90])
def test_what_stands_behind_the_last_frame_is_skipped(tmp_path, behind):
    path = tmp_path / "a.mp3"
    content = mp3(path, tone(2.0))
    path.write_bytes(content + behind)
    with pytest.warns(AudioCliWarning, match="behind its last frame"):
        assert abs(read(path)[0].shape[1] - 2 * RATE) <= 1152


def test_junk_in_the_middle_is_skipped(tmp_path):
    path = tmp_path / "a.mp3"
    content = without_tag(mp3(path, tone(2.0), bitrate_mode="CONSTANT", compression_level=0.5))
    size = len(content) // round(2 * RATE / 1152)
    middle = content.index(b"\xff\xfb", size * 30)
    path.write_bytes(content[:middle] + b"junk" * 500 + content[middle:])
    with pytest.warns(AudioCliWarning, match="skipped 2000 bytes that are no MP3 frames at"):
        assert abs(read(path)[0].shape[1] / RATE - 2) < 0.1


def test_mp3_in_wav(tmp_path):
    path = tmp_path / "a.wav"
    frames = without_tag(mp3(tmp_path / "a.mp3", tone(1.0)))
    form = struct.pack("<HHIIHHHHIHHH", 0x55, 2, RATE, 16000, 1, 0, 12, 1, 2, 417, 1, 0)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form
    body += b"data" + struct.pack("<I", len(frames)) + frames
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    samples, _ = read(path)
    assert abs(samples.shape[1] / RATE - 1) < 0.06
    assert abs(np.abs(np.fft.rfft(samples[0][4410:26460])).argmax() * 2 - 440) <= 2


# ---- lossless files -----------------------------------------------------------------------------


@pytest.mark.parametrize("behind", [ID3V1, bytes(1000)])
def test_a_flac_with_something_behind_it_is_whole(tmp_path, behind):
    path = tmp_path / "a.flac"
    samples = np.random.default_rng(0).normal(0, 0.1, (2, RATE))
    sf.write(path, samples.T, RATE)
    before, _ = read(path)
    path.write_bytes(path.read_bytes() + behind)
    assert np.array_equal(read(path)[0], before)


def test_a_flac_that_counts_too_few_samples_is_read_to_the_end(tmp_path):
    path = tmp_path / "a.flac"
    samples = np.random.default_rng(0).normal(0, 0.1, (2, RATE))
    sf.write(path, samples.T, RATE)
    content = bytearray(path.read_bytes())
    content[22:26] = struct.pack(">I", RATE // 3)  # the lower half of the count
    path.write_bytes(content)
    assert read(path)[0].shape[1] == RATE


@pytest.mark.parametrize("subtype", ["IMA_ADPCM", "MS_ADPCM", "GSM610"])
def test_padding_of_the_last_block_is_left_out(tmp_path, subtype):
    path = tmp_path / "a.wav"
    sf.write(path, tone(0.4567, channels=1, rate=8000).T, 8000, subtype=subtype)
    content = path.read_bytes()
    place = content.index(b"fact") + 8
    path.write_bytes(content[:place] + struct.pack("<I", 3654) + content[place + 4 :])
    assert read(path)[0].shape[1] == probe(path).frames == 3654


def test_64_bit_integers(tmp_path):
    path = tmp_path / "a.wav"
    samples = (tone(channels=1)[0].astype(np.float64) * 2**62).astype("<i8").tobytes()
    form = struct.pack("<HHIIHH", 1, 1, RATE, RATE * 8, 8, 64)
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(samples))
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body) + len(samples)) + body + samples)
    assert np.abs(read(path)[0][0] - tone(channels=1)[0] / 2).max() < 1e-6


@pytest.mark.parametrize("value", [1e20, 3e38])
def test_samples_that_nothing_can_calculate_with_are_refused(tmp_path, value):
    path = tmp_path / "a.wav"
    samples = tone(channels=1)[0]
    samples[1000] = value
    sf.write(path, samples, RATE, subtype="FLOAT")
    assert "samples beyond 1e10 times full scale, first at 0.023 s (sample 1000)" in message(path)


# ---- speakers -----------------------------------------------------------------------------------


def speakers(channels: int) -> np.ndarray:
    """A low sine of another frequency in each channel, which every coder keeps."""
    time = np.arange(48000) / 48000
    frequencies = 40 + 20 * np.arange(channels)[:, None]
    return (0.3 * np.sin(2 * np.pi * frequencies * time)).astype(np.float32)


@pytest.mark.parametrize("container", ["wav", "flac", "ogg"])
@pytest.mark.parametrize("channels", [3, 4, 5, 6, 7, 8])
def test_speakers_stay_where_they_are(tmp_path, container, channels):
    path = tmp_path / f"a.{container}"
    samples, layout = speakers(channels), usual_layout(channels)
    subtype = "VORBIS" if container == "ogg" else "PCM_16"
    with AudioWriter(path, 48000, channels, AudioFormat(container, subtype, layout)) as writer:
        writer.write(samples)
    kept, _ = read(path)
    for kept_channel, channel in zip(kept[:, 9000:40000], samples[:, 9000:40000], strict=True):
        assert kept_channel @ channel > 0.9 * (channel @ channel)  # others would be orthogonal
    assert probe(path).layout == (layout if container != "ogg" or channels != 4 else None)
    with av.open(str(path)) as opened:  # FFmpeg finds the same speakers
        frame = next(opened.decode(audio=0))
        names = [channel.name for channel in frame.layout.channels]
    sides = {"SL": "BL", "SR": "BR"} if channels < 7 else {}
    assert [sides.get(name, name) for name in names] == list(layout)


def test_a_mask_of_wav_is_kept(tmp_path):
    path = tmp_path / "a.wav"
    layout = ("FL", "FR", "LFE")
    with AudioWriter(path, 48000, 3, AudioFormat("wav", "PCM_24", layout)) as writer:
        writer.write(speakers(3))
    for container in ("wav", "flac"):
        target = tmp_path / f"b.{container}"
        assert probe(path).layout == layout
        form = output_format(container, None, probe(path))
        with AudioWriter(target, 48000, 3, form) as writer:
            writer.write(read(path)[0])
        assert probe(target).layout == layout
    with pytest.raises(UsageError, match=r"ogg takes 3 channels for 3.0 \(FL FR FC\)"):
        output_format("ogg", None, probe(path))


# ---- FFmpeg -------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_eight_planes(tmp_path, codec):
    path = tmp_path / ("a.m4a" if codec == "aac" else "a.mkv")
    samples = speakers(8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=48000, layout="7.1")
        kind = stream.codec_context.format.name if stream.codec_context.format else "fltp"
        packed = (samples.T * 2**30).astype(np.int32).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="s32", layout="7.1")
        frame.sample_rate, frame.pts = 48000, 0
        size = stream.codec_context.frame_size or 1024
        resampler = av.AudioResampler(kind, "7.1", 48000, frame_size=size)
        for piece in (frame, None):
            for part in resampler.resample(piece):
                container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    kept, rate = read(path)
    assert (kept.shape[0], rate) == (8, 48000) and abs(kept.shape[1] - 48000) <= 1024
    for channel, signal_ in enumerate(kept):
        spectrum = np.abs(np.fft.rfft(signal_[:46000] * np.hanning(46000)))
        assert abs(48 / 46 * int(spectrum.argmax()) - (40 + 20 * channel)) <= 4


@pytest.mark.skipif(os.name == "nt", reason="processes are ended otherwise there")
def test_a_crash_of_a_decoder_costs_one_file(tmp_path):
    path = tmp_path / "a.m4a"
    encode(path, "aac", tone(30.0))
    with AudioReader(path) as reader:
        blocks = reader.blocks(1000)
        next(blocks)
        decoder = reader._decoder
        assert isinstance(decoder, remote.RemoteDecoder)
        os.kill(decoder._process.pid, signal.SIGSEGV)
        with pytest.raises(AudioError, match=r"decoder crashed over it.*SIGSEGV.*convert it"):
            list(blocks)
    assert read(path)[0].shape[1] > 29 * RATE  # a new process serves the next file


@pytest.mark.parametrize("name", ["self.m4a", "other.wav"])
def test_playlists_are_no_audio(tmp_path, name):
    sf.write(tmp_path / "other.wav", tone().T, RATE)
    path = tmp_path / "self.m4a"
    path.write_text(f"ffconcat version 1.0\nfile {name}\n")
    assert "is not audio" in message(path)


def test_the_decoder_opens_what_it_is_told(tmp_path):
    path = tmp_path / "a.mp3"
    mp3(path, tone())
    decoder = open_decoder(str(path), "a.mp3")
    assert decoder.info.container == "mp3" and decoder.notes == []
    decoder.close()


# ---- cut, joined and damaged files of other containers -------------------------------------------


def joined(path: Path) -> Path:
    """Put a file behind itself."""
    path.write_bytes(2 * path.read_bytes())
    return path


@pytest.mark.parametrize("kind", ["wav", "aiff", "caf", "m4a", "tta", "wma", "wv"])
def test_a_second_file_that_no_decoder_reads_is_told(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    codecs = {"m4a": "aac", "tta": "tta", "wma": "wmav2", "wv": "wavpack"}
    if kind in codecs:
        encode(path, codecs[kind], tone(2.0))
    else:
        sf.write(path, tone(2.0).T, RATE)
    read(path)  # no word
    with pytest.warns(AudioCliWarning, match="another file of its kind follows after"):
        assert abs(read(joined(path))[0].shape[1] / RATE - 2) < 0.1


def test_joined_flac_with_tags_between(tmp_path):
    path = tmp_path / "a.flac"
    sf.write(path, tone(1.0).T, RATE)
    path.write_bytes(2 * (path.read_bytes() + ID3V1))
    assert np.array_equal(read(path)[0], np.tile(read_back(tone(1.0)), 2))


def read_back(samples: np.ndarray) -> np.ndarray:
    """Round samples to 16 bits as libsndfile's writer does."""
    buffer = io.BytesIO()
    sf.write(buffer, samples.T, RATE, format="FLAC")
    buffer.seek(0)
    return sf.read(buffer, dtype="float32")[0].T


@pytest.mark.parametrize(("kind", "codec"), [("webm", "libopus"), ("wma", "wmav2")])
def test_cut_files_of_lossy_coders_are_told(tmp_path, kind, codec):
    path = tmp_path / f"a.{kind}"
    rate = 48000 if codec == "libopus" else RATE
    encode(path, codec, tone(4.0, rate=rate), rate)
    whole = read(path)[0].shape[1]
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    with pytest.warns(AudioCliWarning, match="shorter than its header states"):
        assert 0.5 * whole < read(path)[0].shape[1] < whole


@pytest.mark.parametrize("part", [0.7, 0.9, 0.99, 0.999])
def test_an_m4a_that_was_cut_anywhere_is_refused(tmp_path, part):
    path = tmp_path / "a.m4a"
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 3 * RATE)).astype(np.float32)
    encode(path, "aac", noise, options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    assert "truncated" in message(path)


@pytest.mark.parametrize("kind", ["adts", "ac3"])
def test_junk_between_the_packets_of_a_bare_stream_is_skipped(tmp_path, kind):
    path = tmp_path / "a"
    encode(path, "aac" if kind == "adts" else "ac3", tone(4.0), format=kind)
    whole, content = read(path)[0].shape[1], path.read_bytes()
    middle = content.index(content[:2], len(content) // 2)
    path.write_bytes(content[:middle] + b"a text\n" * 300 + content[middle:])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert abs(read(path)[0].shape[1] - whole) <= 4096
    # FFmpeg's parser of AAC may leave the junk out by itself, with nothing lost
    assert kind == "adts" or "were skipped in 1 places" in str(caught[0].message)


def test_an_mp3_without_a_count_that_was_cut_in_a_frame_is_told(tmp_path):
    path = tmp_path / "a.mp3"
    path.write_bytes(without_tag(mp3(path, tone(2.0)))[:-100])
    with pytest.warns(AudioCliWarning, match="its last frame is not whole"):
        assert abs(read(path)[0].shape[1] / RATE - 2) < 0.1


def test_a_tag_that_counts_too_few_frames(tmp_path):
    path = tmp_path / "a.mp3"
    content = mp3(path, tone(2.0))
    place = max(content.find(b"Xing"), content.find(b"Info")) + 8
    path.write_bytes(content[:place] + struct.pack(">I", 10) + content[place + 4 :])
    assert read(path)[0].shape[1] == 2 * RATE
