"""Clone detection: do these two functions do the same thing?"""

from __future__ import annotations

from lilliput.data.clones import CLONE_LABELS, read_clones
from lilliput.tasks.base import Task

CLONE = Task(name="clone", arity=2, label_names=CLONE_LABELS, positive=1, reader=read_clones, language="java")
