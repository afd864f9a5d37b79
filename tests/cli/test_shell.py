"""What a shell, a script or a cluster expects of a command: dry runs, logs, variables, settings."""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
import pytest
import soundfile
from click.shell_completion import ShellComplete
from commands import Run, run

from audiocli.cli import cli

__all__ = ["run"]  # a fixture


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    folder = tmp_path / "songs"
    folder.mkdir()
    for seed, name in enumerate("abc"):
        noise = np.random.default_rng(seed).normal(scale=0.1, size=4000)
        soundfile.write(folder / f"{name}.wav", noise, 8000)
    return folder


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


# --- dry runs --------------------------------------------------------------------------------


def test_a_dry_run_says_what_would_be_written_and_writes_nothing(
    run: Run, songs: Path, tmp_path: Path
) -> None:
    before = files(tmp_path)
    done = run("onsets", "songs", "-o", "out", "--plot", "plots/", "--format", "csv", "--dry-run")
    assert done.status == 0
    assert done.out.splitlines() == [
        *(f"songs/{n}.wav -> out/{n}.csv -> plots/{n}.png" for n in "abc"),
        "manifest: out/audiocli.jsonl",
    ]
    assert files(tmp_path) == before and not (tmp_path / "out").exists()


def test_a_dry_run_as_json(run: Run, songs: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.json").write_text("{}")
    options = ["onsets", "songs", "missing.wav", "-o", "out", "--format", "json", "--dry-run"]
    assert run(*options).status == 2  # it would be refused
    done = run(*options, "--overwrite")
    first, *others, last = lines(done.out)
    assert first["file"] == "a.wav" and first["outputs"] == first["replaces"] == ["out/a.json"]
    assert [each.get("replaces") for each in others] == [[], [], []]
    assert "missing.wav" in str(others[-1]["problem"])
    assert last["inputs"] == 4 and last["manifest"] == "out/audiocli.jsonl"
    table = run("features", "songs", "-o", "all.csv", "--dry-run").out.splitlines()
    assert table[-2:] == ["table: all.csv", "manifest: all.csv.manifest.jsonl"]


# --- errors, logs ------------------------------------------------------------------------------


def test_fail_fast_stops_at_the_first_failure(run: Run, songs: Path, tmp_path: Path) -> None:
    (songs / "b.wav").write_bytes(b"no audio")
    options = ["features", "songs", "--set", "rms", "-o", "all.csv"]
    done = run(*options, "--fail-fast")
    assert done.status == 1 and "--fail-fast" in done.err and "b.wav" in done.err
    assert (tmp_path / "all.csv").read_text().count("\n") == 2  # the head and a.wav
    # What was not done is done later, and what failed fails again.
    done = run(*options, "--resume")
    assert done.status == 1
    assert [row.split(",")[0] for row in (tmp_path / "all.csv").read_text().splitlines()] == [
        "file", "a.wav", "c.wav",
    ]  # fmt: skip


def test_errors_of_json_are_lines_of_json(run: Run, songs: Path) -> None:
    (songs / "b.wav").write_bytes(b"no audio")
    done = run("onsets", "songs", "-o", "out", "--format", "json")
    assert done.status == 1
    *_, error, summary = lines(done.err)
    assert (error["event"], error["file"], error["status"]) == ("error", "b.wav", "failed")
    assert "b.wav" in str(error["message"])
    assert (summary["done"], summary["failed"]) == (2, 1)
    done = run("onsets", "songs", "-o", "out", "--format", "json")
    [error] = lines(done.err)
    assert done.status == 2 and "exists already" in str(error["message"])
    done = run("onsets", "songs", "-o", "out", "--format", "json", "--shard", "9/8")
    assert "--shard 9/8" in str(lines(done.err)[0]["message"])


def test_a_log_has_a_line_for_each_event(run: Run, songs: Path, tmp_path: Path) -> None:
    (songs / "b.wav").write_bytes(b"no audio")
    options = ["features", "songs", "--set", "rms", "-q"]
    run(*options, "-o", "all.csv", "--log", "log.jsonl")
    events = lines((tmp_path / "log.jsonl").read_text())
    assert [each["event"] for each in events] == ["start", "job", "job", "job", "end"]
    assert [each.get("status") for each in events[1:4]] == ["done", "failed", "done"]
    assert events[0]["inputs"] == 3 and "b.wav" in str(events[2]["message"])
    run(*options, "-o", "more.csv", "--log", "log.jsonl")  # is appended to
    assert len(lines((tmp_path / "log.jsonl").read_text())) == 10
    refused = run(*options, "-o", "again.csv", "--log", "missing/log.jsonl")
    assert refused.status == 2 and "no log can be kept" in refused.err


def test_quiet_says_nothing(run: Run, songs: Path) -> None:
    soundfile.write(songs / "silence.wav", np.zeros(8000), 8000)
    done = run("classify", "songs", "--task", "event", "-o", "out", "--format", "csv", "-q")
    assert (done.status, done.out, done.err) == (0, "", "")


# --- variables and settings ----------------------------------------------------------------------


def test_every_option_has_a_variable(
    run: Run, songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDIOCLI_FEATURES_SET", "rms")
    monkeypatch.setenv("AUDIOCLI_FEATURES_OUTPUT", "by_variable.csv")
    assert run("features", "songs", "-q").status == 0
    assert "rms" in (tmp_path / "by_variable.csv").read_text().splitlines()[0]
    monkeypatch.setenv("AUDIOCLI_FEATURES_JOBS", "many")
    assert run("features", "songs", "-q").status == 2


def test_settings_come_from_a_file_and_the_command_line_wins(
    run: Run, songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my.toml").write_text(
        '[features]\nset = "zcr"\nstats = "max"\n[train.onsets]\nepochs = 3\n'
    )
    heads = []
    for more in ([], ["--set", "rms"]):
        done = run("--config", "my.toml", "features", "songs", "-q", *more)
        heads.append(done.out.splitlines()[0])
    assert heads == ["file,zero_crossing_rate_max", "file,rms_max"]
    monkeypatch.setenv("AUDIOCLI_CONFIG", "my.toml")
    monkeypatch.setenv("AUDIOCLI_FEATURES_STATS", "min")
    assert run("features", "songs", "-q").out.splitlines()[0] == "file,zero_crossing_rate_min"
    shown = run("config", "show").out
    assert 'set = "zcr"' in shown and "AUDIOCLI_FEATURES_STATS" in shown
    assert "[train.onsets]\nepochs = 3" in shown
    (tmp_path / "again.toml").write_text(shown)
    assert run("--config", "again.toml", "config", "show").out == shown
    everything = run("config", "show", "--all", "train onsets").out
    assert "# AUDIOCLI_TRAIN_ONSETS_BATCH_SIZE" in everything
    assert run("config", "show", "onset").status == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [("[onset]\n", "did you mean 'onsets'?"), ("[onsets]\njops = 1\n", "did you mean 'jobs'?"),
     ("[onsets]\njobs = 0\n", "jobs: "), ("onsets = 1\n", "must be a table"),
     ("[onsets\n", "cannot be read as TOML"), ("[onsets]\njobs = [1]\n", "a single value"),
     ("[onsets.more]\n", "no setting 'more'")],
)  # fmt: skip
def test_settings_that_cannot_be_meant_are_refused(
    run: Run, tmp_path: Path, text: str, reason: str
) -> None:
    (tmp_path / "bad.toml").write_text(text)
    done = run("--config", "bad.toml", "onsets", "a.wav")
    assert done.status == 2 and "bad.toml" in done.err and reason in done.err


def test_every_option_can_be_set_by_a_variable_of_its_own() -> None:
    def walk(command: click.Command) -> list[str]:
        options = [each for each in command.params if isinstance(each, click.Option)]
        found = [str(each.envvar) for each in options if each.name not in ("help", "version")]
        for child in command.commands.values() if isinstance(command, click.Group) else ():
            found += walk(child)
        return found

    variables = walk(cli)
    assert all(name.startswith("AUDIOCLI_") and name.isupper() for name in variables)
    assert "AUDIOCLI_ONSETS_JOBS" in variables and "AUDIOCLI_CONFIG" in variables
    # Those that mean something else already.
    assert not {"AUDIOCLI_MODELS", "AUDIOCLI_MIRROR"} & set(variables)
    assert len(variables) == len(set(variables)), sorted(variables)


# --- completion ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "begun", "expected"),
    [("onsets", "cr", {"crnn"}), ("separate", "st", {"stereo-drnn"}), ("tag", "", {"music"}),
     ("compare", "vo", {"voice"})],
)  # fmt: skip
def test_names_of_models_are_completed(command: str, begun: str, expected: set[str]) -> None:
    complete = ShellComplete(cli, {}, "audiocli", "_AUDIOCLI_COMPLETE")
    found = {item.value for item in complete.get_completions([command, "--model"], begun)}
    assert expected <= found
    [folder] = complete.get_completions([command, "--model"], "runs/none-")
    assert (folder.value, folder.type) == ("runs/none-", "dir")
