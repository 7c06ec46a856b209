"""Near-twins against a comparison of all pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lilliput.distill.twins import near_twins

members = st.sets(st.integers(0, 30), min_size=1, max_size=25).map(lambda held: np.array(sorted(held)))


@settings(deadline=None)
@given(st.lists(st.tuples(members, st.integers(-1, 2)), max_size=25), st.sampled_from([0.1, 0.3, 0.5, 0.7, 0.9, 1.0]))
def test_finds_exactly_the_similar_examples_with_other_labels(examples, least):
    sets, labels = [held for held, _ in examples], np.array([label for _, label in examples], np.int64)
    expected = set()
    for first, one in enumerate(sets):
        for second, other in enumerate(sets):
            both = len(np.intersect1d(one, other))
            alike = 10 * both >= round(10 * least) * (len(one) + len(other) - both)
            if alike and -1 < labels[first] < labels[second]:
                expected.add((first, second))
    found = near_twins(sets, labels, least)
    assert found.shape == (len(expected), 2)
    assert set(map(tuple, found.tolist())) == expected


@pytest.mark.parametrize("length", [10, 30, 100])
def test_finds_long_sets_that_share_just_enough(length):
    """The prefixes of such sets must share several members."""
    shared = 0.7 * length
    one, other = np.arange(length), np.arange(length) + length - round(shared * 2 / 1.7)
    both = len(np.intersect1d(one, other))
    index = both / (2 * length - both)
    assert len(near_twins([one, other], np.array([0, 1]), index)) == 1
    assert len(near_twins([one, other], np.array([0, 1]), index + 0.001)) == 0


def test_reports_progress():
    steps = []
    near_twins([np.arange(3)] * 4, np.array([0, 1, -1, 0]), 0.5, steps.append)
    assert steps == [1, 1, 1, 1]
