"""The picture of a separation shows the right thing in the right place."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from audiocli.errors import UsageError
from audiocli.tasks.plotting import BANDS
from audiocli.tasks.separate.plot import StemsView, StemsViewer, plot_stems

STEMS = ("vocals", "accompaniment")


def seen(
    vocals: np.ndarray, rest: np.ndarray, rate: int, block: int = 5000, **options
) -> StemsView:  # type: ignore[no-untyped-def]
    stems = np.stack([vocals, rest])[:, None].astype(np.float32)
    viewer = StemsViewer(STEMS, rate, stems.shape[-1], **options)
    for start in range(0, stems.shape[-1], block):
        part = stems[..., start : start + block]
        viewer.take(part.sum(axis=0), part)
    return viewer.view()


def sine(hertz: float, seconds: float, rate: int) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 192_000])
def test_each_stem_is_where_it_sounds_with_its_level(rate: int) -> None:
    view = seen(0.5 * sine(500, 1, rate), 0.25 * sine(2000, 1, rate), rate)
    assert view.names == ("mixture", *STEMS) and view.levels.shape[:2] == (3, BANDS)
    inner = view.levels[:, :, 40:-40]
    for image, hertz, level in ((inner[1], 500, -6), (inner[2], 2000, -12)):
        band = image.mean(axis=1).argmax()
        assert abs(view.frequencies[band] - hertz) < 0.08 * hertz
        # A band that is wide holds a sine's neighbouring bins too.
        assert level - 3 < image.max() < level + 5
    mask = view.mask("vocals")[:, 40:-40]
    low, high = (np.abs(view.frequencies - hertz).argmin() for hertz in (500, 2000))
    assert mask[low].min() > 0.98 and mask[high].max() < 0.02
    other = view.mask("accompaniment")[:, 40:-40]
    known = ~np.isnan(mask)
    assert np.allclose(mask[known] + other[known], 1, atol=1e-5)


def test_blocks_do_not_show() -> None:
    rng = np.random.default_rng(0)
    signals = rng.normal(size=(2, 30_000)) / 10
    whole = seen(*signals, 8000, 30_000)
    for block in (1, 700):
        assert np.allclose(seen(*signals, 8000, block).levels, whole.levels, atol=1e-3)


@pytest.mark.parametrize("columns", [10, 37, 400, 6000])
@pytest.mark.parametrize("samples", [1, 100, 2048, 200_000])
def test_any_length_has_bounded_columns_that_stand_in_time(samples: int, columns: int) -> None:
    click = np.zeros(samples)
    click[samples // 2 :] = np.random.default_rng(0).normal(size=samples - samples // 2)
    view = seen(click, np.zeros(samples), 44_100, columns=columns)
    count = view.levels.shape[2]
    assert count <= columns + 2 and np.isfinite(view.levels).all()
    assert view.offset + count * view.step > view.seconds - view.step
    if samples > 100_000:
        first = (view.levels[0].mean(axis=0) > -60).argmax()
        assert abs(view.offset + first * view.step - view.seconds / 2) < view.step + 0.05


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_same_input_same_bytes(tmp_path: Path, suffix: str) -> None:
    view = seen(0.1 * sine(500, 0.5, 8000), 0.1 * sine(900, 0.5, 8000), 8000)
    paths = [tmp_path / f"{name}{suffix}" for name in "ab"]
    for path in paths:
        plot_stems(path, view, title="$x$ [b] 日本 \udcff")
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with pytest.raises(UsageError, match="use overwrite"):
        plot_stems(paths[0], view)


def test_the_size_is_bounded_and_silence_can_be_drawn(tmp_path: Path) -> None:
    heights = []
    for seconds in (0.5, 100.0, 3600.0):
        levels = np.full((3, 9, 40), -120, np.float32)
        view = StemsView(seconds, 0.0, seconds / 40, ("mixture", *STEMS), levels,
                         np.geomspace(50, 4000, 9))  # fmt: skip
        assert view.loudest == -45 and np.isnan(view.mask("vocals")).all()
        plot_stems(tmp_path / f"{seconds}.png", view)
        heights.append(matplotlib.image.imread(tmp_path / f"{seconds}.png").shape[0])
    assert heights[0] < heights[1] <= heights[2] < 3200


def test_other_kinds_are_refused(tmp_path: Path) -> None:
    view = seen(np.zeros(100), np.zeros(100), 8000)
    with pytest.raises(UsageError, match=r"\.png, \.svg, \.pdf"):
        plot_stems(tmp_path / "a.gif", view)
