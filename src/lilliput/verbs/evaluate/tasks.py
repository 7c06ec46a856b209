"""The tasks that ``evaluate`` knows, and what kind of measurement each is: one table, which the command line asks."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from lilliput.artifact import CLASSIFIER, GENERATOR
from lilliput.data.problems import BENCHMARKS
from lilliput.errors import UserError
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
