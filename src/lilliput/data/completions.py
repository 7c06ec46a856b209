"""Completions of problems that were generated elsewhere: JSON Lines of ``task_id`` and ``completion``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lilliput.data import problem
from lilliput.data.formats import read_rows
from lilliput.data.lines import listed, shown
from lilliput.data.problem import Problem, defined_names

FORMS = ("auto", "completion", "program")
"""How a completion is read: as whichever form it looks like, as a continuation of the prompt, or as a whole program."""


@dataclass(frozen=True)
class Given:
    """One completion.

    Attributes:
        task_id: of its problem.
        text: the completion itself.
        line: its line in the file.
        whole: whether it was given as a ``solution``, which is always a whole program.
    """

    task_id: str
    text: str
    line: int | None
    whole: bool = False


def read_completions(path: Path, problems: Iterable[Problem]) -> list[Given]:
    """The completions in a file, in order; a problem may have several.

    ``solution``, EvalPlus' name for whole programs, may replace ``completion``. Where problems are numbered, as in
    MBPP, ``Mbpp/2`` is problem ``2``.

    Raises:
        DataError: the file cannot be read, a field is missing or of the wrong type, or the task_id is unknown; the
            message names file and line.
    """
    known = _names([item.task_id for item in problems])
    found = []
    for row in read_rows(path, ("task_id", "completion", "solution")):
        name = problem.task_id(row)
        if name not in known:
            raise row.place.error(
                f"the task_id {shown(name)} is not one of the problems', which are {listed(dict.fromkeys(known), 3)}.",
                "Give the file of the problems that these completions belong to.",
            )
        whole = "completion" not in row.values and "solution" in row.values
        text = problem.text(row, "solution" if whole else "completion", empty=True)
        found.append(Given(known[name], text, row.place.line, whole))
    return found


def _names(task_ids: Sequence[str]) -> Mapping[str, str]:
    """Accepted name of a problem -> its task_id."""
    others = {f"{prefix}/{name}": name for name in task_ids if name.isdecimal() for prefix in ("Mbpp", "MBPP")}
    return {name: name for name in task_ids} | {other: name for other, name in others.items() if other not in task_ids}


def is_program(problem: Problem, completion: str) -> bool:
    """Whether a completion itself defines the requested function, at its top level."""
    names = defined_names(completion)
    if names is not None:
        return problem.entry_point in names
    # It does not parse, so it fails in either form, unless it is an indented continuation of the prompt.
    first = next((line for line in completion.splitlines() if line.strip()), "")
    starts = (f"def {problem.entry_point}(", f"async def {problem.entry_point}(")
    return first[:1].strip() != "" and any(line.startswith(starts) for line in completion.splitlines())


def form_of(problem: Problem, completion: str, form: str) -> str:
    """``completion`` or ``program``: what ``form`` means for this completion."""
    if form != "auto":
        return form
    return "program" if is_program(problem, completion) else "completion"


def parts_of(problem: Problem, completion: str, form: str) -> tuple[str, ...]:
    """The pieces of the program, which are run one after the other as one module.

    A continuation is joined to the prompt. A whole program is run after the prompt, whose imports and helpers it may
    use, and whose function it redefines.

    Args:
        problem: the problem that it completes.
        completion: the text of the completion.
        form: ``completion`` or ``program``.
    """
    before = (problem.imports,) if problem.imports else ()
    if not problem.keeps_prompt:
        return (*before, completion)
    if form == "completion":
        return (*before, problem.prompt + completion)
    if problem.entry_point not in (defined_names(problem.prompt) or ()):
        return (*before, completion)  # a prompt that cannot stand alone
    return (*before, problem.prompt, completion)
