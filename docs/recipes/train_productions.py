"""Train a separation network on examples that sound like produced songs, on a CPU or a GPU.

    python docs/recipes/train_productions.py PLAN.json OUTPUT --validation FOLDER
        [--from stereo-drnn] [--minutes 100] [--device cuda --batch-size 64 --workers 14 --half]

PLAN is what `pack_productions.py` wrote; the examples are those of `productions.py`. FOLDER holds
clips with both sources, see `audiocli evaluate separate`. The learning rate falls along a cosine
over the minutes given, so that ten minutes of a GPU are a whole training, too. Run again with the
same arguments it goes on from the checkpoint in OUTPUT. OUTPUT is a model folder.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import os
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from productions import Productions
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from audiocli.nn import models, registry
from audiocli.nn.augment import warp_formants
from audiocli.nn.provenance import DataSet, training_facts
from audiocli.nn.stereo import StereoDRNN
from audiocli.tasks.separate import songs
from audiocli.tasks.separate.clips import find_clips
from audiocli.tasks.separate.losses import snr_loss

WARMED_UP = 60  # steps
FLAT = 0.4  # share of the training before the learning rate falls
FORMANTS, WARPED = 0.25, 0.6  # octaves either way, and the share of examples
LIFTED, LIFT = 1 / 3, 30.0  # as in `audiocli train separate`


class Examples(IterableDataset[Tensor]):
    """Examples without end; each worker process draws its own."""

    def __init__(self, plan: dict[str, Any], seconds: float, seed: int) -> None:
        self.plan, self.seconds, self.seed = plan, seconds, seed

    def __iter__(self) -> Iterator[Tensor]:
        """Draw examples (2, 2, samples)."""
        torch.set_num_threads(1)
        worker = get_worker_info()
        rng = np.random.default_rng([self.seed, worker.id if worker else 0])
        productions = Productions(self.plan, self.seconds, rng)
        while True:
            yield torch.from_numpy(productions.example())


def loss_of(network: StereoDRNN, batch: Tensor) -> Tensor:
    """Compute the loss; the voices of some examples get other formants first."""
    with torch.no_grad():
        sources = network.stft(batch)
        warped = torch.rand(len(batch)) < WARPED
        if warped.any():
            factor = 2 ** ((2 * torch.rand(int(warped.sum())) - 1) * FORMANTS)
            voices = sources[warped, 0]
            flat = voices.reshape(-1, *voices.shape[-2:])
            factors = factor.repeat_interleave(2).to(batch.device)
            rate = network.stft.config.sample_rate
            sources[warped, 0] = warp_formants(flat, rate, factors).reshape(voices.shape)
    estimates = network.estimates(sources.sum(dim=1))
    bins = sources.shape[-2]
    lift = 1 + torch.arange(bins, device=batch.device).unsqueeze(1) * (LIFT / bins)
    value = (1 - LIFTED) * snr_loss(estimates, sources)
    return value + LIFTED * snr_loss(estimates * lift, sources * lift)


def train(options: argparse.Namespace, network: StereoDRNN, plan: dict[str, Any]) -> nn.Module:
    """Train until the minutes are over; give the moving average of the weights."""
    device = models.device(options.device)
    network.to(device)
    average = copy.deepcopy(network).eval()
    optimizer = torch.optim.AdamW(network.parameters(), betas=(0.9, 0.99), weight_decay=1e-2)
    checkpoint = options.output / "checkpoint" / "checkpoint.pt"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    step, spent = 0, 0.0
    if checkpoint.exists():
        stored = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(stored["network"])
        average.load_state_dict(stored["average"])
        optimizer.load_state_dict(stored["optimizer"])
        step, spent = stored["step"], stored["spent"]
    clips = [
        songs.validation_clip(clip, network.sample_rate) for clip in find_clips(options.validation)
    ]
    loader = iter(
        DataLoader(
            Examples(plan, options.seconds, options.seed + step),
            batch_size=options.batch_size,
            num_workers=options.workers,
            pin_memory=device.type == "cuda",
        )
    )
    begun, total = time.monotonic() - spent, 0.0
    while (spent := time.monotonic() - begun) < options.minutes * 60:
        network.train()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()  # a batch of loud voices must not change what all are measured by
        done = spent / (options.minutes * 60)
        fall = 0.5 * (1 + math.cos(math.pi * max(0.0, done - FLAT) / (1 - FLAT)))
        rate = options.learning_rate * min(1.0, (step + 1) / WARMED_UP) * max(fall, 0.01)
        for group in optimizer.param_groups:
            group["lr"] = rate
        batch = next(loader).to(device, non_blocking=True)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=options.half):
            value = loss_of(network, batch)
        optimizer.zero_grad()
        value.backward()
        norm = nn.utils.clip_grad_norm_(network.parameters(), 2.0)
        if not torch.isfinite(norm):
            sys.exit(f"step {step + 1}: the gradient is not finite; use a smaller --learning-rate")
        optimizer.step()
        step, total = step + 1, total + value.item()
        follow(average, network, min(options.average, (1 + step) / (10 + step)))
        if step % options.every == 0:
            score = songs.score(average, clips)
            print(f"{step}\t{spent / 60:.1f} min\tloss {total / options.every:.3f}\t{score:.2f} dB")
            total = 0.0
            state = {"network": network.state_dict(), "average": average.state_dict()}
            state |= {"optimizer": optimizer.state_dict(), "step": step, "spent": spent}
            torch.save(state, checkpoint.with_suffix(".part"))
            os.replace(checkpoint.with_suffix(".part"), checkpoint)
    return average.cpu()


def follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the average towards the weights."""
    with torch.no_grad():
        for kept, new in zip(
            average.state_dict().values(), network.state_dict().values(), strict=True
        ):
            if kept.dtype.is_floating_point:
                kept.lerp_(new, 1 - decay)
            else:
                kept.copy_(new)


def main() -> None:
    """Read the arguments, train, and write the model folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("plan", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--validation", type=Path, required=True)
    parser.add_argument("--from", dest="start", default="stereo-drnn")
    parser.add_argument("--minutes", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=4.0, help="of an example")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=6e-4)
    parser.add_argument("--average", type=float, default=0.995, help="decay of the average")
    parser.add_argument("--every", type=int, default=60, help="steps from score to score")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--half", action="store_true", help="bfloat16")
    parser.add_argument("--workers", type=int, default=1, help="processes that make examples")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    plan = json.loads(options.plan.read_text("utf-8"))
    origin = registry.find("separate", options.start)
    network = models.load(origin)
    if not isinstance(network, StereoDRNN):
        parser.error(f"{options.start}: is not of the architecture stereo-drnn")
    odds, network.odds = network.odds, 1.0  # training is to find them
    average = train(options, network, plan)
    average.odds = odds
    data = [
        DataSet(pool["name"], len(pool["files"]), round(pool["minutes"], 1), pool["licence"])
        for role in ("voices", "backings", "songs")
        for pool in plan[role]
    ]
    command = f"python docs/recipes/train_productions.py {shlex.join(sys.argv[1:])}"
    config = origin.config
    facts = {key: config[key] for key in ("task", "architecture", "arguments", "labels", "decoder")}
    told = training_facts(data, "no epoch was chosen: the last", {"command": command}, {}, origin)
    told["training"]["command"] = command
    licence = "; ".join(dict.fromkeys(each.licence for each in data))
    models.save(average, options.output, {**facts, "licence": licence, **told, "scores": []})


if __name__ == "__main__":
    main()
