"""Estimates with their 95 % intervals."""

from __future__ import annotations

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


def bootstrap_mean(values: NDArray[np.floating], seed: int = 0) -> Estimate:
    """The mean of ``values`` with its 95 % percentile interval over resamples.

    Source: Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979.

    Raises:
        ValueError: there are no values.
    """
    n = len(values)
    if n == 0:
        raise ValueError("no values have no mean")
    means = values[np.random.default_rng(seed).integers(0, n, (RESAMPLES, n))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Estimate(float(values.mean()), float(low), float(high), n)
