"""The networks: every registered architecture, its files, and the recurrent layers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audiocli.errors import ModelError, UsageError
from audiocli.nn import models, registry
from audiocli.nn.bases import BasisNetwork
from audiocli.nn.external import ExternalNetwork
from audiocli.nn.frontend import FilterbankConfig, StftConfig
from audiocli.nn.fusing import fuse
from audiocli.nn.masking import MaskingNetwork, soft_mask
from audiocli.nn.recurrent import ElmanLayer, HiddenStack, recurrent_layer

Array = NDArray[np.float64]

#: Arguments that make each architecture small; a new architecture needs an entry.
SMALL: dict[str, dict[str, Any]] = {
    "drnn": {"hidden_size": 8},
    "conv-drnn": {"channels": [4, 6], "num_recurrent": 1},
    "stereo-drnn": {"channels": [4, 6], "num_recurrent": 1, "bands": [[64, 1], [32, 2]]},
    "frame-rnn": {"hidden_size": 3},
    "frame-crnn": {"channels": [2, 3], "embedding_size": 4, "hidden_size": 3},
    "frame-tcn": {"channels": [4, 8], "hidden_size": 12, "num_layers": 2},
    "chord-crnn": {"octaves": 1, "channels": [4, 8, 16], "num_circles": 1, "num_qualities": 2},
    **{name: {"components": 3} for name in ("pca", "nmf", "dictionary", "kmeans")},
    "autoencoder": {"components": 3, "hidden_size": 5},
    "clip-mlp": {"num_outputs": 2, "hidden_size": 3},
    "clip-rnn": {"num_outputs": 2, "hidden_size": 3},
    "clip-cnn": {"num_outputs": 2, "channels": [8, 16]},
    "clip-mobile": {"num_outputs": 2, "channels": [16, 48]},
    "clip-musicnn": {"num_outputs": 2, "filters": [[3, 2, 2, 2, 2]], "units": 8, "frames": 30},
    "clip-harmony": {"octaves": 1, "channels": [4, 8, 16], "num_circles": 1, "num_outputs": 2},
    "head": {"inputs": 300, "num_outputs": 2},
}
#: More of each architecture's arguments, all of which must work.
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("drnn", {"recurrent_layers": []}),
    ("drnn", {"recurrent_layers": [1, 2, 3], "nonlinearity": "sigmoid", "context": 1}),
    ("drnn", {"cell": "lstm", "bidirectional": True, "power": 0.5, "dropout": 0.2}),
    ("drnn", {"cell": "gru", "num_layers": 1, "recurrent_layers": [1], "context": 5}),
    ("conv-drnn", {"num_recurrent": 0}),
    ("conv-drnn", {"num_recurrent": 2, "cell": "rnn", "nonlinearity": "relu"}),
    ("conv-drnn", {"cell": "gru", "bidirectional": False, "channels": [3, 5, 7]}),
    ("stereo-drnn", {"num_sources": 4, "bands": [[32, 4]]}),
]
#: Channels that a network takes together, between the batch and the samples.
CHANNELS = {"stereo-drnn": (2,)}
FRONTEND = StftConfig(n_fft=256, hop_length=128)
BANK = FilterbankConfig(8000, (128, 256), 80, 12, fmax=4000.0)
#: Those of other packages have tests of their own, which skip where the package is missing.
ALL = sorted(
    name
    for name, cls in models.architectures().items()
    # live-drnn carries a state along; test_live.py has its tests
    if not issubclass(cls, ExternalNetwork) and name != "live-drnn"
)
NAMES = [name for name in ALL if issubclass(models.architectures()[name], MaskingNetwork)]
BASES = [name for name in ALL if issubclass(models.architectures()[name], BasisNetwork)]
FRAMEWISE = [name for name in ALL if name.startswith("frame-")]


def any_small(name: str, seed: int = 0, **arguments: Any) -> nn.Module:
    torch.manual_seed(seed)
    frontend = FRONTEND if name in NAMES else BANK
    return models.build(name, frontend, {**SMALL[name], **arguments}).eval()


def small(name: str, seed: int = 0, **arguments: Any) -> MaskingNetwork:
    network = any_small(name, seed, **arguments)
    assert isinstance(network, MaskingNetwork)
    return network


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_every_architecture_is_tested() -> None:
    assert sorted(SMALL) == ALL, "give every registered architecture small arguments here"


@pytest.mark.parametrize("name", FRAMEWISE)
@pytest.mark.parametrize("samples", [0, 1, 79, 80, 5000])
def test_a_logit_a_frame(name: str, samples: int) -> None:
    with torch.no_grad():
        logits = any_small(name, num_outputs=2)(noise(3, samples))
    assert logits.shape == (3, 2, 1 + samples // 80)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("name", ALL)
def test_the_wrong_kind_of_front_end_is_one_clear_line(name: str) -> None:
    with pytest.raises(ModelError) as caught:
        models.build(name, BANK if name in NAMES else FRONTEND, SMALL[name])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("samples", [1, 100, 128, 5000])
def test_one_signal_a_source_as_long_as_the_input(name: str, samples: int) -> None:
    audio = noise(3, *CHANNELS.get(name, ()), samples)
    with torch.no_grad():
        sources = small(name)(audio)
    assert sources.shape == (3, 2, *audio.shape[1:])
    assert sources.dtype == torch.float32
    assert torch.allclose(sources.sum(dim=1), audio, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "arguments"), [(name, {}) for name in NAMES] + VARIANTS, ids=lambda value: str(value)
)
def test_masks_share_the_mixture(name: str, arguments: dict[str, Any]) -> None:
    network = small(name, **arguments)
    sound = noise(1, *CHANNELS.get(name, ()), 3000)
    spectrum = network.stft(torch.cat([sound, torch.zeros_like(sound)]))
    masks = network.train().masks(spectrum)
    assert masks.shape == (2, network.num_sources, *spectrum.shape[1:])
    assert masks.min() >= 0
    assert masks.max() <= 1
    assert torch.allclose(masks.sum(dim=1), torch.ones(()), atol=1e-5)
    assert masks[0].std() > 0
    masks[:, 0].mean().backward()
    for weight, parameter in network.named_parameters():
        assert parameter.grad is not None, weight
        assert torch.isfinite(parameter.grad).all(), weight


@pytest.mark.parametrize("name", NAMES)
def test_signals_of_a_batch_do_not_mix(name: str) -> None:
    network = small(name)
    network.calibrate(network.stft(noise(4, 3000)).abs())
    audio = noise(3, *CHANNELS.get(name, ()), 2000)
    with torch.no_grad():
        together = network(audio)
        alone = torch.cat([network(signal[None]) for signal in audio])
    assert torch.allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_calibration_takes_the_level_out(name: str) -> None:
    spectrum = small(name).stft(noise(2, *CHANNELS.get(name, ()), 8000))
    masks = []
    for gain in (1.0, 30.0):
        network = small(name, power=0.7)
        network.calibrate(gain * spectrum.abs())
        with torch.no_grad():
            masks.append(network.masks(gain * spectrum))
    assert torch.allclose(masks[0], masks[1], atol=1e-4)
    with torch.no_grad():
        assert not torch.allclose(network.masks(spectrum), masks[1], atol=1e-3)


@pytest.mark.parametrize("name", ["conv-drnn", "stereo-drnn"])
def test_fused_is_the_same_without_normalisation(name: str) -> None:
    network = small(name)
    audio = noise(2, *CHANNELS.get(name, ()), 5000)
    with torch.no_grad():
        network.train()(audio)  # fills the running statistics
        expected = network.eval()(audio)
        fused = fuse(network)(audio)
    assert torch.allclose(fused, expected, atol=1e-5)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def test_calibration_normalises_every_bin() -> None:
    network = small("drnn", power=0.5)
    magnitude = network.stft(noise(4, 20_000)).abs() * torch.linspace(1, 50, 129).view(1, -1, 1)
    network.calibrate(magnitude)
    normal = (magnitude**0.5 - network.mean) / network.scale
    assert normal.mean(dim=(0, 2)).abs().max() < 1e-4
    assert (normal.std(dim=(0, 2)) - 1).abs().max() < 1e-3


def test_context_reaches_the_neighbouring_frames() -> None:
    network = small("drnn", recurrent_layers=[], context=5)
    magnitude = noise(1, 129, 20).abs()
    changed = magnitude.clone()
    changed[:, :, 10] += 1
    with torch.no_grad():
        difference = (
            (network.outputs(changed) - network.outputs(magnitude)).abs().sum(dim=(0, 1, 2))
        )
    assert torch.nonzero(difference).flatten().tolist() == [8, 9, 10, 11, 12]


def test_soft_mask_is_the_share() -> None:
    outputs = torch.tensor([[3.0, -3.0, 0.0, 0.0], [1.0, 1.0, 5.0, 0.0]]).view(1, 2, 1, 4)
    shares = soft_mask(outputs)[0, 0, 0]
    assert shares.tolist() == pytest.approx([0.75, 0.75, 0, 0.5], abs=1e-5)


# Building


def test_unknown_architecture() -> None:
    with pytest.raises(ModelError, match="did you mean 'drnn'"):
        models.build("drrn", FRONTEND, {})


@pytest.mark.parametrize(
    ("name", "wrong"),
    [(name, {"no_such_argument": 1}) for name in ALL]
    + [
        ("drnn", {"hidden_size": -1}),
        ("drnn", {"hidden_size": "many"}),
        ("drnn", {"recurrent_layers": [4]}),
        ("drnn", {"recurrent_layers": [0]}),
        ("drnn", {"recurrent_layers": [], "nonlinearity": "step"}),
        ("drnn", {"nonlinearity": "step"}),
        ("drnn", {"cell": "elman"}),
        ("drnn", {"recurrent_layers": [], "cell": "elman"}),
        ("drnn", {"context": 2}),
        ("drnn", {"context": -1}),
        ("drnn", {"dropout": 2.0}),
        ("conv-drnn", {"cell": "elman"}),
        ("conv-drnn", {"channels": []}),
        ("conv-drnn", {"channels": [4, 5]}),
        ("conv-drnn", {"channels": [4] * 8}),
        ("frame-rnn", {"cell": "elman"}),
        ("frame-crnn", {"channels": []}),
        ("frame-tcn", {"channels": []}),
        ("frame-tcn", {"kernel_size": 4}),
        ("frame-crnn", {"hidden_size": 0}),
    ],
)
def test_wrong_arguments_are_one_clear_line(name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ModelError) as caught:
        any_small(name, **wrong)
    assert "\n" not in str(caught.value)


def test_one_name_is_one_architecture() -> None:
    with pytest.raises(ValueError, match="two architectures are called 'drnn'"):
        models.register("drnn")(nn.Linear)
    assert models.architectures()["drnn"] is not nn.Linear


def test_parameters_are_counted() -> None:
    bins, units = FRONTEND.bins, 8
    layers = 3 * bins * units + units + 2 * (units * units + units) + units * units
    assert models.parameter_count(small("drnn")) == layers + units * 2 * bins + 2 * bins


# Model folders


def save(name: str, folder: Path, *, half: bool = False) -> tuple[nn.Module, registry.ModelEntry]:
    network: Any = any_small(name, seed=1)
    inputs = noise(2, *CHANNELS.get(name, ()), 300 if name == "head" else 4000)
    network.calibrate(network.stft(inputs).abs() if name in NAMES else inputs)
    with torch.no_grad():
        network.train()(inputs)  # fills the running statistics
    config = {
        "task": "separate",
        "architecture": name,
        "arguments": SMALL[name],
        "labels": ["vocals", "accompaniment"],
        "decoder": {},
        "training": {},
        "scores": [],
    }
    entry = models.save(network, folder, config, half=half)
    return network.eval(), entry


@pytest.mark.parametrize("name", ALL)
def test_saved_and_loaded_is_the_same(name: str, tmp_path: Path) -> None:
    network, entry = save(name, tmp_path / "tiny")
    again = models.load(entry)
    assert not again.training
    state = again.state_dict()
    for weight, value in network.state_dict().items():
        assert state[weight].dtype == value.dtype
        assert torch.equal(state[weight], value), weight
    inputs = noise(2, *CHANNELS.get(name, ()), 300 if name == "head" else 3000)
    with torch.no_grad():
        assert torch.equal(again(inputs), network(inputs))
    assert (entry.name, entry.config["name"]) == ("tiny", "tiny")
    assert entry.config["parameters"] == models.parameter_count(network)
    assert sorted(path.name for path in entry.folder.iterdir()) == [
        registry.CARD,
        registry.CONFIG,
        registry.WEIGHTS,
    ]


@pytest.mark.parametrize("name", ALL)
def test_half_precision_is_half_the_size_and_nearly_the_same(name: str, tmp_path: Path) -> None:
    _, full = save(name, tmp_path / "full")
    network, half = save(name, tmp_path / "half", half=True)
    assert half.size < 0.75 * full.size
    again = models.load(half)
    state = again.state_dict()
    for weight, value in network.state_dict().items():
        assert state[weight].dtype == value.dtype
        assert torch.allclose(state[weight], value, rtol=1e-2, atol=1e-2), weight
    inputs = noise(2, *CHANNELS.get(name, ()), 300 if name == "head" else 3000)
    with torch.no_grad():
        assert torch.allclose(again(inputs), network(inputs), atol=1e-2)


def test_half_precision_keeps_counts(tmp_path: Path) -> None:
    network = small("conv-drnn")
    counts = [v for k, v in network.state_dict().items() if k.endswith("num_batches_tracked")]
    for count in counts:
        count.fill_(123_457)  # beyond float16
    config = {
        "task": "separate",
        "architecture": "conv-drnn",
        "arguments": SMALL["conv-drnn"],
        "labels": [],
    }
    state = models.load(models.save(network, tmp_path / "a", config, half=True)).state_dict()
    loaded = [int(v) for k, v in state.items() if k.endswith("num_batches_tracked")]
    assert loaded == [123_457] * len(counts)
    assert counts


def test_saving_again_replaces_the_model(tmp_path: Path) -> None:
    save("conv-drnn", tmp_path / "tiny")
    _, entry = save("drnn", tmp_path / "tiny")
    assert models.load(entry).state_dict().keys() == small("drnn").state_dict().keys()


def resign(entry: registry.ModelEntry, **changes: Any) -> registry.ModelEntry:
    """Make the configuration name the weights that are there, so that the sum agrees."""
    changes["weights_sha256"] = registry.sha256(entry.weights)
    registry.write_config(entry.folder, {**entry.config, **changes})
    return registry.open_folder(entry.folder)


def refused(entry: registry.ModelEntry) -> str:
    with pytest.raises(ModelError) as caught:
        models.load(entry)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_tampered_weights_are_refused(tmp_path: Path) -> None:
    _, entry = save("drnn", tmp_path / "tiny")
    content = bytearray(entry.weights.read_bytes())
    content[-1] ^= 1
    entry.weights.write_bytes(content)
    assert "SHA-256" in refused(entry)


@pytest.mark.parametrize("length", [0, 4, 100, -1])
def test_truncated_weights_are_refused(tmp_path: Path, length: int) -> None:
    _, entry = save("drnn", tmp_path / "tiny")
    entry.weights.write_bytes(entry.weights.read_bytes()[:length])
    assert "SHA-256" in refused(entry)
    assert refused(resign(entry)).startswith(f"{entry.weights}: does not fit its config.json")


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (Path.write_text, (self.file, "caught"))


def test_pickles_are_refused_unread(tmp_path: Path) -> None:
    network, entry = save("drnn", tmp_path / "tiny")
    torch.save({**network.state_dict(), "trap": Trap(tmp_path / "trap")}, entry.weights)
    assert "SHA-256" in refused(entry)
    assert "does not fit its config.json" in refused(resign(entry))
    assert not (tmp_path / "trap").exists()
    torch.load(entry.weights.rename(tmp_path / "weights.pt"), weights_only=False)
    assert (tmp_path / "trap").exists()  # the trap does work


@pytest.mark.parametrize(
    "changes",
    [
        {"arguments": {"hidden_size": 9}},
        {"arguments": {"hidden_size": 8, "recurrent_layers": [1]}},
        {"arguments": {"hidden_size": 8, "layers": 3}},
        {"architecture": "conv-drnn", "arguments": SMALL["conv-drnn"]},
        {"architecture": "unet"},
        {"frontend": {"n_fft": 512}},
        {"frontend": {"n_fft": 256, "hop_length": 64}},
        {"frontend": {"n_fft": 256, "hop_length": 128, "window": "hann"}},
        {"frontend": {"n_fft": 256, "hop_length": 128, "window": "kaiser"}},
        {"frontend": {"n_fft": 256, "hop_length": 128, "centred": True}},
        {"frontend": {"n_fft": "256"}},
        {"frontend_fingerprint": [1.0] * 8},
        {"frontend_fingerprint": []},
    ],
    ids=json.dumps,
)
def test_a_configuration_that_does_not_fit_is_refused(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    _, entry = save("drnn", tmp_path / "tiny")
    models.load(resign(entry))
    refused(resign(entry, **changes))


# Recurrent layers


def numpy_stack(stack: HiddenStack, x: Array, recurrent: list[int]) -> Array:
    """Compute a stack of three tanh layers by the formulas."""
    weights = [p.detach().double().numpy() for p in stack.parameters()]
    for layer in (1, 2, 3):
        matrix, bias = weights.pop(0), weights.pop(0)
        driven = x @ matrix.T + bias
        if layer in recurrent:
            back, state = weights.pop(0), np.zeros(len(bias))
            states = []
            for step in driven:
                state = np.tanh(step + back @ state)
                states.append(state)
            x = np.array(states)
        else:
            x = np.tanh(driven)
    assert not weights
    return x


@pytest.mark.parametrize("recurrent", [[], [1], [2], [3], [1, 3], [1, 2, 3]], ids=str)
def test_the_layers_asked_for_are_recurrent(recurrent: list[int]) -> None:
    torch.manual_seed(0)
    stack = HiddenStack(4, 5, recurrent_layers=recurrent, nonlinearity="tanh").eval()
    for parameter in stack.parameters():  # no weight is what its initial value makes of it
        nn.init.normal_(parameter, std=0.5)
    x = noise(1, 9, 4)
    with torch.no_grad():
        y = stack(x)
        changed = x.clone()
        changed[0, 3] += 1
        difference = (stack(changed) - y).abs().amax(dim=(0, 2))
    expected = numpy_stack(stack, x[0].double().numpy(), recurrent)
    np.testing.assert_allclose(y[0].numpy(), expected, atol=1e-5)
    assert difference[:3].max() == 0
    assert difference[3] > 1e-3
    assert (difference[4:] > 0).all() if recurrent else difference[4:].max() == 0


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_bidirectional_layers_depend_on_the_future(cell: str) -> None:
    torch.manual_seed(0)
    x = noise(1, 9, 4)
    changed = x.clone()
    changed[0, 5] += 1
    for both in (False, True):
        stack = HiddenStack(4, 5, cell=cell, nonlinearity="tanh", bidirectional=both).eval()
        with torch.no_grad():
            difference = (stack(changed) - stack(x)).abs().amax(dim=(0, 2))
        assert (difference[5:] > 0).all()
        assert (difference[:5] > 0).all() if both else difference[:5].max() == 0


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_elman_layers_are_torchs(nonlinearity: str, both: bool) -> None:
    torch.manual_seed(0)
    layer = recurrent_layer(4, 6, nonlinearity=nonlinearity, bidirectional=both)
    oracle = nn.RNN(4, 6, nonlinearity=nonlinearity, batch_first=True, bidirectional=both)
    parts = [m for m in layer.modules() if isinstance(m, ElmanLayer)]
    with torch.no_grad():
        for part, end in zip(parts, ("", "_reverse"), strict=False):
            part.input.weight.copy_(getattr(oracle, f"weight_ih_l0{end}"))
            part.recurrent.weight.copy_(getattr(oracle, f"weight_hh_l0{end}"))
            biases = [getattr(oracle, f"bias_{kind}_l0{end}") for kind in ("ih", "hh")]
            part.input.bias.copy_(sum(biases))
        x = noise(3, 20, 4)
        assert torch.allclose(layer(x), oracle(x)[0], atol=1e-5)
    assert len(parts) == 1 + both


def test_sigmoid_recurrence_is_the_formula() -> None:
    torch.manual_seed(0)
    layer = ElmanLayer(4, 3, "sigmoid")
    x = noise(1, 12, 4)
    w, b, u = (
        t.detach().double().numpy()
        for t in (layer.input.weight, layer.input.bias, layer.recurrent.weight)
    )
    state, states = np.zeros(3), []
    for step in x[0].double().numpy():
        state = 1 / (1 + np.exp(-(w @ step + u @ state + b)))
        states.append(state)
    np.testing.assert_allclose(layer(x)[0].detach().numpy(), states, atol=1e-5)


def test_fresh_recurrence_does_not_grow() -> None:
    layer = ElmanLayer(4, 50, "relu")
    with torch.no_grad():
        late = layer(torch.ones(1, 2000, 4))[0, [-2, -1]]
    assert torch.allclose(late[0], late[1])
    assert late.max() < 20


def test_dropout_is_for_training() -> None:
    stack = HiddenStack(4, 50, dropout=0.5)
    x = noise(1, 9, 4)
    assert (stack(x) == 0).float().mean() > 0.4
    assert not torch.equal(stack(x), stack(x))
    stack.eval()
    assert torch.equal(stack(x), stack(x))


@pytest.mark.parametrize("both", [False, True])
def test_output_size_is_that_of_the_last_layer(both: bool) -> None:
    for layers in ([1], [2], [3], [1, 2, 3]):
        stack = HiddenStack(4, 5, recurrent_layers=layers, bidirectional=both)
        assert stack(noise(1, 2, 4)).shape[-1] == stack.output_size
        assert stack.output_size == (10 if both and 3 in layers else 5)


# Devices


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert models.device() == torch.device("cpu")
    for name in ("cuda", "cuda:0", "mps"):
        with pytest.raises(UsageError, match=f"^device {name}: .*use device cpu$"):
            models.device(name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert models.device() == torch.device("cuda")
    assert models.device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(UsageError, match="2 CUDA devices"):
        models.device("cuda:2")


@pytest.mark.parametrize("name", ["", "gpu", "cpu:0", "cuda:x", "cuda:-1", "CPU", "mps:0"])
def test_unknown_devices_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="use auto, cpu, cuda, cuda:N or mps"):
        models.device(name)
