"""The Pareto front: points that no other point dominates."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from lilliput.search.space import IntArray


def pareto_front(costs: ArrayLike, values: ArrayLike) -> IntArray:
    """Indices, ascending, of the points that no other point dominates.

    A point dominates another if it is no worse in every cost and every value, and differs from it. Equal points do not
    dominate each other: all of them stay.

    Args:
        costs: to be minimized, ``[points]`` or ``[points, kinds]``.
        values: to be maximized, ``[points]`` or ``[points, kinds]``.

    Raises:
        ValueError: a cost or a value is NaN, or the numbers of points differ.
    """
    columns = (np.asarray(array, np.float64) for array in (costs, values))
    to_lose, to_gain = (column if column.ndim == 2 else column[:, None] for column in columns)
    points = np.concatenate([to_lose, -to_gain], axis=1)
    if np.isnan(points).any():
        raise ValueError("costs and values must be numbers, not NaN")
    # In lexicographic order no point is dominated by a later one: the first of those left is on the front.
    left = np.lexsort(points.T[::-1])
    front = []
    while left.size:
        first = points[left[0]]
        rest = points[left]
        equal = (rest == first).all(axis=1)
        front.append(left[equal])
        left = left[~(rest >= first).all(axis=1)]
    return np.sort(np.concatenate(front)) if front else np.zeros(0, np.int64)
