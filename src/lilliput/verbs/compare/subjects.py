"""The models to compare: their kinds, and the task of classifiers, found without loading a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lilliput.artifact import CLASSIFIER, GENERATOR, MANIFEST, is_artifact, open_artifact
from lilliput.errors import UserError
from lilliput.files import read_json
from lilliput.shipped import folder_named, names_told
from lilliput.teachers.hub import CONFIG, TEACHER, locate

_WRITES = ("ForCausalLM", "LMHeadModel", "LMHeadCustomModel", "ForConditionalGeneration")
"""Suffixes of text-generating classes in a config's ``architectures``."""


@dataclass(frozen=True)
class Compared:
    """One model of a comparison.

    Attributes:
        name: a unique name.
        path: an artifact's or a checkpoint's folder, or a checkpoint's file.
        kind: ``classifier`` or ``generator``.
        task: task of a classifier; ``None``: not stated.
    """

    name: str
    path: Path
    kind: str
    task: str | None


def identified(models: Sequence[str | Path]) -> list[Compared]:
    """The models, all of one kind; models on the hub are downloaded first.

    Raises:
        UserError: there are fewer than two, one does not exist or is not a model, or they are of different kinds.
    """
    if len(models) < 2:
        raise UserError(
            "there is nothing to compare with.", where="COMPRESSED", remedy="Give the original and one or more others."
        )
    found = [_identified(model, name) for model, name in zip(models, _names(models), strict=True)]
    kinds = {one.kind for one in found}
    if len(kinds) > 1:
        listed = ", ".join(f"{one.name} is a {one.kind}" for one in found)
        raise UserError(
            f"{listed}: their costs cannot be compared.", where="models", remedy="Compare models of one kind."
        )
    return found


def task_of(compared: Sequence[Compared], given: str | None) -> str:
    """The task of classifiers: the one given, or else their own.

    Raises:
        UserError: no model states its task, or they have different tasks.
    """
    own = {one.task: one.name for one in compared if one.task is not None}
    if len(own) > 1:
        listed = ", ".join(f"{name} has '{task}'" for task, name in own.items())
        raise UserError(
            f"the models have different tasks: {listed}.", where="models", remedy="Compare models of one task."
        )
    if given is not None:
        return given
    if not own:
        raise UserError(
            "must be given: these checkpoints do not state their task.",
            where="--task",
            remedy="Give vulnerability, clone or classification.",
        )
    return next(iter(own))


def _names(models: Sequence[str | Path]) -> list[str]:
    """Last parts of the paths, numbered where a name repeats."""
    bases = [Path(model).resolve().name if Path(model).exists() else Path(model).name for model in models]
    seen: Counter[str] = Counter()
    names = []
    for base in bases:
        seen[base] += 1
        names.append(base if seen[base] == 1 else f"{base} ({seen[base]})")
    return names


def _identified(model: str | Path, name: str) -> Compared:
    if str(model).startswith(("http://", "https://")):
        raise UserError(
            "is a server, whose memory and CPU time cannot be measured from here.",
            where=str(model),
            remedy="Give the model itself; 'lilliput evaluate' measures what it can of servers.",
        )
    given = Path(model).expanduser() if str(model).startswith("~") else model
    if is_artifact(given):
        path = folder_named(given)
        values = _object(path / MANIFEST)
        if not values:
            open_artifact(path)  # raises the right error
        kind = GENERATOR if values.get("kind") == GENERATOR else CLASSIFIER
        return Compared(name, path, kind, values.get("task"))
    with names_told(model):
        path = locate(model)
    if (path / TEACHER).is_file():
        return Compared(name, path, CLASSIFIER, _object(path / TEACHER).get("task"))
    return Compared(name, path, _kind_of_checkpoint(path), None)


def _kind_of_checkpoint(path: Path) -> str:
    if path.suffix == ".gguf":
        return GENERATOR
    classes = _object(path / CONFIG).get("architectures")
    names = [name for name in classes if isinstance(name, str)] if isinstance(classes, list) else []
    return GENERATOR if any(name.endswith(_WRITES) for name in names) else CLASSIFIER


def _object(file: Path) -> dict[str, Any]:
    """The object in a JSON file; empty if it cannot be read: opening the model will say why."""
    try:
        values = read_json(file)
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
