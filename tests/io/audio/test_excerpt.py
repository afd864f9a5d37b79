"""The loudest excerpt is the loudest, whatever blocks it comes in."""

from __future__ import annotations

import numpy as np
import pytest

from audiocli.io.audio.excerpt import Excerpt, Loudest, cut


@pytest.mark.parametrize("frames", [1, 7, 500, 2999, 5000])
@pytest.mark.parametrize("block", [1000, 333, 20_000])
def test_it_is_the_loudest_of_all(frames: int, block: int) -> None:
    rng = np.random.default_rng(frames)
    audio = rng.normal(size=(2, 9001)) * np.repeat(rng.uniform(0, 1, 91), 100)[:9001]
    loudest = Loudest(frames)
    for start in range(0, 9001, block):
        loudest.update(audio[:, start : start + block].astype(np.float32))
    power = np.convolve(np.square(audio).sum(axis=0), np.ones(frames), "valid")
    found = loudest.excerpt
    assert found.frames == frames and 0 <= found.start <= 9001 - frames
    tolerance = 0.0 if frames < 2000 else 0.01  # short windows move by one sample
    assert power[found.start] >= power.max() * (1 - tolerance - 1e-6)


def test_of_equals_the_first_and_of_silence_the_beginning() -> None:
    loudest = Loudest(100)
    loudest.update(np.zeros((1, 5000), np.float32))
    assert loudest.excerpt == Excerpt(0, 100)
    beats = np.tile(np.repeat([0.0, 0.5], 100), 20)[None].astype(np.float32)
    loudest = Loudest(100)
    loudest.update(beats)
    assert loudest.excerpt == Excerpt(100, 100)


@pytest.mark.parametrize("frames", [1, 99, 100])
def test_what_is_no_longer_is_taken_whole(frames: int) -> None:
    loudest = Loudest(100)
    loudest.update(np.ones((1, frames), np.float32))
    assert loudest.excerpt == Excerpt(0, frames)


def test_memory_does_not_grow() -> None:
    loudest = Loudest(100_000)
    for _ in range(50):
        loudest.update(np.ones((1, 30_000), np.float32))
    assert len(loudest._before) <= 1002 and len(loudest._rest) <= 100


def test_no_length_is_an_error() -> None:
    with pytest.raises(ValueError):
        Loudest(0)


def test_a_stream_ends_where_it_is_cut() -> None:
    blocks = (np.full((1, 4), index, np.float32) for index in range(100))
    assert [block.shape[1] for block in cut(blocks, 8)] == [4, 4]
    assert next(blocks)[0, 0] == 2  # nothing was taken that was not needed
