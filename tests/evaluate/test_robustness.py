"""RP, RD and RR against values computed by hand and against their definition."""

import itertools
from statistics import mean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lilliput.errors import DataError
from lilliput.evaluate.intervals import wilson
from lilliput.evaluate.passk import Tries, mean_pass_at_k
from lilliput.evaluate.robustness import robustness, worst_of

# Five problems, one completion each, two perturbed versions.
NOMINAL = [[1], [1], [1], [0], [0]]
PERTURBED = [
    [[1], [1], [0], [1], [0]],
    [[1], [0], [0], [0], [0]],
]


def test_greedy_completions_match_values_by_hand():
    found = robustness(NOMINAL, PERTURBED)
    assert (found.k, found.seeds, found.completions) == (1, 2, 1)
    assert found.nominal_pass == wilson(3, 5)
    assert found.robust_pass == wilson(1, 5)  # only the first passes after both versions
    assert found.robust_drop.value == pytest.approx((3 / 5 - 1 / 5) / (3 / 5), abs=1e-12)
    # lost: the second and the third; gained (after at least one version): the fourth
    assert found.robust_relative == wilson(3, 5)


def test_several_completions_match_values_by_hand():
    # One problem, n = 3, two versions. After the prompt: pass, pass, fail.
    # After both versions: the first. Lost: the second. Gained: the third (it passes after the second version).
    found = robustness([[1, 1, 0]], [[[1, 0, 0]], [[1, 1, 1]]], k=2)
    assert found.nominal_pass.value == pytest.approx(1.0)  # 1 - C(1, 2) / C(3, 2)
    assert found.robust_pass.value == pytest.approx(1 - 1 / 3)  # 1 - C(2, 2) / C(3, 2)
    assert found.robust_drop.value == pytest.approx(1 / 3)
    assert found.robust_relative.value == pytest.approx(2 / 3 + 2 / 3)


def counted(flags, k):
    """pass@k of one problem: the share of choices of k completions that include a passing one."""
    return mean(any(choice) for choice in itertools.combinations(flags, k))


results = st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 3)).flatmap(
    lambda shape: st.tuples(arrays(bool, shape[:2]), arrays(bool, (shape[2], *shape[:2])), st.integers(1, shape[1]))
)


@settings(max_examples=60, deadline=None)
@given(results)
def test_matches_the_definition(given_results):
    before, after, k = given_results
    found = robustness(before, after, k)
    robust, relative = [], []
    for problem in range(len(before)):
        versions = [version[problem] for version in after]
        always = [all(flags) for flags in zip(*versions, strict=True)]
        ever = [any(flags) for flags in zip(*versions, strict=True)]
        robust.append(counted(always, k))
        lost = [was and not now for was, now in zip(before[problem], always, strict=True)]
        gained = [now and not was for was, now in zip(before[problem], ever, strict=True)]
        relative.append(counted(lost, k) + counted(gained, k))
    nominal = mean(counted(flags, k) for flags in before)
    assert found.nominal_pass.value == pytest.approx(nominal, abs=1e-12)
    assert found.robust_pass.value == pytest.approx(mean(robust), abs=1e-12)
    assert found.robust_relative.value == pytest.approx(mean(relative), abs=1e-12)
    if nominal == 0:
        assert found.robust_drop is None
    else:
        assert found.robust_drop.value == pytest.approx((nominal - mean(robust)) / nominal, abs=1e-12)
    for estimate in (found.nominal_pass, found.robust_pass, found.robust_relative):
        assert estimate.low - 1e-12 <= estimate.value <= estimate.high + 1e-12 and estimate.n == len(before)


def test_improvement_on_perturbed_prompts_is_a_negative_drop():
    found = robustness([[1], [0], [0], [0]], [[[1], [1], [1], [0]]])
    assert found.robust_drop.value == pytest.approx(-2.0)
    assert found.robust_relative.value == pytest.approx(0.5)


def test_interval_of_the_drop_is_the_spread_over_problems():
    rng = np.random.default_rng(1)
    before = rng.random((400, 5)) < 0.6
    after = (before & (rng.random((400, 5)) < 0.7))[None]
    found = robustness(before, after).robust_drop
    # By the delta method: RD = 1 - a / b, with means over 400 problems.
    a, b = after[0].mean(axis=1), before.mean(axis=1)
    deviation = np.std(a - b * a.mean() / b.mean()) / b.mean() / 400**0.5
    assert found.high - found.low == pytest.approx(2 * 1.96 * deviation, rel=0.1)
    assert found.low < found.value < found.high


def test_nominal_pass_equals_pass_at_k():
    before = np.array([[1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1]], bool)
    tries = [Tries(4, 2), Tries(4, 0), Tries(4, 4)]
    assert robustness(before, before[None], k=2).nominal_pass == mean_pass_at_k(tries, 2)


def test_combined_perturbations_are_as_bad_as_the_worst():
    one, other = [PERTURBED[0]], [PERTURBED[1], [[1], [1], [1], [1], [1]]]
    assert worst_of([one, other]).shape == (3, 5, 1)
    assert robustness(NOMINAL, worst_of([one, other])).robust_pass == wilson(1, 5)
    assert robustness(NOMINAL, worst_of([one, other])).robust_relative == wilson(4, 5)
    with pytest.raises(DataError, match="have the same problems"):
        worst_of([one, [[[1], [1]]]])
    with pytest.raises(DataError, match="have the same problems"):
        worst_of([])


@pytest.mark.parametrize(
    "nominal, perturbed, k, problem",
    [
        ([], [], 1, r"nominal results have the shape \(0,\)"),
        ([1, 0], [[[1]]], 1, r"nominal results have the shape \(2,\)"),
        ([[1]], [[1]], 1, r"perturbed results have the shape \(1, 1\)"),
        ([[1]], [[[1], [1]]], 1, r"shape \(1, 2, 1\) do not fit nominal ones of shape \(1, 1\)"),
        ([[1]], [[[1]]], 2, "pass@2 cannot be estimated from 1 completions"),
    ],
)
def test_rejects_results_that_do_not_fit(nominal, perturbed, k, problem):
    with pytest.raises(DataError, match=problem):
        robustness(nominal, perturbed, k)


def test_total_and_zero_drops_have_an_interval():
    passed, failed = [[True]] * 5, [[[False]] * 5]
    everything, nothing = robustness(passed, failed).robust_drop, robustness(passed, [passed]).robust_drop
    reach = wilson(0, 5).high
    assert (everything.value, everything.low, everything.high) == (1, pytest.approx(1 - reach), 1)
    assert (nothing.value, nothing.low, nothing.high) == (0, pytest.approx(-reach), pytest.approx(reach))
