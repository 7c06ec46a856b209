"""Ratios over rounds: against all resamples, against a known truth, and where no ratio may be given."""

from itertools import product
from statistics import median as middle
from statistics import quantiles

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.evaluate.paired import FEWEST, MOST_SPREAD, WIDEST, median, obstacle_of, ratio_of, spread

TIMES = st.lists(st.floats(1.0, 1.1), min_size=1, max_size=12)
STEADY = {"product": [1.0, 1.01, 0.99, 1.0, 1.02, 1.0], "read": [2.0, 2.05, 2.0, 1.95, 2.0, 2.0]}
QUIET = {"a": 0.001, "b": 0.0}


def test_interval_matches_all_resamples():
    original, other = [3.0, 3.3, 3.1, 3.6, 3.25], [1.0, 1.2, 0.95, 1.1, 1.03]
    every = [middle(original[i] for i in rows) / middle(other[i] for i in rows) for rows in product(range(5), repeat=5)]
    found = ratio_of(original, other).estimate
    assert found.value == pytest.approx(middle(original) / middle(other), rel=1e-12)
    # 2,000 draws of 3,125 equally likely resamples: the quantiles' ranks are within four standard deviations (0.014).
    for end, rank in ((found.low, 0.025), (found.high, 0.975)):
        assert np.quantile(every, rank - 0.014) <= end <= np.quantile(every, rank + 0.014)
    assert found.n == 5


def test_slowdowns_of_a_whole_round_cancel():
    slow = np.array([1.0, 1.02, 5.0, 1.01, 0.98, 3.0, 1.0])
    found = ratio_of(6.0 * slow, 2.0 * slow).estimate
    assert (found.value, found.low, found.high) == pytest.approx((3.0, 3.0, 3.0), rel=1e-12)
    unpaired = ratio_of(6.0 * slow, 2.0 * slow[::-1])
    assert unpaired.estimate is None
    assert "the ratio may be" in unpaired.refusal


@given(TIMES, st.floats(0.01, 100), st.floats(0.01, 100))
def test_units_do_not_matter(times, factor, other):
    times = np.array(times)
    plain, scaled = ratio_of(times, times[::-1]), ratio_of(times * factor, times[::-1] * other)
    for name in ("value", "low", "high"):
        expected = getattr(plain.estimate, name) * factor / other
        assert getattr(scaled.estimate, name) == pytest.approx(expected, rel=1e-9)


def test_interval_has_nearly_its_nominal_coverage():
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        original, other = random.lognormal(np.log(4), 0.05, 10), random.lognormal(0, 0.05, 10)
        found = ratio_of(original, other).estimate
        covered += found.low <= 4 <= found.high
    assert 0.88 <= covered / 300 <= 0.995


def test_no_interval_of_too_few_rounds_covers_95_percent():
    # With probability 2 / 2^n, all n values lie on one side of the median, and no interval between them covers it.
    assert 2 / 2**FEWEST <= 0.05 < 2 / 2 ** (FEWEST - 1)


def test_too_few_rounds_give_a_ratio_without_interval_and_no_median():
    few = FEWEST - 1
    found = ratio_of([2.0, 2.2, 2.1, 2.05, 2.15][:few], [1.0] * few).as_dict()
    assert found == {"value": 2.1, "low": None, "high": None, "n": few, "reason": None}
    enough = ratio_of([2.0, 2.2, 2.1, 2.05, 2.15, 2.1], [1.0] * FEWEST).as_dict()
    assert enough["low"] < enough["value"] < enough["high"]
    with pytest.raises(ValueError, match="a median of 5 values has no 95 % interval"):
        median([1.0, 1.1, 1.2, 1.3, 1.4])


def test_too_wide_interval_is_refused():
    other = [1.0] * 8
    wide = ratio_of([1, 1, 1, 1, 1.6, 1.6, 1.6, 1.6], other)
    narrow = ratio_of([1, 1, 1, 1, 1.4, 1.4, 1.4, 1.4], other)
    assert wide.estimate is None
    assert wide.refusal == "too noisy: the ratio may be 1 to 1.6"
    assert narrow.estimate.high / narrow.estimate.low == pytest.approx(1.4)
    assert 1.4 < WIDEST < 1.6


def test_obstacle_refuses_any_ratio_and_json_gives_the_reason():
    found = ratio_of([2.0] * 6, [1.0] * 6, "reference varied by 31 %").as_dict()
    reason = "too noisy: reference varied by 31 %"
    assert found == {"value": None, "low": None, "high": None, "n": None, "reason": reason}
    assert ratio_of([2.0] * 6, [1.0] * 6).as_dict() == {"value": 2.0, "low": 2.0, "high": 2.0, "n": 6, "reason": None}


def test_unmeasurably_small_values_are_refused():
    assert ratio_of([1.0, 1.0], [0.0, 0.0]).refusal == "too small to be measured"


@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=20))
def test_spread_is_the_interquartile_range_over_the_median(values):
    low, half, high = quantiles(values, n=4, method="inclusive")
    assert spread(values) == pytest.approx((high - low) / half, rel=1e-9, abs=1e-12)


def test_steady_machine_is_no_obstacle_and_others_are_named():
    assert obstacle_of(STEADY, QUIET) == ""
    shaken = {**STEADY, "read": [1.0, 1.3, 1.0, 1.3, 1.0, 1.4]}
    assert spread(shaken["read"]) > MOST_SPREAD
    assert obstacle_of(shaken, QUIET) == f"reference varied by {100 * spread(shaken['read']):.0f} %"
    assert obstacle_of(STEADY, {"a": 0.0, "b": 0.34}) == "b kept 0.34 cores busy while it was not its turn"


def test_median_has_an_interval_around_it():
    found = median([5.0, 1.0, 3.0, 2.0, 4.0, 2.5, 3.5])
    assert (found.value, found.n) == (3.0, 7)
    assert 1.0 <= found.low < found.value < found.high <= 5.0


def test_rejects_figures_that_do_not_go_together():
    with pytest.raises(ValueError, match="3 and 2 figures are not of the same rounds"):
        ratio_of([1.0] * 3, [1.0] * 2)
    with pytest.raises(ValueError, match="no values"):
        ratio_of([], [])
