"""``audiocli report``: the page of a recording, with what the tasks find in it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from audiocli.batch.inputs import Input, Job
from audiocli.batch.joint import Part
from audiocli.cli import cli
from audiocli.demo import compose
from audiocli.errors import UsageError
from audiocli.io.audio import read
from audiocli.io.formats import read_beats, read_instants, read_notes, read_segments
from audiocli.pipelines.report import Reporter
from audiocli.pipelines.report.filling import ACCIDENTALS, chords_of
from audiocli.pipelines.report.index import Entry, LibraryIndex
from audiocli.serve.analysis import worker
from audiocli.tasks.chords.key import Passage
from audiocli.tasks.chords.labels import Chord
from audiocli.tasks.chords.recognizer import Chords

RATE = 44_100


def data_of(path: Path) -> dict[str, Any]:
    found = re.search(r'id="data">(.*?)</script>', path.read_text("utf-8"))
    assert found is not None
    return dict(json.loads(found[1]))


def write_wav(path: Path, samples: np.ndarray, rate: int) -> None:
    soundfile.write(path, samples.T, rate)


def run(*words: object) -> Any:
    return CliRunner().invoke(cli, ["report", *map(str, words)], catch_exceptions=False)


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "a & b.wav"
    write_wav(path, compose().mixture[:, 6 * RATE : 13 * RATE].astype(np.float32) / 32768, RATE)
    return path


def test_a_page_has_what_the_tasks_find_and_so_have_its_files(song: Path, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    job = Job(Input(song, "music/a & b.wav", Path(song.name)), (path,))
    seconds, facts = worker(Reporter(), 1)(job, lambda done, total: None)
    assert seconds == 7 and facts["Duration"] == "0:07.0"
    data, text = data_of(path), path.read_text("utf-8")
    assert [track["name"] for track in data["tracks"]] == ["mixture", "vocals", "accompaniment"]
    assert all(track["picture"].startswith("data:image/png") for track in data["tracks"])
    assert text.count("<audio ") == 3 and "<h1>a &amp; b.wav</h1>" in text
    assert data["seconds"] == 7 and max(data["outline"][0]) > 30
    beats = np.diff([time for time, _ in data["beats"]])
    assert np.median(beats) == pytest.approx(0.6, abs=0.03)  # 100 a minute
    assert len(data["onsets"]) > 10 and data["keys"] and data["chords"][-1][1] == 7
    assert len(data["notes"]) > 3 and len(data["loudness"]["values"]) == 9
    assert any(label == "Music" for _, _, label, _ in data["events"])
    assert "<h3>Content</h3>" in text and "<h3>Tags</h3>" in text and "LUFS</dd>" in text
    assert path.stat().st_size < 2e6

    mixture, stems = read(song)[0], [read(tmp_path / f"{name}.flac")[0] for name in
                                     ("vocals", "accompaniment")]  # fmt: skip
    assert np.abs(sum(stems) - mixture).max() < 1e-4
    beats = read_beats(tmp_path / "beats.csv")[0]
    assert beats == pytest.approx([time for time, _ in data["beats"]], abs=1e-3)
    assert len(read_instants(tmp_path / "onsets.csv")) == len(data["onsets"])
    assert len(read_segments(tmp_path / "chords.csv").labels) == len(data["chords"])
    assert len(read_notes(tmp_path / "melody.csv").starts) == len(data["notes"])
    row = json.loads((tmp_path / "analysis.json").read_text("utf-8"))
    assert row["file"] == "a & b.wav" and row["channels"] == len(mixture)
    names = {"page.html", "vocals.flac", "accompaniment.flac", "onsets.csv", "beats.csv",
             "chords.csv", "melody.csv", "melody.mid", "events.csv", "analysis.json"}  # fmt: skip
    assert {each.name for each in tmp_path.iterdir()} == names


def test_sections_are_chosen_and_pages_go_into_folders(song: Path, tmp_path: Path) -> None:
    done = run(song, "-o", tmp_path / "pages", "--sections", "sound,loudness")
    path = tmp_path / "pages" / "a & b.html"
    assert done.exit_code == 0 and done.stdout == f"{path}\n"
    data, text = data_of(path), path.read_text("utf-8")
    assert text.count("<audio ") == 1 and not data["beats"] and not data["chords"]
    assert len(data["tracks"]) == 1 and data["loudness"]["values"]
    index = (tmp_path / "pages" / "index.html").read_text("utf-8")
    assert index.startswith("<!DOCTYPE html>") and index.index("<style>") < index.index("<body>")
    assert '<a href="a%20%26%20b.html">' in index and "a &amp; b" in index
    with pytest.raises(UsageError, match="--overwrite"):
        run(song, "-o", tmp_path / "pages", "--sections", "sound,loudness")
    with pytest.raises(UsageError, match="--sections cords: .*chords"):
        run(song, "-o", tmp_path / "b.html", "--sections", "cords")


def test_speech_less_sound_and_silence_say_so(tmp_path: Path) -> None:
    write_wav(tmp_path / "still.wav", np.zeros((1, 4 * RATE), np.float32), RATE)
    sections = "beats,chords,loudness"
    done = run(tmp_path / "still.wav", "-o", tmp_path / "a.html", "--sections", sections)
    assert done.exit_code == 0
    assert "it is silent" in (tmp_path / "a.html").read_text("utf-8")
    data = data_of(tmp_path / "a.html")
    assert data["beats"] == data["chords"] == [] and set(data["loudness"]["values"]) <= {None}
    rng = np.random.default_rng(0)
    write_wav(tmp_path / "hit.wav", rng.normal(0, 0.1, (1, RATE)).astype(np.float32), RATE)
    done = run(tmp_path / "hit.wav", "-o", tmp_path / "b.html", "--sections", sections)
    assert "This is short: beats, chords" in (tmp_path / "b.html").read_text("utf-8")


def test_what_cannot_be_read_is_named_and_leaves_no_page(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"nothing")
    done = run(tmp_path / "a.wav", "-o", tmp_path / "a.html", "--sections", "loudness")
    assert done.exit_code == 1 and "a.wav" in done.output and not (tmp_path / "a.html").exists()


def entry(name: str, **values: Any) -> Part:
    entry = Entry(f"{name}.html", {"duration": 61.0, **values}, [3, 127, 0])
    return LibraryIndex("x").part(entry, name)


def test_an_index_is_read_back_and_escapes_what_it_lists(tmp_path: Path) -> None:
    parts = [entry('<i>"a"\udcff', key="C major", tags="</script>"), entry("b", tempo=99.5)]
    path = tmp_path / "index.html"
    library = LibraryIndex("<b>mine</b>")
    library.write(path, parts, {})
    text = path.read_text("utf-8")
    assert "<i>" not in text and "<b>" not in text and text.count("</script>") == 2
    assert "2 recordings" in text and text.count("<svg") == 2 and "1:01.0" in text
    assert list(library.read(path)) == parts
    path.write_text("<html></html>", "utf-8")
    with pytest.raises(UsageError, match="is no index"):
        list(library.read(path))


def test_pages_of_a_folder_are_kept_and_added_to_the_index(tmp_path: Path) -> None:
    music = tmp_path / "music"
    music.mkdir()
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, (1, RATE)).astype(np.float32)
    write_wav(music / "index.wav", noise, RATE)
    words = [music, "-o", tmp_path / "pages", "--sections", "loudness"]
    assert run(*words).exit_code == 0
    assert (tmp_path / "pages" / "index.page.html").is_file()
    write_wav(music / "two.wav", noise / 2, RATE)
    assert run(*words, "--resume").exit_code == 0
    held = list(LibraryIndex("").read(tmp_path / "pages" / "index.html"))
    assert [part.name for part in held] == ["index.wav", "two.wav"]


def test_degrees_are_those_of_the_command_for_chords() -> None:
    """One chord alone may be the first of C or the fifth of F; the pitch classes decide."""
    passages = (Passage(0.0, 20.0, Chord(0)),)
    numerals = set()
    for tonic in (0, 5):
        tones = np.zeros((12, 20), np.float16)
        tones[[(tonic + step) % 12 for step in (0, 2, 4, 5, 7, 9, 11)]] = 1.0
        chords = Chords(passages, tones, 1.0, 20.0)
        [played] = chords_of(chords)
        [degree] = chords.segments("roman").labels
        assert played.degree == degree.translate(ACCIDENTALS)
        numerals.add(played.degree)
    assert len(numerals) == 2
