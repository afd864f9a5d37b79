"""The recipe that renders training data for beats: scores, and what is written beside the sound."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

RECIPE = Path(__file__).parents[2] / "docs" / "recipes" / "render_beats.py"


@pytest.fixture(scope="module")
def recipe() -> ModuleType:
    spec = importlib.util.spec_from_file_location("render_beats", RECIPE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["render_beats"] = module  # dataclasses look their module up
    sys.path.insert(0, str(RECIPE.parent))  # where its sampler lies
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.pop(0)
    return module


@pytest.mark.parametrize("kind", ["made_up", "clicks"])
def test_beats_rise_and_bars_are_counted(recipe: ModuleType, kind: str) -> None:
    for seed in range(4):
        score = getattr(recipe, kind)(20.0, np.random.default_rng(seed))
        assert (np.diff(score.beats) > 0.2).all()
        if score.places.any():
            assert set(score.places) == set(range(1, score.places.max() + 1))
        starts = [note.start for part in score.parts for note in part.notes]
        assert starts and min(starts) >= 0


def test_places_are_counted_from_each_downbeat(recipe: ModuleType) -> None:
    bars = np.array([0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1], bool)
    assert recipe.places_of(bars).tolist() == [3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1]


def test_a_song_that_is_played_faster_keeps_its_beats_at_its_notes(recipe: ModuleType) -> None:
    rng = np.random.default_rng(1)
    score = recipe.clicks(10.0, rng)
    faster = recipe.warped(score, rng, 0.8)
    notes = np.array([note.start for note in faster.parts[0].notes])
    assert notes == pytest.approx(faster.beats)
    assert faster.beats[-1] < 0.9 * score.beats[-1]
