"""Pictures of chords show them in their places and colours, and nothing over anything else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

import audiocli.tasks.chords.plot as drawing
from audiocli.errors import UsageError
from audiocli.io.formats import Segments
from audiocli.tasks.chords.plot import NO_CHORD, _ink, _typeset, colour_of, plot_chords
from audiocli.tasks.plotting import Overview

RATE = 10.0  # frames a second
LABELS = ("C:maj", "A:min7", "F#:hdim7/b5", "N", "Bb:maj/3", "what is this?")
ROOTS = (0, 9, 6, -1, 10, -1)


def looked(seconds: float) -> Overview:
    column, hertz = np.zeros(401), np.geomspace(50, 4000, 9)
    return Overview(seconds, seconds / 400, column, column, np.zeros((9, 401)), hertz)


def segments(*spans: tuple[float, float, str]) -> Segments:
    starts, ends, labels = zip(*spans, strict=True) if spans else ((), (), ())
    return Segments(np.array(starts, float), np.array(ends, float), labels, "chord")


def song(seconds: float, each: float) -> tuple[Segments, list[int]]:
    """Chords of one length in turn, and their roots."""
    starts = np.arange(0, seconds, each)
    places = np.arange(len(starts)) % len(LABELS)
    chords = Segments(starts, starts + each, [LABELS[place] for place in places], "chord")
    return chords, [ROOTS[place] for place in places]


def tones(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).random((12, round(seconds * RATE) + 1))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Figure]:
    """Draw without writing."""
    figures: list[Figure] = []
    monkeypatch.setattr(drawing, "_save", lambda figure, *rest, **options: figures.append(figure))

    def draw(seconds: float, chords: Segments, **options: object) -> Figure:
        options = {"roots": [0] * len(chords), "tones": tones(seconds), **options}
        plot_chords(Path("a.png"), looked(seconds), chords, frame_rate=RATE, **options)
        return figures[-1]

    return draw


def blocks(figure: Figure) -> list[tuple[float, float]]:
    found = []
    for axis in figure.axes:
        for item in axis.collections:
            if isinstance(item, PolyCollection):
                sides = [path.vertices[:, 0] for path in item.get_paths()]
                found += [(float(side.min()), float(side.max())) for side in sides]
    return found


def written(figure: Figure, row: int = 0) -> list[str]:
    return [text.get_text() for text in figure.axes[row].texts]


def test_blocks_stand_where_the_chords_are(drawn) -> None:
    chords = segments((0.5, 2, "C:maj"), (2, 3, "G:7/3"), (4, 9, "A:min"))
    figure = drawn(6.0, chords)
    assert blocks(figure) == [(0.5, 2), (2, 3), (4, 6)]
    assert written(figure) == ["C", "G7/B", "Am"]
    assert [text.get_position()[0] for text in figure.axes[0].texts] == [1.25, 2.5, 5.0]


def test_a_chord_that_overlaps_the_next_ends_there(drawn) -> None:
    over = segments((0, 5, "C:maj"), (1, 2, "D:maj"), (1, 1, "E:maj"), (3, 4, "F:maj"))
    assert blocks(drawn(5.0, over)) == [(0, 1), (3, 4)]
    beside = segments((0, 5, "C:maj"), (1, 2, "D:maj"), (3, 4, "F:maj"))
    assert blocks(drawn(5.0, beside)) == [(0, 1), (1, 2), (3, 4)]


def test_tones_stand_at_their_frames_with_c_below(drawn) -> None:
    values = tones(3.0)
    image = drawn(3.0, segments(), tones=values).axes[1].images[0]
    assert np.array_equal(image.get_array(), values)
    assert image.origin == "lower"
    assert image.get_extent() == pytest.approx([-0.05, 3.05, 0, 12])
    axis = image.axes
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert names[0] == "C" and names[9] == "A" and len(names) == 12


def test_long_recordings_have_bounded_images(drawn) -> None:
    figure = drawn(7200.0, *song(7200, 2.4)[:1])
    images = [image for axis in figure.axes for image in axis.images]
    assert len(images) == 8
    assert all(image.get_array().shape[1] <= drawing.COLUMNS for image in images)
    assert all(abs(image.get_array().mean() - 0.5) < 0.01 for image in images)
    for index, image in enumerate(images):
        left, right = image.get_extent()[:2]
        assert left <= 900 * index and right >= 900 * (index + 1) - 0.2


def test_a_chord_across_panels_is_in_both(drawn) -> None:
    chords = segments((0, 20, "C:maj"), (20, 30, "G:maj"))
    figure = drawn(30.0, chords)
    assert blocks(figure) == [(0, 15), (15, 20), (20, 30)]
    assert written(figure, 0) == ["C"] and written(figure, 2) == ["C", "G"]


def test_keys_are_written_where_they_begin(drawn) -> None:
    keys = segments((0, 20, "Bb major"), (20, 30, "F# minor"), (25, 25.01, "C major"))
    figure = drawn(30.0, segments(), keys=keys)
    assert written(figure, 0) == ["B♭ major"] and written(figure, 3) == ["B♭ major", "F♯ minor"]
    first, again = figure.axes[0].texts[0], figure.axes[3].texts[0]
    assert first.get_color() == drawing.INK and again.get_color() == drawing.PALE_INK
    assert 20 < figure.axes[3].texts[1].get_position()[0] < 20.5
    for none in (None, segments()):
        assert len(drawn(10.0, segments(), keys=none).axes) == 2


@pytest.mark.parametrize(
    ("seconds", "each"),
    [(3.0, 0.3), (3.0, 40.0), (30.0, 0.3), (30.0, 2.4), (240.0, 2.4), (7200.0, 40.0)],
)
def test_no_label_leaves_its_block_or_meets_another(drawn, seconds: float, each: float) -> None:
    chords, roots = song(seconds, each)
    keys = segments(*((at, at + each * 3, "E minor") for at in np.arange(0, seconds, each * 3)))
    figure = drawn(seconds, chords, roots=roots, keys=keys)
    figure.draw_without_rendering()
    for axis in figure.axes:
        edges = axis.get_window_extent()
        boxes = sorted((text.get_window_extent() for text in axis.texts), key=lambda box: box.x0)
        assert all(edges.x0 - 1 <= box.x0 and box.x1 <= edges.x1 for box in boxes)
        assert all(box.y1 - box.y0 <= edges.height for box in boxes)
        for left, right in zip(boxes, boxes[1:], strict=False):
            assert left.x1 < right.x0
        pixel = axis.transData.transform
        for item in axis.collections:
            if isinstance(item, PolyCollection):
                sides = [pixel(path.vertices)[:, 0] for path in item.get_paths()]
                for box in boxes:
                    assert any(s.min() <= box.x0 and box.x1 <= s.max() for s in sides)
    if each == 2.4:
        assert "Am7" in written(figure, 1)


def test_fifths_are_neighbours_and_all_hues_differ_alike() -> None:
    circle = [7 * place % 12 for place in range(12)]
    for shade in (0.0, 0.5, 1.0):
        wheel = [np.array(colour_of(root, shade)) for root in circle]
        steps = [float(np.linalg.norm(wheel[place] - wheel[place - 1])) for place in range(12)]
        assert max(steps) < 2.2 * min(steps)
        across = [float(np.linalg.norm(wheel[place] - wheel[place - 6])) for place in range(12)]
        assert min(across) > 1.5 * max(steps)
        # Nothing had to be clipped, which would shift hues.
        assert all(0 < channel < 1 for colour in wheel for channel in colour)
    assert all(sum(colour_of(root, 1.0)) < sum(colour_of(root, 0.0)) - 0.3 for root in range(12))
    assert colour_of(-1, 0.7) == NO_CHORD


def test_labels_stand_out() -> None:
    def contrast(colour: tuple[float, ...]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        bright = float(np.dot(linear, [0.2126, 0.7152, 0.0722]))
        return 1.05 / (bright + 0.05) if _ink(colour) == "white" else (bright + 0.05) / 0.05

    for root in range(12):
        for shade in (0.0, 0.25, 0.5, 0.75, 1.0):
            assert contrast(colour_of(root, shade)) >= 4.5  # what WCAG asks for


@pytest.mark.parametrize(
    ("name", "shown"),
    [("Bbm7b5/Db", "B♭m7♭5/D♭"), ("F#dim", "F♯dim"), ("C7#9", "C7♯9"), ("Abel", "Abel"),
     ("Eb major", "E♭ major"), ("Cadd9", "Cadd9"), ("$x$ b\n", r"\$x\$ b"), ("", "")],
)  # fmt: skip
def test_sharps_and_flats_are_typeset(name: str, shown: str) -> None:
    assert _typeset(name) == shown


def test_what_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    chords = segments((0, 1, "C"))
    with pytest.raises(ValueError, match="1 chords have as many roots"):
        plot_chords(tmp_path / "a.png", looked(1.0), chords, tones(1.0), RATE, roots=[])
    with pytest.raises(ValueError, match=r"shape \(12, frames\), not \(11, 3\)"):
        plot_chords(tmp_path / "a.png", looked(1.0), chords, np.zeros((11, 3)), RATE, roots=[0])


def picture(path: Path, seconds: float = 3.0, count: int = 3, **options: bool) -> bytes:
    chords, roots = song(seconds, seconds / count) if count else (segments(), [])
    keys = segments((0, seconds, "日本語 $key$"))
    plot_chords(path, looked(seconds), chords, tones(seconds), RATE, roots=roots, keys=keys,
                shades=[0.5] * len(chords), title="a song", **options)  # fmt: skip
    return path.read_bytes()


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_same_picture_has_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    one = picture(tmp_path / f"a{suffix}")
    assert picture(tmp_path / f"a{suffix}", overwrite=True) == one


def test_pictures_have_a_bounded_size_and_a_count(tmp_path: Path) -> None:
    sizes = []
    for seconds, count in ((3.0, 1), (3600.0, 500), (7200.0, 500)):
        svg = picture(tmp_path / f"{seconds}.svg", seconds, count)
        root = ElementTree.fromstring(svg)
        sizes.append(float(root.attrib["height"].removesuffix("pt")))
    assert sizes[0] < sizes[1] == sizes[2] < 1500
    assert b"a song    1 chord " in (tmp_path / "3.0.svg").read_bytes().replace(b"-->", b" ")


@pytest.mark.parametrize("seconds", [0.0, 0.01])
def test_a_recording_without_chords_can_be_drawn(tmp_path: Path, seconds: float) -> None:
    picture(tmp_path / "a.png", seconds, 0)
    plot_chords(tmp_path / "b.png", looked(seconds), segments(), np.zeros((12, 0)), RATE, roots=[])
    assert (tmp_path / "b.png").stat().st_size > 1000


def test_pictures_are_not_lost_or_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("mine")
    with pytest.raises(UsageError, match="use overwrite"):
        picture(tmp_path / "a.png")
    with pytest.raises(UsageError, match=r"\.png, \.svg, \.pdf"):
        picture(tmp_path / "a.gif")
    assert (tmp_path / "a.png").read_text() == "mine"
