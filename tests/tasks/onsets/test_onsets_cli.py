"""``audiocli onsets``, ``train onsets`` and ``evaluate onsets`` as a user meets them."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import click
import mido
import numpy as np
import pytest
import soundfile
from commands import Run
from onset_networks import RATE, bursts, save_random, save_rise

from audiocli.cli import cli
from audiocli.cli.options import TIME_FORMATS
from audiocli.cli.train.onsets import onsets as train_onsets
from audiocli.io.formats import FORMATS as KNOWN
from audiocli.io.formats import Instants, read_instants
from audiocli.io.names import actual_name
from audiocli.tasks.onsets.evaluation import DETECTORS
from audiocli.tasks.onsets.examples import AUGMENTATIONS
from audiocli.tasks.onsets.training import ARCHITECTURES

REFERENCE = [0.2, 0.45, 0.8]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_rise(tmp_path_factory.mktemp("models") / "rise")


@pytest.fixture(scope="module")
def causal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_random(tmp_path_factory.mktemp("models") / "causal", bidirectional=False)


def write(path: Path, *, seed: int = 0, channels: int = 1, rate: int = RATE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = np.repeat(bursts(REFERENCE, 1.0, rate, seed=seed), channels, axis=0)
    soundfile.write(path, sound.T, rate)
    return path


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return write(tmp_path / "song.wav")


@pytest.fixture
def songs(tmp_path: Path) -> list[str]:
    names = ["a.wav", "b.wav", "deep/c.wav"]
    for seed, name in enumerate(names):
        write(tmp_path / name, seed=seed)
    return names


def near(times: list[float] | np.ndarray) -> bool:
    return list(times) == pytest.approx(REFERENCE, abs=0.012)


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


def test_choices_are_those_of_the_package() -> None:
    evaluate = cli.commands["evaluate"]
    assert isinstance(evaluate, click.Group)
    for command, option, choices in (
        (train_onsets, "architecture", ARCHITECTURES),
        (train_onsets, "augment", AUGMENTATIONS),
        (evaluate.commands["onsets"], "detector", DETECTORS),
        (cli.commands["onsets"], "form", [n for n, f in KNOWN.items() if Instants.kind in f.kinds]),
    ):
        (chosen,) = [each.type for each in command.params if each.name == option]
        assert isinstance(chosen, click.Choice)
        assert list(chosen.choices) == list(choices), option


@pytest.mark.parametrize(
    ("arch", "small"),
    [("blstm", "--hidden-size 3"), ("crnn", "--hidden-size 3 --channels 2,2 --layers 1")],
)
def test_train_then_detect_and_score_with_the_result(
    run: Run, tmp_path: Path, arch: str, small: str
) -> None:
    for seed in range(3):
        file = write(tmp_path / "data" / f"{seed}.wav", seed=seed)
        file.with_suffix(".onsets").write_text("".join(f"{time}\n" for time in REFERENCE))
    schedule = "--epochs 2 --steps 2 --batch-size 2 --seconds 0.6".split()
    words = ("train", "onsets", "data", "-o", "net", "--arch", arch, *small.split(), *schedule)
    trained = run(*words, "--hold-out", "data/0", "--licence", "CC0")
    assert (trained.status, trained.out) == (0, "net\n"), trained.err
    assert "epoch 2/2" in trained.err and "dev F-measure" in trained.err
    config = json.loads((tmp_path / "net" / "config.json").read_text())
    assert config["training"]["data"] == [
        {"name": f"{tmp_path.name}/data", "clips": 2, "minutes": 0.0, "licence": "CC0"}
    ]
    found = run("onsets", "data/0.wav", "--model", "./net", "--threshold", "0.01")
    assert found.status == 0
    assert all(0 <= time <= 1 for time in found.times)
    scores = run("evaluate", "onsets", "data", "--model", "./net", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(scores.out)))
    assert [row["file"] for row in rows] == ["data/0", "data/1", "data/2", "all"]
    assert rows[-1]["onsets"] == "9"
    # A finished model is not trained over.
    assert run(*words, "--seed", "1").status in (1, 2)


def test_times_go_to_standard_output(run: Run, song: Path, model: Path) -> None:
    done = run("onsets", "song.wav", "--model", model)
    assert (done.status, done.err) == (0, "")
    assert near(done.times)
    assert all(len(line.partition(".")[2]) >= 3 for line in done.out.splitlines())
    piped = run("onsets", "-", "--model", model, stdin=song.read_bytes())
    assert piped.out == done.out


def test_several_files_are_named(run: Run, songs: list[str], model: Path) -> None:
    done = run("onsets", *songs, "--model", model, "-q")
    assert done.status == 0 and done.err == ""
    rows = [line.split("\t") for line in done.out.splitlines()]
    assert [name for _, name in rows] == [name for name in songs for _ in REFERENCE]
    assert all(near([float(time) for time, name in rows if name == each]) for each in songs)


@pytest.mark.parametrize("form", TIME_FORMATS)
def test_formats(run: Run, song: Path, model: Path, tmp_path: Path, form: str) -> None:
    words = ("onsets", "song.wav", "--model", model, "--format", form)
    extension = KNOWN[form].extension
    assert run(*words, "-o", f"out{extension}").status == 0
    written = tmp_path / f"out{extension}"
    printed = run(*words)
    if form == "sqlite":
        assert printed.status == 2 and "--output" in printed.err
        with closing(sqlite3.connect(written)) as database:
            assert near([time for (time,) in database.execute("SELECT time FROM onsets")])
    elif form == "midi":
        assert printed.status == 2 and "--output" in printed.err
        times, now = [], 0.0
        for message in mido.MidiFile(written):
            now += message.time
            if message.type == "note_on" and message.velocity:
                times.append(now)
        assert near(times)
    else:
        assert printed.out == written.read_text("utf-8")
    if form in ("txt", "csv", "json", "jsonl", "lab", "jams"):
        file = written.rename(written.with_suffix({"txt": ".onsets"}.get(form, extension)))
        assert near(read_instants(file))
    elif form == "audacity":
        assert near([float(line.split()[0]) for line in written.read_text().splitlines()])
    elif form == "sv":
        points = ElementTree.parse(written).getroot().iter("point")
        assert near([int(point.attrib["frame"]) / RATE for point in points])


def test_one_file_for_all_inputs(run: Run, songs: list[str], model: Path, tmp_path: Path) -> None:
    words = ("onsets", *songs, "--model", model, "-q")
    assert run(*words, "-o", "all.csv").status == 0
    printed = run(*words, "--format", "csv").out
    assert (tmp_path / "all.csv").read_text() == printed
    rows = list(csv.DictReader(io.StringIO(printed)))
    assert len(rows) == 9 and set(rows[0]) == {"file", "time"}
    lines = run(*words, "--format", "jsonl").out.splitlines()
    assert [json.loads(line)["file"] for line in lines[::3]] == songs
    assert len(run(*words, "--format", "json").out.splitlines()) == 3
    for form in ("jams", "sv", "lab", "audacity"):
        refused = run(*words, "--format", form)
        assert (refused.status, refused.out) == (2, "") and "folder" in refused.err
    assert run(*words, "-o", "all.jams").status == 2
    made = ["a.wav", "all.csv", "all.csv.manifest.jsonl", "b.wav", "deep/c.wav"]
    assert names(tmp_path) == made


def test_a_folder_mirrors_the_inputs(
    run: Run, songs: list[str], model: Path, tmp_path: Path
) -> None:
    assert run("onsets", ".", "--model", model, "-o", "out", "--format", "lab").status == 0
    made = ["a.lab", "audiocli.jsonl", "b.lab", "deep/c.lab"]
    assert names(tmp_path / "out") == made
    assert near(np.loadtxt(tmp_path / "out" / "deep" / "c.lab"))


def test_nothing_is_overwritten_unless_asked(
    run: Run, songs: list[str], model: Path, tmp_path: Path
) -> None:
    for target, file in (("all.csv", "all.csv"), ("out", "out/a.txt")):
        words = ("onsets", "a.wav", "b.wav", "--model", model, "-o", target)
        assert run(*words).status == 0
        (tmp_path / file).write_text("mine")
        refused = run(*words)
        assert refused.status == 2 and "--overwrite" in refused.err
        assert (tmp_path / file).read_text() == "mine"
        assert run(*words, "--overwrite").status == 0
        assert (tmp_path / file).read_text() != "mine"
    for option, name in (("--plot", "p.png"), ("--click", "c.wav"), ("--activations", "c.csv")):
        (tmp_path / name).write_text("mine")
        refused = run("onsets", option, name, "a.wav", "--model", model)
        assert refused.status == 2 and name in refused.err and refused.out == ""
        assert (tmp_path / name).read_text() == "mine"
    # Nor is the input.
    lost = run("onsets", "a.wav", "--model", model, "--click", "a.wav", "--overwrite")
    assert lost.status == 2


def test_resume_does_what_is_missing(
    run: Run, songs: list[str], model: Path, tmp_path: Path
) -> None:
    words = ("onsets", *songs, "--model", model, "-o", "out")
    assert run(*words).status == 0
    (tmp_path / "out" / "b.txt").unlink()
    before = (tmp_path / "out" / "a.txt").stat().st_mtime_ns
    again = run(*words, "--resume", "-v")
    assert again.status == 0 and "1 done, 2 skipped" in again.err
    assert (tmp_path / "out" / "b.txt").exists()
    assert (tmp_path / "out" / "a.txt").stat().st_mtime_ns == before
    # Other settings make other onsets.
    assert "3 done" in run(*words, "--resume", "--threshold", "0.6").err
    refused = run("onsets", "a.wav", "--model", model, "--resume")
    assert refused.status == 2 and "--resume" in refused.err


def test_resume_adds_to_one_file(run: Run, songs: list[str], model: Path, tmp_path: Path) -> None:
    words = ("onsets", "--model", model, "-o", "all.csv")
    assert run(*words, "a.wav", "b.wav").status == 0
    whole = run("onsets", *songs, "--model", model, "--format", "csv", "-q").out
    done = run(*words, *songs, "--resume")
    assert "1 done, 2 skipped" in done.err
    assert (tmp_path / "all.csv").read_text() == whole
    assert "nothing to do: all 3 inputs" in run(*words, *songs, "--resume").err
    # A file that was renamed is known by its sound; one that is gone stays until it is pruned.
    (tmp_path / "a.wav").rename(tmp_path / "z.wav")
    assert "nothing to do" in run(*words, "z.wav", "b.wav", "--resume").err
    table = (tmp_path / "all.csv").read_text()
    assert "z.wav," in table and "a.wav," not in table and "deep/c.wav," in table
    (tmp_path / "deep" / "c.wav").unlink()
    assert "1 removed" in run(*words, "z.wav", "b.wav", "--resume", "--prune").err
    assert "deep/c.wav" not in (tmp_path / "all.csv").read_text()
    # Other settings are another table.
    before = (tmp_path / "all.csv").read_bytes()
    refused = run(*words, "b.wav", "--resume", "--threshold", "0.6")
    assert refused.status == 2 and "other settings" in refused.err
    assert (tmp_path / "all.csv").read_bytes() == before


@pytest.mark.parametrize("jobs", [1, 2])
def test_broken_files_do_not_stop_the_others(
    run: Run, songs: list[str], model: Path, tmp_path: Path, jobs: int
) -> None:
    (tmp_path / "broken.wav").write_text("no audio")
    (tmp_path / "empty.wav").write_bytes(b"")
    inputs = ["broken.wav", "a.wav", "gone.wav", "empty.wav", "deep/c.wav"]
    # Two worker processes load the packages again: once is enough.
    printed = run("onsets", *inputs, "--model", model, "--format", "csv", "--jobs", jobs)
    assert printed.status == 1
    rows = list(csv.DictReader(io.StringIO(printed.out)))
    assert [row["file"] for row in rows] == ["a.wav"] * 3 + ["deep/c.wav"] * 3
    for name in ("broken.wav", "gone.wav", "empty.wav", "3 of 5 inputs failed"):
        assert name in printed.err
    if jobs == 1:
        joined = run("onsets", *inputs, "--model", model, "-o", "all.csv")
        assert joined.status == 1
        assert (tmp_path / "all.csv").read_text() == printed.out
        assert run("onsets", "broken.wav", "--model", model, "-o", "none.csv").status == 1
        assert not (tmp_path / "none.csv").exists()


def test_plot_takes_a_picture_or_nothing(run: Run, song: Path, model: Path, tmp_path: Path) -> None:
    done = run("onsets", "--plot", "song.wav", "--model", model)
    assert done.status == 0 and near(done.times)
    assert (tmp_path / "song.onsets.png").read_bytes().startswith(b"\x89PNG")
    assert run("onsets", "--plot", "a.SVG", "song.wav", "--model", model).status == 0
    assert ElementTree.parse(tmp_path / "a.SVG").getroot().tag.endswith("svg")
    (tmp_path / "there").mkdir()
    assert run("onsets", "--plot", "there/", "song.wav", "--model", model).status == 0
    assert names(tmp_path / "there") == ["song.png"]
    refused = run("onsets", "--plot=a.gif", "song.wav", "--model", model)
    assert refused.status == 2 and ".png, .svg, .pdf" in refused.err


def test_exports_of_several_files(run: Run, songs: list[str], model: Path, tmp_path: Path) -> None:
    words = ("onsets", *songs, "--model", model, "-q")
    exports = ("--plot", "pics/", "--click", "clicks", "--activations", "frames")
    assert run(*words, *exports, "-o", "out").status == 0
    for folder, ending in (
        ("pics", ".png"),
        ("clicks", ".clicks.wav"),
        ("frames", ".activations.csv"),
    ):
        assert names(tmp_path / folder) == [f"a{ending}", f"b{ending}", f"c{ending}"]


def test_clicks_sound_where_onsets_are(run: Run, model: Path, tmp_path: Path) -> None:
    write(tmp_path / "song.flac", channels=2, rate=22_050)
    for target in ("a.wav", "a.flac"):
        done = run("onsets", "song.flac", "--model", model, "--click", target)
        assert done.status == 0
        song, rate = soundfile.read(tmp_path / "song.flac")
        clicked, its_rate = soundfile.read(tmp_path / target)
        assert clicked.shape == song.shape and its_rate == rate
        first = round(done.times[0] * rate)
        assert np.abs(clicked[first : first + 200] - song[first : first + 200]).max() > 0.05
    assert run("onsets", "song.flac", "--model", model, "--click", "a.txt").status == 2


def test_activations(run: Run, song: Path, model: Path, tmp_path: Path) -> None:
    for name in ("c.csv", "c.npz"):
        assert run("onsets", "song.wav", "--model", model, "--activations", name).status == 0
    table = np.loadtxt(tmp_path / "c.csv", delimiter=",", skiprows=1)
    assert table.shape == (101, 2)
    with np.load(tmp_path / "c.npz") as stored:
        np.testing.assert_allclose(table[:, 0], stored["times"], atol=1e-6)
        np.testing.assert_allclose(table[:, 1], stored["strengths"], atol=1e-5)
        peak = stored["times"][np.argmax(stored["strengths"])]
    assert min(abs(peak - time) for time in REFERENCE) < 0.015


def test_columns(run: Run, song: Path, model: Path) -> None:
    words = ("onsets", "song.wav", "--model", model)
    rows = [
        line.split("\t") for line in run(*words, "--columns", "strength, salience").out.splitlines()
    ]
    assert len(rows) == 3 and all(len(row) == 3 for row in rows)
    assert all(0.5 <= float(strength) <= 1 < float(salience) for _, strength, salience in rows)
    header = run(*words, "--columns", "salience", "--format", "csv").out.splitlines()[0]
    assert header == "time,salience"
    refused = run(*words, "--columns", "strenth")
    assert refused.status == 2 and "'strength'" in refused.err


def test_decoder_options(run: Run, song: Path, model: Path) -> None:
    words = ("onsets", "song.wav", "--model", model)
    assert len(run(*words, "--min-gap", "0.5").times) == 2
    assert len(run(*words, "--combine", "2").times) == 1
    assert run(*words, "--threshold", "1").out == ""
    moved, found = run(*words, "--backtrack").times, run(*words).times
    assert all(a <= b for a, b in zip(moved, found, strict=True))
    for wrong in (["--threshold", "2"], ["--combine", "-1"], ["--min-gap", "-1"]):
        refused = run(*words, *wrong)
        assert refused.status in (1, 2) and refused.out == ""
        assert refused.err.count("\n") == 1


@pytest.mark.parametrize("header", [True, False])
def test_online_prints_what_it_detects(
    run: Run, song: Path, causal: Path, tmp_path: Path, header: bool
) -> None:
    words = ("onsets", "-", "--online", "--model", causal)
    data = song.read_bytes() if header else song.read_bytes()[44:]
    done = run(*words, stdin=data)
    assert done.status == 0 and done.err == ""
    offline = run("onsets", song, "--model", causal, "--combine", "0", "--min-gap", "0.03")
    assert done.times == pytest.approx(offline.times, abs=0.0011) and len(done.times) > 2
    strong = run(*words, "--columns", "strength", stdin=data).out.splitlines()
    assert [float(line.split("\t")[0]) for line in strong] == done.times


def test_online_refuses_what_it_cannot_do(run: Run, song: Path, causal: Path, model: Path) -> None:
    words = ("onsets", "-", "--online", "--model", causal)
    for option in (
        "--plot",
        "--backtrack",
        "--resume",
        "--columns=salience",
        "--combine=0.1",
        "--output=a.csv",
        "--format=csv",
        "--click=a.wav",
        "--files-from=a",
    ):
        refused = run(*words, option)
        assert refused.status == 2 and refused.out == ""
        assert option.partition("=")[0] in refused.err
    assert run(*words, "--channels", "0").status == 2
    assert run("onsets", "song.wav", "--online", "--model", causal).status == 2
    future = run("onsets", "-", "--online", "--model", model)
    assert future.status == 1 and "needs the future" in future.err
    assert run(*words, stdin=b"RIFF\0\0\0\0WAVEfmt ").status == 1
    assert run(*words, stdin=b"").out == ""


@pytest.mark.skipif(os.name == "nt", reason="pipes that select() knows")
def test_online_answers_before_the_pipe_ends(song: Path, causal: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "audiocli", "onsets", "-", "--online", "--model", str(causal)]
    data = song.read_bytes()
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(data[: len(data) * 3 // 4])
        process.stdin.flush()
        first = process.stdout.readline()  # would wait for ever if nothing came yet
        assert float(first) < 0.75
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(data[len(data) * 3 // 4 :])
            process.stdin.close()
        rest = process.stdout.read()
    assert process.returncode == 0 and len(rest.splitlines()) > 1


@pytest.mark.skipif(os.name == "nt", reason="names that Windows does not allow")
def test_odd_names(run: Run, model: Path, tmp_path: Path) -> None:
    odd = ["$HOME and $x$.wav", "two\nlines.wav", "with, comma [x].wav", '"quoted"\t.wav']
    for name in odd:
        write(tmp_path / name)
    words = ("onsets", *odd, "--model", model, "-q")
    table = run(*words, "--format", "csv").out
    written = [name.replace("\n", "\\n").replace("\t", "\\t") for name in odd]
    assert [row["file"] for row in csv.DictReader(io.StringIO(table))][::3] == written
    assert [actual_name(name) for name in written] == odd
    lines = run(*words, "--format", "jsonl").out.splitlines()
    assert [json.loads(line)["file"] for line in lines[::3]] == written
    text = run(*words).out.splitlines()
    assert len(text) == 12 and all(len(line.split("\t")) >= 2 for line in text)
    done = run(*words, "-o", "out", "--plot", "out/")
    assert done.status == 0
    made = {path.name for path in (tmp_path / "out").iterdir()}
    for name in odd:
        assert {name[:-4] + ".txt", name[:-4] + ".png"} <= made


@pytest.mark.skipif(sys.platform != "linux", reason="names must be text elsewhere")
def test_names_that_are_no_text(run: Run, model: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"bad\xff.wav")
    write(tmp_path / "song.wav").rename(tmp_path / name)
    for form in ("csv", "json"):
        exports = ("--plot", "p.png", "--click", "c.wav", "--activations", "a.npz", "--overwrite")
        done = run("onsets", name, "--model", model, "--format", form, *exports)
        assert done.status == 0, done.err
    assert (tmp_path / "p.png").exists()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for seed, name in enumerate(("drums/one", "drums/two", "other")):
        file = write(tmp_path / "data" / f"{name}.wav", seed=seed)
        file.with_suffix(".onsets").write_text("".join(f"{time}\n" for time in REFERENCE))
    return tmp_path / "data"


def test_evaluate(run: Run, data: Path, model: Path) -> None:
    words = ("evaluate", "onsets", "data", "--model", model)
    table = run(*words)
    assert table.status == 0
    assert [line.split()[0] for line in table.out.splitlines()] == [
        "file", "data/drums/one", "data/drums/two", "data/other", "all"
    ]  # fmt: skip
    result = json.loads(run(*words, "--format", "json").out)
    assert result["total"]["f_25"] == 1.0 and result["total"]["onsets"] == 9
    only = json.loads(run(*words, "--format", "json", "--only", "data/drums/*").out)
    assert [row["file"] for row in only["files"]] == ["data/drums/one", "data/drums/two"]
    missed = run(*words, "--only", "data/nothing*")
    assert missed.status == 1 and "--only" in missed.err and "data/drums/one" in missed.err
    strict = json.loads(run(*words, "--format", "json", "--threshold", "1").out)
    assert strict["total"]["recall_25"] == 0.0
    rival = json.loads(run(*words, "--detector", "librosa", "--format", "json").out)
    assert rival["total"]["f_50"] > 0.5


def test_evaluate_names_what_cannot_be_read(run: Run, data: Path, model: Path) -> None:
    (data / "other.onsets").write_text("0.1\nsoon\n")
    done = run("evaluate", "onsets", "data", "--model", model, "--format", "json")
    assert done.status == 1 and "other.onsets" in done.err
    assert len(json.loads(done.out)["files"]) == 2


def test_scores_are_recorded(run: Run, data: Path, tmp_path: Path) -> None:
    folder = save_rise(tmp_path / "net")
    words = ("evaluate", "onsets", "data", "--model", folder, "--record", "bursts of noise")
    assert run(*words).status == 0
    scores = json.loads((folder / "config.json").read_text())["scores"]
    assert [(each["measure"], each["value"]) for each in scores] == [
        ("25 ms", 100.0),
        ("50 ms", 100.0),
    ]
    assert all(
        "bursts of noise" in each["data"] and "--record" in each["command"] for each in scores
    )
    assert "bursts of noise" in (folder / "README.md").read_text()
    assert run(*words).status == 0
    assert len(json.loads((folder / "config.json").read_text())["scores"]) == 2
    assert run(*words, "--detector", "librosa").status == 2


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["onsets"], "no input"),
        (["onsets", "song.wav", "--model", "no-such"], "no-such"),
        (["onsets", "song.wav", "--format", "xml"], "csv"),
        (["onsets", "song.wav", "--format", "csv", "--device", "tpu"], "cpu"),
        (["onsets", "song.wav", "--activations", "a.txt"], ".npz"),
        (["train", "onsets", "none", "-o", "net"], "none"),
        (["train", "onsets", ".", "-o", "net", "--channels", "a"], "whole numbers"),
        (["train", "onsets", ".", "-o", "net", "--arch", "cnn"], "blstm"),
        (["train", "onsets", ".", "-o", "net", "--seconds", "0.1"], "0.5"),
        (["evaluate", "onsets", "."], "annotation"),
    ],
)
def test_wrong_usage_says_what_is_right(
    run: Run, song: Path, model: Path, tmp_path: Path, arguments: list[str], word: str
) -> None:
    if "--model" not in arguments and arguments[0] != "train":
        arguments = [*arguments, "--model", str(model)]
    done = run(*arguments)
    assert done.status in (1, 2) and word in done.err
    assert names(tmp_path) == ["song.wav"]
