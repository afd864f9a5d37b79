"""The tempo of a recording as a row of text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from audiocli.io import formats
from audiocli.io.formats.plain import SCHEMA
from audiocli.io.names import cell, words
from audiocli.tasks.beat_tracker import Tempo

__all__ = ["COLUMNS", "TEMPO_FORMATS", "TempoOf", "TempoResults"]

TEMPO_FORMATS = ("txt", "csv", "json", "jsonl", "sqlite")
COLUMNS = ("tempo", "confidence", "meter", "half", "half_share", "double", "double_share")


@dataclass(frozen=True)
class TempoOf:
    """The tempo of a recording, and what it is called.

    Parameters
    ----------
    file : str
    tempo : Tempo
    """

    file: str
    tempo: Tempo

    def row(self) -> dict[str, float | int | None]:
        """Give the values of ``COLUMNS``; where there is no beat, all are None but 0 confidence."""
        tempo = self.tempo
        row: dict[str, float | int | None] = dict.fromkeys(COLUMNS)
        row["confidence"] = round(tempo.confidence, 3)
        if tempo.bpm is None:
            return row
        shares = dict(tempo.candidates)
        row |= {"tempo": round(tempo.bpm, 2), "meter": tempo.meter}
        for name, bpm in (("half", tempo.bpm / 2), ("double", 2 * tempo.bpm)):
            row |= {name: round(bpm, 2), f"{name}_share": round(shares[bpm], 3)}
        return row


@dataclass(frozen=True)
class TempoResults:
    """Tempi as text; see :class:`audiocli.tasks.runner.Results`.

    Parameters
    ----------
    form : str
        One of ``TEMPO_FORMATS``.
    """

    form: str

    @property
    def extension(self) -> str:
        """What the name of a file ends in."""
        return formats.FORMATS[self.form].extension

    @property
    def joins(self) -> bool:
        """Whether one file can hold the results of several recordings."""
        return True

    @property
    def prints(self) -> bool:
        """Whether it is text."""
        return self.form != "sqlite"

    @property
    def prints_several(self) -> bool:
        """Whether the text of several recordings can stand in one stream."""
        return True

    @property
    def column(self) -> int:
        """In txt: which of the cells between tabs is the name of the recording."""
        return len(COLUMNS)

    def render(self, value: Any, named: bool, header: bool) -> str:
        """Make text of a tempo; nothing stands for what there is not."""
        row = value.row()
        if self.form in ("json", "jsonl"):
            about = {"schema": SCHEMA} if self.form == "json" else {}
            return json.dumps({**about, "file": value.file, **row}, ensure_ascii=False) + "\n"
        cells = ["" if each is None else f"{each:g}" for each in row.values()]
        if self.form == "txt":
            return "\t".join([*cells, *([value.file] if named else [])]) + "\n"
        names = ["file", *COLUMNS] if named else [*COLUMNS]
        texts = [words(value.file), *cells] if named else cells
        head = ",".join(map(cell, names)) + "\n" if header else ""
        return head + ",".join(texts) + "\n"
