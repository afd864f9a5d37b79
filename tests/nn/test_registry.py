"""Model folders: where they are looked for, and what is refused in one clear line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from audiocli.errors import AudioCliError, ModelError, UsageError
from audiocli.nn import registry
from audiocli.nn.card import render
from audiocli.nn.config import REQUIRED

Config = dict[str, Any]


def make(root: Path, name: str, task: str = "separate", **changes: Any) -> Path:
    """Write a model folder as training would, with weights that nobody loads."""
    folder = root / task / name
    folder.mkdir(parents=True)
    weights = folder / registry.WEIGHTS
    weights.write_bytes(f"weights of {folder}".encode())
    config = {
        "format": registry.FORMAT,
        "name": name,
        "task": task,
        "architecture": "drnn",
        "arguments": {},
        "frontend": {},
        "frontend_fingerprint": [1.0],
        "labels": ["vocals", "accompaniment"],
        "parameters": 7,
        "weights_sha256": registry.sha256(weights),
        **changes,
    }
    registry.write_config(folder, config)
    return folder


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Make every place that is searched an empty folder of the test's own."""
    named = {name: tmp_path / name for name in ("first", "second", "package", "checkout", "cache")}
    package = named["package"] / "audiocli"
    for folder in (*named.values(), package):
        folder.mkdir()
    monkeypatch.setattr(registry, "__file__", str(package / "nn" / "registry.py"))
    search = os.pathsep.join(str(named[name]) for name in ("first", "second"))
    monkeypatch.setenv("AUDIOCLI_MODELS", search)
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda app: str(named["cache"] / app))
    found = {
        "first": named["first"],
        "second": named["second"],
        "inside": package / "pretrained",
        "beside": named["package"] / "pretrained",
        "cache": named["cache"] / "audiocli" / "models",
    }
    for folder in found.values():
        folder.mkdir(parents=True, exist_ok=True)
    return found


def test_places_are_searched_in_order(places: dict[str, Path]) -> None:
    assert registry.roots() == list(places.values())
    folders = [make(root, "tiny") for root in places.values()]
    for folder in folders:
        assert registry.find("separate", "tiny").folder == folder
        assert [entry.folder for entry in registry.list_models()] == [folder]
        (folder / registry.CONFIG).unlink()
    assert registry.list_models() == []


def test_a_folder_goes_before_every_name(
    places: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(places["first"], "tiny")
    own = make(tmp_path / "runs", "tiny")
    assert registry.find("separate", str(own)).folder == own
    monkeypatch.chdir(own.parent)
    assert registry.find("separate", "tiny").folder == Path("tiny")
    monkeypatch.chdir(own)
    assert registry.find("separate", ".").config["name"] == "tiny"


def test_places_that_are_not_there_are_passed_over(
    places: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = os.pathsep.join(["/no/such/folder", "", str(places["second"])])
    monkeypatch.setenv("AUDIOCLI_MODELS", gone)
    assert registry.roots()[0] == places["second"]
    monkeypatch.delenv("AUDIOCLI_MODELS")
    assert registry.roots()[0] == places["inside"]


def test_listing_is_by_task_and_name(places: dict[str, Path]) -> None:
    make(places["cache"], "b")
    make(places["first"], "c")
    make(places["inside"], "a", task="tag")
    shown = [(entry.task, entry.name) for entry in registry.list_models()]
    assert shown == [("separate", "b"), ("separate", "c"), ("tag", "a")]
    assert [entry.name for entry in registry.list_models("tag")] == ["a"]
    assert registry.list_models("chords") == []


def test_one_name_in_two_tasks(places: dict[str, Path]) -> None:
    separate, tag = make(places["first"], "tiny"), make(places["first"], "tiny", task="tag")
    assert registry.find("separate", "tiny").folder == separate
    assert registry.find("tag", "tiny").folder == tag
    assert registry.find(None, "tag/tiny").folder == tag
    assert registry.find(None, "separate/tiny").folder == separate
    with pytest.raises(UsageError, match="tiny: several .* give separate/tiny or tag/tiny"):
        registry.find(None, "tiny")


def test_a_damaged_model_is_no_matter_to_its_neighbours(places: dict[str, Path]) -> None:
    sound = make(places["first"], "sound")
    broken = make(places["first"], "broken")
    (broken / registry.CONFIG).write_text("{")
    assert registry.find("separate", "sound").folder == sound
    assert registry.find(None, "separate/sound").folder == sound
    assert str(broken) in refused(lambda: registry.find("separate", "broken"))


def refused(function: Callable[[], object], kind: type[AudioCliError] = ModelError) -> str:
    with pytest.raises(kind) as caught:
        function()
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


def test_unknown_names_are_answered_with_what_there_is(places: dict[str, Path]) -> None:
    assert "There are none" in refused(lambda: registry.find("separate", "tiny"), UsageError)
    make(places["first"], "drnn-mir1k")
    make(places["first"], "tiny")
    make(places["first"], "drnn-tags", task="tag")
    message = refused(lambda: registry.find("separate", "drn-mir1k"), UsageError)
    assert "no model 'drn-mir1k'" in message
    assert "did you mean 'drnn-mir1k'?" in message
    assert message.endswith("There are: drnn-mir1k, tiny; or give a model's folder")
    assert "drnn-tags" in refused(lambda: registry.find(None, "nothing-like-it"), UsageError)
    assert "no model" in refused(lambda: registry.find("separate", ""), UsageError)


def test_a_model_for_another_task_is_refused(places: dict[str, Path]) -> None:
    folder = make(places["first"], "tiny", task="tag")
    for name in ("tiny", "tag/tiny", str(folder)):
        message = refused(lambda name=name: registry.find("separate", name))
        assert message == f"{name}: is a model for 'tag', not for 'separate'"


def test_a_folder_that_holds_no_model_is_refused(tmp_path: Path) -> None:
    message = refused(lambda: registry.find("separate", str(tmp_path)))
    assert message == f"{tmp_path}: no config.json there, so this is not a model folder"


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe\xfa", b"[1, 2", b"{'format': 1}"], ids=repr)
def test_a_configuration_that_is_not_json_is_refused(places: dict[str, Path], text: bytes) -> None:
    file = make(places["first"], "tiny") / registry.CONFIG
    file.write_bytes(text)
    assert refused(lambda: registry.find(None, "tiny")).startswith(f"{file}: is not valid JSON")


@pytest.mark.parametrize("content", [[], "model", 3, None, {}])
def test_a_configuration_of_another_kind_is_refused(
    places: dict[str, Path], content: object
) -> None:
    file = make(places["first"], "tiny") / registry.CONFIG
    file.write_text(json.dumps(content), "utf-8")
    assert refused(registry.list_models).startswith(f"{file}: lacks format, task, name")


@pytest.mark.parametrize("key", [key for key in REQUIRED if key != "format"])
@pytest.mark.parametrize("value", [None, 3.5, "gone"])
def test_a_missing_or_wrong_entry_is_named(
    places: dict[str, Path], key: str, value: object
) -> None:
    file = make(places["first"], "tiny") / registry.CONFIG
    config = json.loads(file.read_text("utf-8"))
    if value == "gone":
        del config[key]
    else:
        config[key] = value
    file.write_text(json.dumps(config), "utf-8")
    assert f"{file}: lacks {key}, or has" in refused(lambda: registry.open_folder(file.parent))


def test_a_later_format_asks_for_an_update(places: dict[str, Path]) -> None:
    make(places["first"], "tiny", format=2)
    assert refused(registry.list_models).endswith(
        "format 2 is not the 1 that this version reads; update audiocli"
    )


def test_verify(places: dict[str, Path]) -> None:
    folder = make(places["first"], "tiny")
    registry.verify(registry.open_folder(folder))
    weights = folder / registry.WEIGHTS
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + b"?")
    message = refused(lambda: registry.verify(registry.open_folder(folder)))
    assert message.startswith(f"{weights}: its SHA-256 is not the one in config.json")
    weights.write_bytes(content)
    registry.verify(registry.open_folder(folder))
    weights.unlink()
    for function in (registry.verify, registry.ModelEntry.summary):
        message = refused(lambda function=function: function(registry.open_folder(folder)))
        assert message == f"{weights}: cannot be read: No such file or directory"


def test_summary(places: dict[str, Path]) -> None:
    score = {"metric": "GNSDR", "value": 7.5, "unit": "dB", "measure": "BSS Eval 3"}
    score |= {"data": "test", "command": "audiocli evaluate"}
    folder = make(places["first"], "tiny", licence="CC0", scores=[score, score])
    assert registry.find(None, "tiny").summary() == {
        "task": "separate",
        "name": "tiny",
        "size": (folder / registry.WEIGHTS).stat().st_size,
        "parameters": 7,
        "licence": "CC0",
        "score": "GNSDR 7.5 dB",
        "path": str(folder),
    }
    bare = registry.open_folder(make(places["first"], "bare"))
    assert (bare.licence, bare.score) == ("unspecified", "")


def test_sha256_is_that_of_the_whole_file(tmp_path: Path) -> None:
    import hashlib

    content = bytes(range(256)) * 8200  # more than two of the pieces it is read in
    (tmp_path / "file").write_bytes(content)
    assert registry.sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_configuration_and_card_are_written_together(tmp_path: Path) -> None:
    folder = make(tmp_path, "tiny", description="Größe: klein")
    entry = registry.open_folder(folder)
    assert (folder / registry.CARD).read_text("utf-8") == render(entry.config)
    registry.write_config(folder, {**entry.config, "licence": "CC0"})
    again = registry.open_folder(folder)
    assert again.config == {**entry.config, "licence": "CC0"}
    assert (folder / registry.CARD).read_text("utf-8") == render(again.config)
    assert sorted(path.name for path in folder.iterdir()) == [
        registry.CARD,
        registry.CONFIG,
        registry.WEIGHTS,
    ]


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["train", "separate", "/home/me/music/mir1k/train"], "train separate mir1k/train"),
        (["-o", "/runs"], "-o runs"),
        (["--licence", "by: me", "runs/a"], "--licence 'by: me' runs/a"),
    ],
)
def test_a_command_is_shown_without_this_machines_folders(
    argv: list[str], shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["audiocli", *argv])
    assert registry.command_line() == f"audiocli {shown}"


def test_commit_is_that_of_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "audiocli"
    package.mkdir()
    monkeypatch.setattr(registry, "__file__", str(package / "nn" / "registry.py"))
    assert registry.commit() is None

    def git(*words: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        command = ["git", "-C", str(tmp_path), *who, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    git("init")
    assert registry.commit() is None  # nothing committed yet
    (package / "file").write_text("1")
    git("add", ".")
    git("commit", "-m", "one")
    assert registry.commit() == git("rev-parse", "HEAD")
    (package / "file").write_text("2")
    assert registry.commit() == git("rev-parse", "HEAD") + "+"
