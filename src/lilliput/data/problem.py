"""A programming problem of any benchmark, with the tests that judge it; and checks of its fields."""

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
        task_id: its name, such as ``HumanEval/0``; in MBPP, the number, as text.
        prompt: the text that a plain completion continues.
        entry_point: the function's name.
        canonical_solution: a completion that passes.
        test: code that raises if the program is wrong: it defines ``check(candidate)``, or runs its own checks.
        benchmark: ``humaneval`` or ``mbpp``, whose rules apply (:mod:`lilliput.data.problems`).
        calls_check: whether ``test`` defines ``check(candidate)``, which is then called with the function.
        keeps_prompt: whether a program begins with the prompt (a signature); else the completion is the program.
        imports: code that precedes every program.
        task: what to write, in words, for a chat; empty: the prompt says it.
        examples: tests that are shown in a chat.
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
        """Code to run after the program: it runs to its end if the program is right, and raises otherwise."""
        return f"{self.test}\ncheck({self.entry_point})\n" if self.calls_check else f"{self.test}\n"


def text(row: Row, name: str, empty: bool = False) -> str:
    """The string in the field ``name`` of a row.

    Raises:
        DataError: the field is missing, not a string, or empty but must not be; the message names file, line and field.
    """
    value = row.value(name)
    if not isinstance(value, str):
        raise row.place.error(f"{shown(name)} is not a string but {shown(value)}.", _AGAIN)
    if not empty and not value.strip():
        raise row.place.error(f"{shown(name)} is empty.", _AGAIN)
    return value


def texts(row: Row, name: str, empty: bool = False) -> list[str]:
    """The list of strings in the field ``name``; with ``empty``, the field may also be missing.

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
        DataError: as :func:`text`, or it is not an identifier.
    """
    name = text(row, "entry_point")
    if not name.isidentifier():
        raise row.place.error(f"'entry_point' is {shown(name)}, which is not a function name.", "Correct this line.")
    return name


def defined_names(program: str) -> list[str] | None:
    """Names that a program defines at top level (functions, classes, assignments); ``None`` if it does not parse."""
    try:
        with warnings.catch_warnings():  # about invalid escapes in the program
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
