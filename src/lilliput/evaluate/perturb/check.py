"""Check that problems are sound: the prompt with the canonical solution passes the tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lilliput.data.humaneval import Problem, program
from lilliput.evaluate.sandbox import Verdict, run_many
from lilliput.progress import Progress

SECONDS = 60.0
"""Limit for one solution, or a batch of them; HumanEval's slowest takes a few."""

BATCH = 16
"""Programs that share a process at first: starting a process takes longer than most programs run."""


@dataclass(frozen=True)
class Failure:
    """A problem whose canonical solution fails.

    Attributes:
        index: of the problem among those checked, from 0.
        task_id: name of the problem.
        verdict: how its program ended.
    """

    index: int
    task_id: str
    verdict: Verdict


def check(
    problems: Sequence[Problem],
    workers: int | None = None,
    progress: Progress | None = None,
    *,
    seconds: float = SECONDS,
) -> list[Failure]:
    """Return the problems whose canonical solution fails, in order.

    Programs run in batches, each in its own namespace, and those of a batch that does not reach its end are rerun one
    by one. So a failure is always the program's own; a pass assumes that solutions do not help each other (by changing
    a module that another uses), which is unlikely for published solutions.

    Args:
        problems: perturbed or not, whole or partial.
        workers: parallel processes; ``None``: one per core.
        progress: shown while working.
        seconds: of wall-clock time, for each batch and for each program rerun alone.

    Raises:
        UserError: no program can be run here; see :func:`lilliput.evaluate.sandbox.run_many`.
    """
    programs = [program(problem, problem.canonical_solution) for problem in problems]
    batches = [range(start, min(start + BATCH, len(programs))) for start in range(0, len(programs), BATCH)]
    together = [_in_a_row([programs[index] for index in batch]) for batch in batches]
    verdicts = run_many(together, workers, progress, seconds=seconds)
    doubtful = [
        index for batch, verdict in zip(batches, verdicts, strict=True) if not verdict.passed for index in batch
    ]
    alone = run_many([programs[index] for index in doubtful], workers, progress, seconds=seconds)
    return [
        Failure(index, problems[index].task_id, verdict)
        for index, verdict in zip(doubtful, alone, strict=True)
        if not verdict.passed
    ]


def _in_a_row(programs: Sequence[str]) -> str:
    """A program that reaches its end if all of ``programs`` do."""
    return (
        f"for source in {list(programs)!r}:\n    exec(compile(source, 'program', 'exec'), {{'__name__': '__main__'}})\n"
    )
