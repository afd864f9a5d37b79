"""What may import what, and what ``--help`` loads."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from places import ROOT

PACKAGE = ROOT / "audiocli"

#: From low to high; a module imports from its own layer and from those below. A package's name
#: stands for all in it. A new module must be put somewhere here.
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"colours", "errors"}),
    frozenset({"dsp"}),
    frozenset({"io"}),
    frozenset({"batch", "demo", "nn", "page"}),
    frozenset({"learn", "tasks"}),
    frozenset({"pipelines"}),
    frozenset({"api", "serve"}),
    frozenset({"cli"}),
    frozenset({"__main__"}),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
HEAVY = {"numpy", "torch", "librosa", "pandas", "scipy", "soundfile", "soxr", "av", "safetensors"}


@dataclass(frozen=True)
class Import:
    """One name that one file imports."""

    file: Path
    line: int
    module: str  # with dots, absolute
    late: bool  # inside a function
    typing_only: bool

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line} imports {self.module}"


def walk(node: ast.AST, late: bool, typing_only: bool) -> Iterator[tuple[ast.stmt, bool, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, late, typing_only
        within = late or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        only = typing_only or (
            isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
        )
        yield from walk(child, within, only)


def is_module(dotted: str) -> bool:
    path = ROOT.joinpath(*dotted.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def imports_of(file: Path) -> Iterator[Import]:
    tree = ast.parse(file.read_text("utf-8"))
    for node, late, only in walk(tree, False, False):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            assert isinstance(node, ast.ImportFrom)
            assert node.level == 0, f"{file}:{node.lineno}: imports are absolute here"
            assert node.module is not None
            dotted = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if is_module(name) else str(node.module) for name in dotted]
        yield from (Import(file, node.lineno, name, late, only) for name in names)


FILES = sorted(PACKAGE.rglob("*.py"))
IMPORTS = [found for file in FILES for found in imports_of(file)]
INTERNAL = [found for found in IMPORTS if found.module.split(".")[0] == "audiocli"]


def part_of(file: Path) -> str:
    """Name the part of the package that a file belongs to: its top module or folder."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def show(violations: list[Import]) -> str:
    return "\n".join(map(str, violations))


def test_every_module_has_a_layer() -> None:
    parts = {part_of(file) for file in FILES} - {"__init__"}
    assert parts - LEVEL.keys() == set(), "put new modules into LAYERS"
    assert len(INTERNAL) > 40  # the walk finds something


def test_nothing_imports_from_above() -> None:
    # What `audiocli` itself holds (the version) is below all.
    wrong = [
        found
        for found in INTERNAL
        if found.module != "audiocli"
        and part_of(found.file) != "__init__"
        and LEVEL[found.module.split(".")[1]] > LEVEL[part_of(found.file)]
    ]
    assert not wrong, show(wrong)


def test_the_floor_stands_on_nothing_of_ours() -> None:
    for file in (PACKAGE / "errors.py", PACKAGE / "__init__.py"):
        wrong = [found for found in INTERNAL if found.file == file]
        assert not wrong, show(wrong)


def test_no_task_imports_another() -> None:
    tasks = PACKAGE / "tasks"
    wrong = []
    for found in INTERNAL:
        if tasks in found.file.parents and found.module.startswith("audiocli.tasks."):
            other = found.module.split(".")[2]
            own = found.file.relative_to(tasks).parts[0].removesuffix(".py")
            # What stands at the top of tasks/, not in a folder, is shared by all and knows none.
            if other != own and (tasks / other).is_dir():
                wrong.append(found)
    assert not wrong, show(wrong)


def test_no_module_imports_itself_in_a_circle() -> None:
    """Walk the imports made at module level; a circle would make their order matter."""

    def name_of(file: Path) -> str:
        dotted = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        return dotted.removesuffix(".__init__")

    edges: dict[str, set[str]] = {}
    for found in INTERNAL:
        # A package's files may import the package they are in: `demo.song` is shown there.
        if not (found.late or found.typing_only) and not name_of(found.file).startswith(
            found.module
        ):
            edges.setdefault(name_of(found.file), set()).add(found.module)
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path, module])
        if module not in done:
            for other in sorted(edges.get(module, ())):
                visit(other, (*path, module))
            done.add(module)

    for module in sorted(edges):
        visit(module, ())
    assert len(done) > 20


def test_only_the_command_line_knows_click_and_rich() -> None:
    wrong = [
        found
        for found in IMPORTS
        if found.module.split(".")[0] in ("click", "rich") and part_of(found.file) != "cli"
    ]
    assert not wrong, show(wrong)


def test_nothing_pickled_is_loaded() -> None:
    wrong = [found for found in IMPORTS if found.module.split(".")[0] in ("pickle", "joblib")]
    assert not wrong, show(wrong)
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and (file, ast.unparse(node)) != CONVERTING:
                assert ast.unparse(node) not in ("torch.load", "numpy.load", "np.load"), file


#: Checkpoints of others are read when a model is installed, as weights and plain values only.
CONVERTING = (PACKAGE / "nn" / "external.py", "torch.load")


def test_checkpoints_of_others_are_read_as_weights_only() -> None:
    file, name = CONVERTING
    calls = [
        node
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == name
    ]
    assert [
        [ast.unparse(word.value) for word in call.keywords if word.arg == "weights_only"]
        for call in calls
    ] == [["True"]]


def test_light_modules_import_nothing_heavy() -> None:
    light = {"__init__", "__main__", "batch", "errors", "cli"}
    light_nn = {"__init__", "registry", "card", "catalogue", "download", "installing"}
    files = {PACKAGE / "nn" / f"{name}.py" for name in light_nn}
    wrong = [
        found
        for found in IMPORTS
        if (part_of(found.file) in light or found.file in files)
        and not (found.late or found.typing_only)
        and found.module.split(".")[0] in HEAVY
    ]
    assert not wrong, show(wrong)


def in_a_fresh_process(code: str) -> dict[str, list[str]]:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert result.returncode == 0, result.stderr
    found: dict[str, list[str]] = json.loads(result.stdout)
    return found


HELP = """
import json, sys
import click
from click.testing import CliRunner
from audiocli.cli import cli

heavy = {"numpy", "torch", "librosa", "pandas", "scipy", "soundfile", "safetensors"}
helps = {"import": sorted(heavy & sys.modules.keys())}

def walk(command, words):
    result = CliRunner().invoke(cli, [*words, "--help"], prog_name="audiocli")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("Usage: audiocli " + " ".join(words)), result.output
    helps[" ".join(words)] = sorted(heavy & sys.modules.keys())
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            walk(command.get_command(context, name), [*words, name])

walk(cli, [])
print(json.dumps(helps))
"""


def test_help_of_every_command_loads_nothing_heavy() -> None:
    helps = in_a_fresh_process(HELP)
    assert {"", "separate", "train", "train separate", "models install"} <= helps.keys()
    loaded = {words: names for words, names in helps.items() if names}
    assert loaded == {}


@pytest.mark.parametrize("module", ["audiocli", "audiocli.nn.registry", "audiocli.batch.inputs"])
def test_light_modules_load_nothing_heavy(module: str) -> None:
    code = f"import json, sys, {module}; print(json.dumps({{'all': sorted(sys.modules)}}))"
    loaded = {name.split(".")[0] for name in in_a_fresh_process(code)["all"]}
    assert "audiocli" in loaded
    assert loaded & (HEAVY | {"click", "rich"}) == set()


def test_every_command_line_module_loads_nothing_heavy() -> None:
    names = [
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for file in FILES
        if part_of(file) == "cli"
    ]
    code = (
        f"import json, sys, {', '.join(names)}; print(json.dumps({{'all': sorted(sys.modules)}}))"
    )
    loaded = {name.split(".")[0] for name in in_a_fresh_process(code)["all"]}
    assert "click" in loaded
    assert loaded & HEAVY == set()


def test_commands_with_a_network_wait_for_torch_alone() -> None:
    """Of what they import besides, the slow ones are for what is not asked for."""
    code = (
        "import json, sys, audiocli.tasks.onsets.files, audiocli.tasks.classify.files; "
        "first = sorted(sys.modules); import audiocli.tasks.separate.files; "
        "print(json.dumps({'first': first, 'all': sorted(sys.modules)}))"
    )
    found = {name: set(modules) for name, modules in in_a_fresh_process(code).items()}
    assert "torch" in found["first"]
    assert "scipy" not in found["first"]
    slow = {"scipy.signal", "matplotlib", "librosa", "pandas", "sklearn"}
    assert found["all"] & slow == set()
