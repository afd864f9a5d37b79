"""The command line as a user meets it, most of it in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from quick_tool import Tool

from audiocli import __version__
from audiocli.cli import cli
from audiocli.cli.train.separate import separate as train_separate
from audiocli.demo import write_demo
from audiocli.io.audio import AudioFormat, AudioWriter, read
from audiocli.nn import models
from audiocli.nn.fit import OPTIMIZERS
from audiocli.nn.frontend import StftConfig
from audiocli.nn.recurrent import CELLS, NONLINEARITIES
from audiocli.tasks.separate.training import ARCHITECTURES, AUGMENTATIONS, LOSSES


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo song")
    write_demo(folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "separate" / "random"
    config = {
        "task": "separate",
        "architecture": "drnn",
        "arguments": {"hidden_size": 8},
        "labels": ["vocals", "accompaniment"],
        "decoder": {"segment_seconds": 5, "context_seconds": 1, "fade_seconds": 0.1},
        "training": {},
        "scores": [],
    }
    models.save(models.build("drnn", StftConfig(), {"hidden_size": 8}), folder, config)
    return folder


def commands(group: click.Group, *path: str) -> Iterator[list[str]]:
    for name, command in group.commands.items():
        yield [*path, name]
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)


@pytest.mark.parametrize("command", [[], *commands(cli)], ids=" ".join)
def test_every_command_has_help(command: list[str]) -> None:
    result = CliRunner().invoke(cli, [*command, "--help"])
    assert result.exit_code == 0
    assert "Usage: " in result.output
    assert len(result.output.splitlines()) > 4


def test_choices_are_those_of_the_package() -> None:
    options = {option.name: option.type for option in train_separate.params}
    for name, choices in (
        ("architecture", ARCHITECTURES),
        ("loss", LOSSES),
        ("augment", AUGMENTATIONS),
        ("optimizer", OPTIMIZERS),
        ("cell", CELLS),
        ("nonlinearity", NONLINEARITIES),
    ):
        chosen = options[name]
        assert isinstance(chosen, click.Choice)
        assert list(chosen.choices) == list(choices), name


def test_version(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "audiocli", "--version"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert __version__.encode() in done.stdout


def test_demo_song_is_separated_into_stems_that_add_up(
    tool: Tool, demo: Path, model: Path, tmp_path: Path
) -> None:
    done = tool("separate", demo / "song.wav", "-o", "out", "--model", model, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.decode().split() == ["out/song.vocals.wav", "out/song.accompaniment.wav"]
    assert done.stderr == b""
    song, rate = read(demo / "song.wav")
    stems = [read(tmp_path / line) for line in done.stdout.decode().split()]
    assert [(stem.shape, stem_rate) for stem, stem_rate in stems] == [(song.shape, rate)] * 2
    assert np.abs(stems[0][0] + stems[1][0] - song).max() < 1e-4


def test_nothing_is_overwritten_unless_asked(
    tool: Tool, demo: Path, model: Path, tmp_path: Path
) -> None:
    command = ("separate", demo / "song.wav", "--karaoke", "-o", "out", "--model", model)
    assert tool(*command, cwd=tmp_path).returncode == 0
    (made,) = (tmp_path / "out").glob("*.wav")
    assert made.name == "song.accompaniment.wav"
    before = made.stat().st_mtime_ns
    refused = tool(*command, cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.count(b"\n") == 1 and b"--overwrite" in refused.stderr
    assert tool(*command, "--resume", cwd=tmp_path).returncode == 0
    assert made.stat().st_mtime_ns == before
    assert tool(*command, "--overwrite", cwd=tmp_path).returncode == 0
    assert made.stat().st_mtime_ns > before


def test_bad_files_are_named_and_the_rest_is_done(
    tool: Tool, demo: Path, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.wav").write_text("not audio at all")
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "no music").mkdir()
    inputs = ["notes.wav", "empty.wav", "no music", "gone.mp3", demo / "song.wav"]
    done = tool("separate", *inputs, "--model", model, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.count(b"\n") == 2
    message = done.stderr.decode()
    for name in ("notes.wav", "empty.wav", "no music", "gone.mp3"):
        assert name in message
    assert "4 of 5 inputs failed" in message
    assert "Traceback" not in message


def test_standard_input_and_lists(tool: Tool, demo: Path, model: Path, tmp_path: Path) -> None:
    song = (demo / "song.wav").read_bytes()
    done = tool("separate", "-", "--stems", "vocals", "--model", model, cwd=tmp_path, stdin=song)
    assert done.stdout == b"separated/stdin.vocals.wav\n"
    names = f"{demo / 'song.wav'}\n".encode()
    listed = tool(
        "separate", "--files-from", "-", "-o", "b", "--model", model, cwd=tmp_path, stdin=names
    )
    assert listed.returncode == 0 and (tmp_path / "b" / "song.vocals.wav").exists()
    empty = tool("separate", "-", "-o", "c", "--model", model, cwd=tmp_path)
    assert empty.returncode == 1 and empty.stderr.count(b"Traceback") == 0


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["separate"], "no input"),
        (["separate", "a.wav", "--stems", "drums"], "vocals"),
        (["separate", "a.wav", "--format", "aac"], "flac"),
        (["separate", "a.wav", "--device", "tpu"], "cpu"),
        (["separate", "a.wav", "--jobs", "0"], "1"),
        (["separate", "a.wav", "--bits", "12"], "16"),
        (["evaluate", "separate", "no-such-folder"], "no-such-folder"),
        (["sperate", "a.wav"], "separate"),
        (["separate", "a.wav", "--karaoke", "--stems", "vocals"], "--karaoke"),
        (["models", "list", "--task", "separat"], "did you mean"),
    ],
)
def test_wrong_usage_says_what_is_right(
    tool: Tool, arguments: list[str], word: str, model: Path, tmp_path: Path
) -> None:
    with AudioWriter(tmp_path / "a.wav", 16000, 1, AudioFormat("wav", "PCM_16")) as writer:
        writer.write(np.zeros((1, 16000), np.float32))
    env = {"AUDIOCLI_MODELS": str(model.parent.parent)}
    if arguments[:2] == ["separate", "a.wav"]:
        arguments = [*arguments, "--model", "random"]
    done = tool(*arguments, cwd=tmp_path, env=env)
    assert done.returncode == 2, done.stderr
    assert word in done.stderr.decode()
    assert not (tmp_path / "separated").exists()


def test_models_are_listed_described_and_verified(tool: Tool, model: Path, tmp_path: Path) -> None:
    env = {"AUDIOCLI_MODELS": str(model.parent.parent)}
    listed = json.loads(tool("models", "list", "--json", cwd=tmp_path, env=env).stdout)
    (entry,) = [row for row in listed if row["name"] == "random"]
    assert set(entry) >= {"task", "name", "size", "parameters", "licence", "score"}
    assert b"random" in tool("models", "list", cwd=tmp_path, env=env).stdout
    assert tool("models", "info", "random", cwd=tmp_path, env=env).stdout.startswith(b"# random")
    found = tool("models", "path", "random", cwd=tmp_path, env=env).stdout.decode().strip()
    assert Path(found) == model
    assert tool("models", "verify", "random", cwd=tmp_path, env=env).returncode == 0


def test_tampered_weights_are_refused(tool: Tool, model: Path, demo: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in model.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    weights = bytearray((copy / "weights.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "weights.safetensors").write_bytes(weights)
    assert tool("models", "verify", copy, cwd=tmp_path).returncode == 1
    done = tool("separate", demo / "song.wav", "--model", copy, cwd=tmp_path)
    assert done.returncode == 1 and b"SHA-256" in done.stderr


def test_train_then_separate_with_the_result(tool: Tool, demo: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("vocals", "accompaniment"):
        sound, rate = read(demo / "stems" / f"{name}.wav")
        for clip in range(2):
            role = "voice" if name == "vocals" else "music"
            part = sound[:, (8 + 3 * clip) * rate : (10 + 3 * clip) * rate]
            soundfile.write(tmp_path / "data" / f"{clip}.{role}.wav", part.T, rate)
    small = "--hidden-size 8 --epochs 1 --steps 2 --batch-size 2 --seconds 1".split()
    done = tool("train", "separate", "data", "--dev", "data", "-o", "net", *small, cwd=tmp_path)
    assert done.returncode == 0 and done.stdout == b"net\n"
    assert b"epoch 1/1" in done.stderr
    song = tmp_path / "data" / "0.music.wav"
    assert tool("separate", song, "--model", "./net", cwd=tmp_path).returncode == 0
    scores = tool("evaluate", "separate", "data", "--model", "net", "--format", "csv", cwd=tmp_path)
    lines = scores.stdout.decode().splitlines()
    assert lines[0].startswith("clip,seconds,system,source,version,nsdr")
    assert len(lines) == 1 + 20 + 20 + 20


def test_demo_spares_other_files(tool: Tool, tmp_path: Path) -> None:
    first = tool("demo", "d", cwd=tmp_path)
    assert "d/song.wav" in first.stdout.decode().splitlines()
    (tmp_path / "d" / "song.lab").write_text("my own")
    assert tool("demo", "d", cwd=tmp_path).returncode == 2
    assert (tmp_path / "d" / "song.lab").read_text() == "my own"


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("jobs", [1, 2])
def test_interrupt_keeps_finished_files_and_leaves_no_halves(
    demo: Path, model: Path, tmp_path: Path, jobs: int
) -> None:
    music = tmp_path / "music"
    music.mkdir()
    for index in range(20):
        (music / f"{index:02}.wav").write_bytes((demo / "song.wav").read_bytes())
    command = [sys.executable, "-m", "audiocli", "separate", "music", "--model", str(model)]
    process = subprocess.Popen(
        [*command, "--jobs", str(jobs)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    process.stdout.readline()  # one stem is there, so is the other
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    made = sorted(path.name for path in (tmp_path / "separated").iterdir())
    assert "00.vocals.wav" in made and len(made) < 40
    assert not [name for name in made if name.startswith(".") or "part" in name]
    for name in made:
        if name.endswith(".wav"):
            assert read(tmp_path / "separated" / name)[0].shape == read(demo / "song.wav")[0].shape


@pytest.mark.skipif(sys.platform != "linux", reason="names must be text elsewhere")
def test_names_that_are_no_text_go_out_as_they_are(demo: Path, model: Path, tmp_path: Path) -> None:
    name = b"bad\xff :fire:.wav"
    (tmp_path / os.fsdecode(name)).write_bytes((demo / "song.wav").read_bytes())
    command = [sys.executable, "-m", "audiocli", "separate", "--model", str(model)]
    done = subprocess.run(
        [*command, "--stems", "vocals", os.fsdecode(name)], cwd=tmp_path, capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"}, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    written = done.stdout.rstrip(b"\n")
    assert written.endswith(b"bad\xff :fire:.vocals.wav")
    assert os.path.exists(os.path.join(os.fsencode(tmp_path), written))


def test_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    shell = f'"{sys.executable}" -m audiocli models list --json | head -c 1'
    done = subprocess.run(shell, shell=True, cwd=tmp_path, capture_output=True)
    assert b"Traceback" not in done.stderr
