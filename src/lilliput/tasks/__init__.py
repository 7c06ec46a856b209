"""The tasks, one module each; :data:`TASKS` is the table of classification tasks."""

from __future__ import annotations

from lilliput.errors import UserError
from lilliput.tasks.base import Task
from lilliput.tasks.classification import CLASSIFICATION
from lilliput.tasks.clone import CLONE
from lilliput.tasks.vulnerability import VULNERABILITY

TASKS: dict[str, Task] = {task.name: task for task in (VULNERABILITY, CLONE, CLASSIFICATION)}
"""Task name -> task."""


def task_named(name: str) -> Task:
    """The task called ``name``.

    Raises:
        UserError: there is no such task; the message lists the known ones.
    """
    if name not in TASKS:
        raise UserError(f"no task is called '{name}'.", remedy=f"Choose one of: {', '.join(TASKS)}.", where="--task")
    return TASKS[name]


__all__ = ["TASKS", "Task", "task_named"]
