"""Make the encoder of music: the two networks of musicnn, without the filters that say nothing.

musicnn (Jordi Pons, Music Technology Group, Universitat Pompeu Fabra; ISC licence) comes as a
wheel on PyPI (`pip download --no-deps musicnn==0.1.0`). Its checkpoints are in it: MTT_musicnn was
trained on MagnaTagATune, MSD_musicnn on the Million Song Dataset. They are read here without
TensorFlow.

Training drove the factors behind many filters to nothing, so that these give the same whatever
their input. They are left out, and what they add is put where it counts: of 561 filters 199 and 64
stay. The outputs move by less than a thousandth.

    python docs/recipes/start_music_encoder.py musicnn-0.1.0-py3-none-any.whl runs/music
"""

from __future__ import annotations

import struct
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from audiocli.nn import models
from audiocli.nn.clip_musicnn import ClipMusicnn
from audiocli.nn.frontend import FilterbankConfig

#: librosa's mel spectrogram of squared magnitudes, as log10(1 + 10000 * mel). A recording is
#: brought to a peak of 0.5 before the front-end, and music is mastered to 1: hence four times that.
FRONTEND = FilterbankConfig(
    sample_rate=16_000, n_ffts=(512,), hop_length=256, bands=96, scale="slaney", fmin=0.0,
    fmax=8_000.0, difference=False, gain=4 * 10_000.0 * (512 / 4) ** 2, power=2,
)  # fmt: skip
NETWORKS = ("MTT_musicnn", "MSD_musicnn")
#: Layers by TensorFlow's names: five of the front, three of the middle.
FRONT, MIDDLE = range(5), range(5, 8)
#: Filters whose normalised output deviates less than this are left out.
SILENT = 1e-3
#: Steps that are processed of a long recording.
MOST = 12

#: What the card says. The sizes of the sets are about those that musicnn's documentation gives.
FACTS: dict[str, object] = {
    "labels": [],
    "licence": "ISC",
    "description": "Features of music for the shipped heads of genre, mood and tags, and for heads "
    "of your own: the two networks of musicnn (Jordi Pons, Music Technology Group, Universitat "
    "Pompeu Fabra; ISC licence), side by side, as `docs/recipes/start_music_encoder.py` takes them "
    "from its published weights. Each says something of three seconds at a time: its last layer is "
    "the part `dense` of the features, what the channels of its last convolution reach is `peaks`. "
    "Not trained further here.",
    "limits": "Hears up to 8 kHz, in steps of three seconds; of a recording longer than 37 s that "
    "is asked for as a whole, 7 to 12 steps, evenly spread. MagnaTagATune is music of one label, "
    "Magnatune: whatever else is from there, Emotify for one, may have been in its training.",
    "training": {
        "data": [
            {
                "name": "MagnaTagATune, by Pons for musicnn",
                "clips": 19_000,
                "minutes": 9_200.0,
                "licence": "research use",
            },
            {
                "name": "Million Song Dataset with tags of Last.fm, by Pons for musicnn",
                "clips": 200_000,
                "minutes": 100_000.0,
                "licence": "research use",
            },
        ],
        "split": "trained elsewhere, to give 50 tags of listeners each; numbers of clips and "
        "minutes are rounded",
        "command": "python docs/recipes/start_music_encoder.py musicnn-0.1.0-py3-none-any.whl "
        "runs/music",
    },
    "scores": [],
}

Tensors = dict[str, Tensor]


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a whole number of any length; give it and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at


def entries(index: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Give keys and values of a block of a table."""
    block = index[offset : offset + size]
    end = size - 4 - 4 * struct.unpack("<I", block[-4:])[0]
    at, key = 0, b""
    while at < end:
        shared, at = varint(block, at)
        fresh, at = varint(block, at)
        length, at = varint(block, at)
        key = key[:shared] + block[at : at + fresh]
        yield key, block[at + fresh : at + fresh + length]
        at += fresh + length


def fields(message: bytes) -> dict[int, list[Any]]:
    """Take a protocol buffer apart."""
    found: dict[int, list[Any]] = {}
    at = 0
    while at < len(message):
        tag, at = varint(message, at)
        value: Any
        if tag & 7 == 0:
            value, at = varint(message, at)
        else:
            length, at = (4, at) if tag & 7 == 5 else varint(message, at)
            value, at = message[at : at + length], at + length
        found.setdefault(tag >> 3, []).append(value)
    return found


def checkpoint(wheel: Path, name: str) -> Tensors:
    """Read the tensors of a checkpoint, but those of the optimiser."""
    with zipfile.ZipFile(wheel) as archive:
        index = archive.read(f"musicnn/{name}/.index")
        data = archive.read(f"musicnn/{name}/.data-00000-of-00001")
    foot, at = index[-48:], 0
    places = []
    for _ in range(4):  # of the table of tables, then of the tables
        value, at = varint(foot, at)
        places.append(value)
    tensors = {}
    for _, handle in entries(index, *places[2:]):
        offset, at = varint(handle, 0)
        for key, value in entries(index, offset, varint(handle, at)[0]):
            facts = fields(value)
            if not key or facts[1] != [1] or b"Adam" in key:  # 1 is float32
                continue
            shape = [
                fields(each).get(1, [0])[0] for each in fields(facts.get(2, [b""])[0]).get(2, [])
            ]
            begin, size = facts.get(4, [0])[0], facts[5][0]
            numbers = np.frombuffer(data[begin : begin + size], np.float32).reshape(shape)
            tensors[key.decode()] = torch.from_numpy(numbers.copy())
    return tensors


def layer(tensors: Tensors, kind: str, place: int) -> Tensors:
    """Take one layer's tensors by TensorFlow's way of counting."""
    start = f"{kind}{f'_{place}' if place else ''}/"
    return {key.removeprefix(start): each for key, each in tensors.items() if key.startswith(start)}


def affine(tensors: Tensors, place: int) -> tuple[Tensor, Tensor, Tensor]:
    """Give factor and offset of a normalisation, and how far its output deviates."""
    norm = layer(tensors, "batch_normalization", place)
    factor = norm["gamma"] / torch.sqrt(norm["moving_variance"] + 1e-3)
    offset = norm["beta"] - factor * norm["moving_mean"]
    return factor, offset, factor.abs() * norm["moving_variance"].sqrt()


def lively(tensors: Tensors) -> list[Tensor]:
    """Say which filters of each front layer are kept."""
    return [affine(tensors, place + 1)[2] > SILENT for place in FRONT]


def fill(branch: torch.nn.Module, tensors: Tensors) -> None:
    """Put the weights of one musicnn into a branch."""
    kept = lively(tensors)
    alive = torch.cat(kept)
    constant = torch.cat([layer(tensors, "batch_normalization", n + 1)["beta"] for n in FRONT])
    state = branch.state_dict()
    state["input.weight"][:], state["input.bias"][:] = affine(tensors, 0)[:2]
    norms = [affine(tensors, place + 1) for place in FRONT]
    factor = torch.cat([norm[0] for norm in norms])[alive]
    signs = torch.where(factor < 0, -1.0, 1.0)
    state["signs"][:, 0], state["scaled.weight"][:, 0] = signs, factor
    state["scaled.bias"][:, 0] = torch.cat([norm[1] for norm in norms])[alive]
    for place, some in zip(FRONT, kept, strict=True):
        found = layer(tensors, "conv2d", place)
        turned = torch.where(norms[place][0][some] < 0, -1.0, 1.0)
        weight = found["kernel"].permute(3, 2, 0, 1)[some] * turned.view(-1, 1, 1, 1)
        state[f"front.{place}.weight"][:] = weight
        state[f"front.{place}.bias"][:] = found["bias"][some] * turned
    for place, number in enumerate(MIDDLE):
        found = layer(tensors, "conv2d", number)
        weight = found["kernel"][:, :, 0].permute(2, 1, 0)
        if place == 0:  # what is constant inside stands for the filters left out
            rest = torch.einsum("oit,i->ot", weight[:, ~alive], constant[~alive])
            weight = torch.cat([weight[:, alive], rest.unsqueeze(1)], dim=1)
        state[f"middle.{place}.weight"][:], state[f"middle.{place}.bias"][:] = weight, found["bias"]
        factor, offset, _ = affine(tensors, number + 1)
        state[f"norms.{place}.weight"][:, 0], state[f"norms.{place}.bias"][:, 0] = factor, offset
    state["dense.weight"][:], state["dense.bias"][:] = dense(tensors, alive, constant)


def dense(tensors: Tensors, alive: Tensor, constant: Tensor) -> tuple[Tensor, Tensor]:
    """Fold the normalisation before the dense layer into it, and the constants into its bias."""
    found, (factor, offset, _) = layer(tensors, "dense", 0), affine(tensors, 9)
    weight = factor.unsqueeze(1) * found["kernel"]
    bias = found["bias"] + offset @ found["kernel"]
    greatest, mean = weight[0::2], weight[1::2]  # of each channel, one after the other
    gone = torch.nonzero(~alive).flatten()
    bias = bias + constant[gone] @ (greatest[gone] + mean[gone])
    stay = torch.cat([torch.nonzero(alive).flatten(), torch.arange(len(alive), len(mean))])
    return torch.cat([greatest[stay], mean[stay]]).T, bias


def encoder(wheel: Path) -> tuple[ClipMusicnn, dict[str, object]]:
    """Make the network, and what it is built with."""
    found = [checkpoint(wheel, name) for name in NETWORKS]
    counts = [[int(each.sum()) for each in lively(tensors)] for tensors in found]
    arguments: dict[str, object] = {"filters": counts, "peaks": True, "most": MOST}
    network = models.build("clip-musicnn", FRONTEND, arguments)
    assert isinstance(network, ClipMusicnn)
    with torch.no_grad():
        for branch, tensors in zip(network.branches, found, strict=True):
            fill(branch, tensors)
    return network.eval(), arguments


def main(wheel: str, folder: str) -> None:
    """Write the model folder."""
    network, arguments = encoder(Path(wheel))
    config = {"task": "encode", "architecture": "clip-musicnn", "arguments": arguments, **FACTS}
    models.save(network, Path(folder), config, half=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
