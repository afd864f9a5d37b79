"""The targets of coverage-guided fuzzing read what they begin with."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz_readers import SEEDS, accepts, readers


@pytest.mark.parametrize("target", sorted(SEEDS))
def test_a_target_takes_what_it_begins_with(tmp_path: Path, target: str) -> None:
    content = SEEDS[target]
    if target == "list":
        (tmp_path / "a.wav").write_bytes(b"")
        content = f"{tmp_path}/a.wav\n".encode()
    assert accepts(readers()[target], tmp_path / "file", content)


def test_what_is_refused_is_no_fault_and_anything_else_is(tmp_path: Path) -> None:
    assert not accepts(readers()["beats"], tmp_path / "file", b"\0\xff")

    def broken(path: Path) -> None:
        raise ValueError(path)

    with pytest.raises(ValueError):
        accepts(broken, tmp_path / "file", b"")
