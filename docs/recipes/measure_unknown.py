"""Measure how well classifiers know what they are not made for: known against unknown input.

For each model, clips of the kind it is made for are known, and clips of the other sets unknown. The
area under the ROC curve says how often a known clip scores above an unknown one, by three scores:
the probability of the likeliest class, which `unknown` goes by; that of the model's domain (music,
speech, sound) by the classifier `content`, which the warnings go by; and that of music or speech by
`audioset`, which was trained on none of the sets. The sets are those of `docs/data.md`; the models
and `content` were trained on parts of them.

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
    names = [*KNOWN, "content", "audioset"]
    classifier = Classifier("classify", names)
    domains = [str(entry.config.get("domain")) for entry in classifier.entries]
    found: dict[str, list[list[Track]]] = {}
    for folder in map(Path, folders):
        for path in clips(folder):
            with AudioReader(path) as reader:
                tracks = classifier.stream(reader.blocks(), reader.info.sample_rate)
            found.setdefault(folder.name, []).append(tracks)
    print("model,known,likeliest_class,content,audioset")
    for place, (name, known) in enumerate(KNOWN.items()):
        own = found[known]
        others = [tracks for other, those in found.items() if other != known for tracks in those]

        def sure(tracks: Sequence[Track], place: int = place) -> float:
            return float(tracks[place].probabilities.max())

        def fitting(tracks: Sequence[Track], place: int = place) -> float:
            content = tracks[-2]
            return float(content.probabilities[0, content.labels.index(domains[place])])

        def by_events(tracks: Sequence[Track], place: int = place) -> float:
            events = dict(zip(tracks[-1].labels, tracks[-1].probabilities[0], strict=True))
            rest = 1 - max(events["Music"], events["Speech"])
            return float(events.get(domains[place].capitalize(), rest))

        by_class = area([*map(sure, own)], [*map(sure, others)])
        by_domain = area([*map(fitting, own)], [*map(fitting, others)])
        by_audioset = area([*map(by_events, own)], [*map(by_events, others)])
        print(name, known, *(f"{each:.3f}" for each in (by_class, by_domain, by_audioset)), sep=",")


if __name__ == "__main__":
    main(*sys.argv[1:])
