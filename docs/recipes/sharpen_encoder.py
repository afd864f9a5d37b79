"""Add a linear layer to an encoder of voices, to compare by what tells people apart.

    python docs/recipes/sharpen_encoder.py MODEL TRAINING.csv DEV.csv OUTPUT

MODEL is a folder of the architecture clip-mobile, as `train classify --as-encoder` writes it; the
tables have path, person and set, as `list_voices.py` makes them. Of the mean features of each clip
of TRAINING, two covariances are taken in every set: of the clips of a person around their mean,
and of these means around the set's. Along the directions that diagonalise both, features are
scaled by how much more people differ than the clips of one do (linear discriminant analysis, as
two-covariance models have it). Heads on the encoder get its features as they were. DEV, of people
who are not in TRAINING, gives threshold and slope of the cosine.

References
----------
Ioffe: Probabilistic linear discriminant analysis. ECCV 2006.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import eigh

from audiocli.nn import models, registry
from audiocli.nn.frontend import from_dict
from audiocli.nn.provenance import earlier_runs
from audiocli.tasks.classify.classifier import Encoder
from audiocli.tasks.classify.clips import LabelledClip, Selection, find_clips
from audiocli.tasks.classify.encoders import load_encoder
from audiocli.tasks.classify.examples import load
from audiocli.tasks.classify.splits import Split
from audiocli.tasks.classify.training import logits_of

Array = NDArray[np.float64]
SELECTION = Selection(("person",), group="person", pair_within="set")
#: Of the covariance within people: so much of it is replaced by the same in all directions. Taken
#: by cross-validation over the people of TRAINING, where more does no better.
SHRINKAGE = 0.5
#: What is added to a ratio of the variances, of people over clips of one, before it is divided by.
FLOOR = 0.1


def covariances(features: Array, people: Array, sets: Array) -> tuple[Array, Array]:
    """Compute the covariances within and between people, (units, units) each.

    Every set counts by the square root of how many people it has; a set of one person is left out.
    """
    within, between = np.zeros((2, features.shape[1], features.shape[1]))
    whole = 0.0
    for name in np.unique(sets):
        inside = sets == name
        names = np.unique(people[inside])
        if len(names) < 2:
            continue
        means = np.stack([features[inside & (people == one)].mean(axis=0) for one in names])
        apart = features[inside] - means[np.searchsorted(names, people[inside])]
        weight = len(names) ** 0.5
        within += weight * (apart.T @ apart) / (len(apart) - len(names))
        between += weight * np.cov(means.T)
        whole += weight
    return within / whole, between / whole


def directions(within: Array, between: Array) -> Array:
    """Find the directions (units, units), one a row, and scale them."""
    units = len(within)
    shrunk = (1 - SHRINKAGE) * within + SHRINKAGE * np.trace(within) / units * np.eye(units)
    ratios, vectors = eigh(between, shrunk)
    ratios = np.maximum(ratios, 0)
    scaled: Array = (vectors * np.sqrt(ratios / (ratios + FLOOR))).T
    return scaled[::-1]


def features_of(clips: list[LabelledClip], entry: registry.ModelEntry) -> Array:
    """Compute the mean features (clips, units)."""
    network = load_encoder(entry, torch.device("cpu"))
    rate = network.frontend.config.sample_rate
    audio = (load(clip, rate) for clip in clips)
    rows = [logits_of(network, [each], mean_features=True)[0] for each in audio]
    return np.stack(rows).astype(np.float64)


def facts(entry: registry.ModelEntry, known: set[str]) -> dict[str, Any]:
    """Say how the model was made: as the encoder was, and then by this."""
    before = entry.config["training"]
    words = ["/".join(Path(word).parts[-2:]) for word in sys.argv[1:]]
    return {
        "data": before["data"],
        "split": "validated on people of dev.csv, none of them in training.csv",
        "command": shlex.join(["python", "docs/recipes/sharpen_encoder.py", *words]),
        "commit": registry.commit(),
        "group": "person",
        "groups": sorted(known),
        "earlier": earlier_runs(entry),
    }


def main(model: str, training: str, dev: str, output: str) -> None:
    """Write the model folder."""
    entry = registry.open_folder(Path(model))
    clips, validation = (find_clips(Path(table), SELECTION) for table in (training, dev))
    known = {clip.labels[0] for clip in clips}
    validation = [clip for clip in validation if clip.labels[0] not in known]
    people, sets = np.array([clip.labels[0] for clip in clips]), np.array(SELECTION.sets(clips))
    layer = directions(*covariances(features_of(clips, entry), people, sets))
    # Lengths are of no matter to a cosine; these keep the numbers in half precision.
    layer /= np.abs(layer).max()
    config = dict(entry.config)
    arguments = {**config["arguments"], "projection": len(layer)}
    network = models.build(config["architecture"], from_dict(config["frontend"]), arguments)
    old = load_encoder(entry, torch.device("cpu"), trainable=True).state_dict()
    network.load_state_dict({**old, "projection.weight": torch.from_numpy(layer.copy()).float()})
    config |= {"arguments": arguments, "training": facts(entry, known), "scores": []}
    saved = models.save(network, Path(output), config, half=True)
    split = Split(clips, validation, [], SELECTION, [], [], "people who were not trained on")
    found = split.compared((features_of(validation, saved) @ layer.T).astype(np.float32))
    registry.write_config(saved.folder, {**saved.config, "decoder": found["decoder"]})
    for score in found["scores"]:
        print(score["metric"], score["value"], score["unit"], score["measure"])
    Encoder(output)  # it can be loaded


if __name__ == "__main__":
    main(*sys.argv[1:])
