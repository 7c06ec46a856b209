"""The Pareto front and the recipe's point, by arithmetic that can be checked by hand."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.errors import UserError
from lilliput.study.budget import Budget
from lilliput.study.choice import Rule, choose
from lilliput.study.jobs import JobResult
from lilliput.study.quality import QUALITIES, loss
from tests.study.made_results import result

ORIGINAL = result("a", 400, [2.0, 3.0, 1.0], speed=10.0, weights="fp32", activations="none")
INT8 = result("b", 100, [2.01, 3.01, 1.01], speed=30.0)
INT4 = result("c", 60, [2.1, 3.2, 1.0], speed=40.0, weights="int4")
WORSE = result("d", 110, [2.2, 3.2, 1.2], speed=20.0, activations="none")


def labels(choice):
    return [one.result.key for one in choice.rated if one.on_front]


def test_perplexity_loss_is_the_paired_ratio():
    found = loss(QUALITIES["perplexity"], INT8, ORIGINAL)
    assert found.value == pytest.approx(INT8.perplexity["value"] / ORIGINAL.perplexity["value"] - 1, rel=1e-9)
    assert found.value == pytest.approx(math.exp(0.01) - 1)
    assert (found.low, found.high) == pytest.approx((math.exp(0.01) - 1,) * 2)  # each piece costs the same amount more
    assert found.n == 3
    wide = loss(QUALITIES["perplexity"], INT4, ORIGINAL)
    assert wide.value == pytest.approx(math.exp(0.1) - 1)
    assert wide.low < wide.value < wide.high


def test_pass_loss_is_over_the_common_problems():
    one = result("a", 1, solved=[1, 1, 0, 0])
    other = result("b", 1, solved=[1, 0, 0])
    found = loss(QUALITIES["pass@1"], other, one)
    assert found.value == pytest.approx(1 / 3)
    assert found.n == 3
    assert loss(QUALITIES["pass@1"], ORIGINAL, one) is None


def test_smallest_within_tolerance_is_chosen():
    choice = choose([ORIGINAL, INT8, INT4, WORSE], Rule(tolerance=0.02))
    assert choice.reference is ORIGINAL
    assert choice.chosen.result is INT8
    assert {one.result.key: one.objection for one in choice.rated} == {
        "a": "",
        "b": "",
        "c": "10.5 percent more perplexity",
        "d": "22.1 percent more perplexity",
    }
    assert choose([ORIGINAL, INT8, INT4], Rule(tolerance=0.2)).chosen.result is INT4


def test_fastest_is_chosen_if_preferred():
    slow = result("e", 50, [2.0, 3.0, 1.0], speed=5.0, weights="nf4")
    assert choose([ORIGINAL, INT8, slow], Rule(prefer="fastest")).chosen.result is INT8
    assert choose([ORIGINAL, INT8, slow], Rule(prefer="smallest")).chosen.result is slow


def test_equal_sizes_are_decided_by_speed_or_else_quality():
    large = [
        result("a", 10_000, [2.0, 3.0], speed=10.0, activations="none"),
        result("b", 10_100, [2.01, 3.01], speed=20.0),
        result("c", 10_200, [2.0, 3.0], speed=90.0, activations="token"),
    ]
    assert choose(large, Rule()).chosen.result.key == "b"
    crowded = [result(one.key, one.size, one.perplexity["pieces"], speed=9.0, concurrent=2) for one in large]
    assert choose(crowded, Rule()).chosen.result.key == "a"


def test_front_covers_bytes_quality_and_speed():
    choice = choose([ORIGINAL, INT8, INT4, WORSE], Rule())
    assert choice.objectives == ("bytes", "perplexity", "decode tokens/s")
    assert labels(choice) == ["a", "b", "c"]


def test_speeds_of_concurrent_jobs_are_ignored():
    crowded = result("e", 120, [2.3, 3.3, 1.3], speed=99.0, concurrent=2, weights="int4", rounding="gptq")
    alone = result("e", 120, [2.3, 3.3, 1.3], speed=99.0, weights="int4", rounding="gptq")
    assert crowded.tokens_per_s is None
    assert labels(choose([INT8, alone], Rule())) == ["b", "e"]
    choice = choose([INT8, crowded], Rule())
    assert labels(choice) == ["b"]
    assert choice.objectives == ("bytes", "perplexity")
    budget = Budget(None, 20.0)
    assert [one.objection for one in choose([INT8, crowded], Rule(budget=budget)).rated][1] == "its speed is not known"


def test_best_is_the_reference_without_the_original():
    assert choose([WORSE, INT8, INT4], Rule()).reference is INT8


def test_unreachable_budget_gives_no_recipe_but_the_nearest_point():
    choice = choose([ORIGINAL, INT8, INT4], Rule(budget=Budget(80)))
    assert choice.chosen is None
    assert choice.nearest.result is INT4
    assert choose([ORIGINAL], Rule(budget=Budget(80))).nearest is None


def test_no_results_give_no_choice():
    choice = choose([], Rule())
    assert (choice.reference, choice.chosen, choice.nearest) == (None, None, None)


@pytest.mark.parametrize(
    ("wrong", "option"),
    [({"quality": "bleu"}, "--quality"), ({"tolerance": -0.1}, "--tolerance"), ({"prefer": "cheap"}, "--prefer")],
)
def test_rejects_invalid_rules(wrong, option):
    with pytest.raises(UserError, match=option):
        Rule(**wrong)


def test_result_survives_a_round_trip():
    assert JobResult.from_dict(json.loads(json.dumps(INT8.as_dict()))) == INT8


points = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 5), st.integers(1, 4)), min_size=1, max_size=10)


@settings(deadline=None)
@given(points, st.sampled_from(["smallest", "fastest"]), st.integers(1, 6), st.sampled_from([0.0, 0.1, 0.6]))
def test_front_is_not_dominated_and_the_choice_is_the_best_allowed(rows, prefer, most, tolerance):
    """Compare every pair of points, and check every point against the rule."""
    made = [result(str(row), size, [1 + 0.1 * cost], speed=speed) for row, (size, cost, speed) in enumerate(rows)]
    choice = choose(made, Rule(prefer=prefer, tolerance=tolerance, budget=Budget(most)))
    table = np.array([(size, cost, -speed) for size, cost, speed in rows])
    beaten = [any((other <= one).all() and (other < one).any() for other in table) for one in table]
    assert [one.on_front for one in choice.rated] == [not flag for flag in beaten]
    best = min(cost for _, cost, _ in rows)
    allowed = [
        (size, speed)
        for size, cost, speed in rows
        if size <= most and math.expm1(0.1 * cost - 0.1 * best) <= tolerance + 1e-12
    ]
    if not allowed:
        assert choice.chosen is None
    elif prefer == "smallest":
        assert choice.chosen.result.size == min(size for size, _ in allowed)
    else:
        assert choice.chosen.result.tokens_per_s == max(speed for _, speed in allowed)
