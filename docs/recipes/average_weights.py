"""Average the weights of networks of one architecture that began with the same weights.

    python docs/recipes/average_weights.py OUTPUT runs/stereo=0.7 drnn-mir1k=0.3 [--task separate]
        [--odds 0.7]

What training gained on new material and what it lost of the old are often gained and kept
together between the two ends. The first model's configuration goes into OUTPUT, with this command
added. Others may be what a stereo network takes over from one of one channel. With --odds the
average of stereo networks gives more or less of what is doubtful to the voice.

Wortsman et al.: Model soups. ICML 2022; Robust fine-tuning of zero-shot models. CVPR 2022.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from audiocli.nn import models, registry
from audiocli.tasks.separate.training import start_from


def main() -> None:
    """Read the models and write their average."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("output", type=Path)
    parser.add_argument("--task", default="separate")
    parser.add_argument("--odds", type=float)
    parser.add_argument("shares", nargs="+", metavar="MODEL=SHARE")
    options = parser.parse_args()
    shares = {
        name: float(share) for name, share in (text.rsplit("=", 1) for text in options.shares)
    }
    if abs(sum(shares.values()) - 1) > 1e-6:
        parser.error("the shares must sum to 1")
    first, *_ = entries = [registry.find(options.task, name) for name in shares]
    network = models.load(first)
    sums = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
    for entry, share in zip(entries, shares.values(), strict=True):
        start_from(network, entry)
        for name, value in network.state_dict().items():
            sums[name] += (share * value).to(value.dtype)
    network.load_state_dict(sums)
    facts = {key: value for key, value in first.config.items() if key != "name"}
    said = " ".join([str(options.output), *options.shares])
    command = f"python docs/recipes/average_weights.py --task {options.task} {said}"
    earlier = facts["training"]["command"]
    if options.odds is not None:
        facts["arguments"] = {**facts["arguments"], "odds": options.odds}
        command += f" --odds {options.odds:g}"
    facts["training"] |= {"command": f"{earlier}\n{command}"}
    facts["scores"] = []  # they were of the weights before
    models.save(network, options.output, facts)


if __name__ == "__main__":
    main()
