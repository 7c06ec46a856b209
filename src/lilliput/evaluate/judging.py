"""Judge whether a program passes its tests, and if not, what went wrong.

``wrong``: the tests raised. ``error``: the program did (a syntax error, an undefined name, out of memory, an exit).
``timeout``: it did not end. ``runner``: no verdict; the sandbox failed, which says nothing about the program.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lilliput.errors import UserError, require_whole
from lilliput.evaluate import sandbox
from lilliput.evaluate.resources import usable_cores
from lilliput.progress import Progress

Outcome = Literal["passed", "wrong", "error", "timeout", "runner"]

FAILURES: tuple[Outcome, ...] = ("wrong", "error", "timeout", "runner")

_RUNNER = Path(__file__).with_name("judging_runner.py")
_NUMPY = Path(__file__).with_name("judging_numpy.py")

_WANTS_NUMPY = re.compile(r"^\s*(?:import|from)\s+numpy\b", re.MULTILINE)

_LOST = "its sandbox ended with it"
"""The sandbox's detail for a program whose end was not observed."""


@dataclass(frozen=True)
class Judgement:
    """The outcome of a program.

    Attributes:
        outcome: see the module's docstring.
        detail: a line about it; empty where it passed.
    """

    outcome: Outcome
    detail: str = ""

    @property
    def passed(self) -> bool:
        """Whether the program and its tests ran to the end."""
        return self.outcome == "passed"

    @property
    def verdict(self) -> bool | None:
        """Whether it passed; ``None`` where the sandbox failed."""
        return None if self.outcome == "runner" else self.passed


@dataclass(frozen=True)
class Limits:
    """The limits of a program.

    Attributes:
        seconds: of wall-clock time, tests included.
        memory_mb: of address space.

    Raises:
        UserError: a limit is out of range.
    """

    seconds: float = 10.0
    memory_mb: int = 1024

    def __post_init__(self) -> None:
        sandbox.require_limits(self.seconds, self.memory_mb)


def judged_source(parts: Sequence[str], tests: str) -> str:
    """The source that the sandbox runs: the parts of a program as one module, then its tests."""
    stand_in = _NUMPY.read_text(encoding="utf-8") if _WANTS_NUMPY.search(tests) else ""
    return f"{_RUNNER.read_text(encoding='utf-8')}\n\njudge({list(parts)!r}, {tests!r}, {stand_in!r})\n"


def judge(source: str, limits: Limits) -> Judgement:
    """Run the output of :func:`judged_source`, and retry once where the sandbox fails.

    Raises:
        UserError: no program can be run here at all.
    """
    found = _tried(source, limits)
    return _tried(source, limits) if found.outcome == "runner" else found


def judge_many(
    sources: Sequence[str],
    limits: Limits,
    workers: int | None = None,
    progress: Progress | None = None,
    each: Callable[[int, Judgement], object] = lambda place, judgement: None,
) -> list[Judgement]:
    """Judge ``sources``; judgements are in the same order.

    Args:
        sources: see :func:`judge`.
        limits: of each program.
        workers: programs run in parallel; ``None``: one per core. With more, slow programs time out.
        progress: shown while working.
        each: called with the index and the judgement of every program as soon as it is judged.

    Raises:
        UserError: as :func:`judge`, or ``workers`` is not positive.
    """
    count = usable_cores() if workers is None else require_whole(workers, 1, "workers")
    found: dict[int, Judgement] = {}
    pool = ThreadPoolExecutor(count)
    try:
        waiting: dict[Future[Judgement], int] = {
            pool.submit(judge, source, limits): place for place, source in enumerate(sources)
        }
        with (progress or Progress()).track("running programs", len(sources)) as advance:
            for future in as_completed(waiting):
                place = waiting[future]
                found[place] = future.result()
                each(place, found[place])
                advance()
    finally:
        pool.shutdown(cancel_futures=True)
    return [found[place] for place in range(len(sources))]


def _tried(source: str, limits: Limits) -> Judgement:
    try:
        verdict = sandbox.run(source, seconds=limits.seconds, memory_mb=limits.memory_mb)
    except (UserError, OSError) as error:  # the kernel or the disk refuses, for now
        return Judgement("runner", " ".join(str(error).split()))
    if verdict.passed:
        return Judgement("passed")
    if verdict.outcome == "timeout":
        return Judgement("timeout", verdict.detail)
    if verdict.outcome == "crashed" and verdict.detail == _LOST:
        return Judgement("runner", verdict.detail)
    kind, _, said = verdict.detail.partition(": ")
    if verdict.outcome == "failed" and kind in _KINDS:
        return Judgement(_KINDS[kind], f"the tests are not valid Python: {said}" if kind == "tests" else said)
    return Judgement("error", verdict.detail)


_KINDS: dict[str, Outcome] = {"wrong": "wrong", "error": "error", "tests": "runner"}
"""First word of the runner's line -> the outcome."""


def require_walls(unsafe: bool) -> sandbox.Protections:
    """Return the protections available here.

    Raises:
        UserError: the kernel grants no isolation, and ``unsafe`` is not set.
    """
    found = sandbox.protections()
    if not (found.files and found.network) and not unsafe:
        raise UserError(
            f"programs that models wrote could use your files and the network here: {found.refused or 'no isolation'}.",
            remedy="Run this on Linux where user namespaces are allowed, or in a container that you can throw away; "
            "--unsafe runs them all the same.",
        )
    return found
