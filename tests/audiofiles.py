"""Audio files to test with."""

from __future__ import annotations

import io
import os
from pathlib import Path

import av
import numpy as np
import pytest

from audiocli.errors import AudioError
from audiocli.io.audio import AudioFormat, read

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
