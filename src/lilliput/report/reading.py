"""Read results from JSON files, and check every field that the page computes with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lilliput.data.lines import shown
from lilliput.errors import DataError
from lilliput.files import read_json
from lilliput.report.kinds import GENERATOR, KINDS
from lilliput.report.rules import is_share, obey

REMEDY = (
    "Give artifact folders, and files that 'lilliput evaluate', 'score', 'compare' and 'robustness' wrote with --json "
    "or --out."
)

NO_VERDICT = "runner"
"""Outcome of a completion without a verdict: see :mod:`lilliput.evaluate.judging`."""


@dataclass(frozen=True)
class Result:
    """A JSON file, checked.

    Attributes:
        kind: name of one of :data:`KINDS`.
        name: of the model, or of the file where the result does not name one.
        file: name of the file, without folders.
        values: its content.
    """

    kind: str
    name: str
    file: str
    values: Mapping[str, Any]


def read_result(path: Path) -> Result:
    """Read and check a JSON file.

    Raises:
        DataError: it cannot be read, is of no known kind, or a field is missing or wrong; the message names file and
            field.
    """
    try:
        if path.is_dir():
            raise ValueError("a folder")
        values = read_json(path)
    except (OSError, ValueError) as error:
        reason = error.strerror.lower() if isinstance(error, OSError) and error.strerror else str(error)
        raise DataError(f"cannot be read as a result ({reason}).", where=path, remedy=REMEDY) from error
    return checked(values, path)


def checked(values: Any, path: Path) -> Result:
    """Check ``values``, read from ``path``, and return them as a result.

    Raises:
        DataError: as :func:`read_result`.
    """
    fields = values if isinstance(values, Mapping) else {}
    kind = next((kind for kind in KINDS if all(mark in fields for mark in kind.marks)), None)
    if kind is None:
        raise DataError(
            "is not a result that a report can show: it has no field 'accuracy', nor those of any other result.",
            where=path,
            remedy=REMEDY,
        )
    for rule in kind.rules:
        obey(rule, fields, path, REMEDY)
    if kind.name == GENERATOR:
        _check_problems(fields, path)
    name = fields.get("name")
    return Result(kind.name, str(name if isinstance(name, str) and name.strip() else path.stem), path.name, fields)


def _check_problems(fields: Mapping[str, Any], path: Path) -> None:
    """Check across fields: pass@k are shares, problem names are unique, and counts match the completions."""
    for k in fields["k"]:
        value = fields.get(f"pass@{k}")
        if value is not None and not is_share(value):
            raise DataError(f"field 'pass@{k}' is {shown(value)} and must be a share.", where=path, remedy=REMEDY)
    seen: set[str] = set()
    for place, problem in enumerate(fields["problems"]):
        if problem["task_id"] in seen:
            said = f"field 'problems[{place}].task_id' is {shown(problem['task_id'])}, which an earlier one has"
            raise DataError(f"{said}: results of two runs?", where=path, remedy="Give one result per run.")
        seen.add(problem["task_id"])
        outcomes = [one["outcome"] for one in problem["completions"]]
        for name, count in (("n", len(outcomes)), ("passed", outcomes.count("passed"))):
            told = problem.get(name)
            if told is not None and (type(told) is not int or told != count):
                said = f"field 'problems[{place}].{name}' is {shown(told)}, but its completions give {count}"
                raise DataError(f"{said}.", where=path, remedy=REMEDY)
    judged = sum(any(one["outcome"] != NO_VERDICT for one in problem["completions"]) for problem in fields["problems"])
    if fields["n"] != judged:
        said = f"field 'n' is {shown(fields['n'])}, but {judged} of its problems have a verdict"
        raise DataError(f"{said}.", where=path, remedy=REMEDY)
