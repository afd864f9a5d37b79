"""From the step to the sigmoid: a decision that can be learned by gradient descent.

The perceptron answers yes or no, and of a wrong answer it cannot say in which direction it would
become a little less wrong: the slope of the step is zero wherever it has one. The sigmoid ``s(a)
= 1 / (1 + exp(-a))`` has the slope ``s (1 - s)`` everywhere, so a loss has a gradient, and its
answer is a probability. Where two classes overlap, which is the rule in audio, the perceptron
changes its mind for ever; the sigmoid unit ends where the likelihood is highest, and there is
only one such place, because cross-entropy is convex in the weights. Newton's method finds the
same place, which checks gradient descent here.

With the squared error the gradient is ``(y - t) y (1 - y)`` and nearly zero where the unit is
surely wrong; with cross-entropy it is ``y - t``.

References
----------
Rosenblatt: The perceptron. Psychological Review 65(6), 1958 (the step).
Rumelhart, Hinton, Williams: Learning representations by back-propagating errors. Nature 323, 1986
(the sigmoid).
Bishop: Neural networks for pattern recognition. Oxford, 1995, chapters 3 and 6 (the losses).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

Array = NDArray[np.float64]
BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#767676"


@dataclass(frozen=True)
class Settings:
    """What can be chosen: examples of each class, how far apart, step size, epochs, seed."""

    points: int = 100
    distance: float = 2.0  # of the two means, in standard deviations
    learning_rate: float = 1.0
    epochs: int = 300
    seed: int = 0


@dataclass(frozen=True)
class Lesson:
    """All that is shown. Weights are (bias, w1, w2)."""

    settings: Settings
    inputs: Array
    targets: Array
    weights: Array  # after each epoch: (epochs + 1, 3)
    losses: Array  # cross-entropy after each epoch
    newton: Array  # the weights at the optimum
    best_loss: float
    perceptron_weights: Array
    perceptron_mistakes: Array  # in each epoch
    gains: dict[float, float]  # how far s(gain * a) is from the step at most, for |a| >= 0.1
    stuck: dict[float, tuple[float, float]]  # slope of both losses where the answer is wrong


def sigmoid(a: Array) -> Array:
    """Compute 1 / (1 + exp(-a)) without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * a)))


def cross_entropy(weights: Array, examples: Array, targets: Array) -> float:
    """Mean over the examples, in nats: log(1 + exp(-a)) for the ones, log(1 + exp(a)) else."""
    a = examples @ weights
    return float(np.mean(np.logaddexp(0, a) - targets * a))


def gradient(weights: Array, examples: Array, targets: Array) -> Array:
    """Compute that of the cross-entropy: the mean of (answer - target) * input."""
    return np.asarray((sigmoid(examples @ weights) - targets) @ examples / len(examples))


def newton(examples: Array, targets: Array) -> Array:
    """Find the optimum: Newton's method, with half steps where a whole one goes too far."""
    weights = np.zeros(examples.shape[1])
    for _ in range(50):
        y = sigmoid(examples @ weights)
        curvature = (examples * (y * (1 - y))[:, None]).T @ examples / len(examples)
        curvature += 1e-9 * np.eye(len(weights))  # classes that do not overlap: no optimum
        step = np.linalg.solve(curvature, gradient(weights, examples, targets))
        before, size = cross_entropy(weights, examples, targets), 1.0
        while cross_entropy(weights - size * step, examples, targets) > before and size > 1e-6:
            size /= 2
        weights = weights - size * step
    return weights


def perceptron(examples: Array, targets: Array, epochs: int) -> tuple[Array, Array]:
    """Apply Rosenblatt's rule to the same examples; return weights and mistakes by epoch."""
    weights, mistakes = np.zeros(examples.shape[1]), np.zeros(epochs)
    for epoch in range(epochs):
        for example, target in zip(examples, targets, strict=True):
            answer = float(weights @ example > 0)
            weights = weights + (target - answer) * example
            mistakes[epoch] += answer != target
    return weights, mistakes


def run(settings: Settings) -> Lesson:
    """Draw two classes that overlap, and let both units learn to part them."""
    rng = np.random.default_rng(settings.seed)
    shift = settings.distance / 2 * np.array([0.8, 0.6])
    inputs = rng.normal(size=(2 * settings.points, 2))
    targets = np.repeat([0.0, 1.0], settings.points)
    inputs += np.where(targets[:, None] == 1, shift, -shift)
    order = rng.permutation(len(inputs))
    inputs, targets = inputs[order], targets[order]
    examples = np.column_stack([np.ones(len(inputs)), inputs])
    weights = np.zeros((settings.epochs + 1, 3))
    for epoch in range(settings.epochs):
        slope = gradient(weights[epoch], examples, targets)
        weights[epoch + 1] = weights[epoch] - settings.learning_rate * slope
    optimum = newton(examples, targets)
    step_weights, mistakes = perceptron(examples, targets, settings.epochs)
    away = np.linspace(0.1, 10, 1000)
    wrong = np.array([-2.0, -4.0, -8.0])  # sums of a unit whose target is 1
    return Lesson(
        settings=settings,
        inputs=inputs,
        targets=targets,
        weights=weights,
        losses=np.array([cross_entropy(each, examples, targets) for each in weights]),
        newton=optimum,
        best_loss=cross_entropy(optimum, examples, targets),
        perceptron_weights=step_weights,
        perceptron_mistakes=mistakes,
        gains={gain: float((1 - sigmoid(gain * away)).max()) for gain in (1.0, 10.0, 100.0)},
        stuck={
            float(a): (float((y - 1) * y * (1 - y)), float(y - 1))
            for a, y in zip(wrong, sigmoid(wrong), strict=True)
        },
    )


def accuracy(weights: Array, lesson: Lesson) -> float:
    """Compute the share of examples on the right side of the line."""
    said = weights[0] + lesson.inputs @ weights[1:] > 0
    return float(np.mean(said == lesson.targets))


def page(lesson: Lesson) -> list[str | list[list[str]]]:
    """Say what was found."""
    last = lesson.weights[-1]
    mistakes = lesson.perceptron_mistakes
    tail = mistakes[len(mistakes) // 2 :]
    rows = [["unit", "accuracy", "cross-entropy", "w0", "w1", "w2", "at the end"]]
    for name, weights, loss, end in (
        ("step (perceptron)", lesson.perceptron_weights, "none",
         f"{tail.min():.0f} to {tail.max():.0f} mistakes an epoch"),
        ("sigmoid", last, f"{lesson.losses[-1]:.6f}",
         f"{np.linalg.norm(last - lesson.newton):.1e} from the optimum"),
        ("optimum (Newton)", lesson.newton, f"{lesson.best_loss:.6f}", ""),
    ):  # fmt: skip
        numbers = [f"{weight:.3f}" for weight in weights]
        rows.append([name, f"{accuracy(weights, lesson):.3f}", loss, *numbers, end])
    slopes = [["sum a, target 1", "slope of squared error", "slope of cross-entropy"]]
    slopes += [
        [f"{a:g}", f"{squared:.5f}", f"{entropy:.5f}"]
        for a, (squared, entropy) in lesson.stuck.items()
    ]
    steps = ", ".join(f"{gain:g}: {far:.4f}" for gain, far in lesson.gains.items())
    return [
        f"Two classes of {lesson.settings.points} examples, {lesson.settings.distance:g} standard "
        f"deviations apart, {lesson.settings.epochs} epochs.",
        rows,
        "A unit that is surely wrong learns nothing from the squared error:",
        slopes,
        f"The step is a sigmoid with a large gain: s(gain * a) differs from it, for |a| >= 0.1, by "
        f"{steps} at most.",
    ]


def draw(lesson: Lesson) -> Figure:
    """Draw the functions, the two decisions, and the loss by epoch."""
    figure = Figure(figsize=(12, 3.9), layout="constrained")
    functions, plane, training = figure.subplots(1, 3, width_ratios=[1.1, 1, 1])
    a = np.linspace(-4, 4, 401)
    y = sigmoid(a)
    functions.plot(a, (a > 0).astype(float), color=GREY, label="step")
    functions.plot(a, y, color=BLUE, label="sigmoid s")
    functions.plot(a, y * (1 - y), color=BLUE, linestyle="--", label="its slope s (1 - s)")
    functions.plot(a, np.tanh(a), color=ORANGE, label="tanh")
    functions.plot(a, np.maximum(a, 0), color=GREEN, label="ReLU")
    functions.set(xlabel="sum a", ylabel="answer", ylim=(-1.1, 1.9), title="what a unit answers")
    functions.legend(frameon=False, fontsize=8, loc="upper left")
    draw_plane(plane, lesson)
    epochs = np.arange(len(lesson.losses))
    training.plot(epochs, lesson.losses, color=BLUE, label="sigmoid: cross-entropy")
    training.axhline(lesson.best_loss, color=BLUE, linestyle=":", label="optimum (Newton)")
    share = lesson.perceptron_mistakes / len(lesson.targets)
    training.plot(epochs[1:], share, color=ORANGE, linewidth=0.8, label="step: share of mistakes")
    training.set(xlabel="epoch", ylabel="loss or share", title="one settles, one does not")
    training.set_ylim(0, 1.15 * lesson.losses.max())
    training.legend(frameon=False, fontsize=8, loc="upper right")
    for axes in (functions, training):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_plane(axes: Axes, lesson: Lesson) -> None:
    """Draw the examples, the probability, and both borders."""
    side = float(np.abs(lesson.inputs).max()) + 1
    edge = np.linspace(-side, side, 201)
    across, up = np.meshgrid(edge, edge)
    w0, w1, w2 = lesson.weights[-1]
    probability = sigmoid(w0 + w1 * across + w2 * up)
    axes.contourf(across, up, probability, np.linspace(0, 1, 11), cmap="RdBu", alpha=0.55)
    axes.contour(across, up, probability, [0.5], colors=[BLUE], linewidths=2)
    p0, p1, p2 = lesson.perceptron_weights
    axes.contour(across, up, p0 + p1 * across + p2 * up, [0], colors=[ORANGE], linewidths=2)
    for value, marker, colour in ((0, "x", "black"), (1, "o", "white")):
        here = lesson.inputs[lesson.targets == value]
        axes.scatter(*here.T, s=18, marker=marker, color=colour, linewidth=1,
                     edgecolor="black" if marker == "o" else None)  # fmt: skip
    axes.plot([], [], color=BLUE, label="sigmoid: 1/2")
    axes.plot([], [], color=ORANGE, label="step, last epoch")
    axes.legend(fontsize=8, loc="lower right", framealpha=1)
    axes.set(xlabel="$x_1$", ylabel="$x_2$", title="probability of class o", aspect="equal")


if __name__ == "__main__":  # a copy of this file runs by itself
    result = run(Settings())
    for item in page(result):
        print(item if isinstance(item, str) else "\n".join("\t".join(row) for row in item))
    draw(result).savefig("sigmoid.png", dpi=130)
