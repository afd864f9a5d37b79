"""Vanishing gradients: by layer, by lag, and what an LSTM does about it.

Back-propagation multiplies by ``W^T`` and by the slope of the units at every layer, and for a
recurrent net at every step in time. The slope of a sigmoid is 1/4 at most, so a gradient that goes
through ten layers of sigmoids is smaller by a factor of thousands; tanh has slope 1 in the middle,
ReLU 1 for half of the units. Through time the same matrix comes again and again: with a spectral
radius below one the input of a net is forgotten exponentially, above one gradients may explode
(Hochreiter; Bengio et al.).

An LSTM adds to its cell instead of multiplying it: the gradient along the cell is the product of
the forget gates alone, 1 while they are open (Hochreiter and Schmidhuber; the forget gate is due
to Gers et al.). Graves shows both as pictures: how much each later unit still knows of the first
input. Here they are computed by autograd: on top an RNN that gets new inputs, below an LSTM
whose gates are set by hand, as in his figure: input open at step 1, output open at steps 4 and 6,
forget gate open.

References
----------
Hochreiter: Untersuchungen zu dynamischen neuronalen Netzen. Diploma thesis, TU München, 1991.
Bengio, Simard, Frasconi: Learning long-term dependencies with gradient descent is difficult. IEEE
Transactions on Neural Networks 5(2), 1994.
Hochreiter, Schmidhuber: Long short-term memory. Neural Computation 9(8), 1997.
Gers, Schmidhuber, Cummins: Learning to forget: continual prediction with LSTM. Neural Computation
12(10), 2000.
Graves: Supervised sequence labelling with recurrent neural networks. Springer, 2012, figures 4.1
and 4.4.
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
ACTIVATIONS = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "ReLU": torch.relu}
NETS = 10  # drawn anew; medians are shown
STEPS = 7  # of Graves's figures
OUTPUT_OPEN = (4, 6)  # steps, counted from 1


@dataclass(frozen=True)
class Settings:
    """What can be chosen: layers, units, lags, radii of RNNs, bias of the forget gate, seed."""

    layers: int = 10
    units: int = 50
    lags: int = 50
    radii: tuple[float, ...] = (0.5, 0.9, 1.2)
    forget_bias: float = 3.0
    seed: int = 0


@dataclass(frozen=True)
class Lesson:
    """All that is shown."""

    settings: Settings
    layers: dict[str, Array]  # activation: norm of dE/dh after each layer, relative to the last
    lags: dict[str, Array]  # net: norm of the gradient at each lag, relative to lag 0
    half_lives: dict[str, float]  # steps in which it halves, measured over all lags
    graves_rnn: Array  # (STEPS,) sensitivity of the hidden unit to the first input
    graves_lstm: dict[str, Array]  # of "cell" and "output", likewise


def by_layer(activation: str, settings: Settings) -> Array:
    """Measure the gradient at each layer of deep nets with weights of a usual size."""
    function, norms = ACTIVATIONS[activation], []
    gain = 2.0 if activation == "ReLU" else 1.0  # He and Glorot: signals keep their size
    for _ in range(NETS):
        h = torch.randn(64, settings.units)
        hidden = []
        for _ in range(settings.layers):
            weight = torch.randn(settings.units, settings.units) * (gain / settings.units) ** 0.5
            h = function(h @ weight).requires_grad_()
            h.retain_grad()
            hidden.append(h)
        (h @ torch.randn(settings.units, 1)).mean().backward()
        norms.append([float(each.grad.norm()) for each in hidden if each.grad is not None])
    median = np.median(np.array(norms), axis=0)
    return np.asarray(median / median[-1])


def by_lag(net: torch.nn.RNN | torch.nn.LSTM, lags: int) -> Array:
    """Measure how the last output depends on the input some steps before."""
    inputs = torch.randn(lags + 1, 16, net.input_size, requires_grad=True)
    outputs = net(inputs)[0]
    (outputs[-1] @ torch.randn(net.hidden_size)).sum().backward()
    assert inputs.grad is not None
    norms = inputs.grad.norm(dim=(1, 2)).numpy().astype(float)[::-1]
    return norms / norms[0]


def make_rnn(units: int, radius: float) -> torch.nn.RNN:
    """Make a tanh net whose recurrent matrix has a given spectral radius."""
    net = torch.nn.RNN(units, units)
    with torch.no_grad():
        net.weight_ih_l0.copy_(0.1 * torch.randn(units, units) / units**0.5)
        recurrent = torch.randn(units, units)
        recurrent *= radius / torch.linalg.eigvals(recurrent).abs().max()
        net.weight_hh_l0.copy_(recurrent)
        net.bias_ih_l0.zero_()
        net.bias_hh_l0.zero_()
    return net


def make_lstm(units: int, forget_bias: float) -> torch.nn.LSTM:
    """Make an LSTM as torch does, with a bias that keeps the forget gate open."""
    net = torch.nn.LSTM(units, units)
    with torch.no_grad():
        net.bias_ih_l0.zero_()
        net.bias_hh_l0.zero_()
        net.bias_ih_l0[units : 2 * units] = forget_bias
    return net


def median_by_lag(make: str, value: float, settings: Settings) -> Array:
    """Measure several nets of a kind."""
    builder = {"rnn": make_rnn, "lstm": make_lstm}[make]
    curves = [by_lag(builder(settings.units, value), settings.lags) for _ in range(NETS)]
    return np.asarray(np.exp(np.median(np.log(np.maximum(curves, 1e-30)), axis=0)))


def graves_rnn(radius: float) -> Array:
    """Give one tanh unit an input at each step; tell how much it still knows of the first."""
    first = torch.tensor(1.0, requires_grad=True)
    h, known = torch.tensor(0.0), []
    for step in range(STEPS):
        x = first if step == 0 else torch.tensor(1.0)
        h = torch.tanh(0.5 * x + radius * h)
        known.append(sensitivity(h, first))
    return np.array(known)


def graves_lstm() -> dict[str, Array]:
    """Give one LSTM unit, gates set by hand, the same inputs; 6 opens a gate, -6 shuts it."""
    first = torch.tensor(1.0, requires_grad=True)
    cell, known = torch.tensor(0.0), {"cell": [], "output": []}  # type: ignore[var-annotated]
    for step in range(1, STEPS + 1):
        x = first if step == 1 else torch.tensor(1.0)
        gate_in = torch.sigmoid(torch.tensor(6.0 if step == 1 else -6.0))
        gate_forget = torch.sigmoid(torch.tensor(6.0))
        gate_out = torch.sigmoid(torch.tensor(6.0 if step in OUTPUT_OPEN else -6.0))
        cell = gate_forget * cell + gate_in * torch.tanh(0.5 * x)
        known["cell"].append(sensitivity(cell, first))
        known["output"].append(sensitivity(gate_out * torch.tanh(cell), first))
    return {name: np.array(values) for name, values in known.items()}


def sensitivity(value: Tensor, first: Tensor) -> float:
    """Differentiate a value with respect to the first input."""
    return float(torch.autograd.grad(value, first, retain_graph=True)[0].abs())


def run(settings: Settings) -> Lesson:
    """Measure gradients in untrained nets."""
    torch.manual_seed(settings.seed)
    layers = {name: by_layer(name, settings) for name in ACTIVATIONS}
    lags = {
        f"RNN, radius {radius:g}": median_by_lag("rnn", radius, settings)
        for radius in settings.radii
    }
    lags[f"LSTM, forget bias {settings.forget_bias:g}"] = median_by_lag(
        "lstm", settings.forget_bias, settings
    )
    rates = {name: np.log2(curve[-1]) / settings.lags for name, curve in lags.items()}
    half_lives = {name: -1 / rate if rate < 0 else np.inf for name, rate in rates.items()}
    return Lesson(settings, layers, lags, half_lives, graves_rnn(0.9), graves_lstm())


def page(lesson: Lesson) -> list[str | list[list[str]]]:
    """Say what was found."""
    settings = lesson.settings
    names = list(lesson.layers)
    rows = [["layer", *names]]
    rows += [
        [str(layer), *(f"{lesson.layers[name][layer - 1]:.2e}" for name in names)]
        for layer in range(settings.layers, 0, -1)
    ]
    shown = [lag for lag in (0, 1, 2, 5, 10, 20, 50, 100, 200) if lag <= settings.lags]
    through = [["net", *(f"lag {lag}" for lag in shown), "halves in"]]
    for name, curve in lesson.lags.items():
        life = lesson.half_lives[name]
        end = f"{life:.1f} steps" if np.isfinite(life) else "never: it grows"
        through.append([name, *(f"{curve[lag]:.1e}" for lag in shown), end])
    graves = [["what knows of input 1", *(f"step {step}" for step in range(1, STEPS + 1))]]
    graves += [
        [name, *(f"{value:.3f}" for value in values / max(values.max(), 1e-12))]
        for name, values in (
            ("RNN, its unit", lesson.graves_rnn),
            ("LSTM, its cell", lesson.graves_lstm["cell"]),
            ("LSTM, its output", lesson.graves_lstm["output"]),
        )
    ]
    return [
        f"Gradient at each of {settings.layers} layers of {settings.units} units, relative to the "
        f"last (untrained nets, median of {NETS}):",
        rows,
        f"Gradient of the last output by the input some steps earlier, relative to lag 0 "
        f"(untrained, {settings.units} units):",
        through,
        "Graves's figures: a unit that gets an input at each step, relative to its own largest:",
        graves,
    ]


def draw(lesson: Lesson) -> Figure:
    """Draw gradients by layer and by lag, and Graves's two figures."""
    figure = Figure(figsize=(12, 7.2), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.25, 1])
    depth, time = upper.subplots(1, 2)
    layers = np.arange(1, lesson.settings.layers + 1)
    for (name, norms), colour, marker in zip(
        lesson.layers.items(), (BLUE, ORANGE, GREEN), "os^", strict=True
    ):
        depth.semilogy(layers, norms, marker=marker, color=colour, label=name)
    depth.set(xlabel="layer (1 is next to the input)", ylabel="norm of the gradient, relative",
              title="by layer")  # fmt: skip
    depth.set_xticks(layers if len(layers) < 16 else layers[:: len(layers) // 8])
    styles = ["-", "--", "-.", ":"]
    rnns = [name for name in lesson.lags if name.startswith("RNN")]
    for name, curve in lesson.lags.items():
        recurrent = name in rnns
        style = styles[rnns.index(name) % 4] if recurrent else "-"
        time.semilogy(np.arange(len(curve)), curve, linestyle=style, linewidth=1.8,
                      color=ORANGE if recurrent else BLUE, label=name)  # fmt: skip
    floor = max(min(float(curve.min()) for curve in lesson.lags.values()), 1e-12)
    time.set(xlabel="lag, steps", ylabel="norm of the gradient, relative", title="by lag",
             ylim=(floor / 2, None))  # fmt: skip
    for axes in (depth, time):
        axes.legend(frameon=False, fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    rnn, lstm = lower.subplots(1, 2)
    draw_unfolded(rnn, [("unit", lesson.graves_rnn)], "RNN: each new input covers the first")
    draw_unfolded(
        lstm,
        [("output", lesson.graves_lstm["output"]), ("cell", lesson.graves_lstm["cell"])],
        "LSTM: the cell keeps it, the output gate shows it",
    )
    return figure


def draw_unfolded(axes: Axes, rows: list[tuple[str, Array]], title: str) -> None:
    """Draw units step by step; the darker, the more they know of the first input."""
    for height, (_, known) in enumerate(reversed(rows), 1):
        share = known / known.max()
        for step, value in enumerate(share, 1):
            arrows = [((step, height - 0.3), (step, height - 0.7))]
            if step < STEPS and height == 1:  # what goes on in time
                arrows.append(((step + 0.74, height), (step + 0.26, height)))
            for tip, tail in arrows:
                axes.annotate("", tip, tail, arrowprops={"arrowstyle": "->", "color": GREY})
            axes.scatter(step, height, s=620, color=str(1 - 0.9 * value), edgecolor="black",
                         zorder=2)  # fmt: skip
            axes.text(step, height, f"{value:.2f}", ha="center", va="center", fontsize=8,
                      color="white" if value > 0.5 else "black", zorder=3)  # fmt: skip
    for step in range(1, STEPS + 1):
        axes.scatter(step, 0, s=200, color="0.1" if step == 1 else "white", edgecolor="black",
                     zorder=2)  # fmt: skip
    names = ["input", *(name for name, _ in reversed(rows))]
    axes.set_yticks(range(len(names)), names)
    axes.set(xlim=(0.5, STEPS + 0.5), ylim=(-0.45, len(rows) + 0.5), xlabel="step")
    axes.set_title(title, fontsize=11)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


if __name__ == "__main__":  # a copy of this file runs by itself
    result = run(Settings())
    for item in page(result):
        print(item if isinstance(item, str) else "\n".join("\t".join(row) for row in item))
    draw(result).savefig("vanishing.png", dpi=130)
