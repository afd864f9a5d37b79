"""A file for all, a folder with a file each, or neither: what is meant, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from audiocli.batch.destination import Destination, settle
from audiocli.batch.inputs import Input
from audiocli.batch.placing import SOUNDS, Export, Namer
from audiocli.errors import FieldError, UsageError

SONG = Input(Path("a.m4a"), "a.m4a", Path("live/a.m4a"))


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


def test_a_name_for_one_picture_is_refused_for_several(tmp_path: Path) -> None:
    def at(place: str, several: bool) -> Path:
        (path,) = (
            Export("plot", place, "chords")
            .paths(SONG, Namer(), Path("out"), several=several)
            .values()
        )
        return path

    one = f"{tmp_path}/p.png"
    assert at("", True) == Path("out/live/a.chords.png")
    assert at(one, False) == Path(one)
    with pytest.raises(FieldError, match="plot .*p.png: is a name for one file, and there are"):
        at(one, True)
    assert at(f"{one}/", True) == Path(one) / "live" / "a.chords.png"
    assert at(f"{tmp_path}/new", True) == tmp_path / "new" / "live" / "a.chords.png"
    Path(one).mkdir()  # a folder that is there is meant, whatever its name
    assert at(one, True) == at(one, False) == Path(one) / "live" / "a.chords.png"
    with pytest.raises(FieldError, match="must end in"):
        at(f"{tmp_path}/new", False)


def test_exports_have_kinds_variants_and_the_endings_of_inputs() -> None:
    flac = Input(Path("b.FLAC"), "b.FLAC", Path("b.FLAC"))
    clicks = Export("click", "no/such/", "clicks", SOUNDS, like_input=True)
    assert clicks.paths(SONG, Namer(), None, several=False) == {
        "click": Path("no/such/live/a.clicks.wav")
    }
    assert clicks.paths(flac, Namer(), None, several=False)["click"].name == "b.clicks.flac"
    pair = Export("plot", "", "classes", variants=("mood", "genre"))
    assert pair.paths(SONG, Namer(), None, several=False) == {
        "plot mood": Path("live/a.classes.mood.png"),
        "plot genre": Path("live/a.classes.genre.png"),
    }


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{name}.{ext}", "a.csv"),
        ("{name}.{suffix}.{ext}", "a.m4a.csv"),
        ("{parent}-{name}.{ext}", f"{Path.cwd().name}-a.csv"),
    ],
)
def test_names_follow_a_template(template: str, name: str) -> None:
    assert Namer(template)(Path("out"), SONG, "csv") == Path("out/live") / name


@pytest.mark.parametrize("template", ["{nme}.{ext}", "{name", "../{name}.{ext}", "/a", "{0}", ""])
def test_templates_that_cannot_be_are_refused(template: str) -> None:
    with pytest.raises(FieldError, match="name template"):
        Namer(template)(Path("out"), SONG, "csv")
