"""Which files are found, under which names, and which plans are refused."""

from __future__ import annotations

import io
import os
import string
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audiocli.batch.inputs import Input, find_inputs, plan, real_path
from audiocli.errors import UsageError

ENDINGS = (".wav", ".flac")

posix = pytest.mark.skipif(os.name != "posix", reason="such names or links are POSIX only")


def touch(*paths: str) -> None:
    for path in paths:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        open(path, "wb").close()


def names(found: list[Input]) -> list[str]:
    return [item.name for item in found]


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def find(*arguments: str, **options: object) -> list[Input]:
    return find_inputs(arguments, extensions=ENDINGS, **options)  # type: ignore[arg-type]


# --- folders -----------------------------------------------------------------------------------


def test_folder_is_searched_to_its_depth_in_natural_order() -> None:
    touch("m/10.wav", "m/2.wav", "m/B/1.FLAC", "m/a/x.wav", "m/notes.txt", "m/wav")
    found = find("m")
    assert names(found) == ["m/2.wav", "m/10.wav", "m/a/x.wav", "m/B/1.FLAC"]
    assert [str(item.relative) for item in found] == ["2.wav", "10.wav", "a/x.wav", "B/1.FLAC"]
    assert [item.path for item in found] == [Path(name) for name in names(found)]
    assert {item.problem for item in found} == {None}


def test_extensions_are_taken_with_and_without_dot_in_any_case() -> None:
    touch("m/a.WAV", "m/b.ogg")
    assert names(find_inputs(["m"], extensions=["wav"])) == ["m/a.WAV"]
    assert names(find_inputs(["m"], extensions={".OGG"})) == ["m/b.ogg"]


def test_folder_name_is_kept_as_given() -> None:
    touch("m/a.wav")
    assert names(find("m/")) == ["m/a.wav"]
    assert names(find(".")) == ["./m/a.wav"]
    assert names(find(os.path.abspath("m"))) == [os.path.abspath("m/a.wav")]


def test_hidden_files_and_folders_are_left_out_unless_named() -> None:
    touch("m/a.wav", "m/._a.wav", "m/.git/b.wav")
    assert names(find("m")) == ["m/a.wav"]
    assert names(find("m/.git", "m/._a.wav")) == ["m/.git/b.wav", "m/._a.wav"]


def test_folder_without_audio_is_a_problem_that_names_what_was_looked_for() -> None:
    touch("m/notes.txt", "a.wav")
    empty, song = find("m", "a.wav")
    assert empty.problem == "m: no audio in this folder (looked for .flac, .wav)"
    assert song.problem is None


@posix
def test_links_that_go_in_circles_are_safe_and_own_names_win() -> None:
    touch("m/z/a.wav")
    os.symlink(os.path.abspath("m"), "m/b")
    os.symlink(os.path.abspath("m"), "m/z/up")
    os.symlink("z", "m/a")
    assert names(find("m")) == ["m/z/a.wav"]
    assert names(find("m/**/*.wav")) == ["m/z/a.wav"]


@posix
def test_linked_folder_outside_is_searched_and_dead_link_is_shown() -> None:
    touch("elsewhere/a.wav")
    os.mkdir("m")
    os.symlink("../elsewhere", "m/link")
    os.symlink("nowhere.wav", "m/dead.wav")
    assert names(find("m")) == ["m/dead.wav", "m/link/a.wav"]


def test_folder_that_cannot_be_read_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    touch("m/a.wav", "m/locked/b.wav")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if os.path.basename(path) == "locked":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert [item.problem for item in find("m")] == [None, "m/locked: Permission denied"]


def test_excluded_folder_is_not_searched_unless_it_is_the_one_named() -> None:
    touch("m/a.wav", "m/separated/a/vocals.wav")
    assert names(find("m", exclude=Path("m/separated"))) == ["m/a.wav"]
    assert names(find("m/**/*.wav", exclude=Path("m/separated"))) == ["m/a.wav"]
    assert names(find("m/separated", exclude=Path("m/separated"))) == ["m/separated/a/vocals.wav"]
    assert names(find("m", exclude=Path("m"))) == ["m/a.wav", "m/separated/a/vocals.wav"]


def test_default_extensions_are_those_of_the_audio_module() -> None:
    pytest.importorskip("audiocli.io.audio")
    touch("m/a.wav", "m/b.mp3", "m/c.txt")
    assert names(find_inputs(["m"])) == ["m/a.wav", "m/b.mp3"]


# --- files and patterns ------------------------------------------------------------------------


def test_file_is_taken_whatever_its_extension_and_goes_by_its_own_name() -> None:
    touch("deep/er/tape.bin")
    (found,) = find("deep/er/tape.bin")
    assert (found.name, found.relative) == ("deep/er/tape.bin", Path("tape.bin"))


def test_missing_file_is_a_problem_and_the_others_go_on() -> None:
    touch("a.wav")
    missing, song = find("gone.wav", "a.wav")
    assert missing.problem == "gone.wav: No such file or directory"
    assert song.problem is None


@pytest.mark.parametrize("argument", ["", "a\0.wav", "[\0", "x" * 5000, "a.wav/b.wav"])
def test_impossible_name_is_a_problem(argument: str) -> None:
    touch("a.wav")
    (found,) = find(argument)
    assert found.name == argument
    assert found.problem is not None


def test_same_file_is_taken_once_under_its_first_name() -> None:
    touch("m/a.wav", "m/b.wav")
    assert names(find("m/b.wav", "m", "./m/a.wav", "*/b.wav", "gone", "gone")) == [
        "m/b.wav",
        "m/a.wav",
        "gone",
    ]


@posix
def test_link_that_may_not_be_read_is_an_input_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    touch("music/a.wav")
    os.symlink(os.path.abspath("music/a.wav"), "music/b.wav")

    def refused(path: str, *, dir_fd: int | None = None) -> str:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "readlink", refused)
    assert names(find_inputs(["music"])) == ["music/a.wav", "music/b.wav"]


@posix
def test_link_to_a_file_is_the_same_file() -> None:
    touch("a.wav")
    os.symlink("a.wav", "b.wav")
    assert names(find("b.wav", "a.wav")) == ["b.wav"]


def test_pattern_mirrors_the_tree_below_its_fixed_part() -> None:
    touch("m/x/1.flac", "m/x/y/10.flac", "m/x/y/9.flac", "m/2.flac", "m/3.wav", "m/.h/4.flac")
    found = find("m/**/*.flac")
    assert names(found) == ["m/2.flac", "m/x/1.flac", "m/x/y/9.flac", "m/x/y/10.flac"]
    assert [str(item.relative) for item in found] == [name[2:] for name in names(found)]
    assert names(find("**/9.*")) == ["m/x/y/9.flac"]
    assert names(find("**/y/**")) == ["m/x/y/9.flac", "m/x/y/10.flac"]
    assert names(find("m/?.[wf]*")) == ["m/2.flac", "m/3.wav"]
    assert names(find(os.path.abspath("m") + "/*.wav")) == [os.path.abspath("m/3.wav")]


def test_pattern_takes_any_file_and_searches_folders() -> None:
    touch("m/tape.bin", "m/x/a.wav", "m/x/cover.jpg")
    assert names(find("m/*")) == ["m/tape.bin", "m/x/a.wav"]


def test_pattern_that_matches_nothing_is_a_problem() -> None:
    (found,) = find("*.wav")
    assert found.problem == "*.wav: no such file, and none matches it"


@posix
def test_literal_name_wins_over_its_reading_as_a_pattern() -> None:
    touch("a[1].wav", "a1.wav", "b/[x]/c.wav")
    assert names(find("a[1].wav")) == ["a[1].wav"]
    assert names(find("b/**/*.wav")) == ["b/[x]/c.wav"]
    os.remove("a[1].wav")
    assert names(find("a[1].wav")) == ["a1.wav"]


@posix
@pytest.mark.parametrize(
    "name",
    [
        "two words.wav",
        "naïve ☃.wav",
        unicodedata.normalize("NFD", "é.wav"),
        "line\nbreak.wav",
        "-n.wav",
        os.fsdecode(b"latin1 \xe9.wav"),
        " .wav",
        "'\"$(x).wav",
    ],
)
def test_odd_names_survive(name: str) -> None:
    touch(f"m/{name}", name)
    assert names(find("m")) == [f"m/{name}"]
    assert names(find("m/*.wav")) == [f"m/{name}"]
    (found,) = find(name)
    assert found.name == str(found.path) == str(found.relative) == name
    assert found.path.exists()


# --- standard input and lists ------------------------------------------------------------------


def test_dash_is_standard_input() -> None:
    assert find("-") == [Input(Path("-"), "-", Path("stdin"))]


@posix
def test_file_called_dash_is_not_standard_input() -> None:
    touch("-")
    (found,) = find("./-")
    assert found.path == Path("-").absolute()
    assert names(find("?", "-")) == ["-", "-"]


def test_list_of_files_keeps_names_and_skips_blank_lines() -> None:
    touch("a b.wav", " c.wav", "m/d.wav")
    Path("list").write_bytes(b"\xef\xbb\xbfa b.wav\r\n\n  \n c.wav\nm\ngone.wav")
    assert names(find("m/d.wav", files_from="list")) == [
        "m/d.wav",
        "a b.wav",
        " c.wav",
        "gone.wav",
    ]


@posix
def test_list_of_files_keeps_undecodable_bytes() -> None:
    Path("list").write_bytes(b"\xe9.wav\n")
    touch(os.fsdecode(b"\xe9.wav"))
    (found,) = find(files_from="list")
    assert found.problem is None
    assert os.fsencode(found.name) == b"\xe9.wav"


def test_list_of_files_on_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    touch("a.wav")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a.wav\n")))
    assert names(find(files_from="-")) == ["a.wav"]


@pytest.mark.parametrize(
    ("arguments", "files_from", "message"),
    [
        ([], None, "no input"),
        ([], "empty", "empty: lists no files"),
        ([], "gone", "gone: cannot read this list of files: No such file"),
        ([], "nul\0", "cannot read this list of files"),
        (["-", "-"], None, "only once"),
        (["-"], "dash", "only once"),
        (["-"], "-", "only once"),
    ],
)
def test_requests_that_cannot_be_meant(
    arguments: list[str],
    files_from: str | None,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("empty").write_text("\n\n")
    Path("dash").write_text("-\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a.wav\n")))
    with pytest.raises(UsageError, match=message):
        find(*arguments, files_from=files_from)


tree = st.lists(
    st.lists(st.text(string.ascii_letters + string.digits, min_size=1, max_size=3), max_size=3),
    min_size=1,
    max_size=8,
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # each example has its folder
)
@given(tree)
def test_every_file_is_found_once_in_one_order(
    tmp_path_factory: pytest.TempPathFactory, folders: list[list[str]]
) -> None:
    root = str(tmp_path_factory.mktemp("tree"))
    wanted = set()
    for number, folder in enumerate(folders):
        path = os.path.join(root, *folder, f"{number}.wav")
        touch(path)
        wanted.add(path)
    found = names(find(root))
    assert len(found) == len(wanted)
    assert set(found) == wanted
    assert names(find(os.path.join(root, "**", "*.wav"))) == found
    assert names(find(root, *reversed(found))) == found


# --- plans -------------------------------------------------------------------------------------


def outputs_in(folder: str, suffix: str = ".csv"):  # type: ignore[no-untyped-def]
    return lambda item: [Path(folder) / item.relative.with_suffix(suffix)]


def test_plan_mirrors_the_tree() -> None:
    touch("m/a.wav", "m/x/a.wav")
    jobs = plan(find("m"), outputs_in("out"))
    assert [job.outputs for job in jobs] == [(Path("out/a.csv"),), (Path("out/x/a.csv"),)]
    assert {job.replace for job in jobs} == {False}


def test_plan_keeps_inputs_with_problems_and_asks_no_outputs_of_them() -> None:
    touch("m/notes.txt", "a.wav")
    missing, song = plan(find("m", "a.wav"), outputs_in("out"))
    assert missing.outputs == ()
    assert missing.input.problem is not None
    assert song.outputs == (Path("out/a.csv"),)


@pytest.mark.parametrize("allowed", [{}, {"overwrite": True}, {"resume": True}])
def test_two_inputs_for_one_output_are_refused(allowed: dict[str, bool]) -> None:
    touch("x/a.wav", "y/a.flac")
    with pytest.raises(UsageError, match=r"out/a.csv: both x/a.wav and y/a.flac would write it"):
        plan(find("x/a.wav", "y/a.flac"), outputs_in("out"), **allowed)


@posix
def test_two_ways_to_one_output_are_seen_through() -> None:
    touch("a.wav", "b.wav")
    os.mkdir("out")
    os.symlink("out", "link")
    places = {"a.wav": Path("out/r.csv"), "b.wav": Path("x/../link/r.csv")}
    with pytest.raises(UsageError, match="both a.wav and b.wav"):
        plan(find("a.wav", "b.wav"), lambda item: [places[item.name]])


def test_one_input_may_not_write_an_output_twice() -> None:
    touch("a.wav")
    with pytest.raises(UsageError, match="a.wav would write it twice"):
        plan(find("a.wav"), lambda item: [Path("out.wav"), Path("./out.wav")])


@pytest.mark.parametrize("allowed", [{}, {"overwrite": True}, {"resume": True}])
def test_an_input_is_never_an_output(allowed: dict[str, bool]) -> None:
    touch("m/a.wav", "m/b.wav")
    with pytest.raises(UsageError, match=r"m/a.wav: is the input m/a.wav, which would be lost"):
        plan(find("m"), outputs_in("m", ".wav"), **allowed)


def test_a_folder_is_never_an_output() -> None:
    touch("a.wav", "out/a.csv/x")
    with pytest.raises(UsageError, match=r"out/a.csv: is a folder"):
        plan(find("a.wav"), outputs_in("out"), overwrite=True)


def test_existing_outputs_are_counted_and_refused_unless_allowed() -> None:
    touch("m/a.wav", "m/b.wav", "m/c.wav", "out/a.csv", "out/c.csv")
    with pytest.raises(
        UsageError, match=r"out/a.csv: exists already \(and 1 more\).*, resume to do"
    ):
        plan(find("m"), outputs_in("out"))
    assert [job.replace for job in plan(find("m"), outputs_in("out"), resume=True)] == [False] * 3
    assert [job.replace for job in plan(find("m"), outputs_in("out"), overwrite=True)] == [True] * 3


@posix
def test_dead_link_in_place_of_an_output_counts_as_existing() -> None:
    touch("a.wav", "out/x")
    os.symlink("nowhere", "out/a.csv")
    with pytest.raises(UsageError, match="exists already; use overwrite"):
        plan(find("a.wav"), outputs_in("out"))


stems = st.lists(st.sampled_from(["a", "b", "A", "x/a", "x/../a", "c"]), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(st.lists(stems, min_size=1, max_size=4))
def test_a_plan_is_refused_exactly_when_two_outputs_meet(outputs: list[list[str]]) -> None:
    inputs = [
        Input(Path(f"in/{n}.wav"), f"in/{n}.wav", Path(f"{n}.wav")) for n in range(len(outputs))
    ]
    wanted = {
        item.name: [Path("out", output) for output in mine]
        for item, mine in zip(inputs, outputs, strict=True)
    }
    everything = [real_path(output) for mine in wanted.values() for output in mine]
    if len(set(everything)) == len(everything):
        jobs = plan(inputs, lambda item: wanted[item.name])
        assert [list(job.outputs) for job in jobs] == list(wanted.values())
    else:
        with pytest.raises(UsageError, match="would write it"):
            plan(inputs, lambda item: wanted[item.name])
