"""Short files that are classified together, before each has its turn.

Networks are faster on several clips at once. What the batch runner promises is of one file at a
time: so the results are kept until that file's turn. A file that is long, that cannot be read or
that is to be warned of is left for its turn.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from audiocli.batch.inputs import Input
from audiocli.errors import AudioCliError, AudioCliWarning
from audiocli.io.audio import AudioReader
from audiocli.nn.threads import ordered
from audiocli.tasks.classify.classifier import Classifier
from audiocli.tasks.classify.decisions import Track

__all__ = ["LONGEST", "Ahead"]

#: Seconds of a file that is short; on several longer ones a network is hardly faster.
LONGEST = 10.24
#: Seconds of audio in memory at once.
MOST = 8 * LONGEST


#: Size, time of the last change in ns, and inode of a file.
_State = tuple[int, int, int]


class _Clip(NamedTuple):
    """A short file in memory."""

    path: Path
    state: _State
    audio: NDArray[np.float32]
    rate: int

    @property
    def seconds(self) -> float:
        return int(self.audio.shape[1]) / self.rate


class Ahead:
    """Classifies short files together, and keeps the results.

    Parameters
    ----------
    classifier : Classifier
        What classifies.
    """

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier
        self._found: dict[Path, tuple[_State, list[Track]]] = {}

    def look(self, inputs: Sequence[Input]) -> None:
        """Classify those of the inputs that are short."""
        self._found.clear()
        with warnings.catch_warnings():
            warnings.simplefilter("error", AudioCliWarning)  # so that such a file is left
            clips = (clip for clip in ordered(_decoded, inputs) if clip is not None)
            try:
                for several in _portions(clips):
                    tracks = self.classifier.batch([(clip.audio, clip.rate) for clip in several])
                    for clip, found in zip(several, tracks, strict=True):
                        self._found[clip.path] = clip.state, found
            except (AudioCliError, AudioCliWarning, MemoryError, RuntimeError):
                self._found.clear()  # not enough memory, say: each file has its turn, and says so

    def take(self, path: Path) -> list[Track] | None:
        """Give what was found of a file, unless it has changed since."""
        if path not in self._found:
            return None
        state, tracks = self._found.pop(path)
        return tracks if state == _state(path) else None


def _decoded(item: Input) -> _Clip | None:
    """Decode a short file, if nothing is wrong with it."""
    try:
        state = _state(item.path)
        with AudioReader(item.path, name=item.name) as reader:
            rate, duration = reader.info.sample_rate, reader.info.duration
            if duration is not None and duration > LONGEST:
                return None
            blocks = []
            for block in reader.full_range():
                blocks.append(block)
                if sum(each.shape[1] for each in blocks) > LONGEST * rate:
                    return None
        return _Clip(item.path, state, np.concatenate(blocks, axis=1), rate)
    except Exception:  # whatever it is, it is said when the file has its turn
        return None


def _state(path: Path) -> _State:
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns, status.st_ino


def _portions(clips: Iterable[_Clip]) -> Iterator[list[_Clip]]:
    """Part clips so that no more of them are in memory than need be."""
    several: list[_Clip] = []
    for clip in clips:
        several.append(clip)
        if sum(each.seconds for each in several) > MOST:
            yield several
            several = []
    if several:
        yield several
