"""Tiny onset detectors whose answers are known, and sounds that begin at known times."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from audiocli.nn import models
from audiocli.nn.frame_crnn import FrameCRNN
from audiocli.nn.frame_rnn import FrameRNN
from audiocli.nn.frontend import FilterbankConfig

RATE = 44_100
RISE = FilterbankConfig(n_ffts=(1024,), bands=8)
SMALL = FilterbankConfig(n_ffts=(512, 1024), bands=12, scale="log", difference=False)
RISE_ARGUMENTS: dict[str, Any] = {
    "hidden_size": 1,
    "num_layers": 1,
    "recurrent_layers": [],
    "nonlinearity": "relu",
    "bidirectional": False,
}
SMALL_ARGUMENTS: dict[str, Any] = {"channels": [2, 3], "embedding_size": 6, "hidden_size": 5}


def bursts(
    times: list[float], seconds: float, rate: int = RATE, *, seed: int = 0, level: float = 0.3
) -> np.ndarray:
    """Noise that begins suddenly at each time and dies away, (1, samples)."""
    rng = np.random.default_rng(seed)
    audio = np.zeros(round(seconds * rate), np.float32)
    for time in times:
        start = round(time * rate)
        length = min(round(0.12 * rate), len(audio) - start)
        decay = np.exp(-np.arange(length) / (0.025 * rate))
        audio[start : start + length] += level * decay * rng.uniform(-1, 1, length)
    return audio[np.newaxis]


def config(architecture: str, arguments: dict[str, Any], **decoder: Any) -> dict[str, Any]:
    return {
        "task": "onsets",
        "architecture": architecture,
        "arguments": arguments,
        "labels": ["onset"],
        "decoder": decoder,
        "training": {},
        "scores": [],
    }


def rise_network() -> FrameRNN:
    """Detects onsets without being trained: its one unit adds up what rises in all bands."""
    network = models.build("frame-rnn", RISE, RISE_ARGUMENTS)
    assert isinstance(network, FrameRNN)
    unit = network.hidden.layers[0]
    assert isinstance(unit, nn.Linear)
    with torch.no_grad():
        unit.weight.zero_()
        unit.weight[:, RISE.bands :] = 1 / RISE.bands
        unit.bias.zero_()
        network.output.weight.fill_(6.0)
        network.output.bias.fill_(-4.0)
    return network.eval()


def random_network(*, bidirectional: bool) -> FrameCRNN:
    """Random weights, but lively activations: what holds must hold whatever it detects."""
    torch.manual_seed(3)
    arguments = {**SMALL_ARGUMENTS, "bidirectional": bidirectional}
    network = models.build("frame-crnn", SMALL, arguments)
    assert isinstance(network, FrameCRNN)
    network.eval()
    audio = torch.from_numpy(bursts([0.2, 0.5, 0.7, 1.1, 1.3], 2.0))
    with torch.no_grad():
        network.calibrate(audio)
        logits = network(audio)
        network.output.weight.mul_(1.5 / logits.std())
        network.output.bias.sub_(network(audio).mean())
    return network


def save_rise(folder: Path) -> Path:
    return models.save(rise_network(), folder, config("frame-rnn", RISE_ARGUMENTS)).folder


def save_random(folder: Path, *, bidirectional: bool) -> Path:
    arguments = {**SMALL_ARGUMENTS, "bidirectional": bidirectional}
    network = random_network(bidirectional=bidirectional)
    return models.save(network, folder, config("frame-crnn", arguments, threshold=0.5)).folder
