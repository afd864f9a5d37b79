"""Functions and files stay of a size that one can read at once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import audiocli

PACKAGE = Path(audiocli.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST_FUNCTION = 50  # lines, decorators, signature of a command and docstring not counted
LONGEST_FILE = 450  # lines, docstrings not counted


def docstring_lines(node: ast.AST) -> int:
    """Count the lines of a docstring."""
    body = getattr(node, "body", None)
    if not isinstance(body, list) or not body or ast.get_docstring(node, clean=False) is None:  # type: ignore[arg-type]
        return 0
    return int(body[0].end_lineno - body[0].lineno + 1)


def functions(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """List functions with the lines of their bodies."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            last = node.body[-1].end_lineno or node.lineno
            yield node.name, last - node.body[0].lineno + 1 - docstring_lines(node)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_sizes(path: Path) -> None:
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    docs = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    size = text.count("\n") - sum(
        docstring_lines(node) for node in ast.walk(tree) if isinstance(node, docs)
    )
    assert size <= LONGEST_FILE
    assert {name: lines for name, lines in functions(tree) if lines > LONGEST_FUNCTION} == {}
