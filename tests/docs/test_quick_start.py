"""The first section of the page on training, run as it stands: a model in two minutes."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from places import ROOT

PAGE = ROOT / "docs" / "train.md"
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.skipif(sys.platform == "win32", reason="the blocks are for a POSIX shell")
def test_two_classes_are_learned_in_two_minutes(tmp_path: Path) -> None:
    page = PAGE.read_text("utf-8")
    section = page.partition("## A model of your own in two minutes")[2].partition("\n## ")[0]
    blocks = dict(BLOCK.findall(section))
    assert blocks.keys() == {"sh", "python"}
    script = tmp_path / "bin" / "audiocli"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m audiocli "$@"\n')
    script.chmod(0o755)
    root = str(ROOT)
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    place = os.pathsep.join([str(script.parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": place, "PYTHONPATH": paths}
    subprocess.run([sys.executable, "-c", blocks["python"]], cwd=tmp_path, check=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        ["sh", "-ec", blocks["sh"]], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert "accuracy 100.0 %" in done.stderr
    assert done.stdout.splitlines()[-1].startswith("bell\t")
    # Processor time, which other programs on the machine do not lengthen much.
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent < 120, f"{spent:.0f} s"
