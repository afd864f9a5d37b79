"""Pitch: signals whose pitch is known, plain loops, librosa, streams, and noises without pitch."""

from __future__ import annotations

import itertools
from typing import Any

import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import lfilter

from audiocli.dsp import pitch as module
from audiocli.dsp.frames import frame, pad_centred
from audiocli.dsp.pitch import PitchTracker, cumulative_mean_normalised, difference, pyin, yin
from audiocli.errors import UsageError

Floats = NDArray[np.floating[Any]]
RATE, LENGTH, HOP = 22050, 2048, 512
FMIN, FMAX = 65.4, 2093.0
TIME = np.arange(2 * RATE) / RATE


def cut(signal: Floats) -> Floats:
    return frame(pad_centred(signal.astype(np.float32), LENGTH), LENGTH, HOP)


def tones(f0: Floats, amplitudes: list[float]) -> Floats:
    """Add harmonics; f0 is given for each sample."""
    phase = 2 * np.pi * np.cumsum(f0) / RATE
    parts = [a * np.sin(k * phase) for k, a in enumerate(amplitudes, 1)]
    return np.asarray(0.1 * np.sum(parts, axis=0))


def vowel(f0: Floats) -> Floats:
    """Put pulses through three formants."""
    pulses = np.diff(np.floor(np.cumsum(f0) / RATE), prepend=0.0)
    signal = lfilter([1], [1, -0.96], pulses - pulses.mean())
    for formant, width in ((700, 80), (1200, 90), (2600, 120)):
        radius = np.exp(-np.pi * width / RATE)
        angle = 2 * np.pi * formant / RATE
        signal = lfilter([1], [1, -2 * radius * np.cos(angle), radius**2], signal)
    return np.asarray(0.5 * signal / np.abs(signal).max())


def formant_on_the_second_harmonic(f0: float, over: float) -> Floats:
    """Make a vowel with jitter whose second harmonic lies so many dB above its first."""
    wobble = np.repeat(np.random.default_rng(1).normal(0, 0.003, len(TIME) // 100 + 1), 100)
    strong = 10 ** (over / 20)
    shape = [1.0, strong, strong / 6, strong / 40, strong / 60]
    return tones(f0 * (1 + wobble[: len(TIME)]), [each / strong for each in shape])


def noise(level: float, seed: int = 0) -> Floats:
    return np.asarray(level * np.random.default_rng(seed).normal(size=len(TIME)))


def reference_f0(f0: Floats, frames: int) -> Floats:
    return f0[np.minimum(np.arange(frames) * HOP, len(f0) - 1)]


def cents(f0: Floats, reference: Floats) -> Floats:
    """Compare where the frames are full: not over the ends of the signal."""
    return np.asarray(np.abs(1200 * np.log2(f0 / reference_f0(reference, len(f0)))))[3:-3]


def steady(f0: float) -> Floats:
    return np.full(len(TIME), f0)


SWEEP = 80 * 2 ** (TIME / 2 * np.log2(1600 / 80) / 2)
VIBRATO = 220 * 2 ** (0.5 / 12 * np.sin(2 * np.pi * 5 * TIME))
GLIDE = 110 * 2 ** (0.3 * np.sin(2 * np.pi * 0.5 * TIME))

KNOWN = {
    "sine sweep": (tones(SWEEP, [1]), SWEEP),
    "falling harmonics": (tones(SWEEP[::-1], [1, 0.5, 0.33, 0.25, 0.2]), SWEEP[::-1]),
    "vowel with vibrato": (vowel(VIBRATO), VIBRATO),
    "gliding vowel": (vowel(GLIDE), GLIDE),
    "gliding vowel in noise of -20 dB": (vowel(GLIDE) + noise(0.01), GLIDE),
    "missing fundamental": (tones(steady(150), [0, 1, 1, 1, 1]), steady(150)),
    "fundamental of -40 dB": (tones(steady(150), [0.01, 1, 0.8, 0.6, 0.4]), steady(150)),
    "second partial of +10 dB": (tones(steady(150), [0.3, 1, 0.2, 0.6, 0.1, 0.3]), steady(150)),
    "low": (tones(steady(70), [1, 1, 1]), steady(70)),
    "high": (tones(steady(1900), [1, 0.5, 0.3]), steady(1900)),
}


@pytest.mark.parametrize("name", KNOWN)
def test_pyin_follows_a_known_pitch(name: str) -> None:
    signal, f0 = KNOWN[name]
    found = pyin(cut(signal), RATE, FMIN, FMAX, HOP)
    assert found.voiced[3:-3].all()
    error = cents(found.f0, f0)
    assert error.max() < 50
    # A vibrato is smoothed, by as much as the frame is long.
    assert np.median(error) < (20 if "vibrato" in name else 5)


@pytest.mark.parametrize("f0", [165.0, 262.0, 330.0, 440.0])
@pytest.mark.parametrize("over", [12, 18, 24])
def test_a_formant_on_the_second_harmonic_is_no_octave_error(f0: float, over: float) -> None:
    signal = formant_on_the_second_harmonic(f0, over) + noise(0.0003)
    found = pyin(cut(signal), RATE, FMIN, FMAX, HOP)
    assert found.voiced[3:-3].all()
    assert cents(found.f0, steady(f0)).max() < 60


@pytest.mark.parametrize("f0", [900.0, 1025.0, 1437.0, 1775.0, 1900.0])
@pytest.mark.parametrize("amplitudes", [[1.0], [1.0, 0.6, 0.8, 0.3, 0.4, 0.2, 0.1, 0.15]])
def test_periods_of_few_samples_are_no_octave_error(f0: float, amplitudes: list[float]) -> None:
    signal = tones(steady(f0), amplitudes[: int(9000 / f0)])[:RATE]
    found = pyin(cut(signal), RATE, FMIN, FMAX, HOP)
    assert cents(found.f0, steady(f0)).max() < 20


@pytest.mark.parametrize("f0", [165.0, 440.0, 880.0])
def test_what_is_left_of_a_softer_note_an_octave_below_is_no_pitch(f0: float) -> None:
    loud, soft = tones(steady(f0), [1, 0.5, 0.3]), tones(steady(f0 / 2), [1, 0.5, 0.3])
    found = pyin(cut(loud + 10 ** (-40 / 20) * soft + noise(0.001)), RATE, FMIN, FMAX, HOP)
    assert cents(found.f0, steady(f0)).max() < 60


@pytest.mark.parametrize("name", KNOWN)
def test_yin_finds_a_known_pitch(name: str) -> None:
    signal, f0 = KNOWN[name]
    found, aperiodicity = yin(cut(signal), RATE, FMIN, FMAX)
    assert (cents(found, f0) < 50).mean() > 0.95
    assert np.median(aperiodicity) < 0.3


@given(f0=st.floats(70, 2000), level=st.floats(-60, 0), phase=st.floats(0, 6.3))
def test_a_sine_is_found_to_a_cent_or_two(f0: float, level: float, phase: float) -> None:
    sine = 10 ** (level / 20) * np.sin(2 * np.pi * f0 * TIME[:LENGTH] + phase)
    found, aperiodicity = yin(sine[None].astype(np.float32), RATE, FMIN, FMAX)
    assert abs(1200 * np.log2(found[0] / f0)) < 2
    assert aperiodicity[0] < 0.01
    assert found.dtype == aperiodicity.dtype == np.float32


@pytest.mark.parametrize("snr", [0, 10, 20])
def test_aperiodicity_is_the_part_of_the_noise(snr: float) -> None:
    # d(T) is twice the noise's power; the mean of d is twice that of both.
    part = 10 ** (-snr / 10)
    signal = np.sqrt(2) * np.sin(2 * np.pi * 220.5 * TIME) + noise(part**0.5)
    _, aperiodicity = yin(frame(signal, LENGTH, HOP), RATE, FMIN, 400.0)
    assert aperiodicity.mean() == pytest.approx(part / (1 + part), rel=0.1)


@given(
    samples=st.lists(st.floats(-1, 1), min_size=12, max_size=40),
    max_period=st.integers(1, 11),
    mean=st.floats(-1, 1),
)
def test_difference_is_its_definition(samples: list[float], max_period: int, mean: float) -> None:
    x = np.array(samples)
    found = difference((x + mean)[None], max_period)
    lags = [np.mean((x[lag:] - x[: len(x) - lag]) ** 2) for lag in range(max_period + 1)]
    np.testing.assert_allclose(found[0], lags, atol=1e-9)
    normalised = cumulative_mean_normalised(found)[0]
    for lag in range(1, max_period + 1):
        total = found[0, 1 : lag + 1].mean()
        assert normalised[lag] == pytest.approx(found[0, lag] / total if total > 0 else 1)


@pytest.mark.parametrize("value", [0.0, 0.3, -1.0])
def test_silence_and_constants_have_no_pitch(value: float) -> None:
    frames = np.full((5, LENGTH), value, np.float32)
    f0, aperiodicity = yin(frames, RATE, FMIN, FMAX)
    assert (f0.tolist(), aperiodicity.tolist()) == ([0] * 5, [1] * 5)
    found = pyin(frames, RATE, FMIN, FMAX, HOP)
    assert (found.f0.tolist(), found.probability.tolist()) == ([0] * 5, [0] * 5)
    assert not found.voiced.any()


@pytest.mark.parametrize("seed", range(3))
def test_noise_has_no_pitch(seed: int) -> None:
    white = noise(0.1, seed)
    low = lfilter([1], [1, -0.95], white)
    for signal in (white, low):
        found = pyin(cut(signal), RATE, FMIN, FMAX, HOP)
        assert found.voiced.mean() < 0.05
        assert np.median(found.probability) < 0.1


def test_notes_are_voiced_and_rests_are_not() -> None:
    note = (TIME * 2).astype(int)  # half a second each, of which it sounds 0.3 s
    f0 = 440 * 2 ** ((np.array([60, 67, 72, 48])[note] - 69) / 12)
    plays = (TIME * 2) % 1 < 0.6
    found = pyin(cut(tones(f0, [1, 0.5, 0.3]) * plays + noise(0.002)), RATE, FMIN, FMAX, HOP)
    # Frames reach 46 ms to each side: compare where they hold nothing else.
    place = np.arange(len(found.f0)) * HOP / RATE % 0.5
    inside, rests = (place > 0.05) & (place < 0.25), (place > 0.35) & (place < 0.45)
    assert min(inside.sum(), rests.sum()) > 12
    assert found.voiced[inside].all()
    assert not found.voiced[rests].any()
    error = 1200 * np.log2(found.f0[inside] / reference_f0(f0, len(found.f0))[inside])
    assert np.abs(error).max() < 3
    assert ((found.f0 > 0) == found.voiced).all()


@given(scale=st.floats(1e-4, 1e4), offset=st.floats(-1, 1))
def test_level_and_mean_change_nothing(scale: float, offset: float) -> None:
    frames = cut(KNOWN["gliding vowel"][0][:RATE])[2:8]
    f0, aperiodicity = yin(frames, RATE, FMIN, FMAX)
    other, other_aperiodicity = yin(
        ((frames.astype(np.float64) + offset) * scale).astype(np.float32), RATE, FMIN, FMAX
    )
    np.testing.assert_allclose(other, f0, rtol=1e-3)
    np.testing.assert_allclose(other_aperiodicity, aperiodicity, atol=1e-3)


def test_half_the_rate_is_half_the_pitch() -> None:
    frames = cut(KNOWN["gliding vowel"][0])
    f0, _ = yin(frames, RATE, FMIN, FMAX)
    halved, _ = yin(frames, RATE / 2, FMIN / 2, FMAX / 2)
    np.testing.assert_allclose(halved, f0 / 2, rtol=1e-6)


def test_a_glide_is_tracked_neither_early_nor_late() -> None:
    f0 = 200 * 2 ** (TIME / 2)  # half an octave a second
    found, _ = yin(cut(tones(f0, [1, 0.5, 0.2])), RATE, FMIN, FMAX)
    signed = 1200 * np.log2(found / reference_f0(f0, len(found)))[3:-3]
    assert np.abs(signed).max() < 2  # a frame that is late by 10 ms would be 6 cents flat


@pytest.mark.parametrize("name", ["gliding vowel", "sine sweep", "falling harmonics"])
def test_as_right_as_librosa(name: str) -> None:
    signal, f0 = KNOWN[name]
    theirs, voiced, _ = librosa.pyin(
        signal.astype(np.float32),
        fmin=FMIN,
        fmax=FMAX,
        sr=RATE,
        frame_length=LENGTH,
        hop_length=HOP,
        fill_na=None,
    )
    found = pyin(cut(signal), RATE, FMIN, FMAX, HOP)
    assert len(found.f0) == len(theirs)
    assert found.voiced[3:-3].mean() >= voiced[3:-3].mean()
    assert np.median(cents(found.f0, f0)) <= np.median(cents(theirs, f0))
    own, _ = yin(cut(signal), RATE, FMIN, FMAX)
    yins = librosa.yin(signal, fmin=FMIN, fmax=FMAX, sr=RATE, frame_length=LENGTH, hop_length=HOP)
    assert (np.abs(1200 * np.log2(own / yins)) < 20)[3:-3].mean() > 0.95


MELODY = np.concatenate(
    [KNOWN["gliding vowel"][0], noise(0.05), np.zeros(RATE // 2), KNOWN["vowel with vibrato"][0]]
)
MELODY_FRAMES = cut(MELODY)
WHOLE = pyin(MELODY_FRAMES, RATE, FMIN, FMAX, HOP)


@given(sizes=st.lists(st.integers(0, 120), min_size=1, max_size=5).filter(any))
def test_blocks_of_any_size_give_the_whole(sizes: list[int]) -> None:
    tracker = PitchTracker(RATE, FMIN, FMAX, HOP)
    parts, start = [], 0
    for size in itertools.cycle(sizes):
        if start >= len(MELODY_FRAMES):
            break
        parts.append(tracker.push(MELODY_FRAMES[start : start + size]))
        start += size
    parts.append(tracker.finish())
    for name in ("f0", "voiced", "probability"):
        joined = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_allclose(joined, getattr(WHOLE, name), rtol=1e-6)
    assert len(tracker.finish().f0) == 0


def test_decisions_come_soon() -> None:
    tracker = PitchTracker(RATE, FMIN, FMAX, HOP)
    waiting, longest = 0, 0
    for row in range(len(MELODY_FRAMES)):
        waiting += 1 - len(tracker.push(MELODY_FRAMES[row : row + 1]).f0)
        longest = max(longest, waiting)
    assert longest < 60  # 1.4 s
    assert len(tracker.finish().f0) == waiting


def test_what_waits_too_long_is_decided() -> None:
    # The same two candidates for ever: each keeps a way of its own.
    tracker = PitchTracker(RATE, FMIN, FMAX, HOP, max_pending=50)
    f0, probability = np.zeros((10, 8)), np.zeros((10, 8))
    f0[:, :2], probability[:, :2] = (100.0, 800.0), (0.5, 0.4999)
    given_, decided = 0, 0
    for _ in range(40):
        tracker._forward(f0, probability)
        given_ += 10
        part = tracker._decide(tracker._agreed())
        assert not len(part.f0) or np.unique(part.f0).tolist() == [100.0]
        decided += len(part.f0)
        assert given_ - decided <= 60
    assert decided + len(tracker.finish().f0) == given_


def best_by_trying(f0: Floats, probability: Floats, max_step: float) -> list[float]:
    """Try every way through the candidates and the unvoiced state (frequency 0)."""
    best, way = -np.inf, []
    for states in itertools.product(range(f0.shape[1] + 1), repeat=len(f0)):
        score, before = 0.0, None
        for row, state in enumerate(states):
            voiced = state < f0.shape[1]
            unvoiced = module.UNVOICED * (1 - probability[row].sum())
            odds = probability[row, state] if voiced else unvoiced
            now = f0[row, state] if voiced else 0.0
            if before is not None:
                stay = (now > 0) == (before > 0)
                odds *= 1 - module.SWITCH if stay else module.SWITCH
                if now and before:
                    odds *= max(1 - abs(np.log2(now / before)) / max_step, module.LEAP)
            score += np.log(max(odds, 1e-300))
            before = now
        if score > best:
            best, way = score, [f0[r, s] if s < f0.shape[1] else 0.0 for r, s in enumerate(states)]
    return way


@pytest.mark.parametrize("seed", range(12))
def test_the_best_way_is_the_best_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    f0 = 200 * 2 ** rng.normal(scale=0.2, size=(6, 3))
    probability = rng.dirichlet([0.3] * 4, size=6)[:, :3] * rng.choice([0.02, 1], size=(6, 1))
    tracker = PitchTracker(RATE, FMIN, FMAX, HOP)
    missing = [(0, 0), (0, module.CANDIDATES - 3)]
    tracker._forward(np.pad(f0[:2], missing), np.pad(probability[:2], missing))
    tracker._forward(np.pad(f0[2:], missing), np.pad(probability[2:], missing))
    expected = best_by_trying(f0, probability, tracker.max_step)
    np.testing.assert_allclose(tracker.finish().f0, expected, rtol=1e-6)


def test_no_frames_give_nothing() -> None:
    empty = np.zeros((0, LENGTH), np.float32)
    assert [len(values) for values in yin(empty, RATE, FMIN, FMAX)] == [0, 0]
    found = pyin(empty, RATE, FMIN, FMAX, HOP)
    assert len(found.f0) == len(found.voiced) == len(found.probability) == 0


@pytest.mark.parametrize(
    ("fmin", "fmax", "message"),
    [
        (500.0, 400.0, "no range of frequencies"),
        (0.0, 400.0, "no range of frequencies"),
        (65.0, 12000.0, "fmax <= 11025"),
        (10.0, 400.0, "use 4412 or more"),
    ],
)
def test_what_cannot_be_searched_is_refused(fmin: float, fmax: float, message: str) -> None:
    frames = np.zeros((1, LENGTH), np.float32)
    with pytest.raises(UsageError, match=message):
        yin(frames, RATE, fmin, fmax)
    with pytest.raises(UsageError, match=message):
        pyin(frames, RATE, fmin, fmax, HOP)


def test_a_hop_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="hop_length 0"):
        PitchTracker(RATE, FMIN, FMAX, 0)


@pytest.mark.parametrize(
    ("rate", "hz"),
    [(22_050, 2_500), (22_050, 10_000), (44_100, 3_000), (44_100, 8_000), (44_100, 18_000)],
)
def test_a_tone_above_the_range_has_no_pitch_in_it(rate: int, hz: int) -> None:
    """Several of its periods repeat too, but nobody hears them as a pitch."""
    time = np.arange(rate) / rate
    tone = np.sin(2 * np.pi * hz * time) + 0.1 * np.sin(4 * np.pi * hz * time) + 0.2
    frames = np.lib.stride_tricks.sliding_window_view(tone, 2048)[:: rate // 100]
    assert not pyin(frames, rate, fmin=60, fmax=2_093, hop_length=rate // 100).voiced.any()


def test_a_voice_of_hardly_more_than_its_upper_partials_is_voiced() -> None:
    time = np.arange(44_100) / 44_100
    tone = sum(a * np.sin(2 * np.pi * 220 * n * time) for n, a in ((1, 0.3), (12, 1.0), (13, 0.8)))
    frames = np.lib.stride_tricks.sliding_window_view(tone, 2048)[::441]
    assert pyin(frames, 44_100, fmin=60, fmax=2_093, hop_length=441).voiced.all()
