"""Ratios of sums, with intervals, over examples that come in clusters: tokens of a piece, lines of a file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lilliput.evaluate.intervals import Estimate, bounded_mean, over_resamples, wilson


def ratio(parts: ArrayLike, wholes: ArrayLike, seed: int = 0) -> Estimate | None:
    """``sum(parts) / sum(wholes)`` with its 95 % percentile interval over resamples of clusters.

    Examples of a cluster resemble each other, so what is drawn again is whole clusters.

    Source: Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8.

    Args:
        parts: of each cluster, say correct tokens.
        wholes: of each cluster, say tokens: not negative, and not all 0.
        seed: of the resamples.

    Returns:
        The estimate; its ``n`` is the number of clusters that are not empty. ``None``: there is one, or their ratios
        are all the same, so that no resample differs and nothing tells how far off others may be.

    Raises:
        ValueError: there is nothing to divide by.
    """
    above, below = _used(parts, wholes)
    if np.allclose(above / below, above[0] / below[0], rtol=1e-12, atol=0):
        return None
    drawn = over_resamples(lambda rows: above[rows].sum(axis=1) / below[rows].sum(axis=1), below.size, seed)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Estimate(float(above.sum() / below.sum()), float(low), float(high), int(below.size))


def bounded_ratio(parts: ArrayLike, wholes: ArrayLike, seed: int = 0) -> Estimate:
    """:func:`ratio` of parts that are each from 0 to their whole.

    It always has an interval: where ``ratio`` has none, that of :func:`~lilliput.evaluate.intervals.bounded_mean`, of
    as many values as there are clusters.

    Raises:
        ValueError: there is nothing to divide by.
    """
    found = ratio(parts, wholes, seed)
    if found is not None:
        return found
    above, below = _used(parts, wholes)
    return bounded_mean(np.full(below.size, above.sum() / below.sum()))


def _used(parts: ArrayLike, wholes: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Parts and wholes of the clusters that are not empty."""
    below = np.asarray(wholes, np.float64)
    used = below > 0
    if not used.any():
        raise ValueError("clusters without examples have no ratio")
    return np.asarray(parts, np.float64)[used], below[used]


def mean_of(values: Sequence[float], groups: Sequence[str]) -> Estimate:
    """The mean of ``values``, with its interval over ``groups``; its ``n`` is the number of values.

    Where there is but one group, its values are drawn again one by one: the interval then says nothing of other groups.

    Args:
        values: one an example, from 0 to 1.
        groups: of each example, the cluster it is of.

    Raises:
        ValueError: there are no values.
    """
    _, place = np.unique(np.array(groups, np.str_), return_inverse=True)
    place = place if place.any() else np.arange(len(place))
    found = bounded_ratio(np.bincount(place, np.asarray(values, np.float64)), np.bincount(place))
    return Estimate(found.value, found.low, found.high, len(values))


def share_of(values: Sequence[bool], groups: Sequence[str]) -> Estimate:
    """The share of ``values`` that are true; its ``n`` is the number of values.

    The interval is a proportion's where each is of a group of its own, where all are of one, and where all are alike: a
    bootstrap's would be a point there.

    Raises:
        ValueError: there are no values.
    """
    if len(set(groups)) in (1, len(groups)) or len(set(values)) == 1:
        return wilson(sum(values), len(values))
    return mean_of(values, groups)
