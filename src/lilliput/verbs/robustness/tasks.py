"""The tasks that ``robustness`` knows, and which kind of model each is for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from lilliput.artifact import CLASSIFIER, GENERATOR
from lilliput.errors import UserError
from lilliput.tasks import TASKS
from lilliput.verbs.robustness.generator import TASK

KINDS: Mapping[str, str] = MappingProxyType(dict.fromkeys(TASKS, CLASSIFIER) | {TASK: GENERATOR})
"""Task -> kind of model."""


def kind_of_task(task: str) -> str:
    """The kind of model that ``task`` is for.

    Raises:
        UserError: there is no such task.
    """
    if task not in KINDS:
        raise UserError(f"unknown task '{task}'.", where="--task", remedy=f"Use one of: {', '.join(KINDS)}.")
    return KINDS[task]
