"""A file for all, a folder with a file each, or neither: what is meant, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from audiocli.batch.destination import Destination, settle
from audiocli.batch.inputs import Input
from audiocli.batch.placing import PICTURES, Naming, below, placed
from audiocli.errors import UsageError

ONE = [Input(Path("a.wav"), "a.wav", Path("a.wav"))]
TWO = [*ONE, Input(Path("b.wav"), "b.wav", Path("b.wav"))]


def check(
    place: Destination,
    found: list[Input],
    *,
    overwrite: bool = False,
    resume: bool = False,
    manifest: Path | None = None,
) -> None:
    place.check(found, "chords", overwrite=overwrite, resume=resume, manifest=manifest)


def test_the_end_of_a_name_and_what_is_there_tell_files_from_folders(tmp_path: Path) -> None:
    (tmp_path / "v1.csv").mkdir()
    assert settle(None, None, "segments", "lab") == Destination("lab")
    assert settle(tmp_path / "a.csv", None, "segments", "lab").file == tmp_path / "a.csv"
    assert settle(tmp_path / "a.txt", None, "segments", "lab").form == "audacity"
    assert settle(tmp_path / "a.txt", "csv", "segments", "lab").form == "csv"
    assert settle(tmp_path / "v1.csv", None, "segments", "lab").folder == tmp_path / "v1.csv"
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="does not end like a format"):
        settle(tmp_path / "file", None, "segments", "lab")


def test_one_file_is_refused_where_it_would_lose_something(tmp_path: Path) -> None:
    path = tmp_path / "a.lab"
    check(Destination("lab", file=path), ONE)
    check(Destination("csv", file=path), TWO)
    with pytest.raises(UsageError, match="holds the chords of one file"):
        check(Destination("lab", file=path), TWO)
    with pytest.raises(UsageError, match="written as a whole"):
        check(Destination("lab", file=path), ONE, resume=True, manifest=tmp_path / "m")
    path.touch()
    check(Destination("lab", file=path), ONE, overwrite=True)
    with pytest.raises(UsageError, match="exists"):
        check(Destination("lab", file=path), ONE)


def test_a_name_for_one_picture_is_refused_for_several(tmp_path: Path) -> None:
    def at(place: str, several: bool) -> Path:
        return placed("--plot", place, ONE[0], ".chords.png", PICTURES, several)

    one = f"{tmp_path}/p.png"
    assert at(one, False) == Path(one)
    with pytest.raises(UsageError, match="p.png: is a name for one file, and there are several"):
        at(one, True)
    assert at(f"{one}/", True) == Path(one) / "a.chords.png"
    assert at(f"{tmp_path}/new", True) == tmp_path / "new" / "a.chords.png"
    Path(one).mkdir()  # a folder that is there is meant, whatever its name
    assert at(one, True) == at(one, False) == Path(one) / "a.chords.png"
    with pytest.raises(UsageError, match="must end in"):
        at(f"{tmp_path}/new", False)


def test_to_resume_takes_a_manifest(tmp_path: Path) -> None:
    check(Destination("lab", folder=tmp_path), TWO, resume=True)
    check(Destination("lab"), TWO, resume=True, manifest=tmp_path / "m")
    with pytest.raises(UsageError, match="--resume goes by the manifest"):
        check(Destination("lab"), TWO, resume=True)


def test_outputs_are_named_kind_by_kind() -> None:
    def result(item: Input) -> Path:
        return below(Path("out"), item, ".lab")

    def plot(item: Input) -> Path:
        return below(Path(), item, ".png")

    naming = Naming({"result": result, "plot": plot})
    assert naming.kinds == ("result", "plot")
    assert naming(ONE[0]) == [Path("out/a.lab"), Path("a.png")]
    assert Naming({})(ONE[0]) == []
