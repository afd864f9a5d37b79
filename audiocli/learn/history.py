"""The time line: from the first model of a neuron to the networks that this package ships.

References
----------
Each row of ``EVENTS`` names its own. Schmidhuber: Deep learning in neural networks: an overview.
Neural Networks 61, 2015, has the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, VERMILION, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#767676"
KINDS = {"nets": BLUE, "memory": GREEN, "depth": ORANGE, "audio": VERMILION}


@dataclass(frozen=True)
class Event:
    """A year, who, what, and the kind it is drawn as."""

    year: int
    who: str
    what: str
    kind: str


EVENTS = (
    Event(1943, "McCulloch, Pitts", "a neuron as a threshold", "nets"),
    Event(1949, "Hebb", "learning as a change of connections", "nets"),
    Event(1958, "Rosenblatt", "perceptron", "nets"),
    Event(1960, "Widrow, Hoff", "LMS rule", "nets"),
    Event(1969, "Minsky, Papert", "Perceptrons: XOR", "nets"),
    Event(1974, "Werbos", "back-propagation in a thesis", "nets"),
    Event(1980, "Fukushima", "Neocognitron", "depth"),
    Event(1986, "Rumelhart, Hinton, Williams", "back-propagation", "nets"),
    Event(1989, "Cybenko; Hornik et al.", "universal approximation", "nets"),
    Event(1989, "LeCun et al.", "convolutional nets trained", "depth"),
    Event(1990, "Elman", "simple recurrent net", "memory"),
    Event(1991, "Hochreiter", "vanishing gradients", "memory"),
    Event(1997, "Hochreiter, Schmidhuber", "LSTM", "memory"),
    Event(1997, "Schuster, Paliwal", "bidirectional RNN", "memory"),
    Event(2000, "Gers et al.", "forget gate", "memory"),
    Event(2006, "Hinton et al.", "deep belief nets", "depth"),
    Event(2010, "Eyben et al.", "BLSTM onset detector", "audio"),
    Event(2010, "Glorot, Bengio", "why deep nets are hard to train", "depth"),
    Event(2012, "Krizhevsky et al.", "AlexNet", "depth"),
    Event(2014, "Huang et al.", "DRNN separates singing", "audio"),
    Event(2014, "Schlüter, Böck", "onsets by a convolutional net", "audio"),
    Event(2015, "He et al.", "residual nets", "depth"),
    Event(2017, "Vaswani et al.", "transformer", "memory"),
    Event(2017, "Hershey et al.", "VGGish: nets for all sounds", "audio"),
    Event(2018, "Stoller et al.", "Wave-U-Net", "audio"),
    Event(2023, "Luo, Yu", "band-split RNN", "audio"),
)


@dataclass(frozen=True)
class Settings:
    """What can be chosen: the first and the last year."""

    first: int = 1940
    last: int = 2025


@dataclass(frozen=True)
class Lesson:
    """All that is shown."""

    settings: Settings
    events: tuple[Event, ...]


def run(settings: Settings) -> Lesson:
    """Choose the events between two years."""
    chosen = [event for event in EVENTS if settings.first <= event.year <= settings.last]
    return Lesson(settings, tuple(sorted(chosen, key=lambda event: event.year)))


def page(lesson: Lesson) -> list[str | list[list[str]]]:
    """Say what happened when."""
    rows = [["year", "who", "what"]]
    rows += [[str(event.year), event.who, event.what] for event in lesson.events]
    years = [event.year for event in lesson.events]
    if len(years) < 2:
        return [rows]
    gaps = [(later - earlier, earlier, later) for earlier, later in zip(years, years[1:])]  # noqa: B905
    gap, earlier, later = max(gaps)
    return [rows, f"The longest pause in this list is {gap} years, {earlier} to {later}."]


def draw(lesson: Lesson) -> Figure:
    """Draw the events along a line, alternating between above and below."""
    figure = Figure(figsize=(13, 5.2), layout="constrained")
    axes = figure.add_subplot()
    axes.axhline(0, color=GREY, linewidth=2)
    first, last = lesson.settings.first, lesson.settings.last
    count = len(lesson.events)
    heights = (0.9, -0.9, 2.0, -2.0, 3.1, -3.1)
    for index, event in enumerate(lesson.events):
        # Labels stand evenly, in the order of the years, and point at them.
        place = first + (last - first) * (index + 0.5) / max(count, 1)
        height, colour = heights[index % len(heights)], KINDS[event.kind]
        axes.plot([event.year, place], [0, height], color=colour, linewidth=0.8)
        axes.plot(event.year, 0, "o", color=colour, markersize=6, zorder=3)
        axes.annotate(f"{event.year} {event.who}\n{event.what}", (place, height), ha="center",
                      va="bottom" if height > 0 else "top", fontsize=6.5,
                      bbox={"fc": "white", "ec": colour, "lw": 0.6, "pad": 1.5})  # fmt: skip
    for name, colour in KINDS.items():
        axes.plot([], [], "o", color=colour, label=name)
    axes.legend(frameon=False, loc="lower left", ncols=len(KINDS), title="what it is about")
    axes.set(ylim=(-4.6, 4.2), yticks=[], xlabel="year")
    axes.margins(x=0.06)
    axes.spines[["top", "left", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":  # a copy of this file runs by itself
    result = run(Settings())
    for item in page(result):
        print(item if isinstance(item, str) else "\n".join("\t".join(row) for row in item))
    draw(result).savefig("history.png", dpi=130)
