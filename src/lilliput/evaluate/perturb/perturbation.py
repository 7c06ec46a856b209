"""What a perturbation is, and how one is applied: the same problem, seed and name always give the same result.

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
    """One natural change to a prompt, after which the task and its tests are the same.

    Attributes:
        name: how it is called.
        family: what it changes: the docstring's prose, the function's name, the code's syntax, or its format.
        deterministic: every seed gives the same result, so that one is enough.
        on: what it takes and gives: a problem as it is (``prompt``), or one whose prompt goes on to the middle of the
            canonical solution (``partial``, see :func:`lilliput.evaluate.perturb.source.partial`).
        apply: ``apply(problem, rng)``, the changed problem, whose canonical solution passes its tests as before; or
            ``None`` where nothing in the prompt can be changed in this way.
        summary: what it does, in a line.
        released: what ReCode's files call its like; empty where they have none.
    """

    name: str
    family: Family
    deterministic: bool
    on: Literal["prompt", "partial"]
    apply: Apply
    summary: str
    released: str = ""

    def __call__(self, problem: Problem, seed: int) -> Problem | None:
        """``problem`` changed, or ``None`` where there is nothing to change.

        Args:
            problem: of the kind that ``on`` names.
            seed: of the random choices; a deterministic perturbation pays no heed to it.
        """
        # A text seeds Random through SHA-512: the same on every machine, unlike hash().
        rng = Random(f"{0 if self.deterministic else seed}/{self.name}/{problem.task_id}")
        changed = self.apply(problem, rng)
        return None if changed is None or changed.prompt == problem.prompt else changed
