"""Labelled clips: tables and folders, parts without a group in two, and splits of them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from audiocli.errors import AudioCliWarning, DataError, UsageError
from audiocli.tasks.classify.clips import (
    LabelledClip,
    Selection,
    find_clips,
    folds,
    label_set,
    select,
    target_matrix,
)
from audiocli.tasks.classify.splits import (
    gather,
    model_card,
    refuse_unscorable,
)

#: So few clips leave a class out of the validation set, which is warned of and not the point here.
pytestmark = pytest.mark.filterwarnings("ignore:.*no clip in the validation set")


def table(folder: Path, text: str, *, encoding: str = "utf-8", name: str = "labels.csv") -> Path:
    """Write a table, and a short recording for each path it names."""
    folder.mkdir(parents=True, exist_ok=True)
    for line in text.splitlines()[1:]:
        path = folder / line.split(",")[0].strip('"')
        if line and path != folder and not path.name.startswith("missing"):
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path.with_suffix(".wav"), np.full(80, 0.1), 8000)
            path.with_suffix(".wav").replace(path)
    (folder / name).write_text(text, encoding)
    return folder


def clip(name: str, *labels: str, folder: str = "data", **facts: str) -> LabelledClip:
    return LabelledClip(Path(folder, name), name, Path(folder), labels or ("x",), facts)


def names(clips: list[LabelledClip]) -> list[str]:
    return [each.name for each in clips]


# Tables and folders


ROWS = "path,label,artist\na.wav,rock,ann\ndeep/b.wav, folk ,bob\nc.wav,,ann\nd.wav,rock,\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])  # with a byte order mark, or without
def test_a_table_names_the_clips(tmp_path: Path, encoding: str) -> None:
    folder = table(tmp_path / "songs", ROWS, encoding=encoding)
    for given_path in (folder, folder / "labels.csv"):
        found = find_clips(given_path, Selection(group="artist"))
        assert names(found) == ["a.wav", "deep/b.wav", "d.wav"]  # c has no label
        assert [each.labels for each in found] == [("rock",), ("folk",), ("rock",)]
        assert found[1].path == folder / "deep" / "b.wav"
        assert [each.title for each in found][1] == "songs/deep/b.wav"
        # Without an artist a clip is a group of its own.
        assert [each.group("artist") for each in found] == ["ann", "bob", "songs/d.wav"]
        assert found[0].group(None) == "songs/a.wav"


def test_several_columns_and_cells_hold_tags(tmp_path: Path) -> None:
    folder = table(tmp_path, "path,genre,mood\na.wav,rock;pop; rock,dark\nb.wav,,dark; ;calm\n")
    found = find_clips(folder, Selection(("genre", "mood")))
    assert [each.labels for each in found] == [("rock", "pop", "dark"), ("dark", "calm")]
    renamed = Selection(("genre", "mood"), renamed={"rock": "pop", "dark": ""})
    found = find_clips(folder, renamed)
    assert [each.labels for each in found] == [("pop",), ("calm",)]


def test_a_folder_is_a_class(tmp_path: Path) -> None:
    for name in ("cat/a.wav", "cat/deep/b.flac", "dog/a.wav", "dog/notes.txt", ".old/c.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "loose.wav").touch()
    found = find_clips(tmp_path, Selection())
    assert [(each.name, each.labels) for each in found] == [
        ("cat/a.wav", ("cat",)),
        ("cat/deep/b.flac", ("cat",)),
        ("dog/a.wav", ("dog",)),
    ]
    assert names(select(found, ["label=dog"], "--hold-out")) == ["dog/a.wav"]
    table(tmp_path, "path,label\nloose.wav,bird\n")  # a table has the last word
    assert names(find_clips(tmp_path, Selection())) == ["loose.wav"]


@pytest.mark.parametrize(
    ("text", "selection", "message"),
    [
        ("file,label\na.wav,x\n", Selection(), "no column 'path'; it has file, label"),
        ("path,genre\na.wav,x\n", Selection(), "no column 'label'; it has path, genre"),
        ("path,label\na.wav,x\n", Selection(group="artist"), "no column 'artist'"),
        ("path,label\na.wav,x\n\nmissing.wav,x\n", Selection(), "line 4: .* 'missing.wav'"),
        ("path,label\n,x\n", Selection(), "line 2: there is no file ''"),
        ("path,label\na.wav\n", Selection(), "no labelled audio"),
        ("path,label\n", Selection(), "no labelled audio"),
        ("", Selection(), "no column 'path'; it has none"),
        ("path,label\na.wav,x\n", Selection(renamed={"x": ""}), "no labelled audio"),
    ],
)
def test_tables_that_do_not_fit_are_named(
    tmp_path: Path, text: str, selection: Selection, message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        find_clips(table(tmp_path / "songs", text), selection)
    assert "\n" not in str(caught.value) and str(tmp_path / "songs") in str(caught.value)


def test_what_is_no_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF\xff\xfe\xfd")
    with pytest.raises(DataError, match="a.wav: cannot be read"):
        find_clips(tmp_path / "a.wav", Selection())
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty: no labelled audio; give a folder with labels.csv"):
        find_clips(tmp_path / "empty", Selection())


def test_rows_of_other_lengths_are_taken(tmp_path: Path) -> None:
    folder = table(tmp_path, "path,label,fold\na.wav,x\nb.wav,y,2,more,still\n")
    found = find_clips(folder, Selection(group="fold"))
    assert [each.facts.get("fold") for each in found] == ["", "2"]
    assert names(select(found, ["fold=2"], "--hold-out")) == ["b.wav"]


# Choosing


def test_patterns_mean_titles_and_columns() -> None:
    some = [
        clip(f"{n}/{i}.wav", speaker=n, fold=str(i)) for n in ("theo", "yweweler") for i in (1, 2)
    ]
    assert names(select(some, ["speaker=theo"], "only")) == ["theo/1.wav", "theo/2.wav"]
    assert names(select(some, ["speaker=*w*", "fold=1"], "only")) == [
        "theo/1.wav",
        "yweweler/1.wav",
        "yweweler/2.wav",
    ]
    assert names(select(some, ["data/*/2.wav"], "only")) == ["theo/2.wav", "yweweler/2.wav"]
    odd = clip("a=b.wav")
    assert select([odd], ["data/a=b.wav"], "only") == [odd]
    for wrong in ("speaker=ann", "singer=theo", "theo/1.wav"):
        with pytest.raises(DataError, match=f"^only {wrong}: no clip .* like data/theo/1.wav"):
            select(some, ["fold=1", wrong], "only")


def test_labels_that_enough_clips_have() -> None:
    some = [clip("a", "x", "y"), clip("b", "y", "z"), clip("c", "y", "x")]
    assert label_set(some) == ["x", "y", "z"]
    assert label_set(some, 2) == ["x", "y"]
    assert label_set(some, 4) == []
    assert target_matrix(some, ["y", "x"]).tolist() == [[1, 1], [1, 0], [1, 1]]


# Folds


@given(
    st.lists(st.tuples(st.integers(0, 7), st.sampled_from("xyz")), min_size=8, max_size=60),
    st.integers(2, 4),
)
def test_no_group_is_in_two_parts(rows: list[tuple[int, str]], count: int) -> None:
    some = [clip(f"{i}.wav", label, by=f"g{group}") for i, (group, label) in enumerate(rows)]
    groups = {each.facts["by"] for each in some}
    if len(groups) < count:
        with pytest.raises(DataError, match=f"{len(groups)} groups cannot"):
            folds(some, "by", count)
        return
    parts = folds(some, "by", count)
    assert len(parts) == count and all(parts)
    assert sorted(place for part in parts for place in part) == list(range(len(some)))
    for group in groups:
        assert sum(any(some[place].facts["by"] == group for place in part) for part in parts) == 1
    assert folds(some, "by", count) == parts
    # The order in which clips are found does not matter, but for ties among equal ones.
    shuffled = [len(some) - 1 - place for place in range(len(some))]
    again = folds([some[place] for place in shuffled], "by", count)
    assert [sorted(shuffled[place] for place in part) for part in again] == parts


def test_labels_are_spread_over_the_parts() -> None:
    rng = np.random.default_rng(0)
    some = [clip(f"{i}.wav", "xy"[i % 5 == 0]) for i in range(100)]
    some = [some[place] for place in rng.permutation(100)]
    for part in folds(some, None, 5):
        assert Counter(some[place].labels[0] for place in part) == {"x": 16, "y": 4}
    # Whole groups, of several sizes.
    some = [clip(f"{g}/{i}", "xy"[g % 2], by=str(g)) for g in range(12) for i in range(1 + g // 2)]
    for part in folds(some, "by", 3):
        counts = Counter(some[place].labels[0] for place in part)
        assert abs(counts["x"] - 7) <= 1 and abs(counts["y"] - 7) <= 1


# Splits


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    """Twelve clips by six artists, two a label."""
    rows = [f"{i}.wav,{'rock' if i % 4 < 2 else 'folk'},a{i // 2},{i}" for i in range(12)]
    return table(tmp_path / "songs", "\n".join(["path,label,artist,number", *rows]))


def artists(clips: list[LabelledClip]) -> set[str]:
    return {each.facts["artist"] for each in clips}


def test_a_tenth_validates_by_default(songs: Path) -> None:
    split = gather([songs], Selection(), "classify")
    assert len(split.dev) == 1 and len(split.training) == 11
    assert split.labels == ["folk", "rock"] and split.licences == ["unspecified"]
    assert split.held_out == "part 0 of 10, not trained on"
    split = gather([songs], Selection(group="artist"), "classify")
    assert len(split.dev) == 2 and len(artists(split.dev)) == 1
    assert not artists(split.dev) & artists(split.training)
    assert split.held_out == "part 0 of 6 by artist, not trained on"
    assert split.targets(split.dev).tolist() in ([[1, 0]] * 2, [[0, 1]] * 2)


def test_parts_are_each_held_out_once(songs: Path) -> None:
    validated = []
    for place in range(3):
        split = gather([songs], Selection(group="artist"), "classify", fold=(place, 3))
        assert not artists(split.dev) & artists(split.training)
        validated += names(split.dev)
    assert sorted(validated) == sorted(f"{i}.wav" for i in range(12))


def test_held_out_clips_and_folders_validate(songs: Path, tmp_path: Path) -> None:
    other = table(tmp_path / "more", "path,label\nx.wav,rock\ny.wav,jazz\n")
    split = gather([songs], Selection(), "classify", held_out=["artist=a1", "songs/0.wav"])
    assert names(split.dev) == ["0.wav", "2.wav", "3.wav"]
    split = gather([songs], Selection(), "classify", dev=[other], licences=["CC0"])
    assert names(split.dev) == ["x.wav"]  # jazz is not among the labels trained on
    assert len(split.training) == 12 and split.licences == ["CC0"]
    split = gather([songs], Selection(), "classify", dev=[other], open_set=True)
    assert names(split.dev) == ["x.wav", "y.wav"]
    both = gather([songs], Selection(), "classify", dev=[other], held_out=["artist=a1"])
    assert names(both.dev) == ["x.wav", "2.wav", "3.wav"]
    assert both.held_out == "more, artist=a1, not trained on"


def test_splits_that_share_a_group_are_refused(songs: Path, tmp_path: Path) -> None:
    by = Selection(group="artist")
    with pytest.raises(UsageError, match="^group artist: 'a1' is on both sides .* fold$"):
        gather([songs], by, "classify", held_out=["songs/2.wav"])
    gather([songs], by, "classify", held_out=["songs/2.wav", "songs/3.wav"])
    gather([songs], Selection(), "classify", held_out=["songs/2.wav"])
    other = table(tmp_path / "more", "path,label,artist\nx.wav,rock,a5\n")
    with pytest.raises(UsageError, match="'a5' is on both sides"):
        gather([songs], by, "classify", dev=[other])


def test_a_recording_is_not_on_both_sides(songs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"0\.wav: is on both sides"):
        gather([songs], Selection(), "classify", dev=[songs])
    monkeypatch.chdir(songs.parent)
    with pytest.raises(UsageError, match=r"is on both sides"):
        gather([songs], Selection(), "classify", dev=[Path("songs/labels.csv")])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"fold": (3, 3)}, UsageError, "fold 3 of 3"),
        ({"fold": (0, 1)}, UsageError, "fold 0 of 1"),
        ({"fold": (0, 13)}, DataError, "12 groups cannot be parted into 13 folds"),
        ({"held_out": ["songs/*"]}, DataError, "12 clips: none is left to train on"),
        ({"held_out": ["jazz/*"]}, DataError, "^held_out jazz/"),
        ({"licences": ["CC0", "MIT"]}, UsageError, "2 licences for 1"),
    ],
)
def test_splits_that_cannot_be(
    songs: Path, options: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        gather([songs], Selection(), "classify", **options)  # type: ignore[arg-type]


def test_one_group_cannot_be_parted(songs: Path, tmp_path: Path) -> None:
    one = table(tmp_path / "one", "path,label,artist\na.wav,x,ann\nb.wav,y,ann\n")
    with pytest.raises(DataError, match="2 clips: all of one group"):
        gather([one], Selection(group="artist"), "classify")
    with pytest.raises(DataError, match="^min_clips 7: no label has so many clips$"):
        gather([songs], Selection(min_clips=7), "classify")


def test_rare_labels_are_left_out(tmp_path: Path) -> None:
    rows = ["a.wav,x;y", "b.wav,x", "c.wav,x;z", "d.wav,z", "e.wav,w"]
    folder = table(tmp_path / "songs", "\n".join(["path,label", *rows]))
    split = gather([folder], Selection(min_clips=2), "tag", held_out=["songs/[ad].wav"])
    assert split.labels == ["x", "z"]
    assert names(split.training) == ["b.wav", "c.wav"]  # e has none of them
    assert split.targets(split.training).tolist() == [[1, 0], [1, 1]]


def test_a_classifier_takes_one_label(tmp_path: Path) -> None:
    folder = table(tmp_path / "songs", "path,label\na.wav,x;y\nb.wav,x\n")
    one = table(tmp_path / "one", "path,label\nc.wav,x\nd.wav,y\n")
    for data, dev in (([folder], [one]), ([one], [folder])):
        with pytest.raises(DataError, match=r"a\.wav: has several labels \(x; y\); .* train tag"):
            gather(data, Selection(), "classify", dev=dev)
    more = table(tmp_path / "more", "path,label\ne.wav,x\nf.wav,z\n")
    gather([folder, more], Selection(renamed={"y": ""}), "classify", dev=[one])


def test_tags_that_cannot_be_scored_are_refused() -> None:
    same = np.array([[1, 0], [1, 0]], np.float32)
    with pytest.raises(DataError, match="2 clips in the validation set"):
        refuse_unscorable(same, "tag")
    refuse_unscorable(same, "classify")
    refuse_unscorable(np.array([[1, 0], [1, 1]], np.float32), "tag")


def test_the_card_knows_what_was_trained_on(tmp_path: Path) -> None:
    for name, seconds in (("one", 30), ("two", 60)):
        (tmp_path / name).mkdir()
        rows = ["path,label,artist", f"a.wav,x,{name}1", f"b.wav,y,{name}2", f"c.wav,y,{name}3"]
        (tmp_path / name / "labels.csv").write_text("\n".join(rows))
        for clip_name in "abc":
            soundfile.write(tmp_path / name / f"{clip_name}.wav", np.zeros(4000 * seconds), 4000)
    data = [tmp_path / "one", tmp_path / "two" / "labels.csv"]
    split = gather(data, Selection(group="artist"), "classify", held_out=["two/c.wav"],
                   licences=["CC0"])  # fmt: skip
    facts = model_card(split, "classify", {"seed": 1}).facts()
    sets = [(each["clips"], each["minutes"], each["licence"]) for each in facts["training"]["data"]]
    assert sets == [(3, 1.5, "CC0"), (2, 2.0, "unspecified")]
    assert facts["training"]["groups"] == ["one1", "one2", "one3", "two1", "two2"]
    assert facts["labels"] == ["x", "y"] and facts["licence"] == "CC0; unspecified"
    assert facts["training"]["split"] == "validated on two/c.wav by artist, not trained on"


def test_files_elsewhere_are_named_without_the_way_to_them(tmp_path: Path) -> None:
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "table").mkdir()
    (tmp_path / "far" / "away" / "a.wav").write_bytes(b"")
    rows = f"path,label\n../far/away/a.wav,x\n{tmp_path / 'far' / 'away' / 'a.wav'},x\n"
    (tmp_path / "table" / "labels.csv").write_text(rows)
    with pytest.warns(AudioCliWarning, match="count once"):
        (found,) = find_clips(tmp_path / "table", Selection())
    assert found.name == "away/a.wav"


def test_folders_of_classes_have_no_groups(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "a.wav").write_bytes(b"")
    with pytest.raises(DataError, match="has no labels.csv, so nothing in it has a 'artist'"):
        find_clips(tmp_path, Selection(group="artist"))
