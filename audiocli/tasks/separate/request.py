"""The request of a separation, and the names of its outputs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from audiocli.batch.inputs import Input
from audiocli.batch.placing import PAGES, Export, Namer
from audiocli.errors import FieldError, suggest
from audiocli.tasks.separate.separator import DEFAULT_MODEL

__all__ = ["NAME", "REMIX", "SeparationRequest", "container_of", "name_sounds", "parse_gains"]

#: How outputs are called unless the user says otherwise.
NAME = "{name}.{stem}.{ext}"
#: What stands in a remix's name in the place of a stem.
REMIX = "remix"
HIGHEST_GAIN = 60.0  # dB


@dataclass(frozen=True)
class SeparationRequest:
    """Everything that ``separate`` is to do; None for what is not wanted.

    Parameters
    ----------
    model : str
        A model's name or folder.
    stems : sequence of str, optional
        Which to write, of those the model has; ``accompaniment`` is always among them, all but
        the vocals. By default all that the model has.
    container, bits, clip, metadata
        As in :func:`separate_file`.
    plot : str, optional
        Picture; a folder where there are several inputs, and "" for a name beside the stems.
    report : str, optional
        Web page; a folder where there are several inputs.
    gains : mapping of str to float, optional
        A remix, with gains in dB by stem; the others have 0, and -inf leaves one out.
    preview : float, optional
        Take only the loudest segment of so many seconds.
    tta_pitches : int, optional
        As in :class:`audiocli.tasks.separate.separator.Separator`.
    device : str
        As in :func:`audiocli.nn.models.device`.

    Raises
    ------
    FieldError
        If there is no such gain, or the preview is no length.

    Examples
    --------
    >>> SeparationRequest(gains={"vocals": -6.0}).report is None
    True
    """

    model: str = DEFAULT_MODEL
    stems: Sequence[str] | None = None
    container: str | None = None
    bits: int | None = None
    clip: str = "rescale"
    metadata: bool = True
    plot: str | None = None
    report: str | None = None
    gains: Mapping[str, float] | None = None
    preview: float | None = None
    tta_pitches: int | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        for stem, gain in (self.gains or {}).items():
            if not gain <= HIGHEST_GAIN:  # NaN among them
                raise FieldError(f"{{gains}} {stem}={gain:g}: must be between -inf and 60 dB",
                                 "gains")  # fmt: skip
        if self.preview is not None and not 0 < self.preview < math.inf:
            raise FieldError(f"{{preview}} {self.preview:g}: must be more than 0 seconds",
                             "preview")  # fmt: skip

    def check_gains(self, stems: Sequence[str]) -> None:
        """Refuse gains of stems that a model does not have.

        Parameters
        ----------
        stems : sequence of str
            Those it has.

        Raises
        ------
        FieldError
            If one is not among them.
        """
        for stem in self.gains or {}:
            if stem not in stems:
                raise FieldError(
                    f"{{gains}}: unknown stem {stem!r}: {suggest(stem, stems)}", "gains"
                )

    @property
    def exports(self) -> list[Export]:
        """The exports that are named here; a remix is sound, and named as the stems are."""
        partly = "" if self.preview is None else "preview"
        made = []
        if self.plot is not None:
            tag = f"stems.{partly}" if partly else "stems"
            made.append(Export("plot", self.plot, tag, folder_tag=partly))
        if self.report is not None:
            made.append(Export("report", self.report, partly, PAGES))
        return made

    @property
    def settings(self) -> dict[str, object]:
        """What the results depend on, ready for JSON.

        Which stems are written is not among it: a file of a stem is the same beside others.
        """
        named = {
            "pitches": self.tta_pitches,
            "gains": {stem: str(gain) for stem, gain in (self.gains or {}).items()} or None,
            "preview": self.preview,
            "clip": None if self.clip == "rescale" else self.clip,
            "metadata": None if self.metadata else False,
        }
        given = {name: value for name, value in named.items() if value is not None}
        return {"container": self.container, "bits": self.bits, **given}


def name_sounds(
    folder: Path, kinds: Sequence[str], request: SeparationRequest, item: Input, namer: Namer
) -> dict[str, Path]:
    """Name the stems of an input and its remix."""
    ext = request.container or container_of(item)
    paths = {kind: namer(folder, item, ext, stem=kind) for kind in kinds}
    if request.preview is None:
        return paths
    # whatever the template, its name differs from that of the whole
    return {
        kind: path.with_name(f"{path.stem}.preview{path.suffix}") for kind, path in paths.items()
    }


def parse_gains(words: Iterable[str]) -> dict[str, float]:
    """Read gains as they are typed, ``STEM=DB``, into dB by stem."""
    gains: dict[str, float] = {}
    for word in words:
        stem, equals, value = (part.strip() for part in word.partition("="))
        number = value.lower().removesuffix("db").rstrip()
        try:
            gain = float(number)
        except ValueError:
            gain = math.nan
        if not stem or not equals or math.isnan(gain):
            raise FieldError(f"{{gains}} {word}: write STEM=DB, as in vocals=-6dB", "gains")
        if stem in gains:
            raise FieldError(f"{{gains}} {word}: {stem} has a gain already", "gains")
        gains[stem] = gain
    return gains


def container_of(item: Input) -> str:
    """Choose the container by the input's name, as the name of the output is chosen."""
    return "flac" if item.relative.suffix.lower() == ".flac" else "wav"
