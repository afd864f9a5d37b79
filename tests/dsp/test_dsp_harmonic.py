"""Harmonics: partials that are known, closed forms, plain loops, Essentia, Praat, and silence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from audiocli.dsp.frames import frame, frequencies, hann, magnitude_spectrum
from audiocli.dsp.harmonic import (
    Harmonics,
    harmonic_centroid,
    harmonic_deviation,
    harmonic_energy_ratio,
    harmonic_to_noise_ratio,
    harmonics,
    inharmonicity,
    odd_to_even_ratio,
    tristimulus,
)
from audiocli.errors import UsageError

Floats = NDArray[np.floating[Any]]
RATE, LENGTH, HOP = 22050, 2048, 512
FREQUENCIES = frequencies(LENGTH, RATE)
TIME = np.arange(2 * RATE) / RATE
BIN = RATE / LENGTH

#: Rows of amplitudes as they come, silence among them.
AMPLITUDES = hnp.arrays(
    np.float64, (3, 7), elements=st.one_of(st.just(0.0), st.floats(2**-10, 1.0, width=32))
)


def tones(partials: Floats, amplitudes: Floats) -> Floats:
    phases = 2 * np.pi * np.outer(partials, TIME) + np.arange(len(partials))[:, None]
    return np.asarray((amplitudes[:, None] * np.sin(phases)).sum(axis=0))


def noise(power: float, seed: int = 0) -> Floats:
    return np.asarray(power**0.5 * np.random.default_rng(seed).normal(size=len(TIME)))


def spectra(signal: Floats) -> Floats:
    """Make magnitudes in which a sine of amplitude 1 has a peak of 1."""
    framed = frame(signal.astype(np.float32), LENGTH, HOP)
    return np.asarray(magnitude_spectrum(framed, hann(LENGTH)) / (LENGTH / 4))


def pitched(f0: float, frames: int) -> Floats:
    return np.full(frames, f0, np.float32)


@pytest.mark.parametrize("f0", [110.0, 220.3, 441.7, 900.0])
def test_partials_are_where_and_as_high_as_they_were_made(f0: float) -> None:
    orders = np.arange(1, 9)
    magnitude = spectra(tones(f0 * orders, 1 / orders))
    found = harmonics(magnitude, FREQUENCIES, pitched(f0, len(magnitude)), n_harmonics=8)
    assert found.frequencies.dtype == found.amplitudes.dtype == np.float32
    assert np.abs(found.frequencies - f0 * orders).max() < 0.01 * BIN
    assert np.abs(20 * np.log10(found.amplitudes * orders)).max() < 0.1
    energy = harmonic_energy_ratio(magnitude, found.amplitudes)
    assert energy.min() > 0.99
    assert inharmonicity(found, pitched(f0, len(magnitude))).max() < 0.001


@given(f0=st.floats(150, 2000), error=st.floats(-0.15, 0.15), window=st.sampled_from([1, 2]))
def test_a_partial_is_found_from_a_wrong_f0(f0: float, error: float, window: int) -> None:
    # Also with zeros behind the frame: peaks are then twice as wide, in bins.
    sine = np.sin(2 * np.pi * f0 * TIME[:LENGTH])[None].astype(np.float32)
    magnitude = magnitude_spectrum(sine, hann(LENGTH), window * LENGTH) / (LENGTH / 4)
    guess = pitched(f0 * (1 + error), 1)
    found = harmonics(magnitude, frequencies(window * LENGTH, RATE), guess, n_harmonics=1)
    assert found.frequencies[0, 0] == pytest.approx(f0, abs=0.02 * BIN)
    assert found.amplitudes[0, 0] == pytest.approx(1, abs=0.01)


def test_of_two_peaks_the_higher_is_the_partial() -> None:
    magnitude = spectra(tones(np.array([990.0, 1060.0]), np.array([1.0, 0.5])))[:1]
    found = harmonics(magnitude, FREQUENCIES, pitched(1040.0, 1), n_harmonics=1)
    assert found.frequencies[0, 0] == pytest.approx(990, abs=1)
    # Narrower: only the lower one is within reach.
    found = harmonics(magnitude, FREQUENCIES, pitched(1040.0, 1), n_harmonics=1, tolerance=0.03)
    assert found.frequencies[0, 0] == pytest.approx(1060, abs=1)


def test_a_square_wave_has_odd_partials() -> None:
    orders = np.arange(1, 20, 2)
    magnitude = spectra(tones(300.0 * orders, 1 / orders))
    found = harmonics(magnitude, FREQUENCIES, pitched(300.0, len(magnitude)), n_harmonics=19)
    np.testing.assert_allclose(found.amplitudes[:, ::2] * orders, 1, atol=0.01)
    assert found.amplitudes[:, 1::2].max() < 1e-3
    assert (odd_to_even_ratio(found.amplitudes) == 1000).all()
    saw = spectra(tones(300.0 * np.arange(1, 11), 1 / np.arange(1, 11)))
    found = harmonics(saw, FREQUENCIES, pitched(300.0, len(saw)), n_harmonics=10)
    expected = sum(1 / k**2 for k in range(1, 10, 2)) / sum(1 / k**2 for k in range(2, 11, 2))
    np.testing.assert_allclose(odd_to_even_ratio(found.amplitudes), expected, rtol=0.01)


def test_above_the_spectrum_there_is_nothing() -> None:
    magnitude = np.ones((2, 1025), np.float32)
    found = harmonics(magnitude, FREQUENCIES, np.array([4000.0, 0.0]), n_harmonics=5)
    # Without peaks the amplitude is the spectrum's own.
    np.testing.assert_allclose(found.amplitudes, [[1, 1, 0, 0, 0], [0, 0, 0, 0, 0]], rtol=1e-6)
    np.testing.assert_allclose(found.frequencies[0], 4000.0 * np.arange(1, 6))
    assert (found.frequencies[1] == 0).all()


def test_silence_and_the_unvoiced_have_zeros() -> None:
    magnitude = np.zeros((2, 1025), np.float32)
    f0 = np.array([220.0, 0.0], np.float32)
    found = harmonics(magnitude, FREQUENCIES, f0)
    values = [
        *(inharmonicity(found, f0), harmonic_centroid(found)),
        *(function(found.amplitudes) for function in (odd_to_even_ratio, tristimulus)),
        *(harmonic_deviation(found.amplitudes, v) for v in ("relative", "decibel")),
        *(found.amplitudes, harmonic_energy_ratio(magnitude, found.amplitudes)),
    ]
    assert all((value == 0).all() for value in values)


@given(amplitudes=AMPLITUDES, scale=st.floats(1e-3, 1e3))
def test_level_changes_nothing(amplitudes: Floats, scale: float) -> None:
    f0 = np.array([100.0, 200.0, 0.0])
    found, louder = (
        Harmonics(np.outer(f0, np.arange(1, 8)) + 3, amplitudes * factor) for factor in (1, scale)
    )
    np.testing.assert_allclose(inharmonicity(louder, f0), inharmonicity(found, f0))
    np.testing.assert_allclose(harmonic_centroid(louder), harmonic_centroid(found))
    for function in (odd_to_even_ratio, tristimulus, harmonic_deviation):
        np.testing.assert_allclose(
            function(louder.amplitudes), function(found.amplitudes), rtol=1e-6, atol=1e-9
        )
    decibel = harmonic_deviation(found.amplitudes, "decibel")
    np.testing.assert_allclose(harmonic_deviation(louder.amplitudes, "decibel"), decibel, atol=1e-6)


@given(amplitudes=AMPLITUDES)
def test_descriptions_are_their_definitions(amplitudes: Floats) -> None:
    f0 = 100.0
    shifted = f0 * np.arange(1, 8) + np.array([0, 1, -2, 3, -4, 5, -6])
    found = Harmonics(np.tile(shifted, (3, 1)), amplitudes)
    columns = (
        inharmonicity(found, np.full(3, f0)),
        odd_to_even_ratio(amplitudes),
        harmonic_centroid(found),
    )
    for a, distance, odd, centre, three in zip(
        amplitudes, *columns, tristimulus(amplitudes), strict=True
    ):
        energy = float(np.sum(a**2))
        if energy == 0:
            assert (distance, odd, centre, *three) == (0, 0, 0, 0, 0, 0)
            continue
        deviations = [0, 1, 2, 3, 4, 5, 6]
        assert distance == pytest.approx(2 * np.sum(deviations * a**2) / (f0 * energy))
        evens = float(a[1] ** 2 + a[3] ** 2 + a[5] ** 2)
        assert odd == pytest.approx(min((energy - evens) / evens, 1000) if evens else 1000)
        assert centre == pytest.approx(np.average(shifted, weights=a))
        assert three == pytest.approx(
            [a[0] / a.sum(), a[1:4].sum() / a.sum(), a[4:].sum() / a.sum()]
        )


@given(amplitudes=AMPLITUDES)
def test_deviation_is_its_definition(amplitudes: Floats) -> None:
    relative = harmonic_deviation(amplitudes)
    decibel = harmonic_deviation(amplitudes, "decibel")
    for row, a in enumerate(amplitudes):
        apart, levels = [], []
        for k in np.flatnonzero(a):
            near = [a[i] for i in (k - 1, k, k + 1) if 0 <= i < len(a) and a[i] > 0]
            apart.append(abs(a[k] - np.mean(near)))
            levels.append(abs(20 * np.log10(a[k] / np.mean(near))))
        assert relative[row] == pytest.approx(sum(apart) / a.sum() if apart else 0)
        assert decibel[row] == pytest.approx(np.mean(levels) if levels else 0, abs=1e-9)


def test_stretched_partials_are_inharmonic() -> None:
    # f_k = k f0 (1 + 0.01 (k - 1)) with equal amplitudes: 2 mean(0.01 k (k - 1)).
    orders = np.arange(1, 5)
    magnitude = spectra(tones(400.0 * orders * (1 + 0.01 * (orders - 1)), np.ones(4)))
    f0 = pitched(400.0, len(magnitude))
    found = harmonics(magnitude, FREQUENCIES, f0, n_harmonics=4)
    expected = 2 * np.mean(0.01 * orders * (orders - 1))
    np.testing.assert_allclose(inharmonicity(found, f0), expected, rtol=0.02)


@pytest.mark.parametrize("snr", [-3, 0, 3, 10])
def test_energy_ratio_is_the_part_of_the_tones(snr: float) -> None:
    part = 10 ** (snr / 10)
    signal = tones(np.array([500.0]), np.array([2**0.5])) + noise(1 / part)
    magnitude = spectra(signal)
    found = harmonics(magnitude, FREQUENCIES, pitched(500.0, len(magnitude)), n_harmonics=1)
    ratio = harmonic_energy_ratio(magnitude, found.amplitudes)
    assert ratio.mean() == pytest.approx(part / (1 + part), abs=0.02)


@pytest.mark.parametrize("snr", [-3, 0, 5, 10, 20, 30, 40])
@pytest.mark.parametrize("f0", [110.0, 220.3, 441.7, 880.0])
def test_harmonic_to_noise_ratio_is_what_was_mixed(f0: float, snr: float) -> None:
    orders = np.arange(1, 7)
    signal = tones(f0 * orders, 1 / orders)
    signal += noise(float(np.mean(signal**2)) * 10 ** (-snr / 10))
    frames = frame(signal.astype(np.float32), LENGTH, HOP)
    found = harmonic_to_noise_ratio(frames, RATE, pitched(f0, len(frames)))
    # The highest of noisy values is a little too high; a few periods tell 40 dB but roughly.
    slack = 0.8 if snr < 0 else 0.5 if snr < 40 else 1.7
    assert found.mean() == pytest.approx(snr, abs=slack)
    assert found.dtype == np.float32


def test_harmonic_to_noise_ratio_is_its_definition() -> None:
    rng = np.random.default_rng(1)
    x = tones(np.array([200.0, 400.0]), np.array([1.0, 0.5]))[:LENGTH] + 0.3 * rng.normal(
        size=LENGTH
    )
    window = hann(LENGTH).astype(np.float64)
    weighted = (x - x.mean()) * window
    n_fft = 8 * LENGTH

    def correlation(values: Floats, lag: Floats) -> Floats:
        """Evaluate the autocorrelation between lags: by its spectrum, without limits."""
        power = np.abs(np.fft.rfft(values, n_fft)) ** 2
        power[1:-1] *= 2
        angles = 2 * np.pi * np.outer(lag, np.arange(len(power))) / n_fft
        return np.asarray(np.cos(angles) @ power / power.sum())

    lags = np.linspace(0.97, 1.03, 600) * RATE / 200
    strength = np.max(correlation(weighted, lags) / correlation(window, lags))
    expected = 10 * np.log10(strength / (1 - strength))
    found = harmonic_to_noise_ratio(x[None], RATE, np.array([200.0]))
    assert found[0] == pytest.approx(expected, abs=0.03)


@given(scale=st.floats(1e-3, 1e3), offset=st.floats(-0.5, 0.5), error=st.floats(-0.02, 0.02))
def test_harmonic_to_noise_ratio_of_the_same_sound(
    scale: float, offset: float, error: float
) -> None:
    signal = tones(np.array([250.0, 500.0]), np.array([1.0, 0.5])) + noise(0.02)
    frames = frame(signal, LENGTH, HOP)[:4]
    reference = harmonic_to_noise_ratio(frames, RATE, np.full(4, 250.0))
    found = harmonic_to_noise_ratio((frames + offset) * scale, RATE, np.full(4, 250 * (1 + error)))
    np.testing.assert_allclose(found, reference, atol=0.02)


def test_frames_without_a_period_have_the_value_given() -> None:
    tone = np.sin(2 * np.pi * 220 * TIME[:LENGTH])
    frames = np.stack([tone, tone, 0 * tone, 0 * tone + 0.3]).astype(np.float32)
    f0 = np.array([0.0, 15.0, 220.0, 220.0])  # none, too low for the frame, silent, constant
    assert harmonic_to_noise_ratio(frames, RATE, f0).tolist() == [0] * 4
    assert harmonic_to_noise_ratio(frames, RATE, f0, unvoiced=-200).tolist() == [-200] * 4
    high = harmonic_to_noise_ratio(frames[:1], RATE, np.array([220.0]), unvoiced=-200)
    assert 45 < high[0] <= 60


def test_praat_agrees() -> None:
    parselmouth = pytest.importorskip("parselmouth")
    signal = tones(150.0 * np.arange(1, 9), 1 / np.arange(1, 9))
    signal = 0.1 * (signal + noise(float(np.mean(signal**2)) / 30))
    floor = 4.5 / (LENGTH / RATE)  # as many periods as a frame holds
    theirs = parselmouth.Sound(signal, RATE).to_harmonicity_ac(HOP / RATE, floor, 0.01, 4.5)
    starts = np.rint(theirs.xs() * RATE - 0.5 - (LENGTH - 1) / 2).astype(int)
    inside = (starts >= 0) & (starts + LENGTH <= len(signal))
    frames = np.stack([signal[start : start + LENGTH] for start in starts[inside]])
    found = harmonic_to_noise_ratio(frames, RATE, np.full(len(frames), 150.0))
    assert len(found) > 50
    assert np.abs(found - theirs.values[0][inside]).mean() < 0.5


def test_essentia_agrees() -> None:
    essentia = pytest.importorskip("essentia.standard")
    rng = np.random.default_rng(0)
    amplitudes = rng.uniform(0.1, 1, (20, 8)).astype(np.float32)
    frequency = (200 * np.arange(1, 9) + rng.normal(size=(20, 8))).astype(np.float32)
    found = Harmonics(frequency, amplitudes)
    ours = inharmonicity(found, frequency[:, 0]) / 2
    for row in range(20):
        peaks = frequency[row], amplitudes[row]
        assert essentia.Inharmonicity()(*peaks) == pytest.approx(ours[row], rel=1e-3)
        theirs = essentia.OddToEvenHarmonicEnergyRatio()(*peaks)
        assert 1 / theirs == pytest.approx(odd_to_even_ratio(amplitudes)[row], rel=1e-5)
        assert essentia.Tristimulus()(*peaks) == pytest.approx(
            tristimulus(amplitudes)[row], rel=1e-5
        )


def test_what_makes_no_sense_is_refused() -> None:
    magnitude, f0 = np.ones((1, 1025)), np.array([100.0])
    with pytest.raises(UsageError, match="n_harmonics 0"):
        harmonics(magnitude, FREQUENCIES, f0, n_harmonics=0)
    with pytest.raises(UsageError, match="tolerance between 0 and 0.5"):
        harmonics(magnitude, FREQUENCIES, f0, tolerance=0.5)
    with pytest.raises(UsageError, match="relative or decibel"):
        harmonic_deviation(magnitude, "mpeg7")  # type: ignore[arg-type]  # what a user may try


def test_no_frames_give_nothing() -> None:
    none = np.zeros(0, np.float32)
    found = harmonics(np.zeros((0, 1025), np.float32), FREQUENCIES, none)
    assert found.amplitudes.shape == (0, 20)
    assert len(harmonic_to_noise_ratio(np.zeros((0, LENGTH), np.float32), RATE, none)) == 0
    assert tristimulus(found.amplitudes).shape == (0, 3)
