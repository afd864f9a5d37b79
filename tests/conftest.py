"""What all tests share: one thread, repeatable examples, and no models but those asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from quick_tool import Tool, quick_tool

# Before torch is imported anywhere, also in the processes that tests start: results are then the
# same on every machine, and parallel test processes do not fight for the cores.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
# A user's own models must not decide what the tests see.
os.environ.pop("AUDIOCLI_MODELS", None)

# Busy machines are slow, which is no failure; every run draws the same examples.
settings.register_profile("audiocli", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("audiocli")

# Here, because they import the package; the first is a fixture that all tests have.
from commands import run  # noqa: E402, F401

from audiocli.dsp.compiled import import_librosa  # noqa: E402

# Tests import librosa as they please: it must be compiled before they run beside each other.
if "PYTEST_XDIST_WORKER" not in os.environ:
    import_librosa()


@pytest.fixture(scope="session")
def path_of_programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give a PATH on which ``audiocli`` and ``python`` start at once, see quick_tool.py."""
    path = os.environ["PATH"]
    if os.name != "posix":  # nothing to fork with
        yield os.pathsep.join([str(Path(sys.executable).parent), path])
        return
    with quick_tool(tmp_path_factory.mktemp("served")) as programs:
        yield os.pathsep.join([str(programs), path])


@pytest.fixture
def tool(path_of_programs: str) -> Tool:
    """Run the command in a process of its own, whose streams are pipes."""

    def start(
        *arguments: object, cwd: Path, stdin: bytes = b"", env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        environment = {**os.environ, "PATH": path_of_programs, **(env or {})}
        command = ["audiocli", *map(str, arguments)]
        return subprocess.run(
            command, cwd=cwd, input=stdin, capture_output=True, env=environment, check=False
        )

    return start
