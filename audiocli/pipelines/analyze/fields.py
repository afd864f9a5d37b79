"""What a row of a library's table can hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from audiocli.errors import FieldError, suggest

__all__ = ["FIELDS", "GROUPS", "Field", "Value", "select"]

Value = str | float | None
"""None is what does not apply, or cannot be measured."""


@dataclass(frozen=True)
class Field:
    """A column.

    Parameters
    ----------
    name : str
        What it is called.
    group : str
        What finds it: ``file``, ``level``, ``rhythm``, ``harmony``, ``classes`` or ``tags``.
    unit : str
        "1" for shares and probabilities, "" for text.
    description : str
        What it holds.
    decimals : int
        Of a number.
    of_music : bool
        Whether it is empty for what is no music, or a one-shot.
    """

    name: str
    group: str
    unit: str
    description: str
    decimals: int = 3
    of_music: bool = False

    @property
    def kind(self) -> Literal["text", "integer", "number"]:
        """What it holds: text, whole numbers, or numbers with decimals."""
        if not self.unit:
            return "text"
        return "number" if self.decimals else "integer"


FIELDS = (
    Field("duration", "file", "s", "Length"),
    Field("sample_rate", "file", "Hz", "Sample rate of the file", 0),
    Field("channels", "file", "channels", "Number of channels", 0),
    Field("loudness", "level", "LUFS", "Integrated loudness, BS.1770", 2),
    Field("loudness_range", "level", "LU", "Loudness range, EBU Tech 3342", 2),
    Field("true_peak", "level", "dBTP", "Highest value, also between samples, BS.1770", 2),
    Field("tempo", "rhythm", "BPM", "Beats a minute", 2, True),
    Field("tempo_confidence", "rhythm", "1", "How clear the beats are", 3, True),
    Field("metre", "rhythm", "beats", "Beats of a bar", 0, True),
    Field("key", "harmony", "", "Key that most of it is in, such as A minor", of_music=True),
    Field("key_confidence", "harmony", "1", "How often the key stays the same if chords are drawn "
          "anew", 3, True),
    Field("camelot", "harmony", "", "The key on the Camelot wheel, such as 8A", of_music=True),
    Field("content", "classes", "", "music, speech or sound"),
    Field("content_probability", "classes", "1", "Of the content"),
    Field("instrument", "classes", "", "Instrument, of recordings of one"),
    Field("instrument_probability", "classes", "1", "Of the instrument"),
    Field("genre", "classes", "", "Genre, of 15", of_music=True),
    Field("genre_probability", "classes", "1", "Of the genre", 3, True),
    Field("mood", "classes", "", "Mood, of four quadrants", of_music=True),
    Field("mood_probability", "classes", "1", "Of the mood", 3, True),
    Field("valence", "classes", "1", "Unpleasant to pleasant, -1 to 1", 3, True),
    Field("arousal", "classes", "1", "Calm to excited, -1 to 1", 3, True),
    Field("tags", "tags", "", "Tags that hold, the most probable first, between semicolons",
          of_music=True),
    Field("vocal_share", "tags", "1", "Share of segments of 10 s with a voice", 3, True),
)  # fmt: skip

#: Names that stand for several fields.
GROUPS = tuple(dict.fromkeys(field.group for field in FIELDS))


def select(names: Sequence[str]) -> tuple[Field, ...]:
    """Look fields up, by their names and those of groups, in the order of the table."""
    for name in names:
        known = [field.name for field in FIELDS] + list(GROUPS)
        if name not in known:
            raise FieldError(f"{{fields}} {name}: {suggest(name, known)}", "fields")
    return tuple(f for f in FIELDS if not names or f.name in names or f.group in names)
