"""Make the encoder of harmony: a network for chords without its output layers.

    python docs/recipes/start_harmony_encoder.py MODEL OUTPUT

MODEL is the folder of a network of the architecture chord-crnn, as `train chords` writes it and as
`pretrained/chords/crnn` is. OUTPUT becomes a model folder with the same layers, but the last.
"""

from __future__ import annotations

import sys
from pathlib import Path

from audiocli.nn import models, registry
from audiocli.nn.frontend import from_dict
from audiocli.nn.provenance import earlier_runs

FACTS = {
    "task": "encode",
    "architecture": "clip-harmony",
    "labels": [],
    "description": "Features of harmony and registers for the shipped head of composers, and for "
    "heads of your own: the layers of a network of chords, as "
    "`docs/recipes/start_harmony_encoder.py` takes them. The part `circle` is the mean and the "
    "deviation of its last layer over the twelve pitch classes, so that it is much the same in "
    "every key; `octaves` is what its semitones reach in each octave.",
    "limits": "Hears notes from B0 to B7, about eleven times a second.",
    "decoder": {},
    "scores": [],
}


def main(model: str, output: str) -> None:
    """Write the model folder."""
    entry = registry.open_folder(Path(model))
    trained = models.load(entry).state_dict()
    kept = ("octaves", "channels", "num_circles")
    arguments = {key: value for key, value in entry.config["arguments"].items() if key in kept}
    network = models.build("clip-harmony", from_dict(entry.config["frontend"]), arguments)
    network.load_state_dict({name: trained[name] for name in network.state_dict()})
    words = ["/".join(Path(word).parts[-2:]) for word in (model, output)]
    training = {
        "data": [],  # nothing more than before
        "split": "trained to recognise chords; not judged here",
        "command": " ".join(["python docs/recipes/start_harmony_encoder.py", *words]),
        "commit": registry.commit(),
        "earlier": earlier_runs(entry),
    }
    config = {**FACTS, "arguments": arguments, "licence": entry.config["licence"]}
    models.save(network, Path(output), {**config, "training": training}, half=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
