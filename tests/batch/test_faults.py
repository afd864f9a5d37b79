"""The faults of `make faults`, on a few files."""

from __future__ import annotations

import sys

import pytest


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc for the workers")
def test_nothing_is_lost_whatever_happens() -> None:
    import faults

    names = ["kill -9", "worker killed"]
    wrong = [each for each in faults.run_faults(24, 1, 1, names, ["table"]) if each[1]]
    assert not wrong
