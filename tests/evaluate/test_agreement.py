"""Agreement and calibration against their formulas, written differently, and against scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.errors import DataError
from lilliput.evaluate.agreement import (
    calibration_error,
    confident_agreement,
    fit_temperature,
    label_agreement,
    negative_log_likelihood,
    softmax,
)
from lilliput.evaluate.intervals import wilson


def noisy_logits(n=800, classes=3, seed=0):
    """Labels drawn from softmax(logits), so that the logits are calibrated by construction."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (n, classes))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (probabilities.cumsum(axis=1) < random.random((n, 1))).sum(axis=1)
    return logits, labels


def test_label_agreement_is_the_share_of_equal_labels():
    ours = label_agreement([0, 1, 2, 2], [0, 1, 1, 2])
    assert (ours.value, ours.n) == (0.75, 4)


def test_confident_agreement_counts_only_confident_examples():
    reference = [[0.95, 0.05], [0.10, 0.90], [0.40, 0.60], [0.02, 0.98]]
    ours = confident_agreement(reference, [0, 0, 0, 1], confidence=0.9)
    assert ours is not None
    assert (ours.value, ours.n) == (pytest.approx(2 / 3), 3)
    assert confident_agreement(reference, [0, 0, 0, 1], confidence=0.99) is None


def test_calibration_error_is_the_sum_over_bins():
    logits, labels = noisy_logits()
    probabilities = softmax(logits, 0.5)
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    expected = 0.0
    for m in range(1, 16):
        inside = (confidence > (m - 1) / 15) & (confidence <= m / 15)
        if inside.any():
            expected += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    ours = calibration_error(probabilities, labels)
    assert ours.value == pytest.approx(expected, abs=1e-12)
    assert ours.low < ours.high
    assert expected > 0.05  # logits scaled by two are overconfident: an error of zero would show


def test_calibration_bins_include_their_upper_edge():
    # Confidence 0.6 = 9/15 belongs to the bin (8/15, 9/15], as does 0.55; so there is one gap, (0.6 + 0.55 - 1) / 2.
    assert calibration_error([[0.6, 0.4], [0.55, 0.45]], [0, 1]).value == pytest.approx(0.075, abs=1e-12)


def test_certain_and_correct_classifier_has_no_calibration_error():
    ours = calibration_error([[1.0, 0.0], [0.0, 1.0]], [0, 1])
    assert (ours.value, ours.low, ours.high, ours.n) == (0.0, 0.0, wilson(0, 2).high, 2)


@pytest.mark.parametrize("n", [1, 2])
def test_a_few_examples_that_are_alike_leave_the_calibration_error_open(n):
    ours = calibration_error([[0.7, 0.3]] * n, [0] * n)
    assert ours.value == pytest.approx(0.3)
    assert 0 <= ours.low < ours.value - 0.2
    assert ours.value + 0.6 < ours.high <= 1


@given(st.lists(st.lists(st.floats(-500, 500), min_size=3, max_size=3), min_size=1, max_size=5), st.floats(0.05, 20.0))
def test_softmax_sums_to_one_without_overflow(logits, temperature):
    probabilities = softmax(logits, temperature)
    assert np.isfinite(probabilities).all()
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(len(logits)), abs=1e-12)


def test_negative_log_likelihood_matches_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics", reason="needs scikit-learn (extra evaluate)")
    logits, labels = noisy_logits()
    ours = negative_log_likelihood(logits, labels, 1.7)
    assert ours == pytest.approx(metrics.log_loss(labels, softmax(logits, 1.7)), abs=1e-12)


@pytest.mark.parametrize("scale", [0.25, 1.0, 3.0])
def test_temperature_undoes_a_scale_and_minimizes_the_loss(scale):
    logits, labels = noisy_logits()
    temperature = fit_temperature(logits * scale, labels)
    # 800 examples determine the temperature within about 5 %.
    assert temperature == pytest.approx(scale, rel=0.15)
    best = negative_log_likelihood(logits * scale, labels, temperature)
    grid = [negative_log_likelihood(logits * scale, labels, t) for t in np.geomspace(0.05, 20, 400)]
    assert best <= min(grid) + 1e-12


def test_temperature_matches_a_general_optimizer():
    optimize = pytest.importorskip("scipy.optimize", reason="scipy comes with scikit-learn (extra evaluate)")
    logits, labels = noisy_logits(seed=5)
    reference = optimize.minimize_scalar(
        lambda t: negative_log_likelihood(logits * 2, labels, t), bounds=(0.05, 20), options={"xatol": 1e-10}
    )
    assert fit_temperature(logits * 2, labels) == pytest.approx(reference.x, rel=1e-5)


def test_temperature_stops_at_the_ends_of_its_range():
    assert fit_temperature([[2.0, 0.0], [0.0, 2.0]], [0, 1]) == 0.05  # never wrong: the sharper, the better
    assert fit_temperature([[2.0, 0.0], [0.0, 2.0]], [1, 0]) == 20.0  # always wrong: the flatter, the better


def test_rejects_results_of_different_lengths():
    with pytest.raises(DataError, match="one side has 2 examples, the other 3"):
        label_agreement([0, 1], [0, 1, 1])
    with pytest.raises(DataError, match="one side has 1 examples, the other 2"):
        calibration_error([[0.5, 0.5]], [0, 1])
    with pytest.raises(DataError, match="no examples to compare"):
        label_agreement([], [])
