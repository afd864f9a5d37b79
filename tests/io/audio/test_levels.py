"""The level of a stream: known levels, pauses, and any cut into blocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from audiocli.io.audio.levels import Level

RATE = 1000
BLOCK = 400


def level_of(*blocks: NDArray[np.float32]) -> Level:
    level = Level(RATE)
    for block in blocks:
        level.update(block)
    return level


def tone(amplitude: float, samples: int) -> NDArray[np.float32]:
    wave = amplitude * np.sin(2 * np.pi * 0.05 * np.arange(samples))
    return wave[None].astype(np.float32)


def test_sine() -> None:
    level = level_of(tone(0.8, 2000))
    assert level.rms == pytest.approx(0.8 / 2**0.5, rel=1e-6)
    assert level.peak == pytest.approx(0.8, rel=1e-6)
    assert level.frames == 2000


def test_channels_count_alike() -> None:
    both = np.stack([np.full(800, 0.3), np.full(800, -0.4)]).astype(np.float32)
    level = level_of(both)
    assert level.rms == pytest.approx(((0.09 + 0.16) / 2) ** 0.5, rel=1e-6)
    assert level.peak == pytest.approx(0.4)


def test_pauses_do_not_count() -> None:
    pause = np.zeros((1, 5 * BLOCK), np.float32)
    hum = tone(1e-4, 5 * BLOCK)  # 77 dB below
    music = tone(0.7, 2 * BLOCK)
    assert level_of(pause, music, hum, music, pause).rms == pytest.approx(0.7 / 2**0.5, rel=1e-6)


def test_soft_passages_count() -> None:
    soft = tone(0.7e-2, 2 * BLOCK)  # 40 dB below
    half = (0.5 * (1 + 1e-4)) ** 0.5
    assert level_of(tone(0.7, 2 * BLOCK), soft).rms == pytest.approx(0.7 / 2**0.5 * half)


@pytest.mark.parametrize("blocks", [[], [0], [1000], [1000, 0, 50]])
def test_silence_is_zero(blocks: list[int]) -> None:
    level = level_of(*(np.zeros((2, size), np.float32) for size in blocks))
    assert (level.rms, level.peak, level.frames) == (0.0, 0.0, sum(blocks))


@given(
    sizes=st.lists(st.integers(0, 900), min_size=1, max_size=12),
    channels=st.integers(1, 2),
    seed=st.integers(0, 5),
)
def test_blocks_do_not_matter(sizes: list[int], channels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps = 10.0 ** rng.integers(-5, 1, size=1 + sum(sizes) // 300)  # loud and silent stretches
    signal = rng.normal(size=(channels, sum(sizes))) * np.repeat(steps, 300)[: sum(sizes)]
    signal = signal.astype(np.float32)
    whole = level_of(signal)
    cut = level_of(*np.split(signal, np.cumsum(sizes)[:-1], axis=1))
    assert cut.rms == pytest.approx(whole.rms, rel=1e-9)
    assert (cut.peak, cut.frames) == (whole.peak, whole.frames)


def test_full_scale_does_not_overflow() -> None:
    assert level_of(np.full((1, 800), 1e30, np.float32)).rms == pytest.approx(1e30, rel=1e-6)
