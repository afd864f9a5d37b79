"""What kind of licence a model has, by the words on its card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from audiocli.cli import cli
from audiocli.nn import models, registry
from audiocli.nn.frontend import FilterbankConfig
from audiocli.nn.licences import CLASSES, class_of, licence_class


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Apache-2.0", "permissive"),
        ("CC BY 3.0; clips CC0 or CC BY; encoder: Apache-2.0", "permissive"),
        ("MIT", "permissive"),
        ("BSD-like; CC BY-SA 4.0; encoder: Apache-2.0", "share-alike"),
        ("GPL-2+", "share-alike"),
        ("unspecified", "unstated"),
        ("", "unstated"),
        ("terms unknown to us", "unstated"),
        ("Apache-2.0; terms not stated", "unstated"),
        ("free use, not to be redistributed as is", "unstated"),
        ("CC BY-NC-SA 4.0; encoder: MIT", "non-commercial"),
        ("CC BY-NC-SA 4.0: not for commercial use", "non-commercial"),
        ("non-commercial research", "non-commercial"),
        ("research use; encoder: ISC", "research"),
        ("for scientific use only", "research"),
        ("published for education, MIT", "research"),
    ],
)
def test_the_strictest_part_counts(text: str, expected: str) -> None:
    assert licence_class(text) == expected


def test_a_head_is_no_freer_than_its_encoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, licence, encoders in (
        ("encode/strict", "research use", []),
        ("classify/free", "MIT", [{"name": "strict", "weights_sha256": "0" * 64}]),
        ("classify/lost", "MIT", [{"name": "gone", "weights_sha256": "0" * 64}]),
    ):
        arguments = {"inputs": 4, "num_outputs": 2}
        network = models.build("head", FilterbankConfig(), arguments)
        config = {"task": name.split("/")[0], "architecture": "head", "arguments": arguments,
                  "labels": ["a", "b"], "licence": licence, "encoders": encoders}  # fmt: skip
        models.save(network, tmp_path / name, config)
    monkeypatch.setattr(registry, "roots", lambda: [tmp_path])
    assert class_of(registry.open_folder(tmp_path / "classify/free")) == "research"
    assert class_of(registry.open_folder(tmp_path / "classify/lost")) == "unstated"


def test_models_list_by_licence() -> None:
    command: Any = cli.commands["models"]
    [option] = [each for each in command.commands["list"].params if each.name == "licence"]
    assert list(CLASSES) == list(option.type.choices)
    found = {}
    for licence in CLASSES:
        done = CliRunner().invoke(cli, ["models", "list", "--licence", licence, "--json"])
        assert done.exit_code == 0
        rows = json.loads(done.stdout)
        assert all(row["licence_class"] == licence for row in rows)
        found[licence] = {f"{row['task']}/{row['name']}" for row in rows}
    shipped = {f"{entry.task}/{entry.name}" for entry in registry.list_models()}
    assert set().union(*found.values()) == shipped
    assert "classify/audioset" in found["permissive"]
    assert "classify/genre" in found["research"]  # of Emotify, on an encoder under ISC
    assert "classify/speaker" in found["research"]  # its encoder was trained on MIR-1K
    assert CliRunner().invoke(cli, ["models", "list", "--licence", "free"]).exit_code == 2
