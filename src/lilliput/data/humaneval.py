"""HumanEval: 164 Python functions to be completed, each with tests.

Source: Chen et al., "Evaluating Large Language Models Trained on Code", 2021; https://github.com/openai/human-eval.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from lilliput.data.formats import Row, read_rows
from lilliput.data.lines import shown

STOPS = ("\nclass ", "\ndef ", "\n#", "\nif ", "\nprint", "```")
"""Strings at which a plain completion has left the function it was asked for."""


@dataclass(frozen=True)
class Problem:
    """One function to write.

    Attributes:
        task_id: its name, ``HumanEval/0`` to ``HumanEval/163``.
        prompt: imports, signature and docstring; a completion goes on from there.
        entry_point: the function's name.
        canonical_solution: a body that passes.
        test: code that defines ``check(candidate)``, which raises where the function is wrong.
    """

    task_id: str
    prompt: str
    entry_point: str
    canonical_solution: str
    test: str


_FIELDS = tuple(field.name for field in fields(Problem))


def read_humaneval(path: Path) -> list[Problem]:
    """The problems in a file as OpenAI publishes it, JSON Lines, plain or gzipped, in their order.

    Raises:
        DataError: the file cannot be read, a line lacks a field, a field is no text or empty, or a name comes twice;
            the message names file and line.
    """
    found: dict[str, Problem] = {}
    for row in read_rows(path, _FIELDS):
        problem = Problem(**{name: _text(row, name) for name in _FIELDS})
        if not problem.entry_point.isidentifier():
            raise row.place.error(
                f"'entry_point' is {shown(problem.entry_point)}, which is no function's name.", "Correct this line."
            )
        if problem.task_id in found:
            raise row.place.error(f"the task_id {shown(problem.task_id)} is there already.", "Remove one of the two.")
        found[problem.task_id] = problem
    return list(found.values())


def _text(row: Row, name: str) -> str:
    value = row.value(name)
    if not isinstance(value, str):
        raise row.place.error(f"{shown(name)} is not a string but {shown(value)}.", "Get the file again.")
    if not value.strip():
        raise row.place.error(f"{shown(name)} is empty.", "Get the file again.")
    return value


def program(problem: Problem, completion: str) -> str:
    """The Python program that comes to its end if ``completion`` solves ``problem``, and raises if not."""
    return f"{problem.prompt}{completion}\n{problem.test}\ncheck({problem.entry_point})\n"
