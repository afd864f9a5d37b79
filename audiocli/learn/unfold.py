"""A recurrent net unrolled: back-propagation through time, whole and truncated.

The net ``h_t = tanh(W x_t + U h_{t-1} + b)``, ``y_t = v h_t + c`` with the loss ``E = 1/2 sum_t
(y_t - d_t)^2`` is, unrolled, a feed-forward net with a layer a step whose weights are all the
same. So back-propagation works as in any net, and the gradient of a weight is the sum over all
its copies. Going back from the last step,

- ``e_t = v^T (y_t - d_t) + U^T g_{t+1}``, what arrives at ``h_t``: of its own output and of later
ones - ``g_t = e_t * (1 - h_t^2)``, at the sum inside of tanh - ``dE/dW = sum_t g_t x_t^T``,
``dE/dU = sum_t g_t h_{t-1}^T``, ``dE/db = sum_t g_t``

Truncated back-propagation goes back k steps from each output and stops. What it leaves out is
known: the shares of all errors that reach a copy from k or more steps later. Truncated and
left-out parts add up to the whole. No gradient tells of a lag of k steps or more; the experiment
has a net repeat its input after a delay, with gradients cut every k steps. Whether it finds the
answer all the same depends on what its state happens to keep: cut at every step, as Elman did, it
mostly does; cut every 2 to 4 steps it does not; cut beyond the delay it always does.

References
----------
Elman: Finding structure in time. Cognitive Science 14(2), 1990.
Werbos: Backpropagation through time: what it does and how to do it. Proceedings of the IEEE 78(10),
1990.
Williams, Peng: An efficient gradient-based algorithm for on-line training of recurrent network
trajectories. Neural Computation 2(4), 1990.
Graves: Supervised sequence labelling with recurrent neural networks. Springer, 2012, section 3.2.
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
NAMES = ("W", "U", "b", "v", "c")


@dataclass(frozen=True)
class Settings:
    """What can be chosen: steps, units, delay of the experiment, training steps, seed."""

    steps: int = 8
    units: int = 4
    delay: int = 4
    training: int = 300
    seed: int = 0


@dataclass(frozen=True)
class Net:
    """Weights: (units, inputs), (units, units), (units,), (1, units), (1,)."""

    W: Array
    U: Array
    b: Array
    v: Array
    c: Array


@dataclass(frozen=True)
class Lesson:
    """All that is shown."""

    settings: Settings
    losses: Array  # of each step
    arriving: Array  # (steps, units), e_t
    whole: Net  # gradient by hand
    autograd: Net
    truncated: dict[int, Net]  # by steps that the gradient goes back
    by_lag: Array  # norm of what reaches U from errors so many steps later
    left_out: dict[int, float]  # relative length of the difference from the whole
    angles: dict[int, float]  # in degrees
    delayed: dict[int, float]  # truncation: error of the trained net, relative to saying nothing

    @property
    def disagreement(self) -> float:
        """Largest difference between by hand and autograd, relative to the largest entry."""
        one, other = flat(self.whole), flat(self.autograd)
        return float(np.abs(one - other).max() / np.abs(one).max())


def flat(net: Net) -> Array:
    """Put all weights into one vector."""
    return np.concatenate([getattr(net, name).ravel() for name in NAMES])


def forward(net: Net, x: Array) -> tuple[Array, Array]:
    """Run over (steps, inputs); return hidden states, the first before any input, and outputs."""
    states = [np.zeros(len(net.b))]
    for value in x:
        states.append(np.tanh(net.W @ value + net.U @ states[-1] + net.b))
    h = np.array(states)
    return h, h[1:] @ net.v[0] + net.c


def through_time(net: Net, x: Array, d: Array, back: int) -> tuple[Net, Array]:
    """Compute the gradient by hand, errors going back through `back` copies of the net.

    Errors of different ages must be kept apart to stop each in time: row k of `ages` is what
    arrives from the output k steps later.
    """
    h, y = forward(net, x)
    grad = {name: np.zeros_like(getattr(net, name)) for name in NAMES}
    ages = np.zeros((0, len(net.b)))
    arriving = np.zeros((len(x), len(net.b)))
    for t in range(len(x) - 1, -1, -1):
        error = y[t] - d[t]
        grad["v"] += error * h[t + 1][None]
        grad["c"] += error
        ages = np.concatenate([(error * net.v), ages])[:back]
        g = ages * (1 - h[t + 1] ** 2)
        grad["W"] += np.outer(g.sum(axis=0), x[t])
        grad["U"] += np.outer(g.sum(axis=0), h[t])
        grad["b"] += g.sum(axis=0)
        arriving[t] = ages.sum(axis=0)
        ages = g @ net.U  # one step further back, through U^T
    return Net(**grad), arriving


def by_autograd(net: Net, x: Array, d: Array) -> Net:
    """Have torch unroll the net and go back through it."""
    parts = {name: torch.tensor(getattr(net, name), requires_grad=True) for name in NAMES}
    h, loss = torch.zeros(len(net.b), dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    for value, wanted in zip(torch.tensor(x), torch.tensor(d), strict=True):
        h = torch.tanh(parts["W"] @ value + parts["U"] @ h + parts["b"])
        loss = loss + 0.5 * (parts["v"] @ h + parts["c"] - wanted) ** 2
    loss.sum().backward()
    return Net(**{name: np.asarray(part.grad) for name, part in parts.items()})


def learn_delay(back: int, settings: Settings) -> float:
    """Train a net to repeat its input after a delay; gradients are cut every `back` steps.

    This is truncation as it is practised: the state goes on, the gradient does not.
    """
    torch.manual_seed(settings.seed)
    net = torch.nn.RNN(1, 16, batch_first=True)
    read = torch.nn.Linear(16, 1)
    optimizer = torch.optim.Adam([*net.parameters(), *read.parameters()], lr=0.01)
    length, delay = 6 * settings.delay, settings.delay
    generator = torch.Generator().manual_seed(settings.seed)

    def example(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.rand(count, length, 1, generator=generator) * 2 - 1
        return x, torch.cat([torch.zeros(count, delay, 1), x[:, :-delay]], dim=1)

    for _ in range(settings.training):
        x, wanted = example(32)
        state, loss = None, torch.zeros(())
        for start in range(0, length, back):
            h, state = net(x[:, start : start + back], state)
            state = state.detach()
            loss = loss + ((read(h) - wanted[:, start : start + back]) ** 2).sum()
        optimizer.zero_grad()
        (loss / wanted.numel()).backward()
        optimizer.step()
    with torch.inference_mode():
        x, wanted = example(500)
        return float(((read(net(x)[0]) - wanted) ** 2).mean() / (wanted**2).mean())


def run(settings: Settings) -> Lesson:
    """Compute one gradient whole and truncated, and train with truncation."""
    rng = np.random.default_rng(settings.seed)
    units = settings.units
    net = Net(
        rng.normal(size=(units, 2)),
        rng.normal(size=(units, units)) * 0.9 / np.sqrt(units),
        0.1 * rng.normal(size=units),
        rng.normal(size=(1, units)),
        np.zeros(1),
    )
    x, d = rng.normal(size=(settings.steps, 2)), rng.normal(size=settings.steps)
    whole, arriving = through_time(net, x, d, settings.steps)
    truncated = {k: through_time(net, x, d, k)[0] for k in range(1, settings.steps + 1)}
    parts = [truncated[1].U] + [
        truncated[k].U - truncated[k - 1].U for k in range(2, settings.steps + 1)
    ]
    left_out, angles = {}, {}
    one = flat(whole)
    for k, gradient in truncated.items():
        other = flat(gradient)
        left_out[k] = float(np.linalg.norm(one - other) / np.linalg.norm(one))
        cosine = one @ other / (np.linalg.norm(one) * np.linalg.norm(other))
        angles[k] = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    delays = sorted({1, 2, settings.delay, settings.delay + 1, 2 * settings.delay,
                     6 * settings.delay})  # fmt: skip
    return Lesson(
        settings=settings,
        losses=0.5 * (forward(net, x)[1] - d) ** 2,
        arriving=arriving,
        whole=whole,
        autograd=by_autograd(net, x, d),
        truncated=truncated,
        by_lag=np.array([np.linalg.norm(part) for part in parts]),
        left_out=left_out,
        angles=angles,
        delayed={back: learn_delay(back, settings) for back in delays},
    )


def page(lesson: Lesson) -> list[str | list[list[str]]]:
    """Say what was found."""
    settings = lesson.settings
    weights = [["weight", "by hand (BPTT)", "autograd"]]
    for name in ("W", "U"):
        for place in list(np.ndindex(getattr(lesson.whole, name).shape))[:3]:
            label = f"{name}[{','.join(str(index + 1) for index in place)}]"
            values = [getattr(net, name)[place] for net in (lesson.whole, lesson.autograd)]
            weights.append([label, *(f"{value:+.9f}" for value in values)])
    cut = [["goes back", "left out of the gradient", "angle to the whole", "reaches U from lag"]]
    for k in lesson.truncated:
        row = [f"{k} step{'s' if k > 1 else ''}", f"{100 * lesson.left_out[k]:.2f} %"]
        cut.append(
            [*row, f"{lesson.angles[k]:.2f} degrees", f"{k - 1}: {lesson.by_lag[k - 1]:.4f}"]
        )
    delay = [["gradient cut every", "error, 1 = says nothing"]]
    delay += [[f"{back} steps", f"{error:.4f}"] for back, error in lesson.delayed.items()]
    return [
        f"{settings.units} units over {settings.steps} steps, a loss at each step.",
        weights,
        f"By hand and autograd differ by {lesson.disagreement:.1e} at most, relative to the "
        "largest "
        f"of all {len(flat(lesson.whole))} entries.",
        "Truncated back-propagation through time:",
        cut,
        f"Trained to repeat the input {settings.delay} steps later, {settings.training} steps:",
        delay,
        "Up to the delay no gradient reaches the input that counts; a net cut at every step can "
        "still live on what its state happens to keep.",
    ]


def draw(lesson: Lesson) -> Figure:
    """Draw the unrolled net with what flows back, what truncation leaves out, and its price."""
    figure = Figure(figsize=(12, 6.6), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.15, 1])
    draw_unrolled(upper.subplots(), lesson)
    out, price = lower.subplots(1, 2)
    steps = list(lesson.left_out)
    out.plot(steps, [100 * lesson.left_out[k] for k in steps], "o-", color=BLUE)
    out.set(xlabel="steps that the gradient goes back", ylabel="left out, % of its length",
            title="truncated against whole")  # fmt: skip
    out.set_xticks(steps if len(steps) < 16 else steps[:: len(steps) // 8])
    errors = list(lesson.delayed.values())
    bars = price.bar(range(len(errors)), errors, width=0.6, color=[
        ORANGE if back <= lesson.settings.delay else BLUE for back in lesson.delayed
    ])  # fmt: skip
    price.bar_label(bars, [f"{error:.2f}" for error in errors], fontsize=9)
    price.axhline(1, color=GREY, linestyle="--", linewidth=0.8)
    price.set_xticks(range(len(errors)), [str(back) for back in lesson.delayed])
    price.set(xlabel="gradient cut every ... steps", ylabel="error, 1 = says nothing",
              ylim=(0, 1.2))  # fmt: skip
    price.set_title(f"repeat the input of {lesson.settings.delay} steps ago")
    for axes in (out, price):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_unrolled(axes: Axes, lesson: Lesson) -> None:
    """Draw a copy of the net a step; arrows back are as wide as the gradient that they carry."""
    shown = min(lesson.settings.steps, 10)
    norms = np.linalg.norm(lesson.arriving, axis=1)[-shown:]
    first = lesson.settings.steps - shown
    for place in range(shown):
        name = f"{first + place + 1}"
        for height, text, colour in ((0, f"$x_{{{name}}}$", "white"), (1, f"$h_{{{name}}}$",
                                     "#BFDDEE"), (2, f"$y_{{{name}}}$", "white")):  # fmt: skip
            axes.scatter(place, height, s=560, color=colour, edgecolor="black", zorder=3)
            axes.text(place, height, text, ha="center", va="center", zorder=4)
        for low in (0, 1):
            axes.annotate("", (place, low + 0.78), (place, low + 0.22),
                          arrowprops={"arrowstyle": "->", "color": "black"})  # fmt: skip
        if place + 1 < shown:
            axes.annotate("", (place + 0.8, 1.06), (place + 0.2, 1.06),
                          arrowprops={"arrowstyle": "->", "color": "black"})  # fmt: skip
            axes.annotate("", (place + 0.2, 0.9), (place + 0.8, 0.9), arrowprops={
                "arrowstyle": "->", "color": VERMILION,
                "linewidth": 0.5 + 4 * norms[place + 1] / norms.max()})  # fmt: skip
        axes.text(place, 2.42, f"E = {lesson.losses[first + place]:.2f}", ha="center", fontsize=9)
        axes.text(place + 0.12, 0.6, f"|e| = {norms[place]:.2f}", fontsize=9, color=VERMILION)
    axes.set_title("unrolled: black forward, red backward, as wide as what arrives there")
    axes.set(xlim=(-0.5, shown - 0.3), ylim=(-0.4, 2.7))
    axes.axis("off")


if __name__ == "__main__":  # a copy of this file runs by itself
    result = run(Settings())
    for item in page(result):
        print(item if isinstance(item, str) else "\n".join("\t".join(row) for row in item))
    draw(result).savefig("unfold.png", dpi=130)
