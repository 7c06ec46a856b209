"""``score``: run completions made elsewhere against the tests of their problems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lilliput.data.completions import FORMS, Given, form_of, parts_of, read_completions
from lilliput.data.lines import shown
from lilliput.data.problems import BENCHMARKS, Problem, read_problems
from lilliput.errors import DataError, UserError, refuse_unused
from lilliput.evaluate.judging import Limits, judged_source
from lilliput.files import sha256_of, write_json
from lilliput.progress import Progress
from lilliput.verbs.kept import Kept, beside
from lilliput.verbs.programs import Programs, allowed
from lilliput.verbs.tally import Attempt, Tally, checked_ks, fitting_ks, tally

RESULT = "score.json"

_FORM_WORDS = {
    "completion": "each completion continues the prompt",
    "program": "each completion is a whole program; the problem's prompt is run before it",
    "auto": "a completion that defines the function itself is a whole program, and the prompt is run before it; any "
    "other continues the prompt",
}


@dataclass(frozen=True)
class Score:
    """The result; :meth:`as_dict` is the JSON contract of ``lilliput score``.

    Attributes:
        task: the benchmark.
        tally: the figures.
        missing: problems without completions, which were left out.
        facts: settings, files, sandbox, machine, command.
    """

    task: str
    tally: Tally
    missing: int
    facts: Mapping[str, Any]

    @property
    def exit_code(self) -> int:
        """1 if the figures are not to be trusted."""
        return 1 if self.tally.warning else 0

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values. Fractions, not percent. A warning, if any, comes first."""
        found = self.tally.as_dict()
        if self.missing:
            found["notes"].append(f"partial: {self.missing} problems have no completions and are left out")
        warning = {"warning": found.pop("warning")} if "warning" in found else {}
        return {
            **warning,
            "task": self.task,
            **found,
            "partial": bool(self.missing),
            "problems_without_completions": self.missing,
            **self.facts,
            "problems": self.tally.records(),
        }


def score(
    problems: str | Path,
    completions: str | Path,
    *,
    k: Sequence[int] | None = None,
    form: str = "auto",
    partial: bool = False,
    challenges: bool = False,
    workers: int | None = None,
    limits: Limits | None = None,
    unsafe: bool = False,
    out: str | Path | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> Score:
    """Run completions against their problems' tests.

    Args:
        problems: a file of HumanEval, HumanEval+, MBPP or MBPP+.
        completions: JSON Lines of ``task_id`` and ``completion``.
        k: values of k for pass@k; those with too few completions are left out. ``None``: 1, and 10 if there are enough
            completions.
        form: ``completion``, ``program`` or ``auto``: see :data:`lilliput.data.completions.FORMS`.
        partial: score the problems that have completions, and leave the others out.
        challenges: also judge MBPP by ``challenge_test_list``.
        workers: programs to run in parallel; ``None``: one per core.
        limits: of each program.
        unsafe: run programs even if the kernel does not keep them from the user's files.
        out: ``.json`` file or folder to write the result to; an interrupted run resumes from what is kept beside it.
        command: recorded in the result.
        progress: shown while working.

    Raises:
        UserError: bad input; or problems without completions, unless ``partial``.
    """
    ks, progress = checked_ks(k), progress or Progress()
    if form not in FORMS:
        raise UserError(
            f"{shown(form)} is not a form of completions.", where="--form", remedy=f"Use {', '.join(FORMS)}."
        )
    problems, completions = Path(problems), Path(completions)
    every = read_problems(problems, challenges=challenges)
    of_mbpp = every[0].benchmark == "mbpp"
    refuse_unused({"--challenges": (challenges and not of_mbpp, "goes with problems of MBPP")})
    given = read_completions(completions, every)
    wanted = _with_completions(every, given, completions, partial)
    counts = Counter(item.task_id for item in given)
    fitting_ks(
        ks, [counts[problem.task_id] for problem in wanted]
    )  # fails before the run if there are too few for any k
    programs = allowed(limits, workers, unsafe)
    target, kept = beside(None if out is None else Path(out), RESULT, [problems, completions])
    attempts = _judged(wanted, given, form, programs, Kept(kept), progress)
    benchmark = BENCHMARKS[every[0].benchmark]
    result = Score(
        benchmark.name,
        tally(attempts, ks),
        len(every) - len(wanted),
        {
            "settings": {
                "form": form,
                "partial": partial,
                "challenges": challenges,
                "programs": programs.settings,
            },
            "postprocessing": ["completions are taken as they are: nothing is cut", _FORM_WORDS[form]],
            "program": benchmark.program,
            "data": {
                "problems": {"source": str(problems), "sha256": sha256_of(problems)},
                "completions": {"source": str(completions), "sha256": sha256_of(completions)},
            },
            **programs.facts(command),
        },
    )
    if target is not None:
        write_json(target, result.as_dict())
    return result


def _with_completions(
    problems: Sequence[Problem], given: Sequence[Given], file: Path, partial: bool
) -> Sequence[Problem]:
    there = {item.task_id for item in given}
    missing = [problem.task_id for problem in problems if problem.task_id not in there]
    if missing and not partial:
        raise DataError(
            f"has no completions for {len(missing)} of {len(problems)} problems; the first is {shown(missing[0])}.",
            where=file,
            remedy="Complete them (an empty completion counts), or give --partial to score only the others.",
        )
    return [problem for problem in problems if problem.task_id in there]


def _judged(
    problems: Sequence[Problem],
    given: Sequence[Given],
    form: str,
    programs: Programs,
    kept: Kept,
    progress: Progress,
) -> dict[str, list[Attempt]]:
    by_name = {problem.task_id: problem for problem in problems}
    forms = ["program" if item.whole else form_of(by_name[item.task_id], item.text, form) for item in given]
    sources = [
        judged_source(parts_of(by_name[item.task_id], item.text, one), by_name[item.task_id].tests)
        for item, one in zip(given, forms, strict=True)
    ]
    attempts: dict[str, list[Attempt]] = {problem.task_id: [] for problem in problems}
    found = programs.judged(sources, kept, progress)
    for item, one, judgement in zip(given, forms, found, strict=True):
        record = {"line": item.line, "form": one, "empty": not item.text.strip()}
        attempts[item.task_id].append(Attempt(item.task_id, judgement, record))
    return attempts
