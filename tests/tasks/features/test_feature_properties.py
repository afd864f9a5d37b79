"""What holds of every feature, from end to end: gain, polarity, delay, and sounds at the edge."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from audiocli.errors import AudioCliError
from audiocli.tasks.features import FEATURES, Extractor, Settings
from audiocli.tasks.features.files import extract_file

Floats = NDArray[np.floating[Any]]
RATE, HOP = 22_050, 512

#: By how much the first column of a feature moves for each factor of e in gain, ...
RISES = {
    "log_energy": 2.0,
    "peak_level": 20 / np.log(10),
    "mfcc": np.sqrt(128) * 20 / np.log(10),
    "mfcc_htk": np.sqrt(2 * 26) * 2,
    "lpcc": 2.0,
    "plp": 0.33 * 2,
    "loudness": 20 / np.log(10),
}
#: ... and the power of the gain that a feature is multiplied by.
POWERS = {
    "rms": 1,
    "spectral_flux": 1,
    "spectral_flux_l1": 1,
    "spectral_flux_rectified": 1,
    "spectral_irregularity_krimphoff": 1,
    "high_frequency_content": 2,
}
#: log10(1 + m) bends between the two; the power cepstrum has the square of a level in c_0.
NEITHER = {"spectral_flux_log", "cepstrum"}
#: These remember what was before, or follow what comes after.
STATEFUL = {"f0", "voicing", "rasta_plp"} | {f.name for f in FEATURES.values() if f.voiced}


@cache
def music() -> Floats:
    """Make 3 s of a tone with partials, bursts and noise, (1, samples)."""
    rng = np.random.default_rng(2)
    time = np.arange(3 * RATE) / RATE
    tone = sum(np.sin(2 * np.pi * 233 * k * time) / k for k in range(1, 9)) * (time % 1 < 0.7)
    burst = np.exp(-(time % 0.4) * 25) * rng.standard_normal(len(time))
    noise = 3e-3 * rng.standard_normal(len(time))
    return np.asarray(0.15 * tone + 0.1 * burst + noise, np.float32)[None]


@cache
def extractor() -> Extractor:
    return Extractor(["all"], statistics=["mean"])


def by_feature(sound: Floats) -> dict[str, Floats]:
    """Make all features, each (columns,), averaged over frames where there are some."""
    row = iter(extractor().summary([sound], RATE).values())
    return {f.name: np.array([next(row) for _ in f.columns(Settings())]) for f in FEATURES.values()}


@settings(max_examples=4, deadline=None)
@given(gain=st.floats(0.2, 3.0))
def test_gain_moves_what_is_a_level_and_nothing_else(gain: float) -> None:
    once, louder = by_feature(music()), by_feature(np.float32(gain) * music())
    for name, values in once.items():
        wanted = values * gain ** POWERS.get(name, 0)
        wanted[0] += RISES.get(name, 0.0) * np.log(gain)
        if name not in NEITHER:
            scale = max(np.abs(wanted).max(), 1e-6)
            np.testing.assert_allclose(
                louder[name], wanted, rtol=2e-3, atol=1e-3 * scale, err_msg=name
            )


def test_polarity_changes_nothing() -> None:
    once, turned = by_feature(music()), by_feature(-music())
    for name, values in once.items():
        np.testing.assert_allclose(
            turned[name], values, rtol=1e-3, atol=1e-4 * np.abs(values).max(), err_msg=name
        )


@settings(max_examples=4, deadline=None)
@given(hops=st.integers(5, 60))
def test_a_delay_delays_frames(hops: int) -> None:
    framewise = [f for f in FEATURES.values() if not f.whole and f.name not in STATEFUL]
    chosen = Extractor([feature.name for feature in framewise])
    late = np.pad(music(), ((0, 0), (hops * HOP, 0)))
    once, delayed = (
        np.concatenate(list(chosen.frames([sound], RATE))) for sound in (music(), late)
    )
    assert len(delayed) == len(once) + hops
    inside = slice(8, None)  # at the beginning, half of a frame and of a slope lies before
    scale = np.abs(once).max(axis=0) + 1e-9
    np.testing.assert_allclose(delayed[hops:][inside] / scale, once[inside] / scale, atol=1e-4)


SOUNDS = {
    "silence": np.zeros(RATE),
    "dc": np.full(RATE, 0.5),
    "square": np.where(np.arange(RATE) % 100 < 50, 1.0, -1.0),
    "click": np.eye(1, RATE, 9000)[0],
    "one sample": np.array([0.5]),
    "denormal": 1e-40 * np.random.default_rng(0).standard_normal(RATE),
    "far too loud": 1e6 * np.sin(np.arange(RATE)),
    "alternating": np.where(np.arange(RATE) % 2, 1.0, -1.0),
}


@pytest.mark.parametrize("name", SOUNDS)
@pytest.mark.parametrize("rate", [8000, 22_050, 192_000])
def test_sounds_at_the_edge_have_features_or_none(name: str, rate: int) -> None:
    sound = SOUNDS[name].astype(np.float32)[None]
    chosen = Extractor(["all"], statistics=["mean", "std", "min", "max", "median"])
    row = chosen.summary([sound], rate)
    undefined = {name for name, value in row.items() if np.isnan(value)}
    assert not np.isinf(list(row.values())).any()
    allowed = {"tempo", "pulse_rate", "loudness"}
    for feature in FEATURES.values():
        none = name in ("silence", "denormal") or (name, rate) == ("one sample", 192_000)
        if feature.voiced or (none and (rate == 192_000 or not feature.silent)):
            allowed |= set(chosen._columns_of(feature))
    assert undefined <= allowed


BEATS = np.tile(np.r_[np.exp(-np.arange(2000) / 300), np.zeros(9025)], 8)
HUM = np.round(3276.8 * np.sin(2 * np.pi * 50 * np.arange(5 * RATE) / RATE)) / 32768


@pytest.mark.parametrize(
    ("sound", "bpm", "clarity", "lufs"),
    [
        (BEATS * np.random.default_rng(0).normal(size=len(BEATS)), 120.0, 1.0, -14.9),
        (HUM, None, 0.0, -27.6),
        (0.1 * np.random.default_rng(0).normal(size=5 * RATE), None, 0.0, -17.1),
        (np.round(np.random.default_rng(0).normal(size=5 * RATE)) / 32768, None, 0.0, -70.0),
        (np.full(5 * RATE, 0.5), None, 0.0, None),
        (np.eye(1, 3 * RATE, 9000)[0], None, 0.0, None),
        (np.zeros(5 * RATE), None, 0.0, -70.0),
        (BEATS[:6000], None, 0.0, float("nan")),
        (BEATS[:14000], None, 0.0, None),
        (BEATS[:220], None, 0.0, float("nan")),
    ],
)
def test_what_beats_nothing_has_no_tempo(
    sound: np.ndarray, bpm: float | None, clarity: float, lufs: float | None
) -> None:
    chosen = Extractor(["tempo", "pulse_rate", "pulse_clarity", "loudness"])
    row = chosen.summary([sound.astype(np.float32)[None]], RATE)
    assert row["pulse_rate"] == pytest.approx(bpm or np.nan, rel=0.01, nan_ok=True)
    if bpm is None:
        assert np.isnan(row["tempo"])
    assert row["pulse_clarity"] == pytest.approx(clarity, abs=0.01)
    if lufs is not None:
        assert row["loudness"] == pytest.approx(lufs, abs=0.5, nan_ok=True)


def test_defined_values() -> None:
    silence, square = (
        by_feature(np.zeros((1, RATE), np.float32)),
        by_feature(SOUNDS["square"].astype(np.float32)[None]),
    )
    for name, wanted in {
        "rms": 0.0,
        "peak_level": -120.0,
        "loudness": -70.0,
        "spectral_flatness": np.nan,
        "log_energy": np.log(1e-10),
        "mfcc": np.nan,
        "voicing": 0.0,
        "onset_rate": 0.0,
        "f0": np.nan,
        "tempo": np.nan,
        "pulse_rate": np.nan,
    }.items():
        assert silence[name][0] == pytest.approx(wanted, rel=1e-5, nan_ok=True), name
    assert square["f0"][0] == pytest.approx(220.5, rel=1e-3)
    assert square["odd_to_even_ratio"][0] == pytest.approx(1000, rel=0.05)
    assert square["voicing"][0] == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused_in_one_line(tmp_path: Path, value: float) -> None:
    samples = np.zeros(8000, np.float32)
    samples[4000] = value
    soundfile.write(tmp_path / "a.wav", samples, 8000, "FLOAT")
    with pytest.raises(AudioCliError, match="NaN or infinity, first at 0.5") as caught:
        extract_file(Extractor(["rms"]), tmp_path / "a.wav")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seconds", [5.0, 2.313])
@pytest.mark.parametrize("hertz", [50, 100, 440])
def test_a_hum_has_no_onset_at_either_end(hertz: int, seconds: float) -> None:
    time = np.arange(int(seconds * RATE)) / RATE
    chosen = Extractor(["onset_rate", "pulse_rate", "pulse_clarity"])
    for audio in (0.3 * np.sin(2 * np.pi * hertz * time + 1.0), np.full(len(time), 0.3)):
        row = chosen.summary([audio[None].astype(np.float32)], RATE)
        assert row["onset_rate"] == row["pulse_clarity"] == 0.0 and np.isnan(row["pulse_rate"])


def test_what_is_undefined_of_a_frame_is_nan_and_in_no_statistic() -> None:
    silence = np.zeros(RATE)
    tone = 0.3 * np.sin(2 * np.pi * 220 * np.arange(RATE) / RATE)
    chosen = Extractor(["all"], statistics=["mean", "median"])
    alone = np.concatenate([silence, tone, silence])[None].astype(np.float32)
    frames = np.concatenate(list(chosen.frames([alone], RATE)))
    silent = np.arange(len(frames)) * HOP
    silent = (silent + 1024 <= RATE) | (silent - 1024 >= 2 * RATE)
    row = chosen.summary([alone], RATE)
    names = chosen.frame_columns
    for feature in FEATURES.values():
        for name in [] if feature.whole else feature.columns(chosen.settings):
            values = frames[:, names.index(name)]
            if feature.voiced:
                assert np.isnan(values[silent]).all() and np.isfinite(values).any()
            else:
                assert np.array_equal(np.isnan(values), silent & (not feature.silent))
            with np.errstate(all="ignore"):
                expected = np.nanmean(values, dtype=np.float64)
            assert row[f"{name}_mean"] == pytest.approx(expected, rel=1e-4, abs=1e-5)
            assert row[f"{name}_median"] == pytest.approx(np.nanmedian(values), rel=1e-5, abs=1e-7)
