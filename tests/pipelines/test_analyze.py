"""``audiocli analyze``: one row a recording, in four formats, kept up to date."""

from __future__ import annotations

import csv
import json
import math
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from commands import Run
from numpy.typing import NDArray

from audiocli.demo import write_demo
from audiocli.dsp.loudness import LoudnessMeter, TruePeakMeter
from audiocli.errors import AudioCliWarning, UsageError
from audiocli.io.metadata import Tags, read_values, write_tags
from audiocli.pipelines.analyze import FIELDS, LibraryAnalyzer, select
from audiocli.pipelines.analyze.analyzer import _trimmed, best
from audiocli.pipelines.analyze.harmony import camelot, tag_name
from audiocli.pipelines.analyze.streams import shared
from audiocli.pipelines.analyze.tagging import tags_of
from audiocli.tasks.chords.key import Key
from audiocli.tasks.classify.decisions import Track

RATE = 22050


def tone(seconds: float, level: float = 0.5, rate: int = RATE) -> NDArray[np.float32]:
    time = np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * 440 * time)).astype(np.float32)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    folder.mkdir()
    for number, name in enumerate(["a.wav", "b.flac", "=c.wav"]):
        soundfile.write(folder / name, tone(4.0, 0.5 / 2**number), RATE)
    return folder


# --- levels ------------------------------------------------------------------------------------


def test_true_peak_lies_between_samples_too() -> None:
    sine = np.sin(np.pi * (np.arange(9600) / 2 + 0.25))  # its samples are at 0.71
    meter = TruePeakMeter(48000)
    for block in np.array_split(sine[None], 7, axis=1):
        meter.add(block)
    assert meter.result() == pytest.approx(0.0, abs=0.3)
    silent = TruePeakMeter(48000)
    silent.add(np.zeros((2, 100)))
    assert silent.result() == -math.inf


def test_true_peak_does_not_depend_on_blocks() -> None:
    noise = np.random.default_rng(0).normal(size=(2, 20000)).astype(np.float32) / 5
    results = []
    for parts in (1, 13, 4000):
        meter = TruePeakMeter(44100)
        for block in np.array_split(noise, parts, axis=1):
            meter.add(block)
        results.append(meter.result())
    assert results == pytest.approx([results[0]] * 3, abs=1e-4)


def test_loudness_range_of_two_levels() -> None:
    # EBU Tech 3342, minimum requirements, test 1: 20 s at -20 dBFS, then 20 s at -30.
    meter = LoudnessMeter(48000)
    for level in (-20.0, -30.0):
        sine = 10 ** (level / 20) * np.sin(2 * np.pi * 1000 * np.arange(20 * 48000) / 48000)
        meter.add(np.stack([sine, sine]))
    assert meter.range() == pytest.approx(10.0, abs=1.0)
    short = LoudnessMeter(48000)
    short.add(np.ones((1, 48000)))
    assert math.isnan(short.range())


# --- streams -----------------------------------------------------------------------------------


def test_every_analysis_gets_all_blocks() -> None:
    blocks = [np.full((1, 10), n, np.float32) for n in range(50)]
    found = shared(iter(blocks), {"sum": lambda b: sum(x.sum() for x in b),
                                  "first": lambda b: next(b)[0, 0],  # stops early
                                  "count": lambda b: sum(1 for _ in b)})  # fmt: skip
    assert found == {"sum": 10 * sum(range(50)), "first": 0.0, "count": 50}


def test_errors_of_an_analysis_and_of_the_stream_are_raised() -> None:
    def fail(blocks: Iterator[NDArray[np.float32]]) -> None:
        next(blocks)
        raise ValueError("broken")

    def source() -> Iterator[NDArray[np.float32]]:
        yield np.zeros((1, 1), np.float32)
        raise OSError("cut off")

    endless = (np.zeros((1, 1), np.float32) for _ in range(10**9))
    with pytest.raises(ValueError, match="broken"):
        shared(endless, {"bad": fail, "good": lambda blocks: sum(1 for _ in blocks)})
    with pytest.raises(OSError, match="cut off"):
        shared(source(), {"good": lambda blocks: sum(1 for _ in blocks)})


# --- fields ------------------------------------------------------------------------------------


def test_fields_and_groups() -> None:
    assert [field.name for field in select(["key", "level"])] == [
        "loudness",
        "loudness_range",
        "true_peak",
        "key",
    ]
    assert select([]) == FIELDS
    with pytest.raises(UsageError, match="did you mean 'tempo'"):
        select(["temp"])


def test_camelot_and_tags_of_keys() -> None:
    names = {(0, "major"): ("8B", "C"), (9, "minor"): ("8A", "Am"), (8, "minor"): ("1A", "G#m"),
             (10, "major"): ("6B", "Bb"), (3, "minor"): ("2A", "Ebm")}  # fmt: skip
    for (tonic, mode), (place, name) in names.items():
        key = Key(tonic, mode)
        assert camelot(key) == place
        assert tag_name(str(key)) in (name, name.replace("Eb", "D#"))
    places = {camelot(Key(tonic, mode)) for tonic in range(12) for mode in ("major", "minor")}
    assert len(places) == 24


@pytest.fixture(scope="module")
def analyzer() -> LibraryAnalyzer:
    return LibraryAnalyzer()


def test_a_song_has_nearly_all(analyzer: LibraryAnalyzer, tmp_path: Path) -> None:
    write_demo(tmp_path)
    samples, rate = soundfile.read(tmp_path / "song.wav", dtype="float32")
    row = analyzer.stream(iter([samples.T]), rate)
    assert list(row) == [field.name for field in FIELDS]
    document = json.loads((tmp_path / "song.json").read_text())
    assert row["content"] == "music"
    assert row["tempo"] == pytest.approx(document.get("tempo", 100), rel=0.02)
    assert row["metre"] == 4
    assert row["key"] in ("C major", "A minor")
    assert row["camelot"] in ("8A", "8B")
    for name in ("genre", "mood", "valence", "arousal", "tags", "vocal_share", "true_peak"):
        assert row[name] is not None, name


def test_what_does_not_apply_is_empty(analyzer: LibraryAnalyzer) -> None:
    silence = analyzer.stream(iter([np.zeros((2, 5 * RATE), np.float32)]), RATE)
    filled = {name for name, value in silence.items() if value is not None}
    assert filled == {"duration", "sample_rate", "channels"}
    shot = analyzer.stream(iter([tone(0.3)[None]]), RATE)
    for field in FIELDS:
        assert not field.of_music or shot[field.name] is None, field.name
    assert shot["loudness"] is None  # less than 0.4 s
    assert shot["true_peak"] == pytest.approx(-6.0, abs=0.1)
    assert shot["content"] is None  # less than 1 s tells no speech from music
    instant = analyzer.stream(iter([np.array([[0.1, -0.2, 0.3]], np.float32)]), RATE)
    filled = {name for name, value in instant.items() if value is not None}
    assert filled == {"duration", "sample_rate", "channels", "true_peak"}


def test_of_sound_for_effects_alone_nothing_is_said(analyzer: LibraryAnalyzer) -> None:
    surround = np.zeros((6, 4 * RATE), np.float32)
    surround[3] = tone(4.0)
    layout = ("FL", "FR", "FC", "LFE", "BL", "BR")
    with pytest.warns(AudioCliWarning, match="LFE"):
        row = analyzer.stream(iter([surround]), RATE, layout=layout)
    filled = {name for name, value in row.items() if value is not None}
    assert filled == {"duration", "sample_rate", "channels", "true_peak"}


def test_silence_at_the_ends_is_no_part_of_what_sounds() -> None:
    silent, sound = np.zeros((1, 4), np.float32), np.ones((1, 3), np.float32)
    parts = [silent, silent, sound, silent, sound, silent]
    assert [len(part[0]) for part in _trimmed(parts)] == [3, 4, 3]
    assert [len(part[0]) for part in _trimmed([silent, silent])] == [4, 4]


# --- metadata ---------------------------------------------------------------------------------


def test_tags_of_values() -> None:
    values = {"tempo": 127.98, "key": "C# minor", "genre": "Jazz", "mood": "calm, relaxed",
              "loudness": -14.0, "true_peak": 0.0}  # fmt: skip
    assert tags_of(values) == {
        "bpm": ["128"],
        "initialkey": ["C#m"],
        "genre": ["Jazz"],
        "mood": ["calm", "relaxed"],
        "replaygain_track_gain": ["-4.00 dB"],
        "replaygain_track_peak": ["1.000000"],
    }
    assert tags_of(values, opus=True)["r128_track_gain"] == [str(-9 * 256)]
    assert tags_of({"tempo": None, "loudness": None}) == {}


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
def test_tags_are_written_in_place_and_taken_back(run: Run, tmp_path: Path, ending: str) -> None:
    song = tmp_path / "music" / f"song.{ending}"
    song.parent.mkdir()
    soundfile.write(song, tone(4.0), RATE)
    mine = {"genre": ["Mine"], "title": ["A song"], "replaygain_track_gain": ["-1.00 dB"]}
    write_tags(song, song, Tags(mine))
    names = [*mine, "replaygain_track_peak"]
    before = read_values(song, names)
    assert before == {**mine, "replaygain_track_peak": []}
    done = run("analyze", "music", "-o", "t.csv", *LEVELS, "--write", "--in-place")
    assert done.status == 0, done.err
    later = read_values(song, names)
    assert later["title"] == ["A song"]
    assert later["genre"] == ["Mine"]  # of the levels alone nothing is known of it
    assert later["replaygain_track_gain"][0].endswith(" dB")
    assert later["replaygain_track_gain"] != ["-1.00 dB"]
    assert float(later["replaygain_track_peak"][0]) == pytest.approx(0.5, abs=0.03)
    # What was done is known: new tags are no new recording.
    again = run("analyze", "music", "-o", "t.csv", "--fields", "file,level", "--write",
                "--in-place", "--resume")  # fmt: skip
    assert "done before" in again.err
    assert run("analyze", "-o", "t.csv", "--undo").status == 0
    assert read_values(song, names) == before
    assert run("analyze", "-o", "t.csv", "--undo").status == 0  # nothing is left to do
    assert read_values(song, names) == before


def test_undo_leaves_what_was_changed_since(run: Run, library: Path) -> None:
    song = library / "b.flac"
    assert run("analyze", song, "-o", "t.csv", *LEVELS, "--write", "--in-place").status == 0
    write_tags(song, song, Tags({"replaygain_track_gain": ["+9.00 dB"]}))
    done = run("analyze", "-o", "t.csv", "--undo")
    assert done.status == 1
    assert "changed since" in done.err
    assert read_values(song, ["replaygain_track_gain"])["replaygain_track_gain"] == ["+9.00 dB"]


def without_jobs(manifest: Path) -> None:
    """Leave a manifest as a run does that was killed when its files had just been written."""
    lines = manifest.read_text("utf-8").splitlines(keepends=True)
    manifest.write_text("".join(x for x in lines if json.loads(x)["record"] != "job"), "utf-8")


@pytest.mark.parametrize("resumed", [False, True])
def test_what_a_killed_run_wrote_can_be_taken_back(run: Run, library: Path, resumed: bool) -> None:
    song = library / "b.flac"
    write_tags(song, song, Tags({"replaygain_track_gain": ["-1.00 dB"]}))
    command = ["analyze", "music", "-o", "t.csv", *LEVELS, "--write", "--in-place"]
    assert run(*command).status == 0
    without_jobs(library.parent / "t.csv.manifest.jsonl")
    if resumed:  # it finds the tags of the run before in the file
        done = run(*command, "--resume")
        assert done.status == 0, done.err
    assert run("analyze", "-o", "t.csv", "--undo").status == 0
    assert read_values(song, ["replaygain_track_gain"])["replaygain_track_gain"] == ["-1.00 dB"]


def test_a_run_that_was_killed_while_it_copied_goes_on(run: Run, library: Path) -> None:
    command = ["analyze", "music", "-o", "t.csv", *LEVELS, "--write", "--copies", "tagged"]
    assert run(*command).status == 0
    manifest = library.parent / "t.csv.manifest.jsonl"
    lines = manifest.read_text("utf-8").splitlines(keepends=True)
    manifest.write_text("".join(lines[:-1]), "utf-8")  # it ends in what the last file began
    assert json.loads(lines[-2])["record"] == "begin"
    done = run(*command, "--resume")
    assert done.status == 0, done.err


@pytest.mark.parametrize("facts", ["[1]", '{"in_place": 1}', '{"in_place": 1, "tags_before": 3}'])
def test_a_manifest_of_nonsense_takes_nothing_back(run: Run, library: Path, facts: str) -> None:
    manifest = library.parent / "t.csv.manifest.jsonl"
    manifest.write_text(f'{{"record": "job", "path": "music/a.wav", "facts": {facts}}}\n', "utf-8")
    assert run("analyze", "-o", "t.csv", "--undo").status == 2


def test_the_channel_for_effects_is_not_analysed() -> None:
    seen: list[NDArray[np.float32]] = []

    class Recorder:
        def stream(self, blocks: Iterator[NDArray[np.float32]], rate: int) -> None:
            seen.extend(blocks)

    analyzer = LibraryAnalyzer(["level"])
    analyzer._rhythm = Recorder()  # type: ignore[assignment]
    rng = np.random.default_rng(0)
    surround = rng.uniform(-0.1, 0.1, size=(6, RATE)).astype(np.float32)
    layout = ("FL", "FR", "FC", "LFE", "BL", "BR")
    analyzer.stream([surround], RATE, layout=layout)
    assert np.array_equal(np.concatenate(seen, axis=1), surround[[0, 1, 2, 4, 5]])


def test_copies_have_the_tags(run: Run, library: Path) -> None:
    original = (library / "b.flac").read_bytes()
    done = run("analyze", "music", "-o", "t.csv", *LEVELS, "--write", "--copies", "tagged")
    assert done.status == 0
    assert (library / "b.flac").read_bytes() == original
    copy = library.parent / "tagged" / "b.flac"
    assert read_values(copy, ["replaygain_track_gain"])["replaygain_track_gain"]
    assert np.array_equal(soundfile.read(copy)[0], soundfile.read(library / "b.flac")[0])
    assert run("analyze", "-o", "t.csv", "--undo").status == 2  # nothing was written in place


def test_requests_to_write_that_cannot_be(run: Run, library: Path) -> None:
    for wrong in (["--write"], ["--in-place"], ["--write", "--in-place"],
                  ["--write", "--in-place", "--copies", "x"], ["--undo"]):  # fmt: skip
        assert run("analyze", "music", *LEVELS, *wrong).status == 2, wrong


# --- tables ------------------------------------------------------------------------------------

LEVELS = ("--fields", "file,level", "-q")


def rows_of(path: Path) -> list[dict[str, object]]:
    if path.suffix == ".csv":
        with path.open(newline="") as stream:
            return list(csv.DictReader(stream))
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    if path.suffix == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        return list(parquet.read_table(path).to_pylist())
    database = sqlite3.connect(path)
    database.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in database.execute("SELECT * FROM recordings")]
    finally:
        database.close()


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet", "sqlite"])
def test_tables_are_kept_up_to_date(run: Run, library: Path, ending: str, tmp_path: Path) -> None:
    table = tmp_path / f"library.{ending}"
    assert run("analyze", "music", "-o", table, *LEVELS).status == 0
    first = rows_of(table)
    assert [str(row["file"]).lstrip("./'") for row in first] == ["=c.wav", "a.wav", "b.flac"]
    assert float(str(first[1]["loudness"])) == pytest.approx(-9.7, abs=0.3)
    assert float(str(first[1]["duration"])) == 4.0
    assert run("analyze", "music", "-o", table, *LEVELS).status == 2  # it is there
    # A new file, a changed one, one that has another name, and one that is gone.
    soundfile.write(library / "new.wav", tone(4.0, 0.1), RATE)
    soundfile.write(library / "b.flac", tone(5.0, 0.1), RATE)
    (library / "a.wav").rename(library / "renamed.wav")
    (library / "=c.wav").unlink()
    assert run("analyze", "music", "-o", table, *LEVELS, "--resume", "--prune").status == 0
    later = {str(row["file"]): row for row in rows_of(table)}
    assert sorted(later) == ["b.flac", "new.wav", "renamed.wav"]
    assert float(str(later["b.flac"]["duration"])) == 5.0
    assert later["renamed.wav"]["loudness"] == first[1]["loudness"]
    # A row that was kept is that of the first run, to the type: whole numbers have no decimals.
    for row in later.values():
        assert row["sample_rate"] == ("22050" if ending == "csv" else RATE)
        assert isinstance(row["sample_rate"], str if ending == "csv" else int)


def test_other_columns_are_refused(run: Run, library: Path, tmp_path: Path) -> None:
    assert run("analyze", "music", "-o", "a.csv", "--fields", "file").status == 0
    done = run("analyze", "music", "-o", "a.csv", "--fields", "level", "--resume")
    assert done.status == 2
    assert "other columns" in done.err


def test_standard_output_and_a_broken_file(run: Run, library: Path) -> None:
    (library / "broken.wav").write_bytes(b"RIFF nothing")
    done = run("analyze", "music", *LEVELS)
    assert done.status == 1
    assert len(done.rows) == 3
    assert "broken.wav" in done.err
    assert run("analyze", "music", "--fields", "temp").status == 2
    assert run("analyze", "music", "-o", "table.xyz").status == 2
    assert run("analyze", "music", "--format", "sqlite").status == 2


def test_what_is_out_of_domain_has_no_label() -> None:
    row = np.array([[0.8, 0.2]], np.float32)
    track = Track("x", "classify", ("a", "b"), row, np.zeros(1), np.ones(1), 1.0, 0.3)
    assert best(track)[0] == "a"
    assert best(replace(track, out_of_domain=True)) == (None, None)
