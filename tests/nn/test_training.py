"""The training loop: it learns, and goes on exactly where it was stopped."""

from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from stopping import stop_at
from torch import Tensor, nn

from audiocli.errors import ModelError, UsageError
from audiocli.nn.fit import Epoch, FitConfig, Step, fit

State = dict[str, Tensor]
SMALL = FitConfig(epochs=4, steps=6, batch_size=8, learning_rate=0.05, average=0.9)
TARGET = torch.tensor([[1.0], [-2.0], [0.5]])


def toy(seed: int = 0) -> nn.Module:
    """Make a network with all that has a state: dropout, running statistics, weights."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1)
    )


def batches(rng: np.random.Generator, size: int) -> Tensor:
    return torch.from_numpy(rng.normal(size=(size, 3))).float()


def loss(network: nn.Module, batch: Tensor) -> Tensor:
    error: Tensor = network(batch) - batch @ TARGET
    return (error**2).mean()


def score(network: nn.Module) -> float:
    with torch.no_grad():
        return -loss(network, batches(np.random.default_rng(99), 16)).item()


def run(network: nn.Module, folder: Path, recipe: FitConfig = SMALL, **changes: Any) -> list[Epoch]:
    functions: dict[str, Any] = {
        "batches": batches,
        "loss": loss,
        "score": score,
        "keep": lambda net, epoch: None,
    }
    functions |= changes
    return fit(network, recipe=recipe, checkpoint=folder, **functions)


def state(network: nn.Module) -> State:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def same(one: State, two: State) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def numbers(history: list[Epoch]) -> list[tuple[int, float, float, bool]]:
    return [(e.number, e.loss, e.score, e.best) for e in history]


@pytest.mark.parametrize("average", [0.0, 0.98])
def test_it_learns(tmp_path: Path, average: float) -> None:
    torch.manual_seed(0)
    line = nn.Linear(3, 1)
    recipe = FitConfig(epochs=3, steps=100, learning_rate=0.05, average=average, weight_decay=0)
    told: list[Epoch] = []
    steps: list[tuple[int, int]] = []
    history = run(
        line,
        tmp_path,
        recipe,
        report=told.append,
        progress=lambda step: steps.append((step.done, step.total)),
    )
    assert torch.allclose(line.weight.detach(), TARGET.T, atol=1e-3)
    assert history[0].loss > 100 * history[-1].loss
    assert history[-1].score > -1e-4
    assert told == history
    assert [epoch.number for epoch in history] == [1, 2, 3]
    assert steps == [(done, 100) for _ in range(3) for done in range(1, 101)]
    seconds = [epoch.seconds for epoch in history]
    assert 0 < seconds[0] < seconds[1] < seconds[2]


@pytest.mark.parametrize("stopped", [3, 6, 7, 16, 23])
def test_stopped_and_resumed_is_uninterrupted(tmp_path: Path, stopped: int) -> None:
    whole = toy()
    history = run(whole, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(toy(), tmp_path / "parts", progress=stop_at(stopped))
    # Before the first checkpoint the caller's own seed decides, after it nothing does.
    resumed = toy(0 if stopped <= 6 else 1).eval()  # the loop puts it into training
    torch.rand(7)
    assert numbers(run(resumed, tmp_path / "parts")) == numbers(history)
    assert same(state(resumed), state(whole))
    one, two = (
        load_file(tmp_path / name / "checkpoint.safetensors") for name in ("whole", "parts")
    )
    assert any(name.startswith("optimizer.") for name in one)  # moments of AdamW
    assert same(one, two)


def test_dropout_and_data_differ_from_epoch_to_epoch(tmp_path: Path) -> None:
    seen: list[Tensor] = []

    def record(rng: np.random.Generator, size: int) -> Tensor:
        seen.append(batches(rng, size))
        return seen[-1]

    with pytest.raises(KeyboardInterrupt):
        run(toy(), tmp_path, batches=record, progress=stop_at(13))
    first = len(seen)
    run(toy(), tmp_path, batches=record)
    size = SMALL.batch_size
    kept, again = seen[: 12 * size], seen[first:]
    assert len(kept) + len(again) == SMALL.epochs * SMALL.steps * size
    every = [tuple(batch.flatten().tolist()) for batch in kept + again]
    assert len(set(every)) == len(every)


def test_a_finished_run_is_left_alone(tmp_path: Path) -> None:
    network = toy()
    history = run(network, tmp_path)

    def never(*_: Any) -> Any:
        raise AssertionError("nothing is left to do")

    other = toy(5)
    assert run(other, tmp_path, batches=never, score=never, keep=never) == history
    assert same(state(other), state(network))


def test_one_seed_one_result_another_seed_another(tmp_path: Path) -> None:
    networks = [toy(), toy(), toy()]
    for network, name, seed in zip(networks, "abc", (0, 0, 1), strict=True):
        run(network, tmp_path / name, dataclasses.replace(SMALL, seed=seed))
    assert same(state(networks[0]), state(networks[1]))
    assert not same(state(networks[0]), state(networks[2]))


def test_another_recipe_is_refused_by_name(tmp_path: Path) -> None:
    run(toy(), tmp_path)
    other = dataclasses.replace(SMALL, learning_rate=0.1, epochs=9)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    with pytest.raises(ModelError) as caught:
        run(toy(), tmp_path, other)
    message = str(caught.value)
    assert "(epochs, learning_rate differ)" in message
    assert message.startswith(str(tmp_path / "checkpoint.safetensors"))
    assert "\n" not in message
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before


def test_another_network_is_refused(tmp_path: Path) -> None:
    run(toy(), tmp_path)
    with pytest.raises(ModelError, match="^.*checkpoint.safetensors: is of another network: .*$"):
        run(nn.Linear(3, 1), tmp_path)


def _truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _garble(file: Path) -> None:
    file.write_bytes(b"\xff" * 5000)


def _foreign(file: Path) -> None:
    save_file({"a": torch.zeros(3)}, file)


def _spoil_facts(file: Path) -> None:
    save_file(load_file(file), file, metadata={"facts": "{not JSON"})


def _pickle(file: Path) -> None:
    torch.save({"network": torch.zeros(3)}, file)


@pytest.mark.parametrize("damage", [_truncate, _empty, _garble, _foreign, _spoil_facts, _pickle])
def test_a_damaged_checkpoint_is_one_clear_line(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    run(toy(), tmp_path)
    file = tmp_path / "checkpoint.safetensors"
    damage(file)
    with pytest.raises(ModelError) as caught:
        run(toy(), tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{file}: is not a checkpoint")
    assert message.endswith("delete it to start anew")
    assert "\n" not in message


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_divergence_is_an_error_and_keeps_the_checkpoint(tmp_path: Path, value: float) -> None:
    seen = 0

    def diverging(network: nn.Module, batch: Tensor) -> Tensor:
        nonlocal seen
        seen += 1
        return loss(network, batch) * (value if seen == 9 else 1.0)

    with pytest.raises(
        ModelError, match="^training diverged at step 9: .*the checkpoint of epoch 1 is kept; "
    ):
        run(toy(), tmp_path, loss=diverging)
    stored = load_file(tmp_path / "checkpoint.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in stored.values())
    with safe_open(tmp_path / "checkpoint.safetensors", "pt") as opened:
        facts = json.loads(opened.metadata()["facts"])
    assert len(facts["history"]) == 1


def test_folder_that_cannot_be_made_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    def worked(network: nn.Module, batch: Tensor) -> Tensor:
        raise AssertionError("trained for nothing")

    with pytest.raises(UsageError, match="file/checkpoint: cannot be made: "):
        run(toy(), tmp_path / "file" / "checkpoint", loss=worked)


def test_epoch_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    def full(network: nn.Module, epoch: Epoch) -> None:
        if epoch.number == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    rising = {"score": scored([1.0, 2.0]), "keep": full}
    with pytest.raises(ModelError, match="epoch 2 cannot be written .*No space left"):
        run(toy(), tmp_path, **rising)
    assert [epoch.number for epoch in run(toy(), tmp_path)] == [1, 2, 3, 4]


def test_scores_that_are_no_numbers_count_as_no_gain(tmp_path: Path) -> None:
    recipe = dataclasses.replace(SMALL, patience=2)
    history = run(toy(), tmp_path, recipe, score=lambda network: math.nan)
    assert [epoch.best for epoch in history] == [False, False]


def scored(values: list[float]) -> Callable[[nn.Module], float]:
    remaining = iter(values)
    return lambda network: next(remaining)


def test_the_best_is_kept(tmp_path: Path) -> None:
    kept: list[tuple[int, State]] = []
    scores: list[State] = []
    marks = iter([1.0, 3.0, 3.0, 2.0])

    def watch(network: nn.Module) -> float:
        assert not network.training
        scores.append(state(network))
        return next(marks)

    history = run(
        toy(), tmp_path, score=watch, keep=lambda net, e: kept.append((e.number, state(net)))
    )
    assert [epoch.best for epoch in history] == [True, True, False, False]
    assert [number for number, _ in kept] == [1, 2]
    assert same(kept[1][1], scores[1])  # what is kept is what was scored


def test_a_resumed_run_knows_the_best(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(toy(), tmp_path, score=scored([5.0]), progress=stop_at(7))
    kept: list[int] = []
    history = run(
        toy(),
        tmp_path,
        score=scored([4.0, 6.0, 1.0]),
        keep=lambda net, epoch: kept.append(epoch.number),
    )
    assert kept == [3]
    assert [epoch.score for epoch in history] == [5.0, 4.0, 6.0, 1.0]


def test_patience(tmp_path: Path) -> None:
    recipe = FitConfig(epochs=20, steps=1, patience=3)
    marks = [1.0, 2.0, 0.0, 1.5, 2.5, 2.5, 0.0, 2.4, 9.0]
    history = run(toy(), tmp_path, recipe, score=scored(marks))
    assert len(history) == 8
    assert run(toy(), tmp_path, recipe, score=scored([])) == history  # still out of patience


def test_no_patience_runs_to_the_end(tmp_path: Path) -> None:
    recipe = FitConfig(epochs=6, steps=1)
    assert len(run(toy(), tmp_path, recipe, score=scored([6.0, 5, 4, 3, 2, 1]))) == 6


def test_without_average_the_network_itself_is_scored(tmp_path: Path) -> None:
    network = toy()
    compared = []

    def watch(scored_network: nn.Module) -> float:
        compared.append(same(state(scored_network), state(network)))
        return 0.0

    run(network, tmp_path, dataclasses.replace(SMALL, average=0), score=watch)
    assert compared == [True] * SMALL.epochs


def test_the_average_is_the_moving_average(tmp_path: Path) -> None:
    network = toy()
    expected = state(network)
    step = 0
    seen: list[State] = []

    def follow(told: Step) -> None:
        nonlocal step
        decay = min(SMALL.average, (1 + step) / (10 + step))
        for name, value in state(network).items():
            if value.is_floating_point():
                expected[name] = decay * expected[name] + (1 - decay) * value
            else:
                expected[name] = value
        step += 1

    def watch(averaged: nn.Module) -> float:
        seen.append(state(averaged))
        return 0.0

    run(network, tmp_path, dataclasses.replace(SMALL, epochs=1), progress=follow, score=watch)
    assert seen[0].keys() == expected.keys()
    for name, value in expected.items():
        assert torch.allclose(seen[0][name].float(), value.float(), atol=1e-5), name
    assert not torch.allclose(seen[0]["0.weight"], network.state_dict()["0.weight"], atol=1e-4)


def test_lbfgs_solves_and_resumes(tmp_path: Path) -> None:
    recipe = FitConfig(epochs=2, steps=3, optimizer="lbfgs", average=0)
    with pytest.raises(KeyboardInterrupt):
        run(nn.Linear(3, 1), tmp_path, recipe, progress=stop_at(4))
    resumed = nn.Linear(3, 1)
    history = run(resumed, tmp_path, recipe)
    assert len(history) == 2
    assert torch.allclose(resumed.weight.detach(), TARGET.T, atol=1e-4)


def test_lbfgs_takes_gradients_as_they_are(tmp_path: Path) -> None:
    # Shortened gradients do not belong to the loss, and lead the line search astray.
    lengths = []
    network = toy()

    def watch(net: nn.Module, batch: Tensor) -> Tensor:
        value = loss(net, batch)
        network[0].weight.register_hook(lambda gradient: lengths.append(gradient.norm().item()))
        return 1e3 * value

    recipe = FitConfig(epochs=1, steps=1, optimizer="lbfgs", clip_norm=1e-3)
    run(network, tmp_path, recipe, loss=watch)
    kept = network[0].weight.grad
    assert kept is not None
    assert kept.norm().item() == pytest.approx(lengths[-1], rel=1e-5)
    assert lengths[-1] > 0.1


def test_gradients_are_shortened(tmp_path: Path) -> None:
    lengths = []
    network = toy()

    def measure(told: Step) -> None:
        gradients = [p.grad.flatten() for p in network.parameters() if p.grad is not None]
        lengths.append(torch.cat(gradients).norm().item())

    recipe = dataclasses.replace(SMALL, clip_norm=0.01, epochs=1)
    run(network, tmp_path, recipe, progress=measure)
    assert max(lengths) <= 0.0101
    assert min(lengths) > 0.005


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_half_precision_is_for_matrix_products(tmp_path: Path, precision: str) -> None:
    kinds = set()

    def watch(network: nn.Module, batch: Tensor) -> Tensor:
        output = network(batch)
        kinds.add(output.dtype)
        return ((output.float() - batch @ TARGET) ** 2).mean()

    network = toy()
    run(network, tmp_path, dataclasses.replace(SMALL, precision=precision, epochs=1), loss=watch)
    assert kinds == {getattr(torch, precision)}
    assert all(p.dtype == torch.float32 for p in network.parameters())


def test_learning_rate_warms_up_holds_and_falls_to_zero() -> None:
    recipe = FitConfig(epochs=10, steps=100, learning_rate=0.2)
    rates = [recipe.rate_at(step) for step in range(1000)]
    assert rates[0] == pytest.approx(0.002)
    assert rates[99:500] == [0.2] * 401
    assert rates[750] == pytest.approx(0.1)
    assert 0 < rates[999] < 1e-5
    assert np.all(np.diff(rates[:100]) > 0)
    assert np.all(np.diff(rates[500:]) <= 0)


@pytest.mark.parametrize(
    "wrong", [{"optimizer": "sgd"}, {"epochs": 0}, {"steps": 0}, {"batch_size": -1}]
)
def test_impossible_recipes_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        FitConfig(**wrong)


def test_the_checkpoint_is_replaced_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(toy(), tmp_path, progress=stop_at(7))
    before = (tmp_path / "checkpoint.safetensors").read_bytes()

    def fail(tensors: State, file: Path, metadata: dict[str, str]) -> None:
        Path(file).write_bytes(b"half a checkpoint")
        raise OSError("no space left")

    monkeypatch.setattr("audiocli.nn.checkpoint.save_file", fail)
    with pytest.raises(ModelError, match="epoch 2 cannot be written .*no space left"):
        run(toy(), tmp_path)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
    monkeypatch.undo()
    whole = toy()
    run(whole, tmp_path / "whole")
    resumed = toy(3)
    run(resumed, tmp_path)
    assert same(state(resumed), state(whole))


def test_a_compiled_network_learns_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[Any] = []

    def compile(function: Any, **_: Any) -> Any:  # a real one takes half a minute
        compiled.append(function)
        return function

    monkeypatch.setattr(torch, "compile", compile)
    plain, quick = toy(), toy()
    run(plain, tmp_path / "plain")
    assert not compiled
    run(quick, tmp_path / "quick", dataclasses.replace(SMALL, compiled=True))
    assert len(compiled) == 2  # next to nothing, to see whether it goes, then network and loss
    assert same(state(plain), state(quick))


def test_without_a_compiler_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def compile(function: Any, **_: Any) -> Any:
        raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found\nin config.cpp.cxx")

    monkeypatch.setattr(torch, "compile", compile)
    with pytest.raises(UsageError, match=r"a C\+\+ compiler .*No working C.. compiler found.; tr"):
        run(toy(), tmp_path, dataclasses.replace(SMALL, compiled=True))


def test_statistics_of_normalisation_stay_where_they_are_asked_to(tmp_path: Path) -> None:
    def statistics(keep: bool) -> torch.Tensor:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        recipe = FitConfig(epochs=1, steps=5, keep_statistics=keep, average=0)
        fit(
            network,
            lambda rng, size: torch.from_numpy(rng.normal(5, 2, size=(size, 1))).float(),
            lambda net, x: (net(x) ** 2).mean(),
            lambda net: 0.0,
            recipe,
            tmp_path / str(keep),
            keep=lambda net, epoch: None,
        )
        return network[1].running_mean

    assert not statistics(True).any()
    assert statistics(False).any()
