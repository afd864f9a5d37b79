"""An LSTM's memory: delayed recall, and what its gates do while it detects onsets.

Delayed recall: the first of many frames carries a sign, noise follows, and after a delay the net
is to say which it was. An Elman network has to keep it in a state that is multiplied at every step;
an LSTM keeps it in its cell, which the forget gate leaves alone. Then the gates and cells of the
shipped BLSTM onset detector are computed step by step from its weights,

    i, f, o = sigmoid(W x + U h + b),  g = tanh(...),  c = f c + i g,  h = o tanh(c),

on the demo song, and compared with what the network itself computes.

References
----------
Hochreiter, Schmidhuber: Long short-term memory. Neural Computation 9(8), 1997.
Gers, Schmidhuber, Cummins: Learning to forget. Neural Computation 12(10), 2000.
Eyben, Boeck, Schuller, Graves: Universal onset detection with bidirectional long short-term memory
neural networks. ISMIR 2010.
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
TESTED = 500  # sequences
CELLS = {"RNN": nn.RNN, "LSTM": nn.LSTM}


@dataclass(frozen=True)
class Settings:
    """What can be chosen: delays, units, training steps, seconds of the song, seed."""

    delays: tuple[int, ...] = (5, 20, 50)
    units: int = 12
    steps: int = 250
    seconds: float = 4.0
    seed: int = 0


@dataclass(frozen=True)
class Gates:
    """The first LSTM layer of the detector, forward: (frames, units) each."""

    input: Array
    forget: Array
    output: Array
    cell: Array
    hidden: Array
    error: float  # largest difference from the hidden states that torch computes
    frame_rate: float
    onsets: Array  # seconds, by the score of the song
    activation: Array  # of the whole network, (frames,)


@dataclass(frozen=True)
class Lesson:
    """All that is shown."""

    settings: Settings
    recalled: dict[str, list[float]]
    gates: Gates
    unit: int  # the one whose forget gate moves most


class Recall(nn.Module):
    """A recurrent layer whose last state says which sign came first."""

    def __init__(self, cell: str, units: int) -> None:
        super().__init__()
        self.recurrence = CELLS[cell](1, units, batch_first=True)
        if cell == "LSTM":  # forget gates begin open
            with torch.no_grad():
                self.recurrence.bias_hh_l0[units : 2 * units] += 5.0
        self.output = nn.Linear(units, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Give logits (batch,) of inputs (batch, frames, 1)."""
        logits: Tensor = self.output(self.recurrence(inputs)[0][:, -1])[:, 0]
        return logits


def recall(settings: Settings, cell: str, delay: int) -> float:
    """Train a net for one delay, and give the share of new sequences that it answers right."""
    torch.manual_seed(settings.seed)
    generator = torch.Generator().manual_seed(settings.seed)

    def drawn(number: int) -> tuple[Tensor, Tensor]:
        targets = torch.randint(2, (number,), generator=generator).float()
        inputs = 0.3 * torch.randn(number, delay + 1, 1, generator=generator)
        inputs[:, 0, 0] = 2 * targets - 1
        return inputs, targets

    net = Recall(cell, settings.units)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(settings.steps):
        inputs, targets = drawn(32)
        loss = nn.functional.binary_cross_entropy_with_logits(net(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
    inputs, targets = drawn(TESTED)
    with torch.no_grad():
        return float(((net(inputs) > 0) == (targets > 0)).float().mean())


def by_hand(lstm: nn.LSTM, inputs: Tensor) -> dict[str, Tensor]:
    """Run the forward direction of a layer step by step; inputs (frames, features)."""
    units = lstm.hidden_size
    hidden = cell = torch.zeros(units)
    kept: dict[str, list[Tensor]] = {name: [] for name in ("i", "f", "o", "c", "h")}
    for frame in inputs:
        sums = lstm.weight_ih_l0 @ frame + lstm.weight_hh_l0 @ hidden
        i, f, g, o = (sums + lstm.bias_ih_l0 + lstm.bias_hh_l0).split(units)
        i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
        cell = f * cell + i * g
        hidden = o * torch.tanh(cell)
        for name, value in zip("ifoch", (i, f, o, cell, hidden), strict=True):
            kept[name].append(value)
    return {name: torch.stack(values) for name, values in kept.items()}


def look_into_detector(seconds: float) -> Gates:
    """Compute gates and cells of the shipped onset detector on the beginning of the demo song."""
    from audiocli.demo import compose
    from audiocli.nn import models, registry

    song = compose()
    network: nn.Module = models.load(registry.find("onsets", "blstm"))
    frontend = network.get_submodule("frontend")
    config = frontend.config
    rate = int(config.sample_rate)  # type: ignore[union-attr]  # of a filterbank
    sound = song.mixture[:, : round(seconds * rate)].mean(axis=0) / 32768
    lstm = network.get_submodule("hidden.layers.0.cell")
    assert isinstance(lstm, nn.LSTM)
    entered: list[Tensor] = []
    handle = lstm.register_forward_pre_hook(lambda module, inputs: entered.append(inputs[0]))
    with torch.no_grad():
        logits = network(torch.from_numpy(sound).float()[None])
        computed = lstm(entered[0])[0][0, :, : lstm.hidden_size]
        handle.remove()
        kept = by_hand(lstm, entered[0][0])
    error = float((kept["h"] - computed).abs().max())
    frame_rate = rate / float(config.hop_length)  # type: ignore[union-attr]
    arrays = {name: value.double().numpy() for name, value in kept.items()}
    onsets = np.array([time for time in song.onsets if time < seconds])
    activation = torch.sigmoid(logits[0, 0]).double().numpy()
    return Gates(arrays["i"], arrays["f"], arrays["o"], arrays["c"], arrays["h"], error,
                 frame_rate, onsets, activation)  # fmt: skip


def run(settings: Settings) -> Lesson:
    """Train for each delay, then look into the detector."""
    recalled = {cell: [recall(settings, cell, d) for d in settings.delays] for cell in CELLS}
    gates = look_into_detector(settings.seconds)
    return Lesson(settings, recalled, gates, int(gates.forget.std(axis=0).argmax()))


def page(lesson: Lesson) -> list[str | list[list[str]]]:
    """Say what was recalled, and how the gates behave."""
    rows = [["delay, frames", *lesson.recalled]]
    for index, delay in enumerate(lesson.settings.delays):
        shares = [f"{100 * shares[index]:.0f} %" for shares in lesson.recalled.values()]
        rows.append([str(delay), *shares])
    gates, unit = lesson.gates, lesson.unit
    near = near_onsets(gates)
    table = [["gate", "near an onset", "elsewhere", f"of unit {unit}, near", "elsewhere"]]
    for name, values in (("input", gates.input), ("forget", gates.forget),
                         ("output", gates.output)):  # fmt: skip
        cells = [values[near].mean(), values[~near].mean()]
        cells += [values[near, unit].mean(), values[~near, unit].mean()]
        table.append([name, *(f"{value:.2f}" for value in cells)])
    return [
        "Right after a delay (guessing: 50 %):",
        rows,
        f"First layer of onsets/blstm on {lesson.settings.seconds:g} s of the demo song, "
        f"{len(gates.onsets)} onsets; by hand and by torch the hidden states agree to "
        f"{gates.error:.0e}. Mean opening of the gates within 30 ms of an onset and elsewhere:",
        table,
    ]


def near_onsets(gates: Gates) -> NDArray[np.bool_]:
    """Tell which frames are within 30 ms of an onset."""
    times = np.arange(len(gates.cell)) / gates.frame_rate
    if not len(gates.onsets):
        return np.zeros(len(times), bool)
    return np.abs(times[:, None] - gates.onsets).min(axis=1) <= 0.03


def draw(lesson: Lesson) -> Figure:
    """Draw recall by delay; gates, cell and activation along the song."""
    figure = Figure(figsize=(10, 6), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=[1, 2])
    axes = left.subplots()
    for cell, colour in zip(CELLS, (ORANGE, BLUE), strict=True):
        axes.plot(lesson.settings.delays, 100 * np.array(lesson.recalled[cell]), "o-",
                  color=colour, label=cell)  # fmt: skip
    axes.axhline(50, color=GREY, linestyle=":", label="guessing")
    axes.set(xlabel="delay, frames", ylabel="right, %", ylim=(40, 103), title="delayed recall")
    axes.legend(frameon=False, loc="lower left")
    gates, unit = lesson.gates, lesson.unit
    times = np.arange(len(gates.cell)) / gates.frame_rate
    curves = (
        (
            "gates",
            (
                (gates.input, "input", BLUE),
                (gates.forget, "forget", ORANGE),
                (gates.output, "output", GREEN),
            ),
        ),  # fmt: skip
        ("cell", ((gates.cell, "cell", VERMILION),)),
    )
    panels = right.subplots(3, 1, sharex=True)
    for panel, (title, shown) in zip(panels, curves, strict=False):
        for values, label, colour in shown:
            panel.plot(times, values[:, unit], color=colour, linewidth=1, label=label)
        panel.set_ylabel(title)
    panels[0].set_ylim(-0.05, 1.05)
    panels[2].plot(times, gates.activation, color=GREY, linewidth=1, label="network's activation")
    panels[2].set(xlabel="time, s", ylabel="activation", ylim=(-0.05, 1.05))
    for panel in panels:
        for index, onset in enumerate(gates.onsets):
            panel.axvline(onset, color="black", alpha=0.25, linewidth=0.8,
                          label="onset in the score" if index == 0 else None)  # fmt: skip
        panel.legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
        panel.spines[["top", "right"]].set_visible(False)
    right.suptitle(f"unit {unit} of the first layer of onsets/blstm", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":  # needs audiocli installed, for its model and its song
    result = run(Settings())
    for item in page(result):
        print(item if isinstance(item, str) else "\n".join("\t".join(row) for row in item))
    draw(result).savefig("memory.png", dpi=130)
