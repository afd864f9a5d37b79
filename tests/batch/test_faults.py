"""The faults of `make faults`, on a few files."""

from __future__ import annotations

import sys

import pytest


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc for the workers")
def test_nothing_is_lost_whatever_happens() -> None:
    import faults

    # Runs that are killed as a whole are those of test_killed.py.
    wrong = [each for each in faults.run_faults(16, 1, 1, ["worker killed"], ["table"]) if each[1]]
    assert not wrong
