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

from audiocli.errors import AudioCliWarning, DataError
from audiocli.io.formats import (
    Instants,
    Options,
    Segments,
    read_instants,
    read_segments,
    read_sequence,
    render,
    write,
)


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


# --- annotations made by hand or by other programs ------------------------------------------------


def test_segments_that_meet_are_equal_when_read_back_to_the_last_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("a.jams", "a.lab", "a.csv", "a.json", "a.txt"):
        for step in (0.0929, 1.0, 7.3):
            edges = np.concatenate([[0.0], np.cumsum(rng.uniform(0.01, step, 500))])
            near = edges[1:] + rng.uniform(-4e-7, 4e-7, 500)  # less than is written
            labels = [str(each) for each in range(500)]
            written = Segments(edges[:-1], near, labels, "chord", duration=float(edges[-1]))
            write(tmp_path / name, written, overwrite=True)
            if name == "a.jams":
                document = json.loads((tmp_path / name).read_text("utf-8"))
                data = document["annotations"][0]["data"]
                ends = [one["time"] + one["duration"] for one in data]
                assert ends[:-1] == [one["time"] for one in data[1:]]
            read = read_segments(tmp_path / name)
            assert read.ends[:-1].tolist() == read.starts[1:].tolist()


SEQUENCE = {
    "overlap of a millisecond": ("0 2.001 C\n2 4 G\n", [(0, 2, "C"), (2, 4, "G")]),
    "gap of a millisecond": ("0 1.999 C\n2 4 G\n", [(0, 2, "C"), (2, 4, "G")]),
    "no length": ("0 2 C\n2 2 A\n2 4 G\n", [(0, 2, "C"), (2, 4, "G")]),
    "no length, at the start": ("0 0 A\n0 2 C\n", [(0, 2, "C")]),
    "no length, inside": ("0 2 C\n1 1 A\n2 4 G\n", [(0, 2, "C"), (2, 4, "G")]),
    "out of order": ("2 4 G\n0 2 C\n", [(0, 2, "C"), (2, 4, "G")]),
    "the same twice": ("0 2 C\n0 2 C\n2 4 G\n", [(0, 2, "C"), (2, 4, "G")]),
    "one label overlaps itself": ("0 3 C\n2 4 C\n", [(0, 4, "C")]),
    "late": ("1 2 C\n2 4 G\n", [(1, 2, "C"), (2, 4, "G")]),
    "only of no length": ("1 1 C\n", []),
}


@pytest.mark.parametrize("what", SEQUENCE)
def test_a_sequence_is_put_right_as_mir_eval_does(tmp_path: Path, what: str) -> None:
    text, expected = SEQUENCE[what]
    (tmp_path / "a.lab").write_text(text)
    read = read_sequence(tmp_path / "a.lab", namespaces=["chord"], filler="N")
    assert list(zip(read.starts, read.ends, read.labels, strict=True)) == expected


def test_a_gap_in_a_sequence_gets_a_label_and_a_warning(tmp_path: Path) -> None:
    (tmp_path / "a.lab").write_text("0 2 C\n3 4 G\n6 7 A\n")
    with pytest.warns(AudioCliWarning, match=r"a\.lab: 2 gaps in the annotation, 3.0 s in all"):
        read = read_sequence(tmp_path / "a.lab", namespaces=["chord"], filler="N")
    assert list(read.labels) == ["C", "N", "G", "N", "A"]
    assert read.ends[:-1].tolist() == read.starts[1:].tolist()


@pytest.mark.parametrize("text", ["0 3 C\n2 4 G\n", "0 9 C\n2 3 G\n", "0 4 C\n0 4 G\n"])
def test_two_segments_at_a_time_are_refused_with_the_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.lab").write_text(text)
    with pytest.raises(DataError, match=r"a\.lab, line 2: G begins at \d s, but C lasts"):
        read_sequence(tmp_path / "a.lab", namespaces=["chord"], filler="N")


def jams(path: Path, *annotations: tuple[str, list[tuple[float, float, object]]]) -> None:
    """Write a JAMS document with several annotations."""
    names = ("time", "duration", "value", "confidence")
    found = [
        {"namespace": space, "data": [dict(zip(names, (*row, None), strict=True)) for row in rows]}
        for space, rows in annotations
    ]
    path.write_text(json.dumps({"annotations": found, "file_metadata": {"duration": 9.0}}))


CHORDS: list[tuple[float, float, object]] = [(0, 2, "C:maj"), (2, 2, "A:min")]
PARTS: list[tuple[float, float, object]] = [(0, 4, "verse"), (4, 4, "chorus")]


def test_of_several_annotations_the_right_namespace_is_read(tmp_path: Path) -> None:
    path, chords = tmp_path / "a.jams", ["C:maj", "A:min"]

    def labels() -> list[str]:
        return list(read_sequence(path, namespaces=["chord", "chord_harte"], filler="N").labels)

    jams(path, ("segment_open", PARTS), ("chord", CHORDS))
    assert labels() == chords
    jams(path, ("chord", []), ("beat", [(0, 0, 1)]), ("chord", CHORDS))
    assert labels() == chords
    jams(path, ("chord_harte", CHORDS), ("segment_open", PARTS))
    assert labels() == chords
    jams(path, ("segment_open", PARTS))
    with pytest.raises(DataError, match="namespace 'chord'; there are: segment_open"):
        labels()
    jams(path, ("chord", CHORDS), ("chord", [(0, 9, "N")]))
    with pytest.warns(AudioCliWarning, match=r"a\.jams: holds 2 annotations of 'chord'"):
        assert labels() == chords
    jams(path, ("beat", [(0.1, 0, 1)]), ("onset", []), ("onset", [(0.5, 0, None)]))
    assert read_instants(path).tolist() == [0.5]


PANDAS = {
    "index without a name": ",start,end,label\n0,0.0,2.0,C\n1,2.0,4.0,G\n",
    "index with a name": "index,start,end,label\n0,0.0,2.0,C\n1,2.0,4.0,G\n",
    "index read and written again": "Unnamed: 0,start,end,label\n0,0.0,2.0,C\n1,2.0,4.0,G\n",
    "other order": ",label,end,start\n7,C,2.0,0.0\n9,G,4.0,2.0\n",
    "no names": ",0,1,2\n0,0.0,2.0,C\n1,2.0,4.0,G\n",
    "no index": "start,end,label\n0.0,2.0,C\n2.0,4.0,G\n",
    "tabs": "\tstart\tend\tlabel\n0\t0.0\t2.0\tC\n1\t2.0\t4.0\tG\n",
}


@pytest.mark.parametrize("what", PANDAS)
def test_csv_as_pandas_writes_it(tmp_path: Path, what: str) -> None:
    (tmp_path / "a.csv").write_text(PANDAS[what])
    read = read_segments(tmp_path / "a.csv")
    assert list(zip(read.starts, read.ends, read.labels, strict=True)) == [(0, 2, "C"), (2, 4, "G")]


@pytest.mark.parametrize(
    "text",
    [",time\n0,0.5\n1,1.25\n", ",0\n0,0.5\n1,1.25\n", "index,seconds\n0,0.5\n1,1.25\n",
     ",onset,velocity\n0,0.5,90\n1,1.25,80\n", "Unnamed: 0,t\n0,0.5\n1,1.25\n",
     "seconds\n0.5\n1.25\n", "t,strength\n0.5,1\n1.25,2\n"],
)  # fmt: skip
def test_times_as_pandas_writes_them(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    assert read_instants(tmp_path / "a.csv").tolist() == [0.5, 1.25]
