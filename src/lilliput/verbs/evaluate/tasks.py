"""The tasks of ``evaluate``, and the kind of measurement of each, in one table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from lilliput.artifact import CLASSIFIER, GENERATOR, Artifact, is_artifact, open_artifact
from lilliput.data.problems import BENCHMARKS
from lilliput.errors import ArtifactError, UserError
from lilliput.tasks import TASKS

SUMMARIZATION, REPOSITORY = "summarization", "repository"

KINDS: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(TASKS, CLASSIFIER)
    | dict.fromkeys(BENCHMARKS, GENERATOR)
    | {name: name for name in (SUMMARIZATION, REPOSITORY)}
)
"""Task -> kind of measurement."""


def kind_of_task(task: str, kinds: Mapping[str, str] = KINDS) -> str:
    """The kind of ``task``, from the table of a verb's tasks.

    Raises:
        UserError: there is no such task.
    """
    if task not in kinds:
        raise UserError(f"unknown task '{task}'.", where="--task", remedy=f"Use one of: {', '.join(kinds)}.")
    return kinds[task]


def artifact_of(model: str | Path, task: str) -> Artifact:
    """Open the artifact to measure ``task`` on.

    Raises:
        ArtifactError: it is not an artifact, or is damaged.
    """
    if not is_artifact(model):
        raise ArtifactError(
            f"is not an artifact; task '{task}' does not take checkpoints or servers.",
            where=str(model),
            remedy="Make one; 'lilliput quantize CHECKPOINT --weights fp32 --out DIR' keeps the original weights.",
        )
    return open_artifact(model)
