"""Intervals over clusters: coverage, and what they become where clusters are single examples."""

import numpy as np
import pytest

from lilliput.evaluate.clusters import mean_of, ratio, share_of
from lilliput.evaluate.intervals import bootstrap_mean, wilson


def test_the_value_is_the_ratio_of_sums_and_empty_clusters_are_none():
    found = ratio([1, 0, 6], [2, 0, 8])
    assert found.value == pytest.approx(0.7)
    assert found.low <= found.value <= found.high
    assert found.n == 2


def test_of_clusters_of_one_size_it_is_the_bootstrap_of_their_means():
    parts = np.random.default_rng(0).integers(0, 11, 40)
    found, expected = ratio(parts, np.full(40, 10)), bootstrap_mean(parts / 10)
    assert (found.value, found.low, found.high) == pytest.approx((expected.value, expected.low, expected.high))


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    random = np.random.default_rng(1)
    held = 0
    for run in range(200):
        chances = random.beta(2, 2, 60)  # files differ: tokens of one are alike
        sizes = random.integers(5, 200, 60)
        found = ratio(random.binomial(sizes, chances), sizes, seed=run)
        held += found.low <= 0.5 <= found.high
    assert 0.88 <= held / 200 <= 0.99


def test_means_are_of_values_and_intervals_over_groups():
    values, groups = [1.0, 1.0, 1.0, 0.0], ["a", "a", "a", "b"]
    found = mean_of(values, groups)
    assert (found.value, found.low, found.high, found.n) == (0.75, 0.0, 1.0, 4)


def test_shares_are_proportions_where_a_bootstrap_would_say_nothing():
    assert share_of([True, False, True], ["a", "b", "c"]) == wilson(2, 3)
    assert share_of([False] * 4, ["a", "a", "b", "b"]) == wilson(0, 4)
    grouped = share_of([True, True, False, False], ["a", "a", "b", "b"])
    assert (grouped.value, grouped.low, grouped.high, grouped.n) == (0.5, 0.0, 1.0, 4)


def test_examples_of_one_group_are_drawn_one_by_one():
    assert share_of([True, False, True], ["a"] * 3) == wilson(2, 3)
    values = [0.1, 0.5, 0.9, 0.4]
    assert mean_of(values, ["a"] * 4) == bootstrap_mean(np.array(values))


def test_nothing_has_no_ratio():
    with pytest.raises(ValueError, match="no ratio"):
        ratio([0], [0])
