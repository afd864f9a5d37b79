"""What is made of a song besides its stems, and how all of it is named."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from audiocli.batch.inputs import Input
from audiocli.batch.placing import PICTURES, below, placed
from audiocli.errors import UsageError, suggest

__all__ = ["NAME", "REMIX", "Asked", "Naming", "container_of", "parse_gains"]

#: How outputs are called unless the user says otherwise.
NAME = "{name}.{stem}.{ext}"
#: What stands in a remix's name in the place of a stem.
REMIX = "remix"
PAGES = (".html", ".htm")
HIGHEST_GAIN = 60.0  # dB


@dataclass(frozen=True)
class Asked:
    """What to make besides the stems; None for what is not wanted.

    Parameters
    ----------
    plot : str, optional
        Picture; a folder where there are several inputs, and "" for a name beside the stems.
    report : str, optional
        Web page; a folder where there are several inputs.
    gains : mapping of str to float, optional
        A remix, with gains in dB by stem; the others have 0, and -inf leaves one out.
    preview : float, optional
        Take only the loudest stretch of so many seconds.

    Raises
    ------
    UsageError
        If there is no such gain, or the preview is no length.

    Examples
    --------
    >>> Asked(gains={"vocals": -6.0}).report is None
    True
    """

    plot: str | None = None
    report: str | None = None
    gains: Mapping[str, float] | None = None
    preview: float | None = None

    def __post_init__(self) -> None:
        for stem, gain in (self.gains or {}).items():
            if not gain <= HIGHEST_GAIN:  # NaN among them
                raise UsageError(f"--gain {stem}={gain:g}: must be between -inf and 60 dB")
        if self.preview is not None and not 0 < self.preview < math.inf:
            raise UsageError(f"--preview {self.preview:g}: must be more than 0 seconds")

    def check(self, stems: Sequence[str]) -> None:
        """Refuse gains of stems that a model does not have.

        Parameters
        ----------
        stems : sequence of str
            Those it has.

        Raises
        ------
        UsageError
            If one is not among them.
        """
        for stem in self.gains or {}:
            if stem not in stems:
                raise UsageError(f"--gain: unknown stem {stem!r}: {suggest(stem, stems)}")

    @property
    def settings(self) -> dict[str, object]:
        """What the results depend on, ready for JSON; empty where nothing was asked for."""
        named = {
            "plot": self.plot is not None or None,
            "report": self.report is not None or None,
            "gains": {stem: str(gain) for stem, gain in (self.gains or {}).items()} or None,
            "preview": self.preview,
        }
        return {name: value for name, value in named.items() if value is not None}


def parse_gains(words: Iterable[str]) -> dict[str, float]:
    """Read gains as they are typed.

    Parameters
    ----------
    words : iterable of str
        ``STEM=DB`` each, with or without the unit.

    Returns
    -------
    dict of str to float
        In dB.

    Raises
    ------
    UsageError
        If one is of another form, or a stem has two.

    Examples
    --------
    >>> parse_gains(["vocals=-6dB", "accompaniment=-inf"])
    {'vocals': -6.0, 'accompaniment': -inf}
    """
    gains: dict[str, float] = {}
    for word in words:
        stem, equals, value = (part.strip() for part in word.partition("="))
        number = value.lower().removesuffix("db").rstrip()
        try:
            gain = float(number)
        except ValueError:
            gain = math.nan
        if not stem or not equals or math.isnan(gain):
            raise UsageError(f"--gain {word}: write STEM=DB, as in vocals=-6dB")
        if stem in gains:
            raise UsageError(f"--gain {word}: {stem} has a gain already")
        gains[stem] = gain
    return gains


@dataclass(frozen=True)
class Naming:
    """Names the outputs of an input: stems first, in their order, then what else was asked for.

    Parameters
    ----------
    folder : Path
        For the stems; mirrors the folders given.
    stems : tuple of str
        Those to write.
    container : str or None
        The ending of audio files; None goes by the input's name.
    template : str
        Of ``{name}``, ``{stem}``, ``{ext}`` and ``{parent}``.
    asked : Asked
        What else to make.
    several : bool
        Whether there are several inputs.

    Attributes
    ----------
    kinds : tuple of str
        What each of the outputs is: a stem, ``remix``, ``plot`` or ``report``.

    Examples
    --------
    >>> naming = Naming(Path("out"), ("vocals",), None, NAME, Asked(plot=""), False)
    >>> song = Input(Path("song.mp3"), "song.mp3", Path("song.mp3"))
    >>> [path.name for path in naming(song)]
    ['song.vocals.wav', 'song.stems.png']
    """

    folder: Path
    stems: tuple[str, ...]
    container: str | None
    template: str
    asked: Asked
    several: bool
    kinds: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        wanted = {
            REMIX: bool(self.asked.gains),
            "plot": self.asked.plot is not None,
            "report": self.asked.report is not None,
        }
        kinds = self.stems + tuple(kind for kind, made in wanted.items() if made)
        object.__setattr__(self, "kinds", kinds)

    def __call__(self, item: Input) -> list[Path]:
        """Name the outputs of an input, in the order of `kinds`.

        Raises
        ------
        UsageError
            If the template is not understood or leads elsewhere, or a file has another ending.
        """
        heard = tuple(kind for kind in self.kinds if kind not in ("plot", "report"))
        paths = self._sounds(item, heard)
        partly = ".preview" if self.asked.preview is not None else ""
        if self.asked.plot == "":
            paths.append(below(self.folder, item, f".stems{partly}.png"))
        elif self.asked.plot is not None:
            ending = f"{partly}.png"
            paths.append(placed("--plot", self.asked.plot, item, ending, PICTURES, self.several))
        if self.asked.report is not None:
            ending = f"{partly}.html"
            paths.append(placed("--report", self.asked.report, item, ending, PAGES, self.several))
        return paths

    def _sounds(self, item: Input, stems: Sequence[str]) -> list[Path]:
        fields = {
            "name": item.relative.stem,
            "ext": self.container or container_of(item),
            "parent": Path(os.path.abspath(item.path)).parent.name,
        }
        try:
            names = [Path(self.template.format(stem=stem, **fields)) for stem in stems]
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise UsageError(
                f"name template {self.template!r} is not understood ({error}); "
                "use {name}, {stem}, {ext} and {parent}"
            ) from error
        for name in names:
            if name.anchor or ".." in name.parts:
                raise UsageError(
                    f"name template {self.template!r} leads out of the output folder, to {name}; "
                    "name that folder by --output"
                )
        if self.asked.preview is not None:  # whatever the template, it is told from the whole
            names = [name.with_name(f"{name.stem}.preview{name.suffix}") for name in names]
        return [self.folder / item.relative.parent / name for name in names]


def container_of(item: Input) -> str:
    """Choose the container by the input's name, as the name of the output is chosen.

    Parameters
    ----------
    item : Input

    Returns
    -------
    str
        ``flac`` for flac, else ``wav``.

    Examples
    --------
    >>> container_of(Input(Path("a.mp3"), "a.mp3", Path("a.mp3")))
    'wav'
    """
    return "flac" if item.relative.suffix.lower() == ".flac" else "wav"
