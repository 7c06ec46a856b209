"""The reference paired with each other model on the same benchmark: compared problem by problem, or why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lilliput.evaluate.problem_pairs import PairedDifference, paired_difference
from lilliput.report.conditions import accuracy_conflicts
from lilliput.report.given import Attempted, Given, Run


@dataclass(frozen=True)
class Pair:
    """Two results on one benchmark.

    Attributes:
        reference: the reference model's.
        other: the other model's.
        conflicts: reasons not to compare them; empty: they are compared.
        problems: task_id -> the attempts of each, where both have a verdict; empty where they are not compared.
        difference: ``None`` where they are not compared.
    """

    reference: Run
    other: Run
    conflicts: Sequence[str]
    problems: dict[str, tuple[Attempted, Attempted]]
    difference: PairedDifference | None

    @property
    def left_out(self) -> int:
        """Number of problems without a verdict for one of them."""
        return 0 if self.conflicts else len(self.other.problems) - len(self.problems)

    @property
    def solved(self) -> tuple[int, int]:
        """Number solved by each, of the problems with a verdict for both."""
        first, second = ([_passed(pair[place]) > 0 for pair in self.problems.values()] for place in (0, 1))
        return sum(first), sum(second)

    def flips(self, lost: bool) -> list[tuple[Attempted, Attempted]]:
        """Problems that only the reference solved (``lost``), or only the other."""
        return [
            (before, after)
            for before, after in self.problems.values()
            if (_passed(before) > 0, _passed(after) > 0) == (lost, not lost)
        ]


def pairs(given: Given) -> list[Pair]:
    """Pair each other model's results with the reference's on the same benchmark, in the order given."""
    references = [run for run in given.runs if run.name == given.reference]
    found = []
    for run in given.runs:
        fellows = [one for one in references if one.values["task"] == run.values["task"]]
        if run.name != given.reference and fellows:
            found.append(_pair(next((one for one in fellows if one.data == run.data), fellows[0]), run))
    return found


def _pair(reference: Run, other: Run) -> Pair:
    conflicts = accuracy_conflicts(other, reference)
    common = [k for k in reference.values["k"] if k in other.values["k"]]
    both = {} if conflicts else {name: (reference.problems[name], one) for name, one in other.problems.items()}
    enough = {
        name: pair
        for name, pair in both.items()
        if all(one.tries is not None and one.tries.n >= min(common, default=1) for one in pair)
    }
    if not conflicts and not enough:
        conflicts = ["no problem has a verdict for both"]
    if conflicts:
        return Pair(reference, other, conflicts, {}, None)
    tries = [[pair[place].tries for pair in enough.values()] for place in (0, 1)]
    first, second = ([one for one in side if one is not None] for side in tries)
    return Pair(reference, other, [], enough, paired_difference(first, second, min(common, default=1)))


def _passed(one: Attempted) -> int:
    return one.tries.passed if one.tries is not None else 0
