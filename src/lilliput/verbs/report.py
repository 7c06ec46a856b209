"""``report``: results and artifacts side by side on one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lilliput.artifact import MANIFEST, is_artifact, open_artifact
from lilliput.errors import UserError
from lilliput.files import sha256_of
from lilliput.generator_manifest import GeneratorManifest
from lilliput.report import Evidence, clean, look_up
from lilliput.report.given import gathered
from lilliput.report.kinds import CLASSIFIER
from lilliput.report.page import TITLE, write
from lilliput.report.reading import Result, checked, read_result
from lilliput.shipped import names_told
from lilliput.verbs.inspect import inspect
from lilliput.verbs.kept import refuse_inputs, refuse_unwritable

EVALUATION = "evaluation.json"
"""Suffix of the file beside an artifact's or a teacher's folder that may hold the output of ``evaluate --json``."""


def report(
    subjects: Sequence[str | Path],
    out: str | Path,
    title: str = TITLE,
    command: str = "",
    reference: str | None = None,
) -> None:
    """Write the page.

    Args:
        subjects: in any order: artifacts, by folder or shipped name (``NAME.evaluation.json`` beside the folder is read
            too), and JSON results of ``evaluate``, ``score``, ``compare`` and ``robustness``.
        out: the HTML file.
        title: title of the page.
        command: recorded on the page.
        reference: name of the generator that the others are compared with; ``None``: the first that was evaluated.

    Raises:
        UserError: a subject is none of these or has an invalid field, no generator has the reference's name, or ``out``
            is an input or cannot be written.
        MissingExtra: jinja2 or matplotlib is not installed.
    """
    refuse_inputs(Path(out), [*subjects, *map(_beside, subjects)])
    refuse_unwritable(Path(out))
    evidences: list[Evidence] = []
    artifacts: list[Evidence] = []
    results: list[Result] = []
    for subject in subjects:
        if not is_artifact(subject):
            with names_told(subject):
                _sort(read_result(Path(subject)), evidences, results)
        elif _is_generator(subject):
            beside = _beside(subject)
            artifacts.append(_artifact(subject, {}))
            results += [read_result(beside)] if beside.exists() else []
        else:
            evidences.append(evidence_of(subject))
    given = gathered(results, artifacts, reference)
    if reference is not None and not given.runs:
        raise UserError(
            f"there is no evaluation of a generator, neither '{clean(reference)}' nor another.",
            where="--reference",
            remedy="Leave it out, or give the evaluation.",
        )
    write(evidences, Path(out), title, command, given)


def evidence_of(subject: str | Path, evaluation: dict[str, Any] | None = None) -> Evidence:
    """Evidence on a classifier's artifact, or from the JSON file of an evaluation.

    Raises:
        UserError: ``subject`` is neither, or the evaluation is not a classifier's.
    """
    if not is_artifact(subject):
        found = read_result(Path(subject))
        return Evidence(found.name, _classifier(found, Path(subject)))
    beside = _beside(subject)
    if evaluation is None and beside.exists():
        evaluation = _classifier(read_result(beside), beside)
        _refuse_other(evaluation, subject, beside)
    return _artifact(subject, evaluation or {})


def _sort(result: Result, evidences: list[Evidence], results: list[Result]) -> None:
    if result.kind == CLASSIFIER:
        evidences.append(Evidence(result.name, result.values))
    else:
        results.append(result)


def _beside(subject: str | Path) -> Path:
    return Path(subject).parent / f"{Path(subject).name}.{EVALUATION}"


def _is_generator(subject: str | Path) -> bool:
    return isinstance(open_artifact(subject).manifest, GeneratorManifest)


def _artifact(subject: str | Path, evaluation: dict[str, Any]) -> Evidence:
    facts = {name: value for name, value in inspect(subject).as_dict().items() if name not in ("path", "evidence")}
    history = open_artifact(subject).evidence().get("history", [])
    return Evidence(Path(subject).resolve().name, evaluation, history if isinstance(history, list) else [], facts)


def _refuse_other(evaluation: Mapping[str, Any], subject: str | Path, file: Path) -> None:
    """Refuse an evaluation of another model, such as one that an earlier artifact of the same name left behind.

    Raises:
        UserError: the evaluation names another model.
    """
    artifact = open_artifact(subject)
    told = look_up(evaluation, "model", "manifest_sha256"), look_up(evaluation, "bytes", "total")
    own = sha256_of(artifact.path / MANIFEST), artifact.bytes().total
    if any(its is not None and its != ours for its, ours in zip(told, own, strict=True)):
        raise UserError(
            f"is the evaluation of another model than the present {artifact.path.name}.",
            where=file,
            remedy="Evaluate the artifact again, or remove the file.",
        )


def _classifier(result: Result, path: Path) -> dict[str, Any]:
    if result.kind != CLASSIFIER:
        checked({}, path)  # raises the right error
    return dict(result.values)
