"""Training shared by processes: the same network as by one, one writer, one log."""

from __future__ import annotations

import dataclasses
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file

from audiocli.errors import UsageError
from audiocli.nn.distributed import Ranks, join
from audiocli.nn.draws import Draws

gloo = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()),
    reason="this torch has no gloo, by which processes share a training run on CPUs",
)
#: A training run without dropout and batch normalisation; one weight has no part in the loss.
SCRIPT = """
import sys
from pathlib import Path
import numpy as np, torch
from torch import nn
from audiocli.nn.distributed import leave
from audiocli.nn.fit import FitConfig, fit

folder = Path(sys.argv[1])
torch.manual_seed(0)
network = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
network.register_parameter("unused", nn.Parameter(torch.ones(2)))
seen, drawn = [], []

def batches(rng, size):
    drawn.append(size)
    x = torch.from_numpy(rng.normal(size=(size, 3))).float()
    return x, x.sum(dim=1, keepdim=True)

def loss(net, batch):
    seen.append(len(batch[0]))
    return (net(batch[0]) - batch[1]).square().mean()

def score(net):
    rng = np.random.default_rng(9)
    with torch.no_grad():
        return -loss(net, batches(rng, 8)).item()

recipe = FitConfig(4, 5, 8, learning_rate=0.02, warmup=2)
fit(network, batches, loss, score, recipe, folder,
    keep=lambda net, epoch: print("kept", flush=True),
    report=lambda epoch: print("epoch", epoch.number, f"{epoch.loss:.5f}", flush=True))
print("share", min(seen), "drawn", sum(drawn), flush=True)
leave()
"""


def launch(script: str, size: int, *words: object) -> list[str]:
    """Start processes as torchrun does, and give what each of them printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1",
              "MASTER_PORT": str(port), "WORLD_SIZE": str(size)}  # fmt: skip
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, *map(str, words)], text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(size)
    ]  # fmt: skip
    ends = [process.communicate(timeout=600) for process in running]
    assert [process.returncode for process in running] == [0] * size, ends
    return [out for out, _ in ends]


@gloo
def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    alone = launch(SCRIPT, 1, tmp_path / "one")
    shared = launch(SCRIPT, 2, tmp_path / "two")
    # Each draws its own part of 20 batches of 8; the first scores 4 times besides, on 8 more.
    assert "share 8 drawn 192" in alone[0] and "share 4 drawn 112" in shared[0]
    assert "share 4 drawn 80" in shared[1] and "epoch" not in shared[1] and "kept" not in shared[1]
    losses = [
        [float(line.split()[2]) for line in out.splitlines() if line.startswith("epoch")]
        for out in (alone[0], shared[0])
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3, abs=1e-4) and len(losses[0]) == 4
    one, two = (load_file(tmp_path / name / "checkpoint.safetensors") for name in ("one", "two"))
    for name in one:
        if name.startswith(("network.", "average.")):
            assert torch.allclose(one[name], two[name], atol=1e-5), name
    rows = [(tmp_path / name / "log.csv").read_text().splitlines() for name in ("one", "two")]
    assert len(rows[0]) == len(rows[1]) == 21  # one process writes


@gloo
def test_the_command_runs_in_two_processes(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
import numpy as np, soundfile
from audiocli.cli import main
folder = Path(sys.argv[1])
sys.argv = ["audiocli", "train", "onsets", str(folder / "data"), "--dev", str(folder / "data"),
            "-o", str(folder / "run"), "--arch", "rnn", "--hidden-size", "4", "--layers", "1",
            "--epochs", "2", "--steps", "2", "--batch-size", "2", "--seconds", "0.5"]
main()
"""
    import soundfile

    data = tmp_path / "data"
    data.mkdir()
    soundfile.write(data / "a.wav", np.random.default_rng(0).normal(size=32_000) / 10, 16_000)
    (data / "a.onsets").write_text("0.5\n1.0\n")
    first, second = launch(script, 2, tmp_path)
    assert first.strip() == str(tmp_path / "run") and second == ""
    assert {"config.json", "config.toml", "curve.png", "log.csv"} <= set(
        os.listdir(tmp_path / "run")
    )


@dataclasses.dataclass(frozen=True)
class Batch:
    x: torch.Tensor
    y: torch.Tensor


def test_each_process_draws_its_part_of_what_one_draws() -> None:
    made: list[int] = []

    def make(rng: np.random.Generator, size: int) -> tuple[torch.Tensor, Batch]:
        made.append(size)
        x = torch.from_numpy(rng.normal(size=(size, 2)))
        return x, Batch(x + 1, x[:, 0])

    def drawn(together: int, ranks: Ranks) -> tuple[torch.Tensor, Batch]:
        draws = Draws(make, 12, together, ranks)
        return draws.batch(draws.seeds(np.random.default_rng(0)))

    for together in (1, 2):
        x, whole = drawn(together, Ranks())
        parts = [drawn(together, Ranks(rank, 3)) for rank in range(3)]
        assert torch.equal(torch.cat([part[0] for part in parts]), x) and len(x) == 12
        assert torch.equal(torch.cat([part[1].x for part in parts]), whole.x)
        assert torch.equal(torch.cat([part[1].y for part in parts]), whole.y)
        assert len(x.unique()) == 24
    made.clear()
    assert len(drawn(5, Ranks())[0]) == 12 and made == [5, 5, 2]
    with pytest.raises(UsageError, match="a batch of 12 cannot be shared by 5 processes"):
        drawn(1, Ranks(0, 5))
    with pytest.raises(UsageError, match="a batch of 12, 4 at a time, cannot be shared by 2"):
        drawn(4, Ranks(0, 2))


def test_alone_there_is_nothing_to_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert join(torch.device("cpu")) == Ranks(0, 1)


def test_without_gloo_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(dist, "is_gloo_available", lambda: False)
    with pytest.raises(UsageError, match="this torch has no gloo"):
        join(torch.device("cpu"))
