"""``report``: results of ``evaluate --json`` and artifacts, side by side on one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lilliput.artifact import is_artifact, open_artifact
from lilliput.errors import DataError
from lilliput.files import read_json
from lilliput.report import Evidence
from lilliput.report.page import write
from lilliput.verbs.inspect import inspect

EVALUATION = "evaluation.json"
"""Where an artifact's or a teacher's folder may keep what ``evaluate --json`` printed."""


def report(
    subjects: Sequence[str | Path], out: str | Path, title: str = "Models of code, compared", command: str = ""
) -> None:
    """Write the page.

    Args:
        subjects: artifacts (``evaluation.json`` beside the folder's name, ``NAME.evaluation.json``, is read too), and
            JSON files that ``lilliput evaluate --json`` printed.
        out: the HTML file.
        title: its title.
        command: recorded on it.

    Raises:
        UserError: a subject is neither.
    """
    write([evidence_of(Path(subject)) for subject in subjects], Path(out), title, command)


def evidence_of(subject: Path, evaluation: dict[str, Any] | None = None) -> Evidence:
    """What is known of an artifact, or what an evaluation's JSON file says."""
    if not is_artifact(subject):
        values = _read_evaluation(subject)
        return Evidence(str(values.get("name", subject.stem)), values)
    artifact = open_artifact(subject)
    beside = subject.parent / f"{subject.name}.{EVALUATION}"
    found = evaluation if evaluation is not None else _read_evaluation(beside) if beside.exists() else {}
    facts = {name: value for name, value in inspect(subject).as_dict().items() if name not in ("path", "evidence")}
    history = artifact.evidence().get("history", [])
    return Evidence(subject.name, found, history if isinstance(history, list) else [], facts)


def _read_evaluation(path: Path) -> dict[str, Any]:
    remedy = "Give an artifact's folder, or the output of 'lilliput evaluate --json'."
    try:
        values = read_json(path)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read as an evaluation ({error}).", where=path, remedy=remedy) from error
    if not isinstance(values, dict) or "accuracy" not in values:
        raise DataError("is not an evaluation: it has no field 'accuracy'.", where=path, remedy=remedy)
    return values
