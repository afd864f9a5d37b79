"""Formats: labels and annotations that could be taken for something else, and what is loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from audiocli.errors import DataError
from audiocli.io.formats import Instants, Options, Segments, read_instants, read_segments, render


def chords(labels: list[str]) -> Segments:
    starts = np.arange(len(labels), dtype=np.float64)
    return Segments(starts, starts + 1, labels, "chord", duration=float(len(labels)))


@given(labels=st.lists(st.text(st.sampled_from('a;,\t\n"#'), max_size=6), min_size=1, max_size=4))
@example(["a;b", "c"])
@example(["a\tb"])
def test_a_table_without_a_header_is_parted_at_its_commas(
    tmp_path_factory: pytest.TempPathFactory, labels: list[str]
) -> None:
    content = render(chords(labels), "csv", Options(header=False))
    assert isinstance(content, str)
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    path.write_bytes(content.encode())
    assert list(read_segments(path).labels) == labels


@pytest.mark.parametrize("mark", [";", "\t", ","])
def test_other_marks_part_cells_too(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(mark.join(["0.5", "1", "a b"]) + "\n" + mark.join(["1", "2", "c"]) + "\n")
    assert read_segments(path).table() == {
        "start": [0.5, 1.0],
        "end": [1.0, 2.0],
        "label": ["a b", "c"],
    }


def test_a_decimal_comma_is_refused_not_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("0,5;1\n")
    with pytest.raises(DataError, match="line 1: '0,5' is not a number"):
        read_instants(path)


def test_an_empty_annotation_does_not_hide_the_labels_after_it(tmp_path: Path) -> None:
    document, empty = (
        json.loads(render(result, "jams"))
        for result in (chords(["C:maj", "N"]), Instants(np.array([]), duration=2.0))
    )
    document["annotations"] = empty["annotations"] + document["annotations"]
    path = tmp_path / "a.jams"
    path.write_text(json.dumps(document))
    assert list(read_segments(path).labels) == ["C:maj", "N"]
    # Who names the namespace gets it, empty as it is.
    assert read_instants(path).tolist() == []
    document["annotations"] = empty["annotations"]
    path.write_text(json.dumps(document))
    assert len(read_segments(path)) == 0


def test_mido_is_loaded_by_those_who_write_midi() -> None:
    code = """
import sys
import numpy as np
from audiocli.io.formats import Instants, render
before = "mido" in sys.modules
render(Instants(np.array([0.5])), "csv")
between = "mido" in sys.modules
render(Instants(np.array([0.5])), "midi")
print(before, between, "mido" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "True"]
