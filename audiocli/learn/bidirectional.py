"""What a frame can know: the past, the future, or both.

In a noisy sequence one frame, at a random place, carries a sign, and every frame is to say which
one it was. A network that runs forward knows it only after that frame, one that runs backward only
before it, and a bidirectional one everywhere. So the accuracy by distance to the event shows what
reached each frame. Onset detection is such a case: what follows an onset tells as much of it as
what came before.

References
----------
Schuster, Paliwal: Bidirectional recurrent neural networks. IEEE Transactions on Signal Processing
45(11), 1997.
Graves: Supervised sequence labelling with recurrent neural networks. Springer, 2012, section 3.2.4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float64]
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#E69F00", "#009E73", "#767676"
DIRECTIONS = {"past only": BLUE, "future only": ORANGE, "both": GREEN}
TESTED = 1000  # sequences


@dataclass(frozen=True)
class Settings:
    """What can be chosen: frames, units, noise beside the sign, training steps, seed."""

    frames: int = 24
    units: int = 12
    noise: float = 0.2
    steps: int = 300
    seed: int = 0


@dataclass(frozen=True)
class Lesson:
    """All that is shown: accuracy at each distance of a frame from the event."""

    settings: Settings
    distances: NDArray[np.intp]
    accuracy: dict[str, Array]
    overall: dict[str, float]


def sequences(
    settings: Settings, number: int, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw inputs (number, frames, 1), targets (number,) and places of the events."""
    inputs = settings.noise * torch.randn(number, settings.frames, generator=generator)
    places = torch.randint(settings.frames, (number,), generator=generator)
    targets = torch.randint(2, (number,), generator=generator).float()
    inputs[torch.arange(number), places] += 2 * (2 * targets - 1)
    return inputs.unsqueeze(2), targets, places


class Net(nn.Module):
    """An LSTM that runs forward, backward, or both ways, and one unit for each frame."""

    def __init__(self, units: int, direction: str) -> None:
        super().__init__()
        self.backward_only = direction == "future only"
        both = direction == "both"
        self.recurrence = nn.LSTM(1, units, batch_first=True, bidirectional=both)
        self.output = nn.Linear(units * (2 if both else 1), 1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Give logits (batch, frames) of inputs (batch, frames, 1)."""
        states = self.recurrence(inputs.flip(1) if self.backward_only else inputs)[0]
        logits: Tensor = self.output(states.flip(1) if self.backward_only else states)[..., 0]
        return logits


def train(settings: Settings, direction: str) -> Net:
    """Train a net on sequences drawn anew at every step."""
    torch.manual_seed(settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)
    net = Net(settings.units, direction)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(settings.steps):
        inputs, targets, _ = sequences(settings, 32, generator)
        logits = net(inputs)
        wanted = targets.unsqueeze(1).expand_as(logits)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, wanted)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
    return net


def run(settings: Settings) -> Lesson:
    """Train the three nets, and count their right frames by distance to the event."""
    generator = torch.Generator().manual_seed(settings.seed + 1)
    inputs, targets, places = sequences(settings, TESTED, generator)
    distance = (torch.arange(settings.frames) - places.unsqueeze(1)).numpy()
    distances = np.arange(1 - settings.frames, settings.frames)
    accuracy, overall = {}, {}
    for direction in DIRECTIONS:
        net = train(settings, direction)
        with torch.no_grad():
            right = ((net(inputs) > 0) == (targets.unsqueeze(1) > 0)).numpy()
        accuracy[direction] = np.array([right[distance == d].mean() for d in distances])
        overall[direction] = float(right.mean())
    return Lesson(settings, distances, accuracy, overall)


def page(lesson: Lesson) -> list[str | list[list[str]]]:
    """Say how often frames were right before, at and after the event."""
    rows = [["the net reads", "all frames", "before the event", "at the event", "after it"]]
    sides = (lesson.distances < 0, lesson.distances == 0, lesson.distances > 0)
    for direction, accuracy in lesson.accuracy.items():
        shares = [f"{100 * accuracy[side].mean():.0f} %" for side in sides]
        rows.append([direction, f"{100 * lesson.overall[direction]:.0f} %", *shares])
    return [
        f"One of {lesson.settings.frames} frames carries a sign, and every frame is to say which. "
        "Guessing is right for half.",
        rows,
    ]


def draw(lesson: Lesson) -> Figure:
    """Draw accuracy against distance."""
    figure = Figure(figsize=(7.5, 3.8), layout="constrained")
    axes = figure.add_subplot()
    styles = {"past only": ("-", 1.8), "future only": ("-", 1.8), "both": ("--", 2.4)}
    for direction, colour in DIRECTIONS.items():
        style, width = styles[direction]
        axes.plot(lesson.distances, 100 * lesson.accuracy[direction], style, color=colour,
                  linewidth=width, label=direction)  # fmt: skip
    axes.axhline(50, color=GREY, linestyle=":", label="guessing")
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set(xlabel="frame, counted from the event", ylabel="right, %", ylim=(30, 103),
             title="what a frame knows of an event")  # fmt: skip
    axes.legend(frameon=False, loc="lower right", ncols=2)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":  # a copy of this file runs by itself
    result = run(Settings())
    for item in page(result):
        print(item if isinstance(item, str) else "\n".join("\t".join(row) for row in item))
    draw(result).savefig("bidirectional.png", dpi=130)
