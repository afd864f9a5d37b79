"""Pictures show the right thing in the right place, whatever the file and its name."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import matplotlib.image
import numpy as np
import pytest
import soundfile
from audiofiles import only_file, tone
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from audiocli.colours import MARK
from audiocli.errors import AudioError, UsageError
from audiocli.tasks import plotting
from audiocli.tasks.plotting import BANDS, Overview, overview, plot_features, plot_onsets


def looked(tmp_path: Path, audio: np.ndarray, rate: int, **options: int) -> Overview:
    soundfile.write(tmp_path / "song.wav", audio.T, rate, subtype="FLOAT")
    return overview(tmp_path / "song.wav", **options)


def plot(path: Path, seen: Overview, times: list[float], **options: object) -> bytes:
    curve = np.linspace(0, 1, round(seen.seconds * 100) + 1, dtype=np.float32)
    plot_onsets(path, seen, np.array(times), curve, 100.0, 0.5, **options)  # type: ignore[arg-type]
    return path.read_bytes()


@pytest.mark.parametrize("rate", [8000, 44_100, 96_000])
def test_a_sine_stands_in_its_band_with_its_level(tmp_path: Path, rate: int) -> None:
    time = np.arange(rate) / rate
    seen = looked(tmp_path, 0.5 * np.sin(2 * np.pi * 1000 * time)[None], rate)
    assert seen.seconds == 1.0 and seen.spectrogram.shape == (BANDS, 1 + rate // round(rate / 200))
    inner = seen.spectrogram[:, 60:-60]
    loudest = seen.frequencies[inner.argmax(axis=0)]
    assert np.all(np.abs(loudest - 1000) < 60)
    # -6 dB in the bin; a band that is wide enough holds its neighbours too.
    assert -7 < inner.max() < 0
    assert seen.highs[10:-10] == pytest.approx(0.5, abs=0.01)
    assert seen.lows[10:-10] == pytest.approx(-0.5, abs=0.01)


def test_things_stand_where_they_sound(tmp_path: Path) -> None:
    audio = np.zeros((2, 44_100), np.float32)
    audio[:, 30_000] = 0.8
    seen = looked(tmp_path, audio, 44_100)
    column = round(30_000 / 44_100 / seen.step)
    assert abs(int(seen.highs.argmax()) - column) <= 1
    assert abs(int(seen.spectrogram.sum(axis=0).argmax()) - column) <= 5


@pytest.mark.parametrize("samples", [1, 2, 100, 220, 221, 2048, 100_000])
def test_any_length_has_a_column_for_every_step(tmp_path: Path, samples: int) -> None:
    seen = looked(tmp_path, np.full((1, samples), 0.25, np.float32), 44_100)
    hop = round(seen.step * 44_100)
    assert len(seen.lows) == len(seen.highs) == -(-samples // hop)
    assert seen.spectrogram.shape[1] == 1 + samples // hop
    assert np.isfinite(seen.spectrogram).all()
    assert plot(tmp_path / "a.png", seen, []).startswith(b"\x89PNG")


def test_long_files_have_no_more_columns(tmp_path: Path) -> None:
    seen = looked(tmp_path, np.zeros((1, 80_000), np.float32), 8000, columns=100)
    assert len(seen.lows) == 100 and seen.spectrogram.shape[1] == 101
    assert seen.step * len(seen.lows) == pytest.approx(10.0, rel=0.01)


@pytest.mark.parametrize("columns", [37, 90, 400])
def test_columns_farther_apart_than_the_window_do_not_drift(tmp_path: Path, columns: int) -> None:
    audio = np.zeros((1, 600_000), np.float32)
    audio[:, 450_000:] = np.random.default_rng(0).uniform(-0.5, 0.5, 150_000)
    seen = looked(tmp_path, audio, 44_100, columns=columns)
    assert seen.spectrogram.shape[1] == 1 + 600_000 // round(seen.step * 44_100)
    covered = seen.spectrogram.mean(axis=0) > -100
    place = 450_000 / 44_100 / seen.step
    assert int(covered.argmax()) == pytest.approx(place, abs=1.2) and covered[-2:].any()


def test_silence_can_be_drawn(tmp_path: Path) -> None:
    seen = looked(tmp_path, np.zeros((2, 8000), np.float32), 8000)
    assert seen.spectrogram.max() <= -100
    plot(tmp_path / "a.png", seen, [0.0, 1.0])
    assert matplotlib.image.imread(tmp_path / "a.png").shape[1] > 1000


@pytest.fixture
def seen(tmp_path: Path) -> Overview:
    result = looked(tmp_path, tone(2.0, 1), 44_100)
    (tmp_path / "song.wav").unlink()
    return result


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf", ".PNG"])
def test_the_same_picture_has_the_same_bytes(tmp_path: Path, seen: Overview, suffix: str) -> None:
    one = plot(tmp_path / f"a{suffix}", seen, [0.5])
    assert plot(tmp_path / f"a{suffix}", seen, [0.5], overwrite=True) == one
    assert plot(tmp_path / f"a{suffix}", seen, [0.9], overwrite=True) != one


def test_onsets_are_counted_and_marked(tmp_path: Path, seen: Overview) -> None:
    text = plot(tmp_path / "a.svg", seen, [0.5], title="song").decode()
    assert "1 onset " in text.replace("-->", " ") and "1 onsets" not in text
    assert "2 onsets" in plot(tmp_path / "b.svg", seen, [0.5, 1.9], title="song").decode()


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures that would be written."""
    kept: list[Figure] = []
    monkeypatch.setattr(plotting, "_save", lambda figure, *rest, **options: kept.append(figure))
    return kept


def marks(axis: Axes) -> np.ndarray:
    """Ends of the lines of onsets, (lines, 2)."""
    lines = [c for c in axis.collections if isinstance(c, LineCollection)]
    return np.array([line[:, 1] for c in lines for line in c.get_segments()]).reshape(-1, 2)


@pytest.mark.parametrize(
    ("count", "crowded"), [(1, False), (100, False), (300, True), (4000, True)]
)
def test_onsets_do_not_hide_the_waveform(
    figures: list[Figure], seen: Overview, count: int, crowded: bool
) -> None:
    curve = np.zeros(201, np.float32)
    plot_onsets(Path("a.png"), seen, np.linspace(0.01, 1.99, count), curve, 100.0, 0.5)
    wave, image, strength = figures[0].axes
    for axis, highest in ((wave, seen.highs.max()), (image, BANDS), (strength, 1.0)):
        ends = marks(axis)
        assert len(ends) == count  # none is left out
        assert (ends.min() > highest) == crowded and axis.get_ylim()[1] >= ends.max()
    if crowded:  # no more than half of the rug is ink
        widths = [w for c in wave.collections if isinstance(c, LineCollection)
                  for w in c.get_linewidths()]  # fmt: skip
        assert max(widths) * count <= 0.51 * plotting.PANEL_POINTS


def test_every_line_of_onsets_has_a_legend(figures: list[Figure], seen: Overview) -> None:
    plot_onsets(Path("a.png"), seen, np.array([0.5]), np.zeros(201, np.float32), 100.0, 0.5)
    legend = figures[0].axes[0].get_legend()
    assert legend is not None
    known = {text.get_text(): line for text, line in zip(legend.get_texts(), legend.get_lines(),
                                                        strict=True)}  # fmt: skip
    assert set(known) == {"onset", "threshold"} and known["onset"].get_color() == MARK
    drawn = figures[0].axes[2].lines[-1]
    assert drawn.get_ydata()[0] == 0.5 and drawn.get_color() == known["threshold"].get_color()


def test_silence_is_dark(figures: list[Figure], tmp_path: Path) -> None:
    quiet = looked(tmp_path, np.zeros((1, 8000), np.float32), 8000)
    plot_onsets(Path("a.png"), quiet, np.zeros(0), np.zeros(101, np.float32), 100.0, 0.5)
    (image,) = figures[0].axes[1].images
    assert image.norm.vmin >= quiet.spectrogram.max()


def test_rows_of_features_have_names_and_what_is_undefined_is_empty(
    figures: list[Figure], seen: Overview
) -> None:
    chroma = np.random.default_rng(0).uniform(size=(50, 12)).astype(np.float32)
    chroma[:10] = np.nan
    f0 = np.where(np.arange(50) < 20, np.nan, 440.0).astype(np.float32)
    rounding = np.full((50, 3), -500.0, np.float32)
    rounding[::2] += np.float32(3e-5)  # what rounds is not blown up to a pattern
    curves = {"f0": f0, "chroma": chroma, "mfcc": rounding, "none": np.full(50, np.nan)}
    plot_features(Path("a.png"), seen, curves, 25.0, rows={"chroma": plotting.PITCHES})
    _, pitch, classes, cepstra, _ = figures[0].axes
    assert [label.get_text() for label in classes.get_yticklabels()] == list(plotting.PITCHES)
    assert classes.get_yticks()[0] < classes.get_yticks()[-1]  # C below, B above
    (image,) = classes.images
    assert np.ma.getmaskarray(image.get_array())[:, :10].all()
    low, high = pitch.get_ylim()
    assert low < 440 < high and high - low < 1
    shades = np.asarray(cepstra.images[0].get_array())
    assert np.ptp(shades) < 0.02


@pytest.mark.parametrize(
    "title",
    ["$x_1$ and $y^", r"\frac{$", "two\nlines", "[b]日本語[/b] \U0001f3b5", "bad\udcff", ""],
)
def test_titles_are_not_read_as_anything_else(tmp_path: Path, seen: Overview, title: str) -> None:
    for suffix in (".png", ".svg"):
        assert len(plot(tmp_path / f"a{suffix}", seen, [0.5], title=title)) > 1000


def test_long_recordings_go_on_in_the_next_panel(tmp_path: Path) -> None:
    column = np.zeros(401)
    heights = []
    for seconds in (10.0, 40.0, 3600.0):
        frequencies = np.geomspace(50, 4000, 9)
        seen = Overview(seconds, seconds / 400, column, column, np.zeros((9, 401)), frequencies)
        svg = plot(tmp_path / f"{seconds}.svg", seen, [1.0, seconds - 1])
        root = ElementTree.fromstring(svg)
        heights.append(float(root.attrib["height"].removesuffix("pt")))
    assert heights[0] < heights[1] < heights[2] < 20 * heights[0]


def test_pictures_are_not_lost_or_of_another_kind(tmp_path: Path, seen: Overview) -> None:
    (tmp_path / "a.png").write_text("mine")
    with pytest.raises(UsageError, match="use overwrite"):
        plot(tmp_path / "a.png", seen, [])
    with pytest.raises(UsageError, match=r"\.png, \.svg, \.pdf"):
        plot(tmp_path / "a.gif", seen, [])
    assert (tmp_path / "a.png").read_text() == "mine"
    only_file(tmp_path, "a.png")


def test_what_is_no_audio_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("no audio")
    with pytest.raises(AudioError, match="my song"):
        overview(tmp_path / "a.wav", name="my song")
