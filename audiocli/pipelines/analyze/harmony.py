"""Names of a key: on the Camelot wheel, and in the metadata of files."""

from __future__ import annotations

from audiocli.dsp.keys import Key

__all__ = ["camelot", "tag_name"]

#: Numbers of the major keys on the Camelot wheel, by their tonics; C major is 8B, A minor 8A.
WHEEL = {(tonic * 7) % 12: (8 + tonic - 1) % 12 + 1 for tonic in range(12)}


def camelot(key: Key) -> str:
    """Give the place on the Camelot wheel: neighbours are a fifth apart, A is minor."""
    if key.mode == "major":
        return f"{WHEEL[key.tonic]}B"
    return f"{WHEEL[(key.tonic + 3) % 12]}A"


def tag_name(key: str) -> str:
    """Name a key, such as "C# minor", as ID3's TKEY does: C#m."""
    return Key.parse(key).short
