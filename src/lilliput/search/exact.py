"""Exhaustive search: every architecture of the space is scored, so the result is the optimum.

The cost of an architecture is plain arithmetic, and a space is a product of a few axes: scored as one open mesh per
number of layers, the paper's 10.9 million points take a tenth of a second.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from lilliput.search.objective import PaperProblem, Problem, SearchResult
from lilliput.search.space import Architecture


class _Candidate(NamedTuple):
    objective: float
    architecture: Architecture
    precision: str


def exact_search(problem: Problem) -> SearchResult:
    """The best architecture within the limits; ties go to fewer layers, then to the smaller vocabulary.

    Raises:
        BudgetError: no architecture meets them; the message says how small or fast the space can get.
    """
    return top(problem, 1)[0]


def exact_paper(megabytes: float) -> SearchResult:
    """The optimum of the paper's fitness over its whole space, for a target of ``megabytes``."""
    return exact_search(PaperProblem(megabytes))


def top(problem: Problem, count: int, spread: float = 2.0) -> list[SearchResult]:
    """Up to ``count`` good but different architectures, best first, for distillation trials to choose between.

    The neighbours of the optimum are all alike. Candidates are therefore the best of each family (a number of layers
    with a vocabulary), taken in order of the objective if their layers or vocabulary differ from all earlier ones by a
    factor of at least ``spread``.

    Raises:
        BudgetError: no architecture meets the limits.
    """
    start = time.perf_counter()
    families = sorted(_best_of_families(problem), key=lambda candidate: -candidate.objective)
    if not families:
        raise problem.infeasible()
    taken: list[_Candidate] = []
    for candidate in families:
        if len(taken) == count:
            break
        if all(_ratio(candidate.architecture, other.architecture) >= spread for other in taken):
            taken.append(candidate)
    seconds = time.perf_counter() - start
    return [problem.result(c.architecture, c.precision, seconds, "exact") for c in taken]


def _best_of_families(problem: Problem) -> list[_Candidate]:
    """The best feasible architecture of each precision, number of layers and vocabulary."""
    found = []
    for precision in problem.precisions:
        for mesh in problem.space.meshes():
            evaluation = problem.evaluate(mesh, precision)
            objective = evaluation.objective
            if evaluation.excess.any():
                objective = np.where(evaluation.excess > 0, -np.inf, objective)
            rows = np.broadcast_to(objective, mesh.shape).reshape(mesh.shape[0], -1)
            for row, column in enumerate(rows.argmax(axis=1).tolist()):
                if rows[row, column] > -np.inf:
                    architecture = mesh.at(row * rows.shape[1] + column)
                    found.append(_Candidate(float(rows[row, column]), architecture, precision))
    return found


def _ratio(one: Architecture, other: Architecture) -> float:
    """The larger of the factors by which two architectures differ in layers and in vocabulary."""
    factors = (max(one.layers, 1) / max(other.layers, 1), one.vocabulary / other.vocabulary)
    return max(max(factor, 1 / factor) for factor in factors)
