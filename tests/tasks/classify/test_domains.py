"""Recordings that a model is not made for: what decides it, and what is said and answered."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from commands import Run
from hypothesis import given, settings
from hypothesis import strategies as st

from audiocli.demo import compose
from audiocli.tasks.classify import classifier as module
from audiocli.tasks.classify.classifier import Classifier
from audiocli.tasks.classify.decisions import Track, decode, merged
from audiocli.tasks.classify.domains import (
    BEGINNING,
    LENGTH,
    MOST,
    PERIOD,
    Excerpts,
    out_of_domain,
    probability_in,
    sounds_like,
)

RATE = 100
PARENTS = {"Guitar": ["Musical instrument"], "Musical instrument": ["Music"], "Dog": ["Animal"]}


def cut(signal: np.ndarray, sizes: list[int]) -> list[np.ndarray]:
    return np.split(signal[np.newaxis], np.cumsum(sizes), axis=1)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 9000), st.lists(st.integers(0, 3000), max_size=9))
def test_excerpts_do_not_depend_on_blocks(samples: int, sizes: list[int]) -> None:
    signal = np.arange(samples, dtype=np.float32)
    excerpts = Excerpts(cut(signal, sizes), RATE)
    passed = np.concatenate([block[0] for block in excerpts])
    assert np.array_equal(passed, signal)
    times = signal / RATE
    kept = (times < BEGINNING) | ((times >= PERIOD) & (times % PERIOD < LENGTH))
    assert np.array_equal(excerpts.signal, signal[kept])


def test_excerpts_of_hours_are_spread_over_them_and_few() -> None:
    signal = np.arange(3 * 3600 * RATE, dtype=np.float32)
    excerpts = Excerpts(cut(signal, list(range(0, 1000, 7))), RATE)
    for _ in excerpts:
        pass
    assert len(excerpts.pieces) <= MOST
    assert len(excerpts.signal) <= (BEGINNING + MOST * LENGTH) * RATE
    gaps = np.diff([0, *excerpts.signal, len(signal)])
    assert gaps.max() < len(signal) / MOST * 2


def test_a_domain_is_as_likely_as_the_likeliest_class_below_it() -> None:
    found = {"Guitar": 0.4, "Musical instrument": 0.3, "Dog": 0.9, "Singing": 0.1}
    assert probability_in("music", found, PARENTS) == 0.4
    assert (
        probability_in("instrument", found, PARENTS) == 0.4
        and probability_in("music", {"Singing": 0.1}, {}) == 0.1
    )
    assert probability_in("speech", found, PARENTS) == 0.0


@pytest.mark.parametrize(
    ("domain", "kind", "said"),
    [
        ("music", "speech", "sounds like speech, and 'x' is made for music"),
        ("music", "", "does not sound like music, which 'x' is made for"),
        ("speech", "music", "sounds like music, and 'x' is made for speech"),
        ("instrument", "speech", "sounds like speech, and 'x' is made for an instrument"),
        ("instrument", "", "does not sound like an instrument, which 'x' is made for"),
    ],
)
def test_what_is_said(domain: str, kind: str, said: str) -> None:
    assert out_of_domain("x", domain, kind) == said


def test_what_is_likelier_than_not_is_named() -> None:
    assert sounds_like({"music": 0.3, "speech": 0.6}) == "speech"
    assert sounds_like({"music": 0.3, "speech": 0.4}) == ""
    assert sounds_like({"music": 0.1, "sound": 0.9}) == ""


def track(**changes: object) -> Track:
    row = np.array([[0.7, 0.2, 0.1]], np.float32)
    plain = Track("x", "classify", ("a", "b", "c"), row, np.zeros(1), np.ones(1), 1.0, 0.3)
    return replace(plain, **changes)


def test_out_of_domain_there_is_no_label_but_by_a_threshold_that_is_given() -> None:
    outside = track(out_of_domain=True)
    [[(first, sure), *others]] = decode(outside)
    assert first == "unknown" and math.isnan(sure)
    assert [label for label, _ in others] == ["a", "b", "c"]
    assert decode(outside, threshold=0.0) == decode(track())
    assert decode(track(out_of_domain=True, task="tag")) == [[]]
    assert not merged(outside).labels and list(merged(track()).labels) == ["a"]


@cache
def shipped() -> Classifier:
    return Classifier(
        None, ["classify/genre", "classify/instrument", "classify/speaker", "tag/music"]
    )


@cache
def song() -> np.ndarray:
    return compose().mixture[:, 44_100 * 8 : 44_100 * 12].astype(np.float32)


def test_noise_is_none_of_it() -> None:
    noise = np.random.default_rng(0).normal(scale=0.1, size=(1, 3 * 16_000)).astype(np.float32)
    genre, instrument, speaker, tags = shipped().stream([noise], 16_000)
    for found, kind in ((genre, "music"), (instrument, "an instrument"), (speaker, "speech")):
        assert decode(found, top=1)[0][0][0] == "unknown"
        assert found.warnings == (f"does not sound like {kind}, which {found.model!r} is made for",)
    assert decode(tags) == [[]] and tags.warnings


def test_a_song_is_music_and_no_speaker() -> None:
    genre, instrument, speaker, tags = shipped().stream([song()], 44_100)
    assert not genre.warnings and not tags.warnings and not genre.out_of_domain
    assert speaker.warnings == ("sounds like music, and 'speaker' is made for speech",)


def test_along_time_a_warning_is_all() -> None:
    noise = np.random.default_rng(0).normal(scale=0.1, size=(1, 2 * 16_000)).astype(np.float32)
    [genre] = Classifier("classify", ["genre"], segment=1.0).stream([noise], 16_000)
    assert genre.warnings and not genre.out_of_domain


def test_no_stricter_model_decides_for_one_that_may_be_used_for_more() -> None:
    """`content` is for research; `words` is permissive, `genre` is not."""
    rng = np.random.default_rng(0)
    noise = rng.normal(scale=0.1, size=(1, 3 * 16_000)).astype(np.float32)
    alone = Classifier("tag", ["words"])
    assert alone._content is None
    assert alone.stream([noise], 16_000)[0].out_of_domain
    assert not alone.stream([song()], 44_100)[0].out_of_domain
    assert Classifier(None, ["tag/words", "classify/genre"])._content is not None


def test_without_both_models_nothing_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVENT_MODEL", "not-installed")
    monkeypatch.setattr(module, "CONTENT_MODEL", "not-installed")
    noise = np.random.default_rng(0).normal(scale=0.1, size=(1, 16_000)).astype(np.float32)
    [words] = Classifier("tag", ["words"]).stream([noise], 16_000)
    assert not words.out_of_domain and not words.warnings


def test_without_the_second_model_the_first_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EVENT_MODEL", "not-installed")
    noise = np.random.default_rng(0).normal(scale=0.1, size=(1, 3 * 16_000)).astype(np.float32)
    genre, speaker = Classifier("classify", ["genre", "speaker"]).stream([noise], 16_000)
    assert genre.warnings == ("does not sound like music, which 'genre' is made for",)
    assert not speaker.warnings  # of speech the first model alone cannot tell


def test_in_the_command_line(run: Run, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(scale=0.1, size=16_000)
    soundfile.write(tmp_path / "a.wav", noise, 16_000)
    done = run("classify", "--model", "genre", "a.wav")
    assert done.out == "unknown\n"
    assert "warning: a.wav: does not sound like music, which 'genre' is made for" in done.err
    assert run("classify", "--model", "genre", "a.wav", "--threshold", "0").out != "unknown\n"
    assert run("tag", "a.wav", "--plot").out == ""
    assert (tmp_path / "a.classes.png").stat().st_size > 5000
