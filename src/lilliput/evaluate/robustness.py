"""Robustness of a code generator: pass@k under the worst of several perturbations of each prompt.

Source: Wang et al., "ReCode: Robustness Evaluation of Code Generation Models", ACL 2023, on evaluation metrics. With
``n`` completions of each prompt ``x`` and of each of its ``s`` perturbed versions, the i-th completion counts

- as robust where it passes for *every* version (the worst case): ``rc(x)`` completions do;
- as lost where it passes for ``x`` but not for every version: ``rc-(x)``;
- as gained where it fails for ``x`` but passes for *some* version (the best case): ``rc+(x)``.

Then, with ``f(c) = 1 - C(n - c, k) / C(n, k)`` (pass@k's estimate) and means over problems:

- Robust Pass ``RP_s@k = mean f(rc(x))``;
- Robust Drop ``RD_s@k = (Pass@k - RP_s@k) / Pass@k``;
- Robust Relative ``RR_s@k = mean (f(rc-(x)) + f(rc+(x)))``, the share of problems that change, in either direction and
  under any version, where ``n = k = 1``.

ReCode's published script (``run_robust.py``, metric ``relative``, greedy decoding) compares the nominal verdict
with "passed for every version": it takes the worst case for gains, too, so its RR is smaller. RP and RD are its
``passatk`` and ``drop``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lilliput.errors import DataError
from lilliput.evaluate.intervals import Estimate, bounded_mean, over_resamples, percentile_ends, wilson
from lilliput.evaluate.passk import Tries, pass_at_k

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Robustness:
    """pass@k with and without a perturbation.

    Attributes:
        k: of pass@k.
        seeds: perturbed versions of each prompt, ``s``.
        completions: of each prompt and version, ``n``.
        nominal_pass: pass@k for the unperturbed prompts.
        robust_pass: ``RP_s@k``, 0 to 1.
        robust_drop: ``RD_s@k``, at most 1; below 0 where perturbed prompts do better; ``None`` where nothing passed
            without perturbation.
        robust_relative: ``RR_s@k``, 0 to 1 with one completion, at most 2 with more.
    """

    k: int
    seeds: int
    completions: int
    nominal_pass: Estimate
    robust_pass: Estimate
    robust_drop: Estimate | None
    robust_relative: Estimate


def robustness(nominal: ArrayLike, perturbed: ArrayLike, k: int = 1, seed: int = 0) -> Robustness:
    """RP, RD and RR of one perturbation, each with its 95 % interval over problems.

    Args:
        nominal: shape ``[problems, n]``: whether each completion of each prompt passed.
        perturbed: shape ``[seeds, problems, n]``: the same for each perturbed version. With random sampling, the i-th
            completions of all versions count as one try, as in the paper, and should have the same sampling seed.
        k: of pass@k.
        seed: of the bootstrap.

    Raises:
        DataError: no problems, versions or completions; shapes that do not match; or ``k`` above the completions.
    """
    before, after = _flags(nominal, 2, "nominal"), _flags(perturbed, 3, "perturbed")
    if after.shape[1:] != before.shape:
        raise DataError(
            f"perturbed results of shape {after.shape} do not fit nominal ones of shape {before.shape}.",
            remedy="Give as many problems, and completions of each, for every version as without perturbation.",
        )
    always: Flags = np.all(after, axis=0)
    ever: Flags = np.any(after, axis=0)
    base = _scores(before, k)
    robust = _scores(always, k)
    changed = _scores(before & ~always, k) + _scores(~before & ever, k)
    single = before.shape[1] == 1
    return Robustness(
        k=k,
        seeds=len(after),
        completions=before.shape[1],
        nominal_pass=_mean(base, single, seed),
        robust_pass=_mean(robust, single, seed),
        robust_drop=_drop(base, robust, seed),
        robust_relative=_mean(changed, single, seed, most=2.0),
    )


def worst_of(results: Sequence[ArrayLike]) -> Flags:
    """Concatenate the versions of several perturbations, shape ``[versions, problems, n]``.

    The paper's figure for a family of perturbations is that of the worst of all versions in the family.

    Args:
        results: one per perturbation, shape ``[seeds, problems, n]``; the numbers of seeds may differ.

    Raises:
        DataError: there are none, or the numbers of problems or completions differ.
    """
    flags = [_flags(result, 3, "perturbed") for result in results]
    if len({result.shape[1:] for result in flags}) != 1:
        raise DataError(
            "perturbations to be combined must have the same problems and numbers of completions.",
            remedy="Give results of shape [seeds, problems, completions] that differ in seeds only.",
        )
    return np.concatenate(flags)


def _flags(values: ArrayLike, dimensions: int, name: str) -> Flags:
    found = np.asarray(values, dtype=np.bool_)
    if found.ndim != dimensions or found.size == 0:
        raise DataError(
            f"{name} results have the shape {found.shape}.",
            remedy="Give [problems, completions]." if dimensions == 2 else "Give [seeds, problems, completions].",
        )
    return found


def _scores(flags: Flags, k: int) -> Floats:
    """pass@k of each problem, where flagged completions count as passed: shape ``[problems]``."""
    n = flags.shape[1]
    return np.array([pass_at_k(Tries(n, int(count)), k) for count in flags.sum(axis=1)])


def _mean(scores: Floats, single: bool, seed: int, most: float = 1.0) -> Estimate:
    """The mean; with one completion per problem a proportion, whose interval does not collapse at 0 and 1."""
    return wilson(int(scores.sum()), len(scores)) if single else bounded_mean(scores, 0.0, most, seed)


def _drop(base: Floats, robust: Floats, seed: int) -> Estimate | None:
    """The drop, with its percentile interval over resamples of problems in which a nominal prompt passed."""
    n = len(base)
    if not base.any():
        return None
    befores, afters = over_resamples(
        lambda rows: np.stack([scores[rows].mean(axis=1) for scores in (base, robust)]), n, seed
    )
    defined = befores > 0
    value = float(1 - robust.mean() / base.mean())
    low, high = percentile_ends(value, 1 - afters[defined] / befores[defined], int((base > 0).sum()))
    return Estimate(value, low, min(high, 1.0), n)
