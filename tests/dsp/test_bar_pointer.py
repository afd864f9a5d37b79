"""The best path through tempo and place in the bar, on activations written by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocli.dsp import bar_pointer
from audiocli.dsp.bar_pointer import BarPointer, tempo_of, track

RATE = 50.0


def written(
    frames: int, beats: np.ndarray, downbeats: np.ndarray, *, high: float = 0.9, low: float = 0.01
) -> np.ndarray:
    curves = np.full((frames, 2), low, np.float32)
    curves[beats, 0] = high
    curves[downbeats, 1] = high
    return curves


@pytest.mark.parametrize("meter", [2, 3, 4, 5, 7])
def test_beats_and_bars_of_any_metre(meter: int) -> None:
    beats = np.arange(10, 1000, 24)
    curves = written(1000, beats, beats[1::meter])
    times, places = track(curves, RATE, BarPointer(meters=(2, 3, 4, 5, 7)))
    assert times == pytest.approx(beats / RATE, abs=0.011)
    assert places.tolist() == [(index - 1) % meter + 1 for index in range(len(beats))]


@pytest.mark.parametrize(("between", "bpm"), [(0.08, 60.0), (0.95, 120.0)])
def test_half_a_beat_must_be_as_sure_as_a_beat_to_be_one(between: float, bpm: float) -> None:
    curves = np.full((1500, 2), 0.01, np.float32)
    curves[10::50, 0], curves[35::50, 0] = 0.95, between
    times, _ = track(curves, RATE, BarPointer())
    assert tempo_of(times) == pytest.approx(bpm, rel=0.02)


def test_doubtful_beats_between_sure_ones_are_not_left() -> None:
    beats = np.arange(10, 3000, 30)
    curves = np.full((3000, 2), 0.01, np.float32)
    curves[beats, 0] = np.where((beats > 1000) & (beats < 2000), 0.2, 0.9)
    times, _ = track(curves, RATE, BarPointer())
    assert len(times) == len(beats)


def test_nothing_that_beats_has_no_beats() -> None:
    for level in (0.0, 0.01, 0.05):
        times, places = track(np.full((2000, 2), level, np.float32), RATE, BarPointer())
        assert len(times) == len(places) == 0


def test_activations_of_no_length_or_less_than_a_beat() -> None:
    for frames in (0, 1, 5):
        times, places = track(np.zeros((frames, 2), np.float32), RATE, BarPointer())
        assert len(times) == len(places) == 0


def test_a_missing_beat_is_filled_in_and_a_stray_one_left_out() -> None:
    beats = np.arange(10, 1000, 25)
    curves = written(1000, np.delete(beats, [7, 20]), beats[::4])
    curves[beats[12] + 11, 0] = 0.6
    times, _ = track(curves, RATE, BarPointer())
    assert times == pytest.approx(beats / RATE, abs=0.031)


def test_the_beat_is_left_in_a_long_break_and_found_again_at_another_tempo() -> None:
    first, second = np.arange(100, 1000, 25), np.arange(2000, 2900, 32)
    curves = written(3000, np.append(first, second), np.append(first[::3], second[::4]), low=0.004)
    times, places = track(curves, RATE, BarPointer())
    assert times == pytest.approx(np.append(first, second) / RATE, abs=0.011)
    assert places[: len(first)].tolist() == [index % 3 + 1 for index in range(len(first))]
    assert places[len(first) :].tolist() == [index % 4 + 1 for index in range(len(second))]


def test_a_tempo_that_speeds_up_is_followed() -> None:
    intervals = np.linspace(36, 20, 60)
    beats = np.round(10 + np.cumsum(intervals)).astype(int)
    times, _ = track(written(beats[-1] + 20, beats, beats[::4]), RATE, BarPointer())
    assert times == pytest.approx(beats / RATE, abs=0.021)


def test_the_range_of_tempi_chooses_among_half_and_double() -> None:
    beats = np.arange(10, 1000, 25)  # 120 beats a minute
    curves = written(1000, beats, beats[::4])
    slow, _ = track(curves, RATE, BarPointer(tempo_range=(50, 80)))
    fast, _ = track(curves, RATE, BarPointer(tempo_range=(200, 250)))
    assert np.median(np.diff(slow)) == pytest.approx(1.0, abs=0.01)
    assert np.median(np.diff(fast)) == pytest.approx(0.25, abs=0.02)


def test_the_usual_tempo_chooses_where_both_levels_are_as_likely() -> None:
    slow = np.arange(10, 1500, 30)  # 100 beats a minute; what is between is nearly as strong
    curves = written(1500, slow, slow[::4], high=0.8)
    curves[slow[:-1] + 15, 0] = 0.15
    for usual, found in ((100.0, 100.0), (200.0, 200.0)):
        times, _ = track(curves, RATE, BarPointer(usual_tempo=usual, tempo_weight=2.0))
        assert 60 / np.median(np.diff(times)) == pytest.approx(found, rel=0.05)


def test_playing_that_is_free_is_followed_and_steady_playing_is_not_disturbed() -> None:
    rng = np.random.default_rng(0)
    free = 10 + np.cumsum(np.clip(rng.normal(30, 4.0, 60), 20, 42)).astype(int)
    curves = written(free[-1] + 20, free, free[::4])

    def hits(model: BarPointer) -> float:
        times, _ = track(curves, RATE, model)
        near = np.abs(times[:, None] - free[None] / RATE).min(axis=0) < 0.03
        return float(near.mean())

    assert hits(BarPointer()) > 0.9
    assert hits(BarPointer(rubato=0.0)) < hits(BarPointer())
    steady = np.arange(10, 1500, 25)
    curves = written(1500, np.delete(steady, [20, 31, 32]), steady[::4])
    times, _ = track(curves, RATE, BarPointer())
    assert times == pytest.approx(steady / RATE, abs=0.021)


def test_a_bar_may_be_cut_short() -> None:
    beats = np.arange(10, 2500, 25)
    lengths = [4] * 10 + [2] + [4] * 15
    firsts = np.cumsum([0, *lengths])
    firsts = firsts[firsts < len(beats)]
    _, places = track(written(2500, beats, beats[firsts]), RATE, BarPointer(meters=(4,)))
    assert np.flatnonzero(places == 1).tolist() == firsts.tolist()


@settings(max_examples=15, deadline=None)
@given(st.integers(16, 50), st.integers(0, 60), st.integers(2, 4))
def test_any_steady_beat_is_found(interval: int, first: int, meter: int) -> None:
    beats = np.arange(first, 1500, interval)
    curves = written(1500, beats, beats[::meter])
    times, places = track(curves, RATE, BarPointer(meters=(2, 3, 4)))
    assert times == pytest.approx(beats / RATE, abs=0.011)
    assert (places == 1).sum() == len(beats[::meter])


def test_fixing_the_path_as_it_goes_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    beats = np.cumsum(rng.integers(23, 28, 400))
    curves = written(beats[-1] + 30, beats, beats[::4]) * rng.uniform(0.5, 1, (beats[-1] + 30, 1))
    whole = track(curves.astype(np.float32), RATE, BarPointer())
    monkeypatch.setattr(bar_pointer, "WINDOW", 1000)
    piecewise = track(curves.astype(np.float32), RATE, BarPointer())
    assert piecewise[0] == pytest.approx(whole[0])
    assert piecewise[1].tolist() == whole[1].tolist()


def test_what_is_remembered_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bar_pointer, "WINDOW", 500)
    kept = []
    settle = bar_pointer._Trail.settle

    def watched(trail: bar_pointer._Trail, entered: np.ndarray, end: int) -> None:
        settle(trail, entered, end)
        kept.append(sum(len(block) for block in trail.arriving))

    monkeypatch.setattr(bar_pointer._Trail, "settle", watched)
    beats = np.arange(10, 20_000, 25)
    times, _ = track(written(20_000, beats, beats[::4]), RATE, BarPointer())
    assert times == pytest.approx(beats / RATE, abs=0.011)
    assert len(kept) > 10
    assert max(kept) < 1500


def test_beats_lie_between_frames_where_the_peak_does() -> None:
    beats = np.arange(10, 500, 25)
    curves = written(500, beats, beats[::4])
    curves[beats + 1, 0] = 0.5
    times, _ = track(curves, RATE, BarPointer())
    assert (times > beats / RATE).all()
    assert (times < (beats + 0.5) / RATE).all()


@pytest.mark.parametrize(
    "values",
    [{"tempo_range": (200, 100)}, {"tempo_range": (0, 100)}, {"meters": ()}, {"meters": (0,)},
     {"bar_share": 1.0}, {"zone": 2.0}, {"steadiness": 0.0}, {"rubato": -1.0},
     {"usual_tempo": 0.0}, {"tempo_spread": 0.0}],
)  # fmt: skip
def test_values_that_cannot_be(values: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        BarPointer(**values)  # type: ignore[arg-type]


def test_activations_of_another_shape() -> None:
    with pytest.raises(ValueError, match="frames, 2"):
        track(np.zeros((10, 1), np.float32), RATE, BarPointer())
    with pytest.raises(ValueError, match="no interval"):
        track(np.zeros((10, 2), np.float32), 2.0, BarPointer(tempo_range=(200, 220)))


def test_a_beat_came_from_where_the_search_found_its_score() -> None:
    search = bar_pointer._Search(BarPointer(meters=(2, 3, 4)), RATE, 100.0)
    grid, intervals = search.grid, search.intervals
    rng = np.random.default_rng(3)
    arriving = rng.normal(0, 4, (1, grid.count, len(intervals))).astype(np.float32)
    again = np.full(1, 1.5, np.float32)
    best = search._tempo(arriving)
    found = search._places(best, again, np.zeros((1, 2), np.float32)) - search.prior
    begun = 0
    for place in range(grid.count):
        for interval in range(len(intervals)):
            source, before = search.came_from(arriving[0], again[0], place, interval)
            if source == bar_pointer.START:
                expected, begun = 1.5, begun + 1
            else:
                cost = search.costs[before - interval - search.offsets[0], interval]
                expected = arriving[0, source, before] + cost
                if grid.places[place] == 1:
                    expected += search.breaks[list(grid.firsts).index(place), source]
            assert found[0, place, interval] == pytest.approx(expected, abs=1e-4)
    assert 0 < begun < grid.count * len(intervals)
