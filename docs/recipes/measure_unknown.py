"""Measure how well classifiers know what they are not made for: known against unknown input.

For each model, clips of the kind it is made for are known, and clips of the other sets unknown. The
area under the ROC curve says how often a known clip scores above an unknown one, by two scores: the
probability of the likeliest class, which `unknown` goes by, and the probability of the model's
domain (music, speech) by the classifier `content`, which the warnings go by. The sets are those of
`docs/data.md`. Some of them were trained on: what is measured is not how the models do on new data
of their own kind.

    python docs/recipes/measure_unknown.py data/mood-4q data/tsp-speech data/esc10 data/philharmonia
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from audiocli.io.audio import AudioReader
from audiocli.tasks.classify.classifier import Classifier, Track
from audiocli.tasks.classify.scoring import roc_auc

#: The set of known clips of each model; all others are unknown.
KNOWN = {
    "genre": "mood-4q",
    "genre-broad": "mood-4q",
    "mood": "mood-4q",
    "instrument": "philharmonia",
    "speaker": "tsp-speech",
    "event": "esc10",
}
#: Clips of a set, evenly spread.
CLIPS = 20


def clips(folder: Path) -> list[Path]:
    """Take clips of a set."""
    with open(folder / "labels.csv", newline="", encoding="utf-8") as stream:
        paths = [folder / row["path"] for row in csv.DictReader(stream)]
    return paths[:: max(1, len(paths) // CLIPS)][:CLIPS]


def area(known: Sequence[float], unknown: Sequence[float]) -> float:
    """Compute the area under the ROC curve."""
    scores = np.array([*known, *unknown])[:, None]
    truth = (np.arange(len(scores)) < len(known))[:, None]
    return float(roc_auc(truth, scores).mean)


def main(*folders: str) -> None:
    """Print a row for each model."""
    names = [*KNOWN, "content"]
    classifier = Classifier("classify", names)
    domains = [str(entry.config.get("domain")) for entry in classifier.entries]
    found: dict[str, list[list[Track]]] = {}
    for folder in map(Path, folders):
        for path in clips(folder):
            with AudioReader(path) as reader:
                tracks = classifier.stream(reader.blocks(), reader.info.sample_rate)
            found.setdefault(folder.name, []).append(tracks)
    print("model,known,likeliest_class,domain,domain_below_0.2_known,domain_below_0.2_unknown")
    for place, (name, known) in enumerate(KNOWN.items()):
        own = found[known]
        others = [tracks for other, those in found.items() if other != known for tracks in those]

        def sure(tracks: Sequence[Track], place: int = place) -> float:
            return float(tracks[place].probabilities.max())

        def fitting(tracks: Sequence[Track], place: int = place) -> float:
            content = tracks[-1]
            return float(content.probabilities[0, content.labels.index(domains[place])])

        by_class = area([*map(sure, own)], [*map(sure, others)])
        by_domain = area([*map(fitting, own)], [*map(fitting, others)])
        warned = [float(np.mean([fitting(each) < 0.2 for each in side])) for side in (own, others)]
        print(name, known, *(f"{each:.3f}" for each in (by_class, by_domain, *warned)), sep=",")


if __name__ == "__main__":
    main(*sys.argv[1:])
