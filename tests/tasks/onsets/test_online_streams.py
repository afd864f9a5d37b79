"""``--online`` takes what comes through a pipe, or says why not; it never prints nothing at all."""

from __future__ import annotations

import io
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from audiocli.errors import AudioCliWarning, AudioError
from audiocli.tasks.onsets import RawAudio, open_stream

RATE = 44_100
SOUND = np.random.default_rng(0).uniform(-0.5, 0.5, size=(30_000, 2))


class Pipe(io.RawIOBase):
    """Bytes that come in small pieces and only once."""

    def __init__(self, data: bytes) -> None:
        self.rest = data

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = min(len(buffer), 5000)
        piece, self.rest = self.rest[:size], self.rest[size:]
        buffer[: len(piece)] = piece
        return len(piece)


def read_stream(data: bytes) -> np.ndarray:
    form, blocks = open_stream(io.BufferedReader(Pipe(data)), RawAudio())
    assert form.sample_rate == RATE
    return np.concatenate(list(blocks))


def encoded(form: str, subtype: str) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, SOUND, RATE, format=form, subtype=subtype)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("form", "subtype", "tolerance"),
    [
        ("WAV", "PCM_16", 1e-4), ("WAV", "FLOAT", 1e-6), ("WAV", "PCM_24", 1e-6),
        ("WAV", "PCM_U8", 0.01), ("WAV", "DOUBLE", 1e-6), ("RF64", "FLOAT", 1e-6),
        ("RF64", "PCM_16", 1e-4), ("AIFF", "PCM_16", 1e-4), ("FLAC", "PCM_16", 1e-4),
        ("AU", "PCM_16", 1e-4),
    ],
)  # fmt: skip
def test_files_come_through_a_pipe(form: str, subtype: str, tolerance: float) -> None:
    found = read_stream(encoded(form, subtype))
    np.testing.assert_allclose(found, SOUND.mean(axis=1), atol=tolerance)


@pytest.mark.parametrize(("form", "subtype"), [("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS")])
def test_lossy_files_come_through_a_pipe(form: str, subtype: str) -> None:
    found = read_stream(encoded(form, subtype))
    assert abs(len(found) - len(SOUND)) < 3000
    assert 0.05 < found.std() < 0.5


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"fLaC" + bytes(8),
        encoded("FLAC", "PCM_16")[:9000] + bytes(9000),
        b"\0\0\0\x18ftypM4A " + bytes(99),
    ],
)
def test_what_cannot_be_decoded_is_said(data: bytes) -> None:
    with pytest.raises(AudioError, match="standard input"):
        read_stream(data)


# --- speakers --------------------------------------------------------------------------------


def surround(kind: str, *, effects_only: bool = False) -> bytes:
    """5.1 with a different noise in each channel, that for effects the loudest."""
    noise = np.random.default_rng(1).uniform(-0.1, 0.1, size=(6, RATE // 2)).astype(np.float32)
    noise[3] *= 8
    if effects_only:
        noise[[0, 1, 2, 4, 5]] = 0
    buffer = io.BytesIO()
    codec = {"wav": "pcm_f32le", "flac": "flac", "wav 24": "pcm_s24le"}[kind]
    with av.open(buffer, "w", format=kind.split()[0]) as container:
        stream = container.add_stream(codec, rate=RATE, layout="5.1")
        form = stream.codec_context.format.name
        frame = av.AudioFrame.from_ndarray(noise, format="fltp", layout="5.1")
        frame.sample_rate, frame.pts = RATE, 0
        size = stream.codec_context.frame_size or 0
        resampler = av.AudioResampler(form, "5.1", RATE, frame_size=size)
        for piece in (frame, None):
            for part in resampler.resample(piece):
                container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["wav", "flac", "wav 24"])
def test_the_channel_for_effects_is_left_out(kind: str) -> None:
    noise = np.random.default_rng(1).uniform(-0.1, 0.1, size=(6, RATE // 2))
    expected = noise[[0, 1, 2, 4, 5]].mean(axis=0)
    found = read_stream(surround(kind))[: len(expected)]
    assert np.corrcoef(found, expected[: len(found)])[0, 1] > 0.95


def test_sound_for_effects_alone_is_said() -> None:
    with pytest.warns(AudioCliWarning, match="LFE"):
        assert not read_stream(surround("wav", effects_only=True)).any()


def test_raw_samples_have_no_speakers() -> None:
    noise = np.random.default_rng(2).integers(-99, 99, size=(RATE // 2, 6)).astype("<i2")
    form, blocks = open_stream(io.BytesIO(noise.tobytes()), RawAudio(channels=6))
    assert form.layout == ()
    np.testing.assert_allclose(np.concatenate(list(blocks)), noise.mean(axis=1) / 32768, atol=1e-6)
