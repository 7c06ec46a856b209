"""Differences in robustness against all resamples, and where there is no difference to see."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.errors import DataError
from lilliput.evaluate.robustness import robustness
from lilliput.evaluate.robustness_pairs import Passes, robustness_difference, tries_of


def passes(before: str, *after: str) -> Passes:
    """One completion per problem; ``1`` stands for a pass."""
    return Passes([[flag == "1"] for flag in before], [[[flag == "1"] for flag in version] for version in after])


FIRST = passes("11111", "11101", "11111")
SECOND = passes("11110", "01101", "11001")


def drops(one: Passes) -> tuple[list[int], list[int]]:
    before = [int(flag) for (flag,) in one.before]
    return before, [int(all(column)) for column in np.asarray(one.perturbed)[:, :, 0].T]


def test_robust_pass_is_compared_problem_by_problem() -> None:
    found = robustness_difference(FIRST, SECOND).robust_pass
    assert (found.gained, found.lost) == (0, 2)  # the second loses problems 0 and 2; both lose the fourth
    assert found.difference.value == pytest.approx(-2 / 5)
    assert found.p_value == pytest.approx(0.5)  # two coins that fall the same way


def test_interval_of_the_drop_matches_all_resamples() -> None:
    (b1, a1), (b2, a2) = drops(FIRST), drops(SECOND)
    every = []
    for rows in product(range(5), repeat=5):
        solved = [sum(side[i] for i in rows) for side in (b1, a1, b2, a2)]
        if solved[0] and solved[2]:
            every.append((1 - solved[3] / solved[2]) - (1 - solved[1] / solved[0]))
    found = robustness_difference(FIRST, SECOND).robust_drop
    assert found is not None
    assert found.value == pytest.approx((1 - 2 / 4) - (1 - 4 / 5))
    # 2,000 draws of 3,124 equally likely resamples: ranks are within four standard deviations (0.014).
    for end, rank in ((found.low, 0.025), (found.high, 0.975)):
        assert np.quantile(every, rank - 0.014) <= end <= np.quantile(every, rank + 0.014)


def test_equal_results_leave_an_interval_with_width() -> None:
    found = robustness_difference(FIRST, FIRST)
    assert found.robust_drop is not None
    assert found.robust_drop.value == 0
    assert found.robust_drop.low == pytest.approx(-found.robust_drop.high)
    assert found.robust_drop.high == pytest.approx(0.434, abs=1e-3)  # the score interval of 0 of 5
    assert found.robust_pass.p_value == 1


def test_model_that_solves_nothing_has_no_drop() -> None:
    found = robustness_difference(FIRST, passes("00000", "00000", "10000"))
    assert found.robust_drop is None and found.robust_pass.lost == 4
    assert found.as_dict()["robust_drop"] is None


@given(st.integers(1, 3), st.integers(1, 6), st.integers(1, 2), st.data())
def test_matches_the_figures_of_the_two_models(versions: int, problems: int, n: int, data: st.DataObject) -> None:
    def drawn() -> Passes:
        flags = st.lists(st.booleans(), min_size=(versions + 1) * problems * n, max_size=(versions + 1) * problems * n)
        table = np.array(data.draw(flags)).reshape(versions + 1, problems, n)
        return Passes(table[0], table[1:])

    first, second = drawn(), drawn()
    found = robustness_difference(first, second)
    alone = [robustness(one.nominal, one.perturbed) for one in (first, second)]
    expected = alone[1].robust_pass.value - alone[0].robust_pass.value
    assert found.robust_pass.difference.value == pytest.approx(expected)
    if found.robust_drop is None:
        assert None in [one.robust_drop for one in alone]
        return
    ones = [one.robust_drop.value for one in alone if one.robust_drop is not None]
    assert found.robust_drop.value == pytest.approx(ones[1] - ones[0])
    assert found.robust_drop.low <= found.robust_drop.high


def test_rejects_results_of_other_prompts() -> None:
    with pytest.raises(DataError, match="not of the same prompts"):
        robustness_difference(FIRST, passes("11110", "01101"))
    with pytest.raises(DataError, match="not of the same prompts"):
        robustness_difference(FIRST, passes("1111", "0110", "0110"))


def test_tries_count_completions() -> None:
    assert [(one.n, one.passed) for one in tries_of([[True, False], [False, False]])] == [(2, 1), (2, 0)]
