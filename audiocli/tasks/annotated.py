"""Recordings with their annotations beside them, to train and to score with.

In a folder and all folders below it, an audio file NAME.EXT belongs with NAME.SUFFIX in the
same place, whatever format :mod:`audiocli.io.audio` reads. Hidden files are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol, TypeVar

from audiocli.batch.inputs import find_inputs
from audiocli.errors import DataError

__all__ = ["Recording", "Titled", "find_recordings", "gather", "matching", "split", "title"]


class Titled(Protocol):
    """Anything with a title that patterns can match."""

    @property
    def title(self) -> str:
        """FOLDER/NAME."""


Each = TypeVar("Each", bound=Titled)


@dataclass(frozen=True)
class Recording:
    """An audio file and its annotation.

    Parameters
    ----------
    name : str
        Path below the folder, without the extension, with ``/`` on every system.
    audio, annotation : Path
        The two files.
    folder : Path
        Where it was found, as the user gave it.
    """

    name: str
    audio: Path
    annotation: Path
    folder: Path

    @property
    def title(self) -> str:
        """Name with the folder's own, see :func:`title`."""
        return title(self.folder, self.name)


def title(folder: Path, name: str) -> str:
    """Name a recording by its folder and its path below it, the same on every machine."""
    return f"{folder.resolve().name}/{name}"


def find_recordings(folder: Path, suffixes: Sequence[str]) -> list[Recording]:
    """Find the annotated recordings in a folder."""
    found: dict[str, Recording] = {}
    for item in find_inputs([str(folder)]):
        if item.problem is not None:
            continue
        name = item.relative.with_suffix("").as_posix()
        for suffix in suffixes:
            annotation = item.path.with_name(item.path.stem + suffix)
            if annotation.is_file():
                if name in found:
                    raise DataError(
                        f"{item.path}: {found[name].audio.name} beside it has the same name; "
                        "which of them is annotated? Move one away"
                    )
                found[name] = Recording(name, item.path, annotation, folder)
                break
    if not found:
        endings = ", ".join(suffixes)
        raise DataError(f"{folder}: no audio file with an annotation beside it ({endings})")
    return list(found.values())


def matching(recordings: Sequence[Each], patterns: Sequence[str], field: str) -> list[Each]:
    """Take the recordings whose titles match any of the patterns."""
    for pattern in patterns:
        if not any(fnmatchcase(recording.title, pattern) for recording in recordings):
            raise DataError(
                f"{{{field}}} {pattern}: no recording is called that; "
                f"they are called like {recordings[0].title}",
                field,
            )
    return [
        recording
        for recording in recordings
        if not patterns or any(fnmatchcase(recording.title, pattern) for pattern in patterns)
    ]


def split(recordings: Sequence[Each], held_out: Sequence[str]) -> tuple[list[Each], list[Each]]:
    """Split recordings into a training set and a validation set."""
    chosen = matching(recordings, held_out, "held_out") if held_out else recordings[::10]
    dev = list(chosen)
    training = [recording for recording in recordings if recording not in dev]
    if not training or not dev:
        raise DataError(
            f"{len(recordings)} recordings: none is left to train on, or to choose the best epoch "
            "with; hold out some of them, not all"
        )
    return training, dev


def gather(
    find: Callable[[Path], Sequence[Each]],
    data: Sequence[Path],
    held_out: Sequence[str],
    dev: Sequence[Path],
) -> tuple[list[Each], list[Each]]:
    """Find the recordings of the training set and of the validation set."""
    training = [each for folder in dict.fromkeys(data) for each in find(folder)]
    chosen = [each for folder in dev for each in find(folder)]
    if held_out or not dev:
        training, kept = split(training, held_out)
        chosen += kept
    return training, chosen
