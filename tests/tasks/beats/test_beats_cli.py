"""``audiocli beats``, ``train beats`` and ``evaluate beats`` as a user meets them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import click
import mido
import numpy as np
import pytest
import soundfile
from commands import Run

from audiocli.cli import cli
from audiocli.cli.options import TIME_FORMATS
from audiocli.cli.train.beats import beats as train_beats
from audiocli.io.formats import FORMATS as KNOWN
from audiocli.io.formats import Instants, read_beats
from audiocli.tasks.beats.evaluation import TRACKERS
from audiocli.tasks.beats.examples import AUGMENTATIONS
from audiocli.tasks.beats.training import ARCHITECTURES

RATE = 22_050
SECONDS, BPM = 12.0, 120.0


def write(path: Path, *, bpm: float = BPM, seconds: float = SECONDS, seed: int = 0) -> Path:
    """Drums: a low stroke on 1 and 3, noise on 2 and 4, and ticks between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    audio = np.zeros(round((seconds + 1) * RATE))
    t = np.arange(round(0.2 * RATE)) / RATE
    kick = 0.8 * np.sin(2 * np.pi * 55 * t) * np.exp(-t / 0.08)
    snare = 0.4 * rng.standard_normal(len(t)) * np.exp(-t / 0.05)
    hat = 0.15 * np.diff(rng.standard_normal(len(t) + 1)) * np.exp(-t / 0.015)
    for half in range(int(2 * seconds * bpm / 60)):
        start = round(half * 30 / bpm * RATE)
        stroke = 0 if half % 2 else (kick, snare)[half // 2 % 2]
        audio[start : start + len(t)] += hat + stroke
    soundfile.write(path, np.clip(audio[: round(seconds * RATE)], -1, 1), RATE)
    return path


def annotate(path: Path, *, bpm: float = BPM, seconds: float = SECONDS) -> None:
    times = np.arange(0, seconds, 60 / bpm)
    lines = (f"{time:.3f}\t{index % 4 + 1}\n" for index, time in enumerate(times))
    path.with_suffix(".beats").write_text("".join(lines))


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return write(tmp_path / "song.wav")


def test_choices_are_those_of_the_package() -> None:
    evaluate = cli.commands["evaluate"]
    assert isinstance(evaluate, click.Group)
    for command, option, choices in (
        (train_beats, "architecture", ARCHITECTURES),
        (train_beats, "augment", AUGMENTATIONS),
        (evaluate.commands["beats"], "tracker", TRACKERS),
    ):
        parameter = next(each for each in command.params if each.name == option)
        assert isinstance(parameter.type, click.Choice)
        assert sorted(parameter.type.choices) == sorted(choices)
    assert [name for name, form in KNOWN.items() if Instants.kind in form.kinds] == TIME_FORMATS


def test_a_row_a_beat(run: Run, song: Path) -> None:
    result = run("beats", str(song))
    assert result.status == 0, result.err
    rows = [line.split("\t") for line in result.out.splitlines()]
    times = np.array([float(time) for time, _ in rows])
    assert np.median(np.diff(times)) == pytest.approx(0.5, abs=0.01)
    assert {position for _, position in rows} <= {"1", "2", "3", "4"}


def test_a_line_a_file_with_the_tempo(run: Run, tmp_path: Path, song: Path) -> None:
    quiet = tmp_path / "silence.wav"
    soundfile.write(quiet, np.zeros(5 * RATE), RATE)
    result = run("beats", str(song), str(quiet), "--tempo", "--format", "csv")
    assert result.status == 0, result.err
    rows = list(csv.DictReader(result.out.splitlines()))
    by_name = {Path(row["file"]).name: row for row in rows}
    assert float(by_name["song.wav"]["tempo"]) == pytest.approx(BPM, rel=0.02)
    assert float(by_name["song.wav"]["half"]) == pytest.approx(BPM / 2, rel=0.02)
    assert by_name["silence.wav"]["tempo"] == by_name["silence.wav"]["meter"] == ""
    assert float(by_name["silence.wav"]["confidence"]) == 0
    told = json.loads(run("beats", str(quiet), "--tempo", "--format", "json").out)
    assert told["tempo"] is None
    assert told["confidence"] == 0


@pytest.mark.parametrize("form", TIME_FORMATS)
def test_every_format_is_written_and_times_are_read_back(
    run: Run, tmp_path: Path, song: Path, form: str
) -> None:
    out = tmp_path / f"out{KNOWN[form].extension}"
    result = run("beats", str(song), "-o", str(out), "--format", form)
    assert result.status == 0, result.err
    if form == "midi":
        assert mido.MidiFile(out).length == pytest.approx(SECONDS, abs=1.0)
    elif form not in ("sv", "sqlite"):  # a table of many files has a test of its own
        assert len(read_beats(out)[0]) > 15
    if form in ("csv", "jams", "txt", "json", "jsonl"):
        assert read_beats(out)[1] is not None


def test_jams_has_positions_in_the_namespace_beat(run: Run, tmp_path: Path, song: Path) -> None:
    run("beats", str(song), "-o", str(tmp_path / "a.jams"))
    annotation = json.loads((tmp_path / "a.jams").read_text())["annotations"][0]
    assert annotation["namespace"] == "beat"
    assert {each["value"] for each in annotation["data"]} <= {1.0, 2.0, 3.0, 4.0}


def test_picture_and_metronome(run: Run, tmp_path: Path, song: Path) -> None:
    result = run(
        "beats", str(song), "--plot", str(tmp_path / "a.png"), "--click", str(tmp_path / "c.wav"),
        "-o", str(tmp_path / "a.csv"),
    )  # fmt: skip
    assert result.status == 0, result.err
    assert (tmp_path / "a.png").stat().st_size > 10_000
    before, _ = soundfile.read(song)
    after, rate = soundfile.read(tmp_path / "c.wav")
    assert (rate, len(after)) == (RATE, len(before))
    assert np.abs(after - before).max() > 0.05


def test_a_folder_is_mirrored_resumed_and_one_bad_file_stops_nothing(
    run: Run, tmp_path: Path
) -> None:
    music, out = tmp_path / "music", tmp_path / "out"
    write(music / "a.wav")
    write(music / "deep" / "b.wav", bpm=100.0)
    (music / "bad.wav").write_bytes(b"no audio")
    result = run("beats", str(music), "-o", str(out), "--format", "csv")
    assert result.status == 1
    assert "bad.wav" in result.err
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*.csv")) == [
        "a.csv",
        "deep/b.csv",
    ]
    (music / "bad.wav").unlink()
    stamp = (out / "a.csv").stat().st_mtime_ns
    again = run("beats", str(music), "-o", str(out), "--format", "csv", "--resume")
    assert again.status == 0, again.err
    assert (out / "a.csv").stat().st_mtime_ns == stamp


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--meter", "0"], "between 1 and 24"),
        (["--meter", "three"], "whole numbers"),
        (["--tempo-range", "180,60"], "slower tempo first"),
        (["--tempo-range", "100"], "2 numbers"),
        (["--downbeat", "-1"], "0 or more"),
        (["--tempo", "--format", "jams"], "not as jams"),
        (["--model", "nonesuch"], "nonesuch"),
    ],
)
def test_what_cannot_be_is_refused(run: Run, song: Path, words: list[str], message: str) -> None:
    result = run("beats", str(song), *words)
    assert result.status == 2
    assert message in result.err
    assert "Traceback" not in result.err


def test_metres_and_tempo_range_are_heeded(run: Run, song: Path) -> None:
    result = run("beats", str(song), "--meter", "3", "--tempo-range", "50,70")
    rows = [line.split("\t") for line in result.out.splitlines()]
    assert np.median(np.diff([float(time) for time, _ in rows])) == pytest.approx(1.0, abs=0.02)
    assert {position for _, position in rows} == {"1", "2", "3"}


@pytest.mark.parametrize("architecture", ["tcn", "blstm"])
def test_train_then_track_then_evaluate(run: Run, tmp_path: Path, architecture: str) -> None:
    data = tmp_path / "data"
    for index in range(3):
        annotate(write(data / f"{index}.wav", bpm=100 + 20 * index, seed=index),
                 bpm=100 + 20 * index)  # fmt: skip
    model = tmp_path / "model"
    sizes = ["--hidden-size", "6", "--layers", "2"]
    if architecture == "tcn":
        sizes += ["--channels", "3,4"]
    result = run(
        "train", "beats", str(data), "--hold-out", "data/2", "-o", str(model), "--arch",
        architecture, *sizes, "--epochs", "2", "--steps", "2", "--batch-size", "2", "--seconds",
        "4", "--licence", "mine", "--cache-dir", str(tmp_path / "cache"), "--threads", "1",
    )  # fmt: skip
    assert result.status == 0, result.err
    config = json.loads((model / "config.json").read_text())
    assert config["task"] == "beats"
    assert config["labels"] == ["beat", "downbeat"]
    assert len(list((tmp_path / "cache").iterdir())) == 3
    result = run("beats", str(data / "0.wav"), "--model", str(model))
    assert result.status == 0, result.err
    result = run("evaluate", "beats", str(data), "--model", str(model), "--format", "json",
                 "--record", "three drum loops")  # fmt: skip
    assert result.status == 0, result.err
    assert "three drum loops" in (model / "README.md").read_text()


def test_evaluation_of_the_shipped_model_and_of_librosa(run: Run, tmp_path: Path) -> None:
    annotate(write(tmp_path / "data" / "a.wav"))
    for tracker in TRACKERS:
        result = run(
            "evaluate", "beats", str(tmp_path / "data"), "--tracker", tracker, "--format", "csv"
        )
        assert result.status == 0, result.err
        total = list(csv.DictReader(result.out.splitlines()))[-1]
        assert float(total["beats"]) > 0.8
        assert float(total["tempo"]) == 1.0
