"""What every shipped onset detector must do: detect those of the demo, and none in noise."""

from __future__ import annotations

import numpy as np
import pytest

from audiocli import demo_song
from audiocli.demo import SAMPLE_RATE, DemoSong
from audiocli.nn import registry
from audiocli.tasks.onsets import OnsetDetector
from audiocli.tasks.onsets.scoring import match, merged

RATE = 44_100
SECONDS = 15
SHIPPED = [entry.name for entry in registry.list_models("onsets")]


@pytest.fixture(scope="module")
def song() -> DemoSong:
    return demo_song()


@pytest.fixture(scope="module", params=SHIPPED)
def detector(request: pytest.FixtureRequest) -> OnsetDetector:
    return OnsetDetector(request.param, device="cpu")


def nothing(kind: str) -> np.ndarray:
    """Sound in which nothing happens."""
    samples = SECONDS * RATE
    noise = np.random.default_rng(5).standard_normal(samples)
    time = np.arange(samples) / RATE
    spectrum = np.fft.rfft(noise)
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), samples)
    sounds = {
        "white": 0.1 * noise,
        "soft": 0.001 * noise,
        "pink": 0.5 * pink / np.abs(pink).max(),
        "silence": 0 * noise,
        "dither": np.random.default_rng(6).uniform(-1, 1, samples) / 32768,
        "hum": 0.1 * sum(np.sin(2 * np.pi * 50 * k * time) / k for k in (1, 2, 3, 5, 7)),
    }
    return sounds[kind].astype(np.float32)[np.newaxis]


@pytest.mark.parametrize("kind", ["white", "soft", "pink", "silence", "dither", "hum"])
def test_nothing_has_no_onsets(detector: OnsetDetector, kind: str) -> None:
    assert detector(nothing(kind), RATE).times.tolist() == []


def test_the_demo_is_analysed_right(detector: OnsetDetector, song: DemoSong) -> None:
    found = detector(song.mixture.astype(np.float32) / 32768, SAMPLE_RATE)
    score = match(merged(np.array(song.onsets)), found.times, 0.05).f_measure
    assert score >= (0.95 if detector.entry.name == "crnn" else 0.85)
