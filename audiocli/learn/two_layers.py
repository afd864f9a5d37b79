"""Two layers: what one cannot do, what width can approximate, and what depth saves.

XOR is OR and not AND: two hidden units draw two lines, and a third answers between them. With
more hidden units the border becomes any shape, and the function any continuous one (Cybenko,
Hornik): one can even write the weights down, a staircase of steep sigmoids whose error is at most
what the function varies within one stair. Training finds better ones.

Depth saves weights. Two ReLU units make a tent, ``t(x) = 2 relu(x) - 4 relu(x - 1/2)`` on [0, 1].
A tent of a tent has two teeth, and each further layer doubles them: k layers of two units, ``6 k
+ 1`` weights, have ``2^k`` straight pieces. One hidden layer with as many weights, 2 k units, has
at most ``2 k + 1`` pieces (Telgarsky). That is what depth can do; what training finds is measured
beside it.

References
----------
Minsky, Papert: Perceptrons. MIT Press, 1969.
Rumelhart, Hinton, Williams: Learning representations by back-propagating errors. Nature 323, 1986.
Cybenko: Approximation by superpositions of a sigmoidal function. Mathematics of Control, Signals
and Systems 2, 1989.
Hornik: Approximation capabilities of multilayer feedforward networks. Neural Networks 4, 1991.
Telgarsky: Benefits of depth in neural networks. COLT 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#767676"
#: Hidden layers of about the same number of weights, for two inputs and one output.
SHAPES = ((21,), (8, 6), (6, 5, 4), (5, 4, 4, 4))


@dataclass(frozen=True)
class Settings:
    """What can be chosen: hidden units, turns of the spirals, starts, training steps, seed."""

    units: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    turns: float = 1.75
    starts: int = 5
    steps: int = 400
    seed: int = 0


@dataclass(frozen=True)
class Nets:
    """Several nets of one shape, trained at once: matrices (starts, in, out), biases likewise."""

    weights: list[Tensor]
    biases: list[Tensor]
    losses: Array  # (starts,)

    def __call__(self, inputs: Tensor) -> Tensor:
        """Compute the output of every net: (starts, examples)."""
        h = inputs.expand(len(self.weights[0]), *inputs.shape)
        last = len(self.weights) - 1
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            h = torch.baddbmm(bias, h, weight)
            if layer < last:
                h = torch.tanh(h)
        return h[..., 0]

    @property
    def count(self) -> int:
        """Number of weights of one net."""
        return sum(each[0].numel() for each in (*self.weights, *self.biases))


@dataclass(frozen=True)
class Lesson:
    """All that is shown."""

    settings: Settings
    by_hand: list[tuple[int, int, int, int, int]]  # x1, x2, OR, NAND, XOR
    xor_solved: dict[int, float]  # hidden units: share of starts
    inputs: Array
    targets: Array
    regions: dict[int, tuple[float, Array]]  # hidden units: accuracy, answers on the grid
    grid: Array  # edge of the grid
    curve: tuple[Array, Array]  # the function to approximate
    fits: dict[int, Array]
    fit_errors: dict[int, float]
    staircase_errors: dict[int, tuple[float, float]]  # largest error, and its bound
    teeth: list[tuple[int, int, int, int]]  # layers, weights, pieces deep, pieces of one layer
    tent: tuple[Array, Array]  # the deepest
    shapes: dict[tuple[int, ...], tuple[int, float]]  # weights, accuracy on new examples


def train(
    hidden: Sequence[int], x: Tensor, y: Tensor, starts: int, steps: int, *, classes: bool
) -> Nets:
    """Train nets from several starts at once, on cross-entropy (classes) or squared error."""
    sizes = [x.shape[1], *hidden, 1]
    weights, biases = [], []
    for before, after in zip(sizes, sizes[1:], strict=False):
        scale = {1: 6.0, 2: 2.0}.get(before, 1.0)  # bends all over the line or the plane
        weights.append((scale * torch.randn(starts, before, after) / before**0.5).requires_grad_())
        biases.append((0.5 * scale * torch.randn(starts, 1, after)).requires_grad_())
    nets = Nets(weights, biases, np.zeros(starts))
    optimizer = torch.optim.Adam([*weights, *biases], lr=0.03)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    wanted = y.expand(starts, -1)
    for _ in range(steps + 1):
        output = nets(x)
        if classes:
            each = torch.nn.functional.binary_cross_entropy_with_logits(
                output, wanted, reduction="none"
            )
        else:
            each = (output - wanted) ** 2
        optimizer.zero_grad()
        each.mean(dim=1).sum().backward()
        optimizer.step()
        schedule.step()
    losses = each.mean(dim=1).detach().numpy().astype(float)
    frozen = ([each.detach() for each in part] for part in (weights, biases))
    return Nets(*frozen, losses)


def spirals(count: int, turns: float, rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw two spirals with a little noise."""
    targets = np.tile([0.0, 1.0], count // 2)
    turn = np.sqrt(rng.uniform(0.03, 1, count))
    angle = 2 * np.pi * turns * turn + np.pi * targets
    points = turn[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return points + 0.03 * rng.normal(size=points.shape), targets


def xor_by_hand(x1: int, x2: int) -> tuple[int, int]:
    """Answer with three step units: OR, NAND, and AND of the two; return the hidden ones."""
    either = int(-0.5 + x1 + x2 > 0)
    not_both = int(1.5 - x1 - x2 > 0)
    return either, not_both


def staircase(x: Array, f: Array, units: int) -> tuple[float, float]:
    """Write down a net of steep sigmoids, one a step; return its largest error and the bound."""
    edges = np.linspace(x[0], x[-1], units + 1)
    levels = np.interp((edges[:-1] + edges[1:]) / 2, x, f)  # the value amid each stair
    heights = np.diff(levels, prepend=0.0)
    gain = 1e4 * units
    hidden = 0.5 * (1 + np.tanh(0.5 * gain * (x[:, None] - edges[None, :-1] + 1e-9)))
    inside = [f[(x >= low) & (x <= high)] for low, high in zip(edges, edges[1:], strict=False)]
    bound = max(float(np.ptp(part)) for part in inside if len(part))
    return float(np.abs(hidden @ heights - f).max()), bound


def tents(layers: int, x: Array) -> Array:
    """Compute a net of some layers of two ReLU units each."""
    h = x
    for _ in range(layers):
        h = 2 * np.maximum(h, 0) - 4 * np.maximum(h - 0.5, 0)
    return h


def solve_xor() -> tuple[list[tuple[int, int, int, int, int]], dict[int, float]]:
    """Solve XOR by hand, and by training: the share of starts that get there, by units."""
    hand = []
    for x1, x2 in ((0, 0), (0, 1), (1, 0), (1, 1)):
        either, not_both = xor_by_hand(x1, x2)
        hand.append((x1, x2, either, not_both, int(-1.5 + either + not_both > 0)))
    corners = torch.tensor([row[:2] for row in hand], dtype=torch.float32)
    answers = torch.tensor([row[4] for row in hand], dtype=torch.float32)
    solved = {}
    for units in (1, 2, 3, 4):
        nets = train((units,), corners, answers, 50, 200, classes=True)
        right = ((nets(corners) > 0) == (answers > 0.5)).all(dim=1)
        solved[units] = float(right.float().mean())
    return hand, solved


def run(settings: Settings) -> Lesson:
    """Solve XOR, grow the width, and compare depths."""
    rng = np.random.default_rng(settings.seed)
    torch.manual_seed(settings.seed)
    hand, solved = solve_xor()
    inputs, targets = spirals(300, settings.turns, rng)
    new_inputs, new_targets = spirals(1000, settings.turns, rng)
    x, y, new_x = (
        torch.tensor(part, dtype=torch.float32) for part in (inputs, targets, new_inputs)
    )
    edge = np.linspace(-1.2, 1.2, 81)
    plane = np.stack(np.meshgrid(edge, edge), axis=-1).reshape(-1, 2)
    regions = {}
    for units in settings.units:
        nets = train((units,), x, y, settings.starts, settings.steps, classes=True)
        best = int(np.argmin(nets.losses))
        said = (nets(new_x)[best] > 0).numpy()
        on_grid = nets(torch.tensor(plane, dtype=torch.float32))[best].numpy().astype(float)
        regions[units] = (float(np.mean(said == new_targets)), on_grid.reshape(81, 81))

    place = np.linspace(-1, 1, 201)
    curve = np.sin(np.pi * place) * np.cos(2 * np.pi * place**2) + 0.3 * np.sign(place) * place
    fits, errors = {}, {}
    line, value = (torch.tensor(part, dtype=torch.float32) for part in (place[:, None], curve))
    for units in settings.units:
        nets = train((units,), line, value, settings.starts, settings.steps, classes=False)
        best = int(np.argmin(nets.losses))
        fits[units] = nets(line)[best].numpy().astype(float)
        errors[units] = float(np.sqrt(np.mean((fits[units] - curve) ** 2)))
    shapes = {}
    for shape in SHAPES:
        nets = train(shape, x, y, settings.starts, settings.steps, classes=True)
        said = (nets(new_x) > 0).numpy() == new_targets
        shapes[shape] = (nets.count, float(np.median(said.mean(axis=1))))
    return Lesson(
        settings=settings,
        by_hand=hand,
        xor_solved=solved,
        inputs=inputs,
        targets=targets,
        regions=regions,
        grid=edge,
        curve=(place, curve),
        fits=fits,
        fit_errors=errors,
        staircase_errors={units: staircase(place, curve, units) for units in settings.units},
        teeth=[count_pieces(layers) for layers in range(1, 7)],
        tent=(np.linspace(0, 1, 1025), tents(4, np.linspace(0, 1, 1025))),
        shapes=shapes,
    )


def count_pieces(layers: int) -> tuple[int, int, int, int]:
    """Count weights and straight pieces of a tent net, and the pieces of one layer of that size."""
    x = np.linspace(0, 1, 2**12 + 1)  # all bends lie on this grid, and all is exact
    slopes = np.diff(tents(layers, x))
    return layers, 6 * layers + 1, 1 + int((np.diff(slopes) != 0).sum()), 2 * layers + 1


def page(lesson: Lesson) -> list[str | list[list[str]]]:
    """Say what was found."""
    hand = [["x1", "x2", "OR", "NAND", "XOR = OR and NAND"]]
    hand += [[str(value) for value in row] for row in lesson.by_hand]
    solved = ", ".join(
        f"{units}: {100 * share:.0f} %" for units, share in lesson.xor_solved.items()
    )
    width = [["hidden units", "accuracy on spirals", "RMS error of the curve",
              "largest error of a staircase", "its bound"]]  # fmt: skip
    for units in lesson.settings.units:
        found, bound = lesson.staircase_errors[units]
        row = [f"{lesson.regions[units][0]:.3f}", f"{lesson.fit_errors[units]:.4f}"]
        width.append([str(units), *row, f"{found:.3f}", f"{bound:.3f}"])
    teeth = [["layers of 2 units", "weights", "pieces", "one layer of as many weights, at most"]]
    teeth += [[str(value) for value in row] for row in lesson.teeth]
    shapes = [["hidden layers", "weights", "accuracy on spirals (median of starts)"]]
    shapes += [
        [" - ".join(map(str, shape)), str(count), f"{right:.3f}"]
        for shape, (count, right) in lesson.shapes.items()
    ]
    return [
        "XOR by hand, with step units:",
        hand,
        f"Trained by gradient descent it is solved from this share of 50 starts, by hidden units: "
        f"{solved}.",
        "Width (best of the starts; the staircase is written down, not trained):",
        width,
        "Depth, written down: tents of tents.",
        teeth,
        "Depth, trained, at about the same number of weights:",
        shapes,
    ]


def draw(lesson: Lesson) -> Figure:
    """Draw decision regions by width, the fits, their errors, and depth."""
    shown = [units for units in lesson.settings.units if units > 1][:5] or [*lesson.settings.units]
    figure = Figure(figsize=(12, 6.2), layout="constrained")
    upper, lower = figure.subfigures(2, 1)
    upper.suptitle("decision regions of one hidden layer of growing width", fontsize=11)
    for axes, units in zip(upper.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        right, answers = lesson.regions[units]
        axes.contourf(lesson.grid, lesson.grid, answers, [-np.inf, 0, np.inf],
                      colors=[ORANGE, BLUE], alpha=0.35)  # fmt: skip
        for value, colour in ((0, ORANGE), (1, BLUE)):
            here = lesson.inputs[lesson.targets == value]
            axes.scatter(*here.T, s=5, color=colour, edgecolor="black", linewidth=0.2)
        axes.set(xticks=[], yticks=[], aspect="equal")
        axes.set_title(f"{units} units: {100 * right:.1f} %", fontsize=10)
    fit, error, deep = lower.subplots(1, 3)
    fit.plot(*lesson.curve, color="black", linewidth=2.5, label="the function")
    chosen = dict.fromkeys((shown[0], shown[len(shown) // 2], shown[-1]))
    for units, colour in zip(chosen, (ORANGE, BLUE, PURPLE), strict=False):
        fit.plot(lesson.curve[0], lesson.fits[units], color=colour, linewidth=1.2,
                 label=f"{units} units")  # fmt: skip
    fit.set(xlabel="x", ylabel="f(x)", title="a curve by sums of tanh units")
    fit.legend(frameon=False, fontsize=8)
    draw_errors(error, lesson)
    layers, _, pieces, flat = zip(*lesson.teeth, strict=True)
    deep.semilogy(layers, pieces, "o-", color=BLUE, label="k layers of 2 units: 2$^k$")
    deep.semilogy(layers, flat, "s-", color=ORANGE, label="one layer, as many weights: 2k + 1")
    deep.set_yticks([2**k for k in layers], [str(2**k) for k in layers])
    deep.minorticks_off()
    deep.set(xlabel="layers k", ylabel="straight pieces", title="what depth saves")
    deep.legend(frameon=False, fontsize=8)
    for axes in (fit, error, deep):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_errors(axes: Axes, lesson: Lesson) -> None:
    """Draw the error against the number of hidden units."""
    units = list(lesson.settings.units)
    axes.loglog(units, [lesson.fit_errors[each] for each in units], "o-", color=BLUE,
                label="trained: RMS error")  # fmt: skip
    found, bound = zip(*(lesson.staircase_errors[each] for each in units), strict=True)
    axes.loglog(units, found, "s-", color=GREEN, label="staircase: largest error")
    axes.loglog(units, bound, ":", color=GREY, label="bound of the staircase")
    axes.set_xticks(units, [str(each) for each in units])
    axes.minorticks_off()
    axes.set(xlabel="hidden units", ylabel="error", title="universal approximation")
    axes.legend(frameon=False, fontsize=8)


if __name__ == "__main__":  # a copy of this file runs by itself
    result = run(Settings())
    for item in page(result):
        print(item if isinstance(item, str) else "\n".join("\t".join(row) for row in item))
    draw(result).savefig("two-layers.png", dpi=130)
