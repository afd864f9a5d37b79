"""Clips and labels from parquet, jsonl and JAMS, as from csv."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audiocli.errors import DataError
from audiocli.tasks.classify.clips import Selection, find_clips

ROWS = [
    {"path": "a.wav", "label": "cat", "fold": 1, "loud": 0.5},
    {"path": "b.wav", "label": ["dog", "bird"], "fold": 2, "loud": None},
]
FOUND = [("a.wav", ("cat",), "1", "0.5"), ("b.wav", ("dog", "bird"), "2", "")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def found(place: Path) -> list[tuple[str, tuple[str, ...], str, str]]:
    clips = find_clips(place, Selection(group="fold"))
    return [(clip.name, clip.labels, clip.group("fold"), clip.facts["loud"]) for clip in clips]


@pytest.mark.parametrize("name", ["labels.jsonl", "other.jsonl"])
def test_jsonl(folder: Path, name: str) -> None:
    (folder / name).write_text("\n".join(map(json.dumps, ROWS)) + "\n\n")
    assert found(folder if name == "labels.jsonl" else folder / name) == FOUND


def test_parquet(folder: Path) -> None:
    arrow = pytest.importorskip("pyarrow", reason="parquet needs pyarrow")
    from pyarrow import parquet

    rows = [{**row, "label": row["label"] if isinstance(row["label"], list) else [row["label"]]}
            for row in ROWS]  # fmt: skip
    parquet.write_table(arrow.Table.from_pylist(rows), folder / "labels.parquet")
    assert found(folder) == FOUND


def test_jams(folder: Path) -> None:
    for name, values in (("a", ["cat"]), ("b", ["dog", "bird"])):
        data = [{"time": 0, "duration": 1, "value": value} for value in values]
        document = {"file_metadata": {"artist": f"artist {name}"},
                    "annotations": [{"namespace": "beat", "data": []},
                                    {"namespace": "tag_open", "data": data}]}  # fmt: skip
        (folder / f"{name}.jams").write_text(json.dumps(document))
    for column in ("label", "open"):
        clips = find_clips(folder, Selection((column,), group="artist"))
        assert [(clip.name, clip.labels, clip.group("artist")) for clip in clips] == [
            ("a.wav", ("cat",), "artist a"), ("b.wav", ("dog", "bird"), "artist b"),
        ]  # fmt: skip
    with pytest.raises(DataError, match="a.wav: its JAMS file has no 'singer'; it has artist,"):
        find_clips(folder, Selection(group="singer"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("labels.jsonl", b"{", "line 1: Expecting"),
        ("labels.jsonl", b"[1]", "line 1: is no object"),
        ("labels.parquet", b"no parquet", "is no parquet file"),
        ("labels.csv", b"\xff\xfe\xff", "cannot be read"),
    ],
)
def test_a_damaged_table_is_one_line(folder: Path, name: str, content: bytes, message: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow", reason="parquet needs pyarrow")
    (folder / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        find_clips(folder, Selection())
    assert str(caught.value).startswith(f"{folder / name}: ") and message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_tables_in_a_folder_are_refused(folder: Path) -> None:
    for name in ("labels.csv", "labels.jsonl"):
        (folder / name).write_text("path,label\n")
    with pytest.raises(DataError, match=r"labels\.csv and labels\.jsonl; which"):
        find_clips(folder, Selection())


def test_a_jams_file_that_is_none_is_named(folder: Path) -> None:
    (folder / "a.jams").write_text("{}")
    with pytest.raises(DataError, match=r"a\.jams: cannot be read as JAMS"):
        find_clips(folder, Selection())
