"""Paired comparison of two models on the same problems: the difference in problems solved, and its significance.

The interval of the difference is a percentile bootstrap over problems (Efron, "Bootstrap Methods: Another Look at the
Jackknife", 1979) that draws each problem together with both models' results. Where each problem was tried once,
McNemar's exact test is added: of the problems on which the models differ, a fair coin would give each model half
(McNemar, "Note on the sampling error of the difference between correlated proportions or percentages", 1947, with the
binomial distribution itself in place of its approximation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lilliput.errors import DataError
from lilliput.evaluate.intervals import Estimate, bounded_mean
from lilliput.evaluate.passk import Tries, pass_at_k

LEVEL = 0.05
"""Significance level, matching 95 % intervals."""


@dataclass(frozen=True)
class PairedDifference:
    """The second model's pass@k minus the first one's, on the same problems.

    Attributes:
        k: of pass@k.
        difference: from -1 to 1, the mean over problems.
        gained: problems that only the second solved; ``None`` where problems were tried more than once.
        lost: problems that only the first solved; likewise.
        p_value: of McNemar's exact test, two-sided; likewise.
    """

    k: int
    difference: Estimate
    gained: int | None
    lost: int | None
    p_value: float | None

    @property
    def is_shown(self) -> bool:
        """See :func:`is_shown`."""
        return is_shown(self.difference.low, self.difference.high, self.p_value)


def paired_difference(first: Sequence[Tries], second: Sequence[Tries], k: int = 1, seed: int = 0) -> PairedDifference:
    """Compare two models.

    The difference has an interval even where it is the same on every problem, as where both models did the same
    (:func:`~lilliput.evaluate.intervals.bounded_mean`).

    Args:
        first, second: each model's tries at each problem, in the same order.
        k: of pass@k.
        seed: of the bootstrap.

    Raises:
        DataError: there are no problems, their numbers differ, or one has fewer than ``k`` completions.
    """
    if not first or len(first) != len(second):
        raise DataError(
            f"{len(first)} and {len(second)} problems cannot be paired.", remedy="Give the same problems, at least one."
        )
    pairs = zip(first, second, strict=True)
    values = np.array([pass_at_k(after, k) - pass_at_k(before, k) for before, after in pairs])
    difference = bounded_mean(values, -1.0, 1.0, seed)
    if any(tries.n != 1 for tries in (*first, *second)):
        return PairedDifference(k, difference, None, None, None)
    gained, lost = int((values > 0).sum()), int((values < 0).sum())
    return PairedDifference(k, difference, gained, lost, mcnemar(gained, lost))


def is_shown(low: float, high: float, p_value: float | None) -> bool:
    """Whether a sample shows a difference: its interval excludes 0 and the test, if there is one, agrees."""
    return (low > 0 or high < 0) and (p_value is None or p_value < LEVEL)


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided p-value of the exact test: how often a fair coin is as far from half as ``gained`` to ``lost``.

    Raises:
        ValueError: a count is negative.
    """
    if min(gained, lost) < 0:
        raise ValueError(f"{gained} and {lost} are no counts")
    n, fewer = gained + lost, min(gained, lost)
    tail = term = 1
    for count in range(fewer):  # the next binomial coefficient from the one before
        term = term * (n - count) // (count + 1)
        tail += term
    return float(min(2 * tail / 2**n, 1.0))  # integers, which Python divides without overflow
