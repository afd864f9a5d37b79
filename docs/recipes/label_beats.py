"""Label recordings of real music with another tracker's beats, to train on.

    PEER docs/recipes/label_beats.py find FOUND FILE.wav ...
    python docs/recipes/label_beats.py keep FOUND OUTPUT FILE.wav ...

`find` runs madmom (Böck, Krebs and Widmer 2016; its models are CC BY-NC-SA 4.0) in an environment
of its own, whose Python PEER is (see benchmarks/peer_beats.py), with five of its eight networks.
`keep` writes OUTPUT/NAME.beats with a link to the recording beside it, where madmom is very sure of
the beats, or sure and our model finds the same. Places in the bar are written where it is sure of
the downbeats; without them it is unknown where bars begin.
"""

from __future__ import annotations

from pathlib import Path

import labelling
import numpy as np
from numpy.typing import NDArray

NETWORKS = 5
RATE = 100  # of madmom's activations, frames a second
REACH = 3  # frames beside a beat in which its activation is looked for
SURE, VERY_SURE = 0.4, 0.6  # mean activation at the beats
MISSED, LEAST = 0.2, 0.06  # an activation below the one is a miss; share of those, at most
AGREED = 0.8  # F-measure of our beats
DOWN, OTHER = 0.3, 0.45  # mean activation at downbeats; that of the others, of it, at most


def find(folder: Path, recordings: list[Path]) -> None:
    """Store madmom's beats, places in the bar, and the activations of both."""
    from madmom.features.downbeats import DBNDownBeatTrackingProcessor, RNNDownBeatProcessor
    from madmom.ml.nn import NeuralNetworkEnsemble
    from madmom.models import DOWNBEATS_BLSTM

    network = RNNDownBeatProcessor()
    for index, part in enumerate(network.processors):
        if isinstance(part, NeuralNetworkEnsemble):
            network.processors[index] = NeuralNetworkEnsemble.load(DOWNBEATS_BLSTM[:NETWORKS])
    decode = DBNDownBeatTrackingProcessor(beats_per_bar=[3, 4], fps=RATE)
    folder.mkdir(parents=True, exist_ok=True)
    for recording in recordings:
        curves = network(str(recording))
        rows = np.asarray(decode(curves), float).reshape(-1, 2)
        frames = np.round(rows[:, 0] * RATE).astype(int)
        heights = [
            [curve[max(0, frame - REACH) : frame + REACH + 1].max() for frame in frames]
            for curve in (curves.sum(axis=1), curves[:, 1])
        ]
        target = folder / f"{recording.stem}.npz"
        np.savez(target, times=rows[:, 0], places=rows[:, 1], beat=heights[0], down=heights[1])
        print(target, flush=True)


def known(
    beat: NDArray[np.float64], down: NDArray[np.float64], places: NDArray[np.float64], agreed: float
) -> tuple[bool, bool]:
    """Tell whether the beats, and whether the downbeats are to be learned."""
    if len(beat) < 8 or (beat < MISSED).mean() > LEAST:
        return False, False
    sure = beat.mean() >= (SURE if agreed >= AGREED else VERY_SURE)
    first = places == 1
    if not first.any() or first.all():
        return bool(sure), False
    height = down[first].mean()
    return bool(sure), bool(sure and height >= DOWN and down[~first].mean() <= OTHER * height)


def keep(folder: Path, output: Path, recordings: list[Path]) -> None:
    """Write the beats to train on."""
    from audiocli.io import audio
    from audiocli.tasks.beats import BeatTracker
    from audiocli.tasks.beats.scoring import f_measure

    tracker = BeatTracker("tcn", device="cpu")
    output.mkdir(parents=True, exist_ok=True)
    for recording in recordings:
        found = np.load(folder / f"{recording.stem}.npz")
        samples, rate = audio.read(recording, mono=True)
        ours = tracker(samples, rate).times
        agreed = f_measure(found["times"], ours)
        beats, bars = known(found["beat"], found["down"], found["places"], agreed)
        print(f"{recording.stem}\tagreed {agreed:.2f}\tbeats {beats}\tbars {bars}", flush=True)
        if beats:
            rows = zip(found["times"], found["places"], strict=True)
            lines = (
                f"{time:.3f}\t{place:.0f}\n" if bars else f"{time:.3f}\n" for time, place in rows
            )
            target = output / f"{recording.stem}.beats"
            target.write_text("".join(lines), "utf-8")
            target.with_suffix(recording.suffix).symlink_to(recording.resolve())


if __name__ == "__main__":
    labelling.run(__doc__, find, keep)
