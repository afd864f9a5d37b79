"""``audiocli classify``, ``tag`` and ``compare`` as a user meets them."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import mutagen
import numpy as np
import pytest
import soundfile
import torch
from commands import Run
from torch import nn

from audiocli.batch.inputs import Input
from audiocli.cli import cli
from audiocli.cli.classify import ENROLLED
from audiocli.errors import UsageError
from audiocli.io import formats
from audiocli.io.audio import read
from audiocli.io.names import actual_name
from audiocli.nn import models, registry
from audiocli.nn.clipwise import ClipNetwork
from audiocli.nn.frontend import FilterbankConfig
from audiocli.tasks.classify import ahead, files, results
from audiocli.tasks.classify.classifier import Classifier

RATE = 8000
PITCH = {"low": 350, "mid": 1100, "high": 2800}  # each in three bands of its own
FRONTEND = FilterbankConfig(
    sample_rate=RATE,
    n_ffts=(512,),
    hop_length=80,
    bands=9,
    fmin=100.0,
    fmax=4000.0,
    difference=False,
)
QUADRANTS = {"Q1": "happy, excited", "Q2": "angry", "Q3": "sad", "Q4": "calm"}
#: Two models at once.
TWO = ("--task", "keywords", "--task", "singer")
GROUPS = {"genre": ["rock", "folk"], "mood": ["dark"]}


def save(
    folder: Path,
    labels: list[str],
    *,
    bias: float = 0.0,
    encoder: Path | None = None,
    **config: Any,
) -> Path:
    """Save a network whose label k wins where the k-th three bands are loudest, and no fourth."""
    arguments: dict[str, Any] = {"num_outputs": len(labels), "num_layers": 0}
    architecture = "clip-mlp"
    if encoder is not None:
        architecture, arguments = "head", {"num_outputs": len(labels), "inputs": 18}
        its = json.loads((encoder / "config.json").read_text())
        named = {"name": encoder.name, "weights_sha256": its["weights_sha256"]}
        config["encoders"] = [named]
    network = models.build(architecture, FRONTEND, arguments)
    head = network.head if isinstance(network, ClipNetwork) else network
    if head is not None:
        linear = head.layers[-1]
        assert isinstance(linear, nn.Linear)
        with torch.no_grad():
            linear.weight.zero_()
            for label in range(min(len(labels), 3)):
                linear.weight[label, 3 * label : 3 * label + 3] = 1.0
            linear.bias.fill_(bias)
            linear.bias[3:] = -9.0
    facts = {"task": folder.parent.name, "labels": labels, "decoder": {}, "training": {}}
    facts |= {"architecture": architecture, "arguments": arguments, "scores": [], **config}
    return models.save(network, folder, facts).folder


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models under the names of those that are shipped."""
    root = tmp_path_factory.mktemp("shelf")
    mean = [2.2, 2.2, 1.6, 2.4, 2.4, 1.8, 1.9, 2.6, 2.4]  # of the three tones
    voice = {"mean": mean, "threshold": 0.5, "slope": 12.0}
    save(root / "encode" / "voice", [], decoder=voice)
    general = save(root / "encode" / "general", [])
    save(root / "classify" / "genre", ["bass", "alto", "treble"], encoder=general,
         decoder={"unknown": 0.5})  # fmt: skip
    axes = {"valence": {"Q1": 1, "Q2": -1, "Q3": -1, "Q4": 1}}
    save(root / "classify" / "mood", list(QUADRANTS), descriptions=QUADRANTS, axes=axes)
    for name in ("event", "event-urban", "genre-tags", "speaker", "keywords", "singer"):
        save(root / "classify" / name, ["one", "two", "three"], encoder=general)
    parents = {"cat": ["pet"], "pet": ["animal"], "cow": ["animal"], "horn": ["animal", "thing"]}
    save(root / "classify" / "audioset", ["cat", "cow", "horn"], bias=-7.0, multi_label=True,
         parents=parents, decoder={"threshold": 0.5})  # fmt: skip
    tags = ["rock", "dark", "loud", "folk"]
    save(root / "tag" / "music", tags, bias=-7.0, groups=GROUPS, decoder={"threshold": 0.5})
    return root


@pytest.fixture(autouse=True)
def only_these_models(monkeypatch: pytest.MonkeyPatch, shelf: Path) -> None:
    monkeypatch.setattr(registry, "roots", lambda: [shelf])


def write(path: Path, *pitches: str, seconds: float = 1.0, noise: int = 0) -> Path:
    """Write one tone after another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(round(seconds * RATE)) / RATE
    sound = np.concatenate([0.3 * np.sin(2 * np.pi * PITCH[pitch] * time) for pitch in pitches])
    sound += 0.001 * np.random.default_rng(noise).standard_normal(len(sound))
    soundfile.write(path, sound, RATE)
    return path


@pytest.fixture
def songs(tmp_path: Path) -> list[str]:
    write(tmp_path / "a.wav", "low")
    write(tmp_path / "b.wav", "mid")
    write(tmp_path / "deep" / "c.flac", "high")
    return ["a.wav", "b.wav", "deep/c.flac"]


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_choices_are_those_of_the_package() -> None:
    classify = cli.commands["classify"]
    for option, choices in (("tasks", files.TASKS), ("form", results.FORMATS)):
        (chosen,) = [each.type for each in classify.params if each.name == option]
        assert isinstance(chosen, click.Choice)
        assert list(chosen.choices) == list(choices), option
    assert set(ENROLLED) <= files.TASKS.keys()
    single = {name for name in results.FORMATS if not formats.FORMATS[name].joins}
    assert single == set(results.SPANS)


def test_prints_the_best_label(run: Run, songs: list[str]) -> None:
    done = run("classify", "--model", "genre", "a.wav")
    assert (done.status, done.err) == (0, "")
    label, probability = done.out.rstrip("\n").split("\t")
    assert label == "bass" and 0.9 < float(probability) < 1
    lines = run("classify", "--model", "genre", *songs, "-q").out.splitlines()
    assert [line.split("\t")[::2] for line in lines] == [
        ["bass", "a.wav"], ["alto", "b.wav"], ["treble", "deep/c.flac"]
    ]  # fmt: skip
    top = run("classify", "--model", "genre", "a.wav", "--top", "2").out.splitlines()
    assert [line.split("\t")[0] for line in top] == ["bass", "treble"]


def test_artist_speech_and_event_are_other_names(run: Run, songs: list[str]) -> None:
    for task, answering in (("artist", ["singer"]), ("speech", ["keywords"]),
                        ("event", ["audioset"]), ("genre", ["genre-tags"])):  # fmt: skip
        done = run("classify", "--task", task, "b.wav", "--format", "json")
        assert list(json.loads(done.out)["tasks"]) == answering
    lines = run("classify", *TWO, "b.wav").out.splitlines()
    assert [line.split("\t")[::2] for line in lines] == [["two", "keywords"], ["two", "singer"]]
    lines = run("classify", *TWO, "a.wav", "b.wav", "-q").out.splitlines()
    assert [line.split("\t")[2:] for line in lines] == [
        [file, model] for file in ("a.wav", "b.wav") for model in ("keywords", "singer")
    ]


def test_event_gives_any_number_of_labels(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "pure.wav", "low")
    write(tmp_path / "both.wav", "low", "mid")
    write(tmp_path / "none.wav", "high", seconds=0.2)
    lines = run("classify", "--task", "event", "pure.wav").out.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["cat"]
    rows = table(run("classify", "--task", "event", "pure.wav", "--format", "csv").out)
    assert [row["label"] for row in rows] == ["cat"]  # as in text; those below are left out
    words = ("classify", "--task", "event", "pure.wav", "--top", "3", "--format", "csv")
    rows = table(run(*words).out)
    assert [row["label"] for row in rows][0] == "cat" and len(rows) == 3
    sure = run("classify", "--task", "event", "pure.wav", "--threshold", "0.999999").out
    assert sure == "unknown\n"
    words = ("classify", "--task", "event", "both.wav", "--segments", "0.5")
    lines = run(*words).out.splitlines()
    assert [line.split("\t") for line in lines] == [
        ["0.000", "1.000", "cat"], ["1.000", "2.000", "cow"]
    ]  # fmt: skip
    lines = run(*words, "--level", "1").out.splitlines()
    assert [line.split("\t") for line in lines] == [["0.000", "2.000", "animal"]]


def test_labels_are_joined_at_a_level(run: Run, songs: list[str]) -> None:
    words = ("classify", "--task", "event", "a.wav", "--top", "9", "--format", "csv")
    plain = {row["label"]: float(row["probability"]) for row in table(run(*words).out)}
    rows = table(run(*words, "--level", "1").out)
    assert {row["label"] for row in rows} == {"animal", "thing"}
    wide = {row["label"]: float(row["probability"]) for row in rows}
    assert wide == {"animal": max(plain.values()), "thing": plain["horn"]}
    rows = table(run(*words, "--level", "2").out)
    assert {row["label"] for row in rows} == {"pet", "cow", "horn"}
    assert {row["label"] for row in table(run(*words, "--level", "7").out)} == set(plain)
    done = run("classify", "--model", "genre", "--level", "1", "a.wav")
    assert done.status == 2 and "genre: --level needs a model" in done.err
    assert run("classify", "--task", "event", "--level", "0", "a.wav").status == 2


def test_meanings_stand_beside_labels(run: Run, songs: list[str]) -> None:
    assert run("classify", "--task", "mood", "a.wav").out.split("\t")[::2] == [
        "Q1", "happy, excited\n"
    ]  # fmt: skip
    rows = table(run("classify", "--task", "mood", "a.wav", "--format", "csv").out)
    assert list(rows[0]) == ["file", "label", "probability", "meaning"]
    assert [row["meaning"] for row in rows] == [QUADRANTS[row["label"]] for row in rows]
    told = json.loads(run("classify", "--task", "mood", "a.wav", "--format", "json").out)
    assert told["tasks"]["mood"][0]["meaning"] == "happy, excited"
    assert 0.8 < told["axes"]["valence"] < 1
    words = ("classify", "--task", "mood", "--model", "genre", "a.wav")
    assert [line.split("\t")[2:] for line in run(*words).out.splitlines()] == [
        ["mood", "happy, excited"], ["genre"]
    ]  # fmt: skip


def test_csv_names_files_as_given_or_below_the_folder(run: Run, songs: list[str]) -> None:
    done = run("classify", "--model", "genre", "--format", "csv", ".", "-q")
    rows = table(done.out)
    assert list(rows[0]) == ["file", "label", "probability"]
    assert [row["file"] for row in rows] == [name for name in songs for _ in range(3)]
    for file in songs:
        sure = [float(row["probability"]) for row in rows if row["file"] == file]
        assert sure == sorted(sure, reverse=True) and sum(sure) == pytest.approx(1, abs=1e-3)
    rows = table(run("classify", "--model", "genre", "--format", "csv", "deep/c.flac").out)
    assert {row["file"] for row in rows} == {"deep/c.flac"}
    rows = table(run("classify", "--model", "genre", "--format", "csv", "deep").out)
    assert {row["file"] for row in rows} == {"c.flac"}
    words = ("classify", "--all-tasks", "--top", "1", "--format", "csv", "a.wav")
    rows = table(run(*words).out)
    assert list(rows[0]) == ["file", "label", "probability", "task", "meaning"]
    assert [row["task"] for row in rows] == [
        "audioset", "event", "event-urban", "genre", "genre-tags", "keywords", "mood", "singer",
        "speaker", "tag/music",
    ]  # fmt: skip


def test_all_tasks_decode_the_audio_once(
    run: Run, songs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[str | None, int]] = []
    original = Classifier.__init__

    def counting(self: Classifier, task: str | None, names: list[str], **options: Any) -> None:
        made.append((task, len(names)))
        original(self, task, names, **options)

    monkeypatch.setattr(Classifier, "__init__", counting)
    together = json.loads(run("classify", "--all-tasks", "b.wav", "--format", "json").out)
    assert made == [(None, 10)]
    alone = json.loads(run("classify", "--model", "genre", "b.wav", "--format", "json").out)
    assert together["tasks"]["genre"] == alone["tasks"]["genre"]
    assert len(together["tasks"]["tag/music"]) == 4
    assert together["duration"] == alone["duration"] == 1.0


def test_unknown(run: Run, songs: list[str]) -> None:
    words = ("classify", "--model", "genre", "a.wav", "--threshold", "0.999")
    assert run(*words).out == "unknown\n"  # nobody knows how likely
    rows = table(run(*words, "--format", "csv").out)
    assert [row["label"] for row in rows] == ["unknown", "bass", "treble", "alto"]
    assert [bool(row["probability"]) for row in rows] == [False, True, True, True]
    assert run(*words, "--format", "lab").out.split() == ["0.000", "1.000", "unknown"]


def test_model_by_name_or_folder_needs_no_task(run: Run, songs: list[str], shelf: Path) -> None:
    for model in ("mood", shelf / "classify" / "mood"):
        assert run("classify", "--model", model, "b.wav").out.startswith("Q2\t")
    refused = run("classify", "--model", shelf / "tag" / "music", "b.wav")
    assert refused.status == 1 and "not for 'classify'" in refused.err


def test_along_time(run: Run, tmp_path: Path) -> None:
    write(tmp_path / "song.wav", "low", "mid", "mid", "high", seconds=2.0)
    words = ("classify", "--model", "genre", "song.wav", "--segments", "1.0", "--hop", "0.5")
    found = [line.split("\t") for line in run(*words).out.splitlines()]
    assert [line[2] for line in found] == ["bass", "alto", "treble"]
    edges = [float(line[0]) for line in found] + [float(found[-1][1])]
    assert edges == pytest.approx([0, 2, 6, 8], abs=0.6)
    lab = [line.split() for line in run(*words, "--format", "lab").out.splitlines()]
    assert lab == found
    audacity = [line.split("\t") for line in run(*words, "--format", "audacity").out.splitlines()]
    assert audacity == found
    jams = json.loads(run(*words, "--format", "jams").out)
    assert jams["file_metadata"]["duration"] == 8.0
    assert [each["value"] for each in jams["annotations"][0]["data"]] == ["bass", "alto", "treble"]
    rows = table(run(*words, "--format", "csv").out)
    assert list(rows[0]) == ["file", "start", "end", "label", "probability"]
    starts = sorted({float(row["start"]) for row in rows})
    assert np.diff(starts) == pytest.approx(0.5) and len(rows) == 3 * len(starts)
    assert all(float(row["start"]) < float(row["end"]) <= 8 for row in rows)
    told = json.loads(run(*words, "--format", "json", "--top", "1").out)
    assert len(told["tasks"]["genre"]) == len(starts)
    assert told["tasks"]["genre"][0].keys() == {"start", "end", "label", "probability"}
    lines = run(*words, "--format", "jsonl", "--top", "1").out.splitlines()
    assert json.loads(lines[0])["file"] == "song.wav" and len(lines) == len(starts)
    both = run("classify", *TWO, *words[3:], "--format", "lab").out.splitlines()
    assert {line.split(" ", 2)[2].split(":")[0] for line in both} == {"keywords", "singer"}


def test_one_file_or_a_folder_of_results(run: Run, songs: list[str], tmp_path: Path) -> None:
    words = ("classify", "--model", "genre", "-q")
    assert run(*words, *songs, "-o", "all.csv").out == ""
    rows = table((tmp_path / "all.csv").read_text())
    assert [row["file"] for row in rows][::3] == songs
    assert run(*words, "a.wav", "-o", "a.lab").status == 0
    assert (tmp_path / "a.lab").read_text() == "0.000 1.000 bass\n"
    assert run(*words, ".", "-o", "out", "--format", "json").status == 0
    assert names(tmp_path / "out") == ["a.json", "audiocli.jsonl", "b.json", "deep/c.json"]
    assert json.loads((tmp_path / "out/deep/c.json").read_text())["file"] == "deep/c.flac"
    for output in ("all.csv", "out"):
        again = run(*words, ".", "-o", output, "--format", "json")
        assert again.status == 2 and "exists already" in again.err
    assert run(*words, *songs, "-o", "all.csv", "--overwrite").status == 0
    for refused in (
        run(*words, *songs, "-o", "all.lab"),
        run(*words, *songs, "--format", "audacity"),
        run(*words, *songs, "-o", "b.wav"),
        run(*words, "a.wav", "--resume"),
    ):
        assert refused.status == 2 and refused.out == ""


def test_resume_does_what_is_missing(run: Run, songs: list[str], tmp_path: Path) -> None:
    words = ("classify", "--model", "genre", ".", "-o", "out", "--format", "csv")
    assert run(*words, "-q").status == 0
    (tmp_path / "out/b.csv").unlink()
    before = (tmp_path / "out/a.csv").stat().st_mtime_ns
    again = run(*words, "--resume", "-v")
    assert again.status == 0 and "1 done, 2 skipped, 0 failed" in again.err
    assert (tmp_path / "out/a.csv").stat().st_mtime_ns == before
    assert "3 done" in run(*words, "--resume", "--top", "1").err


def test_a_broken_file_stops_no_other(run: Run, songs: list[str], tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"RIFF and no more")
    for command in (("classify", "--model", "genre"), ("tag",), ("tag", "-j", "2")):
        done = run(*command, "a.wav", "bad.wav", "gone.wav", "b.wav")
        assert done.status == 1
        assert [line.split("\t")[2] for line in done.out.splitlines()] == ["a.wav", "b.wav"]
        assert "bad.wav" in done.err and "gone.wav" in done.err


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many recordings were classified together."""
    sizes: list[int] = []
    batch = Classifier.batch

    def note(self: Classifier, recordings: Sequence[tuple[Any, int]]) -> Any:
        sizes.append(len(recordings))
        return batch(self, recordings)

    monkeypatch.setattr(Classifier, "batch", note)
    return sizes


def test_short_files_are_done_together_and_by_themselves_in_their_order(
    run: Run, tmp_path: Path, batches: list[int]
) -> None:
    for number, pitches in enumerate((["low"], ["mid", "high"], ["high"], ["mid"], ["low"])):
        write(tmp_path / f"in/{number}.wav", *pitches, seconds=0.3 + 0.1 * (number % 2))
    write(tmp_path / "in/1long.wav", "low", "mid", seconds=6)
    (tmp_path / "in/2bad.wav").write_bytes(b"RIFF and no more")
    soundfile.write(tmp_path / "in/3nan.wav", np.full(RATE, np.nan), RATE, "FLOAT")
    soundfile.write(tmp_path / "in/3silent.wav", np.zeros(RATE), RATE)
    whole = (tmp_path / "in/0.wav").read_bytes()
    (tmp_path / "in/4cut.wav").write_bytes(whole[: len(whole) - 1000])
    words = ("classify", "--task", "mood", *TWO, "in")
    alone = run(*words, "-o", "1.csv", "--batch-size", "1")
    assert batches == [] and alone.status == 1
    for size, sizes in ((3, [2, 2, 2]), (32, [6])):
        done = run(*words, "-o", f"{size}.csv", "--batch-size", size)
        assert batches == sizes and done.status == 1
        assert (tmp_path / f"{size}.csv").read_text() == (tmp_path / "1.csv").read_text()
        told = [[line for line in each.err.splitlines() if ".wav: " in line]
                for each in (alone, done)]  # fmt: skip
        assert told[0] == told[1]
        assert any("2bad" in line for line in told[0])
        assert any("3silent" in line for line in told[0])
        batches.clear()
    assert run("tag", "in/0.wav", "in/1.wav", "--segments", "0.2", "--format", "csv").status == 0
    assert batches == [2]


def test_what_changes_behind_the_batch_is_read_again(
    run: Run, songs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = ahead.Ahead.look

    def change(self: ahead.Ahead, inputs: Sequence[Input]) -> None:
        look(self, inputs)
        write(tmp_path / "b.wav", "high", seconds=1.1)

    monkeypatch.setattr(ahead.Ahead, "look", change)
    done = run("classify", "--model", "genre", *songs)
    assert [line.split("\t")[0] for line in done.out.splitlines()] == ["bass", "treble", "treble"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same_together(run: Run, songs: list[str], batches: list[int]) -> None:
    words = ("classify", *TWO, *songs, "--device", "cuda")
    alone = run(*words, "--batch-size", "1")
    assert run(*words).out == alone.out and batches == [3]


def test_pictures(run: Run, songs: list[str], tmp_path: Path) -> None:
    words = ("classify", "--model", "genre")
    assert run(*words, "--plot", "a.wav").status == 0
    assert (tmp_path / "a.classes.png").stat().st_size > 5000
    assert run(*words, "--plot", "new.svg", "a.wav", "--segments", "0.5").status == 0
    assert "<svg" in (tmp_path / "new.svg").read_text()[:1000]
    assert run(*words, "--plot", "new.svg", "a.wav").status == 2
    assert run(*words, "--plot=a.gif", "a.wav").status == 2
    assert run("classify", *TWO, "--plot", "pics/", "a.wav", "b.wav").status == 0
    assert names(tmp_path / "pics") == [
        f"{name}.classes.{model}.png" for name in "ab" for model in ("keywords", "singer")
    ]
    assert run("tag", "--plot", "tags.png", "a.wav").status == 0
    assert (tmp_path / "tags.png").stat().st_size > 5000


def test_warnings_are_shown_once_a_file(
    run: Run, songs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def warnings(self: Classifier, track: object) -> list[str]:
        return ["sounds like speech"]

    monkeypatch.setattr(Classifier, "warnings", warnings, raising=False)
    words = ("classify", *TWO, "a.wav", "b.wav")
    shown = run(*words).err.splitlines()
    assert [line for line in shown if "speech" in line] == [
        "warning: a.wav: sounds like speech", "warning: b.wav: sounds like speech"
    ]  # fmt: skip
    assert run(*words, "-q").err == ""


@pytest.fixture
def people(tmp_path: Path) -> Path:
    for person, pitch in (("ann", "low"), ("bob", "mid")):
        for take in range(3):
            write(tmp_path / "people" / person / f"{take}.wav", pitch, noise=take)
    return tmp_path / "people"


def test_enrolment(run: Run, songs: list[str], people: Path, tmp_path: Path) -> None:
    words = ("classify", "--task", "speaker", "--enroll", "people", "-q")
    lines = [line.split("\t") for line in run(*words, *songs).out.splitlines()]
    assert [line[::2] for line in lines] == [
        ["ann", "a.wav"], ["bob", "b.wav"], ["unknown", "deep/c.flac"]
    ]  # fmt: skip
    assert all(0.5 <= float(line[1]) <= 1 for line in lines)
    rows = table(run(*words, *songs, "--format", "csv").out)
    assert [row["label"] for row in rows] == ["ann", "bob"] * 1 + ["bob", "ann"] + [
        "unknown", *(row["label"] for row in rows[-2:])
    ]  # fmt: skip
    assert run(*words, "a.wav", "--threshold", "1").out.startswith("unknown\t")
    told = json.loads(run(*words[:1], *words[3:], "a.wav", "--format", "json").out)
    assert list(told["tasks"]) == ["speaker"]
    assert run(*words, "--plot", "who.png", "a.wav").status == 0
    assert run(*words, *songs, "-o", "out").status == 0
    write(people / "bob" / "3.wav", "mid", noise=3)
    resumed = run(*words[:-1], *songs, "-o", "out", "--resume")
    assert "3 done" in resumed.err  # other clips of a person are other settings


def test_enrolment_refuses_what_it_cannot_do(run: Run, songs: list[str], people: Path) -> None:
    words = ("classify", "--enroll", "people", "a.wav")
    for more in (["--task", "genre"], ["--all-tasks"], ["--segments", "1"]):
        refused = run(*words, *more)
        assert refused.status == 2 and more[0] in refused.err and refused.out == ""
    (people / "bob" / "1.wav").write_bytes(b"no sound")
    few = run(*words)
    assert few.status == 1 and "bob" in few.err and few.out == ""
    assert "1.wav" in few.err
    write(people / "bob" / "5.wav", "mid")
    enough = run(*words)
    assert enough.status == 0 and "1.wav" in enough.err and enough.out.startswith("ann\t")


def test_compare(run: Run, songs: list[str], tmp_path: Path) -> None:
    write(tmp_path / "a2.wav", "low", noise=7)
    lines = [
        line.split("\t") for line in run("compare", "a.wav", "a2.wav", "b.wav").out.splitlines()
    ]
    assert [line[2:] for line in lines] == [
        ["same", "a.wav", "a2.wav"],
        ["different", "a.wav", "b.wav"],
        ["different", "a2.wav", "b.wav"],
    ]  # fmt: skip
    assert all((float(line[0]) >= 0.5) == (line[2] == "same") for line in lines)
    assert all(-1 <= float(line[1]) <= 1 for line in lines)
    (row,) = table(run("compare", "a.wav", "a2.wav", "--format", "csv").out)
    assert list(row) == ["probability", "cosine", "verdict", "first", "second"]
    told = json.loads(run("compare", "a.wav", "b.wav", "--format", "json").out)
    assert told["verdict"] == "different" and told["second"] == "b.wav"
    assert run("compare", "a.wav", "b.wav", "--threshold", "0").out.split("\t")[2] == "same"
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    broken = run("compare", "a.wav", "bad.wav", "a2.wav")
    assert broken.status == 1 and "bad.wav" in broken.err
    assert broken.out.rstrip("\n").split("\t")[2:] == ["same", "a.wav", "a2.wav"]
    assert run("compare", "a.wav").status == 2
    general = run("compare", "a.wav", "b.wav", "--model", "general")
    assert general.status == 1 and "general" in general.err


def test_tag(run: Run, songs: list[str]) -> None:
    lines = run("tag", "a.wav").out.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["rock"]
    lines = run("tag", *songs, "--threshold", "0", "--top", "2", "-q").out.splitlines()
    assert [line.split("\t")[2] for line in lines] == [name for name in songs for _ in range(2)]
    assert run("tag", "a.wav", "--threshold", "1").out == ""
    rows = table(run("tag", ".", "--format", "csv", "-q").out)
    assert list(rows[0]) == ["file", "label", "probability"] and len(rows) == 3 * 4
    rows = table(run("tag", "a.wav", "--format", "csv", "--threshold", "0.5").out)
    assert [row["label"] for row in rows] == ["rock"]
    along = run("tag", "a.wav", "--segments", "0.3", "--format", "lab").out.splitlines()
    assert [line.split()[2] for line in along] == ["rock"]
    assert run("tag", "a.wav", "--format", "lab").out == "0.000 1.000 rock\n"


def test_tags_are_written_into_copies(run: Run, songs: list[str], tmp_path: Path) -> None:
    original = {name: (tmp_path / name).read_bytes() for name in songs}
    write(tmp_path / "d.au", "low")
    done = run("tag", ".", "--write", "-o", "tagged", "--format", "csv", "--top", "1")
    assert done.status == 1 and "d.au" in done.err and "cannot be written" in done.err
    assert [row["file"] for row in table(done.out)] == songs
    assert names(tmp_path / "tagged") == ["a.wav", "audiocli.jsonl", "b.wav", "deep/c.flac"]
    for name in songs:
        assert (tmp_path / name).read_bytes() == original[name]
        ours, theirs = (read(folder / name)[0] for folder in (tmp_path, tmp_path / "tagged"))
        np.testing.assert_array_equal(ours, theirs)
    assert mutagen.File(tmp_path / "tagged/a.wav")["TCON"].text == ["rock"]
    assert mutagen.File(tmp_path / "tagged/b.wav")["TMOO"].text == ["dark"]
    assert mutagen.File(tmp_path / "tagged/deep/c.flac").tags in (None, [])  # loud: no genre
    again = run("tag", ".", "--write", "-o", "tagged")
    assert again.status == 2 and "exists already" in again.err
    words = ("tag", ".", "--write", "-o", "tagged", "--format", "csv", "--top", "1", "--resume")
    (tmp_path / "d.au").unlink()
    (tmp_path / "tagged/b.wav").unlink()
    assert "1 done, 2 skipped" in run(*words).err
    assert run(*words, "-v").err.count(": done before") == 3


def test_tags_are_written_in_place(run: Run, songs: list[str], tmp_path: Path) -> None:
    before = read(tmp_path / "a.wav")[0]
    done = run("tag", "a.wav", "--write", "--in-place")
    assert done.status == 0 and done.out.startswith("rock\t")
    assert mutagen.File(tmp_path / "a.wav")["TCON"].text == ["rock"]
    np.testing.assert_array_equal(read(tmp_path / "a.wav")[0], before)
    assert names(tmp_path) == ["a.wav", "b.wav", "deep/c.flac"]


def test_write_refuses_what_would_be_unclear(run: Run, songs: list[str], shelf: Path) -> None:
    plain = save(shelf.parent / "tag" / "plain", ["loud", "soft"])
    for words in (
        ["--write"],
        ["--in-place"],
        ["--write", "-o", "x.csv"],
        ["--write", "--in-place", "--segments", "1"],
        ["--write", "-o", "."],
        ["--write", "--in-place", "--model", plain],
    ):
        refused = run("tag", "a.wav", *words)
        assert refused.status == 2 and refused.out == "", words
        assert refused.err.count("\n") <= 3
    shutil.rmtree(plain.parent)
    assert run("tag", "-", "--write", "--in-place").status == 2


@pytest.mark.skipif(os.name == "nt", reason="names that Windows does not allow")
def test_odd_names(run: Run, tmp_path: Path) -> None:
    odd = ["two\nlines.wav", "with, comma [x].wav", '"quoted"\t.wav', "#1.wav"]
    if sys.platform == "linux":
        odd.append(os.fsdecode(b"bad\xff.wav"))
    for name in odd:
        write(tmp_path / "song.wav", "low", seconds=0.2).rename(tmp_path / name)
    words = ("classify", "--model", "genre", *odd, "--top", "1", "-q")
    lines = run(*words).out.splitlines()
    assert len(lines) == len(odd) and all(line.count("\t") == 2 for line in lines)
    found = [json.loads(line)["file"] for line in run(*words, "--format", "jsonl").out.splitlines()]
    assert [actual_name(name) for name in found] == odd
    assert run(*words, "--format", "csv", "-o", "all.csv").status == 0
    with (tmp_path / "all.csv").open(newline="", encoding="utf-8") as stream:
        assert [actual_name(row["file"]) for row in csv.DictReader(stream)] == odd


def test_standard_input(run: Run, songs: list[str], tmp_path: Path) -> None:
    data = (tmp_path / "a.wav").read_bytes()
    done = run("classify", "--model", "genre", "-", "--format", "csv", "--top", "1", stdin=data)
    assert done.status == 0 and done.out.splitlines()[1].startswith("-,bass,0.9")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["classify", "a.wav"], "--task (genre, "),
        (["classify", "a.wav", "--task", "gender"], "genre"),
        (["classify", "--model", "genre"], "no input"),
        (["classify", "a.wav", "--task", "composer"], "no model 'classify/composer'"),
        (["classify", "a.wav", "--model", "nothing"], "no model 'nothing'"),
        (["classify", "a.wav", "--model", "genre", "--hop", "1"], "--segments"),
        (["classify", "a.wav", "--model", "genre", "--segments", "0"], "more than 0"),
        (["classify", "a.wav", "--model", "genre", "--segments", "1", "--hop", "2"], "no longer"),
        (["classify", "a.wav", "--model", "genre", "--threshold", "nan"], "between 0 and 1"),
        (["classify", "a.wav", "--model", "genre", "--threshold", "2"], "0<=x<=1"),
        (["classify", "a.wav", "--model", "genre", "--top", "0"], "x>=1"),
        (["classify", "a.wav", "--model", "genre", "--device", "tpu"], "cpu"),
        (["tag", "a.wav", "--model", "genre"], "not for 'tag'"),
        (["compare", "a.wav", "b.wav", "--threshold", "nan"], "between 0 and 1"),
    ],
)
def test_wrong_usage_says_what_is_right(
    run: Run, songs: list[str], tmp_path: Path, arguments: list[str], word: str
) -> None:
    done = run(*arguments)
    assert done.status in (1, 2) and word in done.err and done.out == ""
    assert names(tmp_path) == songs


def test_python_refuses_as_the_command_does(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="xml"):
        results.ClassifyRequest("xml")
    with pytest.raises(UsageError, match="top 0"):
        results.ClassifyRequest(top=0)
    with pytest.raises(UsageError, match="no task"):
        files.find_models(["nothing"])
