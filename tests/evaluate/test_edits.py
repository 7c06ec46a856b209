"""Edit distance against its recursive definition."""

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.evaluate.edits import edit_distance, edit_similarity

SHORT = st.text("abc", max_size=7)


@cache
def defined(one, other):
    if not one or not other:
        return len(one) + len(other)
    kept = defined(one[1:], other[1:])
    return kept if one[0] == other[0] else 1 + min(kept, defined(one[1:], other), defined(one, other[1:]))


@settings(deadline=None)
@given(SHORT, SHORT)
def test_matches_the_definition(one, other):
    assert edit_distance(one, other) == defined(one, other)


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=12), st.text(max_size=12), st.text(max_size=12))
def test_is_a_metric(one, other, third):
    assert edit_distance(one, other) == edit_distance(other, one)
    assert (edit_distance(one, other) == 0) == (one == other)
    assert edit_distance(one, third) <= edit_distance(one, other) + edit_distance(other, third)


@settings(deadline=None)
@given(st.text(max_size=12), st.text(max_size=12))
def test_similarity_is_symmetric_and_within_0_and_1(one, other):
    assert 0 <= edit_similarity(one, other) == edit_similarity(other, one) <= 1
    assert (edit_similarity(one, other) == 1) == (one == other)


def test_known_similarities():
    assert edit_similarity("kitten", "sitting") == pytest.approx(1 - 3 / 7)
    assert edit_similarity("", "") == 1
    assert edit_similarity("abc", "") == 0
