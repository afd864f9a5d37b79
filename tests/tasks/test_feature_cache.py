"""The cache of front-ends: computed once, anew for another front-end or file, and bounded."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from audiocli.nn.frontend import FilterbankConfig
from audiocli.tasks.feature_cache import bounded, cached

CONFIG = FilterbankConfig()


class Counted:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> np.ndarray:
        self.calls += 1
        return np.full((1, 2, 3), self.calls, np.float16)


def test_computed_once_for_a_file_and_a_front_end(tmp_path: Path) -> None:
    audio, cache, compute = tmp_path / "a.wav", tmp_path / "cache", Counted()
    audio.write_bytes(b"1")
    for _ in range(2):
        assert cached(audio, CONFIG, cache, compute).tolist() == np.ones((1, 2, 3)).tolist()
    assert compute.calls == 1
    cached(audio, replace(CONFIG, bands=CONFIG.bands + 1), cache, compute)
    audio.write_bytes(b"22")
    cached(audio, CONFIG, cache, compute)
    assert compute.calls == 3 and len(os.listdir(cache)) == 3
    cached(audio, CONFIG, None, compute)
    assert compute.calls == 4 and len(os.listdir(cache)) == 3


def test_what_is_damaged_is_computed_anew(tmp_path: Path) -> None:
    audio, compute = tmp_path / "a.wav", Counted()
    audio.write_bytes(b"1")
    cached(audio, CONFIG, tmp_path / "cache", compute)
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    assert cached(audio, CONFIG, tmp_path / "cache", compute).max() == 2
    assert cached(audio, CONFIG, tmp_path / "cache", compute).max() == 2


def test_what_was_used_last_stays(tmp_path: Path) -> None:
    cache, compute = tmp_path / "cache", Counted()
    files = []
    for number in range(4):
        audio = tmp_path / f"{number}.wav"
        audio.write_bytes(bytes(number + 1))
        cached(audio, CONFIG, cache, compute)
        (new,) = set(cache.iterdir()) - set(files)
        os.utime(new, (number, number))
        files.append(new)
    (cache / "notes.txt").write_text("mine")
    cached(tmp_path / "0.wav", CONFIG, cache, compute)  # used again
    size = files[0].stat().st_size
    assert bounded(cache, 2 * size) == files[1:3]
    assert {*cache.iterdir()} == {files[0], files[3], cache / "notes.txt"}
    assert bounded(cache, 2 * size) == bounded(None) == bounded(tmp_path / "none") == []
