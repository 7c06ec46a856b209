"""How verbs run model-written programs, and what their results record about it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lilliput.errors import require_whole
from lilliput.evaluate import resources
from lilliput.evaluate.judging import Judgement, Limits, judge_many, require_walls
from lilliput.evaluate.sandbox import Protections
from lilliput.progress import Progress
from lilliput.verbs.kept import Kept, key_of
from lilliput.version import VERSION


@dataclass(frozen=True)
class Programs:
    """What programs may do; made by :func:`allowed`.

    Attributes:
        limits: of each program.
        workers: programs that run in parallel.
        unsafe: run programs even if nothing keeps them from the user's files.
        walls: the sandbox's protections.
    """

    limits: Limits
    workers: int
    unsafe: bool
    walls: Protections

    @property
    def settings(self) -> dict[str, Any]:
        """What a verdict may depend on."""
        return {"workers": self.workers, **asdict(self.limits)}

    def facts(self, command: str) -> dict[str, Any]:
        """Sandbox, machine and command for a result; call after the run, when the model's kernels are known."""
        sandbox = {**asdict(self.walls), "unsafe": self.unsafe}
        return {"sandbox": sandbox, "machine": resources.machine(), "command": command}

    def judged(self, sources: Sequence[str], kept: Kept, progress: Progress) -> list[Judgement]:
        """The judgements; identical programs run once, and kept judgements are reused unless the runner failed.

        A program that timed out is not retried in this run, but is in the next, when the machine may be less busy.
        """
        how = VERSION, sys.version_info[:3], asdict(self.limits)
        keys = [key_of("judgement", source, *how) for source in sources]
        missing = {key: source for key, source in zip(keys, sources, strict=True) if key not in kept.found}
        names = list(missing)
        lost: dict[str, Judgement] = {}

        def keep(place: int, judgement: Judgement) -> None:
            if judgement.outcome == "runner":
                lost[names[place]] = judgement
            elif judgement.outcome == "timeout":
                kept.remember(names[place], asdict(judgement))
            else:
                kept.add(names[place], asdict(judgement))

        judge_many(list(missing.values()), self.limits, self.workers, progress, keep)
        return [lost[key] if key in lost else Judgement(**kept.found[key]) for key in keys]


def allowed(limits: Limits | None, workers: int | None, unsafe: bool) -> Programs:
    """Programs within ``limits`` (``None``: the defaults), ``workers`` in parallel (``None``: one per core).

    Raises:
        UserError: ``workers`` is not positive; or nothing would keep programs from the user's files and ``unsafe`` is
            not set.
    """
    count = resources.usable_cores() if workers is None else require_whole(workers, 1, "--workers")
    return Programs(limits or Limits(), count, unsafe, require_walls(unsafe))
