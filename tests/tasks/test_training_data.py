"""What is wrong with training data is said at once, before anything is trained."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from audiocli.cli import cli
from audiocli.errors import AudioCliWarning, AudioError, DataError, UsageError
from audiocli.nn import registry
from audiocli.tasks.classify.clips import Selection, find_clips
from audiocli.tasks.classify.splits import Split, gather
from audiocli.tasks.training_data import read_each, read_parts, refuse

RATE = 8000
Table = Callable[..., Path]


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """Write a table of clips, which are all there."""

    def write(*rows: str, head: str = "path,label,artist") -> Path:
        folder = tmp_path / "data"
        folder.mkdir(exist_ok=True)
        for place, row in enumerate(rows):
            path = folder / row.split(",")[0]
            if not path.exists():
                tone = 0.1 * np.sin(np.arange(RATE // 4) * (0.1 + 0.05 * place))
                soundfile.write(path, tone, RATE)
        (folder / "labels.csv").write_text("\n".join([head, *rows]) + "\n", "utf-8")
        return folder

    return write


BY = Selection(group="artist")
FAIR = [f"{n}.wav,{'xy'[n % 2]},{'abcd'[n // 2]}" for n in range(8)]


def test_a_fair_table_is_parted_without_a_word(table: Table) -> None:
    split = gather([table(*FAIR)], BY, "classify")
    assert (len(split.training), len(split.dev), split.labels) == (6, 2, ["x", "y"])


def test_a_single_class_is_refused(table: Table) -> None:
    folder = table(*(row.replace(",y,", ",x,") for row in FAIR))
    with pytest.raises(DataError, match=r"all clips are of one class \(x\)"):
        gather([folder], BY, "classify")


def test_a_class_that_is_wholly_held_out_is_refused(table: Table) -> None:
    rows = [f"{n}.wav,{'wxyz'[n // 4]},artist{n // 4}" for n in range(16)]
    with pytest.raises(DataError, match=r"1 class \(w\) has no clip to train on.*one artist"):
        with pytest.warns(AudioCliWarning, match=r"3 classes \(x, y, z\) have no clip in the val"):
            gather([table(*rows)], BY, "classify")


def test_spellings_of_a_group_are_one(table: Table) -> None:
    names = ["Ann", "ann ", " ANN", "Ann", "bob", "Bob", "Cy", "Cy"]
    rows = [f"{n}.wav,{'xy'[n % 2]},{name}" for n, name in enumerate(names)]
    with pytest.warns(AudioCliWarning, match="'Ann' and 'ann ' and ' ANN'; 'bob' and 'Bob' differ"):
        split = gather([table(*rows)], BY, "classify", fold=(0, 3))
    sides = [{clip.group("artist") for clip in part} for part in (split.training, split.dev)]
    assert sides in ([{"bob", "Cy"}, {"Ann"}], [{"Ann", "Cy"}, {"bob"}], [{"Ann", "bob"}, {"Cy"}])
    with pytest.warns(AudioCliWarning), pytest.raises(UsageError, match="'Ann' is on both sides"):
        gather([table(*rows)], BY, "classify", held_out=["data/0.wav"])


def test_blank_groups_are_none(table: Table) -> None:
    rows = [f"{n}.wav,{'xy'[n % 2]},{' ' * (n % 3)}" for n in range(8)]
    split = gather([table(*rows)], BY, "classify", fold=(0, 4))
    assert len({clip.group("artist") for clip in [*split.training, *split.dev]}) == 8


def test_labels_that_look_alike_are_warned_of(table: Table) -> None:
    rows = [f"{n}.wav,{('Rock', 'rock', 'jazz')[n % 3]},a{n // 3}" for n in range(12)]
    with pytest.warns(AudioCliWarning, match="labels 'Rock' and 'rock' differ.*rename"):
        split = gather([table(*rows)], BY, "classify", fold=(0, 4))
    assert split.labels == ["Rock", "jazz", "rock"]


def test_a_file_with_two_labels_is_refused_for_classes(table: Table) -> None:
    folder = table(*FAIR, "0.wav,y,a", "./1.wav,x,a")
    with pytest.raises(DataError) as caught:
        gather([folder], BY, "classify")
    assert "0.wav: has several labels (x; y)" in str(caught.value)
    assert "1.wav: has several labels (y; x)" in str(caught.value)


def test_a_file_with_two_labels_in_two_data_sets_is_refused(table: Table, tmp_path: Path) -> None:
    folder = table(*FAIR)
    other = tmp_path / "other"
    other.mkdir()
    (other / "labels.csv").write_text("path,label,artist\n../data/0.wav,y,a\n")
    with pytest.raises(DataError, match=r"0\.wav: has several labels \(x; y\)"):
        gather([folder, other], BY, "classify", fold=(1, 4))


def test_for_tags_the_rows_of_a_file_are_joined(table: Table) -> None:
    folder = table(*FAIR, "0.wav,y,a", "1.wav,z,a", "4.wav,z,c")
    split = gather([folder], BY, "tag", fold=(0, 4))
    labels = {clip.name: clip.labels for clip in [*split.training, *split.dev]}
    assert len(labels) == 8
    assert (labels["0.wav"], labels["1.wav"]) == (("x", "y"), ("y", "z"))
    several = gather([folder], Selection(group="artist", multi_label=True), "classify", fold=(0, 4))
    assert len(several.training) + len(several.dev) == 8


def test_rows_that_say_the_same_count_once(table: Table) -> None:
    folder = table(*FAIR, FAIR[0], FAIR[3])
    with pytest.warns(AudioCliWarning, match="2 files like that count once"):
        clips = find_clips(folder, BY)
    assert len(clips) == 8


def test_a_folder_that_is_named_twice_counts_twice(table: Table) -> None:
    folder = table(*FAIR)
    split = gather([folder, folder], BY, "classify", fold=(0, 4))
    assert len(split.training) + len(split.dev) == 16


def test_missing_files_are_named_together(table: Table) -> None:
    folder = table(*FAIR)
    for name in ("2.wav", "5.wav"):
        (folder / name).unlink()
    with pytest.raises(DataError, match=r"line 4: .*'2\.wav'; line 7: .*'5\.wav'"):
        find_clips(folder, BY)
    with pytest.raises(DataError) as caught:
        gather([folder], BY, "classify")
    assert "2 problems" in str(caught.value)


def spoiled(folder: Path) -> Path:
    """Damage three of the clips, each in another way."""
    (folder / "1.wav").write_bytes(b"no audio")
    soundfile.write(folder / "3.wav", np.zeros(0), RATE)
    (folder / "6.wav").unlink()
    return folder


def test_bad_files_are_named_together_with_all_else(table: Table) -> None:
    folder = spoiled(table(*FAIR, "0.wav,y,a"))
    with pytest.raises(DataError) as caught:
        gather([folder], BY, "classify")
    first, *lines = str(caught.value).splitlines()
    assert first == "the training data has 4 problems, and nothing was trained:"
    for line, name in zip(lines, ("1.wav", "3.wav", "6.wav", "0.wav"), strict=True):
        assert name in line


def test_bad_files_can_be_left_out(table: Table) -> None:
    folder = spoiled(table(*FAIR))
    with pytest.warns(AudioCliWarning) as caught:
        split = gather([folder], BY, "classify", skip_unreadable=True)
    said = [str(each.message) for each in caught]
    assert sum(message.endswith("it is left out") for message in said) == 3
    assert len(split.training) + len(split.dev) == 5
    for path in folder.glob("*.wav"):
        path.write_bytes(b"no audio")
    with pytest.warns(AudioCliWarning), pytest.raises(DataError, match="no label has so many"):
        gather([folder], BY, "classify", skip_unreadable=True)


def test_many_problems_are_counted() -> None:
    with pytest.raises(DataError) as caught:
        refuse([f"{n}.wav: is empty" for n in range(100)])
    lines = str(caught.value).splitlines()
    assert len(lines) == 32 and lines[-1] == "  and 70 more"


def test_reading_names_all_that_fails_and_warns_by_name() -> None:
    def read(item: int) -> int:
        if item % 2:
            raise AudioError(f"{item}: is damaged")
        return item

    done: list[tuple[str, int, int]] = []
    with pytest.raises(DataError, match=r"2 problems(.|\n)*1: is damaged\n  3: is damaged"):
        read_each(range(4), read, str, stage=lambda *told: done.append(told))
    assert done[-1] == ("reading", 4, 4)
    with pytest.warns(AudioCliWarning, match="1: is damaged; it is left out"):
        assert read_parts([[0, 1], [2]], read, str, skip=True) == [[0], [2]]


# --- from the command line ------------------------------------------------------------------------


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, ["train", *map(str, words)])


def test_a_head_tells_what_it_is_worth(table: Table, tmp_path: Path) -> None:
    done = run("classify", table(*FAIR), "--group", "artist", "-o", tmp_path / "net")
    assert done.exit_code == 0, done.output
    assert re.search(r"^accuracy [\d.]+ % \(.*\) on part 0 of 4 by artist", done.stderr, re.M)
    assert done.stdout.strip() == str(tmp_path / "net")
    split = registry.open_folder(tmp_path / "net").config["training"]["split"]
    assert split.startswith("validated on part 0 of 4")


@pytest.mark.parametrize("words", [(), ("--skip-unreadable",)])
def test_onsets_that_cannot_be_read_are_named_together(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for n in range(6):
        soundfile.write(folder / f"{n}.wav", 0.1 * np.ones(RATE), RATE)
        (folder / f"{n}.onsets").write_text("0.2\n0.5\n")
    (folder / "1.wav").write_bytes(b"no audio")
    soundfile.write(folder / "2.wav", np.zeros(0), RATE)
    (folder / "3.onsets").write_text("soon\n1.2\nlater\n")
    (folder / "4.onsets").write_text("200\n500\n")
    done = run("onsets", folder, "--arch", "blstm", "--hidden-size", 2, "--seconds", 0.5,
               "--epochs", 1, "--steps", 1, "--batch-size", 1, "-o", tmp_path / "net",
               *words)  # fmt: skip
    for name in ("1.wav", "2.wav", "3.onsets"):
        assert name in done.stderr or name in str(done.exception)
    if words:
        assert done.exit_code == 0, done.output
        assert done.stderr.count("it is left out") == 3
        assert re.search(r"warning: .*4\.onsets: 2 of 2 onsets lie beyond the end", done.stderr)
    else:
        assert isinstance(done.exception, DataError)
        assert not (tmp_path / "net" / "config.json").exists()


@pytest.mark.parametrize(
    ("words", "old", "new"),
    [
        (("classify", "--least", "99"), "--least", "--min-clips"),
        (("classify", "--least=99"), "--least", "--min-clips"),
        (("tag", "--several", "--least", "99"), "--several", "--multi-label"),
        (("classify", "--listen", "pitch", "--least", "99"), "--listen", "--frontend"),
        (("classify", "--within", "nothing"), "--within", "--pair-within"),
    ],
)
def test_old_names_of_options_still_work(
    words: tuple[str, ...], old: str, new: str, table: Table, tmp_path: Path
) -> None:
    task, *options = words
    done = run(task, table(*FAIR), *options, "-o", tmp_path / "net")
    assert done.stderr.count(f"audiocli: {old} is now called {new}\n") == 1
    assert isinstance(done.exception, DataError)  # of what the option asks
    assert "99" in str(done.exception) or "nothing" in str(done.exception)
    shown = CliRunner().invoke(cli, ["train", task, "--help"]).stdout
    assert new in shown and f"{old} " not in shown


def test_the_old_name_of_the_cache_still_works(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for n in range(2):
        soundfile.write(folder / f"{n}.wav", 0.1 * np.ones(RATE), RATE)
        (folder / f"{n}.lab").write_text("0 1 C:maj\n")
    done = run("chords", folder, "--heard", tmp_path / "cache", "--channels", "2,2,2", "--seconds",
               1, "--epochs", 1, "--steps", 1, "--batch-size", 1, "-o",
               tmp_path / "net")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "--heard is now called --cache-dir" in done.stderr
    assert len(list((tmp_path / "cache").iterdir())) == 2
    shutil.rmtree(tmp_path / "cache")


def test_splits_are_those_of_before(table: Table) -> None:
    split = gather([table(*FAIR)], BY, "classify")
    assert isinstance(split, Split)
    assert [clip.name for clip in split.dev] == ["0.wav", "1.wav"]
