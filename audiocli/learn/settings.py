"""What can be chosen for a topic, read from its file without importing it.

``audiocli learn TOPIC --help`` must come at once, and topics import numpy, torch and matplotlib.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

from audiocli.learn import Topic

__all__ = ["Choice", "choices"]

#: The types that a field of ``Settings`` may have.
TYPES: dict[str, type] = {"int": int, "float": float, "str": str}


@dataclass(frozen=True)
class Choice:
    """A field of a topic's ``Settings``.

    Parameters
    ----------
    name : str
        As the field is called.
    kind : type
        int, float or str; of each value where there may be several.
    several : bool
        Whether it holds a tuple.
    default : object
        What it is unless chosen.
    """

    name: str
    kind: type
    several: bool
    default: Any


def choices(topic: Topic) -> list[Choice]:
    """Read the fields of a topic's ``Settings``.

    Parameters
    ----------
    topic : Topic

    Returns
    -------
    list of Choice
        In their order.

    Examples
    --------
    >>> from audiocli.learn import find
    >>> [choice.name for choice in choices(find("history"))]
    ['first', 'last']
    """
    tree = ast.parse(topic.file.read_text("utf-8"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    settings = next(node for node in classes if node.name == "Settings")
    found = []
    for field in settings.body:
        if not isinstance(field, ast.AnnAssign) or field.value is None:
            continue
        assert isinstance(field.target, ast.Name)  # a field of a dataclass
        annotation = ast.unparse(field.annotation)
        several = annotation.startswith("tuple[")
        kind = TYPES[annotation.removeprefix("tuple[").split(",")[0]]
        found.append(Choice(field.target.id, kind, several, ast.literal_eval(field.value)))
    return found
