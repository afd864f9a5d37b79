"""Spectral features: librosa, Essentia, plain loops, closed forms, silence and single bins."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from audiocli.dsp.bands import (
    band_edges,
    band_flatness,
    contrast,
    crest,
    entropy,
    flatness,
    irregularity_jensen,
    irregularity_krimphoff,
)
from audiocli.dsp.frames import frame, frequencies, hann, magnitude_spectrum, pad_centred
from audiocli.dsp.spectral import (
    FluxDefinition,
    HighFrequencyDefinition,
    centroid,
    decrease,
    flux,
    high_frequency_content,
    kurtosis,
    rolloff,
    shape,
    skewness,
    slope,
    spread,
)
from audiocli.errors import UsageError

Floats = NDArray[np.floating[Any]]
RATE = 22050
FREQUENCIES = frequencies(2048, RATE)
FLUXES = get_args(FluxDefinition)


def music() -> Floats:
    """Make 3 s: a chord over noise that swells, and silence at the end."""
    time = np.arange(3 * RATE) / RATE
    tones = sum(np.sin(2 * np.pi * f * time) / f**0.5 for f in (220, 277.2, 330, 1760, 5000))
    noise = np.random.default_rng(0).normal(size=len(time)) * 0.1 * np.abs(np.sin(3 * time))
    signal = (np.asarray(tones) * (1 + np.sin(9 * time)) + noise) * (time < 2.5)
    return signal.astype(np.float32)


MAGNITUDE = magnitude_spectrum(frame(pad_centred(music(), 2048), 2048, 512), hann(2048))
LOUD = MAGNITUDE[:100]  # before the silence


def random_spectra(frames: int = 6, bins: int = 65, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).exponential(size=(frames, bins)).astype(np.float32)


#: Every feature, as a function of magnitude spectra and frequencies; what silence gives; and the
#: power of the gain that it grows by, if it grows by one.
FEATURES: dict[str, tuple[Callable[[Floats, Floats], Floats], float, int | None]] = {
    "centroid": (centroid, 0, 0),
    "spread": (spread, 0, 0),
    "skewness": (skewness, 0, 0),
    "kurtosis": (kurtosis, 0, 0),
    "excess kurtosis": (partial(kurtosis, excess=True), 0, 0),
    "rolloff": (lambda m, f: rolloff(m, f)[:, 0], 0, 0),
    "slope": (slope, 0, 1),
    "normalised slope": (partial(slope, normalise=True), 0, 0),
    "decrease": (lambda m, f: decrease(m), 0, 0),
    **{
        f"hfc {name}": (partial(high_frequency_content, definition=name), 0, gain)
        for name, gain in zip(get_args(HighFrequencyDefinition), (2, 1, 1), strict=True)
    },
    **{
        f"flux {name}": (lambda m, f, name=name: flux(m, name), 0, gain)
        for name, gain in zip(FLUXES, (1, 1, 1, 0, None), strict=True)
    },
    "flatness": (lambda m, f: flatness(m * m), 1, 0),
    "band flatness": (lambda m, f: band_flatness(m * m, f, band_edges(250, 8000, 1))[:, 2], 1, 0),
    "contrast": (lambda m, f: contrast(m, f)[:, 3], 0, 0),
    "linear contrast": (lambda m, f: contrast(m, f, linear=True)[:, 3], 0, 1),
    "entropy": (lambda m, f: entropy(m), 0, 0),
    "crest": (lambda m, f: crest(m), 0, 0),
    "irregularity jensen": (lambda m, f: irregularity_jensen(m), 0, 0),
    "irregularity krimphoff": (lambda m, f: irregularity_krimphoff(m), 0, 1),
    "irregularity in dB": (lambda m, f: irregularity_krimphoff(m, decibels=True), 0, 0),
}
every_feature = pytest.mark.parametrize("name", FEATURES)


@every_feature
def test_silence_has_a_value(name: str) -> None:
    feature, silent, _ = FEATURES[name]
    got = feature(np.zeros((3, 1025), np.float32), FREQUENCIES)
    np.testing.assert_allclose(got, [silent] * 3, atol=1e-5)
    after_music = feature(MAGNITUDE, FREQUENCIES)
    assert np.isfinite(after_music).all()
    np.testing.assert_allclose(after_music[-5:], [silent] * 5, atol=1e-5)


@every_feature
def test_one_number_a_frame_in_float32(name: str) -> None:
    feature = FEATURES[name][0]
    for magnitude in (MAGNITUDE, MAGNITUDE[:1], MAGNITUDE[:0]):
        got = feature(magnitude, FREQUENCIES)
        assert (got.shape, got.dtype) == ((len(magnitude),), np.float32)


@every_feature
def test_spectra_are_left_as_they_are(name: str) -> None:
    magnitude, rising = MAGNITUDE.copy(), FREQUENCIES.copy()
    magnitude.flags.writeable = rising.flags.writeable = False
    FEATURES[name][0](magnitude, rising)


@pytest.mark.parametrize("name", [name for name in FEATURES if name != "flux log"])
@pytest.mark.parametrize("gain", [2.0**-6, 3.7, 1000.0])
def test_gain(name: str, gain: float) -> None:
    feature, _, power = FEATURES[name]
    assert power is not None
    loud = LOUD + np.float32(0.05)  # above all floors, also with the smallest gain
    got = feature(loud * np.float32(gain), FREQUENCIES)
    wanted = feature(loud, FREQUENCIES) * gain**power
    np.testing.assert_allclose(got, wanted, rtol=2e-4, atol=2e-5 * np.abs(wanted).max())


@every_feature
def test_float32_loses_nothing(name: str) -> None:
    feature = FEATURES[name][0]
    got = feature(LOUD, FREQUENCIES)
    exact = feature(LOUD.astype(np.float64), FREQUENCIES.astype(np.float64))
    np.testing.assert_allclose(got, exact, rtol=1e-4, atol=1e-5 * np.abs(exact).max())


@every_feature
@pytest.mark.parametrize("at", [0, 1, 700, 1024])
def test_a_single_bin(name: str, at: int) -> None:
    magnitude = np.zeros((2, 1025), np.float32)
    magnitude[:, at] = 3.3
    got = FEATURES[name][0](magnitude, FREQUENCIES)
    assert np.isfinite(got).all()
    known = {"centroid": FREQUENCIES[at], "rolloff": FREQUENCIES[at], "crest": 1025.0}
    nothing = ("spread", "skewness", "kurtosis", "excess kurtosis", "entropy")
    if name in known:
        np.testing.assert_allclose(got, known[name], rtol=1e-5)
    elif name in nothing:
        np.testing.assert_allclose(got, 0, atol=2e-3)


# librosa


def test_centroid_and_spread_are_librosas() -> None:
    wanted = librosa.feature.spectral_centroid(S=MAGNITUDE.T, sr=RATE)[0]
    np.testing.assert_allclose(centroid(MAGNITUDE, FREQUENCIES), wanted, rtol=1e-5)
    wanted = librosa.feature.spectral_bandwidth(S=MAGNITUDE.T, sr=RATE)[0]
    np.testing.assert_allclose(spread(MAGNITUDE, FREQUENCIES), wanted, rtol=1e-4)


def test_rolloff_is_librosas() -> None:
    fractions = (0.05, 0.25, 0.5, 0.85, 0.99)
    got = rolloff(MAGNITUDE, FREQUENCIES, fractions)
    for column, fraction in zip(got.T, fractions, strict=True):
        wanted = librosa.feature.spectral_rolloff(S=MAGNITUDE.T, sr=RATE, roll_percent=fraction)
        np.testing.assert_allclose(column, wanted[0], rtol=1e-6)


def test_slope_is_librosas() -> None:
    wanted = librosa.feature.poly_features(S=MAGNITUDE.T, sr=RATE, order=1)[0]
    got = slope(MAGNITUDE, FREQUENCIES)
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("level", [1e-9, 1.0, 1e25, 1e37])
@pytest.mark.parametrize("bins", [1, 5, 16, 37, 1025])
def test_flatness_by_its_formula_at_any_level(bins: int, level: float) -> None:
    power = random_spectra(bins=bins) * np.float32(level)
    raised = np.maximum(power.astype(float), 1e-10)
    wanted = np.exp(np.log(raised).mean(axis=1)) / raised.mean(axis=1)
    np.testing.assert_allclose(flatness(power), wanted, rtol=1e-5)


def test_flatness_is_librosas() -> None:
    wanted = librosa.feature.spectral_flatness(S=MAGNITUDE.T)[0]
    np.testing.assert_allclose(flatness(MAGNITUDE**2), wanted, rtol=1e-4)


@pytest.mark.parametrize("n_fft", [512, 2048, 2047])
@pytest.mark.parametrize("quantile", [0.02, 0.3, 0.97])
@pytest.mark.parametrize("linear", [False, True])
def test_contrast_is_librosas(n_fft: int, quantile: float, linear: bool) -> None:
    signal = music() + np.random.default_rng(1).normal(scale=1e-5, size=3 * RATE).astype(np.float32)
    magnitude = magnitude_spectrum(frame(pad_centred(signal, n_fft), n_fft, 512), hann(n_fft))
    wanted = librosa.feature.spectral_contrast(
        S=magnitude.T,
        freq=librosa.fft_frequencies(sr=RATE, n_fft=n_fft),
        sr=RATE,
        quantile=quantile,
        linear=linear,
    ).T
    rising = frequencies(n_fft, RATE)
    got = contrast(magnitude, rising, quantile=quantile, linear=linear, top_db=80.0)
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)


def test_contrast_of_a_frame_is_its_own() -> None:
    got = contrast(MAGNITUDE, FREQUENCIES)
    alone = np.concatenate([contrast(row[None], FREQUENCIES) for row in MAGNITUDE[::9]])
    np.testing.assert_array_equal(got[::9], alone)
    # With librosa's limit the loudest frame decides on the others.
    assert not np.allclose(contrast(MAGNITUDE, FREQUENCIES, top_db=80)[::9], alone)


@pytest.mark.parametrize("options", [{"fmin": 100.0, "n_bands": 3}, {"fmin": 600.0, "n_bands": 4}])
def test_contrast_with_other_bands_is_librosas(options: dict[str, Any]) -> None:
    wanted = librosa.feature.spectral_contrast(S=LOUD.T, sr=RATE, linear=True, **options).T
    got = contrast(LOUD, FREQUENCIES, linear=True, **options)
    np.testing.assert_allclose(got, wanted, rtol=1e-4)


# Essentia


@pytest.fixture(scope="module")
def essentia() -> Any:
    return pytest.importorskip("essentia.standard")


def assert_each(got: Floats, oracle: Callable[[Floats], float], spectra: Floats) -> None:
    wanted = np.array([oracle(row) for row in spectra])
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())


def test_moments_are_essentias(essentia: Any) -> None:
    nyquist = RATE / 2
    moments = essentia.CentralMoments(range=nyquist)
    describe = essentia.DistributionShape()
    assert_each(centroid(LOUD, FREQUENCIES), essentia.Centroid(range=nyquist), LOUD)
    assert_each(spread(LOUD, FREQUENCIES) ** 2, lambda row: describe(moments(row))[0], LOUD)
    assert_each(skewness(LOUD, FREQUENCIES), lambda row: describe(moments(row))[1], LOUD)
    assert_each(
        kurtosis(LOUD, FREQUENCIES, excess=True), lambda row: describe(moments(row))[2], LOUD
    )


@pytest.mark.parametrize("definition", get_args(HighFrequencyDefinition))
def test_high_frequency_content_is_essentias(
    essentia: Any, definition: HighFrequencyDefinition
) -> None:
    oracle = essentia.HFC(sampleRate=RATE, type=definition.capitalize())
    assert_each(high_frequency_content(LOUD, FREQUENCIES, definition), oracle, LOUD)


@pytest.mark.parametrize(
    ("definition", "options"),
    [
        ("l1", {"norm": "L1"}),
        ("l2", {"norm": "L2"}),
        ("rectified", {"norm": "L1", "halfRectify": True}),
    ],
)
def test_flux_is_essentias(
    essentia: Any, definition: FluxDefinition, options: dict[str, Any]
) -> None:
    got = flux(LOUD, definition, previous=np.zeros(1025, np.float32))
    assert_each(got, essentia.Flux(**options), LOUD)


def test_noisiness_is_essentias(essentia: Any) -> None:
    power = LOUD**2
    assert_each(flatness(power), essentia.Flatness(), np.maximum(power, 1e-10))
    assert_each(crest(LOUD), essentia.Crest(), LOUD)
    bits = essentia.Entropy()
    assert_each(entropy(LOUD) * np.float32(np.log2(1025)), lambda row: bits(row), LOUD)


def test_rolloff_and_slope_are_essentias(essentia: Any) -> None:
    oracle = essentia.RollOff(sampleRate=RATE, cutoff=0.85)
    assert_each(rolloff(LOUD**2, FREQUENCIES)[:, 0], oracle, LOUD)
    assert_each(slope(LOUD, FREQUENCIES), essentia.Decrease(range=RATE / 2), LOUD)


# Plain loops and closed forms


def test_moments_by_their_formulas() -> None:
    got = shape(LOUD, FREQUENCIES)
    part = LOUD.astype(float) / LOUD.astype(float).sum(axis=1, keepdims=True)
    rising = np.arange(1025) * RATE / 2048
    away = rising - (part @ rising)[:, None]
    width = np.sqrt((part * away**2).sum(axis=1))
    np.testing.assert_allclose(got.centroid, part @ rising, rtol=1e-5)
    np.testing.assert_allclose(got.spread, width, rtol=1e-5)
    # Skewness is near 0 here: a float32 sum of 1025 bins may put the centroid off by
    # sqrt(1025) * 6e-8 of some 5500 Hz, 0.01 Hz, and that moves it by 3 * 0.01 Hz / width.
    third = (part * away**3).sum(axis=1) / width**3
    np.testing.assert_allclose(got.skewness, third, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(got.kurtosis, (part * away**4).sum(axis=1) / width**4, rtol=1e-4)
    np.testing.assert_array_equal(got.spread, spread(LOUD, FREQUENCIES))
    np.testing.assert_array_equal(got.skewness, skewness(LOUD, FREQUENCIES))
    np.testing.assert_array_equal(got.kurtosis, kurtosis(LOUD, FREQUENCIES))


def test_moments_of_known_spectra() -> None:
    gaussian = np.exp(-0.5 * ((FREQUENCIES - 5000) / 300) ** 2)[None]
    # Of a triangle that falls from 0 to its end at 1, mean 1/3 and variance 1/18.
    falling = (1 - FREQUENCIES / FREQUENCIES[-1])[None]
    flat = np.ones((1, 1025), np.float32)
    end = RATE / 2
    for magnitude, wanted in (
        (gaussian, (5000, 300, 0, 3)),
        (falling, (end / 3, end / 18**0.5, 2**1.5 / 5, 2.4)),
        (flat, (end / 2, end / 12**0.5, 0, 1.8)),
    ):
        got = [float(value[0]) for value in shape(magnitude, FREQUENCIES)]
        assert got == pytest.approx(wanted, rel=3e-3, abs=1e-3)


def test_a_narrow_spectrum_far_up_keeps_its_shape() -> None:
    magnitude = np.zeros((1, 1025), np.float32)
    magnitude[0, 1000:1003] = 1, 2, 1
    got = shape(magnitude, FREQUENCIES)
    assert got.spread[0] == pytest.approx(RATE / 2048 * 0.5**0.5, rel=1e-4)
    assert got.skewness[0] == pytest.approx(0, abs=1e-3)
    assert got.kurtosis[0] == pytest.approx(2, rel=1e-3)


@given(seed=st.integers(0, 9), places=st.integers(1, 400))
def test_moving_a_spectrum_up_moves_its_centroid(seed: int, places: int) -> None:
    low = np.zeros((4, 513), np.float32)
    low[:, :100] = random_spectra(4, 100, seed)
    high = np.roll(low, places, axis=1)
    rising = frequencies(1024, 16000)
    before, after = shape(low, rising), shape(high, rising)
    up = places * 16000 / 1024
    np.testing.assert_allclose(after.centroid, before.centroid + up, rtol=1e-5)
    np.testing.assert_allclose(after.spread, before.spread, rtol=1e-3)
    np.testing.assert_allclose(after.skewness, before.skewness, atol=1e-3)
    np.testing.assert_allclose(after.kurtosis, before.kurtosis, rtol=1e-3)
    rolled = rolloff(low, rising, (0.3, 0.85)) + np.float32(up)
    np.testing.assert_allclose(rolloff(high, rising, (0.3, 0.85)), rolled)
    np.testing.assert_allclose(entropy(high), entropy(low), rtol=1e-5)
    np.testing.assert_allclose(crest(high), crest(low), rtol=1e-5)


@given(
    spectra=st.integers(1, 100).flatmap(
        lambda bins: st.lists(
            st.lists(st.integers(0, 5), min_size=bins, max_size=bins), min_size=1, max_size=4
        )
    ),
    fraction=st.sampled_from([0.001, 0.25, 0.5, 0.75, 1.0]),
)
def test_rolloff_is_where_the_running_sum_arrives(
    spectra: list[list[int]], fraction: float
) -> None:
    magnitude = np.array(spectra, np.float32)
    place = np.arange(magnitude.shape[1], dtype=np.float32)
    arrived = np.cumsum(magnitude, axis=1) >= fraction * magnitude.sum(axis=1, keepdims=True)
    assert rolloff(magnitude, place, (fraction,))[:, 0].tolist() == arrived.argmax(axis=1).tolist()


@given(seed=st.integers(0, 50), bins=st.integers(1, 200))
def test_rolloff_rises_with_the_fraction(seed: int, bins: int) -> None:
    magnitude = random_spectra(5, bins, seed)
    place = np.arange(bins, dtype=np.float32)
    got = rolloff(magnitude, place, (1e-9, 0.1, 0.5, 0.9, 1.0))
    assert (np.diff(got, axis=1) >= 0).all()
    assert (got[:, 0] == 0).all()
    assert (got[:, -1] >= bins - 2).all()  # one bin may lie below the rounding of the sum


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.01, 85, float("nan")])
def test_impossible_rolloff_is_refused(fraction: float) -> None:
    with pytest.raises(UsageError, match=r"85 % is written 0\.85"):
        rolloff(LOUD, FREQUENCIES, [0.5, fraction])


def test_slope_of_a_line() -> None:
    line = (7 - 0.0005 * FREQUENCIES)[None]
    assert slope(line, FREQUENCIES)[0] == pytest.approx(-0.0005, rel=1e-4)
    normalised = slope(line, FREQUENCIES, normalise=True)[0]
    assert normalised == pytest.approx(-0.0005 / line.sum(), rel=1e-4)
    assert slope(np.ones((1, 1025), np.float32), FREQUENCIES)[0] == pytest.approx(0, abs=1e-9)


def test_decrease_by_its_formula() -> None:
    magnitude = random_spectra()
    wanted = [sum((row[k] - row[0]) / k for k in range(1, 65)) / sum(row[1:]) for row in magnitude]
    np.testing.assert_allclose(decrease(magnitude), wanted, rtol=1e-4, atol=1e-6)


def test_flux_by_its_formulas() -> None:
    magnitude = random_spectra().astype(np.float64)
    m = np.concatenate([magnitude[:1], magnitude])
    parts, logs = m / m.sum(axis=1, keepdims=True), np.log10(1 + 20 * m)
    wanted = {
        "l1": [abs(b - a).sum() for a, b in zip(m, m[1:], strict=False)],
        "l2": [np.linalg.norm(b - a) for a, b in zip(m, m[1:], strict=False)],
        "rectified": [(b - a)[b > a].sum() for a, b in zip(m, m[1:], strict=False)],
        "normalised": [np.linalg.norm(b - a) for a, b in zip(parts, parts[1:], strict=False)],
        "log": [(b - a)[b > a].sum() for a, b in zip(logs, logs[1:], strict=False)],
    }
    for definition in FLUXES:
        got = flux(magnitude, definition, compression=20)
        np.testing.assert_allclose(got, wanted[definition], rtol=1e-6)
        assert got[0] == 0 < got[1]


@pytest.mark.parametrize("definition", FLUXES)
@given(cuts=st.lists(st.integers(0, len(MAGNITUDE)), max_size=5))
def test_flux_block_by_block_is_that_of_the_whole(
    definition: FluxDefinition, cuts: list[int]
) -> None:
    previous = None
    blocks = []
    for block in np.split(MAGNITUDE, sorted(cuts)):
        blocks.append(flux(block, definition, previous))
        previous = block[-1] if len(block) else previous
    np.testing.assert_array_equal(np.concatenate(blocks), flux(MAGNITUDE, definition))


def test_normalised_flux_does_not_depend_on_the_level() -> None:
    magnitude = random_spectra()
    louder = magnitude * np.array([[1], [5], [0.1], [9], [2], [1]], np.float32)
    np.testing.assert_allclose(flux(louder, "normalised"), flux(magnitude, "normalised"), rtol=1e-4)
    assert flux(louder, "l2")[1] > 2 * flux(magnitude, "l2")[1]


def test_unknown_definitions_are_refused() -> None:
    with pytest.raises(
        UsageError, match="flux: unknown definition 'normalized'; did you mean 'norm"
    ):
        flux(LOUD, "normalized")
    with pytest.raises(UsageError, match="unknown definition 'hz'; There are: brossier, jensen, m"):
        high_frequency_content(LOUD, FREQUENCIES, "hz")


def test_high_frequency_content_follows_the_frequency() -> None:
    tones = np.zeros((2, 1025), np.float32)
    tones[0, 100] = tones[1, 200] = 0.5
    ratio = {"masri": 2, "jensen": 4, "brossier": 2}
    for definition in get_args(HighFrequencyDefinition):
        low, high = high_frequency_content(tones, FREQUENCIES, definition)
        assert high / low == pytest.approx(ratio[definition], rel=1e-5)
    assert high_frequency_content(tones, FREQUENCIES)[0] == pytest.approx(FREQUENCIES[100] / 4)


def test_irregularities_by_their_formulas() -> None:
    magnitude = random_spectra(bins=20)
    jensen, krimphoff, decibels = [], [], []
    for row in magnitude:
        behind = [*row, 0.0]
        jensen.append(
            sum((behind[k] - behind[k + 1]) ** 2 for k in range(20)) / sum(a * a for a in row)
        )
        for scaled, sums in ((row, krimphoff), (20 * np.log10(row), decibels)):
            sums.append(sum(abs(scaled[k] - scaled[k - 1 : k + 2].mean()) for k in range(1, 19)))
    np.testing.assert_allclose(irregularity_jensen(magnitude), jensen, rtol=1e-5)
    np.testing.assert_allclose(irregularity_krimphoff(magnitude), krimphoff, rtol=1e-5)
    np.testing.assert_allclose(
        irregularity_krimphoff(magnitude, decibels=True), decibels, rtol=1e-5
    )


def test_irregularity_of_known_spectra() -> None:
    comb = np.tile(np.array([0, 1], np.float32), (1, 50))
    line = np.arange(50, dtype=np.float32)[None]
    assert irregularity_jensen(comb)[0] == 2
    assert irregularity_krimphoff(comb)[0] == pytest.approx(98 * 2 / 3, rel=1e-5)
    assert irregularity_krimphoff(line)[0] == pytest.approx(0, abs=1e-5)
    decay = 0.5 ** np.arange(12, dtype=np.float32)[None]  # straight in dB only
    assert irregularity_krimphoff(decay, decibels=True)[0] == pytest.approx(0, abs=1e-3)
    assert irregularity_krimphoff(decay)[0] > 0.1


@given(seed=st.integers(0, 20), bins=st.integers(1, 40))
def test_ranges(seed: int, bins: int) -> None:
    magnitude = random_spectra(8, bins, seed) ** 4
    assert ((entropy(magnitude) >= 0) & (entropy(magnitude) <= 1)).all()
    assert ((flatness(magnitude) > 0) & (flatness(magnitude) <= 1)).all()
    assert ((crest(magnitude) >= 0.99999) & (crest(magnitude) <= bins * 1.00001)).all()
    assert ((irregularity_jensen(magnitude) >= 0) & (irregularity_jensen(magnitude) < 4)).all()


def test_noise_and_tones() -> None:
    noise = random_spectra(200, 1025)  # exponential, as the power of white noise is
    assert flatness(noise).mean() == pytest.approx(np.exp(-np.euler_gamma), abs=0.01)
    tone = np.full((1, 1025), 1e-8, np.float32)
    tone[0, 80] = 1
    assert flatness(tone)[0] < 1e-4
    assert entropy(noise).mean() > 0.9 > 0.01 > entropy(tone)[0]
    assert crest(tone)[0] == pytest.approx(1025, rel=1e-4)


@pytest.mark.parametrize("bins", [1, 2, 7])
def test_evenness_of_few_bins(bins: int) -> None:
    row = np.zeros((1, 7), np.float32)
    row[0, :bins] = 2.5
    assert entropy(row)[0] == pytest.approx(np.log(bins) / np.log(7), abs=1e-6)
    assert crest(row)[0] == pytest.approx(7 / bins)


# Bands


def test_band_edges() -> None:
    assert band_edges(125, 8000, 1).tolist() == [
        [125.0 * 2**octave, 250.0 * 2**octave] for octave in range(6)
    ]
    quarters = band_edges(250, 16000, 4, overlap=0.05)
    assert quarters.shape == (24, 2)
    assert quarters[0].tolist() == pytest.approx([250 * 0.95, 250 * 2**0.25 * 1.05])
    assert quarters[-1, 1] == pytest.approx(16000 * 1.05)
    assert len(band_edges(250, 11025, 4)) == 21


@pytest.mark.parametrize(
    ("low", "high", "per_octave"), [(0, 100, 1), (-5, 100, 1), (100, 100, 1), (100, 180, 1)]
)
def test_impossible_bands_are_refused(low: float, high: float, per_octave: float) -> None:
    with pytest.raises(UsageError, match="bands: no room for 1/1 octave between"):
        band_edges(low, high, per_octave)


@pytest.mark.parametrize("overlap", [0.0, 0.05])
def test_band_flatness_is_the_flatness_of_the_bins(overlap: float) -> None:
    edges = band_edges(250, 11025, 4, overlap)
    got = band_flatness(LOUD**2, FREQUENCIES, edges)
    assert got.shape == (len(LOUD), len(edges))
    for column, (low, high) in zip(got.T, edges, strict=True):
        inside = (low <= FREQUENCIES) & (high > FREQUENCIES)
        np.testing.assert_allclose(column, flatness(LOUD[:, inside] ** 2), rtol=1e-4)


def test_a_band_between_two_bins_has_the_nearest() -> None:
    power = np.array([[1.0, 5.0, 2.0]], np.float32)
    edges = np.array([[120.0, 140.0], [0.0, 300.0]])
    got = band_flatness(power, np.array([0, 100, 200], np.float32), edges)
    np.testing.assert_allclose(got, [[1, 10 ** (1 / 3) / (8 / 3)]], rtol=1e-5)


def test_bands_above_the_spectrum_are_refused() -> None:
    with pytest.raises(
        UsageError, match="begins at 16000 Hz, above the highest frequency of 11025"
    ):
        band_flatness(LOUD, FREQUENCIES, band_edges(8000, 32000, 1))


@pytest.mark.parametrize(
    ("n_fft", "rate", "low", "high"),
    [(2048, 8000, 6400, 12800), (32, RATE, 0, 200), (2048, 12800, 6400, 12800)],
)
def test_contrast_without_bins_is_refused(n_fft: int, rate: int, low: int, high: int) -> None:
    rising = frequencies(n_fft, rate)
    with pytest.raises(UsageError, match=f"contrast: no bins between {low} and {high} Hz"):
        contrast(np.ones((2, len(rising)), np.float32), rising)


@pytest.mark.parametrize("quantile", [0.0, 1.0, 2.0, -0.1])
def test_impossible_quantiles_are_refused(quantile: float) -> None:
    with pytest.raises(UsageError, match="is not between 0 and 1; 2 % is 0.02"):
        contrast(LOUD, FREQUENCIES, quantile=quantile)


@pytest.mark.parametrize("fmin", [0.0, -200.0])
def test_contrast_begins_above_zero(fmin: float) -> None:
    with pytest.raises(UsageError, match="contrast: no bins between 0 and"):
        contrast(LOUD, FREQUENCIES, fmin=fmin)


def test_contrast_tells_peaks_from_noise() -> None:
    flat = np.ones((1, 1025), np.float32)
    peak = flat.copy()
    peak[0, 60] = 100  # 646 Hz, in the octave from 400 Hz
    assert contrast(flat, FREQUENCIES).tolist() == [[0] * 7]
    np.testing.assert_allclose(contrast(peak, FREQUENCIES), [[0, 0, 20, 0, 0, 0, 0]], atol=1e-4)
    assert contrast(peak, FREQUENCIES, linear=True)[0, 2] == 99
