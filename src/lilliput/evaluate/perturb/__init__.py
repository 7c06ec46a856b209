"""Natural perturbations of prompts for code: after each the task is the same, and so should a good model's success be.

Four families, one file each: ``docstring``, ``func_name``, ``syntax`` and ``format``. What each does, and how it
differs from ReCode's released files: ``docs/robustness.md``.

Source: Wang et al., "ReCode: Robustness Evaluation of Code Generation Models", ACL 2023.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lilliput.data.lines import listed, shown
from lilliput.errors import UserError
from lilliput.evaluate.perturb import docstring, format, func_name, syntax
from lilliput.evaluate.perturb.perturbation import Perturbation, Problem
from lilliput.evaluate.perturb.source import partial

__all__ = ["PERTURBATIONS", "SEEDS", "Perturbation", "named", "nominal", "partial", "perturbed"]

SEEDS = 5
"""Of each perturbation with random choices, as in the paper; deterministic ones have seed 0 alone."""

PERTURBATIONS = {
    perturbation.name: perturbation
    for family in (docstring, func_name, syntax, format)
    for perturbation in family.PERTURBATIONS
}
"""Every perturbation by name, family by family."""

FAMILIES = tuple(dict.fromkeys(perturbation.family for perturbation in PERTURBATIONS.values()))


def named(names: Iterable[str] | None = None) -> list[Perturbation]:
    """The perturbations called ``names``, or of the families called so, each once; all of them by default.

    Raises:
        UserError: there is none of that name; the message lists those there are.
    """
    found: dict[str, Perturbation] = {}
    for name in PERTURBATIONS if names is None else names:
        several = [item for item in PERTURBATIONS.values() if name in (item.name, item.family)]
        if not several:
            raise UserError(
                f"there is no perturbation {shown(name)}.",
                remedy=f"Choose from {listed(FAMILIES)} or {listed(PERTURBATIONS, len(PERTURBATIONS))}.",
                where="perturbations",
            )
        found.update((item.name, item) for item in several)
    return list(found.values())


def nominal(problems: Sequence[Problem], perturbation: Perturbation) -> list[Problem]:
    """What ``perturbation`` is applied to, and its results are compared with: problems as they are, or partial ones."""
    return list(problems) if perturbation.on == "prompt" else [partial(problem) for problem in problems]


def perturbed(
    problems: Sequence[Problem], names: Iterable[str] | None = None, seeds: int = SEEDS
) -> dict[str, dict[int, list[Problem]]]:
    """``problems`` perturbed: by perturbation and seed, all of them in their order.

    Where a perturbation has nothing to change in a problem, that problem stands unchanged (as in the released files),
    so that every list can be scored against :func:`nominal`'s.

    Args:
        problems: as they were read, whole.
        names: of perturbations or families; all by default.
        seeds: how many, from 0 on; of deterministic perturbations there is one.

    Raises:
        UserError: an unknown name, or no seeds.
        MissingExtra: a docstring's words are to be changed, and LemmInflect is not installed.
    """
    if seeds < 1:
        raise UserError(f"must be 1 or more; it is {seeds!r}.", where="seeds")
    result: dict[str, dict[int, list[Problem]]] = {}
    for perturbation in named(names):
        originals = nominal(problems, perturbation)
        result[perturbation.name] = {
            seed: [perturbation(problem, seed) or problem for problem in originals]
            for seed in range(1 if perturbation.deterministic else seeds)
        }
    return result
