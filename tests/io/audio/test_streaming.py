"""Streams: seamless blocks, exact lengths, and threads that end."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from audiocli.io.audio import streaming
from audiocli.io.audio.streaming import (
    Blockwise,
    Counted,
    Extremes,
    mono,
    overlap_add,
    prefetch,
    rechunk,
    resample,
)

Block = NDArray[np.float32]


def noise(channels: int, samples: int, seed: int = 0) -> Block:
    return np.random.default_rng(seed).normal(size=(channels, samples)).astype(np.float32)


def cut(signal: Block, sizes: list[int]) -> Iterator[Block]:
    """Cut a signal into blocks of these sizes, over and over."""
    start = 0
    while start < signal.shape[1]:
        for size in sizes:
            yield signal[:, start : start + size]
            start += size


class Filter:
    """A filter that needs `reach` samples on each side, and notes how much it was given."""

    def __init__(self, reach: int) -> None:
        self.taps = np.random.default_rng(reach).normal(size=2 * reach + 1)
        self.reach = reach
        self.lengths: list[int] = []

    def __call__(self, signal: Block) -> Block:
        samples = signal.shape[1]
        self.lengths.append(samples)
        if not samples:
            return np.zeros((2, *signal.shape), np.float32)
        rows = [np.convolve(row, self.taps)[self.reach :][:samples] for row in signal]
        return np.stack([np.array(rows), 2 * signal]).astype(np.float32)


@given(
    samples=st.integers(1, 400),
    sizes=st.lists(st.integers(0, 90), min_size=1, max_size=4).filter(any),
    segment=st.integers(1, 120),
    reach=st.integers(0, 20),
    spare=st.integers(0, 10),
    fade=st.integers(0, 50),
    channels=st.integers(1, 2),
)
def test_blocks_of_a_local_process_are_the_whole(
    samples: int, sizes: list[int], segment: int, reach: int, spare: int, fade: int, channels: int
) -> None:
    signal = noise(channels, samples)
    process, whole = Filter(reach), Filter(reach)(signal)
    where = Blockwise(segment, context=reach + spare, fade=fade)
    out = np.concatenate(list(overlap_add(cut(signal, sizes), process, where)), axis=-1)
    assert out.shape == whole.shape
    np.testing.assert_allclose(out, whole, atol=2e-5)
    # Constant memory: no call is longer than a segment with what surrounds it, beyond what one
    # block may bring too much.
    assert max(process.lengths) <= segment + fade + 2 * where.context


def test_too_little_context_changes_the_result() -> None:
    signal = noise(1, 500)
    process = Filter(20)
    out = np.concatenate(list(overlap_add([signal], process, Blockwise(50, 5, 0))), axis=-1)
    assert np.abs(out[0] - Filter(20)(signal)[0]).max() > 0.1


def test_short_streams_reach_the_process_in_one_piece() -> None:
    process = Filter(3)
    signal = noise(1, 120)
    list(overlap_add(cut(signal, [7]), process, Blockwise(segment=100, context=20, fade=10)))
    assert process.lengths == [120]


def test_crossfade_hides_where_segments_meet() -> None:
    # The worst process: what it gives depends on nothing but which segment it is.
    calls = iter(range(100))
    fade = 25

    def process(signal: Block) -> Block:
        return np.full_like(signal, next(calls))

    blocks = cut(np.zeros((1, 1000), np.float32), [64])
    out = np.concatenate(list(overlap_add(blocks, process, Blockwise(100, 30, fade))), axis=-1)[0]
    last = next(calls) - 1
    assert last >= 8
    steps = np.diff(out)
    assert steps.min() > -1e-5
    assert steps.max() <= 1 / fade + 1e-5
    assert (out[0], out[-1]) == (0, last)


def test_segments_come_as_soon_as_they_can() -> None:
    taken = 0

    def blocks() -> Iterator[Block]:
        nonlocal taken
        for _ in range(100):
            taken += 10
            yield np.zeros((1, 10), np.float32)

    out = overlap_add(blocks(), lambda x: x, Blockwise(segment=50, context=20, fade=10))
    assert next(out).shape == (1, 50)
    assert taken == 80
    assert next(out).shape == (1, 50)
    assert taken == 130


def test_nothing_comes_of_nothing() -> None:
    assert list(overlap_add([], lambda x: x, Blockwise(5, 1, 1))) == []
    assert list(resample([], 44100, 16000)) == []
    assert list(prefetch([])) == []


@pytest.mark.parametrize("size", [300, 4096, 50_000])
@pytest.mark.parametrize(
    ("source", "target"), [(44100, 16000), (16000, 44100), (11025, 16000), (22050, 44101)]
)
def test_resampling_a_stream_is_resampling_the_whole(source: int, target: int, size: int) -> None:
    signal = noise(2, 12_347)
    out = np.concatenate(list(resample(cut(signal, [size]), source, target)), axis=1)
    whole = soxr.resample(signal.T, source, target, quality="HQ").T
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, whole, atol=1e-6)


@given(
    samples=st.integers(1, 3000),
    size=st.integers(1, 700),
    rates=st.sampled_from([(44100, 16000), (16000, 44100), (48000, 44100), (8000, 22050)]),
)
def test_resampled_length_is_rounded(samples: int, size: int, rates: tuple[int, int]) -> None:
    blocks = cut(np.zeros((1, samples), np.float32), [size])
    got = sum(block.shape[1] for block in resample(blocks, *rates))
    assert got == int(samples * rates[1] / rates[0] + 0.5)


def test_resampling_has_no_delay() -> None:
    time_ = np.arange(8000) / 8000
    tone = np.sin(2 * np.pi * 440 * time_, dtype=np.float64)[None].astype(np.float32)
    out = np.concatenate(list(resample(cut(tone, [999]), 8000, 12000)), axis=1)[0]
    expected = np.sin(2 * np.pi * 440 * np.arange(12000) / 12000)
    assert np.abs(out - expected)[200:-200].max() < 1e-4


def test_channels_are_averaged_before_the_rate_changes() -> None:
    stereo = noise(2, 4410)
    mixed = stereo.mean(axis=0, keepdims=True)
    wanted = np.concatenate(list(resample([mixed], 44100, 16000)), axis=1)[0]
    found = np.concatenate(list(mono(cut(stereo, [100, 999]), 44100, 16000)))
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_same_rate_passes_untouched() -> None:
    blocks = [noise(1, 5), noise(1, 3)]
    assert all(a is b for a, b in zip(resample(blocks, 16000, 16000), blocks, strict=True))


@given(
    lengths=st.lists(st.integers(0, 40), max_size=6),
    sizes=st.lists(st.integers(0, 40), max_size=8),
    channels=st.integers(1, 3),
)
def test_rechunk_gives_what_is_asked(lengths: list[int], sizes: list[int], channels: int) -> None:
    signal = noise(channels, sum(lengths))
    blocks = np.split(signal, np.cumsum(lengths)[:-1], axis=1) if lengths else []
    out = list(rechunk(blocks, sizes, channels))
    assert [block.shape for block in out] == [(channels, size) for size in sizes]
    wanted = np.pad(signal, [(0, 0), (0, sum(sizes))])[:, : sum(sizes)]
    got = np.concatenate([np.zeros((channels, 0), np.float32), *out], axis=1)
    np.testing.assert_array_equal(got, wanted)


def prefetch_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


class Source:
    """Counts, notes what was made and whether it was closed, and in which thread."""

    def __init__(self, total: int, fails_at: int | None = None) -> None:
        self.total, self.fails_at = total, fails_at
        self.made = 0
        self.closed_in = ""

    def __iter__(self) -> Iterator[int]:
        try:
            for number in range(self.total):
                if number == self.fails_at:
                    raise OSError("the disk is gone")
                self.made += 1
                yield number
        finally:
            self.closed_in = threading.current_thread().name


def test_prefetch_keeps_the_order_and_ends() -> None:
    source = Source(200)
    assert list(prefetch(source, depth=3)) == list(range(200))
    assert source.closed_in == "prefetch"
    assert prefetch_threads() == []


def test_prefetch_starts_when_asked() -> None:
    source = Source(5)
    items = prefetch(source)
    assert (source.made, prefetch_threads()) == (0, [])
    items.close()


def test_prefetch_works_ahead_but_not_far() -> None:
    source = Source(100)
    items = prefetch(source, depth=3)
    assert next(items) == 0
    ahead = 1 + 3 + 1  # taken, waiting, and one in the thread's hand
    waited = time.monotonic() + 10
    while source.made < ahead and time.monotonic() < waited:
        time.sleep(0.005)
    time.sleep(0.15)  # longer than the thread's own wait, so a thread that went on would show
    assert source.made == ahead
    items.close()


@pytest.mark.parametrize("taken", [1, 5, 99])
def test_abandoned_prefetch_closes_its_source(taken: int) -> None:
    source = Source(100)
    items = prefetch(source, depth=2)
    for _ in range(taken):
        next(items)
    items.close()
    assert prefetch_threads() == []
    assert source.closed_in == "prefetch"
    assert source.made <= taken + 3


def test_prefetch_hands_on_what_fails() -> None:
    source = Source(10, fails_at=4)
    got = []
    with pytest.raises(OSError, match="the disk is gone"):
        for item in prefetch(source):
            got.append(item)
    assert got == [0, 1, 2, 3]
    assert prefetch_threads() == []


def test_prefetch_hands_on_what_fails_before_the_first_item() -> None:
    class Broken:
        def __iter__(self) -> Iterator[int]:
            raise OSError("no such device")

    with pytest.raises(OSError, match="no such device"):
        list(prefetch(Broken()))


def test_prefetches_stand_in_a_row() -> None:
    source = Source(50)
    doubled = prefetch(2 * item for item in prefetch(source, depth=2))
    assert next(doubled) == 0
    doubled.close()
    assert prefetch_threads() == []
    assert source.closed_in == "prefetch"


def test_memory_goes_back_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(streaming, "_malloc_trim", lambda: calls.append)
    list(overlap_add([noise(1, 2000)], lambda x: x, Blockwise(100, 20, 10)))
    assert len(calls) == 20 // streaming.GIVEN_BACK and set(calls) == {0}


def test_memory_is_left_alone_where_the_c_library_has_no_such_thing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streaming.sys, "platform", "darwin")
    streaming._malloc_trim.cache_clear()
    assert streaming._malloc_trim() is None
    streaming.give_back_memory()
    streaming._malloc_trim.cache_clear()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="is for glibc")
def test_memory_is_kept_for_the_next_block() -> None:
    code = """
import resource, numpy as np
from audiocli.io.audio.streaming import keep_memory
keep_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    np.zeros(2**21, np.uint8)[::4096] = 1
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

    # dask, in a test before, leaves glibc a threshold of its own.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=plain)
    assert int(done.stdout) < 5000  # pages; 25,000 were none kept


@pytest.mark.parametrize("cuts", [[], [1], [250, 251], [100, 200]])
def test_extremes_are_those_of_each_hop_however_it_is_cut(cuts: list[int]) -> None:
    signal = np.random.default_rng(0).normal(size=425).astype(np.float32)
    extremes = Extremes(100)
    for piece in np.split(signal, cuts):
        extremes.push(piece)
    low, high = extremes.finish()
    hops = np.split(signal, [100, 200, 300, 400])
    assert low.tolist() == [float(hop.min()) for hop in hops]
    assert high.tolist() == [float(hop.max()) for hop in hops]


def test_extremes_of_nothing_are_none() -> None:
    assert [len(part) for part in Extremes(10).finish()] == [0, 0]


def test_samples_are_counted_as_they_pass() -> None:
    counted = Counted([np.zeros(3, np.float32), np.zeros(4, np.float32)])
    assert [len(block) for block in counted] == [3, 4]
    assert counted.samples == 7
