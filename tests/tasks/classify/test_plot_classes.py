"""Pictures of labels show the right thing in the right place, whatever the labels are called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.collections import LineCollection, QuadMesh
from matplotlib.figure import Figure

import audiocli.tasks.classify.plot as drawing
from audiocli.errors import UsageError
from audiocli.tasks.classify.plot import plot_classes, plot_confusion, plot_tags
from audiocli.tasks.plotting import Overview


@dataclass(frozen=True)
class Track:
    task: str
    labels: tuple[str, ...]
    probabilities: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    threshold: float = 0.4
    silent: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))


def looked(seconds: float) -> Overview:
    column, hertz = np.zeros(401), np.geomspace(50, 4000, 9)
    return Overview(seconds, seconds / 400, column, column, np.zeros((9, 401)), hertz)


def track(count: int, segments: int, hop: float = 1.0, length: float = 1.0) -> Track:
    values = np.random.default_rng(0).dirichlet(np.full(count, 0.2), segments)
    starts = hop * np.arange(segments)
    names = tuple(f"label {place}" for place in range(count))
    return Track("classify", names, values.astype(np.float32), starts, starts + length)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Figure]:
    """Draw without writing."""
    figures: list[Figure] = []
    monkeypatch.setattr(drawing, "_save", lambda figure, *rest, **options: figures.append(figure))

    def draw(plot: Callable[..., None], *arguments: object, **options: object) -> Figure:
        plot(Path("a.png"), *arguments, **options)
        return figures[-1]

    return draw


def rows_of(figure: Figure) -> list[QuadMesh]:
    # The bar of the colours is a mesh too, in axes of its own.
    return [item for axis in figure.axes for item in axis.collections if isinstance(item, QuadMesh)]


def test_cells_have_the_probabilities_and_stand_at_their_times(drawn) -> None:
    said = track(3, 5, hop=1.0, length=2.0)  # overlapping, up to 6 s
    (cells,) = rows_of(drawn(plot_classes, looked(6.0), said))
    assert np.allclose(cells.get_array(), said.probabilities.T)
    edges = cells.get_coordinates()[0, :, 0]
    assert edges.tolist() == [0.0, 1.5, 2.5, 3.5, 4.5, 6.0]
    cells = rows_of(drawn(plot_classes, looked(4.5), replace(track(3, 5), ends=[1, 2, 3, 4, 4.5])))
    assert cells[0].get_coordinates()[0, :, 0].tolist() == [0, 1, 2, 3, 4, 4.5]


def answered(figure: Figure) -> set[tuple[int, float]]:
    """Label and time of each line under a cell."""
    lines = [item for item in figure.axes[1].collections if isinstance(item, LineCollection)]
    return {(int(line[0, 1]), float(line[0, 0])) for line in lines[-1].get_segments()}


def test_a_line_says_what_is_answered(drawn) -> None:
    values = np.array([[0.9, 0.1], [0.45, 0.55], [0.65, 0.35]], np.float32)
    one = Track("classify", ("a", "b"), values, np.arange(3.0), np.arange(1.0, 4.0))
    assert answered(drawn(plot_classes, looked(3.0), one)) == {(0, 0.0), (1, 1.0), (0, 2.0)}
    strict = drawn(plot_classes, looked(3.0), one, threshold=0.6)
    assert answered(strict) == {(0, 0.0), (0, 2.0)}
    several = drawn(plot_classes, looked(3.0), replace(one, task="tag"))
    assert answered(several) == {(0, 0.0), (0, 1.0), (1, 1.0), (0, 2.0)}


def test_the_line_has_a_legend(drawn) -> None:
    for task, word in (("classify", "answer"), ("tag", "given")):
        figure = drawn(plot_classes, looked(3.0), replace(track(2, 3), task=task))
        (legend,) = [axis.get_legend() for axis in figure.axes if axis.get_legend()]
        assert [text.get_text() for text in legend.get_texts()] == [f"{word} (at least 40%)"]


def test_nothing_is_said_of_silence(drawn) -> None:
    values = np.array([[0.9, 0.1], [0.5, 0.5], [0.5, 0.5], [0.2, 0.8]], np.float32)
    hushed = np.array([False, True, True, False])
    said = Track("classify", ("a", "b"), values, np.arange(4.0), np.arange(1.0, 5.0), silent=hushed)
    figure = drawn(plot_classes, looked(4.0), said)
    (cells,) = rows_of(figure)
    assert np.ma.getmaskarray(cells.get_array()).reshape(2, 4).tolist() == [hushed.tolist()] * 2
    assert answered(figure) == {(0, 0.0), (1, 3.0)}
    words = [text.get_text() for text in figure.axes[1].texts]
    assert words.count("silence") == 1 and "50%" not in words
    # A model that has the class says so itself.
    named = drawn(plot_classes, looked(4.0), replace(said, labels=("a", "silence")))
    assert not np.ma.getmaskarray(rows_of(named)[0].get_array()).any()


def test_long_recordings_go_on_in_the_next_panel(drawn) -> None:
    said = track(4, 60)
    figure = drawn(plot_classes, looked(60.0), said)
    meshes = rows_of(figure)
    assert len(meshes) == 4 and len(figure.axes) == 8
    for index, cells in enumerate(meshes):
        edges = cells.get_coordinates()[0, :, 0]
        assert edges[0] <= 15 * index and edges[-1] >= 15 * (index + 1) and len(edges) < 20
        first = int(edges[0])
        assert np.allclose(cells.get_array(), said.probabilities[first : first + len(edges) - 1].T)


def test_few_segments_have_their_numbers_written_in(drawn) -> None:
    def written(figure: Figure) -> list[str]:
        return [text.get_text() for text in figure.axes[1].texts]

    values = np.array([[0.876, 0.124, 0.0]], np.float32)
    whole = Track("classify", ("a", "b", "c"), values, np.zeros(1), np.full(1, 9.0))
    assert written(drawn(plot_classes, looked(9.0), whole)) == ["88%", "12%"]
    assert written(drawn(plot_classes, looked(12.0), track(3, 48, hop=0.25, length=0.25))) == []


def test_numbers_are_not_cut_where_a_stretch_goes_over_the_end_of_a_row(drawn) -> None:
    values = np.full((23, 1), 1.0, np.float32)
    starts = 1.3 * np.arange(23)  # rows of 15 s: of the 12th 0.7 s are in the first
    said = Track("classify", ("a",), values, starts, starts + 1.3)
    figure = drawn(plot_classes, looked(30.0), said)
    rows = [axis.texts for axis in figure.axes[1::2]]
    assert list(map(len, rows)) == [12, 11]
    for axis, texts in zip(figure.axes[1::2], rows, strict=True):
        (left, right), width = axis.get_xlim(), np.diff(axis.get_xlim())[0] / 24
        for text in texts:
            assert left + width / 2 <= text.get_position()[0] <= right - width / 2
    # What lasts longer than a row has its number in each.
    whole = Track("classify", ("a",), values[:1], np.zeros(1), np.full(1, 60.0))
    figure = drawn(plot_classes, looked(60.0), whole)
    assert [len(axis.texts) for axis in figure.axes[1::2]] == [1, 1, 1, 1]


@pytest.mark.parametrize("count", [1, 2, 20, 56])
def test_any_number_of_labels_can_be_read(drawn, count: int) -> None:
    said = track(count, 10)
    figure = drawn(plot_classes, looked(10.0), said)
    axis = figure.axes[1]
    shown = [label.get_text() for label in axis.get_yticklabels()]
    if count <= 20:
        assert shown == list(said.labels)
    else:
        highest = said.probabilities.max(axis=0)
        assert len(shown) == 20
        least = min(highest[said.labels.index(name)] for name in shown)
        assert (highest > least).sum() < 20
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in axis.get_yticklabels()]
    for upper, lower in zip(boxes, boxes[1:], strict=False):
        assert lower.y1 <= upper.y0 + 1  # none over another


def test_words_stand_beside_labels_and_long_ones_are_cut(drawn) -> None:
    said = replace(track(3, 2), labels=("Q1", "$x$\n2", "very " * 20))
    figure = drawn(plot_classes, looked(2.0), said, descriptions={"Q1": "happy, excited"})
    shown = [label.get_text() for label in figure.axes[1].get_yticklabels()]
    assert shown[:2] == ["Q1 (happy, excited)", r"\$x\$ 2"]
    assert shown[2].startswith("very very") and shown[2].endswith("…") and len(shown[2]) < 40


def test_a_recording_too_short_for_a_segment_has_no_cells(tmp_path: Path) -> None:
    plot_classes(tmp_path / "a.png", looked(0.01), track(3, 0), "short")
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_tags_are_bars_with_the_most_probable_first(drawn) -> None:
    figure = drawn(plot_tags, ["a", "b", "c"], [0.2, 0.9, 0.5], threshold=0.5)
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["b", "c", "a"]
    assert [bar.get_width() for bar in axis.patches] == [0.9, 0.5, 0.2]
    (right,) = axis.child_axes  # numbers stand outside, where neither bar nor threshold comes
    assert [label.get_text() for label in right.get_yticklabels()] == ["0.90", "0.50", "0.20"]
    assert not axis.texts and axis.get_xlim() == (0, 1)
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["threshold 0.5"]
    assert axis.yaxis_inverted()  # the first is at the top
    colours = [bar.get_facecolor() for bar in axis.patches]
    assert colours[0] == colours[1] != colours[2]
    figure = drawn(plot_tags, [str(place) for place in range(50)], np.linspace(0, 1, 50))
    assert len(figure.axes[0].patches) == 20 and figure.axes[0].get_yticklabels()[0].get_text() == (
        "49"
    )


def test_confusions_are_counted_and_coloured_by_row(drawn) -> None:
    matrix = np.array([[30, 10, 0], [0, 5, 0], [0, 0, 0]])
    figure = drawn(plot_confusion, matrix, ["cat", "dog", "cow"])
    (cells,) = rows_of(figure)
    assert np.allclose(cells.get_array(), [[0.75, 0.25, 0], [0, 1, 0], [0, 0, 0]])
    (axis,) = figure.axes
    places = {text.get_text(): text.get_position() for text in axis.texts}
    assert places == {"30": (0.5, 0.5), "10": (1.5, 0.5), "5": (1.5, 1.5)}
    assert axis.yaxis_inverted()  # the first row is at the top
    (right,) = axis.child_axes
    assert [label.get_text() for label in right.get_yticklabels()] == ["75%", "100%", "–"]


def pictures(folder: Path, suffix: str, **options: bool) -> list[bytes]:
    paths = [folder / f"{name}{suffix}" for name in ("classes", "tags", "confusion")]
    plot_classes(paths[0], looked(8.0), track(3, 8), "a song", **options)
    plot_tags(paths[1], ["rock", "guitar"], [0.1, 0.6], "a song", **options)
    plot_confusion(paths[2], np.eye(2, dtype=int), ["cat", "dog"], "a song", **options)
    return [path.read_bytes() for path in paths]


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_same_picture_has_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    once = pictures(tmp_path, suffix)
    assert pictures(tmp_path, suffix, overwrite=True) == once
    if suffix == ".svg":
        for data, word in zip(once, ("label 2", "guitar", "reference"), strict=True):
            ElementTree.fromstring(data)
            assert word in data.decode() and "a song" in data.decode()


@pytest.mark.parametrize("name", ["$x_1$ and $y^", "[b]日本語[/b] \U0001f3b5", "bad\udcff", ""])
def test_names_are_not_read_as_anything_else(tmp_path: Path, name: str) -> None:
    plot_classes(tmp_path / "a.png", looked(2.0), replace(track(1, 2), labels=(name,)), name)
    plot_tags(tmp_path / "b.svg", [name], [0.5], name)
    plot_confusion(tmp_path / "c.png", np.ones((1, 1), int), [name], name)
    assert all(path.stat().st_size > 1000 for path in tmp_path.iterdir())


def test_pictures_are_not_lost_or_of_another_kind(tmp_path: Path) -> None:
    pictures(tmp_path, ".png")
    with pytest.raises(UsageError, match="use overwrite"):
        plot_tags(tmp_path / "tags.png", ["a"], [0.5])
    for plot, arguments in (
        (plot_classes, (looked(1.0), track(2, 1))),
        (plot_tags, (["a"], [0.5])),
        (plot_confusion, (np.eye(2, dtype=int), ["a", "b"])),
    ):
        with pytest.raises(UsageError, match=r"\.png, \.svg, \.pdf"):
            plot(tmp_path / "a.gif", *arguments)
