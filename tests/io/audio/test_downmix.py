"""Channels that cancel in their mean are analysed all the same, and all others as their mean."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import audiocli
from audiocli.errors import AudioCliWarning
from audiocli.io.audio.downmix import Downmix, downmix

RATE = 8000
NOISE = (0.1 * np.random.default_rng(0).normal(size=5 * RATE)).astype(np.float32)
LSB = np.random.default_rng(1).integers(-1, 2, len(NOISE)).astype(np.float32) / 32768


def mixed(audio: np.ndarray, sizes: tuple[int, ...] = (3000,), *, live: bool = False) -> np.ndarray:
    blocks, start, turn = [], 0, 0
    while start < audio.shape[1]:
        blocks.append(audio[:, start : start + sizes[turn % len(sizes)]])
        start, turn = start + sizes[turn % len(sizes)], turn + 1
    if live:
        mixer = Downmix(len(audio), RATE, live=True)
        out = [part for block in blocks for part in mixer.push(block)]
        assert list(mixer.finish()) == []
    else:
        out = list(downmix(blocks, RATE))
    assert [part.shape for part in out] == [(1, block.shape[1]) for block in blocks]
    return np.concatenate(out, axis=1)[0]


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize(
    "audio",
    [
        np.stack([NOISE, NOISE]),
        np.stack([NOISE, 0 * NOISE]),
        np.stack([NOISE, -0.5 * NOISE]),
        np.stack([NOISE, np.roll(NOISE, 30)]),
        np.stack([NOISE, np.roll(NOISE, 30), np.roll(NOISE, 60)]),
        0 * np.stack([NOISE, -NOISE]),
        np.stack([LSB / 2, -LSB / 2]),
    ],
)
def test_what_does_not_cancel_is_exactly_the_mean(audio: np.ndarray, live: bool) -> None:
    found = mixed(audio.astype(np.float32), live=live)
    np.testing.assert_array_equal(found, audio.astype(np.float32).mean(axis=0))


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize(
    ("audio", "expected"),
    [
        (np.stack([NOISE, -NOISE]), NOISE),
        (np.stack([NOISE, -NOISE + LSB]), NOISE),
        (np.stack([NOISE, -0.9 * NOISE]), 0.95 * NOISE),
        (np.stack([NOISE, -NOISE, NOISE, -NOISE]), NOISE),
    ],
)
def test_what_cancels_is_turned_over(audio: np.ndarray, expected: np.ndarray, live: bool) -> None:
    with pytest.warns(AudioCliWarning, match="cancel in their mean from the beginning") as caught:
        found = mixed(audio.astype(np.float32), live=live)
    assert len(caught) == 1
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_part_that_cancels_is_faded_in_and_out() -> None:
    right = NOISE.copy()
    right[RATE : 3 * RATE] *= -1
    with pytest.warns(AudioCliWarning, match="from 1.0 s on"):
        found = mixed(np.stack([NOISE, right]))
    np.testing.assert_array_equal(found[:RATE], NOISE[:RATE])
    fade = RATE // 50
    np.testing.assert_allclose(
        found[RATE + fade : 3 * RATE], NOISE[RATE + fade : 3 * RATE], atol=1e-6
    )
    np.testing.assert_array_equal(found[3 * RATE + fade :], NOISE[3 * RATE + fade :])
    ramp = found[RATE : RATE + fade] / NOISE[RATE : RATE + fade]
    assert np.all(np.diff(ramp) > 0)


def test_the_cut_into_blocks_changes_nothing() -> None:
    right = NOISE.copy()
    right[9000:] *= -1
    audio = np.stack([NOISE, right])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AudioCliWarning)
        whole, pieces = mixed(audio, (len(NOISE),)), mixed(audio, (7, 4001, 12_000))
    np.testing.assert_allclose(whole, pieces, atol=1e-7)


def test_no_task_is_silent_about_a_recording_upside_down() -> None:
    rate, t = 22_050, np.arange(22_050) / 22_050
    note = sum(np.sin(2 * np.pi * f * t) for f in (261.6, 329.6, 392.0)) * np.exp(-4 * t) / 6
    left = np.concatenate([np.zeros(rate // 2), note, note]).astype(np.float32)
    audio = np.stack([left, -left])
    with pytest.warns(AudioCliWarning):
        onsets = audiocli.OnsetDetector("blstm", device="cpu")(audio, rate)
    same = audiocli.OnsetDetector("blstm", device="cpu")(left, rate)
    np.testing.assert_array_equal(onsets.times, same.times)
    with pytest.warns(AudioCliWarning):
        row = audiocli.FeatureExtractor(["rms"]).summary([audio], rate)
    assert row == audiocli.FeatureExtractor(["rms"]).summary([left], rate)
    with pytest.warns(AudioCliWarning):
        chords = audiocli.ChordRecognizer(device="cpu")(audio, rate)
    assert "C:maj" in chords.segments().labels
    with pytest.warns(AudioCliWarning):
        vector = audiocli.Encoder(device="cpu").stream([audio], rate)
    np.testing.assert_array_equal(vector, audiocli.Encoder(device="cpu").stream([left], rate))
