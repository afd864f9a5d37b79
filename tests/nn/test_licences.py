"""What kind of licence a model has, by the words on its card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from places import ROOT

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
        ("cc-by-4.0", "permissive"),
        ("rendered from POP909 (MIT)", "permissive"),
        ("rendered", "unstated"),  # from what, and through whose sound font?
        ("CC BY-ND 4.0", "unstated"),
        ("cc-by-nc-4.0", "non-commercial"),
        ("academic use", "research"),
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
    assert {"classify/audioset", "onsets/crnn-permissive", "chords/crnn-permissive"} <= found[
        "permissive"
    ]
    assert "classify/genre" in found["research"]  # of Emotify, on an encoder under ISC
    assert "classify/speaker" in found["research"]  # its encoder was trained on MIR-1K
    assert CliRunner().invoke(cli, ["models", "list", "--licence", "free"]).exit_code == 2


def test_free_models_were_trained_on_free_data() -> None:
    """Of weights by others, whose data is named "SET, by AUTHOR", their authors chose the terms."""
    free = CLASSES.index("share-alike")
    checked = 0
    for entry in registry.list_models():
        allowed = CLASSES.index(class_of(entry))
        if allowed > free:
            continue
        training = entry.config["training"]
        runs = [*training.get("earlier", []), training]
        for data in (data for run in runs for data in run["data"]):
            if ", by " not in data["name"]:
                of_data = CLASSES.index(licence_class(data["licence"]))
                assert of_data <= allowed, f"{entry.task}/{entry.name}: {data['name']}"
                checked += 1
    assert checked >= 4  # of event, keywords and digits


def test_all_models_of_a_class_stand_on_the_page() -> None:
    page = (ROOT / "docs/models.md").read_text("utf-8")
    table = page.partition("<!-- licences -->")[2].partition("<!-- end licences -->")[0]
    header, _, *rows = [line.strip("| ").split("|") for line in table.split("\n") if line]
    assert [cell.strip(" `") for cell in header[1:]] == list(CLASSES)
    for entry in registry.list_models():
        [cells] = [row for row in rows if row[0].strip() == entry.task]
        assert f"`{entry.name}`" in cells[1 + CLASSES.index(class_of(entry))]
