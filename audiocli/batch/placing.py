"""Where the outputs of an input go: results, and what is named by an option, as pictures are."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from audiocli.batch.inputs import Input
from audiocli.errors import UsageError

__all__ = ["PICTURES", "SOUNDS", "Naming", "below", "picture", "placed", "sound"]

#: What a picture's name may end in.
PICTURES = (".png", ".svg", ".pdf")
#: What a sound's name may end in.
SOUNDS = (".wav", ".flac", ".ogg", ".mp3")


@dataclass(frozen=True)
class Naming:
    """Names the outputs of an input, for :func:`audiocli.batch.inputs.plan`.

    Parameters
    ----------
    ways : mapping of str to callable
        For each kind of output that is wanted, what names it.

    Examples
    --------
    >>> naming = Naming({"plot": lambda item: item.path.with_suffix(".png")})
    >>> naming(Input(Path("song.wav"), "song.wav", Path("song.wav")))
    [PosixPath('song.png')]
    """

    ways: Mapping[str, Callable[[Input], Path]]

    @property
    def kinds(self) -> tuple[str, ...]:
        """What an input has, in the order of its paths."""
        return tuple(self.ways)

    def __call__(self, item: Input) -> list[Path]:
        """Name the outputs of an input."""
        return [way(item) for way in self.ways.values()]


def below(folder: Path, item: Input, ending: str) -> Path:
    """Name a product in a folder that mirrors that of the inputs.

    Parameters
    ----------
    folder : Path
    item : Input
        What it is made of.
    ending : str
        In the place of the input's own.

    Returns
    -------
    Path

    Examples
    --------
    >>> below(Path("out"), Input(Path("a/b.wav"), "a/b.wav", Path("b.wav")), ".onsets.png").name
    'b.onsets.png'
    """
    return folder / item.relative.parent / (item.relative.stem + ending)


def placed(
    option: str, place: str, item: Input, ending: str, allowed: Sequence[str], several: bool
) -> Path:
    """Name a product whose place the user gave: a file, or a folder for those of all inputs.

    Parameters
    ----------
    option : str
        What the place was given by, for the message.
    place : str
        A folder where there are several inputs, where it is there or where it ends in a slash;
        else a file.
    item : Input
        What it is made of.
    ending : str
        In the place of the input's own, in a folder.
    allowed : sequence of str
        What a file may end in.
    several : bool
        Whether there are other inputs.

    Returns
    -------
    Path

    Raises
    ------
    UsageError
        If it is a file that ends in none of these, or one for several inputs.

    Examples
    --------
    >>> song = Input(Path("song.wav"), "song.wav", Path("song.wav"))
    >>> placed("--plot", "no/such/", song, ".onsets.png", PICTURES, False).name
    'song.onsets.png'
    """
    path = Path(place)
    names_file = path.suffix.lower() in allowed
    folder = path.is_dir() or place.endswith(("/", os.sep))
    if folder or (several and not names_file):
        return below(path, item, ending)
    if several:
        raise UsageError(
            f"{option} {place}: is a name for one file, and there are several inputs; name a "
            f"folder, or {place}/ if it is to be one"
        )
    if not names_file:
        raise UsageError(
            f"{option} {place}: must end in {', '.join(allowed)}, or be a folder that is there"
        )
    return path


def picture(place: str, folder: Path | None, item: Input, ending: str, several: bool) -> Path:
    """Name a picture, by what ``--plot`` was given.

    Parameters
    ----------
    place : str
        As in :func:`placed`; "" for a name of its own.
    folder : Path, optional
        Where that goes: the output folder, else here.
    item : Input
        What it is made of.
    ending : str
        Of a name of its own.
    several : bool
        Whether there are other inputs.

    Returns
    -------
    Path

    Raises
    ------
    UsageError
        As :func:`placed`.

    Examples
    --------
    >>> song = Input(Path("song.wav"), "song.wav", Path("song.wav"))
    >>> picture("", None, song, ".onsets.png", False).name
    'song.onsets.png'
    """
    if not place:
        return below(folder or Path(), item, ending)
    return placed("--plot", place, item, ".png", PICTURES, several)


def sound(place: str, item: Input, kind: str, several: bool) -> Path:
    """Name a recording with something added, by what ``--click`` was given.

    Parameters
    ----------
    place : str
        As in :func:`placed`.
    item : Input
        What it is made of; in a folder the sound ends as it does, if that can be written.
    kind : str
        What was added, for names in a folder.
    several : bool
        Whether there are other inputs.

    Returns
    -------
    Path

    Raises
    ------
    UsageError
        As :func:`placed`.

    Examples
    --------
    >>> song = Input(Path("song.m4a"), "song.m4a", Path("song.m4a"))
    >>> sound("no/such/", song, "clicks", False).name
    'song.clicks.wav'
    """
    suffix = item.relative.suffix.lower()
    default = suffix if suffix in SOUNDS else ".wav"
    return placed("--click", place, item, f".{kind}{default}", SOUNDS, several)
