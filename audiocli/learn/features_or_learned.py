"""Two or not two: where linear features end, and a small net goes on.

A clip holds one, two or three tones, each at another of some frequencies, with random phases and
levels. The question is whether there are exactly two. PCA and NMF make features of its spectrum
that are sums of what is in it, and a linear decision on sums can only say "more" or "less": two is
in the middle, so at best it tells two from one or two from three, as with XOR. A hidden layer can
say "more than one" and "more than two", and two is the difference of these.

References
----------
Lee, Seung: Learning the parts of objects by non-negative matrix factorization. Nature 401, 1999.
Minsky, Papert: Perceptrons. MIT Press, 1969 (connectedness and counting).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float64]
BLUE, ORANGE, GREEN, VERMILION, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#767676"
SAMPLES, RATE = 512, 8000  # of a clip, and in Hz
COUNTS = (1, 2, 3)
SHARES = (0.25, 0.5, 0.25)  # so that "two" is right for half of the clips


@dataclass(frozen=True)
class Settings:
    """What can be chosen: clips, components, hidden units, tones to choose from, steps, seed."""

    clips: int = 2000
    components: int = 12
    units: int = 16
    tones: int = 12
    steps: int = 600
    seed: int = 0


@dataclass(frozen=True)
class Lesson:
    """All that is shown: accuracies of half of the clips, which were not learned from."""

    settings: Settings
    accuracy: dict[str, float]
    by_count: dict[str, tuple[float, ...]]
    scores: dict[str, Array]
    counts: NDArray[np.intp]


def clips(settings: Settings, rng: np.random.Generator) -> tuple[Array, NDArray[np.intp]]:
    """Make spectra (clips, bins), compressed, and the number of tones in each."""
    time = np.arange(SAMPLES) / RATE
    frequencies = np.linspace(400, 3600, settings.tones)
    counts = rng.choice(COUNTS, size=settings.clips, p=SHARES)
    spectra = []
    for count in counts:
        chosen = rng.choice(frequencies, size=count, replace=False)
        levels = rng.uniform(0.7, 1.3, count)
        phases = rng.uniform(0, 2 * np.pi, count)
        waves = levels[:, None] * np.sin(2 * np.pi * chosen[:, None] * time + phases[:, None])
        sound = waves.sum(axis=0) + 0.05 * rng.normal(size=SAMPLES)
        spectra.append(np.abs(np.fft.rfft(sound * np.hanning(SAMPLES)))[::2])
    return np.sqrt(np.array(spectra)), counts


def pca(spectra: Array, components: int) -> Array:
    """Find the directions of most variance, (components, bins)."""
    centred = spectra - spectra.mean(axis=0)
    return np.linalg.svd(centred, full_matrices=False)[2][:components]


def nmf(spectra: Array, components: int, rng: np.random.Generator) -> Array:
    """Find parts that add up to the spectra, (components, bins), by Lee and Seung's rule."""
    weights = rng.uniform(0.1, 1, (len(spectra), components))
    parts = rng.uniform(0.1, 1, (components, spectra.shape[1]))
    for _ in range(150):
        weights *= spectra @ parts.T / (weights @ parts @ parts.T + 1e-9)
        parts *= weights.T @ spectra / (weights.T @ weights @ parts + 1e-9)
    return parts


def activations(spectra: Array, parts: Array) -> Array:
    """Find how much of each part is in each spectrum, never less than nothing."""
    weights = np.full((len(spectra), len(parts)), 0.5)
    for _ in range(60):
        weights *= spectra @ parts.T / (weights @ parts @ parts.T + 1e-9)
    return weights


def train(inputs: Array, targets: Array, units: int, steps: int, seed: int) -> nn.Module:
    """Train a linear unit, or with `units` a hidden layer before it."""
    torch.manual_seed(seed)
    width = inputs.shape[1]
    hidden = [nn.Linear(width, units), nn.Tanh()] if units else []
    net = nn.Sequential(*hidden, nn.Linear(units or width, 1)).double()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    x, y = torch.from_numpy(inputs), torch.from_numpy(targets)
    for _ in range(steps):
        loss = nn.functional.binary_cross_entropy_with_logits(net(x)[:, 0], y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net


def run(settings: Settings) -> Lesson:
    """Fit features and decisions to half of the clips, and score them on the other half."""
    rng = np.random.default_rng(settings.seed)
    spectra, counts = clips(settings, rng)
    half = settings.clips // 2
    known = spectra[:half]
    directions = pca(known, settings.components)
    parts = nmf(known, settings.components, rng)
    features = {
        "PCA": (spectra - known.mean(axis=0)) @ directions.T,
        "NMF": activations(spectra, parts),
    }
    variants = {
        "PCA, linear": ("PCA", 0),
        "NMF, linear": ("NMF", 0),
        "PCA, net": ("PCA", settings.units),
        "NMF, net": ("NMF", settings.units),
    }
    targets = (counts == 2).astype(float)
    accuracy, by_count, scores = {}, {}, {}
    for name, (kind, units) in variants.items():
        scaled = features[kind] - features[kind][:half].mean(axis=0)
        scaled /= scaled[:half].std(axis=0) + 0.1 * scaled[:half].std()
        net = train(scaled[:half], targets[:half], units, settings.steps, settings.seed)
        with torch.no_grad():
            logits: Tensor = net(torch.from_numpy(scaled[half:]))[:, 0]
        right = (logits.numpy() > 0) == (counts[half:] == 2)
        accuracy[name] = float(right.mean())
        by_count[name] = tuple(float(right[counts[half:] == count].mean()) for count in COUNTS)
        scores[name] = logits.numpy()
    return Lesson(settings, accuracy, by_count, scores, counts[half:])


def page(lesson: Lesson) -> list[str | list[list[str]]]:
    """Say how often each was right."""
    rows = [["features, decision", "right", "of one tone", "of two", "of three"]]
    for name, right in lesson.accuracy.items():
        shares = [f"{100 * share:.0f} %" for share in lesson.by_count[name]]
        rows.append([name, f"{100 * right:.1f} %", *shares])
    return [
        f"Are there exactly two tones? {lesson.settings.clips} clips of one, two or three, half of "
        "them with two; always saying the same is right for half.",
        rows,
        "A linear decision is a threshold on a sum: it can tell two from fewer or from more, not "
        "from both. The net has a threshold for each and takes the difference.",
    ]


def draw(lesson: Lesson) -> Figure:
    """Draw accuracies, and the scores of a linear decision and of a net by number of tones."""
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=[1.2, 1, 1])
    names = list(lesson.accuracy)
    colours = [GREEN if name.endswith("net") else BLUE for name in names]
    left.barh(names[::-1], [100 * lesson.accuracy[name] for name in names[::-1]],
              color=colours[::-1])  # fmt: skip
    left.axvline(50, color=GREY, linestyle="--", label="always the same answer")
    left.set(xlabel="right, %", xlim=(0, 100), title="exactly two tones?")
    left.legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(0, -0.2))
    for axes, name in ((middle, "NMF, linear"), (right, "NMF, net")):
        scores = lesson.scores[name]
        limits = np.quantile(scores, [0.005, 0.995])
        edges = np.linspace(*limits, 40)
        for count, colour in zip(COUNTS, (BLUE, ORANGE, VERMILION), strict=True):
            axes.hist(scores[lesson.counts == count], edges, histtype="step", color=colour,
                      linewidth=1.5, label=f"{count} tone{'s' if count > 1 else ''}")  # fmt: skip
        axes.axvline(0, color=GREY, linestyle="--")
        axes.set(xlabel="score; right of the line: two", ylabel="clips", title=name)
        axes.legend(frameon=False, fontsize=8)
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":  # a copy of this file runs by itself
    result = run(Settings())
    for item in page(result):
        print(item if isinstance(item, str) else "\n".join("\t".join(row) for row in item))
    draw(result).savefig("features-or-learned.png", dpi=130)
