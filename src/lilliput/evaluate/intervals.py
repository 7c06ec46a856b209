"""Estimates with their 95 % intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

_Z95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Estimate:
    """A number measured on a sample.

    Attributes:
        value: the number.
        low: lower end of its 95 % interval.
        high: upper end.
        n: sample size.
    """

    value: float
    low: float
    high: float
    n: int


def wilson(successes: int, n: int) -> Estimate:
    """The proportion ``successes / n`` with its 95 % score interval.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.

    Raises:
        ValueError: ``n`` is not positive, or ``successes`` is outside ``0 .. n``.
    """
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"{successes} successes of {n} are no proportion")
    share, z2 = successes / n, _Z95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * float(np.sqrt(share * (1 - share) / n + z2 / (4 * n * n)))
    # At 0 and n the formula's end is exactly 0 and 1; rounding may put it slightly beyond the proportion itself.
    return Estimate(share, min(max(centre - half, 0.0), share), max(min(centre + half, 1.0), share), n)


RESAMPLES = 2000

DRAWN_AT_ONCE = 10_000_000
"""Maximum number of indices: resamples of many examples take no more memory than those of 5,000."""


def over_resamples(
    figures: Callable[[NDArray[np.int64]], NDArray[np.floating]], n: int, seed: int = 0
) -> NDArray[np.floating]:
    """Compute figures of :data:`RESAMPLES` resamples of ``n`` examples, ``[..., RESAMPLES]``.

    Args:
        figures: maps ``[r, n]``, the indices of the examples drawn in each of ``r`` resamples, to ``[..., r]``.
        n: number of examples, at least one.
        seed: of the draws, which do not depend on the batch size.
    """
    random, most = np.random.default_rng(seed), max(1, DRAWN_AT_ONCE // n)
    sizes = (min(most, RESAMPLES - first) for first in range(0, RESAMPLES, most))
    return np.concatenate([figures(random.integers(0, n, (size, n))) for size in sizes], axis=-1)


def bootstrap_mean(values: NDArray[np.floating], seed: int = 0) -> Estimate:
    """The mean of ``values`` with its 95 % percentile interval over resamples.

    Source: Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979.

    Raises:
        ValueError: there are no values.
    """
    n = len(values)
    if n == 0:
        raise ValueError("no values have no mean")
    means = over_resamples(lambda rows: values[rows].mean(axis=1), n, seed)
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(values.mean()), float(low), float(high), n)


def bounded_mean(values: NDArray[np.floating], least: float = 0.0, most: float = 1.0, seed: int = 0) -> Estimate:
    """The mean of ``values``, each from ``least`` to ``most``, with its 95 % interval.

    The interval is :func:`bootstrap_mean`'s, unless all values are equal, as where every problem failed: then resamples
    do not vary, and the bootstrap interval would be a point, however few the values are. In that case the interval
    allows the share of values given by the upper end of the score interval for 0 of ``n`` (:func:`wilson`; 0.16 for 0
    of 20) to lie anywhere within the bounds.

    Raises:
        ValueError: there are no values.
    """
    if not len(values) or np.ptp(values) > 0:
        return bootstrap_mean(values, seed)
    value, otherwise = float(values[0]), wilson(0, len(values)).high
    low, high = value - otherwise * (value - least), value + otherwise * (most - value)
    return Estimate(value, low, high, len(values))


def percentile_ends(value: float, drawn: NDArray[np.floating], n: int) -> tuple[float, float]:
    """The ends of the 95 % percentile interval of figures of resamples of ``n`` problems.

    If resamples hardly vary, the interval extends from ``value`` to either side by the share of problems that may have
    another outcome, as in :func:`bounded_mean`.

    Raises:
        ValueError: nothing was drawn.
    """
    low, high = np.quantile(drawn, [0.025, 0.975])
    if low < high:
        return float(low), float(high)
    otherwise = wilson(0, n).high
    return value - otherwise, value + otherwise
