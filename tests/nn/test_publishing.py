"""Publishing a trained model: what is checked, what is copied, and that nothing is replaced."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from audiocli.cli import cli
from audiocli.errors import ModelError, UsageError
from audiocli.nn import registry
from audiocli.nn.publishing import publish

SHIPPED = registry.find("onsets", "blstm").folder


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "models"
    monkeypatch.setattr(registry, "cache", lambda: root)
    return root


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A copy of a shipped model, with what a training run leaves beside it."""
    folder = tmp_path / "runs" / "mine"
    shutil.copytree(SHIPPED, folder)
    (folder / "checkpoint").mkdir()
    (folder / "config.toml").write_text('data = ["/home/me/secret"]\n')
    (folder / "log.csv").write_text("")
    return folder


def change(folder: Path, **facts: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **facts}))


def test_a_published_model_is_found_by_its_name(root: Path, run_folder: Path) -> None:
    done = CliRunner().invoke(cli, ["models", "publish", str(run_folder)])
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(root / "onsets" / "mine")
    entry = registry.find("onsets", "mine")
    assert entry.folder == root / "onsets" / "mine"
    assert entry.config["name"] == "mine"
    registry.verify(entry)
    assert sorted(os.listdir(entry.folder)) == ["README.md", "config.json", "weights.safetensors"]
    assert (entry.folder / "README.md").read_text().startswith("# mine\n")
    assert os.listdir(root / "onsets") == ["mine"]  # no half a model is left


def test_nothing_is_replaced(root: Path, run_folder: Path) -> None:
    publish(run_folder)
    before = (root / "onsets" / "mine" / "config.json").read_bytes()
    with pytest.raises(UsageError, match="onsets/mine: is there already"):
        publish(run_folder)
    assert (root / "onsets" / "mine" / "config.json").read_bytes() == before
    with pytest.raises(UsageError, match="onsets/blstm: is there already"):
        publish(run_folder, "blstm")  # a shipped one comes first: the copy would not be found
    assert publish(run_folder, "mine-2").name == "mine-2"


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"licence": "unspecified"}, "lacks a licence"),
        ({"licence": "CC0; unspecified"}, "lacks a licence"),
        ({"training": {}}, "lacks the data it was trained on; how validation data"),
        ({"scores": []}, "lacks a score on held-out data"),
    ],
)
def test_an_incomplete_card_is_refused(
    root: Path, run_folder: Path, facts: dict[str, object], message: str
) -> None:
    change(run_folder, **facts)
    with pytest.raises(ModelError, match=message):
        publish(run_folder)
    assert not root.exists()


def test_damaged_weights_are_refused(root: Path, run_folder: Path) -> None:
    weights = run_folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0\0")
    with pytest.raises(ModelError, match="SHA-256"):
        publish(run_folder)
    assert not root.exists()


@pytest.mark.parametrize("name", ["../x", "a/b", ".hidden", "a b", "-x"])
def test_a_name_that_is_no_name_is_refused(root: Path, run_folder: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is no name of a model"):
        publish(run_folder, name)
    assert not root.exists()


def test_what_is_no_model_folder_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not a model folder"):
        publish(tmp_path)
