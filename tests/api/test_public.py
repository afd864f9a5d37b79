"""The stub of the package, which types the names that ``import audiocli`` loads when used."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import audiocli

STUB = Path(audiocli.__file__).with_suffix(".pyi")


def stubbed() -> dict[str, tuple[str, str]]:
    """Read from the stub what ``_PUBLIC`` holds: public name, module, name there."""
    names = {}
    for node in ast.parse(STUB.read_text("utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                names[alias.asname or alias.name] = (node.module or "", alias.name)
    return names


def exported() -> list[str]:
    """Read ``__all__`` of the stub; type checkers take other names of a stub for private."""
    for node in ast.parse(STUB.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    raise AssertionError("no __all__")


def test_the_stub_and_the_package_name_the_same_things() -> None:
    assert stubbed() == audiocli._PUBLIC
    assert sorted(exported()) == sorted(audiocli.__all__)


@pytest.mark.parametrize("name", sorted(audiocli._PUBLIC))
def test_a_public_name_is_there(name: str) -> None:
    module, attribute = audiocli._PUBLIC[name]
    assert getattr(audiocli, name) is getattr(importlib.import_module(module), attribute)
