"""``audiocli chords``, ``train chords`` and ``evaluate chords`` as a user meets them."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import click
import mido
import numpy as np
import pytest
import soundfile
import torch
from commands import Run

from audiocli.cli import cli
from audiocli.cli.chords import FORMATS
from audiocli.io.formats import FORMATS as KNOWN
from audiocli.io.formats import Segments, read_segments
from audiocli.nn import models
from audiocli.tasks.chords.examples import AUGMENTATIONS
from audiocli.tasks.chords.labels import QUALITIES, VOCABULARIES, Chord
from audiocli.tasks.chords.rendering import KINDS
from audiocli.tasks.chords.training import TrainingConfig

RATE = 22_050
TINY = {"channels": [2, 3, 4], "num_circles": 1}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that always says C:maj7: all roots are alike to it, and C is the first."""
    network = TrainingConfig(arguments=TINY).build()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.nothing.bias.fill_(-9.0)
        network.chords.bias[list(QUALITIES).index("maj7")] = 5.0
    folder = tmp_path_factory.mktemp("models") / "same"
    models.save(
        network,
        folder,
        {"task": "chords", "architecture": "chord-crnn", "arguments": TINY,
         "labels": list(QUALITIES), "licence": "none", "decoder": {"change": 1.0}},
    )  # fmt: skip
    return folder


def play(path: Path, *chords: Chord, seconds: float = 2.0, rate: int = RATE) -> Path:
    """Write chords as tones with a few harmonics, and their names beside them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(round(seconds * rate)) / rate
    parts, lines = [], []
    for index, chord in enumerate(chords):
        part = np.zeros_like(time)
        for tone in chord.pitch_classes:
            for harmonic in (1, 2, 3):
                part += np.sin(2 * np.pi * 261.63 * 2 ** (tone / 12) * harmonic * time) / harmonic
        parts.append(0.05 * part)
        lines.append(f"{index * seconds} {(index + 1) * seconds} {chord.label()}\n")
    soundfile.write(path, np.concatenate(parts), rate)
    path.with_suffix(".lab").write_text("".join(lines))
    return path


@pytest.fixture
def song(tmp_path: Path) -> Path:
    return play(tmp_path / "song.wav", Chord(0), Chord(9, "min"))


def lines_of(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_choices_are_those_of_the_package() -> None:
    train, evaluate = cli.commands["train"], cli.commands["evaluate"]
    assert isinstance(train, click.Group) and isinstance(evaluate, click.Group)
    for command, option, choices in (
        (cli.commands["chords"], "vocabulary", VOCABULARIES),
        (evaluate.commands["chords"], "vocabulary", VOCABULARIES),
        (train.commands["chords"], "augment", AUGMENTATIONS),
        (train.commands["chords"], "kind", KINDS),
        (
            cli.commands["chords"],
            "form",
            [name for name, form in KNOWN.items() if Segments.kind in form.kinds],
        ),
    ):
        kinds = {p.name: p.type for p in command.params}
        kind = kinds[option]
        assert isinstance(kind, click.Choice)
        assert sorted(kind.choices) == sorted(choices)


def test_prints_start_end_and_label(run: Run, song: Path, model: Path) -> None:
    done = run("chords", song, "--model", model)
    assert (done.status, done.err) == (0, "")
    rows = lines_of(done.out)
    assert float(rows[0][0]) == 0 and float(rows[-1][1]) == pytest.approx(4.0)
    assert {row[2] for row in rows} == {"C:maj7"}
    assert [row[1] for row in rows[:-1]] == [row[0] for row in rows[1:]]


def test_several_files_name_themselves_at_the_end(run: Run, song: Path, model: Path) -> None:
    play(song.with_name("other one.wav"), Chord(5))
    done = run("chords", song.name, "other one.wav", "--model", model)
    assert done.status == 0
    assert {line.split("\t")[-1] for line in done.out.splitlines()} == {song.name, "other one.wav"}
    refused = run("chords", song.name, "other one.wav", "--model", model, "--format", "jams")
    assert refused.status == 2 and "name a folder by --output" in refused.err


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_reads_back(run: Run, song: Path, model: Path, form: str) -> None:
    ending = KNOWN[form].extension
    done = run("chords", song, "--model", model, "--format", form, "-o", f"out{ending}")
    assert (done.status, done.out) == (0, "")
    file = song.parent / f"out{ending}"
    if form in ("lab", "csv", "json", "jsonl", "jams", "audacity"):
        assert set(read_segments(file).labels) == {"C:maj7"}
    elif form == "midi":
        assert any(m.type == "note_on" for track in mido.MidiFile(file).tracks for m in track)
    elif form == "sv":
        ElementTree.fromstring(file.read_bytes().replace(b"<!DOCTYPE sonic-visualiser>", b""))
    elif form == "sqlite":
        with closing(sqlite3.connect(file)) as database:
            columns = [row[1] for row in database.execute("PRAGMA table_info(chords)")]
            labels = [
                row[columns.index("label")] for row in database.execute("SELECT * FROM chords")
            ]
        assert set(labels) == {"C:maj7"}
    else:
        assert "Cmaj7" in file.read_text()


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--vocab", "majmin"], "maj"),
        (["--simplify"], "maj"),
        (["--vocab", "sevenths"], "maj7"),
    ],
)
def test_smaller_vocabularies(
    run: Run, song: Path, model: Path, options: list[str], wanted: str
) -> None:
    done = run("chords", song, "--model", model, *options)
    assert {row[2].split(":")[1] for row in lines_of(done.out)} == {wanted}


def test_keys_and_degrees(run: Run, song: Path, model: Path) -> None:
    keys = run("chords", song, "--model", model, "--key")
    ((_, _, key),) = [line.split(maxsplit=2) for line in keys.out.splitlines()]
    assert key.endswith(" major")
    jams = json.loads(run("chords", song, "--model", model, "--key", "--format", "jams").out)
    assert jams["annotations"][0]["namespace"] == "key_mode"
    assert jams["annotations"][0]["data"][0]["value"] == key.replace(" ", ":")
    degrees = run("chords", song, "--model", model, "--roman")
    assert all("maj7" in row[2] and ":" not in row[2] for row in lines_of(degrees.out))
    both = run("chords", song, "--model", model, "--roman", "--key")
    assert both.status == 2 and "leave one of them out" in both.err
    for options, name in ((["--key"], "a.mid"), (["--key"], "a.cho"), (["--roman"], "a.jams")):
        refused = run("chords", song, "--model", model, *options, "-o", name)
        assert refused.status == 2 and f"leave out {options[0]}" in refused.err


def test_sheets_have_bars_where_there_is_a_beat(run: Run, song: Path, model: Path) -> None:
    sound = np.zeros(20 * RATE)
    sound[:: RATE // 2] = 0.9  # 120 clicks a minute
    soundfile.write(song.parent / "clicks.wav", sound, RATE)
    sheet = run("chords", "clicks.wav", "--model", model, "--format", "chordpro").out
    assert "{start_of_grid}" in sheet and "{tempo: 120}" in sheet and "{key: C}" in sheet
    facts = json.loads(
        run("chords", "clicks.wav", "--model", model, "--format", "json", "--beats").out
    )["metadata"]
    assert np.diff(facts["beats"]) == pytest.approx(0.5, abs=0.03)
    assert set(facts["bars"]) <= set(facts["beats"])


def test_transposing_moves_labels_and_key(run: Run, song: Path, model: Path) -> None:
    plain = json.loads(run("chords", song, "--model", model, "--format", "json").out)
    moved = json.loads(
        run("chords", song, "--model", model, "--format", "json", "--transpose", "12").out
    )
    assert plain == moved
    up = json.loads(run("chords", song, "--model", model, "--format", "json", "--transpose", 1).out)
    assert up["metadata"]["key"] != plain["metadata"]["key"]


def test_a_folder_is_mirrored_and_resumed(run: Run, song: Path, model: Path) -> None:
    play(song.parent / "in/deep/a.wav", Chord(5))
    play(song.parent / "in/b.wav", Chord(2, "min"))
    done = run("chords", "in", "-o", "out", "--model", model)
    assert done.status == 0
    made = sorted(p.relative_to(song.parent / "out").as_posix()
                  for p in (song.parent / "out").rglob("*.lab"))  # fmt: skip
    assert made == ["b.lab", "deep/a.lab"]
    again = run("chords", "in", "-o", "out", "--model", model)
    assert again.status == 2 and "exist" in again.err
    before = {path: path.stat().st_mtime_ns for path in (song.parent / "out").rglob("*.lab")}
    resumed = run("chords", "in", "-o", "out", "--model", model, "--resume")
    assert resumed.status == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_broken_file_fails_alone(run: Run, song: Path, model: Path) -> None:
    (song.parent / "bad.wav").write_bytes(b"RIFFnothing")
    done = run("chords", "bad.wav", song.name, "--model", model)
    assert done.status == 1 and "bad.wav" in done.err
    assert {line.split("\t")[-1] for line in done.out.splitlines()} == {song.name}


def test_pictures_and_played_chords(run: Run, song: Path, model: Path) -> None:
    done = run("chords", song.name, "--model", model, "--plot", "--click", "chords.flac")
    assert done.status == 0
    assert (song.parent / "song.chords.png").read_bytes().startswith(b"\x89PNG")
    info = soundfile.info(song.parent / "chords.flac")
    assert (info.samplerate, info.frames) == (RATE, 4 * RATE)
    again = run("chords", song.name, "--model", model, "--plot")
    assert again.status == 2


def test_standard_input(run: Run, song: Path, model: Path) -> None:
    piped = run("chords", "-", "--model", model, stdin=song.read_bytes())
    assert piped.status == 0
    assert piped.out == run("chords", song.name, "--model", model).out


@pytest.mark.parametrize("seconds", [0.01, 0.3])
def test_short_files_have_an_answer(run: Run, tmp_path: Path, model: Path, seconds: float) -> None:
    soundfile.write(tmp_path / "short.wav", np.zeros(round(seconds * 8000)), 8000)
    done = run("chords", "short.wav", "--model", model)
    assert done.status == 0
    rows = lines_of(done.out)
    assert float(rows[-1][1]) == pytest.approx(seconds, abs=0.001)


def test_midi_is_no_text(run: Run, song: Path, model: Path) -> None:
    done = run("chords", song, "--model", model, "--format", "midi")
    assert done.status == 2 and "name a file by --output" in done.err


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for index in range(4):
        chords = [Chord((index * 5 + step) % 12, quality)
                  for step, quality in enumerate(["maj", "min", "7"])]  # fmt: skip
        play(tmp_path / f"data/{index}.wav", *chords)
    return tmp_path / "data"


def test_what_is_trained_runs_and_is_scored(run: Run, data: Path) -> None:
    tiny = ["--channels", "2,3,4", "--layers", 1, "--seconds", 2, "--steps", 2, "--batch-size", 2]
    done = run("train", "chords", data, "-o", "runs/tiny", "--epochs", 2, *tiny, "--licence", "CC0")
    assert done.status == 0 and "epoch 2/2" in done.err
    config = json.loads((data.parent / "runs/tiny/config.json").read_text())
    assert config["training"]["data"][0]["licence"] == "CC0"
    assert config["labels"] == list(QUALITIES)
    assert config["decoder"]["vocabulary"] == "full"
    found = run("chords", "data/0.wav", "--model", "runs/tiny")
    assert found.status == 0 and lines_of(found.out)
    scored = run("evaluate", "chords", data, "--model", "runs/tiny", "--format", "csv", "--record",
                 "four songs")  # fmt: skip
    assert scored.status == 0
    rows = list(csv.DictReader(io.StringIO(scored.out)))
    assert [row["file"] for row in rows] == [*(f"data/{i}" for i in range(4)), "all"]
    assert all(0 <= float(rows[-1][name]) <= 1 for name in ("root", "majmin", "mirex", "seg"))
    config = json.loads((data.parent / "runs/tiny/config.json").read_text())
    assert "four songs; number of recordings: 4" in {each["data"] for each in config["scores"]}


def test_found_chords_are_scored_too(run: Run, data: Path) -> None:
    done = run("evaluate", "chords", data, "--found", data, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert done.status == 0 and float(rows[-1]["majmin"]) == float(rows[-1]["seg"]) == 1.0
    both = run("evaluate", "chords", data, "--found", data, "--record", "x")
    assert both.status == 2


def test_a_song_that_is_unknown_counts_for_nothing(run: Run, data: Path) -> None:
    found = data.parent / "found"
    shutil.copytree(data, found)
    (data / "1.lab").write_text("0 4 X\n")
    done = run("evaluate", "chords", data, "--found", found, "--format", "json")
    document = json.loads(done.out)
    assert document["files"][1]["root"] is None
    assert document["total"]["root"] == 1.0
    assert "warning: data/1: its annotation holds no chord that could be scored" in done.err


def test_without_a_usable_recording_there_is_no_total(run: Run, data: Path) -> None:
    for file in data.glob("*.lab"):
        file.write_text("0 2 C:maj\n1 3 G:maj\n")
    for form, expected in (("table", ""), ("csv", ""), ("json", '"total": null')):
        done = run("evaluate", "chords", data, "--found", data, "--format", form, "--confusion")
        assert done.status == 1
        assert "0.lab, line 2: G:maj begins at 1 s, but C:maj lasts until 2 s" in done.err
        assert done.out == "" if not expected else expected in done.out


def test_times_in_milliseconds_are_warned_of(run: Run, data: Path) -> None:
    (data / "0.lab").write_text("0 1000 C:maj\n1000 2000 G:maj\n")
    done = run("evaluate", "chords", data, "--found", data, "--only", "data/0")
    assert "warning: data/0: 2 of 2 chords lie beyond the end of the audio" in done.err
    assert "milliseconds" in done.err


def test_confusion_is_printed(run: Run, data: Path) -> None:
    done = run("evaluate", "chords", data, "--found", data, "--confusion")
    assert done.status == 0
    cells = [line.split() for line in done.out.splitlines()]
    assert ["maj", "maj", "8.00"] in cells


def test_labels_that_are_none_are_named(run: Run, data: Path) -> None:
    (data / "1.lab").write_text("0 2 nonsense\n")
    done = run("train", "chords", data, "-o", "runs/a", "--epochs", 1)
    assert done.status == 1
    assert "1.lab" in done.err and "is no chord label" in done.err
    scored = run("evaluate", "chords", data, "--found", data)
    assert scored.status == 1 and "1.lab" in scored.err


def test_songs_want_sound_fonts(run: Run, tmp_path: Path) -> None:
    from test_chords_band import write_song

    write_song(tmp_path / "songs" / "001")
    done = run("train", "chords", "songs", "-o", "runs/a", "--epochs", 1)
    assert done.status == 2 and "--sound-font" in done.err
