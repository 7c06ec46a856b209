"""Parsing budgets, and objections to points that exceed them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.errors import UserError
from lilliput.study.budget import Budget

GOOD = {
    "450MB": Budget(450_000_000),
    "1.5 GB": Budget(1_500_000_000),
    "20tok/s": Budget(None, 20.0),
    "450MB,20tok/s": Budget(450_000_000, 20.0),
    "2.5 tokens/s , 2GiB": Budget(2 * 2**30, 2.5),
}


@pytest.mark.parametrize("text", GOOD)
def test_parses_budgets(text):
    assert Budget.parsed(text) == GOOD[text]


@pytest.mark.parametrize(
    "text", ["", "450", "0MB", "20min", "fast", "450MB,", "450MB,1GB", "0tok/s", "-1tok/s", "1e9MB"]
)
def test_rejects_invalid_budgets(text):
    if text == "450":
        assert Budget.parsed(text) == Budget(450)  # bytes, as everywhere
        return
    with pytest.raises(UserError, match="--budget: "):
        Budget.parsed(text)


@settings(deadline=None)
@given(st.text())
def test_any_text_is_parsed_or_rejected(text):
    try:
        found = Budget.parsed(text)
    except UserError:
        return
    assert (found.bytes or 1) > 0
    assert found.bytes is not None or found.tokens_per_s is not None


def test_objections_to_what_exceeds_the_budget():
    budget = Budget(1_000_000, 20.0)
    assert budget.objection(1_000_000, 20.0) == ""
    assert budget.objection(1_000_001, 20.0) == "1.00 MB are more than 1.00 MB"
    assert budget.objection(1, 19.9) == "19.9 tok/s are too slow"
    assert budget.objection(1, None) == "its speed is not known"
    assert Budget().objection(10**15, None) == ""
    assert str(budget) == "1.00 MB at most, 20 tok/s at least"
    assert str(Budget()) == "none"
