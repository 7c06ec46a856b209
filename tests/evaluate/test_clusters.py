"""Intervals over clusters: coverage, and the special case of single-example clusters."""

import numpy as np
import pytest

from lilliput.evaluate.clusters import bounded_ratio, mean_of, ratio, share_of
from lilliput.evaluate.intervals import bootstrap_mean, bounded_mean, wilson


def test_value_is_the_ratio_of_sums_and_empty_clusters_do_not_count():
    found = ratio([1, 0, 6], [2, 0, 8])
    assert found.value == pytest.approx(0.7)
    assert found.low <= found.value <= found.high
    assert found.n == 2


def test_equal_sized_clusters_give_the_bootstrap_of_their_means():
    parts = np.random.default_rng(0).integers(0, 11, 40)
    found, expected = ratio(parts, np.full(40, 10)), bootstrap_mean(parts / 10)
    assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))


def test_intervals_have_about_their_nominal_coverage():
    random = np.random.default_rng(1)
    held = 0
    for run in range(200):
        probabilities = random.beta(2, 2, 60)  # files differ: tokens of one file are alike
        sizes = random.integers(5, 200, 60)
        found = ratio(random.binomial(sizes, probabilities), sizes, seed=run)
        held += found.low <= 0.5 <= found.high
    assert 0.88 <= held / 200 <= 0.99


def test_means_are_over_values_and_intervals_over_groups():
    values, groups = [1.0, 1.0, 1.0, 0.0], ["a", "a", "a", "b"]
    found = mean_of(values, groups)
    assert (found.value, found.low, found.high, found.n) == (0.75, 0.0, 1.0, 4)


def test_shares_use_wilson_intervals_where_a_bootstrap_has_no_width():
    assert share_of([True, False, True], ["a", "b", "c"]) == wilson(2, 3)
    assert share_of([False] * 4, ["a", "a", "b", "b"]) == wilson(0, 4)
    grouped = share_of([True, True, False, False], ["a", "a", "b", "b"])
    assert (grouped.value, grouped.low, grouped.high, grouped.n) == (0.5, 0.0, 1.0, 4)


def test_examples_of_a_single_group_are_resampled_one_by_one():
    assert share_of([True, False, True], ["a"] * 3) == wilson(2, 3)
    values = [0.1, 0.5, 0.9, 0.4]
    assert mean_of(values, ["a"] * 4) == bootstrap_mean(np.array(values))


@pytest.mark.parametrize(
    ("parts", "wholes"), [([7], [31]), ([7, 0], [31, 0]), ([1, 2, 3], [10, 20, 30]), ([0, 0], [3, 4])]
)
def test_equal_ratios_give_no_bootstrap_interval_but_a_bounded_one(parts, wholes):
    clusters = sum(whole > 0 for whole in wholes)
    assert ratio(parts, wholes) is None
    expected = bounded_mean(np.full(clusters, sum(parts) / sum(wholes)))
    found = bounded_ratio(parts, wholes)
    assert found == expected
    assert 0 <= found.low <= found.value < found.high <= 1
    assert found.high - found.low == pytest.approx(wilson(0, clusters).high)


def test_ratios_that_differ_only_by_rounding_count_as_equal():
    assert ratio([0.1 + 0.2, 0.6], [1, 2]) is None
    assert bounded_ratio([1, 6], [2, 8]) == ratio([1, 6], [2, 8])


def test_groups_with_equal_means_give_an_interval_with_width():
    found = mean_of([0.5, 0.5, 0.25, 0.75], ["a", "a", "b", "b"])
    assert (found.value, found.n) == (0.5, 4)
    assert found.high - found.low == pytest.approx(wilson(0, 2).high)
    alone = mean_of([1.0], ["a"])
    assert alone.low == pytest.approx(wilson(1, 1).low)
    halves = share_of([True, False, True, False], ["a", "a", "b", "b"])
    assert halves.low < 0.5 < halves.high


def test_ratio_of_nothing_is_rejected():
    with pytest.raises(ValueError, match="no ratio"):
        ratio([0], [0])
