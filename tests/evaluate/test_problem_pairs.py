"""Paired differences: against all resamples, against an independent exact test, and where chance explains them."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lilliput.errors import DataError
from lilliput.evaluate.intervals import wilson
from lilliput.evaluate.passk import Tries, pass_at_k
from lilliput.evaluate.problem_pairs import mcnemar, paired_difference


def once(flags: str) -> list[Tries]:
    return [Tries(1, int(flag)) for flag in flags]


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (1, 0), (5, 5), (3, 11), (0, 6), (40, 90)])
def test_exact_test_is_that_of_a_fair_coin(gained: int, lost: int) -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy comes with lilliput[evaluate]")
    expected = stats.binomtest(gained, gained + lost, 0.5).pvalue if gained + lost else 1.0
    assert mcnemar(gained, lost) == pytest.approx(expected, rel=1e-9)


def test_many_differing_problems_do_not_overflow() -> None:
    assert mcnemar(5000, 5000) == 1.0
    assert 0 <= mcnemar(4000, 6000) < 1e-80


def test_interval_matches_all_resamples() -> None:
    first, second = once("11010"), once("01111")
    values = [-1, 0, 1, 0, 1]
    every = [np.mean([values[i] for i in rows]) for rows in product(range(5), repeat=5)]
    found = paired_difference(first, second)
    assert found.difference.value == pytest.approx(0.2)
    # 2,000 draws of 3,125 equally likely resamples: the quantiles' ranks are within four standard deviations (0.014).
    for end, rank in ((found.difference.low, 0.025), (found.difference.high, 0.975)):
        assert np.quantile(every, rank - 0.014) <= end <= np.quantile(every, rank + 0.014)
    assert (found.gained, found.lost) == (2, 1)
    assert found.p_value == pytest.approx(1.0)
    assert not found.is_shown


def test_pairing_shows_more_than_the_two_rates() -> None:
    first, second = once("1" * 60 + "0" * 60), once("1" * 72 + "0" * 48)
    found = paired_difference(first, second)
    assert found.is_shown and (found.gained, found.lost) == (12, 0)
    alone = [wilson(60, 120), wilson(72, 120)]
    assert alone[0].high > alone[1].low, "their own intervals overlap nevertheless"


def test_few_flips_in_one_direction_show_no_difference() -> None:
    found = paired_difference(once("1" * 60 + "0" * 60), once("1" * 64 + "0" * 56))
    assert found.difference.low > 0, "the bootstrap alone would claim a difference"
    assert found.p_value == pytest.approx(0.125)
    assert not found.is_shown


def test_interval_has_width_if_nothing_differs() -> None:
    found = paired_difference(once("1100"), once("1100"))
    reach = wilson(0, 4).high
    assert (found.difference.low, found.difference.value, found.difference.high) == (-reach, 0.0, reach)
    assert not found.is_shown
    every = paired_difference(once("1111"), once("0000")).difference
    assert (every.low, every.value, every.high) == (-1.0, -1.0, pytest.approx(2 * reach - 1))


def test_several_completions_are_compared_by_pass_at_k_without_a_test() -> None:
    first, second = [Tries(5, 1), Tries(5, 2), Tries(5, 0)], [Tries(5, 3), Tries(5, 2), Tries(4, 1)]
    for k in (1, 3):
        found = paired_difference(first, second, k)
        pairs = zip(first, second, strict=True)
        expected = np.mean([pass_at_k(after, k) - pass_at_k(before, k) for before, after in pairs])
        assert found.difference.value == pytest.approx(expected, rel=1e-12)
        assert (found.p_value, found.gained, found.lost) == (None, None, None)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_swapping_the_models_flips_the_sign(pairs: list[tuple[bool, bool]]) -> None:
    first, second = ([Tries(1, int(pair[place])) for pair in pairs] for place in (0, 1))
    found, turned = paired_difference(first, second), paired_difference(second, first)
    assert found.difference.value == pytest.approx(-turned.difference.value)
    assert (found.gained, found.lost) == (turned.lost, turned.gained)
    assert found.p_value == turned.p_value
    assert found.difference.low <= found.difference.high


def test_rejects_what_is_not_paired() -> None:
    for first, second in (([], []), (once("1"), once("11"))):
        with pytest.raises(DataError, match="same problems"):
            paired_difference(first, second)
    with pytest.raises(ValueError, match="no counts"):
        mcnemar(-1, 2)
