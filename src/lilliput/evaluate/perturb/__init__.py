"""Natural perturbations of code prompts, which preserve the task: a robust model should do as well as before.

There are four families, one per file: ``docstring``, ``func_name``, ``syntax`` and ``format``. ``docs/robustness.md``
describes each, and how it differs from ReCode's released files.

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
"""Number of seeds per random perturbation, as in the paper; deterministic ones have only seed 0."""

PERTURBATIONS = {
    perturbation.name: perturbation
    for family in (docstring, func_name, syntax, format)
    for perturbation in family.PERTURBATIONS
}
"""Every perturbation by name, family by family."""

FAMILIES = tuple(dict.fromkeys(perturbation.family for perturbation in PERTURBATIONS.values()))


def named(names: Iterable[str] | None = None) -> list[Perturbation]:
    """Look up perturbations by name or family, without duplicates; all by default.

    Raises:
        UserError: a name is unknown; the message lists the known ones.
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
    """The problems that ``perturbation`` is applied to and compared with: the originals, or partial ones."""
    return list(problems) if perturbation.on == "prompt" else [partial(problem) for problem in problems]


def perturbed(
    problems: Sequence[Problem], names: Iterable[str] | None = None, seeds: int = SEEDS
) -> dict[str, dict[int, list[Problem]]]:
    """Perturb ``problems``; the result maps perturbation and seed to all problems in order.

    A problem in which a perturbation has nothing to change stays unchanged (as in the released files), so that every
    list can be scored against that of :func:`nominal`.

    Args:
        problems: complete, as read.
        names: of perturbations or families; all by default.
        seeds: number of seeds, from 0; deterministic perturbations use one.

    Raises:
        UserError: an unknown name, or no seeds.
        MissingExtra: words of docstrings are to be changed, and LemmInflect is not installed.
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
