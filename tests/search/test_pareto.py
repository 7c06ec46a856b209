import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from lilliput.search.pareto import pareto_front


def front_by_comparing_all(costs, values):
    points = np.concatenate([costs, -values], axis=1)
    beaten = [any((q <= p).all() and (q < p).any() for q in points) for p in points]
    return [index for index, lost in enumerate(beaten) if not lost]


# Few distinct values, so that ties and duplicates are common.
numbers = st.integers(-3, 3).map(float) | st.sampled_from([np.inf, -np.inf])


@settings(deadline=None)
@given(st.data(), array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12), st.integers(1, 3))
def test_matches_comparing_every_pair(data, shape, kinds_of_value):
    costs = data.draw(arrays(float, shape, elements=numbers))
    values = data.draw(arrays(float, (shape[0], kinds_of_value), elements=numbers))
    assert pareto_front(costs, values).tolist() == front_by_comparing_all(costs, values)


def test_front_of_one_cost_and_one_value():
    costs = [1.0, 2.0, 3.0, 2.0, 1.0]
    values = [1.0, 3.0, 2.0, 3.0, 0.5]
    assert pareto_front(costs, values).tolist() == [0, 1, 3]


def test_front_of_many_points():
    rng = np.random.default_rng(0)
    costs, values = rng.normal(size=(2000, 2)), rng.normal(size=(2000, 1))
    assert pareto_front(costs, values).tolist() == front_by_comparing_all(costs, values)


def test_front_of_no_points_is_empty():
    assert pareto_front(np.zeros((0, 2)), np.zeros(0)).tolist() == []


def test_rejects_what_cannot_be_compared():
    with pytest.raises(ValueError, match="NaN"):
        pareto_front([1.0, np.nan], [1.0, 2.0])
    with pytest.raises(ValueError, match="must match"):
        pareto_front([1.0, 2.0], [1.0, 2.0, 3.0])
