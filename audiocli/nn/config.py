"""Read a model folder's ``config.json``, and refuse one that is damaged or was tampered with.

Whatever stands in the file, reading it ends: in a configuration whose fields have the types that
the rest of the package relies on, or in one line that says which field is wrong.
"""

from __future__ import annotations

import json
import math
import stat
import unicodedata
from pathlib import Path
from typing import Any

from audiocli.errors import ModelError

__all__ = ["FORMAT", "REQUIRED", "read_config", "regular_file"]

FORMAT = 1
#: What is larger or nested deeper than this is no configuration of a model.
LARGEST_BYTES, DEEPEST = 1 << 26, 40


class Each:
    """A list, or a dictionary by any names, of which every item is of one kind."""

    def __init__(self, container: type, item: Any) -> None:
        self.container, self.item = container, item


class Optional:
    """A field that may be missing."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind


Number = (int, float)
Text = (str,)
TextOrNone = (str, type(None))
_DATA = {"name": Text, "clips": Number, "minutes": Number, "licence": Text}
_TRAINING: dict[str, Any] = {
    "data": Optional(Each(list, _DATA)),
    "split": Optional(Text),
    "config": Optional((dict,)),
    "course": Optional((dict,)),  # its name in older models
    "command": Optional(TextOrNone),
    "machine": Optional(TextOrNone),
    "version": Optional(TextOrNone),
    "commit": Optional(TextOrNone),
    "hours": Optional((*Number, type(None))),
    "epoch": Optional((int, type(None))),
    "note": Optional(Text),
    "group": Optional(TextOrNone),
    "groups": Optional(Each(list, Text)),
}
_SCORE = {
    "metric": Text,
    "value": (*Number, type(None)),
    "unit": Text,
    "measure": Text,
    "data": Text,
    "command": Text,
}
#: What a configuration must hold, and as what.
REQUIRED: dict[str, Any] = {
    "format": (int,),
    "task": Text,
    "name": Text,
    "architecture": Text,
    "arguments": (dict,),
    "frontend": (dict,),
    "frontend_fingerprint": Each(list, Number),
    "labels": Each(list, Text),
    "weights_sha256": Text,
}
_SOURCE = {"package": Text, "citation": Text, "files": Each(list, {"url": Text, "sha256": Text})}
#: The whole of it; fields that are not named here are left as they are.
_CONFIG: dict[str, Any] = {
    **REQUIRED,
    "parameters": Optional((int,)),
    "licence": Optional(Text),
    "description": Optional(Text),
    "limits": Optional(Text),
    "domain": Optional(Text),
    "decoder": Optional((dict,)),
    "training": Optional({**_TRAINING, "earlier": Optional(Each(list, _TRAINING))}),
    "scores": Optional(Each(list, _SCORE)),
    "encoders": Optional(
        Each(list, {"name": Text, "weights_sha256": Text, "part": Optional(Text)})
    ),
    "source": Optional(_SOURCE),
    "axes": Optional(Each(dict, Each(dict, Number))),
    "descriptions": Optional(Each(dict, Text)),
    "groups": Optional(Each(dict, Each(list, Text))),
}
_NAMES = {
    dict: "an object", list: "a list", str: "text", int: "a whole number", float: "a number",
    type(None): "null",
}  # fmt: skip


def regular_file(file: Path) -> int:
    """Give the size in bytes of a file that can be read to its end."""
    try:
        status = file.stat()
    except (OSError, ValueError) as error:  # a name with NUL is a ValueError
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"{file}: cannot be read: {reason}") from error
    if not stat.S_ISREG(status.st_mode):
        raise ModelError(
            f"{file}: is no regular file but a folder, a pipe or a device; "
            "take the model folder from its source again"
        )
    return status.st_size


def read_config(file: Path) -> dict[str, Any]:
    """Read a configuration and check the types of its fields."""
    if regular_file(file) > LARGEST_BYTES:
        raise ModelError(f"{file}: is larger than {LARGEST_BYTES >> 20} MB, so it is no model's")
    try:
        config = json.loads(file.read_text("utf-8"), parse_constant=_refuse)
    except OSError as error:
        raise ModelError(f"{file}: cannot be read: {error.strerror}") from error
    except RecursionError as error:
        raise ModelError(f"{file}: is not valid JSON: it is nested too deeply") from error
    except ValueError as error:  # JSON's and UTF-8's errors both
        raise ModelError(f"{file}: is not valid JSON: {error}") from error
    if not isinstance(config, dict):
        config = {}
    if config.get("format", FORMAT) != FORMAT:
        raise ModelError(
            f"{file}: format {config['format']!r:.40} is not the {FORMAT} that this version reads; "
            "update audiocli"
        )
    lacking = [key for key, kind in REQUIRED.items() if _mismatch(config.get(key), kind, key)]
    advice = "take the folder from its source again"
    if lacking:
        raise ModelError(
            f"{file}: lacks {', '.join(lacking)}, or has them of the wrong kind; {advice}"
        )
    if wrong := _mismatch(config, _CONFIG, "") or _unfit(config, "", 0) or _unreadable(config):
        raise ModelError(f"{file}: {wrong}; {advice}")
    return config


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def _mismatch(value: Any, kind: Any, where: str) -> str | None:
    """Say what is wrong with a value, if anything is."""
    if isinstance(kind, Optional):  # JSON has null where Python has None
        return None if value is None else _mismatch(value, kind.kind, where)
    if isinstance(kind, dict):
        if not isinstance(value, dict):
            return _wanted(where, "an object", value)
        found = (_mismatch(value.get(key), inner, f"{where}.{key}".lstrip("."))
                 for key, inner in kind.items())  # fmt: skip
        return next(filter(None, found), None)
    if isinstance(kind, Each):
        if not isinstance(value, kind.container):
            return _wanted(where, _NAMES[kind.container], value)
        whole: Any = value  # one of the two, by now
        items = whole.items() if isinstance(whole, dict) else enumerate(whole)
        found = (_mismatch(item, kind.item, f"{where}[{key}]") for key, item in items)
        return next(filter(None, found), None)
    if isinstance(value, kind) and not (isinstance(value, bool) and bool not in kind):
        return None
    return _wanted(where, " or ".join(_NAMES[each] for each in kind), value)


def _wanted(where: str, wanted: str, value: Any) -> str:
    found = "true or false" if isinstance(value, bool) else _NAMES.get(type(value), "missing")
    return f"{where:.80} is {found}, not {wanted}"


def _unfit(value: Any, where: str, depth: int) -> str | None:
    """Find what no configuration holds: infinity, a bottomless nest, a NUL in a text."""
    if depth > DEEPEST:
        return "it is nested too deeply"
    if isinstance(value, float) and not math.isfinite(value):
        return f"{where:.80} is infinite"
    if isinstance(value, str) and any(_control(each) for each in value):
        return f"{where:.80} holds control characters"
    if isinstance(value, dict):
        if any(_control(each) for key in value for each in key):
            return f"{where or 'it':.80} has a name with control characters"
        found = (_unfit(item, f"{where}.{key}".lstrip("."), depth + 1)
                 for key, item in value.items())  # fmt: skip
        return next(filter(None, found), None)
    if isinstance(value, list):
        found = (_unfit(item, f"{where}[{place}]", depth + 1) for place, item in enumerate(value))
        return next(filter(None, found), None)
    return None


def _control(character: str) -> bool:
    return character not in "\n\t" and unicodedata.category(character) in ("Cc", "Cs")


def _unreadable(config: dict[str, Any]) -> str | None:
    """Refuse labels that no table could show, or tell apart."""
    labels = config["labels"]
    for place, label in enumerate(labels):
        if not label.strip() or any(each in "\n\t\r" for each in label):
            return f"labels[{place}] is empty, or has line breaks or tabs in it"
    if len(set(labels)) < len(labels):
        return "two of its labels are the same"
    return None
