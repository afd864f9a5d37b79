"""Recordings are found with their annotations, chosen by name, and parted."""

from __future__ import annotations

import json
import math
import re
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiocli.cli.tables import show_rows
from audiocli.errors import AudioError, DataError
from audiocli.tasks.annotated import Recording, find_recordings, matching, split
from audiocli.tasks.evaluation import evaluate_each, warn_of_late_times

SUFFIXES = (".onsets", ".csv", ".jams")


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def recordings(*names: str) -> list[Recording]:
    folder = Path("data")
    return [Recording(name, folder / f"{name}.wav", folder / name, folder) for name in names]


def test_audio_with_an_annotation_is_found_to_any_depth(tmp_path: Path) -> None:
    touch(tmp_path, "b/c/deep.flac", "b/c/deep.csv", "take10.wav", "take10.onsets", "take9.mp3")
    touch(tmp_path, "take9.onsets", "alone.wav", "notes.onsets", ".hidden.wav", ".hidden.onsets")
    found = find_recordings(tmp_path, SUFFIXES)
    assert [each.name for each in found] == ["b/c/deep", "take9", "take10"]
    assert [each.annotation.suffix for each in found] == [".csv", ".onsets", ".onsets"]
    assert all(each.audio.exists() and each.annotation.exists() for each in found)
    assert found[0].title == f"{tmp_path.name}/b/c/deep"


def test_the_preferred_annotation_is_taken(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav", "a.jams", "a.csv")
    for suffixes, best in ((SUFFIXES, ".csv"), (SUFFIXES[::-1], ".jams")):
        (recording,) = find_recordings(tmp_path, suffixes)
        assert recording.annotation.suffix == best


def test_names_with_dots_and_brackets(tmp_path: Path) -> None:
    touch(tmp_path, "a.b [1].wav", "a.b [1].onsets", "a.wav")
    (recording,) = find_recordings(tmp_path, SUFFIXES)
    assert recording.name == "a.b [1]"


def test_two_files_for_one_annotation_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav", "a.flac", "a.onsets")
    with pytest.raises(DataError, match="same name"):
        find_recordings(tmp_path, SUFFIXES)


def test_the_same_name_in_two_folders_is_none(tmp_path: Path) -> None:
    touch(tmp_path, "x/a.wav", "x/a.onsets", "y/a.wav", "y/a.onsets")
    assert [each.name for each in find_recordings(tmp_path, SUFFIXES)] == ["x/a", "y/a"]


def test_nothing_annotated_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav", "a.txt", "b.onsets")
    with pytest.raises(DataError, match=r"no audio file with an annotation.*\.onsets, \.csv"):
        find_recordings(tmp_path, SUFFIXES)


def test_titles_do_not_tell_where_the_data_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = touch(tmp_path / "drums", "a.wav", "a.onsets")
    monkeypatch.chdir(folder)
    (recording,) = find_recordings(Path("."), SUFFIXES)
    assert recording.title == "drums/a"


def test_patterns_choose_in_the_order_of_the_recordings() -> None:
    some = recordings("Zoo/a", "b", "Zap")
    assert [each.name for each in matching(some, ["data/Z*"], "only")] == ["Zoo/a", "Zap"]
    assert [each.name for each in matching(some, ["data/Z?p", "*b"], "only")] == ["b", "Zap"]
    assert matching(some, [], "only") == some
    with pytest.raises(DataError, match=r"^only data/z\*: .* data/Zoo/a$"):
        matching(some, ["data/z*"], "only")


@given(st.integers(2, 60))
def test_every_tenth_chooses_the_best_epoch(count: int) -> None:
    some = recordings(*map(str, range(count)))
    training, dev = split(some, [])
    assert dev == some[::10]
    assert sorted(training + dev, key=some.index) == some


def test_nothing_may_be_left_of_either_side() -> None:
    for count, patterns in ((1, []), (3, ["data/*"])):
        with pytest.raises(DataError, match="none is left"):
            split(recordings(*map(str, range(count))), patterns)
    with pytest.raises(DataError, match="^held_out x"):
        split(recordings("a", "b"), ["x"])


def make_scorer() -> Callable[[Recording], tuple[float, str]]:
    def score(recording: Recording) -> tuple[float, str]:
        if recording.name == "b":
            raise AudioError(f"{recording.audio}: is damaged")
        return 2.0, recording.title

    return score


def test_each_is_scored_whatever_happens_to_another() -> None:
    some = {each.audio: each for each in recordings("a", "b", "c")}
    result = evaluate_each(some, make_scorer, len)
    scores, summary = result.scores, result.summary
    assert result.total == 2
    assert scores == ["data/a", "data/c"]
    assert (summary.done, summary.failed, summary.audio_seconds) == (2, 1, 4.0)
    assert [failure.job.input.name for failure in summary.failures] == ["data/b"]


def nothing_works() -> Callable[[Recording], tuple[float, str]]:
    def score(recording: Recording) -> tuple[float, str]:
        raise AudioError(f"{recording.audio}: is damaged")

    return score


def test_nothing_that_could_be_scored_has_no_total() -> None:
    some = {each.audio: each for each in recordings("a", "b")}
    result = evaluate_each(some, nothing_works, len)
    assert (result.scores, result.total, result.summary.failed) == ([], None, 2)


@pytest.mark.parametrize(
    ("times", "seconds", "message"),
    [
        ([300.0, 900.0], 4.0, "2 of 2 onsets .* at 4.00 s, up to 900.00 s; are they in millisec"),
        ([1.0, 4.2], 4.0, "1 of 2 onsets lie beyond the end of the audio at 4.00 s, up to 4.20 s$"),
        ([1.0, 300.0], 4.0, "1 of 2 onsets .* milliseconds"),
        ([1.0, 4.04], 4.0, ""),
        ([], 4.0, ""),
        ([5.0], 0.0, ""),  # the length is not known
    ],
)
def test_times_beyond_the_end_are_warned_of(
    times: list[float], seconds: float, message: str
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_late_times(np.array(times), seconds, "onsets", grace=0.05)
    assert len(caught) == bool(message)
    assert not message or re.search(message, str(caught[0].message))


ROWS = [{"file": "a", "f": 0.5}, {"file": "b", "f": math.nan}]


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_tables_show_what_is_not_defined_as_nothing(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show_rows(ROWS, {"file": "all", "f": 0.5}, form)
    out = capsys.readouterr().out
    assert "nan" not in out.lower()
    if form == "json":
        assert json.loads(out)["files"][1] == {"file": "b", "f": None}
    elif form == "csv":
        assert out.splitlines() == ["file,f", "a,0.5", "b,", "all,0.5"]
    else:
        assert [line.split() for line in out.splitlines()][2] == ["b", "-"]


def test_without_a_total_there_is_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("table", "csv"):
        show_rows([], None, form)
    assert capsys.readouterr().out == ""
    show_rows([], None, "json")
    assert json.loads(capsys.readouterr().out) == {"files": [], "total": None}
