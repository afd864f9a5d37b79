"""The doctor: what a sound installation looks like, and what it says of a sick one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import Run, run

from audiocli.tasks import checkup

__all__ = ["run"]  # a fixture


def test_a_sound_installation(run: Run, tmp_path: Path) -> None:
    done = run("doctor", "--json")
    findings = {each["what"]: each for each in json.loads(done.out)}
    assert done.status == 0
    assert {"audiocli", "python", "torch", "wav", "mp3", "cpu", "models", "here"} <= set(findings)
    assert not [each for each in findings.values() if each["status"] == "bad"]
    assert all(each["remedy"] for each in findings.values() if each["status"] != "ok")
    assert not list(tmp_path.iterdir())
    plain = run("doctor").out.splitlines()
    assert any(line.startswith("ok    python") for line in plain)


def test_what_is_missing_has_a_remedy(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    real = checkup._version
    versions = {"torch": None, "soxr": "0.0.1", "pyarrow": None}
    monkeypatch.setattr(checkup, "_version", lambda name: versions.get(name, real(name)))
    monkeypatch.setattr(checkup, "_requirements", lambda: {"soxr": "0.4"})
    monkeypatch.setattr(checkup.shutil, "which", lambda name: None)
    findings = {each.what: each for each in checkup.checkup()}
    assert (findings["torch"].status, findings["soxr"].status) == ("bad", "bad")
    assert findings["soxr"].remedy == "run: pip install 'soxr>=0.4'"
    assert findings["pyarrow"].status == findings["fluidsynth"].status == "note"
    assert run("doctor").status == 1


def test_damaged_models_and_full_places_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "models" / "onsets" / "mine"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{")
    monkeypatch.setenv("AUDIOCLI_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(checkup.tempfile, "gettempdir", lambda: "/proc/self")
    findings = list(checkup.checkup())
    bad = {each.what: each.found for each in findings if each.status == "bad"}
    assert "mine" in bad["models"] and "/proc/self" in bad["temporary"]


def test_a_check_that_fails_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def _devices() -> object:
        raise ImportError("libcudart.so: cannot open shared object file")

    monkeypatch.setattr(checkup, "_devices", _devices)
    [finding] = [each for each in checkup.checkup() if each.what == "devices"]
    assert finding.status == "bad" and "libcudart" in finding.found
