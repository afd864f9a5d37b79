"""Recipes and benchmarks, which need data and minutes to run, ask for names that are there."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from pathlib import Path

import pytest
from places import ROOT

SCRIPTS = [
    path
    for folder in ("docs", "docs/recipes", "benchmarks")
    for path in sorted((ROOT / folder).glob("*.py"))
]


def names_of(path: Path) -> list[tuple[str, str]]:
    """List the names that a script imports, and from which modules of the package or beside it."""
    beside = {each.stem for each in path.parent.glob("*.py")}
    return [
        (node.module, name.name)
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module
        if node.module.split(".")[0] == "audiocli" or node.module in beside
        for name in node.names
    ]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_is_imported_is_there(path: Path) -> None:
    for module, name in names_of(path):
        if module.split(".")[0] == "audiocli":
            found = hasattr(importlib.import_module(module), name)
            assert found or importlib.util.find_spec(f"{module}.{name}"), f"{module}.{name}"
        else:
            tree = ast.parse((path.parent / f"{module}.py").read_text("utf-8"))
            assert name in defined(tree), f"{module}.{name}"


def defined(tree: ast.Module) -> set[str]:
    """List what a script defines or imports at its top level."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names.update(leaf.id for each in targets for leaf in ast.walk(each)
                         if isinstance(leaf, ast.Name))  # fmt: skip
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update(alias.asname or alias.name for alias in node.names)
    return names
