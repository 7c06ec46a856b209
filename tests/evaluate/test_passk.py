"""pass@k against enumerating every choice of k completions."""

import itertools
from statistics import mean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.errors import DataError
from lilliput.evaluate.intervals import bootstrap_mean, wilson
from lilliput.evaluate.passk import Tries, mean_pass_at_k, pass_at_k


@pytest.mark.parametrize("n", range(1, 9))
def test_is_the_share_of_choices_with_a_pass(n):
    for passed in range(n + 1):
        marks = [True] * passed + [False] * (n - passed)
        for k in range(1, n + 1):
            counted = mean(any(choice) for choice in itertools.combinations(marks, k))
            assert pass_at_k(Tries(n, passed), k) == pytest.approx(counted, abs=1e-12)


tries = st.integers(1, 500).flatmap(lambda n: st.builds(Tries, st.just(n), st.integers(0, n)))


@given(tries, st.data())
def test_is_a_probability_that_grows_with_k_and_equals_the_rate_at_1(given_tries, data):
    k = data.draw(st.integers(1, given_tries.n))
    value = pass_at_k(given_tries, k)
    assert 0 <= value <= 1
    assert pass_at_k(given_tries, 1) == pytest.approx(given_tries.passed / given_tries.n, abs=1e-12)
    assert k == 1 or value >= pass_at_k(given_tries, k - 1) - 1e-12
    assert (value == 0) == (given_tries.passed == 0)
    assert k < given_tries.n or value == (given_tries.passed > 0)


def test_large_numbers_keep_their_precision():
    # C(n - 1, k) / C(n, k) = (n - k) / n
    assert pass_at_k(Tries(1_000_000, 1), 300_000) == pytest.approx(0.3, rel=1e-9)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(1, 5))
def test_mean_over_problems_lies_within_its_interval(passes, k):
    problems = [Tries(5, passed) for passed in passes]
    found = mean_pass_at_k(problems, k)
    assert found.value == pytest.approx(mean(pass_at_k(problem, k) for problem in problems))
    assert found.low <= found.value + 1e-12 and found.value <= found.high + 1e-12
    assert found.n == len(passes)


def test_interval_is_a_bootstrap_over_problems_or_wilsons_for_single_completions():
    problems = [Tries(4, passed) for passed in (0, 1, 4, 2, 0, 3)]
    values = np.array([pass_at_k(problem, 2) for problem in problems])
    assert mean_pass_at_k(problems, 2) == bootstrap_mean(values)
    singles = [Tries(1, 0)] * 20
    assert mean_pass_at_k(singles, 1) == wilson(0, 20)
    assert mean_pass_at_k(singles, 1).high > 0.1


def test_interval_has_width_if_all_fail():
    found = mean_pass_at_k([Tries(10, 0)] * 20, 10)
    assert (found.value, found.low) == (0, 0)
    assert found.high == pytest.approx(wilson(0, 20).high)
    assert mean_pass_at_k([Tries(10, 10)] * 20, 10).low == pytest.approx(wilson(20, 20).low)


def test_rejects_impossible_values():
    with pytest.raises(DataError, match=r"pass@3 cannot be estimated from 2 completions"):
        pass_at_k(Tries(2, 1), 3)
    with pytest.raises(DataError, match="pass@0"):
        mean_pass_at_k([Tries(2, 1)], 0)
    with pytest.raises(DataError, match="no problems"):
        mean_pass_at_k([], 1)
    for n, passed in ((0, 0), (3, 4), (3, -1)):
        with pytest.raises(ValueError, match="cannot have passed"):
            Tries(n, passed)
