"""What reading and writing audio files have in common: their facts, and libsndfile's terms."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from audiocli.errors import printable
from audiocli.io.audio.layouts import Layout

__all__ = [
    "BITS",
    "CHUNK",
    "FLOATS",
    "AudioInfo",
    "Block",
    "SequentialFile",
    "StrPath",
    "printable",
]

StrPath = str | os.PathLike[str]

Block = NDArray[np.float32]
"""Samples of shape (channels, samples), full scale at 1.0."""

CHUNK = 8192
"""Frames decoded or encoded at once: libvorbis overflows the stack on huge writes."""

BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
BITS |= {f"ALAC_{bits}": bits for bits in (16, 20, 24, 32)} | {"FLOAT": 32, "DOUBLE": 64}
"""Bits per sample of libsndfile's lossless subtypes."""

FLOATS = frozenset({"FLOAT", "DOUBLE"})
"""The subtypes whose samples may pass 1.0."""


@dataclass(frozen=True)
class AudioInfo:
    """What an audio file holds.

    Attributes
    ----------
    path : str
        The file, as the user named it.
    sample_rate : int
        Samples per second, in Hz.
    channels : int
        Number of channels.
    frames : int or None
        Samples per channel; None where the file does not say or cannot be trusted.
    bits : int or None
        Bits per sample (8, 16, 24, 32 or 64); None for lossy coders.
    is_float : bool
        Whether the samples are stored in floating point, and so may pass 1.0.
    container : str
        The kind of file: 'wav', 'flac', 'ogg', 'mp3', 'm4a', ...
    layout : tuple of str or None
        The speaker of each channel, 'FL', 'FR', 'FC', 'LFE', ... in the order of WAV, which is
        that of the samples; empty where the file says that channels are no speakers; None where
        it leaves that to their number, as mono and stereo files do.
    """

    path: str
    sample_rate: int
    channels: int
    frames: int | None
    bits: int | None
    is_float: bool
    container: str
    layout: Layout | None = None

    @property
    def duration(self) -> float | None:
        """Length in seconds; None where `frames` is."""
        return None if self.frames is None else self.frames / self.sample_rate


class SequentialFile(sf.SoundFile):  # type: ignore[misc]  # soundfile has no type hints
    """A file read or written from start to end.

    soundfile seeks after each read and write of a file that can seek, which costs time in
    compressed files and fails in a FLAC of unknown length.
    """

    def seekable(self) -> bool:
        """Deny it."""
        return False
