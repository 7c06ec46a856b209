"""The tasks that ``evaluate`` knows, and what kind of measurement each is: one table, which the command line asks."""

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
"""Task -> what it measures."""


def kind_of_task(task: str, kinds: Mapping[str, str] = KINDS) -> str:
    """What ``task`` measures, by the table of a verb's tasks.

    Raises:
        UserError: there is no such task.
    """
    if task not in kinds:
        raise UserError(f"unknown task '{task}'.", where="--task", remedy=f"Use one of: {', '.join(kinds)}.")
    return kinds[task]


def artifact_of(model: str | Path, task: str) -> Artifact:
    """The artifact that ``task`` is measured of.

    Raises:
        ArtifactError: it is none, or damaged.
    """
    if not is_artifact(model):
        raise ArtifactError(
            f"is not an artifact, and task '{task}' takes nothing else: no checkpoint, no server.",
            where=str(model),
            remedy="Make one; with 'lilliput quantize CHECKPOINT --weights fp32 --out DIR' it keeps the original's "
            "numbers.",
        )
    return open_artifact(model)
