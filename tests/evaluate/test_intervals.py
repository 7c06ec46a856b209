"""Wilson's interval against scipy's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.evaluate.intervals import wilson


@given(st.integers(1, 5000), st.data())
def test_wilson_is_the_score_tests_inversion(n, data):
    stats = pytest.importorskip("scipy.stats", reason="scipy comes with scikit-learn (extra evaluate)")
    k = data.draw(st.integers(0, n))
    ours = wilson(k, n)
    reference = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
    assert (ours.low, ours.high) == pytest.approx((reference.low, reference.high), abs=1e-12)
    assert 0 <= ours.low <= ours.value <= ours.high <= 1
    assert ours.n == n


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 4)])
def test_wilson_refuses_what_is_no_proportion(successes, n):
    with pytest.raises(ValueError, match="no proportion"):
        wilson(successes, n)
