"""An onset at the first sample is found, and a recording cut in the middle of a note has none."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import audiocli
from audiocli.tasks.onsets import OnlineDetector, OnsetDetector
from audiocli.tasks.onsets.start import HEAD, begins_with_attack

RATE = 44_100
TIME = np.arange(RATE) / RATE
NOISE = np.random.default_rng(3).normal(size=RATE)
TONE = sum(np.sin(2 * np.pi * 330 * k * TIME) / k for k in range(1, 6)) / 4
KICK = np.sin(2 * np.pi * (50 * TIME + 100 * (1 - np.exp(-30 * TIME)) / 30)) * np.exp(-8 * TIME)

ATTACKS = {
    "snare": 0.4 * NOISE * np.exp(-25 * TIME),
    "hat": 0.3 * np.diff(NOISE, append=0) * np.exp(-60 * TIME),
    "kick": 0.8 * KICK,
    "string": TONE * np.exp(-6 * TIME),
    "swelling": TONE * np.minimum(TIME / 0.02, 1),
    "beep": 0.5 * np.sin(2 * np.pi * 1000 * TIME) * (TIME < 0.03),
}
CUT = {
    "held": TONE,
    "held, from its crest": np.cos(2 * np.pi * 330 * TIME) / 3,
    "chord": sum(np.sin(2 * np.pi * f * TIME + f) for f in (220, 277, 330)) / 9,
    "vibrato": np.sin(2 * np.pi * 440 * TIME + 3 * np.sin(2 * np.pi * 5 * TIME)) / 3,
    "tail": np.roll(TONE, -100) * np.exp(-3 * TIME),
    "noise": 0.1 * NOISE,
    "soft noise": 1e-3 * NOISE,
    "hum": 0.1 * np.sin(2 * np.pi * 50 * TIME),
    "dc": np.full(RATE, 0.3),
    "dither": np.round(NOISE) / 32768,
    "silence": np.zeros(RATE),
}


@cache
def detector(model: str) -> OnsetDetector:
    return OnsetDetector(model, device="cpu")


def first(model: str, sound: np.ndarray) -> list[float]:
    """Onsets in the first 0.1 s; of `live` as they come."""
    audio = sound.astype(np.float32)
    if model != "live":
        times = detector(model)(audio, RATE).times
    else:
        online, found = OnlineDetector(RATE, device="cpu"), []
        for start in range(0, len(audio), 1000):
            found += online.feed(audio[start : start + 1000])
        times = np.array([time for time, _ in found + online.finish()])
    return [float(time) for time in times if time < 0.1]


@pytest.mark.parametrize("model", ["crnn", "blstm", "online", "live"])
@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_at_the_start_are_found_once(name: str, model: str) -> None:
    found = first(model, ATTACKS[name])
    assert found and found[0] < 0.02
    assert len(found) == 1 or name == "beep"  # which ends within this time, with a click


@pytest.mark.parametrize("model", ["crnn", "blstm", "online", "live"])
@pytest.mark.parametrize("name", CUT)
def test_cut_recordings_have_no_onset_at_the_start(name: str, model: str) -> None:
    assert first(model, CUT[name]) == []


def test_a_loop_has_all_its_strokes() -> None:
    loop = np.tile((ATTACKS["kick"] + ATTACKS["snare"] / 4)[: RATE // 2], 4).astype(np.float32)
    for model in ("crnn", "blstm", "online"):
        times = detector(model)(loop, RATE).times
        for expected in (0.0, 0.5, 1.0, 1.5):
            assert np.abs(times - expected).min() < 0.025
    found = detector("crnn")(loop, RATE)
    assert found.saliences[0] > 60  # from the silence before the recording
    assert found.activations[0] == pytest.approx(found.strengths[0])


def test_whatever_blocks_it_comes_in() -> None:
    sound = ATTACKS["snare"].astype(np.float32)
    whole = detector("crnn")(sound, RATE)
    pieces = detector("crnn").stream([sound[:100], sound[100:6000], sound[6000:]], RATE)
    np.testing.assert_array_equal(whole.times, pieces.times)


@pytest.mark.parametrize("samples", [1, 10, 500, 2000])
@pytest.mark.parametrize("rate", [8000, 44_100])
def test_short_sounds(samples: int, rate: int) -> None:
    sound = np.random.default_rng(0).normal(size=samples).astype(np.float32)
    assert isinstance(begins_with_attack(sound, rate), bool)
    assert np.all(detector("blstm")(sound, rate).times < HEAD)


def test_notes_of_the_demo_song_are_found_where_it_is_cut_before_them() -> None:
    song = audiocli.demo_song().mixture.astype(np.float32) / 32768
    strong = detector("crnn")(song, RATE)
    drums = strong.times[(strong.strengths > 0.8) & (strong.saliences > 12)]
    assert len(drums) > 4
    found = [first("crnn", song[:, round((time - 0.004) * RATE) :][:, :RATE]) for time in drums]
    assert np.mean([bool(times) and times[0] < 0.03 for times in found]) > 0.7
