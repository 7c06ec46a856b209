"""The definition of a perturbation: the same problem, seed and name always give the same result.

Source: Wang et al., "ReCode: Robustness Evaluation of Code Generation Models", ACL 2023.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Literal

from lilliput.data.humaneval import Problem

__all__ = ["Apply", "Family", "Perturbation", "Problem"]

Family = Literal["docstring", "func_name", "syntax", "format"]
Apply = Callable[[Problem, Random], Problem | None]


@dataclass(frozen=True)
class Perturbation:
    """A natural change to a prompt that preserves the task and its tests.

    Attributes:
        name: of the perturbation.
        family: what it changes: the docstring's prose, the function's name, the code's syntax, or its format.
        deterministic: whether every seed gives the same result, so that one is enough.
        on: the kind of problem it takes and returns: a problem as it is (``prompt``), or one whose prompt includes the
            first half of the canonical solution (``partial``, see
            :func:`lilliput.evaluate.perturb.source.partial`).
        apply: ``apply(problem, rng)`` returns the changed problem, whose canonical solution still passes its tests, or
            ``None`` where nothing in the prompt can be changed in this way.
        summary: what it does, in one line.
        released: name of its counterpart in ReCode's files; empty where there is none.
    """

    name: str
    family: Family
    deterministic: bool
    on: Literal["prompt", "partial"]
    apply: Apply
    summary: str
    released: str = ""

    def __call__(self, problem: Problem, seed: int) -> Problem | None:
        """Return the changed problem, or ``None`` where there is nothing to change.

        Args:
            problem: of the kind that ``on`` names.
            seed: of the random choices; ignored by deterministic perturbations.
        """
        # Random hashes a string seed by SHA-512: the same on every machine, unlike hash().
        rng = Random(f"{0 if self.deterministic else seed}/{self.name}/{problem.task_id}")
        changed = self.apply(problem, rng)
        return None if changed is None or changed.prompt == problem.prompt else changed
