"""pass@k: the probability that at least one of k completions of a problem passes its tests.

Source: Chen et al., "Evaluating Large Language Models Trained on Code", 2021, section 2.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lilliput.errors import DataError
from lilliput.evaluate.intervals import Estimate, bounded_mean, wilson


@dataclass(frozen=True)
class Tries:
    """Completions of one problem.

    Attributes:
        n: number of completions.
        passed: number that passed.

    Raises:
        ValueError: ``passed`` is outside ``0 .. n``, or there is no completion.
    """

    n: int
    passed: int

    def __post_init__(self) -> None:
        if not 0 <= self.passed <= self.n or self.n == 0:
            raise ValueError(f"{self.passed} of {self.n} completions cannot have passed")


def pass_at_k(tries: Tries, k: int) -> float:
    """The unbiased estimate of a problem's pass@k: equation 1, ``1 - C(n - c, k) / C(n, k)``.

    Computed as the product of ``1 - k / i`` over ``i`` from ``n - c + 1`` to ``n``, which avoids large numbers.

    Raises:
        DataError: ``k`` is not between 1 and the number of completions.
    """
    if not 1 <= k <= tries.n:
        raise DataError(
            f"pass@{k} cannot be estimated from {tries.n} completions per problem.",
            remedy=f"Ask for a k from 1 to {tries.n}, or take more completions.",
        )
    if tries.n - tries.passed < k:  # too few failures for all k to be failures
        return 1.0
    return float(1.0 - np.prod(1.0 - k / np.arange(tries.n - tries.passed + 1, tries.n + 1)))


def mean_pass_at_k(problems: Sequence[Tries], k: int) -> Estimate:
    """Mean pass@k over problems, with its 95 % interval for other problems of the same kind.

    The interval is a bootstrap's over problems; with one completion per problem, it is the score interval of a
    proportion (Wilson 1927). Neither shrinks to a point where none or all are solved: see
    :func:`~lilliput.evaluate.intervals.bounded_mean`.

    Raises:
        DataError: there are no problems; or as :func:`pass_at_k`.
    """
    if not problems:
        raise DataError("there are no problems to score.", remedy="Give at least one.")
    values = np.array([pass_at_k(tries, k) for tries in problems])
    if all(tries.n == 1 for tries in problems):
        return wilson(int(values.sum()), len(values))
    return bounded_mean(values)
