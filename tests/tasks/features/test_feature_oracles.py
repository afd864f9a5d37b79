"""The page of oracles: every feature has one, with a number."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys

import pytest
from places import ROOT

from audiocli.tasks.features import FEATURES

PAGE = ROOT / "docs" / "feature-oracles.md"
ROW = re.compile(r"^\| `(?P<feature>\w+)` \| (?P<oracle>[^|]+) \| [^|]+ \| (?P<number>\S+)", re.M)


def test_every_feature_has_an_oracle_and_a_number() -> None:
    text = PAGE.read_text("utf-8")
    table = text[text.index("<!-- oracles -->") : text.index("<!-- end oracles -->")]
    rows = list(ROW.finditer(table))
    assert len(rows) == table.count("\n| `"), "a row that says no number"
    assert all(float(row["number"]) < float("inf") for row in rows)
    missing = FEATURES.keys() - {row["feature"] for row in rows}
    assert not missing, "put a check into benchmarks/oracles, and run feature_oracles.py --write"
    assert {row["feature"] for row in rows} <= FEATURES.keys()
    assert "Left out" not in table


@pytest.mark.skipif(not importlib.util.find_spec("librosa"), reason="the oracle")
def test_the_script_runs_with_what_is_installed() -> None:
    names = ["rms", "spectral_decrease", "lpc_coefficient"]
    script = ROOT / "benchmarks" / "feature_oracles.py"
    result = subprocess.run(
        [sys.executable, str(script), "--only", *names], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    rows = {row["feature"]: float(row["number"]) for row in ROW.finditer(result.stdout)}
    assert rows.keys() == set(names)
    assert rows["rms"] < 1e-6
