"""What is to be compared: of which kind each model is, and which task classifiers have; no model is loaded for that."""

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
"""Ends of the names of classes that write texts, in a config's ``architectures``."""


@dataclass(frozen=True)
class Compared:
    """One model of a comparison.

    Attributes:
        name: that tells it from the others.
        path: an artifact's or a checkpoint's folder, or a checkpoint's file.
        kind: ``classifier`` or ``generator``.
        task: of a classifier; ``None``: it does not say.
    """

    name: str
    path: Path
    kind: str
    task: str | None


def identified(models: Sequence[str | Path]) -> list[Compared]:
    """The models, all of one kind; those of the hub are downloaded first.

    Raises:
        UserError: fewer than two; one that is not there, or is none; or they are of different kinds.
    """
    if len(models) < 2:
        raise UserError(
            "there is nothing to compare with.", where="MODELS", remedy="Give the original and one or more others."
        )
    found = [_identified(model, name) for model, name in zip(models, _names(models), strict=True)]
    kinds = {one.kind for one in found}
    if len(kinds) > 1:
        listed = ", ".join(f"{one.name} is a {one.kind}" for one in found)
        raise UserError(
            f"{listed}: what they take cannot be compared.", where="MODELS", remedy="Compare models of one kind."
        )
    return found


def task_of(compared: Sequence[Compared], given: str | None) -> str:
    """The task of classifiers: the one given, or else their own.

    Raises:
        UserError: none of them says, or they have different ones.
    """
    own = {one.task: one.name for one in compared if one.task is not None}
    if len(own) > 1:
        listed = ", ".join(f"{name} has '{task}'" for task, name in own.items())
        raise UserError(f"the models have different tasks: {listed}.", where="MODELS", remedy="Compare models of one.")
    if given is not None:
        return given
    if not own:
        raise UserError(
            "must be named: these checkpoints do not tell their task.",
            where="--task",
            remedy="Give vulnerability, clone or classification.",
        )
    return next(iter(own))


def _names(models: Sequence[str | Path]) -> list[str]:
    """Last parts of the paths, with a number where a name comes again."""
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
            "is a server, whose memory and processor time cannot be seen from here.",
            where=str(model),
            remedy="Give the model itself; 'lilliput evaluate' measures servers as far as one can.",
        )
    given = Path(model).expanduser() if str(model).startswith("~") else model
    if is_artifact(given):
        path = folder_named(given)
        values = _object(path / MANIFEST)
        if not values:
            open_artifact(path)  # which says what is wrong
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
    """What a JSON file holds; nothing where it cannot be read: opening the model says why."""
    try:
        values = read_json(file)
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
