"""Training of every task: a stopped run goes on to the bit; one that diverges says on what."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file
from stopping import stop_at
from torch import Tensor

from audiocli.errors import ModelError
from audiocli.nn.fit import FitConfig
from audiocli.nn.registry import ModelEntry
from audiocli.tasks.beats import training as beats
from audiocli.tasks.chords import training as chords
from audiocli.tasks.classify import training as classes
from audiocli.tasks.classify.clips import Selection
from audiocli.tasks.classify.splits import gather
from audiocli.tasks.features import training as features
from audiocli.tasks.onsets import training as onsets
from audiocli.tasks.separate import training as separation
from audiocli.tasks.separate.config import TrainingConfig as SeparationConfig

Train = Callable[..., ModelEntry]
FIT = FitConfig(epochs=3, steps=2, batch_size=2, warmup=2, learning_rate=0.01, average=0.9)
TASKS = ("onsets", "beats", "chords", "classify", "tag", "features", "separate", "songs")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def few_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calibrate and score networks of frames on fewer of them."""
    monkeypatch.setattr(features, "CALIBRATING", 200)
    monkeypatch.setattr(features, "SCORING", 200)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings for all tasks: tones with annotations, in folders a class, and in two sources."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    time = np.arange(16_000 * 2) / 16_000
    for name, pitch in (("low", 220.0), ("high", 880.0)):
        for number in range(3):
            tone = 0.3 * np.sin(2 * np.pi * pitch * (1 + 0.01 * number) * time)
            noise = 0.05 * rng.normal(size=len(time))
            folder = root / "classes" / name
            folder.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / f"{number}.wav", tone + noise, 16_000)
            if number == 0:
                for kind, text in (
                    ("onsets", "0.5\n1.0\n"),
                    ("beats", "0.5 1\n1.0 2\n1.5 1\n"),
                    ("lab", "0 1 C:maj\n1 2 A:min\n"),
                ):
                    (root / kind).mkdir(exist_ok=True)
                    soundfile.write(root / kind / f"{name}.wav", tone + noise, 16_000)
                    (root / kind / f"{name}.{kind}").write_text(text)
                (root / "sources").mkdir(exist_ok=True)
                for kind, sound in (("voice", tone), ("music", noise)):
                    soundfile.write(root / "sources" / f"{name}.{kind}.wav", sound, 16_000)
    return root


def trainer(task: str, data: Path) -> Train:
    """Make a function of output, fit config and callbacks, for a tiny network."""
    if task == "onsets":
        return lambda output, fit, **more: onsets.train(
            [data / "onsets"], output,
            onsets.TrainingConfig("online", {"channels": [4, 4], "hidden_size": 4}, seconds=0.5,
                                  fit=fit),
            dev=[data / "onsets"], **more,
        )  # fmt: skip
    if task == "beats":
        return lambda output, fit, **more: beats.train(
            [data / "beats"], output,
            beats.TrainingConfig("blstm", {"hidden_size": 4}, seconds=1.0, fit=fit),
            dev=[data / "beats"], **more,
        )  # fmt: skip
    if task == "chords":
        return lambda output, fit, **more: chords.train(
            [data / "lab"], output,
            chords.TrainingConfig(arguments={"channels": [2, 2, 2], "num_circles": 1}, seconds=2.0,
                                  fit=fit),
            dev=[data / "lab"], **more,
        )  # fmt: skip
    if task in ("classify", "tag"):
        split = gather([data / "classes"], Selection(), task, fold=(0, 3))
        return lambda output, fit, **more: classes.train(
            split, output, classes.TrainingConfig(
                task, "crnn", {"channels": [4], "hidden_size": 4}, seconds=0.5, fit=fit), **more
        )  # fmt: skip
    if task == "features":
        return lambda output, fit, **more: features.train(
            [data / "classes"], output,
            features.TrainingConfig("autoencoder", {"components": 2, "hidden_size": 4},
                                    seconds=0.3, fit=fit),
            **more,
        )  # fmt: skip
    songs = task == "songs"
    config: dict[str, Any] = {"seconds": 0.5}
    if songs:
        config |= {"architecture": "stereo-drnn", "loss": "snr", "gamma": 0.0,
                   "arguments": {"channels": [4], "num_recurrent": 1}}  # fmt: skip
    else:
        config |= {"arguments": {"hidden_size": 4, "dropout": 0.2}}
    extra = {"voices": [data / "onsets"], "backings": [data / "lab"]} if songs else {}
    return lambda output, fit, **more: separation.train(
        [data / "sources"], output, SeparationConfig(fit=fit, **config), dev=data / "sources",
        **extra, **more,
    )  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_a_stopped_run_goes_on_to_the_bit(data: Path, tmp_path: Path, task: str) -> None:
    train = trainer(task, data)
    whole = train(tmp_path / "whole", FIT)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "parts", FIT, progress=stop_at(4))
    torch.rand(3)  # what a new process finds is not what the old one left
    np.random.rand(3)  # noqa: NPY002
    parts = train(tmp_path / "parts", FIT)
    assert parts.config["weights_sha256"] == whole.config["weights_sha256"]
    one, two = (
        load_file(tmp_path / name / "checkpoint" / "checkpoint.safetensors")
        for name in ("whole", "parts")
    )
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    rows = [
        [line.split(",")[:6] for line in (tmp_path / name / "log.csv").read_text().splitlines()]
        for name in ("whole", "parts")
    ]
    assert rows[0] == rows[1] and len(rows[0]) == 1 + FIT.epochs * FIT.steps


@pytest.mark.parametrize("task", TASKS)
def test_a_run_that_diverges_names_the_recordings(
    data: Path, tmp_path: Path, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = {"onsets": onsets, "beats": beats, "chords": chords, "classify": classes,
              "tag": classes, "features": features}.get(task, separation)  # fmt: skip
    loss, steps = module.loss, 0

    def poisoned(network: Any, batch: Any, *more: Any) -> Tensor:
        nonlocal steps
        steps += 1
        value: Tensor = loss(network, batch, *more)
        return value * (float("nan") if steps == 4 else 1.0)

    monkeypatch.setattr(module, "loss", poisoned)
    with pytest.raises(ModelError) as caught:
        trainer(task, data)(tmp_path / "net", FIT)
    message = str(caught.value)
    assert re.match(r"training diverged at step 4: the loss is nan on a batch of \S+", message)
    assert "low" in message or "high" in message
    assert "the checkpoint of epoch 1 is kept" in message and "\n" not in message
    kept = load_file(tmp_path / "net" / "checkpoint" / "checkpoint.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in kept.values())
    monkeypatch.setattr(module, "loss", loss)
    trainer(task, data)(tmp_path / "net", FIT)  # it goes on from there
