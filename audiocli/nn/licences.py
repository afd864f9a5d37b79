"""What kind of licence a model has, from the words on its card; of doubtful words the stricter."""

from __future__ import annotations

import re

from audiocli.errors import AudioCliError
from audiocli.nn import registry

__all__ = ["CLASSES", "class_of", "licence_class"]

#: From the most to the least that may be done; a model is of the last that any part of it is of.
CLASSES = ("permissive", "share-alike", "unstated", "non-commercial", "research")
#: What tells them in a part of a licence; the first that is found counts.
_WORDS = {
    "non-commercial": r"\bNC\b|non-?commercial|not for commercial|personal use|private use",
    "research": r"\bresearch|scientific|academic|educat|teach",
    "unstated": r"not stated|unspecified|redistribut|\bND\b|no.?derivatives",
    "share-alike": r"\bSA\b|GPL|ODbL",
    "permissive": r"\b(MIT|ISC|Apache|BSD|CC[ -]?0|CC[ -]BY|ODC[ -]By|Unlicense|public domain|"
    r"free use|no data)\b",
}


def licence_class(licence: str) -> str:
    """Say of which class a licence is that a card states, perhaps in several parts."""
    parts = [part.strip() for part in re.split(r"[;,]", licence) if part.strip()]
    found = [
        next(
            (name for name, words in _WORDS.items() if re.search(words, part, re.IGNORECASE)),
            "unstated",
        )
        for part in parts
    ]
    return max(found or ["unstated"], key=CLASSES.index)


def class_of(entry: registry.ModelEntry) -> str:
    """Say of which class a model is, the encoders that it needs included."""
    licences = [entry.licence]
    for named in entry.config.get("encoders") or ():
        try:
            licences.append(registry.find("encode", str(named["name"])).licence)
        except (AudioCliError, KeyError, TypeError):  # it is missing, and does not run without
            licences.append("unspecified")
    return max(map(licence_class, licences), key=CLASSES.index)
