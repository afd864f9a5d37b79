"""Shards of a batch, and their tables and manifests put together."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from commands import Run, run
from hypothesis import given
from hypothesis import strategies as st
from places import ROOT

import audiocli
from audiocli.batch.inputs import find_inputs, plan
from audiocli.batch.sharding import Shard, parse_shard
from audiocli.errors import FieldError, UsageError

__all__ = ["run"]  # a fixture

RATE = 8000
NAMES = [f"{folder}/{number}.wav" for folder in ("a", "b") for number in range(6)]


@pytest.fixture
def music(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    for seed, name in enumerate(NAMES):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(seed).normal(scale=0.1, size=4000)
        soundfile.write(folder / name, noise, RATE)
    return folder


@given(st.lists(st.text(min_size=1), unique=True, max_size=40), st.integers(1, 9), st.randoms())
def test_shards_are_disjoint_and_together_all(
    labels: list[str], count: int, order: random.Random
) -> None:
    shards = [Shard(index, count) for index in range(1, count + 1)]
    before = {label: [shard.takes(label) for shard in shards].index(True) for label in labels}
    assert all(sum(shard.takes(label) for shard in shards) == 1 for label in labels)
    order.shuffle(labels)
    assert {label: [s.takes(label) for s in shards].index(True) for label in labels} == before


def test_shards_are_about_as_large() -> None:
    labels = [f"song {number}.flac" for number in range(8000)]
    sizes = [sum(Shard(index, 8).takes(label) for label in labels) for index in range(1, 9)]
    assert min(sizes) > 900 and max(sizes) < 1100
    # These names are in these shards in every version, or a resumed batch would do them again.
    assert [parse_shard(f"{i}/3").takes("a.wav") for i in (1, 2, 3)] == [True, False, False]


@pytest.mark.parametrize("text", ["", "1", "0/3", "4/3", "1/0", "a/b", "-1/3", "1/3/5", "1.5/3"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(FieldError, match="I/N"):
        parse_shard(text)


def test_names_are_settled_over_all_shards(tmp_path: Path) -> None:
    for name in ("a.wav", "a.mp3"):
        (tmp_path / name).touch()
    inputs = find_inputs([str(tmp_path)])
    count = next(n for n in range(2, 99) if not Shard(1, n).takes(inputs[0].label)
                 or not Shard(1, n).takes(inputs[1].label))  # fmt: skip
    outputs = set()
    for index in range(1, count + 1):
        jobs = plan(
            inputs, lambda item: [tmp_path / "out" / f"{item.stem}.csv"], shard=Shard(index, count)
        )
        outputs |= {output.name for job in jobs for output in job.outputs}
    assert outputs == {"a.wav.csv", "a.mp3.csv"}


@pytest.mark.parametrize("form", ["csv", "jsonl", "arff", "parquet"])
def test_merged_shards_equal_one_run(run: Run, music: Path, tmp_path: Path, form: str) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow")
    options = ["features", music, "--set", "rms,zcr", "--frames", "-q"]
    assert run(*options, "-o", f"whole.{form}").status == 0
    for index in (3, 1, 2):
        done = run(*options, "-o", f"part.{form}", "--shard", f"{index}/3")
        assert (done.status, done.out) == (0, "")
    parts = sorted(tmp_path.glob(f"part.?-of-3.{form}"))
    assert len(parts) == 3
    merged = run("merge", *parts, "-o", f"all.{form}")
    assert merged.status == 0
    assert merged.err == f"all.{form}: 12 recordings, {12 * 22} rows\n"
    if form == "parquet":
        from pyarrow import parquet

        whole, both = (parquet.read_table(tmp_path / f"{name}.{form}") for name in ("whole", "all"))
        assert whole.equals(both, check_metadata=True)
    else:
        assert (tmp_path / f"all.{form}").read_bytes() == (tmp_path / f"whole.{form}").read_bytes()
    # The manifests came along: to resume on the whole table does nothing.
    again = run(*options[:-1], "-o", f"all.{form}", "--resume")
    assert again.status == 0 and "all 12 inputs were done before" in again.err


def test_folders_of_shards_are_the_folder_of_one_run(run: Run, music: Path, tmp_path: Path) -> None:
    options = ["chords", music, "--format", "csv", "-q"]
    for index in (1, 2):
        assert run(*options, "-o", "parts", "--shard", f"{index}/2").status == 0
    made = sorted(str(path.relative_to(tmp_path / "parts")) for path in tmp_path.glob("parts/*/*"))
    assert made == [name.replace(".wav", ".csv") for name in NAMES]
    manifests = sorted(tmp_path.glob("parts/audiocli.*.jsonl"))
    assert [path.name for path in manifests] == ["audiocli.1-of-2.jsonl", "audiocli.2-of-2.jsonl"]
    # A shard that is there already is no hindrance to another, but is to itself.
    assert run(*options, "-o", "parts", "--shard", "2/2").status == 2
    assert run("merge", *manifests, "-o", "parts/audiocli.jsonl", "-q").err == ""
    again = run(*options[:-1], "-o", "parts", "--resume")
    assert again.status == 0 and "all 12 inputs were done before" in again.err


def test_a_manifest_that_moves_still_names_its_outputs(
    run: Run, music: Path, tmp_path: Path
) -> None:
    options = ["features", music, "--set", "rms", "-q"]
    run(*options, "-o", "one/part.csv", "--shard", "1/2")
    run(*options, "-o", "two/part.csv", "--shard", "2/2")
    audiocli.merge_files(
        [tmp_path / "one/part.1-of-2.csv.manifest.jsonl",
         tmp_path / "two/part.2-of-2.csv.manifest.jsonl"], tmp_path / "all.jsonl",
    )  # fmt: skip
    records = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert sum(record["record"] == "job" for record in records) == 12


def table(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_what_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    a = table(tmp_path / "a.csv", "file,rms\nx.wav,1\n")
    out = tmp_path / "out.csv"
    for other, reason in [
        (table(tmp_path / "b.csv", "file,zcr\ny.wav,1\n"), "other columns"),
        (table(tmp_path / "c.csv", "file,rms\nx.wav,2\n"), "has rows of x.wav, and so has"),
        (table(tmp_path / "d.csv", "time\n1\n"), "no column file"),
        (table(tmp_path / "e.csv", 'file,rms\n"x'), "cannot be read"),
        (tmp_path / "missing.csv", "no such file"),
        (a, "is named twice"),
        (table(tmp_path / "f.jsonl", '{"file": "y.wav"}\n'), "one format"),
    ]:
        with pytest.raises(UsageError, match=re.escape(reason)):
            audiocli.merge_files([a, other], out)
        assert not out.exists()
    with pytest.raises(UsageError, match="which would be lost"):
        audiocli.merge_files([a], a, overwrite=True)
    with pytest.raises(UsageError, match="must end in"):
        audiocli.merge_files([a], tmp_path / "out.txt")
    with pytest.raises(UsageError, match="nothing to merge"):
        audiocli.merge_files([], out)
    out.write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        audiocli.merge_files([a], out)
    assert out.read_text() == "mine"
    with pytest.raises(UsageError, match="cannot be read"):
        audiocli.merge_files([table(tmp_path / "g.jsonl", "{}\n")], tmp_path / "out.jsonl")


def test_tables_of_other_settings_are_refused(run: Run, music: Path) -> None:
    run("features", music, "--set", "rms", "-q", "-o", "x.csv", "--shard", "1/2")
    run("features", music, "--set", "rms", "--hop", "100", "-q", "-o", "x.csv", "--shard", "2/2")
    merged = run("merge", "x.1-of-2.csv", "x.2-of-2.csv", "-o", "all.csv")
    assert merged.status == 2 and "x.2-of-2.csv: was made with other settings" in merged.err
    run("onsets", music, "-q", "-o", "folder", "--shard", "1/2")
    merged = run("merge", "x.1-of-2.csv.manifest.jsonl", "folder/audiocli.1-of-2.jsonl",
                 "-o", "all.jsonl")  # fmt: skip
    assert merged.status == 2 and "merge them apart" in merged.err


# --- the recipes of docs/pipelines.md -------------------------------------------------------

PAGE = ROOT / "docs" / "pipelines.md"


def recipe(name: str) -> str:
    """Find the block of code behind ``<!-- recipe: NAME -->``; with three shards, not eight."""
    found = re.search(rf"<!-- recipe: {name} -->\n```\w*\n(.*?)^```", PAGE.read_text(), re.S | re.M)
    assert found, name
    text = found[1].replace("range(1, 9)", "range(1, 4)").replace("audiocli features", FEATURES)
    return re.sub(r"(seq |of-|/)8\b", r"\g<1>3", text)


FEATURES = "audiocli features --set rms"


def in_shell(script: str, folder: Path) -> None:
    """Run a recipe in a folder, with a command `audiocli` that is this one."""
    command = folder / "bin" / "audiocli"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m audiocli "$@"\n')
    command.chmod(0o755)
    result = subprocess.run(
        ["sh", "-e", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("tool", ["xargs", "parallel", "slurm"])
def test_recipes_make_the_table_of_one_run(
    run: Run, music: Path, tmp_path: Path, tool: str
) -> None:
    if tool == "parallel" and not shutil.which("parallel"):
        pytest.skip("GNU parallel is not installed")
    script = recipe(tool)
    if tool == "slurm":  # what an array does: the script once for each number
        script = "\n".join(
            ["export SLURM_ARRAY_TASK_COUNT=3"]
            + [f"(SLURM_ARRAY_TASK_ID={number}\n{script})" for number in (1, 2, 3)]
            + [recipe("slurm-merge")]
        )
    in_shell(script, tmp_path)
    assert run("features", music, "--set", "rms", "-q", "-o", "whole.csv").status == 0
    assert (tmp_path / "features.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_snakemake_makes_the_table_of_one_run(run: Run, music: Path, tmp_path: Path) -> None:
    if not shutil.which("snakemake"):
        pytest.skip("snakemake is not installed")
    (tmp_path / "Snakefile").write_text(recipe("snakemake"))
    in_shell("snakemake --cores 1 --quiet", tmp_path)
    assert run("features", music, "--set", "rms", "-q", "-o", "whole.csv").status == 0
    assert (tmp_path / "features.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet", "arff"])
def test_a_shard_without_inputs_writes_an_empty_table(
    music: Path, tmp_path: Path, form: str
) -> None:
    if form == "parquet":
        pytest.importorskip("pyarrow", reason="parquet needs it")
    inputs = [str(music / name) for name in NAMES[:2]]
    count = 4
    shards = [f"{index}/{count}" for index in range(1, count + 1)]
    done = [
        audiocli.extract_features(
            inputs,
            tmp_path / f"t.{form}",
            names=["rms"],
            options=audiocli.BatchOptions(shard=shard),
        ).done
        for shard in shards
    ]
    assert sum(done) == 2 and done.count(0) >= 2
    parts = [tmp_path / f"t.{index}-of-{count}.{form}" for index in range(1, count + 1)]
    assert audiocli.merge_files(parts, tmp_path / f"all.{form}").recordings == 2
    assert audiocli.extract_features(inputs, tmp_path / f"one.{form}", names=["rms"]).done == 2
    if form != "parquet":  # which has its rows in groups
        one, merged = (tmp_path / f"{name}.{form}" for name in ("one", "all"))
        assert merged.read_bytes() == one.read_bytes()
    assert (tmp_path / f"all.{form}.manifest.jsonl").is_file()


def test_empty_tables_of_text_are_merged(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    (tmp_path / "b.csv").write_text("file,time\nx.wav,0.5\n")
    merged = audiocli.merge_files([tmp_path / "a.csv", tmp_path / "b.csv"], tmp_path / "c.csv")
    assert merged.rows == 1
    assert (tmp_path / "c.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
