"""``--online`` takes what comes through a pipe, or says why not; it never prints nothing at all."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import soundfile

from audiocli.errors import AudioError
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
