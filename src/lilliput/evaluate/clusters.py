"""Ratios of sums, with intervals, for clustered examples: tokens of a piece, lines of a file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lilliput.evaluate.intervals import Estimate, bounded_mean, over_resamples, wilson


def ratio(parts: ArrayLike, wholes: ArrayLike, seed: int = 0) -> Estimate | None:
    """``sum(parts) / sum(wholes)`` with its 95 % percentile interval over resamples of clusters.

    Examples of a cluster resemble each other, so whole clusters are resampled.

    Source: Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8.

    Args:
        parts: numerators, one per cluster, such as correct tokens.
        wholes: denominators, one per cluster, such as tokens: not negative, and not all 0.
        seed: of the resamples.

    Returns:
        The estimate; its ``n`` is the number of non-empty clusters. ``None`` where there is only one, or where all have
        the same ratio, so that resamples do not vary.

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
    """:func:`ratio` for parts between 0 and their whole, with an interval in every case.

    Where ``ratio`` gives none, the interval is that of :func:`~lilliput.evaluate.intervals.bounded_mean` over as many
    values as there are clusters.

    Raises:
        ValueError: there is nothing to divide by.
    """
    found = ratio(parts, wholes, seed)
    if found is not None:
        return found
    above, below = _used(parts, wholes)
    return bounded_mean(np.full(below.size, above.sum() / below.sum()))


def _used(parts: ArrayLike, wholes: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Parts and wholes of the non-empty clusters."""
    below = np.asarray(wholes, np.float64)
    used = below > 0
    if not used.any():
        raise ValueError("clusters without examples have no ratio")
    return np.asarray(parts, np.float64)[used], below[used]


def mean_of(values: Sequence[float], groups: Sequence[str]) -> Estimate:
    """The mean of ``values``, with its interval over ``groups``; its ``n`` is the number of values.

    With a single group, individual values are resampled: the interval then says nothing about other groups.

    Args:
        values: one per example, from 0 to 1.
        groups: the cluster of each example.

    Raises:
        ValueError: there are no values.
    """
    _, place = np.unique(np.array(groups, np.str_), return_inverse=True)
    place = place if place.any() else np.arange(len(place))
    found = bounded_ratio(np.bincount(place, np.asarray(values, np.float64)), np.bincount(place))
    return Estimate(found.value, found.low, found.high, len(values))


def share_of(values: Sequence[bool], groups: Sequence[str]) -> Estimate:
    """The share of ``values`` that are true; its ``n`` is the number of values.

    The interval is a proportion's where every value has its own group, where all share one group, and where all values
    are equal, which would reduce a bootstrap interval to a point.

    Raises:
        ValueError: there are no values.
    """
    if len(set(groups)) in (1, len(groups)) or len(set(values)) == 1:
        return wilson(sum(values), len(values))
    return mean_of(values, groups)
