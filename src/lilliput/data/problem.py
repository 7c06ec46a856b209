"""One programming problem with the tests that judge it, whatever benchmark it is of; and the checks of its fields."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass
from typing import Any

from lilliput.data.formats import Row
from lilliput.data.lines import shown

_AGAIN = "Get the file again."


@dataclass(frozen=True)
class Problem:
    """One function to write.

    Attributes:
        task_id: its name, such as ``HumanEval/0``; of MBPP, the number, as text.
        prompt: what a plain completion goes on from.
        entry_point: the function's name.
        canonical_solution: a completion that passes.
        test: code that raises where the program is wrong: it defines ``check(candidate)``, or checks by itself.
        benchmark: ``humaneval`` or ``mbpp``: the rules that hold for it (:mod:`lilliput.data.problems`).
        calls_check: ``test`` defines ``check(candidate)``, which is then called with the function.
        keeps_prompt: a program begins with the prompt (a signature); else the completion alone is the program.
        imports: code that goes before every program.
        task: what to write, in words, for a chat; empty: the prompt says it.
        examples: tests that a chat is shown.
    """

    task_id: str
    prompt: str
    entry_point: str
    canonical_solution: str
    test: str
    benchmark: str = "humaneval"
    calls_check: bool = True
    keeps_prompt: bool = True
    imports: str = ""
    task: str = ""
    examples: tuple[str, ...] = ()

    @property
    def tests(self) -> str:
        """What is run after the program: it comes to its end if the program is right, and raises if not."""
        return f"{self.test}\ncheck({self.entry_point})\n" if self.calls_check else f"{self.test}\n"


def text(row: Row, name: str, empty: bool = False) -> str:
    """The string in the field ``name`` of a row.

    Raises:
        DataError: it is missing, no string, or empty where it must not be; the message names file, line and field.
    """
    value = row.value(name)
    if not isinstance(value, str):
        raise row.place.error(f"{shown(name)} is not a string but {shown(value)}.", _AGAIN)
    if not empty and not value.strip():
        raise row.place.error(f"{shown(name)} is empty.", _AGAIN)
    return value


def texts(row: Row, name: str, empty: bool = False) -> list[str]:
    """The list of strings in the field ``name``; with ``empty``, the field may be missing, too.

    Raises:
        DataError: as :func:`text`.
    """
    if empty and row.values.get(name) is None:
        return []
    value = row.value(name)
    if not isinstance(value, list):
        raise row.place.error(f"{shown(name)} is not a list but {shown(value)}.", _AGAIN)
    for place, item in enumerate(value, 1):
        if not isinstance(item, str):
            raise row.place.error(f"item {place} of {shown(name)} is not a string but {shown(item)}.", _AGAIN)
    if not empty and not value:
        raise row.place.error(f"{shown(name)} is empty.", _AGAIN)
    return value


def inputs(row: Row, name: str) -> list[list[Any]]:
    """The list of argument lists in the field ``name``.

    Raises:
        DataError: as :func:`text`.
    """
    value = row.value(name)
    if not isinstance(value, list):
        raise row.place.error(f"{shown(name)} is not a list but {shown(value)}.", _AGAIN)
    for place, item in enumerate(value, 1):
        if not isinstance(item, list):
            raise row.place.error(f"item {place} of {shown(name)} is not a list but {shown(item)}.", _AGAIN)
    return value


def task_id(row: Row) -> str:
    """The problem's name: a string, or a whole number as text.

    Raises:
        DataError: as :func:`text`.
    """
    value = row.value("task_id")
    if type(value) is int:
        return str(value)
    if not isinstance(value, str):
        raise row.place.error(f"'task_id' is neither a string nor a whole number but {shown(value)}.", _AGAIN)
    return text(row, "task_id")


def entry_point(row: Row) -> str:
    """The function's name.

    Raises:
        DataError: as :func:`text`, or it is no identifier.
    """
    name = text(row, "entry_point")
    if not name.isidentifier():
        raise row.place.error(f"'entry_point' is {shown(name)}, which is no function's name.", "Correct this line.")
    return name


def defined_names(program: str) -> list[str] | None:
    """Names of what a program defines at its top level (functions, classes, assignments); ``None``: it is no Python."""
    try:
        with warnings.catch_warnings():  # of odd escapes, which are the program's own business
            warnings.simplefilter("ignore")
            body = ast.parse(program).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    names = []
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.append(statement.name)
        elif isinstance(statement, ast.Assign):
            names += [target.id for target in statement.targets if isinstance(target, ast.Name)]
    return names
