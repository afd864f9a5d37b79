"""Results of all recordings in a SQLite database: written, added to, merged, refused."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from commands import Run, run  # noqa: F401


@pytest.fixture
def music(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for name in ("a.wav", "=b,'.wav", "c.wav"):
        signal = np.zeros(24_000)
        signal[8000:8200] = rng.uniform(-0.5, 0.5, 200)
        soundfile.write(tmp_path / "in" / name, signal, 16_000)
    return tmp_path


def query(path: Path, text: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(text).fetchall()


def test_onsets_are_written_and_added_to(run: Run, music: Path) -> None:  # noqa: F811
    done = run(
        "onsets", "in/a.wav", "in/=b,'.wav", "-o", "all.sqlite", "--columns", "strength", "-q"
    )
    assert done.status == 0, done.err
    rows = query(music / "all.sqlite", "SELECT file, time, strength, typeof(time) FROM onsets")
    assert [(row[0], round(row[1], 1), row[3]) for row in rows] == [
        ("in/a.wav", 0.5, "real"), ("in/=b,'.wav", 0.5, "real"),
    ]  # fmt: skip
    ((made,),) = query(music / "all.sqlite", "SELECT json FROM made_with")
    assert json.loads(made)["command"] == "onsets" and json.loads(made)["units"]["time"] == "s"
    again = run("onsets", "in", "-o", "all.sqlite", "--columns", "strength", "-q")
    assert again.status == 2 and "--overwrite" in again.err
    words = ["in/a.wav", "in/=b,'.wav", "in/c.wav", "-o", "all.sqlite", "-q"]
    resumed = run("onsets", *words, "--columns", "strength", "--resume")
    assert resumed.status == 0, resumed.err
    names = query(music / "all.sqlite", "SELECT file FROM onsets")
    assert sorted(name for (name,) in names) == ["in/=b,'.wav", "in/a.wav", "in/c.wav"]
    other = run("onsets", *words, "--resume")  # without the strength
    assert other.status == 2, other.err
    for refused in (("-o", "folder"), ()):
        assert run("onsets", "in/a.wav", *refused, "--format", "sqlite").status == 2
    (music / "other.db").write_bytes(b"no database at all")
    broken = run("onsets", "in/a.wav", "-o", "other.db", "--resume")
    assert broken.status == 2 and "other.db: cannot be read as a database of onsets" in broken.err
    assert sorted(each.name for each in music.iterdir() if "part" in each.name) == []


def test_features_in_shards_are_merged(run: Run, music: Path) -> None:  # noqa: F811
    words = ["features", "in", "--set", "rms,pitch", "-q"]
    assert run(*words, "-o", "whole.db").status == 0
    for number in (1, 2):
        assert run(*words, "-o", "part.db", "--shard", f"{number}/2").status == 0
    parts = sorted(each.name for each in music.glob("part*.db"))
    merged = run("merge", *parts, "-o", "merged.db")
    assert merged.status == 0 and len(parts) == 2, merged.err
    rows = query(music / "whole.db", "SELECT * FROM features")
    assert query(music / "merged.db", "SELECT * FROM features") == rows
    assert [row[0] for row in rows] == sorted(row[0] for row in rows) and len(rows) == 3
    resumed = run(*words, "-o", "merged.db", "--resume")
    assert resumed.status == 0 and query(music / "merged.db", "SELECT * FROM features") == rows
    plain = run("features", "in/a.wav", "--set", "rms").rows[0]
    ((value,),) = query(music / "whole.db", "SELECT rms_mean FROM features WHERE file = 'a.wav'")
    assert float(plain["rms_mean"]) == pytest.approx(value, rel=1e-5)
    refused = run("merge", "whole.db", "merged.db", "-o", "two.db")
    assert refused.status == 2 and "has rows of" in refused.err


def test_tempo_in_a_database(run: Run, music: Path) -> None:  # noqa: F811
    done = run("beats", "in/a.wav", "in/c.wav", "--tempo", "-o", "tempo.sqlite3", "-q")
    assert done.status == 0, done.err
    rows = query(music / "tempo.sqlite3", "SELECT file, typeof(tempo), typeof(file) FROM beats")
    assert [row[0] for row in rows] == ["in/a.wav", "in/c.wav"] and rows[0][2] == "text"
