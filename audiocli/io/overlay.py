"""Write a recording with something added to it, such as clicks or chords."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocli.io.audio import AudioReader, AudioWriter, output_format
from audiocli.io.audio.levels import Level

__all__ = ["Audio", "Layer", "overlaid", "write_overlaid"]

Audio = NDArray[np.float32]


@dataclass(frozen=True)
class Layer:
    """What is added to a recording, in all channels alike.

    Parameters
    ----------
    peak : float
        What none of its samples exceeds.
    samples : callable
        Takes the first and the end of a range of samples of the recording, gives what is added
        there, of shape (samples,).

    Examples
    --------
    >>> hum = Layer(0.1, lambda first, end: np.full(end - first, 0.1, np.float32))
    >>> hum.samples(100, 104).shape
    (4,)
    """

    peak: float
    samples: Callable[[int, int], Audio]


def write_overlaid(
    source: Path,
    target: Path,
    make: Callable[[Level, int], Layer],
    *,
    name: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write a file's sound with something added, in constant memory.

    Parameters
    ----------
    source : Path
        Any audio file.
    target : Path
        ``.wav``, ``.flac``, ``.ogg`` or ``.mp3``; it has the rate, the channels and the length
        of the source.
    make : callable
        Takes the level of the whole source and its sample rate in Hz, gives what is added.
    name : str, optional
        How to call the source in messages.
    overwrite : bool
        Whether a file that is there may be replaced.

    Raises
    ------
    AudioError
        If the source cannot be read or the target not be written.

    Examples
    --------
    >>> import tempfile
    >>> import soundfile
    >>> def hum(level, rate):
    ...     return Layer(0.1, lambda first, end: np.full(end - first, 0.1, np.float32))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     song, heard = Path(folder) / "song.wav", Path(folder) / "heard.wav"
    ...     soundfile.write(song, np.zeros(8000), 8000)
    ...     write_overlaid(song, heard, hum)
    ...     round(float(soundfile.read(heard)[0].mean()), 3)
    0.1
    """
    with AudioReader(source, name=name) as reader:
        info = reader.info
        level = Level(info.sample_rate)
        for block in reader.blocks():
            level.hear(block)
        layer = make(level, info.sample_rate)
        # One gain for all: what does not fit must not change the song under it.
        gain = 1 / max(1.0, level.peak + layer.peak)
        form = output_format(target.suffix.lstrip(".").lower(), None, info)
        with AudioWriter(
            target,
            info.sample_rate,
            info.channels,
            form,
            overwrite=overwrite,
            frames=level.frames,
        ) as writer:
            for block in overlaid(reader.blocks(), layer):
                writer.write(block * np.float32(gain))


def overlaid(blocks: Iterable[Audio], layer: Layer) -> Iterator[Audio]:
    """Add a layer to a stream.

    Parameters
    ----------
    blocks : iterable of ndarray, shape (channels, samples)
    layer : Layer

    Yields
    ------
    ndarray, shape (channels, samples)

    Examples
    --------
    >>> ramp = Layer(9.0, lambda first, end: np.arange(first, end, dtype=np.float32))
    >>> [block.tolist() for block in overlaid([np.zeros((1, 2), np.float32)] * 2, ramp)]
    [[[0.0, 1.0]], [[2.0, 3.0]]]
    """
    first = 0
    for block in blocks:
        end = first + block.shape[1]
        yield block + layer.samples(first, end)
        first = end
