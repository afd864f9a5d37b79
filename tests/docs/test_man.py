"""Man pages are made of the commands, and roff reads them without a complaint."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest

from audiocli.cli import cli

SOURCE = Path(__file__).resolve().parents[2] / "docs" / "make_man.py"


def made() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("make_man", SOURCE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(module.pages(cli, "audiocli"))


def test_every_command_has_a_page_with_its_options() -> None:
    pages = made()
    assert {"audiocli.1", "audiocli-separate.1", "audiocli-train-onsets.1"} <= pages.keys()
    assert ".BR audiocli\\-separate (1)" in pages["audiocli.1"]
    assert "\\-\\-karaoke" in pages["audiocli-separate.1"]
    assert all(".SH NAME" in page and "\n\n" not in page for page in pages.values())


@pytest.mark.skipif(shutil.which("groff") is None, reason="needs groff")
def test_roff_reads_them() -> None:
    text = "\n".join(made().values())
    done = subprocess.run(["groff", "-man", "-ww", "-z", "-Tutf8", "-Kutf8"], input=text, text=True,
                          capture_output=True)  # fmt: skip
    assert done.returncode == 0 and done.stderr == ""
