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
    """Write a file's sound with something added, in constant memory."""
    with AudioReader(source, name=name) as reader:
        info = reader.info
        level = Level(info.sample_rate)
        for block in reader.blocks():
            level.update(block)
        layer = make(level, info.sample_rate)
        # One gain for all: what does not fit must not change the recording under it.
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
    """Add a layer to a stream of blocks (channels, samples)."""
    first = 0
    for block in blocks:
        end = first + block.shape[1]
        yield block + layer.samples(first, end)
        first = end
