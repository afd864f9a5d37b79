"""Local minima: many starts, where they end, and paths on a loss surface.

One sigmoid unit is enough to have them, if its loss is the squared error. A weight that must answer
``y = 0.55`` to ``x = 10`` and ``y = 0.25`` to ``x = 0.7`` cannot do both, and there are two ways to
give one up; with two such inputs there are four minima, with d of them ``2^d`` (Auer, Herbster and
Warmuth). Nothing here is a slice: the unit has two weights, so the surface is the whole loss. With
cross-entropy, the loss that matches the sigmoid, the same examples have one minimum.

Nets with a hidden layer lose that guarantee. On XOR with two hidden units a part of all starts ends
on a plateau with an answer wrong; with more units it becomes rare. At each end the gradient's norm
and the smallest curvature (of the Hessian) say what sort of place it is: a true minimum has no
direction in which the loss bends down.

References
----------
Rumelhart, Hinton, Williams: Learning representations by back-propagating errors. Nature 323, 1986.
Auer, Herbster, Warmuth: Exponentially many local minima for single neurons. NIPS 1995.
Hamey: XOR has no local minima: a case study in neural network error surface analysis. Neural
Networks 11, 1998.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#767676"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE)
#: Two inputs that are never on together, and what the unit is to answer.
EXAMPLES = np.array([[10.0, 0.0], [0.7, 0.0], [0.0, 10.0], [0.0, 0.7]])
ANSWERS = np.array([0.55, 0.25, 0.55, 0.25])
SIDE = (-4.0, 2.0)  # of the surface, for both weights


@dataclass(frozen=True)
class Settings:
    """What can be chosen: starts, hidden units for XOR, step size, steps, seed."""

    starts: int = 200
    units: tuple[int, ...] = (2, 3, 4, 8)
    learning_rate: float = 2.0
    steps: int = 2000
    seed: int = 0


@dataclass(frozen=True)
class Surface:
    """Paths of gradient descent on the loss of one unit with two weights."""

    name: str
    loss: Array  # (weights, weights) on a grid
    paths: Array  # (steps + 1, starts, 2)
    minima: Array  # (minima, 2), the best first
    losses: Array  # (minima,)
    shares: Array  # of the starts that end there


@dataclass(frozen=True)
class Ends:
    """Where XOR ended, for one number of hidden units."""

    losses: Array  # (starts,)
    solved: Array  # (starts,), whether all four answers are right
    gradients: Array  # (starts,), norms
    curvatures: Array  # (starts,), smallest eigenvalue of the Hessian


@dataclass(frozen=True)
class Lesson:
    """All that is shown."""

    settings: Settings
    edge: Array
    surfaces: tuple[Surface, Surface]
    xor: dict[int, Ends]


def sigmoid(a: Array) -> Array:
    """Compute 1 / (1 + exp(-a)) without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * a)))


def unit_loss(weights: Array, name: str) -> tuple[Array, Array]:
    """Compute loss and gradient for weights (..., 2) of the one unit."""
    a = weights @ EXAMPLES.T
    y = sigmoid(a)
    if name == "squared error":
        return ((y - ANSWERS) ** 2).mean(axis=-1), (
            2 * (y - ANSWERS) * y * (1 - y) @ EXAMPLES / len(ANSWERS)
        )
    loss = (np.logaddexp(0, a) - ANSWERS * a).mean(axis=-1)
    return loss, (y - ANSWERS) @ EXAMPLES / len(ANSWERS)


def descend(name: str, starts: Array) -> Surface:
    """Follow the gradient from each start; collect where paths end."""
    edge = np.linspace(*SIDE, 241)
    grid = np.stack(np.meshgrid(edge, edge), axis=-1)
    paths, weights = [starts], starts
    for _ in range(4000):
        slope = unit_loss(weights, name)[1]
        # The valley is steep across and flat along: steps of limited length stay in it.
        length = np.linalg.norm(slope, axis=1, keepdims=True)
        weights = weights - slope * np.minimum(0.25, 0.02 / np.maximum(length, 1e-12))
        paths.append(weights)
    places: list[Array] = []
    belongs = np.zeros(len(weights), int)
    for index, end in enumerate(weights):
        near = [k for k, place in enumerate(places) if np.linalg.norm(end - place) < 0.15]
        if not near:
            places.append(end)
        belongs[index] = near[0] if near else len(places) - 1
    losses = np.array([float(unit_loss(place, name)[0]) for place in places])
    shares = np.bincount(belongs, minlength=len(places)) / len(weights)
    order = np.argsort(losses)
    minima = np.array(places)[order]
    return Surface(name, unit_loss(grid, name)[0], np.array(paths), minima, losses[order],
                   shares[order])  # fmt: skip


def xor_outputs(weights: Tensor, units: int) -> Tensor:
    """Answer the four inputs of XOR; a net's weights are one row: (nets, 4 units + 1)."""
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    first, bias, second, last = weights.split([2 * units, units, units, 1], dim=-1)
    first = first.unflatten(-1, (units, 2))
    h = torch.sigmoid(x @ first.transpose(-1, -2) + bias.unsqueeze(-2))
    return torch.sigmoid((h @ second.unsqueeze(-1)).squeeze(-1) + last)


def xor_loss(weights: Tensor, units: int) -> Tensor:
    """Compute half the squared error, the mean over the four inputs, for each net."""
    targets = torch.tensor([0.0, 1.0, 1.0, 0.0], dtype=torch.float64)
    return 0.5 * ((xor_outputs(weights, units) - targets) ** 2).mean(dim=-1)


def solve_xor(units: int, settings: Settings) -> Ends:
    """Descend from many starts at once, with momentum, and look at the places where it ends."""
    weights = torch.randn(settings.starts, 4 * units + 1, dtype=torch.float64).requires_grad_()
    optimizer = torch.optim.SGD([weights], lr=settings.learning_rate, momentum=0.9)
    for _ in range(settings.steps):
        optimizer.zero_grad()
        xor_loss(weights, units).sum().backward()
        optimizer.step()
    ends = weights.detach().requires_grad_()
    losses = xor_loss(ends, units)
    (slopes,) = torch.autograd.grad(losses.sum(), ends, create_graph=True)
    # The nets do not touch each other, so one pass gives a row of the Hessian of each.
    rows = [
        torch.autograd.grad(column.sum(), ends, retain_graph=True)[0]
        for column in slopes.unbind(dim=1)
    ]
    hessian = torch.stack(rows, dim=1)
    right = (xor_outputs(ends, units) > 0.5) == torch.tensor([False, True, True, False])
    return Ends(
        losses.detach().numpy(),
        right.all(dim=1).numpy(),
        slopes.detach().norm(dim=1).numpy(),
        torch.linalg.eigvalsh(hessian)[:, 0].numpy(),
    )


def run(settings: Settings) -> Lesson:
    """Descend on two surfaces, and from many starts of XOR."""
    rng = np.random.default_rng(settings.seed)
    torch.manual_seed(settings.seed)
    starts = rng.uniform(*SIDE, (min(settings.starts, 100), 2))
    return Lesson(
        settings,
        np.linspace(*SIDE, 241),
        (descend("squared error", starts), descend("cross-entropy", starts)),
        {units: solve_xor(units, settings) for units in settings.units},
    )


def page(lesson: Lesson) -> list[str | list[list[str]]]:
    """Say what was found."""
    minima = [["loss of one unit", "minimum", "w1", "w2", "loss", "starts that end there"]]
    for surface in lesson.surfaces:
        for k, (place, loss, share) in enumerate(
            zip(surface.minima, surface.losses, surface.shares, strict=True), 1
        ):
            row = [f"{place[0]:.3f}", f"{place[1]:.3f}", f"{loss:.5f}", f"{100 * share:.0f} %"]
            minima.append([surface.name, str(k), *row])
    xor = [["hidden units", "solved", "best loss", "median", "worst", "stuck",
            "gradient norm there",
            "bends down there"]]  # fmt: skip
    for units, ends in lesson.xor.items():
        stuck = ~ends.solved
        row = [str(units), f"{100 * ends.solved.mean():.0f} %"]
        row += [f"{value:.5f}" for value in np.quantile(ends.losses, [0, 0.5, 1])]
        if stuck.any():
            down = (ends.curvatures[stuck] < -1e-6).sum()
            row += [str(stuck.sum()), f"{np.median(ends.gradients[stuck]):.1e} (median)"]
            row += [f"{down} of {stuck.sum()}"]
        else:
            row += ["0", "", ""]
        xor.append(row)
    return [
        f"One sigmoid unit, two weights, four examples; "
        f"{lesson.surfaces[0].paths.shape[1]} starts:",
        minima,
        f"XOR by one hidden layer of sigmoids, squared error, {lesson.settings.starts} starts, "
        f"{lesson.settings.steps} steps each:",
        xor,
        "'Bends down': the Hessian has a negative eigenvalue, so the place is a saddle that "
        "descent "
        "has not left yet. Elsewhere it is flat to within 1e-6: a plateau on which hardly anything "
        "tells the way.",
    ]


def draw(lesson: Lesson) -> Figure:
    """Draw both surfaces with their paths, the final losses, and the share that solved XOR."""
    figure = Figure(figsize=(12, 7), layout="constrained")
    (left, right), (ends, solved) = figure.subplots(2, 2, height_ratios=[1.35, 1])
    for axes, surface in zip((left, right), lesson.surfaces, strict=True):
        draw_surface(axes, lesson.edge, surface)
    for place, result in enumerate(lesson.xor.values()):
        spread = np.random.default_rng(0).uniform(-0.3, 0.3, len(result.losses))
        for mask, colour, marker in ((result.solved, BLUE, "o"), (~result.solved, ORANGE, "x")):
            ends.scatter(np.maximum(result.losses[mask], 1e-9), place + spread[mask], s=10,
                         color=colour, marker=marker, linewidth=0.8)  # fmt: skip
    ends.scatter([], [], color=BLUE, marker="o", s=14, label="solved")
    ends.scatter([], [], color=ORANGE, marker="x", s=14, label="an answer is wrong")
    ends.set(xscale="log", xlabel="final loss", ylabel="hidden units",
             title="XOR: where each start ends")  # fmt: skip
    ends.set_yticks(range(len(lesson.xor)), [str(units) for units in lesson.xor])
    ends.legend(frameon=False, fontsize=8, loc="upper center")
    shares = [100 * result.solved.mean() for result in lesson.xor.values()]
    bars = solved.bar(range(len(shares)), shares, color=BLUE, width=0.6)
    solved.bar_label(bars, [f"{share:.0f} %" for share in shares], fontsize=9)
    solved.set_xticks(range(len(shares)), [str(units) for units in lesson.xor])
    solved.set(xlabel="hidden units", ylabel="starts that solve XOR, %", ylim=(0, 112),
               title="wider nets are stuck less often")  # fmt: skip
    for axes in (ends, solved):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_surface(axes: Axes, edge: Array, surface: Surface) -> None:
    """Draw a loss surface from above, with paths in the colour of the place where they end."""
    low, high = surface.loss.min(), surface.loss.max()
    levels = low + (high - low) * np.linspace(0, 1, 25) ** 2  # close together where it is flat
    axes.contourf(edge, edge, surface.loss, levels, cmap="Greys", alpha=0.8)
    axes.contour(edge, edge, surface.loss, levels, colors="white", linewidths=0.4)
    ends = surface.paths[-1]
    nearest = np.linalg.norm(ends[:, None] - surface.minima[None], axis=2).argmin(axis=1)
    for index in range(0, len(ends), max(1, len(ends) // 50)):
        path = surface.paths[::10, index]
        axes.plot(*path.T, color=COLOURS[nearest[index] % 4], linewidth=0.9)
        axes.plot(*path[0], ".", color=COLOURS[nearest[index] % 4], markersize=4)
    for k, (place, loss) in enumerate(zip(surface.minima, surface.losses, strict=True)):
        axes.plot(*place, "*", color=COLOURS[k % 4], markersize=15, markeredgecolor="black",
                  label=f"loss {loss:.3f}")  # fmt: skip
    axes.set(xlim=SIDE, ylim=SIDE, xlabel="$w_1$", ylabel="$w_2$", aspect="equal")
    many = f"{len(surface.minima)} minim{'um' if len(surface.minima) == 1 else 'a'}"
    axes.set_title(f"one unit, {surface.name}: {many}", fontsize=11)
    axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)


if __name__ == "__main__":  # a copy of this file runs by itself
    result = run(Settings())
    for item in page(result):
        print(item if isinstance(item, str) else "\n".join("\t".join(row) for row in item))
    draw(result).savefig("local-minima.png", dpi=130)
