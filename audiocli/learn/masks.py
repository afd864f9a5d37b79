"""The mask layer, and the four losses of Huang et al., on one clip.

A small net sees the magnitudes ``|X|`` of a mixture, a frame at a time, and estimates those of the
voice and of the accompaniment, ``y1`` and ``y2``, which need not add up to anything. The mask layer
makes them do so: ``m = y1 / (y1 + y2)``, ``m |X|`` and ``(1 - m) |X|``. With sources ``s1``, ``s2``

    MSE                 sum (y1 - s1)^2 + (y2 - s2)^2
    KL                  D(s1 || y1) + D(s2 || y2),  D(a || b) = sum a log(a / b) - a + b
    discriminative MSE  MSE - gamma (sum (y1 - s2)^2 + (y2 - s1)^2)
    discriminative KL   KL - gamma (D(s2 || y1) + D(s1 || y2))

The ideal masks are computed from the sources: binary (the louder one takes all) and ratio.

References
----------
Huang, Kim, Hasegawa-Johnson, Smaragdis: Singing-voice separation from monaural recordings using
deep recurrent neural networks. ISMIR 2014, equations 5 to 8; IEEE/ACM TASLP 23(12), 2015.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float64]
GREY = "#767676"
RATE, N_FFT = 44_100, 2048
TOP = 372  # bins: up to 8 kHz
TINY = 1e-6


@dataclass(frozen=True)
class Settings:
    """What can be chosen: seconds, hidden units, training steps, gamma, seed."""

    seconds: float = 6.0
    units: int = 64
    steps: int = 150
    gamma: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class Lesson:
    """All that is shown: magnitudes (bins, frames), losses and ratios in dB by estimate."""

    settings: Settings
    mixture: Array
    sources: tuple[Array, Array]
    masks: dict[str, Array]
    losses: dict[str, dict[str, float]]
    ratios: dict[str, float]


def spectrum(signal: Array) -> NDArray[np.complex128]:
    """Transform a signal (samples,) to (bins, frames): Hann windows, half overlapped."""
    hop = N_FFT // 2
    frames = np.lib.stride_tricks.sliding_window_view(signal, N_FFT)[::hop]
    return np.fft.rfft(frames * np.hanning(N_FFT), axis=1).T[:TOP]


def divergence(reference: Array, estimate: Array) -> float:
    """Compute the generalised Kullback-Leibler divergence."""
    logarithm = np.log((reference + TINY) / (estimate + TINY))
    return float((reference * logarithm - reference + estimate).mean())


def losses(
    sources: tuple[Array, Array], estimates: tuple[Array, Array], gamma: float
) -> dict[str, float]:
    """Compute all four, as means over bins and frames."""
    pairs = list(zip(sources, estimates, strict=True))
    crossed = list(zip(sources, estimates[::-1], strict=True))
    squared = sum(float(((y - s) ** 2).mean()) for s, y in pairs)
    squared_other = sum(float(((y - s) ** 2).mean()) for s, y in crossed)
    diverging = sum(divergence(s, y) for s, y in pairs)
    diverging_other = sum(divergence(s, y) for s, y in crossed)
    return {
        "MSE": squared,
        "KL": diverging,
        "discriminative MSE": squared - gamma * squared_other,
        "discriminative KL": diverging - gamma * diverging_other,
    }


def train(mixture: Array, sources: tuple[Array, Array], settings: Settings) -> Array:
    """Train a two-layer net on the second half of the frames; give (2, bins, frames) of all."""
    torch.manual_seed(settings.seed)
    net = nn.Sequential(
        nn.Linear(TOP, settings.units), nn.ReLU(), nn.Linear(settings.units, 2 * TOP), nn.Softplus()
    )
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    inputs = torch.from_numpy(mixture.T).float()
    targets = torch.from_numpy(np.concatenate(sources).T).float()
    half = len(inputs) // 2
    for _ in range(settings.steps):
        error: Tensor = ((net(inputs[half:]) - targets[half:]) ** 2).mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    with torch.no_grad():
        estimates: Array = net(inputs).double().numpy().T
    return estimates.reshape(2, TOP, -1)


def run(settings: Settings) -> Lesson:
    """Train the net on a part of the demo song, and compare estimates on another part."""
    from audiocli.demo import compose

    song = compose()
    start, samples = round(5 * RATE), round(2 * settings.seconds * RATE)
    voice = song.stems["vocals"][:, start : start + samples].mean(axis=0) / 32768
    mix = song.mixture[:, start : start + samples].mean(axis=0) / 32768
    complex_mixture, complex_voice = spectrum(mix), spectrum(voice)
    scale = np.abs(complex_mixture).std()
    mixture = np.abs(complex_mixture) / scale
    true = (np.abs(complex_voice) / scale, np.abs(complex_mixture - complex_voice) / scale)
    first, second = train(mixture, true, settings)
    masks = {
        "net": first / (first + second + TINY),
        "ideal ratio": true[0] / (true[0] + true[1] + TINY),
        "ideal binary": (true[0] > true[1]).astype(float),
    }
    unseen = slice(0, mixture.shape[1] // 2)
    seen_sources = (true[0][:, unseen], true[1][:, unseen])
    estimates = {
        "the mixture for both": (mixture, mixture),
        "net, before the mask layer": (first, second),
        "net, after the mask layer": (masks["net"] * mixture, (1 - masks["net"]) * mixture),
        "ideal ratio mask": (masks["ideal ratio"] * mixture, (1 - masks["ideal ratio"]) * mixture),
    }
    found, ratios = {}, {}
    for name, pair in estimates.items():
        cut = (pair[0][:, unseen], pair[1][:, unseen])
        found[name] = losses(seen_sources, cut, settings.gamma)
        phase = np.exp(1j * np.angle(complex_mixture[:, unseen]))
        error = np.abs(cut[0] * phase - complex_voice[:, unseen] / scale) ** 2
        ratios[name] = float(10 * np.log10((seen_sources[0] ** 2).sum() / error.sum()))
    shown = {name: mask[:, unseen] for name, mask in masks.items()}
    return Lesson(settings, mixture[:, unseen], seen_sources, shown, found, ratios)


def page(lesson: Lesson) -> list[str | list[list[str]]]:
    """Say what each loss makes of each estimate."""
    names = list(next(iter(lesson.losses.values())))
    rows = [["estimates", *names, "voice, dB"]]
    for name, values in lesson.losses.items():
        numbers = [f"{values[loss]:.4f}" for loss in names]
        rows.append([name, *numbers, f"{lesson.ratios[name]:.1f}"])
    return [
        f"{lesson.settings.seconds:g} s of the demo song that the net was not trained on, up to "
        f"8 kHz; gamma {lesson.settings.gamma:g}. The last column is the signal-to-noise ratio of "
        "the voice with the phase of the mixture.",
        rows,
        "The mask layer costs nothing to learn and makes the estimates add up to the mixture. A "
        "discriminative loss is lower than its plain one by gamma times the distance from the "
        "other source: it rewards estimates that are far from it.",
    ]


def draw(lesson: Lesson) -> Figure:
    """Draw spectrograms of mixture and sources, and the three masks."""
    figure = Figure(figsize=(11, 5.4), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True, sharey=True)
    extent = (0.0, lesson.settings.seconds, 0.0, 8.0)
    pictures = {
        "mixture": lesson.mixture, "voice": lesson.sources[0], "accompaniment": lesson.sources[1],
    }  # fmt: skip
    top = 20 * np.log10(lesson.mixture.max())
    for axes, (name, magnitude) in zip(panels[0], pictures.items(), strict=True):
        image = axes.imshow(20 * np.log10(magnitude + TINY), origin="lower", aspect="auto",
                            extent=extent, vmin=top - 70, vmax=top, cmap="magma")  # fmt: skip
        axes.set_title(name)
    figure.colorbar(image, ax=panels[0], label="level, dB", pad=0.01)
    for axes, (name, mask) in zip(panels[1], lesson.masks.items(), strict=True):
        image = axes.imshow(mask, origin="lower", aspect="auto", extent=extent, vmin=0, vmax=1,
                            cmap="cividis")  # fmt: skip
        axes.set(title=f"mask of the voice: {name}", xlabel="time, s")
    figure.colorbar(image, ax=panels[1], label="share of the voice", pad=0.01)
    for row in panels:
        row[0].set_ylabel("frequency, kHz")
    return figure


if __name__ == "__main__":  # needs audiocli installed, for its song
    result = run(Settings())
    for item in page(result):
        print(item if isinstance(item, str) else "\n".join("\t".join(row) for row in item))
    draw(result).savefig("masks.png", dpi=130)
