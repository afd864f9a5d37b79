"""BSS Eval against mir_eval, fast_bss_eval and scores that are known in closed form."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from audiocli.errors import DataError
from audiocli.tasks.separate.bss_eval import FILTER_LENGTH, BssEval, bss_eval, weighted_mean

Signals = NDArray[np.float64]


def coloured(sources: int, samples: int, seed: int = 0) -> Signals:
    """Noise with resonances of its own for each source: as well conditioned as speech."""
    noise = np.random.default_rng(seed).standard_normal((sources, samples))
    return np.stack(
        [
            scipy.signal.lfilter([1.0], [1.0, -1.8 * np.cos(0.2 + 0.5 * index), 0.81], row)
            for index, row in enumerate(noise)
        ]
    )


def separated(references: Signals, seed: int = 1) -> Signals:
    """Make what a separator might: filtered, with some of the others and some noise."""
    rng = np.random.default_rng(seed)
    filtered = scipy.signal.lfilter(
        rng.standard_normal(700) * 0.99 ** np.arange(700), 1, references
    )
    leaked = 0.2 * np.roll(references, 1, axis=0)
    noise = rng.standard_normal(references.shape) * references.std(axis=-1, keepdims=True)
    return np.asarray(filtered + leaked + 0.05 * noise)


def orthonormal(signals: int, samples: int, seed: int = 0) -> Signals:
    """White signals of unit energy, without any correlation."""
    noise = np.random.default_rng(seed).standard_normal((samples, signals))
    return np.linalg.qr(noise)[0].T


def mir_eval_scores(references: Signals, estimates: Signals) -> tuple[Signals, ...]:
    separation = pytest.importorskip("mir_eval.separation")
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # its deprecation is why there is audiocli.tasks.separate.bss_eval
        scores = separation.bss_eval_sources(references, estimates, compute_permutation=False)
    return tuple(scores[:3])


def assert_close(scores: BssEval, expected: tuple[Signals, ...], decibels: float) -> None:
    for ratio, other in zip((scores.sdr, scores.sir, scores.sar), expected, strict=True):
        np.testing.assert_allclose(ratio, other, rtol=0, atol=decibels)


@pytest.mark.parametrize("sources", [1, 2, 3])
def test_agrees_with_mir_eval(sources: int) -> None:
    references = coloured(sources, 12_000)
    estimates = separated(references)
    scores = bss_eval(references, estimates)
    expected = mir_eval_scores(references, estimates)
    if sources == 1:  # nothing can interfere: rounding decides how far above 200 dB
        assert scores.sir[0] > 200 and expected[1][0] > 200
        scores = dataclasses.replace(scores, sir=expected[1])
    assert_close(scores, expected, 1e-6)


def test_agrees_with_mir_eval_at_an_odd_length_and_unlike_levels() -> None:
    references = coloured(2, 10_007) * [[1e-4], [30.0]]
    estimates = separated(references)
    assert_close(bss_eval(references, estimates), mir_eval_scores(references, estimates), 1e-6)


@pytest.mark.parametrize("filter_length", [1, 128])
def test_agrees_with_fast_bss_eval(filter_length: int) -> None:
    torch = pytest.importorskip("torch")
    fast_bss_eval = pytest.importorskip("fast_bss_eval")
    references = coloured(2, 12_000)
    estimates = separated(references)
    # its numpy side does not work with numpy 2, its torch side does
    expected = fast_bss_eval.bss_eval_sources(
        torch.from_numpy(references),
        torch.from_numpy(estimates),
        filter_length=filter_length,
        compute_permutation=False,
    )
    scores = bss_eval(references, estimates, filter_length=filter_length)
    assert_close(scores, tuple(ratio.numpy() for ratio in expected[:3]), 1e-6)


def test_a_gain_decomposition_is_the_least_squares_fit() -> None:
    references = coloured(3, 2_000)
    estimates = separated(references)
    scores = bss_eval(references, estimates, filter_length=1)
    for index, estimate in enumerate(estimates):
        own = references[index]
        target = own * (own @ estimate) / (own @ own)
        explained = references.T @ np.linalg.lstsq(references.T, estimate, rcond=None)[0]

        def decibels(wanted: Signals, unwanted: Signals) -> float:
            return float(10 * np.log10((wanted @ wanted) / (unwanted @ unwanted)))

        assert scores.sdr[index] == pytest.approx(decibels(target, estimate - target))
        assert scores.sir[index] == pytest.approx(decibels(target, explained - target))
        assert scores.sar[index] == pytest.approx(decibels(explained, estimate - explained))


@pytest.mark.parametrize("decibels", [-10.0, 0.0, 17.0, 60.0])
def test_noise_of_known_power_sets_sdr_and_sar(decibels: float) -> None:
    *references, noise = orthonormal(3, 4_000)
    estimates = np.stack(references) + 10 ** (-decibels / 20) * noise
    scores = bss_eval(references, estimates, filter_length=1)
    np.testing.assert_allclose(scores.sdr, decibels, atol=1e-9)
    np.testing.assert_allclose(scores.sar, decibels, atol=1e-9)
    assert (scores.sir > 200).all()


def test_a_mix_of_orthogonal_sources_sets_sir() -> None:
    references = orthonormal(2, 4_000)
    mixture = 0.9 * references[0] - 0.3 * references[1]
    scores = bss_eval(references, [mixture, mixture], filter_length=1)
    expected = 20 * np.log10(3.0)
    np.testing.assert_allclose(scores.sir, [expected, -expected], atol=1e-9)
    np.testing.assert_allclose(scores.sdr, [expected, -expected], atol=1e-9)
    assert (scores.sar > 200).all()


def test_a_filter_of_up_to_512_taps_is_no_distortion_in_version_3_only() -> None:
    references = coloured(2, 6_000)
    references[:, -99:] = 0.0  # room for the filter to ring out
    taps = np.random.default_rng(2).standard_normal(100)
    estimates = scipy.signal.lfilter(taps, 1, references)
    assert (bss_eval(references, estimates).sdr > 100).all()
    assert (bss_eval(references, estimates, filter_length=99).sdr < 40).all()
    assert (bss_eval(references, estimates, filter_length=1).sdr < 10).all()


def test_a_delay_is_forgiven_and_an_advance_is_not() -> None:
    reference = coloured(1, 6_000)
    reference[:, :600] = reference[:, -600:] = 0.0
    assert bss_eval(reference, np.roll(reference, 511)).sdr[0] > 100
    assert bss_eval(reference, np.roll(reference, 512)).sdr[0] < 50
    assert bss_eval(reference, np.roll(reference, -511)).sdr[0] < 50


@settings(max_examples=25, deadline=None)
@given(
    levels=st.lists(st.floats(-12, 12), min_size=4, max_size=4),
    signs=st.lists(st.sampled_from([-1.0, 1.0]), min_size=4, max_size=4),
    filter_length=st.sampled_from([1, 16]),
)
def test_level_and_sign_do_not_matter(
    levels: list[float], signs: list[float], filter_length: int
) -> None:
    references = coloured(2, 500)
    estimates = separated(references)
    gains = (np.array(signs) * 10 ** np.array(levels)).reshape(2, 2, 1)
    scores = bss_eval(references, estimates, filter_length=filter_length)
    scaled = bss_eval(gains[0] * references, gains[1] * estimates, filter_length=filter_length)
    assert_close(scaled, (scores.sdr, scores.sir, scores.sar), 1e-8)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), filter_length=st.integers(1, 40))
def test_the_parts_are_orthogonal_so_that_their_energies_add_up(
    seed: int, filter_length: int
) -> None:
    references = coloured(2, 400, seed)
    scores = bss_eval(references, separated(references, seed), filter_length=filter_length)
    sdr, sir, sar = (10 ** (ratio / 10) for ratio in (scores.sdr, scores.sir, scores.sar))
    # with a target energy of 1: 1/sdr = interference + artifacts, 1/sir = interference, and
    # sar = (1 + interference) / artifacts
    np.testing.assert_allclose(1 / sdr, 1 / sir + (1 + 1 / sir) / sar, rtol=1e-6)


def test_a_stack_of_sets_scores_as_each_alone() -> None:
    references = coloured(2, 3_000)
    sets = np.stack([separated(references, seed) for seed in range(3)]).astype(np.float32)
    scores = bss_eval(references, sets, filter_length=20)
    assert scores.sdr.shape == scores.sir.shape == scores.sar.shape == (3, 2)
    for index, estimates in enumerate(sets):
        alone = bss_eval(references, estimates, filter_length=20)
        np.testing.assert_array_equal(scores.sar[index], alone.sar)
        np.testing.assert_array_equal(scores.sdr[index], alone.sdr)


def test_arguments_are_left_as_they_were() -> None:
    references = coloured(2, 500)
    estimates = separated(references)
    copies = references.copy(), estimates.copy()
    bss_eval(references, estimates, filter_length=4)
    np.testing.assert_array_equal(references, copies[0])
    np.testing.assert_array_equal(estimates, copies[1])


def test_band_limited_references_get_the_scores_of_least_squares() -> None:
    # empty above 1/8 of the band: the Gram matrix is singular to working precision
    lowpass = scipy.signal.butter(12, 0.125, output="sos")
    references = scipy.signal.sosfilt(lowpass, coloured(2, 3_000))
    estimates = separated(references)
    delays = 100
    padded = np.pad(references, ((0, 0), (0, delays - 1)))
    columns = np.concatenate([[np.roll(row, lag) for lag in range(delays)] for row in padded]).T
    columns /= np.linalg.norm(columns, axis=0)
    fits, residuals = [], []
    for index, estimate in enumerate(np.pad(estimates, ((0, 0), (0, delays - 1)))):
        own = columns[:, index * delays : (index + 1) * delays]
        for basis in (own, columns):
            fit = basis @ np.linalg.lstsq(basis, estimate, rcond=1e-7)[0]
            fits.append(fit @ fit)
            residuals.append((estimate - fit) @ (estimate - fit))
    expected = 10 * np.log10(np.array(fits) / np.array(residuals))
    scores = bss_eval(references, estimates, filter_length=delays)
    np.testing.assert_allclose(scores.sdr, expected[::2], atol=0.01)
    np.testing.assert_allclose(scores.sar, expected[1::2], atol=0.01)


@pytest.mark.parametrize(
    "reference",
    [np.ones(900), np.sin(0.3 * np.arange(900)), np.eye(1, 900)[0], np.eye(1, 50)[0]],
    ids=["constant", "sine", "click", "shorter than the filter"],
)
def test_singular_references_have_scores(reference: Signals) -> None:
    noise = np.random.default_rng(3).standard_normal(len(reference))
    same_twice = bss_eval([reference] * 2, [reference + noise, noise], filter_length=100)
    assert np.isfinite(same_twice.sdr).all() and np.isfinite(same_twice.sar).all()
    pair = [reference, noise]
    assert (bss_eval(pair, pair, filter_length=100).sdr > 60).all()


def test_a_perfect_estimate_scores_above_200_decibels() -> None:
    references = coloured(2, 4_000)
    for filter_length in (1, FILTER_LENGTH):
        scores = bss_eval(references, references, filter_length=filter_length)
        assert (np.concatenate([scores.sdr, scores.sir, scores.sar]) > 200).all()


def test_a_silent_estimate_scores_nan_and_the_others_are_not_touched() -> None:
    references = coloured(2, 1_000)
    estimates = separated(references)
    both = bss_eval(references, estimates, filter_length=8)
    estimates[0] = 0.0
    scores = bss_eval(references, estimates, filter_length=8)
    for ratio, before in ((scores.sdr, both.sdr), (scores.sir, both.sir), (scores.sar, both.sar)):
        assert np.isnan(ratio[0]) and ratio[1] == before[1]


def test_a_silent_reference_is_named() -> None:
    references = coloured(2, 100)
    references[1] = 0.0
    with pytest.raises(DataError, match="source 2 of 2 is silent"):
        bss_eval(references, references)


@pytest.mark.parametrize(
    ("references", "estimates", "filter_length", "message"),
    [
        (np.ones((2, 5)), np.ones((2, 4)), 1, "shape"),
        (np.ones((2, 5)), np.ones((3, 5)), 1, "shape"),
        (np.ones(5), np.ones(5), 1, "shape"),
        (np.ones((2, 0)), np.ones((2, 0)), 1, "shape"),
        (np.ones((1, 5)), np.full((1, 5), np.nan), 1, "estimates hold"),
        (np.full((1, 5), np.inf), np.ones((1, 5)), 1, "references hold"),
        (np.ones((1, 5)), np.ones((1, 5)), 0, "filter_length"),
    ],
)
def test_refuses_what_has_no_score(
    references: Signals, estimates: Signals, filter_length: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        bss_eval(references, estimates, filter_length=filter_length)


def test_weighted_mean_weighs_by_length() -> None:
    assert float(weighted_mean([1.0, 4.0], [2.0, 1.0])) == pytest.approx(2.0)
    values = np.arange(12.0).reshape(3, 2, 2)
    means = weighted_mean(values, [1, 1, 2])
    np.testing.assert_allclose(means, (values[0] + values[1] + 2 * values[2]) / 4)


def test_weighted_mean_hides_no_clip() -> None:
    inf, nan = np.inf, np.nan
    values = [[inf, -inf, inf, nan, 1.0], [1.0, 1.0, -inf, 1.0, 1.0]]
    np.testing.assert_array_equal(weighted_mean(values, [1, 2]), [inf, -inf, nan, nan, 1.0])


@pytest.mark.parametrize(
    ("values", "lengths"),
    [([1.0], [0.0]), ([1.0, 2.0], [1.0, -1.0]), ([1.0], [np.nan]), ([1.0], [1.0, 2.0]), ([], [])],
)
def test_weighted_mean_refuses_lengths_that_are_none(
    values: list[float], lengths: list[float]
) -> None:
    with pytest.raises(ValueError, match="length"):
        weighted_mean(values, lengths)
