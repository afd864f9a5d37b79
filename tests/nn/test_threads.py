"""Several segments through a network at once: the same results, and nothing left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import audiocli
from audiocli.nn import threads
from audiocli.nn.threads import cores, ordered, single_threaded, threads_for, working

Audio = NDArray[np.float32]
RATE = 44_100
#: Longer than three segments of every network.
SECONDS = 70


@pytest.fixture(scope="module")
def music() -> Audio:
    t = np.arange(SECONDS * RATE) / RATE
    sweep = np.sin(2 * np.pi * (110 + 5 * t) * t) * (t * 2 % 1 < 0.3)
    noise = np.random.default_rng(0).normal(scale=0.05, size=(2, len(t)))
    return (0.3 * sweep + noise).astype(np.float32)


def separated(audio: Audio) -> Audio:
    return audiocli.Separator(device="cpu")(audio[:, : 50 * RATE], RATE)["vocals"]


def onsets(audio: Audio) -> Audio:
    return audiocli.OnsetDetector(device="cpu")(audio, RATE).activations


def chords(audio: Audio) -> NDArray[np.float16]:
    return audiocli.ChordRecognizer(device="cpu")(audio, RATE).tones


def classes(audio: Audio) -> Audio:
    [track] = audiocli.Classifier("classify", ["event"], device="cpu").stream([audio], RATE)
    return track.probabilities


def tags(audio: Audio) -> Audio:
    [track] = audiocli.Classifier("tag", ["music"], device="cpu").stream([audio], RATE)
    return track.probabilities


def embeddings(audio: Audio) -> Audio:
    from audiocli.tasks.features.learned import Embedder

    return np.concatenate(list(Embedder("onsets/blstm", device="cpu").frames([audio], RATE)))


@pytest.mark.parametrize("analyse", [separated, onsets, chords, classes, tags, embeddings])
def test_results_are_the_same_however_many_segments_run_at_once(
    analyse: Callable[[Audio], NDArray[np.floating]], music: Audio
) -> None:
    with working(1):
        one = analyse(music)
    with working(3):
        several = analyse(music)
    assert one.tobytes() == several.tobytes()


def test_segments_run_at_once_and_come_in_order() -> None:
    together = threading.Barrier(3, timeout=20)  # broken unless three are there at a time

    def slow(number: int) -> int:
        together.wait()
        time.sleep(0.02 * (3 - number % 3))
        return number

    with working(3):
        assert list(ordered(slow, range(6))) == list(range(6))


def test_no_more_is_taken_than_can_run() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(100):
            taken += 1
            yield number

    with working(2):
        results = ordered(lambda number: number, items())
        for count in range(1, 10):
            next(results)
            assert taken <= count + 3
        results.close()  # type: ignore[attr-defined]


def test_an_error_comes_where_its_segment_would_and_threads_are_done() -> None:
    running = threading.Event()

    def fails(number: int) -> int:
        if number == 1:
            raise ValueError("broken")
        running.set()
        time.sleep(0.05)
        running.clear()
        return number

    with working(2):
        results = ordered(fails, range(10))
        assert next(results) == 0
        with pytest.raises(ValueError, match="broken"):
            next(results)
    assert not running.is_set()


def test_a_network_within_a_network_does_not_wait_for_itself() -> None:
    with working(2):
        nested = ordered(lambda n: sum(ordered(lambda x: x, range(n))), range(8))
        assert list(nested) == [sum(range(n)) for n in range(8)]


def test_torch_has_one_thread_meanwhile_and_its_own_number_afterwards() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with working(2):
            assert set(ordered(lambda _: torch.get_num_threads(), range(4))) == {1}
        with single_threaded(), single_threaded():
            assert torch.get_num_threads() == 1
        left = ordered(lambda x: x, range(4))
        next(left)
        assert torch.get_num_threads() == 1
        left.close()  # type: ignore[attr-defined]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_other_devices_take_one_segment_at_a_time() -> None:
    names = set()

    def where(_: int) -> None:
        names.add(threading.current_thread().name)

    with working(4):
        list(ordered(where, range(8), torch.device("cuda")))
    assert names == {threading.current_thread().name}


@pytest.mark.parametrize(
    ("variable", "n_jobs", "threads", "expected"),
    [("", 1, None, 6), ("3", 1, None, 3), ("4,1", 1, None, 4), ("99", 1, None, 6),
     ("x", 2, None, 3), ("", 3, None, 2), ("", 99, None, 1), ("2", 1, 5, 5)],
)  # fmt: skip
def test_processes_share_the_cores(
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    n_jobs: int,
    threads: int | None,
    expected: int,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", variable)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(6)), raising=False)
    assert threads_for(n_jobs, threads) == expected


def test_worker_processes_of_evaluations_get_their_share(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", given.append)
    monkeypatch.setattr(threads, "cores", lambda: 8)
    for n_jobs in (1, 2, 3, 16):
        threads.share_processor(n_jobs)
    assert given == [4, 2, 1]
    threads.share_processor(1)
    assert cores() >= 1
