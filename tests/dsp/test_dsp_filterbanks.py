"""Perceptual scales and filterbanks: librosa's, HTK's and the PLP paper's numbers."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiocli.dsp.filterbanks import (
    BarkScale,
    MelScale,
    apply_filterbank,
    bark_centres,
    bark_filterbank,
    bark_to_hz,
    hz_to_bark,
    hz_to_mel,
    mel_filterbank,
    mel_to_hz,
)
from audiocli.errors import UsageError

# Zwicker's critical bands: band z reaches from edge z - 1 to edge z (in Bark).
ZWICKER = [100, 200, 300, 400, 510, 630, 770, 920, 1080, 1270, 1480, 1720, 2000]
ZWICKER += [2320, 2700, 3150, 3700, 4400, 5300, 6400, 7700, 9500, 12000, 15500]


@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_mel_is_librosas(scale: MelScale) -> None:
    hz = np.linspace(0, 24000, 4001)
    htk = scale == "htk"
    mel = hz_to_mel(hz, scale)
    np.testing.assert_allclose(mel, librosa.hz_to_mel(hz, htk=htk), rtol=1e-12)
    np.testing.assert_allclose(mel_to_hz(mel, scale), librosa.mel_to_hz(mel, htk=htk), rtol=1e-12)


@given(hz=st.floats(0, 40000), scale=st.sampled_from(["slaney", "htk"]))
def test_mel_and_back(hz: float, scale: MelScale) -> None:
    assert mel_to_hz(hz_to_mel(hz, scale), scale) == pytest.approx(hz, rel=1e-9, abs=1e-9)


@given(
    hz=st.floats(0, 22050),
    step=st.floats(0.01, 100),
    scale=st.sampled_from(["traunmueller", "schroeder"]),
)
def test_bark_and_back(hz: float, step: float, scale: BarkScale) -> None:
    assert bark_to_hz(hz_to_bark(hz, scale), scale) == pytest.approx(hz, rel=1e-9, abs=1e-9)
    assert hz_to_bark(hz + step, scale) > hz_to_bark(hz, scale)


def test_traunmueller_follows_zwickers_table() -> None:
    bark = hz_to_bark(np.array(ZWICKER, np.float64))
    assert np.abs(bark - np.arange(1, 25)).max() < 0.2
    within = slice(2, 19)  # the range for which he gives the error without corrections
    assert np.abs(bark - np.arange(1, 25))[within].max() < 0.06


def test_schroeders_bark_has_its_values() -> None:
    # 5 kHz are 16.9 Bark, from the paper.
    assert hz_to_bark(5000.0, "schroeder") == pytest.approx(16.9, abs=0.05)
    assert hz_to_bark(600.0 * np.sinh(1.0), "schroeder") == pytest.approx(6.0)


@pytest.mark.parametrize("norm", ["slaney", None])
@pytest.mark.parametrize("htk", [True, False])
@pytest.mark.parametrize(
    ("rate", "n_fft", "n_mels", "fmin", "fmax"),
    [(22050, 2048, 128, 0.0, None), (16000, 512, 40, 20.0, 7600.0), (44100, 4096, 80, 27.5, 16000)],
)
def test_mel_filterbank_is_librosas(
    rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float | None, htk: bool, norm: None
) -> None:
    scale: MelScale = "htk" if htk else "slaney"
    ours = mel_filterbank(rate, n_fft, n_mels, fmin, fmax, scale=scale, norm=norm)
    theirs = librosa.filters.mel(
        sr=rate, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax, htk=htk, norm=norm
    )
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-9)


def test_bands_straight_over_mel_are_htks() -> None:
    # HTK's own loop (HSigP.c, InitFBank): a bin gives one weight to the band below and the rest
    # to the band above.
    rate, n_fft, bands = 16000, 512, 26
    top = 1127.0 * np.log(1 + rate / 2 / 700)
    centres = np.arange(1, bands + 2) / (bands + 1) * top
    wanted = np.zeros((bands, n_fft // 2 + 1))
    for k in range(1, n_fft // 2):
        mel = 1127.0 * np.log(1 + k * rate / n_fft / 700)
        above = int(np.searchsorted(centres, mel))
        low = centres[above - 1] if above else 0.0
        share = (centres[above] - mel) / (centres[above] - low)
        if above > 0:
            wanted[above - 1, k] = share
        if above < bands:
            wanted[above, k] = 1 - share
    ours = mel_filterbank(rate, n_fft, bands, scale="htk", norm=None, slopes="mel")
    np.testing.assert_allclose(ours, wanted, atol=2e-5)  # 1127 is 2595 / ln(10), rounded


@given(
    rate=st.sampled_from([8000, 16000, 22050, 44100]),
    n_mels=st.integers(2, 60),
    slopes=st.sampled_from(["hz", "mel"]),
)
def test_triangles_of_height_one_add_up_to_one(rate: int, n_mels: int, slopes: str) -> None:
    bank = mel_filterbank(rate, 1024, n_mels, scale="htk", norm=None, slopes=slopes)
    edges = mel_to_hz(np.linspace(0, hz_to_mel(rate / 2, "htk"), n_mels + 2), "htk")
    bins = np.fft.rfftfreq(1024, 1 / rate)
    inside = (bins >= edges[1]) & (bins <= edges[-2])
    np.testing.assert_allclose(bank.sum(axis=0)[inside], 1.0, atol=1e-5)


def test_areas_over_hz_are_one() -> None:
    bank = mel_filterbank(22050, 8192, 40)
    np.testing.assert_allclose(bank.sum(axis=1) * 22050 / 8192, 1.0, rtol=0.01)


@pytest.mark.parametrize(
    ("fmin", "fmax"), [(0.0, 8001.0), (-1.0, 4000.0), (4000.0, 4000.0), (9000.0, None)]
)
def test_impossible_edges_are_refused(fmin: float, fmax: float | None) -> None:
    with pytest.raises(UsageError, match="choose 0 <= fmin < fmax <= 8000"):
        mel_filterbank(16000, 512, 40, fmin, fmax)


def test_no_bands_are_refused() -> None:
    with pytest.raises(UsageError, match="0 mel bands are not possible"):
        mel_filterbank(16000, 512, 0)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UsageError, match="unknown scale 'slany': did you mean 'slaney'"):
        hz_to_mel(1.0, "slany")
    with pytest.raises(UsageError, match="unknown scale 'mel'"):
        mel_to_hz(1.0, "mel")
    with pytest.raises(UsageError, match="unknown scale 'zwicker'"):
        hz_to_bark(1.0, "zwicker")
    with pytest.raises(UsageError, match="unknown scale 'zwicker'"):
        bark_to_hz(1.0, "zwicker")
    with pytest.raises(UsageError, match="unknown slopes 'bark'"):
        mel_filterbank(16000, 512, slopes="bark")
    with pytest.raises(UsageError, match="unknown norm 'area'"):
        mel_filterbank(16000, 512, norm="area")


def test_filterbanks_are_shared_and_cannot_be_changed() -> None:
    bank = mel_filterbank(16000, 512, 40)
    assert mel_filterbank(16000, 512, 40) is bank
    with pytest.raises(ValueError, match="read-only"):
        bank[0, 0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        bark_filterbank(16000, 512)[0, 0] = 1.0


@pytest.mark.parametrize(("rate", "bands"), [(10000, 18), (8000, 17), (16000, 21), (44100, 27)])
def test_critical_bands_cover_the_spectrum(rate: int, bands: int) -> None:
    centres = bark_centres(rate)
    steps = np.diff(hz_to_bark(centres, "schroeder"))
    assert (len(centres), centres[0], round(centres[-1])) == (bands, 0.0, rate // 2)
    np.testing.assert_allclose(steps, steps[0])
    assert 0.9 < steps[0] <= 1.0
    assert bark_filterbank(rate, 2048).shape == (bands, 1025)
    assert bark_filterbank(rate, 2048, 12).shape == (12, 1025)


def masking_curve(bark: float) -> float:
    """Equation 4 of the paper, as printed."""
    if bark < -1.3 or bark > 2.5:
        return 0.0
    if bark <= -0.5:
        return float(10 ** (2.5 * (bark + 0.5)))
    return 1.0 if bark < 0.5 else float(10 ** (-1.0 * (bark - 0.5)))


def test_critical_bands_are_the_papers_convolution() -> None:
    rate, n_fft = 10000, 512
    power = np.random.default_rng(1).random(n_fft // 2 + 1)
    bins = 6 * np.arcsinh(np.arange(n_fft // 2 + 1) * rate / n_fft / 600)
    wanted = [
        sum(p * masking_curve(centre - z) for p, z in zip(power, bins, strict=True))
        for centre in np.linspace(0, bins[-1], 18)
    ]
    ours = apply_filterbank(power[np.newaxis], bark_filterbank(rate, n_fft))[0]
    np.testing.assert_allclose(ours, wanted, rtol=1e-6)


def test_a_tone_reaches_further_above_than_below() -> None:
    bank = bark_filterbank(16000, 2048)
    tone = np.zeros((1, 1025), np.float32)
    tone[0, 128] = 1.0  # 1000 Hz
    weights = apply_filterbank(tone, bank)[0]
    centre = np.searchsorted(bark_centres(16000), 1000.0)
    assert weights[centre + 1] > 0.05
    assert weights[centre - 3] == 0


@given(
    frames=st.integers(0, 5), bands=st.integers(1, 70), dtype=st.sampled_from([np.float32, float])
)
def test_applying_is_a_matrix_product(frames: int, bands: int, dtype: type) -> None:
    spectrum = np.random.default_rng(frames).random((frames, 257)).astype(dtype)
    bank = mel_filterbank(16000, 512, bands)
    out = apply_filterbank(spectrum, bank)
    assert (out.shape, out.dtype) == ((frames, bands), dtype)
    np.testing.assert_allclose(out, spectrum @ bank.T, rtol=2e-5, atol=1e-9)


def test_bands_without_bins_are_zero() -> None:
    bank = mel_filterbank(44100, 512, 128)
    assert (bank.sum(axis=1) == 0).any()
    out = apply_filterbank(np.ones((2, 257), np.float32), bank)
    np.testing.assert_array_equal(out[:, bank.sum(axis=1) == 0], 0)
    nothing = np.zeros((3, 257), np.float32)
    np.testing.assert_array_equal(apply_filterbank(np.ones((2, 257), np.float32), nothing), 0)
