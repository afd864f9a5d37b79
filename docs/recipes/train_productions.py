"""Train a separation network on examples that sound like produced songs, on a CPU or a GPU.

    python docs/recipes/train_productions.py PLAN.json OUTPUT --validation FOLDER
        [--from stereo-drnn] [--live | --four | --context 12,256] [--epochs 17]
        [--device cuda --batch-size 64 --workers 14 --half]

PLAN is what `pack_productions.py` wrote; the examples are those of `productions.py`. FOLDER holds
clips with both sources, see `audiocli evaluate separate`. `--four` trains a network of four stems
on the examples of `four_stems.py`; FOLDER holds folders with all four then. `--context` adds what
`audiocli.nn.hourglass.Hourglass` calls so. OUTPUT becomes the model folder of the best epoch, and
OUTPUT-1, OUTPUT-2, ... those of each epoch, for `average_weights.py`. Run again with the same
arguments it goes on from its checkpoint. On a GPU, larger batches and fewer epochs make a whole
training of ten minutes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import four_stems
import numpy as np
import torch
from productions import Productions, Shares
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from audiocli.nn import models, registry
from audiocli.nn.augment import warp_formants
from audiocli.nn.fit import FitConfig
from audiocli.nn.live import LiveDRNN
from audiocli.nn.provenance import DataSet
from audiocli.nn.stereo import StereoDRNN
from audiocli.tasks.separate import songs
from audiocli.tasks.separate.clips import find_clips
from audiocli.tasks.separate.losses import lifted_snr_loss, snr_loss
from audiocli.tasks.separate.training import LIFTED
from audiocli.tasks.trainer import Card, Run, Validation

ROLES = ("voices", "backings", "songs")  # what is used of the plan
FORMANTS, WARPED = 0.25, 0.6  # octaves either way, and the share of examples


class Examples(IterableDataset[Tensor]):
    """Examples without end; each worker process draws its own."""

    def __init__(
        self,
        kind: type[Productions],
        plan: dict[str, Any],
        seconds: float,
        shares: Shares,
        seed: int,
    ) -> None:
        self.kind, self.plan, self.seconds, self.shares = kind, plan, seconds, shares
        self.seed = seed

    def __iter__(self) -> Iterator[Tensor]:
        """Draw examples (sources, 2, samples)."""
        torch.set_num_threads(1)
        worker = get_worker_info()
        rng = np.random.default_rng([self.seed, worker.id if worker else 0])
        productions = self.kind(self.plan, self.seconds, rng, self.shares)
        while True:
            yield torch.from_numpy(productions.example())


class Objective:
    """Batches of productions, their loss, and the gain on the validation set."""

    def __init__(self, options: argparse.Namespace, plan: dict[str, Any], rate: int) -> None:
        self.options, self.plan = options, plan
        self.where = models.device(options.device)
        self.kind = four_stems.Mixes if options.four else Productions
        read = four_stems.validation_clip if options.four else songs.validation_clip
        self.scored = len(four_stems.STEMS) if options.four else 1
        self.clips = [read(clip, rate) for clip in find_clips(options.validation)]
        self.examples: Iterator[Tensor] | None = None
        self.facts: dict[str, Any] = {}

    def batch(self, rng: np.random.Generator, size: int) -> Tensor:
        """Take the next examples; a run that goes on draws others than those before."""
        if self.examples is None:
            shares = Shares(self.options.together, self.options.no_voice)
            seed = int(rng.integers(1 << 30))
            examples = Examples(self.kind, self.plan, self.options.seconds, shares, seed)
            self.examples = iter(
                DataLoader(
                    examples, batch_size=None, num_workers=self.options.workers,
                    prefetch_factor=2 * self.options.batch_size,
                )
            )  # fmt: skip
        drawn = [next(self.examples) for _ in range(size)]
        return torch.stack(drawn).to(self.where, non_blocking=True)

    def recordings(self, rng: np.random.Generator, size: int) -> list[str]:
        """Name none: the worker processes draw them, each for itself."""
        return []

    def loss(self, network: StereoDRNN, batch: Tensor) -> Tensor:
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
        value = (1 - LIFTED) * snr_loss(estimates, sources)
        return value + LIFTED * lifted_snr_loss(estimates, sources)

    def validate(self, network: StereoDRNN) -> Validation:
        """Score a network, and keep it beside the output."""
        output = self.options.output
        number = 1 + len(list(output.parent.glob(f"{output.name}-*")))
        models.save(network, output.with_name(f"{output.name}-{number}"), self.facts)
        return Validation(songs.score(network, self.clips, self.scored))


def with_context(network: StereoDRNN, arguments: dict[str, Any]) -> StereoDRNN:
    """Add context that says nothing yet."""
    larger = models.build("stereo-drnn", network.stft.config, arguments)
    assert isinstance(larger, StereoDRNN)
    larger.load_state_dict({**larger.state_dict(), **network.state_dict()})
    return larger


def data_sets(plan: dict[str, Any], roles: Sequence[str]) -> list[DataSet]:
    """Say for the card what a network learns from; pools of one name are one set."""
    sets: dict[tuple[str, str], tuple[int, float]] = {}
    for pool in (pool for role in roles for pool in plan[role]):
        name = pool["name"], pool["licence"]
        files, minutes = sets.get(name, (0, 0.0))
        sets[name] = files + len(pool["files"]), minutes + pool["minutes"]
    return [
        DataSet(name, files, round(minutes, 1), licence)
        for (name, licence), (files, minutes) in sets.items()
    ]


def main() -> None:
    """Read the arguments, train, and write the model folders."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("plan", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--validation", type=Path, required=True)
    parser.add_argument("--from", dest="start", default="stereo-drnn")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--live", action="store_true", help="make a live-drnn from it")
    kind.add_argument("--four", action="store_true", help="make a network of four stems from it")
    kind.add_argument("--context", metavar="BANDS,UNITS", help="add context at the waist")
    parser.add_argument(
        "--together",
        type=float,
        default=Shares.together,
        help="share of examples whose voice and backing are of one song",
    )
    parser.add_argument(
        "--no-voice",
        type=float,
        default=Shares.no_voice,
        help="share, of the others, in which nobody sings",
    )
    parser.add_argument("--epochs", type=int, default=17)
    parser.add_argument("--steps", type=int, default=60, help="of an epoch")
    parser.add_argument("--seconds", type=float, default=4.0, help="of an example")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=6e-4)
    parser.add_argument("--average", type=float, default=0.995, help="decay of the average")
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
    config = origin.config
    architecture, arguments = config["architecture"], config["arguments"]
    labels, decoder = config["labels"], config["decoder"]
    if options.live:
        live = LiveDRNN(network.stft.config)
        live.load_stereo(network)
        network, architecture, arguments = live, "live-drnn", {}
    if options.four:
        arguments = {**arguments, "num_sources": len(four_stems.STEMS)}
        network = four_stems.begun(network, arguments)
        decoder, labels = {**decoder}, list(four_stems.STEMS)
        decoder.pop("gate", None)
    if options.context:
        bands, units = map(int, options.context.split(","))
        arguments = {**arguments, "context": [bands, units]}
        network = with_context(network, arguments)
    network.odds = 1.0  # whatever they were, training is to find them
    recipe = FitConfig(
        options.epochs, options.steps, options.batch_size, learning_rate=options.learning_rate,
        average=options.average, precision="bfloat16" if options.half else "float32",
        keep_statistics=not options.live, seed=options.seed,
    )  # fmt: skip
    data = data_sets(plan, four_stems.ROLES if options.four else ROLES)
    measured = "mean" if options.four else "vocals"
    card = Card(
        "separate", architecture, {**arguments, "odds": 1.0}, labels,
        data, [each.licence for each in data], f"the epoch was chosen on {options.validation.name}",
        {"seconds": options.seconds, "fit": asdict(recipe)},
        {"metric": f"{measured} SNR improvement", "unit": "dB",
         "measure": "ratio of energies in stereo, no gain or filter allowed",
         "data": f"the clips that chose the epoch: {options.validation.name}"},
        decoder=decoder,
    )  # fmt: skip
    identity = {"plan": str(options.plan.resolve()), "start": config["weights_sha256"]}
    objective = Objective(options, plan, network.sample_rate)
    objective.facts = card.facts(origin)
    run: Run[StereoDRNN, Tensor] = Run(
        options.output, card, recipe, identity, [origin],
        lambda epoch: print(f"{epoch.number}\tloss {epoch.loss:.3f}\t{epoch.score:.2f} dB"),
    )  # fmt: skip
    run.fit(network, objective, objective.where)


if __name__ == "__main__":
    main()
