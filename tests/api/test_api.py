"""One call a command: results as tables, files, plots and pages, of a file or an array."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from places import ROOT

import audiocli
from audiocli.api import ChordResult, ClassResult, FeatureResult, OnsetResult, StemResult
from audiocli.api.results import Result
from audiocli.errors import AudioCliError, UsageError

RATE = 22050


def clicks(seconds: int = 2) -> np.ndarray:
    """Some seconds of decaying tones, one each half second, from 0.25 s on."""
    time = np.arange(seconds * RATE) / RATE
    since = (time - 0.25) % 0.5
    tone = sum(np.sin(2 * np.pi * hz * time) for hz in (220.0, 277.18, 329.63))
    return (0.2 * tone * np.exp(-12 * since) * (time >= 0.25)).astype(np.float32)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("api") / "four $tones.wav"
    soundfile.write(path, clicks(), RATE)
    return path


@pytest.fixture(scope="module")
def results(recording: Path) -> dict[str, Any]:
    longer = recording.with_name("eight tones.wav")  # a beat takes a while to be one
    soundfile.write(longer, clicks(4), RATE)
    return {
        "onsets": audiocli.onsets(recording),
        "beats": audiocli.beats(longer),
        "notes": audiocli.notes(recording),
        "chords": audiocli.chords(recording),
        "features": audiocli.features(recording, names=["rms", "spectral_centroid"]),
        "frames": audiocli.features(recording, names=["rms"], frames=True),
        "classify": audiocli.classify(recording, task="content"),
        "tag": audiocli.tag(recording, top=3),
        "separate": audiocli.separate(recording),
    }


def test_what_the_calls_find(results: dict[str, Any]) -> None:
    onsets: OnsetResult = results["onsets"]
    np.testing.assert_allclose(onsets.times, [0.25, 0.75, 1.25, 1.75], atol=0.03)
    assert list(onsets) == onsets.times.tolist() and len(onsets) == 4
    chords: ChordResult = results["chords"]
    assert "A:maj" in chords.labels and chords.key == "A major"
    features: FeatureResult = results["features"]
    assert features["rms_mean"] == pytest.approx(float(results["frames"]["rms"].mean()), rel=1e-4)
    classes: ClassResult = results["classify"]
    assert set(classes.best) == {"content"}
    assert sum(classes.to_frame()["probability"]) == pytest.approx(1, abs=1e-3)
    assert len(results["tag"]) == 3


def test_stems_add_up_to_the_mixture(results: dict[str, Any]) -> None:
    stems: StemResult = results["separate"]
    assert list(stems) == ["vocals", "accompaniment"]
    total = stems["vocals"] + stems["accompaniment"]
    np.testing.assert_allclose(total[0], clicks(), atol=1e-4)  # the file has 16 bits
    assert stems.to_frame()["share"].sum() == pytest.approx(1)


@pytest.mark.parametrize(
    "name",
    ["onsets", "beats", "notes", "chords", "features", "frames", "classify", "tag", "separate"],
)
def test_every_result_is_shown(results: dict[str, Any], name: str, tmp_path: Path) -> None:
    result: Result = results[name]
    assert len(result.to_frame()) > 0
    page = result._repr_html_()
    assert "<audio controls" in page and "data:audio/ogg;base64," in page
    axes = result.plot()
    axes.figure.savefig(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 2000
    assert result.plot(axes) is axes


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("onsets", "onsets.csv"),
        ("onsets", "onsets.mid"),
        ("beats", "beats.mid"),
        ("notes", "notes.mid"),
        ("chords", "chords.lab"),
        ("features", "features.csv"),
        ("classify", "content.json"),
        ("tag", "tags.csv"),
    ],
)
def test_results_are_saved_once(
    results: dict[str, Any], name: str, file: str, tmp_path: Path
) -> None:
    written = results[name].save(tmp_path / file)
    before = written.read_bytes()
    assert before
    with pytest.raises(AudioCliError):
        results[name].save(written)
    assert results[name].save(written, overwrite=True).read_bytes() == before


def test_stems_are_saved_as_they_are(results: dict[str, Any], tmp_path: Path) -> None:
    stems = results["separate"]
    folder = stems.save(tmp_path / "stems")
    audio, rate = soundfile.read(folder / "vocals.wav", dtype="float32")
    assert rate == RATE
    np.testing.assert_array_equal(audio, stems["vocals"][0])
    with pytest.raises(UsageError, match="there already"):
        stems.save(folder)


def test_an_array_gives_what_its_file_gives(recording: Path, results: dict[str, Any]) -> None:
    audio, rate = soundfile.read(recording, dtype="float32")
    np.testing.assert_array_equal(audiocli.onsets(audio, rate).times, results["onsets"].times)


def test_an_array_needs_its_rate_and_a_file_has_one(recording: Path) -> None:
    with pytest.raises(UsageError, match="sample_rate"):
        audiocli.onsets(clicks())
    with pytest.raises(UsageError, match="sample_rate"):
        audiocli.onsets(recording, 44100)
    with pytest.raises(AudioCliError, match=r"missing\.wav"):
        audiocli.chords(recording.parent / "missing.wav")
    with pytest.raises(KeyError, match="vocals"):
        audiocli.separate(np.zeros(4000, np.float32), 8000)["drums"]


def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = ROOT / "docs" / "notebook.ipynb"
    names: dict[str, Any] = {}
    cells = json.loads(page.read_text("utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert len(code) >= 6
    for cell in code:
        exec(compile(cell, "notebook", "exec"), names)  # noqa: S102 - the project's own page
