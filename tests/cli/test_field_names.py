"""Python's messages name parameters, and the command line's name options."""

from __future__ import annotations

import ast
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import audiocli
from audiocli.cli import cli
from audiocli.errors import AudioCliError, DataError

PACKAGE = Path(audiocli.__file__).parent
#: What speaks of the command line as such, in backquotes or for a program of another.
OTHERS = re.compile(
    r"`[^`]*`|pip install --\w+|--porcelain|--(noheader|format=|user=)|style=\"--|var\(--"
)
#: Signposts from names that others use lead to commands.
SIGNPOSTS = {"tasks/features/aliases.py"}
BELOW = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.relative_to(PACKAGE).parts[0] not in ("cli", "learn")
    and path.relative_to(PACKAGE).as_posix() not in SIGNPOSTS
]
ERRORS = {"AudioCliError", "UsageError", "FieldError", "DataError", "ModelError", "AudioError"}


def strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Give what is no docstring."""
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.lineno, node.value


def raised(tree: ast.AST) -> Iterator[tuple[int, set[str], set[str]]]:
    """Give the fields in the text of each error, and those that it says it names."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
            continue
        rest = node.args[1:]
        if node.func.id not in ERRORS or not all(isinstance(each, ast.Constant) for each in rest):
            continue
        text = "".join(
            part.value
            for part in ast.walk(node.args[0])
            if isinstance(part, ast.Constant) and isinstance(part.value, str)
        )
        named = {each.value for each in rest if isinstance(each, ast.Constant)}
        yield node.lineno, set(re.findall(r"\{([a-z_]+)\}", text)), named


@pytest.mark.parametrize("path", BELOW, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_message_of_python_names_an_option(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    options = [
        (line, text)
        for line, text in strings(tree)
        if re.search(r"(?<![\w-])--[a-z]", OTHERS.sub("", text))
    ]
    assert options == []
    assert [each for each in raised(tree) if each[1] - each[2]] == []


def commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            if name != "learn":
                yield from commands(command, *path, name)
        else:
            yield (*path, name), command


def test_every_command_names_options_in_the_place_of_fields(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for path, command in commands(cli):
        options = [param for param in command.params if isinstance(param, click.Option)]
        if not options:
            continue
        error = DataError(f"{{{options[0].name}}} is wrong", str(options[0].name))

        def fail(error: DataError = error, **given: object) -> None:
            raise error

        monkeypatch.setattr(command, "callback", fail)
        with pytest.raises(DataError, match="^--[a-z0-9-]+ is wrong$"):
            command.invoke(click.Context(command))
        assert path


def test_fields_come_through_processes_and_keep_other_braces() -> None:
    error = DataError("a{b}.wav: use {overwrite}", "overwrite")
    copy = pickle.loads(pickle.dumps(error))
    assert str(error) == str(copy) == "a{b}.wav: use overwrite"
    assert copy.told({"overwrite": "--overwrite"}) == "a{b}.wav: use --overwrite"
    assert type(copy) is DataError and str(AudioCliError()) == ""


def test_the_command_line_and_python_say_the_same(run, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    told = run("evaluate", "onsets", tmp_path / "none")
    assert told.status == 1 and "no audio file with an annotation" in told.err
    told = run("onsets", "a.wav", "--device", "cuda:99")
    assert told.status == 2 and "use --device cpu" in told.err
    with pytest.raises(AudioCliError, match="use device cpu"):
        audiocli.OnsetDetector(device="cuda:99")
