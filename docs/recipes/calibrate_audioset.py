"""Calibrate the classifier of AudioSet's classes on clips that were not in its training.

Each set says which class holds in a clip, and which others do not: in a clip of rain no rooster
crows. The logit of each pooled probability is scaled and shifted so that the probabilities become
the shares of the clips in which the class holds (Platt 1999), by all these together. The scores on
the card are those of one half of each set with what was fitted to the other; both halves make what
is shipped. The sets are those of `docs/data.md`.

    python docs/recipes/calibrate_audioset.py pretrained/classify/audioset data/esc10 \
        data/tsp-speech data/philharmonia data/mood-4q
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from audiocli.io.audio import AudioReader
from audiocli.nn import registry
from audiocli.tasks.classify.classifier import Classifier
from audiocli.tasks.classify.clips import LabelledClip, Selection, find_clips
from audiocli.tasks.classify.scoring import BINS

#: Clips that are taken of a set, evenly spread.
MOST = 160
#: For each set, the column with its labels, and for some of them the class that holds.
HOLDS: dict[str, tuple[str, dict[str, str]]] = {
    "esc10": ("label", {
        "baby_cry": "Baby cry, infant cry", "chainsaw": "Chainsaw", "clock_tick": "Clock",
        "dog_bark": "Dog", "fire_crackling": "Fire", "helicopter": "Helicopter",
        "person_sneeze": "Sneeze", "rain": "Rain", "rooster": "Chicken, rooster",
        "sea_waves": "Waves, surf",
    }),
    "philharmonia": ("label", {
        "banjo": "Banjo", "cello": "Cello", "clarinet": "Clarinet", "bass_clarinet": "Clarinet",
        "flute": "Flute", "french_horn": "French horn", "guitar": "Guitar",
        "mandolin": "Mandolin", "saxophone": "Saxophone", "trombone": "Trombone",
        "trumpet": "Trumpet", "violin": "Violin, fiddle",
    }),
    "tsp-speech": ("speaker", {}),
    "mood-4q": ("quadrant", {}),
}  # fmt: skip
#: The class that holds in all clips of a set.
ALWAYS = {"tsp-speech": "Speech", "mood-4q": "Music"}
#: Classes that may hold as well, so that nothing is said of them: voices in music, and so on.
UNSAID = {"mood-4q": {"Speech", "philharmonia"}, "philharmonia": {"Music"}, "esc10": {"Speech"}}

Array = NDArray[np.float64]
Pairs = tuple[Array, NDArray[np.bool_]]


def spread(clips: Sequence[LabelledClip]) -> list[LabelledClip]:
    """Take clips evenly, so that all labels and groups are among them."""
    step = max(1, -(-len(clips) // MOST))
    return sorted(clips, key=lambda clip: clip.name)[::step]


def statements(name: str, label: str) -> dict[str, bool]:
    """Say which classes hold in a clip of a set, and which do not."""
    true = ALWAYS.get(name) or HOLDS[name][1].get(label)
    if true is None:
        return {}
    unsaid = UNSAID.get(name, set())
    others = {
        each for place, (_, known) in HOLDS.items() if place not in unsaid
        for each in (*known.values(), ALWAYS.get(place)) if each
    }  # fmt: skip
    return {**dict.fromkeys(others - unsaid, False), true: True}


def measured(folder: Path, sets: Sequence[Path]) -> tuple[Pairs, NDArray[np.bool_]]:
    """Give logits and truths of all statements, and which are of the first half of a set."""
    classifier = Classifier("classify", [str(folder)])
    logits, truths, first = [], [], []
    for data in sets:
        clips = spread(find_clips(data, Selection((HOLDS[data.name][0],))))
        for place, clip in enumerate(clips):
            said = statements(data.name, clip.labels[0])
            if not said:
                continue
            with AudioReader(clip.path) as reader:
                [track] = classifier.stream(reader.blocks(), reader.info.sample_rate)
            known = dict(zip(track.labels, track.probabilities[0], strict=True))
            for each, holds in said.items():
                value = float(np.clip(known[each], 1e-6, 1 - 1e-6))
                logits.append(np.log(value / (1 - value)))
                truths.append(holds)
                # By fold where there are any, else every other run of clips.
                fold = clip.facts.get("fold")
                first.append(fold in ("1", "2") if fold else place < len(clips) // 2)
        print(f"{data.name}: {len(clips)} clips", file=sys.stderr)
    return (np.array(logits), np.array(truths)), np.array(first)


def fitted(logits: Array, truths: NDArray[np.bool_]) -> tuple[float, float]:
    """Fit temperature and bias by maximum likelihood."""

    def cost(values: Array) -> float:
        scaled = logits * values[0] + values[1]
        return float(np.mean(np.logaddexp(0, scaled) - truths * scaled))

    scale, bias = minimize(cost, np.array([1.0, 0.0])).x
    return 1 / float(scale), float(bias)


def error(probabilities: Array, truths: NDArray[np.bool_]) -> tuple[float, float]:
    """Compute the expected calibration error, and the Brier score."""
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    gaps = [
        abs(probabilities[bins == each].sum() - truths[bins == each].sum()) for each in range(BINS)
    ]
    return sum(gaps) / len(truths), float(np.mean((probabilities - truths) ** 2))


def likely(logits: Array, temperature: float, bias: float) -> Array:
    """Turn logits into probabilities."""
    values: Array = 1 / (1 + np.exp(-(logits / temperature + bias)))
    return values


def best_f(probabilities: Array, truths: NDArray[np.bool_], threshold: float) -> float:
    """Compute F1 at a threshold."""
    given = probabilities >= threshold
    return float(2 * (given & truths).sum() / (given.sum() + truths.sum()))


def main(folder: str, *sets: str) -> None:
    """Calibrate the model folder."""
    config = registry.open_folder(Path(folder)).config
    plain = {**config, "decoder": {**(config.get("decoder") or {}), "temperature": 1, "bias": 0}}
    registry.write_config(Path(folder), plain)
    (logits, truths), first = measured(Path(folder), [Path(each) for each in sets])
    halves = [first, ~first]
    crossed = np.zeros(len(logits))
    for half in halves:
        crossed[half] = likely(logits[half], *fitted(logits[~half], truths[~half]))
    temperature, bias = fitted(logits, truths)
    raw = likely(logits, 1.0, 0.0)
    (before, brier_before), (after, brier) = error(raw, truths), error(crossed, truths)
    for threshold in (0.2, 0.3, 0.4, 0.5):
        print(threshold, round(best_f(crossed, truths, threshold), 3), file=sys.stderr)
    command = f"python docs/recipes/calibrate_audioset.py {folder} {' '.join(sets)}"
    names = ", ".join(Path(each).name for each in sets)
    data = (
        f"{names}: whether a class holds in a clip; half of each set by what was fitted to the "
        f"other; number of statements: {len(truths)}"
    )
    scores = [
        ("expected calibration error", after, f"{BINS} bins; before {100 * before:.1f}"),
        ("Brier score", brier, f"before {100 * brier_before:.1f}"),
    ]
    new = [
        {"metric": metric, "value": round(100 * value, 1), "unit": "%", "measure": measure,
         "data": data, "command": command}
        for metric, value, measure in scores
    ]  # fmt: skip
    kept = [each for each in config["scores"] if each["command"].split(" data/")[0]
            != command.split(" data/")[0]]  # fmt: skip
    decoder = {**plain["decoder"], "temperature": round(temperature, 4), "bias": round(bias, 4)}
    registry.write_config(Path(folder), {**plain, "decoder": decoder, "scores": [*kept, *new]})
    print(f"temperature {temperature:.3f}, bias {bias:.3f}; calibration error {before:.4f} to "
          f"{after:.4f}, Brier score {brier_before:.4f} to {brier:.4f}")  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
