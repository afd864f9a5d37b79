"""Write a recording with clicks, to hear whether the times found are right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocli.audio import AudioReader, AudioWriter, output_format
from audiocli.audio.levels import Level

__all__ = ["write_clicks"]

Audio = NDArray[np.float32]

PITCH = 2000.0  # Hz; at low sample rates a quarter of the rate
DECAY = 0.006  # seconds to 1/e
LENGTH = 0.03  # seconds
#: Peak of a click over the recording's root mean square; 12 dB carries over a dense mix.
PROMINENCE = 4.0
QUIETEST = 0.05  # peak of a click over silence


def write_clicks(
    source: Path,
    target: Path,
    times: NDArray[np.float64],
    *,
    name: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write a file's sound with a click at each time, in constant memory.

    Parameters
    ----------
    source : Path
        Any audio file.
    target : Path
        ``.wav``, ``.flac``, ``.ogg`` or ``.mp3``; it has the rate, the channels and the length
        of the source.
    times : ndarray, shape (clicks,)
        In seconds, rising.
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
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     song, heard = Path(folder) / "song.wav", Path(folder) / "heard.wav"
    ...     soundfile.write(song, np.zeros(8000), 8000)
    ...     write_clicks(song, heard, np.array([0.5]))
    ...     audio, _ = soundfile.read(heard)
    >>> bool(np.abs(audio[:4000]).max() == 0 and np.abs(audio[4000:4100]).max() > 0.01)
    True
    """
    with AudioReader(source, name=name) as reader:
        info = reader.info
        level = Level(info.sample_rate)
        for block in reader.blocks():
            level.hear(block)
        height = max(PROMINENCE * level.rms, QUIETEST)
        # One gain for all: a click that does not fit must not change the song under it.
        gain = 1 / max(1.0, level.peak + height)
        form = output_format(target.suffix.lstrip(".").lower(), None, info)
        with AudioWriter(
            target,
            info.sample_rate,
            info.channels,
            form,
            overwrite=overwrite,
            frames=level.frames,
        ) as writer:
            for block in _clicked(reader.blocks(), times, info.sample_rate, height):
                writer.write(block * np.float32(gain))


def _clicked(
    blocks: Iterable[Audio], times: NDArray[np.float64], rate: int, height: float
) -> Iterator[Audio]:
    """Add clicks to a stream of blocks."""
    t = np.arange(round(LENGTH * rate)) / rate
    pitch = min(PITCH, rate / 4)
    click = (height * np.sin(2 * np.pi * pitch * t) * np.exp(-t / DECAY)).astype(np.float32)
    starts = np.round(times * rate).astype(int)
    begin = 0
    for block in blocks:
        end = begin + block.shape[1]
        for start in starts[(starts > begin - len(click)) & (starts < end)]:
            first, last = max(start, begin), min(start + len(click), end)
            block[:, first - begin : last - begin] += click[first - start : last - start]
        yield block
        begin = end
