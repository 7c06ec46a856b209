"""Wilson's interval against scipy's, and means whose bootstrap interval would have no width."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.evaluate import intervals
from lilliput.evaluate.intervals import RESAMPLES, bootstrap_mean, bounded_mean, over_resamples, percentile_ends, wilson


@settings(deadline=None)  # the first example imports scipy
@given(st.integers(1, 5000), st.data())
def test_wilson_inverts_the_score_test(n, data):
    stats = pytest.importorskip("scipy.stats", reason="scipy comes with scikit-learn (extra evaluate)")
    k = data.draw(st.integers(0, n))
    ours = wilson(k, n)
    reference = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
    assert (ours.low, ours.high) == pytest.approx((reference.low, reference.high), abs=1e-12)
    assert 0 <= ours.low <= ours.value <= ours.high <= 1
    assert ours.n == n


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 4)])
def test_wilson_rejects_what_is_not_a_proportion(successes, n):
    with pytest.raises(ValueError, match="no proportion"):
        wilson(successes, n)


@pytest.mark.parametrize("n", [1, 5, 164])
def test_equal_values_give_an_interval_with_width(n):
    nothing, everything = bounded_mean(np.zeros(n)), bounded_mean(np.ones(n))
    assert (nothing.value, nothing.low, nothing.n) == (0, 0, n)
    assert nothing.high == pytest.approx(wilson(0, n).high)
    assert (everything.value, everything.high) == (1, 1)
    assert everything.low == pytest.approx(wilson(n, n).low)


@given(st.floats(-1, 1), st.integers(1, 300))
def test_intervals_stay_within_their_bounds(value, n):
    found = bounded_mean(np.full(n, value), -1, 1)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert found.high - found.low == pytest.approx(2 * wilson(0, n).high)  # that share of the range


def test_differing_values_are_resampled():
    values = np.array([0.0, 0.5, 0.5, 1.0])
    assert bounded_mean(values, seed=3) == bootstrap_mean(values, seed=3)
    with pytest.raises(ValueError, match="no values"):
        bounded_mean(np.array([]))


def test_batch_size_of_resamples_makes_no_difference(monkeypatch):
    values = np.random.default_rng(0).random(37)
    whole = np.random.default_rng(5).integers(0, 37, (RESAMPLES, 37))
    expected = bootstrap_mean(values, seed=5)
    assert (expected.low, expected.high) == tuple(np.quantile(values[whole].mean(axis=1), [0.025, 0.975]))
    shapes = []
    for most in (1, 100, 37 * 999):
        monkeypatch.setattr(intervals, "DRAWN_AT_ONCE", most)
        assert bootstrap_mean(values, seed=5) == expected
        drawn = over_resamples(lambda rows: shapes.append(rows.shape) or np.stack([rows.sum(axis=1)] * 2), 37, 5)
        assert drawn.tolist() == [whole.sum(axis=1).tolist()] * 2
    assert {size * n for size, n in shapes} == {37, 2 * 37, 999 * 37}


def test_equal_resamples_give_an_interval_with_width():
    reach = wilson(0, 7).high
    assert percentile_ends(0.25, np.full(2000, 0.25), 7) == pytest.approx((0.25 - reach, 0.25 + reach))
    drawn = np.linspace(0, 1, 1001)
    assert percentile_ends(0.5, drawn, 7) == pytest.approx((0.025, 0.975))
