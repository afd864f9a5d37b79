"""Cepstra: librosa's numbers, HTK's formulas, echoes and voices whose cepstra are known."""

from __future__ import annotations

from typing import Any

import librosa
import numpy as np
import pytest
import scipy.fft
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import lfilter

from audiocli.dsp.cepstral import (
    cepstral_peak_prominence,
    cepstrum_of_bands,
    delta,
    lifter,
    mfcc,
    power_cepstrum,
    real_cepstrum,
)
from audiocli.dsp.filterbanks import mel_filterbank
from audiocli.errors import UsageError

Floats = NDArray[np.floating[Any]]
RATE = 16000


def voice(f0: float, breath: float, samples: int = 8000, rate: int = RATE) -> Floats:
    """Pulses and noise through four resonances."""
    pulses = np.diff(np.floor(np.arange(samples + 1) * f0 / rate))
    sound = pulses + breath * np.random.default_rng(0).normal(size=samples)
    for frequency, bandwidth in ((600, 80), (1300, 100), (2500, 150), (3500, 200)):
        pole = np.exp((-bandwidth + 2j * frequency) * np.pi / rate)
        sound = lfilter([1.0], [1.0, -2 * pole.real, abs(pole) ** 2], sound)
    return sound / np.abs(sound).max()


def powers(signal: Floats, length: int = 1024, hop: int = 512) -> Floats:
    frames = np.lib.stride_tricks.sliding_window_view(signal, length)[::hop]
    return np.abs(np.fft.rfft(frames * np.hamming(length))) ** 2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("top_db", [None, 40.0])
def test_mfcc_is_librosas(dtype: type, top_db: float | None) -> None:
    signal = voice(130, 0.02, 22050, 22050).astype(dtype)
    spectrum = np.abs(librosa.stft(signal, n_fft=2048, hop_length=512)) ** 2
    mel = librosa.feature.melspectrogram(S=spectrum, sr=22050)
    theirs = librosa.feature.mfcc(S=librosa.power_to_db(mel, top_db=top_db), sr=22050)
    ours = mfcc(spectrum.T.astype(dtype), 22050, top_db=top_db)
    assert ours.dtype == dtype
    np.testing.assert_allclose(ours, theirs.T, atol=1e-4 * np.abs(theirs).max())


def test_mfcc_takes_the_bands_asked_for() -> None:
    power = powers(voice(130, 0.02))
    theirs = librosa.feature.mfcc(
        S=librosa.power_to_db(
            librosa.feature.melspectrogram(S=power.T, sr=RATE, n_mels=40, fmin=50, fmax=7000),
            top_db=None,
        ),
        n_mfcc=12,
    )
    ours = mfcc(power, RATE, 12, n_mels=40, fmin=50, fmax=7000)
    np.testing.assert_allclose(ours, theirs.T, rtol=1e-5, atol=1e-4)


def test_mfcc_of_htk_follows_the_book() -> None:
    power = powers(voice(130, 0.02))
    bank = mel_filterbank(RATE, 1024, 26, scale="htk", norm=None, slopes="mel")
    energies = np.log(power @ bank.T.astype(np.float64))
    wanted = np.zeros((len(power), 13))
    for n in range(13):
        for j in range(1, 27):
            wanted[:, n] += (
                np.sqrt(2 / 26) * energies[:, j - 1] * np.cos(np.pi * n / 26 * (j - 0.5))
            )
        wanted[:, n] *= 1 + 22 / 2 * np.sin(np.pi * n / 22)
    ours = mfcc(power, RATE, variant="htk")
    np.testing.assert_allclose(ours, wanted, rtol=1e-6, atol=1e-6)
    plain = mfcc(power, RATE, variant="htk", liftering=0)
    np.testing.assert_allclose(lifter(plain, 22), ours)


def test_python_speech_features_has_the_same_cosines_and_lifter() -> None:
    psf = pytest.importorskip("python_speech_features")
    signal = voice(130, 0.02)
    theirs = psf.mfcc(
        signal, RATE, 0.025, 0.01, 13, 26, 512, preemph=0, appendEnergy=False, winfunc=np.hamming
    )
    frames = np.lib.stride_tricks.sliding_window_view(signal, 400)[::160]
    power = np.abs(np.fft.rfft(frames * np.hamming(400), 512)) ** 2 / 512
    bands = np.log(power @ psf.get_filterbanks(26, 512, RATE).T)
    ours = lifter(cepstrum_of_bands(bands, 13, scaling="ortho"), 22)
    np.testing.assert_allclose(ours, theirs[: len(ours)], atol=1e-9)


@given(db=st.floats(-20, 20), variant=st.sampled_from(["slaney", "htk"]))
def test_loudness_is_in_c0_alone(db: float, variant: Any) -> None:
    power = powers(voice(130, 0.1, 2000))
    before = mfcc(power, RATE, variant=variant)
    after = mfcc(power * 10 ** (db / 10), RATE, variant=variant)
    step = np.sqrt(128) * db if variant == "slaney" else np.sqrt(2 * 26) * np.log(10) * db / 10
    np.testing.assert_allclose(after[:, 1:], before[:, 1:], atol=1e-8)
    np.testing.assert_allclose(after[:, 0] - before[:, 0], step, atol=1e-8)


def test_silence_has_the_cepstra_that_the_docstring_says() -> None:
    nothing = np.zeros((3, 513), np.float32)
    slaney, htk = mfcc(nothing, RATE), mfcc(nothing, RATE, variant="htk")
    np.testing.assert_allclose(slaney[:, 0], -100 * np.sqrt(128), rtol=1e-5)
    np.testing.assert_allclose(htk[:, 0], np.sqrt(2 * 26) * np.log(1e-10), rtol=1e-5)
    np.testing.assert_allclose(np.hstack([slaney[:, 1:], htk[:, 1:]]), 0, atol=2e-3)
    np.testing.assert_allclose(real_cepstrum(nothing)[:, 0], np.log(1e-10) / 2, rtol=1e-6)
    np.testing.assert_allclose(power_cepstrum(nothing)[:, 0], np.log(1e-10) ** 2, rtol=1e-6)
    assert np.abs(power_cepstrum(nothing)[:, 1:]).max() < 1e-14
    np.testing.assert_array_equal(cepstral_peak_prominence(power_cepstrum(nothing), RATE), 0)


def test_no_frames_have_no_cepstra() -> None:
    nothing = np.zeros((0, 513), np.float32)
    assert mfcc(nothing, RATE, top_db=80).shape == (0, 20)
    assert power_cepstrum(nothing).shape == (0, 513)
    assert cepstral_peak_prominence(nothing, RATE).shape == (0,)
    assert delta(mfcc(nothing, RATE)).shape == (0, 20)


def test_what_cannot_be_is_refused() -> None:
    power = np.ones((2, 513))
    with pytest.raises(UsageError, match="unknown variant 'hkt': did you mean 'htk'"):
        mfcc(power, RATE, variant="hkt")
    with pytest.raises(UsageError, match="top_db counts dB"):
        mfcc(power, RATE, variant="htk", top_db=80)
    with pytest.raises(UsageError, match="27 cepstral coefficients of 26 bands"):
        mfcc(power, RATE, 27, variant="htk")
    with pytest.raises(UsageError, match="0 cepstral coefficients of 128 bands"):
        mfcc(power, RATE, 0)
    with pytest.raises(UsageError, match="choose an odd width"):
        delta(power, 4)
    with pytest.raises(UsageError, match="an order from 1 to 2"):
        delta(power, 3, 3)
    with pytest.raises(UsageError, match="2 frames are too few for deltas over 9"):
        delta(power, mode="interp")
    with pytest.raises(UsageError, match="frames of at least 1470 samples"):
        cepstral_peak_prominence(power, 44100)


@pytest.mark.parametrize("bands", [1, 2, 13, 40])
def test_cosine_transform_is_scipys(bands: int) -> None:
    logs = np.random.default_rng(0).normal(size=(5, bands))
    wanted = scipy.fft.dct(logs, type=2, norm="ortho")
    np.testing.assert_allclose(cepstrum_of_bands(logs, bands), wanted, atol=1e-12)
    wanted[:, 0] *= np.sqrt(2)
    np.testing.assert_allclose(cepstrum_of_bands(logs, bands, scaling="htk"), wanted, atol=1e-12)


def test_lifter_is_librosas_shifted_by_one() -> None:
    bands = np.random.default_rng(0).normal(size=(5, 26))
    theirs = librosa.feature.mfcc(S=bands.T, n_mfcc=13, lifter=22)
    shifted = np.pad(cepstrum_of_bands(bands, 13), [(0, 0), (1, 0)])  # librosa calls c0 number 1
    np.testing.assert_allclose(lifter(shifted, 22)[:, 1:], theirs.T, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mode", ["nearest", "interp"])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(("width", "frames"), [(3, 3), (9, 9), (9, 40), (5, 300)])
def test_delta_is_librosas(dtype: type, mode: Any, order: int, width: int, frames: int) -> None:
    features = np.random.default_rng(0).normal(size=(frames, 4)).astype(dtype)
    theirs = librosa.feature.delta(features, width=width, order=order, axis=0, mode=mode)
    ours = delta(features, width, order, mode=mode)
    assert ours.dtype == dtype
    np.testing.assert_allclose(ours, theirs, atol=2e-6 if dtype is np.float32 else 1e-12)


@given(frames=st.integers(1, 30), half=st.integers(1, 5))
def test_delta_is_htks_formula(frames: int, half: int) -> None:
    c = np.random.default_rng(frames).normal(size=frames)
    last = frames - 1
    wanted = [
        sum(k * (c[min(t + k, last)] - c[max(t - k, 0)]) for k in range(1, half + 1))
        / (2 * sum(k * k for k in range(1, half + 1)))
        for t in range(frames)
    ]
    np.testing.assert_allclose(delta(c, 2 * half + 1), wanted, atol=1e-12)


@given(
    sizes=st.lists(st.integers(0, 12), min_size=1, max_size=8).filter(lambda s: sum(s) >= 9),
    mode=st.sampled_from(["nearest", "interp"]),
)
def test_deltas_of_a_stream_are_those_of_the_whole(sizes: list[int], mode: Any) -> None:
    features = np.random.default_rng(0).normal(size=(sum(sizes), 3))
    padded = np.pad(features, [(4, 4), (0, 0)], mode="edge") if mode == "nearest" else features
    ends = np.cumsum([sizes[0] + (4 if mode == "nearest" else 0), *sizes[1:]])[:-1]
    kept, out = padded[:0], []
    for block in np.split(padded, ends):
        joined = np.concatenate([kept, block])
        out.append(delta(joined, mode="valid"))
        kept = joined[max(len(joined) - 8, 0) :]
    slopes = np.concatenate(out)
    if mode == "interp":
        slopes = np.pad(slopes, [(4, 4), (0, 0)], mode="edge")
    np.testing.assert_array_equal(slopes, delta(features, mode=mode))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_real_cepstrum_is_the_inverse_transform_of_the_log_magnitude(dtype: type) -> None:
    frames = np.random.default_rng(0).normal(size=(4, 512))
    wanted = np.fft.ifft(np.log(np.abs(np.fft.fft(frames)))).real[:, :257]
    ours = real_cepstrum((np.abs(np.fft.rfft(frames)) ** 2).astype(dtype))
    assert ours.dtype == dtype
    tolerance = 1e-6 if dtype is np.float32 else 1e-13
    np.testing.assert_allclose(ours, wanted, atol=tolerance)
    squared = power_cepstrum((np.abs(np.fft.rfft(frames)) ** 2).astype(dtype))
    np.testing.assert_allclose(squared, (2 * wanted) ** 2, atol=10 * tolerance)


def test_an_echo_is_a_series_of_peaks() -> None:
    # ln(1 + g z^-d) = g z^-d - g^2/2 z^-2d + ..., whose even part is half of it.
    gain, delay = 0.5, 100
    signal = np.zeros((1, 4096))
    signal[0, [0, delay]] = 1.0, gain
    cepstrum = real_cepstrum(np.abs(np.fft.rfft(signal)) ** 2)[0]
    wanted = np.zeros(2049)
    for k in range(1, 21):
        wanted[k * delay] = -((-gain) ** k) / (2 * k)
    np.testing.assert_allclose(cepstrum, wanted, atol=2e-8)


@pytest.mark.parametrize("f0", [80.0, 125.0, 220.0, 300.0])
def test_a_voice_peaks_at_its_period(f0: float) -> None:
    cepstrum = power_cepstrum(powers(voice(f0, 0.005), 2048))
    first = int(RATE / 333)
    peaks = first + np.argmax(cepstrum[:, first : int(1.5 * RATE / f0)], axis=1)
    assert np.abs(peaks - RATE / f0).max() <= 1.01


def prominence_by_hand(cepstrum: Floats, rate: int) -> float:
    quefrency = np.arange(len(cepstrum)) / rate
    level = 10 * np.log10(cepstrum)
    fitted = quefrency >= 0.001
    line = np.polyval(np.polyfit(quefrency[fitted], level[fitted], 1), quefrency)
    pitch = (quefrency >= 0.003) & (quefrency <= 1 / 60)
    peak = np.flatnonzero(pitch)[np.argmax(level[pitch])]
    return float(level[peak] - line[peak])


@pytest.mark.parametrize("rate", [16000, 22050, 44100])
def test_prominence_is_the_height_above_the_line(rate: int) -> None:
    cepstra = power_cepstrum(powers(voice(150, 0.05, 3 * 2048, rate), 2048))
    ours = cepstral_peak_prominence(cepstra, rate)
    wanted = [prominence_by_hand(cepstrum, rate) for cepstrum in cepstra]
    np.testing.assert_allclose(ours, wanted, rtol=1e-6)
    single = cepstral_peak_prominence(cepstra.astype(np.float32), rate)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, wanted, rtol=1e-4)


def test_prominence_falls_with_breath_and_not_with_loudness() -> None:
    clear, breathy, noise = (
        powers(voice(150, breath, 16000), 1024) for breath in (0.003, 0.1, 30.0)
    )
    means = [
        float(cepstral_peak_prominence(power_cepstrum(power), RATE).mean())
        for power in (clear, breathy, noise)
    ]
    assert means[0] > means[1] + 6 > means[2] + 9
    louder = cepstral_peak_prominence(power_cepstrum(100 * clear), RATE)
    assert louder.mean() == pytest.approx(means[0], abs=1e-6)


def test_prominence_is_praats() -> None:
    parselmouth = pytest.importorskip("parselmouth")
    call = parselmouth.praat.call
    for rate in (16000, 22050):
        frame = voice(150, 0.05, 1024, rate) * np.hamming(1024)
        praat = call(parselmouth.Sound(frame, rate).to_spectrum(fast=True), "To PowerCepstrum")
        line = (0.001, 512 / rate, "Straight", "Least squares")
        theirs = call(praat, "Get peak prominence", 60, 1000 / 3, "none", *line)
        cepstrum = power_cepstrum(np.abs(np.fft.rfft(frame))[np.newaxis] ** 2, floor=1e-30)
        assert cepstral_peak_prominence(cepstrum, rate)[0] == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("width", [3, 5, 9, 11])
def test_weights_of_deltas_are_those_of_scipy(width: int, order: int) -> None:
    from scipy.signal import savgol_coeffs

    from audiocli.dsp.cepstral import _savitzky_golay

    expected = savgol_coeffs(width, polyorder=order, deriv=order, use="dot")
    assert _savitzky_golay(width, order).tobytes() == expected.tobytes()
