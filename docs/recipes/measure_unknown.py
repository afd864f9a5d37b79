"""Measure how well classifiers know what they are not made for: known against unknown input.

    python docs/recipes/measure_unknown.py data

For each model, clips of some sets of `docs/data.md` are of the kind it is made for, and clips of
others are not; noise and tones are computed. Of 24 clips of each set, evenly spread, the first five
seconds count. The area under the ROC curve says how often a clip of the right kind scores above one
of another, by three scores: the probability of the likeliest class; that of the model's domain
(music, speech, an instrument) by the classifier `content`; and that by the classes of `audioset`,
which was trained on none of the sets (the others were trained on parts of them). The last two
columns are how many of both are out of domain.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audiocli.io import audio
from audiocli.tasks.classify.classifier import Classifier
from audiocli.tasks.classify.domains import DOMAINS, probability_in
from audiocli.tasks.classify.scoring import roc_auc

MODELS = {"genre": "music", "mood": "music", "instrument": "instrument", "speaker": "speech"}
MUSIC, NOTES = ("mood-4q", "emotify", "backings"), ("philharmonia", "chord-clips")
#: The sets of the right kind and of another, for each domain; what is in neither may be both.
SETS = {
    "music": ((*MUSIC, "singing"), ("tsp-speech", "esc10", "computed")),
    "speech": (("tsp-speech",), (*MUSIC, *NOTES, "esc10", "computed")),
    "instrument": (NOTES, ("tsp-speech", "esc10", "computed")),
}
CLIPS, SECONDS, RATE = 24, 5, 22_050
SUFFIXES = (".flac", ".ogg", ".opus", ".wav")

Signal = NDArray[np.float32]


def clips(folder: Path) -> Iterator[tuple[Signal, int]]:
    """Read the beginnings of clips of a set."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES)
    for path in paths[:: max(1, len(paths) // CLIPS)][:CLIPS]:
        signal, rate = audio.read(path, mono=True)
        yield signal[:, : SECONDS * rate], rate


def computed() -> Iterator[tuple[Signal, int]]:
    """Make white, pink and brown noise at three levels, tones and clicks."""
    rng = np.random.default_rng(0)
    samples = SECONDS * RATE
    time = np.arange(samples) / RATE
    sounds = []
    for slope in (0.0, -0.5, -1.0):
        spectrum = np.fft.rfft(rng.normal(size=samples))
        noise = np.fft.irfft(spectrum * np.maximum(np.arange(len(spectrum)), 1) ** slope, samples)
        sounds += [noise / np.abs(noise).max() * 10 ** (-0.8 * level) for level in range(3)]
    sounds += [0.3 * np.sin(2 * np.pi * pitch * time) for pitch in (50, 220, 440, 1000, 5000)]
    sounds += [0.8 * (np.arange(samples) % (RATE // often) == 0) for often in (1, 3, 8)]
    for sound in sounds:
        yield sound[np.newaxis].astype(np.float32), RATE


def measured(data: Path) -> dict[str, list[list[tuple[float, float, float, bool]]]]:
    """For each set, clip and model: the three scores, and whether it is out of domain."""
    classifier = Classifier("classify", [*MODELS, "content", "audioset"])
    parents = classifier.entries[-1].config["parents"]
    found: dict[str, list[list[tuple[float, float, float, bool]]]] = {}
    for name in sorted({name for kinds in SETS.values() for names in kinds for name in names}):
        for signal, rate in computed() if name == "computed" else clips(data / name):
            *tracks, content, events = classifier.stream([signal], rate)
            kinds = dict(zip(content.labels, content.probabilities[0].tolist(), strict=True))
            classes = dict(zip(events.labels, events.probabilities[0].tolist(), strict=True))
            found.setdefault(name, []).append(
                [
                    (
                        float(track.probabilities.max()),
                        kinds.get(DOMAINS[domain].content, 0.0),
                        probability_in(domain, classes, parents),
                        track.out_of_domain,
                    )
                    for track, domain in zip(tracks, MODELS.values(), strict=True)
                ]
            )
    return found


def main(data: str) -> None:
    """Print a row for each model."""
    found = measured(Path(data))
    print("model,likeliest_class,content,audioset,known_out,known,unknown_out,unknown")
    for place, (name, domain) in enumerate(MODELS.items()):
        known, unknown = (
            np.array([clip[place] for each in names for clip in found[each]])
            for names in SETS[domain]
        )
        truth = (np.arange(len(known) + len(unknown)) < len(known))[:, np.newaxis]
        scores = np.concatenate([known, unknown])[:, :3]
        areas = [roc_auc(truth, column[:, np.newaxis]).mean for column in scores.T]
        counts = [
            round(part) for each in (known, unknown) for part in (each[:, 3].sum(), len(each))
        ]
        print(name, *(f"{area:.3f}" for area in areas), *counts, sep=",")


if __name__ == "__main__":
    main(*sys.argv[1:])
