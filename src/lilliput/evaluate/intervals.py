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
        n: examples it rests on.
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
    # At 0 and n the formula's end is 0 and 1 exactly; rounding may put it a hair beyond the proportion itself.
    return Estimate(share, min(max(centre - half, 0.0), share), max(min(centre + half, 1.0), share), n)


RESAMPLES = 2000

DRAWN_AT_ONCE = 10_000_000
"""Indices, at most: resamples of many examples take no more memory than those of 5,000."""


def over_resamples(
    figures: Callable[[NDArray[np.int64]], NDArray[np.floating]], n: int, seed: int = 0
) -> NDArray[np.floating]:
    """Figures of :data:`RESAMPLES` resamples of ``n`` examples, ``[..., RESAMPLES]``.

    Args:
        figures: given ``[r, n]``, the indices of the examples drawn in each of ``r`` resamples: ``[..., r]``.
        n: examples, one at least.
        seed: of the draws, which do not depend on how many are made at once.
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

    The interval is :func:`bootstrap_mean`'s, unless all values are the same, as where every problem failed: then no
    resample differs, and the bootstrap's interval would be a point, however few the values are. Of others of the kind,
    as many may come out otherwise as the upper end of the score interval of none in ``n`` says (:func:`wilson`; for 0
    of 20 it is 0.16), and each of them anywhere in the bounds: so far the interval then reaches.

    Raises:
        ValueError: there are no values.
    """
    if not len(values) or np.ptp(values) > 0:
        return bootstrap_mean(values, seed)
    value, otherwise = float(values[0]), wilson(0, len(values)).high
    low, high = value - otherwise * (value - least), value + otherwise * (most - value)
    return Estimate(value, low, high, len(values))


def percentile_ends(value: float, drawn: NDArray[np.floating], n: int) -> tuple[float, float]:
    """The ends of the 95 % percentile interval of what resamples of ``n`` problems gave.

    Where hardly a resample differs, the interval reaches from ``value`` to either side as far as the share of problems
    that may come out otherwise, as :func:`bounded_mean`'s does.

    Raises:
        ValueError: nothing was drawn.
    """
    low, high = np.quantile(drawn, [0.025, 0.975])
    if low < high:
        return float(low), float(high)
    otherwise = wilson(0, n).high
    return value - otherwise, value + otherwise
