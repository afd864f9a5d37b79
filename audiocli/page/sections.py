"""Parts of a page that can be left out."""

from __future__ import annotations

from collections.abc import Sequence

from audiocli.errors import FieldError, suggest

__all__ = ["SECTIONS", "check_sections"]

SECTIONS = ("sound", "onsets", "beats", "chords", "melody", "tags", "events", "loudness", "stems")


def check_sections(sections: Sequence[str]) -> tuple[str, ...]:
    """Check names of sections; without one, all are meant."""
    for name in sections:
        if name not in SECTIONS:
            raise FieldError(f"{{sections}} {name}: {suggest(name, SECTIONS)}", "sections")
    return tuple(dict.fromkeys(sections)) or SECTIONS
