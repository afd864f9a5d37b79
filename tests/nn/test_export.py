"""Models as ONNX files compute what torch does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from commands import Run, run
from places import ROOT

from audiocli.errors import ModelError, UsageError
from audiocli.nn import models, registry
from audiocli.nn.export import TOLERANCE, export_onnx
from audiocli.nn.stereo import FRONTEND, StereoDRNN
from audiocli.tasks.separate.separator import estimate

__all__ = ["run"]  # a fixture

onnx = pytest.importorskip("onnx", reason="the package onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

#: Found by an iteration that has no graph; windows that are counted from the input; a memory.
REFUSED = ("features/nmf", "features/dictionary", "classify/audioset", "separate/live-drnn")
SHIPPED = sorted(
    f"{folder.parent.name}/{folder.name}" for folder in (ROOT / "pretrained").glob("*/*")
)


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", [name for name in SHIPPED if name not in REFUSED])
def test_every_shipped_model_is_exported(tmp_path: Path, name: str) -> None:
    exported = export_onnx(registry.find(None, name), tmp_path / "a.onnx")
    assert exported.difference is not None
    assert exported.difference <= TOLERANCE
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]
    described = session(exported.path).get_modelmeta().custom_metadata_map
    assert json.loads(described["task"]) == name.split("/")[0]


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_exported_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match=f"{name}: cannot be exported to ONNX"):
        export_onnx(registry.find(None, name), tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("frames", [1, 7, 333])
def test_onsets_of_any_length(tmp_path: Path, frames: int) -> None:
    entry = registry.find("onsets", "crnn")
    network = models.load(entry)
    path = export_onnx(entry, tmp_path / "a.onnx").path
    config = network.frontend.config
    audio = torch.from_numpy(
        np.random.default_rng(0).normal(size=(1, config.hop_length * (frames - 1))) / 10
    ).float()
    with torch.inference_mode():
        images, expected = network.frontend(audio), network(audio)
    (computed,) = session(path).run(None, {"images": images.numpy()})
    assert computed.shape == expected.shape
    assert np.abs(computed - expected.numpy()).max() < TOLERANCE


def test_a_difference_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audiocli.nn.export.TOLERANCE", -1.0)
    with pytest.raises(ModelError, match="differ from torch"):
        export_onnx(registry.find("features", "pca"), tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_names_of_files(tmp_path: Path) -> None:
    entry = registry.find("features", "pca")
    with pytest.raises(UsageError, match=r"ends in \.onnx"):
        export_onnx(entry, tmp_path / "a.bin")
    path = export_onnx(entry, tmp_path / "a.onnx").path
    with pytest.raises(UsageError, match="exists"):
        export_onnx(entry, path)
    export_onnx(entry, path, overwrite=True)


def test_by_the_command(run: Run, tmp_path: Path) -> None:
    done = run("models", "export", "onsets/online", "--onnx", "a.onnx")
    assert done.status == 0
    assert done.out.strip() == "a.onnx"
    assert "largest difference from torch" in done.err
    assert "images (batch, 2, 120, frames)" in done.err
    done = run("models", "export", "features/nmf", "--onnx", "b.onnx")
    assert done.status != 0 and "nmf: cannot be exported" in done.err


def test_without_onnx_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UsageError, match=r"audiocli\[onnx\]"):
        export_onnx(registry.find("features", "pca"), tmp_path / "a.onnx")


def test_the_page_separates_without_torch(tmp_path: Path) -> None:
    """What docs/export.md shows gives the accompaniment that torch does."""
    torch.manual_seed(0)
    network = StereoDRNN(FRONTEND, channels=[4, 8], num_recurrent=1).eval()
    config = {
        "task": "separate",
        "architecture": "stereo-drnn",
        "arguments": {"channels": [4, 8], "num_recurrent": 1},
        "labels": ["vocals", "accompaniment"],
        "decoder": {},
        "training": {},
        "scores": [],
    }
    entry = models.save(network, tmp_path / "tiny", config)
    export_onnx(entry, tmp_path / "tiny.onnx")
    mixture = np.random.default_rng(0).normal(scale=0.1, size=(2, 50_001)).astype(np.float32)
    sf.write(tmp_path / "song.wav", mixture.T, 44_100, subtype="FLOAT")
    page = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    (tmp_path / "karaoke.py").write_text(
        f"import sys\nsys.modules['torch'] = sys.modules['audiocli'] = None\n{script}",
        encoding="utf-8",
    )
    subprocess.run(
        [sys.executable, "karaoke.py", "tiny.onnx", "song.wav", "out.wav"],
        cwd=tmp_path,
        check=True,
    )
    gain = 1 / float(np.sqrt(np.mean(mixture**2)))
    vocals = estimate(network, mixture, gain=gain)[0]
    accompaniment = sf.read(tmp_path / "out.wav", dtype="float32")[0].T
    assert np.abs(accompaniment - (mixture - vocals)).max() < 1e-4
