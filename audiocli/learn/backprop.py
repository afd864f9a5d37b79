"""Back-propagation: the gradient of a two-layer net by hand, by differences and by autograd.

Forward, ``a1 = W1 x + b1``, ``h = f(a1)``, ``a2 = W2 h + b2``, ``y = s(a2)``, ``E = (y - t)^2 / 2``
with the sigmoid s. Backward, the chain rule from the loss to each weight, every factor used once:

- ``dE/dy = y - t``
- ``d2 = dE/da2 = (y - t) y (1 - y)``
- ``dE/dW2 = d2 h^T``, ``dE/db2 = d2``
- ``d1 = dE/da1 = (W2^T d2) * f'(a1)``
- ``dE/dW1 = d1 x^T``, ``dE/db1 = d1``

The check needs no calculus: move one weight by a little, up and down, and divide the difference of
the loss by that of the weight. It costs two forward passes for each weight; back-propagation costs
about two for all. The step has a best size: the error of the formula falls with its square, that of
rounding grows with its inverse.

References
----------
Werbos: Beyond regression. Thesis, Harvard, 1974.
Rumelhart, Hinton, Williams: Learning representations by back-propagating errors. Nature 323, 1986.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

Array = NDArray[np.float64]
BLUE, ORANGE, VERMILION, GREY = "#0072B2", "#E69F00", "#D55E00", "#767676"
NAMES = ("W1", "b1", "W2", "b2")
STEPS = np.logspace(-12, -1, 45)  # of finite differences


@dataclass(frozen=True)
class Settings:
    """What can be chosen: hidden units, their function, the inputs, the target, seed."""

    units: int = 3
    activation: str = "sigmoid"  # or tanh, relu
    inputs: tuple[float, ...] = (0.5, -1.0)
    target: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Net:
    """The weights: (units, inputs), (units,), (1, units), (1,)."""

    W1: Array
    b1: Array
    W2: Array
    b2: Array


@dataclass(frozen=True)
class Chain:
    """All that is computed on the way, in this order."""

    a1: Array
    h: Array
    a2: Array
    y: Array
    loss: float
    dy: Array
    d2: Array
    back: Array  # W2^T d2, what comes back to the hidden units
    slope: Array  # f'(a1)
    d1: Array
    gradient: Net


@dataclass(frozen=True)
class Lesson:
    """All that is shown."""

    settings: Settings
    net: Net
    chain: Chain
    differences: Net
    autograd: Net
    step_errors: Array  # of finite differences, for each of STEPS

    @property
    def disagreement(self) -> dict[str, float]:
        """Largest relative difference from the gradient by hand."""
        others = {"finite differences": self.differences, "autograd": self.autograd}
        return {name: relative(self.chain.gradient, other) for name, other in others.items()}


def sigmoid(a: Array) -> Array:
    """Compute 1 / (1 + exp(-a)) without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * a)))


def function(name: str, a: Array) -> tuple[Array, Array]:
    """Compute a unit's answer and the slope there."""
    if name == "sigmoid":
        h = sigmoid(a)
        return h, h * (1 - h)
    if name == "tanh":
        h = np.tanh(a)
        return h, 1 - h**2
    return np.maximum(a, 0), (a > 0).astype(float)


def forward_and_back(net: Net, x: Array, target: float, activation: str) -> Chain:
    """Compute loss and gradient by hand."""
    a1 = net.W1 @ x + net.b1
    h, slope = function(activation, a1)
    a2 = net.W2 @ h + net.b2
    y = sigmoid(a2)
    loss = 0.5 * float(((y - target) ** 2).sum())
    dy = y - target
    d2 = dy * y * (1 - y)
    back = net.W2.T @ d2
    d1 = back * slope
    gradient = Net(np.outer(d1, x), d1, np.outer(d2, h), d2)
    return Chain(a1, h, a2, y, loss, dy, d2, back, slope, d1, gradient)


def by_differences(net: Net, x: Array, target: float, activation: str, step: float) -> Net:
    """Compute the gradient from the loss alone, one weight after another."""
    found = {}
    for name in NAMES:
        weights = getattr(net, name)
        slopes = np.zeros_like(weights)
        for place in np.ndindex(weights.shape):
            losses = []
            for sign in (1, -1):
                moved = weights.copy()
                moved[place] += sign * step
                parts = {other: getattr(net, other) for other in NAMES} | {name: moved}
                losses.append(forward_and_back(Net(**parts), x, target, activation).loss)
            slopes[place] = (losses[0] - losses[1]) / (2 * step)
        found[name] = slopes
    return Net(**found)


def by_autograd(net: Net, x: Array, target: float, activation: str) -> Net:
    """Have torch compute the gradient, of the forward formulas alone."""
    parts = {name: torch.tensor(getattr(net, name), requires_grad=True) for name in NAMES}
    bend = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu}[activation]
    h = bend(parts["W1"] @ torch.tensor(x) + parts["b1"])
    y = torch.sigmoid(parts["W2"] @ h + parts["b2"])
    (0.5 * (y - target) ** 2).sum().backward()
    return Net(**{name: np.asarray(part.grad) for name, part in parts.items()})


def flat(net: Net) -> Array:
    """Put all weights into one vector."""
    return np.concatenate([getattr(net, name).ravel() for name in NAMES])


def relative(one: Net, other: Net) -> float:
    """Compare two gradients: the largest difference, relative to the largest entry."""
    return float(np.abs(flat(one) - flat(other)).max() / max(np.abs(flat(one)).max(), 1e-300))


def run(settings: Settings) -> Lesson:
    """Compute one gradient in three ways."""
    rng = np.random.default_rng(settings.seed)
    x = np.array(settings.inputs, float)
    net = Net(
        rng.normal(size=(settings.units, len(x))),
        rng.normal(size=settings.units),
        rng.normal(size=(1, settings.units)),
        rng.normal(size=1),
    )
    request = (x, settings.target, settings.activation)
    chain = forward_and_back(net, *request)
    errors = [relative(chain.gradient, by_differences(net, *request, step)) for step in STEPS]
    return Lesson(
        settings=settings,
        net=net,
        chain=chain,
        differences=by_differences(net, *request, step=1e-5),
        autograd=by_autograd(net, *request),
        step_errors=np.array(errors),
    )


def page(lesson: Lesson) -> list[str | list[list[str]]]:
    """Say what was found."""

    def show(values: Array) -> str:
        return "  ".join(f"{value:+.6f}" for value in np.ravel(values))

    chain, settings = lesson.chain, lesson.settings
    steps = [
        ["step", "formula", "values"],
        ["1", "a1 = W1 x + b1", show(chain.a1)],
        ["2", f"h = {settings.activation}(a1)", show(chain.h)],
        ["3", "a2 = W2 h + b2", show(chain.a2)],
        ["4", "y = sigmoid(a2)", show(chain.y)],
        ["5", "E = (y - t)^2 / 2", f"{chain.loss:+.6f}"],
        ["6", "dE/dy = y - t", show(chain.dy)],
        ["7", "d2 = dE/dy y (1 - y)", show(chain.d2)],
        ["8", "dE/dW2 = d2 h^T, dE/db2 = d2", show(chain.gradient.W2)],
        ["9", "W2^T d2, sent back", show(chain.back)],
        ["10", "f'(a1)", show(chain.slope)],
        ["11", "d1 = W2^T d2 * f'(a1)", show(chain.d1)],
        ["12", "dE/dW1 = d1 x^T, dE/db1 = d1", show(chain.gradient.W1)],
    ]
    table = [["weight", "value", "by hand", "finite differences", "autograd"]]
    for name in NAMES:
        for place in np.ndindex(getattr(lesson.net, name).shape):
            label = f"{name}[{','.join(str(index + 1) for index in place)}]"
            values = [
                getattr(net, name)[place]
                for net in (lesson.net, chain.gradient, lesson.differences, lesson.autograd)
            ]
            table.append([label, f"{values[0]:+.4f}", *(f"{value:+.9f}" for value in values[1:])])
    apart = ", ".join(f"{name} {far:.1e}" for name, far in lesson.disagreement.items())
    count = len(flat(lesson.net))
    best = int(np.argmin(lesson.step_errors))
    return [
        f"x = {show(np.array(settings.inputs))}, target {settings.target:g}, {settings.units} "
        f"hidden units ({settings.activation}).",
        steps,
        table,
        f"Largest difference from the gradient by hand, relative to its largest entry: {apart}.",
        f"{count} weights: finite differences took {2 * count} forward passes, backpropagation "
        f"one pass forward and one back. Their best step is {STEPS[best]:.0e}.",
    ]


def draw(lesson: Lesson) -> Figure:
    """Draw the net with its values and what comes back, and the error of differences by step."""
    figure = Figure(figsize=(12, 5), layout="constrained")
    net, errors = figure.subplots(1, 2, width_ratios=[1.7, 1])
    draw_net(net, lesson)
    shown = np.maximum(lesson.step_errors, 1e-17)
    errors.loglog(STEPS, shown, color=BLUE, marker="o", markersize=3, label="measured")
    middle = STEPS[(STEPS > 1e-4) & (STEPS < 1e-1)]
    start = shown[np.argmin(np.abs(STEPS - 1e-2))]
    errors.loglog(middle, start * (middle / 1e-2) ** 2, color=GREY, linestyle="--",
                  label="formula: grows with step$^2$")  # fmt: skip
    small = STEPS[STEPS < 1e-6]
    start = shown[np.argmin(np.abs(STEPS - 1e-9))]
    errors.loglog(small, start * 1e-9 / small, color=ORANGE, linestyle="--",
                  label="rounding: grows with 1/step")  # fmt: skip
    errors.set(xlabel="step of the weight", ylabel="relative error of the gradient",
               title="finite differences")  # fmt: skip
    errors.legend(frameon=False, fontsize=8)
    errors.spines[["top", "right"]].set_visible(False)
    return figure


def draw_net(axes: Axes, lesson: Lesson) -> None:
    """Draw units with values (blue, forward) and derivatives (red, backward) at each."""
    chain, count = lesson.chain, min(len(lesson.chain.h), 6)
    inputs = lesson.settings.inputs[:6]
    left = [(0.0, place) for place in spread(len(inputs))]
    middle = [(1.0, place) for place in spread(count)]
    right, end = (2.0, 0.0), (3.0, 0.0)
    largest = max(float(np.abs(flat(chain.gradient)).max()), 1e-12)

    def connect(start: tuple[float, float], stop: tuple[float, float], slope: float) -> None:
        width = 0.6 + 5 * abs(slope) / largest
        axes.plot(*zip(start, stop, strict=True), color=VERMILION if slope > 0 else BLUE,
                  linewidth=width, alpha=0.45, zorder=1)  # fmt: skip

    for unit, place in enumerate(middle):
        for index, source in enumerate(left):
            connect(source, place, chain.gradient.W1[unit, index])
        connect(place, right, chain.gradient.W2[0, unit])
    axes.plot(*zip(right, end, strict=True), color=GREY, linewidth=1, zorder=1)
    nodes = [(place, f"x = {x:g}", "") for place, x in zip(left, inputs, strict=True)]
    nodes += [
        (place, f"h = {chain.h[unit]:.3f}", f"d1 = {chain.d1[unit]:+.4f}")
        for unit, place in enumerate(middle)
    ]
    nodes += [(right, f"y = {chain.y[0]:.3f}", f"d2 = {chain.d2[0]:+.4f}")]
    nodes += [(end, f"E = {chain.loss:.4f}", f"dE/dy = {chain.dy[0]:+.4f}")]
    for (x, y), value, slope in nodes:
        axes.scatter(x, y, s=260, color="white", edgecolor="black", zorder=2)
        for text, below, colour in ((value, 16, "black"), (slope, -24, VERMILION)):
            axes.annotate(
                text, (x, y), (0, below), textcoords="offset points", ha="center", fontsize=9,
                color=colour, bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
            )  # fmt: skip
    axes.plot([], [], color=VERMILION, linewidth=4, alpha=0.45, label="dE/dw > 0: make it smaller")
    axes.plot([], [], color=BLUE, linewidth=4, alpha=0.45, label="dE/dw < 0: make it larger")
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    axes.set(xlim=(-0.4, 3.4), ylim=(-1.5, 1.4), title="forward above, backward below each unit")
    axes.axis("off")


def spread(count: int) -> Array:
    """Place some units in a column, the first on top."""
    return np.linspace(1, -1, count) if count > 1 else np.zeros(1)


if __name__ == "__main__":  # a copy of this file runs by itself
    result = run(Settings())
    for item in page(result):
        print(item if isinstance(item, str) else "\n".join("\t".join(row) for row in item))
    draw(result).savefig("backprop.png", dpi=130)
