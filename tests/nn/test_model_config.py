"""Model folders that are damaged or were tampered with: one clear line each, and no hang."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from safetensors.torch import load_file, save_file

from audiocli.cli import cli
from audiocli.errors import ModelError
from audiocli.nn import models, registry

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Copy a shipped model to where it can be found beside others."""
    source = registry.find("onsets", "blstm").folder
    return Path(shutil.copytree(source, tmp_path / "models" / "onsets" / "mine"))


def tamper(folder: Path, change: Change) -> None:
    """Change what the configuration says."""
    file = folder / registry.CONFIG
    config = json.loads(file.read_text("utf-8"))
    change(config)
    file.write_text(json.dumps(config), "utf-8")


WRONG: dict[str, Change] = {
    "scores is text": lambda c: c.update(scores="good"),
    "scores holds numbers": lambda c: c.update(scores=[1, 2]),
    "a score lacks its unit": lambda c: c["scores"][0].pop("unit"),
    "a score's value is a list": lambda c: c["scores"][0].update(value=[1]),
    "a score's value is text": lambda c: c["scores"][0].update(value="1e3"),
    "a score's value is true": lambda c: c["scores"][0].update(value=True),
    "licence is a list": lambda c: c.update(licence=["MIT"]),
    "parameters is text": lambda c: c.update(parameters="many"),
    "training is a list": lambda c: c.update(training=[1]),
    "data holds text": lambda c: c["training"].update(data=["all"]),
    "groups hold numbers": lambda c: c["training"].update(groups=[1]),
    "earlier is text": lambda c: c["training"].update(earlier="none"),
    "decoder is a number": lambda c: c.update(decoder=0.5),
    "a label with NUL": lambda c: c.update(labels=["on\0set"]),
    "a label with a line break": lambda c: c.update(labels=["on\nset"]),
    "an empty label": lambda c: c.update(labels=[" "]),
    "labels that are alike": lambda c: c.update(labels=["a", "a"]),
    "labels are numbers": lambda c: c.update(labels=[1]),
    "a description with an escape": lambda c: c.update(description="\x1b[2J"),
    "encoders is text": lambda c: c.update(encoders="general"),
    "an encoder without a sum": lambda c: c.update(encoders=[{"name": "general"}]),
    "an infinite threshold": lambda c: c["decoder"].update(threshold=float("inf")),
    "a threshold that is NaN": lambda c: c["decoder"].update(threshold=float("nan")),
    "descriptions is a list": lambda c: c.update(descriptions=["a"]),
    "format is a list": lambda c: c.update(format=[1]),
    "fingerprint of text": lambda c: c.update(frontend_fingerprint=["a"]),
}


@pytest.mark.parametrize("what", WRONG)
def test_fields_of_the_wrong_type_are_one_clear_line(folder: Path, what: str) -> None:
    tamper(folder, WRONG[what])
    with pytest.raises(ModelError, match=r"config\.json: ") as caught:
        registry.open_folder(folder)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a":' * 100_000, '{"format": 1, "x": ' + "[" * 90 + "]" * 90 + "}", "NaN",
     '{"format": 1e999}', "\ufeff{}", '"' + "x" * 100],
)  # fmt: skip
def test_json_that_is_none_of_ours(folder: Path, text: str) -> None:
    (folder / registry.CONFIG).write_text(text, "utf-8")
    with pytest.raises(ModelError, match=r"config\.json: ") as caught:
        registry.open_folder(folder)
    assert "\n" not in str(caught.value)


def test_nested_too_deeply_though_the_rest_is_right(folder: Path) -> None:
    nest: list[Any] = []
    for _ in range(200):
        nest = [nest]
    tamper(folder, lambda config: config.update(more=nest))
    with pytest.raises(ModelError, match="nested too deeply"):
        registry.open_folder(folder)


@pytest.mark.parametrize(
    ("name", "value"),
    [("hidden_size", "20"), ("hidden_size", -3), ("hidden_size", [1]), ("hidden_size", 0.5),
     ("cell", 7), ("cell", "abacus"), ("num_layers", None), ("unheard_of", 1)],
)  # fmt: skip
def test_arguments_of_the_wrong_type(folder: Path, name: str, value: object) -> None:
    tamper(folder, lambda config: config["arguments"].update({name: value}))
    with pytest.raises(ModelError):
        models.load(registry.open_folder(folder))


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_ffts", "1024"), ("bands", "many"), ("bands", -1), ("sample_rate", 0), ("hop_length", 0),
     ("scale", []), ("fmin", "low"), ("fmax", -5), ("kind", []), ("kind", "spiral")],
)  # fmt: skip
def test_front_ends_of_the_wrong_type(folder: Path, name: str, value: object) -> None:
    tamper(folder, lambda config: config["frontend"].update({name: value}))
    with pytest.raises(ModelError):
        models.load(registry.open_folder(folder))


def test_weights_that_are_not_finite_are_refused(folder: Path) -> None:
    weights = load_file(folder / registry.WEIGHTS)
    name = next(key for key, value in weights.items() if value.is_floating_point())
    weights[name].view(-1)[0] = float("nan")
    save_file(weights, folder / registry.WEIGHTS)
    total = registry.sha256(folder / registry.WEIGHTS)
    tamper(folder, lambda config: config.update(weights_sha256=total))
    entry = registry.open_folder(folder)
    registry.verify(entry)  # the sum is right
    with pytest.raises(ModelError, match=f"{name} is not finite"):
        models.load(entry)


@pytest.mark.parametrize("name", [registry.CONFIG, registry.WEIGHTS])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "loop"])
def test_what_is_no_regular_file_is_refused_and_not_waited_for(
    folder: Path, kind: str, name: str
) -> None:
    file = folder / name
    file.unlink()
    if kind == "folder":
        file.mkdir()
    elif kind == "loop":
        file.symlink_to(file)
    elif not hasattr(os, "mkfifo"):
        pytest.skip("this system has neither pipes among its files nor devices")
    elif kind == "pipe":
        pipe = folder.parent.parent.parent / "pipe"
        os.mkfifo(pipe)
        file.symlink_to(pipe)
    else:
        file.symlink_to("/dev/zero")
    with pytest.raises(ModelError) as caught:
        models.load(registry.open_folder(folder))
    assert str(folder) in str(caught.value)


def test_weights_may_be_a_link_to_a_file(folder: Path) -> None:
    elsewhere = folder.parent / "weights"
    (folder / registry.WEIGHTS).rename(elsewhere)
    (folder / registry.WEIGHTS).symlink_to(elsewhere)
    assert not models.load(registry.open_folder(folder)).training


def test_a_damaged_model_hides_no_other(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIOCLI_MODELS", str(folder.parent.parent))
    good = Path(shutil.copytree(folder, folder.with_name("good")))
    gone = Path(shutil.copytree(folder, folder.with_name("gone")))
    (gone / registry.WEIGHTS).unlink()
    tamper(folder, lambda config: config.update(scores=7))
    for command in (["list"], ["list", "--json"], ["verify"]):
        result = CliRunner().invoke(cli, ["models", *command])
        assert result.exit_code == 1
        assert isinstance(result.exception, SystemExit)
        assert str(folder / registry.CONFIG) in result.stderr
        assert str(gone / registry.WEIGHTS) in result.stderr
        assert result.stderr.count("\n") == 2
        assert good.name in result.stdout
        assert "drnn-mir1k" in result.stdout
    found = json.loads(CliRunner().invoke(cli, ["models", "list", "--json"]).stdout)
    assert {"good", "blstm"} <= {row["name"] for row in found}
    damaged: list[ModelError] = []
    assert "good" in [entry.name for entry in registry.list_models("onsets", damaged=damaged)]
    assert len(damaged) == 1
    with pytest.raises(ModelError):
        registry.list_models("onsets")
