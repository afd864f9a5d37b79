"""The perceptron: a line that is learned from its mistakes.

A unit says 1 where ``w0 + w1 x1 + w2 x2 > 0`` and 0 elsewhere. Rosenblatt's rule goes through the
examples and, where the unit is wrong, adds ``learning_rate * (target - answer) * (1, x1, x2)`` to
its weights; where it is right, it does nothing.

Novikoff's theorem: if some unit vector w* has all examples on its right side by at least gamma,
and no example is longer than R, the rule makes at most ``(R / gamma)^2`` mistakes and is done. The
widest gamma is the distance from the origin to the convex hull of the signed examples. It is zero
when no line exists: then a mix of signed examples adds up to nothing, and no w can be on the right
side of each. XOR is the smallest such case (Minsky and Papert). Its weights are whole numbers that
stay bounded, so they come back to where they were, and the rule goes round for ever.

References
----------
Rosenblatt: The perceptron: a probabilistic model for information storage and organization in the
brain. Psychological Review 65(6), 1958.
Novikoff: On convergence proofs on perceptrons. Symposium on the Mathematical Theory of Automata,
1962.
Minsky, Papert: Perceptrons: an introduction to computational geometry. MIT Press, 1969.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

Array = NDArray[np.float64]
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#E69F00", "#009E73", "#767676"  # Okabe and Ito

#: Inputs and targets of each gate.
GATES = {
    "and": ([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 0, 0, 1]),
    "or": ([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 1]),
    "not": ([[0], [1]], [1, 0]),
    "nand": ([[0, 0], [0, 1], [1, 0], [1, 1]], [1, 1, 1, 0]),
    "nor": ([[0, 0], [0, 1], [1, 0], [1, 1]], [1, 0, 0, 0]),
    "xor": ([[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]),
}
#: Margins of the clouds of points on which the bound is tried.
MARGINS = (0.4, 0.2, 0.1, 0.05, 0.025, 0.0125)


@dataclass(frozen=True)
class Settings:
    """What can be chosen: gates, epochs at most, step size, points of a cloud, seed."""

    gates: tuple[str, ...] = ("and", "or", "not", "xor")
    epochs: int = 100
    learning_rate: float = 1.0
    points: int = 100
    seed: int = 0


@dataclass(frozen=True)
class Run:
    """One run of the rule."""

    weights: Array  # after each correction, the first before any: (corrections + 1, inputs + 1)
    epochs: Array  # mistakes in each epoch; the last is 0 if the rule came to an end
    again: int | None  # the epoch after which all weights were as after an earlier one

    @property
    def mistakes(self) -> int:
        """All that it made."""
        return int(self.epochs.sum())

    @property
    def ended(self) -> bool:
        """Whether an epoch went by without a mistake."""
        return bool(self.epochs[-1] == 0)


@dataclass(frozen=True)
class Gate:
    """What came out for one gate."""

    name: str
    inputs: Array
    targets: Array
    run: Run
    radius: float
    margin: float
    mix: Array  # of the signed examples, whose sum is as short as the margin

    @property
    def bound(self) -> float:
        """Novikoff's, on the number of mistakes."""
        return float((self.radius / self.margin) ** 2) if self.margin else float("inf")

    @property
    def mistakes(self) -> int:
        """Made on the way."""
        return self.run.mistakes


@dataclass(frozen=True)
class Lesson:
    """All that is shown."""

    settings: Settings
    gates: tuple[Gate, ...]
    cloud_bounds: Array
    cloud_mistakes: Array


def learn(inputs: Array, targets: Array, settings: Settings, order: NDArray[np.intp]) -> Run:
    """Apply Rosenblatt's rule until an epoch is without a mistake, or to the last epoch."""
    examples = np.column_stack([np.ones(len(inputs)), inputs])  # the bias is the weight of a 1
    weights = np.zeros(examples.shape[1])
    path, mistakes, seen, again = [weights], [], {weights.tobytes()}, None
    for epoch in range(1, settings.epochs + 1):
        mistakes.append(0)
        for index in order:
            answer = float(weights @ examples[index] > 0)
            if answer != targets[index]:
                weights = weights + (targets[index] - answer) * examples[index]
                path.append(weights)
                mistakes[-1] += 1
        if mistakes[-1] == 0:
            break
        if again is None and weights.tobytes() in seen:
            again = epoch
        seen.add(weights.tobytes())
    # From zero the step size scales all weights alike and changes no answer.
    return Run(settings.learning_rate * np.array(path), np.array(mistakes, float), again)


def nearest_to_origin(points: Array) -> tuple[float, Array]:
    """Find the distance from the origin to the convex hull of a few points, and the mix there.

    The nearest point lies inside the hull of some of them: try all, most are soon refused.
    """
    best, mix = np.inf, np.zeros(len(points))
    for count in range(1, len(points) + 1):
        for chosen in map(list, combinations(range(len(points)), count)):
            part = points[chosen]
            # Lagrange: the shortest sum of shares that add up to one.
            system = np.ones((count + 1, count + 1))
            system[:count, :count] = part @ part.T
            system[count, count] = 0.0
            right = np.append(np.zeros(count), 1.0)
            shares = np.linalg.lstsq(system, right, rcond=None)[0][:count]
            length = float(np.linalg.norm(shares @ part))
            if (shares > -1e-9).all() and abs(shares.sum() - 1) < 1e-9 and length < best - 1e-9:
                best, mix = length, np.zeros(len(points))
                mix[chosen] = shares
    return (0.0 if best < 1e-9 else best), mix


def cloud(margin: float, points: int, rng: np.random.Generator) -> tuple[Array, Array, float]:
    """Draw points that a random line parts by at least `margin`; return the bound as well."""
    normal = rng.normal(size=3)
    normal[1:] /= np.linalg.norm(normal[1:])
    normal[0] *= 0.2
    normal /= np.linalg.norm(normal)
    found = np.zeros((0, 2))
    while len(found) < points:
        drawn = rng.uniform(-1, 1, (4 * points, 2))
        found = np.concatenate([found, drawn[np.abs(normal[0] + drawn @ normal[1:]) >= margin]])
    found = found[:points]
    sides = normal[0] + found @ normal[1:]
    radius = np.sqrt(1 + (found**2).sum(axis=1)).max()
    return found, (sides > 0).astype(float), float((radius / np.abs(sides).min()) ** 2)


def run(settings: Settings) -> Lesson:
    """Learn the gates, and clouds of points with ever narrower margins."""
    rng = np.random.default_rng(settings.seed)
    gates = []
    for name in settings.gates:
        inputs, targets = (np.array(values, float) for values in GATES[name])
        signed = np.column_stack([np.ones(len(inputs)), inputs]) * (2 * targets - 1)[:, None]
        margin, mix = nearest_to_origin(signed)
        radius = float(np.linalg.norm(signed, axis=1).max())
        order = rng.permutation(len(inputs))
        rule = learn(inputs, targets, settings, order)
        gates.append(Gate(name, inputs, targets, rule, radius, margin, mix))
    bounds, mistakes = [], []
    endless = Settings(epochs=10**6, learning_rate=settings.learning_rate)  # the bound ends it
    for margin in MARGINS:
        for _ in range(5):
            inputs, targets, bound = cloud(margin, settings.points, rng)
            bounds.append(bound)
            mistakes.append(learn(inputs, targets, endless, np.arange(len(inputs))).mistakes)
    return Lesson(settings, tuple(gates), np.array(bounds), np.array(mistakes, float))


def page(lesson: Lesson) -> list[str | list[list[str]]]:
    """Say what was found."""
    rows = [["gate", "margin", "R", "bound (R/margin)^2", "mistakes", "epochs", "w0", "w1", "w2"]]
    for gate in lesson.gates:
        last = [f"{weight:g}" for weight in gate.run.weights[-1]]
        epochs = str(len(gate.run.epochs)) if gate.run.ended else "never ends"
        bound = f"{gate.bound:.1f}" if gate.margin else "none"
        row = [gate.name.upper(), f"{gate.margin:.4f}", f"{gate.radius:.3f}", bound]
        rows.append([*row, str(gate.mistakes), epochs, *last, *([""] * (3 - len(last)))])
    parts: list[str | list[list[str]]] = [
        "A unit says 1 where w0 + w1 x1 + w2 x2 > 0. After each mistake the rule adds "
        f"{lesson.settings.learning_rate:g} (target - answer) (1, x1, x2).",
        rows,
    ]
    for gate in lesson.gates:
        if not gate.margin:
            parts.append(endless_text(gate))
    worst = (lesson.cloud_mistakes / lesson.cloud_bounds).max()
    parts.append(
        f"{len(lesson.cloud_bounds)} clouds of {lesson.settings.points} points with margins down "
        "to "
        f"{min(MARGINS):g}: {lesson.cloud_mistakes.min():.0f} to {lesson.cloud_mistakes.max():.0f} "
        f"mistakes, never more than {100 * worst:.0f} % of the bound."
    )
    return parts


def endless_text(gate: Gate) -> str:
    """Say why no line exists, and how the rule goes on."""
    names = ["".join(f"{value:g}" for value in row) for row in gate.inputs]
    shares = " + ".join(
        f"{share:.2f} * {'+' if target else '-'}[{name}]"
        for share, target, name in zip(gate.mix, gate.targets, names, strict=True)
    )
    text = (
        f"{gate.name.upper()} has no line: {shares} = 0, where +[x] is (1, x) of an input whose "
        "target is 1 and -[x] is -(1, x) of one whose target is 0. A line would make each of the "
        "four positive, and they add up to nothing."
    )
    if gate.run.again is not None:
        text += (
            f" After epoch {gate.run.again} the weights are as they were after an earlier epoch, "
            "so the rule goes round for ever."
        )
    return text


def draw(lesson: Lesson) -> Figure:
    """Draw the gates with their lines, mistakes by epoch, and mistakes against the bound."""
    count = len(lesson.gates)
    figure = Figure(figsize=(max(2.5 * count, 7.5), 5.6), layout="constrained")
    upper, lower = figure.subfigures(2, 1)
    for axes, gate in zip(upper.subplots(1, count, squeeze=False)[0], lesson.gates, strict=True):
        draw_gate(axes, gate)
    left, right = lower.subplots(1, 2)
    shown = 12
    for gate, marker in zip(lesson.gates, "osD^vP", strict=False):
        epochs = gate.run.epochs[:shown]
        colour = BLUE if gate.run.ended else ORANGE
        left.plot(1 + np.arange(len(epochs)), epochs, marker=marker, color=colour, markersize=5,
                  linewidth=1, label=gate.name.upper())  # fmt: skip
    left.set(xlabel="epoch", ylabel="mistakes", title="mistakes in each epoch")
    left.set_xticks(range(1, shown + 1))
    left.legend(frameon=False, fontsize=8)
    limits = np.array([lesson.cloud_bounds.min() / 1.5, lesson.cloud_bounds.max() * 1.5])
    right.loglog(limits, limits, color=GREY, linestyle="--", label="Novikoff's bound")
    right.loglog(lesson.cloud_bounds, np.maximum(lesson.cloud_mistakes, 0.8), "o", color=GREEN,
                 markersize=4, label="a cloud of points")  # fmt: skip
    right.set(xlabel="(R / margin)$^2$", ylabel="mistakes", title="the narrower, the longer")
    right.legend(frameon=False, fontsize=8)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_gate(axes: Axes, gate: Gate) -> None:
    """Draw a gate's examples, the side that says 1, and the line."""
    flat = np.column_stack([gate.inputs, np.zeros((len(gate.inputs), 2 - gate.inputs.shape[1]))])
    edge = np.linspace(-0.5, 1.5, 201)
    across, up = np.meshgrid(edge, edge)
    # Of a rule that goes round, the lines of the last steps: none of them is right.
    last = gate.run.weights[-1:] if gate.run.ended else gate.run.weights[-5:-1]
    for weights in last:
        w0, w1, w2 = np.append(weights, np.zeros(3 - len(weights)))
        score = w0 + w1 * across + w2 * up
        if gate.run.ended:
            axes.contourf(across, up, score, levels=[0, np.inf], colors=[BLUE], alpha=0.15)
        if w1 or w2:
            axes.contour(across, up, score, levels=[0], colors=[BLUE if gate.run.ended else ORANGE])
    for value, face in ((0, "white"), (1, BLUE)):
        here = flat[gate.targets == value]
        axes.scatter(*here.T, s=70, facecolor=face, edgecolor="black", zorder=3, clip_on=False)
    end = f"{gate.mistakes} mistakes" if gate.run.ended else "goes round for ever"
    axes.set_title(f"{gate.name.upper()}: {end}", fontsize=10)
    axes.set(xlim=(-0.5, 1.5), ylim=(-0.5, 1.5), xticks=[0, 1], aspect="equal", xlabel="$x_1$")
    axes.set_yticks([0, 1] if gate.inputs.shape[1] == 2 else [])
    if gate.inputs.shape[1] == 2:
        axes.set_ylabel("$x_2$")


if __name__ == "__main__":  # a copy of this file runs by itself
    result = run(Settings())
    for item in page(result):
        print(item if isinstance(item, str) else "\n".join("\t".join(row) for row in item))
    draw(result).savefig("perceptron.png", dpi=130)
