"""Whether a program does what its tests ask for: what became of it, and whose doing that was.

``wrong``: the tests raised. ``error``: the program did (no Python, a name that is not there, out of memory, an exit).
``timeout``: it did not end. ``runner``: no verdict; the sandbox could not do its work, and nothing is said of the
program.
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
"""What the sandbox says of a program whose end nobody saw."""


@dataclass(frozen=True)
class Judgement:
    """What became of a program.

    Attributes:
        outcome: see the module's text.
        detail: a line about it; empty where it passed.
    """

    outcome: Outcome
    detail: str = ""

    @property
    def passed(self) -> bool:
        """It came to its end, and so did its tests."""
        return self.outcome == "passed"

    @property
    def verdict(self) -> bool | None:
        """Whether it passed; ``None``: nothing is known, for reasons of the runner's own."""
        return None if self.outcome == "runner" else self.passed


@dataclass(frozen=True)
class Limits:
    """What a program may take.

    Attributes:
        seconds: of wall-clock time, tests included.
        memory_mb: of address space.

    Raises:
        UserError: a limit means nothing.
    """

    seconds: float = 10.0
    memory_mb: int = 1024

    def __post_init__(self) -> None:
        sandbox.require_limits(self.seconds, self.memory_mb)


def judged_source(parts: Sequence[str], tests: str) -> str:
    """What the sandbox runs: the parts of a program as one module, and then its tests."""
    stand_in = _NUMPY.read_text(encoding="utf-8") if _WANTS_NUMPY.search(tests) else ""
    return f"{_RUNNER.read_text(encoding='utf-8')}\n\njudge({list(parts)!r}, {tests!r}, {stand_in!r})\n"


def judge(source: str, limits: Limits) -> Judgement:
    """Run what :func:`judged_source` made; what goes wrong with the sandbox is tried a second time.

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
    """The judgements on ``sources``, in their order.

    Args:
        sources: see :func:`judge`.
        limits: of each.
        workers: programs that run side by side; ``None``: one a core. With more, slow programs run out of time.
        progress: shown while working.
        each: told of every judgement as soon as it is there, with its place.

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
        return Judgement(_KINDS[kind], f"the tests are no Python: {said}" if kind == "tests" else said)
    return Judgement("error", verdict.detail)


_KINDS: dict[str, Outcome] = {"wrong": "wrong", "error": "error", "tests": "runner"}
"""What the runner's line begins with -> what that means."""


def require_walls(unsafe: bool) -> sandbox.Protections:
    """What protects from programs here.

    Raises:
        UserError: the kernel grants no isolation, and ``unsafe`` does not say to do without it.
    """
    found = sandbox.protections()
    if not (found.files and found.network) and not unsafe:
        raise UserError(
            f"programs that models wrote could use your files and the network here: {found.refused or 'no isolation'}.",
            remedy="Run this on Linux where user namespaces are allowed, or in a container that you can throw away; "
            "--unsafe runs them all the same.",
        )
    return found
