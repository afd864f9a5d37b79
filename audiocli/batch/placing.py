"""How outputs are named: what goes into folders, and what an option names, as pictures are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from audiocli.batch.inputs import Input
from audiocli.errors import FieldError
from audiocli.io.remote import place

__all__ = ["NAME", "PAGES", "PICTURES", "SOUNDS", "Export", "Namer"]

#: What a picture's name may end in.
PICTURES = (".png", ".svg", ".pdf")
#: What a sound's name may end in.
SOUNDS = (".wav", ".flac", ".ogg", ".mp3")
#: What a web page's name may end in.
PAGES = (".html", ".htm")
#: How outputs are called in folders unless the user says otherwise.
NAME = "{name}.{ext}"


@dataclass(frozen=True)
class Namer:
    """Names outputs in folders that mirror those of the inputs.

    Parameters
    ----------
    template : str
        The name of an output, of ``{name}`` and ``{suffix}``, the input's name without its ending
        and that ending, ``{ext}``, the output's own ending with what tells it from others of the
        same input (``csv``, ``clicks.wav``), ``{parent}``, the folder of the input, and where a
        task writes stems, ``{stem}``. Without ``{suffix}``, the names of inputs that differ in
        their endings only keep them.
    """

    template: str = NAME

    def __call__(self, folder: Path, item: Input, ext: str, *, stem: str = "") -> Path:
        """Name an output in a folder."""
        fields = {
            "name": item.relative.stem if "{suffix}" in self.template else item.stem,
            "suffix": item.relative.suffix.removeprefix("."),
            "ext": ext,
            "parent": Path(os.path.abspath(item.path)).parent.name,
            **({"stem": stem} if stem else {}),
        }
        fix = "{name}, {suffix}, {parent} and {ext}" if not stem else (
            "{name}, {stem}, {ext}, {suffix} and {parent}"
        )  # fmt: skip
        try:
            name = Path(self.template.format(**fields))
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise FieldError(
                f"{{name}} template {self.template!r} is not understood ({error}); use {fix}",
                "name",
            ) from error
        if name.anchor or ".." in name.parts or not name.name:
            raise FieldError(
                f"{{name}} template {self.template!r} leads out of the output folder, to {name}; "
                "name that folder by {output}",
                *("name", "output"),
            )
        return folder / item.relative.parent / name


@dataclass(frozen=True)
class Export:
    """A file that a task can write besides its result.

    Parameters
    ----------
    kind : str
        What it is; also the field of the request that says where it goes.
    place : str
        What that field says: a file, or a folder where there are several inputs, where it is
        there or where it ends in a slash; "" for a name of its own beside the results.
    tag : str
        What tells it from other outputs in names of its own: ``onsets`` for ``song.onsets.png``.
    endings : tuple of str
        What a file may end in; the first is the default.
    like_input : bool
        In a folder it ends as the input does, if that is among the endings.
    folder_tag : str, optional
        The tag in a folder that `place` names, where that is another.
    variants : tuple of str
        Where one input has several such files: what tells them apart.
    """

    kind: str
    place: str
    tag: str
    endings: tuple[str, ...] = PICTURES
    like_input: bool = False
    folder_tag: str | None = None
    variants: tuple[str, ...] = ()

    def paths(
        self, item: Input, namer: Namer, folder: Path | None, *, several: bool
    ) -> dict[str, Path]:
        """Name the files of an input."""
        path = self._path(item, namer, folder, several)
        if not self.variants:
            return {self.kind: path}
        return {
            f"{self.kind} {variant}": path.with_name(f"{path.stem}.{variant}{path.suffix}")
            for variant in self.variants
        }

    def _path(self, item: Input, namer: Namer, folder: Path | None, several: bool) -> Path:
        if "{stem}" in namer.template:
            namer = Namer()  # that template is of sounds
        suffix = item.relative.suffix.lower()
        ending = suffix if self.like_input and suffix in self.endings else self.endings[0]
        if not self.place:
            return namer(folder or Path(), item, _joined(self.tag, ending))
        path = place(self.place)
        names_file = path.suffix.lower() in self.endings
        is_folder = path.is_dir() or self.place.endswith(("/", os.sep))
        if is_folder or (several and not names_file):
            tag = self.tag if self.folder_tag is None else self.folder_tag
            return namer(path, item, _joined(tag, ending))
        if several:
            raise FieldError(
                f"{{{self.kind}}} {self.place}: is a name for one file, and there are several "
                f"inputs; name a folder, or {self.place}/ if it is to be one",
                self.kind,
            )
        if not names_file:
            raise FieldError(
                f"{{{self.kind}}} {self.place}: must end in {', '.join(self.endings)}, or be a "
                "folder that is there",
                self.kind,
            )
        return path


def _joined(tag: str, ending: str) -> str:
    return f"{tag}{ending}" if tag else ending.removeprefix(".")
