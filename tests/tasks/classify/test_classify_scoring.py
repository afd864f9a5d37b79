"""Measures of labels and probabilities: known answers, properties, scikit-learn as the oracle."""

from __future__ import annotations

import math
import time
import warnings

import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given
from hypothesis import strategies as st

from audiocli.errors import DataError
from audiocli.tasks.classify.scoring import (
    BINS,
    COLDEST,
    HOTTEST,
    LabelScores,
    accuracy,
    average_precision,
    bootstrap,
    calibration_error,
    confusion,
    equal_error_rate,
    fit_temperature,
    macro_f1,
    roc_auc,
)

NAMES = np.array(["cat", "cow", "dog", "unknown"])


def guesses(seed: int, clips: int = 40) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return NAMES[random.integers(0, 3, clips)], NAMES[random.integers(0, 4, clips)]


def tags(seed: int, clips: int = 40, labels: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Targets and scores, with many ties."""
    random = np.random.default_rng(seed)
    return random.random((clips, labels)) < 0.3, random.integers(0, 10, (clips, labels)) / 10


@pytest.mark.parametrize("seed", range(5))
def test_labels_agree_with_scikit_learn(seed: int) -> None:
    reference, guess = guesses(seed)
    assert accuracy(reference, guess) == pytest.approx(oracle.accuracy_score(reference, guess))
    expected = oracle.f1_score(reference, guess, average="macro", zero_division=0)
    assert macro_f1(reference, guess) == pytest.approx(expected)
    expected = oracle.f1_score(reference, guess, average="macro", labels=NAMES[:3])
    assert macro_f1(reference, guess, labels=NAMES[:3]) == pytest.approx(expected)
    matrix = confusion(reference, guess, NAMES)
    assert np.array_equal(matrix, oracle.confusion_matrix(reference, guess, labels=NAMES))


@pytest.mark.parametrize("seed", range(5))
def test_curves_agree_with_scikit_learn(seed: int) -> None:
    reference, scores = tags(seed)
    for measure, expected in (
        (roc_auc, oracle.roc_auc_score),
        (average_precision, oracle.average_precision_score),
    ):
        found = measure(reference, scores)
        assert found.values == pytest.approx(expected(reference, scores, average=None))
        assert found.mean == pytest.approx(expected(reference, scores, average="macro"))
        assert found.left_out == 0


@pytest.mark.parametrize("measure", [roc_auc, average_precision])
def test_labels_with_one_class_are_left_out_and_counted(measure) -> None:
    reference, scores = tags(1)
    some = measure(reference, scores)
    reference, scores = np.pad(reference, ((0, 0), (0, 2))), np.pad(scores, ((0, 0), (0, 2)))
    reference[:, -1] = True
    more = measure(reference, scores)
    assert more.left_out == 2 and np.isnan(more.values[-2:]).all()
    assert more.mean == some.mean
    nothing = measure(reference[:, -2:], scores[:, -2:])
    assert isinstance(nothing, LabelScores) and math.isnan(nothing.mean)


@given(st.integers(0, 10_000))
def test_weights_are_numbers_of_repetitions(seed: int) -> None:
    reference, guess = guesses(seed, 20)
    flags, scores = tags(seed, 20)
    times = np.random.default_rng(seed).integers(0, 3, 20)
    times[0] = 1
    again, weights = np.repeat(np.arange(20), times), times[None].astype(float)
    assert accuracy(reference, guess, weights)[0] == pytest.approx(
        accuracy(reference[again], guess[again])
    )
    assert macro_f1(reference, guess, weights)[0] == pytest.approx(
        macro_f1(reference[again], guess[again])
    )
    for measure in (roc_auc, average_precision):
        weighted, repeated = measure(flags, scores, weights), measure(flags[again], scores[again])
        assert weighted[0] == pytest.approx(repeated.mean, nan_ok=True)
    for shape in (slice(None), 0):
        weighted = calibration_error(scores[:, shape], flags[:, shape], weights)
        repeated = calibration_error(scores[again][:, shape], flags[again][:, shape])
        assert weighted[0] == pytest.approx(repeated)


def test_what_is_no_label_is_named() -> None:
    with pytest.raises(ValueError, match="among the labels: unknown"):
        confusion(["cat"], ["unknown"], ["cat", "dog"])
    assert confusion([2, 0], [2, 1], [0, 1, 2]).tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 1]]


def test_nothing_has_no_score() -> None:
    assert math.isnan(accuracy([], [])) and math.isnan(macro_f1([], []))
    assert math.isnan(calibration_error(np.zeros(0), np.zeros(0)))
    assert confusion([], [], ["a"]).tolist() == [[0]]
    assert math.isnan(roc_auc(np.zeros((0, 2)), np.zeros((0, 2))).mean)


def test_equal_error_rate_of_two_normal_distributions() -> None:
    random = np.random.default_rng(0)
    same, different = random.normal(1, 1, 20_000), random.normal(-1, 1, 50_000)
    rate, threshold = equal_error_rate(same, different)
    assert rate == pytest.approx(0.5 * math.erfc(1 / math.sqrt(2)), abs=0.005)
    assert threshold == pytest.approx(0, abs=0.05)
    assert (same < threshold).mean() == pytest.approx(rate, abs=1e-3)
    assert (different >= threshold).mean() == pytest.approx(rate, abs=1e-3)


@pytest.mark.parametrize(
    ("same", "different", "rate", "threshold"),
    [
        ([0.9, 0.8], [0.2, 0.1], 0.0, 0.5),  # in the middle of what tells them apart
        ([0.2, 0.1], [0.9, 0.8], 1.0, None),
        ([0.5, 0.5], [0.5], 0.5, 0.5),
        ([0.9, 0.3], [0.5, 0.1], 0.5, None),
    ],
)
def test_equal_error_rate_by_hand(
    same: list[float], different: list[float], rate: float, threshold: float | None
) -> None:
    found, at = equal_error_rate(same, different)
    assert found == pytest.approx(rate)
    assert threshold is None or at == pytest.approx(threshold)


@given(st.integers(0, 10_000))
def test_equal_error_rate_agrees_with_the_roc_curve(seed: int) -> None:
    random = np.random.default_rng(seed)
    same, different = random.integers(2, 12, 30) / 10, random.integers(0, 10, 20) / 10
    rate, threshold = equal_error_rate(same, different)
    reference = np.repeat([1, 0], [30, 20])
    false, found, _ = oracle.roc_curve(
        reference, np.concatenate([same, different]), drop_intermediate=False
    )
    # On the straight lines between points of the curve, where misses and false alarms meet.
    along = np.interp(np.linspace(0, len(false) - 1, 20_001), np.arange(len(false)), false)
    misses = 1 - np.interp(np.linspace(0, len(false) - 1, 20_001), np.arange(len(false)), found)
    assert rate == pytest.approx(along[np.abs(along - misses).argmin()], abs=2e-3)
    both = np.concatenate([same, different])
    assert both.min() <= threshold <= both.max()
    weights = random.integers(0, 3, 50)
    weights[[0, -1]] = 1
    weighted = equal_error_rate(same, different, (weights[None, :30] * 1.0, weights[None, 30:]))
    again = equal_error_rate(np.repeat(same, weights[:30]), np.repeat(different, weights[30:]))
    assert weighted[0] == pytest.approx(again[0])


def test_equal_error_rate_needs_both_kinds() -> None:
    with pytest.raises(DataError, match="two speakers or more"):
        equal_error_rate([0.5], [])


def test_calibration_error_by_hand() -> None:
    # Three clips in the last bin, two right; one in the first, right.
    confidence, right = np.array([0.95, 0.95, 1.0, 0.0]), np.array([1, 0, 1, 1])
    expected = (abs(2.9 - 2) + abs(0.0 - 1)) / 4
    assert calibration_error(confidence, right) == pytest.approx(expected)
    # Edges belong to the bin below: 1/15 is in the first bin, with 0.
    assert BINS == 15
    edge = calibration_error(np.array([0.05, 1 / 15]), np.array([1, 0]))
    assert edge == pytest.approx((0.95 - 1 / 15) / 2)


def test_calibrated_probabilities_have_no_error() -> None:
    random = np.random.default_rng(0)
    confidence = random.random(200_000)
    right = random.random(200_000) < confidence
    assert calibration_error(confidence, right) < 0.006
    assert calibration_error(np.sqrt(confidence), right) > 0.1


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_labels_is_found(temperature: float) -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, (20_000, 5))
    noise = random.gumbel(size=logits.shape)
    reference = (logits + noise).argmax(axis=1)  # drawn from the softmax of the logits
    assert fit_temperature(logits * temperature, reference) == pytest.approx(temperature, rel=0.05)
    flags = random.random(logits.shape) < 1 / (1 + np.exp(-logits))
    assert fit_temperature(logits * temperature, flags) == pytest.approx(temperature, rel=0.05)


def test_a_temperature_has_ends_and_no_overflow() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        right = fit_temperature(np.eye(3) * 2.0, np.arange(3))
        wrong = fit_temperature(np.eye(3) * 1e4, np.array([1, 2, 0]))
    assert right == pytest.approx(COLDEST, rel=1e-3)
    assert wrong == pytest.approx(HOTTEST, rel=1e-3)


def test_the_interval_is_that_of_the_binomial_distribution() -> None:
    right = np.arange(400) < 300
    low, high = bootstrap(lambda weights: accuracy(right, np.ones(400), weights), range(400))
    error = 1.96 * math.sqrt(0.75 * 0.25 / 400)
    assert (low, high) == pytest.approx((0.75 - error, 0.75 + error), abs=0.008)


def test_few_groups_make_the_interval_wide() -> None:
    reference = np.ones(400)
    guess = np.tile([1, 0, 1, 1], 100)
    groups = np.tile(["a", "b", "c", "d"], 100)

    def statistic(weights: np.ndarray) -> np.ndarray:
        return accuracy(reference, guess, weights)

    by_clip, by_group = bootstrap(statistic, range(400)), bootstrap(statistic, groups)
    assert by_group[1] - by_group[0] > 5 * (by_clip[1] - by_clip[0])
    assert bootstrap(statistic, groups) == by_group  # the same seed
    assert bootstrap(statistic, groups, count=10, seed=1) != by_group
    for one in (np.zeros(400, int), ["a"] * 400):
        assert all(math.isnan(end) for end in bootstrap(statistic, one))


def test_an_interval_of_nothing_is_nothing() -> None:
    flags, scores = np.ones((10, 1)), np.zeros((10, 1))
    ends = bootstrap(lambda weights: roc_auc(flags, scores, weights), range(10))
    assert all(math.isnan(end) for end in ends)


def test_a_thousand_resamples_of_a_thousand_clips_are_quick() -> None:
    flags, scores = tags(0, 1000, 50)
    reference, guess = guesses(0, 1000)
    started = time.process_time()
    for statistic in (
        lambda weights: roc_auc(flags, scores + 0.01 * np.arange(1000)[:, None], weights),
        lambda weights: macro_f1(reference, guess, weights),
    ):
        low, high = bootstrap(statistic, np.arange(1000) // 5)
        assert low < high
    assert time.process_time() - started < 4  # far more than it takes, for busy machines
