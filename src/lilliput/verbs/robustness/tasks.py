"""The tasks of ``robustness``, and the kind of model for each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from lilliput.artifact import CLASSIFIER, GENERATOR
from lilliput.tasks import TASKS
from lilliput.verbs.robustness.generator import TASK

KINDS: Mapping[str, str] = MappingProxyType(dict.fromkeys(TASKS, CLASSIFIER) | {TASK: GENERATOR})
"""Task -> kind of model."""
