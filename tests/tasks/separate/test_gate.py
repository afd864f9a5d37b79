"""The gate of the vocals: what it leaves alone, what it turns down, and streams."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from audiocli.io.audio.streaming import Blockwise, overlap_add
from audiocli.tasks.separate.gate import WINDOW_SECONDS, Gate
from audiocli.tasks.separate.separator import DEFAULT_MODEL, Separator

Audio = NDArray[np.float32]
RATE = 8000
GATE = Gate(threshold_db=-18.0, ratio=6.0, range_db=30.0)


def noise(seconds: float, seed: int = 0, channels: int = 2) -> Audio:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(channels, round(seconds * RATE))).astype(np.float32) / 10


def decibels(audio: NDArray[np.floating[Any]], beside: NDArray[np.floating[Any]]) -> float:
    return float(10 * np.log10((audio**2).mean() / (beside**2).mean()))


def test_a_voice_that_is_there_is_left_as_it_is() -> None:
    mixture = noise(4)
    voice = mixture * 10 ** (-17 / 20)
    assert GATE(voice, mixture, RATE) is voice


@pytest.mark.parametrize(("level", "expected"), [(-19.0, -24.0), (-22.0, -42.0), (-40.0, -70.0)])
def test_next_to_no_voice_is_turned_down_by_the_ratio_and_at_most_by_the_range(
    level: float, expected: float
) -> None:
    mixture = noise(4)
    voice = (mixture * 10 ** (level / 20)).astype(np.float32)
    assert decibels(GATE(voice, mixture, RATE), mixture) == pytest.approx(expected, abs=0.1)


def test_the_level_of_the_recording_does_not_matter() -> None:
    mixture, voice = noise(3), noise(3, seed=1) * np.geomspace(1e-3, 1, 3 * RATE, dtype=np.float32)
    loud = GATE(voice, mixture, RATE)
    soft = GATE(voice / 1000, mixture / 1000, RATE)
    np.testing.assert_allclose(soft * 1000, loud, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("samples", [0, 1, 399, 400, 401])
def test_silence_and_short_signals_stay_what_they_are(samples: int) -> None:
    nothing = np.zeros((2, samples), np.float32)
    np.testing.assert_array_equal(GATE(nothing, nothing, RATE), nothing)
    np.testing.assert_array_equal(GATE(nothing, nothing + 0.1, RATE), nothing)


def test_a_voice_is_not_cut_at_its_beginning_or_end() -> None:
    mixture, voice = noise(6), noise(6, seed=1) / 3
    voice[:, : 2 * RATE] = voice[:, 4 * RATE :] = 0
    gated = GATE(voice, mixture, RATE)
    np.testing.assert_array_equal(gated[:, 2 * RATE : 4 * RATE], voice[:, 2 * RATE : 4 * RATE])


def test_segments_are_gated_like_the_whole() -> None:
    # What is used of a segment lies so far inside that the window sees nothing of its end.
    mixture = noise(20)
    voice = noise(20, seed=1) * np.repeat([0.5, 0.02, 0.1, 0.001], 5 * RATE).astype(np.float32)
    whole = GATE(voice, mixture, RATE)
    cut = Blockwise(6 * RATE, RATE, round((1 - WINDOW_SECONDS / 2) * RATE))
    both = np.concatenate([voice, mixture])
    blocks = overlap_add([both], lambda x: GATE(x[:2], x[2:], RATE), cut)
    np.testing.assert_allclose(np.concatenate(list(blocks), axis=-1), whole, atol=1e-6)


@pytest.mark.parametrize("wrong", [{"ratio": 0.5}, {"range_db": -1.0}, {"threshold_db": np.nan}])
def test_settings_that_no_gate_has_are_refused(wrong: dict[str, float]) -> None:
    settings = {"threshold_db": -18.0, "ratio": 6.0, "range_db": 30.0} | wrong
    with pytest.raises(ValueError, match="no gate"):
        Gate(**settings)


def test_the_default_turns_its_vocals_down_with_its_gate() -> None:
    separator = Separator(DEFAULT_MODEL)
    assert separator.gate is not None
    mixture = noise(3) * 0.3 + np.float32(0.3) * np.sin(np.arange(3 * RATE) / 3, dtype=np.float32)
    separator.gate = None
    open_ = decibels(separator(mixture, RATE)["vocals"], mixture)
    separator.gate = Gate(threshold_db=0.0, ratio=1000.0, range_db=30.0)
    stems = separator(mixture, RATE)
    assert decibels(stems["vocals"], mixture) == pytest.approx(open_ - 30, abs=0.5)
    np.testing.assert_allclose(stems["vocals"] + stems["accompaniment"], mixture, atol=1e-6)
