"""Model cards, and what every shipped model must state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from places import ROOT

from audiocli.nn import registry
from audiocli.nn.card import render

PRETRAINED = ROOT / "pretrained"
SHIPPED = sorted(file.parent for file in PRETRAINED.glob("*/*/config.json"))

FULL: dict[str, Any] = {
    "name": "tiny",
    "description": "A small one.",
    "task": "separate",
    "architecture": "drnn",
    "parameters": 1234567,
    "labels": ["vocals", "accompaniment"],
    "licence": "CC-BY-4.0",
    "training": {
        "data": [
            {"name": "clips", "clips": 12, "minutes": 3.5, "licence": "CC0"},
            {"name": "songs", "clips": 2, "minutes": 8.0, "licence": "for research"},
        ],
        "split": "by singer",
        "command": "audiocli train separate clips songs",
        "hours": 1.5,
        "machine": "x86_64, 1 threads",
        "version": "0.1.0",
        "commit": "abc123",
    },
    "scores": [
        {
            "metric": "vocals GNSDR",
            "value": 7.25,
            "unit": "dB",
            "measure": "BSS Eval 3",
            "data": "test",
            "command": "audiocli evaluate separate test",
        }
    ],
    "limits": "Trained on karaoke alone.",
}


@pytest.mark.parametrize(
    "line",
    [
        "# tiny",
        "A small one.",
        "- Task: `separate`",
        "- Architecture: `drnn`, 1,234,567 parameters",
        "- Labels: vocals, accompaniment",
        "- Licence of the weights: CC-BY-4.0",
        "- clips: 12 clips, 3.5 minutes; licence: CC0",
        "- songs: 2 clips, 8.0 minutes; licence: for research",
        "Split: by singer",
        "| vocals GNSDR | 7.25 dB | BSS Eval 3 | test |",
        "audiocli evaluate separate test",
        "audiocli train separate clips songs",
        "Hours of training: 1.5; Machine: x86_64, 1 threads; audiocli: 0.1.0; Commit: abc123.",
        "Trained on karaoke alone.",
    ],
)
def test_the_card_says_it(line: str) -> None:
    assert line in render(FULL).splitlines()


def test_a_bare_model_has_a_card_that_admits_it() -> None:
    keys = ("name", "task", "architecture", "labels")
    card = render({key: FULL[key] for key in keys})
    assert "- Licence of the weights: unspecified" in card.splitlines()
    assert "None measured yet." in card.splitlines()
    assert "Train it again" not in card
    assert "Limits" not in card


def test_a_model_trained_on_from_another_tells_of_both() -> None:
    second = {**FULL["training"], "command": "audiocli train separate songs --from a"}
    second["earlier"] = [FULL["training"]]
    lines = render({**FULL, "training": second}).splitlines()
    again = lines.index("## Train it again")
    commands = [line for line in lines[again:] if line.startswith("audiocli train")]
    assert commands == [FULL["training"]["command"], second["command"]]
    assert lines.index("First trained on") < lines.index("Then on")


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
class TestShipped:
    def test_states_data_licence_and_split(self, folder: Path) -> None:
        config = registry.open_folder(folder).config
        assert config["licence"] not in ("", "unspecified")
        training = config["training"]
        found = [data for run in [*training.get("earlier", []), training]
                 for data in run.get("data", [])]  # fmt: skip
        assert found
        for data in found:
            assert data["name"]
            assert data["clips"] > 0
            assert data["minutes"] > 0
            assert data["licence"] not in ("", "unspecified")
        assert training["split"]
        # One encoder begins with weights that others trained; a recipe fetches them.
        assert training["command"].startswith(("audiocli train ", "python docs/recipes/"))

    def test_states_held_out_scores(self, folder: Path) -> None:
        scores = registry.open_folder(folder).config["scores"]
        # Training scores the clips that chose the epoch; `evaluate` and a cross-validation, in
        # which every clip is scored by weights that were not trained on it, score others.
        held_out = [
            score
            for score in scores
            if score["command"].startswith("audiocli evaluate ")
            or "--cross-validate" in score["command"]  # as it was called
            or "--folds" in score["command"]
        ]
        assert held_out, "measure it on clips that neither trained nor chose it"
        for score in held_out:
            assert score["metric"]
            assert score["data"] and score["measure"]
            assert isinstance(score["value"], float)

    def test_names_agree(self, folder: Path) -> None:
        entry = registry.open_folder(folder)
        assert entry.config["name"] == folder.name
        assert entry.task == folder.parent.name

    def test_card_is_made_from_the_configuration(self, folder: Path) -> None:
        config = registry.open_folder(folder).config
        assert (folder / registry.CARD).read_text("utf-8") == render(config)

    def test_weights_are_those_that_were_measured(self, folder: Path) -> None:
        registry.verify(registry.open_folder(folder))

    def test_loads(self, folder: Path) -> None:
        from audiocli.nn import models

        entry = registry.open_folder(folder)
        network = models.load(entry)
        assert models.parameter_count(network) == entry.config["parameters"]

    def test_tells_nothing_of_the_machine(self, folder: Path) -> None:
        text = (folder / registry.CONFIG).read_text("utf-8")
        for place in ("/home/", "/root/", "/tmp/", "/Users/", "../"):
            assert place not in text


def test_pretrained_holds_models_and_nothing_else() -> None:
    allowed = {registry.CONFIG, registry.WEIGHTS, registry.CARD}
    files = [path for path in PRETRAINED.rglob("*") if path.is_file()]
    assert {path.name for path in files} <= allowed
    assert {path.parent for path in files} == set(SHIPPED)
    assert sum(path.stat().st_size for path in files) < 60e6
    for path in files:
        if path.name == registry.WEIGHTS:  # safetensors, not a pickle that goes by its name
            content = path.read_bytes()
            size = int.from_bytes(content[:8], "little")
            assert isinstance(json.loads(content[8 : 8 + size]), dict)
