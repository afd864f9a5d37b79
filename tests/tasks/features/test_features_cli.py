"""``audiocli features`` as a user meets it."""

from __future__ import annotations

import csv
import io
import json
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
from commands import Run

from audiocli.cli.features import FORMATS, features
from audiocli.tasks.features import SETS
from audiocli.tasks.features.tables import FORMATS as KNOWN

RATE = 22_050


@pytest.fixture
def run(run: Run) -> Run:
    return partial(run, "features")


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Make a folder: three tones of 200, 400 and 1000 Hz at different rates and lengths."""
    folder = tmp_path / "music"
    for name, hz, rate, seconds in [("10", 200, 8000, 1.0), ("2", 400, 44_100, 0.5),
                                    ("sub/1", 1000, 22_050, 0.02)]:  # fmt: skip
        path = folder / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        time = np.arange(int(seconds * rate)) / rate
        soundfile.write(path, 0.5 * np.sin(2 * np.pi * hz * time), rate)
    return folder


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def test_a_row_a_file_on_standard_output(run: Run, music: Path) -> None:
    done = run("music")
    assert done.status == 0
    assert [row["file"] for row in done.rows] == ["10.wav", "2.wav", "sub/1.wav"]
    assert len(done.rows[0]) == 1 + 2 * (7 + 7 + 60 + 12)
    assert float(done.rows[0]["rms_mean"]) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)
    assert "3 done" in done.err


def test_names_are_as_given(run: Run, music: Path) -> None:
    done = run("music/sub/1.wav", "music/10.wav", "--set", "rms", "--stats", "max,median")
    assert done.out.splitlines()[0] == "file,rms_max,rms_median"
    assert [row["file"] for row in done.rows] == ["music/10.wav", "music/sub/1.wav"]


@pytest.mark.parametrize("output", [True, False])
def test_processes_change_nothing(run: Run, music: Path, tmp_path: Path, output: bool) -> None:
    extra = ["-o", "t.csv"] if output else []
    done = run("music", "--set", "rms,mfcc_delta,tempo", "-j", 2, *extra)
    assert done.status == 0
    alone = run("music", "--set", "rms,mfcc_delta,tempo")
    assert alone.out == ((tmp_path / "t.csv").read_text() if output else done.out)


def test_frames_have_times(run: Run, music: Path) -> None:
    done = run("music/10.wav", "--frames", "--set", "spectral_centroid", "--hop", "10ms")
    times = [float(row["time"]) for row in done.rows]
    assert times[:3] == pytest.approx([0, 220 / RATE, 440 / RATE], abs=1e-6)
    assert len(times) == 1 + RATE // 220
    middle = float(done.rows[50]["spectral_centroid"])
    assert middle == pytest.approx(200, rel=0.05)


def test_milliseconds_are_samples(run: Run, music: Path) -> None:
    time = run("music/2.wav", "--set", "lsf", "--frame", "46ms", "--hop", "10ms", "--rate", 8000)
    samples = run("music/2.wav", "--set", "lsf", "--frame", 368, "--hop", 80, "--rate", 8000)
    assert time.status == 0 and time.out == samples.out


@pytest.mark.parametrize("form", [form for form in KNOWN if form != "parquet"])
def test_every_format(run: Run, music: Path, tmp_path: Path, form: str) -> None:
    assert run("music", "-o", f"t.{form}", "--set", "rms").status == 0
    found = (tmp_path / f"t.{form}").read_bytes()
    if form == "jsonl":
        rows = [json.loads(line) for line in found.splitlines()]
        assert [row["file"] for row in rows] == ["10.wav", "2.wav", "sub/1.wav"]
        assert 0.3 < rows[0]["rms_mean"] < 0.4
    if form == "npz":
        with np.load(tmp_path / "t.npz") as arrays:
            assert arrays["files"].tolist() == ["10.wav", "2.wav", "sub/1.wav"]
            assert arrays["columns"].tolist() == ["rms_mean", "rms_std"]
            assert arrays["values"].shape == (3, 2)
    if form == "arff":
        assert b"@attribute rms_mean numeric" in found and b"'sub/1.wav',0." in found


def test_a_file_that_fails_does_not_stop_the_others(run: Run, music: Path, tmp_path: Path) -> None:
    (music / "bad.wav").write_text("no sound")
    done = run("music", "-o", "t.csv", "--set", "rms")
    assert done.status == 1 and "bad.wav" in done.err
    assert len(table(tmp_path / "t.csv")) == 3


def test_resume_adds_to_a_table(run: Run, music: Path, tmp_path: Path) -> None:
    (music / "2.wav").rename(tmp_path / "2.wav")
    assert run("music", "-o", "t.csv", "--set", "rms").status == 0
    (tmp_path / "2.wav").rename(music / "2.wav")
    assert run("music", "-o", "t.csv", "--set", "rms").status == 2
    done = run("music", "-o", "t.csv", "--set", "rms", "--resume")
    assert "1 done, 2 skipped" in done.err
    whole = run("music", "--set", "rms")
    assert (tmp_path / "t.csv").read_text() == whole.out


def test_resume_does_again_what_changed_or_was_lost(run: Run, music: Path, tmp_path: Path) -> None:
    run("music", "-o", "t.csv", "--set", "rms")
    soundfile.write(music / "2.wav", np.zeros(9000), 8000)
    lines = (tmp_path / "t.csv").read_text().splitlines(keepends=True)
    (tmp_path / "t.csv").write_text("".join(lines[:1] + lines[2:]))  # 10.wav is lost
    done = run("music", "-o", "t.csv", "--set", "rms", "--resume")
    assert "2 done, 1 skipped" in done.err
    rows = table(tmp_path / "t.csv")
    assert [row["file"] for row in rows] == ["10.wav", "2.wav", "sub/1.wav"]
    assert float(rows[1]["rms_mean"]) == 0
    os.remove(tmp_path / "t.csv")
    assert "3 done" in run("music", "-o", "t.csv", "--set", "rms", "--resume").err


def test_resume_keeps_rows_of_other_files(run: Run, music: Path, tmp_path: Path) -> None:
    run("music/10.wav", "-o", "t.npz", "--set", "rms")
    run("music/2.wav", "-o", "t.npz", "--set", "rms", "--resume")
    with np.load(tmp_path / "t.npz") as arrays:
        assert arrays["files"].tolist() == ["music/10.wav", "music/2.wav"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "mfcc"], "other columns"),
        (["--frame", "1024"], "other settings"),
    ],
)
def test_resume_refuses_other_settings(
    run: Run, music: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    run("music", "-o", "t.csv", "--set", "rms")
    before = (tmp_path / "t.csv").read_bytes()
    done = run("music", "-o", "t.csv", "--set", "rms", "--resume", *options)
    assert done.status == 2 and message in done.err
    assert (tmp_path / "t.csv").read_bytes() == before


def test_an_interrupted_run_keeps_what_it_has_done(
    run: Run, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from audiocli.tasks.features import files

    real = files.extract_file

    def interrupted(extractor: object, source: Path, **options: object) -> object:
        if source.name == "2.wav":
            raise KeyboardInterrupt
        return real(extractor, source, **options)  # type: ignore[arg-type]  # passed on

    with monkeypatch.context() as patch:
        patch.setattr(files, "extract_file", interrupted)
        assert run("music", "-o", "t.csv", "--set", "rms").status == 130
    assert [row["file"] for row in table(tmp_path / "t.csv")] == ["10.wav"]
    assert "2 done, 1 skipped" in run("music", "-o", "t.csv", "--set", "rms", "--resume").err
    assert len(table(tmp_path / "t.csv")) == 3


@pytest.mark.parametrize("frames", [False, True])
def test_describe_names_the_columns(run: Run, music: Path, frames: bool) -> None:
    options = ["--set", "lecture", *(["--frames"] if frames else [])]
    described = json.loads(run("--describe", "json", *options).out)
    names = [column["name"] for column in described]
    assert names == list(run("music/2.wav", *options).rows[0])[2 if frames else 1 :]
    assert all(column["unit"] and column["source"] for column in described)
    as_csv = run("--describe", "csv", *options).rows
    assert [row["name"] for row in as_csv] == names
    as_table = run(*options, "--describe").out.splitlines()
    assert as_table[0].split()[:2] == ["name", "unit"] and len(as_table) == 1 + len(names)


def test_pictures(run: Run, music: Path, tmp_path: Path) -> None:
    done = run("music/2.wav", "--set", "rms,chroma,tempo,f0", "--plot", "a.png")
    assert done.status == 0
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert done.out == "" and "plot written to a.png" in done.err  # the picture is the answer
    assert run("music", "--set", "rms", "--plot", "pictures/").status == 0
    assert (tmp_path / "pictures/sub/1.features.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["music", "--set", "mfc"], "did you mean 'mfcc'"),
        (["music", "--set", ""], "no features"),
        (["music", "--stats", "mode"], "statistic 'mode'"),
        (["music", "--frame", "long"], "46ms"),
        (["music", "--frame", "infms"], "46ms"),
        (["music", "--hop", "0"], "hop"),
        (["music", "--rolloff", "half"], "percentages"),
        (["music", "--rolloff", "120"], "up to 100"),
        (["music", "--rate", "5"], "4000 to"),
        (["music", "--format", "npz"], "no text"),
        (["music", "-o", "t.txt"], ".parquet"),
        (["music", "-o", "music"], "is a folder"),
        (["music", "-o", "music/2.wav", "--format", "csv", "--overwrite"], "is an input"),
        (["music", "--resume"], "--output"),
        (["music", "--frames", "--set", "tempo"], "whole files"),
        (["music", "--set", "all", "--plot", "a.png"], "12 features"),
        ([], "no input"),
    ],
)
def test_what_cannot_be_is_refused(
    run: Run, music: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    done = run(*arguments)
    assert done.status == 2
    assert message in done.err and "Traceback" not in done.err
    assert sorted(tmp_path.rglob("*")) == before


def test_the_options_know_all_there_is() -> None:
    assert tuple(FORMATS) == KNOWN
    text = next(option.help for option in features.params if option.name == "names")
    assert all(name in text for name in SETS)
