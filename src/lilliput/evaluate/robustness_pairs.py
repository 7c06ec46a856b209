"""Paired comparison of two generators on the same perturbed prompts: whether the second is as robust as the first.

Both got the same prompts, so they are compared in pairs (:mod:`lilliput.evaluate.problem_pairs`): of the problems that
only one model solves under all versions of the prompt, a fair coin would give each model half.

The difference of the drops is ``RD`` of the second minus ``RD`` of the first (:mod:`lilliput.evaluate.robustness`),
with a percentile bootstrap over problems (Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979) that draws
each problem together with all results of both models. Above 0, the second loses more of what it solves.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lilliput.errors import DataError
from lilliput.evaluate.intervals import Estimate, over_resamples, percentile_ends
from lilliput.evaluate.passk import Tries
from lilliput.evaluate.problem_pairs import PairedDifference, paired_difference
from lilliput.evaluate.robustness import worst_of

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Passes:
    """A model's results on some prompts and on all their perturbed versions.

    Attributes:
        nominal: shape ``[problems, n]``: which completions of each prompt passed.
        perturbed: shape ``[versions, problems, n]``: the same for each version.
    """

    nominal: ArrayLike
    perturbed: ArrayLike

    @property
    def before(self) -> Flags:
        """``nominal`` as flags."""
        return np.asarray(self.nominal, np.bool_)

    @property
    def always(self) -> Flags:
        """Which completions pass for every version: shape ``[problems, n]``."""
        return np.asarray(np.all(worst_of([self.perturbed]), axis=0), np.bool_)


@dataclass(frozen=True)
class RobustnessDifference:
    """The differences of the second model from the first under perturbed prompts.

    Attributes:
        robust_pass: of ``RP_s@1``, with problems gained and lost, and the exact test, where each was tried once.
        robust_drop: of ``RD_s@1``; ``None`` where one of the models solves no unperturbed problem.
    """

    robust_pass: PairedDifference
    robust_drop: Estimate | None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values; fractions."""
        drop = self.robust_drop
        return {"robust_pass": asdict(self.robust_pass), "robust_drop": None if drop is None else asdict(drop)}


def robustness_difference(first: Passes, second: Passes, seed: int = 0) -> RobustnessDifference:
    """Compare two models, with ``k = 1``.

    Args:
        first, second: the results of each on the same problems and versions, in the same order.
        seed: of the bootstrap.

    Raises:
        DataError: the shapes differ.
    """
    shapes = {np.shape(values) for one in (first, second) for values in (one.before, one.always)}
    if len(shapes) != 1 or np.shape(first.perturbed)[0] != np.shape(second.perturbed)[0]:
        raise DataError(
            "the two models' results are not of the same prompts.",
            remedy="Give as many problems, versions and completions of each.",
        )
    return RobustnessDifference(
        paired_difference(tries_of(first.always), tries_of(second.always), seed=seed), _drop(first, second, seed)
    )


def tries_of(flags: ArrayLike) -> list[Tries]:
    """The tries at each problem, from flags ``[problems, n]``."""
    return [Tries(len(row), int(sum(row))) for row in np.asarray(flags, np.bool_)]


def _drop(first: Passes, second: Passes, seed: int) -> Estimate | None:
    """The difference of the drops, with its interval over resamples in which both models solve something."""
    both = np.array([[flags.mean(axis=1) for flags in (one.before, one.always)] for one in (first, second)])
    befores, afters = both[:, 0], both[:, 1]
    count = befores.shape[1]
    if not befores.any(axis=1).all():
        return None
    means = over_resamples(lambda rows: both[:, :, rows].mean(axis=3), count, seed)
    solved, kept = means[:, 0], means[:, 1]
    fine = (solved > 0).all(axis=0)
    drawn = 1 - kept[:, fine] / solved[:, fine]
    differences = drawn[1] - drawn[0]
    drops = 1 - afters.mean(axis=1) / befores.mean(axis=1)
    value = float(drops[1] - drops[0])
    low, high = percentile_ends(value, differences, int((befores > 0).any(axis=0).sum()))
    return Estimate(value, low, high, count)
