"""A file is there as a whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from audiofiles import only_file

from audiocli.errors import AudioCliError, UsageError
from audiocli.io.atomic import write_bytes, write_whole


def wrote(text: str):
    return lambda path: path.write_text(text)


def test_known_content_is_written_as_it_is_and_once(tmp_path: Path) -> None:
    target = tmp_path / "new" / "a.txt"
    write_bytes(target, b"a\r\n\xff")
    assert target.read_bytes() == b"a\r\n\xff"
    with pytest.raises(UsageError, match="exists already"):
        write_bytes(target, b"b")
    write_bytes(target, b"c", overwrite=True)
    assert target.read_bytes() == b"c"
    only_file(target.parent, "a.txt")


def test_the_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "new" / "deep" / "a.tar.gz"

    def fill(partial: Path) -> None:
        assert not target.exists()
        # A writer that goes by the extension finds it, and one that lists files does not see it.
        assert partial.suffix == ".gz" and partial.name.startswith(".")
        assert partial.parent == target.parent
        partial.write_text("all")

    write_whole(target, fill)
    assert target.read_text() == "all"
    only_file(target.parent, "a.tar.gz")


def test_what_is_there_stays_unless_asked(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("mine")
    with pytest.raises(UsageError, match="use overwrite"):
        write_whole(target, lambda partial: pytest.fail("nothing is to be done"))
    assert target.read_text() == "mine"
    write_whole(target, wrote("new"), overwrite=True)
    assert target.read_text() == "new"
    only_file(tmp_path, "a.txt")


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege")
def test_a_link_to_nowhere_is_there(tmp_path: Path) -> None:
    (tmp_path / "a.txt").symlink_to(tmp_path / "gone")
    with pytest.raises(UsageError):
        write_whole(tmp_path / "a.txt", wrote("new"))
    assert (tmp_path / "a.txt").is_symlink() and not (tmp_path / "gone").exists()


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), OSError(28, "No space")])
@pytest.mark.parametrize("there", [False, True])
def test_halves_leave_nothing(tmp_path: Path, error: BaseException, there: bool) -> None:
    target = tmp_path / "a.txt"
    if there:
        target.write_text("before")

    def fail(partial: Path) -> None:
        partial.write_text("half")
        raise error

    expected = AudioCliError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected) as caught:
        write_whole(target, fail, overwrite=True)
    if isinstance(error, OSError):
        assert str(caught.value).startswith(f"{target}: cannot be written")
        assert "No space" in str(caught.value)
    only_file(tmp_path, "a.txt" if there else None)
    assert not there or target.read_text() == "before"


def test_a_name_taken_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"

    def fill(partial: Path) -> None:
        partial.write_text("late")
        target.write_text("first")

    with pytest.raises(UsageError, match="exists already"):
        write_whole(target, fill)
    assert target.read_text() == "first"
    only_file(tmp_path, "a.txt")


def test_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*paths: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    write_whole(tmp_path / "a.txt", wrote("all"))
    assert (tmp_path / "a.txt").read_text() == "all"
    with pytest.raises(UsageError):
        write_whole(tmp_path / "a.txt", wrote("new"))
    only_file(tmp_path, "a.txt")


@pytest.mark.parametrize("overwrite", [False, True])
def test_folders_and_files_in_the_way_are_named(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "folder.txt").mkdir()
    (tmp_path / "file").write_text("mine")
    for target in (tmp_path / "folder.txt", tmp_path / "file" / "a.txt"):
        with pytest.raises(AudioCliError) as caught:
            write_whole(target, wrote("new"), overwrite=overwrite)
        assert str(caught.value).startswith(f"{target}: ") and "\n" not in str(caught.value)
    assert (tmp_path / "file").read_text() == "mine"


def test_long_names(tmp_path: Path) -> None:
    name = "ä" * 120 + ".csv"
    write_whole(tmp_path / name, wrote("all"))
    only_file(tmp_path, name)
    with pytest.raises(AudioCliError, match="cannot be written"):
        write_whole(tmp_path / ("a" * 300 + ".csv"), wrote("all"))


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a path is shorter than this")
def test_folders_deeper_than_python_recurses(tmp_path: Path) -> None:
    target = tmp_path.joinpath(*["d"] * 1200, "a.txt")
    write_whole(target, wrote("all"))
    assert target.read_text() == "all"
    while target != tmp_path:  # pytest's own clean-up recurses
        target.unlink() if target.is_file() else target.rmdir()
        target = target.parent
